//! Editing and commenting from the card: a form, a difference, and the same use case as over the API.

use super::dialogs::{content, words};
use super::{asked, buttons, card_when, count, dialog, judged, refusals, shown, told};
use crate::support::app::{Options, POLICY, TestApp, export};
use crate::support::db::both_databases;
use crate::support::slack::model::{Message, View};
use crate::support::slack::person::{Acknowledged, Filled, Oddity};
use serde_json::{Value, json};

pub(super) fn editable() -> Value {
    let mut ask = export();
    ask["action"] = json!("dual.export");
    ask["parameters"]["format"] = json!("csv");
    ask["parameters"]["password"] = json!("hunter2-hunter2");
    ask["allowed_decisions"] = json!(["approve", "deny", "edit"]);
    ask["edit_schema"] = json!({"type": "object", "properties": {
        "columns": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
        "format": {"enum": ["csv", "parquet"]},
        "password": {"type": "string"},
        "rows": {"type": "integer", "minimum": 1, "maximum": 120_000},
    }});
    ask
}

fn field(name: &'static str, text: &str) -> (&'static str, Filled) {
    (name, Filled::Words(text.to_owned()))
}

fn told_by(answer: &Acknowledged) -> Value {
    serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{answer:?}"))
}

/// The dialog of a kind, once it is on top of a person's screen.
pub(super) async fn top(app: &TestApp, user: &str, kind: &str) -> View {
    app.slack
        .until(&format!("{kind} for {user}"), |model| {
            let view = model.stacks.get(user)?.last().and_then(|id| model.views.get(id))?;
            (view.content["callback_id"] == kind).then(|| view.clone())
        })
        .await
}

/// The form that a person gets from the card.
pub(super) async fn form(app: &TestApp, user: &str, card: &Message) -> View {
    app.slack.user(user).taps(card, "cs.edit").await;
    top(app, user, "cs.edit").await
}

/// Fills the form, and looks at what it would change.
async fn drafts(app: &TestApp, user: &str, view: &View, filled: &[(&str, Filled)]) -> View {
    let answer = app.slack.user(user).submits(view, filled).await;
    assert_eq!(told_by(&answer)["response_action"], "update");
    app.slack.user(user).view().unwrap()
}

