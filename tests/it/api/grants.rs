//! Owns the grant: its claims as others read them, its digest as others compute it, its single use and every refusal.

use super::{oracle, path, problem};
use crate::support::app::{TestApp, export};
use crate::support::db::both_databases;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::future::join_all;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Values that canonical forms differ about, in ever new combinations; the same in every run.
fn wild(seed: u64) -> Value {
    let scalars = [
        json!(0),
        json!(-0.0),
        json!(1e21),
        json!(1e-7),
        json!(0.1),
        json!(333_333_333.333_333_3),
        json!(9_007_199_254_740_991_i64),
        json!(5e-324),
        json!(null),
        json!(true),
        json!("\u{20ac}$\u{f}\u{a}A'B\"\\\\\"/"),
        json!("\u{fb33}"),
        json!("𝄞 \u{2028} é"),
        json!(""),
    ];
    let names = ["\u{20ac}", "\r", "\u{fb33}", "1", "😀", "\u{80}", "ö", "", "a/b~c", "__proto__"];
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    let mut value = scalars[next(scalars.len())].clone();
    for _ in 0..next(8) {
        value = if next(2) == 0 {
            json!([value, scalars[next(scalars.len())]])
        } else {
            let mut members = Map::new();
            members.insert(names[next(names.len())].to_owned(), scalars[next(scalars.len())].clone());
            members.insert(names[next(names.len())].to_owned(), value);
            Value::Object(members)
        };
    }
    // Numbers beyond ±(2^53 − 1) are refused by contract.
    let text = value.to_string().replace("1e21", "1e15").replace("1e+21", "1e15");
    serde_json::from_str(&text).unwrap()
}

