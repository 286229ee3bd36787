//! Starting, reloading and stopping the real binary: whoever waits is answered, work in hand is finished, the log's head is
//! signed; and what keeps a server from starting is told in a sentence.

use crate::support::app::{DIRECTORY, POLICY, export};
use crate::support::db::both_databases;
use crate::support::server::{Ended, PATIENCE, Site, Tap};
use crate::support::slack::model::Message;
use rustix::process::Signal;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// The callers that wait, as the metrics count them.
async fn waiting(metrics: &str) -> usize {
    let text = reqwest::get(format!("http://{metrics}/metrics")).await.unwrap().text().await.unwrap();
    let line = text.lines().find(|line| line.starts_with("countersign_waiting_requests ")).unwrap();
    line.split(' ').nth(1).unwrap().parse().unwrap()
}

/// A port that was free a moment ago.
fn free_address() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Replaces a part of a file of the site.
fn change(site: &Site, file: &str, before: &str, after: &str) {
    let text = std::fs::read_to_string(site.path(file)).unwrap();
    assert!(text.contains(before), "{file} has no {before}");
    std::fs::write(site.path(file), text.replace(before, after)).unwrap();
}

/// The messages in the channel that are no replies.
fn cards(site: &Site) -> Vec<Message> {
    site.slack.messages(crate::support::app::CHANNEL).into_iter().filter(|message| message.thread_ts.is_none()).collect()
}

/// It ended with an error that says all of this, and not the way programs crash.
#[track_caller]
fn says(ended: &Ended, texts: &[&str]) {
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    for text in texts {
        assert!(ended.err.contains(text), "not said: {text}\n{}", ended.err);
    }
}

