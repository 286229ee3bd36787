//! Owns the safety of foreign text on a card: controls and invisible characters go, cuts are visible, and what must
//! stand in Slack's mrkdwn can become no mention, link, date, emoji or markup.
//!
//! Never renders a card and never masks: masking (`mask`) comes first, on the parameters themselves.

/// Whether a character changes how text reads without being seen: bidirectional controls, zero-width characters,
/// fillers, tags and the like.
#[must_use]
pub fn is_invisible(c: char) -> bool {
    is_bidi(c)
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a character changes the direction of the text around it (UAX #9).
#[must_use]
pub fn is_bidi(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Most combining marks of the Latin blocks that may follow each other; more only serve to paint over other lines.
const MAX_MARKS: usize = 4;

/// The text without control and invisible characters. Line breaks of every kind become `\n`, a tab becomes a space.
#[must_use]
pub fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut marks = 0;
    let mut after_return = false;
    for c in text.chars() {
        let returned = std::mem::replace(&mut after_return, c == '\r');
        marks = if matches!(c, '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}')
        {
            marks + 1
        } else {
            0
        };
        match c {
            '\n' if returned => {}
            '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => clean.push('\n'),
            '\t' => clean.push(' '),
            c if c.is_control() || is_invisible(c) || marks > MAX_MARKS => {}
            c => clean.push(c),
        }
    }
    clean
}

/// The cleaned text on one line, runs of white space as one blank: padding cannot push anything out of sight.
#[must_use]
pub fn one_line(text: &str) -> String {
    clean(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The text in at most `max_chars` characters, the notice of what was left out included:
/// `… 1 240 more characters, open Details`. Where even the notice has no room, a bare `…` ends the text.
#[must_use]
pub fn cut(text: &str, max_chars: usize) -> String {
    let length = text.chars().count();
    if length <= max_chars {
        return text.to_owned();
    }
    // The number of digits depends on where the cut falls; the longest notice decides the room.
    let room = more(length, "characters").chars().count();
    if max_chars < room * 2 {
        return text.chars().take(max_chars.saturating_sub(1)).chain((max_chars > 0).then_some('…')).collect();
    }
    let kept = max_chars - room;
    format!("{}{}", text.chars().take(kept).collect::<String>(), more(length - kept, "characters"))
}

/// The text in at most `max_lines` lines, what was left out said on a line of its own.
#[must_use]
pub fn cut_lines(text: &str, max_lines: usize) -> String {
    let lines = text.lines().count();
    if lines <= max_lines {
        return text.to_owned();
    }
    let kept = max_lines.saturating_sub(1);
    let mut short = text.lines().take(kept).collect::<Vec<_>>();
    let notice = more(lines - kept, "lines");
    short.push(&notice);
    short.join("\n")
}

fn more(count: usize, what: &str) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    let what = if count == 1 { what.trim_end_matches('s') } else { what };
    format!("… {grouped} more {what}, open Details")
}

/// A name or id for Slack's mrkdwn, on one line, harmless and still readable.
///
/// `&`, `<` and `>` become entities, so no mention, link or date macro can begin. Marks that Slack would interpret
/// become characters that look alike, because mrkdwn knows no escape for them: `` ` `` `*` `~` always; `_` only beside
/// something other than a letter or digit, since inside a word (`req_01`) Slack reads it literally; `:` where it
/// would open an emoji (`:x:`) or make a link (`://`); `@` where it would begin a mention, not inside an address.
#[must_use]
pub fn escape_mrkdwn(text: &str) -> String {
    let line: Vec<char> = one_line(text).chars().collect();
    let word = |index: Option<usize>| index.and_then(|index| line.get(index)).is_some_and(char::is_ascii_alphanumeric);
    let mut escaped = String::with_capacity(line.len() + 16);
    for (index, c) in line.iter().enumerate() {
        let inside = word(index.checked_sub(1)) && word(Some(index + 1));
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            // At the start of a line even the entity makes a quotation.
            '>' if index == 0 => escaped.push('›'),
            '>' => escaped.push_str("&gt;"),
            '`' => escaped.push('ˋ'),
            '*' => escaped.push('∗'),
            '~' => escaped.push('∼'),
            '_' if !inside => escaped.push('＿'),
            '@' if !inside => escaped.push('＠'),
            ':' if opens_emoji(&line[index + 1..]) || line[index + 1..].starts_with(&['/', '/']) => escaped.push('꞉'),
            c => escaped.push(*c),
        }
    }
    escaped
}

/// Whether a colon before `rest` has a partner that could close an emoji's name.
fn opens_emoji(rest: &[char]) -> bool {
    rest.iter().position(|c| *c == ':').is_some_and(|end| end > 0 && !rest[..end].iter().any(|c| c.is_whitespace()))
}

/// What is odd about a text, so that the card can say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "four independent observations, each with its own sentence")]
pub struct Flags {
    /// Control characters other than tab and line breaks.
    pub controls: bool,
    /// Characters that turn the direction of text.
    pub bidi: bool,
    /// Characters that are not seen.
    pub invisible: bool,
    /// A word that mixes Latin with look-alike letters of another script, or is made of styled Latin letters.
    pub mixed_script: bool,
}

impl Flags {
    /// Whether anything is odd.
    #[must_use]
    pub fn any(self) -> bool {
        self.controls || self.bidi || self.invisible || self.mixed_script
    }

    /// Both observations together, for a card of several texts.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            controls: self.controls || other.controls,
            bidi: self.bidi || other.bidi,
            invisible: self.invisible || other.invisible,
            mixed_script: self.mixed_script || other.mixed_script,
        }
    }

    /// One short sentence per observation, in our words.
    #[must_use]
    pub fn notices(self) -> Vec<&'static str> {
        [
            (self.controls, "contains control characters (removed here)"),
            (self.bidi, "contains characters that reverse text (removed here)"),
            (self.invisible, "contains invisible characters (removed here)"),
            (self.mixed_script, "contains letters that imitate others"),
        ]
        .into_iter()
        .filter_map(|(set, notice)| set.then_some(notice))
        .collect()
    }
}

