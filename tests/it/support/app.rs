//! Owns the whole server under test: the same `app::build` as `serve`, on port 0, with a fake clock and, where a test
//! wants it, a fake Slack. At the end of every test: nothing undelivered, and the audit log verifies.

use super::clock::TestClock;
use super::db::TestDatabase;
use super::slack::{FakeSlack, SECRET};
use super::stream::EventStream;
use countersign::app::{self, Running, Surroundings};
use countersign::chat::slack::socket::Timing;
use countersign::config::clients::{Client, Scope};
use countersign::config::webhooks::WebhookSecret;
use countersign::config::{Config, KeySource, api_key};
use countersign::http::demo::Demo;
use countersign::http::sessions::Sessions;
use countersign::runtime::SystemRandom;
use reqwest::StatusCode;
use secrecy::SecretString;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The workspace of the tests.
pub(crate) const TEAM: &str = "T0ACME";
/// The channel that the tests' policy asks in.
pub(crate) const CHANNEL: &str = "C0PROD";
/// The page token of the tests' demo sign-in.
pub(crate) const DEMO_TOKEN: &str = "demo-token-of-the-tests";

/// Who is in the directory: alice owns the agents; bob and carol decide for data-governance and security;
/// dave is in both groups; erin is inactive; frank administers; svc is no human; grace is who agents act for.
pub(crate) const DIRECTORY: &str = r#"
[[person]]
name = "Alice Liu"
email = "alice@example.com"
groups = ["data-governance"]
slack = { team_id = "T0ACME", user_id = "U0ALICE" }

[[person]]
name = "Bob Stone"
email = "bob@example.com"
groups = ["data-governance"]
slack = { team_id = "T0ACME", user_id = "U0BOB" }

[[person]]
name = "Carol Diaz"
email = "carol@example.com"
groups = ["security"]
slack = { team_id = "T0ACME", user_id = "U0CAROL" }

[[person]]
name = "Dave Marsh"
email = "dave@example.com"
groups = ["data-governance", "security"]
slack = { team_id = "T0ACME", user_id = "U0DAVE" }

[[person]]
name = "Erin Holt"
email = "erin@example.com"
active = false
groups = ["data-governance", "security"]
slack = { team_id = "T0ACME", user_id = "U0ERIN" }

[[person]]
name = "Frank Moss"
email = "frank@example.com"
groups = ["countersign-admins"]
slack = { team_id = "T0ACME", user_id = "U0FRANK" }

[[person]]
name = "Grace Park"
email = "grace@example.com"
groups = ["data-governance"]
slack = { team_id = "T0ACME", user_id = "U0GRACE" }

[[person]]
name = "Reporting service"
email = "svc@example.com"
kind = "service"
groups = ["data-governance", "security"]
slack = { team_id = "T0ACME", user_id = "U0SVC" }
"#;

/// One rule of each kind: a single seat, two seats, allowed, denied, with demands.
pub(crate) const POLICY: &str = r#"
default = "review"
default_route = "data"

[routes.data]
slack = ["C0PROD"]
seats = [{ group = "data-governance", count = 1 }]
expires_in = "1h"
approval_valid = "15m"

[[rule]]
id = "dual"
effect = "review"
match = { action = "dual.*" }
seats = [{ group = "security", count = 1 }]

[[rule]]
id = "read-only"
effect = "allow"
match = { action = "*.read" }

[[rule]]
id = "no-drop"
effect = "deny"
match = { action = "db.drop" }

[[rule]]
id = "explained"
effect = "review"
match = { action = "explained.*" }
require = ["justification"]

[[rule]]
id = "commented"
effect = "review"
match = { action = "commented.*" }
require = ["comment"]
"#;

/// The clients of the tests: name, scopes, owner.
const CLIENTS: [(&str, &[Scope]); 5] = [
    ("agent", &[Scope::RequestsWrite, Scope::GrantsRedeem]),
    ("other", &[Scope::RequestsWrite]),
    ("executor", &[Scope::GrantsRedeem]),
    ("reader", &[Scope::RequestsRead, Scope::AuditRead, Scope::PolicyRead]),
    ("admin", &[Scope::ClientsWrite, Scope::PolicyWrite, Scope::RequestsRead]),
];

/// Signs the callbacks of `agent`; the other clients have none.
pub(crate) const WEBHOOK_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// The API key of a test client.
pub(crate) fn key(name: &str) -> String {
    format!("cs_{name}{}_{}", "0".repeat(4_usize.saturating_sub(name.len())), "k".repeat(40))
}

