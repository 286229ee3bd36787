//! Socket Mode: the same stories over connections that the server opens, and what happens when those go.

use super::acknowledgement::taps_are_refused;
use super::dialogs::words;
use super::edits::{editable, form};
use super::{asked, count, dialog, judged};
use crate::support::app::{Options, TestApp, export};
use crate::support::db::{TestDatabase, both_databases};
use crate::support::slack::Fault;
use crate::support::slack::person::Filled;
use countersign::chat::slack::socket::Timing;
use serde_json::{Value, json};
use std::time::Duration;

/// Quick to try again, patient with a slow machine.
fn brisk() -> Timing {
    let millis = Duration::from_millis;
    Timing { greeting: Duration::from_secs(10), ping: millis(50), silence: Duration::from_secs(30), pause: (millis(10), millis(50)) }
}

async fn start(database: TestDatabase, timing: Timing) -> TestApp {
    let app = TestApp::with(database, Options { socket: Some(timing), ..Options::default() }).await;
    connected(&app, 2).await;
    app
}

async fn connected(app: &TestApp, count: usize) {
    app.eventually("connections", async || app.slack.connections().len() == count && trouble(app).await.is_none() == (count > 0)).await;
}

/// What readiness says about Slack.
async fn trouble(app: &TestApp) -> Option<String> {
    let answer = app.stranger().get("/readyz").await.expect(200).body;
    answer["degraded"]["slack"].as_str().map(str::to_owned)
}

/// An envelope with a tap, as Slack writes it.
fn envelope(id: &str, payload: &Value) -> Value {
    json!({"envelope_id": id, "type": "interactive", "payload": payload, "accepts_response_payload": false})
}

fn acknowledged(app: &TestApp, id: &str) -> usize {
    app.slack.acknowledgements().iter().filter(|word| word["envelope_id"] == id).count()
}

