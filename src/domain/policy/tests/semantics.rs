//! Every row of the table of evaluation: the strictest wins, requirements add up, the unevaluable means no.

use super::*;

const ROUTES: &str = r#"
default = "review"
default_route = "main"
[routes.main]
slack = ["C1"]
seats = [{ group = "main", count = 1 }]
expires_in = "30m"
[routes.other]
slack = ["C2", "C1"]
seats = [{ group = "other", count = 2 }, { group = "main", count = 2 }]
approval_valid = "5m"
require = ["justification"]
"#;

fn rules(text: &str) -> Policy {
    policy(&format!("{ROUTES}{text}"))
}

/// One rule over `match` and what follows it.
fn one(effect: &str, rest: &str) -> Policy {
    rules(&format!("[[rule]]\nid = \"r\"\neffect = \"{effect}\"\n{rest}\n"))
}

#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn prod(parameters: Value) -> Value {
    json!({"action": "db.export", "resource": {"type": "table", "id": "prod/customers", "environment": "prod"}, "parameters": parameters})
}

#[test]
fn the_strictest_matching_rule_wins_whatever_the_order() {
    let allow = "[[rule]]\nid = \"w\"\neffect = \"allow\"\nmatch.action = \"db.*\"\n";
    let review = "[[rule]]\nid = \"r\"\neffect = \"review\"\nmatch.action = \"db.export\"\n";
    let deny = "[[rule]]\nid = \"d\"\neffect = \"deny\"\nmatch.environment = \"prod\"\n";
    for (order, effect, ids) in [
        (vec![allow], Effect::Allow, vec!["w"]),
        (vec![allow, review], Effect::Review, vec!["w", "r"]),
        (vec![review, allow], Effect::Review, vec!["r", "w"]),
        (vec![allow, review, deny], Effect::Deny, vec!["w", "r", "d"]),
        (vec![deny, allow, review], Effect::Deny, vec!["d", "w", "r"]),
    ] {
        let evaluation = ask(&rules(&order.concat()), prod(json!({})));
        assert_eq!((evaluation.effect, evaluation.rules), (effect, ids.into_iter().map(str::to_owned).collect::<Vec<_>>()));
    }
}

#[test]
fn the_escalation_of_one_rules_route_leaves_the_seats_of_another_rule_alone() {
    let rules = policy(
        r#"
default = "deny"
[routes.ops]
seats = [{ group = "ops" }]
escalate = { after = "10m", groups = ["oncall"] }
[routes.security]
seats = [{ group = "security", count = 2 }]
[[rule]]
id = "prod"
effect = "review"
match.environment = "prod"
route = "ops"
[[rule]]
id = "iam"
effect = "review"
match.action = "iam.*"
route = "security"
[[rule]]
id = "db"
effect = "review"
match.action = "db.*"
route = "ops"
seats = [{ group = "ops", count = 2 }, { group = "dba" }]
"#,
    );
    let after_escalation = |action: &str, environment: &str| {
        let evaluation = ask(&rules, json!({"action": action, "resource": {"type": "t", "id": "i", "environment": environment}}));
        let mut requirements = evaluation.requirements;
        requirements.escalate_until(600);
        (requirements.describe_seats(), evaluation.explanation.contains("oncall may fill open seats too"))
    };
    assert_eq!(after_escalation("app.restart", "prod"), ("1 of ops or oncall".to_owned(), true));
    assert_eq!(after_escalation("iam.grant", "prod"), ("1 of ops or oncall and 2 of security".to_owned(), true));
    assert_eq!(after_escalation("db.drop", "dev"), ("2 of ops and 1 of dba".to_owned(), false));
    assert_eq!(after_escalation("db.drop", "prod"), ("2 of ops and 1 of dba".to_owned(), false));
}

#[test]
fn where_no_rule_matches_the_default_and_its_route_apply() {
    let evaluation = ask(&one("deny", "match.action = \"other\""), prod(json!({})));
    assert_eq!((evaluation.effect, evaluation.rules.len()), (Effect::Review, 0));
    assert_eq!(evaluation.requirements.seats, [group("main", 1)]);
    assert_eq!(evaluation.requirements.expires_in, 1_800);
    assert_eq!(evaluation.explanation, "Review asked for by default, since no rule matches: it needs 1 of main.");
    let denied = ask(&policy("default = \"deny\""), prod(json!({})));
    assert_eq!((denied.effect, denied.explanation.as_str()), (Effect::Deny, "Denied by default: no rule matches."));
    assert_eq!(denied.requirements, Requirements::default());
    let allowed = ask(&policy("default = \"allow\""), prod(json!({})));
    assert_eq!((allowed.effect, allowed.explanation.as_str()), (Effect::Allow, "Allowed by default: no rule matches."));
}

