//! The load: agents that ask, people that tap, executors that redeem, all at once, through whatever life the server has.

use super::ledger::{Ledger, Redeem};
use crate::support::server::{Caller, Tap};
use countersign::domain::time::Clock as _;
use countersign::runtime::SystemClock;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Agents at work at the same time.
const AGENTS: u64 = 8;
/// People who may decide.
const PEOPLE: u64 = 4;

/// Random choices that a seed repeats (xorshift64*).
#[derive(Debug, Clone)]
pub(super) struct Random(Arc<Mutex<u64>>);

impl Random {
    /// From `COUNTERSIGN_TEST_SEED`, else from the time; prints it.
    pub(super) fn seeded() -> Self {
        let given = std::env::var("COUNTERSIGN_TEST_SEED").ok().map(|seed| seed.parse::<u64>().unwrap());
        let now = SystemClock.now().as_millis().unsigned_abs();
        let seed = given.unwrap_or(now << 16 | u64::from(std::process::id() & 0xffff)).max(1);
        println!("COUNTERSIGN_TEST_SEED={seed}");
        Self(Arc::new(Mutex::new(seed)))
    }

    /// Another one, so that tasks do not share their order.
    fn split(&self) -> Self {
        Self(Arc::new(Mutex::new(self.next().max(1))))
    }

    fn next(&self) -> u64 {
        let mut state = self.0.lock().unwrap();
        *state ^= *state >> 12;
        *state ^= *state << 25;
        *state ^= *state >> 27;
        state.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// At least `low`, less than `high`.
    pub(super) fn between(&self, low: u64, high: u64) -> u64 {
        low + (self.next() >> 11) % (high - low)
    }

    fn chance(&self, percent: u64) -> bool {
        self.between(0, 100) < percent
    }
}

/// Each agent has a channel, so that their cards do not wait for each other.
pub(super) fn policy() -> String {
    let mut policy =
        "default = \"deny\"\ndefault_route = \"r0\"\n[[rule]]\nid = \"read\"\neffect = \"allow\"\nmatch = { action = \"read.*\" }\n"
            .to_owned();
    for agent in 0..AGENTS {
        let _ = write!(
            policy,
            "[routes.r{agent}]\nslack = [\"C0AGENT{agent}\"]\nseats = [{{ group = \"deciders\", count = 1 }}]\nexpires_in = \"1h\"\napproval_valid = \"15m\"\n\
             [[rule]]\nid = \"one-{agent}\"\neffect = \"review\"\nroute = \"r{agent}\"\nmatch = {{ action = \"one{agent}.*\" }}\n\
             [[rule]]\nid = \"two-{agent}\"\neffect = \"review\"\nroute = \"r{agent}\"\nmatch = {{ action = \"two{agent}.*\" }}\nseats = [{{ group = \"deciders\", count = 2 }}]\n"
        );
    }
    policy
}

pub(super) fn directory() -> String {
    let mut directory =
        "[[person]]\nname = \"Alice\"\nemail = \"alice@example.com\"\nslack = { team_id = \"T0ACME\", user_id = \"U0ALICE\" }\n".to_owned();
    for person in 0..PEOPLE {
        let _ = write!(
            directory,
            "[[person]]\nname = \"Person {person}\"\nemail = \"p{person}@example.com\"\ngroups = [\"deciders\"]\nslack = {{ team_id = \"T0ACME\", user_id = \"U0P{person}\" }}\n"
        );
    }
    directory
}

/// Everybody at work.
pub(super) struct Load {
    server: watch::Sender<Option<Caller>>,
    stop: watch::Sender<bool>,
    ledger: Arc<Mutex<Ledger>>,
    agents: JoinSet<()>,
}

impl Load {
    pub(super) fn start(random: &Random, ledger: Ledger) -> Self {
        let (server, stop) = (watch::Sender::new(None), watch::Sender::new(false));
        let ledger = Arc::new(Mutex::new(ledger));
        let mut agents = JoinSet::new();
        for number in 0..AGENTS {
            let agent = Agent { number, random: random.split(), server: server.subscribe(), ledger: Arc::clone(&ledger) };
            let mut stopped = stop.subscribe();
            agents.spawn(async move {
                tokio::select! {
                    () = agent.works() => {}
                    _ = stopped.wait_for(|stop| *stop) => {}
                }
            });
        }
        Self { server, stop, ledger, agents }
    }

    /// Where the server is now; `None` while there is none.
    pub(super) fn goes_to(&self, server: Option<Caller>) {
        self.server.send_replace(server);
    }

    /// What was acknowledged so far.
    pub(super) fn ledger(&self) -> Ledger {
        self.ledger.lock().unwrap().clone()
    }

