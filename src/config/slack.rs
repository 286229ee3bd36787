//! Owns `[slack]`: the app's secrets, whose workspaces may decide, and where Slack's API is.
//!
//! Never talks to Slack. Without this section Slack is off.

use crate::config::fields::{Fields, Section};
use crate::config::key::{Invalid, Key, Kind, Preset};
use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

/// Slack's own address.
const API_URL: &str = "https://slack.com/api/";

/// How Slack reaches us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It calls `/slack/*` at the public address.
    Http,
    /// Over connections that we open.
    Socket,
}

/// `[slack]`.
#[derive(Debug, Clone)]
pub struct Slack {
    /// How Slack reaches us.
    pub mode: Mode,
    /// Signing secrets that callbacks may carry: the present one first, then the previous one while it is being replaced.
    /// Socket Mode has no signatures.
    pub signing_secrets: Vec<SecretString>,
    /// Opens the connections of Socket Mode.
    pub app_token: Option<SecretString>,
    /// The bot's token, sent as a bearer credential.
    pub bot_token: SecretString,
    /// Workspaces (`T…`) and organisations (`E…`) whose people may decide; empty: nobody.
    pub team_ids: Vec<String>,
    /// Channels shared with other companies that may show cards all the same.
    pub allow_shared_channels: Vec<String>,
    /// Whether a confirmed e-mail address may tie an account to a person without a link in the directory.
    pub match_email: bool,
    /// Where the Web API is; ends in a slash.
    pub api_url: Url,
}

impl Slack {
    /// Slack's own API, nobody allowed, with these secrets.
    pub fn new(signing_secret: SecretString, bot_token: SecretString) -> Result<Self, url::ParseError> {
        Ok(Self {
            mode: Mode::Http,
            signing_secrets: vec![signing_secret],
            app_token: None,
            bot_token,
            team_ids: Vec::new(),
            allow_shared_channels: Vec::new(),
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
            Kind::Choice(&["http", "socket"]),
            Preset::Value("\"http\""),
            "How Slack reaches us: \"http\" = it calls /slack/* at public_url; \"socket\" = over connections that we open, with app_token.",
        ),
        Key::new(
            "slack",
            "signing_secret",
            Kind::Secret,
            Preset::Absent,
            "Proves that a callback comes from Slack (app settings, Basic Information). Required unless mode = \"socket\".",
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
        Key::new(
            "slack",
            "app_token",
            Kind::Secret,
            Preset::Absent,
            "Opens the connections of mode = \"socket\", and is required there (xapp-…, with connections:write; app settings, App-Level Tokens).",
        ),
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
            Preset::Value("[]"),
            "Slack Connect channels (C…), shared with other companies, that may show cards all the same.",
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
        let mode = fields.choice("mode", &[("http", Mode::Http), ("socket", Mode::Socket)]).unwrap_or(Mode::Http);
        let present = fields.secret("signing_secret");
        let previous = fields.optional_secret("signing_secret_previous");
        let bot_token = fields.secret("bot_token").unwrap_or_default();
        let api_url = fields.parsed("api_url", api_url).unwrap_or_else(default_api_url);
        Self {
            mode,
            // An absent present secret stands as an empty one, which `validate` refuses where signatures are checked.
            signing_secrets: std::iter::once(present.unwrap_or_default()).chain(previous).collect(),
            app_token: fields.optional_secret("app_token"),
            bot_token,
            team_ids: fields.list("team_ids", team_id).unwrap_or_default(),
            allow_shared_channels: fields.list("allow_shared_channels", channel_id).unwrap_or_default(),
            match_email: fields.boolean("match_email").unwrap_or(false),
            api_url,
        }
    }

    fn validate(&self) -> Vec<Invalid> {
        let mut found = Vec::new();
        // An empty secret would let anyone sign callbacks.
        let unsigned = self.signing_secrets.is_empty() || self.signing_secrets.iter().any(|secret| secret.expose_secret().is_empty());
        if self.mode == Mode::Http && unsigned {
            found.push(Invalid::new("signing_secret", "signing_secret is required in [slack] (or signing_secret_file)"));
        }
        if self.mode == Mode::Socket && self.app_token.is_none() {
            found.push(Invalid::new("app_token", "app_token is required in [slack] with mode = \"socket\" (or app_token_file)"));
        }
        let plain = |token: &SecretString| token.expose_secret().bytes().all(|byte| byte.is_ascii_graphic());
        if self.app_token.as_ref().is_some_and(|token| !plain(token)) {
            found.push(Invalid::new("app_token", "app_token holds characters that no token has; copy it again from the app's settings"));
        }
        let token = self.bot_token.expose_secret();
        if token.is_empty() {
            found.push(Invalid::new("bot_token", "bot_token is required in [slack] (or bot_token_file)"));
        } else if !plain(&self.bot_token) {
            found.push(Invalid::new("bot_token", "bot_token holds characters that no token has; copy it again from the app's settings"));
        }
        found
    }
}

#[expect(clippy::expect_used, reason = "a constant that the tests parse")]
fn default_api_url() -> Url {
    Url::parse(API_URL).expect("the default is a URL")
}

/// `C…` (or `G…`, as some older private channels have it).
fn channel_id(text: &str) -> Result<String, String> {
    let plain =
        text.len() > 1 && text.starts_with(['C', 'G']) && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    if plain { Ok(text.to_owned()) } else { Err(format!("\"{}\" is not the id of a channel (C…)", text.escape_debug())) }
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
