//! Owns reads that share a statement: what is asked for while one read is under way is asked for together by the next.
//!
//! Never keeps an answer: a read begins after everybody who gets its rows has asked, so nothing is stale and there is
//! nothing to invalidate. A caller alone waits for nobody; there is no timer.
//!
//! A read through the driver costs two hops between threads, which is more than the row: under load that was the largest
//! part of a request (see `bench/README.md`).

use super::error::StoreError;
use super::in_time;
use futures::future::BoxFuture;
use std::collections::HashMap;
use std::hash::Hash;
use tokio::sync::{mpsc, oneshot};

/// Most keys of one read.
const MOST: usize = 256;

type Asked<K, V> = (K, oneshot::Sender<Result<Option<V>, StoreError>>);

/// The way to one kind of row by one kind of key.
#[derive(Debug, Clone)]
pub(super) struct Gather<K, V> {
    queue: mpsc::UnboundedSender<Asked<K, V>>,
}

impl<K, V> Gather<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + 'static,
{
    /// `fetch` reads the rows of the keys that exist; a key comes only once. The task ends with the last `Gather`.
    pub(super) fn new<F>(fetch: F) -> Self
    where
        F: Fn(Vec<K>) -> BoxFuture<'static, Result<HashMap<K, V>, StoreError>> + Send + 'static,
    {
        let (queue, mut asked) = mpsc::unbounded_channel::<Asked<K, V>>();
        tokio::spawn(async move {
            let mut batch = Vec::with_capacity(MOST);
            while asked.recv_many(&mut batch, MOST).await > 0 {
                let mut waiting: HashMap<K, Vec<_>> = HashMap::with_capacity(batch.len());
                for (key, reply) in batch.drain(..) {
                    waiting.entry(key).or_default().push(reply);
                }
                // Without an end to its patience one stuck read would hold up every later one.
                match in_time(fetch(waiting.keys().cloned().collect())).await {
                    Ok(rows) => {
                        for (key, replies) in waiting {
                            let row = rows.get(&key);
                            for reply in replies {
                                // Who went away does not need its row.
                                let _ = reply.send(Ok(row.cloned()));
                            }
                        }
                    }
                    Err(error) => {
                        let code = error.code();
                        let mut first = Some(error);
                        for reply in waiting.into_values().flatten() {
                            let _ = reply.send(Err(first.take().unwrap_or(StoreError::Unavailable { code })));
                        }
                    }
                }
            }
        });
        Self { queue }
    }

    /// The row of a key, read after this call.
    pub(super) async fn get(&self, key: K) -> Result<Option<V>, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.queue.send((key, reply)).map_err(|_| StoreError::Unavailable { code: "closed" })?;
        answer.await.unwrap_or(Err(StoreError::Unavailable { code: "closed" }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Semaphore;

    /// Reads that answer `key + version`, one per permit, and how many there were.
    fn gather(version: &Arc<AtomicUsize>, permits: &Arc<Semaphore>) -> (Gather<usize, usize>, Arc<AtomicUsize>) {
        let reads = Arc::new(AtomicUsize::new(0));
        let (version, permits, count) = (Arc::clone(version), Arc::clone(permits), Arc::clone(&reads));
        let gather = Gather::new(move |keys: Vec<usize>| {
            let (version, permits, count) = (Arc::clone(&version), Arc::clone(&permits), Arc::clone(&count));
            Box::pin(async move {
                let seen = version.load(Ordering::SeqCst);
                count.fetch_add(1, Ordering::SeqCst);
                permits.acquire().await.unwrap().forget();
                if keys.contains(&99) {
                    return Err(StoreError::Unavailable { code: "full" });
                }
                Ok(keys.into_iter().filter(|key| *key != 7).map(|key| (key, key + seen)).collect())
            })
        });
        (gather, reads)
    }

    #[tokio::test]
    async fn who_asks_during_a_read_gets_the_next_one_and_all_of_them_share_it() {
        let (version, permits) = (Arc::new(AtomicUsize::new(100)), Arc::new(Semaphore::new(0)));
        let (gather, reads) = gather(&version, &permits);
        let early = tokio::spawn({
            let gather = gather.clone();
            async move { gather.get(1).await.unwrap() }
        });
        while reads.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        // From now on the world is different: nobody who asks now may get what the first read saw.
        version.store(200, Ordering::SeqCst);
        let late: Vec<_> = [1, 1, 2, 7].map(|key| gather.get(key)).into_iter().collect();
        permits.add_permits(2);
        let late = futures::future::join_all(late).await;
        assert_eq!(early.await.unwrap(), Some(101));
        assert_eq!(late.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [Some(201), Some(201), Some(202), None]);
        assert_eq!(reads.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_failed_read_fails_everybody_who_shared_it_and_nobody_after_it() {
        let permits = Arc::new(Semaphore::new(5));
        let (gather, _) = gather(&Arc::default(), &permits);
        for answer in futures::future::join_all([1, 2, 99].map(|key| gather.get(key))).await {
            assert_eq!(answer.unwrap_err().code(), "full");
        }
        assert_eq!(gather.get(1).await.unwrap(), Some(1));
    }
}
