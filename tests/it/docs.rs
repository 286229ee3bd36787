//! The documentation does what it says: every snippet of configuration loads, every body parses, every command and every
//! endpoint that a page names exists.
//!
//! Examples in programming languages are run by the tests of callers; this looks at the rest.

use countersign::config::Config;
use countersign::directory::FileDirectory;
use countersign::domain::policy::Policy;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A fenced block of a page.
struct Snippet {
    /// `docs/start.md:12`.
    place: String,
    language: String,
    text: String,
}

fn pages() -> Vec<PathBuf> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "README.md", "docs/*.md"])
        .current_dir(ROOT)
        .output()
        .unwrap();
    String::from_utf8(listed.stdout).unwrap().lines().map(PathBuf::from).filter(|page| Path::new(ROOT).join(page).exists()).collect()
}

fn snippets() -> Vec<Snippet> {
    let mut found = Vec::new();
    for page in pages() {
        let text = std::fs::read_to_string(Path::new(ROOT).join(&page)).unwrap();
        let mut open: Option<Snippet> = None;
        for (number, line) in text.lines().enumerate() {
            match (line.trim_start().strip_prefix("```"), open.take()) {
                (Some(_), Some(done)) => found.push(done),
                (Some(language), None) => {
                    let place = format!("{}:{}", page.display(), number + 1);
                    open = Some(Snippet { place, language: language.trim().to_owned(), text: String::new() });
                }
                (None, Some(mut inside)) => {
                    inside.text.push_str(line.trim_start_matches("   "));
                    inside.text.push('\n');
                    open = Some(inside);
                }
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a block does not end", page.display());
    }
    assert!(found.len() > 20, "the pages have snippets");
    found
}

fn of(language: &str) -> Vec<Snippet> {
    let found: Vec<Snippet> = snippets().into_iter().filter(|snippet| snippet.language == language).collect();
    assert!(!found.is_empty(), "no page has a {language} snippet");
    found
}

/// What a snippet of a policy leaves to the rest of the file.
fn policy_fault(text: &str) -> Option<String> {
    let mut table: toml::Table = text.parse().unwrap();
    let seats = toml::Value::try_from(vec![BTreeMap::from([("group", "somebody")])]).unwrap();
    let routes = table.entry("routes").or_insert_with(|| toml::Table::new().into()).as_table_mut().unwrap();
    if routes.is_empty() {
        routes.insert("usual".to_owned(), toml::Table::from_iter([("seats".to_owned(), seats.clone())]).into());
    }
    let first = routes.keys().next().unwrap().clone();
    let named: Vec<String> = table.get("default_route").and_then(toml::Value::as_str).map(str::to_owned).into_iter().collect();
    for name in named {
        let routes = table["routes"].as_table_mut().unwrap();
        routes.entry(name).or_insert_with(|| toml::Table::from_iter([("seats".to_owned(), seats.clone())]).into());
    }
    table.entry("default_route").or_insert_with(|| first.into());
    Policy::parse(&table.to_string()).err().map(|found| format!("{found:?}"))
}

/// What is wrong with a snippet of `countersign.toml`, with the secrets that it leaves to the environment.
fn config_fault(text: &str) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("countersign.toml"), text).unwrap();
    let mut secrets = Vec::new();
    for (section, key) in [("slack", "signing_secret"), ("slack", "bot_token")] {
        if text.contains(&format!("[{section}]")) && !text.contains(key) {
            secrets.push((format!("COUNTERSIGN_{}__{}", section.to_uppercase(), key.to_uppercase()), "secret".to_owned()));
        }
    }
    Config::load(Some(&folder.path().join("countersign.toml")), secrets.into_iter()).err().map(|errors| format!("{errors:?}"))
}

fn directory_fault(text: &str) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("directory.toml");
    std::fs::write(&file, text).unwrap();
    FileDirectory::check(&file).err().map(|errors| format!("{errors:?}"))
}

