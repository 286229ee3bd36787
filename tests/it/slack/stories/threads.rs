//! The thread of a card tells the story: who reviewed and for which seat, what was edited, how it was decided and what became of it.

use super::{asked, buttons, card, card_when, comments, judged, shown, text, thread_of};
use crate::support::app::{ApiClient, CHANNEL, DIRECTORY, Options, TestApp, export};
use crate::support::db::both_databases;
use crate::support::slack::{Fault, model::Message};
use serde_json::{Value, json};
use std::time::Duration;

fn path(request: &Value, what: &str) -> String {
    format!("/v1/requests/{}/{what}", text(&request["id"]))
}

/// An export that may be edited, by two seats.
fn dual() -> Value {
    let mut ask = export();
    ask["action"] = json!("dual.export");
    ask["allowed_decisions"] = json!(["approve", "deny", "edit"]);
    ask["edit_schema"] = json!({"type": "object", "properties": {"rows": {"type": "integer", "maximum": 120_000}}});
    ask
}

async fn reviews(person: &ApiClient<'_>, request: &Value, body: &Value) -> Value {
    person.post(&path(request, "reviews"), body).await.expect(201).body
}

/// The direct messages to an account.
fn told_directly(app: &TestApp, user: &str) -> Vec<Message> {
    app.slack.user(user).direct_messages()
}

