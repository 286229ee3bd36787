//! Owns the examples and the traps of the parent module; never needs more than its public face.

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("not an object: {other}"),
    }
}

fn mask_parameters(parameters: &Map<String, Value>, sensitive: &[String]) -> Masked {
    super::mask_parameters(parameters, sensitive, &[], Nonce::new([7; 16]))
}

/// The parameters as they are shown where a policy says these things about places.
fn by_policy(parameters: &Value, sensitive: &[&str], masks: &[(&str, MaskMode)]) -> Masked {
    let sensitive: Vec<String> = sensitive.iter().map(|pointer| (*pointer).to_owned()).collect();
    let masks: Vec<Mask> = masks.iter().map(|(path, mode)| Mask { path: (*path).to_owned(), mode: *mode }).collect();
    super::mask_parameters(&map(parameters.clone()), &sensitive, &masks, Nonce::new([7; 16]))
}

fn masked(value: Value) -> Value {
    Value::Object(mask_parameters(&map(value), &[]).value)
}

/// Letters and digits that look random, the same in every run.
fn filler(alphabet: &str, length: usize) -> String {
    let alphabet: Vec<char> = alphabet.chars().collect();
    let mut state = 0x2545_f491_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        alphabet[(state >> 16) as usize % alphabet.len()]
    };
    (0..length).map(|_| next()).collect()
}

const ALNUM: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const HEX: &str = "0123456789abcdef";

