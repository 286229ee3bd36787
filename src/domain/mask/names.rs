//! Owns which names announce a secret. The list is that of the product's redaction rules; exceptions are words that
//! only contain the letters, and counts of tokens.
//!
//! Never looks at a value's text; only at what kind of value it is.

use regex::Regex;
use serde_json::Value;
use std::sync::LazyLock;

/// Substrings that announce a secret, in a name without separators and in lower case.
static ANYWHERE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        "passw(or)?d|passwd|passphrase|passcode|pwd|secret|token|apikey|accesskey|authorization|cookie|credential",
        "|privatekey|signingkey|encryptionkey|masterkey|sharedkey|conn(ection)?str(ing|s?$|[^a-z])|bearer|kennwort|passwort|motdepasse|contrase"
    ))
});
/// Whole words that announce a secret; as a substring they would catch `compass`, `bypass`, `badsn`.
static WORDS: LazyLock<Regex> = LazyLock::new(|| pattern("^(pass|pw|private|dsn|creds?|cvv|cvc|ssn|iban|jwt|otp|totp)$"));
/// Ends of run-together words: `dbpass`, `userpass`; the second pattern has the innocent ones.
static ENDS: LazyLock<Regex> = LazyLock::new(|| pattern("pass$"));
static INNOCENT: LazyLock<Regex> = LazyLock::new(|| pattern("(by|com|tres|over|under|sur|en|boarding|multi)pass(es)?"));
/// Removed before `ANYWHERE` looks.
static HARMLESS: LazyLock<Regex> = LazyLock::new(|| pattern("secretar(y|ies|iat)|tokeni[sz](e[rd]?s?|ing|ation)"));
/// Names that count tokens of a language model.
static COUNTS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        "(max|min|num|total|prompt|completion|input|output|cached|reasoning|context|new|used|budget)(completion|output|new|input)?tokens?(count|limit|used)?$",
        "|tokens?(count|limit|budget|used|usage|persecond|perminute)$|^(n)?tokens$"
    ))
});
/// Names under which a long random value is hidden although the name alone does not announce a secret.
static SUSPICIOUS: LazyLock<Regex> = LazyLock::new(|| {
    pattern("^(key|keys|auth|sig|signature|session|sessionid|seed|salt|pin|cert|webhook|license|sas|hmac|access|bearer)$")
});

#[expect(clippy::expect_used, reason = "the patterns are constants, compiled by every test of this module")]
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern")
}

