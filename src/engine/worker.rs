//! Owns the background: expiry, taps, deliveries, counted refusals, signed heads, and waking callers.
//!
//! Never holds work in memory: every loop asks the database what is due, and the bell only makes it ask sooner. Each step
//! can be run once by a test; the loops add nothing but repetition.

use super::{Engine, Failure, taps};
use crate::domain::ids::EventId;
use crate::store::Changed;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

/// How often the database is asked what is due when nothing rings.
const TICK: Duration = Duration::from_millis(500);
/// A changed log gets a signed head this often.
const HEAD_EVERY: Duration = Duration::from_mins(1);
/// What only grows is looked through this often.
const PRUNE_EVERY: Duration = Duration::from_hours(1);
/// Loops that deliver cards at the same time; each handles a batch.
const DELIVERERS: usize = 4;

/// The running background of one process.
#[derive(Debug)]
pub struct Workers {
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Workers {
    /// Starts every loop.
    #[must_use]
    pub fn start(engine: &Arc<Engine>) -> Self {
        let stop = watch::Sender::new(false);
        let mut tasks = JoinSet::new();
        let name = EventId::new(engine.clock.now(), engine.random.bytes()).to_string();
        tasks.spawn(wake_callers(Arc::clone(engine), stop.subscribe()));
        tasks.spawn(repeat(Arc::clone(engine), stop.subscribe(), TICK, None, "expiry", async |engine| engine.expire_due().await));
        tasks.spawn(repeat(Arc::clone(engine), stop.subscribe(), Duration::from_secs(5), None, "refusals", async |engine| {
            engine.flush_refusals().await
        }));
        tasks.spawn(repeat(Arc::clone(engine), stop.subscribe(), HEAD_EVERY, None, "head", async |engine| engine.sign_head().await));
        tasks.spawn(repeat(Arc::clone(engine), stop.subscribe(), PRUNE_EVERY, None, "prune", async |engine| engine.prune().await));
        tasks.spawn(repeat(Arc::clone(engine), stop.subscribe(), TICK, None, "eligibility", async |engine| engine.count_eligible().await));
        tasks.spawn(finish_taps(Arc::clone(engine), stop.subscribe(), format!("{name}-taps")));
        for number in 0..DELIVERERS {
            let worker = format!("{name}-{number}");
            tasks.spawn(repeat(
                Arc::clone(engine),
                stop.subscribe(),
                TICK,
                Some(|engine| &engine.cards),
                "deliveries",
                async move |engine| engine.deliver_due(&worker).await,
            ));
        }
        Self { tasks, stop }
    }

    /// Stops after the work in hand.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

async fn repeat<F>(
    engine: Arc<Engine>,
    mut stop: watch::Receiver<bool>,
    tick: Duration,
    bell: Option<fn(&Engine) -> &Notify>,
    name: &'static str,
    step: F,
) where
    F: AsyncFn(&Engine) -> Result<usize, Failure>,
{
    while !*stop.borrow() {
        let rest = match step(&engine).await {
            // More may be due: ask again at once.
            Ok(handled) if handled > 0 => Duration::ZERO,
            Ok(_) => tick,
            Err(failure) => {
                tracing::error!(worker = name, code = failure.code(), "a background step failed; trying again");
                tick.max(Duration::from_secs(1))
            }
        };
        tokio::select! {
            () = tokio::time::sleep(rest) => {}
            () = ring(&engine, bell) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
}

/// Finishes taps as they come in: one that waits for a slow platform holds up no other.
async fn finish_taps(engine: Arc<Engine>, mut stop: watch::Receiver<bool>, worker: String) {
    let mut at_work = JoinSet::new();
    while !*stop.borrow() {
        while at_work.try_join_next().is_some() {}
        let room = taps::BATCH.saturating_sub(u32::try_from(at_work.len()).unwrap_or(u32::MAX));
        let claimed = if room == 0 { Ok(Vec::new()) } else { engine.claim_taps(&worker, room).await };
        let rest = match claimed {
            // More may be due: ask again at once.
            Ok(taps) if !taps.is_empty() => {
                for tap in taps {
                    let engine = Arc::clone(&engine);
                    at_work.spawn(async move {
                        if let Err(failure) = engine.finish(&tap).await {
                            tracing::error!(worker = "taps", code = failure.code(), "a tap could not be finished; trying again");
                        }
                    });
                }
                Duration::ZERO
            }
            Ok(_) => TICK,
            Err(failure) => {
                tracing::error!(worker = "taps", code = failure.code(), "a background step failed; trying again");
                TICK.max(Duration::from_secs(1))
            }
        };
        tokio::select! {
            () = tokio::time::sleep(rest), if room > 0 => {}
            () = engine.taps.notified(), if room > 0 => {}
            _ = at_work.join_next(), if room == 0 => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
    while at_work.join_next().await.is_some() {}
}

async fn ring(engine: &Engine, bell: Option<fn(&Engine) -> &Notify>) {
    match bell {
        Some(bell) => bell(engine).notified().await,
        None => std::future::pending().await,
    }
}

async fn wake_callers(engine: Arc<Engine>, mut stop: watch::Receiver<bool>) {
    let mut changes = engine.store.subscribe();
    loop {
        let changed = tokio::select! {
            changed = changes.next() => changed,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match changed {
            Changed::Request(id) => engine.waiters.wake(&id),
            Changed::Log => engine.waiters.wake_log(),
            Changed::All => engine.waiters.wake_all(),
        }
    }
}
