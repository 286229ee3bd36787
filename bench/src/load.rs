//! Owns the two shapes of load: as fast as the answers come, and at a fixed rate of arrivals.
//!
//! At a fixed rate a latency counts from the moment at which the request was meant to start, so that a server that stalls
//! cannot hide it (no coordinated omission).

use crate::client::Connection;
use crate::machine;
use crate::stats;
use anyhow::bail;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// What is sent: a text that is the same each time, or one per call, used up.
#[derive(Clone)]
pub enum Work {
    Same(Arc<Vec<u8>>),
    Each(Arc<Vec<Vec<u8>>>, Arc<AtomicUsize>),
    Cycle(Arc<Vec<Vec<u8>>>, Arc<AtomicUsize>),
}

impl Work {
    pub fn same(request: Vec<u8>) -> Self {
        Self::Same(Arc::new(request))
    }

    pub fn each(requests: Vec<Vec<u8>>) -> Self {
        Self::Each(Arc::new(requests), Arc::default())
    }

    /// From the front again once it is used up.
    pub fn cycle(requests: Vec<Vec<u8>>) -> Self {
        Self::Cycle(Arc::new(requests), Arc::default())
    }

    fn next(&self) -> Option<&[u8]> {
        match self {
            Self::Same(request) => Some(request),
            Self::Each(requests, position) => requests.get(position.fetch_add(1, Ordering::Relaxed)).map(Vec::as_slice),
            Self::Cycle(requests, position) => Some(&requests[position.fetch_add(1, Ordering::Relaxed) % requests.len()]),
        }
    }
}

/// Whom the load is for.
#[derive(Clone, Copy)]
pub struct Target {
    pub address: SocketAddr,
    /// The process whose time is counted.
    pub pid: u32,
    /// The only right status.
    pub status: u16,
}

/// What a load found.
pub struct Outcome {
    pub samples: Vec<Duration>,
    pub elapsed: Duration,
    pub cpu_us: u64,
}

impl Outcome {
    #[expect(clippy::cast_precision_loss, reason = "counts")]
    pub fn per_second(&self) -> f64 {
        self.samples.len() as f64 / self.elapsed.as_secs_f64()
    }

    #[expect(clippy::cast_precision_loss, reason = "counts")]
    pub fn cpu_per_request_us(&self) -> f64 {
        self.cpu_us as f64 / self.samples.len().max(1) as f64
    }

    pub fn json(&mut self) -> Value {
        let mut summary = stats::summary(&mut self.samples);
        summary["per_second"] = json!(stats::round(self.per_second()));
        summary["server_cpu_us_per_request"] = json!(stats::round(self.cpu_per_request_us()));
        summary
    }
}

/// Each connection sends the next request when the last one was answered, until the time is over or the work is used up.
pub async fn closed(target: Target, connections: usize, time: Duration, work: Work) -> anyhow::Result<Outcome> {
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(Connection::open(target.address).await?);
    }
    let (before, start) = (machine::cpu_us(target.pid)?, Instant::now());
    let tasks: Vec<_> = open
        .into_iter()
        .map(|mut connection| {
            let work = work.clone();
            tokio::spawn(async move {
                let mut samples = Vec::with_capacity(4_096);
                while start.elapsed() < time {
                    let Some(request) = work.next() else { break };
                    let sent = Instant::now();
                    check(&connection.call(request).await?, target.status)?;
                    samples.push(sent.elapsed());
                }
                anyhow::Ok(samples)
            })
        })
        .collect();
    finish(tasks, start, before, target).await
}

/// Requests start at a fixed rate, whatever the answers do; the connections take turns.
pub async fn fixed(target: Target, connections: usize, rate: f64, time: Duration, work: Work) -> anyhow::Result<Outcome> {
    let mut senders = Vec::new();
    let mut tasks = Vec::new();
    for _ in 0..connections {
        let mut connection = Connection::open(target.address).await?;
        let (sender, mut due) = mpsc::unbounded_channel::<Instant>();
        senders.push(sender);
        let work = work.clone();
        tasks.push(tokio::spawn(async move {
            let mut samples = Vec::with_capacity(4_096);
            while let Some(intended) = due.recv().await {
                let Some(request) = work.next() else { break };
                check(&connection.call(request).await?, target.status)?;
                samples.push(intended.elapsed());
            }
            anyhow::Ok(samples)
        }));
    }
    let (before, start) = (machine::cpu_us(target.pid)?, Instant::now());
    // A thread of its own: tokio's timer is only good to the millisecond.
    let pace = std::thread::spawn(move || {
        let mut number = 0_u32;
        loop {
            let intended = start + Duration::from_secs_f64(f64::from(number) / rate);
            if intended >= start + time {
                return;
            }
            if let Some(wait) = intended.checked_duration_since(Instant::now()) {
                std::thread::sleep(wait);
            }
            // A connection that ended has reported why.
            let _ = senders[number as usize % senders.len()].send(intended);
            number += 1;
        }
    });
    let outcome = finish(tasks, start, before, target).await;
    let _ = tokio::task::spawn_blocking(move || pace.join()).await;
    outcome
}

async fn finish(
    tasks: Vec<tokio::task::JoinHandle<anyhow::Result<Vec<Duration>>>>,
    start: Instant,
    before: u64,
    target: Target,
) -> anyhow::Result<Outcome> {
    let mut samples = Vec::new();
    for task in tasks {
        samples.extend(task.await??);
    }
    let elapsed = start.elapsed();
    let cpu_us = machine::cpu_us(target.pid)? - before;
    Ok(Outcome { samples, elapsed, cpu_us })
}

fn check(answer: &crate::client::Answer<'_>, status: u16) -> anyhow::Result<()> {
    if answer.status != status {
        bail!("expected {status}, got {}: {}", answer.status, String::from_utf8_lossy(answer.body));
    }
    Ok(())
}
