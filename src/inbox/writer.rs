//! The group-commit writer: concurrent requests share one statement and one commit.
//!
//! One task gathers what has queued up while the last batch was being written, so batches grow with the load and an
//! idle gateway waits for nobody. Everything in front of it is bounded, by requests and by bytes.

use super::insert;
use super::model::{NewEvent, Receipt, Status};
use crate::db::{self, Database};
use crate::queue::{Pressure, Waker};
use diesel_async::AsyncPgConnection;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// Why events cannot be stored now; the sender is asked to come again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InboxError {
    /// More is waiting than memory should hold.
    #[error("too much is waiting to be stored")]
    Full,
    /// The database does not take them.
    #[error("the database cannot store events now")]
    Database,
    /// The database did not answer in time; the events may or may not be stored.
    #[error("the database did not answer in time")]
    Slow,
}

/// Bounds of the writer.
#[derive(Debug, Clone, Copy)]
pub struct WriterSettings {
    /// Requests that may wait.
    pub max_requests: usize,
    /// Bytes of bodies that may wait or be in a batch.
    pub max_bytes: usize,
    /// Events in one statement.
    pub batch_events: usize,
    /// Bytes in one statement.
    pub batch_bytes: usize,
    /// How long a request waits for its commit.
    pub patience: Duration,
    /// Attempts that a new event gets.
    pub max_attempts: i32,
}

impl WriterSettings {
    /// Bounds that hold memory under about 100 MiB; a batch of 512 saturates the disk long before it fills.
    pub fn new(max_attempts: i32) -> Self {
        Self {
            max_requests: 8192,
            max_bytes: 64 << 20,
            batch_events: 512,
            batch_bytes: 4 << 20,
            patience: Duration::from_secs(5),
            max_attempts,
        }
    }
}

/// The way in for events. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Inbox {
    requests: mpsc::Sender<Request>,
    bytes: Arc<Semaphore>,
    settings: WriterSettings,
}

struct Request {
    events: Vec<NewEvent>,
    bytes: usize,
    reply: oneshot::Sender<Result<Receipt, InboxError>>,
    /// Given back when the request is dropped, answered or not.
    _room: OwnedSemaphorePermit,
}

impl Inbox {
    /// Starts the writer; it ends when every clone of the inbox is gone. `waker` is woken after each commit that brought
    /// work; `pressure` is told how many requests share a commit.
    pub fn start(
        database: Database,
        waker: Waker,
        pressure: Pressure,
        settings: WriterSettings,
    ) -> (Self, tokio::task::JoinHandle<()>) {
        let (sender, receiver) = mpsc::channel(settings.max_requests);
        let writer = Writer { database, waker, pressure, settings, receiver, conn: None, broken_at: None };
        let task = tokio::spawn(writer.run());
        (Self { requests: sender, bytes: Arc::new(Semaphore::new(settings.max_bytes)), settings }, task)
    }

    /// Stores events exactly once and answers after the durable commit.
    pub async fn accept(&self, events: Vec<NewEvent>) -> Result<Receipt, InboxError> {
        if events.is_empty() {
            return Ok(Receipt::default());
        }
        // A row costs memory beside its body; a flat share keeps a million tiny events bounded too.
        let bytes: usize = events.iter().map(|event| event.body.len() + event.headers.len() + 256).sum();
        // A request larger than all of the room is let in when it is alone, else it would be refused for ever.
        let permits = u32::try_from(bytes.min(self.settings.max_bytes)).map_err(|_| InboxError::Full)?;
        let room = self.bytes.clone().try_acquire_many_owned(permits).map_err(|_| InboxError::Full)?;
        let (reply, answer) = oneshot::channel();
        let request = Request { events, bytes, reply, _room: room };
        self.requests.try_send(request).map_err(|_| InboxError::Full)?;
        match tokio::time::timeout(self.settings.patience, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(InboxError::Database),
            Err(_) => Err(InboxError::Slow),
        }
    }
}

struct Writer {
    database: Database,
    waker: Waker,
    pressure: Pressure,
    settings: WriterSettings,
    receiver: mpsc::Receiver<Request>,
    conn: Option<AsyncPgConnection>,
    broken_at: Option<Instant>,
}

