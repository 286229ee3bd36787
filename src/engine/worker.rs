//! Owns the background: expiry, reminders and escalations, taps, deliveries, callbacks, counted refusals, signed heads, and waking
//! callers.
//!
//! Never holds work in memory: every loop asks the database what is due, and the bell only makes it ask sooner. Each step
//! can be run once by a test; the loops add nothing but repetition.

use super::{Engine, Failure, callbacks, taps};
use crate::domain::ids::EventId;
use crate::store::Changed;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

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
        tasks.spawn(repeat(Arc::clone(engine), stop.subscribe(), TICK, None, "escalation", async |engine| engine.escalate_due().await));
        tasks.spawn(repeat(Arc::clone(engine), stop.subscribe(), TICK, None, "outages", async |engine| engine.probe_platforms().await));
        let taken_up = watch::Sender::new(false);
        let ready = |work| after(taken_up.subscribe(), stop.subscribe(), work);
        let taps = Kind { name: "taps", most: taps::BATCH, bell: |engine| &engine.taps, patience: Duration::MAX };
        let worker = format!("{name}-taps");
        let finish_taps = finish_each(
            Arc::clone(engine),
            stop.subscribe(),
            taps,
            engine.inbox.open(&worker),
            async move |engine: &Engine, room| engine.claim_taps(&worker, room).await,
            |engine, tap| async move { engine.finish(&tap).await },
        );
        tasks.spawn(ready(finish_taps.boxed()));
        let callbacks =
            Kind { name: "callbacks", most: callbacks::AT_ONCE, bell: |engine| &engine.callbacks, patience: Duration::from_secs(3) };
        let worker = format!("{name}-callbacks");
        tasks.spawn(finish_each(
            Arc::clone(engine),
            stop.subscribe(),
            callbacks,
            mpsc::channel(1).1,
            async move |engine: &Engine, room| engine.claim_callbacks(&worker, room).await,
            |engine, callback| async move { engine.call_back(callback).await },
        ));
        for number in 0..DELIVERERS {
            let worker = format!("{name}-{number}");
            let deliver =
                repeat(Arc::clone(engine), stop.subscribe(), TICK, Some(|engine| &engine.cards), "deliveries", async move |engine| {
                    engine.deliver_due(&worker).await
                });
            tasks.spawn(ready(deliver.boxed()));
        }
        tasks.spawn(take_up(Arc::clone(engine), stop.subscribe(), taken_up));
        Self { tasks, stop }
    }

    /// Stops after the work in hand.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Before anything is taken in hand, what an earlier process left is.
async fn take_up(engine: Arc<Engine>, mut stop: watch::Receiver<bool>, done: watch::Sender<bool>) {
    while !*stop.borrow() {
        match engine.take_up().await {
            Ok(()) => {
                done.send_replace(true);
                return;
            }
            Err(error) => tracing::error!(worker = "take up", code = error.code(), "a background step failed; trying again"),
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
}

async fn after(mut ready: watch::Receiver<bool>, mut stop: watch::Receiver<bool>, work: BoxFuture<'static, ()>) {
    let ready = tokio::select! {
        ready = ready.wait_for(|ready| *ready) => ready.is_ok(),
        _ = stop.wait_for(|stop| *stop) => false,
    };
    if ready {
        work.await;
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

/// Finishes what comes in, each by itself: one that waits for a slow platform or receiver holds up no other.
///
/// `taken` brings what this process took as it came in; everything else is claimed.
async fn finish_each<T, C, F, W>(
    engine: Arc<Engine>,
    mut stop: watch::Receiver<bool>,
    of: Kind,
    mut taken: mpsc::Receiver<T>,
    claim: C,
    finish: F,
) where
    T: Send + 'static,
    C: AsyncFn(&Engine, u32) -> Result<Vec<T>, Failure>,
    F: Fn(Arc<Engine>, T) -> W,
    W: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let mut at_work = JoinSet::new();
    let start = |at_work: &mut JoinSet<()>, one| {
        let work = finish(Arc::clone(&engine), one);
        at_work.spawn(async move {
            if let Err(failure) = work.await {
                tracing::error!(worker = of.name, code = failure.code(), "a background step failed; trying again");
            }
        });
    };
    let mut again = Instant::now();
    loop {
        let room = of.most.saturating_sub(u32::try_from(at_work.len()).unwrap_or(u32::MAX));
        let look = async {
            tokio::select! {
                () = tokio::time::sleep_until(again) => {}
                () = (of.bell)(&engine).notified() => {}
            }
        };
        tokio::select! {
            () = async { drop(stop.wait_for(|stop| *stop).await) } => break,
            Some(_) = at_work.join_next() => {}
            Some(one) = taken.recv(), if room > 0 => start(&mut at_work, one),
            () = look, if room > 0 => {
                let rest = match claim(&engine, room).await {
                    // More may be due: ask again at once.
                    Ok(claimed) if !claimed.is_empty() => {
                        for one in claimed {
                            start(&mut at_work, one);
                        }
                        Duration::ZERO
                    }
                    Ok(_) => TICK,
                    Err(failure) => {
                        tracing::error!(worker = of.name, code = failure.code(), "a background step failed; trying again");
                        TICK.max(Duration::from_secs(1))
                    }
                };
                again = Instant::now() + rest;
            }
        }
    }
    // Nothing more is received. What was taken on its way here is finished like the rest.
    taken.close();
    while let Some(one) = taken.recv().await {
        start(&mut at_work, one);
    }
    // What is cut off is taken over once its lease is over.
    let _ = tokio::time::timeout(of.patience, async { while at_work.join_next().await.is_some() {} }).await;
}

/// A kind of work for `finish_each`.
struct Kind {
    name: &'static str,
    /// At the same time.
    most: u32,
    /// Rings when there is some.
    bell: fn(&Engine) -> &Notify,
    /// How long a stopping process waits for what is under way.
    patience: Duration,
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
