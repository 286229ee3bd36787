//! Owns the question whether a Slack account is a full, active human member of a configured workspace.
//!
//! Never decides which person of the directory it is, and never takes silence for a yes: a flag that Slack always
//! sends and that is missing refuses. Flags that Slack sends only when they hold may be absent, but not be anything but `false`.
//! Source: docs.slack.dev, `users.info` and the user object.

use crate::chat::{Account, AccountError, AccountFacts};
use crate::domain::time::Timestamp;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long a good answer may be used again.
pub const FRESH_FOR: Duration = Duration::from_mins(1);
/// Good answers remembered at most.
const REMEMBERED: usize = 10_000;

/// A flag, whether Slack always sends it, and what is said to the person when it holds.
struct Flag {
    name: &'static str,
    always: bool,
    code: &'static str,
    sentence: &'static str,
}

const FLAGS: [Flag; 9] = [
    Flag { name: "deleted", always: true, code: "account_deactivated", sentence: "Your Slack account is deactivated." },
    Flag { name: "is_bot", always: true, code: "account_bot", sentence: "Only people may decide; this is a bot account." },
    Flag { name: "is_app_user", always: true, code: "account_app", sentence: "Only people may decide; this account belongs to an app." },
    Flag { name: "is_workflow_bot", always: false, code: "account_workflow", sentence: "Only people may decide; this is a workflow." },
    Flag { name: "is_connector_bot", always: false, code: "account_connector", sentence: "Only people may decide; this is a connector." },
    Flag {
        name: "is_ultra_restricted",
        always: true,
        code: "account_guest",
        sentence: "Guests may not decide; this is a single-channel guest account.",
    },
    Flag {
        name: "is_restricted",
        always: true,
        code: "account_guest",
        sentence: "Guests may not decide; this is a multi-channel guest account.",
    },
    Flag {
        name: "is_stranger",
        always: false,
        code: "account_stranger",
        sentence: "People of other companies may not decide; your account is not of this workspace.",
    },
    Flag {
        name: "is_invited_user",
        always: false,
        code: "account_invited",
        sentence: "Your Slack account is invited but was not taken up yet, so it may not decide.",
    },
];

const FOREIGN: AccountError = AccountError::Refused {
    code: "account_foreign",
    sentence: "Your Slack account belongs to a workspace whose people may not decide here.",
};
const INCOMPLETE: AccountError = AccountError::Refused {
    code: "account_unclear",
    sentence: "Slack did not say everything that must be known about your account, so it may not decide.",
};
const UNKNOWN: AccountError =
    AccountError::Refused { code: "account_unknown", sentence: "Slack does not know your account, so it may not decide." };

/// Slack does not know the account.
#[must_use]
pub fn unknown() -> AccountError {
    UNKNOWN
}

