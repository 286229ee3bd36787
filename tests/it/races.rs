//! Many at once, through the real edges: one decision for each request, one use of each grant, one request for each key,
//! whoever comes first; everybody else is told, and the log has one story.

use crate::support::app::{ApiClient, Options, TestApp};
use crate::support::db::both_databases;
use crate::support::slack::FakeSlack;
use crate::support::slack::model::Message;
use crate::support::slack::person::{Acknowledged, Oddity};
use futures::future::join_all;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

/// People who may decide; all of them tap.
const PEOPLE: usize = 32;
/// Requests that are raced for.
const ROUNDS: usize = 200;
/// Of them at the same time, each in a channel of its own.
const TOGETHER: usize = 8;
/// Rounds of the smaller races.
const FEW: usize = 12;

fn options() -> Options {
    let mut policy =
        "default = \"deny\"\ndefault_route = \"c0\"\n[[rule]]\nid = \"read\"\neffect = \"allow\"\nmatch = { action = \"read.*\" }\n"
            .to_owned();
    for channel in 0..TOGETHER {
        let _ = write!(
            policy,
            "[routes.c{channel}]\nslack = [\"C0RACE{channel}\"]\nseats = [{{ group = \"deciders\", count = 1 }}]\nexpires_in = \"1h\"\napproval_valid = \"15m\"\n\
             [[rule]]\nid = \"one-{channel}\"\neffect = \"review\"\nroute = \"c{channel}\"\nmatch = {{ action = \"one.c{channel}\" }}\nedit = [\"/rows\"]\n\
             [[rule]]\nid = \"two-{channel}\"\neffect = \"review\"\nroute = \"c{channel}\"\nmatch = {{ action = \"two.c{channel}\" }}\nseats = [{{ group = \"deciders\", count = 2 }}]\nedit = [\"/rows\"]\n"
        );
    }
    let person = |name: &str, email: &str, account: &str, groups: &str| {
        format!(
            "[[person]]\nname = \"{name}\"\nemail = \"{email}\"\ngroups = [{groups}]\nslack = {{ team_id = \"T0ACME\", user_id = \"{account}\" }}\n"
        )
    };
    let mut directory = person("Alice Liu", "alice@example.com", "U0ALICE", "");
    for number in 0..PEOPLE {
        directory += &person(&format!("Person {number}"), &format!("p{number}@example.com"), &account(number), "\"deciders\"");
    }
    Options { policy, directory, ..Options::default() }
}

fn account(number: usize) -> String {
    format!("U0P{number}")
}

async fn start(database: crate::support::db::TestDatabase) -> TestApp {
    let app = TestApp::with(database, options()).await;
    app.slack.change(|model| {
        for channel in 0..TOGETHER {
            model.add_channel(&format!("C0RACE{channel}"));
        }
        for number in 0..PEOPLE {
            model.add_user(&account(number), &format!("p{number}@example.com"));
        }
    });
    app
}

fn id(request: &Value) -> &str {
    request["id"].as_str().unwrap()
}

/// The card of a request.
async fn card(slack: &FakeSlack, channel: usize, request: &Value) -> Message {
    let value = format!("{}:", id(request));
    let is_its = |message: &&Message| message.blocks.to_string().contains(&value);
    slack.until("a card", |model| model.channels[&format!("C0RACE{channel}")].messages.iter().rev().find(is_its).cloned()).await
}

/// The submit of a Deny dialog that this person opened from the card, with a way back of its own.
fn denial(slack: &FakeSlack, request: &Value, card: &Message, number: usize) -> Value {
    let user = account(number);
    let mut payload = slack.user(&user).tap_payload(card, "cs.deny");
    let about = format!("{}:{}", id(request), request["digest"].as_str().unwrap().trim_start_matches("sha256:"));
    let metadata =
        json!({"about": about, "opener": user, "channel": card.channel, "message_ts": card.ts, "response_url": payload["response_url"]});
    payload["type"] = json!("view_submission");
    payload["view"] = json!({
        "id": format!("V-{}-{number}", id(request)), "hash": "1.a", "team_id": "T0ACME", "app_installed_team_id": "T0ACME", "callback_id": "cs.deny",
        "private_metadata": metadata.to_string(), "state": {"values": {"w": {"cs.words": {"type": "plain_text_input", "value": "no"}}}},
    });
    payload
}

