//! Several gateways that work for the same accounts keep to MoySklad's limits together.

use crate::moysklad_orders::Shop;
use crate::support::gateway::Gateway;
use crate::support::wait;
use diesel::QueryableByName;
use diesel::sql_query;
use diesel::sql_types::BigInt;
use diesel_async::RunQueryDsl as _;
use serde_json::json;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

/// Waits until so many processes heed each other.
async fn heeded(gateway: &Gateway, nodes: i64) {
    let query = format!("SELECT count(*) AS rows FROM nodes WHERE heeds = {nodes} AND alive_until > now()");
    wait::until("the nodes to heed each other", SOON, || async {
        let mut conn = gateway.database.connect().await;
        let count: Count = sql_query(&query).get_result(&mut conn).await.unwrap();
        (count.rows == nodes).then_some(())
    })
    .await;
}

async fn calls(gateway: &Gateway) -> f64 {
    let text = gateway.http.get(gateway.url("/metrics")).send().await.unwrap().text().await.unwrap();
    let lines = text.lines().filter(|line| line.starts_with("upstream_requests_total{upstream=\"moysklad\""));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn three_workers_and_a_command_get_no_answer_429() {
    // Fewer units than MoySklad gives: after a pause of the machine what was sent over a second may arrive at once. And
    // nobody takes over what another one has in hand.
    let calm = [("MOYSKLAD_UNITS_PER_3S", "36"), ("WORKER_LEASE_SECONDS", "30")];
    let shop = Shop::start_in(&calm, |_, settings| settings).await;
    let Shop { gateway, sim, main, child, .. } = &shop;
    let base = sim.base.clone();
    let env = [
        ("MOYSKLAD_BASE_URL", &*base),
        ("MOYSKLAD_REQUEST_WEIGHT", "1"),
        ("APP_URL", crate::moysklad_orders::ORIGIN),
        calm[0],
        calm[1],
    ];
    let start = || Gateway::start_role("worker", Some(gateway.database.clone()), &env);
    let (second, third) = tokio::join!(start(), start());
    heeded(gateway, 3).await;
    let (_, kettle) = shop.product("Kettle").await;
    sim.latency(*main, Duration::from_millis(40));
    let order = |_| {
        let lines = json!([shop.line("product", kettle, json!({"quantity": 1.0, "price": 100.0}))]);
        shop.create("customerorder", shop.document(lines, json!({})))
    };
    let mut orders: Vec<_> = (0..12).map(order).collect();
    wait::until("the first to cross over", SOON, || async {
        (!sim.entities(*main, "customerorder").is_empty()).then_some(())
    })
    .await;
    let (_, text) = shop.run(&["webhook", "health-check"]);
    assert!(text.contains(&main.to_string()) && text.contains("FAILED"), "it has asked MoySklad: {text}");
    shop.settle().await;
    // Who gets a task is chance; each gets one in time.
    let mut made = Vec::new();
    for _ in 0..20 {
        made.clear();
        for gateway in [gateway, &second, &third] {
            made.push(calls(gateway).await);
        }
        if made.iter().all(|calls| *calls > 0.0) {
            break;
        }
        orders.extend((0..6).map(order));
        shop.settle().await;
    }
    println!("calls of each: {made:?}, at once {}", sim.peak_in_flight(*main));
    assert!(made.iter().all(|calls| *calls > 0.0), "each does some of the work: {made:?}");
    assert_eq!(sim.entities(*main, "customerorder").len(), orders.len());
    for account in [*main, *child] {
        assert_eq!(sim.refused(account, 429), 0);
        assert!(sim.peak_in_flight(account) <= 5, "{}", sim.peak_in_flight(account));
    }
}
