//! Tests of key files, derivation, sealing and signing; a key and a public key from RFC 8410 are fixtures, so that ours is not the only opinion.

use super::*;
use crate::config::api_key::hex;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey};
use base64::Engine;
use secrecy::ExposeSecret;
use std::os::unix::fs::PermissionsExt;

/// RFC 8410 §10.3: the example of an Ed25519 private key.
const RFC_8410: &str =
    "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
const KINDS: [KeyKind; 3] = [KeyKind::Master, KeyKind::Grant, KeyKind::Audit];

fn master(byte: u8) -> MasterKey {
    MasterKey::from_text(&SecretString::from(base64::engine::general_purpose::STANDARD.encode([byte; 32]))).unwrap()
}

#[test]
fn a_missing_key_is_made_once_when_allowed() {
    for kind in KINDS {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let first = load_or_create(&path, kind, true).unwrap();
        assert!(first.created);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        let second = load_or_create(&path, kind, true).unwrap();
        assert!(!second.created);
        assert_eq!(first.text.expose_secret(), second.text.expose_secret());
        let files: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(files, ["key"], "no draft stays behind");
    }
}

#[test]
fn a_missing_key_is_an_error_when_not_allowed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("grant-key.pem");
    let message = load_or_create(&path, KeyKind::Grant, false).unwrap_err().to_string();
    let shown = path.display();
    assert_eq!(
        message,
        format!(
            "the grant key {shown} does not exist, and a new one would not fit the data that exists; restore it, or make one for a new installation: \
             umask 077; openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 > {shown}"
        )
    );
    assert!(!path.exists());
    std::os::unix::fs::symlink(directory.path().join("nowhere"), &path).unwrap();
    assert!(matches!(load_or_create(&path, KeyKind::Grant, true), Err(KeyError::Read { .. })), "a dangling link is not a fresh start");
}

#[test]
fn a_key_that_others_can_reach_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("countersign.key");
    load_or_create(&path, KeyKind::Master, true).unwrap();
    for mode in [0o640, 0o604, 0o660, 0o601] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let message = load_or_create(&path, KeyKind::Master, true).unwrap_err().to_string();
        let shown = path.display();
        assert_eq!(message, format!("the master key {shown} has mode {mode:04o}: group or others can reach it; run: chmod 600 {shown}"));
    }
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).unwrap();
    assert!(load_or_create(&path, KeyKind::Master, false).is_ok());
}

#[test]
fn a_file_that_is_no_key_is_refused_without_showing_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    let p256 = load_or_create(&directory.path().join("p256"), KeyKind::Grant, true).unwrap().text;
    let cases = [
        (KeyKind::Master, "", "it is empty"),
        (KeyKind::Master, "hunter2!", "it is not base64"),
        (KeyKind::Master, "aHVudGVyMg==", "it does not hold exactly 32 bytes"),
        (KeyKind::Master, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "it is all zeros"),
        (KeyKind::Grant, "\n", "it is empty"),
        (KeyKind::Grant, "hunter2", "it is not one PEM block \"PRIVATE KEY\""),
        (KeyKind::Grant, "-----BEGIN PRIVATE KEY-----\nhunter2!\n-----END PRIVATE KEY-----", "its PEM block is not base64"),
        (KeyKind::Grant, "-----BEGIN EC PRIVATE KEY-----\n", "it is in the SEC 1 form; convert it with: openssl pkcs8 -topk8 -nocrypt"),
        (KeyKind::Grant, "-----BEGIN ENCRYPTED PRIVATE KEY-----\n", "it is encrypted; decrypt it with: openssl pkcs8 -nocrypt"),
        (KeyKind::Grant, RFC_8410, "it is not an EC P-256 key in PKCS#8"),
        (KeyKind::Audit, p256.expose_secret(), "it is not an Ed25519 key in PKCS#8"),
    ];
    for (kind, text, reason) in cases {
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let message = load_or_create(&path, kind, true).unwrap_err().to_string();
        assert_eq!(message, format!("the {} {} is not usable: {reason}; make one with: {}", kind.name(), path.display(), kind.recipe()));
        let message = load(&KeySource::Text(SecretString::from(text)), kind, true).unwrap_err().to_string();
        assert!(message.contains("from the configuration is not usable") && !message.contains("hunter2"), "{message}");
    }
    assert!(matches!(load_or_create(directory.path(), KeyKind::Master, true), Err(KeyError::Read { .. })));
    assert!(matches!(load_or_create(&directory.path().join("no/such/key"), KeyKind::Master, true), Err(KeyError::Create { .. })));
}

