//! A workspace with Alice, Bob and Carol, our client for it, and a bare way in that keeps what it lets through.

use crate::support::clock::TestClock;
use crate::support::slack::{FakeSlack, SECRET};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use countersign::chat::slack::callback::{Received, SlackInbound};
use countersign::chat::slack::client::{Settings, Slack};
use countersign::chat::slack::intake::Intake;
use countersign::chat::{Account, Inbound, Tap};
use countersign::domain::time::Clock;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(super) struct World {
    pub(super) clock: TestClock,
    pub(super) fake: FakeSlack,
    pub(super) slack: Slack,
    received: Arc<Mutex<Vec<Tap>>>,
    answer: Arc<Mutex<String>>,
}

#[derive(Clone)]
struct Edge {
    inbound: Arc<SlackInbound>,
    received: Arc<Mutex<Vec<Tap>>>,
    clock: TestClock,
    answer: Arc<Mutex<String>>,
}

impl World {
    pub(super) async fn start() -> Self {
        Self::allowing(&["T0ACME"]).await
    }

    /// With these workspaces and organisations configured.
    pub(super) async fn allowing(allowed: &[&str]) -> Self {
        let clock = TestClock::new();
        let fake = FakeSlack::start(Arc::new(clock.clone())).await;
        fake.change(|model| {
            for (id, email) in [("U0ALICE", "alice@example.com"), ("U0BOB", "bob@example.com"), ("U0CAROL", "carol@example.com")] {
                model.add_user(id, email);
            }
            model.add_channel("C0PROD");
            model.channels.get_mut("C0PROD").unwrap().members.insert("U0BOB".to_owned());
        });
        let allowed: BTreeSet<String> = allowed.iter().map(|id| (*id).to_owned()).collect();
        let slack = slack(&fake, allowed.clone(), &|_| {}, Duration::from_secs(5));
        let received = Arc::<Mutex<Vec<Tap>>>::default();
        let intake = Intake::new(allowed);
        intake.learn("A0APP");
        let inbound = Arc::new(SlackInbound::new(&[SECRET.into()], Arc::new(intake)).unwrap());
        let edge = Edge { inbound, received: received.clone(), clock: clock.clone(), answer: Arc::default() };
        let answer = edge.answer.clone();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        fake.app_is_at(&format!("http://{}", listener.local_addr().unwrap()));
        let router = Router::new().route("/slack/interactions", post(receive)).with_state(edge);
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { clock, fake, slack, received, answer }
    }

    /// Another client of the same workspace.
    pub(super) fn slack_with(&self, change: impl Fn(&mut Settings), timeout: Duration) -> Slack {
        slack(&self.fake, BTreeSet::from(["T0ACME".to_owned()]), &change, timeout)
    }

    pub(super) fn account(&self, user: &str) -> Account {
        let team = self.fake.lock().team.clone();
        Account { team_id: Some(team.clone()), enterprise_id: None, user_id: user.to_owned(), user_team_id: Some(team), username: None }
    }

    /// The body with which callbacks are acknowledged from now on; empty at first.
    pub(super) fn answers(&self, body: &str) {
        body.clone_into(&mut self.answer.lock().unwrap());
    }

    /// What came through since the last look.
    pub(super) fn taps(&self) -> Vec<Tap> {
        std::mem::take(&mut self.received.lock().unwrap())
    }
}

fn slack(fake: &FakeSlack, allowed: BTreeSet<String>, change: &dyn Fn(&mut Settings), timeout: Duration) -> Slack {
    let token = fake.lock().token.clone();
    let mut settings = Settings {
        api_url: fake.api_url().parse().unwrap(),
        bot_token: token.into(),
        allowed,
        match_email: false,
        shared_channels: BTreeSet::new(),
    };
    change(&mut settings);
    Slack::with_timeout(&settings, timeout).unwrap()
}

async fn receive(State(edge): State<Edge>, headers: HeaderMap, body: Bytes) -> (StatusCode, String) {
    match edge.inbound.authenticate(&headers, &body, edge.clock.now()) {
        Ok(verified) => {
            if let Received::In(Inbound::Tap(tap)) = verified.into_inner() {
                edge.received.lock().unwrap().push(*tap);
            }
            (StatusCode::OK, edge.answer.lock().unwrap().clone())
        }
        Err(rejection) => (StatusCode::from_u16(rejection.status()).unwrap(), String::new()),
    }
}
