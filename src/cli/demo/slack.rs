//! Owns the Slack of `demo --slack`: a workspace in memory with the sample people, and what ties the product to it.
//!
//! Never a short cut: the product talks to it over HTTP with a bot token, and its callbacks are signed with a secret, both random.

use super::{Sample, listen, people, token};
use crate::config::slack::Slack;
use crate::fake_slack::FakeSlack;
use crate::runtime::{Random, SystemClock};
use anyhow::Context as _;
use secrecy::SecretString;
use serde_json::json;
use std::sync::Arc;

/// The port that is tried first for the page.
const PORT: u16 = 8081;
/// The channel of each route of the sample policy: route, id, name, topic.
const CHANNELS: [(&str, &str, &str, &str); 2] = [
    ("data", "C0DATA", "approvals-data", "Exports, decided by data-governance"),
    ("security", "C0SECURITY", "approvals-security", "Access and credentials, decided by security"),
];

/// The workspace and its page.
pub(super) struct Workspace {
    slack: FakeSlack,
    secret: String,
    token: String,
    /// Where to look at it.
    pub(super) page: String,
}

impl Workspace {
    /// Opens a workspace with the sample people and a channel for each route.
    pub(super) async fn open(random: &Arc<dyn Random>) -> anyhow::Result<Self> {
        let (page, secret, bot) = (token(random), token(random), format!("xoxb-{}", token(random)));
        let slack = FakeSlack::serve(listen(PORT).await?, Arc::new(SystemClock), Some(page.clone()))?;
        let people = people()?;
        slack.change(|model| {
            model.secret.clone_from(&secret);
            model.token.clone_from(&bot);
            for Sample { name, email, groups } in &people {
                let id = account(name);
                model.add_user(&id, email);
                if let Some(user) = model.users.get_mut(&id) {
                    user["real_name"] = json!(name);
                    user["profile"]["real_name"] = json!(name);
                    user["profile"]["display_name"] = json!(name);
                    user["profile"]["title"] = json!(groups);
                }
            }
            for (_, id, name, topic) in CHANNELS {
                model.add_channel(id);
                if let Some(channel) = model.channels.get_mut(id) {
                    channel.record["name"] = json!(name);
                    channel.record["topic"] = json!({ "value": topic });
                    channel.members.extend(people.iter().map(|person| account(&person.name)));
                }
            }
            for person in &people {
                model.conversation(&account(&person.name));
            }
        });
        // Bob can decide what is asked first.
        let page = format!("{}/page/{page}/#{}", slack.origin(), account("Bob"));
        Ok(Self { slack, secret, token: bot, page })
    }

    /// `[slack]` of the configuration.
    pub(super) fn section(&self) -> anyhow::Result<Slack> {
        let mut section = Slack::new(SecretString::from(self.secret.clone()), SecretString::from(self.token.clone()))?;
        section.team_ids = vec![self.slack.lock().team.clone()];
        section.api_url = self.slack.api_url().parse().context("the workspace has no address")?;
        Ok(section)
    }

    /// Callbacks go to the product at this address.
    pub(super) fn calls(&self, origin: &str) {
        self.slack.app_is_at(origin);
    }
}

/// The account of a sample person.
fn account(name: &str) -> String {
    format!("U0{}", name.to_uppercase())
}

/// Ties the sample people to their accounts, and the routes to their channels.
pub(super) fn link(directory: &mut toml::Table, policy: &mut toml::Table, team: &str) {
    for person in directory.get_mut("person").and_then(toml::Value::as_array_mut).into_iter().flatten() {
        let Some(person) = person.as_table_mut() else { continue };
        let Some(name) = person.get("name").and_then(toml::Value::as_str) else { continue };
        let ids = [("team_id", team.to_owned()), ("user_id", account(name))];
        let ids = ids.into_iter().map(|(key, id)| (key.to_owned(), toml::Value::String(id))).collect();
        person.insert("slack".to_owned(), toml::Value::Table(ids));
    }
    for (route, id, _, _) in CHANNELS {
        let route = policy.get_mut("routes").and_then(|routes| routes.get_mut(route)).and_then(toml::Value::as_table_mut);
        if let Some(route) = route {
            route.insert("slack".to_owned(), toml::Value::Array(vec![toml::Value::String(id.to_owned())]));
        }
    }
}
