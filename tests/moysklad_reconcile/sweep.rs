//! Lost webhooks.

use super::{cut_off, join_up, kettle, names};
use crate::moysklad_sync::{Franchise, ORIGIN, account_path};
use crate::support::wait;
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_lost_comes_over_and_what_is_known_starts_nothing() {
    let franchise = Franchise::start_with(&[("MOYSKLAD_RECONCILE_MINUTES", "0.03")]).await;
    let mut ids = Vec::new();
    for n in 0..4 {
        ids.push(franchise.create(kettle(n)).await);
    }
    cut_off(&franchise);
    franchise.sim.edit(franchise.main, ids[0], json!({"name": "Renamed"}));
    franchise.sim.delete(franchise.main, ids[1]);
    franchise.sim.create(franchise.main, kettle(9));
    for child in franchise.children {
        franchise
            .sim
            .products_when("the child to follow", child, |products| {
                names(products) == ["Kettle 2", "Kettle 3", "Kettle 9", "Renamed"]
            })
            .await;
        assert!(franchise.sim.products(child).len() >= 4, "what main deleted is archived, not deleted");
    }
    join_up(&franchise);
    franchise.settle().await;
    // The next sweeps see the same rows within their overlap: no event, no write.
    let writes = || franchise.children.map(|child| franchise.sim.writes(child).len());
    let (before, events) = (writes(), count(&franchise).await);
    sweeps(&franchise, 2).await;
    assert_eq!((writes(), count(&franchise).await), (before, events));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_was_away_asks_for_what_it_missed() {
    // As often as by default: every half hour.
    let mut franchise = Franchise::start().await;
    let id = franchise.create(kettle(1)).await;
    wait::until("the accounts to be on the list", Duration::from_secs(20), || async {
        let accounts =
            "UPDATE moysklad_sweeps SET finished_at = now() - interval '10 minutes' WHERE job = 'reconcile'";
        let mut conn = franchise.gateway.database.connect().await;
        let found = diesel_async::RunQueryDsl::execute(diesel::sql_query(accounts), &mut conn).await.unwrap();
        (found == 3).then_some(())
    })
    .await;
    assert!(franchise.gateway.terminate());
    cut_off(&franchise);
    franchise.sim.edit(franchise.main, id, json!({"name": "Renamed"}));
    franchise.gateway.restart();
    join_up(&franchise);
    for child in franchise.children {
        franchise
            .sim
            .products_when("the child to follow", child, |products| names(products) == ["Renamed"])
            .await;
    }
}

/// Waits until each account was swept so often once more.
async fn sweeps(franchise: &Franchise, more: usize) {
    let accounts = [franchise.main, franchise.children[0], franchise.children[1]];
    let now = || {
        let log = franchise.gateway.log();
        accounts.map(|account| log.matches(&format!("swept account={account}")).count())
    };
    let seen = now();
    crate::support::wait::until("more sweeps", Duration::from_secs(90), || async {
        now().iter().zip(seen).all(|(now, seen)| *now >= seen + more).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_of_which_most_is_gone_is_left_alone_and_stops_no_other() {
    let franchise =
        Franchise::start_with(&[("MOYSKLAD_RECONCILE_MINUTES", "0.03"), ("APP_URL", ORIGIN)]).await;
    let Franchise { sim, main, children: [kazan, _], .. } = &franchise;
    let many: Vec<Value> = (0..30).map(kettle).collect();
    let ids = sim.person(*main).create_many("product", &many).unwrap();
    let service = sim.create_in(*main, "service", json!({"name": "Repair", "externalCode": "r"}));
    franchise.settle().await;
    let setup = franchise.gateway.command(&["webhook", "setup", "--all"]);
    assert!(setup.status.success());
    // What is due by then has been looked at: no webhook and no sweep is under way that would be cut off.
    sweeps(&franchise, 2).await;
    franchise.settle().await;
    // Services are swept after products.
    cut_off(&franchise);
    sim.person(*main).delete_many("product", &ids[..25]).unwrap();
    sim.edit_in(*main, "service", service, json!({"name": "Mending"}));
    for _ in 0..2 {
        sweeps(&franchise, 2).await;
        assert_eq!(names(&sim.products(*kazan)).len(), 30, "nothing is archived");
    }
    franchise.settle().await;
    assert_eq!(sim.one(*kazan, "service", "r")["name"], "Mending");
    let health = franchise.gateway.command(&["webhook", "health-check"]);
    let text = String::from_utf8_lossy(&health.stdout).into_owned();
    assert!(!health.status.success() && text.contains("25 of 30 mapped products are not shown"), "{text}");
    // Those of which a webhook tells are gone for certain.
    join_up(&franchise);
    for (n, id) in ids[..25].iter().enumerate() {
        franchise.notify(*main, *id, "DELETE", &format!("late {n}")).await;
    }
    franchise.settle().await;
    assert_eq!(names(&sim.products(*kazan)).len(), 5);
    // The first may have begun before, and what the last found is noted a moment after it has said so.
    sweeps(&franchise, 3).await;
    let health = franchise.gateway.command(&["webhook", "health-check"]);
    let text = String::from_utf8_lossy(&health.stdout).into_owned();
    assert!(!text.contains("not shown"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_sweep_found_waits_for_an_account_that_takes_no_part_at_the_moment() {
    let franchise = Franchise::start_with(&[("MOYSKLAD_RECONCILE_MINUTES", "0.03")]).await;
    let Franchise { sim, main, children: [kazan, _], gateway } = &franchise;
    let id = franchise.create(kettle(1)).await;
    // As if the account had been suspended between the sweep and the handling of what it found.
    let found = json!({"meta": {"type": "product", "href": format!("{}/entity/product/{id}", sim.base)},
        "action": "UPDATE", "accountId": main});
    let status = |word: &str| {
        let body = json!({"name": "Head office", "role": "main", "status": word});
        async move { assert_eq!(gateway.admin("PUT", &account_path(*main), &body).await.0, 200) }
    };
    status("inactive").await;
    franchise.unheard(|| sim.edit(*main, id, json!({"name": "Teapot"})));
    let mut conn = gateway.database.connect().await;
    diesel_async::RunQueryDsl::execute(
        diesel::sql_query(format!(
            "INSERT INTO webhook_events (id, provider, event_id, event_type, subject, body, headers, status, max_attempts)
             SELECT gen_random_uuid(), 'moysklad', 'sweep:{main}/product/{id}@1', 'product.UPDATE', '{id}',
                    convert_to('{found}', 'UTF8'), '{{}}', 'received', 5"
        )),
        &mut conn,
    )
    .await
    .unwrap();
    wait::until("the event to wait", Duration::from_secs(20), || async {
        let page = gateway.admin_get("/api/v1/events?provider=moysklad&limit=200").await;
        let waits = page["items"].as_array().unwrap().iter().any(|event| {
            event["event_id"].as_str().unwrap().starts_with("sweep:")
                && event["status"] == "received"
                && event.to_string().contains("the account is inactive")
        });
        waits.then_some(())
    })
    .await;
    status("active").await;
    let now = "UPDATE webhook_events SET run_at = now() WHERE status = 'received'";
    diesel_async::RunQueryDsl::execute(diesel::sql_query(now), &mut conn).await.unwrap();
    sim.products_when("the child to follow", *kazan, |products| names(products) == ["Teapot"]).await;
}

async fn count(franchise: &Franchise) -> usize {
    let page = franchise.gateway.admin_get("/api/v1/events?provider=moysklad&limit=200").await;
    page["items"].as_array().unwrap().len()
}
