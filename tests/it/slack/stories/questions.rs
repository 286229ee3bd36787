//! Questions that decide nothing: the slash command, the app's own page, and what Slack says about our installation.

use super::edits::top;
use super::{asked, dialog, judged, refusals, text};
use crate::support::app::{CHANNEL, Options, TestApp, export};
use crate::support::db::both_databases;
use crate::support::slack::model::View;
use crate::support::slack::person::Oddity;
use serde_json::{Value, json};
use std::time::Duration;

/// What a person is answered to a command, privately: the texts of all blocks.
async fn answered(app: &TestApp, user: &str, words: &str) -> Vec<String> {
    let before = app.slack.user(user).told().len();
    let acknowledged = app.slack.user(user).commands(CHANNEL, words).await.unwrap();
    assert_eq!((acknowledged.status, acknowledged.body.as_str()), (200, ""));
    let blocks = app
        .slack
        .until("the answer", |model| {
            let told: Vec<_> = model.ephemerals.iter().filter(|told| told.user == user).collect();
            (told.len() > before).then(|| told.last().unwrap().blocks.clone())
        })
        .await;
    sections(&blocks)
}

fn sections(blocks: &Value) -> Vec<String> {
    let blocks = blocks.as_array().unwrap().iter().filter(|block| matches!(block["type"].as_str(), Some("header" | "section")));
    blocks.map(|block| text(&block["text"]["text"])).collect()
}

async fn opens_home(app: &TestApp, user: &str) -> View {
    let before = app.slack.user(user).home().map(|view| view.hash);
    assert_eq!(app.slack.user(user).opens_home().await.unwrap().status, 200);
    app.slack.until("the page", |model| model.homes.get(user).filter(|view| Some(&view.hash) != before.as_ref()).cloned()).await
}

