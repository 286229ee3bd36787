//! kill -9 of the real binary, again and again, at random moments under load: nothing that was acknowledged is lost,
//! nothing is redeemed twice, and the log stays whole.
//!
//! `COUNTERSIGN_TEST_SEED` repeats the random choices of a run (not its timing); the seed is printed.

mod ledger;
mod load;
mod replicas;

use crate::support::app::export;
use crate::support::db::{TestDatabase, both_databases};
use crate::support::server::Site;
use ledger::Ledger;
use load::{Load, Random};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

const KEYS: [&str; 3] = ["countersign.key", "grant-key.pem", "audit-key.pem"];

/// Lives of the process that end by kill -9.
const KILLS: u32 = 100;
/// A life ends when so much time has passed, whatever was done.
const LONGEST_LIFE: Duration = Duration::from_millis(700);
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
            // At any point of the work, on a fast machine as on a slow one; and from there at any point of what is being done.
            load.gets_ahead(random.between(0, 40), LONGEST_LIFE).await;
            tokio::time::sleep(Duration::from_micros(random.between(0, 30_000))).await;
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

/// Lives that end during the very first start, before there is anything to serve.
const FIRST_STARTS: u32 = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_start_that_is_killed_is_simply_repeated() {
    let random = Random::seeded();
    for _ in 0..FIRST_STARTS {
        let site = Site::new(TestDatabase::sqlite().await).await;
        // An empty folder: the start makes the database and the keys.
        for key in KEYS {
            std::fs::remove_file(site.path(key)).unwrap();
        }
        site.configure("sqlite://first.db", "127.0.0.1:0");
        let mut child = site.command(&["serve"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(random.between(0, 150))).await;
        child.kill().unwrap();
        child.wait().unwrap();
        let made = || KEYS.map(|key| std::fs::read(site.path(key)).ok());
        let before = made();
        let server = site.start().await;
        let asked = server.caller().asks(&export()).await.unwrap();
        assert_eq!(asked.status, 201, "{asked:?}");
        server.stop().await;
        for (before, after) in before.iter().zip(made()) {
            assert!(before.is_none() || *before == after, "a key that was there was replaced");
        }
        site.log_verifies();
        let open =
            KEYS.iter().chain(&["first.db"]).filter(|file| std::fs::metadata(site.path(file)).unwrap().permissions().mode() & 0o077 != 0);
        assert_eq!(open.count(), 0, "others can read a key or the database");
    }
}
