//! Owns `countersign run`: asks for an action, waits for the decision, redeems the grant, then executes exactly the command that was asked for.
//!
//! Never executes anything without a redeemed grant: a status alone, an unknown word, a lost answer, an edited request all mean no. Never uses a shell,
//! never offers edit (the command could not be changed to fit), never shows the token. Standard output belongs to the command; what `run` says goes to
//! standard error.
//!
//! Exit codes: the command's own (128 + n when signal n killed it, 126 or 127 when it cannot be started); 77 denied or cancelled; 78 expired; 75
//! undecided or unreachable; 76 redeem refused; 64 the command line is wrong.

mod api;
mod ask;
mod child;
mod report;

use super::{Context, Stop};
use anyhow::Context as _;
use api::{Api, CallError, Seen};
use child::Signals;
use report::Reporter;
use serde_json::{Value, json};
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

const DENIED: u8 = 77;
const EXPIRED: u8 = 78;
const UNDECIDED: u8 = 75;
const NOT_REDEEMED: u8 = 76;

/// How long one answer may wait on the server.
const WAIT: u64 = 25;
/// How long the server may be unreachable before it is first reached, and while redeeming or reporting.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long after its end a request may still be pending: the server may be busy, and the word is its own.
const GRACE: Duration = Duration::from_mins(1);
/// How long taking a request back may take.
const FAREWELL: Duration = Duration::from_secs(5);
/// A server that answers at once although asked to wait is not asked more often than this.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) const EXAMPLES: &str = "\
Examples:
  export COUNTERSIGN_URL=https://countersign.example.com COUNTERSIGN_TOKEN_FILE=~/.countersign-token
  countersign run --action db.export --param table=customers -- ./export.sh customers
  countersign run --action infra.apply --environment prod --justification 'FIN-482' --expires-in 30m -- terraform apply plan.out
  countersign run --action k8s.scale --resource-type deployment --resource-id web --json-param replicas=40 -- kubectl scale deploy/web --replicas 40

People see the command, the directory and the host, and approve exactly that; it runs without a shell.
With --json every state is one line of JSON on standard error: asked, waiting, warning, granted, finished, or why nothing ran.

Environment:
  COUNTERSIGN_URL          where the server is
  COUNTERSIGN_TOKEN        the API key of this client, with the scopes requests:write and grants:redeem
  COUNTERSIGN_TOKEN_FILE   or a file that holds it

Exit code: the command's own; 77 denied or cancelled (the reason is printed); 78 expired; 75 undecided or
unreachable; 76 the grant was refused; 64 wrong usage. The command runs in none of these cases.";

pub(super) use ask::Args;

/// Asks, waits, redeems, runs, reports.
pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<ExitCode> {
    let limit = args.wait_limit;
    let ask = ask::Ask::new(args)?;
    let api = Api::from_environment()?;
    let mut report = Reporter::new(context.out);
    if !child::exists(ask.program()) {
        report.say("error", &format!("there is no command {}; nothing was asked", ask.program()), json!({}));
        return Ok(ExitCode::from(child::NOT_FOUND));
    }
    let mut signals = Signals::listen().context("cannot listen to signals")?;
    let mut caller =
        Caller { api: &api, ask: &ask, report: &mut report, signals: &mut signals, ends: limit.map(|limit| Instant::now() + limit) };
    let request = match caller.approved().await {
        Ok(request) => request,
        Err(ended) => return Ok(caller.end(&ended)),
    };
    if let Err(ended) = caller.redeemed(request.clone()).await {
        return Ok(caller.end(&ended));
    }
    report.say("granted", &format!("approved and redeemed ({}); running {}", request.id, ask.shown()), json!({"request": request.id}));
    let outcome = child::execute(ask.argv(), &mut signals).await;
    if let Some(problem) = &outcome.problem {
        report.say("error", problem, json!({"request": request.id}));
    }
    let told = tell_outcome(&api, &mut report, &request.id, &outcome).await;
    let fields = json!({"request": request.id, "exit": outcome.code, "outcome_reported": told});
    report.say_to_machines("finished", &outcome.detail, fields);
    Ok(ExitCode::from(outcome.code))
}

/// Why nothing is executed.
#[derive(Debug)]
struct Ended {
    code: u8,
    event: &'static str,
    message: String,
    request: Option<String>,
}

