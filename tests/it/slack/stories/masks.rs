//! `[[mask]]` of the policy: what chat, other readers and the next reviewer see of parameters, and what an edit makes of it.

use super::{asked, card_when, shown, text};
use crate::support::app::{Options, POLICY, TestApp};
use crate::support::db::both_databases;
use serde_json::{Value, json};

/// Two seats, so that a second reviewer sees what the first one edited.
const MASKS: &str = r#"
[[mask]]
action = "dual.*"
path = "/to/*/iban"
mode = "hide"

[[mask]]
action = "dual.export"
path = "/destination"
mode = "hash"

[[mask]]
action = "*"
path = "/token"
mode = "show"

[[mask]]
action = "other.*"
path = "/rows"
mode = "hide"
"#;

fn ask() -> Value {
    json!({
        "action": "dual.export",
        "parameters": {
            "rows": 500, "destination": "s3://partner-drop/x.csv", "token": "ghp_0123456789abcdefghijklmnopqrstuvwxyz",
            "codeword": "rosebud-the-sledge", "to": {"a": {"iban": "DE02-secret-account", "name": "Acme"}},
        },
        "sensitive": ["/codeword"],
        "allowed_decisions": ["approve", "deny", "edit"],
        "edit_schema": {"properties": {"rows": {"type": "integer"}, "destination": {}, "to": {}, "note": {"type": "string"}}},
    })
}

const SECRETS: [&str; 3] = ["partner-drop", "secret-account", "rosebud"];

both_databases! {
    async fn the_policy_says_what_others_see(database: TestDatabase) {
        let app = TestApp::with(database, Options { policy: format!("{POLICY}{MASKS}"), policy_by_api: true, ..Options::default() }).await;
        let (request, card) = asked(&app, &ask()).await;
        assert_eq!(request["parameters"], ask()["parameters"], "whoever asked sees what they asked");
        let path = format!("/v1/requests/{}", text(&request["id"]));
        let read = app.client("reader").get(&path).await.expect(200).body;
        let hash = text(&read["parameters"]["destination"]);
        assert!(hash.starts_with("•••• hash ") && hash.len() == "•••• hash ".len() + 12, "{hash}");
        let seen = json!({
            "rows": 500, "destination": hash, "token": "ghp_0123456789abcdefghijklmnopqrstuvwxyz", "codeword": "•••• masked",
            "to": {"a": {"name": "Acme"}},
        });
        assert_eq!(read["parameters"], seen);
        assert!(shown(&card).contains("3 values masked") && shown(&card).contains(&hash), "{}", shown(&card));
        let again = app.client("agent").asks(&ask()).await;
        let other = app.client("reader").get(&format!("/v1/requests/{}", text(&again["id"]))).await.expect(200).body;
        assert_ne!(other["parameters"]["destination"], json!(hash), "a hash tells nothing about another request");

        // The policy loses its masks: what was asked under them keeps them.
        let version = app.client("reader").get("/v1/policy").await.expect(200).headers["etag"].to_str().unwrap().to_owned();
        let put = app.client("admin").send("PUT", "/v1/policy", Some(POLICY.to_owned()), &[("content-type", "application/toml"), ("if-match", &version)]).await;
        assert_eq!(put.status, 200, "{}", put.body);
        assert_eq!(app.client("reader").get(&path).await.expect(200).body["parameters"], seen);
        app.client("agent").post(&format!("{path}/cancel"), &json!({})).await.expect(200);
        app.client("agent").post(&format!("/v1/requests/{}/cancel", text(&again["id"])), &json!({})).await.expect(200);
        app.finish().await;
    }

    async fn an_edit_keeps_what_its_reviewer_could_not_see(database: TestDatabase) {
        let app = TestApp::with(database, Options { policy: format!("{POLICY}{MASKS}"), ..Options::default() }).await;
        let (request, _) = asked(&app, &ask()).await;
        let path = format!("/v1/requests/{}", text(&request["id"]));
        let (bob, carol) = (app.person("bob@example.com").await, app.person("carol@example.com").await);
        let seen = bob.get(&path).await.expect(200).body["parameters"].clone();
        let edits = async |change: &dyn Fn(&mut Value)| {
            let mut parameters = seen.clone();
            change(&mut parameters);
            bob.post(&format!("{path}/reviews"), &json!({"decision": "edit", "digest": request["digest"], "parameters": parameters})).await
        };
        for (change, pointer) in [
            (&(|p: &mut Value| p["destination"] = json!("s3://mine")) as &dyn Fn(&mut Value), "/destination"),
            (&|p| p["to"]["a"]["iban"] = json!("mine"), "/to/a/iban"),
            (&|p| p["to"] = json!({}), "/to/a"),
            (&|p| p["codeword"] = json!("x"), "/codeword"),
            (&|p| p["note"] = json!("•••• hash 000000000000"), "/note"),
            // Where the policy hides, nobody puts anything that the next reviewer would not see.
            (&|p| p["to"]["b"] = json!({"iban": "mine", "name": "Mallory"}), "/to/b/iban"),
        ] {
            let answer = edits(change).await.expect(422).body;
            assert_eq!(answer["errors"][0]["pointer"], format!("/parameters{pointer}"), "{answer}");
        }
        let edited = edits(&|p| {
            p["rows"] = json!(5);
            p["note"] = json!("with AKIAIOSFODNN7EXAMPLE");
        }).await.expect(201).body;
        assert_eq!((&edited["final_parameters"]["rows"], &edited["final_parameters"]["destination"]), (&json!(5), &seen["destination"]));
        let card = card_when(&app, &request, "the edit", |card| shown(card).contains("/rows")).await;
        assert!(shown(&card).contains("4 values masked"), "{}", shown(&card));

        let approve = json!({"decision": "approve", "digest": edited["digest"], "comment": "no more AKIAIOSFODNN7EXAMPLE please"});
        carol.post(&format!("{path}/reviews"), &approve).await.expect(201);
        let approved = app.client("agent").reads(&request["id"]).await;
        let mut wanted = ask()["parameters"].clone();
        wanted["rows"] = json!(5);
        wanted["note"] = json!("with AKIAIOSFODNN7EXAMPLE");
        assert_eq!(approved["final_parameters"], wanted);
        app.client("agent").post(&format!("{path}/outcome"), &json!({"status": "failed", "detail": "AKIAIOSFODNN7EXAMPLE is no key"})).await.expect(200);
        let done = card_when(&app, &request, "the outcome", |card| shown(card).contains("is no key")).await;

        let mut leaves = vec![done.blocks.to_string(), card.blocks.to_string()];
        leaves.extend(app.events().await.iter().map(ToString::to_string));
        leaves.push(app.client("reader").get(&path).await.expect(200).body.to_string());
        leaves.push(app.client("reader").get("/v1/requests").await.expect(200).body.to_string());
        leaves.push(bob.get(&path).await.expect(200).body.to_string());
        for secret in SECRETS.into_iter().chain(["AKIAIOSFODNN7EXAMPLE"]) {
            assert!(leaves.iter().all(|text| !text.contains(secret)), "{secret} leaves");
        }
        app.finish().await;
    }
}
