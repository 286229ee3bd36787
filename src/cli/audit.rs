//! Owns `countersign audit verify`: reads the whole log and tells whether it is the one that was written.
//!
//! Never writes to the database, and never needs the server. What is checked, and what it proves, stands in `domain::audit::verify`.
//!
//! Exit codes: 0 intact, 1 tampered with, 2 the log (or what is needed to judge it) cannot be read.

use super::output::{Output, Style, thousands};
use super::{Context, migrate};
use crate::config::{Config, KeySource};
use crate::domain::audit::verify::{Anchor, Columns, Inspected, Kept, Report, Row, Verifier};
use crate::domain::audit::{Head, hex};
use crate::domain::time::Timestamp;
use crate::keys::{self, AuditKey, KeyKind};
use crate::store::{RawEvent, SignedHead, Store, StoreError};
use anyhow::{Context as _, bail};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

const TAMPERED: u8 = 1;
const UNREADABLE: u8 = 2;

/// Rows per reading.
const CHUNK: u32 = 5_000;

/// Chunks that are read ahead and looked at while one is judged.
const AHEAD: usize = 4;

/// What the first line of a head file says.
const FORMAT: &str = "countersign-audit-head/v1";

const EXAMPLES: &str = "\
Examples:
  countersign audit verify
  countersign audit verify --save-head head-2026-11.json     keep this file elsewhere, e.g. in your ticket system
  countersign audit verify --head head-2026-11.json          finds a cut or rewritten tail as well

Exit code: 0 intact; 1 tampered with, the first bad event and the kind are told; 2 the log cannot be read.
Kinds: changed_event changed_column bad_leaf bad_chain gap out_of_order bad_head_signature cut_tail rewritten_tail.";

/// What to do with the log.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Verify every event, the chain over them, and the signed heads
    #[command(after_help = EXAMPLES)]
    Verify(Verify),
}

/// Against what, and what to keep.
#[derive(Debug, clap::Args)]
pub(super) struct Verify {
    /// A signed head that was kept elsewhere; the log must reach it and agree with it
    #[arg(long, value_name = "FILE")]
    head: Option<PathBuf>,
    /// After an intact log: write its present signed head there, to be kept elsewhere
    #[arg(long, value_name = "FILE")]
    save_head: Option<PathBuf>,
}

/// A signed head as a file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeadFile {
    format: String,
    seq: u64,
    chain_hash: String,
    at: Timestamp,
    signature: String,
    public_key: String,
}

/// Runs one of them.
pub(super) async fn run(context: &Context, command: Command) -> anyhow::Result<ExitCode> {
    let Command::Verify(verify) = command;
    match verified(context, &verify).await {
        Ok(code) => Ok(code),
        Err(error) => {
            context.out.error(&error);
            Ok(ExitCode::from(UNREADABLE))
        }
    }
}

async fn verified(context: &Context, verify: &Verify) -> anyhow::Result<ExitCode> {
    let given = verify.head.as_deref().map(read_head).transpose()?;
    let config = context.load_config()?;
    let key = audit_key(&config)?;
    if let Some(file) = migrate::sqlite_file(&config.database).filter(|file| !file.exists()) {
        bail!("there is no database {}; [database] url is relative to the working directory", file.display());
    }
    let url = config.database.url.expose_secret();
    let store = Store::open_read_only(url).await.with_context(|| format!("cannot open the {}", migrate::describe(&config.database)))?;
    let read = read(context.out, &store, given, key.as_ref()).await;
    store.close().await;
    let (report, last) = read?;
    let saved = match (&verify.save_head, &report.tampering) {
        (Some(file), None) => Some(save_head(file, last.as_ref())?),
        _ => None,
    };
    show(context.out, &report, key.is_some() || verify.head.is_some(), verify.save_head.as_deref().zip(saved))?;
    Ok(if report.tampering.is_none() { ExitCode::SUCCESS } else { ExitCode::from(TAMPERED) })
}

/// Verifies the log of an open database; the backup does so with its copy.
pub(super) async fn report(out: Output, store: &Store, config: &Config) -> anyhow::Result<Report> {
    let key = audit_key(config)?;
    read(out, store, None, key.as_ref()).await.map(|(report, _)| report)
}

/// The key that must have signed the heads; none where this machine has it not, as an auditor's has not.
fn audit_key(config: &Config) -> anyhow::Result<Option<AuditKey>> {
    if matches!(&config.audit.checkpoint_key, KeySource::File(file) if !file.exists()) {
        return Ok(None);
    }
    let loaded = keys::load(&config.audit.checkpoint_key, KeyKind::Audit, false)?;
    AuditKey::from_pem(&loaded.text).map(Some).map_err(|reason| anyhow::anyhow!("the audit key is not usable: {reason}"))
}