/// What a test changes of the usual server.
pub(crate) struct Options {
    /// The policy file.
    pub(crate) policy: String,
    /// The directory file.
    pub(crate) directory: String,
    /// With a fake Slack.
    pub(crate) slack: bool,
    /// The policy can be replaced through the API.
    pub(crate) policy_by_api: bool,
    /// Workspaces and organisations whose people may decide.
    pub(crate) team_ids: Vec<String>,
    /// The signing secret before the present one.
    pub(crate) previous_secret: Option<String>,
    /// How often Slack is asked about our installation.
    pub(crate) look_every: Option<Duration>,
    /// Over Socket Mode instead of HTTP, at this pace.
    pub(crate) socket: Option<Timing>,
    /// How long a stream is silent before it says that it is alive.
    pub(crate) ping: Duration,
    /// Key files by name; without them new keys are made.
    pub(crate) keys: Vec<(String, String)>,
    /// Another address than the one it listens on.
    pub(crate) public_url: Option<String>,
    /// Private hosts that callbacks may reach.
    pub(crate) callbacks_to: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            policy: POLICY.to_owned(),
            directory: DIRECTORY.to_owned(),
            slack: true,
            policy_by_api: false,
            team_ids: vec![TEAM.to_owned()],
            previous_secret: None,
            look_every: None,
            socket: None,
            ping: countersign::http::events::PING,
            keys: Vec::new(),
            public_url: None,
            callbacks_to: Vec::new(),
        }
    }
}

/// A running server with everything around it.
pub(crate) struct TestApp {
    /// The server.
    pub(crate) running: Running,
    /// Its address, without a trailing slash.
    pub(crate) url: String,
    /// Its clock.
    pub(crate) clock: Arc<TestClock>,
    /// Slack.
    pub(crate) slack: FakeSlack,
    /// HTTP client.
    pub(crate) http: reqwest::Client,
    /// Files of the server: `policy.toml`, `directory.toml`, keys.
    pub(crate) files: tempfile::TempDir,
    /// The configuration it was started with.
    pub(crate) config: Config,
    /// Its database.
    pub(crate) database: TestDatabase,
}

impl TestApp {
    /// The usual server.
    pub(crate) async fn start(database: TestDatabase) -> Self {
        Self::with(database, Options::default()).await
    }

    /// A server with other options.
    pub(crate) async fn with(database: TestDatabase, options: Options) -> Self {
        let files = tempfile::tempdir().unwrap();
        let clock = Arc::new(TestClock::new());
        let slack = FakeSlack::start(clock.clone()).await;
        slack.change(|model| {
            model.add_channel(CHANNEL);
            for name in ["alice", "bob", "carol", "dave", "erin", "frank", "grace", "svc"] {
                model.add_user(&format!("U0{}", name.to_uppercase()), &format!("{name}@example.com"));
            }
        });
        if options.socket.is_some() {
            slack.socket_mode().await.unwrap();
        }
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let config = config(&database, files.path(), &url, &slack, &options);
        let around = Surroundings {
            clock: clock.clone(),
            random: Arc::new(SystemRandom),
            sessions: Sessions::demo(&url),
            demo: Some(Demo { token: DEMO_TOKEN.to_owned(), people: people(&options.directory) }),
        };
        let mut built = app::build(&config, around).await.unwrap_or_else(|error| panic!("the server does not start: {error}"));
        built.parts.ping = options.ping;
        built.look_every = options.look_every.unwrap_or(built.look_every);
        if let (Some(socket), Some(timing)) = (&mut built.socket, options.socket) {
            socket.timing = timing;
        }
        let running = app::start(built, listener, None);
        slack.app_is_at(&url);
        let http = reqwest::Client::builder().timeout(Duration::from_mins(1)).redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { running, url, clock, slack, http, files, config, database }
    }

    /// The same engine a second time, on the same database, with a clock of its own and no background: another replica,
    /// whose every step the test takes.
    pub(crate) async fn replica(&self, clock: TestClock) -> countersign::http::Parts {
        built(&self.config, &self.url, Arc::new(clock)).await.parts
    }

    /// Stops the server, lets something happen while it is down, and starts it again.
    pub(crate) async fn restarted(self, meanwhile: impl AsyncFnOnce(&countersign::store::Store)) -> Self {
        let Self { running, clock, slack, http, files, config, database, .. } = self;
        running.stop().await.unwrap();
        let store = database.store().await;
        meanwhile(&store).await;
        store.close().await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let running = app::start(built(&config, &url, clock.clone()).await, listener, None);
        slack.app_is_at(&url);
        Self { running, url, clock, slack, http, files, config, database }
    }

