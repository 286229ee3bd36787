//! Owns the time of a request that nobody decides: reminders and escalations that are due.
//!
//! Never keeps a timer: the due times stand in the database, and the state machine lets each happen once, whoever asks.

use super::{Engine, Failure};
use crate::domain::request::Event;
use crate::store::StoreError;

/// Requests of one step.
const AT_ONCE: u32 = 200;

impl Engine {
    /// Reminds and escalates what is due; answers how many.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn escalate_due(&self) -> Result<usize, Failure> {
        let now = self.clock.now();
        let reminders = self.store.due_reminders(now, AT_ONCE).await?;
        let escalations = self.store.due_escalations(now, AT_ONCE).await?;
        let due = reminders.iter().map(|id| (id, Event::Remind)).chain(escalations.iter().map(|id| (id, Event::Escalate)));
        let mut happened = 0;
        for (id, event) in due {
            match self.transact(id, |request, now| request.apply(event.clone(), now)).await {
                Ok(_) => happened += 1,
                // Decided, expired, or done by another replica: nothing to do any more.
                Err(Failure::Refused(_)) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(happened)
    }

    /// Takes up what an earlier process left: what it had in hand, and what could not be delivered for a reason that somebody may
    /// have put right meanwhile. Once, before anything is sent.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn take_up(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.store.release_leases().await?;
        let since = crate::domain::time::Timestamp::from_millis(now.as_millis().saturating_sub(super::deliver::RETRIED_FOR));
        let revived = self.store.revive_deliveries(now, since).await?;
        if revived > 0 {
            tracing::info!(cards = revived, "cards that could not be delivered are tried again");
        }
        Ok(())
    }
}
