//! Owns the examples and the traps of the parent module; never needs more than its public face.

use super::*;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

const NOW: Timestamp = Timestamp::from_millis(1_795_174_800_000);
const ABOUT: &str = "req_01M7WC36M0EQ1SX39VF90F5HJH:9f2c41d7a0bef7c0e353bbeb423b00a221a73740bef3f4d8cb73a1ef61262ddc";

fn inbound(allowed: &[&str], app_id: Option<&str>) -> SlackInbound {
    let intake = Intake::new(allowed.iter().map(|id| (*id).to_owned()));
    if let Some(app_id) = app_id {
        intake.learn(app_id);
    }
    SlackInbound::new(&[SecretString::from("s3cret")], Arc::new(intake)).unwrap()
}

fn signed(body: &[u8]) -> HeaderMap {
    let seconds = NOW.as_seconds().to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(b"s3cret").unwrap();
    for part in [b"v0:".as_slice(), seconds.as_bytes(), b":", body] {
        mac.update(part);
    }
    let hex = mac.finalize().into_bytes().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let mut headers = HeaderMap::new();
    headers.insert("x-slack-signature", format!("v0={hex}").parse().unwrap());
    headers.insert("x-slack-request-timestamp", seconds.parse().unwrap());
    headers
}

fn form(payload: &Value) -> Vec<u8> {
    url::form_urlencoded::Serializer::new(String::new()).append_pair("payload", &payload.to_string()).finish().into_bytes()
}

fn payload() -> Value {
    json!({
        "type": "block_actions", "user": {"id": "U0BOB", "team_id": "T1"}, "team": {"id": "T1"}, "api_app_id": "A1", "trigger_id": "1.2.x",
        "actions": [{"type": "button", "action_id": "cs.deny", "value": ABOUT, "action_ts": "1.5"}],
    })
}

fn ask(inbound: &SlackInbound, body: &[u8]) -> Result<Received, Rejection> {
    inbound.authenticate(&signed(body), body, NOW).map(Verified::into_inner)
}

#[test]
fn a_signed_tap_of_a_configured_workspace_comes_through() {
    let inbound = inbound(&["T1"], Some("A1"));
    assert!(matches!(ask(&inbound, &form(&payload())), Ok(Received::In(Inbound::Tap(tap))) if tap.account.user_id == "U0BOB"));
}

#[test]
fn nothing_is_parsed_before_the_signature_is_verified() {
    let inbound = inbound(&["T1"], None);
    for body in [
        b"\xff\xfe".to_vec(),
        b"{".to_vec(),
        br#"{"type":"url_verification","challenge":"c"}"#.to_vec(),
        b"ssl_check=1".to_vec(),
        form(&payload()),
    ] {
        let rejection = inbound.authenticate(&HeaderMap::new(), &body, NOW).unwrap_err();
        assert_eq!((rejection.clone(), rejection.status()), (Rejection::Unsigned, 401));
    }
    let huge = vec![b'a'; BODY_LIMIT + 1];
    assert_eq!(inbound.authenticate(&HeaderMap::new(), &huge, NOW).unwrap_err().status(), 413);
}

#[test]
fn slacks_own_checks_are_answered() {
    let inbound = inbound(&["T1"], None);
    assert_eq!(
        ask(&inbound, br#"{"token":"x","type":"url_verification","challenge":"3eZb\u00fc"}"#),
        Ok(Received::Challenge("3eZbü".to_owned()))
    );
    assert_eq!(ask(&inbound, b"ssl_check=1&token=x"), Ok(Received::In(Inbound::Nothing)));
    assert_eq!(
        ask(&inbound, br#"{"type":"event_callback","team_id":"T1","event":{"type":"channel_rename"}}"#),
        Ok(Received::In(Inbound::Nothing))
    );
    let mut closed = payload();
    closed["type"] = json!("view_closed");
    assert_eq!(ask(&inbound, &form(&closed)), Ok(Received::In(Inbound::Nothing)));
}

#[test]
fn other_workspaces_and_apps_are_strangers_and_an_empty_list_is_nobody() {
    for (allowed, app, good) in [
        (vec!["T1"], None, true),
        (vec!["T2", "T1"], Some("A1"), true),
        (vec!["T1"], Some("A2"), false),
        (vec!["T2"], None, false),
        (vec![], None, false),
    ] {
        let answer = ask(&inbound(&allowed, app), &form(&payload()));
        assert_eq!(answer.is_ok(), good);
        if let Err(rejection) = answer {
            assert_eq!((rejection.clone(), rejection.status()), (Rejection::Stranger, 403));
        }
    }
    let mut org = payload();
    org["team"] = Value::Null;
    org["enterprise"] = json!({"id": "E1"});
    assert!(ask(&inbound(&["E1"], None), &form(&org)).is_ok());
    assert_eq!(ask(&inbound(&["E2"], None), &form(&org)), Err(Rejection::Stranger));
}

#[test]
fn what_cannot_be_read_is_malformed_and_never_a_panic() {
    let inbound = inbound(&["T1"], None);
    for body in [
        b"".to_vec(),
        b"\xff".to_vec(),
        b"payload=%ff".to_vec(),
        b"payload=%".to_vec(),
        b"payload={".to_vec(),
        b"payload=1&payload=2".to_vec(),
        b"ssl_check=0".to_vec(),
        b"{}".to_vec(),
        b"{\xff}".to_vec(),
        b"a=b".to_vec(),
    ] {
        assert_eq!(ask(&inbound, &body).unwrap_err().status(), 400, "{body:?}");
    }
    let mut other = payload();
    other["actions"][0]["action_id"] = json!("another.app");
    assert_eq!(ask(&inbound, &form(&other)).unwrap_err(), Rejection::Malformed(PayloadError::UnknownAction));
}
