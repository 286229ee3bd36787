//! Dialogs: the reason of a denial, everything in full, mandatory comments, and what became different while one was open.

use super::{asked, buttons, card_when, count, dialog, judged, refusals, shown, told};
use crate::support::app::{TestApp, export};
use crate::support::db::both_databases;
use crate::support::slack::Fault;
use crate::support::slack::model::View;
use crate::support::slack::person::{Filled, Oddity};
use serde_json::{Value, json};
use std::time::Duration;

pub(super) fn words(text: &str) -> (&'static str, Filled) {
    ("cs.words", Filled::Words(text.to_owned()))
}

/// Everything that a dialog shows.
pub(super) fn content(view: &View) -> String {
    let message = crate::support::slack::model::Message {
        channel: String::new(),
        ts: String::new(),
        thread_ts: None,
        text: String::new(),
        blocks: view.content["blocks"].clone(),
        edits: 0,
    };
    shown(&message)
}

both_databases! {
    async fn a_denial_carries_its_option_and_sentence_to_card_caller_and_log(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (request, card) = asked(&app, &export()).await;
        let bob = app.slack.user("U0BOB");
        bob.taps(&card, "cs.deny").await;
        let view = dialog(&app, "U0BOB").await;
        assert!(content(&view).contains("Use staging instead"));
        let filled = [("cs.option", Filled::Option("use_staging".to_owned())), words("  the rows are the same  ")];
        let answer = bob.submits(&view, &filled).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""), "the dialog closes");
        judged(&app).await;
        let denied = app.client("agent").reads(&request["id"]).await;
        assert_eq!((denied["status"].as_str(), denied["reviews"][0]["option"].as_str()), (Some("denied"), Some("use_staging")));
        assert_eq!(denied["reviews"][0]["comment"], "the rows are the same");
        let drawn = card_when(&app, &request, "denied", |card| buttons(card).is_empty()).await;
        assert!(shown(&drawn).contains("Use staging instead: the rows are the same"), "{}", shown(&drawn));
        assert_eq!(count(&app, &request, "request.denied").await, 1);
        app.finish().await;
    }

    async fn details_show_everything_and_approve_with_a_comment(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let mut ask = export();
        ask["resource"]["region"] = json!("eu-central-1");
        ask["context"]["ticket"] = json!("OPS-17");
        let (request, card) = asked(&app, &ask).await;
        let bob = app.slack.user("U0BOB");
        bob.taps(&card, "cs.details").await;
        let view = dialog(&app, "U0BOB").await;
        for fact in ["db.export", "eu-central-1", "OPS-17", "s3://partner-drop/customers.csv", "120000", "airflow", "Quarterly reconciliation"] {
            assert!(content(&view).contains(fact), "{fact} is not in {}", content(&view));
        }
        assert_eq!(view.content["submit"]["text"], "Approve");
        bob.submits(&view, &[words("checked with finance")]).await;
        judged(&app).await;
        let approved = app.client("agent").reads(&request["id"]).await;
        assert_eq!((approved["status"].as_str(), approved["reviews"][0]["comment"].as_str()), (Some("approved"), Some("checked with finance")));
        let drawn = card_when(&app, &request, "approved", |card| buttons(card).is_empty()).await;
        assert!(shown(&drawn).contains("checked with finance"));
        app.finish().await;
    }

    async fn a_rule_that_wants_a_comment_is_approved_through_the_dialog_only(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let mut ask = export();
        ask["action"] = json!("commented.export");
        let (request, card) = asked(&app, &ask).await;
        assert_eq!(buttons(&card), ["cs.approve", "cs.deny", "cs.details"]);
        let bob = app.slack.user("U0BOB");
        bob.taps(&card, "cs.approve").await;
        let view = dialog(&app, "U0BOB").await;
        assert_eq!((view.content["title"]["text"].as_str(), view.content["submit"]["text"].as_str()), (Some("Details"), Some("Approve")));
        let answer: Value = serde_json::from_str(&bob.submits(&view, &[words("   ")]).await.body).unwrap();
        let errors: Vec<&Value> = answer["errors"].as_object().unwrap().values().collect();
        assert_eq!(errors, ["A comment is required to approve this request."], "blanks are no comment");
        assert_eq!(app.client("agent").reads(&request["id"]).await["status"], "pending");
        bob.submits(&view, &[words("as agreed in FIN-482")]).await;
        judged(&app).await;
        assert_eq!(app.client("agent").reads(&request["id"]).await["status"], "approved");
        app.finish().await;
    }

    async fn what_does_not_fit_on_the_card_is_approved_through_details(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let mut ask = export();
        let rows: Vec<Value> = (0..300).map(|row| json!({"row": row, "key": format!("customer-{row}")})).collect();
        ask["parameters"] = json!({ "rows": rows });
        let (request, card) = asked(&app, &ask).await;
        assert_eq!(buttons(&card), ["cs.details", "cs.deny"], "no approval in one tap");
        assert!(shown(&card).contains("more lines, open Details"));
        let bob = app.slack.user("U0BOB");
        bob.taps(&card, "cs.details").await;
        let view = dialog(&app, "U0BOB").await;
        for row in 0..300 {
            assert!(content(&view).contains(&format!("\"customer-{row}\"")), "row {row}");
        }
        bob.submits(&view, &[]).await;
        judged(&app).await;
        assert_eq!(app.client("agent").reads(&request["id"]).await["status"], "approved");
        app.finish().await;
    }

    async fn a_dialog_that_another_person_opened_cannot_be_submitted(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (request, card) = asked(&app, &export()).await;
        app.slack.user("U0BOB").taps(&card, "cs.details").await;
        let view = dialog(&app, "U0BOB").await;
        let stolen = app.slack.user("U0DAVE").submit_payload(&view, &[]);
        assert_eq!(app.slack.deliver(&stolen, &Oddity::default()).await.status, 403);
        judged(&app).await;
        assert_eq!(app.client("agent").reads(&request["id"]).await["reviews"], json!([]));
        assert_eq!(app.slack.user("U0BOB").submits(&view, &[]).await.status, 200);
        judged(&app).await;
        assert_eq!(app.client("agent").reads(&request["id"]).await["reviews"][0]["person"]["name"], "Bob Stone");
        app.finish().await;
    }

    async fn who_submits_too_late_reads_in_the_dialog_who_decided_and_is_told_nothing_twice(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (request, card) = asked(&app, &export()).await;
        let bob = app.slack.user("U0BOB");
        let quick = bob.tap_payload(&card, "cs.approve");
        bob.taps(&card, "cs.details").await;
        let view = dialog(&app, "U0BOB").await;
        app.person("dave@example.com").await.reviews(&request, "deny").await.expect(201);
        let answer = bob.submits(&view, &[words("fine")]).await;
        assert_eq!(answer.status, 200);
        let answer: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!((answer["response_action"].as_str(), answer["view"]["title"]["text"].as_str()), (Some("update"), Some("Already decided")));
        let view = bob.view().unwrap();
        assert!(content(&view).contains("Denied") && content(&view).contains("by Dave Marsh. Your answer was not recorded."), "{}", content(&view));
        judged(&app).await;
        assert_eq!(refusals(&app, &request).await, [("already_decided".to_owned(), 1)]);
        // The next refusal has another reason, and is all that Bob is ever told.
        app.clock.advance(Duration::from_secs(61));
        app.slack.set_user("U0BOB", "is_restricted", json!(true));
        assert_eq!(app.slack.deliver(&quick, &Oddity::default()).await.status, 200);
        assert_eq!(told(&app, "U0BOB", 1).await, ["Guests may not decide; this is a multi-channel guest account."]);
        assert!(bob.direct_messages().is_empty());
        app.finish().await;
    }

    async fn ones_own_decision_is_never_called_too_late(database: TestDatabase) {
        let app = TestApp::start(database).await;
        for _ in 0..8 {
            let (request, card) = asked(&app, &export()).await;
            let bob = app.slack.user("U0BOB");
            bob.taps(&card, "cs.deny").await;
            let view = app
                .slack
                .until("the dialog of this card", |model| {
                    let view = model.stacks.get("U0BOB")?.last().and_then(|id| model.views.get(id))?;
                    view.content["private_metadata"].as_str()?.contains(request["id"].as_str()?).then(|| view.clone())
                })
                .await;
            let payload = bob.submit_payload(&view, &[]);
            let honest = Oddity::default();
            let (first, second) = tokio::join!(app.slack.deliver(&payload, &honest), app.slack.deliver(&payload, &honest));
            for answer in [first, second] {
                assert_eq!((answer.status, answer.body.as_str()), (200, ""), "a copy is not another person");
            }
            judged(&app).await;
            let third = app.slack.deliver(&payload, &honest).await;
            assert_eq!((third.status, third.body.as_str()), (200, ""), "a copy is not another person");
            assert_eq!(app.client("agent").reads(&request["id"]).await["status"], "denied");
        }
        app.finish().await;
    }

    async fn a_dialog_that_cannot_be_opened_is_told_and_decides_nothing(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (request, card) = asked(&app, &export()).await;
        let bob = app.slack.user("U0BOB");
        app.slack.fails("views.open", Fault::Error("expired_trigger_id"));
        assert_eq!(bob.taps(&card, "cs.deny").await.status, 200);
        assert_eq!(told(&app, "U0BOB", 1).await, ["The dialog could not be opened. Please tap again."]);
        // A trigger is good for three seconds and for one dialog.
        let payload = bob.tap_payload(&card, "cs.details");
        app.clock.advance(Duration::from_secs(4));
        assert_eq!(app.slack.deliver(&payload, &Oddity::default()).await.status, 200);
        assert_eq!(told(&app, "U0BOB", 2).await.len(), 2);
        assert!(bob.view().is_none());
        let payload = bob.tap_payload(&card, "cs.details");
        assert_eq!(app.slack.deliver(&payload, &Oddity::default()).await.status, 200);
        let opened = dialog(&app, "U0BOB").await;
        assert_eq!(app.slack.deliver(&payload, &Oddity::default()).await.status, 200);
        assert_eq!(told(&app, "U0BOB", 3).await.len(), 3);
        assert_eq!(bob.view().unwrap().id, opened.id);
        assert_eq!(app.client("agent").reads(&request["id"]).await["reviews"], json!([]));
        app.finish().await;
    }
}
