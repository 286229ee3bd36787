//! Owns what the repository promises about itself: that the container and the deployment fit each other, that the manifest
//! names the endpoints that exist, and that no page points at a file that is not there.

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The arguments of the lines of a Dockerfile that begin with a word.
fn lines<'a>(dockerfile: &'a str, word: &str) -> Vec<&'a str> {
    dockerfile.lines().filter_map(|line| line.trim().strip_prefix(word)?.strip_prefix(' ')).collect()
}

#[test]
fn the_image_and_the_deployment_fit_each_other() {
    let dockerfile = text("Dockerfile");
    let fly: toml::Table = text("fly.toml").parse().unwrap();
    let exposed: Vec<i64> = lines(&dockerfile, "EXPOSE")[0].split(' ').map(|port| port.parse().unwrap()).collect();
    assert!(exposed.contains(&fly["http_service"]["internal_port"].as_integer().unwrap()));
    assert!(exposed.contains(&fly["metrics"]["port"].as_integer().unwrap()));
    assert!(dockerfile.contains("COUNTERSIGN_SERVER__LISTEN=0.0.0.0:8080"));
    assert_eq!(lines(&dockerfile, "VOLUME"), [fly["mounts"]["destination"].as_str().unwrap()]);
    assert_eq!(fly["build"]["dockerfile"].as_str(), Some("Dockerfile"));
    assert_eq!(fly["kill_signal"].as_str(), Some("SIGTERM"));
    assert!(dockerfile.contains("target/dist/countersign"), "the profile's folder and the binary's name");
    let command = fly["processes"]["app"].as_str().unwrap();
    assert!(command.starts_with("countersign serve --config "), "{command}");
    for copied in lines(&dockerfile, "COPY").iter().filter(|line| !line.starts_with("--from") && !line.starts_with('.')) {
        let mut files: Vec<&str> = copied.split(' ').collect();
        files.pop();
        for file in files {
            assert!(root().join(file).exists(), "the Dockerfile copies {file}, which is not there");
        }
    }
    let manifest: toml::Table = text("Cargo.toml").parse().unwrap();
    assert!(manifest["profile"].get("dist").is_some());
}

#[test]
fn every_key_of_the_deployment_is_a_key_of_the_configuration() {
    let fly: toml::Table = text("fly.toml").parse().unwrap();
    let known: Vec<String> = countersign::config::reference()
        .map(|key| format!("COUNTERSIGN_{}__{}", key.section.to_uppercase(), key.name.to_uppercase()))
        .collect();
    for name in fly["env"].as_table().unwrap().keys() {
        let name = name.strip_suffix("_FILE").unwrap_or(name);
        assert!(known.iter().any(|known| known == name), "{name} is no key of the configuration");
    }
}

/// Every file that git knows and that ends so.
fn tracked(ending: &str) -> Vec<PathBuf> {
    let listed = Command::new("git").args(["ls-files", &format!("*{ending}")]).current_dir(root()).output().unwrap();
    assert!(listed.status.success(), "these tests run in a checkout");
    let files: Vec<PathBuf> = String::from_utf8(listed.stdout).unwrap().lines().map(PathBuf::from).collect();
    assert!(!files.is_empty());
    files
}

#[test]
fn no_page_points_at_a_file_that_is_not_there() {
    let mut broken = Vec::new();
    for page in tracked(".md") {
        let folder = page.parent().unwrap();
        for link in text(page.to_str().unwrap()).split("](").skip(1) {
            let target = link.split(')').next().unwrap().split('#').next().unwrap();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            if !root().join(folder).join(target).exists() {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn the_book_has_every_page_once() {
    let summary = text("docs/SUMMARY.md");
    let mut listed: Vec<PathBuf> =
        summary.split("](").skip(1).map(|link| Path::new("docs").join(link.split(')').next().unwrap())).collect();
    let mut pages = tracked(".md");
    pages.retain(|page| {
        page.starts_with("docs") && !["docs/SUMMARY.md", "docs/adr/0000-template.md"].iter().any(|other| page == Path::new(other))
    });
    listed.sort();
    pages.sort();
    assert_eq!(listed, pages);
}

#[test]
fn the_two_commands_of_the_readme_exist() {
    let readme = text("README.md");
    for command in ["cargo run --release -- demo", "./tests/run"] {
        assert!(readme.contains(command));
    }
    assert!(text(".ci/run").contains("tests/run"), "CI runs the README's own test command");
}

#[test]
fn the_three_examples_fit_each_other() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["countersign", "policy", "directory"] {
        std::fs::write(folder.path().join(format!("{name}.toml")), text(&format!("{name}.example.toml"))).unwrap();
    }
    let checked = Command::new(env!("CARGO_BIN_EXE_countersign")).arg("check").current_dir(folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&checked.stderr).into_owned() + &String::from_utf8_lossy(&checked.stdout);
    // The one warning: the example's routes name channels, and [slack] waits for your secrets.
    assert!(checked.status.success(), "{said}");
}
