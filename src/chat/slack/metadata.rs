//! Owns what a button and a dialog carry back to us: the request, the whole digest, and the way back.
//!
//! Never holds a fact of the request: everything else is read from the database when the tap is finished.

use crate::chat::Reply;
use crate::domain::digest::Digest;
use crate::domain::ids::RequestId;
use serde::{Deserialize, Serialize};

/// Longest `private_metadata` that Slack takes.
const MAX_METADATA: usize = 3_000;

/// A request and the digest of the parameters that were shown: `req_…:` and 64 lower hex characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The request.
    pub request: RequestId,
    /// Digest of what was shown.
    pub digest: Digest,
}

impl Reference {
    /// Reads a button's value; `None` when it is not one of ours.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (request, hex) = text.split_once(':')?;
        Some(Self { request: request.parse().ok()?, digest: format!("{}{hex}", Digest::PREFIX).parse().ok()? })
    }
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.request, self.digest.hex())
    }
}

/// A dialog's `private_metadata`. Slack returns it unchanged in the signed submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// What the dialog is about.
    pub reference: Reference,
    /// The account that opened it; nobody else may submit it.
    pub opener: String,
    /// Digest of the edited parameters whose difference the dialog shows.
    pub edited: Option<Digest>,
    /// One-off address of the card's tap.
    pub response_url: Option<String>,
    /// Conversation of the card.
    pub channel: Option<String>,
    /// The card.
    pub message_ts: Option<String>,
    /// Its thread.
    pub thread_ts: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    about: String,
    opener: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    edited: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    channel: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message_ts: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    thread_ts: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    response_url: Option<String>,
}

impl Metadata {
    /// For a dialog that `opener` opens from a card.
    #[must_use]
    pub fn new(reference: Reference, opener: &str, reply: &Reply) -> Self {
        Self {
            reference,
            opener: opener.to_owned(),
            edited: None,
            response_url: reply.response_url.clone(),
            channel: reply.channel.clone(),
            message_ts: reply.message_ts.clone(),
            thread_ts: reply.thread_ts.clone(),
        }
    }

    /// The way back to the card, from the dialog `view_id`.
    #[must_use]
    pub fn reply(&self, view_id: Option<String>) -> Reply {
        Reply {
            response_url: self.response_url.clone(),
            channel: self.channel.clone(),
            message_ts: self.message_ts.clone(),
            thread_ts: self.thread_ts.clone(),
            view_id,
            answered: false,
        }
    }

    /// Reads what Slack returned; `None` when it is not one of ours.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let wire: Wire = serde_json::from_str(text).ok()?;
        Some(Self {
            reference: Reference::parse(&wire.about)?,
            opener: wire.opener,
            edited: wire.edited,
            response_url: wire.response_url,
            channel: wire.channel,
            message_ts: wire.message_ts,
            thread_ts: wire.thread_ts,
        })
    }

    /// As Slack keeps it. The one-off address is left out when it is too long to keep: there are other ways back.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut wire = Wire {
            about: self.reference.to_string(),
            opener: self.opener.clone(),
            edited: self.edited,
            channel: self.channel.clone(),
            message_ts: self.message_ts.clone(),
            thread_ts: self.thread_ts.clone(),
            response_url: self.response_url.clone(),
        };
        // A struct of strings always becomes JSON; an empty text would be refused at the submit.
        let text = serde_json::to_string(&wire).unwrap_or_default();
        if text.len() <= MAX_METADATA {
            return text;
        }
        wire.response_url = None;
        serde_json::to_string(&wire).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference() -> Reference {
        Reference::parse("req_01M7WC36M0EQ1SX39VF90F5HJH:9f2c41d7a0bef7c0e353bbeb423b00a221a73740bef3f4d8cb73a1ef61262ddc").unwrap()
    }

    #[test]
    fn a_reference_is_a_request_and_a_whole_digest() {
        let text = reference().to_string();
        assert_eq!(Reference::parse(&text), Some(reference()));
        let (request, hex) = text.split_once(':').unwrap();
        for foreign in [
            String::new(),
            request.to_owned(),
            format!("{request}:"),
            format!("{request}:{}", &hex[..12]),
            format!("{request}:{}", hex.to_uppercase()),
            format!("{request}:sha256:{hex}"),
            format!("{request}:{hex}:x"),
            format!("rev_01M7WC36M0EQ1SX39VF90F5HJH:{hex}"),
        ] {
            assert_eq!(Reference::parse(&foreign), None, "{foreign}");
        }
    }

    #[test]
    fn metadata_comes_back_as_it_went_and_always_fits() {
        let reply = Reply {
            response_url: Some("https://hooks.slack.com/actions/T1/1/x".to_owned()),
            channel: Some("C1".to_owned()),
            message_ts: Some("1.2".to_owned()),
            thread_ts: None,
            view_id: None,
            answered: false,
        };
        let metadata = Metadata::new(reference(), "U1", &reply);
        assert_eq!(Metadata::parse(&metadata.to_text()), Some(metadata.clone()));
        let shown = Metadata { edited: Some(reference().digest), ..metadata.clone() };
        assert_eq!(Metadata::parse(&shown.to_text()), Some(shown));
        let long = Metadata { response_url: Some("x".repeat(4_000)), ..metadata.clone() };
        assert!(long.to_text().len() <= MAX_METADATA);
        assert_eq!(Metadata::parse(&long.to_text()), Some(Metadata { response_url: None, ..metadata }));
        assert_eq!(Metadata::parse("{}"), None);
        assert_eq!(Metadata::parse("req_01M7WC36M0EQ1SX39VF90F5HJH"), None);
    }
}
