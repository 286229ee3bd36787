//! Owns what is measured: one function per letter of `bench/README.md`, each with a server, an echo and a disk of its own.
//!
//! Never gives a figure without the two probes beside it, taken in the same minute.

use crate::client::Connection;
use crate::load::{self, Outcome, Target, Work};
use crate::probes::{self, Echo};
use crate::server::{self, Database, Pending, Server};
use crate::slack::{self, Slack};
use crate::stats::{self, median, ms, percentile, round};
use crate::{machine, peers, signature};
use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What all scenarios need.
pub struct Bench {
    pub binary: PathBuf,
    pub database: Database,
    /// Length of one measurement.
    pub time: Duration,
    /// Interleaved rounds, of which the median counts.
    pub rounds: usize,
}

const MANY: usize = 64;
/// In the first event of a stream, and in the one that its reader waits for.
const PENDING: &[u8] = b"\"status\":\"pending\"";
const APPROVED: &[u8] = b"\"status\":\"approved\"";

/// A server with what stands beside it.
struct Stand {
    server: Server,
    echo: Echo,
    slack: Slack,
    fsync: Value,
}

impl Bench {
    async fn stand(&self) -> anyhow::Result<Stand> {
        let slack = Slack::start().await?;
        let server = Server::start(&self.binary, &self.database, slack.address).await?;
        let fsync = probes::fsync(server.directory.path())?;
        Ok(Stand { server, echo: Echo::start().await?, slack, fsync })
    }
}

impl Stand {
    fn echo_target(&self) -> Target {
        Target { address: self.echo.address, pid: self.echo.pid(), status: 200 }
    }

    fn echo_work() -> Work {
        let body = server::ask("db.read");
        Work::same(crate::client::request("POST", "/echo", &[("content-type", "application/json")], &body))
    }

    async fn echo(&self, connections: usize, time: Duration) -> anyhow::Result<Outcome> {
        load::closed(self.echo_target(), connections, time, Self::echo_work()).await
    }

    /// Both probes, for a scenario that does not compare itself with the echo round by round.
    async fn probes(&self) -> anyhow::Result<Value> {
        let echo = self.echo(MANY, Duration::from_secs(1)).await?.json();
        Ok(json!({"fsync": self.fsync, "echo": echo, "load_average": machine::load_average()}))
    }
}

/// Creates against the echo: A (allowed, with its grant) and B (people are asked).
pub async fn create(bench: &Bench, action: &str, signed: bool) -> anyhow::Result<Value> {
    let stand = bench.stand().await?;
    let (target, text) = (stand.server.target(201), server::create(action));
    // Connections, caches and prepared statements exist before anything counts.
    load::closed(target, MANY, Duration::from_secs(1), Work::same(text.clone())).await?;
    let (mut rounds, mut echoes) = (Vec::new(), Vec::new());
    let (mut rates, mut ratios, mut cpu_ratios) = (Vec::new(), Vec::new(), Vec::new());
    let (mut cpu, mut echo_rates, mut p50_one) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        let mut echo = stand.echo(MANY, bench.time.min(Duration::from_secs(3))).await?;
        let mut ours = load::closed(target, MANY, bench.time, Work::same(text.clone())).await?;
        let mut one = load::closed(target, 1, bench.time.min(Duration::from_secs(2)), Work::same(text.clone())).await?;
        rates.push(ours.per_second());
        echo_rates.push(echo.per_second());
        ratios.push(ours.per_second() / echo.per_second());
        cpu.push(ours.cpu_per_request_us());
        cpu_ratios.push(ours.cpu_per_request_us() / echo.cpu_per_request_us());
        p50_one.push(ms(percentile(&mut one.samples, 50.0)));
        rounds.push(json!({"connections_64": ours.json(), "connections_1": one.json()}));
        echoes.push(echo.json());
    }
    let rate = median(rates.clone());
    let mut paced = load::fixed(target, MANY, rate / 2.0, bench.time, Work::same(text)).await?;
    let fsync_after = probes::fsync(stand.server.directory.path())?;
    let mut result = json!({
        "probes": {"fsync": stand.fsync, "fsync_after": fsync_after, "echo": echoes, "load_average": machine::load_average()},
        "rounds": rounds,
        "at_half_rate_from_intended_start": {"rate": round(rate / 2.0), "latency": paced.json()},
        "per_second": round(rate),
        "server_cpu_us_per_request": round(median(cpu.clone())),
        "share_of_echo": round(median(ratios)),
        "cpu_over_echo": round(median(cpu_ratios)),
        "one_connection_p50_ms": median(p50_one),
    });
    if signed {
        let cost = signature::cost(&stand.server.directory.path().join("grant-key.pem"))?;
        let cores = std::thread::available_parallelism()?.get();
        // What is left of the time of all cores per request once the signature is taken off.
        #[expect(clippy::cast_precision_loss, reason = "a number of cores")]
        let without = 1.0 / (1.0 / rate - cost.as_secs_f64() / cores as f64);
        let echo_cpu = median(cpu.clone()) / result["cpu_over_echo"].as_f64().unwrap_or(f64::NAN);
        result["signature_us"] = json!(round(cost.as_secs_f64() * 1e6));
        result["share_of_echo_without_signature"] = json!(round(without / median(echo_rates)));
        result["cpu_over_echo_without_signature"] = json!(round((median(cpu) - cost.as_secs_f64() * 1e6) / echo_cpu));
    }
    Ok(result)
}

