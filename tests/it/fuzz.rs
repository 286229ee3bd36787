//! The corpus of every fuzz target runs through its body here, on stable: what fuzzing found once is never lost again.

#[path = "../../fuzz/bodies.rs"]
mod bodies;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A body by the name of its target.
type Body = fn(&[u8]);

const TARGETS: [(&str, Body); 6] = [
    ("callback", bodies::callback),
    ("canonical", bodies::canonical),
    ("grant", bodies::grant),
    ("policy", bodies::policy),
    ("request", bodies::request),
    ("webhook_url", bodies::webhook_url),
];

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

#[test]
fn every_target_has_a_body_and_a_corpus() {
    let names: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let manifest: toml::Table = std::fs::read_to_string(fuzz().join("Cargo.toml")).unwrap().parse().unwrap();
    let listed = manifest["bin"].as_array().unwrap().iter().map(|target| target["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, listed);
    let entries =
        |folder: &str| std::fs::read_dir(fuzz().join(folder)).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(names, entries("corpus").collect());
    assert_eq!(names, entries("fuzz_targets").map(|file| file.trim_end_matches(".rs").to_owned()).collect());
}

#[test]
fn the_corpus_holds() {
    for (name, body) in TARGETS {
        let mut count = 0;
        for entry in std::fs::read_dir(fuzz().join("corpus").join(name)).unwrap() {
            let path = entry.unwrap().path();
            // Tells which one it was, should it fail.
            println!("{}", path.display());
            body(&std::fs::read(&path).unwrap());
            count += 1;
        }
        assert!(count >= 5, "{name} has only {count} examples");
    }
}
