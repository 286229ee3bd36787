//! Owns group commit: one task holds the one connection that writes, and one fsync carries every job that waited meanwhile.
//!
//! The first job is waited for, the rest of the queue is taken without waiting, so a lone caller pays one fsync and no
//! timer. Jobs of a batch that write the same kind of row share statements (see `docs/adr/0001-writer.md`). Never decides:
//! a guard that does not hold is an answer, not an error. Never answers before the commit, and never wakes anybody before it.

use super::audit::append;
use super::{Conn, DIALECT, Db, callbacks, clients, deliveries, meta, people, refusals, requests, taps};
use crate::domain::audit::{Actor, Entry, Kind, Prepared};
use crate::domain::client::Client;
use crate::domain::ids::{ClientId, RequestId};
use crate::domain::time::Timestamp;
use crate::store::changes::{Bell, Changed, to_payload};
use crate::store::clients::{ClientSource, ConfiguredClient, NewKey};
use crate::store::error::{COLLISION, StoreError};
use crate::store::heads::HeadRow;
use crate::store::refusals::Counted;
use crate::store::taps::{NewTap, ReceivedTap, TapId};
use crate::store::work::{Answer, CommitRow, Instead, Job, Work};
use crate::store::{EventIds, PAYLOAD_LIMIT, in_time};
use sqlx::{ConnectOptions as _, Connection as _};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Most jobs of one transaction: bounds what a failure takes with it.
const BATCH: usize = 256;
/// How often a batch is tried again because another transaction was in its way.
const COLLISIONS: u32 = 3;

type ConnectOptions = <Conn as sqlx::Connection>::Options;

/// The task that writes.
pub(in crate::store) struct Writer {
    options: ConnectOptions,
    conn: Option<Conn>,
    events: EventIds,
    bell: Arc<Bell>,
    /// This process's name in notifications.
    tag: String,
}

/// What a committed batch leaves to be told.
struct Done {
    answers: Vec<Answer>,
    changed: Vec<RequestId>,
    /// The log grew.
    logged: bool,
}

impl Writer {
    /// Connects at once, so that a wrong address is an error at start.
    pub(in crate::store) async fn connect(
        options: ConnectOptions,
        events: EventIds,
        bell: Arc<Bell>,
        tag: String,
    ) -> Result<Self, StoreError> {
        let conn = options.connect().await?;
        Ok(Self { options, conn: Some(conn), events, bell, tag })
    }

