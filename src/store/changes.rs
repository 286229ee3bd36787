//! Owns the hint that something was committed: who waits for a request looks again when it comes.
//!
//! Never the truth: a hint may come twice, late, or as `All`; the database is asked afterwards.

use crate::domain::ids::RequestId;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::broadcast;

/// What may look different now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// These requests reached these versions.
    Requests(Arc<[(RequestId, u64)]>),
    /// A client, a key or a freeze.
    Clients,
    /// Another policy is active.
    Policy,
    /// Hints were missed: anything.
    All,
}

impl Changed {
    /// As it travels between replicas: the sender's tag, then `id:version` words, `clients`, `policy` or `*`.
    pub(super) fn payload(changed: &[Self], own: &str, limit: usize) -> String {
        let mut text = own.to_owned();
        for change in changed {
            match change {
                Self::Requests(requests) => {
                    for (id, version) in requests.iter() {
                        let _ = write!(text, " {id}:{version}");
                    }
                }
                Self::Clients => text.push_str(" clients"),
                Self::Policy => text.push_str(" policy"),
                Self::All => text.push_str(" *"),
            }
        }
        if text.len() >= limit { format!("{own} *") } else { text }
    }

    /// Reads a payload; `None` for one that this process sent. What cannot be read is `All`, and so is a mixture.
    pub(super) fn parse(payload: &str, own: &str) -> Option<Self> {
        let mut words = payload.split(' ');
        if words.next() == Some(own) {
            return None;
        }
        let words: Vec<&str> = words.collect();
        match words.as_slice() {
            ["clients"] => return Some(Self::Clients),
            ["policy"] => return Some(Self::Policy),
            _ => {}
        }
        let requests: Option<Vec<(RequestId, u64)>> = words
            .iter()
            .map(|word| {
                let (id, version) = word.split_once(':')?;
                Some((id.parse().ok()?, version.parse().ok()?))
            })
            .collect();
        Some(requests.filter(|list| !list.is_empty()).map_or(Self::All, |list| Self::Requests(list.into())))
    }
}

/// The sending side.
#[derive(Debug)]
pub(super) struct Changes {
    sender: broadcast::Sender<Changed>,
    listening: AtomicBool,
}

impl Changes {
    pub(super) fn new() -> Self {
        Self { sender: broadcast::Sender::new(1_024), listening: AtomicBool::new(false) }
    }

    pub(super) fn tell(&self, changed: Changed) {
        // Nobody waits: nothing to do.
        let _ = self.sender.send(changed);
    }

    pub(super) fn listening(&self, now: bool) {
        self.listening.store(now, Ordering::Relaxed);
    }

    pub(super) fn is_listening(&self) -> bool {
        self.listening.load(Ordering::Relaxed)
    }

    pub(super) fn subscribe(&self) -> Subscription {
        Subscription(self.sender.subscribe())
    }
}

/// The receiving side.
#[derive(Debug)]
pub struct Subscription(broadcast::Receiver<Changed>);

impl Subscription {
    /// The next hint; `None` once the store is gone. Whoever was too slow gets `All`.
    pub async fn next(&mut self) -> Option<Changed> {
        match self.0.recv().await {
            Ok(changed) => Some(changed),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(Changed::All),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    fn requests(count: u8) -> Changed {
        Changed::Requests((0..count).map(|n| (RequestId::new(Timestamp::from_millis(1), [n; 10]), u64::from(n) + 1)).collect())
    }

    #[test]
    fn another_replica_reads_what_was_sent_and_the_sender_ignores_it() {
        let payload = Changed::payload(&[requests(3)], "a", 8_000);
        assert_eq!(Changed::parse(&payload, "b"), Some(requests(3)));
        assert_eq!(Changed::parse(&payload, "a"), None);
        assert_eq!(Changed::parse("a clients", "b"), Some(Changed::Clients));
    }

    #[test]
    fn what_is_too_long_mixed_or_unreadable_means_anything() {
        let long = Changed::payload(&[requests(250)], "a", 8_000);
        assert!(long.len() < 8_000);
        for payload in [long.as_str(), "a", "", "a policy clients", "a req_x:1", "a *"] {
            assert_eq!(Changed::parse(payload, "b"), Some(Changed::All), "{payload}");
        }
    }
}
