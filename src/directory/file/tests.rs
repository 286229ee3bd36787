//! Tests of the file as a source: what it recognises, what it refuses, and how it follows the file.

use super::*;
use crate::directory::{SlackAccount, SlackHome};

const NOW: Timestamp = Timestamp::from_millis(1_000);
const LATER: Timestamp = Timestamp::from_millis(2_000);
const ALICE_ID: &str = "per_00000000000000000000000001";

struct Case {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

impl Case {
    fn new(text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let case = Self { path: directory.path().join("directory.toml"), _directory: directory };
        case.write(text);
        case
    }

    fn write(&self, text: &str) {
        std::fs::write(&self.path, text).unwrap();
    }

    fn open(&self) -> FileDirectory {
        FileDirectory::open(&self.path, NOW)
    }

    /// The directory together with the file that it watches.
    fn open_kept(self) -> (Self, FileDirectory) {
        let directory = self.open();
        (self, directory)
    }

    fn errors(text: &str) -> Vec<String> {
        let case = Self::new(text);
        let prefix = format!("{}/", case.path.parent().unwrap().display());
        FileDirectory::check(&case.path).unwrap_err().iter().map(|error| error.to_string().replace(&prefix, "")).collect()
    }
}

fn slack(team_id: &str, user_id: &str) -> Identity {
    Identity::Slack { team_id: Some(team_id.to_owned()), enterprise_id: None, user_id: user_id.to_owned(), confirmed_email: None }
}

fn grid(team_id: Option<&str>, enterprise_id: &str, user_id: &str) -> Identity {
    let team_id = team_id.map(str::to_owned);
    Identity::Slack { team_id, enterprise_id: Some(enterprise_id.to_owned()), user_id: user_id.to_owned(), confirmed_email: None }
}

fn with_email(who: Identity, address: &str) -> Identity {
    match who {
        Identity::Slack { team_id, enterprise_id, user_id, .. } => {
            Identity::Slack { team_id, enterprise_id, user_id, confirmed_email: Some(address.to_owned()) }
        }
        other => other,
    }
}

async fn name(directory: &FileDirectory, who: Identity) -> Option<String> {
    let answer = directory.lookup(&who, NOW).await.unwrap();
    assert!(answer.fresh);
    assert_eq!(answer.source, "file");
    answer.record.map(|record| record.name)
}

fn person(name: &str) -> String {
    format!("[[person]]\nname = \"{name}\"\nemail = \"{}@example.com\"\n", name.to_lowercase())
}

#[tokio::test]
async fn people_are_recognised_by_immutable_ids() {
    let text = format!(
        "{}id = \"{ALICE_ID}\"\nslack = {{ team_id = \"T1\", user_id = \"U1\" }}\n{}slack = [{{ enterprise_id = \"E1\", user_id = \"W2\" }}, {{ team_id = \"T2\", user_id = \"U1\" }}]\n",
        person("Alice"),
        person("Bob")
    );
    let (_case, directory) = Case::new(&text).open_kept();
    let directory = &directory;
    let alice = Some("Alice".to_owned());
    let bob = Some("Bob".to_owned());
    assert_eq!(name(directory, slack("T1", "U1")).await, alice);
    // The same user id of another workspace is another account.
    assert_eq!(name(directory, slack("T2", "U1")).await, bob);
    assert_eq!(name(directory, slack("T3", "U1")).await, None);
    assert_eq!(name(directory, slack("T1", "U9")).await, None);
    assert_eq!(name(directory, grid(None, "E1", "W2")).await, bob);
    assert_eq!(name(directory, grid(Some("T9"), "E1", "W2")).await, bob);
    assert_eq!(name(directory, grid(Some("T1"), "E9", "U1")).await, alice);
    // A workspace named like the organisation is no organisation.
    assert_eq!(name(directory, slack("E1", "W2")).await, None);
    let nowhere = Identity::Slack { team_id: None, enterprise_id: None, user_id: "U1".to_owned(), confirmed_email: None };
    assert_eq!(name(directory, nowhere).await, None);

    assert_eq!(name(directory, Identity::Email("ALICE@example.com".to_owned())).await, alice);
    assert_eq!(name(directory, Identity::Email("Alice".to_owned())).await, None);
    assert_eq!(name(directory, Identity::Person(ALICE_ID.parse().unwrap())).await, alice);
    assert_eq!(name(directory, Identity::Key(format!("file:{ALICE_ID}"))).await, alice);
    assert_eq!(name(directory, Identity::Key("file:alice@example.com".to_owned())).await, None);
    assert_eq!(name(directory, Identity::Key("file:bob@example.com".to_owned())).await, bob);
}

#[tokio::test]
async fn an_account_linked_to_two_people_is_nobody() {
    let text = format!(
        "{}slack = {{ team_id = \"T1\", user_id = \"U1\" }}\n{}slack = {{ enterprise_id = \"E1\", user_id = \"U1\" }}\n",
        person("Alice"),
        person("Bob")
    );
    let (_case, directory) = Case::new(&text).open_kept();
    assert_eq!(name(&directory, grid(Some("T1"), "E1", "U1")).await, None);
    assert_eq!(name(&directory, with_email(grid(Some("T1"), "E1", "U1"), "alice@example.com")).await, None);
    assert_eq!(name(&directory, slack("T1", "U1")).await.as_deref(), Some("Alice"));
}

#[tokio::test]
async fn an_email_address_counts_only_when_confirmed_active_and_uncontradicted() {
    let text =
        format!("{}{}slack = {{ team_id = \"T1\", user_id = \"U2\" }}\n{}active = false\n", person("Alice"), person("Bob"), person("Dave"));
    let (_case, directory) = Case::new(&text).open_kept();
    assert_eq!(name(&directory, slack("T1", "U1")).await, None, "no confirmed address");
    assert_eq!(name(&directory, with_email(slack("T1", "U1"), "Alice@Example.com")).await.as_deref(), Some("Alice"));
    assert_eq!(name(&directory, with_email(slack("T1", "U1"), "dave@example.com")).await, None, "not active");
    assert_eq!(name(&directory, with_email(slack("T1", "U1"), "erin@example.com")).await, None, "unknown");
    // Bob's account in this workspace is U2: U1 with his address is somebody else.
    assert_eq!(name(&directory, with_email(slack("T1", "U1"), "bob@example.com")).await, None);
    assert_eq!(name(&directory, with_email(slack("T2", "U1"), "bob@example.com")).await.as_deref(), Some("Bob"));
    // The link wins over the address.
    assert_eq!(name(&directory, with_email(slack("T1", "U2"), "alice@example.com")).await.as_deref(), Some("Bob"));
}

#[tokio::test]
async fn an_inactive_person_is_reported_as_such() {
    let text = format!("{}active = false\nslack = {{ team_id = \"T1\", user_id = \"U1\" }}\n", person("Dave"));
    let (_case, directory) = Case::new(&text).open_kept();
    let record = directory.lookup(&slack("T1", "U1"), NOW).await.unwrap().record.unwrap();
    assert!(!record.active && record.is_human());
}

#[tokio::test]
async fn a_change_counts_at_the_next_question_and_an_invalid_file_at_once() {
    let case = Case::new(&format!("{}groups = [\"a\"]\n", person("Alice")));
    let directory = case.open();
    let who = Identity::Email("alice@example.com".to_owned());

    let first = directory.lookup(&who, NOW).await.unwrap();
    assert!(first.fresh && first.as_of == NOW);
    assert!(first.record.unwrap().groups.contains("a"));

    case.write(&format!("{}groups = [\"b\"]\n", person("Alice")));
    let second = directory.lookup(&who, LATER).await.unwrap();
    assert!(second.fresh && second.as_of == LATER);
    assert!(second.record.unwrap().groups.contains("b"));

    for broken in ["[[person]\n", "[[person]]\nname = \"Mallory\"\n"] {
        case.write(broken);
        let answer = directory.lookup(&who, Timestamp::from_millis(3_000)).await.unwrap();
        assert!(!answer.fresh, "{broken}");
        assert_eq!(answer.as_of, LATER, "when it was last certain");
        assert!(answer.record.unwrap().groups.contains("b"), "the last valid record, for a denial");
        assert!(directory.people(NOW).await.is_err());
        let health = directory.health(NOW).await;
        assert!(!health.fresh && health.as_of == Some(LATER) && health.problem.is_some());
    }

    std::fs::remove_file(&case.path).unwrap();
    assert!(!directory.lookup(&who, LATER).await.unwrap().fresh);

    case.write(&person("Alice"));
    let again = directory.lookup(&who, Timestamp::from_millis(4_000)).await.unwrap();
    assert!(again.fresh && again.record.unwrap().groups.is_empty());
    let wanted = Health { source: "file", fresh: true, as_of: Some(Timestamp::from_millis(5_000)), problem: None };
    assert_eq!(directory.health(Timestamp::from_millis(5_000)).await, wanted);
}

#[tokio::test]
async fn the_same_valid_bytes_after_an_invalid_file_are_fresh_again() {
    let text = person("Alice");
    let case = Case::new(&text);
    let directory = case.open();
    let who = Identity::Email("alice@example.com".to_owned());
    for _ in 0..3 {
        case.write("broken");
        assert!(!directory.lookup(&who, NOW).await.unwrap().fresh);
        case.write(&text);
        assert!(directory.lookup(&who, NOW).await.unwrap().fresh);
        std::fs::rename(&case.path, case.path.with_extension("away")).unwrap();
        assert!(!directory.lookup(&who, NOW).await.unwrap().fresh);
        std::fs::rename(case.path.with_extension("away"), &case.path).unwrap();
        assert!(directory.lookup(&who, NOW).await.unwrap().fresh);
    }
}

#[tokio::test]
async fn quick_changes_of_the_same_length_are_all_seen() {
    let case = Case::new(&format!("{}groups = [\"g00\"]\n", person("Alice")));
    let directory = case.open();
    for round in 0..100 {
        let group = format!("g{round:02}");
        case.write(&format!("{}groups = [\"{group}\"]\n", person("Alice")));
        let record = directory.lookup(&Identity::Email("alice@example.com".to_owned()), NOW).await.unwrap().record.unwrap();
        assert!(record.groups.contains(&group), "{group}");
    }
}

#[tokio::test]
async fn a_file_that_was_never_valid_verifies_nobody() {
    let case = Case::new("broken");
    let directory = case.open();
    let who = Identity::Email("alice@example.com".to_owned());
    let error = directory.lookup(&who, NOW).await.unwrap_err().to_string();
    assert!(error.starts_with("the directory (file) cannot be asked: ") && error.contains("directory.toml:1:7: "), "{error}");
    assert!(directory.people(NOW).await.is_err());
    assert_eq!(directory.health(NOW).await.as_of, None);
    case.write(&person("Alice"));
    assert!(directory.lookup(&who, NOW).await.unwrap().fresh);

    let gone = FileDirectory::open(&case.path.with_extension("none"), NOW);
    assert!(gone.lookup(&who, NOW).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_questions_during_changes_see_one_whole_file_or_the_other() {
    let both = |group: &str| format!("{}groups = [\"{group}\"]\n{}groups = [\"{group}\"]\n", person("Alice"), person("Bob"));
    let case = Case::new(&both("a"));
    let directory = Arc::new(case.open());
    let mut tasks = Vec::new();
    for _ in 0..8 {
        let directory = Arc::clone(&directory);
        tasks.push(tokio::spawn(async move {
            for _ in 0..25 {
                let people = directory.people(NOW).await.unwrap();
                assert_eq!(people.len(), 2);
                assert_eq!(people[0].groups, people[1].groups);
            }
        }));
    }
    for round in 0..50 {
        let draft = case.path.with_extension("new");
        std::fs::write(&draft, both(if round % 2 == 0 { "b" } else { "a" })).unwrap();
        std::fs::rename(&draft, &case.path).unwrap();
        tokio::task::yield_now().await;
    }
    for task in tasks {
        task.await.unwrap();
    }
}

#[test]
fn every_mistake_has_its_place_and_its_sentence() {
    let alice = person("Alice");
    let cases: &[(String, &[&str])] = &[
        ("[[person]\n".to_owned(), &["directory.toml:1:10: unclosed array table, expected `]`"]),
        ("[[people]]\n".to_owned(), &["directory.toml:1:3: unknown key; this file holds only [[person]]"]),
        ("[person]\n".to_owned(), &["directory.toml:1:2: write [[person]] for each person"]),
        ("person = [1]\n".to_owned(), &["directory.toml:1:11: write [[person]] for each person"]),
        (
            "[[person]]\n".to_owned(),
            &["directory.toml:1:1: email is required in [[person]]", "directory.toml:1:1: name is required in [[person]]"],
        ),
        (format!("{alice}gruops = []\n"), &["directory.toml:4:1: unknown key \"gruops\" in [[person]]; did you mean \"groups\"?"]),
        (
            "[[person]]\nname = \"\"\nemail = \"Alice <alice@example.com>\"\n".to_owned(),
            &[
                "directory.toml:2:8: name: must not be empty or hold control characters",
                "directory.toml:3:9: email: this is not an e-mail address",
            ],
        ),
        (
            format!("{alice}id = \"per_1\"\n"),
            &["directory.toml:4:6: id: not a valid id: expected per_ followed by 26 characters of Crockford base32"],
        ),
        (format!("{alice}active = \"False\"\n"), &["directory.toml:4:10: active must be true or false, not a string"]),
        (format!("{alice}kind = \"Human\"\n"), &["directory.toml:4:8: kind: must be a lower-case word such as \"human\" or \"service\""]),
        (format!("{alice}groups = [\"a\", \"\"]\n"), &["directory.toml:4:16: groups: must not be empty or hold control characters"]),
        (
            format!("{alice}slack = \"U1\"\n"),
            &["directory.toml:4:9: slack must be a table such as { team_id = \"T0123\", user_id = \"U0123\" }, or a list of such"],
        ),
        (
            format!("{alice}slack = {{ user_id = \"alice\" }}\n"),
            &[
                "directory.toml:4:9: slack needs exactly one of team_id and enterprise_id",
                "directory.toml:4:21: user_id: this is not an id of Slack such as U… or W…",
            ],
        ),
        (
            format!("{alice}slack = [{{ team_id = \"E1\", enterprise_id = \"E1\", name = \"x\" }}]\n"),
            &[
                "directory.toml:4:10: slack needs a user_id",
                "directory.toml:4:22: slack needs exactly one of team_id and enterprise_id",
                "directory.toml:4:22: team_id: this is not an id of Slack such as T…",
                "directory.toml:4:50: unknown key \"name\" in slack",
            ],
        ),
        (
            format!("{alice}entra_object_id = \"alice\"\n"),
            &["directory.toml:4:19: entra_object_id: this is not a GUID such as 00000000-0000-0000-0000-000000000000"],
        ),
        (format!("{alice}attributes = 1\n"), &["directory.toml:4:14: attributes must be a table, not an integer"]),
        (format!("{alice}attributes = {{ a = nan }}\n"), &["directory.toml:4:20: an attribute must be a finite number"]),
    ];
    for (text, wanted) in cases {
        assert_eq!(Case::errors(text), *wanted, "{text}");
    }
    let missing = FileDirectory::check(Path::new("/nowhere/directory.toml")).unwrap_err();
    assert_eq!(missing[0].to_string(), "/nowhere/directory.toml: cannot read the directory: No such file or directory (os error 2)");
}

#[test]
fn what_identifies_a_person_stands_once_and_is_not_quoted() {
    let two = |first: &str, second: &str| format!("{}{first}\n{}{second}\n", person("Alice"), person("Bob"));
    let guid = "00000000-0000-0000-0000-00000000000";
    let cases = [
        (format!("{}{}", person("Alice"), person("ALICE")), "this e-mail address"),
        (two(&format!("id = \"{ALICE_ID}\""), &format!("id = \"{ALICE_ID}\"")), "this id"),
        (two(&format!("entra_object_id = \"{guid}a\""), &format!("entra_object_id = \"{guid}A\"")), "this entra_object_id"),
        (two("oidc_subject = \"x\"", "oidc_subject = \"x\""), "this oidc_subject"),
        (two("slack = { team_id = \"T1\", user_id = \"U1\" }", "slack = [{ team_id = \"T1\", user_id = \"U1\" }]"), "this Slack account"),
    ];
    for (text, what) in cases {
        let found = Case::errors(&text);
        let line = text.match_indices("[[person]]").nth(1).map_or(0, |(at, _)| text[..at].lines().count() + 1);
        assert_eq!(found, [format!("directory.toml:{line}:1: {what} is used twice; the other is at directory.toml:1:1")]);
    }
}

#[test]
fn the_example_is_valid_and_says_everything() {
    let example = include_str!("../../../directory.example.toml");
    let case = Case::new(example);
    let people = FileDirectory::check(&case.path).unwrap();
    assert_eq!(people.iter().map(|person| person.name.as_str()).collect::<Vec<_>>(), ["Alice", "Bob", "Carol", "Dave"]);
    for key in parse::PERSON {
        assert!(!key.reason.is_empty());
        let written = |line: &str| line.trim_start_matches("# ").starts_with(&format!("{} = ", key.name));
        assert!(example.lines().any(written), "{} is missing", key.name);
    }
    assert_eq!(people[1].slack.len(), 2);
    assert_eq!(people[1].slack[1], SlackAccount { home: SlackHome::Enterprise("E0123".to_owned()), user_id: "W0BOB".to_owned() });
    assert!(!people[3].active && people[0].active);

    let alice = people[0].as_value();
    assert_eq!(
        alice,
        serde_json::json!({
            "id": null, "name": "Alice", "email": "alice@example.com", "active": true, "kind": "human",
            "groups": ["countersign-admins", "data-governance"],
            "slack": [{"team_id": "T0123", "user_id": "U0ALICE"}],
            "entra_object_id": "00000000-0000-0000-0000-000000000001", "oidc_subject": "alice",
            "manager": "carol@example.com", "department": "Data",
            "attributes": {"cost_center": "4711", "on_call": true}
        })
    );
    assert_eq!(people[2].as_value()["manager"], serde_json::Value::Null);
}

#[test]
fn only_a_human_is_human() {
    let case = Case::new(&format!("{}kind = \"service\"\n", person("Robot")));
    let people = FileDirectory::check(&case.path).unwrap();
    assert!(!people[0].is_human());
}

#[test]
fn an_empty_file_is_valid_and_knows_nobody() {
    assert!(FileDirectory::check(&Case::new("").path).unwrap().is_empty());
}
