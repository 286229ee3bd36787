//! Owns FakeSlack's memory: a workspace with its app, people, channels, messages, dialogs and one-off permissions.
//!
//! Never speaks HTTP; `api` moves it, the test looks at it.

use countersign::domain::time::Timestamp;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// How long a trigger is good.
pub(crate) const TRIGGER_LIFE: i64 = 3_000;
/// How long and how often a `response_url` is good.
pub(crate) const HOOK_LIFE: i64 = 30 * 60 * 1_000;
pub(crate) const HOOK_USES: u32 = 5;

/// The app's scopes in `manifests/slack/app.yaml`.
pub(crate) const SCOPES: [&str; 7] =
    ["channels:read", "chat:write", "chat:write.public", "groups:read", "im:write", "users:read", "users:read.email"];

#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) team: String,
    /// Enterprise Grid: the organisation, and whether the app is installed for all of it.
    pub(crate) enterprise: Option<String>,
    pub(crate) org_wide: bool,
    pub(crate) app: String,
    pub(crate) bot_user: String,
    pub(crate) bot: String,
    pub(crate) token: String,
    /// `token_revoked`, `account_inactive`, …: every call is answered so.
    pub(crate) token_error: Option<String>,
    pub(crate) scopes: BTreeSet<String>,
    pub(crate) users: BTreeMap<String, Value>,
    pub(crate) channels: BTreeMap<String, Channel>,
    pub(crate) triggers: HashMap<String, Trigger>,
    pub(crate) hooks: HashMap<String, Hook>,
    pub(crate) views: BTreeMap<String, View>,
    /// Dialogs that a person has open, the top one last.
    pub(crate) stacks: BTreeMap<String, Vec<String>>,
    /// Private messages in channels: who sees them, and what.
    pub(crate) ephemerals: Vec<Ephemeral>,
    /// At most one message per second and channel, as Slack has it; else 429.
    pub(crate) paced: bool,
    serial: u64,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Channel {
    pub(crate) record: Value,
    pub(crate) members: BTreeSet<String>,
    pub(crate) messages: Vec<Message>,
    pub(crate) last_post: Option<i64>,
}

/// A message as people see it now.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Message {
    pub(crate) channel: String,
    pub(crate) ts: String,
    pub(crate) thread_ts: Option<String>,
    pub(crate) text: String,
    pub(crate) blocks: Value,
    pub(crate) edits: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ephemeral {
    pub(crate) channel: String,
    pub(crate) user: String,
    pub(crate) text: String,
}

#[derive(Debug, Clone)]
pub(crate) struct Trigger {
    pub(crate) user: String,
    pub(crate) issued: i64,
    pub(crate) used: bool,
    /// Comes from within this dialog, so that another may be pushed onto it.
    pub(crate) view: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Hook {
    pub(crate) user: String,
    pub(crate) channel: String,
    pub(crate) message: Option<String>,
    pub(crate) issued: i64,
    pub(crate) uses: u32,
}

/// A dialog.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct View {
    pub(crate) id: String,
    pub(crate) user: String,
    pub(crate) hash: String,
    pub(crate) content: Value,
    pub(crate) root: String,
    pub(crate) previous: Option<String>,
}

impl Model {
    pub(crate) fn new() -> Self {
        Self {
            team: "T0ACME".to_owned(),
            enterprise: None,
            org_wide: false,
            app: "A0APP".to_owned(),
            bot_user: "U0BOT".to_owned(),
            bot: "B0BOT".to_owned(),
            token: "xoxb-fake-token".to_owned(),
            token_error: None,
            scopes: SCOPES.iter().map(|scope| (*scope).to_owned()).collect(),
            users: BTreeMap::new(),
            channels: BTreeMap::new(),
            triggers: HashMap::new(),
            hooks: HashMap::new(),
            views: BTreeMap::new(),
            stacks: BTreeMap::new(),
            ephemerals: Vec::new(),
            paced: false,
            serial: 0,
        }
    }

