//! Owns how the command line speaks: results on standard output, everything else on standard error, colour, a progress line.
//!
//! Never panics when a reader goes away (`countersign … | head`), and never colours what is not a terminal. Text from outside (names, comments,
//! feedback) is shown without control characters, so that it cannot drive the terminal.

use serde::Serialize;
use std::io::{IsTerminal as _, Write};

/// Columns when the terminal does not tell.
const WIDTH: usize = 80;

/// A way to stand out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// A heading, a name.
    Bold,
    /// What is said by the way.
    Dim,
    /// Wrong.
    Red,
    /// Right.
    Green,
    /// Doubtful.
    Yellow,
    /// A place in a file.
    Cyan,
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Red => "1;31",
            Self::Green => "32",
            Self::Yellow => "33",
            Self::Cyan => "36",
        }
    }
}

/// Standard output and standard error.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about two streams")]
pub(crate) struct Output {
    /// For machines: one JSON document instead of text.
    pub(crate) json: bool,
    colour_out: bool,
    colour_err: bool,
    /// Standard error is a terminal, so a line on it can be replaced.
    live: bool,
}

impl Output {
    /// As the surroundings ask: no colour with `NO_COLOR` (<https://no-color.org>) or on a dumb terminal.
    pub(crate) fn new(json: bool) -> Self {
        let wanted =
            std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let (out, err) = (std::io::stdout().is_terminal(), std::io::stderr().is_terminal());
        Self { json, colour_out: wanted && out && !json, colour_err: wanted && err && !json, live: err && !json }
    }

    /// Text for standard output in a style.
    pub(crate) fn paint(self, style: Style, text: &str) -> String {
        painted(self.colour_out, style, text)
    }

    /// Text for standard error in a style.
    pub(crate) fn paint_err(self, style: Style, text: &str) -> String {
        painted(self.colour_err, style, text)
    }

    /// A line of the result. A reader that went away is no mistake: the exit code still tells what was found.
    #[expect(clippy::unused_self, reason = "whoever prints holds the output, as for everything else here")]
    pub(crate) fn line(self, text: impl AsRef<str>) {
        write_line(&mut std::io::stdout().lock(), text.as_ref());
    }

    /// A line beside the result.
    #[expect(clippy::unused_self, reason = "whoever prints holds the output, as for everything else here")]
    pub(crate) fn note(self, text: impl AsRef<str>) {
        write_line(&mut std::io::stderr().lock(), text.as_ref());
    }

    /// The result for machines.
    pub(crate) fn document(self, document: &impl Serialize) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(document)?;
        self.line(text);
        Ok(())
    }

    /// `error: …`, its causes below it.
    pub(crate) fn error(self, error: &anyhow::Error) {
        if self.json {
            let causes: Vec<String> = error.chain().skip(1).map(ToString::to_string).collect();
            let document = serde_json::json!({"error": error.to_string(), "causes": causes});
            return self.note(document.to_string());
        }
        let mut lines = error.chain().map(ToString::to_string);
        let head = lines.next().unwrap_or_default();
        self.note(format!("{} {}", self.paint_err(Style::Red, "error:"), visible_lines(&head)));
        for cause in lines {
            self.note(format!("  {} {}", self.paint_err(Style::Dim, "because:"), visible_lines(&cause)));
        }
    }

    /// A line that shows how far long work is; nothing unless standard error is a terminal.
    pub(crate) fn progress(self) -> Progress {
        Progress { live: self.live, shown: false }
    }

    /// Whether a progress line can be shown.
    pub(crate) fn is_live(self) -> bool {
        self.live
    }
}

fn painted(colour: bool, style: Style, text: &str) -> String {
    if colour { format!("\x1b[{}m{text}\x1b[0m", style.code()) } else { text.to_owned() }
}

fn write_line(to: &mut impl Write, text: &str) {
    // One write per line, so that lines of several processes do not mix. What cannot be written has nobody to be told to.
    let _ = to.write_all(format!("{text}\n").as_bytes()).and_then(|()| to.flush());
}

/// A line on a terminal that is replaced by the next one and gone at the end.
#[derive(Debug)]
pub(crate) struct Progress {
    live: bool,
    shown: bool,
}

impl Progress {
    /// Shows `text`, cut to the width of the terminal.
    pub(crate) fn show(&mut self, text: &str) {
        if self.live {
            let line = cut(&visible(text), width().saturating_sub(1));
            let _ = write!(std::io::stderr().lock(), "\r\x1b[2K{line}").and_then(|()| std::io::stderr().flush());
            self.shown = true;
        }
    }

    /// Takes the line away.
    pub(crate) fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            let _ = write!(std::io::stderr().lock(), "\r\x1b[2K").and_then(|()| std::io::stderr().flush());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

fn width() -> usize {
    rustix::termios::tcgetwinsize(std::io::stderr())
        .ok()
        .map(|size| usize::from(size.ws_col))
        .filter(|columns| *columns > 0)
        .unwrap_or(WIDTH)
}

/// At most `width` characters.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// Text from outside on one line: control characters and marks that reorder text are shown as what they are.
pub(crate) fn visible(text: &str) -> String {
    show(text, false)
}

/// The same, with its line ends.
pub(crate) fn visible_lines(text: &str) -> String {
    show(text, true)
}

fn show(text: &str, lines: bool) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut shown, character| {
        let hidden = character.is_control()
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        match character {
            '\n' if lines => shown.push('\n'),
            '\t' => shown.push(' '),
            _ if hidden => shown.extend(character.escape_unicode()),
            _ => shown.push(character),
        }
        shown
    })
}

/// `1 error`, `2 errors`.
pub(crate) fn count(number: usize, one: &str) -> String {
    format!("{} {one}{}", thousands(number as u64), if number == 1 { "" } else { "s" })
}

/// `1,234,567`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            (count(1, "error"), count(0, "error"), count(1_200, "error")),
            ("1 error".into(), "0 errors".into(), "1,200 errors".into())
        );
    }

    #[test]
    fn text_from_outside_cannot_drive_the_terminal() {
        assert_eq!(visible("use\x1b[2J staging\r\nnow\u{202e}"), "use\\u{1b}[2J staging\\u{d}\\u{a}now\\u{202e}");
        assert_eq!(visible_lines("a\nb\tc"), "a\nb c");
    }

    #[test]
    fn long_lines_are_cut_by_characters() {
        assert_eq!((cut("äöüß", 4), cut("äöüßx", 4)), ("äöüß".to_owned(), "äöü…".to_owned()));
    }

    #[test]
    fn colour_is_only_added_where_it_is_wanted() {
        assert_eq!(painted(false, Style::Red, "x"), "x");
        assert_eq!(painted(true, Style::Red, "x"), "\x1b[1;31mx\x1b[0m");
    }
}