both_databases! {
    async fn the_whole_story_is_told_over_a_connection_that_the_server_opened(database: TestDatabase) {
        let app = start(database, brisk()).await;
        let (first, card) = asked(&app, &export()).await;
        app.slack.user("U0BOB").taps(&card, "cs.approve").await;
        judged(&app).await;
        assert_eq!(app.client("agent").reads(&first["id"]).await["status"], "approved");
        let (second, card) = asked(&app, &export()).await;
        app.slack.user("U0BOB").taps(&card, "cs.deny").await;
        let view = dialog(&app, "U0BOB").await;
        app.slack.user("U0BOB").submits(&view, &[words("not today")]).await;
        judged(&app).await;
        assert_eq!(app.client("agent").reads(&second["id"]).await["status"], "denied");
        // What is wrong with a form comes in the acknowledgement here too.
        let (third, card) = asked(&app, &editable()).await;
        let view = form(&app, "U0BOB", &card).await;
        let answer = app.slack.user("U0BOB").submits(&view, &[("cs.field./rows", Filled::Words("0".to_owned()))]).await;
        assert!(answer.body.contains("must be at least 1"), "{}", answer.body);
        assert_eq!(app.client("agent").reads(&third["id"]).await["status"], "pending");
        for path in ["/slack/interactions", "/slack/commands", "/slack/events"] {
            app.stranger().post(path, &json!({})).await.problem(404, "not_found");
        }
        app.finish().await;
    }

    async fn what_was_not_stored_is_not_acknowledged_and_taken_when_it_comes_again(database: TestDatabase) {
        let app = start(database, brisk()).await;
        let (request, card) = asked(&app, &export()).await;
        let payload = app.slack.user("U0BOB").tap_payload(&card, "cs.approve");
        let [one, other] = app.slack.connections()[..] else { panic!("two connections") };
        taps_are_refused(&app, true).await;
        app.slack.writes(one, &envelope("e1", &payload));
        // A word on the same connection afterwards shows that the first was dealt with.
        app.slack.writes(one, &envelope("e2", &json!({"type": "view_closed", "user": {"id": "U0BOB"}, "team": {"id": "T0ACME"}})));
        app.slack.until("the word after it", |_| (acknowledged(&app, "e2") == 1).then_some(())).await;
        assert_eq!(acknowledged(&app, "e1"), 0, "nothing was stored");
        taps_are_refused(&app, false).await;
        app.slack.writes(other, &envelope("e1", &payload));
        // The first try may be under way still and succeed now: then both are acknowledged, which is as good.
        app.slack.until("the acknowledgement", |_| (acknowledged(&app, "e1") >= 1).then_some(())).await;
        judged(&app).await;
        let so_far = acknowledged(&app, "e1");
        app.slack.writes(one, &envelope("e1", &payload));
        app.slack.until("another acknowledgement", |_| (acknowledged(&app, "e1") > so_far).then_some(())).await;
        // The same tap in another envelope: the tap's own key tells.
        app.slack.writes(one, &envelope("e3", &payload));
        app.slack.until("the acknowledgement of the copy", |_| (acknowledged(&app, "e3") == 1).then_some(())).await;
        judged(&app).await;
        assert_eq!(app.client("agent").reads(&request["id"]).await["status"], "approved");
        assert_eq!(count(&app, &request, "review.recorded").await, 1);
        app.finish().await;
    }

    async fn the_next_connection_is_there_before_the_old_one_goes(database: TestDatabase) {
        let app = start(database, brisk()).await;
        let before = app.slack.connections();
        let opens = app.slack.calls("apps.connections.open").len();
        let gate = app.slack.holds("apps.connections.open");
        for (connection, reason) in before.iter().zip(["warning", "refresh_requested"]) {
            app.slack.writes(*connection, &json!({"type": "disconnect", "reason": reason, "debug_info": {"host": "fake"}}));
        }
        gate.holds(2).await;
        assert_eq!(app.slack.connections(), before, "the old ones stay until the new ones greet");
        let (request, card) = asked(&app, &export()).await;
        app.slack.user("U0BOB").taps(&card, "cs.approve").await;
        gate.release();
        app.eventually("new connections", async || {
            let now = app.slack.connections();
            now.len() == 2 && now.iter().all(|connection| !before.contains(connection))
        })
        .await;
        assert_eq!(app.slack.calls("apps.connections.open").len(), opens + 2);
        judged(&app).await;
        assert_eq!(app.client("agent").reads(&request["id"]).await["status"], "approved");
        app.finish().await;
    }

    async fn connections_that_break_or_fall_silent_are_opened_anew_and_their_absence_is_seen(database: TestDatabase) {
        let app = start(database, Timing { silence: Duration::from_millis(400), ..brisk() }).await;
        app.slack.silences(app.slack.connections()[0]);
        let silent = app.slack.connections();
        app.eventually("the silent one was given up", async || app.slack.calls("apps.connections.open").len() >= 3).await;
        for connection in silent {
            app.slack.cuts(connection);
        }
        connected(&app, 2).await;
        // Nobody lets us in for a while.
        let gate = app.slack.holds("apps.connections.open");
        for connection in app.slack.connections() {
            app.slack.cuts(connection);
        }
        connected(&app, 0).await;
        app.slack.fails("apps.connections.open", Fault::Error("invalid_auth"));
        gate.release();
        connected(&app, 2).await;
        let (request, card) = asked(&app, &export()).await;
        app.slack.user("U0BOB").taps(&card, "cs.approve").await;
        judged(&app).await;
        assert_eq!(app.client("agent").reads(&request["id"]).await["status"], "approved");
        app.finish().await;
    }

    async fn a_link_that_was_disabled_is_given_up_with_a_word_what_to_do(database: TestDatabase) {
        let app = start(database, brisk()).await;
        let opens = app.slack.calls("apps.connections.open").len();
        app.slack.writes(app.slack.connections()[0], &json!({"type": "disconnect", "reason": "link_disabled"}));
        app.eventually("the state", async || trouble(&app).await.is_some()).await;
        assert_eq!(trouble(&app).await.unwrap(), "Socket Mode is switched off in the app's settings: switch it on, then restart");
        for connection in app.slack.connections() {
            app.slack.cuts(connection);
        }
        app.eventually("no connection", async || app.slack.connections().is_empty()).await;
        assert_eq!(app.slack.calls("apps.connections.open").len(), opens, "nobody asks again");
        app.finish().await;
    }

    async fn what_cannot_be_read_is_acknowledged_and_the_person_is_told(database: TestDatabase) {
        let app = start(database, brisk()).await;
        let (request, card) = asked(&app, &export()).await;
        let connection = app.slack.connections()[0];
        let mut foreign = app.slack.user("U0BOB").tap_payload(&card, "cs.approve");
        foreign["actions"][0]["action_id"] = json!("another.button");
        app.slack.writes(connection, &envelope("odd", &foreign));
        app.slack.until("its acknowledgement", |_| (acknowledged(&app, "odd") == 1).then_some(())).await;
        let direct = app.slack.until("the word to Bob", |model| model.channels.get("D0BOB")?.messages.first().cloned()).await;
        assert_eq!(direct.text, "This could not be understood, so nothing was decided. Please try again from the card.");
        // Somebody of another workspace, and another app: acknowledged, and told nothing.
        for (id, pointer, value) in [("team", "/team/id", "T0OTHER"), ("app", "/api_app_id", "A0OTHER")] {
            let mut stranger = app.slack.user("U0BOB").tap_payload(&card, "cs.approve");
            *stranger.pointer_mut(pointer).unwrap() = json!(value);
            app.slack.writes(connection, &envelope(id, &stranger));
            app.slack.until("its acknowledgement", |_| (acknowledged(&app, id) == 1).then_some(())).await;
        }
        app.slack.writes(connection, &json!({"envelope_id": "new", "type": "new_thing", "payload": {}}));
        app.slack.until("its acknowledgement", |_| (acknowledged(&app, "new") == 1).then_some(())).await;
        app.slack.writes(connection, &json!({"type": "new_thing"}));
        app.slack.writes(connection, &json!({"envelope_id": "huge", "type": "interactive", "payload": {"text": "x".repeat(1_100_000)}}));
        app.eventually("a new connection", async || !app.slack.connections().contains(&connection) && app.slack.connections().len() == 2).await;
        assert_eq!(app.client("agent").reads(&request["id"]).await["reviews"], json!([]));
        assert!(app.slack.user("U0BOB").told().is_empty());
        app.slack.user("U0BOB").taps(&card, "cs.approve").await;
        judged(&app).await;
        assert_eq!(app.client("agent").reads(&request["id"]).await["status"], "approved");
        app.finish().await;
    }
}
