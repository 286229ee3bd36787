//! Cards and dialogs of every state: snapshots of the whole JSON, Slack's limits, and the rules about foreign text.
//!
//! The snapshots are read by `tests/oracles/slack_cards.mjs` and `.py`, which check them against Slack's own types and lengths.

use countersign::chat::slack::limits;
use countersign::chat::slack::render::Renderer;
use countersign::chat::{Confirmation, Page, PageSection, Reply};
use countersign::domain::ask::{DenyOption, Link};
use countersign::domain::card::{Card, GrantLine, History, OutcomeLine, Phase, ReviewLine, SeatLine};
use countersign::domain::edit::Change;
use countersign::domain::edit::form::{Field, Form, Input};
use countersign::domain::notice::{Notice, Occasion};
use countersign::domain::request::{Decision, Draft, OutcomeStatus};
use countersign::domain::time::Timestamp;
use serde_json::{Value, json};

const ASKED: Timestamp = Timestamp::from_millis(1_795_174_800_000);
const HEX: &str = "9f2c41d7a0bef7c0e353bbeb423b00a221a73740bef3f4d8cb73a1ef61262ddc";

fn minutes(minutes: i64) -> Timestamp {
    Timestamp::from_millis(ASKED.as_millis() + minutes * 60_000)
}

pub(crate) fn pending() -> Card {
    Card {
        request: "req_01M7WC36M0EQ1SX39VF90F5HJH".parse().unwrap(),
        digest: format!("sha256:{HEX}").parse().unwrap(),
        version: 1,
        phase: Phase::Pending,
        action: "db.export".to_owned(),
        target: Some("prod/customers (table)".to_owned()),
        resource: None,
        environment: Some("prod".to_owned()),
        client: "exporter-bot".to_owned(),
        on_behalf_of: Some("alice@example.com".to_owned()),
        source: Some("airflow dag=partner_sync run=2026-11-20".to_owned()),
        data_scope: Some("customers: name, email, balance".to_owned()),
        context: None,
        history: History { approved: 12, denied: 1, expired: 0 },
        summary: Some("Export customers to the partner bucket".to_owned()),
        justification: Some("Quarterly reconciliation R&D <-> Finance, FIN-482".to_owned()),
        links: vec![Link { title: "Run".to_owned(), url: "https://airflow.example.com/r/1".to_owned() }],
        parameters: serde_json::to_string_pretty(&json!({"destination": "s3://partner-drop/customers.csv", "rows": 120_000})).unwrap(),
        masked: 0,
        changes: Vec::new(),
        seats: vec![seat("data-governance", 1, &[]), seat("security", 1, &[])],
        open_seats: "1 of data-governance and 1 of security".to_owned(),
        escalated_to: Vec::new(),
        granted: 0,
        required: 2,
        eligible: Some(7),
        frozen: false,
        created_at: ASKED,
        expires_at: minutes(60),
        rules: vec!["prod-exports".to_owned()],
        reviews: Vec::new(),
        may_approve: true,
        needs_comment: false,
        form: None,
        deny_options: vec![DenyOption { name: "use_staging".to_owned(), title: "Use staging instead".to_owned() }],
        warnings: Vec::new(),
    }
}

fn seat(label: &str, count: u32, names: &[&str]) -> SeatLine {
    SeatLine { label: label.to_owned(), count, filled_by: names.iter().map(|name| (*name).to_owned()).collect() }
}

fn review(name: &str, decision: Decision, comment: Option<&str>, counts: bool) -> ReviewLine {
    let id = "rev_01M7WC36M0EQ1SX39VF90F5HJH".parse().unwrap();
    ReviewLine {
        id,
        name: name.to_owned(),
        seat: counts.then(|| "data-governance".to_owned()),
        decision,
        comment: comment.map(str::to_owned),
        counts,
        at: minutes(10),
    }
}

