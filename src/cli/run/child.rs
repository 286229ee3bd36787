//! Owns executing the approved command: exactly its arguments, no shell, signals passed on, its exit code ours.
//!
//! Never decides whether it may run.

use rustix::process::{Pid, Signal, kill_process};
use std::io::{ErrorKind, IsTerminal as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::ExitStatus;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// There is no such command, as shells say it.
pub(super) const NOT_FOUND: u8 = 127;
/// It is there but cannot be executed.
const NOT_EXECUTABLE: u8 = 126;

/// A signal that ends waiting, and is passed on once the command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Received {
    signal: Signal,
    name: &'static str,
}

impl Received {
    /// As people call it.
    pub(super) fn name(self) -> &'static str {
        self.name
    }
}

/// The signals that came in.
pub(super) struct Signals {
    received: mpsc::Receiver<Received>,
}

impl Signals {
    /// From now on these signals do not end the process.
    pub(super) fn listen() -> std::io::Result<Self> {
        let kinds = [
            (SignalKind::interrupt(), Signal::INT, "Ctrl-C (SIGINT)"),
            (SignalKind::terminate(), Signal::TERM, "SIGTERM"),
            (SignalKind::hangup(), Signal::HUP, "SIGHUP"),
            (SignalKind::quit(), Signal::QUIT, "SIGQUIT"),
        ];
        let (send, received) = mpsc::channel(8);
        for (kind, signal_number, name) in kinds {
            let (mut stream, send) = (signal(kind)?, send.clone());
            tokio::spawn(async move {
                while stream.recv().await.is_some() {
                    if send.send(Received { signal: signal_number, name }).await.is_err() {
                        return;
                    }
                }
            });
        }
        Ok(Self { received })
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Received {
        match self.received.recv().await {
            Some(received) => received,
            None => std::future::pending().await,
        }
    }
}

/// How the command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Our exit code.
    pub(super) code: u8,
    /// For the request's outcome.
    pub(super) detail: String,
    /// For whoever looks at the terminal, when it could not even start.
    pub(super) problem: Option<String>,
}

/// Whether there is something to execute under this name, as `execvp` would look for it. Said before anybody is asked.
pub(super) fn exists(program: &str) -> bool {
    if program.contains('/') {
        return Path::new(program).exists();
    }
    std::env::var_os("PATH").is_some_and(|paths| {
        std::env::split_paths(&paths).any(|folder| {
            let folder = if folder.as_os_str().as_bytes().is_empty() { Path::new(".") } else { &folder };
            folder.join(program).is_file()
        })
    })
}

/// Runs the command to its end.
pub(super) async fn execute(argv: &[String], signals: &mut Signals) -> Outcome {
    let mut child = match Command::new(&argv[0]).args(&argv[1..]).spawn() {
        Ok(child) => child,
        Err(error) => {
            let code = if error.kind() == ErrorKind::NotFound { NOT_FOUND } else { NOT_EXECUTABLE };
            let problem = format!("{} cannot be started: {error}", argv[0]);
            return Outcome { code, detail: "The command could not be started.".to_owned(), problem: Some(problem) };
        }
    };
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    // What is typed at a terminal reaches the command as well, since it is in the same process group; passing it on would make it two.
    let typed = std::io::stdin().is_terminal() || std::io::stderr().is_terminal();
    loop {
        tokio::select! {
            ended = child.wait() => return match ended {
                Ok(status) => outcome(status),
                Err(error) => Outcome { code: 1, detail: "How the command ended is not known.".to_owned(), problem: Some(format!("cannot wait for the command: {error}")) },
            },
            received = signals.next() => {
                let by_keyboard = typed && (received.signal == Signal::INT || received.signal == Signal::QUIT);
                // It is not reaped before `wait` above says so, so the id is still its own. That it ended just now is no mistake.
                if let Some(pid) = pid.filter(|_| !by_keyboard) {
                    let _ = kill_process(pid, received.signal);
                }
            }
        }
    }
}

fn outcome(status: ExitStatus) -> Outcome {
    match (status.code(), status.signal()) {
        (Some(code), _) => Outcome { code: u8::try_from(code & 0xff).unwrap_or(1), detail: format!("Exit code {code}."), problem: None },
        (None, Some(signal)) => {
            Outcome { code: u8::try_from(128 + signal).unwrap_or(255), detail: format!("Killed by signal {signal}."), problem: None }
        }
        (None, None) => Outcome { code: 1, detail: "How the command ended is not known.".to_owned(), problem: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_is_that_of_the_command() {
        assert_eq!(outcome(ExitStatus::from_raw(3 << 8)).code, 3);
        assert_eq!(outcome(ExitStatus::from_raw(255 << 8)).code, 255);
        let killed = outcome(ExitStatus::from_raw(15));
        assert_eq!((killed.code, killed.detail.as_str()), (143, "Killed by signal 15."));
    }

    #[test]
    fn commands_are_looked_for_as_the_system_does() {
        assert!(exists("sh") && exists("/bin/sh"));
        assert!(!exists("no-such-command-anywhere") && !exists("/bin/no-such-command") && !exists(""));
    }
}