#[test]
fn what_several_review_rules_ask_for_adds_up() {
    let policy = rules(
        r#"
[[rule]]
id = "a"
effect = "review"
reviewer_when = 'reviewer.department == "Security"'
seats = [{ group = "main", count = 3 }, { person = "alice@example.com" }]
grant = { ttl = "90s" }
edit = ["/rows", "/to"]
[[rule]]
id = "b"
effect = "review"
route = "other"
match.action = "db.*"
require = ["comment"]
reviewer_when = 'reviewer.country == "DE"'
[[rule]]
id = "c"
effect = "review"
route = "other"
match.action = "none"
require = ["on_behalf_of"]
[[rule]]
id = "limits"
effect = "allow"
match.action = "db.export"
grant = { ttl = "30s" }
edit = ["/to/bucket"]
require = ["resource"]
"#,
    );
    let evaluation = ask(&policy, prod(json!({})));
    assert_eq!(evaluation.rules, ["a", "b", "limits"]);
    assert_eq!(
        evaluation.requirements,
        Requirements {
            seats: vec![group("main", 3), SeatSpec::Person { person: "alice@example.com".to_owned() }, group("other", 2)],
            require: [Require::Justification, Require::Comment].into(),
            reviewer_when: vec!["reviewer.department == \"Security\"".to_owned(), "reviewer.country == \"DE\"".to_owned()],
            destinations: vec![Destination::Slack { channel: "C1".to_owned() }, Destination::Slack { channel: "C2".to_owned() }],
            expires_in: 1_800,
            approval_valid: 300,
            grant_ttl: Some(30),
            edit: Some(vec!["/to/bucket".to_owned()]),
            remind_after: None,
            escalate: Vec::new(),
        }
    );
    assert_eq!(evaluation.explanation, "Review asked for by rules a and b: it needs 3 of main, one named person and 2 of other.");
    let text = serde_json::to_string(&evaluation).unwrap();
    assert_eq!(serde_json::from_str::<Evaluation>(&text).unwrap(), evaluation);
}

#[test]
fn an_allow_rule_may_limit_the_grant_and_ask_the_caller() {
    let evaluation =
        ask(&one("allow", "match.action = \"db.*\"\nrequire = [\"justification\", \"comment\"]\ngrant.ttl = \"20s\""), prod(json!({})));
    assert_eq!(evaluation.effect, Effect::Allow);
    assert_eq!(
        evaluation.requirements,
        Requirements { require: [Require::Justification].into(), grant_ttl: Some(20), ..Requirements::default() }
    );
    assert_eq!(evaluation.explanation, "Allowed by rule r.");
}

#[test]
fn lists_are_or_and_keys_are_and() {
    let policy = one("deny", "match = { action = [\"db.export\", \"db.dump\"], environment = \"prod\", parameters.to = \"s3://*\" }");
    let denied = |request: Value| ask(&policy, request).effect == Effect::Deny;
    assert!(denied(prod(json!({"to": "s3://bucket/x"}))));
    assert!(denied(json!({"action": "db.dump", "resource": {"environment": "prod"}, "parameters": {"to": "s3://"}})));
    assert!(!denied(json!({"action": "db.drop", "resource": {"environment": "prod"}, "parameters": {"to": "s3://"}})));
    assert!(!denied(json!({"action": "db.dump", "resource": {"environment": "dev"}, "parameters": {"to": "s3://"}})));
    assert!(!denied(prod(json!({"to": "gs://bucket"}))));
}

