//! The acknowledgement: it waits for the database and for nothing else, and it is never given for what was not stored.

use super::{asked, count, judged, told};
use crate::support::app::{CHANNEL, Options, TEAM, TestApp, export};
use crate::support::db::both_databases;
use crate::support::slack::person::Oddity;
use serde_json::Value;
use std::fmt::Write as _;
use std::time::Duration;

const PEOPLE: usize = 50;
const REQUESTS: usize = 10;

fn reviewer(number: usize) -> String {
    format!("U0R{number:03}")
}

/// Alice, who owns the agents, and many who may decide.
fn many_reviewers() -> String {
    let mut directory = String::from("[[person]]\nname = \"Alice Liu\"\nemail = \"alice@example.com\"\n");
    for number in 0..PEOPLE {
        write!(
            directory,
            "[[person]]\nname = \"Reviewer {number}\"\nemail = \"reviewer-{number}@example.com\"\ngroups = [\"data-governance\"]\n\
             slack = {{ team_id = \"{TEAM}\", user_id = \"{}\" }}\n",
            reviewer(number)
        )
        .unwrap();
    }
    directory
}

/// Makes every insert into the table of taps fail, or lets it succeed again.
pub(super) async fn taps_are_refused(app: &TestApp, refused: bool) {
    let sql = match (app.database.is_postgres(), refused) {
        (true, true) => {
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'cannot write'; END $$; \
             CREATE TRIGGER refuse BEFORE INSERT ON tap FOR EACH ROW EXECUTE FUNCTION refuse()"
        }
        (true, false) => "DROP TRIGGER refuse ON tap",
        (false, true) => "CREATE TRIGGER refuse BEFORE INSERT ON tap BEGIN SELECT RAISE(ABORT, 'cannot write'); END",
        (false, false) => "DROP TRIGGER refuse",
    };
    app.database.tamper(sql).await.unwrap();
}

both_databases! {
    async fn five_hundred_taps_are_acknowledged_while_slack_says_nothing(database: TestDatabase) {
        let app = TestApp::with(database, Options { directory: many_reviewers(), ..Options::default() }).await;
        app.slack.change(|model| {
            for number in 0..PEOPLE {
                model.add_user(&reviewer(number), &format!("reviewer-{number}@example.com"));
            }
        });
        let (mut requests, mut taps) = (Vec::new(), Vec::new());
        for _ in 0..REQUESTS {
            let (request, card) = asked(&app, &export()).await;
            taps.extend((0..PEOPLE).map(|number| app.slack.user(&reviewer(number)).tap_payload(&card, "cs.approve")));
            requests.push(request);
        }
        let gate = app.slack.holds("users.info");
        // Nothing is released before the last of them came: whichever waited for Slack would wait for ever.
        let honest = Oddity::default();
        let answers = futures::future::join_all(taps.iter().map(|tap| app.slack.deliver(tap, &honest))).await;
        assert_eq!(answers.len(), PEOPLE * REQUESTS);
        for answer in answers {
            assert_eq!((answer.status, answer.body.as_str()), (200, ""));
        }
        gate.holds(1).await;
        let recorded: Vec<Value> = app.events().await.into_iter().filter(|event| event["type"] == "review.recorded").collect();
        assert_eq!(recorded, Vec::<Value>::new(), "nobody is believed before Slack was asked");
        gate.release();
        // Calls that were held too long are tried again, on the test's clock; far from the minute that a tap has.
        app.clock.advance(Duration::from_secs(3));
        judged(&app).await;
        for request in &requests {
            let read = app.client("agent").reads(&request["id"]).await;
            assert_eq!((read["status"].as_str(), read["reviews"].as_array().unwrap().len()), (Some("approved"), 1));
            assert_eq!(count(&app, request, "request.approved").await, 1);
            assert_eq!(count(&app, request, "review.refused").await, PEOPLE - 1);
        }
        app.slack
            .until("everybody who lost is told", |model| (model.ephemerals.len() == REQUESTS * (PEOPLE - 1)).then_some(()))
            .await;
        assert!(app.slack.lock().ephemerals.iter().all(|told| told.channel == CHANNEL && told.text.starts_with("Already approved by Reviewer ")));
        app.finish().await;
    }

    async fn a_tap_that_cannot_be_stored_is_not_acknowledged(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (request, card) = asked(&app, &export()).await;
        let bob = app.slack.user("U0BOB");
        let tap = bob.tap_payload(&card, "cs.approve");
        taps_are_refused(&app, true).await;
        for _ in 0..2 {
            let answer = app.slack.deliver(&tap, &Oddity::default()).await;
            assert_eq!((answer.status, answer.body.as_str()), (503, ""));
        }
        taps_are_refused(&app, false).await;
        assert_eq!(count(&app, &request, "review.recorded").await, 0);
        // What was refused was not taken for a copy of itself: the person taps again, and it counts.
        assert_eq!(app.slack.deliver(&tap, &Oddity::default()).await.status, 200);
        judged(&app).await;
        assert_eq!(app.client("agent").reads(&request["id"]).await["status"], "approved");
        app.finish().await;
    }

    async fn a_tap_that_waits_for_slack_holds_up_no_other(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (first, card) = asked(&app, &export()).await;
        let (second, other) = asked(&app, &export()).await;
        let (dave, bob) = (app.slack.user("U0DAVE"), app.slack.user("U0BOB"));
        // Slack's answer about Dave is a minute good.
        let (warm, third) = asked(&app, &export()).await;
        dave.taps(&third, "cs.approve").await;
        judged(&app).await;
        assert_eq!(app.client("agent").reads(&warm["id"]).await["status"], "approved");
        let gate = app.slack.holds("users.info");
        bob.taps(&card, "cs.approve").await;
        gate.holds(1).await;
        dave.taps(&other, "cs.approve").await;
        let answer = app.client("agent").get(&format!("/v1/requests/{}?wait=30", second["id"].as_str().unwrap())).await.expect(200).body;
        assert_eq!(answer["status"], "approved");
        // Bob's is still in the hands of the worker: it did not have to fail first.
        assert_eq!(app.database.texts("SELECT CAST(count(*) AS TEXT) FROM tap WHERE lease_owner IS NOT NULL").await, ["1"]);
        assert_eq!(app.client("agent").reads(&first["id"]).await["status"], "pending");
        gate.release();
        app.clock.advance(Duration::from_secs(3));
        judged(&app).await;
        assert_eq!(app.client("agent").reads(&first["id"]).await["status"], "approved");
        assert!(app.slack.lock().ephemerals.is_empty());
        app.finish().await;
    }

    async fn nobody_is_told_in_the_channel(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (_, card) = asked(&app, &export()).await;
        // The way that came with the tap is used up, and the bot may not whisper in the channel: a direct message remains.
        app.slack.fails("response_url", crate::support::slack::Fault::Status(500));
        app.slack.user("U0CAROL").taps(&card, "cs.approve").await;
        let direct = app.slack.until("a direct message", |model| model.channels.get("D0CAROL")?.messages.first().cloned()).await;
        assert_eq!(direct.text, "You cannot decide this: it needs 1 of data-governance.");
        app.slack.user("U0FRANK").taps(&card, "cs.approve").await;
        told(&app, "U0FRANK", 1).await;
        assert_eq!(app.slack.messages(CHANNEL).len(), 1);
        app.finish().await;
    }
}
