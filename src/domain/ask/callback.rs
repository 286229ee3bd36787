//! Owns the callback that a caller names: where, and for which changes.
//!
//! Never judges the address beyond its form: where a callback may go is known to `webhook`, and is asked again at every try.

use super::MAX_URL;
use crate::domain::reader::{Errors, Reader, Text, kind, nearest};

/// A change that can be told to the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
    /// Something that a reader can see.
    Updated,
    /// The decision.
    Terminal,
}

impl Notice {
    /// The word in `callback.events`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Updated => "updated",
            Self::Terminal => "terminal",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Updated, Self::Terminal].into_iter().find(|notice| notice.as_str() == text)
    }
}

/// Where to call, and for what.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Callback {
    /// As sent.
    pub url: String,
    /// For what; not empty, each at most once.
    pub events: Vec<Notice>,
}

impl Callback {
    /// What to tell of a change: the decision under its own name when that was asked for, anything else as an update.
    #[must_use]
    pub fn notice(&self, decides: bool) -> Option<Notice> {
        if decides && self.events.contains(&Notice::Terminal) {
            return Some(Notice::Terminal);
        }
        self.events.contains(&Notice::Updated).then_some(Notice::Updated)
    }
}

pub(super) fn read(reader: &Reader<'_>, errors: &Errors) -> Option<Callback> {
    let value = reader.optional("callback")?;
    let callback = Reader::open(value, reader.at("callback"), errors)?;
    let url = callback.required_text("url", Text::name(MAX_URL));
    let events = read_events(&callback);
    callback.close();
    Some(Callback { url: url?, events })
}

fn read_events(callback: &Reader<'_>) -> Vec<Notice> {
    let Some(items) = callback.list("events", 2) else { return vec![Notice::Terminal] };
    if items.is_empty() {
        callback.wrong("events", "must name terminal, updated or both; leave it out for terminal");
    }
    let mut events = Vec::new();
    for (at, item) in items {
        match item.as_str().map(|word| (word, Notice::parse(word))) {
            Some((_, Some(notice))) if events.contains(&notice) => callback.wrong_at(&at, "is named twice"),
            Some((_, Some(notice))) => events.push(notice),
            Some((word, None)) => {
                let guess = nearest(word, &["terminal", "updated"]).map(|guess| format!("; did you mean \"{guess}\"?"));
                callback.wrong_at(&at, format!("must be terminal or updated{}", guess.unwrap_or_default()));
            }
            None => callback.wrong_at(&at, format!("must be a string, not {}", kind(item))),
        }
    }
    events
}
