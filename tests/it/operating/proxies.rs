//! The address of a client, as the log of the real server tells it: with a proxy that is trusted, and without.

use crate::support::db::TestDatabase;
use crate::support::server::{Server, Site};
use serde_json::Value;

/// Strangers come, through a proxy or not: each with these words about where from.
async fn strangers(server: &Server, forwarded: &[&str]) {
    for address in forwarded {
        let headers = [("x-forwarded-for", *address), ("authorization", "Bearer cs_wrong_key")];
        let answer = server.caller().call("GET", "/v1/requests", None, None, &headers).await.unwrap();
        assert_eq!(answer.status, 401);
    }
}

fn lines(server: &Server) -> Vec<(String, u64)> {
    let log = server.log();
    let lines =
        log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).filter(|line| line["message"] == "a stranger was refused");
    lines.map(|line| (line["client.address"].as_str().unwrap().to_owned(), line["unlogged"].as_u64().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_trusted_proxy_says_stands_in_the_log_and_not_without_end() {
    let site = Site::new(TestDatabase::sqlite().await).await;
    let mut command = site.command(&["serve"]);
    command.env("COUNTERSIGN_SERVER__TRUSTED_PROXIES", "127.0.0.1,10.0.0.0/8").env("RUST_LOG", "countersign=debug");
    let server = site.spawn(command).await;
    strangers(&server, &["6.6.6.6, 203.0.113.7, 10.1.1.1", "6.6.6.6, unknown", "2001:db8::7"]).await;
    strangers(&server, &["203.0.113.8"; 30]).await;
    // The last of them has no line of its own any more, but the access log has it.
    strangers(&server, &["203.0.113.9"]).await;
    server.logs("203.0.113.9").await;
    let told = lines(&server);
    assert_eq!(told.len(), 10, "{told:?}");
    assert_eq!(
        told[..4].iter().map(|(address, _)| address.as_str()).collect::<Vec<_>>(),
        ["203.0.113.7", "127.0.0.1", "2001:db8::7", "203.0.113.8"]
    );
    // The access log has it too; neither has what was sent as a key.
    let answered =
        server.log().lines().filter(|line| line.contains("\"answered\"") && line.contains("\"client.address\":\"203.0.113.8\"")).count();
    assert_eq!(answered, 30);
    assert!(!server.log().contains("cs_wrong_key"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_trusted_proxies_nobody_is_believed() {
    let site = Site::new(TestDatabase::sqlite().await).await;
    let server = site.start().await;
    strangers(&server, &["203.0.113.7"]).await;
    server.logs("a stranger was refused").await;
    assert_eq!(lines(&server), [("127.0.0.1".to_owned(), 0)]);
    server.stop().await;
}
