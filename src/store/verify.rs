//! Owns the check of the log: does every event stand unchanged in its place, and is its end the one that was signed?
//!
//! Never trusts a stored hash: leaf and chain are computed again from the stored bytes. Needs no database, so that it can
//! also check an export. The columns beside the bytes, which only serve searches, must say what the bytes say.

use super::audit::RawEvent;
use super::heads::SignedHead;
use crate::domain::audit::{Head, chain_hash, leaf_hash};
use crate::domain::time::Timestamp;

/// What is wrong, at which place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The first bad `seq`.
    pub seq: u64,
    /// What is wrong there.
    pub flaw: Flaw,
}

/// Kinds of tampering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// The bytes are not those that were hashed.
    ChangedEvent,
    /// A column beside the bytes says something else than they do.
    ChangedColumn,
    /// The stored leaf hash is not that of the bytes, which the chain confirms.
    BadLeaf,
    /// The event does not follow the one before: one of the two was rewritten with its own hashes.
    BadChain,
    /// Events are missing before this one, or it stands twice.
    Gap,
    /// The signature of a signed head is wrong.
    BadHeadSignature,
    /// A signed head knows more events than the log has.
    Truncated,
    /// The log has another event at the place of a signed head: everything up to there may have been rewritten.
    RewrittenTail,
}

impl Flaw {
    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ChangedEvent => "changed_event",
            Self::ChangedColumn => "changed_column",
            Self::BadLeaf => "bad_leaf",
            Self::BadChain => "bad_chain",
            Self::Gap => "gap",
            Self::BadHeadSignature => "bad_head_signature",
            Self::Truncated => "truncated",
            Self::RewrittenTail => "rewritten_tail",
        }
    }
}

/// The log is intact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Its end.
    pub head: Head,
    /// The largest `seq` that a signature vouches for; `None`: nothing anchors the end, so a cut tail would not be seen.
    pub anchored: Option<u64>,
}

/// Checks a log, row by row.
#[derive(Debug)]
pub struct Verifier {
    head: Head,
    /// Heads to meet, with the smallest `seq` last.
    heads: Vec<SignedHead>,
    anchored: Option<u64>,
}

impl Verifier {
    /// Starts with the signed heads that are known; `is_signed` says whether the audit key signed these bytes.
    ///
    /// # Errors
    /// `BadHeadSignature`.
    pub fn new(mut heads: Vec<SignedHead>, is_signed: impl Fn(&[u8], &SignedHead) -> bool) -> Result<Self, Finding> {
        heads.sort_by_key(|head| std::cmp::Reverse(head.head.seq));
        if let Some(bad) = heads.iter().rfind(|head| !is_signed(&head.head.signed_bytes(head.at), head)) {
            return Err(Finding { seq: bad.head.seq, flaw: Flaw::BadHeadSignature });
        }
        // A head of an empty log anchors nothing.
        heads.retain(|signed| signed.head.seq > 0);
        Ok(Self { head: Head::EMPTY, heads, anchored: None })
    }

    /// Takes the next row.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn take(&mut self, row: &RawEvent) -> Result<(), Finding> {
        let seq = self.head.seq + 1;
        let found = |flaw| Err(Finding { seq, flaw });
        if row.seq != seq.cast_signed() {
            return found(Flaw::Gap);
        }
        let leaf = leaf_hash(row.event.as_bytes());
        let chain = chain_hash(&self.head.chain, &leaf);
        let chain_holds = row.chain_hash == chain;
        if row.leaf_hash != leaf {
            return found(if chain_holds { Flaw::BadLeaf } else { Flaw::ChangedEvent });
        }
        if !chain_holds {
            return found(Flaw::BadChain);
        }
        if !columns_agree(row) {
            return found(Flaw::ChangedColumn);
        }
        self.head = Head { seq, chain };
        while let Some(signed) = self.heads.pop_if(|signed| signed.head.seq <= seq) {
            if signed.head != self.head {
                return found(Flaw::RewrittenTail);
            }
            self.anchored = Some(seq);
        }
        Ok(())
    }

    /// After the last row.
    ///
    /// # Errors
    /// `Truncated`, at the first `seq` that is missing.
    pub fn finish(self) -> Result<Verdict, Finding> {
        if self.heads.is_empty() {
            Ok(Verdict { head: self.head, anchored: self.anchored })
        } else {
            Err(Finding { seq: self.head.seq + 1, flaw: Flaw::Truncated })
        }
    }
}

