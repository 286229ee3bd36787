//! Owns following many requests at once: which of them changed after a place in the log, as far as the caller may see them.
//!
//! Never tells history: a change is told as the present state of its request, once, however many events it left.

use super::caller::Caller;
use super::{Engine, Failure};
use crate::domain::audit::Kind;
use crate::domain::ids::RequestId;
use crate::domain::request::Request;
use crate::store::RawEvent;

/// Events read at once.
const BATCH: u32 = 32;

/// The kinds of events that give a request another version.
const CHANGES: [Kind; 13] = [
    Kind::RequestCreated,
    Kind::RequestApproved,
    Kind::RequestDenied,
    Kind::RequestExpired,
    Kind::RequestCancelled,
    Kind::RequestRevoked,
    Kind::RequestEdited,
    Kind::RequestReminded,
    Kind::RequestEscalated,
    Kind::RequestOutcome,
    Kind::ReviewRecorded,
    Kind::GrantMinted,
    Kind::GrantRedeemed,
];

/// What changed.
#[derive(Debug)]
pub struct Batch {
    /// Each request with the place in the log of its latest change, in that order.
    pub changed: Vec<(u64, Request)>,
    /// Up to where the log was read.
    pub after: u64,
    /// There may be more.
    pub more: bool,
}

impl Engine {
    /// The requests that changed after that place, and that the caller may see.
    ///
    /// # Errors
    /// When the store or the directory fails.
    pub async fn changed_after(&self, caller: &Caller, after: u64) -> Result<Batch, Failure> {
        let rows = self.store.raw_events(after, BATCH).await?;
        let more = rows.len() == BATCH as usize;
        let after = rows.last().map_or(after, |row| row.seq.unsigned_abs());
        let mut changed = Vec::new();
        for (seq, id) in latest(&rows) {
            match self.visible(caller, &id).await {
                Ok(request) => changed.push((seq, request)),
                Err(Failure::NotFound(_)) => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(Batch { changed, after, more })
    }
}

/// The latest change of each request, in the order of the log.
fn latest(rows: &[RawEvent]) -> Vec<(u64, RequestId)> {
    let is_change = |row: &RawEvent| CHANGES.iter().any(|kind| kind.as_str() == row.kind);
    let mut latest: Vec<(u64, RequestId)> = Vec::new();
    for row in rows.iter().filter(|row| is_change(row)) {
        let Some(id) = row.request_id.as_deref().and_then(|id| id.parse::<RequestId>().ok()) else { continue };
        latest.retain(|(_, known)| *known != id);
        latest.push((row.seq.unsigned_abs(), id));
    }
    latest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    fn row(seq: i64, kind: Kind, request: Option<u8>) -> RawEvent {
        RawEvent {
            seq,
            at: 0,
            kind: kind.as_str().to_owned(),
            actor_kind: "system".to_owned(),
            actor_id: None,
            request_id: request.map(|number| id(number).to_string()),
            event: String::new(),
            leaf_hash: Vec::new(),
            chain_hash: Vec::new(),
        }
    }

    fn id(number: u8) -> RequestId {
        RequestId::new(Timestamp::from_millis(1), [number; 10])
    }

    #[test]
    fn a_request_is_told_once_at_its_latest_change() {
        let rows = [
            row(7, Kind::RequestCreated, Some(1)),
            row(8, Kind::RequestCreated, Some(2)),
            row(9, Kind::ReviewRecorded, Some(1)),
            row(10, Kind::RequestApproved, Some(1)),
            row(11, Kind::DeliveryUpdated, Some(2)),
            row(12, Kind::ReviewRefused, Some(2)),
            row(13, Kind::ClientChanged, None),
        ];
        assert_eq!(latest(&rows), [(8, id(2)), (10, id(1))]);
    }

    #[test]
    fn every_kind_of_a_request_is_a_change() {
        let of_requests = Kind::ALL.iter().filter(|kind| kind.as_str().starts_with("request."));
        assert!(of_requests.clone().count() > 5);
        assert!(of_requests.into_iter().all(|kind| CHANGES.contains(kind)));
    }
}