/// Observes a text as it came, before `clean`.
#[must_use]
pub fn flags(text: &str) -> Flags {
    let mut flags = Flags::default();
    for c in text.chars() {
        flags.controls |= c.is_control() && !matches!(c, '\n' | '\r' | '\t');
        flags.bidi |= is_bidi(c);
        flags.invisible |= is_invisible(c) && !is_bidi(c);
    }
    flags.mixed_script = clean(text).split(|c: char| !c.is_alphabetic()).any(imitates);
    flags
}

/// Whether one word mixes scripts in the way that deceives. Greek mu and omega stand for units and are let be.
fn imitates(word: &str) -> bool {
    let (mut latin, mut other, mut styled) = (false, false, false);
    for c in word.chars() {
        match c {
            'a'..='z' | 'A'..='Z' | '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' => latin = true,
            'μ' | 'Ω' => {}
            '\u{370}'..='\u{3ff}'
            | '\u{1f00}'..='\u{1fff}'
            | '\u{400}'..='\u{52f}'
            | '\u{1c80}'..='\u{1c8f}'
            | '\u{2de0}'..='\u{2dff}'
            | '\u{a640}'..='\u{a69f}'
            | '\u{530}'..='\u{58f}'
            | '\u{13a0}'..='\u{13ff}'
            | '\u{ab70}'..='\u{abbf}' => other = true,
            '\u{ff21}'..='\u{ff3a}' | '\u{ff41}'..='\u{ff5a}' | '\u{1d400}'..='\u{1d7ff}' => styled = true,
            _ => {}
        }
    }
    (latin && other) || styled
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn controls_and_invisible_characters_go() {
        assert_eq!(clean("a\u{0}b\u{1b}[31mc\u{7f}\u{9b}d"), "ab[31mcd");
        assert_eq!(clean("pay \u{202e}001\u{202c} \u{2066}x\u{2069}\u{200f}"), "pay 001 x");
        assert_eq!(clean("ap\u{200b}pro\u{feff}ve\u{ad}d\u{e0041}\u{3164}"), "approved");
        assert_eq!(clean("a\r\nb\rc\u{2028}d\te\u{85}f\r\n\r\n"), "a\nb\nc\nd e\nf\n\n");
        assert_eq!(clean("Zoë 東京 naïve e\u{301} 😀 עברית"), "Zoë 東京 naïve e\u{301} 😀 עברית");
        assert_eq!(clean(&format!("a{}b", "\u{336}".repeat(50))), format!("a{}b", "\u{336}".repeat(4)));
    }

    #[test]
    fn padding_cannot_hide_what_follows() {
        assert_eq!(one_line("  ok \n\n\n\u{3000}\u{a0}  rm -rf /  "), "ok rm -rf /");
    }

    #[test]
    fn cuts_are_visible_and_fit() {
        let long = "é".repeat(1_500);
        let short = cut(&long, 300);
        assert_eq!(short.chars().count(), 300);
        assert!(short.ends_with("é… 1 237 more characters, open Details"), "{short}");
        assert_eq!(cut("as it is", 8), "as it is");
        assert_eq!(cut("as it is!", 8), "as it i…");
        assert_eq!(cut("abc", 0), "");
        assert_eq!(cut_lines("a\nb\nc\nd", 3), "a\nb\n… 2 more lines, open Details");
        assert_eq!(cut_lines("a\nb\nc", 3), "a\nb\nc");
        assert_eq!(more(1, "characters"), "… 1 more character, open Details");
        assert_eq!(more(1_234_567, "lines"), "… 1 234 567 more lines, open Details");
    }

    #[test]
    fn mrkdwn_stays_text() {
        for (text, expected) in [
            ("exporter-bot", "exporter-bot"),
            ("req_01KAG5V4", "req_01KAG5V4"),
            ("alice@example.com", "alice@example.com"),
            ("12:30", "12:30"),
            (
                "<!channel> <@U1> <!subteam^S1> <!date^1^{date}|x>",
                "&lt;!channel&gt; &lt;＠U1&gt; &lt;!subteam^S1&gt; &lt;!date^1^{date}|x&gt;",
            ),
            ("<https://evil.example|ok>", "&lt;https꞉//evil.example|ok&gt;"),
            (":white_check_mark: approved", "꞉white_check_mark: approved"),
            ("::x:", ":꞉x:"),
            ("*bold* _it_ ~gone~ `code`", "∗bold∗ ＿it＿ ∼gone∼ ˋcodeˋ"),
            ("> quoted", "› quoted"),
            ("a > b & c", "a &gt; b &amp; c"),
            ("@here @channel", "＠here ＠channel"),
            ("ok\n>fake line", "ok &gt;fake line"),
        ] {
            assert_eq!(escape_mrkdwn(text), expected, "{text}");
        }
    }

    #[test]
    fn odd_texts_are_noticed() {
        assert_eq!(flags("Export 3 µs, 5 μm of Müller's tables\nand Ωmega"), Flags::default());
        assert_eq!(flags("Привет мир, hello"), Flags::default());
        assert!(flags("p\u{430}ypal").mixed_script, "Cyrillic а");
        assert!(flags("ＰＲＯＤ").mixed_script && flags("𝐩𝐫𝐨𝐝").mixed_script);
        assert!(flags("p\u{200b}\u{430}ypal").mixed_script && flags("p\u{200b}").invisible);
        assert!(flags("\u{202e}x").bidi && !flags("\u{202e}x").invisible);
        assert!(flags("\u{1b}[2K").controls && flags("\u{1b}").any());
        let both = flags("\u{202e}").and(flags("\u{7}"));
        assert_eq!(both.notices(), ["contains control characters (removed here)", "contains characters that reverse text (removed here)"]);
    }

    proptest! {
        #[test]
        fn nothing_unseen_survives(text in any::<String>()) {
            for c in clean(&text).chars() {
                prop_assert!(c == '\n' || !(c.is_control() || is_invisible(c)), "{:?}", c);
            }
            prop_assert_eq!(clean(&clean(&text)), clean(&text));
            prop_assert!(!one_line(&text).contains('\n'));
        }

        #[test]
        fn cuts_keep_their_bound(text in "\\PC{0,400}", max in 0usize..300) {
            let short = cut(&text, max);
            prop_assert!(short.chars().count() <= max);
            prop_assert!(text.chars().count() > max || short == text);
        }

        #[test]
        fn no_markup_can_be_written(text in "[<>!@#:*_~`a-z&;/| ^\\n\u{200b}]{0,40}") {
            let escaped = escape_mrkdwn(&text);
            prop_assert!(!escaped.contains(['<', '>', '*', '`', '~', '\n']));
            prop_assert!(!escaped.contains("://"));
            let emoji = regex::Regex::new(r":[a-z0-9_+'-]+:").unwrap();
            prop_assert!(!emoji.is_match(&escaped), "{}", escaped);
            let italic = regex::Regex::new(r"(^|[^A-Za-z0-9])_|_($|[^A-Za-z0-9])").unwrap();
            prop_assert!(!italic.is_match(&escaped), "{}", escaped);
            for entity in escaped.split('&').skip(1) {
                prop_assert!(["amp;", "lt;", "gt;"].iter().any(|name| entity.starts_with(name)), "{}", escaped);
            }
        }
    }
}
