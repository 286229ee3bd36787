//! Owns verifying a log: every event's bytes, leaf hash and chain hash in one pass, and the signed heads beside it or kept elsewhere.
//!
//! Never reads anything and knows no cryptography beyond the hashes: rows come one by one, and checking a signature is an argument. It trusts nothing of
//! what it is given, lengths included, and recomputes over the stored bytes.
//!
//! What it can show: a changed, missing, added or reordered event, always. A cut tail, or a tail rewritten with hashes that fit, only against a signed
//! head that reaches into it; and heads in the same database can be removed with the tail. So only a head that was kept elsewhere anchors the end.

use super::{Hash, Head, canonical, chain_hash, hex, leaf_hash};
use crate::domain::time::Timestamp;
use std::cmp::Ordering;

/// A row of the log as it is stored.
#[derive(Debug, Clone, Copy)]
pub struct Row<'r> {
    /// Its place.
    pub seq: i64,
    /// Leaf hash.
    pub leaf: &'r [u8],
    /// Chain hash.
    pub chain: &'r [u8],
}

/// What can be told of an event alone, whatever stands before it; so many of them can be looked at at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inspected {
    leaf: Hash,
    /// The `seq` in the bytes; none: they are not the canonical form of an event.
    seq: Option<u64>,
    columns_agree: bool,
}

/// What a database keeps beside the bytes, for searches: it must say what they say, or a search would lie although every hash fits.
#[derive(Debug, Clone, Copy)]
pub struct Columns<'r> {
    /// When, in milliseconds.
    pub at: i64,
    /// The type's name.
    pub kind: &'r str,
    /// `client`, `person` or `system`.
    pub actor_kind: &'r str,
    /// Who.
    pub actor_id: Option<&'r str>,
    /// The request.
    pub request: Option<&'r str>,
}

impl Columns<'_> {
    /// The bytes have one form, members ordered by name, so their beginning and end tell without parsing.
    fn agree_with(&self, event: &[u8]) -> bool {
        let id = |id: Option<&str>| id.map_or_else(|| "null".to_owned(), |id| format!("\"{id}\""));
        let begin =
            format!(r#"{{"actor":{{"id":{},"kind":"{}"}},"at":"{}","#, id(self.actor_id), self.actor_kind, Timestamp::from_millis(self.at));
        let (request, end) = (format!(r#","request":{},"seq":"#, id(self.request)), format!(r#","type":"{}"}}"#, self.kind));
        let rest = event.strip_prefix(begin.as_bytes()).and_then(|rest| rest.strip_suffix(end.as_bytes()));
        rest.is_some_and(|rest| {
            let digits = rest.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
            rest[..rest.len() - digits].ends_with(request.as_bytes())
        })
    }
}

impl Inspected {
    /// Hashes and reads the bytes, and compares what stands beside them.
    #[must_use]
    pub fn of(event: &[u8], beside: Option<&Columns<'_>>) -> Self {
        Self { leaf: leaf_hash(event), seq: canonical::seq(event), columns_agree: beside.is_none_or(|columns| columns.agree_with(event)) }
    }
}

/// Where a signed head was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Beside the log: whoever can cut the log can remove it too.
    Beside,
    /// Somewhere else: it anchors.
    Elsewhere,
}

/// A signed head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// Number of events.
    pub seq: u64,
    /// Chain hash of the last one.
    pub chain: Vec<u8>,
    /// When it was signed.
    pub at: Timestamp,
    /// Over [`Head::signed_bytes`].
    pub signature: Vec<u8>,
    /// The key it claims.
    pub public_key: Vec<u8>,
    /// Where it was.
    pub kept: Kept,
}

/// How a log was tampered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The bytes of an event are not those that were hashed, or not in their one canonical form.
    ChangedEvent,
    /// A column beside the bytes says something else than they do.
    ChangedColumn,
    /// The leaf hash alone was changed.
    BadLeaf,
    /// The chain hash does not follow from the one before: it, or the event before with all its hashes, was changed.
    BadChain,
    /// Events are missing.
    Gap,
    /// An event stands in another's place.
    OutOfOrder,
    /// A head is not signed by the audit key.
    BadHeadSignature,
    /// The log ends before a signed head.
    CutTail,
    /// The hashes fit each other, but not a signed head.
    RewrittenTail,
}

