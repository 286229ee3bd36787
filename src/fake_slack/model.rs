//! Owns FakeSlack's memory: a workspace with its app, people, channels, messages, dialogs and one-off permissions.
//!
//! Never speaks HTTP; `api` moves it; the page of the demo and the tests look at it.

use crate::domain::time::Timestamp;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// How long a trigger is good, in milliseconds.
pub const TRIGGER_LIFE: i64 = 3_000;
/// How long a `response_url` is good, in milliseconds.
pub const HOOK_LIFE: i64 = 30 * 60 * 1_000;
/// How often a `response_url` is good.
pub const HOOK_USES: u32 = 5;

/// The app's scopes in `manifests/slack/app.yaml`.
pub const SCOPES: [&str; 8] =
    ["channels:read", "chat:write", "chat:write.public", "commands", "groups:read", "im:write", "users:read", "users:read.email"];

/// The workspace.
#[derive(Debug, Clone)]
pub struct Model {
    /// Id of the workspace.
    pub team: String,
    /// Enterprise Grid: the organisation.
    pub enterprise: Option<String>,
    /// The app is installed for the whole organisation.
    pub org_wide: bool,
    /// Id of the app.
    pub app: String,
    /// The app's account.
    pub bot_user: String,
    /// The app's bot id.
    pub bot: String,
    /// What callbacks are signed with.
    pub secret: String,
    /// The one bot token that is accepted.
    pub token: String,
    /// Opens connections in Socket Mode.
    pub app_token: String,
    /// Where connections are opened; `None`: callbacks go over HTTP.
    pub socket_address: Option<String>,
    /// Each opens one connection.
    pub tickets: BTreeSet<String>,
    /// The app's own page, by person.
    pub homes: BTreeMap<String, View>,
    /// `token_revoked`, `account_inactive`, …: every call is answered so.
    pub token_error: Option<String>,
    /// What the app may do.
    pub scopes: BTreeSet<String>,
    /// People by id, as `users.info` shows them.
    pub users: BTreeMap<String, Value>,
    /// Channels and direct messages by id.
    pub channels: BTreeMap<String, Channel>,
    /// Permissions to open a dialog, by `trigger_id`.
    pub triggers: HashMap<String, Trigger>,
    /// The `response_url`s, by their last part.
    pub hooks: HashMap<String, Hook>,
    /// Dialogs by id, closed ones too.
    pub views: BTreeMap<String, View>,
    /// Dialogs that a person has open, the top one last.
    pub stacks: BTreeMap<String, Vec<String>>,
    /// Private messages in channels: who sees them, and what.
    pub ephemerals: Vec<Ephemeral>,
    /// At most one message per second and channel, as Slack has it; else 429.
    pub paced: bool,
    serial: u64,
}

/// A channel or a direct message.
#[derive(Debug, Clone, Default)]
pub struct Channel {
    /// As `conversations.info` shows it.
    pub record: Value,
    /// Ids of the people in it, the app's account too.
    pub members: BTreeSet<String>,
    /// The oldest first.
    pub messages: Vec<Message>,
    /// When something was posted last, in milliseconds.
    pub last_post: Option<i64>,
}

/// A message as people see it now.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Id of the channel.
    pub channel: String,
    /// Its time, which is its name in the channel.
    pub ts: String,
    /// The message whose thread it belongs to.
    pub thread_ts: Option<String>,
    /// What notifications show.
    pub text: String,
    /// Null, or a list.
    pub blocks: Value,
    /// How often it was changed.
    pub edits: u32,
}

/// A message in a channel that one person sees.
#[derive(Debug, Clone, PartialEq)]
pub struct Ephemeral {
    /// Id of the channel.
    pub channel: String,
    /// Who sees it.
    pub user: String,
    /// Its time.
    pub ts: String,
    /// What it says.
    pub text: String,
    /// Null, or a list.
    pub blocks: Value,
}

/// The permission to open one dialog.
#[derive(Debug, Clone)]
pub struct Trigger {
    /// Who acted.
    pub user: String,
    /// When, in milliseconds.
    pub issued: i64,
    /// A dialog was opened with it.
    pub used: bool,
    /// Comes from within this dialog, so that another may be pushed onto it.
    pub view: Option<String>,
}

/// The permission to answer a tap privately.
#[derive(Debug, Clone)]
pub struct Hook {
    /// Who acted.
    pub user: String,
    /// Where.
    pub channel: String,
    /// On which message.
    pub message: Option<String>,
    /// When, in milliseconds.
    pub issued: i64,
    /// How often it was used.
    pub uses: u32,
}

/// A dialog.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// `V…`
    pub id: String,
    /// Whose screen it is on.
    pub user: String,
    /// Changes with the content.
    pub hash: String,
    /// What the app sent.
    pub content: Value,
    /// The first one of the stack.
    pub root: String,
    /// The one below.
    pub previous: Option<String>,
}

impl Model {
    /// An empty workspace with the app installed.
    pub(super) fn new() -> Self {
        Self {
            team: "T0ACME".to_owned(),
            enterprise: None,
            org_wide: false,
            app: "A0APP".to_owned(),
            bot_user: "U0BOT".to_owned(),
            bot: "B0BOT".to_owned(),
            secret: super::SECRET.to_owned(),
            token: "xoxb-fake-token".to_owned(),
            app_token: "xapp-fake-token".to_owned(),
            socket_address: None,
            tickets: BTreeSet::new(),
            homes: BTreeMap::new(),
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
    pub fn add_user(&mut self, id: &str, email: &str) {
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
    pub fn add_channel(&mut self, id: &str) {
        let record = json!({
            "id": id, "name": id.to_lowercase(), "is_channel": true, "is_group": false, "is_im": false, "is_private": false, "is_archived": false,
            "is_ext_shared": false, "is_pending_ext_shared": false, "is_shared": false, "is_org_shared": false, "context_team_id": self.team,
        });
        let members = BTreeSet::from([self.bot_user.clone()]);
        self.channels.insert(id.to_owned(), Channel { record, members, ..Channel::default() });
    }

    /// The conversation that an id leads to: a person's id opens the direct message with them.
    pub fn conversation(&mut self, id: &str) -> Option<String> {
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

    /// A message by its channel and time.
    pub fn message(&self, channel: &str, ts: &str) -> Option<&Message> {
        self.channels.get(channel)?.messages.iter().find(|message| message.ts == ts)
    }

    /// A number that no other thing of this workspace has.
    pub fn serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// A time that no other message has.
    pub fn ts(&mut self, now: Timestamp) -> String {
        format!("{}.{:06}", now.as_seconds(), self.serial())
    }

    /// A `trigger_id` for what this person does, from within a dialog or not.
    pub fn issue_trigger(&mut self, user: &str, view: Option<&str>, now: Timestamp) -> String {
        let id = format!("{}.{}.{:032x}", self.serial(), now.as_millis(), self.serial());
        let trigger = Trigger { user: user.to_owned(), issued: now.as_millis(), used: false, view: view.map(str::to_owned) };
        self.triggers.insert(id.clone(), trigger);
        id
    }

    /// The last part of a `response_url` for what this person does.
    pub fn issue_hook(&mut self, user: &str, channel: &str, message: Option<&str>, now: Timestamp) -> String {
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
    pub fn view_json(&self, view: &View) -> Value {
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
