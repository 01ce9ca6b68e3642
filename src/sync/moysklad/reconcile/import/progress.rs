//! How far an import is.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Nullable, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde::Serialize;
use uuid::Uuid;

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Entities of main that were found.
    pub found: u64,
    /// As many as there are, as far as that is known: types that were not looked at yet are not counted.
    pub expected: u64,
    /// Of those found, the ones that wait no more; with several children, their average.
    pub done: u64,
    /// Changes that wait for their turn, one for each entity and child; and those whose images do.
    pub waiting: u64,
    /// Those that are not looked at for more than a minute, such as one that a loop breaker holds. Nobody waits for them.
    pub held: u64,
    /// When the last of them is looked at.
    pub held_until: Option<DateTime<Utc>>,
    /// Sync tasks of the children's catalogues and images that are still to be done.
    pub tasks: u64,
    /// Entities that a child did not get, or tasks that failed since the import began.
    pub failed: u64,
}

/// What the database says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, QueryableByName)]
pub(super) struct Counts {
    #[diesel(sql_type = BigInt)]
    waiting: i64,
    #[diesel(sql_type = BigInt)]
    images: i64,
    /// Changes that are not looked at soon.
    #[diesel(sql_type = BigInt)]
    held: i64,
    /// Those whose images are not.
    #[diesel(sql_type = BigInt)]
    held_images: i64,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    held_until: Option<DateTime<Utc>>,
    #[diesel(sql_type = BigInt)]
    tasks: i64,
    #[diesel(sql_type = BigInt)]
    unable: i64,
    #[diesel(sql_type = BigInt)]
    failed: i64,
}

impl Counts {
    pub(super) async fn read(
        conn: &mut AsyncPgConnection,
        main: Uuid,
        children: &[Uuid],
        since: DateTime<Utc>,
    ) -> QueryResult<Self> {
        // Counts of three tables at one moment: diesel would ask for each.
        diesel::sql_query(
            "WITH soon AS (SELECT now() + interval '1 minute' AS at),
                 change AS (SELECT count(*) FILTER (WHERE due_at <= at) AS due, count(*) FILTER (WHERE due_at > at) AS held,
                         max(due_at) FILTER (WHERE due_at > at) AS until
                     FROM moysklad_changes, soon WHERE status = 'waiting' AND main_account = $1
                         AND child_account = ANY ($2)),
                 image AS (SELECT count(*) FILTER (WHERE due_at <= at) AS due, count(*) FILTER (WHERE due_at > at) AS held,
                         max(due_at) FILTER (WHERE due_at > at) AS until
                     FROM moysklad_images, soon WHERE status = 'waiting' AND main_account = $1
                         AND child_account = ANY ($2))
             SELECT change.due AS waiting, image.due AS images, change.held, image.held AS held_images,
                 greatest(change.until, image.until) AS held_until,
                 (SELECT count(*) FROM sync_queue, soon WHERE (status = 'processing' OR status = 'received' AND run_at <= at)
                     AND entity_type IN ('catalog', 'images') AND account_id = ANY ($2)) AS tasks,
                 (SELECT count(*) FROM moysklad_changes WHERE status IN ('blocked', 'failed') AND main_account = $1
                     AND child_account = ANY ($2)) AS unable,
                 (SELECT count(*) FROM sync_queue WHERE status = 'failed' AND entity_type IN ('catalog', 'images')
                     AND account_id = ANY ($2) AND processed_at >= $3) AS failed
             FROM change, image",
        )
        .bind::<SqlUuid, _>(main)
        .bind::<Array<SqlUuid>, _>(children)
        .bind::<Timestamptz, _>(since)
        .get_result(conn)
        .await
    }

    /// With so many found of so many, for so many children.
    pub(super) fn progress(self, found: u64, expected: u64, children: usize) -> Progress {
        let whole = |count: i64| u64::try_from(count).unwrap_or_default();
        let (waiting, held) = (whole(self.waiting), whole(self.held));
        let children = u64::try_from(children).unwrap_or(u64::MAX).max(1);
        Progress {
            found,
            expected: expected.max(found),
            done: found.saturating_sub((waiting + held).div_ceil(children)),
            waiting: waiting + whole(self.images),
            held: held + whole(self.held_images),
            held_until: self.held_until,
            tasks: whole(self.tasks),
            // A task that failed may have left the changes that it failed with.
            failed: whole(self.unable.max(self.failed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn done_is_what_waits_for_no_child() {
        let until = Some(Utc::now());
        let counts = Counts {
            waiting: 290,
            images: 0,
            held: 10,
            held_images: 1,
            held_until: until,
            tasks: 2,
            unable: 3,
            failed: 1,
        };
        let progress = counts.progress(1000, 5000, 2);
        assert_eq!((progress.found, progress.expected, progress.done), (1000, 5000, 850));
        assert_eq!((progress.waiting, progress.tasks, progress.failed), (290, 2, 3));
        assert_eq!((progress.held, progress.held_until), (11, until));
        assert_eq!(counts.progress(100, 50, 1).done, 0, "webhooks told of others meanwhile");
        assert_eq!(counts.progress(100, 50, 1).expected, 100);
    }
}
