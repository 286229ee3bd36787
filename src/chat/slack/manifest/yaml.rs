//! Owns reading the plain YAML that manifests are written in: maps, lists, plain and quoted texts, folded texts, comments.
//!
//! Never guesses: anchors, tags, flow collections, tabs and duplicate keys are errors, so that what is judged is what Slack reads.

use serde_json::{Map, Value};

/// A line that says something: its number from 1, how far it is indented, and what it says.
struct Line<'a> {
    number: usize,
    indent: usize,
    text: &'a str,
}

/// Reads a document.
///
/// # Errors
/// The line and what is wrong with it.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let said = line.trim_start_matches(' ');
        if said.starts_with('\t') {
            return Err(format!("line {number}: a tab cannot indent"));
        }
        let said = without_comment(said).trim_end();
        if !said.is_empty() {
            lines.push(Line { number, indent: line.len() - line.trim_start_matches(' ').len(), text: said });
        }
    }
    let mut reader = Reader { lines, at: 0 };
    let value = reader.block(0)?;
    match reader.lines.get(reader.at) {
        None => Ok(value),
        Some(line) => Err(format!("line {}: this does not belong to what stands above", line.number)),
    }
}

/// A comment begins a line, or follows a space; within quotes there is none.
fn without_comment(text: &str) -> &str {
    let mut quote = None;
    let mut before = ' ';
    for (at, letter) in text.char_indices() {
        match quote {
            Some(open) if letter == open => quote = None,
            None if letter == '#' && before == ' ' => return &text[..at],
            None if matches!(letter, '"' | '\'') && before == ' ' => quote = Some(letter),
            Some(_) | None => {}
        }
        before = letter;
    }
    text
}

struct Reader<'a> {
    lines: Vec<Line<'a>>,
    at: usize,
}

impl<'a> Reader<'a> {
    /// The map, list or text whose lines are indented at least so far.
    fn block(&mut self, least: usize) -> Result<Value, String> {
        match self.lines.get(self.at) {
            Some(line) if line.indent >= least && item(line.text).is_some() => self.list(line.indent),
            Some(line) if line.indent >= least => self.map(line.indent),
            _ => Ok(Value::Null),
        }
    }

    fn list(&mut self, indent: usize) -> Result<Value, String> {
        let mut items = Vec::new();
        while let Some(line) = self.lines.get_mut(self.at).filter(|line| line.indent == indent) {
            let Some(rest) = item(line.text) else { break };
            if entry(rest).is_some() {
                // A map whose first line stands behind the dash.
                line.indent += line.text.len() - rest.len();
                line.text = rest;
                let indent = line.indent;
                items.push(self.map(indent)?);
            } else {
                items.push(scalar(rest, line.number)?);
                self.at += 1;
            }
        }
        Ok(Value::Array(items))
    }

    fn map(&mut self, indent: usize) -> Result<Value, String> {
        let mut map = Map::new();
        while let Some(line) = self.lines.get(self.at).filter(|line| line.indent == indent && item(line.text).is_none()) {
            let number = line.number;
            let (key, rest) = entry(line.text).ok_or_else(|| format!("line {number}: neither `key: value` nor `- item`"))?;
            self.at += 1;
            let value = match rest {
                // A list may stand as far out as its key.
                "" if self.lines.get(self.at).is_some_and(|next| next.indent == indent && item(next.text).is_some()) => {
                    self.list(indent)?
                }
                "" => self.block(indent + 1)?,
                ">-" | ">" => Value::String(self.folded(indent)),
                rest => scalar(rest, number)?,
            };
            if map.insert(key.to_owned(), value).is_some() {
                return Err(format!("line {number}: `{key}` stands there twice"));
            }
        }
        Ok(Value::Object(map))
    }

    fn folded(&mut self, indent: usize) -> String {
        let mut words: Vec<&'a str> = Vec::new();
        while let Some(line) = self.lines.get(self.at).filter(|line| line.indent > indent) {
            words.push(line.text);
            self.at += 1;
        }
        words.join(" ")
    }
}

fn item(text: &str) -> Option<&str> {
    if text == "-" { Some("") } else { text.strip_prefix("- ").map(str::trim_start) }
}

fn entry(text: &str) -> Option<(&str, &str)> {
    let (key, rest) = text.split_once(':')?;
    let plain = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    (plain && (rest.is_empty() || rest.starts_with(' '))).then(|| (key, rest.trim_start()))
}

fn scalar(text: &str, number: usize) -> Result<Value, String> {
    if text.starts_with('"') {
        return serde_json::from_str(text)
            .map_err(|_| format!("line {number}: a text that does not end, or an escape that JSON does not know"));
    }
    if let Some(rest) = text.strip_prefix('\'') {
        let inside = rest.strip_suffix('\'').ok_or_else(|| format!("line {number}: a text that does not end"))?;
        return Ok(Value::String(inside.replace("''", "'")));
    }
    if text.starts_with(['{', '[', '&', '*', '!', '|', '%', '@', '`']) {
        return Err(format!("line {number}: `{text}` is YAML that a manifest does not need; write it plainly"));
    }
    Ok(match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "null" | "~" => Value::Null,
        text => text.parse::<i64>().map_or_else(|_| Value::String(text.to_owned()), Value::from),
    })
}
