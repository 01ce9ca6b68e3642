//! Leases: kept by who works, lost by who is dead or stood still.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn long_work_keeps_its_lease_by_heartbeat() {
    let bench = Bench::new().await;
    let (calls, gate) = (Arc::new(AtomicUsize::new(0)), Gate::default());
    let act = held_job(&calls, &gate);
    let lease = Duration::from_secs(6);
    let engines = [bench.start_with(1, lease, act.clone()), bench.start_with(1, lease, act)];
    bench.add(&[(0, None)]).await;
    let first = until("the row to be claimed", Duration::from_secs(60), || async {
        bench.ask("SELECT lease_until FROM work").await
    })
    .await;
    // Without a heartbeat the second engine, which looks every 1.5 s, would have taken it by then.
    let over = format!("SELECT clock_timestamp() > '{first}'::timestamptz + interval '3 s'");
    until("the first lease to be over for long", Duration::from_secs(60), || async {
        (bench.ask(&over).await? == "true").then_some(())
    })
    .await;
    gate.open();
    let states = bench.finished().await;
    assert_eq!((states[0].attempts, calls.load(Ordering::SeqCst)), (1, 1));
    for engine in engines {
        engine.stop().await;
    }
}

/// Counts its calls; each ends when the gate is open.
fn held_job(calls: &Arc<AtomicUsize>, gate: &Gate) -> Arc<dyn Job<Work>> {
    let (calls, gate) = (calls.clone(), gate.clone());
    job(move |_| {
        calls.fetch_add(1, Ordering::SeqCst);
        let gate = gate.clone();
        async move {
            gate.pass().await;
            done()
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stood_still_does_not_take_its_own_work_for_a_dead_ones() {
    let bench = Bench::new().await;
    // As if after each heartbeat the process had been frozen until the lease was over.
    let stand_still = "CREATE SEQUENCE beats;
        CREATE FUNCTION stand_still() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            PERFORM nextval('beats'); NEW.lease_until := now() - interval '1 s'; RETURN NEW;
        END $$;
        CREATE TRIGGER stand_still BEFORE UPDATE ON work FOR EACH ROW
            WHEN (OLD.status = 'processing' AND NEW.status = 'processing') EXECUTE FUNCTION stand_still()";
    bench.database.connect().await.batch_execute(stand_still).await.unwrap();
    let (calls, gate) = (Arc::new(AtomicUsize::new(0)), Gate::default());
    let engine = bench.start_with(1, SHORT_LEASE, held_job(&calls, &gate));
    bench.add(&[(0, None)]).await;
    // By the third, what follows the second is over.
    until("three heartbeats", Duration::from_secs(60), || async {
        let beats: i32 = bench.ask("SELECT last_value FROM beats").await?.parse().unwrap();
        (beats >= 3).then_some(())
    })
    .await;
    gate.open();
    let states = bench.finished().await;
    let row = (states[0].status.as_str(), states[0].attempts, states[0].logged);
    assert_eq!((row, calls.load(Ordering::SeqCst)), (("completed", 1, 1), 1));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_workers_row_is_taken_over_and_the_dead_cannot_finish_it() {
    let bench = Bench::new().await;
    bench.add(&[(0, None)]).await;
    let gate = Arc::new(Semaphore::new(0));
    // The first engine claims the row and then loses its database: its task is aborted, as a SIGKILL would.
    let act = {
        let gate = gate.clone();
        job(move |_| {
            let gate = gate.clone();
            async move {
                let _permit = gate.acquire().await.unwrap();
                Ok(Outcome::completed("by the dead"))
            }
        })
    };
    let dead = bench.start_with(1, SHORT_LEASE, act);
    until("the row to be claimed", Duration::from_secs(10), || async {
        (bench.states().await[0].status == "processing").then_some(())
    })
    .await;
    dead.task.abort();
    let by_the_living = job(|_| async { Ok(Outcome::completed("by the living")) });
    let living = bench.start_with(1, SHORT_LEASE, by_the_living);
    let states = bench.finished().await;
    assert_eq!((states[0].status.as_str(), states[0].attempts), ("completed", 2));
    // What the dead one still had in hand ends now, and changes nothing.
    gate.add_permits(1);
    living.stop().await;
    use diesel_async::RunQueryDsl as _;
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        outcome: String,
    }
    let rows: Vec<Row> =
        sql_query("SELECT outcome FROM work").load(&mut bench.database.connect().await).await.unwrap();
    assert_eq!(rows[0].outcome, "by the living");
}

#[tokio::test(flavor = "multi_thread")]
async fn work_whose_lease_was_lost_is_stopped() {
    let bench = Bench::new().await;
    let ended = Arc::new(AtomicUsize::new(0));
    let started = Arc::new(Semaphore::new(0));
    let act = {
        let (ended, started) = (ended.clone(), started.clone());
        job(move |row| {
            let (ended, started) = (ended.clone(), started.clone());
            async move {
                started.add_permits(1);
                if row.attempts > 1 {
                    return done();
                }
                std::future::pending::<()>().await;
                ended.fetch_add(1, Ordering::SeqCst);
                done()
            }
        })
    };
    let engine = bench.start_with(2, SHORT_LEASE, act);
    bench.add(&[(0, None)]).await;
    started.acquire().await.unwrap().forget();
    // Another node believes this one dead and takes the row.
    let steal = "UPDATE work SET status = 'received', lease_owner = NULL, lease_until = NULL";
    bench.database.connect().await.batch_execute(steal).await.unwrap();
    let states = bench.finished().await;
    assert_eq!((states[0].status.as_str(), states[0].attempts), ("completed", 2));
    assert_eq!(ended.load(Ordering::SeqCst), 0);
    engine.stop().await;
}
