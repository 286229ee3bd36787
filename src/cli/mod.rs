//! Owns the command line: the tree of subcommands, the exit codes, and how an error is told. One file per subcommand.
//!
//! Never holds a rule: a command reads its arguments, calls a use case or the pure domain, and prints. The only module (with `main`) that prints, and
//! the only one that uses `anyhow`.
//!
//! Exit codes: 0 done, 1 wrong or failed, 64 the command line itself is wrong; `audit verify` and `run` have more, told in their files.

mod audit;
mod backup;
mod check;
mod client;
mod demo;
mod diagnostic;
mod doctor;
mod logging;
mod migrate;
mod openapi;
mod output;
mod policy;
mod run;
mod serve;
mod slack;

use crate::config::Config;
use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use output::Output;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The command line is wrong (`EX_USAGE` of sysexits.h).
const USAGE: u8 = 64;

/// The configuration that is read when it is there and none is named.
const CONFIG: &str = "countersign.toml";

const EXAMPLES: &str = "\
Examples:
  countersign demo                                      try it: everything on this machine, nothing to configure
  countersign check                                     every mistake in configuration, policy and directory
  countersign serve                                     run the server
  countersign client create ci-bot --scope requests:write --scope grants:redeem --owner alice@example.com
  countersign run --action db.export --param table=customers -- ./export.sh customers
  countersign audit verify --head head.json             prove that the log is whole

Every command has --help with examples of its own.";

/// Holds an automated action until a person who is allowed to say yes has said yes.
#[derive(Debug, Parser)]
#[command(name = "countersign", version, after_help = EXAMPLES, max_term_width = 100, arg_required_else_help = true)]
struct Cli {
    /// The configuration [default: countersign.toml, when there is one]
    #[arg(long, global = true, value_name = "PATH", env = "COUNTERSIGN_CONFIG")]
    config: Option<PathBuf>,
    /// For machines: JSON instead of text
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve,
    /// Run everything on this machine with sample people, policy and a waiting request
    Demo(demo::Args),
    /// Check configuration, policy and directory, and whether every route can be satisfied
    #[command(after_help = check::EXAMPLES)]
    Check,
    /// Examine the whole deployment: keys, database, directory, address, and what Slack says about the app
    #[command(after_help = doctor::EXAMPLES)]
    Doctor,
    /// Bring the database to the form that this version needs
    #[command(after_help = migrate::EXAMPLES)]
    Migrate,
    /// Copy the SQLite database while the server works on it
    #[command(after_help = backup::EXAMPLES)]
    Backup(backup::Args),
    /// Check, test or explain a policy file
    #[command(subcommand)]
    Policy(policy::Command),
    /// Set up Slack
    #[command(subcommand)]
    Slack(slack::Command),
    /// Manage clients
    #[command(subcommand)]
    Client(client::Command),
    /// Verify the audit log
    #[command(subcommand)]
    Audit(audit::Command),
    /// Ask for an action, wait for the decision, then run exactly that command
    #[command(after_help = run::EXAMPLES)]
    Run(run::Args),
    /// Print the description of the API (OpenAPI 3.1)
    #[command(after_help = openapi::EXAMPLES)]
    Openapi,
}

/// What every command needs to know.
#[derive(Debug)]
pub(crate) struct Context {
    config: Option<PathBuf>,
    /// Where to print.
    pub(crate) out: Output,
}

impl Context {
    /// The configuration file: the one that was named, else `countersign.toml` when it exists.
    pub(crate) fn config_file(&self) -> Option<PathBuf> {
        self.config.clone().or_else(|| Path::new(CONFIG).exists().then(|| PathBuf::from(CONFIG)))
    }

    /// The configuration, or an error that lists every mistake.
    pub(crate) fn load_config(&self) -> anyhow::Result<Config> {
        Config::load(self.config_file().as_deref(), environment()).map_err(|errors| {
            let lines: Vec<String> = errors.iter().map(|error| format!("\n  {error}")).collect();
            anyhow::anyhow!("the configuration has {}:{}", output::count(errors.len(), "mistake"), lines.concat())
        })
    }
}

/// The environment, as far as it is text.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// An end with an exit code of its own.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Stop {
    code: u8,
    message: String,
}

impl Stop {
    /// Ends with `code` and a sentence that says what is wrong and what to do.
    pub(crate) fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The command line is wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(USAGE, message)
    }
}

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // A closed terminal is nobody to tell it to.
            let _ = error.print();
            return match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
                _ => ExitCode::from(USAGE),
            };
        }
    };
    let context = Context { config: cli.config, out: Output::new(cli.json) };
    let result = runtime(&cli.command).and_then(|runtime| {
        let result = runtime.block_on(dispatch(&context, cli.command));
        // A thread that still reads (a slow disk, a terminal) must not hold the end.
        runtime.shutdown_background();
        result
    });
    result.unwrap_or_else(|error| {
        context.out.error(&error);
        error.downcast_ref::<Stop>().map_or(ExitCode::FAILURE, |stop| ExitCode::from(stop.code))
    })
}

/// Many threads for what serves many, one for the rest.
fn runtime(command: &Command) -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = match command {
        Command::Serve | Command::Demo(_) | Command::Audit(_) | Command::Backup(_) => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    Ok(builder.enable_all().build()?)
}

async fn dispatch(context: &Context, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve => serve::run(context.load_config()?).await.map(|()| ExitCode::SUCCESS),
        Command::Demo(args) => demo::run(args).await.map(|()| ExitCode::SUCCESS),
        Command::Check => check::run(context),
        Command::Doctor => doctor::run(context).await,
        Command::Slack(command) => slack::run(context, command),
        Command::Migrate => migrate::run(context).await,
        Command::Backup(args) => backup::run(context, &args).await,
        Command::Policy(command) => policy::run(context, &command),
        Command::Client(command) => client::run(context, command).await,
        Command::Audit(command) => audit::run(context, command).await,
        Command::Run(args) => run::run(context, args).await,
        Command::Openapi => openapi::run(context),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_tree_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_examples() {
        fn visit(command: &clap::Command, path: &str) {
            let subcommands: Vec<_> = command.get_subcommands().filter(|command| command.get_name() != "help").collect();
            for subcommand in &subcommands {
                visit(subcommand, &format!("{path} {}", subcommand.get_name()));
            }
            if subcommands.is_empty() && !path.ends_with("serve") && !path.ends_with("demo") {
                let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(help.contains(path), "{path} has no example");
            }
        }
        visit(&Cli::command(), "countersign");
    }
}
