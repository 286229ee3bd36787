//! Very many rules, deep conditions, and the bound that says where to evaluate.

use super::*;
use proptest::prelude::*;
use std::fmt::Write as _;

#[test]
fn ten_thousand_rules_cost_what_could_match_costs() {
    let mut text = "default = \"deny\"\n[routes.a]\nseats = [{ group = \"g\" }]\n".to_owned();
    for number in 0..10_000 {
        let action = match number % 3 {
            0 => format!("w{number}.act"),
            1 => format!("w{number}.*"),
            _ => format!("w{number}.a?t"),
        };
        let when = if number % 2 == 0 { "when = 'parameters.rows > 1000'\n" } else { "" };
        let _ = writeln!(text, "[[rule]]\nid = \"r{number}\"\neffect = \"review\"\nroute = \"a\"\nmatch.action = \"{action}\"\n{when}");
    }
    text.push_str("[[rule]]\nid = \"wide\"\neffect = \"review\"\nroute = \"a\"\nmatch.action = \"*.act\"\n");
    let policy = policy(&text);
    assert_eq!(policy.warnings(), []);
    for (number, expected) in [(9_000, vec!["r9000", "wide"]), (9_001, vec!["r9001", "wide"]), (9_002, vec!["r9002", "wide"])] {
        let request = json!({"action": format!("w{number}.act"), "parameters": {"rows": 2_000}});
        let scenario = Scenario::from_json(&request).unwrap();
        assert_eq!(policy.evaluate(&scenario.facts(noon())).rules, expected);
        // The steps count every rule that is looked at: two of ten thousand.
        assert!(policy.steps(&scenario.facts(noon())) < 20);
        assert!(policy.is_cheap(&scenario.facts(noon())));
    }
}

#[test]
fn a_policy_is_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>(_: &T) {}
    shared(&policy("default = \"deny\""));
}

#[test]
fn a_heavy_condition_over_a_large_request_is_not_cheap() {
    let policy = policy(
        "default = \"deny\"\n[[rule]]\nid = \"a\"\neffect = \"allow\"\nmatch.action = \"a.*\"\nwhen = 'parameters.ids.all(id, id > 0)'\n",
    );
    let cheap = |action: &str, length: usize| {
        let scenario = Scenario::from_json(&json!({"action": action, "parameters": {"ids": vec![1; length]}})).unwrap();
        policy.is_cheap(&scenario.facts(noon()))
    };
    assert!(cheap("a.b", 20));
    assert!(!cheap("a.b", 1_000));
    assert!(cheap("b.c", 1_000), "no rule that could match looks at it");
}

#[test]
fn deep_conditions_are_evaluated_on_a_stack_of_their_own() {
    let deep = format!("{}action == \"a.b\"{}", "(true && ".repeat(28), ")".repeat(28));
    let nested = format!("{}action == \"a.b\"{}", "(".repeat(90), ")".repeat(90));
    for when in [deep, nested] {
        let policy =
            policy(&format!("default = \"deny\"\n[[rule]]\nid = \"a\"\neffect = \"allow\"\nmatch.action = \"*\"\nwhen = '{when}'\n"));
        assert_eq!(ask(&policy, json!({"action": "a.b"})).effect, Effect::Allow);
        assert_eq!(ask(&policy, json!({"action": "b.c"})).effect, Effect::Deny);
    }
}

fn some_rules() -> impl Strategy<Value = String> {
    let action = prop_oneof!["[ab]\\.[ab]", "[ab]\\.[*]", "[*?]\\.[ab]", "[ab?*]{1,3}"];
    let rule = (proptest::collection::vec(action, 0..3), 0..3_usize, any::<bool>(), 0..3_usize);
    proptest::collection::vec(rule, 0..8).prop_map(|rules| {
        let mut text = "default_route = \"a\"\n[routes.a]\nseats = [{ group = \"g\" }]\n".to_owned();
        for (number, (actions, effect, shadow, environment)) in rules.into_iter().enumerate() {
            let effect = ["allow", "review", "deny"][effect];
            let _ = write!(text, "[[rule]]\nid = \"r{number}\"\neffect = \"{effect}\"\nmatch.client = \"*\"\n");
            if !actions.is_empty() {
                let _ = writeln!(text, "match.action = {actions:?}");
            }
            if environment < 2 {
                let _ = writeln!(text, "match.environment = \"{}\"", ["dev", "prod"][environment]);
            }
            if shadow {
                text.push_str("mode = \"shadow\"\n");
            }
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The index leaves out no rule, and the strictest matching one wins.
    #[test]
    fn the_index_changes_nothing(text in some_rules(), action in "[ab]\\.[ab]", environment in proptest::option::of("dev|prod")) {
        let policy = policy(&text);
        let resource = environment.map(|environment| json!({"environment": environment}));
        let scenario = Scenario::from_json(&json!({"action": action, "resource": resource})).unwrap();
        let explained = policy.explain(&scenario.facts(noon()));
        let mut evaluated = policy.evaluate(&scenario.facts(noon()));
        let matching = |mode| explained.trace.iter().filter(move |rule| rule.matched && rule.mode == mode);
        let ids: Vec<_> = matching(Mode::Enforce).map(|rule| rule.rule.clone()).collect();
        prop_assert_eq!(&evaluated.rules, &ids);
        prop_assert_eq!(evaluated.effect, matching(Mode::Enforce).map(|rule| rule.effect).max().unwrap_or(Effect::Review));
        prop_assert_eq!(evaluated.shadow.len(), matching(Mode::Shadow).count());
        evaluated.trace.clone_from(&explained.trace);
        prop_assert_eq!(evaluated, explained);
    }

    /// No text takes the parser down.
    #[test]
    fn any_text_is_read_or_refused(text in "(default|rule|routes|when|match|seats|\\[|\\]|\\{|\\}|=|'|\"|\n|[a-z.]| |[0-9]|\\PC){0,60}") {
        if let Err(findings) = Policy::parse(&text) {
            prop_assert!(!findings.is_empty());
        }
    }
}
