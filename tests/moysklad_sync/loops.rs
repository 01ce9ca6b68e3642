//! No change made by the gateway comes back to it, and what should not be followed is not.

use super::{Franchise, ORIGIN, account_path, hook_url};
use crate::support::wait;
use serde_json::json;
use std::time::Duration;
use uuid::Uuid;

#[tokio::test]
async fn writes_to_children_raise_no_webhook_of_ours_but_those_of_others() {
    let franchise = Franchise::start().await;
    let Franchise { gateway, sim, main, children: [kazan, _] } = &franchise;
    let other = "https://other-app.example.test/hooks";
    sim.resolve("https://other-app.example.test", &gateway.base);
    sim.hook(*kazan, "product", "CREATE", other);
    let id = franchise.create(json!({"name": "Kettle", "externalCode": "k"})).await;
    franchise.edit(id, json!({"name": "Teapot"})).await;

    let deliveries = sim.deliveries();
    let ours: Vec<Uuid> = deliveries
        .iter()
        .filter(|delivery| delivery.url == hook_url())
        .map(|delivery| delivery.account)
        .collect();
    assert_eq!(ours, [*main, *main], "only the two edits in main");
    let others: Vec<&_> = deliveries.iter().filter(|delivery| delivery.url == other).collect();
    assert_eq!(others.len(), 1);
    assert_eq!(others[0].account, *kazan);
    for write in sim.writes(*kazan) {
        assert_eq!(write.prefixes, [ORIGIN], "{} {}", write.method, write.path);
    }
}

#[tokio::test]
async fn without_header_support_one_edit_is_one_write_per_child_and_then_silence() {
    let franchise = Franchise::start().await;
    let Franchise { sim, children, .. } = &franchise;
    sim.header_support(false);
    franchise.create(json!({"name": "Kettle", "externalCode": "k"})).await;
    assert_eq!(sim.deliveries().len(), 3, "main's own and an echo of each child");
    for child in children {
        assert_eq!(sim.writes(*child).len(), 1);
        assert_eq!(franchise.tasks(*child).await.len(), 1);
    }
    let ignored = franchise.gateway.admin_get("/api/v1/events?provider=moysklad&status=ignored").await;
    assert_eq!(ignored["items"].as_array().unwrap().len(), 2);
    let id = ignored["items"][0]["id"].as_str().unwrap();
    let event = franchise.gateway.admin_get(&format!("/api/v1/events/{id}")).await;
    assert_eq!(event["outcome"], "products flow from main to child");
}

#[tokio::test]
async fn an_edit_in_a_child_goes_nowhere() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children: [kazan, omsk], .. } = &franchise;
    sim.create(*kazan, json!({"name": "Own", "externalCode": "own"}));
    franchise.settle().await;
    assert_eq!(sim.deliveries().len(), 1);
    for account in [main, omsk] {
        assert!(sim.requests(*account).is_empty());
    }
}

#[tokio::test]
async fn events_of_unknown_and_inactive_accounts_end_as_ignored() {
    let franchise = Franchise::start().await;
    let Franchise { gateway, sim, main, .. } = &franchise;
    franchise.notify(Uuid::new_v4(), Uuid::new_v4(), "CREATE", "stranger").await;
    let event = gateway.event("moysklad", "stranger#0", &["ignored"]).await;
    assert_eq!(event["outcome"], "unknown account");

    let body = json!({"name": "Head office", "role": "main", "status": "inactive"});
    assert_eq!(gateway.admin("PUT", &account_path(*main), &body).await.0, 200);
    franchise.notify(*main, Uuid::new_v4(), "CREATE", "off").await;
    let event = gateway.event("moysklad", "off#0", &["ignored"]).await;
    assert_eq!(event["outcome"], "the account is inactive");
    assert!(sim.requests(*main).is_empty());
}

#[tokio::test]
async fn an_inactive_child_is_left_out_visibly() {
    let franchise = Franchise::start().await;
    let Franchise { gateway, sim, main, children: [kazan, omsk] } = &franchise;
    let body = json!({"name": "Kazan", "role": "child", "parent_account_id": main, "status": "inactive"});
    assert_eq!(gateway.admin("PUT", &account_path(*kazan), &body).await.0, 200);
    let id = sim.create(*main, json!({"name": "Kettle", "externalCode": "k"}));
    franchise.settle().await;
    franchise.notify(*main, id, "UPDATE", "again").await;
    let event = gateway.event("moysklad", "again#0", &["completed"]).await;
    assert_eq!(event["outcome"], "1 sync task; 1 child is inactive");
    franchise.settle().await;
    assert!(sim.requests(*kazan).is_empty());
    assert_eq!(sim.products(*omsk).len(), 1);
}

#[tokio::test]
async fn four_deliveries_of_one_notification_are_one_task_per_child() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children, .. } = &franchise;
    let id = franchise.create(json!({"name": "Kettle", "externalCode": "k"})).await;
    let mut replies = Vec::new();
    for _ in 0..4 {
        replies.push(franchise.notify(*main, id, "UPDATE", "same").await);
    }
    franchise.settle().await;
    let new: u64 = replies.iter().map(|reply| reply["processed"].as_u64().unwrap()).sum();
    assert_eq!(new, 1, "{replies:?}");
    for child in children {
        assert_eq!(franchise.tasks(*child).await.len(), 2, "one for the creation, one for the notification");
        assert_eq!(sim.writes(*child).len(), 1);
    }
}

#[tokio::test]
async fn an_app_url_that_moysklad_refuses_is_told_at_start_and_once() {
    const WARNING: &str = "APP_URL must have a host with a dot";
    let mut gateway = crate::support::gateway::Gateway::start(&[
        ("MOYSKLAD_WEBHOOK_TOKEN", "hook-canary-31f7"),
        ("APP_URL", "http://localhost:8080"),
    ])
    .await;
    let told = || async { gateway.log().contains(WARNING).then_some(()) };
    wait::until("the warning", Duration::from_secs(20), told).await;
    assert!(gateway.terminate());
    assert_eq!(gateway.log().matches(WARNING).count(), 1);
    let mut franchise = Franchise::start().await;
    assert!(franchise.gateway.terminate());
    assert!(!franchise.gateway.log().contains(WARNING));
}
