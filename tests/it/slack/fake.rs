//! FakeSlack's own rules that the product does not come to in its ordinary course, and the manifest.

use super::world::World;
use crate::support::slack::model::SCOPES;
use countersign::domain::time::Clock;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

async fn call(world: &World, method: &str, body: &Value) -> Value {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let token = world.fake.lock().token.clone();
    http.post(format!("{}{method}", world.fake.api_url())).bearer_auth(token).json(body).send().await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn dialogs_stack_three_high() {
    let world = World::start().await;
    let title = json!({"type": "plain_text", "text": "One"});
    let view = json!({"type": "modal", "title": title, "blocks": [{"type": "divider"}]});
    let trigger = |from: Option<&str>| world.fake.change(|model| model.issue_trigger("U0BOB", from, world.clock.now()));
    let opened = call(&world, "views.open", &json!({"trigger_id": trigger(None), "view": view})).await;
    let root = opened["view"]["id"].as_str().unwrap().to_owned();
    assert_eq!(call(&world, "views.push", &json!({"trigger_id": trigger(None), "view": view})).await["error"], "invalid_trigger_id");
    for _ in 0..2 {
        let pushed = call(&world, "views.push", &json!({"trigger_id": trigger(Some(&root)), "view": view})).await;
        assert_eq!(pushed["view"]["root_view_id"], root);
    }
    assert_eq!(call(&world, "views.push", &json!({"trigger_id": trigger(Some(&root)), "view": view})).await["error"], "push_limit_reached");
}

#[tokio::test]
async fn a_private_address_lasts_half_an_hour() {
    let world = World::start().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let hook = world.fake.change(|model| model.issue_hook("U0BOB", "C0PROD", None, world.clock.now()));
    let url = format!("{}/hook/{hook}", world.fake.origin());
    assert_eq!(http.post(&url).json(&json!({"text": "x"})).send().await.unwrap().status(), 200);
    world.clock.advance(Duration::from_secs(30 * 60 + 1));
    assert_eq!(http.post(&url).json(&json!({"text": "x"})).send().await.unwrap().status(), 404);
}

#[test]
fn the_manifest_keeps_slacks_rules_and_asks_for_the_scopes_that_are_used() {
    let manifest = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/slack/app.yaml")).unwrap();
    let value = |key: &str| {
        let line = manifest.lines().find_map(|line| line.trim_start().strip_prefix(&format!("{key}: ")));
        line.unwrap_or_else(|| panic!("no {key}")).trim_matches('"').to_owned()
    };
    assert!(value("name").len() <= 35 && value("description").len() <= 140 && value("display_name").len() <= 80);
    let long: Vec<&str> = manifest
        .lines()
        .skip_while(|line| !line.contains("long_description"))
        .skip(1)
        .take_while(|line| line.starts_with("    "))
        .map(str::trim)
        .collect();
    assert!((175..=4_000).contains(&long.join(" ").len()));
    let listed = manifest.lines().skip_while(|line| !line.contains("bot:")).skip(1).take_while(|line| line.starts_with("      - "));
    let scopes: BTreeSet<&str> = listed.map(|line| line.trim_start_matches("      - ").split(' ').next().unwrap()).collect();
    assert_eq!(scopes, SCOPES.into_iter().collect());
    assert!(value("request_url").starts_with("https://") && value("request_url").ends_with("/slack/interactions"));
    for (key, wanted) in
        [("socket_mode_enabled", "false"), ("token_rotation_enabled", "false"), ("is_hosted", "false"), ("is_enabled", "true")]
    {
        assert_eq!(value(key), wanted);
    }
}
