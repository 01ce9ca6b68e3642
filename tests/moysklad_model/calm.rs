//! After the storm: what is still under way, and when it has ended.

use super::compare::Wrong;
use super::papers::{ORDER, Stuck};
use super::world::World;
use crate::support::wait;
use diesel::sql_types::{BigInt, Bool, Text, Uuid as SqlUuid};
use diesel::{QueryableByName, sql_query};
use diesel_async::RunQueryDsl;
use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::time::{Duration, Instant};
use uuid::Uuid;

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

/// A document's task that waits, or failed.
#[derive(QueryableByName)]
struct Waiting {
    #[diesel(sql_type = SqlUuid)]
    document: Uuid,
    #[diesel(sql_type = Bool)]
    failed: bool,
    #[diesel(sql_type = Text)]
    error: String,
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

    /// Events and tasks that are not done, but for documents that are held, and what waits behind them.
    async fn unfinished(&self) -> i64 {
        // One statement: work that changes its status between two would be seen by neither.
        self.count(
            "SELECT (SELECT count(*) FROM webhook_events WHERE status IN ('received', 'processing'))
             + (SELECT count(*) FROM sync_queue AS task WHERE status IN ('received', 'processing') AND NOT EXISTS (
                 SELECT FROM sync_queue AS held WHERE held.lane = task.lane AND held.last_error LIKE 'held: %cannot cross over%'
                     AND held.status IN ('received', 'processing'))) AS rows",
        )
        .await
    }

    /// Documents that are held, or whose last task has failed.
    async fn stuck(&self) -> HashMap<Uuid, Stuck> {
        let mut conn = self.gateway.database.connect().await;
        let query = "SELECT entity_id::uuid AS document, status = 'failed' AS failed, coalesce(last_error, '') AS error
             FROM sync_queue AS task WHERE operation = 'transfer' AND (
                 status IN ('received', 'processing') AND last_error LIKE 'held: %cannot cross over%'
                 OR status = 'failed' AND NOT EXISTS (SELECT FROM sync_queue AS later
                     WHERE later.lane = task.lane AND later.operation = 'transfer' AND later.id > task.id))";
        let rows: Vec<Waiting> = sql_query(query).load(&mut conn).await.unwrap();
        let mut stuck: HashMap<Uuid, Stuck> = HashMap::new();
        for row in rows {
            let stuck = stuck.entry(row.document).or_default();
            if row.failed {
                stuck.failed = Some(row.error);
            } else {
                stuck.held = Some(row.error);
            }
        }
        stuck
    }

    /// Held documents that were not looked at since then, in seconds since 1970.
    async fn unseen(&self, since: i64) -> i64 {
        // They are looked at every five seconds, or every minute where a package is missing.
        self.count(&format!(
            "SELECT count(*) AS rows FROM sync_queue WHERE status IN ('received', 'processing')
                 AND last_error LIKE 'held: %cannot cross over%' AND run_at <= to_timestamp({since}) + interval '6 seconds'"
        ))
        .await
    }

    /// Everything that is not as it shall be.
    async fn wrong(&self) -> Vec<Wrong> {
        let mut wrong = self.differences();
        if wrong.is_empty() {
            wrong = self.order_differences(&self.stuck().await);
        }
        wrong
    }

    /// A node that was killed keeps its turns for five minutes; here they are over.
    pub async fn free_turns(&self) {
        let mut conn = self.gateway.database.connect().await;
        let free = "UPDATE moysklad_sweeps SET lease_until = NULL, lease_owner = NULL";
        sql_query(free).execute(&mut conn).await.unwrap();
    }

