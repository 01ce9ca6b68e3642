//! The SQL of the engine, generic over tables with the queue columns.
//!
//! It is raw because diesel cannot name a table by a constant, nor say "claim".

use diesel::QueryableByName;
use diesel::pg::Pg;
use uuid::Uuid;

/// A table with the columns `id, status, lane, attempts, max_attempts, priority, run_at, lease_until, lease_owner,
/// last_error, attempt_log, outcome, processed_at`.
pub trait QueueTable: Send + Sync + 'static {
    /// Its name.
    const NAME: &'static str;
    /// SQL list of the columns that [`Self::Row`] reads; must hold `id` and `attempts`.
    const COLUMNS: &'static str;
    /// A claimed row.
    type Row: QueryableByName<Pg> + Claimed + Send + 'static;
}

/// What the engine needs to know of a claimed row.
pub trait Claimed {
    /// Row id.
    fn id(&self) -> Uuid;
    /// Attempt number, from 1; with the owner it fences the row against a worker that lost its lease.
    fn attempt(&self) -> i32;
}
