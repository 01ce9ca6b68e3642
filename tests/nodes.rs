//! Several processes on one database: each knows how many share what upstreams allow.

mod moysklad;

use crate::support::gateway::TestDatabase;
use crate::support::wait;
use diesel_async::SimpleAsyncConnection as _;
use hookgate::db::{self, Database};
use hookgate::nodes::{Follower, Kind, NODES, Node, Nodes, Standing};
use hookgate::queue::Waker;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(20);

async fn database() -> (TestDatabase, Database) {
    let database = TestDatabase::create().await;
    let handle = Database::new(database.url.clone().into());
    db::migrate(&handle).await.unwrap();
    (database, handle)
}

fn join(handle: &Database, kind: Kind) -> Node {
    Node::join(handle.clone(), kind, Waker::new(NODES))
}

async fn standing_is(nodes: &Nodes, of: u32, rank: u32) {
    wait::until(&format!("rank {rank} of {of}"), SOON, || async {
        (nodes.standing() == Some(Standing { of, rank })).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shares_follow_who_joins_leaves_and_dies() {
    let (_database, handle) = database().await;
    let first = join(&handle, Kind::Worker);
    standing_is(&first.nodes, 1, 0).await;
    let second = join(&handle, Kind::Worker);
    standing_is(&second.nodes, 2, 1).await;
    standing_is(&first.nodes, 2, 0).await;
    let command = join(&handle, Kind::Command);
    standing_is(&command.nodes, 3, 0).await;
    standing_is(&first.nodes, 3, 1).await;
    standing_is(&second.nodes, 3, 2).await;
    let left = command.nodes.clone();
    command.leave().await;
    assert_eq!(left.standing(), None, "who has left makes no calls");
    standing_is(&second.nodes, 2, 1).await;
    // Without a goodbye, as after SIGKILL.
    drop(first);
    standing_is(&second.nodes, 1, 0).await;
    assert!(second.nodes.admitted(Duration::ZERO).await);
}

/// Notes when calls are forbidden and allowed, and says that calls are under way as long as a test wants.
#[derive(Default)]
struct Watch {
    seen: Mutex<Vec<(Instant, Option<Standing>)>>,
    is_busy: AtomicBool,
}

impl Watch {
    fn on(nodes: &Nodes) -> Arc<Self> {
        let watch = Arc::new(Self::default());
        nodes.tell(watch.clone());
        watch
    }

    /// When the standing was first this.
    fn first(&self, standing: Option<Standing>) -> Option<Instant> {
        let seen = self.seen.lock().unwrap();
        seen.iter().skip(1).find(|(_, seen)| *seen == standing).map(|(at, _)| *at)
    }
}

impl Follower for Watch {
    fn follow(&self, standing: Option<Standing>) {
        self.seen.lock().unwrap().push((Instant::now(), standing));
    }

    fn has_settled(&self) -> bool {
        !self.is_busy.load(Ordering::Relaxed)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_joins_waits_until_the_calls_of_the_others_fit_into_their_share() {
    let (_database, handle) = database().await;
    let first = join(&handle, Kind::Worker);
    standing_is(&first.nodes, 1, 0).await;
    let calls = Watch::on(&first.nodes);
    calls.is_busy.store(true, Ordering::Relaxed);
    let second = join(&handle, Kind::Worker);
    standing_is(&first.nodes, 2, 0).await;
    assert!(!second.nodes.admitted(Duration::from_secs(3)).await, "the first has more in flight than half");
    calls.is_busy.store(false, Ordering::Relaxed);
    standing_is(&second.nodes, 2, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_renew_stops_before_the_others_take_its_share() {
    let (database, handle) = database().await;
    let (silent, other) = (join(&handle, Kind::Worker), join(&handle, Kind::Worker));
    for node in [&silent, &other] {
        wait::until("both to share", SOON, || async {
            node.nodes.standing().filter(|standing| standing.of == 2)
        })
        .await;
    }
    let (stopped, took) = (Watch::on(&silent.nodes), Watch::on(&other.nodes));
    // Every statement of this one waits for the lock until it is given up; the others only read the row.
    let mut lock = database.connect().await;
    let rank = silent.nodes.standing().unwrap().rank;
    lock.batch_execute(&format!(
        "BEGIN; SELECT FROM nodes WHERE id = (SELECT id FROM nodes ORDER BY joined_at, id OFFSET {rank} LIMIT 1) FOR UPDATE"
    ))
    .await
    .unwrap();
    let alone = Some(Standing::ALONE);
    let took = wait::until("the other to be alone", SOON, || async { took.first(alone) }).await;
    let stopped = stopped.first(None).expect("it has stopped by then");
    assert!(stopped < took);
    lock.batch_execute("ROLLBACK").await.unwrap();
    for node in [&silent, &other] {
        wait::until("both to share again", SOON, || async {
            node.nodes.standing().filter(|standing| standing.of == 2)
        })
        .await;
    }
}