/// Every kind of input, and one value that Slack cannot hold.
fn form() -> Form {
    let field = |name: &str, hint: Option<&str>, input: Input, value: Option<&str>| Field {
        pointer: format!("/{name}"),
        label: name.to_owned(),
        hint: hint.map(str::to_owned),
        input,
        value: value.map(str::to_owned),
        required: name == "rows",
    };
    let options = |texts: &[&str]| Input::Choice { options: texts.iter().map(|text| ((*text).to_owned(), json!(text))).collect() };
    let long = "x".repeat(3_001);
    Form {
        fields: vec![
            field("columns", Some("JSON"), Input::Json, Some("[\n  \"name\",\n  \"email\"\n]")),
            field("destination", Some("2 to 80 characters"), Input::Text, Some("s3://partner-drop/customers.csv")),
            field("header", None, options(&["true", "false"]), Some("true")),
            field("password", Some("Masked: leave it exactly as it is shown."), Input::Text, Some("•••• masked")),
            field("query", None, Input::Text, Some(&long)),
            field("rate", None, Input::Number, None),
            field("region", None, options(&["eu-1", "eu-2", "us-1", "us-2", "ap-1", "ap-2"]), Some("eu-2")),
            field("rows", Some("1 to 120000"), Input::Integer, Some("120000")),
        ],
    }
}

fn editable() -> Card {
    Card { form: Some(form()), ..pending() }
}

fn view_json<E: std::fmt::Debug>(view: Result<slack_morphism::blocks::SlackView, E>) -> Value {
    serde_json::to_value(view.unwrap()).unwrap()
}

fn edit_json(card: &Card, confirm: Option<(&Confirmation, Option<&str>)>) -> Value {
    let reply = Reply { channel: Some("C0PROD".to_owned()), message_ts: Some("1.2".to_owned()), ..Reply::default() };
    view_json(renderer().edit(card, "U0BOB", &reply, confirm))
}

fn confirmation() -> Confirmation {
    let filled = [("/rows".to_owned(), Some("5000".to_owned())), ("/rate".to_owned(), Some("0.5".to_owned()))].into();
    let change = |pointer: &str, before, after| Change { pointer: pointer.to_owned(), before, after };
    let draft = Draft {
        parameters: serde_json::Map::new(),
        digest: format!("sha256:{}", "5".repeat(64)).parse().unwrap(),
        changes: vec![change("/rate", None, Some(json!(0.5))), change("/rows", Some(json!(120_000)), Some(json!(5_000)))],
    };
    Confirmation { form: form().filled(&filled), draft }
}

fn one_of_two() -> Card {
    Card {
        version: 2,
        granted: 1,
        seats: vec![seat("data-governance", 1, &["Bob Li"]), seat("security", 1, &[])],
        reviews: vec![review("Bob Li", Decision::Approve, Some("Partner agreement checked."), true)],
        ..pending()
    }
}

fn approved(grant: GrantLine, outcome: Option<OutcomeLine>) -> Card {
    Card {
        version: 3,
        granted: 2,
        seats: vec![seat("data-governance", 1, &["Bob Li"]), seat("security", 1, &["Carol"])],
        phase: Phase::Approved {
            by: vec!["Bob Li".to_owned(), "Carol".to_owned()],
            at: minutes(18),
            valid_until: minutes(33),
            grant,
            outcome,
        },
        ..one_of_two()
    }
}

fn long() -> Card {
    let rows: Vec<Value> = (0..400).map(|row| json!({"row": row, "email": format!("customer-{row}@example.com")})).collect();
    Card {
        parameters: serde_json::to_string_pretty(&json!({ "rows": rows })).unwrap(),
        justification: Some("because ".repeat(400)),
        ..pending()
    }
}

/// Every foreign text tries to be something else.
fn hostile() -> Card {
    let bad = "<!channel> <@U0BOB> <https://evil.example.com|ok> *Approved* :white_check_mark: `x` _y_ ~z~ &amp; \u{202e}desrever\u{202c} zero\u{200b}width\r\n```\nDenied by nobody\n```";
    Card {
        target: Some(bad.to_owned()),
        resource: Some(serde_json::to_string_pretty(&json!({ "note": bad, bad: 1 })).unwrap()),
        client: bad.to_owned(),
        on_behalf_of: Some(bad.to_owned()),
        source: Some(bad.to_owned()),
        data_scope: Some(bad.to_owned()),
        context: Some(json!({ "k": bad }).to_string()),
        summary: Some(bad.to_owned()),
        justification: Some(bad.to_owned()),
        links: vec![Link { title: bad.to_owned(), url: "https://evil.example.com/<!here>".to_owned() }],
        parameters: serde_json::to_string_pretty(&json!({ "q": bad, "\"}]": "\"}],\"x\":[{\"" })).unwrap(),
        changes: vec![Change { pointer: format!("/{bad}"), before: Some(json!(bad)), after: None }],
        seats: vec![seat(bad, 2, &[bad])],
        reviews: vec![review(bad, Decision::Comment, Some(bad), false)],
        rules: vec![bad.to_owned()],
        deny_options: vec![DenyOption { name: "a".to_owned(), title: bad.to_owned() }],
        warnings: vec!["contains characters that reverse text (removed here)"],
        ..pending()
    }
}

