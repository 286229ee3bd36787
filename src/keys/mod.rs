//! Owns the three keys of a server: the master key, the key that signs grants, and the key that signs the head of the audit log.
//!
//! Never makes a key unless the caller says that it may (SQLite with an empty database): a key made anew beside old data would make stored texts
//! unreadable and old signatures foreign. Never shows key material; `Debug` of every type here is safe to log.

mod file;
mod master;
mod signing;

pub use master::{MasterKey, Purpose, SealError, Subkey};
pub use signing::{AuditKey, GrantKey, is_signed_by};

use crate::config::KeySource;
use secrecy::SecretString;
use std::path::{Path, PathBuf};

/// Which key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// 32 random bytes, base64.
    Master,
    /// EC P-256, PKCS#8 PEM.
    Grant,
    /// Ed25519, PKCS#8 PEM.
    Audit,
}

impl KeyKind {
    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Master => "master key",
            Self::Grant => "grant key",
            Self::Audit => "audit key",
        }
    }

    /// The command that makes one.
    const fn recipe(self) -> &'static str {
        match self {
            Self::Master => "openssl rand -base64 32",
            Self::Grant => "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256",
            Self::Audit => "openssl genpkey -algorithm ed25519",
        }
    }
}

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// No file, and none may be made.
    #[error("the {} {} does not exist, and a new one would not fit the data that exists; restore it, or make one for a new installation: umask 077; {} > {}", kind.name(), path.display(), kind.recipe(), path.display())]
    Missing {
        /// Which key.
        kind: KeyKind,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Others on the machine can read it.
    #[error("the {} {} has mode {mode:04o}: group or others can reach it; run: chmod 600 {}", kind.name(), path.display(), path.display())]
    Exposed {
        /// Which key.
        kind: KeyKind,
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Reading failed.
    #[error("cannot read the {} {}: {source}", kind.name(), path.display())]
    Read {
        /// Which key.
        kind: KeyKind,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Making the file failed.
    #[error("cannot make the {} {}: {source}", kind.name(), path.display())]
    Create {
        /// Which key.
        kind: KeyKind,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// What was read is no such key.
    #[error("the {} {origin} is not usable: {reason}; make one with: {}", kind.name(), kind.recipe())]
    Invalid {
        /// Which key.
        kind: KeyKind,
        /// The path, or "from the configuration".
        origin: String,
        /// What is wrong with its form; never a part of it.
        reason: &'static str,
    },
    /// The system gave no randomness.
    #[error("cannot make the {}: the system gave no random bytes", kind.name())]
    NoRandomness {
        /// Which key.
        kind: KeyKind,
    },
}

/// The text of a key and whether this call made it.
#[derive(Debug)]
pub struct Loaded {
    /// Base64 or PEM, checked to be a key of the kind.
    pub text: SecretString,
    /// Whether the file was made just now.
    pub created: bool,
}

/// Reads the key in `path`; when there is none and `may_create`, makes one. The file is made whole or not at all, with mode 0600; of two processes that
/// start at once both use the same key.
pub fn load_or_create(path: &Path, kind: KeyKind, may_create: bool) -> Result<Loaded, KeyError> {
    if let Some(text) = file::read(path, kind)? {
        check(&text, kind, &path.display().to_string())?;
        return Ok(Loaded { text, created: false });
    }
    if !may_create {
        return Err(KeyError::Missing { kind, path: path.to_owned() });
    }
    let created = file::create(path, kind, &make(kind)?)?;
    // What counts is what is on disk now: another process may have been faster.
    let text = file::read(path, kind)?.ok_or_else(|| KeyError::Missing { kind, path: path.to_owned() })?;
    check(&text, kind, &path.display().to_string())?;
    Ok(Loaded { text, created })
}

/// The key that `source` names: a text is taken as it is, a file is read or made.
pub fn load(source: &KeySource, kind: KeyKind, may_create: bool) -> Result<Loaded, KeyError> {
    match source {
        KeySource::File(path) => load_or_create(path, kind, may_create),
        KeySource::Text(text) => {
            check(text, kind, "from the configuration")?;
            Ok(Loaded { text: text.clone(), created: false })
        }
    }
}

fn make(kind: KeyKind) -> Result<SecretString, KeyError> {
    match kind {
        KeyKind::Master => master::generate(),
        KeyKind::Grant => signing::generate_grant(),
        KeyKind::Audit => signing::generate_audit(),
    }
    .ok_or(KeyError::NoRandomness { kind })
}

fn check(text: &SecretString, kind: KeyKind, origin: &str) -> Result<(), KeyError> {
    let result = match kind {
        KeyKind::Master => MasterKey::from_text(text).map(|_| ()),
        KeyKind::Grant => GrantKey::from_pem(text).map(|_| ()),
        KeyKind::Audit => AuditKey::from_pem(text).map(|_| ()),
    };
    result.map_err(|reason| KeyError::Invalid { kind, origin: origin.to_owned(), reason })
}

#[cfg(test)]
mod tests;