both_databases! {
    async fn a_command_answers_whoever_the_directory_knows_and_nobody_else(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let mut ask = export();
        ask["on_behalf_of"] = json!("grace@example.com");
        let (request, _) = asked(&app, &ask).await;
        let id = text(&request["id"]);
        let help = [
            "Countersign",
            "/countersign pending: what waits for your decision\n/countersign show ID: how a request stands\n\
             /countersign who ID: who may approve it, and why not others\n/countersign help: these lines",
        ];
        assert_eq!(answered(&app, "U0BOB", "").await, help);
        assert_eq!(answered(&app, "U0BOB", " HELP ").await, help);
        let pending = answered(&app, "U0BOB", "pending").await;
        assert_eq!(pending[0], "Waiting for you");
        assert!(pending[1].starts_with("Approval needed: db.export on prod/customers (table)\nAsked by agent, for grace@example.com\nreq_"), "{pending:?}");
        assert_eq!(answered(&app, "U0GRACE", "pending").await, ["Waiting for you", "Nothing waits for your decision."]);
        let shown = answered(&app, "U0GRACE", &format!("show {id}")).await;
        assert_eq!(shown[..2], ["Approval needed".to_owned(), "0 of 1 approved\ndata-governance: open".to_owned()]);
        let who = answered(&app, "U0BOB", &format!("who {id}")).await;
        assert_eq!(who[0], "Who may approve");
        assert!(who[1].contains("May approve: Bob Stone, Dave Marsh.\nNot Alice Liu: owns the client that asks.\nNot Erin Holt: is not active in the company directory.\nNot Grace Park: it is asked on their behalf.\nNot Reporting service: is no person."), "{who:?}");
        // What is not theirs, what does not exist, and what is no id are one and the same.
        for words in [format!("show {id}"), format!("who {id}"), "show req_01M7WC36M0EQ1SX39VF90F5HJH".to_owned(), "show <!channel>".to_owned()] {
            let user = if words.contains(&id) { "U0CAROL" } else { "U0BOB" };
            assert_eq!(answered(&app, user, &words).await, ["Countersign", "There is no such request, or it is not yours."]);
        }
        assert_eq!(answered(&app, "U0BOB", "drop <@U0BOB> *all*").await[1].lines().next(), Some("I do not know that command."));
        // Guests, accounts without a person, and people who left learn nothing.
        app.slack.change(|model| model.add_user("U0NEW", "new@example.com"));
        app.slack.set_user("U0DAVE", "is_restricted", json!(true));
        for user in ["U0NEW", "U0DAVE", "U0ERIN", "U0SVC"] {
            let no = ["Countersign", "Sorry, I can only answer people whom the company directory knows as active members."];
            assert_eq!(answered(&app, user, &format!("show {id}")).await, no);
        }
        app.finish().await;
    }

    async fn the_page_of_the_app_shows_what_waits_and_opens_it(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let mut ask = export();
        ask["on_behalf_of"] = json!("grace@example.com");
        let (request, _) = asked(&app, &ask).await;
        let page = opens_home(&app, "U0BOB").await;
        let told = sections(&page.content["blocks"]);
        assert_eq!((told[0].as_str(), told[2].as_str(), told[3].as_str()), ("Waiting for you", "Asked on your behalf", "Nothing yet."));
        // Details from the page: there is no card to answer in, so what is private comes as a direct message.
        app.slack.user("U0BOB").taps_in(&page, "cs.details:1.1").await.unwrap();
        let view = dialog(&app, "U0BOB").await;
        app.slack.user("U0BOB").submits(&view, &[]).await;
        judged(&app).await;
        assert_eq!(app.client("agent").reads(&request["id"]).await["status"], "approved");
        let page = opens_home(&app, "U0BOB").await;
        assert_eq!(sections(&page.content["blocks"])[1], "Nothing waits for your decision.");
        let page = opens_home(&app, "U0GRACE").await;
        assert!(sections(&page.content["blocks"])[3].starts_with("Approved: db.export on prod/customers (table)"));
        app.slack.change(|model| model.add_user("U0NEW", "new@example.com"));
        let page = opens_home(&app, "U0NEW").await;
        assert_eq!(sections(&page.content["blocks"])[1], "Sorry, I can only answer people whom the company directory knows as active members.");
        app.finish().await;
    }

    async fn an_app_that_was_uninstalled_is_seen_and_nothing_is_sent_until_slack_takes_it_again(database: TestDatabase) {
        let app = TestApp::with(database, Options { look_every: Some(Duration::from_millis(50)), ..Options::default() }).await;
        let (request, card) = asked(&app, &export()).await;
        app.slack.change(|model| model.token_error = Some("account_inactive".to_owned()));
        for event in [json!({"type": "tokens_revoked", "tokens": {"oauth": ["U0BOB"], "bot": []}}), json!({"type": "app_uninstalled"})] {
            assert_eq!(app.slack.event(&event).await.unwrap().status, 200);
        }
        let trouble = async || app.stranger().get("/readyz").await.expect(200).body["degraded"]["slack"].as_str().map(str::to_owned);
        assert!(trouble().await.unwrap().starts_with("Slack has the app installed no more, or its token is revoked: "));
        let posts = app.slack.calls("chat.postMessage").len();
        let other = app.client("agent").asks(&export()).await;
        app.eventually("the card is given up", async || app.client("agent").reads(&other["id"]).await["deliveries"][0]["status"] != "pending").await;
        assert_eq!(app.slack.calls("chat.postMessage").len(), posts, "nobody knocks at a closed door");
        // A redrawn card waits; it is put right once Slack takes our calls again.
        app.person("bob@example.com").await.reviews(&request, "deny").await.expect(201);
        app.slack.change(|model| model.token_error = None);
        app.eventually("Slack takes us again", async || trouble().await.is_none()).await;
        super::card_when(&app, &request, "the denial", |drawn| drawn.ts == card.ts && super::buttons(drawn).is_empty()).await;
        app.finish().await;
    }

    async fn the_secret_before_the_present_one_is_good_while_it_is_configured(database: TestDatabase) {
        let app = TestApp::with(database, Options { previous_secret: Some("the-old-one".to_owned()), ..Options::default() }).await;
        let signed = |secret: &str| Oddity { secret: Some(secret.to_owned()), ..Oddity::default() };
        let (request, card) = asked(&app, &export()).await;
        let bob = app.slack.user("U0BOB");
        assert_eq!(bob.taps_oddly(&card, "cs.approve", &signed("an-even-older-one")).await.status, 401);
        assert_eq!(bob.taps_oddly(&card, "cs.approve", &signed("")).await.status, 401);
        assert_eq!(bob.taps_oddly(&card, "cs.approve", &signed("the-old-one")).await.status, 200);
        judged(&app).await;
        assert_eq!(app.client("agent").reads(&request["id"]).await["status"], "approved");
        let (request, card) = asked(&app, &export()).await;
        assert_eq!(bob.taps(&card, "cs.approve").await.status, 200);
        judged(&app).await;
        assert_eq!(app.client("agent").reads(&request["id"]).await["status"], "approved");
        app.finish().await;
    }

    async fn a_tap_for_another_app_is_a_strangers(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (request, card) = asked(&app, &export()).await;
        let other = Oddity { changes: vec![("/api_app_id", json!("A0OTHER"))], ..Oddity::default() };
        // Slack is asked after the start; a closed dialog shows when it has answered, and changes nothing.
        let mut closed = app.slack.user("U0BOB").tap_payload(&card, "cs.approve");
        closed["type"] = json!("view_closed");
        app.eventually("the server knows its own app", async || app.slack.deliver(&closed, &other).await.status == 403).await;
        assert_eq!(app.slack.user("U0BOB").taps_oddly(&card, "cs.approve", &other).await.status, 403);
        judged(&app).await;
        assert_eq!((app.client("agent").reads(&request["id"]).await["version"].as_u64(), refusals(&app, &request).await), (Some(1), vec![]));
        app.slack.user("U0BOB").taps(&card, "cs.details").await;
        top(&app, "U0BOB", "cs.details").await;
        app.finish().await;
    }
}