#[test]
fn every_key_looks_at_its_attribute() {
    let request = json!({
        "action": "db.export", "resource": {"type": "table", "id": "prod/customers", "environment": "prod"}, "parameters": {"role": "db-admin"},
        "client": {"name": "infra-ci"}, "on_behalf_of": "alice@example.com",
    });
    for (key, yes, no) in [
        ("action", "db.exp?rt", "db.Export"),
        ("client", "infra*", "infra"),
        ("environment", "prod", "pro"),
        ("resource_type", "table", "view"),
        ("resource_id", "prod/*", "*/orders"),
        ("on_behalf_of", "*@example.com", "*@example.org"),
        ("parameters.role", "*admin*", "*root*"),
    ] {
        for effect in ["allow", "deny"] {
            let of = |pattern: &str| ask(&one(effect, &format!("match.{key} = \"{pattern}\"")), request.clone());
            assert_eq!(of(yes).effect.as_str(), effect, "{key}");
            assert_eq!(of(no).effect, Effect::Review, "{key}");
            assert_eq!(of(yes).errors, []);
        }
    }
}

#[test]
fn numbers_and_booleans_are_compared_as_their_json_text() {
    for (pattern, value, matches) in [
        ("5", json!(5), true),
        ("\"5\"", json!(5), true),
        ("5", json!("5"), true),
        ("5", json!(5.0), true),
        ("1000", serde_json::from_str("1e3").unwrap(), true),
        ("0.5", json!(0.5), true),
        ("5.0", json!(5), true),
        ("true", json!(true), true),
        ("\"true\"", json!(true), true),
        ("[false, 7]", json!(7), true),
        ("\"1*\"", json!(120), true),
        ("5", json!(50), false),
        ("true", json!(false), false),
    ] {
        let evaluation = ask(&one("deny", &format!("match.parameters.x = {pattern}")), prod(json!({"x": value.clone()})));
        assert_eq!(evaluation.effect == Effect::Deny, matches, "{pattern} {value}");
    }
}

#[test]
fn a_key_that_cannot_be_evaluated_matches_in_deny_and_review_and_not_in_allow() {
    let nothing = json!({"action": "db.export"});
    for (key, request) in [
        ("environment", nothing.clone()),
        ("resource_type", nothing.clone()),
        ("resource_id", nothing.clone()),
        ("on_behalf_of", nothing.clone()),
        ("parameters.role", nothing.clone()),
        ("environment", json!({"action": "db.export", "resource": {"environment": ["prod"]}})),
        ("parameters.role", prod(json!({"role": ["admin"]}))),
        ("parameters.role", prod(json!({"role": {"name": "admin"}}))),
        ("parameters.role", prod(json!({"role": null}))),
    ] {
        for (effect, expected) in [("deny", Effect::Deny), ("review", Effect::Review), ("allow", Effect::Review)] {
            let evaluation = ask(&one(effect, &format!("match.{key} = \"x\"\nmatch.action = \"db.*\"")), request.clone());
            assert_eq!(evaluation.effect, expected, "{effect} {key} {request}");
            assert_eq!(evaluation.rules.len(), usize::from(effect != "allow"), "{effect} {key} {request}");
            let what = format!("match.{key}: absent, or not a string, number or boolean");
            assert_eq!(evaluation.errors, [RuleError { rule: "r".to_owned(), what }], "{effect} {key} {request}");
            let sentence = "Not everything in rule r could be evaluated, which never loosens.";
            assert!(evaluation.explanation.ends_with(sentence), "{}", evaluation.explanation);
        }
    }
}

#[test]
fn the_other_keys_of_such_a_rule_still_decide() {
    for rest in
        ["match = { environment = \"prod\", action = \"other\" }", "match = { environment = \"prod\" }\nwhen = 'action == \"other\"'"]
    {
        let evaluation = ask(&one("deny", rest), json!({"action": "db.export"}));
        assert_eq!((evaluation.effect, evaluation.errors.len()), (Effect::Review, 0), "{rest}");
    }
    let evaluation = ask(&one("allow", "match = { environment = \"prod\", action = \"other\" }"), json!({"action": "db.export"}));
    assert_eq!(evaluation.errors, []);
}

