//! Owns the callers that wait: who waits for which request or for the log, and waking them.
//!
//! Never holds a request's state: a wake-up is a hint, the database is the truth. A waiter registers before it reads,
//! so nothing that is committed in between can be missed. An idle waiter costs one watch channel and no timer.

use crate::domain::ids::RequestId;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

const SHARDS: usize = 64;

type Shard = Mutex<HashMap<RequestId, watch::Sender<u64>>>;

/// All waiting callers of this process.
#[derive(Debug)]
pub struct Waiters {
    shards: Vec<Shard>,
    hasher: RandomState,
    log: watch::Sender<u64>,
    closing: watch::Sender<bool>,
}

impl Default for Waiters {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            log: watch::Sender::new(0),
            closing: watch::Sender::new(false),
        }
    }
}

impl Waiters {
    fn shard(&self, id: &RequestId) -> &Shard {
        let index = usize::try_from(self.hasher.hash_one(id) % SHARDS as u64).unwrap_or(0);
        &self.shards[index]
    }

    /// Registers interest in a request. Read the request only afterwards.
    #[must_use]
    pub fn register(self: &Arc<Self>, id: &RequestId) -> Waiting {
        let mut shard = self.shard(id).lock().unwrap_or_else(PoisonError::into_inner);
        let changes = shard.entry(id.clone()).or_insert_with(|| watch::Sender::new(0)).subscribe();
        drop(shard);
        Waiting { changes: Some(changes), closing: self.closing.subscribe(), id: Some(id.clone()), registry: Arc::clone(self) }
    }

    /// Registers interest in the log. Read it only afterwards.
    #[must_use]
    pub fn register_log(self: &Arc<Self>) -> Waiting {
        Waiting { changes: Some(self.log.subscribe()), closing: self.closing.subscribe(), id: None, registry: Arc::clone(self) }
    }

    /// Wakes whoever waits for the log.
    pub fn wake_log(&self) {
        self.log.send_modify(|count| *count += 1);
    }

    /// Wakes whoever waits for this request, and for the log, where every change stands.
    pub fn wake(&self, id: &RequestId) {
        self.wake_log();
        let shard = self.shard(id).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = shard.get(id) {
            sender.send_modify(|count| *count += 1);
        }
    }

    /// Wakes everybody, after hints may have been lost.
    pub fn wake_all(&self) {
        self.wake_log();
        for shard in &self.shards {
            for sender in shard.lock().unwrap_or_else(PoisonError::into_inner).values() {
                sender.send_modify(|count| *count += 1);
            }
        }
    }

    /// Releases everybody: the server stops, and callers ask again elsewhere or later.
    pub fn close(&self) {
        self.closing.send_replace(true);
    }

    /// How many requests are waited for.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }

    /// Nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn forget(&self, id: &RequestId) {
        let mut shard = self.shard(id).lock().unwrap_or_else(PoisonError::into_inner);
        if shard.get(id).is_some_and(|sender| sender.receiver_count() == 0) {
            shard.remove(id);
        }
    }
}

/// One caller's place in the registry; leaving the scope gives it up.
#[derive(Debug)]
pub struct Waiting {
    changes: Option<watch::Receiver<u64>>,
    closing: watch::Receiver<bool>,
    /// `None`: the log.
    id: Option<RequestId>,
    registry: Arc<Waiters>,
}

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// Something may have changed: read again.
    Hint,
    /// The server stops: answer with what is known.
    Closing,
}

impl Waiting {
    /// The server stops.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        *self.closing.borrow()
    }

    /// Waits for the next hint, or for the server to stop.
    pub async fn woken(&mut self) -> Woken {
        let Some(changes) = &mut self.changes else { return Woken::Closing };
        tokio::select! {
            biased;
            _ = self.closing.wait_for(|closing| *closing) => Woken::Closing,
            changed = changes.changed() => if changed.is_ok() { Woken::Hint } else { Woken::Closing },
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.changes = None;
        if let Some(id) = &self.id {
            self.registry.forget(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    fn id() -> RequestId {
        RequestId::new(Timestamp::from_millis(1), [1; 10])
    }

    #[tokio::test]
    async fn a_hint_between_registering_and_waiting_is_not_lost() {
        let waiters = Arc::new(Waiters::default());
        let mut waiting = waiters.register(&id());
        waiters.wake(&id());
        assert_eq!(waiting.woken().await, Woken::Hint);
    }

    #[tokio::test]
    async fn the_last_waiter_leaves_nothing_behind() {
        let waiters = Arc::new(Waiters::default());
        let (first, second) = (waiters.register(&id()), waiters.register(&id()));
        drop(first);
        assert_eq!(waiters.len(), 1);
        drop(second);
        assert!(waiters.is_empty());
    }

    #[tokio::test]
    async fn closing_releases_everybody() {
        let waiters = Arc::new(Waiters::default());
        let mut waiting = waiters.register(&id());
        waiters.close();
        assert_eq!(waiting.woken().await, Woken::Closing);
    }
}
