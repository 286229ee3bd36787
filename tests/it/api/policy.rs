//! Owns `/v1/policy`.

use super::problem;
use crate::support::app::{Options, POLICY, TestApp};
use crate::support::db::both_databases;
use futures::future::join_all;
use serde_json::{Value, json};

const TOML: (&str, &str) = ("content-type", "application/toml");

both_databases! {
    async fn a_policy_is_replaced_by_who_knows_the_present_one(database: TestDatabase) {
        let app = TestApp::with(database, Options { policy_by_api: true, ..Options::default() }).await;
        let (admin, reader, agent) = (app.client("admin"), app.client("reader"), app.client("agent"));
        let read = reader.get("/v1/policy").await.expect(200);
        assert_eq!(read.body, Value::from(POLICY));
        let etag = read.headers["etag"].to_str().unwrap().to_owned();
        let created = agent.asks(&json!({"action": "misc.thing"})).await;
        assert_eq!(etag, format!("\"{}\"", created["policy"]["version"].as_str().unwrap()));
        let other = POLICY.replace("db.drop", "misc.*");
        let put = async |text: &str, headers: &[(&str, &str)]| admin.send("PUT", "/v1/policy", Some(text.to_owned()), headers).await;
        problem(put(&other, &[TOML]).await, 428, "precondition_required");
        problem(put(&other, &[TOML, ("if-match", "\"sha256:00\"")]).await, 412, "precondition_failed");
        let mistakes = put("default = \"maybe\"\n[[rule]]\nid = \"x\"\nstep_up = true\n", &[TOML, ("if-match", &etag)]).await;
        assert!(mistakes.body["errors"].as_array().unwrap().iter().all(|error| error["detail"].as_str().unwrap().starts_with("line ")), "{}", mistakes.body);
        problem(mistakes, 422, "invalid_policy");
        assert_eq!(agent.asks(&json!({"action": "misc.thing"})).await["status"], "pending");
        let done = put(&other, &[TOML, ("if-match", &etag)]).await.expect(200);
        let next = done.headers["etag"].to_str().unwrap().to_owned();
        assert_eq!(next, format!("\"{}\"", done.body["version"].as_str().unwrap()));
        assert_eq!(agent.asks(&json!({"action": "misc.thing"})).await["status"], "denied");
        problem(put(POLICY, &[TOML, ("if-match", &etag)]).await, 412, "precondition_failed");
        // Of many who replace the same version, one does.
        let texts: Vec<String> = (0..8).map(|number| format!("{POLICY}\n# {number}\n")).collect();
        let headers = [TOML, ("if-match", next.as_str())];
        let answers = join_all(texts.iter().map(|text| put(text, &headers))).await;
        let count = |status| answers.iter().filter(|answer| answer.status == status).count();
        assert_eq!((count(200), count(412)), (1, 7));
        let won = answers.iter().find(|answer| answer.status == 200).unwrap();
        assert_eq!(reader.get("/v1/policy").await.headers["etag"], won.headers["etag"]);
        let changes = app.events().await.iter().filter(|event| event["type"] == "policy.changed" && event["actor"]["kind"] == "client").count();
        assert_eq!(changes, 2);
        app.finish().await;
    }

    async fn a_file_is_changed_as_a_file(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let etag = app.client("reader").get("/v1/policy").await.headers["etag"].to_str().unwrap().to_owned();
        for headers in [&[TOML][..], &[TOML, ("if-match", &etag)][..]] {
            problem(app.client("admin").send("PUT", "/v1/policy", Some(POLICY.to_owned()), headers).await, 409, "policy_is_file_managed");
        }
        app.finish().await;
    }

    async fn a_policy_is_checked_without_any_effect(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let reader = app.client("reader");
        let etag = reader.get("/v1/policy").await.headers["etag"].clone();
        let good = reader.send("POST", "/v1/policy/check", Some(POLICY.to_owned()), &[TOML]).await.expect(200).body;
        assert_eq!((&good["ok"], format!("{:?}", good["version"].as_str().unwrap())), (&json!(true), etag.to_str().unwrap().to_owned()));
        let bad = reader.send("POST", "/v1/policy/check", Some("default = \"review\"\nroutes = 1\n[[mask]]\n".to_owned()), &[TOML]).await.expect(200).body;
        assert_eq!((&bad["ok"], &bad["version"]), (&json!(false), &Value::Null));
        let finding = &bad["findings"][0];
        assert!(finding["line"].as_u64().unwrap() > 0 && finding["message"].is_string(), "{bad}");
        problem(reader.raw("POST", "/v1/policy/check", Some(vec![0xff, 0xfe]), &[TOML]).await, 400, "malformed");
        let large = format!("# {}", "x".repeat(8 * 1024 * 1024));
        problem(reader.send("POST", "/v1/policy/check", Some(large), &[TOML]).await, 413, "too_large");
        assert_eq!(reader.get("/v1/policy").await.headers["etag"], etag);
        app.finish().await;
    }
}
