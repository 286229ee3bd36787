//! Owns the one HTTP stack to Slack's Web API: slack-morphism's connector over `reqwest`.
//!
//! Never follows a redirect, uses a proxy of the environment, retries, or lets a body or a token into an error.
//! When to call again is the delivery worker's business.

use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use slack_morphism::errors::{
    SlackClientApiError, SlackClientError, SlackClientHttpError, SlackClientHttpProtocolError, SlackClientSystemError, SlackRateLimitError,
};
use slack_morphism::multipart_form::FileMultipartData;
use slack_morphism::{ClientResult, SlackApiToken, SlackClientApiCallContext, SlackClientHttpConnector, SlackClientId, SlackClientSecret};
use std::time::Duration;
use url::Url;

/// Longest wait for a whole answer.
pub const TIMEOUT: Duration = Duration::from_secs(5);
/// Longest answer that is read, in bytes.
pub const ANSWER_LIMIT: usize = 1024 * 1024;

/// The HTTP client could not be built (no usable certificate store).
#[derive(Debug, thiserror::Error)]
#[error("cannot build the HTTP client for Slack: {0}")]
pub struct ConnectorError(String);

/// Slack's Web API over `reqwest`.
#[derive(Debug, Clone)]
pub struct Connector {
    http: reqwest::Client,
    api_url: Url,
}

/// An answer of the Web API: what it says, and the headers it came with.
#[derive(Debug)]
pub struct Answer<T> {
    /// The body.
    pub body: T,
    /// The headers.
    pub headers: HeaderMap,
}

/// The members that every answer may have.
#[derive(serde::Deserialize)]
struct Envelope {
    ok: Option<bool>,
    error: Option<String>,
}

impl Connector {
    /// For the Web API at `api_url`, with or without a trailing slash.
    pub fn new(api_url: &Url, timeout: Duration) -> Result<Self, ConnectorError> {
        let http = reqwest::Client::builder()
            .timeout(timeout)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| ConnectorError(error.to_string()))?;
        let mut api_url = api_url.clone();
        if !api_url.path().ends_with('/') {
            let path = format!("{}/", api_url.path());
            api_url.set_path(&path);
        }
        Ok(Self { http, api_url })
    }

    /// Where the Web API is; ends in a slash.
    #[must_use]
    pub fn api_url(&self) -> &Url {
        &self.api_url
    }

    /// Posts JSON to an address that needs no token (`response_url`), and wants nothing but success.
    pub async fn post_plain<T: Serialize + Sync>(&self, url: Url, body: &T) -> ClientResult<()> {
        let (status, headers, _) = read(self.http.post(url).json(body)).await?;
        match status {
            status if status.is_success() => Ok(()),
            status => Err(failed(status, &headers)),
        }
    }

    /// Calls a method with a token, and keeps the headers of the answer.
    pub async fn call_with_headers<T: DeserializeOwned>(&self, method: &str, token: &SlackApiToken) -> ClientResult<Answer<T>> {
        let url = self.create_method_uri_path(method)?;
        let (status, headers, bytes) = read(self.http.post(url).bearer_auth(&token.token_value.0)).await?;
        Ok(Answer { body: judge(status, &headers, &bytes)?, headers })
    }

    fn request(&self, method: Method, url: Url, token: Option<&SlackApiToken>) -> RequestBuilder {
        let request = self.http.request(method, url);
        match token {
            Some(token) => request.bearer_auth(&token.token_value.0),
            None => request,
        }
    }
}

/// Sends, and reads the answer up to the limit.
async fn read(request: RequestBuilder) -> ClientResult<(StatusCode, HeaderMap, Vec<u8>)> {
    let mut response: Response = request.send().await.map_err(unreachable)?;
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if bytes.len() + chunk.len() > ANSWER_LIMIT {
            return Err(SlackClientError::SystemError(SlackClientSystemError::new().with_message("the answer is too long".to_owned())));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok((response.status(), response.headers().clone(), bytes))
}

/// What an answer means.
fn judge<T: DeserializeOwned>(status: StatusCode, headers: &HeaderMap, bytes: &[u8]) -> ClientResult<T> {
    if status != StatusCode::OK {
        return Err(failed(status, headers));
    }
    let is_json = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|kind| kind.starts_with("application/json"));
    if !is_json {
        return Err(odd("the answer is not JSON"));
    }
    let envelope: Envelope = serde_json::from_slice(bytes).map_err(|_| odd("the answer is not an object of JSON"))?;
    match (envelope.ok, envelope.error) {
        (Some(true), None) => serde_json::from_slice(bytes).map_err(|_| odd("the answer lacks what it should have")),
        (_, Some(code)) if code == "ratelimited" => Err(limited(headers)),
        (_, Some(code)) => Err(SlackClientError::ApiError(SlackClientApiError::new(code))),
        (_, None) => Err(odd("the answer does not say ok")),
    }
}

fn failed(status: StatusCode, headers: &HeaderMap) -> SlackClientError {
    match status {
        StatusCode::TOO_MANY_REQUESTS => limited(headers),
        status => SlackClientError::HttpError(SlackClientHttpError::new(status)),
    }
}

fn limited(headers: &HeaderMap) -> SlackClientError {
    let after = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()).and_then(|text| text.trim().parse().ok());
    SlackClientError::RateLimitError(SlackRateLimitError::new().opt_retry_after(after.map(Duration::from_secs)))
}

/// An answer that is not one: another system answers, or Slack changed.
fn odd(message: &str) -> SlackClientError {
    SlackClientError::SystemError(SlackClientSystemError::new().with_message(message.to_owned()))
}