impl Ended {
    fn new(code: u8, event: &'static str, message: impl Into<String>, request: Option<&Seen>) -> Self {
        Self { code, event, message: message.into(), request: request.map(|request| request.id.clone()) }
    }
}

/// One caller until its grant is redeemed.
struct Caller<'c> {
    api: &'c Api,
    ask: &'c ask::Ask,
    report: &'c mut Reporter,
    signals: &'c mut Signals,
    /// `--wait-limit`.
    ends: Option<Instant>,
}

impl Caller<'_> {
    fn end(&mut self, ended: &Ended) -> ExitCode {
        self.report.say(ended.event, &ended.message, json!({"request": ended.request, "exit": ended.code}));
        ExitCode::from(ended.code)
    }

    /// The request once it carries a grant.
    async fn approved(&mut self) -> Result<Seen, Ended> {
        let mut request = self.created().await?;
        // From the server's own clock: the two of this request differ by its life, whatever our clock says.
        let life = request.life();
        let expires = Instant::now() + life;
        if request.is_pending() {
            self.report.asked(&request, life);
        }
        loop {
            if !request.is_pending() {
                return decided(request);
            }
            let now = Instant::now();
            if self.ends.is_some_and(|ends| now >= ends) {
                return self.left(request, UNDECIDED, "the wait limit has passed").await;
            }
            if now >= expires + GRACE {
                let message = "the server still says pending although the time of the request is over; nothing was run";
                return Err(Ended::new(UNDECIDED, "undecided", message, Some(&request)));
            }
            request = self.waited(request, expires).await?;
        }
    }

    /// Creates the request; a retry after a lost answer finds the one that was made.
    async fn created(&mut self) -> Result<Seen, Ended> {
        let until = Instant::now() + self.ends.map_or(PATIENCE, |ends| ends.saturating_duration_since(Instant::now()).min(PATIENCE));
        let mut pause = Backoff::default();
        loop {
            let call = self.api.create(self.ask);
            tokio::pin!(call);
            let answer = tokio::select! {
                answer = &mut call => answer,
                signal = self.signals.next() => {
                    // It may be on its way: learn its id, so that it can be taken back.
                    return match timeout(FAREWELL, call).await {
                        Ok(Ok(request)) => self.left(request, DENIED, &format!("{} was received", signal.name())).await,
                        _ => Err(Ended::new(DENIED, "cancelled", format!("{} was received before the server answered; nothing was run", signal.name()), None)),
                    };
                }
            };
            let error = match answer {
                Ok(request) => return Ok(request),
                Err(error) => error,
            };
            if !error.is_transient() {
                let code = if error.is_about_the_body() { super::USAGE } else { UNDECIDED };
                return Err(Ended::new(code, "refused", format!("the server does not take the request: {error}"), None));
            }
            let rest = pause.next(&error);
            if Instant::now() + rest >= until {
                return Err(Ended::new(UNDECIDED, "unreachable", format!("{error}; nothing was run"), None));
            }
            self.report.waiting(&format!("{error}; trying again"));
            tokio::select! {
                () = sleep(rest) => {}
                signal = self.signals.next() => {
                    return Err(Ended::new(DENIED, "cancelled", format!("{} was received before the server answered; nothing was run", signal.name()), None));
                }
            }
        }
    }

    /// Waits for the next change, at most one round.
    async fn waited(&mut self, request: Seen, expires: Instant) -> Result<Seen, Ended> {
        let now = Instant::now();
        let most = self.ends.map_or(WAIT, |ends| WAIT.min(ends.saturating_duration_since(now).as_secs() + 1));
        let deadline = self.ends;
        let id = request.id.clone();
        let call = self.api.wait(&id, most, request.version);
        tokio::pin!(call);
        let mut tick = tokio::time::interval(PAUSE);
        let answer = loop {
            tokio::select! {
                answer = &mut call => break answer,
                signal = self.signals.next() => return self.left(request, DENIED, &format!("{} was received", signal.name())).await,
                () = at(deadline) => return Ok(request),
                _ = tick.tick() => self.report.waiting_for(&request, expires.saturating_duration_since(Instant::now())),
            }
        };
        let (next, rest) = match answer {
            Ok(next) => {
                if next.version != request.version && next.is_pending() {
                    self.report.changed(&next, expires.saturating_duration_since(Instant::now()));
                }
                let idle = next.is_pending() && next.version == request.version && now.elapsed() < PAUSE;
                (next, if idle { PAUSE } else { Duration::ZERO })
            }
            Err(error) if error.is_transient() => {
                self.report.interrupted(&error);
                let rest = error.retry_after().unwrap_or(PAUSE);
                (request, rest)
            }
            Err(error) => return Err(Ended::new(UNDECIDED, "undecided", format!("{error}; nothing was run"), Some(&request))),
        };
        if rest.is_zero() {
            return Ok(next);
        }
        tokio::select! {
            () = sleep(rest) => Ok(next),
            () = at(deadline) => Ok(next),
            signal = self.signals.next() => self.left(next, DENIED, &format!("{} was received", signal.name())).await,
        }
    }

    /// Takes the request back, since nobody waits for it any more. One that was decided meanwhile is left as it is, and nothing is run.
    async fn left(&mut self, request: Seen, code: u8, why: &str) -> Result<Seen, Ended> {
        self.report.waiting("taking the request back");
        let take_back = async {
            match self.api.cancel(&request.id, why).await {
                // Decided meanwhile: an approval must not lie around.
                Err(CallError::Refused { status: 409, .. }) => match self.api.revoke(&request.id, why).await {
                    Err(CallError::Refused { .. }) => Ok("it was decided meanwhile"),
                    other => other.map(|()| "it was decided meanwhile, and its approval is revoked"),
                },
                other => other.map(|()| "it is cancelled"),
            }
        };
        let state = tokio::select! {
            result = timeout(FAREWELL, take_back) => match result {
                Ok(Ok(state)) => state.to_owned(),
                Ok(Err(error)) => format!("it could not be taken back ({error}) and ends by itself"),
                Err(_) => "it could not be taken back in time and ends by itself".to_owned(),
            },
            _ = self.signals.next() => "it was not taken back and ends by itself".to_owned(),
        };
        let event = if code == DENIED { "cancelled" } else { "undecided" };
        Err(Ended::new(code, event, format!("{why}: nothing was run; request {}: {state}", request.id), Some(&request)))
    }

    /// Redeems the grant of `request`. The answer must be about exactly what will be executed.
    async fn redeemed(&mut self, mut request: Seen) -> Result<(), Ended> {
        let until = Instant::now() + PATIENCE;
        let (mut pause, mut lost, mut renewed) = (Backoff::default(), false, false);
        loop {
            let refused = |message: String, request: &Seen| Ended::new(NOT_REDEEMED, "redeem_refused", message, Some(request));
            let Some(grant) = request.grant.as_ref() else { return decided(request).map(drop) };
            let answer = tokio::select! {
                answer = self.api.redeem(grant, self.ask.parameters()) => answer,
                signal = self.signals.next() => return self.left(request, DENIED, &format!("{} was received", signal.name())).await.map(drop),
            };
            let error = match answer {
                Ok(redeemed) if self.ask.is_what_was(&redeemed) => return Ok(()),
                Ok(_) => return Err(refused("the server redeemed something else than this command; nothing was run".to_owned(), &request)),
                Err(error) => error,
            };
            let rest = match &error {
                // The token's short life ended on the way; the approval may still hold.
                CallError::Refused { status: 410, .. } if !renewed => {
                    renewed = true;
                    match self.api.read(&request.id).await {
                        Ok(next) if next.grant.is_some() => request = next,
                        _ => return Err(refused(format!("{error}; nothing was run"), &request)),
                    }
                    continue;
                }
                CallError::Refused { status: 409, .. } if lost => {
                    return Err(refused(
                        "the grant is used up, probably by an attempt whose answer was lost; nothing was run. Ask again".to_owned(),
                        &request,
                    ));
                }
                error if !error.is_transient() => {
                    return Err(refused(format!("the grant was refused: {error}; nothing was run"), &request));
                }
                error => {
                    lost |= error.may_have_arrived();
                    pause.next(error)
                }
            };
            if Instant::now() + rest >= until {
                return Err(refused(format!("the grant could not be redeemed: {error}; nothing was run"), &request));
            }
            self.report.waiting(&format!("{error}; trying again"));
            tokio::select! {
                () = sleep(rest) => {}
                signal = self.signals.next() => return self.left(request, DENIED, &format!("{} was received", signal.name())).await.map(drop),
            }
        }
    }
}