/// The words of a name: split at separators and at changes from lower to upper case.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut lower_before = false;
    for c in name.chars() {
        if c.is_alphanumeric() {
            if c.is_uppercase() && lower_before {
                words.push(String::new());
            }
            if let Some(word) = words.last_mut() {
                word.extend(c.to_lowercase());
            }
        } else {
            words.push(String::new());
        }
        lower_before = c.is_lowercase() || c.is_numeric();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Whether the name announces that `value` is a secret.
pub(super) fn is_secret_name(name: &str, value: &Value) -> bool {
    let words = words(name);
    let joined = words.concat();
    if value.is_number() && COUNTS.is_match(&joined) {
        return false;
    }
    let names_a_file = matches!(words.last().map(String::as_str), Some("file" | "filename" | "path" | "dir"));
    if (names_a_file || matches!(name, "PWD" | "OLDPWD")) && value.as_str().is_some_and(is_path) {
        return false;
    }
    ANYWHERE.is_match(&HARMLESS.replace_all(&joined, "-"))
        || words.iter().any(|word| WORDS.is_match(word) || (ENDS.is_match(word) && !INNOCENT.is_match(word)))
}

fn is_path(text: &str) -> bool {
    ["/", "./", "../", "~/"].iter().any(|start| text.starts_with(start)) && !text.contains(char::is_whitespace)
}

/// Whether the argument at `index` of a command line is a secret because of what stands before it.
pub(super) fn is_secret_argument(items: &[Value], index: usize) -> bool {
    let text = |index: usize| items.get(index).and_then(Value::as_str);
    let (Some(argument), Some(before)) = (text(index), index.checked_sub(1).and_then(text)) else {
        return index > 0 && text(index - 1).is_some_and(is_secret_flag);
    };
    if is_secret_flag(before) && !argument.starts_with("--") {
        return true;
    }
    let program = text(0).and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    match program {
        "curl" => matches!(before, "-u" | "--user" | "-U" | "--proxy-user") && argument.contains(':'),
        "sshpass" => before == "-p",
        "redis-cli" => before == "-a",
        "mysql" | "mysqldump" | "mysqladmin" | "mariadb" | "mariadb-dump" => argument.len() > 2 && argument.starts_with("-p"),
        _ => false,
    }
}

/// Whether an argument is a flag whose next argument is a secret.
fn is_secret_flag(argument: &str) -> bool {
    let Some(name) = argument.strip_prefix('-') else { return false };
    !argument.contains(['=', ' '])
        && is_secret_name(name.trim_start_matches('-'), &Value::Null)
        && !["stdin", "file", "path", "env"].iter().any(|end| argument.ends_with(end))
}

/// Whether a long random value under this name is hidden.
pub(super) fn is_suspicious_name(name: &str) -> bool {
    words(name).iter().any(|word| SUSPICIOUS.is_match(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_that_announce_a_secret() {
        for name in [
            "password",
            "Password",
            "db_password",
            "dbPassword",
            "DB-PASSWD",
            "PGPASSWORD",
            "pwd",
            "pass",
            "db_pass",
            "dbpass",
            "passphrase",
            "secret",
            "clientSecret",
            "client-secret",
            "SECRETS",
            "token",
            "access_token",
            "accessToken",
            "authToken",
            "tokens",
            "refresh-token",
            "apikey",
            "api_key",
            "API-Key",
            "apiKey",
            "x-api-key",
            "aws_access_key_id",
            "Authorization",
            "proxy-authorization",
            "Set-Cookie",
            "cookies",
            "private",
            "private_key",
            "credential",
            "credentials",
            "dsn",
            "SENTRY_DSN",
            "conn_str",
            "connectionString",
            "connection_str",
            "connStr",
            "secret.value",
            "user token",
            "\u{202e}token",
            "to\u{200b}ken",
        ] {
            assert!(is_secret_name(name, &json!("x")), "{name}");
        }
    }

    #[test]
    fn names_that_only_contain_the_letters() {
        for name in [
            "bypass",
            "bypass_checks",
            "compass",
            "passenger",
            "passengers",
            "passive",
            "secretary",
            "tokenizer",
            "tokenize",
            "tokenization_model",
            "adsnetwork",
            "destination",
            "path",
            "command",
            "argv",
            "key",
            "primary_key",
            "public",
            "connection",
            "author",
            "auth",
            "rows",
            "cmd",
            "cwd",
            "keyboard",
        ] {
            assert!(!is_secret_name(name, &json!("x")), "{name}");
        }
    }

    #[test]
    fn counts_of_tokens_are_shown() {
        for name in
            ["max_tokens", "maxTokens", "tokens", "n_tokens", "token_count", "total_tokens", "max_completion_tokens", "tokens_per_minute"]
        {
            assert!(!is_secret_name(name, &json!(4096)), "{name}");
            assert!(is_secret_name(name, &json!("4096")), "{name}");
        }
        assert!(is_secret_name("token", &json!(123_456)));
    }

    #[test]
    fn paths_to_secrets_are_shown() {
        assert!(!is_secret_name("token_file", &json!("/run/secrets/token")));
        assert!(!is_secret_name("PWD", &json!("/home/alice")));
        assert!(is_secret_name("token_file", &json!("s3cr3t")) && is_secret_name("pwd", &json!("x")));
    }

    #[test]
    fn command_lines_have_secrets_in_known_places() {
        for (line, secret) in [
            (json!(["tool", "--password", "x"]), Some(2)),
            (json!(["tool", "--password", "--rows", "3"]), None),
            (json!(["/usr/bin/curl", "-u", "alice:pw"]), Some(2)),
            (json!(["docker", "run", "-u", "1000:1000"]), None),
            (json!(["mysql", "-h", "db", "-ppw"]), Some(3)),
            (json!(["mysql", "-p", "db"]), None),
            (json!(["sshpass", "-p", "pw", "ssh", "-p", "22"]), Some(2)),
            (json!(["redis-cli", "-a", "pw"]), Some(2)),
            (json!(["tool", "--token", 123]), Some(2)),
        ] {
            let items = line.as_array().unwrap();
            let found = (0..items.len()).find(|index| is_secret_argument(items, *index));
            assert_eq!(found, secret, "{line}");
        }
    }

    #[test]
    fn flags_announce_the_next_argument() {
        for flag in ["--password", "-password", "--api-key", "--token", "--client-secret"] {
            assert!(is_secret_flag(flag), "{flag}");
        }
        for other in ["password", "--password=x", "--password-stdin", "--token-file", "--rows", "-p", "--no-bypass"] {
            assert!(!is_secret_flag(other), "{other}");
        }
    }
}