    /// A client of the API.
    pub(crate) fn client(&self, name: &str) -> ApiClient<'_> {
        ApiClient { app: self, credential: Credential::Key(key(name)) }
    }

    /// A client with a key that the test got from the server.
    pub(crate) fn with_key(&self, key: &str) -> ApiClient<'_> {
        ApiClient { app: self, credential: Credential::Key(key.to_owned()) }
    }

    /// Somebody without a credential.
    pub(crate) fn stranger(&self) -> ApiClient<'_> {
        ApiClient { app: self, credential: Credential::None }
    }

    /// A person, signed in through the demo's page.
    pub(crate) async fn person(&self, email: &str) -> ApiClient<'_> {
        let answer = self.http.post(format!("{}/demo/{DEMO_TOKEN}/be", self.url)).form(&[("email", email)]).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{email} cannot sign in");
        let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        ApiClient { app: self, credential: Credential::Cookie(cookie) }
    }

    /// Waits until `probe` says so: on a condition, never for a time.
    pub(crate) async fn eventually<F: AsyncFn() -> bool>(&self, what: &str, probe: F) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while !probe().await {
            assert!(tokio::time::Instant::now() < deadline, "never: {what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Every audit event so far, as JSON.
    pub(crate) async fn events(&self) -> Vec<Value> {
        let mut events = Vec::new();
        let mut after = 0;
        loop {
            let rows = self.running.app.engine.store.audit_rows(after, 500).await.unwrap();
            let Some(last) = rows.last() else { return events };
            after = last.seq;
            events.extend(rows.iter().map(|row| serde_json::from_str::<Value>(&row.event).unwrap()));
        }
    }

    /// The types of the audit events of one request, in order.
    pub(crate) async fn story(&self, request: &str) -> Vec<String> {
        let events = self.events().await;
        events.iter().filter(|event| event["request"] == request).map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    }

    /// Stops the server, and checks what must hold after every test: nothing undelivered, and a log that verifies.
    pub(crate) async fn finish(self) {
        let store = self.running.app.engine.store.clone();
        let events = self.events().await;
        let clock = self.clock.clone();
        if self.config.slack.is_some() {
            self.eventually("the outbox is empty", async || {
                use countersign::domain::time::Clock as _;
                // Cards are paced, one a second and channel.
                clock.advance(Duration::from_secs(1));
                store.outbox_state(clock.now()).await.unwrap().waiting == 0
            })
            .await;
        }
        super::log::verify(&self.running.app.engine.store).await;
        super::log::holds_no_texts(&events);
        self.running.stop().await.unwrap();
    }
}

/// A server without anybody signed in.
async fn built(config: &Config, url: &str, clock: Arc<TestClock>) -> app::Built {
    let around = Surroundings { clock, random: Arc::new(SystemRandom), sessions: Sessions::demo(url), demo: None };
    app::build(config, around).await.unwrap_or_else(|error| panic!("the server does not start: {error}"))
}

fn people(directory: &str) -> Vec<String> {
    let directory: toml::Table = directory.parse().unwrap();
    directory["person"].as_array().unwrap().iter().map(|person| person["email"].as_str().unwrap().to_owned()).collect()
}

fn config(database: &TestDatabase, files: &Path, url: &str, slack: &FakeSlack, options: &Options) -> Config {
    std::fs::write(files.join("policy.toml"), &options.policy).unwrap();
    std::fs::write(files.join("directory.toml"), &options.directory).unwrap();
    super::keys::restore(files, &options.keys);
    super::keys::write(files);
    let mut config = Config::default();
    options.public_url.as_deref().unwrap_or(url).clone_into(&mut config.server.public_url);
    config.database.url = SecretString::from(database.url());
    config.secrets.master_key = KeySource::File(files.join("countersign.key"));
    config.grants.key = KeySource::File(files.join("grant-key.pem"));
    config.audit.checkpoint_key = KeySource::File(files.join("audit-key.pem"));
    config.policy.file = files.join("policy.toml");
    if options.policy_by_api {
        config.policy.source = countersign::config::policy::PolicySource::Api;
    }
    config.admin.groups = vec!["countersign-admins".to_owned()];
    config.directory = Some(countersign::config::directory::Directory { file: files.join("directory.toml"), ..Default::default() });
    if options.slack {
        let mut section =
            countersign::config::slack::Slack::new(SecretString::from(SECRET), SecretString::from("xoxb-fake-token")).unwrap();
        section.team_ids.clone_from(&options.team_ids);
        section.signing_secrets.extend(options.previous_secret.iter().map(|secret| SecretString::from(secret.as_str())));
        if options.socket.is_some() {
            section.mode = countersign::config::slack::Mode::Socket;
            section.app_token = Some(SecretString::from("xapp-fake-token"));
        }
        section.api_url = slack.api_url().parse().unwrap();
        config.slack = Some(section);
    }
    config.webhooks.allow_hosts = options.callbacks_to.iter().map(|host| host.parse().unwrap()).collect();
    config.clients = CLIENTS
        .iter()
        .map(|(name, scopes)| Client {
            name: (*name).to_owned(),
            key: api_key::parse(&key(name)).unwrap(),
            scopes: scopes.iter().copied().collect(),
            owner: Some("alice@example.com".to_owned()),
            may_act_for: vec!["*@example.com".to_owned()],
            webhook_secret: (*name == "agent").then(|| WebhookSecret::parse(WEBHOOK_SECRET).unwrap()),
        })
        .collect();
    config
}

enum Credential {
    None,
    Key(String),
    Cookie(String),
}

/// Somebody who calls the API.
pub(crate) struct ApiClient<'a> {
    app: &'a TestApp,
    credential: Credential,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: u16,
    /// The headers.
    pub(crate) headers: reqwest::header::HeaderMap,
    /// The body, when it is JSON.
    pub(crate) body: Value,
}