#[test]
fn a_condition_that_fails_is_true_in_deny_and_review_and_false_in_allow() {
    for (when, what) in [
        ("parameters.rows > 1000", "when: there is no \"rows\""),
        ("parameters", "when: the result is not true or false"),
        ("resource.tags.exists(t, t == \"pii\")", "when: an operator or function does not take values of these types"),
        ("parameters.list.all(x, true)", "when: iterates over more than 1,000 elements"),
        ("action.matches(\"(\")", "when: matches() failed"),
    ] {
        let parameters = json!({"list": vec![1; 1_001]});
        for (effect, expected) in [("deny", Effect::Deny), ("review", Effect::Review), ("allow", Effect::Review)] {
            let policy = one(effect, &format!("match.action = \"db.*\"\nwhen = '{when}'"));
            let evaluation = ask(&policy, json!({"action": "db.export", "parameters": parameters}));
            assert_eq!(evaluation.effect, expected, "{effect} {when}");
            assert_eq!(evaluation.rules.len(), usize::from(effect != "allow"), "{effect} {when}");
            assert_eq!(evaluation.errors, [RuleError { rule: "r".to_owned(), what: what.to_owned() }], "{effect} {when}");
        }
    }
}

#[test]
fn conditions_decide_where_match_leaves_it_open() {
    for effect in ["deny", "allow"] {
        let policy =
            one(effect, "match.action = \"db.*\"\nwhen = 'parameters.rows > 1000 && client.name == \"ci\" && history.denied_24h == 2'");
        let request =
            |rows: u32| json!({"action": "db.export", "parameters": {"rows": rows}, "client": "ci", "history": {"denied_24h": 2}});
        assert_eq!(ask(&policy, request(1_001)).effect.as_str(), effect);
        assert_eq!(ask(&policy, request(1_000)).effect, Effect::Review);
    }
    let nights = one("deny", "when = 'now.getHours(\"Europe/Berlin\") >= 20'");
    assert_eq!(ask(&nights, json!({"action": "a", "now": "2026-11-20T18:59:59Z"})).effect, Effect::Review);
    assert_eq!(ask(&nights, json!({"action": "a", "now": "2026-11-20T19:00:00Z"})).effect, Effect::Deny);
}

#[test]
fn a_shadow_rule_is_recorded_and_has_no_influence() {
    let shadow =
        |id: &str, effect: &str, rest: &str| format!("[[rule]]\nid = \"{id}\"\neffect = \"{effect}\"\nmode = \"shadow\"\n{rest}\n");
    let text = shadow("d", "deny", "match.environment = \"prod\"") + &shadow("n", "deny", "match.environment = \"dev\"");
    let text = text + &shadow("w", "allow", "match.action = \"*\"") + &shadow("e", "deny", "when = 'parameters.x'");
    let would = |rule: &str, effect, would_be, errors: &[&str]| ShadowResult {
        rule: rule.to_owned(),
        effect,
        would_be,
        errors: errors.iter().map(|&text| text.to_owned()).collect(),
    };
    let missing = ["when: there is no \"x\""];
    let evaluation = ask(&rules(&text), prod(json!({})));
    assert_eq!((evaluation.effect, evaluation.rules.len(), evaluation.errors.len()), (Effect::Review, 0, 0));
    assert_eq!(evaluation.requirements.seats, [group("main", 1)]);
    let deny = |errors: &[&str], id: &str| would(id, Effect::Deny, Effect::Deny, errors);
    assert_eq!(evaluation.shadow, [deny(&[], "d"), would("w", Effect::Allow, Effect::Allow, &[]), deny(&missing, "e")]);
    let enforced = text + "[[rule]]\nid = \"r\"\neffect = \"review\"\n";
    let evaluation = ask(&rules(&enforced), prod(json!({})));
    assert_eq!(evaluation.shadow[1], would("w", Effect::Allow, Effect::Review, &[]));
}

#[test]
fn leaving_something_out_never_loosens() {
    let policy = rules(
        r#"
[[rule]]
id = "prod"
effect = "deny"
match = { environment = "prod", resource_type = "table", parameters.role = "*admin*" }
[[rule]]
id = "dev"
effect = "allow"
match = { environment = "dev", parameters.role = "reader" }
"#,
    );
    let whole = json!({"action": "a", "resource": {"type": "table", "environment": "prod"}, "parameters": {"role": "admin"}});
    assert_eq!(ask(&policy, whole.clone()).effect, Effect::Deny);
    for pointer in ["/resource", "/resource/type", "/resource/environment", "/parameters", "/parameters/role"] {
        let mut request = whole.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        request.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
        assert_eq!(ask(&policy, request).effect, Effect::Deny, "{pointer}");
    }
    for request in [json!({"action": "a"}), json!({"action": "a", "resource": {"environment": "dev"}})] {
        assert_ne!(ask(&policy, request).effect, Effect::Allow);
    }
}

