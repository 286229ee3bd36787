//! Owns the bench's Slack: signed taps, and a stub of the Web API that the server asks.

use crate::client;
use crate::ports;
use crate::server::{Pending, REVIEWERS};
use axum::Router;
use axum::extract::{Path, RawForm, State};
use axum::routing::any;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub const SECRET: &str = "bench-signing-secret";
pub const TEAM: &str = "T0ACME";

/// The stub.
#[derive(Clone)]
pub struct Slack {
    pub address: SocketAddr,
    state: Arc<Stub>,
}

#[derive(Default)]
struct Stub {
    delay_ms: AtomicU64,
    serial: AtomicU64,
}

impl Slack {
    pub async fn start() -> anyhow::Result<Self> {
        let address = ports::free()?;
        let state = Arc::new(Stub::default());
        let router = Router::new().route("/api/{method}", any(answer)).with_state(Arc::clone(&state));
        let listener = tokio::net::TcpListener::bind(address).await?;
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, state })
    }

    /// From now on every call takes this long.
    pub fn slow_down(&self, delay: Duration) {
        self.state.delay_ms.store(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

async fn answer(State(stub): State<Arc<Stub>>, Path(method): Path<String>, RawForm(form): RawForm) -> axum::Json<Value> {
    let delay = stub.delay_ms.load(Ordering::Relaxed);
    if delay > 0 {
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    let argument = |wanted: &str| {
        url::form_urlencoded::parse(&form).find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned()).unwrap_or_default()
    };
    let serial = stub.serial.fetch_add(1, Ordering::Relaxed);
    axum::Json(match method.as_str() {
        "users.info" => {
            let id = argument("user");
            let email = format!("{}@example.com", id.trim_start_matches("U0").to_lowercase());
            json!({"ok": true, "user": {
                "id": id, "team_id": TEAM, "name": "bob", "deleted": false, "is_admin": false, "is_owner": false,
                "is_restricted": false, "is_ultra_restricted": false, "is_bot": false, "is_app_user": false, "is_email_confirmed": true,
                "profile": {"email": email, "real_name": "Bob", "display_name": "Bob", "team": TEAM},
            }})
        }
        "conversations.info" => json!({"ok": true, "channel": {
            "id": "C0PROD", "is_private": false, "is_archived": false, "is_member": true, "is_ext_shared": false, "is_pending_ext_shared": false,
        }}),
        "chat.getPermalink" => json!({"ok": true, "channel": "C0PROD", "permalink": "https://acme.slack.com/archives/C0PROD/p1"}),
        _ => json!({"ok": true, "channel": "C0PROD", "ts": format!("1795174800.{serial:06}"), "message": {"type": "message", "text": ""}}),
    })
}

/// The whole text of a callback: "approve" on the card of this request, signed now.
pub fn tap(pending: &Pending, number: usize) -> Vec<u8> {
    let user = format!("U0BOB{}", number % REVIEWERS);
    let value = format!("{}:{}", pending.id, pending.digest);
    let blocks = card(&value);
    let payload = json!({
        "type": "block_actions", "api_app_id": "A0APP", "token": "legacy",
        "user": {"id": user, "username": "bob", "name": "bob", "team_id": TEAM},
        "team": {"id": TEAM, "domain": "acme"}, "enterprise": null, "is_enterprise_install": false,
        "trigger_id": format!("{number}.1795174800.{:032x}", number),
        "container": {"type": "message", "message_ts": "1795174800.000001", "channel_id": "C0PROD", "is_ephemeral": false},
        "channel": {"id": "C0PROD", "name": "prod"},
        "message": {"type": "message", "ts": "1795174800.000001", "text": "db.export on prod/customers", "blocks": blocks},
        "state": {"values": {}},
        "response_url": "https://hooks.slack.com/actions/T0ACME/1/bench",
        "actions": [{"type": "button", "action_id": "cs.approve", "block_id": "cs:actions", "value": value,
            "text": {"type": "plain_text", "text": "Approve"}, "style": "primary", "action_ts": format!("1795174801.{number:06}")}],
    });
    let body = url::form_urlencoded::Serializer::new(String::new()).append_pair("payload", &payload.to_string()).finish();
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs().to_string();
    let signature = sign(&seconds, &body);
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("x-slack-request-timestamp", seconds.as_str()),
        ("x-slack-signature", signature.as_str()),
        ("user-agent", "Slackbot 1.0 (+https://api.slack.com/robots)"),
    ];
    client::request("POST", "/slack/interactions", &headers, body.as_bytes())
}

fn sign(seconds: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
    mac.update(format!("v0:{seconds}:{body}").as_bytes());
    mac.finalize().into_bytes().iter().fold("v0=".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// Blocks of the size that a card has.
fn card(value: &str) -> Value {
    let field = |name: &str, text: &str| json!({"type": "mrkdwn", "text": format!("*{name}*\n{text}")});
    let button =
        |id: &str, text: &str| json!({"type": "button", "action_id": id, "value": value, "text": {"type": "plain_text", "text": text}});
    json!([
        {"type": "header", "block_id": "cs:head", "text": {"type": "plain_text", "text": "db.export on prod/customers (prod)"}},
        {"type": "section", "block_id": "cs:who", "fields": [field("Agent", "bench, for Alice Liu"), field("Source", "airflow dag=partner_sync run=2026-11-20"),
            field("Data", "customers: name, email, balance"), field("Last 24 h", "12 approved, 1 denied, 0 expired")]},
        {"type": "section", "block_id": "cs:why", "text": {"type": "mrkdwn", "text": "*Why (the agent's claim)*\nQuarterly reconciliation, FIN-482"}},
        {"type": "section", "block_id": "cs:parameters", "text": {"type": "plain_text",
            "text": "destination: s3://partner-drop/customers.csv\nrows: 120000\nresource: table prod/customers\nenvironment: prod"}},
        {"type": "context", "block_id": "cs:seats", "elements": [{"type": "mrkdwn", "text": "Needs 1 of data-governance; 8 people may approve; 59 minutes left"}]},
        {"type": "actions", "block_id": "cs:actions", "elements": [button("cs.approve", "Approve"), button("cs.deny", "Deny"), button("cs.details", "Details")]},
    ])
}
