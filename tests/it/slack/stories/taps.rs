//! Taps that decide: once, whoever sends them how often; on the card that was seen; and by two people where two are asked.

use super::{asked, buttons, card_when, count, dialog, judged, messages, refusals, shown, told};
use crate::support::app::{Options, TestApp, export};
use crate::support::db::both_databases;
use crate::support::slack::Fault;
use crate::support::slack::person::{Filled, Oddity};
use serde_json::{Value, json};
use std::time::Duration;

fn dual() -> Value {
    let mut ask = export();
    ask["action"] = json!("dual.export");
    ask
}

fn editable() -> Value {
    let mut ask = dual();
    ask["allowed_decisions"] = json!(["approve", "deny", "edit"]);
    ask["edit_schema"] = json!({"type": "object", "properties": {"rows": {"type": "integer", "minimum": 1}}});
    ask
}

async fn edits(app: &TestApp, email: &str, request: &Value, rows: u64) -> Value {
    let mut parameters = request["parameters"].clone();
    parameters["rows"] = json!(rows);
    let body = json!({"decision": "edit", "digest": request["digest"], "parameters": parameters});
    let path = format!("/v1/requests/{}/reviews", request["id"].as_str().unwrap());
    app.person(email).await.post(&path, &body).await.expect(201).body
}

