//! The table `moysklad_sweeps`: what is done for each account again and again, by one node at a time.
//!
//! A lease in the row, not a lock in a session: no connection is held while MoySklad is asked, and the turn of a node that
//! dies is taken over seconds later.

use crate::db::schema::moysklad_sweeps::dsl;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Bool, Double, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use std::time::Duration;
use uuid::Uuid;

/// A silent node keeps its turn for this long.
const LEASE_SECONDS: f64 = 10.0;
/// All that is mapped is compared at least this often.
const COMPARE_SECONDS: f64 = 24.0 * 3600.0;
/// How often a node says that it is at work on its turn.
pub(super) const KEEP: Duration = Duration::from_secs(2);

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Job {
    /// Webhooks are checked and mended.
    Hooks,
    /// What no webhook told of is looked for.
    Reconcile,
}

impl Job {
    fn word(self) -> &'static str {
        match self {
            Self::Hooks => "hooks",
            Self::Reconcile => "reconcile",
        }
    }
}

/// An account whose turn it is.
#[derive(Debug, QueryableByName)]
pub(super) struct Turn {
    #[diesel(sql_type = SqlUuid)]
    pub(super) account_id: Uuid,
    /// Every change before this has been looked at.
    #[diesel(sql_type = Timestamptz)]
    pub(super) seen_until: DateTime<Utc>,
    /// When the turn began.
    #[diesel(sql_type = Timestamptz)]
    pub(super) began: DateTime<Utc>,
    /// Whether all that is mapped is to be compared, also where there may be very many.
    #[diesel(sql_type = Bool)]
    pub(super) compares_all: bool,
}

/// Puts new accounts on the list. What was there before them is an import's affair, so the first turn is one interval
/// away.
pub(super) async fn register(conn: &mut AsyncPgConnection, job: Job, every: Duration) -> QueryResult<usize> {
    diesel::sql_query(
        "INSERT INTO moysklad_sweeps (account_id, job, due_at)
         SELECT account_id, $1, now() + make_interval(secs => $2) FROM moysklad_accounts
         WHERE status = 'active' ON CONFLICT DO NOTHING",
    )
    .bind::<Text, _>(job.word())
    .bind::<Double, _>(every.as_secs_f64())
    .execute(conn)
    .await
}

/// Brings the next turn of every account forward whose last one is more than a minute old.
pub(super) async fn hasten(conn: &mut AsyncPgConnection, job: Job) -> QueryResult<usize> {
    diesel::sql_query(
        "UPDATE moysklad_sweeps SET due_at = now()
         WHERE job = $1 AND lease_until IS NULL AND due_at > now()
             AND coalesce(finished_at, seen_until) < now() - interval '1 minute'",
    )
    .bind::<Text, _>(job.word())
    .execute(conn)
    .await
}

/// Takes the turn of an account that is due, or that a node has left without ending it; no other node gets it meanwhile.
/// Webhooks are looked after only where they have been set up.
///
/// Raw because diesel says no SKIP LOCKED in a subquery of an update.
pub(super) async fn claim(
    conn: &mut AsyncPgConnection,
    job: Job,
    every: Duration,
    owner: Uuid,
) -> QueryResult<Option<Turn>> {
    diesel::sql_query(
        "UPDATE moysklad_sweeps AS sweep SET due_at = now() + make_interval(secs => $2), lease_owner = $3,
             lease_until = now() + make_interval(secs => $4)
         WHERE sweep.job = $1 AND sweep.account_id = (
             SELECT due.account_id FROM moysklad_sweeps AS due JOIN moysklad_accounts AS account USING (account_id)
             WHERE due.job = $1 AND CASE WHEN due.lease_until IS NULL THEN due.due_at ELSE due.lease_until END <= now()
                 AND account.status = 'active' AND ($1 <> 'hooks' OR account.sealed_hook_token IS NOT NULL)
             ORDER BY due.due_at LIMIT 1 FOR UPDATE OF due SKIP LOCKED)
         RETURNING sweep.account_id, sweep.seen_until, now() AS began,
             coalesce(sweep.compared_at < now() - make_interval(secs => $5), true) AS compares_all",
    )
    .bind::<Text, _>(job.word())
    .bind::<Double, _>(every.as_secs_f64())
    .bind::<SqlUuid, _>(owner)
    .bind::<Double, _>(LEASE_SECONDS)
    .bind::<Double, _>(COMPARE_SECONDS)
    .get_result(conn)
    .await
    .optional()
}