    /// Works until the queue is closed and empty.
    pub(in crate::store) async fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut jobs = Vec::with_capacity(BATCH);
        while queue.recv_many(&mut jobs, BATCH).await > 0 {
            metrics::histogram!("countersign_store_batch_jobs").record(to_f64(jobs.len()));
            metrics::gauge!("countersign_store_queue_depth").set(to_f64(queue.len()));
            self.process(std::mem::take(&mut jobs)).await;
        }
        if let Some(conn) = self.conn.take() {
            // Closing folds SQLite's write-ahead log back into the file; the data is safe either way.
            let _ = conn.close().await;
        }
    }

    async fn process(&mut self, jobs: Vec<Job>) {
        let batch: Vec<&Work> = jobs.iter().map(|job| &job.work).collect();
        match self.attempt_again(&batch).await {
            Ok(done) => self.answer(jobs, done),
            Err(error) if jobs.len() == 1 || is_about_the_database(&error) => {
                let code = error.code();
                tracing::error!(code, jobs = jobs.len(), error = source_of(&error), "a batch of writes failed");
                metrics::counter!("countersign_store_failed_jobs_total", "code" => code).increment(jobs.len() as u64);
                let mut first = Some(error);
                for job in jobs {
                    let _ = job.reply.send(Err(first.take().unwrap_or(StoreError::Unavailable { code })));
                }
            }
            // One of them is at fault. Alone, only that one fails.
            Err(_) => {
                for job in jobs {
                    match self.attempt_again(&[&job.work]).await {
                        Ok(done) => self.answer(vec![job], done),
                        Err(error) => {
                            tracing::error!(code = error.code(), error = source_of(&error), "a write failed");
                            metrics::counter!("countersign_store_failed_jobs_total", "code" => error.code()).increment(1);
                            let _ = job.reply.send(Err(error));
                        }
                    }
                }
            }
        }
    }

    fn answer(&self, jobs: Vec<Job>, done: Done) {
        for (job, answer) in jobs.into_iter().zip(done.answers) {
            metrics::histogram!("countersign_store_commit_seconds").record(job.queued.elapsed().as_secs_f64());
            // A caller that went away does not need its answer.
            let _ = job.reply.send(Ok(answer));
        }
        if done.changed.is_empty() && done.logged {
            self.bell.ring(Changed::Log);
        }
        for id in done.changed {
            self.bell.ring(Changed::Request(id));
        }
    }

    async fn attempt_again(&mut self, batch: &[&Work]) -> Result<Done, StoreError> {
        for _ in 0..COLLISIONS {
            match in_time(self.attempt(batch)).await {
                Err(StoreError::Unavailable { code: COLLISION }) => {}
                other => return other,
            }
        }
        in_time(self.attempt(batch)).await
    }

    /// One transaction. Whatever goes wrong, cancellation included, the next attempt starts on a connection without one.
    async fn attempt(&mut self, batch: &[&Work]) -> Result<Done, StoreError> {
        let mut conn = self.begin().await?;
        // Until the commit is acknowledged the connection is not given back: an error or a cancellation closes it.
        let result = match Batch::run(&mut conn, batch, &self.events, &self.tag).await {
            Ok(done) => match sqlx::query::<Db>("COMMIT").execute(&mut conn).await {
                Ok(_) => {
                    self.conn = Some(conn);
                    return Ok(done);
                }
                Err(error) => Err(error.into()),
            },
            Err(error) => Err(error),
        };
        if let Err(error) = &result
            && !is_about_the_database(error)
            && sqlx::query::<Db>("ROLLBACK").execute(&mut conn).await.is_ok()
        {
            self.conn = Some(conn);
        }
        result
    }

    /// A connection in a transaction. A connection that died while nothing was written on it is replaced without anybody noticing.
    async fn begin(&mut self) -> Result<Conn, StoreError> {
        if let Some(mut conn) = self.conn.take()
            && sqlx::raw_sql(DIALECT.begin).execute(&mut conn).await.is_ok()
        {
            return Ok(conn);
        }
        let mut conn = self.options.connect().await?;
        sqlx::raw_sql(DIALECT.begin).execute(&mut conn).await?;
        Ok(conn)
    }
}

fn is_about_the_database(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable { code } if *code != COLLISION)
}

/// The driver's words for the log; they name tables and constraints, never values.
fn source_of(error: &StoreError) -> Option<String> {
    match error {
        StoreError::Driver { source: sqlx::Error::Database(database), .. } => Some(database.message().to_owned()),
        StoreError::Corrupt { .. } => Some(error.to_string()),
        _ => None,
    }
}

#[expect(clippy::cast_precision_loss, reason = "a number of jobs")]
fn to_f64(count: usize) -> f64 {
    count as f64
}

/// The work of one transaction.
struct Batch<'b> {
    conn: &'b mut Conn,
    ids: &'b EventIds,
    /// Evidence, in the order in which it goes into the log.
    events: Vec<Cow<'b, Prepared>>,
    /// By position of the job.
    answers: Vec<Option<Answer>>,
    changed: Vec<RequestId>,
}

