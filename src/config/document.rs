//! Owns TOML with places: every key and value of a document knows its line and column, so that every mistake can be shown where it stands.
//!
//! Never decides what a document may hold, and never quotes a line of it: a line may hold a secret.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Where something stands. Ordered as a reader meets it: files first, by line, then the environment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A file as a whole, e.g. when it cannot be read.
    Whole {
        /// The file as it was named.
        file: Arc<str>,
    },
    /// A spot in a file. Line and column count from 1; a column is a character, not a byte.
    Spot {
        /// The file as it was named.
        file: Arc<str>,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
    },
    /// A variable of the environment.
    Variable(String),
    /// No file and no variable: the defaults.
    Defaults,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole { file } => f.write_str(file),
            Self::Spot { file, line, column } => write!(f, "{file}:{line}:{column}"),
            Self::Variable(name) => f.write_str(name),
            Self::Defaults => f.write_str("configuration"),
        }
    }
}

/// One mistake. Written as `countersign.toml:12:3: message`, or `COUNTERSIGN_SERVER__LISTEN: message`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{place}: {message}")]
pub struct ConfigError {
    /// Where it stands.
    pub place: Place,
    /// What is wrong and what to do; never a secret.
    pub message: String,
}

impl ConfigError {
    /// A mistake at `place`.
    pub fn new(place: Place, message: impl Into<String>) -> Self {
        Self { place, message: message.into() }
    }
}

/// A value as written. Deliberately without `Debug`: it may be a secret.
#[derive(Clone)]
pub(crate) enum Value {
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    /// A TOML date or time, as text.
    Time(String),
    List(Vec<Item>),
    Table(Table),
}

impl Value {
    /// The kind in words, for "must be a string, not an integer".
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a number",
            Self::Boolean(_) => "a boolean",
            Self::Time(_) => "a date",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

/// A value and where it stands.
#[derive(Clone)]
pub(crate) struct Item {
    pub(crate) value: Value,
    pub(crate) place: Place,
}

/// One key of a table.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) key_place: Place,
    pub(crate) item: Item,
}

/// A table.
#[derive(Clone, Default)]
pub(crate) struct Table {
    pub(crate) entries: BTreeMap<String, Entry>,
}

/// Reads `text`, which came from `file`. All syntax errors are returned, in their order.
pub(crate) fn parse(file: &str, text: &str) -> Result<Table, Vec<ConfigError>> {
    let source = Source::new(file, text);
    let (document, errors) = toml::de::DeTable::parse_recoverable(text);
    let mut found: Vec<ConfigError> = errors
        .iter()
        .map(|error| {
            let place = error.span().map_or_else(|| source.whole(), |span| source.spot(span.start));
            ConfigError::new(place, error.message().replace('\n', " "))
        })
        .collect();
    let mut overflow = Vec::new();
    let table = source.table(document.get_ref(), &mut overflow);
    found.append(&mut overflow);
    if found.is_empty() {
        Ok(table)
    } else {
        found.sort();
        Err(found)
    }
}

/// The text with the offsets of its lines.
struct Source<'a> {
    file: Arc<str>,
    text: &'a str,
    line_starts: Vec<usize>,
}

impl<'a> Source<'a> {
    fn new(file: &str, text: &'a str) -> Self {
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { file: file.into(), text, line_starts }
    }

    fn whole(&self) -> Place {
        Place::Whole { file: Arc::clone(&self.file) }
    }

    fn spot(&self, offset: usize) -> Place {
        let line = self.line_starts.partition_point(|start| *start <= offset).max(1);
        let start = self.line_starts[line - 1];
        let column = self.text.get(start..offset).map_or(0, |before| before.chars().count()) + 1;
        Place::Spot { file: Arc::clone(&self.file), line, column }
    }

    fn table(&self, table: &toml::de::DeTable<'_>, errors: &mut Vec<ConfigError>) -> Table {
        let mut result = Table::default();
        for (key, value) in table {
            let key_place = self.spot(key.span().start);
            let item = self.item(value, errors);
            result.entries.insert(key.get_ref().to_string(), Entry { key_place, item });
        }
        result
    }

    fn item(&self, item: &toml::Spanned<toml::de::DeValue<'_>>, errors: &mut Vec<ConfigError>) -> Item {
        use toml::de::DeValue;
        let place = self.spot(item.span().start);
        let value = match item.get_ref() {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(number) => Value::Integer(i64::from_str_radix(number.as_str(), number.radix()).unwrap_or_else(|_| {
                errors.push(ConfigError::new(place.clone(), "this integer does not fit into 64 bits"));
                0
            })),
            DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(flag) => Value::Boolean(*flag),
            DeValue::Datetime(time) => Value::Time(time.to_string()),
            DeValue::Array(items) => Value::List(items.iter().map(|item| self.item(item, errors)).collect()),
            DeValue::Table(table) => Value::Table(self.table(table, errors)),
        };
        Item { value, place }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(text: &str) -> Vec<String> {
        parse("f.toml", text).err().unwrap_or_default().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let table =
            parse("f.toml", "# ä\n[server]\n  listen = \"ü\"\nname.x = [1, 2]\n[[clients]]\na = 1_000\n[[clients]]\n").ok().unwrap();
        let server = &table.entries["server"];
        assert_eq!(server.key_place.to_string(), "f.toml:2:2");
        assert_eq!(server.item.place.to_string(), "f.toml:2:1");
        let Value::Table(server) = &server.item.value else { panic!("a table") };
        assert_eq!(server.entries["listen"].key_place.to_string(), "f.toml:3:3");
        assert_eq!(server.entries["listen"].item.place.to_string(), "f.toml:3:12");
        let Value::List(clients) = &table.entries["clients"].item.value else { panic!("a list") };
        assert_eq!(clients.iter().map(|item| item.place.to_string()).collect::<Vec<_>>(), ["f.toml:5:1", "f.toml:7:1"]);
        let Value::Table(first) = &clients[0].value else { panic!("a table") };
        assert!(matches!(first.entries["a"].item.value, Value::Integer(1_000)));
    }

    #[test]
    fn columns_are_characters_not_bytes() {
        let table = parse("f.toml", "\"ää\" = { x = 1 }").ok().unwrap();
        let Value::Table(inner) = &table.entries["ää"].item.value else { panic!("a table") };
        assert_eq!(inner.entries["x"].key_place.to_string(), "f.toml:1:10");
    }

    #[test]
    fn every_syntax_error_is_found_and_no_line_is_quoted() {
        let text = "[a]\nsecret = \"hunter2\nb = 1\nb = 2\nc = 99999999999999999999\n";
        let found = errors(text);
        assert_eq!(
            found,
            [
                "f.toml:2:18: invalid basic string, expected `\"`",
                "f.toml:4:1: duplicate key",
                "f.toml:5:5: this integer does not fit into 64 bits"
            ]
        );
        assert!(!found.join("").contains("hunter2"));
    }
}