fn hostile_form() -> Form {
    let bad = "<!channel> *x* :tada: \u{202e}desrever \"}],\"x\":[{\"";
    let mut form = form();
    for field in &mut form.fields {
        bad.clone_into(&mut field.label);
        field.hint = Some(bad.to_owned());
    }
    form.fields[1].value = Some(format!("{bad}\nline"));
    form.fields[6].input = Input::Choice { options: vec![(bad.to_owned(), json!(bad))] };
    form
}

/// As much of everything as the API lets in.
fn brimming() -> Card {
    let text = |length: usize| "\"\\".repeat(length / 2);
    Card {
        action: "a".repeat(128),
        target: Some(text(4_000)),
        resource: Some(text(16_000)),
        client: text(200),
        on_behalf_of: Some(text(200)),
        source: Some(text(8_000)),
        data_scope: Some(text(8_000)),
        context: Some(text(16_000)),
        summary: Some(text(300)),
        justification: Some(text(4_000)),
        links: (0..10).map(|_| Link { title: text(200), url: text(2_000) }).collect(),
        parameters: text(64_000),
        masked: 41,
        changes: (0..500)
            .map(|number| Change {
                pointer: format!("/{number}{}", text(100)),
                before: Some(json!(text(500))),
                after: Some(json!(text(500))),
            })
            .collect(),
        seats: (0..40).map(|_| seat(&text(200), 3, &[&text(200), &text(200)])).collect(),
        rules: (0..50).map(|_| text(64)).collect(),
        reviews: (0..100).map(|_| review(&text(200), Decision::Comment, Some(&text(4_000)), false)).collect(),
        deny_options: (0..10).map(|number| DenyOption { name: format!("{number}{}", "n".repeat(63)), title: text(200) }).collect(),
        warnings: vec!["contains invisible characters (removed here)"; 4],
        ..pending()
    }
}

fn renderer() -> Renderer {
    Renderer::new().unwrap()
}

fn card_json(card: &Card) -> Value {
    serde_json::from_slice(&renderer().card(card).unwrap().bytes).unwrap()
}

fn reply() -> Reply {
    Reply {
        response_url: Some("https://hooks.slack.com/actions/T1/1/x".to_owned()),
        channel: Some("C0PROD".to_owned()),
        message_ts: Some("1795174800.000100".to_owned()),
        ..Reply::default()
    }
}

fn details_json(card: &Card) -> Value {
    serde_json::to_value(renderer().details(card, "U0BOB", &reply()).unwrap()).unwrap()
}

fn deny_json(card: &Card) -> Value {
    serde_json::to_value(renderer().deny(card, "U0BOB", &reply()).unwrap()).unwrap()
}

fn action_ids(card: &Value) -> Vec<&str> {
    let blocks = card["blocks"].as_array().unwrap();
    blocks
        .iter()
        .filter(|block| block["type"] == "actions")
        .flat_map(|block| block["elements"].as_array().unwrap())
        .map(|button| button["action_id"].as_str().unwrap())
        .collect()
}

/// Every object of a type, however deep.
fn of_type<'a>(value: &'a Value, kind: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(object) => {
            if object.get("type").and_then(Value::as_str) == Some(kind) {
                found.push(value);
            }
            object.values().for_each(|value| of_type(value, kind, found));
        }
        Value::Array(items) => items.iter().for_each(|value| of_type(value, kind, found)),
        _ => {}
    }
}

fn all_of(value: &Value, kind: &str) -> Vec<Value> {
    let mut found = Vec::new();
    of_type(value, kind, &mut found);
    found.into_iter().cloned().collect()
}

fn all_text(value: &Value) -> String {
    match value {
        Value::Object(object) => {
            let own = object.get("text").and_then(Value::as_str).map(str::to_owned).unwrap_or_default();
            object.values().map(all_text).fold(own, |text, more| text + &more)
        }
        Value::Array(items) => items.iter().map(all_text).collect(),
        _ => String::new(),
    }
}

