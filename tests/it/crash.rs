//! kill -9 of the real binary, again and again, at random moments under load: nothing that was acknowledged is lost,
//! nothing is redeemed twice, and the log stays whole.
//!
//! `COUNTERSIGN_TEST_SEED` repeats the random choices of a run (not its timing); the seed is printed.

mod ledger;
mod load;

use crate::support::db::both_databases;
use crate::support::server::Site;
use ledger::Ledger;
use load::{Load, Random};
use std::time::{Duration, Instant};

/// Lives of the process that end by kill -9.
const KILLS: u32 = 100;
/// Of so many lives, one ends with a whole verification of log and ledger.
const LOOK_EVERY: u32 = 20;

both_databases! {
    async fn a_hundred_kills_lose_nothing_that_was_acknowledged(database: TestDatabase) {
        let random = Random::seeded();
        let site = Site::with(database, &load::policy(), &load::directory()).await;
        let load = Load::start(&random, Ledger::default());
        let began = Instant::now();
        let mut acknowledged = 0;
        for kill in 1..=KILLS {
            let server = site.start().await;
            load.goes_to(Some(server.caller()));
            tokio::time::sleep(Duration::from_millis(random.between(20, 300))).await;
            assert!(!server.log().contains("panicked"), "{}", server.log());
            server.kill();
            load.goes_to(None);
            load.ledger().check(&site, ledger::Moment::Between).await;
            if kill % LOOK_EVERY == 0 {
                site.log_verifies();
            }
            let now = load.ledger().len();
            assert!(kill % LOOK_EVERY != 0 || now > acknowledged, "nothing was acknowledged in {LOOK_EVERY} lives");
            if kill % LOOK_EVERY == 0 {
                acknowledged = now;
            }
        }
        let ledger = load.stop().await;
        let killing = began.elapsed();
        // The last life finishes what the killed ones left: taps after their lease, and those that are too old by a refusal.
        let server = site.start().await;
        site.until_count("SELECT count(*) FROM tap WHERE finished_at IS NULL", 0).await;
        ledger.check(&site, ledger::Moment::Settled).await;
        ledger.check_through(&server.caller()).await;
        server.stop().await;
        let verified = site.log_verifies();
        println!("{KILLS} kills in {:.1} s, settled after {:.1} s; {ledger}; {}", killing.as_secs_f64(), began.elapsed().as_secs_f64(), verified.out.trim());
    }
}