/// What a request that is not pending means. Only a grant lets anything run.
fn decided(request: Seen) -> Result<Seen, Ended> {
    let feedback = |otherwise: &str| request.feedback.clone().or(request.reason.clone()).unwrap_or_else(|| otherwise.to_owned());
    let (code, event, message) = match request.status.as_str() {
        "approved" if request.edited => (
            NOT_REDEEMED,
            "redeem_refused",
            "a reviewer changed the parameters, which this command cannot follow; nothing was run".to_owned(),
        ),
        "approved" if request.grant.is_some() => return Ok(request),
        "approved" => {
            let why = request.grant_reason.as_deref().unwrap_or("the server gave none");
            (NOT_REDEEMED, "redeem_refused", format!("approved, but there is no grant ({why}); nothing was run"))
        }
        "denied" => (DENIED, "denied", feedback("Denied.")),
        "cancelled" => (DENIED, "cancelled", feedback("Cancelled.")),
        "expired" => (EXPIRED, "expired", feedback("Nobody decided in time.")),
        other => (UNDECIDED, "undecided", format!("the server says \"{other}\", which this version does not know; nothing was run")),
    };
    Err(Ended::new(code, event, message, Some(&request)))
}

/// Never, without a deadline.
async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Tells the server how it went; answers whether it knows. What cannot be told changes nothing about what happened.
async fn tell_outcome(api: &Api, report: &mut Reporter, id: &str, outcome: &child::Outcome) -> bool {
    let body: Value = json!({"status": if outcome.code == 0 { "succeeded" } else { "failed" }, "detail": outcome.detail});
    let until = Instant::now() + PATIENCE / 2;
    let mut pause = Backoff::default();
    let problem = loop {
        match timeout(until.saturating_duration_since(Instant::now()), api.outcome(id, &body)).await {
            Ok(Ok(())) => return true,
            Ok(Err(error)) if error.is_transient() => {
                let rest = pause.next(&error);
                if Instant::now() + rest >= until {
                    break error.to_string();
                }
                sleep(rest).await;
            }
            Ok(Err(error)) => break error.to_string(),
            Err(_) => break "the server did not answer".to_owned(),
        }
    };
    report.say("warning", &format!("the outcome could not be reported: {problem}"), json!({"request": id}));
    false
}

