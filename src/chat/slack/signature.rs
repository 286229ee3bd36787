//! Owns the proof that a callback comes from Slack: an HMAC over its raw bytes, and its age.
//!
//! Never parses a body, never says what was wrong with a signature, and never accepts an empty secret.
//! Source: docs.slack.dev, "Verifying requests from Slack" (`v0=` + hex HMAC-SHA256 of `v0:{timestamp}:{body}`).

use crate::domain::time::Timestamp;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// Header with the signature.
pub const SIGNATURE: &str = "x-slack-signature";
/// Header with the time of signing, in whole seconds.
pub const TIMESTAMP: &str = "x-slack-request-timestamp";
/// How far the time of signing may be from now, in seconds, either way.
pub const TOLERANCE: u64 = 300;

/// A callback that Slack did not sign, or not now. Deliberately without detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature of the Slack callback is missing, wrong or too old")]
pub struct BadSignature;

/// An empty or missing signing secret: anyone could sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("slack.signing_secret is empty; copy it from the app's settings, Basic Information")]
pub struct EmptySecret;

/// Checks signatures under one secret, or two while one replaces the other.
pub struct Verifier {
    keys: Vec<Hmac<Sha256>>,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Verifier({} secrets)", self.keys.len())
    }
}

impl Verifier {
    /// From the active secrets.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a SecretString>) -> Result<Self, EmptySecret> {
        let keys = secrets
            .into_iter()
            .map(|secret| match secret.expose_secret() {
                "" => Err(EmptySecret),
                text => Hmac::new_from_slice(text.as_bytes()).map_err(|_| EmptySecret),
            })
            .collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() { Err(EmptySecret) } else { Ok(Self { keys }) }
    }

    /// Checks the two headers (exactly one value each) against the raw bytes.
    pub fn verify(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<(), BadSignature> {
        let signature = only(headers, SIGNATURE).and_then(|text| text.strip_prefix("v0=")).and_then(unhex).ok_or(BadSignature)?;
        let signed_at = only(headers, TIMESTAMP).ok_or(BadSignature)?;
        // Digits only: `parse` alone would take "+1" for a number.
        if signed_at.is_empty() || !signed_at.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(BadSignature);
        }
        let seconds: i64 = signed_at.parse().map_err(|_| BadSignature)?;
        let good = self.keys.iter().fold(false, |good, key| {
            let mut mac = key.clone();
            for part in [b"v0:".as_slice(), signed_at.as_bytes(), b":", body] {
                mac.update(part);
            }
            // Every key is tried, so that the time taken does not tell which one matched.
            mac.verify_slice(&signature).is_ok() || good
        });
        if good && now.as_seconds().abs_diff(seconds) <= TOLERANCE { Ok(()) } else { Err(BadSignature) }
    }
}

