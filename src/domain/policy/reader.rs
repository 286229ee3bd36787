//! Owns reading TOML with positions: typed members, closed tables, and a list of everything that is wrong.
//!
//! Never stops at the first mistake: every getter reports and gives nothing, and the caller goes on.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// How bad a finding is. Both make `check` fail; only errors keep a policy from loading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The policy does not load.
    Error,
    /// The policy loads, but does something that is hardly meant.
    Warning,
}

/// Something wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// Whether it keeps the file from loading.
    pub severity: Severity,
    /// The id of the rule it stands in, where there is one.
    pub rule: Option<String>,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{}:{}: {severity}: ", self.line, self.column)?;
        if let Some(rule) = &self.rule {
            write!(f, "rule {rule}: ")?;
        }
        f.write_str(&self.message)
    }
}

pub(super) type Item<'t> = Spanned<DeValue<'t>>;

/// Reads a document and collects findings.
pub(super) struct Reader<'t> {
    text: &'t str,
    /// Byte offset of the start of each line.
    lines: Vec<usize>,
    /// Findings so far, in the order they were made.
    pub(super) findings: Vec<Finding>,
    /// The rule being read.
    pub(super) rule: Option<String>,
}

impl<'t> Reader<'t> {
    /// Parses the syntax. Where that is broken the findings say so, and nothing else is judged: the rest would be guesses.
    pub(super) fn parse(text: &'t str) -> Result<(Self, Spanned<DeTable<'t>>), Vec<Finding>> {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(offset, _)| offset + 1)).collect();
        let mut reader = Self { text, lines, findings: Vec::new(), rule: None };
        let (document, errors) = DeTable::parse_recoverable(text);
        if errors.is_empty() {
            return Ok((reader, document));
        }
        for error in errors {
            reader.error(&error.span().unwrap_or(0..0), format!("not TOML: {}", error.message()));
        }
        Err(reader.finish())
    }

    /// The findings in the order of the file.
    pub(super) fn finish(mut self) -> Vec<Finding> {
        self.findings.sort_by_key(|finding| (finding.line, finding.column));
        self.findings
    }

    pub(super) fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }

    pub(super) fn error(&mut self, at: &Range<usize>, message: impl Into<String>) {
        self.report(at.start, Severity::Error, message.into());
    }

    pub(super) fn warn(&mut self, at: &Range<usize>, message: impl Into<String>) {
        self.report(at.start, Severity::Warning, message.into());
    }

    pub(super) fn report(&mut self, offset: usize, severity: Severity, message: String) {
        let (line, column) = self.position(offset);
        self.findings.push(Finding { line, column, severity, rule: self.rule.clone(), message });
    }

    /// Line and column of a byte offset, both from 1, the column in characters.
    pub(super) fn position(&self, offset: usize) -> (usize, usize) {
        let offset = offset.min(self.text.len());
        let line = self.lines.partition_point(|start| *start <= offset);
        let start = self.lines.get(line.saturating_sub(1)).copied().unwrap_or(0);
        (line, self.text.get(start..offset).map_or(1, |before| before.chars().count() + 1))
    }

    /// The byte offset in the document where the contents of a string begin, when they stand there as they are (no escapes).
    pub(super) fn contents_at(&self, span: &Range<usize>) -> Option<usize> {
        let raw = self.text.get(span.clone())?;
        let quotes = ["'''", "\"\"\"", "'", "\""].into_iter().find(|quotes| raw.starts_with(quotes))?;
        if quotes.starts_with('"') && raw.contains('\\') {
            return None;
        }
        let after = raw.get(quotes.len()..)?;
        let newline = if quotes.len() < 3 {
            0
        } else if after.starts_with("\r\n") {
            2
        } else {
            usize::from(after.starts_with('\n'))
        };
        Some(span.start + quotes.len() + newline)
    }

    /// Reports members that are not known, and those whose effect this version lacks.
    pub(super) fn closed(&mut self, table: &DeTable<'_>, known: &[&str], lacking: &[&str]) {
        for key in table.keys() {
            let name = key.get_ref().as_ref();
            if lacking.contains(&name) {
                self.error(&key.span(), format!("\"{name}\" is not supported by this version"));
            } else if !known.contains(&name) {
                self.error(&key.span(), format!("unknown key \"{name}\"; known here: {}", known.join(", ")));
            }
        }
    }

    pub(super) fn string(&mut self, name: &str, item: &Item<'_>) -> Option<String> {
        let text = item.get_ref().as_str().map(str::to_owned);
        if text.is_none() {
            self.error(&item.span(), format!("\"{name}\" must be a string"));
        }
        text
    }

    /// A string that may not be empty.
    pub(super) fn name(&mut self, name: &str, item: &Item<'_>) -> Option<String> {
        let text = self.string(name, item)?;
        if text.is_empty() {
            self.error(&item.span(), format!("\"{name}\" is empty"));
            return None;
        }
        Some(text)
    }

    /// One of a closed list of words.
    pub(super) fn word<T: Copy>(&mut self, name: &str, item: &Item<'_>, words: &[(&str, T)]) -> Option<T> {
        let found = item.get_ref().as_str().and_then(|text| words.iter().find(|(word, _)| *word == text));
        if found.is_none() {
            let list = words.iter().map(|(word, _)| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
            self.error(&item.span(), format!("\"{name}\" must be one of {list}"));
        }
        found.map(|(_, value)| *value)
    }

    pub(super) fn list<'a>(&mut self, name: &str, item: &'a Item<'t>) -> Option<Vec<&'a Item<'t>>> {
        let list = item.get_ref().as_array().map(|array| array.iter().collect());
        if list.is_none() {
            self.error(&item.span(), format!("\"{name}\" must be a list"));
        }
        list
    }

    pub(super) fn table<'a>(&mut self, name: &str, item: &'a Item<'t>) -> Option<&'a DeTable<'t>> {
        let table = item.get_ref().as_table();
        if table.is_none() {
            self.error(&item.span(), format!("\"{name}\" must be a table"));
        }
        table
    }

    /// A whole number within bounds.
    pub(super) fn count(&mut self, name: &str, item: &Item<'_>, bounds: Range<u32>) -> Option<u32> {
        let number = integer(item.get_ref()).and_then(|number| u32::try_from(number).ok()).filter(|number| bounds.contains(number));
        if number.is_none() {
            self.error(&item.span(), format!("\"{name}\" must be a whole number from {} to {}", bounds.start, bounds.end - 1));
        }
        number
    }

    /// A duration such as `"90s"`, in seconds, within bounds.
    pub(super) fn duration(&mut self, name: &str, item: &Item<'_>, least: &str, most: &str) -> Option<u64> {
        let Some(seconds) = item.get_ref().as_str().and_then(seconds) else {
            self.error(&item.span(), format!("\"{name}\" must be a duration such as \"90s\", \"15m\", \"1h\" or \"2d\""));
            return None;
        };
        if seconds < self::seconds(least).unwrap_or(0) || seconds > self::seconds(most).unwrap_or(u64::MAX) {
            self.error(&item.span(), format!("\"{name}\" must be from {least} to {most}"));
            return None;
        }
        Some(seconds)
    }
}