/// Growing pauses between attempts; the server's own word counts more.
#[derive(Debug)]
struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(Duration::from_millis(200))
    }
}

impl Backoff {
    fn next(&mut self, error: &CallError) -> Duration {
        let rest = error.retry_after().unwrap_or(self.0);
        self.0 = (self.0 * 2).min(Duration::from_secs(5));
        rest
    }
}

/// A mistake of the command line.
fn usage(message: impl Into<String>) -> anyhow::Error {
    Stop::usage(message).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(value: &Value) -> Seen {
        let mut whole = json!({"id": "req_1", "status": "approved", "version": 2, "created_at": "2026-11-20T11:40:00.000Z", "expires_at": "2026-11-20T12:40:00.000Z"});
        whole.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
        serde_json::from_value(whole).unwrap()
    }

    #[test]
    fn only_a_grant_lets_anything_run() {
        let grant = json!({"token": "t", "jti": "gr_1", "expires_at": "2026-11-20T11:42:00.000Z"});
        assert!(decided(seen(&json!({"grant": grant}))).is_ok());
        for (value, code) in [
            (json!({"grant": null, "usable": true}), NOT_REDEEMED),
            (json!({"grant": null, "grant_reason": "lapsed"}), NOT_REDEEMED),
            (json!({"grant": grant, "edited": true}), NOT_REDEEMED),
            (json!({"status": "denied", "grant": grant}), DENIED),
            (json!({"status": "cancelled"}), DENIED),
            (json!({"status": "expired"}), EXPIRED),
            (json!({"status": "allowed", "grant": grant}), UNDECIDED),
        ] {
            assert_eq!(decided(seen(&value)).unwrap_err().code, code, "{value}");
        }
    }

    #[test]
    fn the_feedback_is_what_is_said() {
        let ended = decided(seen(&json!({"status": "denied", "feedback": "Denied by Alice (security): use staging."}))).unwrap_err();
        assert_eq!(ended.message, "Denied by Alice (security): use staging.");
    }
}