/// Signed taps, verified and durable when they are acknowledged, decided right after; Bolt acknowledges the same bytes.
pub async fn taps(bench: &Bench, count: usize) -> anyhow::Result<Value> {
    let (node, python) = (peers::node().await?, peers::python().await?);
    let stand = bench.stand().await?;
    let probes = stand.probes().await?;
    let (mut rounds, mut rates, mut cpus) = (Vec::new(), Vec::new(), Vec::new());
    let (mut over_node, mut over_python, mut p99s) = (Vec::new(), Vec::new(), Vec::new());
    let mut number = 0;
    for _ in 0..bench.rounds {
        let pending = stand.server.pending(count, "quiet.export").await?;
        let few = stand.server.pending(count / 20, "quiet.export").await?;
        quiet(stand.server.pid()).await?;
        let mut sign = |pending: &[Pending]| -> Vec<Vec<u8>> {
            pending
                .iter()
                .map(|pending| {
                    number += 1;
                    slack::tap(pending, number)
                })
                .collect()
        };
        let (bytes, few_bytes) = (sign(&pending), sign(&few));
        let start = (machine::cpu_us(stand.server.pid())?, Instant::now());
        let mut ours = load::closed(stand.server.target(200), MANY, Duration::from_secs(600), Work::each(bytes.clone())).await?;
        stand.server.until_decided_but(few.len(), Duration::from_secs(120)).await?;
        let decided = start.1.elapsed();
        let cpu = machine::cpu_us(stand.server.pid())? - start.0;
        let mut one = load::closed(stand.server.target(200), 1, Duration::from_secs(600), Work::each(few_bytes)).await?;
        stand.server.until_decided_but(0, Duration::from_secs(60)).await?;
        let mut on_node = load::closed(node.target(), MANY, bench.time, Work::cycle(bytes.clone())).await?;
        let mut on_python = load::closed(python.target(), MANY, bench.time, Work::cycle(bytes)).await?;
        over_node.push(ours.per_second() / on_node.per_second());
        over_python.push(ours.per_second() / on_python.per_second());
        rates.push(ours.per_second());
        p99s.push(ms(percentile(&mut ours.samples, 99.0)));
        #[expect(clippy::cast_precision_loss, reason = "counts")]
        cpus.push(cpu as f64 / count as f64);
        #[expect(clippy::cast_precision_loss, reason = "counts")]
        let decided_rate = count as f64 / decided.as_secs_f64();
        rounds.push(json!({
            "acknowledged": ours.json(), "decided_per_second": round(decided_rate), "connections_1": one.json(),
            "bolt_node": on_node.json(), "bolt_python": on_python.json(),
        }));
    }
    Ok(json!({
        "probes": probes, "peers": peers::versions(), "rounds": rounds,
        "acknowledged_per_second": round(median(rates)),
        "server_cpu_us_per_decided_tap": round(median(cpus)),
        "p99_ms": median(p99s),
        "times_bolt_node": round(median(over_node)),
        "times_bolt_python": round(median(over_python)),
    }))
}

/// From the tap that decides to the answer of the caller that waited. All at once, and one every ten milliseconds.
pub async fn released(bench: &Bench) -> anyhow::Result<Value> {
    let stand = bench.stand().await?;
    let probes = stand.probes().await?;
    let mut number = 0;
    let mut result = json!({ "probes": probes });
    for (callers, rounds) in [(16, 40_u32), (256, 8)] {
        for (name, gap) in [("all_at_once", Duration::ZERO), ("one_by_one", Duration::from_millis(10))] {
            let rounds = if gap.is_zero() { rounds } else { rounds.div_ceil(8) };
            let mut samples = Vec::new();
            for _ in 0..rounds {
                samples.extend(release(&stand.server, callers, gap, &mut number).await?);
            }
            result[format!("callers_{callers}")][name] = stats::summary(&mut samples);
        }
    }
    Ok(result)
}

async fn release(server: &Server, callers: usize, gap: Duration, number: &mut usize) -> anyhow::Result<Vec<Duration>> {
    let pending = server.pending(callers, "quiet.export").await?;
    let mut waiting = Vec::new();
    let mut tappers = Vec::new();
    for pending in &pending {
        let mut caller = Connection::open(server.address).await?;
        caller.send(&server::wait_for(&pending.id)).await?;
        waiting.push(tokio::spawn(async move {
            let answer = caller.receive().await?;
            let at = Instant::now();
            if answer.status != 200
                || find(answer.body, b"\"status\":\"approved\"").is_none()
                || find(answer.body, b"\"token\":\"").is_none()
            {
                bail!("a released caller has no grant: {} {}", answer.status, String::from_utf8_lossy(answer.body));
            }
            anyhow::Ok(at)
        }));
        *number += 1;
        tappers.push((Connection::open(server.address).await?, slack::tap(pending, *number)));
    }
    quiet(server.pid()).await?;
    let start = Instant::now();
    let mut taps = Vec::new();
    for (position, (mut connection, tap)) in (0_u32..).zip(tappers) {
        let intended = start + gap * position;
        taps.push(tokio::spawn(async move {
            tokio::time::sleep_until(intended.into()).await;
            let sent = Instant::now();
            let status = connection.call(&tap).await?.status;
            if status != 200 {
                bail!("a tap was answered with {status}");
            }
            anyhow::Ok(sent)
        }));
    }
    let mut samples = Vec::new();
    for (tap, caller) in taps.into_iter().zip(waiting) {
        let (sent, released) = (tap.await??, caller.await??);
        samples.push(released - sent);
    }
    Ok(samples)
}