both_databases! {
    async fn others_verify_it_and_read_these_claims(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let agent = app.client("agent");
        let mut ask = export();
        ask["action"] = json!("dual.export");
        ask["grant"] = json!({"audience": "executor", "ttl": 30});
        let mine = agent.asks(&ask).await;
        app.person("bob@example.com").await.reviews(&mine, "approve").await.expect(201);
        let done = app.person("carol@example.com").await.reviews(&mine, "approve").await.expect(201).body;
        let grant = agent.reads(&mine["id"]).await["grant"].clone();
        let jwks = app.stranger().get("/.well-known/jwks.json").await.expect(200);
        assert_eq!(jwks.headers["cache-control"], "public, max-age=300");
        assert!(jwks.body["keys"][0].get("d").is_none());
        let now = 1_795_174_800;
        let input = json!({"token": grant["token"], "jwks": jwks.body, "issuer": app.url, "audience": "executor", "now": now});
        let read = oracle("grants.py", &input).await;
        assert_eq!(read["header"], json!({"alg": "ES256", "typ": "cs-grant+jwt", "kid": read["thumbprint"]}));
        let people: Vec<&Value> = done["reviews"].as_array().unwrap().iter().map(|review| &review["person"]["id"]).collect();
        assert_eq!(
            read["claims"],
            json!({
                "iss": app.url, "aud": "executor", "sub": mine["requester"]["client"], "jti": grant["jti"],
                "iat": now, "nbf": now, "exp": now + 30,
                "request_id": mine["id"], "digest": mine["digest"], "nonce": mine["nonce"], "approvers": people,
                "policy_version": mine["policy"]["version"],
                "authorization_details": [{"type": "urn:countersign:action", "action": "dual.export", "resource": ask["resource"]}],
            })
        );
        assert_eq!(grant["expires_at"], "2026-11-20T11:40:30.000Z");
        assert!(grant["jti"].as_str().unwrap().starts_with("gr_"));
        app.finish().await;
    }

    async fn others_compute_the_same_digests(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let agent = app.client("agent");
        let (mut hashed, mut ours) = (Vec::new(), Vec::new());
        for seed in 0..60 {
            let mut ask = json!({"action": "db.read", "parameters": {"wild": wild(seed), "z": 1, "é": 2}});
            if seed % 2 == 0 {
                ask["resource"] = json!({"id": "x", "extra": wild(seed + 1000)});
            }
            if seed == 1 {
                ask.as_object_mut().unwrap().remove("parameters");
            }
            let asked = agent.asks(&ask).await;
            let parameters = ask.get("parameters").cloned().unwrap_or_else(|| json!({}));
            hashed.push(json!({"action": "db.read", "client": asked["requester"]["client"], "nonce": asked["nonce"], "parameters": parameters, "resource": ask["resource"]}));
            ours.push(asked["digest"].clone());
        }
        assert_eq!(oracle("digests.py", &Value::Array(hashed)).await, Value::Array(ours));
        app.finish().await;
    }

    async fn the_token_stays_until_it_expires_and_a_new_one_replaces_it(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let agent = app.client("agent");
        let mut ask = export();
        ask["grant"] = json!({"ttl": 1});
        let mine = agent.asks(&ask).await;
        app.person("bob@example.com").await.reviews(&mine, "approve").await.expect(201);
        let first = agent.reads(&mine["id"]).await["grant"].clone();
        // A wish below ten seconds is ten.
        assert_eq!(first["expires_at"], "2026-11-20T11:40:10.000Z");
        app.clock.advance(Duration::from_secs(9));
        assert_eq!(agent.reads(&mine["id"]).await["grant"], first);
        app.clock.advance(Duration::from_secs(1));
        problem(agent.redeems(&first["token"], &mine["parameters"]).await, 410, "grant_expired");
        let second = agent.reads(&mine["id"]).await["grant"].clone();
        assert_ne!((&second["jti"], &second["token"]), (&first["jti"], &first["token"]));
        problem(agent.redeems(&first["token"], &mine["parameters"]).await, 410, "grant_expired");
        assert_eq!(agent.post("/v1/grants/introspect", &json!({"token": first["token"]})).await.expect(200).body, json!({"active": false}));
        // `exp` never exceeds the end of the approval.
        app.clock.advance(Duration::from_secs(15 * 60 - 15));
        let last = agent.reads(&mine["id"]).await["grant"].clone();
        assert_eq!(last["expires_at"], "2026-11-20T11:55:00.000Z");
        app.clock.advance(Duration::from_secs(5));
        problem(agent.redeems(&last["token"], &mine["parameters"]).await, 410, "grant_expired");
        let lapsed = agent.reads(&mine["id"]).await;
        assert_eq!((&lapsed["status"], &lapsed["usable"], &lapsed["grant"], &lapsed["grant_reason"]), (&json!("approved"), &json!(false), &Value::Null, &json!("lapsed")));
        assert_eq!(lapsed["feedback"], "The approval lapsed unused at 2026-11-20T11:55:00Z. The action must not run; ask again if it is still needed.");
        // A wish beyond two minutes is two minutes.
        let long = agent.asks(&json!({"action": "db.read", "grant": {"ttl": 9999}})).await;
        assert_eq!(long["grant"]["expires_at"], "2026-11-20T11:57:00.000Z");
        app.finish().await;
    }

    async fn refusals_come_in_their_order_and_consume_nothing(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (agent, executor) = (app.client("agent"), app.client("executor"));
        let mine = agent.asks(&json!({"action": "db.read", "parameters": {"a": 1}, "grant": {"audience": "executor"}})).await;
        let token = &mine["grant"]["token"];
        let redeem = "/v1/grants/redeem";
        // Judged before the token is looked at.
        assert_eq!(problem(executor.post(redeem, &json!({"token": "nonsense"})).await, 422, "parameters_required"), ["/parameters"]);
        problem(app.client("other").redeems(token, &json!({"a": 1})).await, 403, "missing_scope");
        let text = token.as_str().unwrap();
        let (signed, signature) = text.rsplit_once('.').unwrap();
        let mut flipped = signature.to_owned();
        flipped.replace_range(..1, if signature.starts_with('A') { "B" } else { "A" });
        let (header, claims) = signed.split_once('.').unwrap();
        let none = format!("{}.{claims}.", URL_SAFE_NO_PAD.encode(json!({"alg": "none", "typ": "cs-grant+jwt"}).to_string()));
        for bad in ["x", "a.b.c", &format!("{signed}.{flipped}"), &none, &format!("{header}.{claims}.")] {
            problem(executor.redeems(&json!(bad), &json!({"a": 1})).await, 401, "bad_token");
        }
        // Wrong audience goes before wrong parameters.
        problem(agent.redeems(token, &json!({"a": 2})).await, 403, "wrong_audience");
        for wrong in [json!({"a": 2}), json!({}), json!({"a": "1"}), json!({"a": 1, "b": 1})] {
            problem(executor.redeems(token, &wrong).await, 422, "parameters_mismatch");
        }
        let stale = format!("sha256:{}", "ab".repeat(32));
        problem(executor.post(redeem, &json!({"token": token, "digest": stale})).await, 422, "parameters_mismatch");
        problem(executor.post(redeem, &json!({"token": token, "digest": mine["digest"], "parameters": {"a": 1}})).await, 422, "invalid_request");
        assert_eq!(agent.reads(&mine["id"]).await["usable"], true);
        let done = executor.post(redeem, &json!({"token": token, "digest": mine["digest"]})).await.expect(200).body;
        assert_eq!(done, json!({"request_id": mine["id"], "action": "db.read", "resource": null, "parameters": {"a": 1}, "jti": mine["grant"]["jti"], "redeemed_at": "2026-11-20T11:40:00.000Z"}));
        // Redeemed goes before expired and before a mismatch.
        app.clock.advance(Duration::from_hours(1));
        problem(executor.redeems(token, &json!({"a": 2})).await, 409, "grant_already_redeemed");
        let read = agent.reads(&mine["id"]).await;
        assert_eq!((&read["usable"], &read["grant"], &read["grant_reason"]), (&json!(false), &Value::Null, &json!("redeemed")));
        assert_eq!(read["feedback"], "The grant of this approval was already redeemed. Ask again to run the action again.");
        let late = agent.asks(&json!({"action": "db.read", "grant": {"audience": "executor"}})).await;
        app.clock.advance(Duration::from_secs(121));
        // Expired goes before a mismatch.
        problem(executor.redeems(&late["grant"]["token"], &json!({"a": 2})).await, 410, "grant_expired");
        let refused = app.events().await.iter().filter(|event| event["type"] == "grant.refused").count();
        assert_eq!(refused, 8, "one event for each of: no parameters, missing scope, bad token, audience, mismatch, both, redeemed, expired");
        app.finish().await;
    }

    async fn of_fifty_at_once_one_redeems(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let agent = app.client("agent");
        let mine = agent.asks(&json!({"action": "db.read"})).await;
        let none = json!({});
        let answers = join_all((0..50).map(|_| agent.redeems(&mine["grant"]["token"], &none))).await;
        let count = |status| answers.iter().filter(|answer| answer.status == status).count();
        assert_eq!((count(200), count(409)), (1, 49));
        let story = app.story(mine["id"].as_str().unwrap()).await;
        assert_eq!(story.iter().filter(|kind| *kind == "grant.redeemed").count(), 1);
        // Fifty first readers at once get one token.
        let mut ask = export();
        ask["action"] = json!("misc.export");
        let mine = agent.asks(&ask).await;
        app.person("bob@example.com").await.reviews(&mine, "approve").await.expect(201);
        let url = path(&mine);
        let answers = join_all((0..50).map(|_| agent.get(&url))).await;
        let tokens: std::collections::BTreeSet<String> = answers.iter().map(|answer| answer.body["grant"]["token"].to_string()).collect();
        assert_eq!(tokens.len(), 1);
        app.finish().await;
    }

    async fn introspection_consumes_nothing(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (agent, executor) = (app.client("agent"), app.client("executor"));
        let mine = agent.asks(&json!({"action": "db.read", "grant": {"audience": "executor"}})).await;
        let token = mine["grant"]["token"].as_str().unwrap();
        let introspect = "/v1/grants/introspect";
        let active = executor.post(introspect, &json!({"token": token})).await.expect(200).body;
        assert_eq!((&active["active"], &active["aud"], &active["request_id"], &active["digest"]), (&json!(true), &json!("executor"), &mine["id"], &mine["digest"]));
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let same = executor.send("POST", introspect, Some(format!("token_type_hint=access_token&token={token}")), &form).await.expect(200).body;
        assert_eq!(same, active);
        for other in ["", "x", "a.b.c"] {
            assert_eq!(executor.post(introspect, &json!({"token": other})).await.expect(200).body, json!({"active": false}));
        }
        // It is nobody else's business.
        assert_eq!(agent.post(introspect, &json!({"token": token})).await.expect(200).body, json!({"active": false}));
        problem(executor.send("POST", introspect, Some("x=y".to_owned()), &form).await, 400, "malformed");
        problem(executor.post(introspect, &json!({})).await, 400, "malformed");
        executor.redeems(&json!(token), &json!({})).await.expect(200);
        assert_eq!(executor.post(introspect, &json!({"token": token})).await.expect(200).body, json!({"active": false}));
        app.finish().await;
    }
}
