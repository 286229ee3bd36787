//! Owns the hint that something was committed: who waits for a request looks again when it comes.
//!
//! Never the truth: a hint may come twice, late, or as `All`; the database is asked afterwards.

use crate::domain::ids::RequestId;
use tokio::sync::broadcast;

/// What may look different now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// This request, and so the log.
    Request(RequestId),
    /// The log alone.
    Log,
    /// Hints were missed: anything.
    All,
}

/// How many hints a slow listener may be behind before it gets `All` instead.
const BACKLOG: usize = 4_096;

/// The word for the log alone.
const LOG: &str = "log";

/// As hints travel between replicas: the sender's tag, the place of the last event that it wrote (0: none), then an id per word,
/// `log` when no request changed, or `*`.
pub(super) fn to_payload(changed: &[RequestId], end: u64, own: &str, limit: usize) -> String {
    let mut text = format!("{own} {end}");
    if changed.is_empty() {
        return format!("{text} {LOG}");
    }
    for id in changed {
        text.push(' ');
        text.push_str(id.as_str());
    }
    if text.len() >= limit { format!("{own} {end} *") } else { text }
}

/// Reads a payload: how far the log is, and what changed; nothing changed for one that this process sent. What cannot be read means anything.
pub(super) fn from_payload(payload: &str, own: &str) -> (u64, Vec<Changed>) {
    let mut words = payload.split(' ');
    let is_own = words.next() == Some(own);
    let Some(end) = words.next().and_then(|word| word.parse().ok()) else { return (0, vec![Changed::All]) };
    if is_own {
        return (end, Vec::new());
    }
    let hint = |word: &str| if word == LOG { Some(Changed::Log) } else { word.parse().ok().map(Changed::Request) };
    let ids: Option<Vec<Changed>> = words.map(hint).collect();
    (end, ids.filter(|ids| !ids.is_empty()).unwrap_or_else(|| vec![Changed::All]))
}

/// The sending side.
#[derive(Debug)]
pub(super) struct Bell {
    sender: broadcast::Sender<Changed>,
}

impl Bell {
    pub(super) fn new() -> Self {
        Self { sender: broadcast::Sender::new(BACKLOG) }
    }

    pub(super) fn ring(&self, changed: Changed) {
        // Without listeners there is nobody to tell.
        let _ = self.sender.send(changed);
    }

    pub(super) fn subscribe(&self) -> Changes {
        Changes(self.sender.subscribe())
    }
}

/// The receiving side.
#[derive(Debug)]
pub struct Changes(broadcast::Receiver<Changed>);

impl Changes {
    /// The next hint. Whoever was too slow gets `All`; once the store is gone, none comes any more.
    pub async fn next(&mut self) -> Changed {
        match self.0.recv().await {
            Ok(changed) => changed,
            Err(broadcast::error::RecvError::Lagged(_)) => Changed::All,
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    fn ids(count: u8) -> Vec<RequestId> {
        (0..count).map(|n| RequestId::new(Timestamp::from_millis(1), [n; 10])).collect()
    }

    #[test]
    fn another_replica_reads_what_was_sent_and_the_sender_ignores_it() {
        let payload = to_payload(&ids(3), 41, "a", 8_000);
        assert_eq!(from_payload(&payload, "b"), (41, ids(3).into_iter().map(Changed::Request).collect()));
        assert_eq!(from_payload(&payload, "a"), (41, Vec::new()));
        assert_eq!(from_payload(&to_payload(&[], 42, "a", 8_000), "b"), (42, vec![Changed::Log]));
    }

    #[test]
    fn what_is_too_long_or_unreadable_means_anything() {
        let long = to_payload(&ids(255), 7, "a", 7_900);
        assert!(long.len() < 7_900);
        for (payload, end) in
            [(long.as_str(), 7), ("a", 0), ("", 0), ("a req_x", 0), ("a 7 req_x", 7), ("a 7", 7), ("a 7 *", 7), ("a -1 *", 0)]
        {
            assert_eq!(from_payload(payload, "b"), (end, vec![Changed::All]), "{payload}");
        }
    }

    #[tokio::test]
    async fn a_slow_listener_is_told_that_it_missed_something() {
        let bell = Bell::new();
        let mut changes = bell.subscribe();
        for _ in 0..=BACKLOG {
            bell.ring(Changed::Request(ids(1).remove(0)));
        }
        assert_eq!(changes.next().await, Changed::All);
    }
}