    /// A full member of the workspace, with every flag that Slack sends for one.
    pub(crate) fn add_user(&mut self, id: &str, email: &str) {
        let name = email.split('@').next().unwrap_or(email);
        let record = json!({
            "id": id, "team_id": self.team, "name": name, "real_name": name, "deleted": false, "tz": "Europe/Berlin",
            "profile": {"email": email, "real_name": name, "display_name": name, "team": self.team},
            "is_admin": false, "is_owner": false, "is_primary_owner": false, "is_restricted": false, "is_ultra_restricted": false,
            "is_bot": false, "is_app_user": false, "is_email_confirmed": true, "updated": 1_700_000_000,
        });
        self.users.insert(id.to_owned(), record);
    }

    /// A public channel with the bot in it.
    pub(crate) fn add_channel(&mut self, id: &str) {
        let record = json!({
            "id": id, "name": id.to_lowercase(), "is_channel": true, "is_group": false, "is_im": false, "is_private": false, "is_archived": false,
            "is_ext_shared": false, "is_pending_ext_shared": false, "is_shared": false, "is_org_shared": false, "context_team_id": self.team,
        });
        let members = BTreeSet::from([self.bot_user.clone()]);
        self.channels.insert(id.to_owned(), Channel { record, members, ..Channel::default() });
    }

    /// The conversation that an id leads to: a person's id opens the direct message with them.
    pub(crate) fn conversation(&mut self, id: &str) -> Option<String> {
        if self.channels.contains_key(id) {
            return Some(id.to_owned());
        }
        self.users.get(id)?;
        let direct = format!("D{}", &id[1..]);
        let members = BTreeSet::from([self.bot_user.clone(), id.to_owned()]);
        self.channels.entry(direct.clone()).or_insert_with(|| Channel {
            record: json!({"id": direct, "is_im": true, "is_private": false, "is_archived": false, "user": id}),
            members,
            ..Channel::default()
        });
        Some(direct)
    }

    pub(crate) fn message(&self, channel: &str, ts: &str) -> Option<&Message> {
        self.channels.get(channel)?.messages.iter().find(|message| message.ts == ts)
    }

    /// A number that no other thing of this workspace has.
    pub(crate) fn serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    pub(crate) fn ts(&mut self, now: Timestamp) -> String {
        format!("{}.{:06}", now.as_seconds(), self.serial())
    }

    pub(crate) fn issue_trigger(&mut self, user: &str, view: Option<&str>, now: Timestamp) -> String {
        let id = format!("{}.{}.{:032x}", self.serial(), now.as_millis(), self.serial());
        let trigger = Trigger { user: user.to_owned(), issued: now.as_millis(), used: false, view: view.map(str::to_owned) };
        self.triggers.insert(id.clone(), trigger);
        id
    }

    pub(crate) fn issue_hook(&mut self, user: &str, channel: &str, message: Option<&str>, now: Timestamp) -> String {
        let serial = self.serial();
        let id = format!("{}-{serial:024x}", self.team);
        let hook = Hook {
            user: user.to_owned(),
            channel: channel.to_owned(),
            message: message.map(str::to_owned),
            issued: now.as_millis(),
            uses: 0,
        };
        self.hooks.insert(id.clone(), hook);
        id
    }

    /// A dialog as Slack's API and callbacks show it.
    pub(crate) fn view_json(&self, view: &View) -> Value {
        let mut shown = view.content.clone();
        for (name, value) in [
            ("id", json!(view.id)),
            ("team_id", json!(self.team)),
            ("hash", json!(view.hash)),
            ("state", json!({"values": {}})),
            ("root_view_id", json!(view.root)),
            ("previous_view_id", json!(view.previous)),
            ("app_id", json!(self.app)),
            ("app_installed_team_id", json!(if self.org_wide { self.enterprise.as_ref() } else { Some(&self.team) })),
            ("bot_id", json!(self.bot)),
        ] {
            shown[name] = value;
        }
        for (name, value) in [("private_metadata", json!("")), ("callback_id", json!("")), ("external_id", json!(""))] {
            if shown[name].is_null() {
                shown[name] = value;
            }
        }
        shown
    }
}