fn states() -> Vec<(&'static str, Card)> {
    let outcome = Some(OutcomeLine { status: OutcomeStatus::Succeeded, detail: Some("119 998 rows written".to_owned()) });
    vec![
        ("pending", pending()),
        ("one_of_two", one_of_two()),
        (
            "edited",
            Card {
                version: 4,
                changes: vec![Change { pointer: "/rows".to_owned(), before: Some(json!(120_000)), after: Some(json!(5_000)) }],
                parameters: serde_json::to_string_pretty(&json!({"destination": "s3://partner-drop/customers.csv", "rows": 5_000}))
                    .unwrap(),
                granted: 1,
                seats: vec![seat("data-governance", 1, &[]), seat("security", 1, &["Carol"])],
                reviews: vec![
                    review("Bob Li", Decision::Approve, Some("Fine."), false),
                    review("Carol", Decision::Edit, Some("5 000 will do."), true),
                ],
                ..pending()
            },
        ),
        ("long", long()),
        ("hostile", hostile()),
        (
            "masked",
            Card {
                masked: 3,
                parameters: serde_json::to_string_pretty(
                    &json!({"api_key": "•••• masked", "password": "•••• masked", "url": "https://•••• masked@db", "rows": 1}),
                )
                .unwrap(),
                ..pending()
            },
        ),
        (
            "resource",
            Card {
                resource: Some(
                    serde_json::to_string_pretty(&json!({"account": "4711", "api_key": "•••• masked", "region": "eu-central-1"})).unwrap(),
                ),
                masked: 1,
                ..pending()
            },
        ),
        ("needs_comment", Card { needs_comment: true, ..pending() }),
        ("editable", editable()),
        ("frozen", Card { frozen: true, ..pending() }),
        ("approved", approved(GrantLine::Open, None)),
        ("redeemed_outcome", approved(GrantLine::Redeemed { at: minutes(19) }, outcome)),
        ("lapsed", approved(GrantLine::Lapsed, None)),
        ("revoked", approved(GrantLine::Revoked { reason: None }, None)),
        (
            "denied",
            Card {
                version: 3,
                phase: Phase::Denied { by: Some("Carol".to_owned()), at: minutes(12), reason: Some("Use the staging export.".to_owned()) },
                ..one_of_two()
            },
        ),
        ("expired", Card { version: 2, phase: Phase::Expired { at: minutes(60) }, ..pending() }),
        (
            "cancelled",
            Card { version: 2, phase: Phase::Cancelled { at: minutes(5), reason: Some("Not needed any more.".to_owned()) }, ..pending() },
        ),
    ]
}

/// What is told beside a card: a reminder that calls people, an edit, a direct message.
fn notices() -> Vec<(&'static str, Notice)> {
    let reminder = Notice {
        mentions: vec!["U0BOB".to_owned(), "U0CAROL".to_owned()],
        more_people: 3,
        ..Notice::in_thread(&pending(), &Occasion::Reminder).unwrap()
    };
    let change = Change { pointer: "/rows".to_owned(), before: Some(json!(120_000)), after: Some(json!(500)) };
    let edited = Card { reviews: vec![review("Dave Ek", Decision::Edit, Some("fewer will do"), true)], changes: vec![change], ..pending() };
    let edit = Notice::in_thread(&edited, &Occasion::Review(edited.reviews[0].id.clone())).unwrap();
    let denied = Phase::Denied { by: Some("Carol".to_owned()), at: minutes(12), reason: Some("Use the staging export.".to_owned()) };
    let address = "https://acme.slack.com/archives/C0PROD/p1795174800000001".to_owned();
    let direct = Notice::to_behalf(&Card { phase: denied, ..pending() }, Some(address)).unwrap();
    vec![("reminder", reminder), ("edit", edit), ("direct", direct)]
}

fn notice_json(notice: &Notice) -> Value {
    serde_json::from_slice(&Renderer::new().unwrap().notice(notice).unwrap().bytes).unwrap()
}

#[test]
fn every_message_beside_a_card_has_its_form() {
    for (name, notice) in notices() {
        insta::assert_json_snapshot!(format!("card_notice_{name}"), notice_json(&notice));
    }
    let older = Renderer::new().unwrap().superseded(&pending(), Some("https://acme.slack.com/archives/C0PROD/p1")).unwrap();
    insta::assert_json_snapshot!("card_superseded", serde_json::from_slice::<Value>(&older.bytes).unwrap());
}

