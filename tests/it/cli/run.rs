//! `countersign run` against a fake of the API: it runs exactly what was approved, once, or nothing.

use super::folder;
use crate::support::fake_api::{FakeApi, Fault, ID, TOKEN};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// A caller in a folder of its own; the command leaves `ran` there.
struct Caller {
    folder: TempDir,
    url: String,
}

/// What came of it.
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
    ran: bool,
}

const TOUCH: [&str; 3] = ["sh", "-c", "echo run >> ran"];

impl Caller {
    fn of(api: &FakeApi) -> Self {
        Self { folder: folder(&[]), url: api.url.clone() }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, options: &[&str], argv: &[&str]) -> Command {
        let arguments = [&["run", "--action", "db.export"], options, &["--"], argv].concat();
        let mut command: Command = super::countersign(self.path(), &arguments).into();
        command.env("COUNTERSIGN_URL", &self.url).env("COUNTERSIGN_TOKEN", TOKEN);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    fn start(&self, options: &[&str], argv: &[&str]) -> Child {
        self.command(options, argv).spawn().unwrap()
    }

    async fn end(&self, child: Child) -> Ended {
        let output = child.wait_with_output().await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let ended =
            Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr), ran: self.path().join("ran").exists() };
        for secret in [TOKEN, "secret-grant"] {
            assert!(!ended.err.contains(secret) && !ended.out.contains(secret), "{}", ended.err);
        }
        ended
    }

    async fn run(&self, options: &[&str], argv: &[&str]) -> Ended {
        self.end(self.start(options, argv)).await
    }
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap(), signal).unwrap();
}

fn approved() -> Value {
    json!({"status": "approved", "usable": true, "grant": true})
}

#[tokio::test]
async fn what_was_approved_is_what_runs() {
    let api = FakeApi::start().await;
    let caller = Caller::of(&api);
    let argv = ["printf", "%s\n", "a b", "$HOME", "it's", "*", "", "--"];
    let options = ["--param", "table=customers", "--json-param", "rows=5", "--resource-id", "prod/customers", "--summary", "Export"];
    let child = caller.start(&options, &argv);
    api.change(json!({"approval": {"seats": [], "required": 1, "granted": 1}})).await;
    api.change(approved()).await;
    let ended = caller.end(child).await;
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), "a b\n$HOME\nit's\n*\n\n--\n"), "{}", ended.err);

    let asked = &api.calls("create")[0];
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let cwd = caller.path().canonicalize().unwrap();
    assert_eq!(
        *asked,
        json!({
            "action": "db.export",
            "parameters": {"argv": argv, "cwd": cwd, "host": host, "params": {"table": "customers", "rows": 5}},
            "allowed_decisions": ["approve", "deny"],
            "resource": {"id": "prod/customers"},
            "summary": "Export",
        })
    );
    assert_eq!(api.calls("redeem")[0]["parameters"], asked["parameters"]);
    assert_eq!(api.calls("outcome"), [json!({"status": "succeeded", "detail": "Exit code 0."})]);
    assert!(ended.err.contains("needs 1 of security") && ended.err.contains(&format!("request {ID}, in slack:C0SEC")), "{}", ended.err);
    assert!(ended.err.contains("1h 00m left") && ended.err.contains("approved and redeemed"), "{}", ended.err);
}

#[tokio::test]
async fn what_policy_allows_runs_at_once() {
    let api = FakeApi::start().await;
    api.answer_at_once(approved());
    let ended = Caller::of(&api).run(&[], &TOUCH).await;
    assert_eq!((ended.code, ended.ran), (Some(0), true), "{}", ended.err);
    assert!(api.calls("read").is_empty());
}

#[tokio::test]
async fn the_exit_code_is_the_commands_own_and_is_reported() {
    for (script, code, detail) in [("exit 7", 7, "Exit code 7."), ("kill -9 $$", 137, "Killed by signal 9.")] {
        let api = FakeApi::start().await;
        api.answer_at_once(approved());
        let ended = Caller::of(&api).run(&[], &["sh", "-c", script]).await;
        assert_eq!(ended.code, Some(code), "{}", ended.err);
        assert_eq!(api.calls("outcome"), [json!({"status": "failed", "detail": detail})]);
    }
}