    /// Lines whose answer was lost may come minutes later; the simulator's are there already.
    async fn end_waits(&self) {
        let mut conn = self.gateway.database.connect().await;
        let landed = "UPDATE moysklad_mappings SET adding_since = NULL WHERE adding_since IS NOT NULL AND child_id::text IN (
                          SELECT entity_id FROM sync_queue WHERE status = 'received'
                              AND last_error LIKE 'held: lines may still be added%')";
        let now = "UPDATE sync_queue SET run_at = now() WHERE status = 'received' AND run_at > now()
                       AND last_error LIKE 'held: lines may still be added%'";
        for statement in [landed, now] {
            sql_query(statement).execute(&mut conn).await.unwrap();
        }
    }

    /// Sweeps of each account, so far.
    fn sweeps(&self) -> Vec<usize> {
        let log = self.gateway.log();
        let of = |account: Uuid| log.matches(&format!("swept account={account}")).count();
        self.accounts().into_iter().map(of).collect()
    }

    /// Waits until the children are as main says, and main has their documents; gives up after `limit`, telling what is
    /// not.
    pub async fn converge(&self, limit: Duration) {
        let start = Instant::now();
        let mut equal = None;
        loop {
            self.end_waits().await;
            let is_done = self.sim.is_quiet() && self.unfinished().await == 0;
            if is_done && self.wrong().await.is_empty() {
                let since = *equal.get_or_insert(chrono::Utc::now().timestamp());
                if self.unseen(since).await == 0 {
                    return;
                }
            } else if is_done {
                equal = None;
            }
            if start.elapsed() > limit {
                let wrong = self.wrong().await;
                panic!("{}", self.report(&wrong).await);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Two more sweeps of each account find nothing to do, and no account is written to.
    pub async fn stays_calm(&self) {
        let writes = || self.accounts().iter().map(|account| self.sim.writes(*account).len()).sum::<usize>();
        let (before, seen) = (writes(), self.sweeps());
        wait::until("two more sweeps of each account", Duration::from_secs(180), || async {
            let swept = self.sweeps().iter().zip(&seen).all(|(now, seen)| *now >= seen + 2);
            (swept && self.sim.is_quiet() && self.unfinished().await == 0).then_some(())
        })
        .await;
        assert_eq!(writes(), before, "seed {}: something is written again and again", self.seed);
        let wrong = self.wrong().await;
        assert!(wrong.is_empty(), "{}", self.report(&wrong).await);
        let twice = "SELECT count(*) AS rows FROM (SELECT subject FROM webhook_events WHERE provider = 'hookgate'
                         AND event_type = 'sales_order.created' GROUP BY subject HAVING count(*) > 1) AS twice";
        assert_eq!(self.count(twice).await, 0, "seed {}: an order is told of twice", self.seed);
        let tripped = "SELECT count(*) AS rows FROM moysklad_loop_breakers WHERE tripped_at IS NOT NULL";
        assert_eq!(self.count(tripped).await, 0, "seed {}: a loop breaker tripped", self.seed);
        let failed = "SELECT count(*) AS rows FROM moysklad_changes WHERE status IN ('waiting', 'failed')";
        assert_eq!(self.count(failed).await, 0, "seed {}: {:?}", self.seed, self.held().await);
    }

    /// How many documents there are, for a person to see that there are some of each sort.
    pub async fn documents(&self) -> String {
        let made = self.sheets.iter().flatten().count();
        let orders = self.sim.entities(self.main, "customerorder");
        let lines: u64 = orders.iter().filter_map(|order| order["positions"]["meta"]["size"].as_u64()).sum();
        let stuck = self.stuck().await;
        let held = stuck.values().filter(|stuck| stuck.held.is_some()).count();
        let failed = stuck.values().filter(|stuck| stuck.failed.is_some()).count();
        format!("{made} documents, {} in main with {lines} lines, {held} held, {failed} failed", orders.len())
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
            self.children.iter().map(|child| child.profile.name).collect::<Vec<_>>(),
            wrong.len(),
            self.seed
        );
        let _ = writeln!(text, "not done: {}", self.unfinished().await);
        let entities: BTreeSet<(&str, usize)> = wrong.iter().filter_map(|one| one.entity).take(8).collect();
        for one in wrong.iter().take(40) {
            let _ = writeln!(text, "  {}: {}", one.child, one.text);
        }
        for (kind, slot) in entities {
            let id = match kind {
                ORDER => self.sheets[slot].as_ref().unwrap().id,
                kind => self.book.of(kind)[slot].id,
            };
            let _ = writeln!(text, "--- {kind} {slot} = {id}");
            for (n, made) in self.log.iter().enumerate().filter(|(_, made)| made.edit.concerns(kind, slot)) {
                let _ = writeln!(text, "  #{n} {made}");
            }
            let query = format!(
                "SELECT at::time(3) || ' ' || child_account || ' ' || operation || ' ' || strategy || ' applied '
                     || applied || ' skipped ' || skipped || ' ' || coalesce(error, '') AS line
                 FROM moysklad_sync_log WHERE '{id}' IN (main_id, child_id)
                 UNION ALL SELECT 'held: ' || child_account || ' ' || status || ' due ' || due_at || ' '
                     || coalesce(error, '') FROM moysklad_changes WHERE main_id = '{id}'
                 UNION ALL SELECT 'mapped: ' || child_account || ' ' || child_id FROM moysklad_mappings WHERE main_id = '{id}'
                 UNION ALL SELECT 'task: ' || created_at::time(3) || ' ' || operation || ' ' || status || ' '
                     || attempts || ' due ' || run_at || ' ' || coalesce(outcome, '') || ' ' || coalesce(last_error, '')
                     || ' ' || payload FROM sync_queue WHERE entity_id = '{id}'
                 UNION ALL SELECT 'mapped: ' || main_id FROM moysklad_mappings WHERE child_id = '{id}'
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