/// One token of each maker, built from the documented format: what comes before, the alphabet, the length.
fn tokens() -> Vec<String> {
    let made = [
        ("AKIA", "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16),
        ("ASIA", "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16),
        ("ghp_", ALNUM, 36),
        ("gho_", ALNUM, 36),
        ("ghs_", ALNUM, 36),
        ("github_pat_", ALNUM, 82),
        ("glpat-", ALNUM, 20),
        ("gldt-", ALNUM, 20),
        ("xoxb-123456789012-", ALNUM, 24),
        ("xoxp-123456789012-", ALNUM, 24),
        ("xapp-1-A0123-", ALNUM, 30),
        ("sk-", ALNUM, 48),
        ("sk-proj-", ALNUM, 60),
        ("sk-ant-api03-", ALNUM, 90),
        ("AIza", ALNUM, 35),
        ("ya29.", ALNUM, 60),
        ("GOCSPX-", ALNUM, 28),
        ("npm_", ALNUM, 36),
        ("pypi-AgEIcHlwaS5vcmc", ALNUM, 80),
        ("dckr_pat_", ALNUM, 27),
        ("hvs.", ALNUM, 90),
        ("dop_v1_", HEX, 64),
        ("dapi", HEX, 32),
        ("SK", HEX, 32),
        ("key-", HEX, 32),
        ("shpat_", HEX, 32),
        ("lin_api_", ALNUM, 40),
        ("ntn_", ALNUM, 46),
        ("hf_", ALNUM, 34),
        ("gsk_", ALNUM, 52),
        ("glsa_", ALNUM, 41),
        ("dp.pt.", ALNUM, 43),
        ("pul-", HEX, 40),
        ("pscale_tkn_", ALNUM, 43),
        ("ATATT3xFfGF0", ALNUM, 180),
        ("NRAK-", "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", 27),
        ("sk_live_", ALNUM, 24),
        ("rk_test_", ALNUM, 24),
        ("whsec_", ALNUM, 32),
        ("sq0atp-", ALNUM, 22),
        ("AGE-SECRET-KEY-1", "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58),
        ("cs_abcd_", ALNUM, 40),
        ("123456789:AA", ALNUM, 33),
    ];
    let mut tokens: Vec<String> = made.iter().map(|(before, alphabet, length)| format!("{before}{}", filler(alphabet, *length))).collect();
    tokens.push(format!("SG.{}.{}", filler(ALNUM, 22), filler(ALNUM, 43)));
    tokens.push(format!("eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.{}", filler(ALNUM, 86)));
    tokens.push(format!("{}-us12", filler(HEX, 32)));
    tokens.push(format!("PMAK-{}-{}", filler(HEX, 24), filler(HEX, 34)));
    tokens.push(format!("abc8Q~{}", filler(ALNUM, 34)));
    tokens.push(format!("{}.atlasv1.{}", filler(ALNUM, 14), filler(ALNUM, 60)));
    tokens.push(format!("M{}.{}.{}", filler(ALNUM, 23), filler(ALNUM, 6), filler(ALNUM, 38)));
    tokens.extend(
        ["4111111111111111", "4111 1111 1111 1111", "5555-5555-5555-4444", "378282246310005", "3782 822463 10005"].map(str::to_owned),
    );
    tokens
        .extend(["123-45-6789", "DE89370400440532013000", "DE89 3704 0044 0532 0130 00", "GB29 NWBK 6016 1331 9268 19"].map(str::to_owned));
    tokens
}

#[test]
fn tokens_of_every_maker_are_masked_wherever_they_stand() {
    for token in tokens() {
        for (before, after) in [
            ("", ""),
            ("use ", " please"),
            ("(", ")"),
            ("x: \"", "\""),
            ("日本", "語"),
            ("a,", ",b"),
            ("see ", ". Then AND more"),
            ("\n", "\n"),
        ] {
            let (masked, count) = mask_text(&format!("{before}{token}{after}"));
            assert_eq!((masked.as_str(), count), (format!("{before}{MASK}{after}").as_str(), 1), "{before}{token}{after}");
        }
        // Invisible characters within do not help.
        let middle = token.len() / 2;
        let broken = format!("x {}\u{200b}{} y", &token[..middle], &token[middle..]);
        assert!(!text::clean(&mask_text(&broken).0).contains(&token), "{broken}");
    }
}

#[test]
fn credentials_within_other_texts_are_masked_alone() {
    for (text, expected) in [
        ("postgres://app:s3cret@db.internal:5432/x?sslmode=require", "postgres://•••• masked@db.internal:5432/x?sslmode=require"),
        ("postgres://app:p@ss@db/x", "postgres://•••• masked@db/x"),
        ("redis://:pw@cache:6379/0", "redis://•••• masked@cache:6379/0"),
        ("postgres://app:p/w@db/x", "postgres://•••• masked@db/x"),
        ("git clone https://0123456789abcdef0123@example.com/r.git", "git clone https://•••• masked@example.com/r.git"),
        ("PGPASSWORD=hunter2 psql -h db", "PGPASSWORD=•••• masked psql -h db"),
        ("deploy --api-key=abc --rows 3", "deploy --api-key=•••• masked --rows 3"),
        ("deploy --token abc --rows 3", "deploy --token •••• masked --rows 3"),
        ("curl -u alice:pw https://example.com", "curl -u alice:•••• masked https://example.com"),
        (
            "curl -H 'Authorization: Bearer abc123def456' https://example.com",
            "curl -H 'Authorization: Bearer •••• masked' https://example.com",
        ),
        ("curl -H 'Authorization: Basic YWxpY2U6cHc=' x", "curl -H 'Authorization: Basic •••• masked' x"),
        ("curl -H 'Cookie: sid=1; a=b' x", "curl -H 'Cookie: •••• masked' x"),
        ("curl -H 'X-Api-Key: abc123x' x", "curl -H 'X-Api-Key: •••• masked' x"),
        ("mysql -h db -phunter2 shop", "mysql -h db -p•••• masked shop"),
        ("sshpass -p hunter2 ssh host", "sshpass -p •••• masked ssh host"),
        ("ALTER ROLE app PASSWORD 'hunter2' VALID", "ALTER ROLE app PASSWORD '•••• masked' VALID"),
        (r#"{"user":"app","password":"hunter2","rows":3}"#, r#"{"user":"app","password":"•••• masked","rows":3}"#),
        (r#"{\"password\":\"hunter2\"}"#, r#"{\"password\":\"•••• masked\"}"#),
        (r#"{"password": "hunt\"er2", "rows": 3}"#, r#"{"password": "•••• masked", "rows": 3}"#),
        ("{password=hunter2}", "{password=•••• masked}"),
        ("PASSWORD=ab{c,d]e\\x\\nrows=3", "PASSWORD=•••• masked\\nrows=3"),
        ("password=a,user=b,rows=3", "password=•••• masked,user=b,rows=3"),
        ("TOKEN=x;ls -l", "TOKEN=•••• masked;ls -l"),
        ("<user>app</user><password>hunter2</password>", "<user>app</user><password>•••• masked</password>"),
        ("env: a: password=hunter2", "env: a: password=•••• masked"),
        ("https://x.example.com/cb?access_token=abc&rows=3", "https://x.example.com/cb?access_token=•••• masked&rows=3"),
        ("Server=db;User Id=sa;Password=hunter2;Encrypt=true", "Server=db;User Id=sa;Password=•••• masked;Encrypt=true"),
        ("https://hooks.slack.com/services/T000/B000/abcdefghijkl", "https://hooks.slack.com/services/•••• masked"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nrest",
            "-----BEGIN RSA PRIVATE KEY-----•••• masked-----END RSA PRIVATE KEY-----\nrest",
        ),
        ("-----BEGIN PRIVATE KEY-----\nMIIE cut off", "-----BEGIN PRIVATE KEY-----•••• masked"),
    ] {
        assert_eq!(mask_text(text), (expected.to_owned(), 1), "{text}");
        assert_eq!(mask_text(expected), (expected.to_owned(), 0), "masked again");
    }
    assert_eq!(mask_text("DB_PASSWORD=a API_TOKEN=b x").1, 2);
}

#[test]
fn what_is_no_secret_stays_readable() {
    for text in [
        "s3://partner-drop/2026/customers-export-20261120.csv",
        "3f786850e387550fdab836ed7e6dc881de23001b",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "f47ac10b-58cc-4372-a567-0e02b2c3d479",
        "req_01KAG5V4M0AVN7BTFXKZ6Q2D9R",
        "2026-11-20T11:40:00.000Z",
        "1795174800000",
        "4111111111111112",
        "order 2026112013450000",
        "555-12-345",
        "part 123-45-6789-01",
        "DE00 3704 0044 0532 0130 00",
        "https://example.com:8080/path/user@example.com",
        "ssh://git@github.com/org/repo.git",
        "git@github.com:org/repo.git",
        "alice@example.com",
        "rm -rf /var/lib/postgresql/data",
        "kubectl -n prod delete deployment/checkout",
        "docker run -u 1000:1000 --rm alpine",
        "psql -p 5432 -U app",
        "the token bucket limits us; secret: we need no more; password policy changed",
        "tokenizer=bert max_tokens=4096 bypass=all compass: 12345678",
        "PASSWORD=$DB_PASSWORD TOKEN=${CI_TOKEN}",
        "login --password-stdin --token-file /run/token",
        "risk-adjusted-return-of-the-portfolio-2026",
        "sk-learn-model-training-pipeline",
        "arn:aws:iam::123456789012:role/deploy",
        "basic authentication and bearer instruments",
        "SELECT * FROM customers WHERE id = 4242",
        "",
    ] {
        assert_eq!(mask_text(text), (text.to_owned(), 0), "{text}");
    }
}

#[test]
fn values_under_secret_names_are_masked_whole() {
    let shown = mask_parameters(
        &map(json!({
            "argv": ["deploy", "--password", "hunter2", "--rows", "3"], "db": {"password": "x", "user": "app", "tokens": ["a", "b"]}, "pin_token": 1234,
            "env": [{"name": "DB_PASSWORD", "value": "x"}, {"name": "REGION", "value": "eu-1"}], "max_tokens": 4096,
            "private": false, "secret": null, "api_key": "", "credentials": {}, "card": 4_111_111_111_111_111_i64, "key": "reports/2026/11/customers.csv"
        })),
        &[],
    );
    assert_eq!(
        Value::Object(shown.value),
        json!({
            "argv": ["deploy", "--password", MASK, "--rows", "3"], "db": {"password": MASK, "user": "app", "tokens": MASK}, "pin_token": MASK,
            "env": [{"name": "DB_PASSWORD", "value": MASK}, {"name": "REGION", "value": "eu-1"}], "max_tokens": 4096,
            "private": false, "secret": null, "api_key": "", "credentials": {}, "card": MASK, "key": "reports/2026/11/customers.csv"
        })
    );
    assert_eq!(shown.pointers, ["/argv/2", "/card", "/db/password", "/db/tokens", "/env/0/value", "/pin_token"]);
    assert_eq!(shown.count, 6);
}

#[test]
fn sensitive_pointers_mask_any_value() {
    let parameters = map(json!({"destination": "s3://x", "flag": true, "list": [1, {"a~b/c": 2}], "rows": 3}));
    let sensitive = ["/destination", "/flag", "/list/1/a~0b~1c"].map(str::to_owned);
    let shown = mask_parameters(&parameters, &sensitive);
    assert_eq!(Value::Object(shown.value), json!({"destination": MASK, "flag": MASK, "list": [1, {"a~b/c": MASK}], "rows": 3}));
    assert_eq!(shown.pointers, sensitive);
    // A pointer that spells the tilde out is taken for what it means.
    assert_eq!(mask_parameters(&parameters, &["/list/1/a~b~1c".to_owned()]).count, 1);
    assert_eq!(mask_parameters(&parameters, &[String::new()]).count, 4);
}

#[test]
fn policy_shows_masks_hashes_and_hides_places() {
    let parameters =
        json!({"destination": "s3://x", "password": "hunter2", "rows": 3, "to": [{"iban": "x", "name": "a"}, {"iban": "y", "name": "b"}]});
    let shown = by_policy(
        &parameters,
        &[],
        &[("/destination", MaskMode::Hide), ("/password", MaskMode::Show), ("/rows", MaskMode::Mask), ("/to/*/iban", MaskMode::Hide)],
    );
    assert_eq!(Value::Object(shown.value), json!({"password": "hunter2", "rows": MASK, "to": [{"name": "a"}, {"name": "b"}]}));
    assert_eq!(
        (shown.count, shown.pointers, shown.hidden),
        (4, vec!["/rows".to_owned()], vec!["/destination".to_owned(), "/to/0/iban".to_owned(), "/to/1/iban".to_owned()])
    );
    // Places that are not there, and such that only begin alike, change nothing.
    assert_eq!(
        by_policy(&parameters, &[], &[("/row", MaskMode::Hide), ("/rows/x", MaskMode::Hide), ("/to/2", MaskMode::Hide)]).hidden,
        [""; 0]
    );
}

#[test]
fn the_strictest_word_about_a_place_wins() {
    let parameters = json!({"a": {"b": 1, "token": "t"}, "c": 2});
    let shown = |sensitive: &[&str], masks: &[(&str, MaskMode)]| Value::Object(by_policy(&parameters, sensitive, masks).value);
    let all = [("/a", MaskMode::Show), ("/a", MaskMode::Mask), ("/a", MaskMode::Hash), ("/a", MaskMode::Hide)];
    assert_eq!(shown(&[], &all), json!({"c": 2}));
    assert_eq!(shown(&[], &all[..2]), json!({"a": MASK, "c": 2}));
    // What is shown above is masked below where somebody says so; what is masked above stays masked below.
    assert_eq!(shown(&[], &[("/a", MaskMode::Show), ("/a/b", MaskMode::Mask)]), json!({"a": {"b": MASK, "token": "t"}, "c": 2}));
    assert_eq!(shown(&[], &[("/a", MaskMode::Mask), ("/a/b", MaskMode::Show)]), json!({"a": MASK, "c": 2}));
    assert_eq!(shown(&[], &[("", MaskMode::Show), ("/*/b", MaskMode::Hide)]), json!({"a": {"token": "t"}, "c": 2}));
    assert_eq!(shown(&[], &[("", MaskMode::Hide)]), json!({}));
    // What the caller calls sensitive is at least masked, and their `*` is a name.
    assert_eq!(shown(&["/a/token"], &[("", MaskMode::Show)]), json!({"a": {"b": 1, "token": MASK}, "c": 2}));
    assert_eq!(shown(&["/c"], &[("/c", MaskMode::Hide)]), json!({"a": {"b": 1, "token": MASK}}));
    assert_eq!(shown(&["/*"], &[("/a/token", MaskMode::Show)]), json!({"a": {"b": 1, "token": "t"}, "c": 2}));
}

#[test]
fn show_lifts_names_and_shapes_and_nothing_beyond_its_place() {
    let token = format!("ghp_{}", filler(ALNUM, 36));
    let parameters = json!({"env": {token.clone(): token, "list": ["--password", "x"]}, "note": token});
    let shown = by_policy(&parameters, &[], &[("/env", MaskMode::Show)]);
    assert_eq!(Value::Object(shown.value), json!({"env": parameters["env"], "note": MASK}));
    assert_eq!(shown.count, 1);
}

#[test]
fn an_item_of_a_list_is_masked_where_it_should_be_hidden() {
    let shown = by_policy(&json!({"to": ["a", "b"]}), &[], &[("/to/0", MaskMode::Hide)]);
    assert_eq!((Value::Object(shown.value), shown.hidden.len()), (json!({"to": [MASK, "b"]}), 0));
    assert_eq!(shown.pointers, ["/to/0"]);
}

#[test]
fn a_hash_compares_within_one_request_only() {
    let parameters = json!({"a": "x", "b": "x", "c": {"y": 1.0}, "d": {"y": 1}, "e": "z"});
    let shown = by_policy(&parameters, &[], &[("", MaskMode::Hash)]).value;
    let text = shown["a"].as_str().unwrap();
    assert!(text.starts_with("•••• hash ") && text.len() == "•••• hash ".len() + 12, "{text}");
    assert_eq!((&shown["a"], &shown["c"]), (&shown["b"], &shown["d"]));
    assert_ne!(shown["a"], shown["e"]);
    let mask = [Mask { path: String::new(), mode: MaskMode::Hash }];
    assert_ne!(super::mask_parameters(&map(parameters), &[], &mask, Nonce::new([8; 16])).value["a"], shown["a"]);
}

#[test]
fn long_random_values_are_hidden_under_suspicious_names_only() {
    let random = filler(ALNUM, 40);
    let sha = filler(HEX, 40);
    assert_eq!(
        masked(json!({"commit": sha, "key": sha, "signature": random, "object": random})),
        json!({"commit": sha, "key": MASK, "signature": MASK, "object": random})
    );
    for readable in [
        "f47ac10b-58cc-4372-a567-0e02b2c3d479",
        "Exports/2026/Customers/full-2026-11-20-final.csv",
        "short",
        "a long sentence with Words and 123 numbers in it",
    ] {
        assert_eq!(masked(json!({"key": readable})), json!({"key": readable}), "{readable}");
    }
}

#[test]
fn a_secret_used_as_a_name_is_masked_too() {
    let token = format!("ghp_{}", filler(ALNUM, 36));
    let shown = mask_parameters(&map(json!({"tokens_of": {token.clone(): {"password": "x"}, format!("{token}b"): 1}})), &[]);
    assert!(!format!("{shown:?}").contains(&token), "{shown:?}");
    let shown = mask_parameters(&map(json!({"owners": {token.clone(): {"password": "x"}, format!("{token}b"): 1}})), &[]);
    assert!(!format!("{shown:?}").contains(&token), "{shown:?}");
    assert_eq!(shown.value["owners"].as_object().unwrap().len(), 2);
    assert_eq!(shown.pointers, [format!("/owners/{MASK}/password")]);
}

/// Refused candidates must not make the walk quadratic: each of these took minutes when they did.
#[test]
fn long_hostile_texts_are_walked_once() {
    for unit in ["aa=", "token:a", "token_file=/", "a://b:80/", "sk-", "password="] {
        let text = unit.repeat(64 * 1024 / unit.len()) + "://x@";
        assert!(!mask_text(&text).0.is_empty(), "{unit}");
    }
}

proptest! {
    #[test]
    fn masking_never_panics_and_is_stable(text in any::<String>()) {
        let (once, _) = mask_text(&text);
        let (twice, _) = mask_text(&once);
        prop_assert_eq!(twice, once);
    }

    #[test]
    fn nor_on_texts_full_of_markers(text in "(password|token|AKIA|://|@|:|=|--|-u |'|\"|eyJ|\\.|sk-|[0-9]{4}| |é|•|[A-Z0-9]{4}){0,30}") {
        let _masked = mask_text(&text);
    }

    #[test]
    fn no_token_survives_in_any_place(index in 0usize..59, before in "[a-z ]{0,10}[ ,;(\"]", after in "[ ,;)\"][a-z ]{0,10}") {
        let tokens = tokens();
        let token = &tokens[index % tokens.len()];
        let text = format!("{before}{token}{after}");
        let shown = mask_parameters(&map(json!({"a": [{"note": text}], "b": text})), &[]);
        prop_assert_eq!(shown.count, 2);
        prop_assert!(!serde_json::to_string(&shown.value).unwrap().contains(token.as_str()));
    }

    #[test]
    fn no_value_survives_under_a_secret_name(name in "[a-z]{0,5}_?(password|secret|api_key|apiKey|Token|credential)_?[0-9]{0,2}", value in "[A-Za-z0-9!]{8,30}") {
        let shown = mask_parameters(&map(json!({"outer": {name.clone(): value.clone(), "list": [{name: [value.clone()]}]}})), &[]);
        prop_assert!(!serde_json::to_string(&shown.value).unwrap().contains(&value));
        prop_assert_eq!(shown.count, 2);
    }
}
