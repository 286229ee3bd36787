//! Every way to tamper with a log, and what is said about it.

use super::*;
use crate::domain::audit::{Actor, Entry, GENESIS, Kind as EventKind, Sealed};
use crate::domain::ids::{ClientId, EventId, RequestId};

const KEY: &[u8] = b"the audit key";

/// Stands in for Ed25519: the "signature" is the key and the message.
fn signed(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    signature == [key, message].concat()
}

fn log(length: u64) -> Vec<Sealed> {
    rewritten(Vec::new(), length, "original")
}

/// Goes on from `before` with consistent hashes.
fn rewritten(before: Vec<Sealed>, length: u64, word: &str) -> Vec<Sealed> {
    let mut log = before;
    while (log.len() as u64) < length {
        let head = log.last().map_or(Head::EMPTY, Head::after);
        let id = EventId::new(Timestamp::from_millis(0), [0; 10]);
        log.push(
            Entry::new(EventKind::RequestCreated, Actor::System, None)
                .with("word", word)
                .prepare(&id, Timestamp::from_millis(0))
                .unwrap()
                .seal(&head),
        );
    }
    log
}

fn head(log: &[Sealed], kept: Kept) -> Anchor {
    let head = log.last().map_or(Head::EMPTY, Head::after);
    let at = Timestamp::from_millis(1_795_174_800_000);
    let signature = [KEY, &head.signed_bytes(at)].concat();
    Anchor { seq: head.seq, chain: head.chain.to_vec(), at, signature, public_key: KEY.to_vec(), kept }
}

fn verify(log: &[Sealed], anchors: Vec<Anchor>) -> Report {
    verify_with(log, anchors, Some(KEY))
}

fn verify_with(log: &[Sealed], anchors: Vec<Anchor>, key: Option<&[u8]>) -> Report {
    let mut verifier = Verifier::new(anchors, key, signed);
    for row in log {
        let inspected = Inspected::of(row.event.as_bytes(), None);
        let row = Row { seq: row.seq.cast_signed(), leaf: &row.leaf, chain: &row.chain };
        if !verifier.row(&row, &inspected) {
            break;
        }
    }
    verifier.finish()
}

fn found(log: &[Sealed], anchors: Vec<Anchor>) -> (u64, &'static str) {
    let tampering = verify(log, anchors).tampering.expect("nothing was found");
    assert!(tampering.detail.ends_with('.'));
    (tampering.seq, tampering.kind.as_str())
}

#[test]
fn a_whole_log_is_intact() {
    let log = log(9);
    let report = verify(&log, vec![head(&log, Kept::Elsewhere), head(&log[..4], Kept::Beside)]);
    assert_eq!(report, Report { end: Head::after(&log[8]), tampering: None, heads: 2, signed_to: Some(4), anchored_to: Some(9) });
    assert_eq!(verify(&log, Vec::new()).anchored_to, None);
    assert_eq!(verify(&[], Vec::new()).tampering, None);
    assert_eq!(verify(&[], vec![head(&[], Kept::Elsewhere)]).anchored_to, Some(0));
}

#[test]
fn a_changed_event_is_found_where_it_is() {
    let mut log = log(9);
    log[4].event = log[4].event.replace("original", "harmless");
    assert_eq!(found(&log, Vec::new()), (5, "changed_event"));
    // With a leaf hash that fits, the chain hash does not.
    log[4].leaf = leaf_hash(log[4].event.as_bytes());
    assert_eq!(found(&log, Vec::new()), (5, "bad_chain"));
    // With both, the next one does not follow.
    log[4].chain = chain_hash(&log[3].chain, &log[4].leaf);
    assert_eq!(found(&log, Vec::new()), (6, "bad_chain"));
}

#[test]
fn changed_hashes_are_told_apart() {
    let mut changed = log(5);
    changed[2].leaf[31] ^= 1;
    assert_eq!(found(&changed, Vec::new()), (3, "bad_leaf"));
    let mut changed = log(5);
    changed[2].chain[0] ^= 1;
    assert_eq!(found(&changed, Vec::new()), (3, "bad_chain"));
    let mut changed = log(5);
    changed[2].chain[0] ^= 1;
    changed[2].leaf[0] ^= 1;
    assert_eq!(found(&changed, Vec::new()), (3, "changed_event"));
}

#[test]
fn hashes_of_another_length_are_no_match() {
    let log = log(1);
    let mut verifier = Verifier::new(Vec::new(), None, signed);
    let inspected = Inspected::of(log[0].event.as_bytes(), None);
    assert!(!verifier.row(&Row { seq: 1, leaf: &log[0].leaf[..31], chain: &log[0].chain }, &inspected));
    assert_eq!(verifier.finish().tampering.unwrap().kind, Kind::BadLeaf);
    let mut verifier = Verifier::new(Vec::new(), None, signed);
    assert!(!verifier.row(&Row { seq: 1, leaf: &log[0].leaf, chain: &[] }, &inspected));
    assert_eq!(verifier.finish().tampering.unwrap().kind, Kind::BadChain);
}

#[test]
fn bytes_that_fit_the_hashes_but_are_not_canonical_are_no_event() {
    let mut log = log(1);
    log[0].event = log[0].event.replace("\"seq\":1", "\"seq\": 1");
    log[0].leaf = leaf_hash(log[0].event.as_bytes());
    log[0].chain = chain_hash(&GENESIS, &log[0].leaf);
    assert_eq!(found(&log, Vec::new()), (1, "changed_event"));
}

