//! Owns the main story: an agent asks, a card appears, a person taps, the waiting caller goes on, and everything is evidence.

use crate::support::app::{CHANNEL, TestApp, export};
use crate::support::db::both_databases;
use serde_json::{Value, json};
use std::time::Duration;

/// The card of the only request in the channel.
async fn card(app: &TestApp) -> crate::support::slack::model::Message {
    app.slack.until("a card", |model| model.channels[CHANNEL].messages.first().cloned()).await
}

both_databases! {
    async fn a_tap_releases_the_waiting_caller(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let agent = app.client("agent");
        let asked = agent.asks(&export()).await;
        assert_eq!(asked["status"], "pending");
        assert_eq!(asked["grant"], Value::Null);
        let card = card(&app).await;
        assert!(card.text.contains("db.export"), "{}", card.text);

        let path = format!("/v1/requests/{}?wait=30", asked["id"].as_str().unwrap());
        let (answer, acknowledged) = tokio::join!(agent.get(&path), async {
            app.slack.user("U0BOB").taps(&card, "cs.approve").await
        });
        assert_eq!((acknowledged.status, acknowledged.body.as_str()), (200, ""));
        let approved = answer.expect(200).body;
        assert_eq!(approved["status"], "approved");
        assert_eq!(approved["usable"], true);
        assert_eq!(approved["decided_by"]["kind"], "people");
        assert_eq!(approved["reviews"][0]["person"]["name"], "Bob Stone");
        assert_eq!(approved["reviews"][0]["via"], "slack");

        let token = &approved["grant"]["token"];
        let redeemed = agent.redeems(token, &approved["parameters"]).await.expect(200).body;
        assert_eq!(redeemed["request_id"], asked["id"]);
        agent.redeems(token, &approved["parameters"]).await.problem(409, "grant_already_redeemed");
        // One message a second and channel: the card of a moment ago has used this one.
        app.clock.advance(Duration::from_secs(2));

        app.slack
            .until("the card says approved and has no buttons", |model| {
                let message = &model.channels[CHANNEL].messages[0];
                let blocks = message.blocks.to_string();
                (blocks.contains("Approved") && !blocks.contains("cs.approve")).then_some(())
            })
            .await;
        let story = app.story(asked["id"].as_str().unwrap()).await;
        let story: Vec<&str> = story.iter().map(String::as_str).filter(|kind| !kind.starts_with("delivery.")).collect();
        assert_eq!(
            story,
            ["request.created", "review.recorded", "request.approved", "grant.minted", "grant.redeemed", "grant.refused"]
        );
        app.finish().await;
    }

    async fn a_denial_tells_the_agent_what_to_do_instead(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let agent = app.client("agent");
        let asked = agent.asks(&export()).await;
        let card = card(&app).await;
        let bob = app.slack.user("U0BOB");
        assert_eq!(bob.taps(&card, "cs.deny").await.status, 200);
        let view = app
            .slack
            .until("the deny dialog", |model| model.stacks.get("U0BOB")?.last().and_then(|id| model.views.get(id)).cloned())
            .await;
        let filled = [
            ("cs.option", crate::support::slack::person::Filled::Option("use_staging".to_owned())),
            ("cs.words", crate::support::slack::person::Filled::Words("the staging export has the same rows".to_owned())),
        ];
        assert_eq!(bob.submits(&view, &filled).await.status, 200);
        let denied = agent.get(&format!("/v1/requests/{}?wait=30", asked["id"].as_str().unwrap())).await.expect(200).body;
        assert_eq!(denied["status"], "denied");
        assert_eq!(denied["grant"], Value::Null);
        assert_eq!(
            denied["feedback"],
            "Denied by Bob Stone (data-governance): Use staging instead: the staging export has the same rows. Do not retry unless the request changes."
        );
        app.finish().await;
    }

    async fn two_groups_need_two_people(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let agent = app.client("agent");
        let mut ask = export();
        ask["action"] = json!("dual.export");
        let asked = agent.asks(&ask).await;
        let (dave, carol) = (app.person("dave@example.com").await, app.person("carol@example.com").await);
        let half = dave.reviews(&asked, "approve").await.expect(201).body;
        assert_eq!((half["status"].as_str(), half["approval"]["granted"].as_u64()), (Some("pending"), Some(1)));
        // Dave is in both groups, and fills one seat all the same.
        dave.reviews(&asked, "approve").await.expect(200);
        let done = carol.reviews(&asked, "approve").await.expect(201).body;
        assert_eq!(done["status"], "approved");
        app.finish().await;
    }

    async fn nobody_approves_their_own(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let mut ask = export();
        ask["on_behalf_of"] = json!("grace@example.com");
        let asked = app.client("agent").asks(&ask).await;
        for email in ["alice@example.com", "grace@example.com"] {
            app.person(email).await.reviews(&asked, "approve").await.problem(403, "self_approval");
        }
        app.client("agent").reviews(&asked, "approve").await.problem(403, "people_only");
        app.person("erin@example.com").await.reviews(&asked, "approve").await.expect(404);
        let denied = app.person("grace@example.com").await.reviews(&asked, "deny").await.expect(201).body;
        assert_eq!(denied["status"], "denied");
        app.finish().await;
    }

    async fn policy_allows_and_denies_at_once(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let agent = app.client("agent");
        let allowed = agent.asks(&json!({"action": "db.read", "parameters": {"table": "t"}})).await;
        assert_eq!((allowed["status"].as_str(), allowed["usable"].as_bool()), (Some("approved"), Some(true)));
        agent.redeems(&allowed["grant"]["token"], &json!({"table": "t"})).await.expect(200);
        let denied = agent.asks(&json!({"action": "db.drop"})).await;
        assert_eq!(denied["status"], "denied");
        assert_eq!(denied["feedback"], "Denied by policy (rule no-drop). Do not retry unless the request changes.");
        app.finish().await;
    }
}
