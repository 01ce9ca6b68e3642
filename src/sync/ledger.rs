//! What handlers have found out, written by one task in shared transactions.
//!
//! A durable commit, and each statement of it, costs about the same for one finding as for a hundred. Handlers run side by
//! side and each waits for its own; what has gathered while the last transaction was written goes into the next. The
//! order of a lane is kept, since the next event of a lane is not begun before the last has its answer.

use super::payments::{self, Applied, ApplyError, PaymentChange, PaymentState};
use super::{Event, HandlerError, told};
use crate::db::{Database, error_kind};
use crate::inbox::{Emission, emit_all, is_about_data};
use chrono::{DateTime, Utc};
use diesel_async::pooled_connection::PoolableConnection;
use diesel_async::{AsyncConnection as _, AsyncPgConnection};
use futures_util::FutureExt as _;
use serde_json::Value;
use std::panic::AssertUnwindSafe;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// Most findings of one transaction.
const BATCH: usize = 256;
/// How often a transaction is tried when another node makes the same payments at the same time.
const RACES: usize = 3;

/// Which events follow from what changes came to, by their types.
pub type Tells = Box<dyn Fn(&[Applied]) -> Vec<&'static str> + Send + Sync>;

/// What follows from an event.
pub enum Finding {
    /// Parts of one payment have shown themselves.
    Payment {
        /// Each part as it was seen; all of one payment.
        changes: Vec<PaymentChange>,
        /// What is emitted of the payment.
        tells: Tells,
    },
    /// Something is told.
    Fact {
        /// Type of the emitted event.
        event_type: String,
        /// What it is about.
        subject: String,
        /// What subscribers get.
        data: Value,
    },
}

/// What was written.
#[derive(Debug)]
pub struct Written {
    /// The payment as it is now, if it is about one.
    pub payment: Option<PaymentState>,
    /// Types of the events that were emitted now, and not before.
    pub emitted: Vec<String>,
}

impl Written {
    /// What was emitted, for an outcome.
    pub fn told(&self) -> String {
        told(&self.emitted.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

/// Writes findings. Cheap to clone; the writing task ends when every clone is gone.
#[derive(Clone, Debug)]
pub struct Ledger(mpsc::Sender<Request>);

#[derive(Debug)]
struct Request {
    entry: Entry,
    reply: oneshot::Sender<Result<Written, HandlerError>>,
}

/// A finding, and the event that led to it.
struct Entry {
    provider: String,
    event_id: String,
    occurred_at: Option<DateTime<Utc>>,
    finding: Finding,
}

/// Shows no id and no fact.
impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Entry")
    }
}

impl Ledger {
    /// Starts the writing task.
    pub fn start(database: Database) -> Self {
        let (sender, requests) = mpsc::channel(BATCH);
        tokio::spawn(Writer { database, conn: None }.run(requests));
        Self(sender)
    }

