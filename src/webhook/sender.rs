//! Owns one try: a signed POST to a URL that the guard passes, and what its answer means.
//!
//! Never reads the body of an answer, never tells the URL to anybody, and never tries twice by itself.

use super::guard::{Guard, Refused, Target};
use super::resolver::{GuardedResolver, Lookup, NotPublic};
use super::signature::sign;
use crate::config::webhooks::WebhookSecret;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, StatusCode};
use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// A receiver has this long, connecting included.
const PATIENCE: Duration = Duration::from_secs(15);

/// What is sent.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// The same on every try.
    pub id: &'a str,
    /// When this try is made, in whole seconds.
    pub timestamp: i64,
    /// JSON.
    pub body: &'a str,
}

/// Why a try did not succeed; codes for metrics and the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendError {
    /// The receiver wants no more of it (410), or no try can ever succeed.
    Final {
        /// What it was.
        code: &'static str,
    },
    /// Try again later.
    Retry {
        /// What it was.
        code: String,
        /// The receiver's own wish.
        after: Option<Duration>,
    },
}

impl SendError {
    fn retry(code: &str) -> Self {
        Self::Retry { code: code.to_owned(), after: None }
    }
}

/// Sends callbacks.
pub struct Webhooks {
    guard: Guard,
    /// By name of the client.
    secrets: HashMap<String, WebhookSecret>,
    guarded: Client,
    allowed: Client,
}

impl std::fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhooks").field("guard", &self.guard).finish_non_exhaustive()
    }
}

impl Webhooks {
    /// With the operator's exceptions, the clients' secrets, and a way to look names up.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(guard: Guard, secrets: HashMap<String, WebhookSecret>, lookup: Arc<dyn Lookup>) -> Result<Self, reqwest::Error> {
        let builder = || {
            Client::builder()
                .timeout(PATIENCE)
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")))
        };
        let guarded = builder().https_only(true).dns_resolver(Arc::new(GuardedResolver(lookup))).build()?;
        Ok(Self { guard, secrets, guarded, allowed: builder().build()? })
    }

    /// Whether a callback may go there; asked when it is named, and again at every try.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, url: &str) -> Result<(), Refused> {
        self.guard.check(url).map(drop)
    }

    /// The client has a secret that its callbacks can be signed with.
    #[must_use]
    pub fn signs_for(&self, client: &str) -> bool {
        self.secrets.contains_key(client)
    }

    /// One try.
    ///
    /// # Errors
    /// What became of it.
    pub async fn send(&self, client: &str, url: &str, message: Message<'_>) -> Result<(), SendError> {
        // The operator may have taken both back since the callback was named, and may give them again.
        let secret = self.secrets.get(client).ok_or_else(|| SendError::retry("no_secret"))?;
        let target = self.guard.check(url).map_err(|_| SendError::retry("address_refused"))?;
        let call = match target {
            Target::Public(url) => self.guarded.post(url),
            Target::Allowed(url) => self.allowed.post(url),
        };
        let answer = call
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", message.id)
            .header("webhook-timestamp", message.timestamp.to_string())
            .header("webhook-signature", sign(secret, message.id, message.timestamp, message.body))
            .body(message.body.to_owned())
            .send()
            .await
            .map_err(|error| SendError::retry(code(&error)))?;
        let after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok()).map(Duration::from_secs);
        match answer.status() {
            status if status.is_success() => Ok(()),
            StatusCode::GONE => Err(SendError::Final { code: "http_410" }),
            status => Err(SendError::Retry { code: format!("http_{}", status.as_u16()), after }),
        }
    }
}

fn code(error: &reqwest::Error) -> &'static str {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<NotPublic>() {
            return "address_refused";
        }
        cause = error.source();
    }
    if error.is_timeout() {
        "timeout"
    } else if error.is_connect() {
        "not_connected"
    } else {
        "connection_lost"
    }
}

#[cfg(test)]
mod tests;
