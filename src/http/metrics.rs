//! Owns the metrics: their list, with what each tells, and `/metrics`. Who counts something names it at the place where it
//! happens; a test compares those names with the list, and the list with `docs/reference/metrics.md` and the alert rules.
//!
//! Never has a label with a value that strangers choose: each value is a series that stays in memory.

use super::App;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::sync::OnceLock;
use std::time::Duration;

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, and begins at 0 with the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size, in buckets.
    Histogram,
}

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it tells, in one sentence.
    pub help: &'static str,
}

const fn metric(name: &'static str, kind: Kind, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind, labels, help }
}

/// Every metric, in the order of the reference.
pub const METRICS: &[Metric] = &[
    metric(
        "countersign_http_seconds",
        Kind::Histogram,
        &["method", "route", "status"],
        "Time to an answer; one that waits for a decision takes up to 50 s by intent.",
    ),
    metric("countersign_waiting_requests", Kind::Gauge, &[], "Requests that a caller waits for."),
    metric("countersign_streams", Kind::Gauge, &[], "Open event streams."),
    metric(
        "countersign_outbox_waiting",
        Kind::Gauge,
        &[],
        "Cards that are to be posted or redrawn, or whose thread is to be told something.",
    ),
    metric("countersign_outbox_oldest_seconds", Kind::Gauge, &[], "How late the oldest of them is."),
    metric("countersign_outbox_dead", Kind::Gauge, &[], "Cards that were given up."),
    metric("countersign_webhooks_waiting", Kind::Gauge, &[], "Callbacks to clients that are to be made."),
    metric("countersign_webhooks_oldest_seconds", Kind::Gauge, &[], "How late the oldest of them is."),
    metric("countersign_webhooks_dead", Kind::Gauge, &[], "Callbacks that were given up in the last seven days."),
    metric(
        "countersign_deliveries_total",
        Kind::Counter,
        &["platform", "result"],
        "Attempts to post or redraw a card, or (platform webhook) to call a client back; result is sent, retry or dead, and message_dead for a message that its thread goes without.",
    ),
    metric("countersign_platforms_down", Kind::Gauge, &[], "Chat platforms that refuse this app altogether: nothing is sent to them."),
    metric("countersign_slack_connections", Kind::Gauge, &[], "Connections of Socket Mode that are up."),
    metric("countersign_slack_installed", Kind::Gauge, &[], "0 while Slack says that the app was uninstalled or its token revoked."),
    metric("countersign_taps_refused_total", Kind::Counter, &["reason"], "Taps of verified senders that did not count."),
    metric(
        "countersign_callbacks_refused_total",
        Kind::Counter,
        &["platform", "reason"],
        "Callbacks whose signature or sender was not good.",
    ),
    metric("countersign_unauthenticated_total", Kind::Counter, &[], "API keys that nobody knows, or that have ended."),
    metric("countersign_store_commit_seconds", Kind::Histogram, &[], "Time from queueing a write to its commit."),
    metric("countersign_store_batch_jobs", Kind::Histogram, &[], "Writes that shared a commit."),
    metric("countersign_store_queue_depth", Kind::Gauge, &[], "Writes that wait."),
    metric("countersign_store_busy_total", Kind::Counter, &[], "Writes refused with 503 because too many waited."),
    metric("countersign_store_conflicts_total", Kind::Counter, &[], "Writes that lost a race and were judged again."),
    metric("countersign_store_failed_jobs_total", Kind::Counter, &["code"], "Writes that the database did not take."),
    metric("countersign_panics_total", Kind::Counter, &[], "Defects: handlers that panicked."),
];

/// Upper ends of the buckets, in seconds: milliseconds for commits, a minute for answers that wait.
const SECONDS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 60.0];
/// Upper ends of the buckets of a batch.
const JOBS: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 256.0];
/// Samples are put into their buckets this often; until then each of them takes memory.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// The recorder of this process. Metrics are global: a second server in one process (tests) shares the first one's.
pub(crate) fn handle() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    let make = || {
        let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS);
        let builder = builder.and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_jobs".to_owned()), &JOBS));
        let recorder = builder.unwrap_or_default().build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_ok() {
            describe();
        }
        handle
    };
    HANDLE.get_or_init(make).clone()
}

/// Gives each metric its help, and those without labels their zero: an alert on an increase needs the value before it.
fn describe() {
    for Metric { name, kind, labels, help } in METRICS.iter().copied() {
        match kind {
            Kind::Counter => {
                metrics::describe_counter!(name, help);
                if labels.is_empty() {
                    metrics::counter!(name).absolute(0);
                }
            }
            Kind::Gauge => {
                metrics::describe_gauge!(name, help);
                metrics::gauge!(name).set(0.0);
            }
            Kind::Histogram => metrics::describe_histogram!(name, help),
        }
    }
}

/// Keeps the samples of histograms from piling up, also where nobody ever reads `/metrics`. Never ends.
pub(crate) async fn keep_up(handle: PrometheusHandle) {
    loop {
        tokio::time::sleep(UPKEEP_EVERY).await;
        handle.run_upkeep();
    }
}

/// Prometheus text format, on the address of `[server] metrics_listen`.
pub async fn render(State(app): State<App>) -> Response {
    let now = app.engine.clock.now();
    if let Ok(outbox) = app.engine.store.outbox_state(now).await {
        let age = outbox.oldest_due.map_or(0.0, |due| now.since(due).as_secs_f64());
        metrics::gauge!("countersign_outbox_oldest_seconds").set(age);
        metrics::gauge!("countersign_outbox_dead").set(as_gauge(outbox.dead));
        metrics::gauge!("countersign_outbox_waiting").set(as_gauge(outbox.waiting));
    }
    if let Ok(callbacks) = app.engine.store.callback_state(now).await {
        let age = callbacks.oldest_due.map_or(0.0, |due| now.since(due).as_secs_f64());
        metrics::gauge!("countersign_webhooks_oldest_seconds").set(age);
        metrics::gauge!("countersign_webhooks_dead").set(as_gauge(callbacks.dead));
        metrics::gauge!("countersign_webhooks_waiting").set(as_gauge(callbacks.waiting));
    }
    metrics::gauge!("countersign_waiting_requests").set(as_gauge(app.engine.waiters.len() as u64));
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], app.metrics.render()).into_response()
}

/// Gauges are floats; a count beyond 2^32 would no longer fit one exactly, and is not one of ours.
fn as_gauge(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
