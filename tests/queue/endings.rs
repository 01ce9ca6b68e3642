//! How work ends, and how the engine does.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn endings_are_told_apart_and_attempts_are_bounded_and_logged() {
    let bench = Bench::new().await;
    let engine = bench.start(
        4,
        job(|row| async move {
            match row.number {
                1 => Ok(Outcome::ignored("nothing to do")),
                2 => Err(HandlerError::Retry("never works".to_owned())),
                3 => Err(HandlerError::GiveUp("hopeless".to_owned())),
                4 if row.attempts < 3 => Err(HandlerError::Retry("not yet".to_owned())),
                5 => panic!("a defect"),
                _ => done(),
            }
        }),
    );
    bench.add(&(0..6).map(|n| (n, None)).collect::<Vec<_>>()).await;
    let states = bench.finished().await;
    let short: Vec<_> = states.iter().map(|s| (s.status.as_str(), s.attempts, s.logged)).collect();
    assert_eq!(
        short,
        [
            ("completed", 1, 1),
            ("ignored", 1, 1),
            ("failed", 3, 3),
            ("failed", 1, 1),
            ("completed", 3, 3),
            ("failed", 3, 3)
        ]
    );
    assert_eq!(states[2].last_error.as_deref(), Some("never works"));
    assert_eq!(states[0].last_error, None);
    assert!(states[5].last_error.as_ref().unwrap().contains("panicked"));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deferral_is_no_attempt() {
    let bench = Bench::new().await;
    let calls = Arc::new(AtomicUsize::new(0));
    let act = {
        let calls = calls.clone();
        job(move |_| {
            let call = calls.fetch_add(1, Ordering::SeqCst);
            async move {
                if call < 10 {
                    let after = Duration::from_millis(5);
                    return Err(HandlerError::Defer { after, reason: "rate limited".to_owned() });
                }
                done()
            }
        })
    };
    let engine = bench.start(1, act);
    bench.add(&[(0, None)]).await;
    let states = bench.finished().await;
    assert_eq!((states[0].status.as_str(), states[0].attempts, states[0].logged), ("completed", 1, 11));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_lets_work_end_and_claims_nothing_new() {
    let bench = Bench::new().await;
    let (gate, started) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let act = {
        let (gate, started) = (gate.clone(), started.clone());
        job(move |_| {
            let (gate, started) = (gate.clone(), started.clone());
            async move {
                started.add_permits(1);
                let _permit = gate.acquire().await.unwrap();
                done()
            }
        })
    };
    let engine = bench.start(2, act);
    bench.add(&(0..5).map(|n| (n, None)).collect::<Vec<_>>()).await;
    started.acquire_many(2).await.unwrap().forget();
    engine.stop.cancel();
    gate.add_permits(1);
    engine.task.await.unwrap();
    let states = bench.states().await;
    let count = |status| states.iter().filter(|state| state.status == status).count();
    assert_eq!((count("completed"), count("received"), count("processing")), (2, 3, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_outlives_its_connection() {
    let bench = Bench::new().await;
    let engine = bench.start_with(2, SHORT_LEASE, job(|_| async { done() }));
    for round in 0..3 {
        bench.add(&[(round, None)]).await;
        bench.finished().await;
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE datname = current_database() AND application_name = 'hookgate queue'";
        bench.database.connect().await.batch_execute(cut).await.unwrap();
    }
    bench.add(&[(9, None)]).await;
    assert_eq!(bench.finished().await.len(), 4);
    engine.stop().await;
}
