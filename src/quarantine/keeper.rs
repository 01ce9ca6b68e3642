//! The way in: a bounded queue that nobody waits for, and the one task that writes what is in it.

use super::redact::Row;
use super::{Suspect, store};
use crate::config::Quarantine as QuarantineSettings;
use crate::crypto::MasterKey;
use crate::db::{Pool, error_kind};
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Requests and bytes that may wait in memory.
const MAX_WAITING: usize = 512;
const MAX_WAITING_BYTES: usize = 16 << 20;
/// Requests in one transaction, at most.
const BATCH: usize = 128;
/// How often what is too old is deleted, also where nothing comes.
const SWEEP: Duration = Duration::from_secs(60);
/// New rows a minute for each provider and reason: what a flood brings beyond them is counted and forgotten.
pub(super) const PER_MINUTE: i64 = 20;

/// Where suspects are put, without waiting. Cheap to clone; the default keeps nothing.
#[derive(Debug, Clone, Default)]
pub struct Quarantine(Option<Sending>);

#[derive(Debug, Clone)]
struct Sending {
    queue: mpsc::Sender<Waiting>,
    bytes: Arc<Semaphore>,
}

#[derive(Debug)]
struct Waiting {
    suspect: Suspect,
    /// Given back when the request is written or dropped.
    _room: OwnedSemaphorePermit,
}

impl Quarantine {
    /// Starts the writer; it ends when every clone is gone.
    pub fn start(
        pool: Pool,
        master_key: Option<MasterKey>,
        settings: QuarantineSettings,
    ) -> (Self, tokio::task::JoinHandle<()>) {
        let (queue, receiver) = mpsc::channel(MAX_WAITING);
        let keeper = Keeper { pool, master_key, settings, receiver, recent: HashMap::new() };
        let task = tokio::spawn(keeper.run());
        let bytes = Arc::new(Semaphore::new(MAX_WAITING_BYTES));
        (Self((settings.max_requests > 0).then_some(Sending { queue, bytes })), task)
    }

    /// Whether another request would be kept; if it is lost, it is counted here.
    pub fn has_room(&self, provider: &str) -> bool {
        let Some(sending) = &self.0 else { return false };
        let room = sending.queue.capacity() > 0;
        if !room {
            count_dropped(provider, "busy", 1);
        }
        room
    }

    /// Keeps a request, unless too many came at once.
    pub fn keep(&self, mut suspect: Suspect) {
        let Some(sending) = &self.0 else { return };
        // The server gives headers of different names in any order, each time another one. Lines of one name keep theirs.
        suspect.request.headers.sort_by(|one, other| one.0.cmp(&other.0));
        let headers: usize =
            suspect.request.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        let bytes = (suspect.request.body.len() + headers + 1024).min(MAX_WAITING_BYTES);
        let provider = suspect.provider.clone();
        let room = u32::try_from(bytes)
            .ok()
            .and_then(|bytes| sending.bytes.clone().try_acquire_many_owned(bytes).ok());
        let sent = room.is_some_and(|room| sending.queue.try_send(Waiting { suspect, _room: room }).is_ok());
        if !sent {
            count_dropped(&provider, "busy", 1);
        }
    }
}

/// Counts requests that were not kept: `busy` (too many at once), `rate` (too many of a kind in a minute), `cap` (no room
/// for one so large), `database`.
pub(super) fn count_dropped(provider: &str, why: &'static str, requests: u64) {
    metrics::counter!("webhook_quarantine_dropped_total", "provider" => provider.to_owned(), "why" => why)
        .increment(requests);
}

struct Keeper {
    pool: Pool,
    master_key: Option<MasterKey>,
    settings: QuarantineSettings,
    receiver: mpsc::Receiver<Waiting>,
    /// New rows of this minute by provider and reason, so that rows which lost their place are not replaced at once.
    recent: HashMap<(String, &'static str), (i64, i64)>,
}

impl Keeper {
    async fn run(mut self) {
        let mut sweep = tokio::time::interval(SWEEP);
        sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                first = self.receiver.recv() => match first {
                    Some(first) => self.write(first).await,
                    None => return,
                },
                _ = sweep.tick() => self.sweep().await,
            }
        }
    }

    async fn sweep(&self) {
        let oldest = self.oldest();
        let Ok(mut conn) = self.pool.get().await else { return };
        if let Err(error) = store::sweep(&mut conn, oldest).await {
            tracing::warn!(kind = error_kind(&error), "old quarantined requests were not deleted");
        }
    }

    fn oldest(&self) -> DateTime<Utc> {
        let age = chrono::Duration::from_std(self.settings.max_age).unwrap_or(chrono::Duration::MAX);
        Utc::now().checked_sub_signed(age).unwrap_or(DateTime::<Utc>::MIN_UTC)
    }

    async fn write(&mut self, first: Waiting) {
        let mut batch = vec![first];
        while batch.len() < BATCH {
            let Ok(next) = self.receiver.try_recv() else { break };
            batch.push(next);
        }
        let mut rooms = Vec::with_capacity(batch.len());
        let mut by_provider: BTreeMap<String, Vec<Row>> = BTreeMap::new();
        for Waiting { suspect, _room: room } in batch {
            rooms.push(room);
            let row = Row::new(&suspect, self.master_key.as_ref());
            let rows = by_provider.entry(row.provider.clone()).or_default();
            match rows.iter_mut().find(|known| known.fingerprint == row.fingerprint) {
                Some(known) => {
                    known.times += 1;
                    known.last_seen_at = known.last_seen_at.max(row.last_seen_at);
                }
                None => rows.push(row),
            }
        }
        for (provider, rows) in by_provider {
            self.store(&provider, rows).await;
        }
        drop(rooms);
    }

    async fn store(&mut self, provider: &str, rows: Vec<Row>) {
        let requests = rows.len() as u64;
        let minute = Utc::now().timestamp() / 60;
        self.recent.retain(|_, recent| recent.0 == minute);
        let left = |reason: &'static str| {
            let used = self.recent.get(&(provider.to_owned(), reason)).map_or(0, |recent| recent.1);
            PER_MINUTE - used
        };
        let bounds = store::Bounds { settings: self.settings, oldest: self.oldest() };
        let stored = match self.pool.get().await {
            Ok(mut conn) => store::insert(&mut conn, provider, rows, &bounds, left).await.map_err(|error| {
                tracing::warn!(kind = error_kind(&error), "quarantined requests were not stored");
            }),
            Err(_) => Err(()),
        };
        match stored {
            Ok(stored) => {
                for reason in stored.new {
                    self.recent.entry((provider.to_owned(), reason)).or_insert((minute, 0)).1 += 1;
                    metrics::counter!("webhook_quarantined_total", "provider" => provider.to_owned(), "reason" => reason)
                        .increment(1);
                }
                count_dropped(provider, "rate", stored.over_rate);
                count_dropped(provider, "cap", stored.too_large);
            }
            Err(()) => count_dropped(provider, "database", requests),
        }
    }
}
