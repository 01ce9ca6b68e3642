//! The turn of a node that was killed in the middle of a sweep.

use super::{cut_off, kettle, names};
use crate::moysklad_sync::{Franchise, ORIGIN};
use crate::support::gateway::Gateway;
use crate::support::wait;
use chrono::{DateTime, TimeDelta, Utc};
use diesel::sql_types::{Nullable, Timestamptz, Uuid as SqlUuid};
use diesel::{OptionalExtension as _, QueryableByName, sql_query};
use diesel_async::RunQueryDsl as _;
use serde_json::json;
use std::time::{Duration, Instant};
use uuid::Uuid;

#[derive(QueryableByName)]
struct Held {
    #[diesel(sql_type = Nullable<Timestamptz>)]
    lease_until: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    lease_owner: Option<Uuid>,
}

/// The turn of main's sweep, once `probe` says so.
async fn turn_when(franchise: &Franchise, what: &str, probe: impl Fn(&Held) -> bool) -> Held {
    let query = format!(
        "SELECT lease_until, lease_owner FROM moysklad_sweeps WHERE job = 'reconcile' AND account_id = '{}'",
        franchise.main
    );
    wait::until(what, Duration::from_secs(40), || async {
        let mut conn = franchise.gateway.database.connect().await;
        let held: Option<Held> = sql_query(&query).get_result(&mut conn).await.optional().unwrap();
        held.filter(&probe)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sweep_of_a_killed_node_is_taken_over_and_that_of_a_live_one_is_kept() {
    let mut franchise = Franchise::start().await;
    let id = franchise.create(kettle(1)).await;
    cut_off(&franchise);
    franchise.sim.edit(franchise.main, id, json!({"name": "Renamed"}));
    // The sweep hangs in its first request.
    franchise.sim.latency(franchise.main, Duration::from_secs(25));
    turn_when(&franchise, "the account to be on the list", |_| true).await;
    let mut conn = franchise.gateway.database.connect().await;
    let due = "UPDATE moysklad_sweeps SET due_at = now() WHERE job = 'reconcile'";
    sql_query(due).execute(&mut conn).await.unwrap();
    let begun = turn_when(&franchise, "the sweep to begin", |held| held.lease_owner.is_some()).await;
    let base = franchise.sim.base.clone();
    let env = [("MOYSKLAD_BASE_URL", &*base), ("MOYSKLAD_REQUEST_WEIGHT", "1"), ("APP_URL", ORIGIN)];
    let other = Gateway::start_on(franchise.gateway.database.clone(), &env).await;
    let kept = turn_when(&franchise, "the turn to be kept", |held| {
        held.lease_until > begun.lease_until.map(|until| until + TimeDelta::seconds(4))
    })
    .await;
    assert_eq!(kept.lease_owner, begun.lease_owner, "a live node keeps its turn");
    franchise.sim.latency(franchise.main, Duration::ZERO);
    franchise.gateway.kill();
    let killed = Instant::now();
    let child = franchise.children[0];
    wait::until("the other node to sweep", Duration::from_secs(90), || async {
        (names(&franchise.sim.products(child)) == ["Renamed"]).then_some(())
    })
    .await;
    println!("taken over and done {:?} after the kill", killed.elapsed());
    wait::until("the other node to say so", Duration::from_secs(60), || async {
        other.log().contains("swept").then_some(())
    })
    .await;
}
