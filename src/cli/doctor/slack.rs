//! Owns what `doctor` asks Slack: the token, its scopes, the workspace, the clock, and every channel that a route names.
//!
//! Never posts anything.

use super::Findings;
use crate::chat::DeliveryError;
use crate::chat::slack::client::{Installation, Settings, Slack};
use crate::chat::slack::manifest;
use crate::config::Config;
use crate::directory::{Record, SlackHome};
use crate::domain::policy::{Destination, Policy};
use crate::domain::time::{Clock as _, Timestamp};
use crate::runtime::SystemClock;
use std::collections::BTreeSet;

const PART: &str = "slack";
/// A callback that is signed more than five minutes ago is refused; half of it is near enough to say so.
const SKEW: i64 = 150;

pub(super) async fn examine(config: &Config, policy: Option<&Policy>, people: Option<&[Record]>, found: &mut Findings) {
    let Some(section) = &config.slack else {
        if policy.is_some_and(|policy| !policy.destinations().is_empty()) {
            found.warning(
                PART,
                "routes name Slack channels, but [slack] is off",
                "No card is posted. Add [slack], or take the channels out.",
            );
        }
        return;
    };
    let settings = Settings {
        api_url: section.api_url.clone(),
        bot_token: section.bot_token.clone(),
        allowed: section.team_ids.iter().cloned().collect(),
        match_email: section.match_email,
        shared_channels: section.allow_shared_channels.iter().cloned().collect(),
    };
    let slack = match Slack::new(&settings) {
        Ok(slack) => slack,
        Err(error) => return found.problem(PART, format!("Slack cannot be asked: {error}"), "Report this."),
    };
    match slack.auth_test().await {
        Ok(installation) => installed(&installation, &settings.allowed, SystemClock.now(), found),
        Err(error) => {
            let (what, advice) = refused(error.code());
            return found.problem(PART, what, advice);
        }
    }
    if let Some(people) = people {
        accounts(people, section.match_email, &settings.allowed, found);
    }
    for destination in policy.map(Policy::destinations).unwrap_or_default() {
        let Destination::Slack { channel } = destination;
        match slack.check_channel(channel).await {
            Ok(()) => found.ok(PART, format!("{channel}: a card can be posted there")),
            Err(error) => {
                let (what, advice) = closed(&error);
                found.problem(PART, format!("{channel}: {what}"), advice);
            }
        }
    }
}

/// What the token is, and whether it fits the configuration.
fn installed(installation: &Installation, allowed: &BTreeSet<String>, now: Timestamp, found: &mut Findings) {
    let ids: Vec<&String> = installation.team_id.iter().chain(&installation.enterprise_id).collect();
    let names = ids.iter().map(|id| id.as_str()).collect::<Vec<_>>().join(", ");
    if allowed.is_empty() {
        found.problem(
            PART,
            "team_ids is empty, so nobody may decide",
            format!("Write team_ids = [\"{}\"].", ids.first().map_or("T…", |id| id.as_str())),
        );
    } else if ids.iter().any(|id| allowed.contains(*id)) {
        found.ok(PART, format!("the bot's token is valid in {names}"));
    } else {
        let advice = "Taps come from there and are refused: put its id into team_ids, or use the token of the other workspace.";
        found.problem(PART, format!("the bot's token belongs to {names}, which is not in team_ids"), advice);
    }
    let missing: Vec<String> = manifest::scopes().into_iter().filter(|scope| !installation.scopes.contains(scope)).collect();
    if missing.is_empty() {
        found.ok(PART, "the app has every scope that it needs");
    } else {
        let advice = "Update the app from countersign slack manifest, then install it again in the workspace.";
        found.problem(PART, format!("the app lacks {}", missing.join(", ")), advice);
    }
    match installation.at.map(|at| (now.as_seconds() - at.as_seconds()).abs()) {
        None => found.warning(
            PART,
            "Slack did not tell the time",
            "Make sure that the clock is synchronised: callbacks older than five minutes are refused.",
        ),
        Some(skew) if skew > 2 * SKEW => {
            found.problem(
                PART,
                format!("the clock is {skew} seconds apart from Slack's"),
                "Every tap would be refused. Synchronise it (NTP).",
            );
        }
        Some(skew) if skew > SKEW => found.warning(
            PART,
            format!("the clock is {skew} seconds apart from Slack's"),
            "Synchronise it (NTP): at 300 seconds every tap is refused.",
        ),
        Some(skew) => found.ok(PART, format!("the clock agrees with Slack's ({skew} s)")),
    }
}

/// Why Slack does not take the token. Codes: docs.slack.dev, auth.test.
fn refused(code: &str) -> (String, &'static str) {
    let advice = match code {
        "invalid_auth" | "not_authed" => "Copy the bot token (xoxb-…) again: app settings, OAuth & Permissions.",
        "token_revoked" | "account_inactive" | "app_uninstalled" => {
            "The app was removed or its token revoked: install it again and copy the new token."
        }
        "token_expired" => "Token rotation is on for this app: turn it off in the manifest, and install it again.",
        "missing_scope" | "no_permission" => "Install the app again from countersign slack manifest.",
        "unreachable" => "Slack's API cannot be reached from here: check the network, DNS and [slack] api_url.",
        _ => "Try again; if it stays, look at status.slack.com and [slack] api_url.",
    };
    (format!("Slack does not take the bot's token: {code}"), advice)
}

/// Why no card can be posted in a channel.
fn closed(error: &DeliveryError) -> (String, &'static str) {
    match error.code() {
        "channel_not_found" => (
            "there is no such channel, or it is private and the bot is not in it".to_owned(),
            "Copy the id from the channel's About; invite the bot: /invite @Countersign.",
        ),
        "not_in_channel" => ("it is private and the bot is not in it".to_owned(), "Invite the bot: /invite @Countersign."),
        "is_archived" => ("it is archived".to_owned(), "Unarchive it, or name another one in the route."),
        "channel_is_shared" => {
            ("it is shared with another company".to_owned(), "Cards are not posted where strangers read; name another one in the route.")
        }
        "channel_is_read_only" => ("it is read only".to_owned(), "Let the bot post there, or name another one in the route."),
        "missing_scope" => ("the app may not look at it".to_owned(), "Install the app again from countersign slack manifest."),
        code => (format!("Slack answers {code}"), "Try again; if it stays, look at status.slack.com."),
    }
}

/// People who could decide but whom no tap leads to.
fn accounts(people: &[Record], match_email: bool, allowed: &BTreeSet<String>, found: &mut Findings) {
    let active: Vec<&Record> = people.iter().filter(|person| person.active && person.is_human()).collect();
    let tied = |person: &&&Record| {
        person.slack.iter().any(|account| match &account.home {
            SlackHome::Team(id) | SlackHome::Enterprise(id) => allowed.contains(id),
        })
    };
    let without = active.len() - active.iter().filter(tied).count();
    match (without, match_email) {
        (0, _) => found.ok(PART, format!("all {} active people are tied to an account", active.len())),
        (without, true) => found.ok(PART, format!("{without} of {} active people are found by their e-mail address alone", active.len())),
        (without, false) => found.warning(
            PART,
            format!("{without} of {} active people have no account of these workspaces in the directory", active.len()),
            "Their taps are refused: add slack = { team_id = \"T…\", user_id = \"U…\" } to each who decides.",
        ),
    }
}
