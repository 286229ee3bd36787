//! Owns `[webhooks]`, which hosts callbacks may reach that the guard would refuse, and the secrets that sign callbacks.
//!
//! Never opens a connection, and never shows a secret. Without this section no private address can be called.

use crate::config::fields::{Fields, Section};
use crate::config::key::{Invalid, Key, Kind, Preset};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use secrecy::{ExposeSecret as _, SecretSlice};
use std::fmt;
use std::sync::Arc;
use url::Url;

/// `[webhooks]`.
#[derive(Debug, Clone, Default)]
pub struct Webhooks {
    /// Hosts that may be private and spoken to in clear text.
    pub allow_hosts: Vec<AllowedHost>,
}

/// A host, or one port of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedHost {
    /// A name in lower case or an address, as it stands in a parsed URL.
    pub host: String,
    /// Only this port; `None`: every port.
    pub port: Option<u16>,
}

impl Section for Webhooks {
    const NAME: &'static str = "webhooks";
    const HEADING: &'static str = "[webhooks]";
    const KEYS: &'static [Key] = &[Key::new(
        "webhooks",
        "allow_hosts",
        Kind::List,
        Preset::Value("[]"),
        "Hosts (\"hooks.corp.example\" or \"10.0.0.7:9999\") that callbacks may reach although they are private, and by http. Empty: none.",
    )];

    fn read(fields: &mut Fields<'_>) -> Self {
        Self { allow_hosts: fields.list("allow_hosts", str::parse).unwrap_or_default() }
    }

    fn validate(&self) -> Vec<Invalid> {
        Vec::new()
    }
}

impl std::str::FromStr for AllowedHost {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{}\" is not a host or host:port, such as hooks.corp.example or 10.0.0.7:9999", text.escape_debug());
        // A colon inside brackets belongs to an IPv6 address.
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (text, None),
        };
        let port = port.map(|port| port.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(wrong)).transpose()?;
        let plain = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c.is_control() || "*/\\?#@%".contains(c));
        let url = Url::parse(&format!("https://{host}/")).ok().filter(|url| plain && url.port().is_none()).ok_or_else(wrong)?;
        Ok(Self { host: url.host_str().ok_or_else(wrong)?.trim_end_matches('.').to_owned(), port })
    }
}

/// A signing secret of Standard Webhooks: `whsec_` and 24 to 64 bytes in base64.
#[derive(Clone)]
pub struct WebhookSecret(Arc<SecretSlice<u8>>);

impl WebhookSecret {
    /// Reads the text; the complaint never repeats it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let complaint = || {
            "must be \"whsec_\" and 24 to 64 random bytes in base64; make one with: printf 'whsec_%s\\n' \"$(openssl rand -base64 32)\""
                .to_owned()
        };
        let bytes = text.strip_prefix("whsec_").and_then(|text| BASE64.decode(text).ok()).ok_or_else(complaint)?;
        if !(24..=64).contains(&bytes.len()) {
            return Err(complaint());
        }
        Ok(Self(Arc::new(SecretSlice::from(bytes))))
    }

    /// The bytes that sign.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.expose_secret()
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_as_a_url_would() {
        let read = |text: &str| text.parse::<AllowedHost>().map(|allowed| (allowed.host, allowed.port));
        assert_eq!(read("hooks.corp.example"), Ok(("hooks.corp.example".to_owned(), None)));
        assert_eq!(read("Hooks.Corp.Example.:8443"), Ok(("hooks.corp.example".to_owned(), Some(8443))));
        assert_eq!(read("127.0.0.1:9999"), Ok(("127.0.0.1".to_owned(), Some(9999))));
        assert_eq!(read("[::1]:9999"), Ok(("[::1]".to_owned(), Some(9999))));
        assert_eq!(read("[::1]"), Ok(("[::1]".to_owned(), None)));
        for text in ["", "*.example.com", "https://example.com", "example.com/x", "example.com:0", "example.com:", "a b", "::1", "u@h", "*"]
        {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_secret_has_its_prefix_and_enough_bytes() {
        let of = |count: usize| format!("whsec_{}", BASE64.encode(vec![7; count]));
        assert_eq!(WebhookSecret::parse(&of(24)).unwrap().expose(), [7; 24]);
        assert!(WebhookSecret::parse(&of(64)).is_ok());
        for text in [of(23), of(65), of(32).replace("whsec_", ""), "whsec_".to_owned(), "whsec_%%%%".to_owned()] {
            let message = WebhookSecret::parse(&text).unwrap_err();
            assert!(message.starts_with("must be \"whsec_\" and 24 to 64 random bytes"), "{message}");
        }
        assert_eq!(format!("{:?}", WebhookSecret::parse(&of(32)).unwrap()), "WebhookSecret");
    }
}