/// Judges the `user` object of a fresh `users.info` against the configured workspaces and organisations.
pub fn judge(user: &Value, account: &Account, allowed: &BTreeSet<String>, now: Timestamp) -> Result<AccountFacts, AccountError> {
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    let organisation = user.get("enterprise_user").filter(|member| !member.is_null());
    let id = text(user, "id").ok_or(INCOMPLETE)?;
    // On Grid an account may have a second id of the organisation.
    let alias = organisation.and_then(|member| text(member, "id"));
    if id != account.user_id && alias.as_ref() != Some(&account.user_id) {
        return Err(UNKNOWN);
    }
    // Every `true` is told before a missing flag is: Slack leaves flags out for accounts that are deleted.
    let mut incomplete = false;
    for flag in &FLAGS {
        match user.get(flag.name) {
            Some(Value::Bool(true)) => return Err(AccountError::Refused { code: flag.code, sentence: flag.sentence }),
            Some(Value::Bool(false)) => {}
            None if !flag.always => {}
            Some(_) | None => incomplete = true,
        }
    }
    if incomplete {
        return Err(INCOMPLETE);
    }
    let team_id = text(user, "team_id").ok_or(INCOMPLETE)?;
    let enterprise_id = organisation.and_then(|member| text(member, "enterprise_id"));
    let mut team_ids = vec![team_id];
    let teams = organisation.and_then(|member| member.get("teams")).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for team in teams.iter().filter_map(Value::as_str) {
        if !team_ids.iter().any(|known| known == team) {
            team_ids.push(team.to_owned());
        }
    }
    let is_member = team_ids.iter().chain(&enterprise_id).any(|team| allowed.contains(team));
    // The callback names the person's workspace too; the two must not contradict each other.
    let agrees = account.user_team_id.as_ref().is_none_or(|team| team_ids.iter().chain(&enterprise_id).any(|known| known == team));
    if !is_member || !agrees {
        return Err(FOREIGN);
    }
    let confirmed = user.get("is_email_confirmed") == Some(&Value::Bool(true));
    let email = user.get("profile").and_then(|profile| text(profile, "email"));
    Ok(AccountFacts { user_id: account.user_id.clone(), team_ids, enterprise_id, confirmed_email: email.filter(|_| confirmed), as_of: now })
}

/// Good answers of the last minute. A refusal is never remembered: whoever was let in again can decide at once.
#[derive(Debug, Default)]
pub struct Recent(Mutex<HashMap<Account, AccountFacts>>);

impl Recent {
    /// A good answer that is still fresh.
    #[must_use]
    pub fn get(&self, account: &Account, now: Timestamp) -> Option<AccountFacts> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(account).filter(|facts| is_fresh(facts, now)).cloned()
    }

    /// Remembers a good answer.
    pub fn put(&self, account: &Account, facts: &AccountFacts, now: Timestamp) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.retain(|_, facts| is_fresh(facts, now));
        }
        if known.len() < REMEMBERED {
            known.insert(account.clone(), facts.clone());
        }
    }

    /// Forgets an account that was refused.
    pub fn forget(&self, account: &Account) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(account);
    }
}

