//! Owns the list of keys as data: name, type, default and reason. The reader, the environment and the reference all read this one list.
//!
//! Never holds a value.

/// What a key holds. The environment reads its text by this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Boolean,
    /// A duration such as `"10m"`.
    Duration,
    /// An IP address and a port.
    Address,
    /// An absolute URL.
    Url,
    /// A path; relative ones start at the directory of the configuration file.
    Path,
    /// A list of texts; from the environment `a,b`, or a TOML list.
    List,
    /// A secret; also `<key>_file`, a path to a file that holds it.
    Secret,
    /// A table of free content.
    Table,
}

impl Kind {
    /// The type in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Choice(_) => "choice",
            Self::Boolean => "boolean",
            Self::Duration => "duration",
            Self::Address => "address and port",
            Self::Url => "URL",
            Self::Path => "path",
            Self::List => "list",
            Self::Secret => "secret",
            Self::Table => "table",
        }
    }
}

/// What holds when a key is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// This default, written as TOML.
    Value(&'static str),
    /// A secret whose `<key>_file` has this default path.
    File(&'static str),
    /// The section cannot do without it.
    Required,
    /// Nothing: the feature is off, or another key says it.
    Absent,
    /// This version lacks the effect: a value is an error, an empty list is not.
    Unsupported,
}

/// One key of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// The section, e.g. `server`.
    pub section: &'static str,
    /// The key, e.g. `listen`.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// What holds without it.
    pub preset: Preset,
    /// Why it exists and what it does, in a sentence.
    pub reason: &'static str,
}

impl Key {
    /// A key of `section`.
    pub const fn new(section: &'static str, name: &'static str, kind: Kind, preset: Preset, reason: &'static str) -> Self {
        Self { section, name, kind, preset, reason }
    }

    /// The names under which the key may be written: a secret has a second one.
    pub fn spellings(&self) -> impl Iterator<Item = String> + use<> {
        let file = (self.kind == Kind::Secret).then(|| format!("{}_file", self.name));
        std::iter::once(self.name.to_owned()).chain(file)
    }

    /// The variable that sets the key. `[[clients]]` cannot come from the environment.
    pub fn variable(&self) -> Option<String> {
        (self.section != "clients").then(|| format!("COUNTERSIGN_{}__{}", self.section.to_uppercase(), self.name.to_uppercase()))
    }
}

/// A value that a section cannot accept, named by its key; the loader knows where the key stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// The key within its section.
    pub key: &'static str,
    /// What is wrong and what to do; never a secret.
    pub message: String,
}

impl Invalid {
    /// `key` is wrong.
    pub fn new(key: &'static str, message: impl Into<String>) -> Self {
        Self { key, message: message.into() }
    }
}