#[test]
fn foreign_text_beside_a_card_mentions_nobody() {
    let card = hostile();
    for occasion in [Occasion::Reminder, Occasion::Escalation] {
        let drawn = notice_json(&Notice::in_thread(&card, &occasion).unwrap());
        assert_eq!(limits::card(&drawn), Ok(()), "{drawn}");
    }
    let phase = Phase::Denied { by: Some("<!channel> *x*".to_owned()), at: minutes(1), reason: Some("<@U0BOB> :tada:".to_owned()) };
    let told = Notice::to_behalf(&Card { phase, ..card }, None).unwrap();
    let drawn = notice_json(&told);
    assert_eq!(limits::card(&drawn), Ok(()), "it reaches nobody and leads nowhere");
    let text = drawn["text"].as_str().unwrap();
    assert!(!text.contains("<!") && !text.contains("<@") && !text.contains('*') && !text.contains("https:"), "{text}");
}

#[test]
fn every_state_has_its_card() {
    for (name, card) in states() {
        insta::assert_json_snapshot!(format!("card_{name}"), card_json(&card));
    }
    insta::assert_json_snapshot!("modal_deny", deny_json(&pending()));
    insta::assert_json_snapshot!("modal_details", details_json(&one_of_two()));
    insta::assert_json_snapshot!("modal_details_needs_comment", details_json(&Card { needs_comment: true, ..pending() }));
    insta::assert_json_snapshot!("modal_details_hostile", details_json(&hostile()));
    let section =
        |heading: &str, cards: Vec<Card>| PageSection { heading: heading.to_owned(), lines: vec!["0 of 2 approved".to_owned()], cards };
    let page = Page { sections: vec![section("Waiting for you", vec![editable(), hostile()]), section("<!channel> *x*", Vec::new())] };
    insta::assert_json_snapshot!("page_answer", renderer().answer(&page).unwrap());
    insta::assert_json_snapshot!("modal_edit", edit_json(&editable(), None));
    let confirmation = confirmation();
    let strict = Card { needs_comment: true, ..editable() };
    insta::assert_json_snapshot!("modal_edit_confirm", edit_json(&strict, Some((&confirmation, Some("5 000 will do.")))));
    let card = Card { form: Some(hostile_form()), ..hostile() };
    insta::assert_json_snapshot!("modal_edit_hostile", edit_json(&card, None));
    insta::assert_json_snapshot!("modal_comment", view_json(renderer().comment(&pending(), "U0BOB", &Reply::default())));
    let (_, edited) = states().into_iter().find(|(name, _)| *name == "edited").unwrap();
    insta::assert_json_snapshot!("modal_changed", view_json(renderer().changed(&edited)));
    let (_, denied) = states().into_iter().find(|(name, _)| *name == "denied").unwrap();
    insta::assert_json_snapshot!("modal_decided", serde_json::to_value(renderer().decided(&denied).unwrap()).unwrap());
}

#[test]
fn every_card_keeps_slacks_limits_also_when_everything_is_as_long_as_can_be() {
    for (name, card) in states().into_iter().chain([("brimming", brimming())]) {
        let drawn = card_json(&card);
        assert_eq!(limits::card(&drawn), Ok(()), "{name}");
        assert_eq!(limits::modal(&details_json(&card)), Ok(()), "{name}");
        assert_eq!(limits::modal(&deny_json(&card)), Ok(()), "{name}");
        for phase in [
            Phase::Denied { by: Some("x".repeat(300)), at: ASKED, reason: Some("\"".repeat(4_000)) },
            approved(
                GrantLine::Redeemed { at: ASKED },
                Some(OutcomeLine { status: OutcomeStatus::Failed, detail: Some("\"".repeat(4_000)) }),
            )
            .phase,
        ] {
            assert_eq!(limits::card(&card_json(&Card { phase, ..card.clone() })), Ok(()), "{name}");
        }
    }
}

#[test]
fn only_a_pending_card_has_buttons_and_each_carries_the_request_and_the_whole_digest() {
    for (name, card) in states() {
        let drawn = card_json(&card);
        assert_eq!(action_ids(&drawn).is_empty(), !card.is_pending(), "{name}");
        for button in all_of(&drawn, "button") {
            assert_eq!(button["value"], format!("{}:{HEX}", card.request));
            assert!(button["accessibility_label"].is_string());
        }
    }
}

