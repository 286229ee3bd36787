//! Owns the key files of a test server: PostgreSQL never makes keys by itself, so every test brings its own.

use countersign::keys::{KeyKind, load_or_create};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Makes those of the three key files that are not there.
pub(crate) fn write(files: &Path) {
    for (name, kind) in [("countersign.key", KeyKind::Master), ("grant-key.pem", KeyKind::Grant), ("audit-key.pem", KeyKind::Audit)] {
        load_or_create(&files.join(name), kind, true).unwrap();
    }
}

/// Writes key files that were kept, as an operator does who restores a server.
pub(crate) fn restore(files: &Path, keys: &[(String, String)]) {
    for (name, text) in keys {
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(files.join(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }
}
