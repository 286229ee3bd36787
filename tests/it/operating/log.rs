//! The log of the real binary, with every level of every library on.

use crate::support::app::{export, key};
use crate::support::db::both_databases;
use crate::support::server::{Site, Tap};
use crate::support::slack::SECRET;
use rustix::process::Signal;
use serde_json::json;

both_databases! {
    async fn no_secret_and_nobodys_words_reach_the_log_at_any_level(database: TestDatabase) {
        let site = Site::new(database).await;
        let mut command = site.command(&["serve"]);
        command.env("RUST_LOG", "trace");
        let server = site.spawn(command).await;
        let caller = server.caller();
        let mut ask = export();
        ask["parameters"]["password"] = json!("hunter2-hunter2");
        let asked = caller.asks(&ask).await.unwrap();
        assert_eq!(asked.status, 201);
        let id = asked.body["id"].as_str().unwrap();
        caller.delivers(&Tap::approve(&asked.body, "U0BOB")).await.unwrap();
        let decided = caller.call("GET", &format!("/v1/requests/{id}?wait=50"), Some("agent"), None, &[]).await.unwrap().body;
        assert_eq!(decided["status"], "approved");
        let token = decided["grant"]["token"].as_str().unwrap().to_owned();
        assert_eq!(caller.redeems(&decided["grant"]["token"], &ask["parameters"]).await.unwrap().status, 200);
        // A stranger's key, and a refusal of somebody known.
        let stranger = [("authorization", "Bearer cs_key_of_a_stranger")];
        assert_eq!(caller.call("GET", "/v1/requests", None, None, &stranger).await.unwrap().status, 401);
        assert_eq!(caller.call("GET", "/v1/policy", Some("agent"), None, &[]).await.unwrap().status, 403);
        site.until_count("SELECT count(*) FROM delivery WHERE sent_version < wanted_version", 0).await;
        server.signal(Signal::TERM);
        let (status, log) = server.ends().await;
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(log.contains("\"level\":\"TRACE\""), "nothing is traced, so nothing is tested");
        let nonce = decided["nonce"].as_str().unwrap().to_owned();
        let never = [
            key("agent"), SECRET.to_owned(), "xoxb-fake-token".to_owned(), token, nonce, "cs_key_of_a_stranger".to_owned(),
            "hunter2-hunter2".to_owned(), "s3://partner-drop".to_owned(), "FIN-482".to_owned(), "Export customers to the partner bucket".to_owned(),
        ];
        for text in never {
            let line = log.lines().find(|line| line.contains(&text));
            assert!(line.is_none(), "{text} stands in the log: {}", line.unwrap_or_default());
        }
    }
}