both_databases! {
    async fn a_stopping_server_answers_whoever_waits_and_signs_its_log(database: TestDatabase) {
        let site = Site::new(database).await;
        let metrics = free_address();
        change(&site, "countersign.toml", "metrics_listen = \"\"", &format!("metrics_listen = \"{metrics}\""));
        let server = site.start().await;
        let caller = server.caller();
        let mut callers = tokio::task::JoinSet::new();
        let mut requests = Vec::new();
        for _ in 0..12 {
            let request = caller.asks(&export()).await.unwrap().body;
            let (caller, path) = (caller.clone(), format!("/v1/requests/{}?wait=50", request["id"].as_str().unwrap()));
            requests.push(request);
            callers.spawn(async move { caller.call("GET", &path, Some("agent"), None, &[]).await });
        }
        let asks = caller.clone();
        callers.spawn(async move { asks.call("POST", "/v1/requests?wait=50", Some("agent"), Some(&export()), &[]).await });
        let all_wait = async {
            while waiting(&metrics).await < 13 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, all_wait).await.expect("not all callers wait");
        server.signal(Signal::TERM);
        while let Some(answer) = callers.join_next().await {
            let answer = answer.unwrap().expect("a caller that waits is answered");
            assert!(matches!(answer.status, 200 | 201), "{answer:?}");
            // The present state, and enough to ask again.
            assert_eq!((&answer.body["status"], answer.body["version"].as_u64()), (&json!("pending"), Some(1)));
            assert!(answer.body["id"].is_string());
        }
        let (status, log) = server.ends().await;
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(log.contains("stopping: waiting callers are answered") && log.contains("\"message\":\"stopped\""), "{log}");
        let unsigned = "SELECT (SELECT max(seq) FROM audit_event) - (SELECT max(seq) FROM audit_head)";
        assert_eq!(site.count(unsigned).await, 0, "the end of the log is not signed");
        assert!(site.log_verifies().out.contains("\"result\": \"intact\""));

        // The same callers ask the next server, and go on.
        let server = site.start().await;
        let caller = server.caller();
        let path = format!("/v1/requests/{}?wait=50", requests[0]["id"].as_str().unwrap());
        let tap = Tap::approve(&requests[0], "U0BOB");
        let (answer, tapped) = tokio::join!(caller.call("GET", &path, Some("agent"), None, &[]), caller.delivers(&tap));
        assert_eq!(tapped.unwrap().status, 200);
        let approved = answer.unwrap().body;
        assert_eq!((&approved["status"], &approved["usable"]), (&json!("approved"), &json!(true)));
        server.stop().await;
    }

    async fn a_stopping_server_finishes_the_work_in_hand(database: TestDatabase) {
        let site = Site::new(database).await;
        let server = site.start().await;
        let gate = site.slack.holds("chat.postMessage");
        let asked = server.caller().asks(&export()).await.unwrap();
        assert_eq!(asked.status, 201);
        gate.holds(1).await;
        // A card is on its way, a person has just tapped, and somebody has sent half a request.
        let tapped = server.caller().delivers(&Tap::approve(&asked.body, "U0BOB")).await.unwrap();
        assert_eq!(tapped.status, 200);
        let mut half = tokio::net::TcpStream::connect(server.url.trim_start_matches("http://")).await.unwrap();
        half.write_all(b"POST /v1/requests HTTP/1.1\r\nhost: x\r\ncontent-le").await.unwrap();
        server.signal(Signal::TERM);
        server.logs("stopping: waiting callers").await;
        gate.release();
        let (status, log) = server.ends().await;
        assert_eq!(status.code(), Some(0), "{log}");
        let mut rest = Vec::new();
        let _ = half.read_to_end(&mut rest).await;
        assert_eq!(cards(&site).len(), 1);
        assert_eq!(site.count("SELECT count(*) FROM delivery WHERE sent_version >= 1 AND posted_ts IS NOT NULL").await, 1, "the card was posted and that is not recorded");
        // The tap is decided, by this life or the next; the card that is there is used.
        let server = site.start().await;
        let path = format!("/v1/requests/{}?wait=50", asked.body["id"].as_str().unwrap());
        let decided = server.caller().call("GET", &path, Some("agent"), None, &[]).await.unwrap();
        assert_eq!(decided.body["status"], "approved");
        site.until_count("SELECT count(*) FROM delivery WHERE sent_version < wanted_version", 0).await;
        let messages = cards(&site);
        assert_eq!(messages.len(), 1);
        assert!(messages[0].text.contains("pproved"), "{}", messages[0].text);
        server.stop().await;
    }

    async fn a_hangup_reads_the_policy_again_and_a_bad_one_changes_nothing(database: TestDatabase) {
        let site = Site::new(database).await;
        let server = site.start().await;
        let caller = server.caller();
        let effect = async |action: &str| caller.call("POST", "/v1/evaluate", Some("agent"), Some(&json!({"action": action})), &[]).await.unwrap().body["effect"].clone();
        assert_eq!(effect("db.purge").await, "review");
        server.signal(Signal::HUP);
        server.logs("SIGHUP: the policy file is unchanged").await;
        std::fs::write(site.path("policy.toml"), POLICY.replace("\"db.drop\"", "\"db.purge\"")).unwrap();
        server.signal(Signal::HUP);
        server.logs("SIGHUP: a new policy is active").await;
        assert_eq!((effect("db.purge").await, effect("db.drop").await), (json!("deny"), json!("review")));

        std::fs::write(site.path("policy.toml"), POLICY.replace("effect = \"deny\"", "effect = \"dany\"")).unwrap();
        server.signal(Signal::HUP);
        server.logs("SIGHUP: the policy file does not load; the old policy stays").await;
        assert!(server.log().contains("policy.toml:24:10: error: rule no-drop"), "{}", server.log());
        assert_eq!(effect("db.purge").await, "deny");
        std::fs::remove_file(site.path("policy.toml")).unwrap();
        server.signal(Signal::HUP);
        site.until_count("SELECT count(*) FROM audit_event WHERE type = 'policy.error'", 2).await;
        assert_eq!(effect("db.purge").await, "deny");
        assert_eq!(server.get("/readyz").await.unwrap().status, 200);
        server.stop().await;
        site.log_verifies();

        // A start is not a reload: without a policy there is no server.
        says(&site.does_not_start().await, &["error: policy:", "policy.toml", "No such file or directory"]);
    }

    async fn what_keeps_a_server_from_starting_is_told(database: TestDatabase) {
        let site = Site::new(database).await;
        let good = std::fs::read_to_string(site.path("countersign.toml")).unwrap();
        let restore = || std::fs::write(site.path("countersign.toml"), &good).unwrap();

        // The configuration: every mistake at once, with its place.
        std::fs::write(site.path("countersign.toml"), good.replace("[server]\n", "[server]\nlisten_on = 1\n").replace("[policy]\n", "[policy]\nsource = \"fil\"\n")).unwrap();
        says(&site.does_not_start().await, &["error: the configuration has 2 mistakes:", "countersign.toml:2:1", "listen_on", "fil"]);
        std::fs::write(site.path("countersign.toml"), good.replace("[grants]", "[grants")).unwrap();
        says(&site.does_not_start().await, &["error: the configuration has 1 mistake:", "countersign.toml:9:8: unclosed table"]);
        restore();

        // The policy: its mistakes with their places.
        std::fs::write(site.path("policy.toml"), POLICY.replace("\"no-drop\"\neffect = \"deny\"", "\"no-drop\"\neffect = \"dany\"")).unwrap();
        says(&site.does_not_start().await, &["error: the policy has mistakes:", "policy.toml:24:10: error: rule no-drop: \"effect\" must be one of \"allow\", \"review\", \"deny\""]);
        std::fs::write(site.path("policy.toml"), POLICY).unwrap();

        // Nobody but the owner may read a key.
        let private = std::fs::metadata(site.path("grant-key.pem")).unwrap().permissions();
        std::fs::set_permissions(site.path("grant-key.pem"), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        says(&site.does_not_start().await, &["error: the grant key ", "has mode 0644: group or others can reach it; run: chmod 600 "]);
        std::fs::set_permissions(site.path("grant-key.pem"), private).unwrap();

        // A port that is taken: the server that has it is not disturbed.
        let server = site.start().await;
        let address = server.url.trim_start_matches("http://").to_owned();
        site.configure(&site.database.url(), &address);
        let events = site.count("SELECT count(*) FROM audit_event").await;
        change(&site, "countersign.toml", "name = \"reader\"", "name = \"somebody-else\"");
        says(&site.does_not_start().await, &[&format!("error: cannot listen on {address}"), "because: Address already in use"]);
        assert_eq!(site.count("SELECT count(*) FROM audit_event").await, events, "a server that does not start changed something");
        server.stop().await;
        restore();

        // Keys that are gone or are others: the database was made with these.
        for (file, name, command) in [
            ("countersign.key", "master key", "rand"),
            ("grant-key.pem", "grant key", "P-256"),
            ("audit-key.pem", "audit key", "ed25519"),
        ] {
            let kept = site.path("kept");
            std::fs::rename(site.path(file), &kept).unwrap();
            let ended = site.does_not_start().await;
            says(&ended, &[&format!("the {name}"), file]);
            assert!(!site.path(file).exists(), "a new {name} was made for an old database");
            let others = tempfile::tempdir().unwrap();
            crate::support::keys::write(others.path());
            std::fs::copy(others.path().join(file), site.path(file)).unwrap();
            says(&site.does_not_start().await, &[&format!("error: the {name} is not the one that this database was made with; restore the former key file")]);
            std::fs::write(site.path(file), "nonsense").unwrap();
            says(&site.does_not_start().await, &[&format!("error: the {name} "), "is not usable", command]);
            std::fs::rename(&kept, site.path(file)).unwrap();
        }

        // A directory that does not load is no reason not to start, because denials need none; approvals are refused and readiness says so.
        std::fs::write(site.path("directory.toml"), "[[person]]\nname = 1\n").unwrap();
        let server = site.start().await;
        assert!(server.get("/readyz").await.unwrap().body["degraded"]["directory"].is_string());
        std::fs::write(site.path("directory.toml"), DIRECTORY).unwrap();
        server.stop().await;

        // A database that cannot be reached or opened.
        let unreachable =
            if site.database.is_postgres() { format!("postgres://postgres@{}/x", free_address()) } else { "sqlite:///nowhere/at/all.db".to_owned() };
        site.configure(&unreachable, "127.0.0.1:0");
        says(&site.does_not_start().await, &["error: database: "]);
        restore();
        site.start().await.stop().await;
        site.log_verifies();
    }
}
