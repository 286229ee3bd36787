//! Owns `countersign policy check|test|explain`: a policy file on its own, without configuration, database or directory.
//!
//! Never judges by itself: the domain does, exactly as the server would.

use super::diagnostic::{self, Diagnostic};
use super::output::{Style, count, visible, visible_lines};
use super::{Context, Stop};
use crate::domain::json;
use crate::domain::policy::{self as rules, CaseResult, Effect, Policy, Scenario, Severity};
use crate::domain::time::Clock as _;
use crate::runtime::SystemClock;
use anyhow::Context as _;
use serde_json::{Value, json};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Longest request that is read from standard input.
const MAX_REQUEST: u64 = 1024 * 1024;

/// What to do with a policy file.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Find every mistake; exit 1 on any finding, warnings included
    #[command(after_help = "Example:\n  countersign policy check policy.toml")]
    Check {
        /// The policy
        file: PathBuf,
    },
    /// Run test cases; exit 1 when one answers otherwise than expected
    #[command(after_help = TEST_EXAMPLES)]
    Test {
        /// The policy
        file: PathBuf,
        /// The cases [default: policy.tests.toml beside the policy, named after it]
        cases: Option<PathBuf>,
    },
    /// Say what becomes of a request, and why, rule by rule
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain {
        /// The policy
        file: PathBuf,
        /// The request: the body of POST /v1/requests, and beside its members "client", "on_behalf_of", "history", "now"; - reads standard input
        #[arg(long, value_name = "FILE")]
        request: PathBuf,
    },
}

const TEST_EXAMPLES: &str = "\
Examples:
  countersign policy test policy.toml
  countersign policy test policy.toml cases/exports.toml

A case:
  [[case]]
  name = \"large exports need data governance\"
  request = { action = \"db.export\", parameters = { rows = 5000 } }
  client = { name = \"exporter-bot\" }
  expect = { effect = \"review\", seats = [{ group = \"data-governance\", count = 1 }] }";

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  countersign policy explain policy.toml --request request.json
  echo '{\"action\": \"db.export\", \"client\": \"exporter-bot\"}' | countersign policy explain policy.toml --request -";

/// Runs one of them.
pub(super) fn run(context: &Context, command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Check { file } => check(context, file),
        Command::Test { file, cases } => test(context, file, cases.as_deref()),
        Command::Explain { file, request } => explain(context, file, request),
    }
}

/// Reads a policy, or says everything that is wrong with it.
pub(super) fn read(file: &Path) -> Result<Policy, Vec<Diagnostic>> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| vec![Diagnostic::whole(file, Severity::Error, format!("cannot read the policy: {error}"))])?;
    Policy::parse(&text).map_err(|findings| findings.iter().map(|finding| Diagnostic::of(file, finding)).collect())
}

/// The policy, or nothing after everything that is wrong with it was printed.
fn load(context: &Context, file: &Path) -> anyhow::Result<Option<Policy>> {
    match read(file) {
        Ok(policy) => Ok(Some(policy)),
        Err(found) => {
            refuse(context, &found)?;
            Ok(None)
        }
    }
}

/// Prints what is wrong, on standard output as `check` does.
fn refuse(context: &Context, found: &[Diagnostic]) -> anyhow::Result<()> {
    let out = context.out;
    if out.json {
        return out.document(&json!({"ok": false, "findings": found}));
    }
    diagnostic::print(out, found);
    out.line(format!("{} {}", out.paint(Style::Red, "failed:"), diagnostic::tally(found).unwrap_or_default()));
    Ok(())
}

