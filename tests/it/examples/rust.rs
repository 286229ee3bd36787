//! The example for Rust, word for word as in `docs/guides/clients.md`, with what it needs around it.

use serde_json::{Value, json};

struct Countersign {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Countersign {
    async fn get(&self, path: &str) -> reqwest::Result<Value> {
        self.send(self.http.get(format!("{}{path}", self.url))).await
    }

    async fn post(&self, path: &str, body: &Value) -> reqwest::Result<Value> {
        self.send(self.http.post(format!("{}{path}", self.url)).json(body)).await
    }

    async fn send(&self, call: reqwest::RequestBuilder) -> reqwest::Result<Value> {
        call.bearer_auth(&self.token).send().await?.error_for_status()?.json().await
    }
}

/// Asks; answers with what was acted upon.
#[rustfmt::skip]
pub(super) async fn example(url: String, token: String, ask: Value) -> reqwest::Result<Vec<Value>> {
    let cs = Countersign { http: reqwest::Client::builder().no_proxy().build()?, url, token };
    let mut acted = Vec::new();
    let mut act = |parameters: &Value| acted.push(parameters.clone());
    let mut answer = cs.post("/v1/requests?wait=50", &ask).await?;
    while answer["status"] == "pending" { answer = cs.get(&format!("/v1/requests/{}?wait=50", answer["id"].as_str().unwrap_or_default())).await?; }
    if let Some(token) = answer["grant"]["token"].as_str() { cs.post("/v1/grants/redeem", &json!({"token": token, "parameters": ask["parameters"]})).await?; act(&ask["parameters"]); }
    Ok(acted)
}