#[test]
fn approval_in_one_tap_is_offered_only_for_what_stands_on_the_card() {
    assert_eq!(action_ids(&card_json(&pending())), ["cs.approve", "cs.deny", "cs.details"]);
    assert_eq!(action_ids(&card_json(&editable())), ["cs.approve", "cs.deny", "cs.edit", "cs.details"]);
    for (card, first) in [
        (long(), "cs.details"),
        (Card { target: Some("t".repeat(400)), ..pending() }, "cs.details"),
        // This Approve opens the dialog, because there is something to be written.
        (Card { needs_comment: true, ..pending() }, "cs.approve"),
    ] {
        assert_eq!(action_ids(&card_json(&card))[..2], [first, "cs.deny"]);
        assert_eq!(details_json(&card)["submit"]["text"], "Approve");
        assert_eq!(details_json(&card)["callback_id"], "cs.details");
    }
    for card in [Card { frozen: true, ..editable() }, Card { may_approve: false, ..pending() }] {
        assert_eq!(action_ids(&card_json(&card)), ["cs.deny", "cs.details"]);
        assert_eq!(details_json(&card)["callback_id"], "cs.comment");
        assert!(!details_json(&card).to_string().contains("\"Approve\""));
    }
}

#[test]
fn the_rest_of_the_resource_stands_on_the_card_or_withholds_the_one_tap_approval() {
    let of = |count: usize| {
        let members: serde_json::Map<String, Value> = (0..count).map(|number| (format!("member-{number}"), json!(number))).collect();
        Card { resource: Some(serde_json::to_string_pretty(&members).unwrap()), ..pending() }
    };
    let shown = |drawn: &Value| all_of(drawn, "rich_text_preformatted").iter().map(all_text).collect::<Vec<_>>().join("\n");
    let short = of(5);
    assert!(shown(&card_json(&short)).contains(short.resource.as_deref().unwrap()));
    assert_eq!(action_ids(&card_json(&short)), ["cs.approve", "cs.deny", "cs.details"]);
    for many in [of(60), of(900)] {
        assert!(all_text(&card_json(&many)).contains("More about the target (cut, open Details)"));
        assert_eq!(action_ids(&card_json(&many)), ["cs.details", "cs.deny"]);
        let details = details_json(&many);
        assert!(shown(&details).contains(many.resource.as_deref().unwrap()), "the dialog holds every member");
        assert_eq!(details["submit"]["text"], "Approve");
    }
    let endless = Card { resource: Some("x".repeat(50_000)), ..pending() };
    assert_eq!(action_ids(&card_json(&endless)), ["cs.deny", "cs.details"]);
    assert_eq!(details_json(&endless)["callback_id"], "cs.comment");
}

#[test]
fn the_details_hold_every_character_of_the_parameters_or_offer_no_approval() {
    let details = details_json(&long());
    let shown: Vec<String> =
        all_of(&details, "rich_text_preformatted").iter().map(|part| part["elements"][0]["text"].as_str().unwrap().to_owned()).collect();
    assert!(shown.len() > 5);
    assert_eq!(shown.join("\n"), long().parameters);
    let huge = Card { parameters: "x".repeat(150_000), ..pending() };
    let details = details_json(&huge);
    assert_eq!(details["callback_id"], "cs.comment");
    assert!(all_text(&details).contains("too long to be shown in Slack"));
    assert_eq!(action_ids(&card_json(&huge)), ["cs.deny", "cs.details"]);
}