#[test]
fn history_is_known_to_be_read_by_either_kind_of_condition() {
    assert!(one("deny", "when = 'history.denied_24h > 2'").uses_history());
    assert!(one("review", "reviewer_when = 'history.denied_24h == 0'").uses_history());
    assert!(!one("review", "when = 'parameters.history == 1'\nreviewer_when = 'reviewer.level > 2'").uses_history());
}

#[test]
fn a_person_may_approve_only_where_every_expression_holds() {
    let parameters = object(json!({"region": "eu"}));
    let facts = Facts {
        action: "a",
        resource: None,
        parameters: &parameters,
        context: None,
        client: ClientFacts { id: "cli_1", name: "ci", owner: None },
        on_behalf_of: None,
        history: History::default(),
        now: noon(),
    };
    let reviewer = json!({"department": "Security", "groups": ["leads"], "level": 3});
    let holds =
        |sources: &[&str]| reviewer_when_holds(&sources.iter().map(|&source| source.to_owned()).collect::<Vec<_>>(), &facts, &reviewer);
    let right = "reviewer.department == \"Security\"";
    assert_eq!(holds(&[]), Ok(true));
    assert_eq!(holds(&[right, "reviewer.level + 1 == 4 && parameters.region == \"eu\""]), Ok(true));
    assert_eq!(holds(&[right, "\"root\" in reviewer.groups"]), Ok(false));
    let error = |what: &str| Err(RuleError { rule: String::new(), what: what.to_owned() });
    assert_eq!(holds(&[right, "reviewer.country == \"DE\""]), error("reviewer_when 'reviewer.country == \"DE\"': there is no \"country\""));
    assert_eq!(
        holds(&["\"root\" in reviewer.groups", "reviewer.level"]),
        error("reviewer_when 'reviewer.level': the result is not true or false")
    );
    assert_eq!(
        holds(&["client.owner.size() > 0"]).unwrap_err().what,
        "reviewer_when 'client.owner.size() > 0': an operator or function does not take values of these types"
    );
    assert_eq!(holds(&["reviewer."]).unwrap_err().what, "reviewer_when 'reviewer.': does not compile: no viable alternative at input '.'");
    let deep = format!("{}true{}", "!(!(".repeat(20), "))".repeat(20));
    assert_eq!(holds(&[&deep]), Ok(true));
}

#[test]
fn the_trace_says_for_every_rule_what_decided() {
    let policy = rules(
        r#"
[[rule]]
id = "key"
effect = "review"
match = { action = "db.*", environment = "dev" }
[[rule]]
id = "when"
effect = "allow"
match.action = "db.*"
when = 'parameters.rows < 10'
[[rule]]
id = "unsure"
effect = "deny"
mode = "shadow"
match.parameters.role = "admin"
[[rule]]
id = "never-allows"
effect = "allow"
match.parameters.role = "admin"
[[rule]]
id = "asks"
effect = "review"
route = "other"
match.environment = "prod"
reviewer_when = 'true'
grant.ttl = "60s"
edit = []
[[rule]]
id = "all"
effect = "review"
"#,
    );
    let scenario = Scenario::from_json(&prod(json!({"rows": 20}))).unwrap();
    assert_eq!(
        policy.explain(&scenario.facts(noon())).to_text(),
        "review: Review asked for by rules asks and all: it needs 2 of other and 2 of main. Not everything in rule never-allows could be evaluated, which never loosens.

key (review): no match, match.environment does not match

when (allow): no match, when is false

unsure (deny, shadow): matches, what cannot be evaluated counts as matching in a deny rule
  match.parameters.role: absent, or not a string, number or boolean

never-allows (allow): no match, match.parameters.role cannot be evaluated, which never allows
  match.parameters.role: absent, or not a string, number or boolean

asks (review): matches, everything in it matches
  seats: 2 of other, 2 of main
  reviewer_when: true
  card: slack:C2
  card: slack:C1
  expires_in: 1h
  approval_valid: 5m
  require: justification
  grant.ttl: 1m
  edit: nothing

all (review): matches, it matches every request
  seats: 1 of main
  card: slack:C1
  expires_in: 30m
  approval_valid: 15m

Enforced, the shadow rule unsure would make it deny.
"
    );
}