#[tokio::test]
async fn a_command_that_cannot_start_is_told_and_reported() {
    let api = FakeApi::start().await;
    api.answer_at_once(approved());
    let caller = Caller::of(&api);
    std::fs::write(caller.path().join("plain"), "text").unwrap();
    let ended = caller.run(&[], &["./plain"]).await;
    assert_eq!(ended.code, Some(126));
    assert!(ended.err.contains("./plain cannot be started"), "{}", ended.err);
    assert_eq!(api.calls("outcome")[0]["status"], "failed");
    // One that is not there: nobody is asked.
    let api = FakeApi::start().await;
    let ended = Caller::of(&api).run(&[], &["no-such-command"]).await;
    assert_eq!(ended.code, Some(127));
    assert!(ended.err.contains("there is no command no-such-command") && api.calls("create").is_empty(), "{}", ended.err);
}

#[tokio::test]
async fn nothing_runs_without_a_yes() {
    let feedback = "Denied by Alice Liu (security): use the staging export. Do not retry unless the request changes.";
    for (change, code, said) in [
        (json!({"status": "denied", "feedback": feedback}), 77, feedback),
        (json!({"status": "cancelled", "feedback": "Cancelled by its caller."}), 77, "Cancelled by its caller."),
        (json!({"status": "expired", "feedback": "Nobody decided within 1h."}), 78, "Nobody decided within 1h."),
        (json!({"status": "approved", "usable": true}), 76, "there is no grant"),
        (json!({"status": "approved", "grant_reason": "frozen"}), 76, "frozen"),
        (json!({"status": "approved", "grant": true, "edited": true}), 76, "changed the parameters"),
        (json!({"status": "denied", "grant": true}), 77, "Denied."),
        (json!({"status": "escalated", "grant": true}), 75, "\"escalated\""),
    ] {
        let api = FakeApi::start().await;
        let caller = Caller::of(&api);
        let child = caller.start(&[], &TOUCH);
        api.change(change.clone()).await;
        let ended = caller.end(child).await;
        assert_eq!((ended.code, ended.ran), (Some(code), false), "{change}: {}", ended.err);
        assert!(ended.err.contains(said) && ended.out.is_empty(), "{change}: {}", ended.err);
        assert!(api.calls("redeem").is_empty() && api.calls("outcome").is_empty(), "{change}");
    }
}

#[tokio::test]
async fn a_refused_redeem_runs_nothing() {
    for (status, slug) in [(401, "bad_token"), (403, "revoked"), (409, "grant_already_redeemed"), (422, "parameters_mismatch")] {
        let api = FakeApi::start().await;
        api.answer_at_once(approved()).fail("redeem", Fault::Status(status, slug, vec![]));
        let ended = Caller::of(&api).run(&[], &TOUCH).await;
        assert_eq!((ended.code, ended.ran), (Some(76), false), "{slug}: {}", ended.err);
        assert_eq!(api.calls("redeem").len(), 1, "{slug}");
    }
}

#[tokio::test]
async fn a_redeem_of_something_else_runs_nothing() {
    let api = FakeApi::start().await;
    api.answer_at_once(approved()).swap_redeemed(json!({"argv": ["true"]}));
    let ended = Caller::of(&api).run(&[], &TOUCH).await;
    assert_eq!((ended.code, ended.ran), (Some(76), false), "{}", ended.err);
    assert!(ended.err.contains("something else"), "{}", ended.err);
}

#[tokio::test]
async fn a_redeem_whose_answer_is_lost_runs_nothing() {
    let api = FakeApi::start().await;
    api.answer_at_once(approved()).fail("redeem", Fault::LostAnswer);
    let ended = Caller::of(&api).run(&[], &TOUCH).await;
    assert_eq!((ended.code, ended.ran), (Some(76), false), "{}", ended.err);
    assert!(ended.err.contains("answer was lost"), "{}", ended.err);
}

