//! One try against listeners of our own.

use super::*;
use futures::future::BoxFuture;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Says that every name has these addresses.
struct Says(Vec<SocketAddr>);

impl Lookup for Says {
    fn lookup(&self, _name: String) -> BoxFuture<'static, std::io::Result<Vec<SocketAddr>>> {
        let addresses = self.0.clone();
        Box::pin(async move { Ok(addresses) })
    }
}

fn webhooks(allowed: &[String], names: &[&str]) -> Webhooks {
    let secret = WebhookSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let guard = Guard::new(allowed.iter().map(|text| text.parse().unwrap()).collect());
    let names = names.iter().map(|address| SocketAddr::new(address.parse().unwrap(), 0)).collect();
    Webhooks::new(guard, HashMap::from([("agent".to_owned(), secret)]), Arc::new(Says(names))).unwrap()
}

const MESSAGE: Message<'static> = Message { id: "msg_1", timestamp: 1_614_265_330, body: "{}" };

/// Answers one call with these bytes; what it was called with.
async fn receiver(answer: &'static str) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let called = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut text = String::new();
        while !text.contains("\r\n\r\n") || !text.ends_with("{}") {
            let mut bytes = [0; 1024];
            let count = stream.read(&mut bytes).await.unwrap();
            assert!(count > 0, "{text}");
            text.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        text
    });
    (address, called)
}

#[tokio::test]
async fn a_try_is_a_signed_post() {
    let (address, called) = receiver("HTTP/1.1 204 No Content\r\n\r\n").await;
    let webhooks = webhooks(std::slice::from_ref(&address), &[]);
    webhooks.send("agent", &format!("http://{address}/cs?x=1"), MESSAGE).await.unwrap();
    let text = called.await.unwrap();
    assert!(text.starts_with("POST /cs?x=1 HTTP/1.1\r\n"), "{text}");
    for header in ["content-type: application/json", "webhook-id: msg_1", "webhook-timestamp: 1614265330", "webhook-signature: v1,"] {
        assert!(text.contains(&format!("\r\n{header}")), "{header}: {text}");
    }
}

#[tokio::test]
async fn an_answer_is_read_by_its_status() {
    let retry = |code: &str, after: Option<u64>| Err(SendError::Retry { code: code.to_owned(), after: after.map(Duration::from_secs) });
    for (answer, wanted) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 999999999999\r\n\r\nwithout end", Ok(())),
        ("HTTP/1.1 410 Gone\r\n\r\n", Err(SendError::Final { code: "http_410" })),
        ("HTTP/1.1 500 Oops\r\n\r\n", retry("http_500", None)),
        ("HTTP/1.1 429 Slow\r\nretry-after: 77\r\n\r\n", retry("http_429", Some(77))),
        // A redirect is not followed: it could lead anywhere.
        ("HTTP/1.1 307 Elsewhere\r\nlocation: http://127.0.0.1:1/\r\n\r\n", retry("http_307", None)),
        ("nonsense\r\n\r\n", retry("connection_lost", None)),
    ] {
        let (address, called) = receiver(answer).await;
        let result = webhooks(std::slice::from_ref(&address), &[]).send("agent", &format!("http://{address}/"), MESSAGE).await;
        assert_eq!(result, wanted, "{answer}");
        called.await.unwrap();
    }
}

#[tokio::test]
async fn a_name_that_leads_inside_is_not_called() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for names in [&["127.0.0.1"] as &[&str], &["93.184.216.34", "127.0.0.1"], &["::ffff:127.0.0.1"], &["169.254.169.254"], &[]] {
        let result = webhooks(&[], names).send("agent", &format!("https://rebound.example.com:{port}/"), MESSAGE).await;
        assert_eq!(result, Err(SendError::retry("address_refused")), "{names:?}");
    }
    // Nobody came.
    assert!(futures::FutureExt::now_or_never(listener.accept()).is_none());
}

#[tokio::test]
async fn nothing_is_sent_unsigned_or_to_an_inner_literal() {
    let webhooks = webhooks(&[], &["127.0.0.1"]);
    assert_eq!(webhooks.send("other", "https://caller.example.com/", MESSAGE).await, Err(SendError::retry("no_secret")));
    assert_eq!(webhooks.send("agent", "https://127.1/", MESSAGE).await, Err(SendError::retry("address_refused")));
}
