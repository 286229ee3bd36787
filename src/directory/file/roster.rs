//! Owns the people of one valid file and finding one of them.
//!
//! Never picks one of several: more than one match is no match.

use crate::config::email;
use crate::directory::file::parse;
use crate::directory::{Identity, Record};
use std::collections::HashMap;

/// Everybody of one state of the file.
pub(super) struct Roster {
    /// Sorted by key.
    people: Vec<Record>,
    /// Indexes into `people`. The parser has refused duplicates, so each entry is the only one.
    by_key: HashMap<String, usize>,
    by_email: HashMap<String, usize>,
    by_id: HashMap<String, usize>,
    /// A user id can stand for people in different workspaces.
    by_slack_user: HashMap<String, Vec<usize>>,
}

impl Roster {
    /// From the text of `file`; the error is one line for the log.
    pub(super) fn read(file: &str, text: &str) -> Result<Self, String> {
        parse::parse(file, text).map(Self::new).map_err(|errors| {
            let more = match errors.len() {
                0 | 1 => String::new(),
                count => format!(" (and {} more)", count - 1),
            };
            errors.first().map_or_else(|| "invalid".to_owned(), |first| format!("{first}{more}"))
        })
    }

    fn new(mut people: Vec<Record>) -> Self {
        people.sort_by(|a, b| a.key.cmp(&b.key));
        let mut roster =
            Self { people, by_key: HashMap::new(), by_email: HashMap::new(), by_id: HashMap::new(), by_slack_user: HashMap::new() };
        for (index, person) in roster.people.iter().enumerate() {
            roster.by_key.insert(person.key.clone(), index);
            roster.by_email.insert(email::folded(&person.email), index);
            if let Some(id) = &person.id {
                roster.by_id.insert(id.as_str().to_owned(), index);
            }
            for account in &person.slack {
                roster.by_slack_user.entry(account.user_id.clone()).or_default().push(index);
            }
        }
        roster
    }

    /// Everybody, sorted by key.
    pub(super) fn people(&self) -> &[Record] {
        &self.people
    }

    /// The one person that `who` names.
    pub(super) fn find(&self, who: &Identity) -> Option<&Record> {
        let index = match who {
            Identity::Slack { team_id, enterprise_id, user_id, confirmed_email } => {
                return self.find_slack(team_id.as_deref(), enterprise_id.as_deref(), user_id, confirmed_email.as_deref());
            }
            Identity::Email(address) => self.by_email.get(&email::folded(address)),
            Identity::Key(key) => self.by_key.get(key),
            Identity::Person(id) => self.by_id.get(id.as_str()),
        };
        index.map(|index| &self.people[*index])
    }

    fn find_slack(
        &self,
        team_id: Option<&str>,
        enterprise_id: Option<&str>,
        user_id: &str,
        confirmed_email: Option<&str>,
    ) -> Option<&Record> {
        let mut linked: Vec<usize> = self.by_slack_user.get(user_id).cloned().unwrap_or_default();
        linked.retain(|index| {
            self.people[*index].slack.iter().any(|account| account.user_id == user_id && account.home.contains(team_id, enterprise_id))
        });
        linked.dedup();
        match linked[..] {
            [index] => return Some(&self.people[index]),
            [] => {}
            // Linked to one person by the workspace and to another by the organisation.
            _ => return None,
        }
        let person = self.by_email.get(&email::folded(confirmed_email?)).map(|index| &self.people[*index])?;
        // A link to another account of the same place contradicts the address, and the link is the stronger word.
        let contradicted = person.slack.iter().any(|account| account.home.contains(team_id, enterprise_id));
        (person.active && !contradicted).then_some(person)
    }
}
