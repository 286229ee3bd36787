//! Owns what `countersign run` says while it waits: a line that is replaced on a terminal, plain lines in a log, JSON lines for machines.
//!
//! Never writes to standard output, which is the command's, and never says a token.

use super::api::{CallError, Seen};
use crate::cli::output::{Output, Progress, Style, visible};
use serde_json::{Value, json};
use std::time::Duration;

/// Speaks on standard error.
pub(super) struct Reporter {
    out: Output,
    progress: Progress,
    /// The server was lost and that was said.
    lost: bool,
}

impl Reporter {
    /// Says things as `out` does.
    pub(super) fn new(out: Output) -> Self {
        Self { out, progress: out.progress(), lost: false }
    }

    /// Something that happened: an event for machines, a sentence for people.
    pub(super) fn say(&mut self, event: &str, message: &str, fields: Value) {
        self.progress.clear();
        if self.out.json {
            let mut line = json!({"event": event, "message": message});
            if let (Some(line), Value::Object(fields)) = (line.as_object_mut(), fields) {
                line.extend(fields);
            }
            return self.out.note(line.to_string());
        }
        let style = match event {
            "granted" => Style::Green,
            "waiting" | "asked" => Style::Dim,
            "warning" => Style::Yellow,
            _ => Style::Red,
        };
        let word = event.replace('_', " ");
        self.out.note(format!("{} {}", self.out.paint_err(style, &format!("countersign: {word}:")), visible(message)));
    }

    /// What people see by themselves.
    pub(super) fn say_to_machines(&mut self, event: &str, message: &str, fields: Value) {
        if self.out.json {
            self.say(event, message, fields);
        }
    }

    /// People are asked now.
    pub(super) fn asked(&mut self, request: &Seen, life: Duration) {
        let channels: Vec<&str> = request.deliveries.iter().map(|delivery| delivery.channel.as_str()).collect();
        let fields = json!({"request": request.id, "seats": open(request), "channels": channels, "expires_in": life.as_secs()});
        self.say("asked", &format!("it {}; {} left", needs(request), left(life)), fields);
        if !self.out.json {
            let place = if channels.is_empty() { String::new() } else { format!(", in {}", visible(&channels.join(", "))) };
            self.out.note(format!("  request {}{place}", visible(&request.id)));
        }
    }

    /// Something about it changed, and it is still pending.
    pub(super) fn changed(&mut self, request: &Seen, rest: Duration) {
        self.lost = false;
        if !self.out.is_live() {
            let fields = json!({"request": request.id, "seats": open(request), "granted": request.approval.granted, "required": request.approval.required});
            self.say("waiting", &format!("request {} {}, {} left", request.id, needs(request), left(rest)), fields);
        }
    }

    /// The line of the present second.
    pub(super) fn waiting_for(&mut self, request: &Seen, rest: Duration) {
        let lost = if self.lost { "server not reachable, trying again; " } else { "" };
        self.progress.show(&format!("countersign: {lost}{} · {} left · Ctrl-C cancels", needs(request), left(rest)));
    }

    /// A line without a request.
    pub(super) fn waiting(&mut self, text: &str) {
        self.progress.show(&format!("countersign: {text}"));
    }

    /// The server was lost while waiting; said once, until it is back.
    pub(super) fn interrupted(&mut self, error: &CallError) {
        if !std::mem::replace(&mut self.lost, true) {
            self.say("warning", &format!("{error}; still waiting"), json!({}));
        }
    }
}

fn open(request: &Seen) -> Vec<String> {
    request.approval.seats.iter().filter_map(super::api::Seat::open).collect()
}

/// `needs 1 of security and 2 of data-governance (1 of 3 given)`.
fn needs(request: &Seen) -> String {
    let open = open(request);
    let given = match (request.approval.granted, request.approval.required) {
        (0, _) => String::new(),
        (granted, required) => format!(" ({granted} of {required} given)"),
    };
    match open.split_last() {
        None => format!("waits for a decision{given}"),
        Some((last, [])) => format!("needs {last}{given}"),
        Some((last, others)) => format!("needs {} and {last}{given}", others.join(", ")),
    }
}

/// `1h 02m`, `12m 30s`, `45s`.
fn left(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, seconds) => format!("{seconds}s"),
        (0, 0, minutes, seconds) => format!("{minutes}m {seconds:02}s"),
        (0, hours, minutes, _) => format!("{hours}h {minutes:02}m"),
        (days, hours, ..) => format!("{days}d {hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left_is_as_fine_as_it_matters() {
        let text = [0, 45, 60, 750, 3_720, 90_000].map(|seconds| left(Duration::from_secs(seconds)));
        assert_eq!(text, ["0s", "45s", "1m 00s", "12m 30s", "1h 02m", "1d 1h"]);
    }

    #[test]
    fn who_is_missing_is_told() {
        let needs = |approval: Value| {
            let value = json!({"id": "req_1", "status": "pending", "created_at": "2026-11-20T11:40:00.000Z", "expires_at": "2026-11-20T11:40:00.000Z", "approval": approval});
            needs(&serde_json::from_value(value).unwrap())
        };
        assert_eq!(needs(json!({})), "waits for a decision");
        assert_eq!(needs(json!({"seats": [{"group": "a", "count": 1, "filled_by": []}], "required": 1, "granted": 0})), "needs 1 of a");
        let two = json!({"seats": [{"group": "a", "count": 2, "filled_by": ["per_1"]}, {"person": "bob@example.com", "count": 1, "filled_by": []}], "required": 3, "granted": 1});
        assert_eq!(needs(two), "needs 1 of a and 1 of bob@example.com (1 of 3 given)");
    }
}
