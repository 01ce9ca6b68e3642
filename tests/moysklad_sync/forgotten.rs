//! `hookgate queue clear`.

use super::Franchise;
use serde_json::{Value, json};

fn clear(franchise: &Franchise, arguments: &[&str]) -> Result<Value, String> {
    let all = [&["queue", "clear", "--json"], arguments].concat();
    let output = franchise.gateway.command(&all);
    if output.status.success() {
        return Ok(serde_json::from_slice(&output.stdout).unwrap());
    }
    Err(String::from_utf8(output.stderr).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn ended_tasks_are_forgotten_only_when_told_and_failed_ones_with_what_did_not_come_over() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children: [kazan, omsk], gateway } = &franchise;
    sim.unique_codes(*kazan);
    sim.create(*kazan, json!({"name": "Own", "code": "17", "externalCode": "own"}));
    let kettle = franchise.create(json!({"name": "Kettle", "code": "17", "externalCode": "k"})).await;
    let statuses = async || {
        let tasks = gateway.admin_get("/api/v1/sync-queue?limit=200").await;
        let tasks = tasks["items"].as_array().unwrap().clone();
        let of = |status: &str| tasks.iter().filter(|task| task["status"] == status).count();
        (of("completed") + of("ignored"), of("failed"))
    };
    let changes = async || gateway.admin_get("/api/v1/sync-changes").await["items"].as_array().unwrap().len();
    let (done, failed) = statuses().await;
    assert!(done > 0 && failed == 1, "{done} {failed}");
    assert_eq!(changes().await, 1);

    let refused = clear(&franchise, &["--status", "failed"]).unwrap_err();
    assert!(refused.contains("1 task(s), failed") && refused.contains("--force"), "{refused}");
    assert!(
        clear(&franchise, &["--status", "received", "--force"]).is_err(),
        "what waits is never forgotten"
    );
    let none = json!({"tasks": 0, "changes": 0});
    assert_eq!(clear(&franchise, &["--before", "1 hour ago", "--force"]).unwrap(), none);
    let of_omsk = ["--status", "failed", "--account", &omsk.to_string(), "--force"];
    assert_eq!(clear(&franchise, &of_omsk).unwrap(), none);
    assert_eq!((statuses().await, changes().await), ((done, failed), 1));

    assert_eq!(clear(&franchise, &["--force"]).unwrap(), json!({"tasks": done, "changes": 0}));
    assert_eq!((statuses().await, changes().await), ((0, 1), 1), "what failed stays to be looked at");
    let given_up = clear(&franchise, &["--status", "failed", "--force"]).unwrap();
    assert_eq!(given_up, json!({"tasks": 1, "changes": 1}));
    assert_eq!((statuses().await, changes().await), ((0, 0), 0));

    // The next edit brings it after all.
    let own = sim.id_by(*kazan, "product", "externalCode", "own");
    sim.edit(*kazan, own, json!({"code": "18"}));
    sim.edit(*main, kettle, json!({"name": "Teapot"}));
    sim.products_when("the edit to come over", *kazan, |products| {
        products.iter().any(|product| product["name"] == "Teapot" && product["code"] == "17")
    })
    .await;
}
