//! Taps that decide nothing: each is told privately why, and is evidence when the directory knows the person.

use super::{asked, card_when, count, dialog, judged, refusals, shown, told};
use crate::support::app::{Options, TestApp, export};
use crate::support::clock::TestClock;
use crate::support::db::both_databases;
use crate::support::slack::SECRET;
use crate::support::slack::person::{Oddity, sign};
use countersign::domain::time::{Clock as _, Timestamp};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// How much the log holds but for what the cards themselves leave there.
async fn evidence(app: &TestApp) -> usize {
    app.events().await.iter().filter(|event| !event["type"].as_str().unwrap().starts_with("delivery.")).count()
}

async fn still_pending(app: &TestApp, request: &Value) {
    judged(app).await;
    let read = app.client("agent").reads(&request["id"]).await;
    assert_eq!((read["status"].as_str(), &read["reviews"]), (Some("pending"), &json!([])));
}

/// A callback, sent as the test says.
async fn callback(app: &TestApp, body: &str, headers: &[(&str, String)]) -> u16 {
    let request = app.http.post(format!("{}/slack/interactions", app.url)).header("content-type", "application/x-www-form-urlencoded");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value.as_str()));
    let answer = request.body(body.to_owned()).send().await.unwrap();
    let status = answer.status().as_u16();
    assert_eq!(answer.text().await.unwrap(), "", "a stranger learns nothing but the status");
    status
}

fn form(payload: &Value) -> String {
    url::form_urlencoded::Serializer::new(String::new()).append_pair("payload", &payload.to_string()).finish()
}