/// Ends a turn; `seen`: all of it was looked at. What went wrong stays to be read until the next turn.
pub(super) async fn finish(
    conn: &mut AsyncPgConnection,
    job: Job,
    turn: &Turn,
    owner: Uuid,
    seen: bool,
    error: Option<&str>,
) -> QueryResult<()> {
    diesel::sql_query(
        "UPDATE moysklad_sweeps SET lease_until = NULL, lease_owner = NULL, finished_at = now(), last_error = $4,
             seen_until = CASE WHEN $6 THEN $5 ELSE seen_until END,
             compared_at = CASE WHEN $6 AND $7 THEN $5 ELSE compared_at END
         WHERE job = $1 AND account_id = $2 AND lease_owner = $3",
    )
    .bind::<Text, _>(job.word())
    .bind::<SqlUuid, _>(turn.account_id)
    .bind::<SqlUuid, _>(owner)
    .bind::<Nullable<Text>, _>(error)
    .bind::<Timestamptz, _>(turn.began)
    .bind::<Bool, _>(seen)
    // What was too odd to be acted on is compared, and told, again.
    .bind::<Bool, _>(turn.compares_all && error.is_none())
    .execute(conn)
    .await?;
    Ok(())
}

/// Why the last sweep of an account did not go through, or what it did not dare to do.
pub(in crate::sync::moysklad) async fn trouble(
    conn: &mut AsyncPgConnection,
    account: Uuid,
) -> QueryResult<Option<String>> {
    let error: Option<Option<String>> = dsl::moysklad_sweeps
        .filter(dsl::job.eq(Job::Reconcile.word()).and(dsl::account_id.eq(account)))
        .select(dsl::last_error)
        .first(conn)
        .await
        .optional()?;
    Ok(error.flatten())
}

/// What went wrong before the account was mended says nothing of it now.
pub(in crate::sync::moysklad) async fn forget_trouble(
    conn: &mut AsyncPgConnection,
    account: Uuid,
) -> QueryResult<()> {
    diesel::update(dsl::moysklad_sweeps.filter(dsl::account_id.eq(account).and(dsl::job.ne("import"))))
        .set(dsl::last_error.eq(None::<String>))
        .execute(conn)
        .await?;
    Ok(())
}

/// Gives back every turn of a node that stops: another one, or the same after its start, begins it anew.
pub(super) async fn release(conn: &mut AsyncPgConnection, owner: Uuid) -> QueryResult<usize> {
    diesel::sql_query(
        "UPDATE moysklad_sweeps SET lease_until = NULL, lease_owner = NULL, due_at = now() WHERE lease_owner = $1",
    )
    .bind::<SqlUuid, _>(owner)
    .execute(conn)
    .await
}

impl Turn {
    /// Keeps the turn: there is more to do. False if another node has it.
    pub(super) async fn extend(
        &self,
        conn: &mut AsyncPgConnection,
        job: Job,
        owner: Uuid,
    ) -> QueryResult<bool> {
        let rows = diesel::sql_query(
            "UPDATE moysklad_sweeps SET lease_until = now() + make_interval(secs => $4)
             WHERE job = $1 AND account_id = $2 AND lease_owner = $3",
        )
        .bind::<Text, _>(job.word())
        .bind::<SqlUuid, _>(self.account_id)
        .bind::<SqlUuid, _>(owner)
        .bind::<Double, _>(LEASE_SECONDS)
        .execute(conn)
        .await?;
        Ok(rows > 0)
    }
}