/// Callers that wait, by long-poll and by a stream of events: their memory, and the time until all of them know.
pub async fn waiting(bench: &Bench, callers: usize) -> anyhow::Result<Value> {
    let mut result = json!({});
    let ways = [
        ("one_request_each", callers, false),
        ("all_for_one_request", 1, false),
        ("one_request_each_by_sse", callers, true),
        ("all_for_one_request_by_sse", 1, true),
    ];
    for (name, requests, streams) in ways {
        let stand = bench.stand().await?;
        let server = &stand.server;
        if result["probes"].is_null() {
            result["probes"] = stand.probes().await?;
        }
        let pending = server.pending(requests, "quiet.export").await?;
        quiet(server.pid()).await?;
        let before = machine::rss_kib(server.pid())?;
        let mut open = Vec::with_capacity(callers);
        for number in 0..callers {
            let mut caller = Connection::open(server.address).await.with_context(|| format!("caller {number}"))?;
            let id = &pending[number % pending.len()].id;
            caller.send(&if streams { server::stream_of(id) } else { server::wait_for(id) }).await?;
            if streams {
                caller.receive_until(PENDING).await.with_context(|| format!("stream {number}"))?;
            }
            open.push(caller);
        }
        quiet(server.pid()).await?;
        let during = machine::rss_kib(server.pid())?;
        let taps: Vec<Vec<u8>> = pending.iter().enumerate().map(|(number, pending)| slack::tap(pending, number)).collect();
        let start = Instant::now();
        let waiting: Vec<_> = open
            .into_iter()
            .map(|mut caller| {
                tokio::spawn(async move {
                    if streams {
                        caller.receive_until(APPROVED).await?;
                        return anyhow::Ok(start.elapsed());
                    }
                    let status = caller.receive().await?.status;
                    if status != 200 {
                        bail!("a waiting caller was answered with {status}");
                    }
                    anyhow::Ok(start.elapsed())
                })
            })
            .collect();
        load::closed(server.target(200), MANY.min(requests), Duration::from_secs(600), Work::each(taps)).await?;
        let acknowledged = start.elapsed();
        let mut samples = Vec::with_capacity(callers);
        for caller in waiting {
            samples.push(caller.await??);
        }
        #[expect(clippy::cast_precision_loss, reason = "counts")]
        let each = (during - before) as f64 / callers as f64;
        result[name] = json!({
            "callers": callers, "rss_before_kib": before, "rss_waiting_kib": during, "kib_per_caller": round(each),
            "all_taps_acknowledged_s": round(acknowledged.as_secs_f64()),
            "all_answered_s": round(samples.iter().max().copied().unwrap_or_default().as_secs_f64()),
        });
    }
    Ok(result)
}

/// Acknowledgements while every call to Slack takes ten seconds.
pub async fn slow_slack(bench: &Bench, count: usize) -> anyhow::Result<Value> {
    let stand = bench.stand().await?;
    let probes = stand.probes().await?;
    let pending = stand.server.pending(2 * count, "quiet.export").await?;
    quiet(stand.server.pid()).await?;
    stand.slack.slow_down(Duration::from_secs(10));
    let (paced, burst) = pending.split_at(count);
    let sign = |pending: &[Pending], from: usize| {
        Work::each(pending.iter().enumerate().map(|(number, pending)| slack::tap(pending, from + number)).collect())
    };
    let target = stand.server.target(200);
    #[expect(clippy::cast_precision_loss, reason = "a count")]
    let rate = count as f64 / 5.0;
    let mut paced = load::fixed(target, MANY, rate, Duration::from_secs(5), sign(paced, 0)).await?;
    let mut burst = load::closed(target, count.min(500), Duration::from_secs(60), sign(burst, count)).await?;
    Ok(json!({"probes": probes, "slack_takes_s": 10, "over_5_s_from_intended_start": paced.json(), "all_at_once": burst.json()}))
}

/// Waits until the server has nothing to do: it used less than a tenth of a core for a while.
async fn quiet(pid: u32) -> anyhow::Result<()> {
    let start = Instant::now();
    let mut before = machine::cpu_us(pid)?;
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let now = machine::cpu_us(pid)?;
        if now - before <= 20_000 || start.elapsed() > Duration::from_secs(20) {
            return Ok(());
        }
        before = now;
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
