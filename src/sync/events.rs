//! The queue of events: hands each claimed row to the handler of its provider.

use super::{Context, Event, Handler, HandlerError, Outcome};
use crate::queue::{Claimed, Job, QueueTable};
use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{Bytea, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;
use uuid::Uuid;

/// The table `webhook_events` as a queue.
pub struct EventQueue;

impl QueueTable for EventQueue {
    const NAME: &'static str = "webhook_events";
    const COLUMNS: &'static str =
        "id, provider, event_id, event_type, subject, occurred_at, received_at, body, envelope, attempts";
    type Row = EventRow;
}

/// A claimed event.
#[derive(QueryableByName)]
pub struct EventRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    provider: String,
    #[diesel(sql_type = Text)]
    event_id: String,
    #[diesel(sql_type = Text)]
    event_type: String,
    #[diesel(sql_type = Nullable<Text>)]
    subject: Option<String>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    occurred_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Timestamptz)]
    received_at: DateTime<Utc>,
    #[diesel(sql_type = Bytea)]
    body: Vec<u8>,
    #[diesel(sql_type = Nullable<Text>)]
    envelope: Option<String>,
    #[diesel(sql_type = Integer)]
    attempts: i32,
}

impl Claimed for EventRow {
    fn id(&self) -> Uuid {
        self.id
    }

    fn attempt(&self) -> i32 {
        self.attempts
    }
}

impl From<&EventRow> for Event {
    fn from(row: &EventRow) -> Self {
        Self {
            id: row.id,
            provider: row.provider.clone(),
            event_id: row.event_id.clone(),
            event_type: row.event_type.clone(),
            subject: row.subject.clone(),
            occurred_at: row.occurred_at,
            received_at: row.received_at,
            body: row.body.clone().into(),
            envelope: row.envelope.clone(),
            attempt: row.attempts,
        }
    }
}

/// The handlers by provider.
#[derive(Clone, Default)]
pub struct Handlers {
    by_scheme: HashMap<&'static str, Arc<dyn Handler>>,
    /// Scheme of each provider that is called otherwise.
    instances: Arc<ArcSwap<BTreeMap<String, String>>>,
}

impl Handlers {
    /// One handler for each scheme; a later one replaces an earlier. `instances` are the providers that are called otherwise
    /// than their scheme.
    pub fn new(handlers: Vec<Arc<dyn Handler>>, instances: BTreeMap<String, String>) -> Self {
        Self {
            by_scheme: handlers.into_iter().map(|handler| (handler.provider(), handler)).collect(),
            instances: Arc::new(ArcSwap::from_pointee(instances)),
        }
    }

    /// Puts other instances in force.
    pub fn rename(&self, instances: BTreeMap<String, String>) {
        self.instances.store(Arc::new(instances));
    }

    /// The handler of a provider. An instance of a scheme has its scheme's, if that may act for another account too.
    fn of(&self, provider: &str) -> Option<Arc<dyn Handler>> {
        if let Some(handler) = self.by_scheme.get(provider) {
            return Some(handler.clone());
        }
        let instances = self.instances.load();
        self.by_scheme
            .get(instances.get(provider)?.as_str())
            .filter(|handler| handler.serves_instances())
            .cloned()
    }

    /// Whether anything is to be done for this type; if not, the event is stored as `ignored` at once.
    pub fn want(&self, provider: &str, event_type: &str) -> bool {
        self.of(provider).is_some_and(|handler| handler.wants(event_type))
    }
}

/// Runs handlers.
pub struct EventJob {
    handlers: Handlers,
    context: Context,
}

impl EventJob {
    /// A job that gives `context` to each handler.
    pub fn new(handlers: Handlers, context: Context) -> Self {
        Self { handlers, context }
    }
}

#[async_trait::async_trait]
impl Job<EventQueue> for EventJob {
    async fn run(&self, row: &EventRow) -> Result<Outcome, HandlerError> {
        let started = Instant::now();
        let event = Event::from(row);
        let result = match self.handlers.of(&event.provider) {
            Some(handler) if handler.wants(&event.event_type) => handler.handle(&event, &self.context).await,
            _ => Ok(Outcome::ignored("no handler wants this type")),
        };
        let status = match &result {
            Ok(outcome) if outcome.completed => "completed",
            Ok(_) => "ignored",
            Err(HandlerError::Retry(_)) => "retried",
            Err(HandlerError::Defer { .. }) => "deferred",
            Err(HandlerError::GiveUp(_)) => "failed",
        };
        metrics::counter!("webhook_events_processed_total", "provider" => event.provider.clone(), "status" => status)
            .increment(1);
        metrics::histogram!("webhook_processing_duration_seconds", "provider" => event.provider.clone())
            .record(started.elapsed().as_secs_f64());
        // The summary is for operators and free of personal data by contract; ids are enough to find the rest.
        tracing::info!(
            event = %event.id, provider = event.provider, event_type = event.event_type, attempt = event.attempt,
            status, duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "event handled"
        );
        result
    }
}