both_databases! {
    async fn the_thread_tells_the_whole_story_in_order(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (request, first) = asked(&app, &dual()).await;
        let (bob, carol, dave) = (app.person("bob@example.com").await, app.person("carol@example.com").await, app.person("dave@example.com").await);
        comments(&carol, &request, "is <!channel> *ready*? :tada:").await;
        assert_eq!(thread_of(&app, &first, 1).await, ["Carol Diaz commented. / is <!channel> *ready*? :tada:"]);
        reviews(&bob, &request, &json!({"decision": "approve", "digest": request["digest"], "comment": "agreement checked"})).await;
        thread_of(&app, &first, 2).await;
        let mut parameters = request["parameters"].clone();
        parameters["rows"] = json!(500);
        let edited = reviews(&dave, &request, &json!({"decision": "edit", "digest": request["digest"], "parameters": parameters})).await;
        thread_of(&app, &first, 3).await;
        reviews(&carol, &request, &json!({"decision": "approve", "digest": edited["digest"], "comment": "fine"})).await;
        thread_of(&app, &first, 4).await;
        let agent = app.client("agent");
        let approved = agent.reads(&request["id"]).await;
        assert_eq!(approved["status"], "approved");
        agent.redeems(&approved["grant"]["token"], &approved["final_parameters"]).await.expect(200);
        thread_of(&app, &first, 5).await;
        agent.post(&path(&request, "outcome"), &json!({"status": "failed", "detail": "the bucket is full"})).await.expect(200);
        assert_eq!(
            thread_of(&app, &first, 6).await,
            [
                "Carol Diaz commented. / is <!channel> *ready*? :tada:",
                "Bob Stone approved for data-governance: 1 of 2 approved. / agreement checked",
                "Dave Marsh edited the parameters. Earlier approvals do not count any more. / Against what was asked / /rows: 120000 → 500",
                "Approved by Dave Marsh and Carol Diaz. / fine",
                "The grant was redeemed.",
                "The caller reported: failed. / the bucket is full",
            ]
        );
        let messages = app.slack.messages(CHANNEL);
        let first_told = messages.iter().find(|message| message.thread_ts.is_some()).unwrap();
        assert_eq!(first_told.text, "Carol Diaz commented.", "what a person wrote stands in no text that is parsed");
        assert_eq!(messages.iter().filter(|message| message.thread_ts.is_none()).count(), 1);
        app.finish().await;
    }

    async fn every_end_has_its_line(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (denied, card_denied) = asked(&app, &export()).await;
        reviews(&app.person("alice@example.com").await, &denied, &json!({"decision": "deny", "option": "use_staging", "comment": "wrong bucket"})).await;
        assert_eq!(thread_of(&app, &card_denied, 1).await, ["Denied by Alice Liu. / Use staging instead: wrong bucket"]);
        let (cancelled, card_cancelled) = asked(&app, &export()).await;
        app.client("agent").post(&path(&cancelled, "cancel"), &json!({"reason": "the run was stopped"})).await.expect(200);
        assert_eq!(thread_of(&app, &card_cancelled, 1).await, ["Cancelled by the client that asked. / the run was stopped"]);
        let (revoked, card_revoked) = asked(&app, &export()).await;
        app.slack.user("U0BOB").taps(&card_revoked, "cs.approve").await;
        judged(&app).await;
        assert_eq!(thread_of(&app, &card_revoked, 1).await, ["Approved by Bob Stone."]);
        app.client("agent").post(&path(&revoked, "revoke"), &json!({"reason": "not needed"})).await.expect(200);
        assert_eq!(thread_of(&app, &card_revoked, 2).await[1], "The approval was revoked. / not needed");
        let (_, card_expired) = asked(&app, &export()).await;
        app.clock.advance(Duration::from_hours(1));
        assert_eq!(thread_of(&app, &card_expired, 1).await, ["Expired: nobody decided in time."]);
        app.finish().await;
    }

    async fn what_happened_before_the_card_was_posted_is_on_the_card_and_not_in_the_thread(database: TestDatabase) {
        let app = TestApp::start(database).await;
        app.slack.fails("chat.postMessage", Fault::RateLimited(30));
        let request = app.client("agent").asks(&export()).await;
        app.eventually("it was tried", async || !app.slack.calls("chat.postMessage").is_empty()).await;
        comments(&app.person("bob@example.com").await, &request, "which partner?").await;
        let card = card(&app, &request).await;
        assert!(shown(&card).contains("which partner?"));
        comments(&app.person("bob@example.com").await, &request, "found it").await;
        assert_eq!(thread_of(&app, &card, 1).await, ["Bob Stone commented. / found it"]);
        app.finish().await;
    }

    async fn an_edit_shows_no_secret_in_the_thread(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let mut ask = dual();
        ask["parameters"]["password"] = json!("hunter2-hunter2");
        ask["edit_schema"]["properties"]["password"] = json!({"type": "string"});
        let (request, card) = asked(&app, &ask).await;
        let mut parameters = app.person("dave@example.com").await.reads(&request["id"]).await["parameters"].clone();
        parameters["rows"] = json!(7);
        reviews(&app.person("dave@example.com").await, &request, &json!({"decision": "edit", "digest": request["digest"], "parameters": parameters})).await;
        let told = thread_of(&app, &card, 1).await;
        assert!(told[0].ends_with("/rows: 120000 → 7"), "{told:?}");
        assert!(!format!("{:?}", app.slack.messages(CHANNEL)).contains("hunter2"));
        app.finish().await;
    }

    async fn one_message_that_slack_does_not_take_does_not_silence_the_thread(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (request, card) = asked(&app, &export()).await;
        app.slack.fails("chat.postMessage", Fault::Error("restricted_action_thread_locked"));
        let bob = app.person("bob@example.com").await;
        comments(&bob, &request, "first").await;
        comments(&bob, &request, "second").await;
        assert_eq!(thread_of(&app, &card, 1).await, ["Bob Stone commented. / second"]);
        let events = app.events().await;
        let failed = events.iter().find(|event| event["type"] == "delivery.failed").unwrap();
        assert_eq!((failed["data"]["code"].as_str(), failed["data"]["message"].as_bool()), (Some("restricted_action_thread_locked"), Some(true)));
        assert_eq!(app.client("agent").reads(&request["id"]).await["deliveries"][0]["status"], "posted");
        app.finish().await;
    }

    async fn a_reply_that_was_not_answered_is_sent_again_and_the_card_is_not(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (request, card) = asked(&app, &export()).await;
        app.slack.fails("chat.postMessage", Fault::Status(503));
        app.slack.fails("chat.postMessage", Fault::LostAnswer);
        comments(&app.person("bob@example.com").await, &request, "hm").await;
        // At least once: Slack cannot say whether it took the one whose answer was lost.
        assert_eq!(thread_of(&app, &card, 2).await, ["Bob Stone commented. / hm", "Bob Stone commented. / hm"]);
        assert_eq!(app.slack.messages(CHANNEL).iter().filter(|message| message.thread_ts.is_none()).count(), 1);
        app.finish().await;
    }

    async fn a_thread_survives_a_restart(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (request, card) = asked(&app, &export()).await;
        app.slack.fails("chat.postMessage", Fault::RateLimited(60));
        comments(&app.person("bob@example.com").await, &request, "still there?").await;
        app.eventually("it was tried", async || {
            app.clock.advance(Duration::from_millis(1_100));
            app.slack.calls("chat.postMessage").len() == 2
        }).await;
        let app = app.restarted(async |_| {}).await;
        app.clock.advance(Duration::from_mins(1));
        assert_eq!(thread_of(&app, &card, 1).await, ["Bob Stone commented. / still there?"]);
        app.finish().await;
    }

    async fn the_person_behind_the_agent_is_told_once_how_it_was_decided(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let mut ask = export();
        ask["on_behalf_of"] = json!("grace@example.com");
        let (request, card) = asked(&app, &ask).await;
        assert_eq!(told_directly(&app, "U0GRACE"), []);
        app.slack.user("U0BOB").taps(&card, "cs.approve").await;
        judged(&app).await;
        app.eventually("grace is told", async || told_directly(&app, "U0GRACE").len() == 1).await;
        let told = told_directly(&app, "U0GRACE").remove(0);
        assert_eq!(told.text, "agent asked for db.export on your behalf. Approved by Bob Stone.");
        let said = shown(&told);
        assert!(said.starts_with("agent asked for db.export on prod/customers (table) on your behalf. Approved by Bob Stone."), "{said}");
        let link = app.client("agent").reads(&request["id"]).await["deliveries"][0]["permalink"].clone();
        assert!(told.blocks.to_string().contains(&format!("\"url\":{link}")), "{}", told.blocks);
        let approved = app.client("agent").reads(&request["id"]).await;
        app.client("agent").redeems(&approved["grant"]["token"], &approved["parameters"]).await.expect(200);
        thread_of(&app, &card, 2).await;
        assert_eq!(told_directly(&app, "U0GRACE").len(), 1, "one per decision");
        assert_eq!(approved["deliveries"].as_array().unwrap().len(), 1, "it is no card");
        // Who ended it needs no message, and neither does anybody learn of it whom the directory ties to no account.
        let (denied, card) = asked(&app, &ask).await;
        reviews(&app.person("grace@example.com").await, &denied, &json!({"decision": "deny", "comment": "no"})).await;
        thread_of(&app, &card, 1).await;
        assert_eq!(told_directly(&app, "U0GRACE").len(), 1);
        app.finish().await;
    }

    async fn somebody_without_an_account_is_not_told(database: TestDatabase) {
        let directory = DIRECTORY.replace("slack = { team_id = \"T0ACME\", user_id = \"U0GRACE\" }", "");
        let app = TestApp::with(database, Options { directory, ..Options::default() }).await;
        let mut ask = export();
        ask["on_behalf_of"] = json!("grace@example.com");
        let (_, card) = asked(&app, &ask).await;
        app.clock.advance(Duration::from_hours(1));
        assert_eq!(thread_of(&app, &card, 1).await, ["Expired: nobody decided in time."]);
        let before = app.slack.calls("chat.postMessage").len();
        app.clock.advance(Duration::from_mins(10));
        assert_eq!(app.slack.calls("chat.postMessage").len(), before);
        app.finish().await;
    }

    async fn an_older_card_whose_posting_got_no_answer_leads_to_the_newer_one(database: TestDatabase) {
        let app = TestApp::start(database).await;
        app.slack.fails("chat.postMessage", Fault::LostAnswer);
        let request = app.client("agent").asks(&dual()).await;
        app.eventually("it is posted twice", async || {
            app.clock.advance(Duration::from_secs(1));
            app.slack.messages(CHANNEL).len() == 2
        }).await;
        let [older, newer] = app.slack.messages(CHANNEL).try_into().unwrap();
        // Both carry the same digest, so a tap on either counts.
        app.slack.user("U0BOB").taps(&older, "cs.approve").await;
        judged(&app).await;
        let moved = card_when(&app, &request, "the older one", |card| card.ts == older.ts && buttons(card).is_empty()).await;
        assert!(shown(&moved).contains("this card was posted twice. See the newer card"), "{}", shown(&moved));
        assert!(moved.blocks.to_string().contains(&newer.ts.replace('.', "")), "it leads to the newer one");
        let current = card_when(&app, &request, "the newer one", |card| card.ts == newer.ts && shown(card).contains("1 of 2")).await;
        assert!(!buttons(&current).is_empty());
        assert_eq!(thread_of(&app, &newer, 1).await.len(), 1);
        app.finish().await;
    }
}