/// Reads `90s`, `15m`, `1h`, `2d`, and sums such as `1h30m`; whole numbers only.
pub(super) fn seconds(text: &str) -> Option<u64> {
    let (mut sum, mut rest) = (0_u64, text);
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !character.is_ascii_digit())?;
        let unit = match rest.as_bytes()[digits] {
            b's' => 1,
            b'm' => 60,
            b'h' => 3_600,
            b'd' => 86_400,
            _ => return None,
        };
        sum = rest[..digits].parse::<u64>().ok()?.checked_mul(unit)?.checked_add(sum)?;
        rest = &rest[digits + 1..];
    }
    (!text.is_empty()).then_some(sum)
}

/// Writes seconds as [`seconds`] reads them, in the largest unit that divides them.
pub(super) fn human(seconds: u64) -> String {
    for (unit, letter) in [(86_400, 'd'), (3_600, 'h'), (60, 'm')] {
        if seconds > 0 && seconds.is_multiple_of(unit) {
            return format!("{}{letter}", seconds / unit);
        }
    }
    format!("{seconds}s")
}

fn integer(value: &DeValue<'_>) -> Option<i64> {
    let number = value.as_integer()?;
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// The JSON of a TOML value; dates become strings. Nothing for numbers JSON cannot hold.
pub(super) fn json(value: &DeValue<'_>) -> Option<serde_json::Value> {
    use serde_json::Value;
    Some(match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(_) => Value::from(integer(value)?),
        DeValue::Float(float) => Value::Number(serde_json::Number::from_f64(float.as_str().replace('_', "").parse().ok()?)?),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(instant) => Value::String(instant.to_string()),
        DeValue::Array(items) => Value::Array(items.iter().map(|item| json(item.get_ref())).collect::<Option<_>>()?),
        DeValue::Table(table) => {
            let members: Option<BTreeMap<_, _>> =
                table.iter().map(|(key, item)| Some((key.get_ref().to_string(), json(item.get_ref())?))).collect();
            Value::Object(members?.into_iter().collect())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        for (text, expected) in [
            ("90s", Some(90)),
            ("15m", Some(900)),
            ("1h", Some(3_600)),
            ("2d", Some(172_800)),
            ("1h30m", Some(5_400)),
            ("0s", Some(0)),
            ("", None),
            ("90", None),
            ("s", None),
            ("-1s", None),
            ("1.5h", None),
            ("1 h", None),
            ("1w", None),
            ("1é", None),
            ("99999999999999999999s", None),
            ("999999999999999999d", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
        for text in ["90s", "15m", "1h", "2d", "0s"] {
            assert_eq!(human(seconds(text).unwrap()), text);
        }
    }
}
