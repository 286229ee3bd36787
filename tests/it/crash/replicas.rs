//! Two servers, each a process of its own, on one PostgreSQL: what happens on one is known on the other, work is shared, and
//! when one is killed the other takes over what it left.

use super::ledger::{self, Ledger};
use super::load::{self, Load, Random};
use crate::support::app::{CHANNEL, export};
use crate::support::db::TestDatabase;
use crate::support::server::{PATIENCE, Server, Site, Tap};
use serde_json::{Value, json};
use std::time::Duration;

async fn site() -> Site {
    Site::new(TestDatabase::postgres().await).await
}

fn id(request: &Value) -> &str {
    request["id"].as_str().unwrap()
}

/// Someone follows a request on one replica while somebody taps on the other.
async fn tapped_elsewhere(here: &Server, there: &Server) -> Value {
    let asked = here.caller().asks(&export()).await.unwrap().body;
    let mut events = here.caller().follows(id(&asked)).await;
    assert_eq!(events.next().await.unwrap().data["status"], "pending");
    assert_eq!(there.caller().delivers(&Tap::approve(&asked, "U0BOB")).await.unwrap().status, 200);
    // A stream has no timeout at which it would look by itself: without a hint nothing comes.
    let told = async {
        loop {
            let event = events.next().await.expect("the stream goes on until the decision").data;
            if event["status"] != "pending" {
                return event;
            }
        }
    };
    tokio::time::timeout(PATIENCE, told).await.expect("nobody told the replica that waits")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tap_on_one_releases_who_waits_on_the_other() {
    let site = site().await;
    let (one, two) = (site.start().await, site.start().await);
    assert_eq!(tapped_elsewhere(&one, &two).await["status"], "approved");
    assert_eq!(tapped_elsewhere(&two, &one).await["status"], "approved");

    // A long poll as well; and the grant that one minted is redeemed on the other, once on both.
    let asked = one.caller().asks(&export()).await.unwrap().body;
    let path = format!("/v1/requests/{}?wait=50", id(&asked));
    let (waits, taps) = (one.caller(), two.caller());
    let tap = Tap::approve(&asked, "U0DAVE");
    let (answer, acknowledged) = tokio::join!(waits.call("GET", &path, Some("agent"), None, &[]), taps.delivers(&tap));
    assert_eq!(acknowledged.unwrap().status, 200);
    let approved = answer.unwrap().body;
    assert_eq!((&approved["status"], &approved["usable"]), (&json!("approved"), &json!(true)));
    let token = &approved["grant"]["token"];
    assert_eq!(two.caller().redeems(token, &approved["parameters"]).await.unwrap().status, 200);
    assert_eq!(one.caller().redeems(token, &approved["parameters"]).await.unwrap().status, 409);
    one.stop().await;
    two.stop().await;
    site.log_verifies();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_where_every_notification_is_lost() {
    let site = site().await;
    // As behind a pooler that gives each transaction another connection: NOTIFY is accepted, and reaches nobody.
    site.database.tamper("CREATE FUNCTION public.pg_notify(text, text) RETURNS void LANGUAGE sql AS ''").await.unwrap();
    let name = site.database.texts("SELECT current_database()::text").await.remove(0);
    site.database.tamper(&format!("ALTER DATABASE {name} SET search_path = public, pg_catalog")).await.unwrap();
    let (one, two) = (site.start().await, site.start().await);
    assert_eq!(tapped_elsewhere(&one, &two).await["status"], "approved");
    one.stop().await;
    two.stop().await;
    site.log_verifies();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_outbox_is_shared_and_each_card_is_posted_once() {
    let site = site().await;
    let (one, two) = (site.start().await, site.start().await);
    let mut asked = Vec::new();
    for _ in 0..6 {
        let (on_one, on_two) = (one.caller(), two.caller());
        let ask = export();
        let (first, second) = tokio::join!(on_one.asks(&ask), on_two.asks(&ask));
        asked.extend([first.unwrap().body, second.unwrap().body]);
    }
    site.until_count("SELECT count(*) FROM delivery WHERE sent_version = 0", 0).await;
    for request in &asked {
        let posted = site.slack.until("its card", |model| {
            let messages = &model.channels[CHANNEL].messages;
            let cards = messages.iter().filter(|message| message.blocks.to_string().contains(id(request))).count();
            (cards > 0).then_some(cards)
        });
        assert_eq!(posted.await, 1, "{}", id(request));
    }
    one.stop().await;
    two.stop().await;
    site.log_verifies();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_replica_left_is_taken_over() {
    let random = Random::seeded();
    let site = Site::with(TestDatabase::postgres().await, &load::policy(), &load::directory()).await;
    let (mut one, two) = (site.start().await, site.start().await);
    let (on_one, on_two) = (Load::start(&random, Ledger::default()), Load::start(&random, Ledger::default()));
    on_two.goes_to(Some(two.caller()));
    for _ in 0..5 {
        on_one.goes_to(Some(one.caller()));
        on_one.gets_ahead(random.between(5, 40), Duration::from_secs(2)).await;
        tokio::time::sleep(Duration::from_micros(random.between(0, 30_000))).await;
        one.kill();
        // Whoever spoke with the dead one goes on with the other, which never stopped.
        on_one.goes_to(Some(two.caller()));
        on_one.gets_ahead(10, Duration::from_secs(2)).await;
        one = site.start().await;
    }
    one.kill();
    on_one.goes_to(Some(two.caller()));
    let (on_one, on_two) = (on_one.stop().await, on_two.stop().await);
    // Taps and cards that the dead one had taken are taken by the living one after their lease.
    site.until_count("SELECT count(*) FROM tap WHERE finished_at IS NULL", 0).await;
    for ledger in [&on_one, &on_two] {
        assert!(ledger.len() > 0);
        ledger.check(&site, ledger::Moment::Settled).await;
        ledger.check_through(&two.caller()).await;
    }
    two.stop().await;
    site.log_verifies();
}
