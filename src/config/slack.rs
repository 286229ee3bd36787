//! Owns `[slack]`: the app's secrets, whose workspaces may decide, and where Slack's API is.
//!
//! Never talks to Slack. Without this section Slack is off.

use crate::config::fields::{Fields, Section};
use crate::config::key::{Invalid, Key, Kind, Preset};
use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

/// Slack's own address.
const API_URL: &str = "https://slack.com/api/";

/// `[slack]`.
#[derive(Debug, Clone)]
pub struct Slack {
    /// Signing secrets that callbacks may carry: the present one first, then the previous one while it is being replaced.
    pub signing_secrets: Vec<SecretString>,
    /// The bot's token, sent as a bearer credential.
    pub bot_token: SecretString,
    /// Workspaces (`T…`) and organisations (`E…`) whose people may decide; empty: nobody.
    pub team_ids: Vec<String>,
    /// Whether a confirmed e-mail address may tie an account to a person without a link in the directory.
    pub match_email: bool,
    /// Where the Web API is; ends in a slash.
    pub api_url: Url,
}

impl Slack {
    /// Slack's own API, nobody allowed, with these secrets.
    pub fn new(signing_secret: SecretString, bot_token: SecretString) -> Result<Self, url::ParseError> {
        Ok(Self {
            signing_secrets: vec![signing_secret],
            bot_token,
            team_ids: Vec::new(),
            match_email: false,
            api_url: Url::parse(API_URL)?,
        })
    }
}

impl Section for Slack {
    const NAME: &'static str = "slack";
    const HEADING: &'static str = "[slack]";
    const KEYS: &'static [Key] = &[
        Key::new(
            "slack",
            "mode",
            Kind::Choice(&["http"]),
            Preset::Value("\"http\""),
            "How Slack reaches us: \"http\" = it calls /slack/* at public_url. \"socket\" is not supported by this version.",
        ),
        Key::new(
            "slack",
            "signing_secret",
            Kind::Secret,
            Preset::Required,
            "Proves that a callback comes from Slack (app settings, Basic Information).",
        ),
        Key::new(
            "slack",
            "signing_secret_previous",
            Kind::Secret,
            Preset::Absent,
            "The signing secret before this one; accepted too, while you replace it. \"\" or absent: none.",
        ),
        Key::new(
            "slack",
            "bot_token",
            Kind::Secret,
            Preset::Required,
            "Posts and updates cards (xoxb-…; app settings, OAuth & Permissions).",
        ),
        Key::new("slack", "app_token", Kind::Secret, Preset::Unsupported, "For socket mode."),
        Key::new(
            "slack",
            "team_ids",
            Kind::List,
            Preset::Value("[]"),
            "Workspaces (T…) or organisations (E…) whose people may decide. Empty: nobody.",
        ),
        Key::new(
            "slack",
            "match_email",
            Kind::Boolean,
            Preset::Value("false"),
            "true ties an account to the active person with the same confirmed e-mail address. Only where the workspace enforces single sign-on.",
        ),
        Key::new(
            "slack",
            "allow_shared_channels",
            Kind::List,
            Preset::Unsupported,
            "Slack Connect channels. Must be empty in this version.",
        ),
        Key::new(
            "slack",
            "api_url",
            Kind::Url,
            Preset::Value("\"https://slack.com/api/\""),
            "Slack's Web API. http:// only at a literal loopback address, for tests.",
        ),
    ];

    fn read(fields: &mut Fields<'_>) -> Self {
        fields.parsed("mode", |text| match text {
            "http" => Ok(()),
            "socket" => Err("\"socket\" is not supported by this version; write \"http\"".to_owned()),
            other => Err(format!("\"{}\" is not known; write \"http\"", other.escape_debug())),
        });
        let present = fields.secret("signing_secret");
        let previous = fields.optional_secret("signing_secret_previous");
        let bot_token = fields.secret("bot_token").unwrap_or_default();
        let api_url = fields.parsed("api_url", api_url).unwrap_or_else(default_api_url);
        Self {
            // An absent present secret stands as an empty one, which `validate` refuses.
            signing_secrets: std::iter::once(present.unwrap_or_default()).chain(previous).collect(),
            bot_token,
            team_ids: fields.list("team_ids", team_id).unwrap_or_default(),
            match_email: fields.boolean("match_email").unwrap_or(false),
            api_url,
        }
    }

    fn validate(&self) -> Vec<Invalid> {
        let mut found = Vec::new();
        // An empty secret would let anyone sign callbacks.
        if self.signing_secrets.is_empty() || self.signing_secrets.iter().any(|secret| secret.expose_secret().is_empty()) {
            found.push(Invalid::new("signing_secret", "signing_secret is required in [slack] (or signing_secret_file)"));
        }
        let token = self.bot_token.expose_secret();
        if token.is_empty() {
            found.push(Invalid::new("bot_token", "bot_token is required in [slack] (or bot_token_file)"));
        } else if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            found.push(Invalid::new("bot_token", "bot_token holds characters that no token has; copy it again from the app's settings"));
        }
        found
    }
}

#[expect(clippy::expect_used, reason = "a constant that the tests parse")]
fn default_api_url() -> Url {
    Url::parse(API_URL).expect("the default is a URL")
}

/// `T…` or `E…`, as Slack writes ids of workspaces and organisations.
fn team_id(text: &str) -> Result<String, String> {
    let plain =
        text.len() > 1 && text.starts_with(['T', 'E']) && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    if plain {
        Ok(text.to_owned())
    } else {
        Err(format!("\"{}\" is not a workspace id (T…) or an organisation id (E…)", text.escape_debug()))
    }
}

fn api_url(text: &str) -> Result<Url, String> {
    let mut url = Url::parse(text).map_err(|error| format!("not an absolute URL ({error}); write \"{API_URL}\""))?;
    let loopback = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(_)) | None => false,
    };
    match url.scheme() {
        "https" => {}
        "http" if loopback => {}
        // A name may resolve anywhere: the bot's token would travel in the clear.
        "http" => {
            return Err(
                "must be https://; http:// is accepted only at a literal loopback address such as http://127.0.0.1:8090/".to_owned()
            );
        }
        _ => return Err("must begin with https://".to_owned()),
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err("must not hold a user name, a password, ? or #".to_owned());
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_url_ends_in_a_slash_and_is_encrypted_or_local() {
        assert_eq!(default_api_url().as_str(), API_URL);
        for (text, wanted) in [
            ("https://slack.com/api", "https://slack.com/api/"),
            ("https://slack-gov.com/api/", "https://slack-gov.com/api/"),
            ("http://127.0.0.1:9/api", "http://127.0.0.1:9/api/"),
            ("http://[::1]:9", "http://[::1]:9/"),
        ] {
            assert_eq!(api_url(text).unwrap().as_str(), wanted);
        }
        for text in [
            "http://localhost:9/",
            "http://slack.com/api/",
            "http://10.0.0.1/",
            "ftp://127.0.0.1/",
            "slack.com/api",
            "https://a:b@slack.com/",
            "https://slack.com/?x",
        ] {
            assert!(api_url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn team_ids_are_workspaces_or_organisations() {
        assert!(team_id("T0123").is_ok() && team_id("E0AB").is_ok());
        for text in ["", "T", "C0123", "t0123", "T01 23", "*"] {
            assert!(team_id(text).is_err(), "{text}");
        }
    }
}
