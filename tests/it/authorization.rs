//! Owns who may call what: every endpoint against no credential, a wrong scope, a stranger and the owner. An endpoint of
//! the OpenAPI document without a row here fails.

use crate::support::app::{ApiClient, TestApp, export};
use crate::support::db::both_databases;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// One endpoint: its path, a body, and the status for each kind of caller.
struct Row {
    method: &'static str,
    path: &'static str,
    body: fn(&Setting) -> Option<Value>,
    /// No credential.
    nobody: u16,
    /// A credential that lacks the scope.
    wrong_scope: (&'static str, u16),
    /// A credential with the scope, for something of somebody else.
    stranger: (&'static str, u16),
    /// Whom it is for.
    owner: (&'static str, u16),
}

/// What the rows are about.
struct Setting {
    /// A pending request of `agent`.
    pending: Value,
    /// An approved request of `agent`.
    approved: Value,
    /// A request to be cancelled by its owner.
    other: Value,
    /// Id of a client.
    client: String,
}

fn nothing(_: &Setting) -> Option<Value> {
    None
}

#[expect(clippy::unnecessary_wraps, reason = "the form of every body in the table")]
fn empty(_: &Setting) -> Option<Value> {
    Some(json!({}))
}

fn rows() -> Vec<Row> {
    let row = |method, path, body, nobody, wrong_scope, stranger, owner| Row { method, path, body, nobody, wrong_scope, stranger, owner };
    vec![
        row("POST", "/v1/requests", |_| Some(export()), 401, ("executor", 403), ("bob@example.com", 403), ("agent", 201)),
        row("GET", "/v1/requests", nothing, 401, ("executor", 403), ("other", 200), ("agent", 200)),
        row("GET", "/v1/requests/{pending}", nothing, 401, ("executor", 404), ("other", 404), ("agent", 200)),
        row("GET", "/v1/requests/{pending}/events", nothing, 401, ("executor", 404), ("other", 404), ("agent", 200)),
        row("GET", "/v1/events", nothing, 401, ("executor", 403), ("other", 200), ("agent", 200)),
        row("POST", "/v1/requests/{other}/cancel", empty, 401, ("executor", 403), ("other", 404), ("agent", 200)),
        row("POST", "/v1/requests/{pending}/revoke", empty, 401, ("executor", 404), ("other", 404), ("agent", 409)),
        row(
            "POST",
            "/v1/requests/{pending}/reviews",
            |setting| Some(json!({"decision": "comment", "comment": "noted", "digest": setting.pending["digest"]})),
            401,
            ("agent", 403),
            ("carol@example.com", 404),
            ("bob@example.com", 201),
        ),
        row(
            "POST",
            "/v1/requests/{approved}/outcome",
            |_| Some(json!({"status": "succeeded"})),
            401,
            ("reader", 403),
            ("other", 404),
            ("agent", 200),
        ),
        row("POST", "/v1/evaluate", |_| Some(export()), 401, ("executor", 403), ("bob@example.com", 403), ("agent", 200)),
        row(
            "POST",
            "/v1/grants/redeem",
            |setting| Some(json!({"token": setting.approved["grant"]["token"], "parameters": {}})),
            401,
            ("other", 403),
            ("executor", 403),
            ("agent", 200),
        ),
        row(
            "POST",
            "/v1/grants/introspect",
            |setting| Some(json!({"token": setting.approved["grant"]["token"]})),
            401,
            ("other", 403),
            ("executor", 200),
            ("agent", 200),
        ),
        row("GET", "/.well-known/jwks.json", nothing, 200, ("other", 200), ("executor", 200), ("agent", 200)),
        row("GET", "/v1/clients", nothing, 401, ("agent", 403), ("reader", 403), ("admin", 200)),
        row(
            "POST",
            "/v1/clients",
            |_| Some(json!({"name": "fresh", "scopes": ["grants:redeem"]})),
            401,
            ("agent", 403),
            ("reader", 403),
            ("admin", 201),
        ),
        row("POST", "/v1/clients/{client}/keys", empty, 401, ("agent", 403), ("reader", 403), ("admin", 201)),
        row("POST", "/v1/clients/{client}/freeze", empty, 401, ("agent", 403), ("reader", 403), ("admin", 200)),
        row("POST", "/v1/clients/{client}/unfreeze", empty, 401, ("agent", 403), ("reader", 403), ("admin", 200)),
        row("DELETE", "/v1/clients/{client}", nothing, 401, ("agent", 403), ("reader", 403), ("admin", 204)),
        row("GET", "/v1/policy", nothing, 401, ("agent", 403), ("admin", 403), ("reader", 200)),
        row("PUT", "/v1/policy", |_| Some(json!("x")), 401, ("agent", 403), ("reader", 403), ("admin", 409)),
        row("POST", "/v1/policy/check", |_| Some(json!("x")), 401, ("agent", 403), ("admin", 403), ("reader", 200)),
        row("GET", "/v1/audit/events", nothing, 401, ("agent", 403), ("admin", 403), ("reader", 200)),
        row("GET", "/v1/audit/stream", nothing, 401, ("agent", 403), ("admin", 403), ("reader", 200)),
        row("GET", "/healthz", nothing, 200, ("agent", 200), ("reader", 200), ("admin", 200)),
        row("GET", "/readyz", nothing, 200, ("agent", 200), ("reader", 200), ("admin", 200)),
        // Slack signs; an API key is worth nothing here.
        row("POST", "/slack/interactions", empty, 401, ("agent", 401), ("reader", 401), ("admin", 401)),
        row("POST", "/slack/commands", empty, 401, ("agent", 401), ("reader", 401), ("admin", 401)),
        row("POST", "/slack/events", empty, 401, ("agent", 401), ("reader", 401), ("admin", 401)),
    ]
}

async fn caller<'a>(app: &'a TestApp, name: &str) -> ApiClient<'a> {
    if name.contains('@') { app.person(name).await } else { app.client(name) }
}

both_databases! {
    async fn every_endpoint_has_its_statuses(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let agent = app.client("agent");
        let pending = agent.asks(&export()).await;
        let approved = agent.asks(&json!({"action": "db.read"})).await;
        let other = agent.asks(&export()).await;
        let client = app.client("admin").post("/v1/clients", &json!({"name": "victim", "scopes": []})).await.expect(201).body;
        let setting = Setting { pending, approved, other, client: client["id"].as_str().unwrap().to_owned() };
        for row in rows() {
            let path = row
                .path
                .replace("{pending}", setting.pending["id"].as_str().unwrap())
                .replace("{approved}", setting.approved["id"].as_str().unwrap())
                .replace("{other}", setting.other["id"].as_str().unwrap())
                .replace("{client}", &setting.client);
            let body = (row.body)(&setting);
            let label = format!("{} {}", row.method, row.path);
            let nobody = app.stranger().call(row.method, &path, body.as_ref()).await;
            assert_eq!(nobody.status, row.nobody, "{label} without a credential: {}", nobody.body);
            for (kind, (name, status)) in [("wrong scope", row.wrong_scope), ("stranger", row.stranger), ("owner", row.owner)] {
                let answer = caller(&app, name).await.call(row.method, &path, body.as_ref()).await;
                assert_eq!(answer.status, status, "{label} as {kind} ({name}): {}", answer.body);
            }
        }
        app.finish().await;
    }

    async fn every_described_endpoint_has_a_row(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let document = app.stranger().get("/openapi.json").await.expect(200).body;
        let generalised = |path: &str| {
            let parts: Vec<&str> = path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part }).collect();
            parts.join("/")
        };
        let described: BTreeSet<String> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, methods)| methods.as_object().unwrap().keys().map(move |method| (path.clone(), method.to_uppercase())))
            .map(|(path, method)| format!("{method} {}", generalised(&path)))
            .collect();
        let tested: BTreeSet<String> = rows().iter().map(|row| format!("{} {}", row.method, generalised(row.path))).collect();
        assert_eq!(described, tested);
        app.finish().await;
    }

    async fn a_key_is_refused_in_every_wrong_form(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let stranger = app.stranger();
        for header in ["", "Bearer", "Bearer ", "Basic YWdlbnQ6eA==", "Bearer cs_agent_wrong", "bearer cs_none_kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"] {
            let answer = stranger.send("GET", "/v1/requests", None, &[("authorization", header)]).await;
            assert_eq!(answer.status, 401, "{header:?}");
            assert_eq!(answer.body["detail"], "A valid credential is required: Authorization: Bearer <API key>.");
            assert_eq!(answer.headers["www-authenticate"], "Bearer realm=\"countersign\"");
        }
        // Strangers leave no row.
        assert!(app.events().await.iter().all(|event| event["type"] != "client.refused"));
        app.finish().await;
    }
}