/// All people decide at the same time; of each four of them, `deny` deny.
async fn everybody_decides(app: &TestApp, channel: usize, request: &Value, deny: usize) -> Vec<Acknowledged> {
    let card = card(&app.slack, channel, request).await;
    let payloads: Vec<Value> = (0..PEOPLE)
        .map(|number| {
            if number % 4 < deny {
                denial(&app.slack, request, &card, number)
            } else {
                app.slack.user(&account(number)).tap_payload(&card, "cs.approve")
            }
        })
        .collect();
    let honest = Oddity::default();
    join_all(payloads.iter().map(|payload| app.slack.deliver(payload, &honest))).await
}

/// Both counting reviews and denials are by different people, and they are as many as the state says.
fn is_decided_once(request: &Value, seats: usize) {
    let reviews = request["reviews"].as_array().unwrap();
    let by = |decision: &str| {
        let people: Vec<&str> =
            reviews.iter().filter(|review| review["decision"] == decision).map(|review| review["person"]["id"].as_str().unwrap()).collect();
        assert_eq!(people.iter().collect::<BTreeSet<_>>().len(), people.len(), "one person twice: {request:#}");
        people
    };
    let (approvals, denials) = (by("approve"), by("deny"));
    match request["status"].as_str().unwrap() {
        "approved" => {
            assert_eq!((approvals.len(), denials.len()), (seats, 0), "{request:#}");
            let filled: Vec<&Value> =
                request["approval"]["seats"].as_array().unwrap().iter().flat_map(|seat| seat["filled_by"].as_array().unwrap()).collect();
            assert_eq!(filled.len(), seats, "{request:#}");
            assert_eq!(request["decided_by"]["people"].as_array().unwrap().len(), seats, "{request:#}");
        }
        "denied" => assert!(denials.len() == 1 && approvals.len() < seats, "{request:#}"),
        other => panic!("{other}: {request:#}"),
    }
}

/// Lets every card come to show what is so, and the next one be posted at once: one message a second and channel.
async fn settle(app: &TestApp) {
    use countersign::domain::time::Clock as _;
    let store = &app.running.app.engine.store;
    app.eventually("the cards are sent", async || {
        app.clock.advance(Duration::from_secs(1));
        store.outbox_state(app.clock.now()).await.unwrap().waiting == 0
    })
    .await;
    app.clock.advance(Duration::from_secs(2));
}

/// The kinds of the events of each request, in order.
async fn stories(app: &TestApp) -> BTreeMap<String, Vec<String>> {
    let mut stories: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in app.events().await {
        if let Some(request) = event["request"].as_str() {
            stories.entry(request.to_owned()).or_default().push(event["type"].as_str().unwrap().to_owned());
        }
    }
    stories
}

fn count(story: &[String], kind: &str) -> usize {
    story.iter().filter(|event| *event == kind).count()
}

/// An approved request with its grant.
async fn approved(agent: &ApiClient<'_>, parameters: &Value) -> Value {
    let request = agent.asks(&json!({"action": "read.rows", "parameters": parameters})).await;
    assert_eq!(request["usable"], true, "{request:#}");
    request
}