both_databases! {
    async fn an_edit_from_the_card_shows_its_difference_then_counts_and_voids_what_was_approved(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (request, card) = asked(&app, &editable()).await;
        assert_eq!(buttons(&card), ["cs.approve", "cs.deny", "cs.edit", "cs.details"]);
        app.slack.user("U0CAROL").taps(&card, "cs.approve").await;
        judged(&app).await;
        let bob = app.slack.user("U0BOB");
        let view = form(&app, "U0BOB", &card).await;
        assert_eq!(view.content["submit"]["text"], "Show changes");
        assert!(content(&view).contains("Masked: leave it exactly as it is shown."), "{}", content(&view));
        let preview = drafts(&app, "U0BOB", &view, &[field("cs.field./rows", "5000"), ("cs.field./format", Filled::Option("parquet".to_owned()))]).await;
        assert!(content(&preview).contains("/format: \"csv\" → \"parquet\"\n/rows: 120000 → 5000"), "{}", content(&preview));
        assert!(!content(&preview).contains("hunter2"));
        assert_eq!(preview.content["submit"]["text"], "Approve with changes");
        assert_eq!(count(&app, &request, "request.edited").await, 0, "looking changes nothing");
        // What stands in the form now is what was filled in; submitting it as it is approves it.
        let answer = bob.submits(&preview, &[words("a sample will do")]).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""), "the dialog closes");
        judged(&app).await;
        let half = app.client("agent").reads(&request["id"]).await;
        assert_eq!((half["status"].as_str(), half["edited"].as_bool(), half["approval"]["granted"].as_u64()), (Some("pending"), Some(true), Some(1)));
        assert_eq!(half["final_parameters"], json!({"rows": 5_000, "format": "parquet", "password": "hunter2-hunter2", "destination": "s3://partner-drop/customers.csv"}));
        let redrawn = card_when(&app, &request, "the difference", |card| shown(card).contains("/rows: 120000 → 5000")).await;
        assert!(shown(&redrawn).contains("earlier approvals no longer count") && shown(&redrawn).contains("a sample will do"), "{}", shown(&redrawn));
        assert!(shown(&redrawn).contains("data-governance: Bob Stone") && shown(&redrawn).contains("security: open"), "{}", shown(&redrawn));
        app.slack.user("U0CAROL").taps(&redrawn, "cs.approve").await;
        judged(&app).await;
        assert_eq!(app.client("agent").reads(&request["id"]).await["status"], "approved");
        assert_eq!(count(&app, &request, "request.edited").await, 1);
        app.finish().await;
    }

    async fn a_mistake_is_told_at_its_input_in_the_words_of_the_api(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (request, card) = asked(&app, &editable()).await;
        let bob = app.slack.user("U0BOB");
        let view = form(&app, "U0BOB", &card).await;
        let filled = [field("cs.field./rows", "120001"), field("cs.field./columns", r#"["a", 2]"#), field("cs.field./password", "mine")];
        // Nobody is asked before the answer: neither Slack nor the directory.
        let users = app.slack.holds("users.info");
        std::fs::write(app.files.path().join("directory.toml"), "not a directory").unwrap();
        let answer = told_by(&bob.submits(&view, &filled).await);
        users.release();
        let errors: Vec<&Value> = answer["errors"].as_object().unwrap().values().collect();
        // Masked values come first: without them the rest cannot be read.
        assert_eq!(errors, ["is masked: return it exactly as shown; it cannot be changed or removed"]);
        let answer = told_by(&bob.submits(&view, &filled[..2]).await);
        assert_eq!(answer["response_action"], "errors");
        let errors: Vec<&Value> = answer["errors"].as_object().unwrap().values().collect();
        assert_eq!(errors, ["/1: must be of type string, not a number", "must be at most 120000"]);
        let answer = told_by(&bob.submits(&view, &[field("cs.field./columns", "[1,")]).await);
        assert_eq!(answer["errors"].as_object().unwrap().values().next().unwrap(), "is not JSON: EOF while parsing a value (line 1, column 3)");
        let answer = told_by(&bob.submits(&view, &[]).await);
        assert_eq!(
            answer["errors"].as_object().unwrap().values().next().unwrap(),
            "These parameters were part of this request before. An edit must lead to new ones."
        );
        assert_eq!(app.client("agent").reads(&request["id"]).await["version"], 1);
        app.finish().await;
    }

    async fn what_is_approved_is_what_the_difference_showed(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (request, card) = asked(&app, &editable()).await;
        let view = form(&app, "U0BOB", &card).await;
        let preview = drafts(&app, "U0BOB", &view, &[field("cs.field./rows", "5000")]).await;
        // Changed once more: that difference must be seen too.
        let other = drafts(&app, "U0BOB", &preview, &[field("cs.field./rows", "70")]).await;
        assert!(content(&other).contains("/rows: 120000 → 70"), "{}", content(&other));
        assert_eq!(count(&app, &request, "request.edited").await, 0);
        app.slack.user("U0BOB").submits(&other, &[]).await;
        judged(&app).await;
        assert_eq!(app.client("agent").reads(&request["id"]).await["final_parameters"]["rows"], 70);
        app.finish().await;
    }

    async fn a_form_about_what_was_changed_or_decided_meanwhile_says_so(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (request, card) = asked(&app, &editable()).await;
        let view = form(&app, "U0BOB", &card).await;
        let preview = drafts(&app, "U0BOB", &view, &[field("cs.field./rows", "5000")]).await;
        let details = {
            app.slack.user("U0CAROL").taps(&card, "cs.details").await;
            dialog(&app, "U0CAROL").await
        };
        let mut parameters = request["parameters"].clone();
        parameters["rows"] = json!(9);
        let body = json!({"decision": "edit", "digest": request["digest"], "parameters": parameters});
        let path = format!("/v1/requests/{}/reviews", request["id"].as_str().unwrap());
        // The caller's own reading is unmasked; a reviewer returns what is shown.
        let shown_to_dave = app.person("dave@example.com").await.reads(&request["id"]).await;
        let mut body = body;
        body["parameters"]["password"] = shown_to_dave["parameters"]["password"].clone();
        app.person("dave@example.com").await.post(&path, &body).await.expect(201);
        for (user, view) in [("U0BOB", &preview), ("U0CAROL", &details)] {
            app.slack.user(user).submits(view, &[]).await;
            let told = app.slack.user(user).view().unwrap();
            assert_eq!(told.content["title"]["text"], "Changed meanwhile");
            assert!(content(&told).contains("/rows: 120000 → 9"), "{}", content(&told));
        }
        judged(&app).await;
        assert_eq!(refusals(&app, &request).await, [("digest_changed".to_owned(), 1), ("digest_changed".to_owned(), 1)]);
        assert!(app.slack.user("U0BOB").told().is_empty(), "the dialog said it");
        let redrawn = card_when(&app, &request, "the edit", |card| shown(card).contains("→ 9")).await;
        let view = form(&app, "U0BOB", &redrawn).await;
        app.person("dave@example.com").await.post(&path, &json!({"decision": "deny"})).await.expect(201);
        app.slack.user("U0BOB").submits(&view, &[field("cs.field./rows", "5000")]).await;
        let told = app.slack.user("U0BOB").view().unwrap();
        assert!(content(&told).contains("by Dave Marsh. Your answer was not recorded."), "{}", content(&told));
        judged(&app).await;
        app.finish().await;
    }

    async fn an_edit_is_judged_by_person_and_policy_when_it_is_made(database: TestDatabase) {
        let policy = format!("{POLICY}\n[[rule]]\nid = \"tiny\"\neffect = \"deny\"\nmatch = {{ action = \"dual.*\" }}\nwhen = \"parameters.rows < 10\"\n");
        let app = TestApp::with(database, Options { policy, ..Options::default() }).await;
        let (request, card) = asked(&app, &editable()).await;
        for (user, rows, sentence) in [
            ("U0BOB", "5", "Policy denies the edited parameters"),
            ("U0ALICE", "50", "You are the owner of the client that asks, so you cannot approve it. You may deny it."),
            ("U0FRANK", "50", "You cannot decide this: it needs"),
        ] {
            let view = form(&app, user, &card).await;
            let preview = drafts(&app, user, &view, &[field("cs.field./rows", rows)]).await;
            assert_eq!(app.slack.user(user).submits(&preview, &[]).await.body, "");
            let told = told(&app, user, 1).await;
            assert!(told[0].starts_with(sentence), "{told:?}");
        }
        let codes: Vec<String> = refusals(&app, &request).await.into_iter().map(|(code, _)| code).collect();
        assert_eq!(codes, ["edit_denied_by_policy", "self_approval", "not_eligible"]);
        assert_eq!(app.client("agent").reads(&request["id"]).await["version"], 1);
        app.finish().await;
    }

    async fn nothing_is_edited_that_the_caller_did_not_offer(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (request, card) = asked(&app, &export()).await;
        assert_eq!(buttons(&card), ["cs.approve", "cs.deny", "cs.details"]);
        let mut forged = app.slack.user("U0BOB").tap_payload(&card, "cs.details");
        forged["actions"][0]["action_id"] = json!("cs.edit");
        assert_eq!(app.slack.deliver(&forged, &Oddity::default()).await.status, 200);
        assert_eq!(told(&app, "U0BOB", 1).await, ["The caller does not offer the decision \"edit\" for this request."]);
        assert_eq!(app.client("agent").reads(&request["id"]).await["version"], 1);
        app.finish().await;
    }

    async fn a_comment_is_written_on_top_of_the_details_and_decides_nothing(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (request, card) = asked(&app, &export()).await;
        let bob = app.slack.user("U0BOB");
        bob.taps(&card, "cs.details").await;
        let details = dialog(&app, "U0BOB").await;
        bob.taps_in(&details, "cs.comment").await.unwrap();
        let view = top(&app, "U0BOB", "cs.comment").await;
        assert_eq!(view.previous.as_deref(), Some(details.id.as_str()), "there is a way back");
        let blank = told_by(&bob.submits(&view, &[words("  ")]).await);
        assert_eq!(blank["errors"].as_object().unwrap().values().next().unwrap(), "is required for the decision \"comment\"");
        assert_eq!(bob.submits(&view, &[words("who needs this?")]).await.body, "");
        judged(&app).await;
        let commented = app.client("agent").reads(&request["id"]).await;
        assert_eq!((commented["status"].as_str(), commented["reviews"][0]["decision"].as_str()), (Some("pending"), Some("comment")));
        card_when(&app, &request, "the comment", |card| shown(card).contains("who needs this?")).await;
        assert_eq!(bob.view().unwrap().id, details.id, "the details are there again");
        app.finish().await;
    }
}
