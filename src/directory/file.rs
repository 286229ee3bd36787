//! Owns `directory.toml` as a source: looked at with each question, read again when changed, swapped whole.
//!
//! Never goes on saying yes from a file that is invalid or gone: from that moment answers are not fresh, until it is valid again.

mod parse;
mod roster;
mod watch;

#[cfg(test)]
mod tests;

use crate::config::ConfigError;
use crate::directory::{Answer, Asked, Directory, DirectoryError, Health, Identity, Record};
use crate::domain::time::Timestamp;
use roster::Roster;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::Mutex;
use watch::{Look, Watch};

/// The name of this source.
const SOURCE: &str = "file";

/// People from a file.
pub struct FileDirectory {
    path: PathBuf,
    /// Held while the file is looked at, so that of many questions after a change one reads it and the others wait for the result.
    state: Mutex<State>,
}

struct State {
    watch: Watch,
    /// What is wrong with the file now; none: valid.
    problem: Option<String>,
    /// The last valid people and when they were last seen to be so.
    valid: Option<(Arc<Roster>, Timestamp)>,
}

/// The people to answer from.
struct Present {
    roster: Arc<Roster>,
    as_of: Timestamp,
    fresh: bool,
}

impl FileDirectory {
    /// Reads `path` for the first time. An invalid or missing file is no error here: every question will say so, until it is valid.
    pub fn open(path: &Path, now: Timestamp) -> Self {
        let mut state = State { watch: Watch::default(), problem: Some("not read yet".to_owned()), valid: None };
        state.take(watch::look(path, &Watch::default()), path, now);
        Self { path: path.to_owned(), state: Mutex::new(state) }
    }

    /// Reads `path` once and returns everybody in it, or all its mistakes with line and column.
    pub fn check(path: &Path) -> Result<Vec<Record>, Vec<ConfigError>> {
        let text = std::fs::read_to_string(path).map_err(|error| vec![parse::unreadable(path, &error)])?;
        parse::parse(&path.display().to_string(), &text)
    }

    /// Looks at the file and tells what to answer from.
    async fn present(&self, now: Timestamp) -> Result<Present, DirectoryError> {
        let mut state = self.state.lock().await;
        let known = state.watch.clone();
        let path = self.path.clone();
        // The file may be on a slow disk and large: not on a thread that serves others. A panic there leaves no look, and so no fresh answer.
        let look = tokio::task::spawn_blocking(move || watch::look(&path, &known))
            .await
            .unwrap_or_else(|_| Look::Failed("reading it was interrupted".to_owned()));
        state.take(look, &self.path, now);
        match (&state.valid, &state.problem) {
            (Some((roster, as_of)), problem) => Ok(Present { roster: Arc::clone(roster), as_of: *as_of, fresh: problem.is_none() }),
            (None, problem) => Err(DirectoryError::Unavailable {
                source_name: SOURCE,
                problem: problem.clone().unwrap_or_else(|| "never valid".to_owned()),
            }),
        }
    }
}

impl State {
    fn take(&mut self, look: Look, path: &Path, now: Timestamp) {
        match look {
            Look::Unchanged(watch) => self.watch = watch,
            Look::Changed(watch, text) => {
                self.watch = watch;
                match text.and_then(|text| Roster::read(&path.display().to_string(), &text)) {
                    Ok(roster) => {
                        self.problem = None;
                        self.valid = Some((Arc::new(roster), now));
                    }
                    Err(problem) => self.fail(problem),
                }
            }
            Look::Failed(problem) => {
                // Whatever comes back is read, also when it looks the same.
                self.watch = Watch::default();
                self.fail(format!("{}: {problem}", path.display()));
            }
        }
        if let (None, Some((_, as_of))) = (&self.problem, &mut self.valid) {
            *as_of = now;
        }
    }

    fn fail(&mut self, problem: String) {
        // Said once per problem: each question would say it again.
        if self.problem.as_ref() != Some(&problem) {
            tracing::error!(problem, "the directory file is not valid; approvals are refused until it is");
        }
        self.problem = Some(problem);
    }
}

impl Directory for FileDirectory {
    fn lookup<'a>(&'a self, who: &'a Identity, now: Timestamp) -> Asked<'a, Result<Answer, DirectoryError>> {
        Box::pin(async move {
            let Present { roster, as_of, fresh } = self.present(now).await?;
            Ok(Answer { record: roster.find(who).cloned(), source: SOURCE, as_of, fresh })
        })
    }

    fn people(&self, now: Timestamp) -> Asked<'_, Result<Vec<Record>, DirectoryError>> {
        Box::pin(async move {
            let present = self.present(now).await?;
            if present.fresh {
                return Ok(present.roster.people().to_vec());
            }
            let problem = self.state.lock().await.problem.clone().unwrap_or_default();
            Err(DirectoryError::Unavailable { source_name: SOURCE, problem })
        })
    }

    fn health(&self, now: Timestamp) -> Asked<'_, Health> {
        Box::pin(async move {
            let present = self.present(now).await;
            let state = self.state.lock().await;
            let fresh = present.is_ok_and(|present| present.fresh) && state.problem.is_none();
            Health { source: SOURCE, fresh, as_of: state.valid.as_ref().map(|(_, as_of)| *as_of), problem: state.problem.clone() }
        })
    }
}
