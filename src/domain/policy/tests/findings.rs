//! Every mistake a file can hold, with its exact place and words.

use super::*;

const ROUTE: &str = "[routes.a]\nseats = [{ group = \"g\", count = 1 }]\n";

/// The findings of a file that does not load.
fn refused(text: &str) -> Vec<String> {
    lines(&Policy::parse(text).expect_err("it loads"))
}

/// The findings of a rule in a file that is otherwise in order; the rule begins in line 5.
fn rule(body: &str) -> Vec<String> {
    let text = format!("default = \"deny\"\ndefault_route = \"a\"\n{ROUTE}{body}");
    match Policy::parse(&text) {
        Ok(policy) => lines(policy.warnings()),
        Err(findings) => lines(&findings),
    }
}

#[test]
fn the_version_is_the_hash_of_the_bytes() {
    let text = "default = \"deny\"\n";
    assert_eq!(policy(text).version(), "sha256:13ab91258aaf3e97fec0118661fc2c134a76d09d5d9092f2831e34b1aebac84f");
    assert_ne!(policy(text).version(), policy("default = \"deny\" \n").version());
}

#[test]
fn an_escalation_that_leads_nowhere_or_comes_too_late_is_found() {
    let seats = "seats = [{ group = \"g\" }]\nslack = [\"C1\"]\nexpires_in = \"10m\"";
    let with = |more: &str| {
        let text = format!(
            "default = \"deny\"\n[routes.a]\n{seats}\n{more}\n[routes.b]\n{seats}\nescalate = {{ after = \"5m\", route = \"a\" }}\n[routes.c]\n{seats}\n"
        );
        match Policy::parse(&text) {
            Ok(policy) => lines(policy.warnings()),
            Err(findings) => lines(&findings),
        }
    };
    for (more, found) in [
        ("remind_after = \"5m\"", vec![]),
        ("escalate = { after = \"5m\", groups = [\"leads\"] }", vec![]),
        ("escalate = { after = \"5m\", route = \"c\" }", vec![]),
        ("remind_after = \"10m\"", vec![r#"6:16: error: "remind_after" of 10m never happens: the request has expired after 10m"#]),
        (
            "escalate = { after = \"1h\", groups = [\"leads\"] }",
            vec![r#"6:22: error: "after" of 1h never happens: the request has expired after 10m"#],
        ),
        ("escalate = { groups = [\"leads\"] }", vec![r#"6:12: error: "escalate" must say after how long: after = "30m""#]),
        ("escalate = { after = \"5m\", route = \"d\" }", vec![r#"6:36: error: route "d" does not exist; known: a, b, c"#]),
        (
            "escalate = { after = \"5m\", route = \"a\" }",
            vec![r#"6:12: error: "escalate" asks nobody else: give it groups, or another route that has destinations"#],
        ),
        (
            "escalate = { after = \"5m\", route = \"b\" }",
            vec![
                r#"6:12: warning: route "a" escalates to itself, directly or over others: nobody new is asked in the end"#,
                r#"11:12: warning: route "b" escalates to itself, directly or over others: nobody new is asked in the end"#,
            ],
        ),
    ] {
        assert_eq!(with(more), found, "{more}");
    }
}

#[test]
fn a_file_without_syntax_is_only_told_so() {
    assert_eq!(
        refused("default = \"deny\"\ndefault = \"deny\"\n[[rule]\nid = \n"),
        ["2:1: error: not TOML: duplicate key", "3:8: error: not TOML: unclosed array table, expected `]`",]
    );
}

#[test]
fn every_mistake_is_listed_in_the_order_of_the_file() {
    let text = r#"default = "revew"
default_route = "nowhere"
extra = 1
rules = 2
[[mask]]
action = "db.*"
[routes.a]
slack = "C1"
teams = ["x"]
seats = [{ group = "g", count = 0 }, { any = [] }, { person = "alice" }, { group = "a", any = ["b"] }, {}, 5, { group = "" }]
expires_in = "1 hour"
approval_valid = "1s"
remind_after = "15 m"
escalate = { after = "30m", to = "b" }
require = ["justification", "coment"]
[[rule]]
effect = "review"
[[rule]]
id = "äö"
effect = "block"
mode = "dry"
match = { action = [], acton = "x", environment = { a = 1 }, parameters.x = { y = 1 }, client = 1979-05-27 }
[[rule]]
id = "c"
effect = "review"
route = "b"
seats = 5
step_up = true
require_live_directory = false
offline_ok = true
when = 5
edit = ["role", "/a~2", "/ok"]
grant = { ttl = "5m", tt = 1 }
[[rule]]
id = "c"
match = 5
"#;
    assert_eq!(
        refused(text),
        [
            r#"1:11: error: "default" must be one of "allow", "review", "deny""#,
            r#"2:17: error: route "nowhere" does not exist; known: a"#,
            r#"3:1: error: unknown key "extra"; known here: default, default_route, routes, rule, mask"#,
            r#"4:1: error: unknown key "rules"; known here: default, default_route, routes, rule, mask"#,
            r#"5:1: error: the mask has no "path""#,
            r#"5:1: error: the mask has no "mode""#,
            r#"8:9: error: "slack" must be a list"#,
            r#"9:1: error: "teams" is not supported by this version"#,
            r#"10:33: error: "count" must be a whole number from 1 to 100"#,
            r#"10:46: error: "any" names no group"#,
            r#"10:63: error: "alice" is neither an e-mail address nor a person id"#,
            r#"10:74: error: a seat has exactly one of "group", "any" and "person""#,
            r#"10:104: error: a seat has exactly one of "group", "any" and "person""#,
            r#"10:108: error: "seats" must be a table"#,
            r#"10:121: error: "group" is empty"#,
            r#"11:14: error: "expires_in" must be a duration such as "90s", "15m", "1h" or "2d""#,
            r#"12:18: error: "approval_valid" must be from 10s to 30d"#,
            r#"13:16: error: "remind_after" must be a duration such as "90s", "15m", "1h" or "2d""#,
            r#"14:12: error: "escalate" asks nobody else: give it groups, or another route that has destinations"#,
            r#"14:29: error: unknown key "to"; known here: after, route, groups"#,
            r#"15:29: error: "require" must be one of "justification", "resource", "on_behalf_of", "comment""#,
            "16:1: error: the rule has no id",
            r#"19:6: error: "id" must be 1 to 64 letters, digits or . _ : / -"#,
            r#"20:10: error: "effect" must be one of "allow", "review", "deny""#,
            r#"21:8: error: "mode" must be one of "enforce", "shadow""#,
            r#"22:20: error: "action" is an empty list, which could never match"#,
            r#"22:24: error: unknown key "acton"; known here: action, client, environment, resource_type, resource_id, on_behalf_of, parameters"#,
            r#"22:51: error: "environment" must be a string, number or boolean, or a list of them"#,
            r#"22:77: error: "parameters.x" has members: match looks at the top of parameters only, use when for more"#,
            r#"22:97: error: "client" must be a string, number or boolean, or a list of them"#,
            r#"26:9: error: rule c: route "b" does not exist; known: a"#,
            r#"27:9: error: rule c: "seats" must be a list"#,
            r#"28:1: error: rule c: "step_up" is not supported by this version"#,
            r#"29:1: error: rule c: "require_live_directory" is not supported by this version"#,
            r#"30:1: error: rule c: "offline_ok" is not supported by this version"#,
            r#"31:8: error: rule c: "when" must be a string"#,
            r#"32:9: error: rule c: "role" is not a JSON pointer such as "/rows""#,
            r#"32:17: error: rule c: "/a~2" is not a JSON pointer such as "/rows""#,
            r#"33:17: error: rule c: "ttl" must be from 10s to 120s"#,
            r#"33:23: error: rule c: unknown key "tt"; known here: ttl"#,
            r#"34:1: error: rule c: the rule has no effect: "allow", "review" or "deny""#,
            r#"35:6: error: the id "c" is used by an earlier rule"#,
            r#"36:9: error: rule c: "match" must be a table"#,
        ]
    );
}

#[test]
fn keys_of_the_wrong_kind_are_told_apart() {
    assert_eq!(
        refused("default = \"deny\"\nrule = 5\nroutes = 5\ndefault_route = 5\n"),
        [
            r#"2:8: error: "rule" must be a list: write [[rule]]"#,
            r#"3:10: error: "routes" must be a table"#,
            r#"4:17: error: "default_route" must be a string"#,
        ]
    );
    assert_eq!(refused("default = \"deny\"\n[rule]\nid = \"a\"\n"), [r#"2:1: error: "rule" must be a list: write [[rule]]"#]);
    assert_eq!(
        refused("default = \"deny\"\nrule = [1]\nroutes.a = 1\n"),
        [r#"2:9: error: "rule" must be a table"#, r#"3:12: error: "a" must be a table"#,]
    );
}

#[test]
fn a_review_that_nobody_could_approve_does_not_load() {
    let unseated = "[routes.b]\nslack = [\"C1\"]\n";
    assert_eq!(refused(""), ["1:1: error: what no rule matches is reviewed, but there is no default_route, so it could never be approved"]);
    assert_eq!(
        refused("# x\ndefault = \"review\"\n"),
        ["2:11: error: what no rule matches is reviewed, but there is no default_route, so it could never be approved",]
    );
    assert_eq!(
        refused(&format!("default_route = \"b\"\n{unseated}")),
        [r#"1:17: error: route "b" has no seats, so what no rule matches could never be approved"#,]
    );
    let without = "a review rule without any seat can never be approved: give it seats, or a route that has some";
    assert_eq!(
        refused(&format!("default = \"deny\"\n{unseated}[[rule]]\nid = \"x\"\neffect = \"review\"\nroute = \"b\"\n")),
        [format!("4:1: error: rule x: {without}"),]
    );
    assert_eq!(refused("default = \"deny\"\n[[rule]]\nid = \"x\"\neffect = \"review\"\n"), [format!("2:1: error: rule x: {without}")]);
    policy(&format!(
        "default = \"deny\"\n{unseated}[[rule]]\nid = \"x\"\neffect = \"review\"\nroute = \"b\"\nseats = [{{ group = \"g\" }}]\n"
    ));
    policy(&format!("default = \"allow\"\ndefault_route = \"b\"\n{unseated}"));
}

#[test]
fn keys_that_do_nothing_where_they_stand_are_found() {
    let body = "route = \"a\"\nseats = [{ group = \"x\" }]\nrequire = [\"comment\"]\nreviewer_when = 'true'\nedit = []\ngrant = { ttl = \"60s\" }\n";
    assert_eq!(
        rule(&format!("[[rule]]\nid = \"d\"\neffect = \"deny\"\n{body}")),
        [
            r#"8:1: error: rule d: "route" has no effect in a deny rule"#,
            r#"9:1: error: rule d: "seats" has no effect in a deny rule"#,
            r#"10:1: error: rule d: "require" has no effect in a deny rule"#,
            r#"11:1: error: rule d: "reviewer_when" has no effect in a deny rule"#,
            r#"12:1: error: rule d: "edit" has no effect in a deny rule"#,
            r#"13:1: error: rule d: "grant" has no effect in a deny rule"#,
        ]
    );
    assert_eq!(
        rule(&format!("[[rule]]\nid = \"w\"\neffect = \"allow\"\nmatch.action = \"a.b\"\n{body}")),
        [
            r#"9:1: warning: rule w: "route" has no effect in an allow rule"#,
            r#"10:1: warning: rule w: "seats" has no effect in an allow rule"#,
            r#"12:1: warning: rule w: "reviewer_when" has no effect in an allow rule"#,
        ]
    );
}

#[test]
fn match_is_a_table_of_tables_where_it_says_so() {
    assert_eq!(
        rule("[[rule]]\nid = \"r\"\neffect = \"deny\"\nmatch.parameters = 1\n"),
        [r#"8:20: error: rule r: "parameters" must be a table"#]
    );
}

#[test]
fn an_allow_rule_must_match_something() {
    let message = "5:1: error: rule w: an allow rule must say what it matches";
    assert_eq!(rule("[[rule]]\nid = \"w\"\neffect = \"allow\"\n"), [message]);
    assert_eq!(rule("[[rule]]\nid = \"w\"\neffect = \"allow\"\nmatch = {}\nwhen = 'true'\n"), [message]);
    assert_eq!(rule("[[rule]]\nid = \"w\"\neffect = \"review\"\nwhen = 'true'\n"), [""; 0]);
}

#[test]
fn seats_must_be_asked_for_once_and_people_without_a_count() {
    assert_eq!(
        rule("[[rule]]\nid = \"r\"\neffect = \"review\"\nseats = [{ group = \"x\" }, { any = [\"x\"], count = 2 }]\n"),
        ["8:27: error: rule r: this seat is asked for twice here: write it once, with the count you mean",]
    );
    assert_eq!(
        rule("[[rule]]\nid = \"r\"\neffect = \"review\"\nseats = [{ person = \"alice@example.com\", count = 2 }]\n"),
        [r#"8:10: error: rule r: a person fills one seat: leave "count" out"#,]
    );
    assert_eq!(rule("[[rule]]\nid = \"r\"\neffect = \"review\"\nseats = [{ person = \"per_00000000000000000000000000\" }]\n"), [""; 0]);
}

#[test]
fn mistakes_in_conditions_are_found_where_they_stand() {
    let head = "[[rule]]\nid = \"r\"\neffect = \"review\"\n";
    let known = "known: action, parameters, resource, context, client, on_behalf_of, history, now";
    assert_eq!(
        rule(&format!("{head}when = 'action == paramters.x'\n")),
        [format!("8:19: error: rule r: when: unknown variable \"paramters\"; {known}"),]
    );
    assert_eq!(
        rule(&format!("{head}when = '''\naction == \"ä\" &&\n  foo(action)'''\n")),
        ["10:6: error: rule r: when: unknown function \"foo\"",]
    );
    assert_eq!(rule(&format!("{head}when = \"action ==\"\n")), ["8:18: error: rule r: when: does not compile: mismatched input '<EOF>'"]);
    assert_eq!(
        rule(&format!("{head}when = \"action == \\\"a\\\" && b\"\n")),
        [format!("8:8: error: rule r: when: unknown variable \"b\"; {known}"),]
    );
    assert_eq!(
        rule(&format!("{head}when = 'reviewer.x == 1'\nreviewer_when = 'reviewers.x == 1'\n")),
        [
            format!("8:9: error: rule r: when: unknown variable \"reviewer\"; {known}"),
            format!("9:18: error: rule r: reviewer_when: unknown variable \"reviewers\"; {known}, reviewer"),
        ]
    );
    assert_eq!(rule(&format!("{head}reviewer_when = 'reviewer.department == \"Security\" && action != \"x\"'\n")), [""; 0]);
    assert_eq!(
        rule(&format!("{head}when = 'action.matches(\"(\")'\n")),
        ["8:23: warning: rule r: when: matches() has a pattern that is not a regular expression",]
    );
}

#[test]
fn what_is_hardly_meant_is_warned_of() {
    assert_eq!(
        lines(policy("default = \"allow\"\n").warnings()),
        [r#"1:11: warning: what no rule matches passes without a person; "review" or "deny" is safer"#,]
    );
    assert_eq!(
        rule(
            "[[rule]]\nid = \"r\"\neffect = \"review\"\nmatch = { action = [\"DB.*\", \"db.x\"], environment = \"Prod\", resource_type = \"\", client = \"CI\" }\n"
        ),
        [
            r#"8:21: warning: rule r: "DB.*" can never match: an action is lower-case words joined by dots"#,
            r#"8:52: warning: rule r: "Prod" can never match: an environment is lower case"#,
            r#"8:76: warning: rule r: "" can never match: a resource type is lower case"#,
        ]
    );
    assert_eq!(
        lines(policy(&format!("default = \"deny\"\n{ROUTE}slack = [\"#ops\", \"C0123\", \"U1\", \"@alice\"]\n")).warnings()),
        [
            r##"4:10: warning: "#ops" is not a Slack channel or user id such as "C0123ABCD": its card cannot be delivered"##,
            r#"4:33: warning: "@alice" is not a Slack channel or user id such as "C0123ABCD": its card cannot be delivered"#,
        ]
    );
}

#[test]
fn masks_are_read_as_strictly() {
    assert_eq!(
        rule(
            "[[mask]]\naction = []\npath = \"rows\"\nmode = \"hidden\"\nwhen = 'true'\n[[mask]]\naction = 5\npath = [\"/a\"]\nmode = \"show\"\n"
        ),
        [
            r#"6:10: error: "action" is an empty list, which could never match"#,
            r#"7:8: error: "rows" is not a JSON pointer such as "/rows""#,
            r#"8:8: error: "mode" must be one of "show", "mask", "hash", "hide""#,
            r#"9:1: error: unknown key "when"; known here: action, path, mode"#,
            r#"12:8: error: "path" must be a string"#,
        ]
    );
    assert_eq!(refused("mask = 5\ndefault = \"deny\"\n"), [r#"1:8: error: "mask" must be a list: write [[mask]]"#]);
}

#[test]
fn masks_that_are_hardly_meant_are_warned_of() {
    let rules = "[[rule]]\nid = \"r\"\neffect = \"review\"\nmatch = { action = [\"db.export\", \"iam.*\"] }\n";
    let mask = |action: &str, path: &str, mode: &str| format!("[[mask]]\naction = \"{action}\"\npath = \"{path}\"\nmode = \"{mode}\"\n");
    let of = |masks: &[String]| rule(&format!("{rules}{}", masks.concat()));
    assert_eq!(of(&[mask("db.*", "/a", "hash"), mask("*.attach", "/a", "mask"), mask("iam.role.attach", "", "hide")]), [""; 0]);
    assert_eq!(
        of(&[mask("db.dump", "/a", "mask"), mask("DB.*", "/a", "mask"), mask("db.*", "", "show")]),
        [
            r#"9:1: warning: no rule is about an action like "db.dump": is it misspelt?"#,
            r#"13:1: warning: no rule is about an action like "DB.*": is it misspelt?"#,
            r#"14:10: warning: "DB.*" can never match: an action is lower-case words joined by dots"#,
            "17:1: warning: shows every parameter, secrets too: name the path that you mean",
        ]
    );
    assert_eq!(
        of(&[mask("db.export", "/a", "mask"), mask("db.*", "/a", "hide"), mask("db.*", "/a", "hide"), mask("*", "/b", "hide")]),
        [
            "9:1: warning: has no effect: the mask in line 13 is as wide and at least as strict",
            "17:1: warning: has no effect: the mask in line 13 is as wide and at least as strict",
        ]
    );
    // Where a rule is about every action, or none is there at all, so may a mask be.
    assert_eq!(rule(&format!("[[rule]]\nid = \"r\"\neffect = \"deny\"\n{}", mask("x.y", "/a", "mask"))), [""; 0]);
    assert_eq!(rule(&mask("x.y", "/a", "mask")), [""; 0]);
}

#[test]
fn a_rule_that_a_stricter_one_always_overrules_is_warned_of() {
    let of = |stricter: &str, weaker: &str| rule(&format!("[[rule]]\nid = \"weak\"\n{weaker}\n[[rule]]\nid = \"strict\"\n{stricter}\n"));
    let found = [r#"5:1: warning: rule weak: never decides: rule "strict" is stricter and matches whatever this one does"#];
    let allow = "effect = \"allow\"\nmatch = { action = [\"db.read\", \"db.list\"], environment = \"prod\" }";
    for covering in [
        "effect = \"deny\"",
        "effect = \"review\"",
        "effect = \"deny\"\nmatch = { action = \"db.*\" }",
        "effect = \"deny\"\nmatch = { action = [\"db.list\", \"db.read\"] }",
        "effect = \"review\"\nmatch = { action = [\"db.l*\", \"db.r???\"], environment = [\"prod\", \"dev\"] }",
        "effect = \"review\"\nmatch = { environment = \"p*\" }",
    ] {
        assert_eq!(of(covering, allow), found, "{covering}");
    }
    for other in [
        "effect = \"allow\"\nmatch = { action = \"*\" }",
        "effect = \"deny\"\nmatch = { action = \"db.read\" }",
        "effect = \"deny\"\nmatch = { action = \"db.*\", client = \"ci\" }",
        "effect = \"deny\"\nmatch = { action = \"db.*\" }\nwhen = 'true'",
        "effect = \"deny\"\nmatch = { action = \"db.*\" }\nmode = \"shadow\"",
        "effect = \"deny\"\nmatch = { environment = \"dev\" }",
    ] {
        assert_eq!(of(other, allow), [""; 0], "{other}");
    }
    assert_eq!(of("effect = \"deny\"\nmatch.action = \"a.*\"", "effect = \"review\"\nmatch.action = \"a.b*\""), found);
    assert_eq!(of("effect = \"deny\"\nmatch.action = \"a.b*\"", "effect = \"review\"\nmatch.action = \"a.*\""), [""; 0]);
}
