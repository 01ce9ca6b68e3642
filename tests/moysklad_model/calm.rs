//! After the storm: what is still under way, and when it has ended.

use super::compare::Wrong;
use super::world::World;
use crate::support::wait;
use diesel::sql_types::{BigInt, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::RunQueryDsl;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

/// Lines of the edit log that a failure prints.
const TAIL: usize = 30;

impl World {
    async fn count(&self, query: &str) -> i64 {
        let mut conn = self.gateway.database.connect().await;
        sql_query(query).get_result::<Count>(&mut conn).await.unwrap().rows
    }

    async fn lines(&self, query: &str) -> Vec<String> {
        let mut conn = self.gateway.database.connect().await;
        let lines: Vec<Line> = sql_query(query).load(&mut conn).await.unwrap();
        lines.into_iter().map(|line| line.line).collect()
    }

    /// Events and tasks that are not done.
    async fn unfinished(&self) -> i64 {
        // One statement: work that changes its status between two would be seen by neither.
        self.count(
            "SELECT (SELECT count(*) FROM webhook_events WHERE status IN ('received', 'processing'))
             + (SELECT count(*) FROM sync_queue WHERE status IN ('received', 'processing')) AS rows",
        )
        .await
    }

    /// A node that was killed keeps its turns for five minutes; here they are over.
    pub async fn free_turns(&self) {
        let mut conn = self.gateway.database.connect().await;
        let free = "UPDATE moysklad_sweeps SET lease_until = NULL, lease_owner = NULL";
        sql_query(free).execute(&mut conn).await.unwrap();
    }

    /// Sweeps of all accounts together, so far.
    fn sweeps(&self) -> usize {
        self.gateway.log().matches("swept").count()
    }

    /// Waits until the children are as main says; gives up after `limit`, telling what is not.
    pub async fn converge(&self, limit: Duration) {
        let start = Instant::now();
        loop {
            if self.sim.is_quiet() && self.unfinished().await == 0 && self.differences().is_empty() {
                return;
            }
            if start.elapsed() > limit {
                let wrong = self.differences();
                panic!("{}", self.report(&wrong).await);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Two more sweeps of each account find nothing to do, and no account is written to.
    pub async fn stays_calm(&self) {
        let writes = || self.accounts().iter().map(|account| self.sim.writes(*account).len()).sum::<usize>();
        let (before, seen) = (writes(), self.sweeps());
        let more = 2 * self.accounts().len();
        wait::until("two more sweeps of each account", Duration::from_secs(180), || async {
            (self.sweeps() >= seen + more && self.sim.is_quiet() && self.unfinished().await == 0)
                .then_some(())
        })
        .await;
        assert_eq!(writes(), before, "seed {}: something is written again and again", self.seed);
        let wrong = self.differences();
        assert!(wrong.is_empty(), "{}", self.report(&wrong).await);
        let tripped = "SELECT count(*) AS rows FROM moysklad_loop_breakers WHERE tripped_at IS NOT NULL";
        assert_eq!(self.count(tripped).await, 0, "seed {}: a loop breaker tripped", self.seed);
        let failed = "SELECT count(*) AS rows FROM moysklad_changes WHERE status IN ('waiting', 'failed')";
        assert_eq!(self.count(failed).await, 0, "seed {}: {:?}", self.seed, self.held().await);
    }

    async fn held(&self) -> Vec<String> {
        self.lines(
            "SELECT entity_type || ' ' || main_id || ' ' || status || ' ' || coalesce(error, '') AS line
             FROM moysklad_changes ORDER BY 1 LIMIT 50",
        )
        .await
    }

    /// Everything that helps to find out why.
    async fn report(&self, wrong: &[Wrong]) -> String {
        let mut text = format!(
            "seed {} ({} edits, children {:?}): {} differences; replay with HOOKGATE_MODEL_SEED={}\n",
            self.seed,
            self.log.len(),
            self.children.iter().map(|child| child.profile).collect::<Vec<_>>(),
            wrong.len(),
            self.seed
        );
        let _ = writeln!(text, "not done: {}", self.unfinished().await);
        let entities: BTreeSet<(&str, usize)> = wrong.iter().filter_map(|one| one.entity).take(8).collect();
        for one in wrong.iter().take(40) {
            let _ = writeln!(text, "  {}: {}", one.child, one.text);
        }
        for (kind, slot) in entities {
            let id = self.book.of(kind)[slot].id;
            let _ = writeln!(text, "--- {kind} {slot} = {id}");
            for (n, made) in self.log.iter().enumerate().filter(|(_, made)| made.edit.concerns(kind, slot)) {
                let _ = writeln!(text, "  #{n} {made}");
            }
            let query = format!(
                "SELECT at::time(3) || ' ' || child_account || ' ' || operation || ' ' || strategy || ' applied '
                     || applied || ' skipped ' || skipped || ' ' || coalesce(error, '') AS line
                 FROM moysklad_sync_log WHERE main_id = '{id}'
                 UNION ALL SELECT 'held: ' || child_account || ' ' || status || ' due ' || due_at || ' '
                     || coalesce(error, '') FROM moysklad_changes WHERE main_id = '{id}'
                 UNION ALL SELECT 'mapped: ' || child_account || ' ' || child_id FROM moysklad_mappings WHERE main_id = '{id}'
                 UNION ALL SELECT 'event: ' || received_at::time(3) || ' ' || event_type || ' ' || status || ' '
                     || event_id || ' ' || coalesce(outcome, '')
                 FROM webhook_events WHERE subject = '{id}' ORDER BY 1"
            );
            for line in self.lines(&query).await {
                let _ = writeln!(text, "    {line}");
            }
        }
        let _ = writeln!(text, "--- held\n{}", self.held().await.join("\n"));
        for child in &self.children {
            let _ = writeln!(text, "{} = {}", child.profile.name, child.account);
        }
        let _ = writeln!(text, "--- last edits");
        for (n, made) in self.log.iter().enumerate().skip(self.log.len().saturating_sub(TAIL)) {
            let _ = writeln!(text, "#{n} {made}");
        }
        text
    }
}