#[tokio::test]
async fn a_redeem_that_did_not_arrive_is_tried_again() {
    let api = FakeApi::start().await;
    api.answer_at_once(approved());
    api.fail("redeem", Fault::LostCall).fail("redeem", Fault::Status(503, "busy", vec![("retry-after", "0")]));
    let caller = Caller::of(&api);
    let ended = caller.run(&[], &TOUCH).await;
    assert_eq!((ended.code, ended.ran), (Some(0), true), "{}", ended.err);
    assert_eq!(std::fs::read_to_string(caller.path().join("ran")).unwrap(), "run\n", "once");
}

#[tokio::test]
async fn an_expired_token_is_replaced_while_the_approval_holds() {
    let api = FakeApi::start().await;
    api.answer_at_once(approved()).fail("redeem", Fault::Status(410, "grant_expired", vec![]));
    let ended = Caller::of(&api).run(&[], &TOUCH).await;
    assert_eq!((ended.code, ended.ran), (Some(0), true), "{}", ended.err);
    let tokens: Vec<Value> = api.calls("redeem").iter().map(|body| body["token"].clone()).collect();
    assert_eq!(tokens, ["secret-grant-0", "secret-grant-1"]);
}

#[tokio::test]
async fn a_busy_server_and_a_lost_answer_make_one_request() {
    let api = FakeApi::start().await;
    api.fail("create", Fault::Status(503, "busy", vec![("retry-after", "0")])).fail("create", Fault::LostAnswer).answer_at_once(approved());
    let ended = Caller::of(&api).run(&[], &TOUCH).await;
    assert_eq!((ended.code, ended.ran), (Some(0), true), "{}", ended.err);
    let keys = api.keys();
    assert_eq!(keys.len(), 2, "the busy server took none");
    assert!(keys[0] == keys[1] && keys[0].len() >= 32, "{keys:?}");
    assert_eq!(api.calls("create").len(), 3);
}

#[tokio::test]
async fn waiting_survives_a_server_that_goes_away_for_a_while() {
    let api = FakeApi::start().await;
    api.fail("read", Fault::LostCall).fail("read", Fault::Status(502, "bad_gateway", vec![("retry-after", "0")]));
    let caller = Caller::of(&api);
    let child = caller.start(&[], &TOUCH);
    api.change(approved()).await;
    let ended = caller.end(child).await;
    assert_eq!((ended.code, ended.ran), (Some(0), true), "{}", ended.err);
    assert_eq!(ended.err.matches("still waiting").count(), 1, "{}", ended.err);
}

#[tokio::test]
async fn an_unreachable_server_is_undecided() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let caller = Caller { folder: folder(&[]), url };
    let ended = caller.run(&["--wait-limit", "1s"], &TOUCH).await;
    assert_eq!((ended.code, ended.ran), (Some(75), false), "{}", ended.err);
    assert!(ended.err.contains("cannot be reached") && ended.err.contains("COUNTERSIGN_URL"), "{}", ended.err);
}

#[tokio::test]
async fn something_else_at_the_address_is_undecided() {
    let api = FakeApi::start().await;
    let caller = Caller { folder: folder(&[]), url: format!("{}/elsewhere", api.url) };
    let ended = caller.run(&[], &TOUCH).await;
    assert_eq!((ended.code, ended.ran), (Some(75), false), "{}", ended.err);
    api.fail("create", Fault::Status(302, "moved", vec![("location", "/v1/requests")]));
    let ended = Caller::of(&api).run(&[], &TOUCH).await;
    assert_eq!((ended.code, ended.ran), (Some(75), false), "{}", ended.err);
    assert!(ended.err.contains("redirects are not followed"), "{}", ended.err);
}

