//! Owns key files: reading one that only we can read, and making one that is whole or not there.
//!
//! Never reads a file that group or others can reach, and never replaces one.

use crate::keys::{KeyError, KeyKind};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use secrecy::{ExposeSecret, SecretString};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Far more than any key takes.
const MAX_BYTES: u64 = 64 * 1024;

/// The text of the file; none when there is no file.
pub(super) fn read(path: &Path, kind: KeyKind) -> Result<Option<SecretString>, KeyError> {
    let failed = |source| KeyError::Read { kind, path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        // A dangling link is not "no file": a key was meant to be there.
        Err(error) if error.kind() == ErrorKind::NotFound && path.symlink_metadata().is_err() => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    // Asked of the open file, so that it cannot be another one by now.
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(failed(io::Error::new(ErrorKind::InvalidInput, "not a file")));
    }
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Exposed { kind, path: path.to_owned(), mode });
    }
    let mut text = String::new();
    file.take(MAX_BYTES).read_to_string(&mut text).map_err(failed)?;
    Ok(Some(SecretString::from(text)))
}

/// Makes the file with `text`, unless it exists by now; tells which. The text is written and synced under another name first, so a crash leaves either
/// no key or a whole one.
pub(super) fn create(path: &Path, kind: KeyKind, text: &SecretString) -> Result<bool, KeyError> {
    let failed = |source| KeyError::Create { kind, path: path.to_owned(), source };
    let draft = draft_path(path).ok_or(KeyError::NoRandomness { kind })?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).map_err(failed)?;
    let written = file.write_all(text.expose_secret().as_bytes()).and_then(|()| file.sync_all());
    let result = written.and_then(|()| match std::fs::hard_link(&draft, path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    });
    let removed = std::fs::remove_file(&draft);
    let created = result.map_err(failed)?;
    removed.map_err(failed)?;
    File::open(directory_of(path)).and_then(|directory| directory.sync_all()).map_err(failed)?;
    Ok(created)
}

/// A name beside the file, because a link stays within one file system. Random: processes in two containers can share a directory and a process id.
fn draft_path(path: &Path) -> Option<PathBuf> {
    let mut random = [0_u8; 8];
    SystemRandom::new().fill(&mut random).ok()?;
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    Some(directory_of(path).join(format!(".{name}.{:016x}.new", u64::from_be_bytes(random))))
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