fn check(context: &Context, file: &Path) -> anyhow::Result<ExitCode> {
    let Some(policy) = load(context, file)? else { return Ok(ExitCode::FAILURE) };
    let warnings: Vec<Diagnostic> = policy.warnings().iter().map(|finding| Diagnostic::of(file, finding)).collect();
    let number = policy.rule_ids().count();
    let out = context.out;
    if out.json {
        let default = policy.default_effect();
        out.document(
            &json!({"ok": warnings.is_empty(), "version": policy.version(), "rules": number, "default": default, "findings": warnings}),
        )?;
    } else if warnings.is_empty() {
        let version = out.paint(Style::Dim, policy.version());
        out.line(format!(
            "{} {}, {}, else {}  {version}",
            out.paint(Style::Green, "ok:"),
            file.display(),
            count(number, "rule"),
            policy.default_effect()
        ));
    } else {
        refuse(context, &warnings)?;
    }
    Ok(if warnings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// `policy.toml` has its cases in `policy.tests.toml`, `prod.toml` in `prod.tests.toml`.
fn beside(file: &Path) -> PathBuf {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let own = file.with_file_name(format!("{stem}.tests.toml"));
    if own.exists() { own } else { file.with_file_name("policy.tests.toml") }
}

fn test(context: &Context, file: &Path, cases: Option<&Path>) -> anyhow::Result<ExitCode> {
    let Some(policy) = load(context, file)? else { return Ok(ExitCode::FAILURE) };
    let cases_file = cases.map_or_else(|| beside(file), Path::to_owned);
    let text = std::fs::read_to_string(&cases_file).with_context(|| format!("cannot read the test cases {}", cases_file.display()))?;
    let cases = match rules::parse_cases(&text) {
        Ok(cases) => cases,
        Err(findings) => {
            refuse(context, &findings.iter().map(|finding| Diagnostic::of(&cases_file, finding)).collect::<Vec<_>>())?;
            return Ok(ExitCode::FAILURE);
        }
    };
    let now = SystemClock.now();
    let results: Vec<CaseResult> = cases.iter().map(|case| rules::run_case(&policy, case, now)).collect();
    let failed = results.iter().filter(|result| !result.passed()).count();
    if context.out.json {
        let results: Vec<Value> = results.iter().map(|result| {
            json!({"name": result.name, "line": result.line, "passed": result.passed(), "differences": result.differences, "evaluation": result.evaluation})
        }).collect();
        let file = cases_file.display().to_string();
        context
            .out
            .document(&json!({"ok": failed == 0, "file": file, "passed": results.len() - failed, "failed": failed, "cases": results}))?;
    } else {
        print_results(context, &cases_file, &results, failed);
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print_results(context: &Context, file: &Path, results: &[CaseResult], failed: usize) {
    let out = context.out;
    for result in results {
        let name = visible(&result.name);
        if result.passed() {
            out.line(format!("{}    {name}", out.paint(Style::Green, "ok")));
            continue;
        }
        let place = out.paint(Style::Cyan, &format!("{}:{}", file.display(), result.line));
        out.line(format!("{}  {name}  {place}", out.paint(Style::Red, "FAIL")));
        for difference in &result.differences {
            out.line(format!("        {}", out.paint(Style::Bold, &difference.key)));
            out.line(format!("          expected  {}", visible(&difference.expected)));
            out.line(format!("          is        {}", visible(&difference.actual)));
        }
        out.line(format!("        {}", out.paint(Style::Dim, &visible(&result.evaluation.explanation))));
    }
    let passed = results.len() - failed;
    let summary = format!("{}: {passed} passed, {failed} failed", count(results.len(), "case"));
    out.line(out.paint(if failed == 0 { Style::Green } else { Style::Red }, &summary));
}

fn explain(context: &Context, file: &Path, request: &Path) -> anyhow::Result<ExitCode> {
    let Some(policy) = load(context, file)? else { return Ok(ExitCode::FAILURE) };
    let name = if request == Path::new("-") { "standard input".to_owned() } else { request.display().to_string() };
    let bytes = read_request(request).with_context(|| format!("cannot read the request from {name}"))?;
    let value = json::parse(&bytes).map_err(|error| anyhow::anyhow!("{name}: {error}"))?;
    let scenario = Scenario::from_json(&value).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(|error| format!("\n  {error}")).collect();
        anyhow::anyhow!("{name} is not a request:{}", lines.concat())
    })?;
    let evaluation = policy.explain(&scenario.facts(SystemClock.now()));
    let out = context.out;
    if out.json {
        out.document(&evaluation)?;
        return Ok(ExitCode::SUCCESS);
    }
    let text = visible_lines(&evaluation.to_text());
    let (head, rest) = text.split_once('\n').unwrap_or((&text, ""));
    let style = match evaluation.effect {
        Effect::Allow => Style::Green,
        Effect::Review => Style::Yellow,
        Effect::Deny => Style::Red,
    };
    let (effect, why) = head.split_once(' ').unwrap_or((head, ""));
    out.line(format!("{} {why}", out.paint(style, effect)));
    for line in rest.trim_end().lines() {
        out.line(match line.split_once(' ') {
            Some((rule, tail)) if !line.starts_with(' ') && tail.starts_with('(') => format!("{} {tail}", out.paint(Style::Bold, rule)),
            _ => line.to_owned(),
        });
    }
    Ok(ExitCode::SUCCESS)
}

fn read_request(file: &Path) -> anyhow::Result<Vec<u8>> {
    if file != Path::new("-") {
        return Ok(std::fs::read(file)?);
    }
    let mut bytes = Vec::new();
    std::io::stdin().lock().take(MAX_REQUEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_REQUEST {
        return Err(Stop::new(1, "it is longer than 1 MiB").into());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_stand_beside_the_policy() {
        let folder = tempfile::tempdir().unwrap();
        let policy = folder.path().join("prod.toml");
        assert_eq!(beside(&policy), folder.path().join("policy.tests.toml"));
        std::fs::write(folder.path().join("prod.tests.toml"), "").unwrap();
        assert_eq!(beside(&policy), folder.path().join("prod.tests.toml"));
    }
}
