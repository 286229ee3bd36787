//! Owns the agent of the demo: it asks, waits, and does what it was allowed to do.
//!
//! Never goes around the public API: what it does, any caller can do.

use super::say;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use std::time::Duration;

const ASKS: &str = include_str!("../../../templates/demo/asks.json");

/// Asks for one thing after the other, for as long as the demo runs.
pub(super) async fn works(origin: String, key: SecretString) {
    let Ok(http) = reqwest::Client::builder().timeout(Duration::from_secs(70)).no_proxy().build() else { return };
    let asks: Vec<Value> = serde_json::from_str(ASKS).unwrap_or_default();
    let agent = Agent { http, origin, key };
    for ask in asks.iter().cycle() {
        if let Err(error) = agent.run(ask).await {
            say(&format!("  agent   lost the server: {error}"));
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

struct Agent {
    http: reqwest::Client,
    origin: String,
    key: SecretString,
}

impl Agent {
    async fn run(&self, ask: &Value) -> reqwest::Result<()> {
        let mut request = self.send(self.http.post(format!("{}/v1/requests", self.origin)).json(ask)).await?;
        let id = text(&request["id"]).to_owned();
        say(&format!("  agent   asks: {} on {} ({id})", text(&ask["action"]), text(&ask["resource"]["id"])));
        if request["status"] == "pending" {
            say("  agent   waits for a person …");
        }
        while request["status"] == "pending" {
            request = self.send(self.http.get(format!("{}/v1/requests/{id}?wait=50", self.origin))).await?;
        }
        let Some(token) = request["grant"]["token"].as_str() else {
            say(&format!("  agent   does not go on. Feedback: {}", text(&request["feedback"])));
            return Ok(());
        };
        let reviews = request["reviews"].as_array().into_iter().flatten();
        let by: Vec<&str> =
            reviews.filter(|review| review["decision"] != "comment").filter_map(|review| review["person"]["name"].as_str()).collect();
        let by = if by.is_empty() { "policy".to_owned() } else { by.join(" and ") };
        say(&format!("  agent   approved by {by}; holds a grant until {}", text(&request["grant"]["expires_at"])));
        let parameters = if request["edited"] == true { &request["final_parameters"] } else { &request["parameters"] };
        let redeem =
            || self.http.post(format!("{}/v1/grants/redeem", self.origin)).json(&json!({"token": token, "parameters": parameters}));
        let redeemed = self.send(redeem()).await?;
        if redeemed["jti"].is_null() {
            say(&format!("  agent   redeem refused: {}", text(&redeemed["detail"])));
            return Ok(());
        }
        say(&format!("  agent   redeems it for exactly these parameters: {parameters}"));
        let again = self.send(redeem()).await?;
        say(&format!("  agent   tries it a second time: {}", text(&again["detail"])));
        self.send(self.http.post(format!("{}/v1/requests/{id}/outcome", self.origin)).json(&json!({"status": "succeeded"}))).await?;
        say("  agent   done, and says so on the card");
        Ok(())
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> reqwest::Result<Value> {
        request.bearer_auth(self.key.expose_secret()).send().await?.json().await
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}
