//! Owns `countersign slack manifest`: the manifest of the Slack app for this server, or what is wrong with one.
//!
//! Never talks to Slack; `doctor` does.

use super::Context;
use super::output::Style;
use crate::chat::slack::manifest;
use anyhow::Context as _;
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  countersign slack manifest --public-url https://countersign.example.com > app.yaml
  countersign slack manifest --socket
  countersign slack manifest --check app.yaml

Paste it at api.slack.com/apps, Create New App, From a manifest.
Exit code: 0 done, 1 a manifest that Slack or Countersign would refuse.";

/// What concerns Slack.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Print the app's manifest for this server, or check one
    #[command(after_help = EXAMPLES)]
    Manifest(Manifest),
}

/// Which manifest.
#[derive(Debug, clap::Args)]
pub(crate) struct Manifest {
    /// For Socket Mode: Slack is called and calls nobody, so no address is needed
    #[arg(long)]
    socket: bool,
    /// Where Slack reaches the server [default: `public_url` of the configuration]
    #[arg(long, value_name = "URL", conflicts_with = "socket")]
    public_url: Option<String>,
    /// Check this manifest (YAML or JSON) instead of printing one
    #[arg(long, value_name = "FILE", conflicts_with_all = ["socket", "public_url"])]
    check: Option<PathBuf>,
}

pub(super) fn run(context: &Context, command: Command) -> anyhow::Result<ExitCode> {
    let Command::Manifest(asked) = command;
    let out = context.out;
    let outcome = if let Some(file) = &asked.check {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let faults = manifest::faults(&text);
        if faults.is_empty() { Ok(None) } else { Err(faults) }
    } else {
        let public_url = match asked.public_url {
            Some(url) => url,
            None if asked.socket => String::new(),
            None => context.load_config()?.server.public_url,
        };
        manifest::render(&public_url, asked.socket).map(Some)
    };
    match outcome {
        Ok(Some(text)) if out.json => out.document(&json!({"ok": true, "manifest": text}))?,
        Ok(Some(text)) => out.line(text.trim_end()),
        Ok(None) if out.json => out.document(&json!({"ok": true, "faults": []}))?,
        Ok(None) => out.line(format!("{} Slack and Countersign accept this manifest", out.paint(Style::Green, "ok:"))),
        Err(faults) => {
            if out.json {
                out.document(&json!({"ok": false, "faults": faults}))?;
            } else {
                for fault in &faults {
                    out.line(format!("{} {fault}", out.paint(Style::Red, "error:")));
                }
                if asked.check.is_none() {
                    out.line("Set [server] public_url to the https:// address at which Slack reaches this server, or use --socket.");
                }
            }
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}
