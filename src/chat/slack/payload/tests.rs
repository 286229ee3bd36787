//! Owns the examples and the traps of the parent module; never needs more than its public face.

use super::*;
use serde_json::{Value, json};

const ABOUT: &str = "req_01M7WC36M0EQ1SX39VF90F5HJH:9f2c41d7a0bef7c0e353bbeb423b00a221a73740bef3f4d8cb73a1ef61262ddc";

fn button() -> Value {
    json!({
        "type": "block_actions",
        "user": {"id": "U0BOB", "username": "bob", "name": "bob", "team_id": "T1"},
        "api_app_id": "A1", "token": "legacy",
        "container": {"type": "message", "message_ts": "1795174800.000100", "channel_id": "C0PROD", "is_ephemeral": false},
        "trigger_id": "1.2.abc", "team": {"id": "T1", "domain": "acme"}, "enterprise": null, "is_enterprise_install": false,
        "channel": {"id": "C0PROD", "name": "prod"},
        "message": {"type": "message", "text": "ignored", "metadata": {"event_type": "x", "event_payload": {"deep": {"er": [1]}}}},
        "state": {"values": {}}, "response_url": "https://hooks.slack.com/actions/T1/1/x",
        "actions": [{"type": "button", "action_id": "cs.approve", "block_id": "b", "value": ABOUT, "text": {"type": "plain_text", "text": "Deny"}, "action_ts": "1795174801.5"}],
    })
}

fn submission(callback_id: &str, values: &Value) -> Value {
    json!({
        "type": "view_submission", "team": {"id": "T1"}, "user": {"id": "U0BOB", "team_id": "T1"}, "api_app_id": "A1", "trigger_id": "9.9.x",
        "view": {
            "id": "V1", "team_id": "T1", "type": "modal", "callback_id": callback_id, "hash": "h1", "app_installed_team_id": "T1",
            "private_metadata": json!({"about": ABOUT, "opener": "U0BOB", "channel": "C0PROD", "message_ts": "1.2", "response_url": "https://hooks.slack.com/x"}).to_string(),
            "state": {"values": values},
        },
        "response_urls": [],
    })
}

fn tap(value: &Value) -> Result<Tap, PayloadError> {
    let text = value.to_string();
    Interaction::parse(&text).and_then(|interaction| interaction.tap())
}

#[test]
fn a_button_becomes_a_tap_that_survives_the_database() {
    let tapped = tap(&button()).unwrap();
    assert_eq!(tapped.choice, Choice::Approve);
    assert_eq!(format!("{}:{}", tapped.request, tapped.digest.hex()), ABOUT);
    assert_eq!(tapped.dedup_key, "slack:action:1.2.abc:1795174801.5");
    assert_eq!(tapped.reply.channel.as_deref(), Some("C0PROD"));
    assert_eq!(tapped.reply.message_ts.as_deref(), Some("1795174800.000100"));
    let stored = serde_json::to_string(&tapped).unwrap();
    assert!(!stored.contains("1.2.abc\",") && !stored.contains("trigger"), "{stored}");
    let restored: Tap = serde_json::from_str(&stored).unwrap();
    assert_eq!(restored, Tap { trigger: None, ..tapped.clone() });
    assert!(!format!("{tapped:?}").contains("hooks.slack.com"));
}

