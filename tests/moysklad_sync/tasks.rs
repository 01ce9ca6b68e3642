//! The admin API and the commands of sync tasks.

use super::Franchise;
use serde_json::{Value, json};
use uuid::Uuid;

#[tokio::test]
async fn tasks_are_listed_filtered_and_paged() {
    let franchise = Franchise::start().await;
    let Franchise { gateway, main, children: [kazan, omsk], .. } = &franchise;
    for number in 0..3 {
        let product = json!({"name": format!("Kettle {number}"), "externalCode": format!("k{number}")});
        // One after another: together they would be one task of each child.
        franchise.create(product).await;
    }
    let list = async |query: &str| gateway.admin_get(&format!("/api/v1/sync-queue{query}")).await;
    let all = list("").await;
    assert_eq!((all["items"].as_array().unwrap().len(), &all["next_cursor"]), (6, &Value::Null));
    let item = &all["items"][0];
    for (field, value) in [
        ("entity_type", json!("catalog")),
        ("entity_id", json!(main)),
        ("operation", json!("sync")),
        ("status", json!("completed")),
        ("attempts", json!(1)),
        ("next_attempt_at", Value::Null),
        ("error", Value::Null),
    ] {
        assert_eq!(item[field], value, "{field}");
    }
    assert!(
        item["event_id"].is_string() && item["created_at"].is_string() && item["processed_at"].is_string()
    );
    let event = gateway.admin_get(&format!("/api/v1/events/{}", item["event_id"].as_str().unwrap())).await;
    assert_eq!(event["event_type"], "product.CREATE");

    assert_eq!(list(&format!("?account={kazan}")).await["items"].as_array().unwrap().len(), 3);
    assert_eq!(list(&format!("?account={omsk}&status=failed")).await["items"], json!([]));
    assert_eq!(list("?entity_type=catalog&status=completed").await["items"].as_array().unwrap().len(), 6);
    assert_eq!(list("?entity_type=variant").await["items"], json!([]));

    let mut ids = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = list(&format!("?limit=4{cursor}")).await;
        ids.extend(
            page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()),
        );
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let expected: Vec<&str> =
        all["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect();
    assert_eq!(ids, expected);
    assert!(ids.is_sorted_by(|a, b| a > b), "newest first");
    for query in ["?status=lost", "?limit=0", "?limit=201", "?account=x", "?unknown=1"] {
        assert_eq!(
            gateway.admin("GET", &format!("/api/v1/sync-queue{query}"), &Value::Null).await.0,
            400,
            "{query}"
        );
    }
}

#[tokio::test]
async fn only_a_failed_task_is_tried_again() {
    let franchise = Franchise::start().await;
    let Franchise { gateway, sim, children: [kazan, omsk], .. } = &franchise;
    sim.unique_codes(*kazan);
    let own = sim.create(*kazan, json!({"name": "Own", "code": "17", "externalCode": "own"}));
    franchise.create(json!({"name": "Kettle", "code": "17", "externalCode": "k"})).await;
    let (failed, completed) = (&franchise.tasks(*kazan).await[0], &franchise.tasks(*omsk).await[0]);
    let id = |task: &Value| task["id"].as_str().unwrap().to_owned();
    let retry =
        async |id: &str| gateway.admin("POST", &format!("/api/v1/sync-queue/{id}/retry"), &json!(null)).await;
    assert_eq!(retry(&id(completed)).await.0, 409);
    assert_eq!(retry(&Uuid::new_v4().to_string()).await.0, 404);
    assert_eq!(retry("x").await.0, 404);

    let (status, item) = retry(&id(failed)).await;
    assert_eq!((status, &item["status"], &item["attempts"]), (200, &json!("received"), &json!(0)));
    franchise.settle().await;
    assert_eq!(franchise.tasks(*kazan).await[0]["status"], "failed", "the code is still taken");

    sim.edit(*kazan, own, json!({"code": "18"}));
    let output = gateway.command(&["queue", "retry", &id(failed)]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    franchise.settle().await;
    assert_eq!(sim.by_external_code(*kazan, "k")["code"], "17");
    assert!(!gateway.command(&["queue", "retry", &id(completed)]).status.success());
}

#[tokio::test]
async fn the_queue_command_lists_as_table_and_as_json() {
    let franchise = Franchise::start().await;
    let Franchise { gateway, main, children: [kazan, _], .. } = &franchise;
    franchise.create(json!({"name": "Kettle", "externalCode": "k"})).await;
    let table = gateway.command(&["queue", "list", "--account", &kazan.to_string()]);
    let text = String::from_utf8(table.stdout).unwrap();
    assert!(text.contains(&format!("catalog {main}")) && text.contains("created"), "{text}");
    assert_eq!(text.lines().count(), 2, "{text}");
    let json = gateway.command(&["--json", "queue", "list", "--status", "completed"]);
    let items: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(items.as_array().unwrap().len(), 2);
    assert!(!gateway.command(&["queue", "list", "--status", "lost"]).status.success());
}
