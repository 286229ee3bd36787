//! A request that nobody decides: people are reminded once, then more are asked; a channel that cannot be reached is no end either.

use super::{asked, buttons, card_when, judged, shown, text, thread, thread_of};
use crate::support::app::{CHANNEL, DIRECTORY, Options, POLICY, TestApp, export};
use crate::support::db::{TestDatabase, both_databases};
use crate::support::slack::model::Message;
use countersign::domain::time::Clock as _;
use serde_json::{Value, json};
use std::time::Duration;

/// Where the leads are asked.
const LEADS: &str = "C0LEADS";

/// One steward is asked, reminded of after a quarter of an hour; after half an hour security may decide too, and the leads see it.
fn policy() -> String {
    format!(
        "{POLICY}
[routes.patient]
slack = [\"{CHANNEL}\"]
seats = [{{ group = \"data-governance\", count = 1 }}]
expires_in = \"1h\"
remind_after = \"15m\"
escalate = {{ after = \"30m\", route = \"leads\", groups = [\"security\"] }}

[routes.leads]
slack = [\"{LEADS}\", \"{CHANNEL}\"]
seats = [{{ group = \"security\" }}]

[[rule]]
id = \"patient\"
effect = \"review\"
match = {{ action = \"patient.*\" }}
route = \"patient\"
"
    )
}

async fn start(database: TestDatabase) -> TestApp {
    let app = TestApp::with(database, Options { policy: policy(), ..Options::default() }).await;
    app.slack.change(|model| model.add_channel(LEADS));
    app
}

fn ask() -> Value {
    let mut ask = export();
    ask["action"] = json!("patient.export");
    ask["on_behalf_of"] = json!("grace@example.com");
    ask
}

/// The accounts that a message mentions.
fn mentioned(message: &Message) -> Vec<String> {
    fn gather(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(object) if object.get("type") == Some(&json!("user")) => found.push(text(&object["user_id"])),
            Value::Object(object) => object.values().for_each(|value| gather(value, found)),
            Value::Array(items) => items.iter().for_each(|value| gather(value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    gather(&message.blocks, &mut found);
    found
}

fn replies(app: &TestApp, card: &Message) -> Vec<Message> {
    app.slack.messages(&card.channel).into_iter().filter(|message| message.thread_ts.as_ref() == Some(&card.ts)).collect()
}

/// The card in the leads' channel.
async fn leads_card(app: &TestApp) -> Message {
    let cards = || app.slack.messages(LEADS).into_iter().find(|message| message.thread_ts.is_none());
    app.eventually("a card for the leads", async || {
        app.clock.advance(Duration::from_secs(1));
        cards().is_some()
    })
    .await;
    cards().unwrap()
}

both_databases! {
    async fn the_people_of_open_seats_are_reminded_once(database: TestDatabase) {
        let app = start(database).await;
        let (request, card) = asked(&app, &ask()).await;
        app.clock.advance(Duration::from_mins(15));
        let told = thread_of(&app, &card, 1).await;
        assert!(told[0].starts_with("Still waiting for 1 of data-governance. / Please look:"), "{told:?}");
        let reminder = replies(&app, &card).remove(0);
        // Alice owns the agent, it is for Grace, Erin is inactive and the service is no human.
        assert_eq!(mentioned(&reminder), ["U0BOB", "U0DAVE"]);
        assert_eq!(reminder.text, "Still waiting for 1 of data-governance. <@U0BOB> <@U0DAVE>");
        // A replica that looks a moment later finds nothing to do, and neither does a restart.
        let replica = app.replica((*app.clock).clone()).await.engine;
        assert_eq!(replica.escalate_due().await.unwrap(), 0);
        let app = app.restarted(async |_| {}).await;
        app.clock.advance(Duration::from_mins(5));
        assert_eq!(app.running.app.engine.escalate_due().await.unwrap(), 0);
        assert_eq!(thread(&app, &card).len(), 1);
        assert_eq!(app.story(&text(&request["id"])).await.iter().filter(|event| *event == "request.reminded").count(), 1);
        app.finish().await;
    }

    async fn two_replicas_remind_and_escalate_once(database: TestDatabase) {
        let app = start(database).await;
        let ask = countersign::domain::ask::Ask::from_value(&ask()).unwrap();
        let clock = crate::support::clock::TestClock::new();
        clock.advance(Duration::from_hours(2));
        let (left, right) = (app.replica(clock.clone()).await.engine, app.replica(clock.clone()).await.engine);
        let agent = left.store.client_by_name("agent").await.unwrap().unwrap();
        for _ in 0..10 {
            left.open(&agent, ask.clone(), None).await.unwrap();
        }
        clock.advance(Duration::from_mins(40));
        let (one, two) = tokio::join!(left.escalate_due(), right.escalate_due());
        assert_eq!(one.unwrap() + two.unwrap(), 20, "ten reminders and ten escalations, whoever made them");
        let events = app.events().await;
        for kind in ["request.reminded", "request.escalated"] {
            assert_eq!(events.iter().filter(|event| event["type"] == kind).count(), 10, "{kind}");
        }
        assert_eq!(left.escalate_due().await.unwrap(), 0);
        left.store.close().await;
        right.store.close().await;
        app.running.stop().await.unwrap();
    }

    async fn a_reminder_that_is_due_while_the_server_is_down_comes_after_its_start(database: TestDatabase) {
        let app = start(database).await;
        let (_, card) = asked(&app, &ask()).await;
        let clock = app.clock.clone();
        let app = app.restarted(async |_| clock.advance(Duration::from_mins(20))).await;
        assert!(thread_of(&app, &card, 1).await[0].starts_with("Still waiting for"));
        app.finish().await;
    }

    async fn more_than_five_people_are_not_all_called(database: TestDatabase) {
        use std::fmt::Write as _;
        let mut directory = DIRECTORY.to_owned();
        for number in 0..6 {
            write!(directory, "\n[[person]]\nname = \"P{number}\"\nemail = \"p{number}@example.com\"\ngroups = [\"data-governance\"]\nslack = {{ team_id = \"T0ACME\", user_id = \"U0P{number}\" }}\n").unwrap();
        }
        let app = TestApp::with(database, Options { policy: policy(), directory, ..Options::default() }).await;
        let (_, card) = asked(&app, &ask()).await;
        app.clock.advance(Duration::from_mins(15));
        let told = thread_of(&app, &card, 1).await;
        assert_eq!(mentioned(&replies(&app, &card)[0]).len(), 5);
        assert!(told[0].contains("and 3 more"), "{told:?}");
        app.finish().await;
    }

    async fn after_a_while_others_see_the_card_and_may_fill_the_open_seat(database: TestDatabase) {
        let app = start(database).await;
        let (request, card) = asked(&app, &ask()).await;
        let carol = app.slack.user("U0CAROL");
        carol.taps(&card, "cs.approve").await;
        judged(&app).await;
        assert_eq!(app.client("agent").reads(&request["id"]).await["status"], "pending", "security is not asked yet");
        app.clock.advance(Duration::from_mins(30));
        let leads = leads_card(&app).await;
        assert!(shown(&leads).contains("data-governance or security: open"), "{}", shown(&leads));
        let told = thread_of(&app, &card, 2).await;
        assert!(told[1].starts_with("Escalated: security may fill open seats too."), "{told:?}");
        assert_eq!(mentioned(&replies(&app, &card)[1]), ["U0BOB", "U0CAROL", "U0DAVE"]);
        assert_eq!(app.slack.messages(CHANNEL).iter().filter(|message| message.thread_ts.is_none()).count(), 1, "no second card in one channel");
        let seen = app.client("agent").reads(&request["id"]).await;
        assert_eq!(seen["approval"]["seats"], json!([{"any": ["data-governance", "security"], "count": 1, "filled_by": []}]));
        assert!(text(&seen["policy"]["explanation"]).ends_with("Undecided for 30m, security may fill open seats too."), "{}", seen["policy"]);
        assert_eq!(seen["deliveries"].as_array().unwrap().iter().map(|line| text(&line["channel"])).collect::<Vec<_>>(), ["slack:C0PROD", "slack:C0LEADS"]);
        carol.taps(&leads, "cs.approve").await;
        judged(&app).await;
        for first in [&card, &leads] {
            app.eventually("both cards say so", async || {
                app.clock.advance(Duration::from_secs(1));
                app.slack.messages(&first.channel).iter().any(|card| card.ts == first.ts && shown(card).contains("Carol Diaz") && buttons(card).is_empty())
            }).await;
        }
        let escalated = app.events().await.into_iter().find(|event| event["type"] == "request.escalated").unwrap();
        assert_eq!((escalated["data"]["groups"].clone(), escalated["data"]["after"].clone()), (json!(["security"]), json!(1800)));
        app.finish().await;
    }

    async fn what_is_decided_is_neither_reminded_of_nor_escalated(database: TestDatabase) {
        let app = start(database).await;
        let (request, card) = asked(&app, &ask()).await;
        app.slack.user("U0BOB").taps(&card, "cs.approve").await;
        judged(&app).await;
        card_when(&app, &request, "approved", |card| buttons(card).is_empty()).await;
        app.clock.advance(Duration::from_mins(40));
        assert_eq!(app.running.app.engine.escalate_due().await.unwrap(), 0);
        assert!(!app.story(&text(&request["id"])).await.iter().any(|event| event == "request.reminded" || event == "request.escalated"));
        app.finish().await;
    }

    async fn several_channels_of_one_request_are_all_kept_right_and_one_that_fails_keeps_no_other(database: TestDatabase) {
        let policy = POLICY.replace("slack = [\"C0PROD\"]", "slack = [\"C0GONE\", \"C0PROD\", \"C0LEADS\"]");
        let app = TestApp::with(database, Options { policy, ..Options::default() }).await;
        app.slack.change(|model| model.add_channel(LEADS));
        let (request, card) = asked(&app, &export()).await;
        let other = leads_card(&app).await;
        app.slack.user("U0BOB").taps(&other, "cs.approve").await;
        judged(&app).await;
        for first in [&card, &other] {
            app.eventually("it says so", async || {
                app.clock.advance(Duration::from_secs(1));
                app.slack.messages(&first.channel).iter().any(|card| card.ts == first.ts && shown(card).contains("Bob Stone") && buttons(card).is_empty())
            }).await;
            assert_eq!(thread_of(&app, first, 1).await, ["Approved by Bob Stone."]);
        }
        let lines = app.client("agent").reads(&request["id"]).await["deliveries"].clone();
        let told: Vec<_> = lines.as_array().unwrap().iter().map(|line| (text(&line["channel"]), text(&line["status"]))).collect();
        assert_eq!(told, [("slack:C0GONE", "failed"), ("slack:C0PROD", "posted"), ("slack:C0LEADS", "posted")].map(|(channel, status)| (channel.to_owned(), status.to_owned())));
        assert_eq!(lines[0]["error"], "channel_not_found");
        app.finish().await;
    }

    async fn when_no_channel_can_be_reached_the_next_one_is_tried_and_then_the_people_themselves(database: TestDatabase) {
        let app = start(database).await;
        app.slack.set_channel(CHANNEL, "is_archived", json!(true));
        app.client("agent").asks(&ask()).await;
        // Where it would be escalated to; who may decide is not changed by that.
        let leads = leads_card(&app).await;
        assert!(shown(&leads).contains("data-governance: open"));
        assert_eq!(app.slack.user("U0BOB").direct_messages(), []);
        app.slack.set_channel(LEADS, "is_archived", json!(true));
        let request = app.client("agent").asks(&ask()).await;
        app.eventually("the people are asked", async || {
            app.clock.advance(Duration::from_secs(1));
            ["U0BOB", "U0DAVE"].iter().all(|user| app.slack.user(user).direct_messages().len() == 1)
        }).await;
        for user in ["U0ALICE", "U0GRACE", "U0CAROL", "U0ERIN"] {
            assert_eq!(app.slack.user(user).direct_messages(), [], "{user} cannot approve");
        }
        let card = app.slack.user("U0BOB").direct_messages().remove(0);
        app.slack.user("U0BOB").taps(&card, "cs.approve").await;
        judged(&app).await;
        assert_eq!(app.client("agent").reads(&request["id"]).await["status"], "approved");
        let ready = app.stranger().get("/readyz").await.expect(200).body;
        assert!(ready["degraded"]["dead_letters"].as_u64() >= Some(3), "{ready}");
        app.finish().await;
    }

    async fn a_channel_that_was_put_right_gets_its_card_at_the_next_start(database: TestDatabase) {
        let app = TestApp::start(database).await;
        app.slack.set_channel(CHANNEL, "is_archived", json!(true));
        let request = app.client("agent").asks(&export()).await;
        app.eventually("it is given up", async || app.client("agent").reads(&request["id"]).await["deliveries"][0]["status"] == "failed").await;
        app.slack.set_channel(CHANNEL, "is_archived", json!(false));
        let app = app.restarted(async |_| {}).await;
        let card = super::card(&app, &request).await;
        assert!(!buttons(&card).is_empty());
        app.eventually("nothing is dead", async || app.running.app.engine.store.outbox_state(app.clock.now()).await.unwrap().dead == 0).await;
        app.finish().await;
    }
}
