//! Measures the server against its targets, and against what else there is, in one run on one machine.
//!
//! `cargo run --profile dist -p countersign-bench -- [all|a|b|c|d|e|taps]`; see `bench/README.md`.

mod client;
mod load;
mod machine;
mod peers;
mod ports;
mod probes;
mod report;
mod scenarios;
mod server;
mod signature;
mod slack;
mod stats;

use anyhow::{Context as _, bail};
use clap::{Parser, ValueEnum};
use scenarios::Bench;
use serde_json::{Value, json};
use server::Database;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    All,
    A,
    B,
    C,
    D,
    E,
    Taps,
    #[value(hide = true)]
    Echo,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Sqlite,
    Postgres,
}

/// Measures Countersign.
#[derive(Parser)]
struct Args {
    /// What to measure
    #[arg(value_enum, default_value = "all")]
    which: Which,
    /// Only for the child process that echoes
    #[arg(hide = true)]
    listen: Option<SocketAddr>,
    /// Length of one measurement
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Interleaved rounds; the median counts
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Taps of one round of C
    #[arg(long, default_value_t = 10_000)]
    taps: usize,
    /// Waiting callers of E
    #[arg(long, default_value_t = 9_500)]
    callers: usize,
    /// Where requests are kept
    #[arg(long, value_enum, default_value = "sqlite")]
    database: Kind,
    /// A PostgreSQL server where databases may be made
    #[arg(long, env = "COUNTERSIGN_BENCH_POSTGRES", hide_env_values = true)]
    postgres: Option<String>,
    /// Measure this server instead of the one of this source
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Write the result there instead of into bench/results
    #[arg(long)]
    out: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run(args))
}

async fn run(args: Args) -> anyhow::Result<()> {
    if args.which == Which::Echo {
        return probes::serve_echo(args.listen.context("echo needs an address")?).await;
    }
    if cfg!(debug_assertions) {
        bail!("run the bench with --profile dist");
    }
    let database = match args.database {
        Kind::Sqlite => Database::Sqlite,
        Kind::Postgres => Database::Postgres(args.postgres.context("--postgres or COUNTERSIGN_BENCH_POSTGRES must name a server")?),
    };
    let kind = if matches!(database, Database::Sqlite) { "sqlite" } else { "postgres" };
    let descriptors = machine::raise_descriptors();
    let binary = match args.binary {
        Some(binary) => binary,
        None => server::binary()?,
    };
    let size = std::fs::metadata(&binary).with_context(|| binary.display().to_string())?.len();
    let bench = Bench { binary, database, time: Duration::from_secs(args.seconds.max(1)), rounds: args.rounds.max(1) };
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let mut result = json!({
        "unix_time": seconds, "machine": machine::describe(), "database": kind, "descriptors": descriptors, "binary_bytes": size,
        "seconds": args.seconds, "rounds": args.rounds, "scenarios": {},
    });
    let wanted = |which| args.which == Which::All || args.which == which;
    if wanted(Which::A) {
        note(&mut result, "a", scenarios::create(&bench, "db.read", true).await)?;
    }
    if wanted(Which::B) {
        note(&mut result, "b", scenarios::create(&bench, "db.export", false).await)?;
    }
    if wanted(Which::C) {
        note(&mut result, "c", scenarios::taps(&bench, args.taps.max(MANY_TAPS)).await)?;
    }
    if wanted(Which::D) {
        note(&mut result, "d", scenarios::released(&bench).await)?;
    }
    if wanted(Which::E) {
        note(&mut result, "e", scenarios::waiting(&bench, args.callers).await)?;
    }
    if wanted(Which::Taps) {
        note(&mut result, "taps", scenarios::slow_slack(&bench, 500).await)?;
    }
    result["verdicts"] = report::verdicts(&result["scenarios"]);
    let name = args.which.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    let path =
        args.out.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("results").join(format!("{seconds}-{kind}-{name}.json")));
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    std::fs::write(&path, serde_json::to_string_pretty(&result)? + "\n")?;
    report::print(&result["verdicts"]);
    println!("\n{}", path.display());
    Ok(())
}

const MANY_TAPS: usize = 640;

/// Takes a scenario's result, unless a probe is missing beside it.
fn note(result: &mut Value, name: &str, scenario: anyhow::Result<Value>) -> anyhow::Result<()> {
    let scenario = scenario.with_context(|| format!("scenario {name}"))?;
    for probe in ["fsync", "echo"] {
        if scenario["probes"][probe].is_null() {
            bail!("scenario {name} has no probe \"{probe}\"");
        }
    }
    eprintln!("{name}: done");
    result["scenarios"][name] = scenario;
    Ok(())
}