/// Whether the columns say what the bytes say. The bytes have one form (RFC 8785: members ordered by name), so their
/// beginning and end can be compared without parsing.
fn columns_agree(row: &RawEvent) -> bool {
    let mut rest = row.event.as_str();
    let mut next = |part: &str| match rest.strip_prefix(part) {
        Some(after) => {
            rest = after;
            true
        }
        None => false,
    };
    let actor = match row.actor_id.as_deref() {
        Some(id) => next("{\"actor\":{\"id\":\"") && next(id) && next("\",\"kind\":\""),
        None => next("{\"actor\":{\"id\":null,\"kind\":\""),
    };
    if !(actor && next(&row.actor_kind) && next("\"},\"at\":\"")) {
        return false;
    }
    let at = rest.split_once('"').and_then(|(at, _)| Timestamp::parse(at));
    let mut rest = row.event.as_str();
    let mut last = |part: &str| match rest.strip_suffix(part) {
        Some(before) => {
            rest = before;
            true
        }
        None => false,
    };
    let request = row.request_id.as_deref();
    at == Some(Timestamp::from_millis(row.at))
        && last("\"}")
        && last(&row.kind)
        && last(",\"type\":\"")
        && last(&row.seq.to_string())
        && match request {
            Some(id) => last("\",\"seq\":") && last(id) && last(",\"request\":\""),
            None => last(",\"request\":null,\"seq\":"),
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::audit::{Actor, Entry, Kind};
    use crate::domain::ids::{ClientId, EventId, RequestId};

    fn log(count: u64) -> Vec<RawEvent> {
        let at = Timestamp::from_millis(1_795_174_800_123);
        let mut head = Head::EMPTY;
        (0..count)
            .map(|n| {
                let client = ClientId::new(at, [1; 10]);
                let request = RequestId::new(at, [2; 10]);
                let (actor, request) = if n % 2 == 0 { (Actor::Client(client), Some(request)) } else { (Actor::System, None) };
                let entry = Entry::new(Kind::ConfigChanged, actor.clone(), request.as_ref()).with("n", n);
                let sealed = entry.prepare(&EventId::new(at, [3; 10]), at).seal(&head);
                head = Head::after(&sealed);
                RawEvent {
                    seq: sealed.seq.cast_signed(),
                    at: at.as_millis(),
                    kind: "config.changed".to_owned(),
                    actor_kind: actor.kind().to_owned(),
                    actor_id: actor.id().map(str::to_owned),
                    request_id: request.map(|id| id.to_string()),
                    event: sealed.event,
                    leaf_hash: sealed.leaf.to_vec(),
                    chain_hash: sealed.chain.to_vec(),
                }
            })
            .collect()
    }

    fn signed(row: &RawEvent) -> SignedHead {
        let head = Head { seq: row.seq.cast_unsigned(), chain: row.chain_hash.as_slice().try_into().unwrap() };
        SignedHead { head, at: Timestamp::from_millis(0), signature: b"good".to_vec(), public_key: Vec::new() }
    }

    fn verify(rows: &[RawEvent], heads: Vec<SignedHead>) -> Result<Verdict, Finding> {
        let mut verifier = Verifier::new(heads, |_, head| head.signature == b"good")?;
        rows.iter().try_for_each(|row| verifier.take(row))?;
        verifier.finish()
    }

    fn flaw(rows: &[RawEvent], heads: Vec<SignedHead>) -> (u64, &'static str) {
        let finding = verify(rows, heads).unwrap_err();
        (finding.seq, finding.flaw.as_str())
    }

    /// Gives a row and everything after it hashes that fit its bytes, as somebody would who owns the database.
    fn rehash(rows: &mut [RawEvent], from: usize, until: usize) {
        for index in from..until {
            let before = if index == 0 { [0; 32] } else { rows[index - 1].chain_hash.as_slice().try_into().unwrap() };
            let leaf = leaf_hash(rows[index].event.as_bytes());
            rows[index].leaf_hash = leaf.to_vec();
            rows[index].chain_hash = chain_hash(&before, &leaf).to_vec();
        }
    }

    fn tamper(row: &mut RawEvent) {
        row.event = row.event.replace("\"n\":", "\"n\":9");
    }

    #[test]
    fn an_untouched_log_is_intact_and_says_how_far_it_is_anchored() {
        let rows = log(6);
        assert_eq!(verify(&rows, Vec::new()).unwrap().anchored, None);
        let verdict = verify(&rows, vec![signed(&rows[1]), signed(&rows[4]), signed(&rows[4])]).unwrap();
        assert_eq!((verdict.head.seq, verdict.anchored), (6, Some(5)));
        assert_eq!(verify(&[], Vec::new()).unwrap().head, Head::EMPTY);
    }

    #[test]
    fn a_changed_event_a_changed_hash_and_a_changed_column_are_told_apart() {
        let mut rows = log(4);
        tamper(&mut rows[2]);
        assert_eq!(flaw(&rows, Vec::new()), (3, "changed_event"));
        let mut rows = log(4);
        rows[2].leaf_hash = vec![0; 32];
        assert_eq!(flaw(&rows, Vec::new()), (3, "bad_leaf"));
        let mut rows = log(4);
        rows[2].chain_hash = vec![0; 31];
        assert_eq!(flaw(&rows, Vec::new()), (3, "bad_chain"));
        for change in [
            |row: &mut RawEvent| row.kind = "grant.minted".to_owned(),
            |row: &mut RawEvent| row.at += 1,
            |row: &mut RawEvent| row.actor_id = None,
            |row: &mut RawEvent| row.actor_kind = "person".to_owned(),
            |row: &mut RawEvent| row.request_id = None,
        ] {
            let mut rows = log(4);
            change(&mut rows[2]);
            assert_eq!(flaw(&rows, Vec::new()), (3, "changed_column"));
        }
    }

    #[test]
    fn missing_swapped_and_repeated_rows_are_gaps() {
        let mut rows = log(4);
        rows.remove(1);
        assert_eq!(flaw(&rows, Vec::new()), (2, "gap"));
        let mut rows = log(4);
        rows.swap(1, 2);
        assert_eq!(flaw(&rows, Vec::new()), (2, "gap"));
        let mut rows = log(4);
        rows.insert(1, rows[0].clone());
        assert_eq!(flaw(&rows, Vec::new()), (2, "gap"));
    }

    #[test]
    fn a_row_rewritten_with_its_own_hashes_breaks_the_chain_behind_it() {
        let mut rows = log(4);
        tamper(&mut rows[1]);
        rehash(&mut rows, 1, 2);
        assert_eq!(flaw(&rows, Vec::new()), (3, "bad_chain"));
    }

    #[test]
    fn a_cut_tail_and_a_tail_rewritten_to_its_end_are_found_by_a_head_only() {
        let rows = log(4);
        let head = signed(&rows[3]);
        assert!(verify(&rows[..3], Vec::new()).is_ok());
        assert_eq!(flaw(&rows[..3], vec![head.clone()]), (4, "truncated"));
        assert_eq!(flaw(&[], vec![head.clone()]), (1, "truncated"));
        let mut rows = rows;
        tamper(&mut rows[1]);
        rehash(&mut rows, 1, 4);
        assert!(verify(&rows, Vec::new()).is_ok());
        assert_eq!(flaw(&rows, vec![head.clone()]), (4, "rewritten_tail"));
        assert_eq!(flaw(&rows, vec![SignedHead { signature: Vec::new(), ..head }]), (4, "bad_head_signature"));
    }
}
