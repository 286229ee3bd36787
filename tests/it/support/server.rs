//! Owns the real binary under test: `countersign serve` as a process of its own, on a free port, with its files in a
//! temporary directory and Slack played by the test. It can be killed, told to stop, and started again on the same data.
//!
//! Never looks into the process: only its answers, its log, its exit code and the database count.

pub(crate) use super::app::key;
use super::app::{CHANNEL, DIRECTORY, POLICY, TEAM};
use super::db::TestDatabase;
use super::slack::person::sign;
use super::slack::{FakeSlack, SECRET};
use super::stream::EventStream;
use countersign::runtime::SystemClock;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Longest real time that a test waits for the process; reaching it is a failure.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// The clients in the configuration: name and scopes.
const CLIENTS: [(&str, &str); 3] = [
    ("agent", r#""requests:write", "grants:redeem""#),
    ("reader", r#""requests:read", "audit:read""#),
    ("admin", r#""clients:write", "requests:read""#),
];

/// Files and surroundings of a server; it outlives every life of the process.
pub(crate) struct Site {
    /// `countersign.toml`, `policy.toml`, `directory.toml`, keys.
    pub(crate) files: tempfile::TempDir,
    /// The database.
    pub(crate) database: TestDatabase,
    /// Slack, in this process and on the real clock.
    pub(crate) slack: FakeSlack,
    http: reqwest::Client,
}

impl Site {
    /// The usual policy and directory.
    pub(crate) async fn new(database: TestDatabase) -> Self {
        Self::with(database, POLICY, DIRECTORY).await
    }

    /// Another policy and directory. Each person with an account is in the workspace, each channel of the policy exists.
    pub(crate) async fn with(database: TestDatabase, policy: &str, directory: &str) -> Self {
        let files = tempfile::tempdir().unwrap();
        let slack = FakeSlack::start(Arc::new(SystemClock)).await;
        slack.change(|model| {
            model.add_channel(CHANNEL);
            for line in policy.lines().filter(|line| line.starts_with("slack = [\"C")) {
                model.add_channel(line.split('"').nth(1).unwrap());
            }
            let directory: toml::Table = directory.parse().unwrap();
            for person in directory["person"].as_array().unwrap() {
                model.add_user(person["slack"]["user_id"].as_str().unwrap(), person["email"].as_str().unwrap());
            }
        });
        super::keys::write(files.path());
        std::fs::write(files.path().join("policy.toml"), policy).unwrap();
        std::fs::write(files.path().join("directory.toml"), directory).unwrap();
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        let site = Self { files, database, slack, http };
        site.configure(&site.database.url(), "127.0.0.1:0");
        site
    }

    /// Writes the configuration, with the database under this address.
    pub(crate) fn configure(&self, database: &str, listen: &str) {
        let mut clients = String::new();
        for (name, scopes) in CLIENTS {
            let key = key(name);
            let _ =
                write!(clients, "[[clients]]\nname = \"{name}\"\nkey = \"{key}\"\nscopes = [{scopes}]\nowner = \"alice@example.com\"\n");
        }
        let api = self.slack.api_url();
        let text = format!(
            "[server]\nlisten = \"{listen}\"\npublic_url = \"https://approvals.example.com\"\nmetrics_listen = \"\"\n\
             [database]\nurl = \"{database}\"\n\
             [secrets]\nmaster_key_file = \"countersign.key\"\n[grants]\nkey_file = \"grant-key.pem\"\n[audit]\ncheckpoint_key_file = \"audit-key.pem\"\n\
             [policy]\nfile = \"policy.toml\"\n[directory]\nfile = \"directory.toml\"\n\
             [slack]\nsigning_secret = \"{SECRET}\"\nbot_token = \"xoxb-fake-token\"\nteam_ids = [\"{TEAM}\"]\napi_url = \"{api}\"\n{clients}"
        );
        std::fs::write(self.path("countersign.toml"), text).unwrap();
    }

    /// A file of the server.
    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.files.path().join(name)
    }

    /// A command line of the binary, with a clean environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        command(self.files.path(), arguments)
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        self.command(arguments).output().unwrap().into()
    }

    /// Starts the server and waits until it listens and is ready.
    pub(crate) async fn start(&self) -> Server {
        let server = self.spawn(self.command(&["serve"])).await;
        let ready = server.get("/readyz").await.expect("a server that listens answers");
        assert_eq!((ready.status, &ready.body["status"]), (200, &json!("ready")), "{}", server.log());
        server
    }

    /// Starts this command, and waits until it listens.
    pub(crate) async fn spawn(&self, mut command: Command) -> Server {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(String::new()));
        let kept = Arc::clone(&log);
        let (listens, mut address) = tokio::sync::mpsc::channel::<String>(1);
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let told: Value = serde_json::from_str(&line).unwrap_or(Value::Null);
                if let Some(address) = told["address"].as_str().filter(|_| told["message"] == "countersign listens") {
                    let _ = listens.blocking_send(address.to_owned());
                }
                let mut kept = kept.lock().unwrap();
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        let address = tokio::time::timeout(PATIENCE, address.recv()).await.expect("the server does not come up");
        let Some(address) = address else {
            let status = child.wait().unwrap();
            panic!("the server does not start ({status}):\n{}", log.lock().unwrap());
        };
        Server { child, url: format!("http://{address}"), http: self.http.clone(), log }
    }

    /// Starts the server where it must not come up; how it ended.
    pub(crate) async fn does_not_start(&self) -> Ended {
        let mut command = tokio::process::Command::from(self.command(&["serve"]));
        command.stdin(Stdio::null()).kill_on_drop(true);
        let ended = tokio::time::timeout(PATIENCE, command.output()).await.expect("it runs, but must not start");
        let ended: Ended = ended.unwrap().into();
        assert!(!ended.err.contains("panicked"), "{}", ended.err);
        ended
    }

    /// `audit verify` must find the log whole.
    pub(crate) fn log_verifies(&self) -> Ended {
        let ended = self.run(&["audit", "verify", "--json"]);
        assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
        ended
    }

    /// The number that a query answers.
    pub(crate) async fn count(&self, sql: &str) -> u64 {
        let text = self.database.texts(&format!("SELECT CAST(({sql}) AS TEXT)")).await;
        text[0].parse().unwrap()
    }

    /// Waits until a query answers this number.
    pub(crate) async fn until_count(&self, sql: &str, wanted: u64) {
        let deadline = Instant::now() + 3 * PATIENCE;
        loop {
            let count = self.count(sql).await;
            if count == wanted {
                return;
            }
            assert!(Instant::now() < deadline, "{sql}: {count}, not {wanted}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// A command line of the binary in `folder`, with a clean environment.
pub(crate) fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.args(arguments).current_dir(folder).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("the output is UTF-8");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// One life of the process. Killed when dropped.
pub(crate) struct Server {
    child: Child,
    /// Its address, without a trailing slash.
    pub(crate) url: String,
    http: reqwest::Client,
    log: Arc<Mutex<String>>,
}

/// An answer that came whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Server {
    /// Its process id.
    pub(crate) fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.child)
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until its log says so.
    pub(crate) async fn logs(&self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.log.lock().unwrap().contains(text) {
            assert!(Instant::now() < deadline, "never logged {text:?}:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The process is gone at once, without a chance to do anything.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        let _ = self.child.wait();
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(self.pid(), signal).unwrap();
    }

    /// Waits for its end: exit status and log.
    pub(crate) async fn ends(mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it does not end:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        let log = self.log();
        assert!(!log.contains("panicked"), "{log}");
        (status, log)
    }

    /// SIGTERM, and the end in good order.
    pub(crate) async fn stop(self) {
        self.signal(rustix::process::Signal::TERM);
        let (status, log) = self.ends().await;
        assert!(status.success(), "{status}: {log}");
    }

    /// Something to call it with that can be sent to other tasks.
    pub(crate) fn caller(&self) -> Caller {
        Caller { url: self.url.clone(), http: self.http.clone() }
    }

    /// GET without a credential; `None` when no whole answer came.
    pub(crate) async fn get(&self, path: &str) -> Option<Answer> {
        self.caller().call("GET", path, None, None, &[]).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Calls one life of a server.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) url: String,
    http: reqwest::Client,
}

impl Caller {
    /// Any call; `None` when no whole answer came: then nothing was acknowledged.
    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        client: Option<&str>,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Option<Answer> {
        let mut request = self.http.request(method.parse().unwrap(), format!("{}{path}", self.url));
        if let Some(client) = client {
            request = request.bearer_auth(key(client));
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.ok()?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let text = answer.text().await.ok()?;
        Some(Answer { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) })
    }

    /// The agent asks.
    pub(crate) async fn asks(&self, body: &Value) -> Option<Answer> {
        self.call("POST", "/v1/requests", Some("agent"), Some(body), &[]).await
    }

    /// The agent reads.
    pub(crate) async fn reads(&self, id: &str) -> Option<Answer> {
        self.call("GET", &format!("/v1/requests/{id}"), Some("agent"), None, &[]).await
    }

    /// The agent follows the events of a request.
    pub(crate) async fn follows(&self, id: &str) -> EventStream {
        let call = self.http.get(format!("{}/v1/requests/{id}/events", self.url)).bearer_auth(key("agent"));
        EventStream::of(call.send().await.unwrap())
    }

    /// The agent redeems.
    pub(crate) async fn redeems(&self, token: &Value, parameters: &Value) -> Option<Answer> {
        self.call("POST", "/v1/grants/redeem", Some("agent"), Some(&json!({"token": token, "parameters": parameters})), &[]).await
    }

    /// Delivers a callback as Slack does; the status, or `None` when no answer came.
    pub(crate) async fn delivers(&self, tap: &Tap) -> Option<Answer> {
        use countersign::domain::time::Clock as _;
        let body = url::form_urlencoded::Serializer::new(String::new()).append_pair("payload", &tap.payload.to_string()).finish();
        let request =
            self.http.post(format!("{}/slack/interactions", self.url)).header("content-type", "application/x-www-form-urlencoded");
        let request =
            sign(SECRET, &body, SystemClock.now()).into_iter().fold(request, |request, (name, value)| request.header(name, value));
        let answer = request.body(body).send().await.ok()?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let text = answer.text().await.ok()?;
        Some(Answer { status, headers, body: Value::String(text) })
    }
}

/// A callback of Slack, as its client makes it of a card, before the card was posted even.
#[derive(Debug, Clone)]
pub(crate) struct Tap {
    /// What the store knows it by.
    pub(crate) dedup_key: String,
    payload: Value,
}

impl Tap {
    /// Somebody taps Approve.
    pub(crate) fn approve(request: &Value, user: &str) -> Self {
        let number = number();
        let (trigger, at) = (format!("{number}.trigger"), format!("1795174800.{number:06}"));
        let mut payload = common(user, "block_actions");
        payload["trigger_id"] = json!(trigger);
        payload["container"] = json!({"type": "message", "message_ts": "1795174800.000001", "channel_id": CHANNEL});
        payload["channel"] = json!({"id": CHANNEL, "name": "channel"});
        payload["actions"] =
            json!([{"type": "button", "action_id": "cs.approve", "block_id": "b", "value": about(request), "action_ts": at}]);
        Self { dedup_key: format!("slack:action:{trigger}:{at}"), payload }
    }

    /// Somebody submits the dialog of Deny.
    pub(crate) fn deny(request: &Value, user: &str) -> Self {
        let number = number();
        let (view, hash) = (format!("V{number}"), format!("{number}.hash"));
        let metadata = json!({"about": about(request), "opener": user, "channel": CHANNEL});
        let mut payload = common(user, "view_submission");
        payload["view"] = json!({
            "id": view, "hash": hash, "team_id": TEAM, "app_installed_team_id": TEAM, "callback_id": "cs.deny",
            "private_metadata": metadata.to_string(), "state": {"values": {"w": {"cs.words": {"type": "plain_text_input", "value": "not now"}}}},
        });
        Self { dedup_key: format!("slack:view:{view}:{hash}"), payload }
    }
}

fn number() -> u64 {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    NUMBER.fetch_add(1, Ordering::Relaxed)
}

fn about(request: &Value) -> String {
    format!("{}:{}", request["id"].as_str().unwrap(), request["digest"].as_str().unwrap().trim_start_matches("sha256:"))
}

fn common(user: &str, kind: &str) -> Value {
    json!({
        "type": kind, "api_app_id": "A0APP", "token": "legacy", "team": {"id": TEAM, "domain": "acme"}, "enterprise": null,
        "is_enterprise_install": false, "user": {"id": user, "username": user, "name": user, "team_id": TEAM},
    })
}