    /// Waits until so many more things were acknowledged, or for `patience`.
    pub(super) async fn gets_ahead(&self, things: u64, patience: Duration) {
        let wanted = self.ledger.lock().unwrap().len() as u64 + things;
        let ahead = async {
            while (self.ledger.lock().unwrap().len() as u64) < wanted {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let _ = tokio::time::timeout(patience, ahead).await;
    }

    /// Ends the work.
    pub(super) async fn stop(mut self) -> Ledger {
        self.stop.send_replace(true);
        while self.agents.join_next().await.is_some() {}
        self.ledger()
    }
}

struct Agent {
    number: u64,
    random: Random,
    server: watch::Receiver<Option<Caller>>,
    ledger: Arc<Mutex<Ledger>>,
}

impl Agent {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    async fn server(&self) -> Option<Caller> {
        self.server.clone().wait_for(Option::is_some).await.ok()?.clone()
    }

    async fn works(&self) {
        let mut turn = 0_u64;
        while let Some(server) = self.server().await {
            turn += 1;
            let _ = self.turn(&server, turn).await;
            // A server that was just killed is not asked in a busy loop.
            tokio::task::yield_now().await;
        }
    }

    /// One request from its beginning as far as it comes. `None` when the server went away.
    async fn turn(&self, server: &Caller, turn: u64) -> Option<()> {
        let parameters = json!({"agent": self.number, "turn": turn, "salt": self.random.next() >> 12});
        let kind = match self.random.between(0, 10) {
            0..4 => "read".to_owned(),
            4..8 => format!("one{}", self.number),
            _ => format!("two{}", self.number),
        };
        let ask = json!({"action": format!("{kind}.rows"), "parameters": parameters});
        let key = format!("{}-{turn}-{}", self.number, self.random.next());
        let mut created = server.call("POST", "/v1/requests", Some("agent"), Some(&ask), &[("idempotency-key", &key)]).await;
        if created.is_none() {
            // Whether it was created is unknown: the same key asks again, of the next life, and there is one request.
            let next = self.server().await?;
            created = next.call("POST", "/v1/requests", Some("agent"), Some(&ask), &[("idempotency-key", &key)]).await;
        }
        let created = created?;
        assert!(matches!(created.status, 200 | 201), "{created:?}");
        let request = created.body;
        self.ledger().created(&key, &request);
        if request["status"] == "pending" {
            self.people_tap(server, &request).await?;
        }
        let path = format!("/v1/requests/{}?wait=2", request["id"].as_str().unwrap());
        let read = server.call("GET", &path, Some("agent"), None, &[]).await?;
        assert_eq!(read.status, 200, "{read:?}");
        self.ledger().seen(&read.body);
        if read.body["usable"] == true {
            self.redeem(server, &read.body).await?;
        }
        Some(())
    }

    async fn people_tap(&self, server: &Caller, request: &Value) -> Option<()> {
        let people = if request["action"].as_str().unwrap().starts_with("two") { 3 } else { self.random.between(1, 3) };
        let first = self.random.between(0, PEOPLE);
        let taps: Vec<Tap> = (0..people)
            .map(|next| {
                let user = format!("U0P{}", (first + next) % PEOPLE);
                if self.random.chance(20) { Tap::deny(request, &user) } else { Tap::approve(request, &user) }
            })
            .collect();
        let answers = futures::future::join_all(taps.iter().map(|tap| server.delivers(tap))).await;
        let mut gone = false;
        for (tap, answer) in taps.iter().zip(answers) {
            match answer {
                Some(answer) => {
                    assert_eq!(answer.status, 200, "{answer:?}");
                    self.ledger().tapped(&tap.dedup_key);
                }
                None => gone = true,
            }
        }
        (!gone).then_some(())
    }

    /// Twice at the same time: one of them at most is told that it may.
    async fn redeem(&self, server: &Caller, request: &Value) -> Option<()> {
        let (token, parameters) = (&request["grant"]["token"], &request["parameters"]);
        let (first, second) = tokio::join!(server.redeems(token, parameters), server.redeems(token, parameters));
        for answer in [first.as_ref(), second.as_ref()] {
            self.note_redeem(request, answer);
        }
        if first.is_some() && second.is_some() {
            return Some(());
        }
        // Whether it was redeemed is unknown. The next life is asked: once altogether.
        let next = self.server().await?;
        let again = next.redeems(token, parameters).await;
        self.note_redeem(request, again.as_ref());
        None
    }

    fn note_redeem(&self, request: &Value, answer: Option<&crate::support::server::Answer>) {
        let redeem = match answer {
            None => Redeem::Unknown,
            Some(answer) => match answer.status {
                200 => Redeem::Done,
                409 => Redeem::Already,
                other => panic!("redeeming was answered {other}: {answer:?}"),
            },
        };
        self.ledger().redeemed(request["id"].as_str().unwrap(), redeem);
    }
}