fn is_fresh(facts: &AccountFacts, now: Timestamp) -> bool {
    // A clock that was set back must not make an answer fresh for ever.
    facts.as_of <= now && now.since(facts.as_of) <= FRESH_FOR
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: Timestamp = Timestamp::from_millis(1_795_174_800_000);

    fn bob() -> Account {
        Account {
            team_id: Some("T1".to_owned()),
            enterprise_id: None,
            user_id: "U0BOB".to_owned(),
            user_team_id: Some("T1".to_owned()),
            username: Some("bob".to_owned()),
        }
    }

    fn record() -> Value {
        json!({
            "id": "U0BOB", "team_id": "T1", "name": "bob", "deleted": false, "is_bot": false, "is_app_user": false,
            "is_restricted": false, "is_ultra_restricted": false, "is_email_confirmed": true,
            "profile": {"email": "bob@example.com"},
        })
    }

    fn allowed(ids: &[&str]) -> BTreeSet<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    fn code(user: &Value, ids: &[&str]) -> &'static str {
        judge(user, &bob(), &allowed(ids), NOW).unwrap_err().code()
    }

    fn with(name: &str, value: Value) -> Value {
        let mut user = record();
        user[name] = value;
        user
    }

    #[test]
    fn a_full_member_is_let_in_and_only_a_confirmed_address_is_told() {
        let facts = judge(&record(), &bob(), &allowed(&["T1"]), NOW).unwrap();
        assert_eq!(facts.confirmed_email.as_deref(), Some("bob@example.com"));
        assert_eq!(facts.team_ids, ["T1"]);
        for confirmed in [json!(false), json!(null), json!("true")] {
            let facts = judge(&with("is_email_confirmed", confirmed), &bob(), &allowed(&["T1"]), NOW).unwrap();
            assert_eq!(facts.confirmed_email, None);
        }
    }

    #[test]
    fn every_flag_refuses_with_its_own_code_and_sentence() {
        for (flag, wanted) in [
            ("deleted", "account_deactivated"),
            ("is_bot", "account_bot"),
            ("is_app_user", "account_app"),
            ("is_workflow_bot", "account_workflow"),
            ("is_connector_bot", "account_connector"),
            ("is_restricted", "account_guest"),
            ("is_ultra_restricted", "account_guest"),
            ("is_stranger", "account_stranger"),
            ("is_invited_user", "account_invited"),
        ] {
            assert_eq!(code(&with(flag, json!(true)), &["T1"]), wanted);
            assert_eq!(code(&with(flag, json!("true")), &["T1"]), "account_unclear");
        }
    }

    #[test]
    fn what_slack_does_not_say_is_a_no() {
        for member in ["deleted", "is_bot", "is_app_user", "is_restricted", "is_ultra_restricted", "team_id", "id"] {
            let mut user = record();
            user.as_object_mut().unwrap().remove(member);
            assert_eq!(code(&user, &["T1"]), "account_unclear", "{member}");
        }
        assert_eq!(code(&json!({}), &["T1"]), "account_unclear");
        assert_eq!(code(&json!(null), &["T1"]), "account_unclear");
        // A deleted account lacks most flags; the person is still told the true reason.
        assert_eq!(code(&json!({"id": "U0BOB", "team_id": "T1", "deleted": true}), &["T1"]), "account_deactivated");
    }

    #[test]
    fn the_workspace_must_be_configured_and_an_empty_list_is_nobody() {
        assert_eq!(code(&record(), &[]), "account_foreign");
        assert_eq!(code(&record(), &["T2"]), "account_foreign");
        assert_eq!(code(&with("team_id", json!("T2")), &["T1"]), "account_foreign");
        assert_eq!(code(&with("id", json!("U0EVE")), &["T1"]), "account_unknown");
        let elsewhere = Account { user_team_id: Some("T9".to_owned()), ..bob() };
        assert_eq!(judge(&record(), &elsewhere, &allowed(&["T1"]), NOW).unwrap_err().code(), "account_foreign");
    }

    #[test]
    fn on_grid_the_organisation_or_one_of_its_workspaces_must_be_configured() {
        let mut user = with("enterprise_user", json!({"id": "W0BOB", "enterprise_id": "E1", "teams": ["T1", "T3"]}));
        user["team_id"] = json!("T3");
        for ids in [&["E1"], &["T1"], &["T3"]] {
            let facts = judge(&user, &bob(), &allowed(ids), NOW).unwrap();
            assert_eq!(
                (facts.enterprise_id.as_deref(), facts.team_ids.as_slice()),
                (Some("E1"), ["T3".to_owned(), "T1".to_owned()].as_slice())
            );
        }
        assert_eq!(code(&user, &["E2", "T2"]), "account_foreign");
        let alias = Account { user_id: "W0BOB".to_owned(), user_team_id: Some("E1".to_owned()), ..bob() };
        assert_eq!(judge(&user, &alias, &allowed(&["E1"]), NOW).unwrap().user_id, "W0BOB");
    }

    #[test]
    fn a_good_answer_is_used_for_a_minute_and_a_refusal_never() {
        let recent = Recent::default();
        let facts = judge(&record(), &bob(), &allowed(&["T1"]), NOW).unwrap();
        recent.put(&bob(), &facts, NOW);
        assert_eq!(recent.get(&bob(), NOW.plus(FRESH_FOR)), Some(facts.clone()));
        assert_eq!(recent.get(&bob(), NOW.plus(FRESH_FOR + Duration::from_millis(1))), None);
        assert_eq!(recent.get(&bob(), Timestamp::from_millis(0)), None);
        assert_eq!(recent.get(&Account { team_id: None, ..bob() }, NOW), None);
        recent.forget(&bob());
        assert_eq!(recent.get(&bob(), NOW), None);
    }
}
