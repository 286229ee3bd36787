//! The pages of the reference that are made from the code: each must be what the code says now.
//!
//! `COUNTERSIGN_REFERENCE=write cargo test --test it reference::` (or `just reference`) writes them anew.

use countersign::config::key::{Kind, Preset};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Compares a page with what was made, or writes it.
#[track_caller]
fn is(page: &str, made: &str) {
    let path = Path::new(ROOT).join("docs/reference").join(page);
    if std::env::var_os("COUNTERSIGN_REFERENCE").is_some_and(|wish| wish == "write") {
        return std::fs::write(path, made).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed == made, "docs/reference/{page} is not what the code says; run: just reference");
}

/// A text in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[test]
fn every_key_of_the_configuration_has_its_row() {
    let mut made = "# Configuration\n\nMade from the code. `countersign.toml` holds these sections; [`countersign.example.toml`](../../countersign.example.toml) shows every key in place.\n\
        Any key can come from the environment as `COUNTERSIGN_<SECTION>__<KEY>`, any secret from a file as `<key>_file`. An unknown key is an error.\n"
        .to_owned();
    let mut section = "";
    for key in countersign::config::reference() {
        if key.section != section {
            section = key.section;
            let heading = if section == "clients" { "[[clients]]".to_owned() } else { format!("[{section}]") };
            write!(made, "\n## `{heading}`\n\n| key | type | default | what it does |\n|---|---|---|---|\n").unwrap();
        }
        let kind = match key.kind {
            Kind::Choice(words) => words.iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(" or "),
            kind => kind.name().to_owned(),
        };
        let preset = match key.preset {
            Preset::Value(value) => format!("`{value}`"),
            Preset::File(path) => format!("`{}_file = \"{path}\"`", key.name),
            Preset::Required => "required".to_owned(),
            Preset::Absent => "none".to_owned(),
            Preset::Unsupported => "not supported by this version".to_owned(),
        };
        writeln!(made, "| `{}` | {} | {} | {} |", key.name, cell(&kind), cell(&preset), cell(key.reason)).unwrap();
    }
    is("configuration.md", &made);
}

#[test]
fn every_operation_of_the_api_has_its_row() {
    let api: Value = serde_json::from_str(&countersign::http::openapi()).unwrap();
    let mut made = "# API\n\nMade from the code. The full description with every member is [openapi.json](../openapi.json), which a running server serves at `/openapi.json` and shows at `/docs`.\n\
        How to use it: [Clients](../guides/clients.md). What an error looks like: [Errors](errors.md).\n"
        .to_owned();
    let mut groups: Vec<(String, String)> = Vec::new();
    for (path, operations) in api["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let group = operation["tags"][0].as_str().unwrap().to_owned();
            let row = format!("| `{} {path}` | {} |\n", method.to_uppercase(), cell(operation["summary"].as_str().unwrap()));
            match groups.iter_mut().find(|(name, _)| *name == group) {
                Some((_, rows)) => rows.push_str(&row),
                None => groups.push((group, row)),
            }
        }
    }
    groups.sort();
    for (name, rows) in groups {
        let (first, rest) = name.split_at(1);
        write!(made, "\n## {}{rest}\n\n| operation | what |\n|---|---|\n{rows}", first.to_uppercase()).unwrap();
    }
    is("api.md", &made);
}

#[test]
fn every_event_of_the_log_has_its_row() {
    let source = std::fs::read_to_string(Path::new(ROOT).join("src/domain/audit.rs")).unwrap();
    let mut made = "# Events\n\nMade from the code. These are the types of the [audit log](audit.md), which also `GET /v1/audit/events` and `GET /v1/audit/stream` tell.\n\n| type | when |\n|---|---|\n".to_owned();
    let list = source.split("kinds! {").nth(2).or_else(|| source.split("\nkinds! {").nth(1)).unwrap().split("\n}").next().unwrap();
    let mut words: Vec<&str> = Vec::new();
    let mut count = 0;
    for line in list.lines().map(str::trim) {
        if let Some(said) = line.strip_prefix("/// ") {
            words.push(said);
        } else if let Some((_, text)) = line.split_once(" = ") {
            let name = text.trim_matches([',', '"']);
            assert!(countersign::domain::audit::Kind::ALL.iter().any(|kind| kind.as_str() == name));
            writeln!(made, "| `{name}` | {} |", cell(&words.join(" "))).unwrap();
            words.clear();
            count += 1;
        }
    }
    assert_eq!(count, countersign::domain::audit::Kind::ALL.len());
    is("events.md", &made);
}

#[test]
fn every_command_has_its_help() {
    let help = |path: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_countersign")).args(path).arg("--help").env_clear().output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let names = |text: &str| -> Vec<String> {
        let listed = text.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| line.starts_with("  "));
        // The words of a long line go on further to the right.
        let listed = listed.filter(|line| !line.starts_with("   ")).map(|line| line.split_whitespace().next().unwrap().to_owned());
        listed.filter(|name| name != "help").collect()
    };
    let mut made = "# Commands\n\nMade from the code. Every command takes `--config PATH` and `--json`.\n".to_owned();
    for name in names(&help(&[])) {
        let text = help(&[&name]);
        let below = names(&text);
        let mut paths = vec![vec![name.as_str()]];
        if !below.is_empty() {
            paths = below.iter().map(|one| vec![name.as_str(), one.as_str()]).collect();
        }
        for path in paths {
            let lines: Vec<String> = help(&path).lines().map(|line| line.trim_end().to_owned()).collect();
            write!(made, "\n## `countersign {}`\n\n```text\n{}\n```\n", path.join(" "), lines.join("\n").trim_end()).unwrap();
        }
    }
    is("commands.md", &made);
}

/// Errors have sentences of people behind them, so that page is written by hand; it must name exactly the codes that the code has.
#[test]
fn every_error_of_the_api_is_on_its_page() {
    let page = std::fs::read_to_string(Path::new(ROOT).join("docs/reference/errors.md")).unwrap();
    let listed: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let mut sources = Vec::new();
    for folder in ["src/http", "src/engine", "src/domain"] {
        gather(&Path::new(ROOT).join(folder), &mut sources);
    }
    for slug in &listed {
        assert!(sources.iter().any(|text| text.contains(&format!("\"{slug}\""))), "{slug} is no code of an error");
    }
    let mut missing = Vec::new();
    for text in &sources {
        let code = text.split("#[cfg(test)]").next().unwrap();
        for opening in
            ["Problem::new(", "Failure::forbidden(", "Failure::invalid(", "Conflict { code: ", "Forbidden { code: ", "Invalid { code: "]
        {
            for rest in code.split(opening).skip(1) {
                let call: String = rest.chars().take(160).collect();
                let Some(slug) = call.split('"').nth(1) else { continue };
                let plain = !slug.is_empty() && slug.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
                if plain && !listed.contains(&slug) {
                    missing.push(slug.to_owned());
                }
            }
        }
    }
    missing.sort();
    missing.dedup();
    assert!(missing.is_empty(), "docs/reference/errors.md lacks {missing:?}");
}

fn gather(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("tests") {
            gather(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            found.push(std::fs::read_to_string(path).unwrap());
        }
    }
}
