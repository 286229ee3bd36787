//! Owns `/healthz` and `/readyz`.
//!
//! Never tells a secret or a name: these answer strangers.

use super::App;
use crate::store::StoreError;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

/// Alive: the process answers.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200, description = "ok", body = String)))]
pub async fn alive() -> &'static str {
    "ok\n"
}

/// Ready: the database takes a write, and the keys are loaded. What else is wrong is `degraded`.
#[utoipa::path(get, path = "/readyz", tag = "health", responses((status = 200, body = super::documents::ReadinessDocument), (status = 503, body = super::documents::ReadinessDocument)))]
pub async fn ready(State(app): State<App>) -> Response {
    let engine = &app.engine;
    let now = engine.clock.now();
    let mut degraded = Map::new();
    if let Err(error) = engine.store.write_probe(now).await {
        tracing::error!(error = %error, "not ready: the database takes no write");
        degraded.insert("database".to_owned(), Value::from("does not take a write"));
        return (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": "not_ready", "degraded": degraded}))).into_response();
    }
    let directory = engine.directory.health(now).await;
    if !directory.fresh {
        degraded.insert("directory".to_owned(), Value::from(format!("{} cannot be asked: approvals are refused", directory.source)));
    }
    for (platform, code) in engine.outages.all() {
        degraded.insert(platform, Value::from(format!("refuses this app ({code}): nothing is sent until it accepts it again")));
    }
    for platform in &engine.platforms {
        if let Some(trouble) = platform.trouble() {
            degraded.insert(platform.id().to_owned(), Value::from(trouble));
        }
    }
    let outboxes = async { Ok::<_, StoreError>((engine.store.outbox_state(now).await?, engine.store.callback_state(now).await?)) };
    match outboxes.await {
        Ok((outbox, callbacks)) => {
            if outbox.dead + callbacks.dead > 0 {
                degraded.insert("dead_letters".to_owned(), json!(outbox.dead + callbacks.dead));
            }
            let late = callbacks.oldest_due.map(|due| now.since(due).as_secs()).filter(|seconds| *seconds > 60);
            if let Some(seconds) = late {
                degraded.insert("callbacks".to_owned(), Value::from(format!("the oldest callback is {seconds} s late")));
            }
            let late = outbox.oldest_due.map(|due| now.since(due).as_secs()).filter(|seconds| *seconds > 60);
            if let Some(seconds) = late {
                degraded.insert("deliveries".to_owned(), Value::from(format!("the oldest card is {seconds} s late")));
            }
        }
        Err(error) => {
            tracing::error!(error = %error, "the outbox cannot be read");
            degraded.insert("deliveries".to_owned(), Value::from("cannot be read"));
        }
    }
    (StatusCode::OK, Json(json!({"status": "ready", "degraded": degraded}))).into_response()
}
