//! Who goes first, who waits for whom, and how many run at once.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_one_lane_run_one_after_another_in_their_order_also_over_retries_and_nodes() {
    let bench = Bench::new().await;
    let rows: Vec<(i32, Option<i64>)> = (0..200).map(|n| (n, Some(i64::from(n % 10)))).collect();
    bench.add(&rows).await;
    let seen: Arc<Mutex<HashMap<i64, Vec<i32>>>> = Arc::default();
    let busy: Arc<Mutex<HashMap<i64, usize>>> = Arc::default();
    let act = {
        let (seen, busy) = (seen.clone(), busy.clone());
        job(move |row| {
            let (seen, busy) = (seen.clone(), busy.clone());
            async move {
                let lane = row.lane.unwrap();
                let others = std::mem::replace(busy.lock().unwrap().entry(lane).or_default(), 1);
                assert_eq!(others, 0, "two rows of lane {lane} at once");
                tokio::task::yield_now().await;
                busy.lock().unwrap().insert(lane, 0);
                if row.number % 7 == 0 && row.attempts == 1 {
                    return Err(HandlerError::Retry("first try".to_owned()));
                }
                seen.lock().unwrap().entry(lane).or_default().push(row.number);
                done()
            }
        })
    };
    let engines = [bench.start(8, act.clone()), bench.start(8, act.clone()), bench.start(8, act)];
    let states = bench.finished().await;
    assert!(states.iter().all(|state| state.status == "completed"), "{states:?}");
    for (lane, numbers) in seen.lock().unwrap().iter() {
        let expected: Vec<i32> = (0..20).map(|n| n * 10 + i32::try_from(*lane).unwrap()).collect();
        assert_eq!(*numbers, expected);
    }
    for engine in engines {
        engine.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_without_a_lane_run_at_once_and_never_more_than_allowed() {
    let bench = Bench::new().await;
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let gate = Arc::new(Semaphore::new(0));
    let act = {
        let (now, most, gate) = (now.clone(), most.clone(), gate.clone());
        job(move |_| {
            let (now, most, gate) = (now.clone(), most.clone(), gate.clone());
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                let _permit = gate.acquire().await.unwrap();
                now.fetch_sub(1, Ordering::SeqCst);
                done()
            }
        })
    };
    let engine = bench.start(16, act);
    bench.add(&(0..50).map(|n| (n, None)).collect::<Vec<_>>()).await;
    until("sixteen at once", Duration::from_secs(10), || async {
        (now.load(Ordering::SeqCst) == 16).then_some(())
    })
    .await;
    gate.add_permits(1);
    bench.finished().await;
    assert_eq!(most.load(Ordering::SeqCst), 16);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_lane_does_not_hold_others_back() {
    let bench = Bench::new().await;
    let gate = Arc::new(Semaphore::new(0));
    let act = {
        let gate = gate.clone();
        job(move |row| {
            let gate = gate.clone();
            async move {
                if row.lane == Some(1) {
                    let _permit = gate.acquire().await.unwrap();
                }
                done()
            }
        })
    };
    let engine = bench.start(4, act);
    let rows: Vec<_> = (0..40).map(|n| (n, Some(if n < 20 { 1 } else { 2 }))).collect();
    bench.add(&rows).await;
    until("the other lane to end", Duration::from_secs(10), || async {
        bench.states().await[20..].iter().all(|state| state.status == "completed").then_some(())
    })
    .await;
    assert!(bench.states().await[1..20].iter().all(|state| state.status == "received"));
    gate.add_permits(1);
    bench.finished().await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn smaller_priorities_go_first_and_the_future_waits() {
    let bench = Bench::new().await;
    bench.add(&[(0, None), (1, None), (2, None)]).await;
    let change = "UPDATE work SET priority = 10 WHERE number = 2;
                  UPDATE work SET run_at = now() + interval '1 hour' WHERE number = 0";
    bench.database.connect().await.batch_execute(change).await.unwrap();
    let order: Arc<Mutex<Vec<i32>>> = Arc::default();
    let act = {
        let order = order.clone();
        job(move |row| {
            order.lock().unwrap().push(row.number);
            async { done() }
        })
    };
    let engine = bench.start(1, act);
    until("the two that are due", Duration::from_secs(10), || async {
        (bench.states().await.iter().filter(|state| state.status == "completed").count() == 2).then_some(())
    })
    .await;
    engine.stop().await;
    assert_eq!(*order.lock().unwrap(), [2, 1]);
    assert_eq!(bench.states().await[0].status, "received");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_in_front_of_a_long_queue_does_not_wait_for_its_end() {
    let bench = Bench::new().await;
    let (order, gate) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Semaphore::new(0)));
    let act = {
        let (order, gate) = (order.clone(), gate.clone());
        job(move |row| {
            let (order, gate) = (order.clone(), gate.clone());
            async move {
                gate.acquire().await.unwrap().forget();
                order.lock().unwrap().push(row.number);
                done()
            }
        })
    };
    bench.add(&(0..100).map(|n| (n, None)).collect::<Vec<_>>()).await;
    let engine = bench.start(1, act);
    until("the first to be in work", Duration::from_secs(10), || async {
        bench.states().await.iter().any(|state| state.status == "processing").then_some(())
    })
    .await;
    let mut conn = bench.database.connect().await;
    conn.batch_execute("UPDATE work SET priority = 10 WHERE number = 99").await.unwrap();
    // One more may go with each look, and not so many that they are through before the queue's head is looked for again.
    until("the urgent one", Duration::from_secs(60), || async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        gate.add_permits(1);
        order.lock().unwrap().contains(&99).then_some(())
    })
    .await;
    assert!(order.lock().unwrap().len() < 100, "it came last");
    gate.add_permits(200);
    bench.finished().await;
    engine.stop().await;
}
