//! Owns what must hold for any bytes at the places where strangers' bytes come in. Each function is the body of one fuzz target, and
//! runs over its corpus in the usual tests.
//!
//! Never needs more than the library's public face, a clock or a network.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use countersign::chat::slack::callback::SlackInbound;
use countersign::chat::slack::intake::Intake;
use countersign::domain::ask::Ask;
use countersign::domain::digest::Nonce;
use countersign::domain::policy::{Policy, parse_cases};
use countersign::domain::time::Timestamp;
use countersign::domain::{json, mask};
use countersign::engine::signer::GrantSigner;
use countersign::fake_slack::{SECRET, person};
use countersign::webhook::{Guard, Target, guard};
use secrecy::SecretString;
use serde_json::Value;
use std::net::IpAddr;
use std::sync::Arc;

const NOW: Timestamp = Timestamp::from_millis(1_795_174_800_000);

/// A callback of Slack: without a signature nothing is accepted; with one nothing breaks, and nobody from elsewhere comes in.
pub(crate) fn callback(bytes: &[u8]) {
    let secret = SecretString::from(SECRET);
    let inbound = SlackInbound::new([&secret], Arc::new(Intake::new(["T0ACME".to_owned()]))).expect("a secret that is not empty");
    assert!(inbound.authenticate(&HeaderMap::new(), bytes, NOW).is_err(), "unsigned bytes were accepted");
    let Ok(body) = std::str::from_utf8(bytes) else { return };
    let headers: HeaderMap = person::sign(SECRET, body, NOW)
        .into_iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(&value).expect("hexadecimal")))
        .collect();
    let accepted = inbound.authenticate(&headers, bytes, NOW);
    let late = Timestamp::from_millis(NOW.as_millis() + 3_600_000);
    assert!(inbound.authenticate(&headers, bytes, late).is_err(), "an old signature was accepted");
    let changed = [bytes, b" "].concat();
    assert!(inbound.authenticate(&headers, &changed, NOW).is_err(), "a signature of other bytes was accepted");
    drop(accepted);
}

/// The body of a request: read strictly, and what is shown of it is a copy that stays within it.
pub(crate) fn request(bytes: &[u8]) {
    let Ok(value) = json::parse(bytes) else { return };
    let Ok(ask) = Ask::from_value(&value) else { return };
    let masked = mask::mask_parameters(&ask.parameters, &ask.sensitive, &[], Nonce::new([7; 16]));
    assert!(ask.sensitive.is_empty() || masked.count > 0, "what was called sensitive is shown");
    assert_eq!(masked.count, masked.pointers.len() + masked.hidden.len());
    let canonical = json::parse(&json::canonical(&value)).expect("canonical JSON is JSON");
    let again = Ask::from_value(&canonical).expect("another spelling of a body is as good");
    assert!(json::same(&Value::Object(again.parameters), &Value::Object(ask.parameters)), "another spelling has other parameters");
}

/// A policy, and the cases to test one: whatever it is, it is read or refused with a place.
pub(crate) fn policy(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Policy::parse(text) {
        Ok(policy) => assert!(policy.version().starts_with("sha256:")),
        Err(findings) => assert!(findings.iter().any(|finding| finding.line > 0 && finding.column > 0)),
    }
    let _ = parse_cases(text);
}

/// JSON in its canonical form: has one spelling, and reading it changes nothing.
pub(crate) fn canonical(bytes: &[u8]) {
    let Ok(value) = json::parse(bytes) else { return };
    let form = json::canonical(&value);
    let again = json::parse(&form).expect("canonical JSON is JSON");
    assert!(json::same(&value, &again));
    assert_eq!(json::canonical(&again), form);
}

/// A grant: recognised as it was signed, or not at all.
pub(crate) fn grant(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let known: Value = serde_json::from_str(include_str!("../tests/fixtures/first-release.json")).expect("the fixture is JSON");
    let key = format!(
        "-----BEGIN {0}-----\n{1}\n-----END {0}-----\n",
        "PRIVATE KEY",
        known["keys"]["grant-key.pem"].as_str().unwrap_or_default()
    );
    let issuer = known["public_url"].as_str().unwrap_or_default();
    let signer = GrantSigner::new(&SecretString::from(key), issuer).expect("the key of the fixture");
    let text = text.trim_end_matches('\n');
    if signer.recognise(text).is_some() {
        assert_eq!(Some(text), known["grant"]["token"].as_str(), "a token that nobody signed was recognised");
    }
}

/// The address of a webhook: what passes is https, without credentials, and not an address inside.
pub(crate) fn webhook_url(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(target) = Guard::default().check(text) else { return };
    let Target::Public(url) = target else { panic!("nothing is allowed, and this was: {text}") };
    assert_eq!(url.scheme(), "https");
    assert!(url.username().is_empty() && url.password().is_none(), "{text}");
    let address = match url.host() {
        Some(url::Host::Ipv4(address)) => Some(IpAddr::V4(address)),
        Some(url::Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        Some(url::Host::Domain(name)) => {
            assert!(!name.eq_ignore_ascii_case("localhost"), "{text}");
            None
        }
        None => panic!("{text} has no host"),
    };
    assert!(address.is_none_or(guard::is_public), "{text} leads inside");
}