impl Kind {
    /// The word for machines.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ChangedEvent => "changed_event",
            Self::ChangedColumn => "changed_column",
            Self::BadLeaf => "bad_leaf",
            Self::BadChain => "bad_chain",
            Self::Gap => "gap",
            Self::OutOfOrder => "out_of_order",
            Self::BadHeadSignature => "bad_head_signature",
            Self::CutTail => "cut_tail",
            Self::RewrittenTail => "rewritten_tail",
        }
    }
}

/// The first thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Tampering {
    /// The first place at which it shows.
    pub seq: u64,
    /// How.
    pub kind: Kind,
    /// In a sentence.
    pub detail: String,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The end of what is whole.
    pub end: Head,
    /// The first thing that is wrong; none: intact.
    pub tampering: Option<Tampering>,
    /// Signed heads that fit.
    pub heads: u64,
    /// The last signed head beside the log that fits.
    pub signed_to: Option<u64>,
    /// The last head kept elsewhere that fits; none: the end is not anchored.
    pub anchored_to: Option<u64>,
}

/// Verifies row by row, in the order of `seq`.
#[derive(Debug)]
pub struct Verifier {
    /// By `seq`, with what is wrong with its signature.
    anchors: std::vec::IntoIter<(Anchor, Option<&'static str>)>,
    next: Option<(Anchor, Option<&'static str>)>,
    report: Report,
}

impl Verifier {
    /// With the signed heads that are known. `key` is the public key that must have signed them; without one, that of a head kept elsewhere, else that of
    /// the first head. `signed(key, message, signature)` checks a signature.
    pub fn new(mut anchors: Vec<Anchor>, key: Option<&[u8]>, signed: impl Fn(&[u8], &[u8], &[u8]) -> bool) -> Self {
        anchors.sort_by_key(|anchor| anchor.seq);
        let elsewhere = || anchors.iter().find(|anchor| anchor.kept == Kept::Elsewhere);
        let key = key.or_else(|| elsewhere().or(anchors.first()).map(|anchor| anchor.public_key.as_slice())).map(<[u8]>::to_vec);
        let problem = |anchor: &Anchor| {
            let Ok(chain) = Hash::try_from(anchor.chain.as_slice()) else { return Some("its chain hash is no SHA-256 value") };
            if key.as_deref() != Some(anchor.public_key.as_slice()) {
                return Some("it was signed by another key");
            }
            let message = Head { seq: anchor.seq, chain }.signed_bytes(anchor.at);
            if signed(&anchor.public_key, &message, &anchor.signature) { None } else { Some("its signature does not fit") }
        };
        let judged: Vec<_> = anchors.iter().map(|anchor| (anchor.clone(), problem(anchor))).collect();
        let mut anchors = judged.into_iter();
        let next = anchors.next();
        let report = Report { end: Head::EMPTY, tampering: None, heads: 0, signed_to: None, anchored_to: None };
        let mut verifier = Self { anchors, next, report };
        verifier.meet_anchors();
        verifier
    }

    /// Takes the next row with what [`Inspected::of`] its event told; false: something is wrong, and further rows tell nothing.
    pub fn row(&mut self, row: &Row<'_>, inspected: &Inspected) -> bool {
        if self.report.tampering.is_none() {
            match self.judge(row, inspected) {
                Ok(end) => {
                    self.report.end = end;
                    self.meet_anchors();
                }
                Err(tampering) => self.report.tampering = Some(tampering),
            }
        }
        self.report.tampering.is_none()
    }

    /// The end of the log was reached.
    #[must_use]
    pub fn finish(mut self) -> Report {
        if self.report.tampering.is_none() {
            let end = self.report.end.seq;
            let beyond: Vec<_> = self.next.take().into_iter().chain(self.anchors.by_ref()).collect();
            self.report.tampering = beyond
                .iter()
                .map(|(anchor, problem)| problem.map_or_else(|| cut(end, anchor), |problem| unsigned(anchor, problem)))
                .min_by_key(|found| found.seq);
        }
        self.report
    }

    fn judge(&self, row: &Row<'_>, inspected: &Inspected) -> Result<Head, Tampering> {
        let before = self.report.end;
        let expected = before.seq + 1;
        let seq = u64::try_from(row.seq).unwrap_or(0);
        let found = |seq: u64, kind: Kind, detail: String| Err(Tampering { seq, kind, detail });
        match seq.cmp(&expected) {
            Ordering::Greater if seq == expected + 1 => return found(expected, Kind::Gap, format!("Event {expected} is missing.")),
            Ordering::Greater => return found(expected, Kind::Gap, format!("Events {expected} to {} are missing.", seq - 1)),
            Ordering::Less => {
                return found(seq, Kind::OutOfOrder, format!("A row says that it is event {}, after event {}.", row.seq, before.seq));
            }
            Ordering::Equal => {}
        }
        let leaf = inspected.leaf;
        let chain = chain_hash(&before.chain, &leaf);
        if row.leaf != leaf {
            return if row.chain == chain {
                found(seq, Kind::BadLeaf, format!("The leaf hash of event {seq} was changed; its bytes and its chain hash are whole."))
            } else {
                found(seq, Kind::ChangedEvent, format!("The bytes of event {seq} are not those that were hashed when it was written."))
            };
        }
        match inspected.seq {
            Some(inside) if inside == seq => {}
            Some(inside) => return found(seq, Kind::OutOfOrder, format!("In the place of event {seq} stands event {inside}.")),
            None => return found(seq, Kind::ChangedEvent, format!("The bytes of event {seq} are not the canonical form of an event.")),
        }
        if row.chain != chain {
            let other = if seq == 1 { String::new() } else { format!(", or event {} was rewritten together with its hashes", seq - 1) };
            return found(seq, Kind::BadChain, format!("The chain breaks at event {seq}: its chain hash was changed{other}."));
        }
        if !inspected.columns_agree {
            return found(
                seq,
                Kind::ChangedColumn,
                format!("The columns beside event {seq} do not say what its bytes say, which are whole."),
            );
        }
        Ok(Head { seq, chain })
    }

    /// Compares the heads that end here.
    fn meet_anchors(&mut self) {
        while self.report.tampering.is_none() {
            let Some((anchor, problem)) = self.next.take_if(|(anchor, _)| anchor.seq <= self.report.end.seq) else { return };
            self.next = self.anchors.next();
            let Head { seq, chain } = self.report.end;
            self.report.tampering = match problem {
                Some(problem) => Some(unsigned(&anchor, problem)),
                None if anchor.chain != chain => {
                    let since = self.report.anchored_to.max(self.report.signed_to).unwrap_or(0) + 1;
                    let detail = format!(
                        "The log up to event {seq} is consistent, but not the one that was signed at {}: something from event {since} on was rewritten. Signed {}, is {}.",
                        anchor.at,
                        hex(&anchor.chain),
                        hex(&chain)
                    );
                    Some(Tampering { seq, kind: Kind::RewrittenTail, detail })
                }
                None => None,
            };
            if self.report.tampering.is_none() {
                self.report.heads += 1;
                match anchor.kept {
                    Kept::Beside => self.report.signed_to = Some(seq),
                    Kept::Elsewhere => self.report.anchored_to = Some(seq),
                }
            }
        }
    }
}

fn cut(end: u64, anchor: &Anchor) -> Tampering {
    let detail = format!("The log ends with event {end}, but {} events were signed at {}: the tail was cut.", anchor.seq, anchor.at);
    Tampering { seq: end + 1, kind: Kind::CutTail, detail }
}

fn unsigned(anchor: &Anchor, problem: &str) -> Tampering {
    let whose = match anchor.kept {
        Kept::Beside => "The signed head",
        Kept::Elsewhere => "The head that was given",
    };
    let detail = format!("{whose} of event {}, from {}, does not count: {problem}.", anchor.seq, anchor.at);
    Tampering { seq: anchor.seq, kind: Kind::BadHeadSignature, detail }
}

#[cfg(test)]
mod tests;