both_databases! {
    async fn a_tap_that_slack_delivers_three_times_acts_once(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (request, card) = asked(&app, &export()).await;
        for answer in app.slack.user("U0BOB").taps_delivered(&card, "cs.approve", 3).await {
            assert_eq!((answer.status, answer.body.as_str()), (200, ""));
        }
        judged(&app).await;
        let approved = app.client("agent").reads(&request["id"]).await;
        assert_eq!((approved["status"].as_str(), approved["reviews"].as_array().unwrap().len()), (Some("approved"), 1));
        assert_eq!((count(&app, &request, "review.recorded").await, count(&app, &request, "review.refused").await), (1, 0));
        assert!(app.slack.user("U0BOB").told().is_empty(), "nobody is told that their own tap came twice");
        app.finish().await;
    }

    async fn two_quick_taps_of_one_person_and_a_replay_change_nothing_more(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (request, card) = asked(&app, &dual()).await;
        let dave = app.slack.user("U0DAVE");
        let (first, second) = (dave.tap_payload(&card, "cs.approve"), dave.tap_payload(&card, "cs.approve"));
        assert_ne!(first["trigger_id"], second["trigger_id"]);
        let honest = Oddity::default();
        let (one, two) = tokio::join!(app.slack.deliver(&first, &honest), app.slack.deliver(&second, &honest));
        assert_eq!((one.status, two.status), (200, 200));
        judged(&app).await;
        // Still within Slack's five minutes, so the signature is good.
        app.clock.advance(Duration::from_mins(4));
        assert_eq!(app.slack.deliver(&first, &Oddity { age: 240, ..Oddity::default() }).await.status, 200);
        judged(&app).await;
        let half = app.client("agent").reads(&request["id"]).await;
        assert_eq!((half["status"].as_str(), half["approval"]["granted"].as_u64()), (Some("pending"), Some(1)));
        assert_eq!((count(&app, &request, "review.recorded").await, refusals(&app, &request).await), (1, vec![]));
        app.finish().await;
    }

    async fn approving_one_card_never_settles_another(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (first, card) = asked(&app, &export()).await;
        let (second, _) = asked(&app, &export()).await;
        app.slack.user("U0BOB").taps(&card, "cs.approve").await;
        judged(&app).await;
        assert_eq!(app.client("agent").reads(&first["id"]).await["status"], "approved");
        assert_eq!(app.client("agent").reads(&second["id"]).await["status"], "pending");
        app.finish().await;
    }

    async fn two_cards_of_one_request_are_raced_and_one_tap_wins(database: TestDatabase) {
        let app = TestApp::start(database).await;
        // The post took effect but its answer was lost, so the card is posted again: both are good.
        app.slack.fails("chat.postMessage", Fault::LostAnswer);
        let (request, _) = asked(&app, &export()).await;
        app.eventually("the card was posted again", async || {
            app.clock.advance(Duration::from_secs(1));
            messages(&app.slack.lock(), &request).len() == 2
        })
        .await;
        let cards: Vec<_> = messages(&app.slack.lock(), &request).into_iter().cloned().collect();
        let (bob, dave) = (app.slack.user("U0BOB"), app.slack.user("U0DAVE"));
        let answers = tokio::join!(bob.taps(&cards[0], "cs.approve"), dave.taps(&cards[1], "cs.approve"));
        assert_eq!((answers.0.status, answers.1.status), (200, 200));
        judged(&app).await;
        let approved = app.client("agent").reads(&request["id"]).await;
        assert_eq!((approved["status"].as_str(), approved["reviews"].as_array().unwrap().len()), (Some("approved"), 1));
        let (loser, sentence) = match approved["reviews"][0]["person"]["name"].as_str() {
            Some("Bob Stone") => ("U0DAVE", "Already approved by Bob Stone."),
            _ => ("U0BOB", "Already approved by Dave Marsh."),
        };
        assert_eq!(told(&app, loser, 1).await, [sentence]);
        assert_eq!(count(&app, &request, "request.approved").await, 1);
        assert_eq!(refusals(&app, &request).await, [("already_decided".to_owned(), 1)]);
        app.finish().await;
    }

    async fn approval_on_an_outdated_card_is_refused_and_the_card_shows_what_is_new(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (request, card) = asked(&app, &editable()).await;
        let carol = app.slack.user("U0CAROL");
        let outdated = carol.tap_payload(&card, "cs.approve");
        let edited = edits(&app, "dave@example.com", &request, 5_000).await;
        assert_ne!(edited["digest"], request["digest"]);
        assert_eq!(app.slack.deliver(&outdated, &Oddity::default()).await.status, 200);
        let sentence = "The parameters were changed after this card was drawn. Look at the new ones, then decide.";
        assert_eq!(told(&app, "U0CAROL", 1).await, [sentence]);
        assert_eq!(refusals(&app, &request).await, [("digest_changed".to_owned(), 1)]);
        let redrawn = card_when(&app, &request, "the edit on the card", |card| shown(card).contains("120000 → 5000")).await;
        assert_eq!(redrawn.ts, card.ts, "the same card, drawn anew");
        assert!(shown(&redrawn).contains("earlier approvals no longer count"));
        carol.taps(&redrawn, "cs.approve").await;
        judged(&app).await;
        let approved = app.client("agent").reads(&request["id"]).await;
        assert_eq!((approved["status"].as_str(), approved["final_parameters"]["rows"].as_u64()), (Some("approved"), Some(5_000)));
        app.finish().await;
    }

    async fn a_denial_counts_whatever_parameters_it_was_given_for(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (request, card) = asked(&app, &editable()).await;
        let carol = app.slack.user("U0CAROL");
        carol.taps(&card, "cs.deny").await;
        let outdated = dialog(&app, "U0CAROL").await;
        edits(&app, "dave@example.com", &request, 5_000).await;
        let answer = carol.submits(&outdated, &[("cs.words", Filled::Words("not this quarter".to_owned()))]).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""));
        judged(&app).await;
        let denied = app.client("agent").reads(&request["id"]).await;
        assert_eq!(denied["status"], "denied");
        assert!(denied["feedback"].as_str().unwrap().contains("not this quarter"), "{}", denied["feedback"]);
        app.finish().await;
    }

    async fn an_org_wide_installation_sends_no_team_and_its_taps_count(database: TestDatabase) {
        let app = TestApp::start(database).await;
        app.slack.change(|model| {
            model.enterprise = Some("E0ACME".to_owned());
            model.org_wide = true;
        });
        app.slack.set_user("U0BOB", "enterprise_user", json!({"id": "W0BOB", "enterprise_id": "E0ACME", "teams": ["T0ACME"]}));
        let (request, card) = asked(&app, &export()).await;
        let bob = app.slack.user("U0BOB");
        let payload = bob.tap_payload(&card, "cs.approve");
        assert_eq!((&payload["team"], &payload["is_enterprise_install"]), (&Value::Null, &json!(true)));
        assert_eq!(app.slack.deliver(&payload, &Oddity::default()).await.status, 200);
        judged(&app).await;
        assert_eq!(app.client("agent").reads(&request["id"]).await["status"], "approved");
        app.finish().await;
    }

    async fn an_organisation_can_be_configured_instead_of_its_workspaces(database: TestDatabase) {
        let app = TestApp::with(database, Options { team_ids: vec!["E0ACME".to_owned()], ..Options::default() }).await;
        app.slack.change(|model| {
            model.enterprise = Some("E0ACME".to_owned());
            model.org_wide = true;
        });
        app.slack.set_user("U0BOB", "enterprise_user", json!({"id": "W0BOB", "enterprise_id": "E0ACME", "teams": ["T0ACME"]}));
        let (request, card) = asked(&app, &export()).await;
        app.slack.user("U0BOB").taps(&card, "cs.deny").await;
        let view = dialog(&app, "U0BOB").await;
        assert_eq!(app.slack.user("U0BOB").submits(&view, &[]).await.status, 200);
        // Dave's record says nothing of the organisation, so he is nobody here.
        judged(&app).await;
        assert_eq!(app.client("agent").reads(&request["id"]).await["status"], "denied");
        let (other, card) = asked(&app, &export()).await;
        app.slack.user("U0DAVE").taps(&card, "cs.approve").await;
        assert_eq!(told(&app, "U0DAVE", 1).await, ["Your Slack account belongs to a workspace whose people may not decide here."]);
        assert_eq!(app.client("agent").reads(&other["id"]).await["status"], "pending");
        app.finish().await;
    }

    async fn two_seats_are_filled_by_two_taps_and_the_card_tells_in_between(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (request, card) = asked(&app, &dual()).await;
        assert!(shown(&card).contains("0 of 2 approved"), "{}", shown(&card));
        app.slack.user("U0BOB").taps(&card, "cs.approve").await;
        let half = card_when(&app, &request, "1 of 2", |card| shown(card).contains("1 of 2 approved")).await;
        assert!(shown(&half).contains("data-governance: Bob Stone") && shown(&half).contains("security: open"), "{}", shown(&half));
        assert_eq!(buttons(&half), ["cs.approve", "cs.deny", "cs.details"]);
        assert!(half.text.contains("1 of 2 people approved"), "{}", half.text);
        // A card that was not redrawn yet is as good: the digest is the same.
        app.slack.user("U0CAROL").taps(&card, "cs.approve").await;
        let done = card_when(&app, &request, "approved", |card| buttons(card).is_empty()).await;
        assert!(shown(&done).contains("Bob Stone, Carol Diaz"), "{}", shown(&done));
        assert_eq!(app.client("agent").reads(&request["id"]).await["status"], "approved");
        app.finish().await;
    }
}