/// The header's value when there is exactly one.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let pairs = text.as_bytes();
    // Slack writes lower case; another spelling is not its signature.
    let nibble = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    if pairs.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(pairs.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use slack_morphism::SlackSigningSecret;
    use slack_morphism::signature_verifier::SlackEventSignatureVerifier;

    /// Signed by `slack_sdk` 3.47.0: `SignatureVerifier(secret).generate_signature(timestamp=…, body=…)`.
    #[derive(serde::Deserialize)]
    struct Vector {
        secret: String,
        timestamp: String,
        body: String,
        signature: String,
    }

    fn vectors() -> Vec<Vector> {
        serde_json::from_str(include_str!("../../../tests/fixtures/slack-signatures.json")).unwrap()
    }

    fn verifier(secrets: &[&str]) -> Verifier {
        Verifier::new(&secrets.iter().map(|secret| SecretString::from(*secret)).collect::<Vec<_>>()).unwrap()
    }

    fn headers(signature: &str, timestamp: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(SIGNATURE, signature.parse().unwrap());
        headers.insert(TIMESTAMP, timestamp.parse().unwrap());
        headers
    }

    fn seconds(text: &str) -> Timestamp {
        Timestamp::from_millis(text.parse::<i64>().unwrap() * 1_000)
    }

    #[test]
    fn accepts_what_slack_sdk_signs_and_nothing_that_differs_in_a_byte() {
        let all = vectors();
        assert!(all.len() >= 5);
        for vector in all {
            let verifier = verifier(&[&vector.secret]);
            let headers = headers(&vector.signature, &vector.timestamp);
            let now = seconds(&vector.timestamp);
            assert_eq!(verifier.verify(&headers, vector.body.as_bytes(), now), Ok(()), "{}", vector.body);
            let mut other = vector.body.clone().into_bytes();
            other.push(b' ');
            assert_eq!(verifier.verify(&headers, &other, now), Err(BadSignature));
            let mut other = headers.clone();
            other.insert(TIMESTAMP, (now.as_seconds() + 1).to_string().parse().unwrap());
            assert_eq!(verifier.verify(&other, vector.body.as_bytes(), now), Err(BadSignature));
        }
    }

    #[test]
    fn agrees_with_the_crates_verifier() {
        let now = jiff::Timestamp::now().as_second().to_string();
        for (secret, body) in [("s3cret", "payload=%7B%7D"), ("other", ""), ("ключ", "{\"a\":\"ü\"}")] {
            let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
            mac.update(format!("v0:{now}:{body}").as_bytes());
            let hex = mac.finalize().into_bytes().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
            for signature in [format!("v0={hex}"), format!("v0={}", hex.replace('a', "b")), hex.clone()] {
                let theirs =
                    SlackEventSignatureVerifier::new(&SlackSigningSecret(secret.to_owned())).verify(&signature, body, &now).is_ok();
                let ours = verifier(&[secret]).verify(&headers(&signature, &now), body.as_bytes(), seconds(&now)).is_ok();
                assert_eq!(ours, theirs, "{signature}");
            }
        }
    }

    #[test]
    fn two_secrets_are_active_while_one_replaces_the_other() {
        let vector = vectors().remove(0);
        let headers = headers(&vector.signature, &vector.timestamp);
        let now = seconds(&vector.timestamp);
        for (secrets, good) in [(vec!["new", &vector.secret], true), (vec![&vector.secret, "old"], true), (vec!["new", "old"], false)] {
            assert_eq!(verifier(&secrets).verify(&headers, vector.body.as_bytes(), now).is_ok(), good);
        }
    }

    #[test]
    fn the_age_may_be_five_minutes_either_way() {
        let vector = vectors().remove(0);
        let headers = headers(&vector.signature, &vector.timestamp);
        let verifier = verifier(&[&vector.secret]);
        for (shift, good) in [(300, true), (-300, true), (301, false), (-301, false), (86_400 * 365, false)] {
            let now = Timestamp::from_millis((vector.timestamp.parse::<i64>().unwrap() + shift) * 1_000);
            assert_eq!(verifier.verify(&headers, vector.body.as_bytes(), now).is_ok(), good, "{shift}");
        }
    }

    #[test]
    fn headers_that_are_missing_double_or_odd_are_refused() {
        let vector = vectors().remove(0);
        let verifier = verifier(&[&vector.secret]);
        let now = seconds(&vector.timestamp);
        let good = headers(&vector.signature, &vector.timestamp);
        for name in [SIGNATURE, TIMESTAMP] {
            let mut missing = good.clone();
            missing.remove(name);
            assert_eq!(verifier.verify(&missing, vector.body.as_bytes(), now), Err(BadSignature));
            let mut double = good.clone();
            double.append(name, good[name].clone());
            assert_eq!(verifier.verify(&double, vector.body.as_bytes(), now), Err(BadSignature));
        }
        for (signature, timestamp) in [
            (vector.signature.to_uppercase(), vector.timestamp.clone()),
            (vector.signature.replace("v0=", "v1="), vector.timestamp.clone()),
            (vector.signature[..66].to_owned(), vector.timestamp.clone()),
            ("v0=".to_owned(), vector.timestamp.clone()),
            (vector.signature.clone(), format!("+{}", vector.timestamp)),
            (vector.signature.clone(), "99999999999999999999".to_owned()),
            (vector.signature.clone(), String::new()),
        ] {
            assert_eq!(verifier.verify(&headers(&signature, &timestamp), vector.body.as_bytes(), now), Err(BadSignature));
        }
    }

    #[test]
    fn an_empty_secret_is_an_error_at_the_start() {
        assert_eq!(Verifier::new(&[SecretString::from("")]).unwrap_err(), EmptySecret);
        assert_eq!(Verifier::new(&[SecretString::from("a"), SecretString::from("")]).unwrap_err(), EmptySecret);
        assert_eq!(Verifier::new(&[]).unwrap_err(), EmptySecret);
        assert!(!format!("{:?}", verifier(&["s3cret"])).contains("s3cret"));
    }
}