#[tokio::test]
async fn a_refused_ask_says_why() {
    for (status, slug, code) in
        [(422, "requirement_missing", 64), (413, "too_large", 64), (403, "client_frozen", 75), (404, "not_found", 75)]
    {
        let api = FakeApi::start().await;
        api.fail("create", Fault::Status(status, slug, vec![]));
        let ended = Caller::of(&api).run(&[], &TOUCH).await;
        assert_eq!((ended.code, ended.ran), (Some(code), false), "{slug}: {}", ended.err);
        assert!(ended.err.contains(&format!("The fake says {slug}. ({status})")), "{}", ended.err);
    }
    let api = FakeApi::start().await;
    let caller = Caller::of(&api);
    let mut command = caller.command(&[], &TOUCH);
    let ended = caller.end(command.env("COUNTERSIGN_TOKEN", "cs_other000_wrong").spawn().unwrap()).await;
    assert_eq!((ended.code, ended.ran), (Some(75), false));
    assert!(ended.err.contains("COUNTERSIGN_TOKEN") && !ended.err.contains("cs_other000_wrong"), "{}", ended.err);
}

#[tokio::test]
async fn the_wait_limit_takes_the_request_back() {
    let api = FakeApi::start().await;
    let ended = Caller::of(&api).run(&["--wait-limit", "1s"], &TOUCH).await;
    assert_eq!((ended.code, ended.ran), (Some(75), false), "{}", ended.err);
    assert_eq!(api.calls("cancel"), [json!({"reason": "the wait limit has passed"})]);
}

#[tokio::test]
async fn ctrl_c_takes_the_request_back() {
    for kind in [Signal::INT, Signal::TERM, Signal::HUP] {
        let api = FakeApi::start().await;
        let caller = Caller::of(&api);
        let child = caller.start(&[], &TOUCH);
        api.called("read").await;
        signal(&child, kind);
        let ended = caller.end(child).await;
        assert_eq!((ended.code, ended.ran), (Some(77), false), "{kind:?}: {}", ended.err);
        assert_eq!(api.calls("cancel").len(), 1);
        assert!(ended.err.contains("it is cancelled"), "{}", ended.err);
    }
}

#[tokio::test]
async fn an_approval_that_crosses_ctrl_c_is_revoked() {
    let api = FakeApi::start().await;
    api.fail("cancel", Fault::Status(409, "already_decided", vec![]));
    let caller = Caller::of(&api);
    let child = caller.start(&[], &TOUCH);
    api.called("read").await;
    signal(&child, Signal::INT);
    let ended = caller.end(child).await;
    assert_eq!((ended.code, ended.ran), (Some(77), false), "{}", ended.err);
    assert_eq!(api.calls("revoke").len(), 1);
}

#[tokio::test]
async fn signals_reach_the_command() {
    for (kind, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let api = FakeApi::start().await;
        api.answer_at_once(approved());
        let caller = Caller::of(&api);
        // Reading its standard input, it ends by nothing but the signal.
        let mut child = caller.command(&[], &["sh", "-c", "echo ready; exec cat"]).stdin(Stdio::piped()).spawn().unwrap();
        let held = child.stdin.take();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("ready"));
        signal(&child, kind);
        let ended = caller.end(child).await;
        drop(held);
        assert_eq!(ended.code, Some(code), "{}", ended.err);
        assert_eq!(api.calls("outcome")[0], json!({"status": "failed", "detail": format!("Killed by signal {}.", code - 128)}));
    }
}

#[tokio::test]
async fn the_command_has_standard_input_and_output_to_itself() {
    use tokio::io::AsyncWriteExt as _;
    let api = FakeApi::start().await;
    api.answer_at_once(approved());
    let caller = Caller::of(&api);
    let mut child = caller.command(&["--json"], &["cat"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"through").await.unwrap();
    let ended = caller.end(child).await;
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), "through"));
}