#[test]
fn only_the_type_and_the_user_are_needed_to_read_a_payload() {
    let text = r#"{"type":"block_actions","user":{"id":"U1"}}"#;
    let interaction = Interaction::parse(text).unwrap();
    assert_eq!(interaction.account().user_id, "U1");
    assert_eq!(interaction.tap(), Err(PayloadError::UnknownAction));
    for broken in
        ["", "{}", "[]", "null", r#"{"type":"block_actions"}"#, r#"{"type":"x","user":{"id":""}}"#, r#"{"type":1,"user":{"id":"U1"}}"#]
    {
        assert!(matches!(Interaction::parse(broken), Err(PayloadError::Malformed)), "{broken}");
    }
}

#[test]
fn a_tap_in_an_org_wide_install_has_no_team_and_is_not_lost() {
    let mut payload = button();
    payload["team"] = Value::Null;
    payload["enterprise"] = json!({"id": "E1", "name": "Acme"});
    payload["is_enterprise_install"] = json!(true);
    payload["user"]["team_id"] = json!("T7");
    let account = tap(&payload).unwrap().account;
    assert_eq!(
        (account.team_id.as_deref(), account.enterprise_id.as_deref(), account.user_team_id.as_deref()),
        (Some("T7"), Some("E1"), Some("T7"))
    );
}

#[test]
fn the_effective_team_is_the_installations() {
    let mut payload = submission(DETAILS, &json!({}));
    payload["view"]["app_installed_team_id"] = json!("T_INSTALLED");
    assert_eq!(tap(&payload).unwrap().account.team_id.as_deref(), Some("T_INSTALLED"));
    payload["view"].as_object_mut().unwrap().remove("app_installed_team_id");
    assert_eq!(tap(&payload).unwrap().account.team_id.as_deref(), Some("T1"));
    payload["team"] = json!({"enterprise_id": "E5"});
    payload["user"]["team_id"] = json!("");
    payload["view"]["team_id"] = json!("T_VIEW");
    let account = tap(&payload).unwrap().account;
    assert_eq!((account.team_id.as_deref(), account.enterprise_id.as_deref()), (Some("T_VIEW"), Some("E5")));
}

#[test]
fn the_container_knows_the_channel_when_nothing_else_does() {
    let mut payload = button();
    payload.as_object_mut().unwrap().remove("channel");
    payload["container"]["thread_ts"] = json!("1.1");
    let reply = tap(&payload).unwrap().reply;
    assert_eq!((reply.channel.as_deref(), reply.thread_ts.as_deref()), (Some("C0PROD"), Some("1.1")));
}

#[test]
fn foreign_buttons_and_values_are_refused() {
    for (action, value, wanted) in [
        ("cs.ask", ABOUT, PayloadError::UnknownAction),
        ("approve", ABOUT, PayloadError::UnknownAction),
        ("cs.approve", "req_01M7WC36M0EQ1SX39VF90F5HJH", PayloadError::ForeignValue),
        ("cs.approve", "req_01M7WC36M0EQ1SX39VF90F5HJH:9f2c41d7a0be", PayloadError::ForeignValue),
        ("cs.deny", "", PayloadError::ForeignValue),
    ] {
        let mut payload = button();
        payload["actions"][0]["action_id"] = json!(action);
        payload["actions"][0]["value"] = json!(value);
        assert_eq!(tap(&payload), Err(wanted));
    }
    let mut double = button();
    let action = double["actions"][0].clone();
    double["actions"].as_array_mut().unwrap().push(action);
    assert_eq!(tap(&double), Err(PayloadError::UnknownAction));
    let mut unknown = button();
    unknown["type"] = json!("message_action");
    assert_eq!(tap(&unknown), Err(PayloadError::UnknownType));
    let mut payload = button();
    payload.as_object_mut().unwrap().remove("trigger_id");
    assert_eq!(tap(&payload), Err(PayloadError::Unidentifiable));
}

#[test]
fn dialogs_become_decisions_with_their_words() {
    let words = |text: &str| json!({"w:1": {"cs.words": {"type": "plain_text_input", "value": text}}});
    let denied = tap(&submission(
        DENY,
        &json!({
            "o:3": {"cs.option": {"type": "radio_buttons", "selected_option": {"value": "use_staging", "text": {"type": "plain_text", "text": "x"}}}},
            "w:3": {"cs.words": {"type": "plain_text_input", "value": "  not today \n"}},
        }),
    ))
    .unwrap();
    assert_eq!(denied.choice, Choice::DenySubmit { option: Some("use_staging".to_owned()) });
    assert_eq!(denied.comment.as_deref(), Some("not today"));
    assert_eq!(denied.dedup_key, "slack:view:V1:h1");
    assert_eq!(denied.reply.response_url.as_deref(), Some("https://hooks.slack.com/x"));
    assert_eq!(denied.reply.view_id.as_deref(), Some("V1"));
    assert_eq!(tap(&submission(DENY, &json!({}))).unwrap().choice, Choice::DenySubmit { option: None });
    let approved = tap(&submission(DETAILS, &words("ok"))).unwrap();
    assert_eq!((approved.choice, approved.comment.as_deref()), (Choice::ApproveFromDetails, Some("ok")));
    assert_eq!(tap(&submission(DETAILS, &words("   "))).unwrap().comment, None);
    assert_eq!(tap(&submission(COMMENT, &words("hm"))).unwrap().choice, Choice::CommentSubmit);
    assert_eq!(tap(&submission("other", &words("hm"))), Err(PayloadError::UnknownAction));
}

#[test]
fn only_the_person_who_opened_a_dialog_may_submit_it() {
    let mut payload = submission(DETAILS, &json!({}));
    payload["user"]["id"] = json!("U0EVE");
    assert_eq!(tap(&payload), Err(PayloadError::OtherPerson));
    let mut payload = submission(DETAILS, &json!({}));
    payload["view"]["private_metadata"] = json!("");
    assert_eq!(tap(&payload), Err(PayloadError::ForeignValue));
    let mut payload = submission(DETAILS, &json!({}));
    payload["view"].as_object_mut().unwrap().remove("hash");
    assert_eq!(tap(&payload), Err(PayloadError::Unidentifiable));
}

#[test]
fn a_button_of_a_dialog_leads_back_to_the_card_and_counts_for_whoever_opened_it() {
    let mut payload = button();
    for gone in ["channel", "response_url"] {
        payload.as_object_mut().unwrap().remove(gone);
    }
    payload["actions"][0]["action_id"] = json!("cs.comment");
    payload["container"] = json!({"type": "view", "view_id": "V1"});
    let metadata = json!({"about": ABOUT, "opener": payload["user"]["id"], "channel": "C0PROD", "message_ts": "1.2"});
    payload["view"] = json!({"id": "V1", "type": "modal", "private_metadata": metadata.to_string()});
    let tapped = tap(&payload).unwrap();
    assert_eq!((tapped.choice, tapped.reply.view_id.as_deref()), (Choice::Comment, Some("V1")));
    assert_eq!((tapped.reply.channel.as_deref(), tapped.reply.message_ts.as_deref()), (Some("C0PROD"), Some("1.2")));
    // On a page of the app there is no card to lead back to, and nothing to lay a dialog on.
    payload["view"] = json!({"id": "V2", "type": "home", "private_metadata": ""});
    assert_eq!(tap(&payload).unwrap().reply, Reply::default());
    payload["view"] = json!({"id": "V1", "type": "modal", "private_metadata": json!({"about": ABOUT, "opener": "U0EVE"}).to_string()});
    assert_eq!(tap(&payload), Err(PayloadError::OtherPerson));
}

#[test]
fn a_filled_form_is_read_field_by_field_and_what_was_left_empty_is_empty() {
    let state = json!({"values": {
        "cs:field:0:x": {"cs.field./rows": {"type": "number_input", "value": "5"}},
        "cs:field:1:x": {"cs.field./a~1b": {"type": "plain_text_input", "value": null}},
        "cs:field:2:x": {"cs.field./mode": {"type": "radio_buttons", "selected_option": {"value": "fast"}}},
        "cs:field:3:x": {"cs.field./note": {"type": "plain_text_input", "value": " x "}},
        "cs:words:x": {"cs.words": {"type": "plain_text_input", "value": " why "}},
    }});
    let edited = ABOUT.split_once(':').unwrap().1;
    let metadata = json!({"about": ABOUT, "opener": "U1", "edited": format!("sha256:{edited}")});
    let payload = json!({
        "type": "view_submission", "user": {"id": "U1"}, "team": {"id": "T1"},
        "view": {"id": "V1", "hash": "h", "callback_id": "cs.edit", "private_metadata": metadata.to_string(), "state": state},
    });
    let tapped = tap(&payload).unwrap();
    let told = |text: &str| Some(text.to_owned());
    let answers = [("/a~1b", None), ("/mode", told("fast")), ("/note", told(" x ")), ("/rows", told("5"))];
    let answers = answers.map(|(pointer, text)| (pointer.to_owned(), text)).into();
    assert_eq!(tapped.choice, Choice::EditSubmit { answers, confirmed: Some(tapped.digest) });
    assert_eq!(tapped.comment.as_deref(), Some("why"));
}