#[test]
fn foreign_text_stands_in_literal_elements_only() {
    for drawn in [card_json(&hostile()), details_json(&hostile()), deny_json(&hostile())] {
        for mrkdwn in all_of(&drawn, "mrkdwn") {
            let text = mrkdwn["text"].as_str().unwrap();
            assert!(text.starts_with("*Expires* <!date^1795178400^") && text.matches('<').count() == 1, "{text}");
        }
        let whole = all_text(&drawn);
        assert!(!whole.contains(['\u{202e}', '\u{202c}', '\u{200b}', '\r']), "{whole}");
    }
    let told = card_json(&hostile())["text"].as_str().unwrap().to_owned();
    assert!(!told.contains(['<', '*', '`']) && !told.contains(":white_check_mark:"), "{told}");
    let parameters = all_of(&card_json(&hostile()), "rich_text_preformatted");
    assert!(parameters.iter().any(|part| part["elements"][0]["text"].as_str().unwrap().contains("\\u202edesrever")));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn no_text_can_break_a_card_or_a_dialog(text in "\\PC{0,400}|.{0,400}|[\"\\\\{}<>&*_~`:@!|\n\r\t\u{0}\u{202e}]{0,400}", rows in 0_usize..40) {
        let lines = vec![text.as_str(); rows];
        let card = Card {
            target: Some(text.clone()),
            environment: Some(text.clone()),
            resource: Some(serde_json::to_string_pretty(&json!({ &text: lines })).unwrap()),
            client: text.clone(),
            on_behalf_of: Some(text.clone()),
            summary: Some(text.clone()),
            justification: Some(lines.join("\n")),
            parameters: serde_json::to_string_pretty(&json!({ &text: lines })).unwrap(),
            reviews: vec![review(&text, Decision::Comment, Some(&text), false); rows],
            deny_options: vec![DenyOption { name: "a".to_owned(), title: text.clone() }],
            ..hostile()
        };
        for drawn in [card_json(&card), details_json(&card), deny_json(&card)] {
            for mrkdwn in all_of(&drawn, "mrkdwn") {
                let told = mrkdwn["text"].as_str().unwrap();
                proptest::prop_assert!(told.starts_with("*Expires* <!date^1795178400^") && told.matches('<').count() == 1);
            }
        }
    }
}

#[test]
fn the_facts_stand_in_the_order_of_a_glance() {
    let text = all_text(&card_json(&pending()));
    let order = [
        "Approval needed: db.export on prod/customers",
        "Environment",
        "Asked by",
        "alice@example.com",
        "12 approved, 1 denied, 0 expired",
        "not verified",
        "Quarterly reconciliation",
        "Data",
        "Source",
        "Exact parameters",
        "120000",
        "Who decides",
        "7 people can decide",
        "data-governance: open",
        "cannot approve",
        "Expires",
        "Approve",
        "prod-exports",
        "9f2c41d7a0be",
    ];
    let mut from = 0;
    for fact in order {
        let found = text[from..].find(fact).unwrap_or_else(|| panic!("{fact} does not follow in {text}"));
        from += found;
    }
}

#[test]
fn what_is_masked_cut_or_odd_is_said() {
    for (name, wanted) in [
        ("masked", "3 values masked"),
        ("long", "more lines, open Details"),
        ("hostile", "Caution"),
        ("edited", "120000 → 5000"),
        ("frozen", "can only be denied"),
    ] {
        let (_, card) = states().into_iter().find(|(state, _)| *state == name).unwrap();
        assert!(all_text(&card_json(&card)).contains(wanted), "{name}");
    }
}

#[test]
fn a_name_in_which_nothing_can_be_seen_does_not_stop_a_card_or_a_denial() {
    let nothing = "\u{200b}\u{202e}";
    let card = Card {
        client: nothing.to_owned(),
        deny_options: vec![DenyOption { name: "a".to_owned(), title: nothing.to_owned() }],
        reviews: vec![review(nothing, Decision::Comment, Some("Hm."), false), review("Bob Li", Decision::Comment, Some(nothing), false)],
        ..pending()
    };
    assert!(all_text(&card_json(&card)).contains("(no name)"));
    assert!(deny_json(&card).to_string().contains("(no name)"));
}

#[test]
fn a_dialog_belongs_to_whoever_opened_it() {
    for view in [deny_json(&pending()), details_json(&pending())] {
        let metadata: Value = serde_json::from_str(view["private_metadata"].as_str().unwrap()).unwrap();
        assert_eq!(metadata["opener"], "U0BOB");
        assert_eq!(metadata["about"], format!("req_01M7WC36M0EQ1SX39VF90F5HJH:{HEX}"));
        assert_eq!(metadata["message_ts"], "1795174800.000100");
    }
}

#[test]
fn the_block_ids_change_with_the_version_and_the_hash_with_the_card() {
    let drawn = renderer();
    let ids = |card: &Card| card_json(card)["blocks"].as_array().unwrap().iter().map(|block| block["block_id"].clone()).collect::<Vec<_>>();
    let next = Card { version: 2, ..pending() };
    assert!(ids(&pending()).iter().all(|id| !ids(&next).contains(id)));
    let hash = drawn.card(&pending()).unwrap().hash();
    assert_eq!((hash.len(), hash == drawn.card(&pending()).unwrap().hash(), hash == drawn.card(&next).unwrap().hash()), (64, true, false));
}
