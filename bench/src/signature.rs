//! Owns the cost of one grant's signature, measured in this process with the product's own signer.

use anyhow::Context as _;
use countersign::domain::ask::Ask;
use countersign::domain::digest::Nonce;
use countersign::domain::ids::{ClientId, GrantId, RequestId};
use countersign::domain::policy::{ClientFacts, Facts, History, Policy};
use countersign::domain::request::{ClientRef, Opening, Request};
use countersign::domain::time::Timestamp;
use countersign::engine::signer::GrantSigner;
use secrecy::SecretString;
use std::path::Path;
use std::time::{Duration, Instant};

const POLICY: &str = "default = \"deny\"\n[[rule]]\nid = \"read-only\"\neffect = \"allow\"\nmatch = { action = \"*.read\" }\n";

/// Median time of one token: claims, base64, ES256.
pub fn cost(grant_key: &Path) -> anyhow::Result<Duration> {
    let key = SecretString::from(std::fs::read_to_string(grant_key).context("the server's grant key")?);
    let signer = GrantSigner::new(&key, "http://127.0.0.1:8080").map_err(|error| anyhow::anyhow!("{error}"))?;
    let now = Timestamp::from_millis(1_795_174_800_000);
    let request = allowed(now)?;
    let jti = GrantId::new(now, [1; 10]);
    let until = now.plus(Duration::from_secs(120));
    let mut samples = Vec::new();
    for _ in 0..2_000 {
        let start = Instant::now();
        std::hint::black_box(signer.sign(&request, &jti, now, until)).context("not signed")?;
        samples.push(start.elapsed());
    }
    Ok(crate::stats::percentile(&mut samples, 50.0))
}

fn allowed(now: Timestamp) -> anyhow::Result<Request> {
    let body = serde_json::from_slice(&crate::server::ask("db.read"))?;
    let ask = Ask::from_value(&body).map_err(|errors| anyhow::anyhow!("{errors:?}"))?;
    let policy = Policy::parse(POLICY).map_err(|findings| anyhow::anyhow!("{findings:?}"))?;
    let id = ClientId::new(now, [2; 10]);
    let evaluation = policy.evaluate(&Facts {
        action: &ask.action,
        resource: ask.resource.as_ref(),
        parameters: &ask.parameters,
        context: ask.context.as_ref(),
        client: ClientFacts { id: id.as_str(), name: "bench", owner: Some("alice@example.com") },
        on_behalf_of: None,
        history: History::default(),
        now,
    });
    let opening = Opening {
        id: RequestId::new(now, [3; 10]),
        client: ClientRef { id, name: "bench".to_owned() },
        on_behalf_of: None,
        ask,
        nonce: Nonce::new([4; 16]),
        commitment_key: [5; 16],
        evaluation,
        policy_version: policy.version().to_owned(),
    };
    Ok(Request::open(opening, now).after().clone())
}