/// Reads the log once, in chunks; the next ones are read and hashed while this one is judged.
async fn read(out: Output, store: &Store, given: Option<Anchor>, key: Option<&AuditKey>) -> anyhow::Result<(Report, Option<SignedHead>)> {
    let heads = store.signed_heads().await.context("cannot read the signed heads")?;
    let total = store.audit_head().await.map_or(0, |head| head.seq);
    let last = heads.iter().max_by_key(|signed| signed.head.seq).cloned();
    let anchors = heads.iter().map(beside).chain(given).collect();
    let mut verifier = Verifier::new(anchors, key.map(|key| key.public_key().as_slice()), keys::is_signed_by);
    let (send, mut chunks) = mpsc::channel(AHEAD);
    let reader = tokio::spawn(fetch(store.clone(), send));
    let (mut progress, mut done) = (out.progress(), 0_u64);
    'log: while let Some(chunk) = chunks.recv().await {
        let rows = chunk.context("cannot read the log")?.await.context("looking at the log was interrupted")?;
        for (row, inspected) in &rows {
            if !verifier.row(&Row { seq: row.seq, leaf: &row.leaf_hash, chain: &row.chain_hash }, inspected) {
                break 'log;
            }
            done += 1;
        }
        progress.show(&format!("verifying: {} of {} events", thousands(done), thousands(total.max(done))));
    }
    reader.abort();
    Ok((verifier.finish(), last))
}

/// Rows that are being looked at, on a thread of their own.
type Chunk = Result<JoinHandle<Vec<(RawEvent, Inspected)>>, StoreError>;

/// Sends the log chunk by chunk in its order, each already being looked at, until it ends or nobody listens.
async fn fetch(store: Store, send: mpsc::Sender<Chunk>) {
    let mut after = 0;
    loop {
        let rows = store.raw_events(after, CHUNK).await;
        let last = rows.as_ref().ok().and_then(|rows| rows.last()).map(|row| u64::try_from(row.seq).unwrap_or(u64::MAX));
        let chunk = rows.map(|rows| tokio::task::spawn_blocking(move || rows.into_iter().map(inspect).collect()));
        let Some(last) = last else {
            // The end, or an error.
            let _ = send.send(chunk).await;
            return;
        };
        after = last;
        if send.send(chunk).await.is_err() {
            return;
        }
    }
}

fn inspect(row: RawEvent) -> (RawEvent, Inspected) {
    let beside = Columns {
        at: row.at,
        kind: &row.kind,
        actor_kind: &row.actor_kind,
        actor_id: row.actor_id.as_deref(),
        request: row.request_id.as_deref(),
    };
    let inspected = Inspected::of(row.event.as_bytes(), Some(&beside));
    (row, inspected)
}

fn beside(signed: &SignedHead) -> Anchor {
    Anchor {
        seq: signed.head.seq,
        chain: signed.head.chain.to_vec(),
        at: signed.at,
        signature: signed.signature.clone(),
        public_key: signed.public_key.clone(),
        kept: Kept::Beside,
    }
}

