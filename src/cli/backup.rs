//! Owns `countersign backup`: a copy of the SQLite database while the server works on it, verified before it gets its name.
//!
//! Never overwrites a file, never leaves half a copy under the name that was asked for, and never copies a key: whoever has both a copy
//! and the master key can read what people wrote, so they are to be kept apart.

use super::output::{Output, Style};
use super::{Context, Stop, audit, migrate};
use crate::config::{Config, KeySource};
use crate::keys::KeyKind;
use crate::store::Store;
use anyhow::{Context as _, bail};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub(super) const EXAMPLES: &str = "\
Examples:
  countersign backup /var/backups/countersign-2026-11-20.db     the server may go on working
  countersign --config /etc/countersign/countersign.toml backup copy.db

The copy is one moment of the database, with mode 0600, and was verified: its pages, and every event of its audit log.
To restore: stop the server, put the copy in the place of the database, remove the files NAME-wal and NAME-shm beside it, start.
PostgreSQL: use pg_dump.";

const POSTGRES: &str = "\
countersign backup copies an SQLite database; PostgreSQL has tools of its own, which also copy a database in use:
  pg_dump --format=custom --no-owner --file=countersign.dump \"$URL\"      with $URL as in [database] url
  pg_restore --exit-on-error --no-owner --dbname=\"$URL\" countersign.dump  into an empty database
Back up the keys as well, and apart from it:";

/// Where to.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The copy; it must not exist yet
    file: PathBuf,
}

/// Copies and says what else belongs to a backup.
pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<ExitCode> {
    let config = context.load_config()?;
    let beside = keys(&config);
    let Some(database) = migrate::sqlite_file(&config.database) else {
        return Err(Stop::new(1, format!("{POSTGRES}\n  {}", beside.join("\n  "))).into());
    };
    if !database.exists() {
        bail!("there is no database {}; [database] url is relative to the working directory", database.display());
    }
    let store = migrate::open(&config.database).await?;
    let events = write(context.out, &store, &args.file, &config).await;
    store.close().await;
    let events = events?;
    let out = context.out;
    if out.json {
        let (database, file) = (database.display().to_string(), args.file.display().to_string());
        out.document(&json!({"ok": true, "database": database, "file": file, "events": events, "also_back_up": beside}))?;
    } else {
        let (file, events) = (args.file.display(), audit::events(events));
        out.line(format!(
            "{} {} is copied to {file}: it is whole, and so is its log of {events}",
            out.paint(Style::Green, "ok:"),
            migrate::describe(&config.database)
        ));
        out.line("Back up as well, but not in the same place, because together they show what people wrote:");
        for line in beside {
            out.line(format!("  {line}"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The keys without which a copy cannot be used.
fn keys(config: &Config) -> Vec<String> {
    let sources = [
        (KeyKind::Master, &config.secrets.master_key),
        (KeyKind::Grant, &config.grants.key),
        (KeyKind::Audit, &config.audit.checkpoint_key),
    ];
    let place = |source: &KeySource| match source {
        KeySource::File(file) => file.display().to_string(),
        KeySource::Text(_) => "from the configuration or the environment".to_owned(),
    };
    sources.into_iter().map(|(kind, source)| format!("the {}: {}", kind.name(), place(source))).collect()
}

/// Makes the copy beside its place, looks at it, and moves it there; answers with the length of its log.
async fn write(out: Output, store: &Store, file: &Path, config: &Config) -> anyhow::Result<u64> {
    // Taken at once, so that nobody else's file is replaced by the move below.
    create(file).with_context(|| format!("cannot make {}; a backup never overwrites a file", file.display()))?;
    let partial = file.with_added_extension("partial");
    let copied = async {
        create(&partial).with_context(|| {
            format!("cannot make {}, where the copy grows; was a backup interrupted? Then remove it", partial.display())
        })?;
        let done = copy(out, store, &partial, config).await;
        let moved = done.and_then(|events| {
            std::fs::rename(&partial, file).map(|()| events).with_context(|| format!("cannot move the copy to {}", file.display()))
        });
        moved.inspect_err(|_| drop(std::fs::remove_file(&partial)))
    };
    let events = copied.await.inspect_err(|_| drop(std::fs::remove_file(file)))?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(folder).and_then(|folder| folder.sync_all()).with_context(|| format!("cannot flush {}", folder.display()))?;
    Ok(events)
}

async fn copy(out: Output, store: &Store, file: &Path, config: &Config) -> anyhow::Result<u64> {
    let known = store.audit_head().await.context("cannot read the end of the log")?;
    store.copy_to(file).await.context("the database could not be copied")?;
    let copied = Store::open_still(file);
    let verified = verify(out, &copied, known.seq, config).await;
    copied.close().await;
    let events = verified?;
    std::fs::File::open(file).and_then(|file| file.sync_all()).context("the copy cannot be flushed to disk")?;
    Ok(events)
}

async fn verify(out: Output, copied: &Store, at_least: u64, config: &Config) -> anyhow::Result<u64> {
    if let Some(damage) = copied.damage().await.context("the copy cannot be read")? {
        bail!("the copy is damaged, and so may be the database: {damage}");
    }
    let report = audit::report(out, copied, config).await?;
    if let Some(found) = &report.tampering {
        let (seq, kind) = (found.seq, found.kind.as_str());
        bail!(
            "the audit log was tampered with (event {seq}: {kind}): stop the server, keep the database file itself as evidence, and see countersign audit verify"
        );
    }
    if report.end.seq < at_least {
        bail!("the copy ends before the log did when it began");
    }
    Ok(report.end.seq)
}

/// A new file that its owner alone can read.
fn create(file: &Path) -> std::io::Result<()> {
    let mut open = std::fs::OpenOptions::new();
    open.write(true).create_new(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut open, 0o600);
    open.open(file).map(drop)
}