    /// Writes what follows from an event, whole or not at all, and answers after the durable commit. Safe to be repeated:
    /// what was written before is neither changed nor emitted again.
    pub async fn write(&self, event: &Event, finding: Finding) -> Result<Written, HandlerError> {
        let gone = || HandlerError::Retry("the ledger has stopped".to_owned());
        let (provider, event_id) = (event.provider.clone(), event.event_id.clone());
        let entry = Entry { provider, event_id, occurred_at: event.occurred_at, finding };
        let (reply, answer) = oneshot::channel();
        self.0.send(Request { entry, reply }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

struct Writer {
    database: Database,
    conn: Option<AsyncPgConnection>,
}

/// What is asked for is looked up by its key. Where statistics are missing or old, as after a flood into empty tables, Postgres
/// would rather go through all payments of a provider.
const SETUP: &str = "SET application_name = 'hookgate ledger'; SET synchronous_commit = on; SET jit = off; \
                     SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off; \
                     SET enable_mergejoin = off; SET statement_timeout = '30s'; SET lock_timeout = '10s'; \
                     SET idle_in_transaction_session_timeout = '30s'";

/// One transaction; more than the server gives one of its statements.
const PATIENCE: Duration = Duration::from_secs(35);

/// Why nothing of a batch was written.
enum Failure {
    /// One of several may be the reason.
    Content(HandlerError),
    /// Something that has nothing to do with what was to be written.
    Database(&'static str),
}

impl Writer {
    async fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        let mut batch = Vec::with_capacity(BATCH);
        while requests.recv_many(&mut batch, BATCH).await > 0 {
            // Nobody waits for what was stopped: its lease is lost, and another worker does it.
            batch.retain(|request| !request.reply.is_closed());
            let (entries, replies): (Vec<_>, Vec<_>) =
                batch.drain(..).map(|request| (request.entry, request.reply)).unzip();
            let results = self.write(&entries).await;
            for (reply, result) in replies.into_iter().zip(results) {
                let _ = reply.send(result);
            }
        }
    }

    /// One result for each entry.
    async fn write(&mut self, entries: &[Entry]) -> Vec<Result<Written, HandlerError>> {
        let kind = match self.write_together(entries).await {
            Ok(written) => return written.into_iter().map(Ok).collect(),
            Err(Failure::Content(error)) if entries.len() == 1 => return vec![Err(error)],
            // One that cannot be written must not take its neighbours with it.
            Err(Failure::Content(_)) => {
                let mut results = Vec::with_capacity(entries.len());
                for entry in entries {
                    let mut written = self.write_together(std::slice::from_ref(entry)).await;
                    let first = written.as_mut().ok().and_then(Vec::pop);
                    results.push(match (first, written) {
                        (Some(written), _) => Ok(written),
                        (None, Err(Failure::Content(error))) => Err(error),
                        (None, Err(Failure::Database(kind))) => Err(database(kind)),
                        (None, Ok(_)) => Err(database("no answer")),
                    });
                }
                return results;
            }
            Err(Failure::Database(kind)) => kind,
        };
        entries.iter().map(|_| Err(database(kind))).collect()
    }

    async fn write_together(&mut self, entries: &[Entry]) -> Result<Vec<Written>, Failure> {
        for _ in 0..RACES {
            // One that ended while nothing was to be written costs nobody an attempt.
            if self.conn.as_mut().is_some_and(PoolableConnection::is_broken) {
                self.conn = None;
            }
            let conn = match &mut self.conn {
                Some(conn) => conn,
                none => {
                    let conn = self.database.connect(SETUP).await;
                    none.insert(conn.map_err(|_| Failure::Database("cannot connect"))?)
                }
            };
            let writing = conn.transaction(async |conn| write(conn, entries).await);
            // A panic is a defect that one entry shows; it must not end the writing of all others.
            let Ok(result) = timeout(PATIENCE, AssertUnwindSafe(writing).catch_unwind()).await else {
                self.conn = None;
                return Err(Failure::Database("no answer in time"));
            };
            let Ok(result) = result else {
                self.conn = None;
                let text = "writing what was found panicked; the process's log has the place";
                return Err(Failure::Content(HandlerError::Retry(text.to_owned())));
            };
            match result {
                Ok(written) => return Ok(written),
                Err(ApplyError::Raced) => {}
                Err(ApplyError::Database(error)) if !is_about_data(&error) => {
                    let kind = error_kind(&error);
                    tracing::warn!(
                        kind,
                        findings = entries.len(),
                        "findings were not written; they are tried again"
                    );
                    self.conn = None;
                    return Err(Failure::Database(kind));
                }
                Err(error) => return Err(Failure::Content(error.into())),
            }
        }
        Err(Failure::Content(ApplyError::Raced.into()))
    }
}

impl From<ApplyError> for HandlerError {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Database(error) => error.into(),
            ApplyError::Overflow(error) => Self::GiveUp(error.to_string()),
            ApplyError::Raced => Self::Retry(error.to_string()),
        }
    }
}

fn database(kind: &'static str) -> HandlerError {
    HandlerError::Retry(format!("database: {kind}"))
}

/// Writes all entries in the caller's transaction: so many statements as for one.
async fn write(conn: &mut AsyncPgConnection, entries: &[Entry]) -> Result<Vec<Written>, ApplyError> {
    let changes = entries.iter().flat_map(|entry| match &entry.finding {
        Finding::Payment { changes, .. } => changes.as_slice(),
        Finding::Fact { .. } => &[],
    });
    let mut applied = payments::apply(conn, changes).await?.into_iter();
    let mut emissions = Vec::new();
    let mut written = Vec::with_capacity(entries.len());
    for entry in entries {
        let before = emissions.len();
        let payment = match &entry.finding {
            Finding::Payment { changes, tells } => {
                let mut applied: Vec<Applied> = applied.by_ref().take(changes.len()).collect();
                let types = if applied.is_empty() { Vec::new() } else { tells(&applied) };
                let payment = applied.pop().map(|last| last.payment);
                let told = types.into_iter().zip(std::iter::repeat(payment.as_ref()));
                emissions.extend(told.filter_map(|(event_type, payment)| {
                    let subject = &changes.first()?.payment_id;
                    Some(entry.emission(event_type, subject, payment?.facts()))
                }));
                payment
            }
            Finding::Fact { event_type, subject, data } => {
                emissions.push(entry.emission(event_type, subject, data.clone()));
                None
            }
        };
        written.push((payment, before..emissions.len()));
    }
    let fresh = emit_all(conn, &emissions).await?;
    let told = written.into_iter().map(|(payment, own)| Written {
        payment,
        emitted: own.filter(|at| fresh[*at]).map(|at| emissions[at].event_type.to_owned()).collect(),
    });
    Ok(told.collect())
}

impl Entry {
    fn emission<'a>(&'a self, event_type: &'a str, subject: &'a str, data: Value) -> Emission<'a> {
        Emission {
            event_type,
            subject,
            source_provider: &self.provider,
            source_event_id: &self.event_id,
            once_for: None,
            occurred_at: self.occurred_at,
            data,
        }
    }
}