#[test]
fn processes_that_start_at_once_use_one_key() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    let loaded: Vec<Loaded> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(|| load_or_create(&path, KeyKind::Master, true).unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(loaded.iter().filter(|key| key.created).count(), 1);
    assert!(loaded.iter().all(|key| key.text.expose_secret() == loaded[0].text.expose_secret()));
}

#[test]
fn subkeys_are_those_of_rfc_5869() {
    // Computed with Python: hmac-sha256 extract (salt "countersign/v1", 32 bytes 0x07) and one block of expand.
    let hex = |key: &Subkey| hex(key.expose());
    let key = master(7);
    assert_eq!(hex(&key.derive(Purpose::Session)), "a8655c89adaee1d5fa8e868e51c5814b94238997132d8b360534cee6e5c54e9d");
    assert_eq!(hex(&key.derive(Purpose::Commitment)), "38c6dc32690ee420ac146f65e7e9d3bd47292c942878444e2d892c39a6b578fe");
    assert_eq!(hex(&key.derive(Purpose::Data)), "0a50d58a32787671850014a7ae96fa276c869ff8e6a0ad099b5703750b94335c");
    assert_ne!(hex(&master(8).derive(Purpose::Data)), hex(&key.derive(Purpose::Data)));
}

#[test]
fn what_is_sealed_opens_in_its_place_only() {
    let key = master(7).derive(Purpose::Data);
    let sealed = key.seal("grant:gr_1", b"token").unwrap();
    assert_eq!(sealed.len(), 1 + 12 + 5 + 16);
    assert_eq!(key.open("grant:gr_1", &sealed).as_deref(), Ok(&b"token"[..]));
    assert_ne!(sealed, key.seal("grant:gr_1", b"token").unwrap(), "a nonce is never used twice");
    assert_eq!(key.open("grant:gr_2", &sealed), Err(SealError::Open));
    assert_eq!(master(8).derive(Purpose::Data).open("grant:gr_1", &sealed), Err(SealError::Open));
    assert_eq!(master(7).derive(Purpose::Session).open("grant:gr_1", &sealed), Err(SealError::Open));
    for position in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[position] ^= 1;
        assert_eq!(key.open("grant:gr_1", &changed), Err(SealError::Open), "byte {position}");
        assert_eq!(key.open("grant:gr_1", &sealed[..position]), Err(SealError::Open), "cut at {position}");
    }
    assert_eq!(key.open("", &key.seal("", b"").unwrap()).as_deref(), Ok(&b""[..]));
}

#[test]
fn an_audit_key_made_elsewhere_signs_verifiably() {
    let key = AuditKey::from_pem(&SecretString::from(RFC_8410)).unwrap();
    // The public key that RFC 8410 §10.1 gives for it.
    assert_eq!(hex(key.public_key()), "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1");
    let signature = key.sign(b"head").unwrap();
    UnparsedPublicKey::new(&ED25519, key.public_key()).verify(b"head", &signature).unwrap();
    assert!(UnparsedPublicKey::new(&ED25519, key.public_key()).verify(b"tail", &signature).is_err());
    assert!(is_signed_by(key.public_key(), b"head", &signature));
    assert!(!is_signed_by(key.public_key(), b"tail", &signature));
    assert!(!is_signed_by(&key.public_key()[1..], b"head", &signature));
    assert!(!is_signed_by(key.public_key(), b"head", &[]));
}

#[test]
fn a_grant_key_of_ours_is_one_for_the_jose_library() {
    let directory = tempfile::tempdir().unwrap();
    let text = load_or_create(&directory.path().join("key"), KeyKind::Grant, true).unwrap().text;
    let key = GrantKey::from_pem(&text).unwrap();
    assert_eq!(key.public_point()[0], 4);
    let signer = jsonwebtoken::EncodingKey::from_ec_pem(key.pem().expose_secret().as_bytes()).unwrap();
    let token = jsonwebtoken::encode(&jsonwebtoken::Header::new(jsonwebtoken::Algorithm::ES256), &serde_json::json!({"sub": "x"}), &signer)
        .unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let signature = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(signature).unwrap();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.public_point()).verify(message.as_bytes(), &signature).unwrap();
}

#[test]
fn nothing_secret_is_shown() {
    let directory = tempfile::tempdir().unwrap();
    for kind in KINDS {
        let loaded = load_or_create(&directory.path().join(kind.name()), kind, true).unwrap();
        let shown = format!("{loaded:?}");
        let body = loaded.text.expose_secret().lines().find(|line| !line.starts_with('-')).unwrap();
        assert!(!shown.contains(body), "{shown}");
    }
    let shown = format!("{:?} {:?}", master(7), master(7).derive(Purpose::Data));
    assert_eq!(shown, "MasterKey(SecretBox<[u8; 32]>([REDACTED])) Subkey(SecretBox<[u8; 32]>([REDACTED]))");
}