impl<'b> Batch<'b> {
    async fn run(conn: &'b mut Conn, works: &[&'b Work], ids: &'b EventIds, tag: &str) -> Result<Done, StoreError> {
        let mut batch = Self { conn, ids, events: Vec::new(), answers: works.iter().map(|_| None).collect(), changed: Vec::new() };
        let (mut commits, mut new_taps, mut finished) = (Vec::new(), Vec::new(), Vec::new());
        for (position, work) in works.iter().enumerate() {
            match work {
                Work::Commit(row) => commits.push((position, row.as_ref())),
                Work::ReceiveTap(tap) => new_taps.push((position, tap.as_ref())),
                Work::FinishTap { id, at, outcome } => {
                    finished.push((*id, at.as_millis(), outcome.as_str()));
                    batch.answers[position] = Some(Answer::Done);
                }
                Work::Record(events) => {
                    batch.events.extend(events.iter().map(Cow::Borrowed));
                    batch.answers[position] = Some(Answer::Done);
                }
                other => batch.answers[position] = Some(batch.single(other).await?),
            }
        }
        batch.receive_taps(&new_taps).await?;
        batch.commit(&commits, &mut finished).await?;
        taps::finish(batch.conn, &finished).await?;
        let end = append(batch.conn, &batch.events).await?;
        let logged = !batch.events.is_empty();
        if let Some(notify) = DIALECT.notify
            && (logged || !batch.changed.is_empty())
        {
            let payload = to_payload(&batch.changed, end, tag, PAYLOAD_LIMIT);
            sqlx::query::<Db>(notify).bind(payload).execute(&mut *batch.conn).await?;
        }
        let answers = batch.answers.into_iter().map(|answer| answer.unwrap_or(Answer::Done)).collect();
        Ok(Done { answers, changed: batch.changed, logged })
    }

    /// Every transition of the batch, in a handful of statements.
    async fn commit(&mut self, commits: &[(usize, &'b CommitRow)], finished: &mut Vec<(i64, i64, &'b str)>) -> Result<(), StoreError> {
        let mut seen = HashSet::with_capacity(commits.len());
        let mut keys = HashSet::new();
        let (mut new, mut moved) = (Vec::new(), Vec::new());
        for (position, row) in commits {
            let request = &row.request;
            // Two transitions of one batch were made from the same version: the first wins, the second reloads.
            if !seen.insert(request.id.as_str()) {
                self.answers[*position] = Some(Answer::Conflict);
            } else if row.from_version > 0 {
                moved.push(*row);
            } else if request.idempotency_key.as_ref().is_some_and(|key| !keys.insert((request.client_id.as_str(), key.as_str()))) {
                self.answers[*position] = Some(Answer::IdempotencyTaken);
            } else {
                new.push(*row);
            }
        }
        let mut written = requests::insert(self.conn, &new).await?;
        written.extend(requests::update(self.conn, &moved).await?);

        let (mut posts, mut told, mut redraws) = (Vec::new(), Vec::new(), Vec::new());
        let (mut reviews, mut wishes) = (Vec::new(), Vec::new());
        for (position, row) in commits {
            if self.answers[*position].is_some() {
                continue;
            }
            let request = &row.request;
            if !written.contains(&request.id) {
                let taken = row.from_version == 0 && request.idempotency_key.is_some();
                self.answers[*position] = Some(if taken { Answer::IdempotencyTaken } else { Answer::Conflict });
                metrics::counter!("countersign_store_conflicts_total").increment(1);
                continue;
            }
            self.answers[*position] = Some(Answer::Done);
            self.events.extend(row.events.iter().map(Cow::Borrowed));
            posts.extend(row.posts.iter().map(|post| (request.id.as_str(), post, request.version, row.at)));
            told.extend(row.messages.iter().map(|occasion| (request.id.as_str(), request.version, occasion, row.at)));
            if row.redraw || row.redraw_at.is_some() {
                redraws.push((request.id.as_str(), row.redraw.then_some(request.version), row.at, row.redraw_at));
            }
            reviews.extend(&row.reviews);
            wishes.extend(&row.callback);
            finished.extend(row.tap.map(|tap| (tap, row.at, "recorded")));
            self.changed.extend(request.id.parse::<RequestId>());
        }
        deliveries::insert(self.conn, &posts).await?;
        deliveries::tell(self.conn, &told).await?;
        deliveries::redraw(self.conn, &redraws).await?;
        callbacks::insert(self.conn, &wishes).await?;
        requests::insert_reviews(self.conn, &reviews).await
    }

    async fn receive_taps(&mut self, received: &[(usize, &NewTap)]) -> Result<(), StoreError> {
        let rows: Vec<&NewTap> = received.iter().map(|(_, tap)| *tap).collect();
        let mut inserted: HashMap<(String, String), i64> =
            taps::insert(self.conn, &rows).await?.into_iter().map(|(id, platform, key)| ((platform, key), id)).collect();
        for (position, tap) in received {
            // Taken out: of two copies in one batch, one is new.
            let id = inserted.remove(&(tap.platform.clone(), tap.dedup_key.clone()));
            self.answers[*position] = Some(Answer::Tap(id.map_or(ReceivedTap::Duplicate, |id| ReceivedTap::New(TapId::of(id)))));
        }
        Ok(())
    }

    /// What comes too rarely to be worth a shared statement.
    #[expect(clippy::too_many_lines, reason = "a table of the kinds of work, each with the call that does it")]
    async fn single(&mut self, work: &'b Work) -> Result<Answer, StoreError> {
        let conn = &mut *self.conn;
        match work {
            Work::Refuse { key, entry, at } => self.refuse(key, entry, *at).await?,
            Work::FlushRefusals { now } => {
                let entries = refusals::take_over(conn, *now).await?;
                let count = entries.len() as u64;
                for entry in &entries {
                    self.events.push(Cow::Owned(self.ids.prepare(entry, *now)?));
                }
                return Ok(Answer::Count(count));
            }
            Work::ClaimTaps(claim) => return Ok(Answer::Taps(taps::claim(conn, claim).await?)),
            Work::PostponeTap { id, due_at } => taps::postpone(conn, *id, *due_at).await?,
            Work::ClaimDeliveries(claim) => return Ok(Answer::Deliveries(deliveries::claim(conn, claim).await?)),
            Work::DeliverySent { id, posted, is_new, version, at, event } => {
                if *is_new {
                    deliveries::shown(conn, *id, *version, *at).await?;
                }
                if deliveries::sent(conn, *id, posted, *version, *at).await? {
                    self.events.push(Cow::Borrowed(event));
                }
            }
            Work::DeliveryRetry { id, due_at, error } => deliveries::retry(conn, *id, *due_at, error.as_deref()).await?,
            Work::DeliverySkipped { id } => deliveries::skipped(conn, *id).await?,
            Work::DeliveryRepost { id, at } => deliveries::repost(conn, *id, *at).await?,
            Work::MessageDone { delivery, message, at, error, event } => {
                if deliveries::message_done(conn, *delivery, *message, *at, error.as_deref()).await? {
                    self.events.extend(event.iter().map(Cow::Borrowed));
                }
            }
            Work::Supersede { delivery, ts, at } => deliveries::supersede(conn, *delivery, ts, *at).await?,
            Work::DeliveryDead { id, at, error, event, instead } => return self.bury(*id, *at, error, event, instead.as_ref()).await,
            Work::Revive { at, created_after } => return Ok(Answer::Count(deliveries::revive(conn, *at, *created_after).await?)),
            Work::ReleaseLeases => {
                deliveries::release(conn).await?;
                taps::release(conn).await?;
            }
            Work::ClaimCallbacks(claim) => return Ok(Answer::Callbacks(callbacks::claim(conn, claim).await?)),
            Work::CallbackSays { id, version, body } => {
                return Ok(if callbacks::says(conn, *id, *version, body).await? { Answer::Done } else { Answer::Conflict });
            }
            Work::CallbackDone { id, event } => {
                if callbacks::done(conn, *id).await? {
                    self.events.push(Cow::Borrowed(event));
                }
            }
            Work::CallbackRetry { id, due_at, error } => callbacks::retry(conn, *id, *due_at, error.as_deref()).await?,
            Work::CallbackDead { id, at, error, event } => {
                if callbacks::dead(conn, *id, *at, error).await? {
                    self.events.push(Cow::Borrowed(event));
                }
            }
            Work::SyncClients { configured, at } => self.sync_clients(configured, *at).await?,
            Work::CreateClient { client, key, at, event } => {
                if !clients::insert(conn, client, ClientSource::Api, *at).await? {
                    return Ok(Answer::Conflict);
                }
                clients::add_key(conn, &client.id, key, ClientSource::Api, *at).await?;
                self.events.push(Cow::Borrowed(event));
            }
            Work::AddKey { client, key, at, event } => {
                if clients::add_key(conn, client, key, ClientSource::Api, *at).await? {
                    self.events.push(Cow::Borrowed(event));
                }
            }
            Work::DisableClient { client, event } => {
                if clients::disable(conn, client).await? {
                    self.events.push(Cow::Borrowed(event));
                }
            }
            Work::Freeze { client, frozen, at, event } => {
                let changed = if *frozen { clients::freeze(conn, client, *at).await? } else { clients::unfreeze(conn, client).await? };
                if changed {
                    deliveries::redraw_of_client(conn, client, *at).await?;
                    self.events.push(Cow::Borrowed(event));
                }
            }
            Work::Person { key, name, email, preferred, fresh } => {
                let described = people::Described { key, name, email, preferred: preferred.as_ref(), fresh };
                return Ok(Answer::Person(people::upsert(conn, &described).await?));
            }
            Work::PutPolicy { version, text, instead_of, at, event } => {
                if let Some(expected) = instead_of
                    && !meta::policy_is_active(conn, expected).await?
                {
                    return Ok(Answer::Conflict);
                }
                if meta::put_policy(conn, version, text, *at).await? {
                    self.events.extend(event.iter().map(Cow::Borrowed));
                }
            }
            Work::PutHead(head) => super::audit::put_head(conn, &HeadRow::from(head.as_ref())).await?,
            Work::PutMeta { key, value } => meta::put(conn, key, value).await?,
            Work::Prune { before } => {
                let heads = super::audit::prune_heads(conn, *before).await?;
                let letters = callbacks::prune(conn, *before).await?;
                return Ok(Answer::Count(heads + letters + taps::prune(conn, *before).await?));
            }
            Work::Commit(_) | Work::Record(_) | Work::ReceiveTap(_) | Work::FinishTap { .. } => {}
        }
        Ok(Answer::Done)
    }

    /// Gives a delivery up, and puts cards in its place when it was the last one of its request.
    async fn bury(
        &mut self,
        id: i64,
        at: Timestamp,
        error: &str,
        event: &'b Prepared,
        instead: Option<&Instead>,
    ) -> Result<Answer, StoreError> {
        if !deliveries::dead(self.conn, id, at, error).await? {
            return Ok(Answer::Instead(false));
        }
        self.events.push(Cow::Borrowed(event));
        let Some(instead) = instead else { return Ok(Answer::Instead(false)) };
        if deliveries::alive(self.conn, &instead.request).await? > 0 {
            return Ok(Answer::Instead(false));
        }
        let cards: Vec<_> = instead.cards.iter().map(|card| (instead.request.as_str(), card, instead.version, at.as_millis())).collect();
        deliveries::insert(self.conn, &cards).await?;
        Ok(Answer::Instead(true))
    }

    async fn refuse(&mut self, key: &str, entry: &Entry, at: Timestamp) -> Result<(), StoreError> {
        match refusals::count(self.conn, key, entry, at).await? {
            Counted::Repeat => return Ok(()),
            Counted::Restarted { earlier_repeats } if earlier_repeats > 0 => {
                self.events.push(Cow::Owned(self.ids.prepare(&entry.clone().with("repeats", earlier_repeats), at)?));
            }
            Counted::First | Counted::Restarted { .. } => {}
        }
        self.events.push(Cow::Owned(self.ids.prepare(entry, at)?));
        Ok(())
    }

    async fn sync_clients(&mut self, configured: &[(ConfiguredClient, ClientId)], at: Timestamp) -> Result<(), StoreError> {
        let mut stored = HashMap::new();
        for row in clients::all(self.conn).await? {
            let from_file = row.source == ClientSource::File.as_str();
            let client = Client::try_from(row)?;
            stored.insert(client.name.clone(), (client, from_file));
        }
        // First those that are gone: a client that was renamed keeps its key, under another id. Sorted, so that the log does not depend on the order of a map.
        let names: HashSet<&str> = configured.iter().map(|(client, _)| client.name.as_str()).collect();
        let is_gone = |(client, from_file): &&(Client, bool)| *from_file && client.enabled && !names.contains(client.name.as_str());
        let mut gone: Vec<Client> = stored.values().filter(is_gone).map(|(client, _)| client.clone()).collect();
        gone.sort_by(|a, b| a.id.cmp(&b.id));
        for client in gone {
            clients::disable(self.conn, &client.id).await?;
            self.note_client(Kind::ClientChanged, &client.id.clone(), &Client { enabled: false, ..client }, at)?;
        }
        for (wanted, fresh) in configured {
            let present = stored.remove(&wanted.name);
            let (kind, change) = self.sync_client(wanted, fresh, present, at).await?;
            if let Some((id, client)) = change {
                self.note_client(kind, &id, &client, at)?;
            }
        }
        Ok(())
    }

    /// Brings one client in line; answers with what to note, when something changed.
    async fn sync_client(
        &mut self,
        wanted: &ConfiguredClient,
        fresh: &ClientId,
        present: Option<(Client, bool)>,
        at: Timestamp,
    ) -> Result<(Kind, Option<(ClientId, Client)>), StoreError> {
        let key =
            NewKey { key_id: wanted.key_id.clone().unwrap_or_else(|| "configured".to_owned()), hash: wanted.key_hash, expires_at: None };
        let is_new = present.is_none();
        let (before, from_file) = match present {
            Some((client, from_file)) => (Some(client), from_file),
            None => (None, true),
        };
        let client = Client {
            id: before.as_ref().map_or(fresh, |client| &client.id).clone(),
            name: wanted.name.clone(),
            owner: wanted.owner.clone(),
            scopes: wanted.scopes.clone(),
            may_act_for: wanted.may_act_for.clone(),
            frozen_at: before.as_ref().and_then(|client| client.frozen_at),
            void_before: before.as_ref().and_then(|client| client.void_before),
            enabled: true,
        };
        let mut changed = is_new;
        if is_new {
            clients::insert(self.conn, &client, ClientSource::File, at).await?;
        } else if before.as_ref() != Some(&client) || !from_file {
            clients::update(self.conn, &client, ClientSource::File).await?;
            changed = true;
        }
        changed |= clients::set_file_key(self.conn, &client.id, &key, at).await?;
        let kind = if is_new { Kind::ClientCreated } else { Kind::ClientChanged };
        Ok((kind, changed.then(|| (client.id.clone(), client))))
    }

    /// Scopes and state; the owner is an e-mail address and stays out of the log.
    fn note_client(&mut self, kind: Kind, id: &ClientId, client: &Client, at: Timestamp) -> Result<(), StoreError> {
        let scopes: Vec<String> = client.scopes.iter().map(|scope| scope.as_str().to_owned()).collect();
        let entry = Entry::new(kind, Actor::System, None)
            .with("client", id.as_str())
            .with("source", "file")
            .with("scopes", scopes)
            .with("enabled", client.enabled);
        self.events.push(Cow::Owned(self.ids.prepare(&entry, at)?));
        Ok(())
    }
}