#[test]
fn every_toml_snippet_loads() {
    let mut faults = Vec::new();
    for snippet in of("toml") {
        let text = &snippet.text;
        let fault = if text.contains("[[person]]") {
            directory_fault(text)
        } else if ["[[rule]]", "[routes.", "[[mask]]", "default ="].iter().any(|part| text.contains(part)) {
            policy_fault(text)
        } else {
            config_fault(text)
        };
        faults.extend(fault.map(|fault| format!("{}: {fault}", snippet.place)));
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn every_json_snippet_parses() {
    for snippet in of("json") {
        // An ellipsis stands for members that the page leaves out.
        let text = snippet.text.replace("{…}", "{}").replace("[…]", "[]");
        // A member alone is a part of a body.
        let text = if text.starts_with('"') { format!("{{{text}}}") } else { text };
        if let Err(error) = serde_json::from_str::<Value>(&text) {
            panic!("{}: {error}", snippet.place);
        }
    }
}

/// The commands of a shell snippet: comments gone, lines joined, pipelines and lists taken apart.
fn commands(text: &str) -> Vec<Vec<String>> {
    let joined = text.replace("\\\n", " ");
    let lines = joined.lines().map(|line| line.split(" #").next().unwrap()).filter(|line| !line.starts_with('#'));
    let parts = lines.flat_map(|line| {
        line.split(" | ").flat_map(|part| part.split(" && ")).flat_map(|part| part.split("; ")).map(str::to_owned).collect::<Vec<_>>()
    });
    let mut found = Vec::new();
    for part in parts {
        let words: Vec<String> = part.split_whitespace().map(|word| word.trim_matches(['`', '"', '\'', '(', ')']).to_owned()).collect();
        let begins = words.iter().position(|word| word == "countersign" || word.ends_with("/countersign"));
        if let Some(begin) =
            begins.filter(|begin| words[..*begin].iter().all(|word| word.contains('=') || matches!(word.as_str(), "$" | "sudo" | "exec")))
        {
            found.push(words[begin + 1..].to_vec());
        }
    }
    found
}

fn help(path: &[String]) -> Option<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_countersign")).args(path).arg("--help").env_clear().output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

/// Why a command line of the documentation cannot be right.
fn command_fault(words: &[String]) -> Option<String> {
    let own: Vec<&String> = words.iter().take_while(|word| *word != "--").collect();
    let mut path: Vec<String> = Vec::new();
    for word in own.iter().filter(|word| !word.starts_with('-')) {
        let deeper: Vec<String> = path.iter().cloned().chain([(*word).clone()]).collect();
        let offers = help(&path).is_some_and(|text| text.contains("\nCommands:\n"));
        if !offers {
            break;
        }
        if help(&deeper).is_none() || !help(&path).unwrap().lines().any(|line| line.trim_start().split(' ').next() == Some(word)) {
            return Some(format!("there is no command {}", deeper.join(" ")));
        }
        path = deeper;
    }
    if path.is_empty() && !own.is_empty() && !own[0].starts_with('-') {
        return Some(format!("there is no command {}", own[0]));
    }
    let known = help(&path)?;
    let flags = own.iter().filter(|word| word.starts_with("--")).map(|word| word.split('=').next().unwrap());
    for flag in flags {
        let there = known.split(|letter: char| letter.is_whitespace() || matches!(letter, ',' | '=')).any(|word| word == flag);
        if !there {
            return Some(format!("countersign {} has no {flag}", path.join(" ")));
        }
    }
    None
}

#[test]
fn every_command_line_names_what_exists() {
    let (mut faults, mut seen) = (Vec::new(), 0);
    for snippet in of("sh") {
        for words in commands(&snippet.text) {
            seen += 1;
            faults.extend(command_fault(&words).map(|fault| format!("{}: {fault}", snippet.place)));
        }
    }
    // Decision records also speak of what is to come.
    for page in pages().into_iter().filter(|page| !page.starts_with("docs/adr")) {
        let text = std::fs::read_to_string(Path::new(ROOT).join(&page)).unwrap();
        for span in text.split('`').skip(1).step_by(2).filter(|span| span.starts_with("countersign ") && !span.contains("\\|")) {
            seen += 1;
            faults.extend(
                commands(span).into_iter().filter_map(|words| command_fault(&words)).map(|fault| format!("{}: {fault}", page.display())),
            );
        }
    }
    assert!(seen > 40, "{seen}");
    assert!(faults.is_empty(), "{faults:#?}");
    let line = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    assert!(command_fault(&line("polcy check")).is_some() && command_fault(&line("policy chekc")).is_some());
    assert!(command_fault(&line("check --jsno")).is_some() && command_fault(&line("run --action a -- ls --all")).is_none());
}

/// A path of the documentation fits a path of the API: what stands for an id fits a placeholder.
fn fits(path: &str, template: &str) -> bool {
    let (path, template): (Vec<&str>, Vec<&str>) = (path.split('/').collect(), template.split('/').collect());
    path.len() == template.len()
        && path.iter().zip(&template).all(|(one, other)| one == other || (other.starts_with('{') && !one.is_empty()))
}

#[test]
fn every_endpoint_that_a_page_names_exists() {
    let api: Value = serde_json::from_str(&countersign::http::openapi()).unwrap();
    let mut templates: Vec<String> = api["paths"].as_object().unwrap().keys().cloned().collect();
    templates.extend(["/docs", "/openapi.json", "/metrics", "/healthz", "/readyz"].map(str::to_owned));
    let (mut faults, mut seen) = (Vec::new(), 0);
    for page in pages() {
        let text = std::fs::read_to_string(Path::new(ROOT).join(&page)).unwrap();
        for (at, _) in text.match_indices("/v1/") {
            if text[..at].ends_with("urn:countersign") || text[..at].ends_with("countersign-audit-head") {
                continue;
            }
            let path: String = text[at..].chars().take_while(|letter| letter.is_alphanumeric() || "/_-{}$….".contains(*letter)).collect();
            let path = path.trim_end_matches(['.', '/']);
            seen += 1;
            if path != "/v1" && !templates.iter().any(|template| fits(path, template)) {
                let line = text[..at].matches('\n').count() + 1;
                faults.push(format!("{}:{line}: {path}", page.display()));
            }
        }
    }
    assert!(seen > 40, "{seen}");
    assert!(faults.is_empty(), "{faults:#?}");
}