fn read_head(file: &Path) -> anyhow::Result<Anchor> {
    let wrong = || format!("{} is not a head that --save-head wrote", file.display());
    let bytes = std::fs::read(file).with_context(|| format!("cannot read the head {}", file.display()))?;
    let head: HeadFile = serde_json::from_slice(&bytes).with_context(wrong)?;
    if head.format != FORMAT {
        bail!("{}: its format is not {FORMAT}", wrong());
    }
    let bytes = |name: &str, text: &str| unhex(text).with_context(|| format!("{}: {name} is not hexadecimal", wrong()));
    Ok(Anchor {
        seq: head.seq,
        chain: bytes("chain_hash", &head.chain_hash)?,
        at: head.at,
        signature: bytes("signature", &head.signature)?,
        public_key: bytes("public_key", &head.public_key)?,
        kept: Kept::Elsewhere,
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

/// Writes the last signed head, whole or not at all.
fn save_head(file: &Path, last: Option<&SignedHead>) -> anyhow::Result<u64> {
    let Some(SignedHead { head: Head { seq, chain }, at, signature, public_key }) = last else {
        bail!("there is no signed head yet: the server signs one every minute while events come in, and when it stops");
    };
    let head = HeadFile {
        format: FORMAT.to_owned(),
        seq: *seq,
        chain_hash: hex(chain),
        at: *at,
        signature: hex(signature),
        public_key: hex(public_key),
    };
    let text = format!("{}\n", serde_json::to_string_pretty(&head)?);
    let temporary = file.with_added_extension(format!("{}.tmp", std::process::id()));
    let written = std::fs::File::create_new(&temporary).and_then(|mut to| to.write_all(text.as_bytes()).and_then(|()| to.sync_all()));
    written
        .and_then(|()| std::fs::rename(&temporary, file))
        .inspect_err(|_| drop(std::fs::remove_file(&temporary)))
        .with_context(|| format!("cannot write the head {}", file.display()))?;
    Ok(*seq)
}

fn show(out: Output, report: &Report, key_known: bool, saved: Option<(&Path, u64)>) -> anyhow::Result<()> {
    let Report { end, tampering, heads, signed_to, anchored_to } = report;
    let anchored = *anchored_to == Some(end.seq);
    if out.json {
        return out.document(&json!({
            "result": if tampering.is_some() { "tampered" } else { "intact" },
            "events": end.seq,
            "chain_hash": hex(&end.chain),
            "first_bad_seq": tampering.as_ref().map(|found| found.seq),
            "kind": tampering.as_ref().map(|found| found.kind),
            "detail": tampering.as_ref().map(|found| &found.detail),
            "heads": heads,
            "signed_to": signed_to,
            "anchored_to": anchored_to,
            "end_anchored": tampering.is_none() && anchored,
            "key_known": key_known,
            "saved_head": saved.map(|(file, seq)| json!({"file": file.display().to_string(), "seq": seq})),
        }));
    }
    if let Some(found) = tampering {
        out.line(format!(
            "{} event {}: {}",
            out.paint(Style::Red, "tampered:"),
            thousands(found.seq),
            out.paint(Style::Bold, found.kind.as_str())
        ));
        out.line(format!("  {}", found.detail));
        out.line(format!("  {} before it are whole and in order.", events(end.seq.min(found.seq.saturating_sub(1)))));
        return Ok(());
    }
    out.line(format!("{} {}, every hash and the whole chain fit", out.paint(Style::Green, "intact:"), events(end.seq)));
    out.line(format!("  chain hash   {}", hex(&end.chain)));
    match signed_to {
        Some(seq) if *seq == end.seq => out.line(format!("  signed       up to the end ({})", thousands(*seq))),
        Some(seq) => out.line(format!("  signed       up to event {}; {} since then", thousands(*seq), events(end.seq - seq))),
        None => out.line("  signed       no signed head stands beside the log"),
    }
    match anchored_to {
        Some(_) if anchored => out.line("  anchored     up to the end, by the head that was given"),
        Some(seq) => out.line(format!("  anchored     up to event {} by the head that was given; end not anchored: {} since then", thousands(*seq), events(end.seq - seq))),
        None => out.line(format!("  {}", out.paint(Style::Yellow, "end not anchored: a tail cut off together with its heads would not show; keep a head elsewhere (--save-head), give it back with --head"))),
    }
    if !key_known && signed_to.is_some() {
        out.line(format!(
            "  {}",
            out.paint(
                Style::Yellow,
                "key unknown: [audit] checkpoint_key is not on this machine, so whose signatures these are is not shown"
            )
        ));
    }
    if let Some((file, seq)) = saved {
        out.line(format!("  saved        the head of event {} in {}", thousands(seq), file.display()));
    }
    Ok(())
}

pub(super) fn events(number: u64) -> String {
    format!("{} event{}", thousands(number), if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed() -> SignedHead {
        let head = Head { seq: 7, chain: [0xab; 32] };
        SignedHead { head, at: Timestamp::from_millis(1_795_174_800_000), signature: vec![1; 64], public_key: vec![2; 32] }
    }

    #[test]
    fn a_saved_head_is_read_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("head.json");
        assert_eq!(save_head(&file, Some(&signed())).unwrap(), 7);
        assert_eq!(read_head(&file).unwrap(), Anchor { kept: Kept::Elsewhere, ..beside(&signed()) });
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
        assert!(save_head(&file, None).is_err());
    }

    #[test]
    fn another_file_is_no_head() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("head.json");
        for text in [
            "",
            "{}",
            r#"{"format":"countersign-audit-head/v2","seq":1,"chain_hash":"","at":"2026-11-20T11:40:00.000Z","signature":"","public_key":""}"#,
            r#"{"format":"countersign-audit-head/v1","seq":1,"chain_hash":"xy","at":"2026-11-20T11:40:00.000Z","signature":"","public_key":""}"#,
        ] {
            std::fs::write(&file, text).unwrap();
            assert!(read_head(&file).is_err(), "{text}");
        }
    }

    #[test]
    fn hexadecimal_is_read_strictly() {
        assert_eq!(unhex("00ff"), Some(vec![0, 255]));
        assert_eq!((unhex("0"), unhex("0g"), unhex("+1"), unhex("é")), (None, None, None, None));
    }
}
