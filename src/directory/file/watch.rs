//! Owns noticing that a file changed: its stamp at each look, its bytes while the stamp cannot be trusted yet.
//!
//! Never trusts a stamp too early: times of files come in ticks of some milliseconds (on some systems seconds), so a file that is written twice within a
//! tick can keep its stamp. Until a look has found the bytes unchanged a while after the stamp was first seen, each look reads them.

use sha2::{Digest, Sha256};
use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Longer than a tick of any file system in use (FAT has two seconds).
const SETTLES_AFTER: Duration = Duration::from_secs(3);
/// How often a file may change while it is being read.
const ATTEMPTS: usize = 3;
/// 100,000 people take about 20 MB; more is the wrong file.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// What identifies a state of a file without reading it. The change time cannot be set back by tools that keep the modification time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl From<&Metadata> for Stamp {
    fn from(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// What is known of the file; by default nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct Watch {
    seen: Option<Seen>,
}

#[derive(Debug, Clone)]
struct Seen {
    stamp: Stamp,
    bytes: [u8; 32],
    since: Instant,
    settled: bool,
}

/// The result of a look.
pub(super) enum Look {
    /// The same bytes as before.
    Unchanged(Watch),
    /// Other bytes: the text, or why it is none.
    Changed(Watch, Result<String, String>),
    /// The file cannot be read.
    Failed(String),
}

/// Looks at `path`. Blocks on the file system.
pub(super) fn look(path: &Path, known: &Watch) -> Look {
    if let Some(seen) = known.seen.as_ref().filter(|seen| seen.settled) {
        match std::fs::metadata(path) {
            Ok(metadata) if Stamp::from(&metadata) == seen.stamp => return Look::Unchanged(known.clone()),
            Ok(_) => {}
            Err(error) => return Look::Failed(error.to_string()),
        }
    }
    let started = Instant::now();
    match read(path) {
        Ok((stamp, bytes)) => compare(known, stamp, bytes, started),
        Err(problem) => Look::Failed(problem),
    }
}

fn compare(known: &Watch, stamp: Stamp, bytes: Vec<u8>, started: Instant) -> Look {
    let digest: [u8; 32] = Sha256::digest(&bytes).into();
    let before = known.seen.as_ref();
    let since = before.filter(|seen| seen.stamp == stamp && seen.bytes == digest).map_or(started, |seen| seen.since);
    let settled = started.duration_since(since) >= SETTLES_AFTER;
    let watch = Watch { seen: Some(Seen { stamp, bytes: digest, since, settled }) };
    if before.is_some_and(|seen| seen.bytes == digest) {
        return Look::Unchanged(watch);
    }
    Look::Changed(watch, String::from_utf8(bytes).map_err(|_| "the file is not UTF-8 text".to_owned()))
}

/// The bytes and the stamp that they had before and after: a file that changes meanwhile is read again.
fn read(path: &Path) -> Result<(Stamp, Vec<u8>), String> {
    for _ in 0..ATTEMPTS {
        let mut file = File::open(path).map_err(|error| error.to_string())?;
        let before = file.metadata().map_err(|error| error.to_string())?;
        if !before.is_file() {
            return Err("not a file".to_owned());
        }
        if before.len() > MAX_BYTES {
            return Err("larger than 64 MiB".to_owned());
        }
        let mut bytes = Vec::new();
        (&mut file).take(MAX_BYTES).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        let after = file.metadata().map_err(|error| error.to_string())?;
        if Stamp::from(&before) == Stamp::from(&after) {
            return Ok((Stamp::from(&after), bytes));
        }
    }
    Err("it changes faster than it can be read".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp() -> Stamp {
        Stamp { device: 1, inode: 1, length: 1, modified: (1, 1), changed: (1, 1) }
    }

    #[test]
    fn the_same_stamp_hides_no_change_before_it_settled() {
        let start = Instant::now();
        let Look::Changed(first, Ok(text)) = compare(&Watch::default(), stamp(), b"a".to_vec(), start) else { panic!("new") };
        assert_eq!(text, "a");
        assert!(!first.seen.as_ref().unwrap().settled);
        // Written again within the tick: the stamp is the same, the bytes are not.
        let Look::Changed(second, Ok(text)) = compare(&first, stamp(), b"b".to_vec(), start + Duration::from_secs(2)) else {
            panic!("changed")
        };
        assert_eq!(text, "b");
        // The wait begins anew with the change, and ends with a look at the same bytes.
        let Look::Unchanged(third) = compare(&second, stamp(), b"b".to_vec(), start + Duration::from_secs(4)) else { panic!("unchanged") };
        assert!(!third.seen.as_ref().unwrap().settled);
        let Look::Unchanged(fourth) = compare(&third, stamp(), b"b".to_vec(), start + Duration::from_secs(5)) else { panic!("unchanged") };
        assert!(fourth.seen.unwrap().settled);
    }

    #[test]
    fn a_settled_file_is_not_read_until_its_stamp_differs() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        std::fs::write(&path, "a").unwrap();
        let (stamp, _) = read(&path).unwrap();
        // Another digest than the file's: only a look that does not read can call this unchanged.
        let seen = Seen { stamp, bytes: [0; 32], since: Instant::now(), settled: true };
        assert!(matches!(look(&path, &Watch { seen: Some(seen.clone()) }), Look::Unchanged(_)));
        std::fs::write(&path, "ab").unwrap();
        assert!(matches!(look(&path, &Watch { seen: Some(seen.clone()) }), Look::Changed(_, Ok(text)) if text == "ab"));
        // The same name, length and time, but another file.
        std::fs::write(directory.path().join("g"), "b").unwrap();
        std::fs::rename(directory.path().join("g"), &path).unwrap();
        assert!(matches!(look(&path, &Watch { seen: Some(seen.clone()) }), Look::Changed(_, Ok(text)) if text == "b"));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(look(&path, &Watch { seen: Some(seen) }), Look::Failed(_)));
    }
}
