//! Owns `[database]`: which database, and nothing about how it is used.
//!
//! Never shows the URL: it may hold a password.

use crate::config::fields::{Fields, Section};
use crate::config::key::{Invalid, Key, Kind, Preset};
use secrecy::{ExposeSecret, SecretString};

/// The kind of database that a URL names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// A file on this machine.
    Sqlite,
    /// A server.
    Postgres,
}

/// `[database]`.
#[derive(Debug, Clone)]
pub struct Database {
    /// `sqlite://path` (relative to the working directory) or `postgres://…`.
    pub url: SecretString,
}

impl Database {
    /// What the URL names; none when it names neither.
    pub fn backend(&self) -> Option<Backend> {
        let url = self.url.expose_secret();
        if url.starts_with("sqlite://") {
            Some(Backend::Sqlite)
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Some(Backend::Postgres)
        } else {
            None
        }
    }
}

impl Default for Database {
    fn default() -> Self {
        Self { url: SecretString::from("sqlite://countersign.db") }
    }
}

impl Section for Database {
    const NAME: &'static str = "database";
    const HEADING: &'static str = "[database]";
    const KEYS: &'static [Key] = &[
        Key::new(
            "database",
            "url",
            Kind::Secret,
            Preset::Value("\"sqlite://countersign.db\""),
            "sqlite://PATH (made when absent, mode 0600, relative to the working directory) or postgres://… for several replicas.",
        ),
        Key::new("database", "migrate_url", Kind::Secret, Preset::Unsupported, "A separate owner role for migrations."),
    ];

    fn read(fields: &mut Fields<'_>) -> Self {
        fields.secret("url").map_or_else(Self::default, |url| Self { url })
    }

    fn validate(&self) -> Vec<Invalid> {
        let url = self.url.expose_secret();
        let problem = match self.backend() {
            None => Some("url must begin with sqlite:// or postgres://"),
            Some(Backend::Sqlite) => {
                let path = url.trim_start_matches("sqlite://").split('?').next().unwrap_or_default();
                if path.is_empty() {
                    Some("url names no file; write for example \"sqlite://countersign.db\"")
                } else if path == ":memory:" || url.contains("mode=memory") {
                    Some("url must name a file: a database in memory loses every decision at the end")
                } else {
                    None
                }
            }
            Some(Backend::Postgres) => match url::Url::parse(url) {
                Ok(_) => None,
                Err(_) => Some("url is not a valid postgres:// URL; special characters in a password must be written as %XX"),
            },
        };
        problem.map(|problem| Invalid::new("url", problem)).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(url: &str) -> Option<String> {
        Database { url: SecretString::from(url) }.validate().pop().map(|invalid| invalid.message)
    }

    #[test]
    fn files_and_servers_are_accepted() {
        for url in ["sqlite://countersign.db", "sqlite:///var/lib/cs/a.db", "postgres://u:p@h/db", "postgresql:///db?host=/run/postgresql"]
        {
            assert_eq!(problem(url), None, "{url}");
        }
    }

    #[test]
    fn everything_else_is_refused_without_showing_it() {
        for url in [
            "mysql://root:hunter2@h/db",
            "hunter2",
            "sqlite://",
            "sqlite://:memory:",
            "sqlite://x?mode=memory",
            "postgres://u:hunter2@h:x/db",
        ] {
            let message = problem(url).unwrap();
            assert!(!message.contains("hunter2"), "{message}");
        }
        assert!(!format!("{:?}", Database { url: SecretString::from("postgres://u:hunter2@h/db") }).contains("hunter2"));
    }
}
