//! Own writes that come back as webhooks: nothing is written to such an entity for a while.

use super::{id, run};
use crate::moysklad_sync::Franchise;
use diesel::sql_query;
use diesel::sql_types::{Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use serde_json::json;
use uuid::Uuid;

/// As if the gateway had just written this product of the account.
async fn wrote(franchise: &Franchise, account: Uuid, product: Uuid) {
    let mut conn = franchise.gateway.database.connect().await;
    sql_query(
        "INSERT INTO moysklad_loop_breakers (account_id, entity_type, entity_id, written_at)
         VALUES ($1, 'product', $2, now()) ON CONFLICT (account_id, entity_type, entity_id)
         DO UPDATE SET written_at = now(), echoed = false",
    )
    .bind::<SqlUuid, _>(account)
    .bind::<SqlUuid, _>(product)
    .execute(&mut conn)
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn more_echoes_than_allowed_trip_the_breaker_until_it_is_reset() {
    let franchise = Franchise::start().await;
    let (child, product) = (franchise.children[0], Uuid::new_v4());
    let held = |text: &str| text.contains("came back as webhooks") && text.contains(&id(product));
    for n in 0..3 {
        // A person who edits after a write is counted once, not for each edit.
        wrote(&franchise, child, product).await;
        for again in 0..3 {
            franchise.notify(child, product, "UPDATE", &format!("{n}-{again}")).await;
            franchise.settle().await;
        }
        let (_, text) = run(&franchise, &["webhook", "health-check"]);
        assert_eq!(held(&text), n == 2, "after {} echoes: {text}", n + 1);
    }
    assert!(franchise.gateway.log().contains("own writes to this entity come back as webhooks"));
    let (done, text) = run(&franchise, &["--json", "webhook", "reset-loop", "--account", &id(child)]);
    assert!(done && text.contains("\"reset\": 1"), "{text}");
    let (_, text) = run(&franchise, &["webhook", "health-check"]);
    assert!(!held(&text), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn any_ten_minutes_count_wherever_they_begin() {
    let franchise = Franchise::start().await;
    let (child, product) = (franchise.children[0], Uuid::new_v4());
    let mut conn = franchise.gateway.database.connect().await;
    let trips = || franchise.gateway.log().matches("own writes to this entity come back as webhooks").count();
    // Minutes that pass before each echo, and whether it trips the breaker.
    for (n, (minutes, is_tripped)) in
        [(0, false), (5, false), (10, false), (9, false), (2, false), (1, true)].into_iter().enumerate()
    {
        let pass = format!(
            "UPDATE moysklad_loop_breakers SET written_at = written_at - make_interval(mins => {minutes}),
                 echoes = ARRAY(SELECT at - make_interval(mins => {minutes}) FROM unnest(echoes) AS at)"
        );
        sql_query(pass).execute(&mut conn).await.unwrap();
        wrote(&franchise, child, product).await;
        franchise.notify(child, product, "UPDATE", &n.to_string()).await;
        franchise.settle().await;
        assert_eq!(trips(), usize::from(is_tripped), "echo {n}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_gateways_own_login_did_is_not_followed_where_no_person_uses_it() {
    let franchise = Franchise::start().await;
    franchise.create(json!({"name": "Kettle", "externalCode": "kettle"})).await;
    // Whoever did that has the login of the token, too.
    let uid = franchise.sim.deliveries()[0].body["auditContext"]["uid"].as_str().unwrap().to_owned();
    let mut conn = franchise.gateway.database.connect().await;
    let own = sql_query("UPDATE moysklad_accounts SET own_uid = $1").bind::<Text, _>(uid);
    own.execute(&mut conn).await.unwrap();
    franchise.create(json!({"name": "Pot", "externalCode": "pot"})).await;
    assert_eq!(franchise.sim.products(franchise.children[0]).len(), 2, "a person may use it");
    let settings = r#"{"dedicated_login": true}"#;
    let (done, text) = run(&franchise, &["accounts", "settings", &id(franchise.main), "--set", settings]);
    assert!(done, "{text}");
    franchise.create(json!({"name": "Lamp", "externalCode": "lamp"})).await;
    assert_eq!(franchise.sim.products(franchise.children[0]).len(), 2, "now it is the gateway's alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_headers_effect_one_edit_is_one_write_for_each_child_and_then_silence() {
    let franchise = Franchise::start().await;
    let id = franchise.create(json!({"name": "Kettle", "externalCode": "kettle"})).await;
    franchise.sim.header_support(false);
    let before = franchise.children.map(|child| franchise.sim.writes(child).len());
    franchise.edit(id, json!({"name": "Big kettle"})).await;
    // Whatever its webhooks set in motion has ended, too.
    franchise.settle().await;
    for (child, before) in franchise.children.iter().zip(before) {
        let written = franchise.sim.writes(*child).len() - before;
        assert!(written <= 1, "{written} writes");
        assert_eq!(franchise.sim.by_external_code(*child, "kettle")["name"], "Big kettle");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_deletes_again_and_again_is_left_alone_in_the_end() {
    let franchise = Franchise::start().await;
    let [kazan, omsk] = franchise.children;
    franchise.create(json!({"name": "Kettle", "externalCode": "kettle"})).await;
    let tripped = || franchise.gateway.log().contains("own writes to this entity come back as webhooks");
    for deletes in 1..=3 {
        assert!(!tripped(), "after {} deletes", deletes - 1);
        let product = franchise.sim.by_external_code(kazan, "kettle");
        franchise.sim.delete(kazan, product["id"].as_str().unwrap().parse().unwrap());
        crate::support::wait::until("the delete to be noted", std::time::Duration::from_secs(20), || async {
            let mut conn = franchise.gateway.database.connect().await;
            let due = "UPDATE moysklad_changes SET due_at = now() WHERE operation = 'restore'";
            (sql_query(due).execute(&mut conn).await.unwrap() == 1).then_some(())
        })
        .await;
        if deletes < 3 {
            // It would come back after a minute.
            franchise.due_now().await;
            franchise.settle().await;
        }
    }
    assert!(tripped());
    let (_, text) = run(&franchise, &["webhook", "health-check"]);
    assert!(text.contains("loop") && text.contains("product"), "{text}");
    crate::support::wait::until("the change to be held", std::time::Duration::from_secs(20), || async {
        // Its task may come a moment after it is noted.
        franchise.due_now().await;
        let changes = franchise.gateway.admin_get(&format!("/api/v1/sync-changes?account={kazan}")).await;
        changes["items"][0]["error"]
            .as_str()
            .is_some_and(|error| error.contains("loop breaker"))
            .then_some(())
    })
    .await;
    let (done, text) = run(&franchise, &["queue", "changes"]);
    assert!(done && text.contains("held by its loop breaker"), "{text}");
    assert!(franchise.sim.products(kazan).is_empty());
    assert_eq!(franchise.sim.products(omsk).len(), 1);

    assert!(run(&franchise, &["webhook", "reset-loop", "--account", &id(kazan)]).0);
    franchise.sim.products_when("it to come back", kazan, |products| products.len() == 1).await;
}