#[tokio::test]
async fn machines_get_a_json_line_per_event() {
    let api = FakeApi::start().await;
    let caller = Caller::of(&api);
    let child = caller.start(&["--json"], &TOUCH);
    api.change(json!({"status": "denied", "feedback": "Denied by Bob."})).await;
    let ended = caller.end(child).await;
    let events: Vec<Value> = ended.err.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.iter().map(|event| event["event"].as_str().unwrap()).collect::<Vec<_>>(), ["asked", "denied"]);
    assert_eq!(events[0]["seats"], json!(["1 of security"]));
    assert_eq!(events[1], json!({"event": "denied", "message": "Denied by Bob.", "request": ID, "exit": 77}));
    // To the end, when it runs: every name is one that the guide explains.
    let api = FakeApi::start().await;
    let caller = Caller::of(&api);
    let child = caller.start(&["--json"], &["sh", "-c", "exit 3"]);
    api.change(approved()).await;
    let ended = caller.end(child).await;
    let events: Vec<Value> = ended.err.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.iter().map(|event| event["event"].as_str().unwrap()).collect::<Vec<_>>(), ["asked", "granted", "finished"]);
    assert_eq!(events[2], json!({"event": "finished", "message": "Exit code 3.", "request": ID, "exit": 3, "outcome_reported": true}));
    let guide = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/guides/clients.md")).unwrap();
    for event in [
        "asked",
        "waiting",
        "warning",
        "granted",
        "finished",
        "denied",
        "cancelled",
        "expired",
        "undecided",
        "unreachable",
        "refused",
        "redeem_refused",
        "error",
    ] {
        assert!(guide.contains(&format!("`{event}`")), "{event} is not explained");
    }
}

#[tokio::test]
async fn an_outcome_that_cannot_be_told_changes_nothing() {
    let api = FakeApi::start().await;
    api.answer_at_once(approved()).fail("outcome", Fault::Status(409, "outcome_reported", vec![]));
    let ended = Caller::of(&api).run(&[], &TOUCH).await;
    assert_eq!((ended.code, ended.ran), (Some(0), true));
    assert!(ended.err.contains("the outcome could not be reported"), "{}", ended.err);
}

#[tokio::test]
async fn a_wrong_set_up_asks_nobody() {
    let api = FakeApi::start().await;
    let caller = Caller::of(&api);
    std::fs::write(caller.path().join("token"), format!("{TOKEN}\n")).unwrap();
    std::fs::write(caller.path().join("empty"), "\n").unwrap();
    let with = |changes: &[(&str, Option<&str>)], options: &[&str]| {
        let mut command = caller.command(options, &TOUCH);
        for (name, value) in changes {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.spawn().unwrap()
    };
    for (changes, options, said) in [
        (&[("COUNTERSIGN_URL", None)][..], &[][..], "COUNTERSIGN_URL is not set"),
        (&[("COUNTERSIGN_URL", Some("localhost:8080"))], &[], "COUNTERSIGN_URL must begin with"),
        (&[("COUNTERSIGN_TOKEN", None)], &[], "COUNTERSIGN_TOKEN is not set"),
        (&[("COUNTERSIGN_TOKEN_FILE", Some("token"))], &[], "both set"),
        (&[("COUNTERSIGN_TOKEN", None), ("COUNTERSIGN_TOKEN_FILE", Some("none"))], &[], "cannot read none"),
        (&[("COUNTERSIGN_TOKEN", None), ("COUNTERSIGN_TOKEN_FILE", Some("empty"))], &[], "holds no API key"),
        (&[], &["--expires-in", "1s"], "--expires-in: "),
        (&[], &["--json-param", "rows=many"], "--json-param rows"),
    ] {
        let ended = caller.end(with(changes, options)).await;
        assert_eq!((ended.code, ended.ran), (Some(64), false), "{said}: {}", ended.err);
        assert!(ended.err.starts_with("error: ") && ended.err.contains(said), "{said}: {}", ended.err);
    }
    assert!(api.calls("create").is_empty());
    // And the right one, from a file.
    api.answer_at_once(approved());
    let ended = caller.end(with(&[("COUNTERSIGN_TOKEN", None), ("COUNTERSIGN_TOKEN_FILE", Some("token"))], &[])).await;
    assert_eq!((ended.code, ended.ran), (Some(0), true), "{}", ended.err);
}
