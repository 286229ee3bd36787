//! Owns a receiver of callbacks: it keeps what it got, and answers as it was told.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// A callback as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

#[derive(Default)]
struct Inner {
    received: Mutex<Vec<Received>>,
    answers: Mutex<VecDeque<StatusCode>>,
    held: watch::Sender<bool>,
}

/// A receiver that listens on loopback.
#[derive(Clone)]
pub(crate) struct Receiver {
    inner: Arc<Inner>,
    /// `127.0.0.1:port`.
    pub(crate) host: String,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let inner = Arc::new(Inner::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let router = Router::new().route("/cs", post(receive)).with_state(Arc::clone(&inner));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { inner, host }
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/cs", self.host)
    }

    /// Answers the next calls with these; every other one with 204.
    pub(crate) fn answers(&self, statuses: &[u16]) {
        self.inner.answers.lock().unwrap().extend(statuses.iter().map(|status| StatusCode::from_u16(*status).unwrap()));
    }

    /// Keeps every call waiting for its answer, or lets them go.
    pub(crate) fn hold(&self, held: bool) {
        self.inner.held.send_replace(held);
    }

    /// Everything so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.inner.received.lock().unwrap().clone()
    }
}

async fn receive(State(inner): State<Arc<Inner>>, headers: HeaderMap, body: Bytes) -> Response {
    inner.received.lock().unwrap().push(Received { headers, body: String::from_utf8(body.to_vec()).unwrap() });
    let _ = inner.held.subscribe().wait_for(|held| !held).await;
    let status = inner.answers.lock().unwrap().pop_front().unwrap_or(StatusCode::NO_CONTENT);
    let location = if status.is_redirection() { "/elsewhere" } else { "" };
    (status, [("location", location)]).into_response()
}
