//! Owns the key files of a test server: PostgreSQL never makes keys by itself, so every test brings its own.

use countersign::keys::{KeyKind, load_or_create};
use std::path::Path;

/// Makes the three key files.
pub(crate) fn write(files: &Path) {
    for (name, kind) in [("countersign.key", KeyKind::Master), ("grant-key.pem", KeyKind::Grant), ("audit-key.pem", KeyKind::Audit)] {
        load_or_create(&files.join(name), kind, true).unwrap();
    }
}