fn unreachable(error: reqwest::Error) -> SlackClientError {
    // The address may be a one-off `response_url`, which must not reach a log.
    SlackClientError::HttpProtocolError(SlackClientHttpProtocolError::new().with_cause(Box::new(error.without_url())))
}

fn unsupported<'a, RS: Send + 'a>(what: &str) -> BoxFuture<'a, ClientResult<RS>> {
    ready(Err(odd(what))).boxed()
}

impl SlackClientHttpConnector for Connector {
    fn create_method_uri_path(&self, method_relative_uri: &str) -> ClientResult<Url> {
        Ok(self.api_url.join(method_relative_uri)?)
    }

    fn http_get_uri<'a, RS>(&'a self, full_uri: Url, context: SlackClientApiCallContext<'a>) -> BoxFuture<'a, ClientResult<RS>>
    where
        RS: for<'de> serde::de::Deserialize<'de> + Send + 'a,
    {
        let request = self.request(Method::GET, full_uri, context.token);
        async move {
            let (status, headers, bytes) = read(request).await?;
            judge(status, &headers, &bytes)
        }
        .boxed()
    }

    fn http_get_with_client_secret<'a, RS>(
        &'a self,
        _full_uri: Url,
        _client_id: &'a SlackClientId,
        _client_secret: &'a SlackClientSecret,
    ) -> BoxFuture<'a, ClientResult<RS>>
    where
        RS: for<'de> serde::de::Deserialize<'de> + Send + 'a,
    {
        unsupported("the app is installed by hand, not through OAuth")
    }

    fn http_post_uri<'a, RQ, RS>(
        &'a self,
        full_uri: Url,
        request_body: &'a RQ,
        context: SlackClientApiCallContext<'a>,
    ) -> BoxFuture<'a, ClientResult<RS>>
    where
        RQ: Serialize + Send + Sync,
        RS: for<'de> serde::de::Deserialize<'de> + Send + 'a,
    {
        let request = self.request(Method::POST, full_uri, context.token);
        async move {
            let body = serde_json::to_vec(request_body).map_err(|_| odd("the request cannot be written as JSON"))?;
            // Slack warns about JSON without a character set.
            let (status, headers, bytes) = read(request.header(CONTENT_TYPE, "application/json; charset=utf-8").body(body)).await?;
            judge(status, &headers, &bytes)
        }
        .boxed()
    }

    fn http_post_uri_multipart_form<'a, 'p, RS, PT, TS>(
        &'a self,
        _full_uri: Url,
        _file: Option<FileMultipartData<'p>>,
        _params: &'p PT,
        _context: SlackClientApiCallContext<'a>,
    ) -> BoxFuture<'a, ClientResult<RS>>
    where
        RS: for<'de> serde::de::Deserialize<'de> + Send + 'a,
        PT: IntoIterator<Item = (&'p str, Option<TS>)> + Clone,
        TS: AsRef<str> + 'p + Send,
    {
        unsupported("no file is ever sent")
    }

    fn http_post_uri_binary<'a, 'p, RS>(
        &'a self,
        _full_uri: Url,
        _content_type: String,
        _data: &'a [u8],
        _context: SlackClientApiCallContext<'a>,
    ) -> BoxFuture<'a, ClientResult<RS>>
    where
        RS: for<'de> serde::de::Deserialize<'de> + Send + 'a,
    {
        unsupported("no file is ever sent")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn the_api_url_may_end_in_a_slash_or_not() {
        for (text, wanted) in [
            ("https://slack.com/api/", "https://slack.com/api/chat.update"),
            ("https://slack.com/api", "https://slack.com/api/chat.update"),
            ("http://127.0.0.1:9", "http://127.0.0.1:9/chat.update"),
        ] {
            let connector = Connector::new(&Url::parse(text).unwrap(), TIMEOUT).unwrap();
            assert_eq!(connector.create_method_uri_path("chat.update").unwrap().as_str(), wanted);
        }
    }

    #[test]
    fn every_answer_has_one_meaning_and_no_error_holds_its_body() {
        let json = headers(&[("content-type", "application/json; charset=utf-8"), ("retry-after", "7")]);
        let html = headers(&[("content-type", "text/html")]);
        assert!(judge::<Value>(StatusCode::OK, &json, br#"{"ok":true,"x":1}"#).is_ok());
        for (status, headers, body, wanted) in [
            (200, &json, r#"{"ok":false,"error":"channel_not_found","secret":"hunter2"}"#, "ApiError"),
            (200, &json, r#"{"ok":false,"error":"ratelimited","secret":"hunter2"}"#, "RateLimitError"),
            (200, &json, r#"{"ok":true,"error":"odd","secret":"hunter2"}"#, "ApiError"),
            (200, &json, r#"{"secret":"hunter2"}"#, "SystemError"),
            (200, &json, r#"["hunter2"]"#, "SystemError"),
            (200, &html, r#"{"ok":true,"secret":"hunter2"}"#, "SystemError"),
            (302, &html, "hunter2", "HttpError"),
            (429, &json, "hunter2", "RateLimitError"),
            (503, &html, "hunter2", "HttpError"),
        ] {
            let error = judge::<Value>(StatusCode::from_u16(status).unwrap(), headers, body.as_bytes()).unwrap_err();
            let text = format!("{error:?} {error}");
            assert!(text.starts_with(wanted), "{text}");
            assert!(!text.contains("hunter2"), "{text}");
            if let SlackClientError::RateLimitError(limit) = error {
                assert_eq!(limit.retry_after, Some(Duration::from_secs(7)));
            }
        }
    }
}