#[test]
fn a_missing_event_is_a_gap() {
    let whole = log(6);
    let without = |seqs: &[u64]| whole.iter().filter(|row| !seqs.contains(&row.seq)).cloned().collect::<Vec<_>>();
    assert_eq!(found(&without(&[1]), Vec::new()), (1, "gap"));
    assert_eq!(found(&without(&[3, 4]), Vec::new()), (3, "gap"));
    assert!(verify(&without(&[3, 4]), Vec::new()).tampering.unwrap().detail.contains("3 to 4"));
    // Renumbered to hide it.
    let mut hidden = without(&[3]);
    hidden[2].seq = 3;
    assert_eq!(found(&hidden, Vec::new()), (3, "out_of_order"));
}

#[test]
fn a_reordered_pair_is_found() {
    let mut log = log(6);
    log.swap(2, 3);
    (log[2].seq, log[3].seq) = (3, 4);
    assert_eq!(found(&log, Vec::new()), (3, "out_of_order"));
}

#[test]
fn a_repeated_or_absurd_place_is_out_of_order() {
    let mut log = log(3);
    log[2].seq = 2;
    assert_eq!(found(&log, Vec::new()), (2, "out_of_order"));
    let mut verifier = Verifier::new(Vec::new(), None, signed);
    assert!(!verifier.row(&Row { seq: -1, leaf: &[], chain: &[] }, &Inspected::of(b"{}", None)));
    assert_eq!(verifier.finish().tampering.unwrap().kind, Kind::OutOfOrder);
}

#[test]
fn a_cut_tail_shows_against_a_head() {
    let log = log(9);
    assert_eq!(verify(&log[..7], Vec::new()).tampering, None, "without a head nobody can know");
    assert_eq!(found(&log[..7], vec![head(&log, Kept::Elsewhere)]), (8, "cut_tail"));
    assert_eq!(found(&[], vec![head(&log, Kept::Beside)]), (1, "cut_tail"));
}

#[test]
fn a_rewritten_tail_shows_against_a_head() {
    let before = log(9);
    let after = rewritten(before[..6].to_vec(), 12, "harmless");
    assert_eq!(verify(&after, Vec::new()).tampering, None, "without a head nobody can know");
    let anchors = vec![head(&before[..5], Kept::Beside), head(&before, Kept::Elsewhere)];
    assert_eq!(found(&after, anchors.clone()), (9, "rewritten_tail"));
    assert!(verify(&after, anchors).tampering.unwrap().detail.contains("from event 6 on"));
    // The last event alone, hashes and all.
    let last = rewritten(before[..8].to_vec(), 9, "harmless");
    assert_eq!(found(&last, vec![head(&before, Kept::Elsewhere)]), (9, "rewritten_tail"));
}

#[test]
fn a_head_counts_only_when_the_audit_key_signed_it() {
    let log = log(9);
    let mut forged = head(&log[..4], Kept::Beside);
    forged.signature[3] ^= 1;
    assert_eq!(found(&log, vec![forged.clone()]), (4, "bad_head_signature"));
    // Signed properly, but by somebody else.
    let mut foreign = head(&log, Kept::Beside);
    foreign.public_key = b"another key".to_vec();
    foreign.signature = [b"another key".as_slice(), &Head::after(&log[8]).signed_bytes(foreign.at)].concat();
    assert_eq!(found(&log, vec![foreign.clone()]), (9, "bad_head_signature"));
    assert_eq!(verify_with(&log, vec![foreign.clone()], None).tampering, None, "no other key is known");
    // A head kept elsewhere says which key.
    let both = vec![foreign, head(&log, Kept::Elsewhere)];
    assert_eq!(verify_with(&log, both, None).tampering.unwrap().kind, Kind::BadHeadSignature);
    // The first thing that is wrong is told.
    let mut changed = log;
    changed[6].chain[0] ^= 1;
    assert_eq!(found(&changed, vec![forged]), (4, "bad_head_signature"));
    // A head for more events than there are, and its signature is wrong too: not evidence of a cut.
    let mut further = head(&rewritten(Vec::new(), 20, "x"), Kept::Elsewhere);
    further.signature.clear();
    assert_eq!(found(&changed[..2], vec![further]), (20, "bad_head_signature"));
}

#[test]
fn columns_must_say_what_the_bytes_say() {
    let at = Timestamp::from_millis(1_795_174_800_123);
    let (client, request) = (ClientId::new(at, [1; 10]), RequestId::new(at, [2; 10]));
    let entry = Entry::new(EventKind::GrantMinted, Actor::Client(client.clone()), Some(&request)).with("n", 1);
    let sealed = entry.prepare(&EventId::new(at, [3; 10]), at).unwrap().seal(&Head::EMPTY);
    let right = Columns {
        at: at.as_millis(),
        kind: "grant.minted",
        actor_kind: "client",
        actor_id: Some(client.as_str()),
        request: Some(request.as_str()),
    };
    let kind = |columns: &Columns<'_>| {
        let mut verifier = Verifier::new(Vec::new(), None, signed);
        verifier.row(&Row { seq: 1, leaf: &sealed.leaf, chain: &sealed.chain }, &Inspected::of(sealed.event.as_bytes(), Some(columns)));
        verifier.finish().tampering.map(|found| found.kind.as_str())
    };
    assert_eq!(kind(&right), None);
    for wrong in [
        Columns { at: right.at + 1, ..right },
        Columns { kind: "grant.refused", ..right },
        Columns { actor_kind: "person", ..right },
        Columns { actor_id: None, ..right },
        Columns { request: None, ..right },
        Columns { request: Some("req_"), ..right },
    ] {
        assert_eq!(kind(&wrong), Some("changed_column"), "{wrong:?}");
    }
    let system = rewritten(Vec::new(), 1, "x");
    let columns = Columns { at: 0, kind: "request.created", actor_kind: "system", actor_id: None, request: None };
    assert!(columns.agree_with(system[0].event.as_bytes()));
}