impl Answer {
    /// Asserts the status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:#}", self.body);
        self
    }

    /// Asserts a problem of this slug.
    #[track_caller]
    pub(crate) fn problem(self, status: u16, slug: &str) -> Self {
        let answer = self.expect(status);
        assert_eq!(answer.body["type"], format!("urn:countersign:problem:{slug}"), "{:#}", answer.body);
        answer
    }
}

impl ApiClient<'_> {
    /// Any call.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.send(method, path, body.map(ToString::to_string), &[]).await
    }

    /// Any call with headers and a raw body.
    pub(crate) async fn send(&self, method: &str, path: &str, body: Option<String>, headers: &[(&str, &str)]) -> Answer {
        self.raw(method, path, body.map(String::into_bytes), headers).await
    }

    /// Any call with headers and any bytes.
    pub(crate) async fn raw(&self, method: &str, path: &str, body: Option<Vec<u8>>, headers: &[(&str, &str)]) -> Answer {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
                request = request.header("content-type", "application/json");
            }
            request = request.body(body);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        // A stream has no end that could be waited for.
        let streams = headers.get("content-type").is_some_and(|kind| kind == "text/event-stream");
        let text = if streams { String::new() } else { answer.text().await.unwrap() };
        Answer { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
    }

    fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let request = self.app.http.request(method.parse().unwrap(), format!("{}{path}", self.app.url));
        match &self.credential {
            Credential::None => request,
            Credential::Key(key) => request.bearer_auth(key),
            Credential::Cookie(cookie) => request.header("cookie", cookie).header("origin", &self.app.url),
        }
    }

    /// A stream of events, after the event of that id.
    pub(crate) async fn stream(&self, path: &str, after: Option<&str>) -> EventStream {
        let mut request = self.request("GET", path);
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        EventStream::of(request.send().await.unwrap())
    }

    /// GET.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, None).await
    }

    /// POST of JSON.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.call("POST", path, Some(body)).await
    }

    /// Asks for an action; the request as created.
    pub(crate) async fn asks(&self, body: &Value) -> Value {
        self.post("/v1/requests", body).await.expect(201).body
    }

    /// Reads a request.
    pub(crate) async fn reads(&self, id: &Value) -> Value {
        self.get(&format!("/v1/requests/{}", id.as_str().unwrap())).await.expect(200).body
    }

    /// Reviews a request with its present digest.
    pub(crate) async fn reviews(&self, request: &Value, decision: &str) -> Answer {
        let body = json!({"decision": decision, "digest": request["digest"]});
        self.post(&format!("/v1/requests/{}/reviews", request["id"].as_str().unwrap()), &body).await
    }

    /// Redeems a grant with parameters.
    pub(crate) async fn redeems(&self, token: &Value, parameters: &Value) -> Answer {
        self.post("/v1/grants/redeem", &json!({"token": token, "parameters": parameters})).await
    }
}

/// The export that most tests ask for.
pub(crate) fn export() -> Value {
    json!({
        "action": "db.export",
        "resource": {"type": "table", "id": "prod/customers", "environment": "prod"},
        "parameters": {"rows": 120_000, "destination": "s3://partner-drop/customers.csv"},
        "summary": "Export customers to the partner bucket",
        "justification": "Quarterly reconciliation, FIN-482",
        "context": {"source": "airflow dag=partner_sync run=2026-11-20", "data_scope": "customers: name, email, balance"},
        "deny_options": [{"name": "use_staging", "title": "Use staging instead"}]
    })
}
