//! Lost webhooks.

use super::{cut_off, join_up, kettle, names};
use crate::moysklad_sync::Franchise;
use serde_json::json;
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
    let sweeps = || franchise.gateway.log().matches("swept").count();
    let seen = sweeps();
    crate::support::wait::until("two more sweeps", Duration::from_secs(20), || async {
        (sweeps() >= seen + 6).then_some(())
    })
    .await;
    assert_eq!((writes(), count(&franchise).await), (before, events));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_was_away_asks_for_what_it_missed() {
    let mut franchise = Franchise::start_with(&[("MOYSKLAD_RECONCILE_MINUTES", "0.05")]).await;
    let id = franchise.create(kettle(1)).await;
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

async fn count(franchise: &Franchise) -> usize {
    let page = franchise.gateway.admin_get("/api/v1/events?provider=moysklad&limit=200").await;
    page["items"].as_array().unwrap().len()
}