both_databases! {
    async fn whoever_may_not_approve_is_told_why_and_leaves_evidence(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let mut ask = export();
        ask["on_behalf_of"] = json!("grace@example.com");
        let (request, card) = asked(&app, &ask).await;
        let cases = [
            ("U0ALICE", "self_approval", "You are the owner of the client that asks, so you cannot approve it. You may deny it."),
            ("U0GRACE", "self_approval", "This action was asked for on your behalf, so you cannot approve it. You may deny it."),
            ("U0CAROL", "not_eligible", "You cannot decide this: it needs 1 of data-governance."),
            ("U0FRANK", "not_eligible", "You cannot decide this: it needs 1 of data-governance."),
            ("U0ERIN", "not_active", "Your account is not active in the company directory."),
            ("U0SVC", "not_human", "Only people may decide; your account is a service or bot account."),
        ];
        let mut wanted = Vec::new();
        for (user, reason, sentence) in cases {
            assert_eq!(app.slack.user(user).taps(&card, "cs.approve").await.status, 200);
            assert_eq!(told(&app, user, 1).await, [sentence], "{user}");
            wanted.push((reason.to_owned(), 1));
            assert_eq!(refusals(&app, &request).await, wanted, "{user}");
        }
        still_pending(&app, &request).await;
        // The channel saw nothing of it.
        assert_eq!(app.slack.messages(crate::support::app::CHANNEL).len(), 1);
        app.finish().await;
    }

    async fn an_account_that_is_no_full_member_decides_nothing(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (request, card) = asked(&app, &export()).await;
        let cases = [
            ("deleted", "account_deactivated"),
            ("is_bot", "account_bot"),
            ("is_app_user", "account_app"),
            ("is_restricted", "account_guest"),
            ("is_ultra_restricted", "account_guest"),
            ("is_stranger", "account_stranger"),
        ];
        let bob = app.slack.user("U0BOB");
        let mut wanted = Vec::new();
        for (number, (flag, code)) in cases.into_iter().enumerate() {
            app.slack.set_user("U0BOB", flag, json!(true));
            bob.taps(&card, "cs.approve").await;
            let sentences = told(&app, "U0BOB", number + 1).await;
            assert!(["may not decide", "deactivated", "Only people may decide"].iter().any(|words| sentences[number].contains(words)), "{flag}: {sentences:?}");
            wanted.push((code.to_owned(), 1));
            assert_eq!(refusals(&app, &request).await, wanted, "{flag}");
            app.slack.set_user("U0BOB", flag, json!(false));
            // Repeats within a minute would be one event with a count.
            app.clock.advance(Duration::from_secs(61));
        }
        // A denial is easier than an approval, but not for an account that is nobody's.
        app.slack.set_user("U0BOB", "is_restricted", json!(true));
        bob.taps(&card, "cs.deny").await;
        let view = dialog(&app, "U0BOB").await;
        bob.submits(&view, &[]).await;
        told(&app, "U0BOB", 7).await;
        still_pending(&app, &request).await;
        app.slack.set_user("U0BOB", "is_restricted", json!(false));
        bob.taps(&card, "cs.approve").await;
        judged(&app).await;
        assert_eq!(app.client("agent").reads(&request["id"]).await["status"], "approved");
        app.finish().await;
    }

    async fn strangers_are_told_and_leave_no_row(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (request, card) = asked(&app, &export()).await;
        app.slack.change(|model| {
            model.add_user("U0ZOE", "zoe@example.com");
            model.add_user("U0FAR", "far@example.com");
        });
        app.slack.set_user("U0FAR", "is_stranger", json!(true));
        app.slack.set_user("U0FAR", "team_id", json!("T0OTHER"));
        let before = evidence(&app).await;
        for (user, words) in [
            ("U0ZOE", "The company directory does not know you"),
            ("U0FAR", "People of other companies may not decide"),
            ("U0NOBODY", "Slack does not know your account"),
        ] {
            assert_eq!(app.slack.user(user).taps(&card, "cs.approve").await.status, 200);
            let sentences = told(&app, user, 1).await;
            assert!(sentences[0].starts_with(words), "{user}: {sentences:?}");
        }
        still_pending(&app, &request).await;
        assert_eq!(evidence(&app).await, before, "strangers grow no table");
        app.finish().await;
    }

    async fn repeated_refusals_are_one_event_with_a_count(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (request, card) = asked(&app, &export()).await;
        let carol = app.slack.user("U0CAROL");
        for number in 1..=5 {
            carol.taps(&card, "cs.approve").await;
            told(&app, "U0CAROL", number).await;
        }
        judged(&app).await;
        app.clock.advance(Duration::from_secs(61));
        app.running.app.engine.flush_refusals().await.unwrap();
        app.eventually("the count is written", async || refusals(&app, &request).await.iter().map(|(_, times)| times).sum::<u64>() == 5).await;
        assert_eq!(refusals(&app, &request).await.len(), 2, "the first at once, the others as a count");
        app.finish().await;
    }

    async fn a_decided_an_expired_and_a_frozen_request_are_refused_with_their_reason(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (bob, dave) = (app.slack.user("U0BOB"), app.slack.user("U0DAVE"));
        let (decided, card) = asked(&app, &export()).await;
        let late = dave.tap_payload(&card, "cs.approve");
        bob.taps(&card, "cs.approve").await;
        judged(&app).await;
        app.slack.deliver(&late, &Oddity::default()).await;
        assert_eq!(told(&app, "U0DAVE", 1).await, ["Already approved by Bob Stone."]);
        assert_eq!(refusals(&app, &decided).await, [("already_decided".to_owned(), 1)]);

        let (frozen, card) = asked(&app, &export()).await;
        let late = dave.tap_payload(&card, "cs.approve");
        let clients = app.client("admin").get("/v1/clients").await.expect(200).body;
        let agent = clients["items"].as_array().unwrap().iter().find(|client| client["name"] == "agent").unwrap().clone();
        app.client("admin").post(&format!("/v1/clients/{}/freeze", agent["id"].as_str().unwrap()), &json!({})).await.expect(200);
        app.slack.deliver(&late, &Oddity::default()).await;
        assert_eq!(told(&app, "U0DAVE", 2).await[1], "The client that asks is frozen; its requests can only be denied.");
        assert_eq!(refusals(&app, &frozen).await, [("client_frozen".to_owned(), 1)]);
        let drawn = card_when(&app, &frozen, "frozen on the card", |card| shown(card).contains("can only be denied")).await;
        assert!(!drawn.blocks.to_string().contains("cs.approve"));
        dave.taps(&drawn, "cs.deny").await;
        let view = dialog(&app, "U0DAVE").await;
        dave.submits(&view, &[]).await;
        judged(&app).await;
        assert_eq!(app.client("reader").reads(&frozen["id"]).await["status"], "denied");
        app.finish().await;
    }

    async fn a_tap_after_the_end_of_the_time_is_refused(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (request, card) = asked(&app, &export()).await;
        let dave = app.slack.user("U0DAVE");
        let late = dave.tap_payload(&card, "cs.approve");
        // The way back that came with the tap is over as well, so Slack must let us whisper in the channel.
        app.slack.change(|model| model.channels.get_mut(crate::support::app::CHANNEL).unwrap().members.insert("U0DAVE".to_owned()));
        app.clock.advance(Duration::from_secs(3_601));
        app.slack.deliver(&late, &Oddity::default()).await;
        // Whichever came first, the schedule or the tap.
        let sentence = told(&app, "U0DAVE", 1).await.remove(0);
        assert!(["This request expired before you decided.", "This request expired; nobody decided in time."].contains(&sentence.as_str()), "{sentence}");
        assert_eq!(count(&app, &request, "review.refused").await, 1);
        assert_eq!(count(&app, &request, "review.recorded").await, 0);
        app.eventually("it is recorded as expired", async || app.client("agent").reads(&request["id"]).await["status"] == "expired").await;
        app.finish().await;
    }

    async fn the_domain_refuses_what_is_over_although_no_schedule_ran(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (request, card) = asked(&app, &export()).await;
        // Another replica whose clock says that it is over; here it is not, so nothing has expired it.
        let clock = TestClock::new();
        clock.advance(Duration::from_millis(u64::try_from(app.clock.now().as_millis() - clock.now().as_millis()).unwrap()));
        clock.advance(Duration::from_hours(1));
        let replica = app.replica(clock).await;
        let payload = app.slack.user("U0DAVE").tap_payload(&card, "cs.approve").to_string();
        let tap = countersign::chat::slack::payload::Interaction::parse(&payload).unwrap().tap().unwrap();
        replica.engine.receive("slack", &tap).await.unwrap();
        // Received an hour ahead of this server's clock, so only the replica sees it as due.
        assert_eq!(replica.engine.finish_taps("replica").await.unwrap(), 1);
        assert_eq!(told(&app, "U0DAVE", 1).await, ["This request expired before you decided."]);
        assert_eq!(app.client("agent").reads(&request["id"]).await["status"], "pending");
        assert_eq!(refusals(&app, &request).await, [("expired".to_owned(), 1)]);
        app.finish().await;
    }

    async fn what_is_not_signed_by_slack_stays_outside(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (request, card) = asked(&app, &export()).await;
        let bob = app.slack.user("U0BOB");
        for oddity in [
            Oddity { secret: Some("another-secret".to_owned()), ..Oddity::default() },
            Oddity { age: 301, ..Oddity::default() },
            Oddity { age: -301, ..Oddity::default() },
        ] {
            let answer = bob.taps_oddly(&card, "cs.approve", &oddity).await;
            assert_eq!((answer.status, answer.body.as_str()), (401, ""));
        }
        let body = form(&bob.tap_payload(&card, "cs.approve"));
        let [signature, timestamp] = sign(SECRET, &body, app.clock.now());
        let later = Timestamp::from_millis(app.clock.now().as_millis() + 1_000);
        for headers in [
            vec![],
            vec![signature.clone()],
            vec![timestamp.clone()],
            vec![signature.clone(), signature.clone(), timestamp.clone()],
            vec![signature.clone(), timestamp.clone(), timestamp.clone()],
            vec![signature.clone(), (timestamp.0, later.as_seconds().to_string())],
            vec![(signature.0, signature.1.replace("v0=", "v1=")), timestamp.clone()],
        ] {
            assert_eq!(callback(&app, &body, &headers).await, 401, "{headers:?}");
        }
        still_pending(&app, &request).await;
        let headers = [signature, timestamp];
        assert_eq!(callback(&app, &body, &headers).await, 200, "the honest one comes in");
        judged(&app).await;
        assert_eq!(app.client("agent").reads(&request["id"]).await["status"], "approved");
        app.finish().await;
    }

    async fn a_body_that_is_too_long_is_refused_before_it_ends(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let address = app.url.strip_prefix("http://").unwrap().to_owned();
        let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        let head = format!(
            "POST /slack/interactions HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 900000000\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // The rest never comes: whoever waited for it would wait for ever.
        stream.write_all(&vec![b'a'; 300 * 1024]).await.unwrap();
        let mut answer = [0_u8; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(std::str::from_utf8(&answer).unwrap(), "HTTP/1.1 413");
        app.finish().await;
    }

    async fn another_workspace_is_refused_at_the_door(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (request, card) = asked(&app, &export()).await;
        let elsewhere = Oddity {
            changes: vec![("/team", json!({"id": "T0EVIL", "domain": "evil"})), ("/user/team_id", json!("T0EVIL"))],
            ..Oddity::default()
        };
        let before = evidence(&app).await;
        let answer = app.slack.user("U0BOB").taps_oddly(&card, "cs.approve", &elsewhere).await;
        assert_eq!((answer.status, answer.body.as_str()), (403, ""));
        still_pending(&app, &request).await;
        assert_eq!(evidence(&app).await, before);
        // The installation is ours, but the person says to be of another workspace: Slack contradicts, so no.
        let visitor = Oddity { changes: vec![("/user/team_id", json!("T0EVIL"))], ..Oddity::default() };
        assert_eq!(app.slack.user("U0BOB").taps_oddly(&card, "cs.approve", &visitor).await.status, 200);
        assert_eq!(told(&app, "U0BOB", 1).await, ["Your Slack account belongs to a workspace whose people may not decide here."]);
        still_pending(&app, &request).await;
        app.finish().await;
    }

    async fn without_a_configured_workspace_nobody_decides(database: TestDatabase) {
        let app = TestApp::with(database, Options { team_ids: Vec::new(), ..Options::default() }).await;
        let (request, card) = asked(&app, &export()).await;
        for button in ["cs.approve", "cs.deny", "cs.details"] {
            assert_eq!(app.slack.user("U0BOB").taps(&card, button).await.status, 403);
        }
        still_pending(&app, &request).await;
        app.finish().await;
    }

    async fn without_an_answer_about_the_account_only_a_denial_is_possible(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (request, card) = asked(&app, &export()).await;
        let bob = app.slack.user("U0BOB");
        for _ in 0..3 {
            app.slack.fails("users.info", crate::support::slack::Fault::Status(500));
        }
        bob.taps(&card, "cs.approve").await;
        app.eventually("Slack was asked", async || app.slack.calls("users.info").len() == 1).await;
        app.clock.advance(Duration::from_secs(61));
        assert_eq!(told(&app, "U0BOB", 1).await, ["Your tap took too long to process, so nothing was decided. Please tap again."]);
        assert_eq!(refusals(&app, &request).await, [("took_too_long".to_owned(), 1)]);
        bob.taps(&card, "cs.deny").await;
        let view = dialog(&app, "U0BOB").await;
        bob.submits(&view, &[]).await;
        judged(&app).await;
        assert_eq!(app.client("agent").reads(&request["id"]).await["status"], "denied");
        app.finish().await;
    }
}