both_databases! {
    async fn two_hundred_times_thirty_two_people_decide_one_request(database: TestDatabase) {
        let began = std::time::Instant::now();
        let app = start(database).await;
        let agent = app.client("agent");
        let (mut requests, mut outcomes) = (Vec::new(), BTreeMap::<String, usize>::new());
        for batch in 0..ROUNDS / TOGETHER {
            let seats = 1 + batch % 2;
            let asked = join_all((0..TOGETHER).map(|channel| {
                let action = if seats == 1 { format!("one.c{channel}") } else { format!("two.c{channel}") };
                let ask = json!({"action": action, "parameters": {"batch": batch}});
                let agent = &agent;
                async move { agent.asks(&ask).await }
            }))
            .await;
            // All approve, a quarter or half of them deny, all deny.
            let deny = |channel: usize| [0, 1, 2, 4][(channel + batch) % 4];
            let answers = join_all(asked.iter().enumerate().map(|(channel, request)| everybody_decides(&app, channel, request, deny(channel)))).await;
            for answer in answers.iter().flatten() {
                assert_eq!(answer.status, 200, "{answer:?}");
            }
            for (channel, request) in asked.iter().enumerate() {
                let decided = agent.get(&format!("/v1/requests/{}?wait=30", id(request))).await.expect(200).body;
                is_decided_once(&decided, seats);
                // Whoever was not part of the decision is told privately who was: by the answer to the dialog, or by a message.
                let reviews = decided["reviews"].as_array().unwrap();
                let recorded = reviews.len();
                let took_part = |number: usize| reviews.iter().any(|review| review["person"]["email"] == format!("p{number}@example.com"));
                let by_dialog = |number: usize| answers[channel][number].body.contains("response_action");
                let wanted: BTreeSet<String> =
                    (0..PEOPLE).filter(|number| !took_part(*number) && !by_dialog(*number)).map(account).collect();
                let name = format!("C0RACE{channel}");
                let told = app
                    .slack
                    .until("everybody else is told", |model| {
                        let told: Vec<_> = model.ephemerals.iter().filter(|told| told.channel == name).cloned().collect();
                        (told.len() >= wanted.len()).then_some(told)
                    })
                    .await;
                let people: BTreeSet<String> = told.iter().map(|told| told.user.clone()).collect();
                assert_eq!((&people, told.len()), (&wanted, wanted.len()), "{decided:#}");
                let word = format!("Already {} by Person ", decided["status"].as_str().unwrap());
                for told in &told {
                    assert!(told.text.starts_with(&word), "{}: {}", decided["status"], told.text);
                }
                *outcomes.entry(format!("{} with {recorded} of {seats}", decided["status"].as_str().unwrap())).or_default() += 1;
                requests.push((decided, seats));
            }
            app.slack.change(|model| model.ephemerals.clear());
            settle(&app).await;
        }
        assert_eq!(requests.len(), ROUNDS);
        let stories = stories(&app).await;
        for (decided, _) in &requests {
            let story = &stories[id(decided)];
            let (approved, denied) = (count(story, "request.approved"), count(story, "request.denied"));
            let wanted = if decided["status"] == "approved" { (1, 0) } else { (0, 1) };
            assert_eq!((approved, denied), wanted, "{story:?}");
            assert_eq!(count(story, "review.recorded"), decided["reviews"].as_array().unwrap().len(), "{story:?}");
            // Read once more, much later: it is what it was.
            let again = agent.reads(&decided["id"]).await;
            assert_eq!((&again["status"], &again["reviews"]), (&decided["status"], &decided["reviews"]));
        }
        app.finish().await;
        println!("{ROUNDS} rounds of {PEOPLE} in {:.1} s: {outcomes:?}", began.elapsed().as_secs_f64());
    }

    async fn of_fifty_racing_redeems_one_succeeds(database: TestDatabase) {
        let app = start(database).await;
        let agent = app.client("agent");
        for round in 0..FEW {
            let parameters = json!({"round": round});
            let request = approved(&agent, &parameters).await;
            let answers = join_all((0..50).map(|_| agent.redeems(&request["grant"]["token"], &parameters))).await;
            let done = answers.iter().filter(|answer| answer.status == 200).count();
            assert_eq!(done, 1);
            for refused in answers.into_iter().filter(|answer| answer.status != 200) {
                refused.problem(409, "grant_already_redeemed");
            }
            assert_eq!(count(&app.story(id(&request)).await, "grant.redeemed"), 1);
        }
        app.finish().await;
    }

    async fn a_grant_is_redeemed_or_revoked_never_both(database: TestDatabase) {
        let app = start(database).await;
        let agent = app.client("agent");
        for round in 0..FEW {
            let parameters = json!({"round": round});
            let request = approved(&agent, &parameters).await;
            let path = format!("/v1/requests/{}/revoke", id(&request));
            let redeem = || join_all((0..5).map(|_| agent.redeems(&request["grant"]["token"], &parameters)));
            let (before, revoked, after) = tokio::join!(redeem(), async { agent.post(&path, &json!({"reason": "no"})).await }, redeem());
            let answers: Vec<u16> = before.iter().chain(&after).map(|answer| answer.status).collect();
            let done = answers.iter().filter(|status| **status == 200).count();
            let story = app.story(id(&request)).await;
            let ends = (count(&story, "grant.redeemed"), count(&story, "request.revoked"));
            match revoked.status {
                200 => assert!(done == 0 && ends == (0, 1) && answers.iter().all(|status| *status == 403), "{answers:?} {story:?}"),
                409 => assert!(done == 1 && ends == (1, 0) && answers.iter().all(|status| matches!(status, 200 | 409)), "{answers:?} {story:?}"),
                other => panic!("{other}: {revoked:?}"),
            }
        }
        app.finish().await;
    }

    async fn nothing_is_redeemed_once_its_client_is_frozen(database: TestDatabase) {
        let app = start(database).await;
        let (agent, admin) = (app.client("agent"), app.client("admin"));
        for round in 0..FEW {
            let parameters = json!({"round": round});
            let request = approved(&agent, &parameters).await;
            let client = request["requester"]["client"].as_str().unwrap();
            let redeem = || join_all((0..5).map(|_| agent.redeems(&request["grant"]["token"], &parameters)));
            let frozen = async { admin.call("POST", &format!("/v1/clients/{client}/freeze"), None).await.expect(200) };
            let (before, _, after) = tokio::join!(redeem(), frozen, redeem());
            for answer in before.iter().chain(&after) {
                assert!(matches!(answer.status, 200 | 403 | 409), "{answer:?}");
            }
            assert!(before.iter().chain(&after).filter(|answer| answer.status == 200).count() <= 1);
            agent.redeems(&request["grant"]["token"], &parameters).await.expect(403);
            // What was redeemed was redeemed before the freeze, in the one order that there is.
            let events = app.events().await;
            let froze = events.iter().rposition(|event| event["type"] == "client.frozen").unwrap();
            let used: Vec<usize> = (0..events.len()).filter(|at| events[*at]["type"] == "grant.redeemed" && events[*at]["request"] == request["id"]).collect();
            assert!(used.len() <= 1 && used.iter().all(|used| *used < froze), "redeemed at {used:?}, frozen at {froze}");
            admin.call("POST", &format!("/v1/clients/{client}/unfreeze"), None).await.expect(200);
            agent.redeems(&request["grant"]["token"], &parameters).await.expect(if used.is_empty() { 403 } else { 409 });
            // Grants of the instant of the freeze are void.
            app.clock.advance(Duration::from_secs(1));
        }
        app.finish().await;
    }

    async fn a_request_is_cancelled_or_decided_never_both(database: TestDatabase) {
        let app = start(database).await;
        let agent = app.client("agent");
        for round in 0..FEW {
            let request = agent.asks(&json!({"action": "one.c0", "parameters": {"round": round}})).await;
            let path = format!("/v1/requests/{}/cancel", id(&request));
            let (taps, cancelled) = tokio::join!(everybody_decides(&app, 0, &request, 1), async {
                card(&app.slack, 0, &request).await;
                agent.post(&path, &json!({})).await
            });
            assert!(taps.iter().all(|tap| tap.status == 200), "{taps:?}");
            let end = agent.get(&format!("/v1/requests/{}?wait=30", id(&request))).await.expect(200).body;
            let status = end["status"].as_str().unwrap();
            assert_eq!(cancelled.status, if status == "cancelled" { 200 } else { 409 }, "{end:#}");
            app.eventually("every tap is finished", async || app.running.app.engine.store.unfinished_taps().await.unwrap() == 0).await;
            let story = app.story(id(&request)).await;
            let decisions: usize = ["request.cancelled", "request.approved", "request.denied"].iter().map(|kind| count(&story, kind)).sum();
            assert_eq!(decisions, 1, "{story:?}");
            settle(&app).await;
        }
        app.finish().await;
    }

    async fn a_request_expires_or_is_decided_never_both(database: TestDatabase) {
        let app = start(database).await;
        let agent = app.client("agent");
        for round in 0..FEW {
            let request = agent.asks(&json!({"action": "one.c0", "parameters": {"round": round}, "expires_in": 10})).await;
            let (taps, ()) = tokio::join!(everybody_decides(&app, 0, &request, 0), async {
                card(&app.slack, 0, &request).await;
                for _ in 0..round {
                    tokio::task::yield_now().await;
                }
                app.clock.advance(Duration::from_secs(10));
            });
            assert!(taps.iter().all(|tap| tap.status == 200), "{taps:?}");
            let end = agent.get(&format!("/v1/requests/{}?wait=30", id(&request))).await.expect(200).body;
            assert!(matches!(end["status"].as_str(), Some("approved" | "expired")), "{end:#}");
            if end["status"] == "approved" {
                assert!(end["decided_at"].as_str() < end["expires_at"].as_str(), "{end:#}");
            }
            app.eventually("every tap is finished", async || app.running.app.engine.store.unfinished_taps().await.unwrap() == 0).await;
            let story = app.story(id(&request)).await;
            assert_eq!(count(&story, "request.expired") + count(&story, "request.approved"), 1, "{story:?}");
            settle(&app).await;
        }
        app.finish().await;
    }

    async fn an_approval_never_counts_for_parameters_that_were_edited_meanwhile(database: TestDatabase) {
        let app = start(database).await;
        let agent = app.client("agent");
        let (mut people, mut edited_first) = (Vec::new(), 0);
        for number in 0..6 {
            people.push(app.person(&format!("p{number}@example.com")).await);
        }
        for round in 0..2 * FEW {
            let action = if round % 2 == 0 { "one.c0" } else { "two.c0" };
            let schema = json!({"type": "object", "properties": {"rows": {"type": "integer", "maximum": 1000}}});
            let ask = json!({
                "action": action, "parameters": {"rows": 1000, "round": round}, "allowed_decisions": ["approve", "deny", "edit"], "edit_schema": schema,
            });
            let request = agent.asks(&ask).await;
            let path = format!("/v1/requests/{}/reviews", id(&request));
            let edit = json!({"decision": "edit", "digest": request["digest"], "parameters": {"rows": 10, "round": round}});
            let approvals = || join_all(people[1..].iter().map(|person| person.reviews(&request, "approve")));
            let (edited, approvals) = if round % 3 == 0 {
                tokio::join!(people[0].post(&path, &edit), approvals())
            } else {
                let (approvals, edited) = tokio::join!(approvals(), people[0].post(&path, &edit));
                (edited, approvals)
            };
            let end = agent.reads(&request["id"]).await;
            for answer in &approvals {
                assert!(matches!(answer.status, 201 | 409), "{answer:?}");
            }
            assert!(matches!(edited.status, 201 | 409), "{edited:?}");
            assert_eq!(end["edited"].as_bool(), Some(edited.status == 201), "{end:#}");
            // Who fills a seat approved exactly what will be done.
            let filled: BTreeSet<&str> = end["approval"]["seats"].as_array().unwrap().iter().flat_map(|seat| seat["filled_by"].as_array().unwrap()).map(|id| id.as_str().unwrap()).collect();
            for person in &filled {
                let last = end["reviews"].as_array().unwrap().iter().rfind(|review| review["person"]["id"] == **person).unwrap();
                assert_eq!(last["digest"], end["digest"], "{end:#}");
            }
            if edited.status == 201 {
                edited_first += 1;
                assert_ne!(end["digest"], request["digest"]);
                assert_eq!(filled.len(), 1, "{end:#}");
                assert_eq!(end["status"], if round % 2 == 0 { "approved" } else { "pending" }, "{end:#}");
            } else {
                assert_eq!((&end["status"], &end["digest"]), (&json!("approved"), &request["digest"]), "{end:#}");
            }
            app.clock.advance(Duration::from_secs(2));
        }
        println!("{edited_first} of {} edits came first", 2 * FEW);
        app.finish().await;
    }

    async fn one_idempotency_key_makes_one_request(database: TestDatabase) {
        let app = start(database).await;
        let agent = app.client("agent");
        for round in 0..FEW {
            let ask = json!({"action": "one.c0", "parameters": {"round": round}}).to_string();
            let key = format!("key-{round}");
            let headers = [("idempotency-key", key.as_str())];
            let answers = join_all((0..32).map(|_| agent.send("POST", "/v1/requests", Some(ask.clone()), &headers))).await;
            let ids: BTreeSet<&str> = answers.iter().map(|answer| id(&answer.body)).collect();
            assert_eq!(ids.len(), 1, "{ids:?}");
            assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
            for replay in answers.iter().filter(|answer| answer.status != 201) {
                assert_eq!((replay.status, &replay.headers["idempotent-replayed"]), (200, &"true".parse().unwrap()));
            }
            assert_eq!(count(&app.story(id(&answers[0].body)).await, "request.created"), 1);
            app.clock.advance(Duration::from_secs(2));
        }
        app.finish().await;
    }
}