/// A request that finds the database gone is refused at once; a new connection is tried at most this often.
const RECONNECT: Duration = Duration::from_millis(250);

/// A commit that answers a provider is on disk. The timeouts are shorter than the callers' patience.
const SETUP: &str = "SET application_name = 'hookgate inbox'; SET synchronous_commit = on; \
                     SET statement_timeout = '4s'; SET lock_timeout = '3s'";

impl Writer {
    async fn run(mut self) {
        while let Some(first) = self.receiver.recv().await {
            let batch = self.gather(first);
            self.pressure.note(batch.len());
            self.write(batch).await;
        }
    }

    fn gather(&mut self, first: Request) -> Vec<Request> {
        let (mut events, mut bytes) = (first.events.len(), first.bytes);
        let mut batch = vec![first];
        while events < self.settings.batch_events && bytes < self.settings.batch_bytes {
            let Ok(next) = self.receiver.try_recv() else { break };
            events += next.events.len();
            bytes += next.bytes;
            batch.push(next);
        }
        batch
    }

    async fn write(&mut self, batch: Vec<Request>) {
        // A sender that has gone away or lost patience has been told 503 and comes again.
        let batch: Vec<Request> = batch.into_iter().filter(|request| !request.reply.is_closed()).collect();
        if batch.is_empty() || !self.connected().await {
            return refuse(batch);
        }
        match self.store(&batch).await {
            Ok(receipts) => answer(batch, receipts),
            // One event that the database refuses must not take its neighbours with it.
            Err(Failure::Data) if batch.len() > 1 => {
                for request in batch {
                    let alone = vec![request];
                    match self.store(&alone).await {
                        Ok(receipts) => answer(alone, receipts),
                        Err(_) => refuse(alone),
                    }
                }
            }
            Err(_) => refuse(batch),
        }
    }

    async fn connected(&mut self) -> bool {
        if self.conn.is_some() {
            return true;
        }
        if self.broken_at.is_some_and(|at| at.elapsed() < RECONNECT) {
            return false;
        }
        if let Ok(conn) = self.database.connect(SETUP).await {
            if self.broken_at.take().is_some() {
                tracing::info!("the inbox is connected to the database again");
            }
            self.conn = Some(conn);
        } else {
            if self.broken_at.is_none() {
                tracing::error!("the inbox cannot connect to the database; requests get 503 until it can");
            }
            self.broken_at = Some(Instant::now());
        }
        self.conn.is_some()
    }

    async fn store(&mut self, batch: &[Request]) -> Result<Vec<Receipt>, Failure> {
        let Some(conn) = self.conn.as_mut() else { return Err(Failure::Connection) };
        let events: Vec<&NewEvent> = batch.iter().flat_map(|request| &request.events).collect();
        // Nobody waits for it any longer.
        let patience = self.settings.patience;
        match db::within(patience, insert::insert(conn, &events, self.settings.max_attempts)).await {
            Ok(fresh) => {
                if events.iter().any(|event| event.status == Status::Received && fresh.contains(&event.id)) {
                    self.waker.wake();
                }
                Ok(batch.iter().map(|request| insert::receipt(&request.events, &fresh)).collect())
            }
            Err(error) => {
                let kind = db::error_kind(&error);
                if insert::is_about_data(&error) {
                    tracing::error!(kind, events = events.len(), "the database refused events");
                    return Err(Failure::Data);
                }
                tracing::error!(kind, events = events.len(), "the inbox lost its database connection");
                self.conn = None;
                self.broken_at = Some(Instant::now());
                Err(Failure::Connection)
            }
        }
    }
}

enum Failure {
    Connection,
    Data,
}

fn answer(batch: Vec<Request>, receipts: Vec<Receipt>) {
    for (request, receipt) in batch.into_iter().zip(receipts) {
        let _ = request.reply.send(Ok(receipt));
    }
}

fn refuse(batch: Vec<Request>) {
    for request in batch {
        let _ = request.reply.send(Err(InboxError::Database));
    }
}
