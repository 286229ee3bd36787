//! Owns black-box tests of the command line: the real binary, its standard streams and its exit code.
//!
//! Never looks inside: what a person or a script sees is what counts.

mod check;
mod database;
mod doctor;
mod policy;
mod run;
mod shape;
mod slack;

use std::path::Path;
use std::process::{Command, Output};

/// The binary in `folder`, with a clean environment.
fn countersign(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.args(arguments).current_dir(folder).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// What came of it: exit code, standard output, standard error.
struct Result {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Result {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("the output is UTF-8");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// Runs it to its end.
fn run(folder: &Path, arguments: &[&str]) -> Result {
    countersign(folder, arguments).output().expect("the binary starts").into()
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}
