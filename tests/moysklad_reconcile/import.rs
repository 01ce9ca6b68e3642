//! `hookgate sync full`.

use super::{cut_off, kettle, names};
use crate::moysklad_hooks::{TOKENS, run};
use crate::moysklad_sync::{Franchise, account_path};
use serde_json::{Value, json};

async fn emitted(franchise: &Franchise) -> Vec<String> {
    let page = franchise.gateway.admin_get("/api/v1/events?provider=hookgate&limit=200").await;
    let types = page["items"].as_array().unwrap().iter().map(|item| item["event_type"].as_str().unwrap());
    let mut types: Vec<String> =
        types.filter(|name| name.starts_with("import.")).map(str::to_owned).collect();
    types.sort();
    types
}

#[tokio::test(flavor = "multi_thread")]
async fn one_child_gets_everything_and_a_second_import_writes_nothing() {
    let franchise = Franchise::start().await;
    cut_off(&franchise);
    for n in 0..25 {
        franchise.sim.create(franchise.main, kettle(n));
    }
    let [kazan, omsk] = franchise.children;
    let (done, text) = run(&franchise, &["--json", "sync", "full", "--account", &kazan.to_string()]);
    assert!(done, "{text}");
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&report["found"], &report["failed"]), (&json!(25), &json!(0)));
    assert_eq!(names(&franchise.sim.products(kazan)).len(), 25);
    assert!(franchise.sim.products(omsk).is_empty(), "the other child asked for nothing");
    assert_eq!(emitted(&franchise).await, ["import.completed", "import.started"]);

    let before = franchise.sim.writes(kazan).len();
    let (done, text) = run(&franchise, &["sync", "full", "--account", &kazan.to_string()]);
    assert!(done && text.contains("imported: 25"), "{text}");
    assert_eq!(franchise.sim.writes(kazan).len(), before);

    let (done, text) = run(&franchise, &["sync", "full", "--account", &franchise.main.to_string()]);
    assert!(done, "{text}");
    assert_eq!(names(&franchise.sim.products(omsk)).len(), 25, "all children of a main account");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_was_cut_off_goes_on_where_it_stopped() {
    let mut franchise = Franchise::start().await;
    cut_off(&franchise);
    for n in 0..3 {
        franchise.sim.create(franchise.main, kettle(n));
    }
    franchise.sim.kill_token(franchise.main);
    let kazan = franchise.children[0].to_string();
    let (done, text) = run(&franchise, &["sync", "full", "--account", &kazan]);
    assert!(!done && text.contains("refused the token"), "{text}");
    assert_eq!(emitted(&franchise).await, ["import.failed", "import.started"]);

    franchise.sim.set_token(franchise.main, TOKENS[0]);
    let body = json!({"name": "Head office", "role": "main", "access_token": TOKENS[0]});
    assert_eq!(franchise.gateway.admin("PUT", &account_path(franchise.main), &body).await.0, 200);
    // Also without a worker.
    assert!(franchise.gateway.terminate());
    let (done, text) = run(&franchise, &["sync", "full", "--account", &kazan]);
    assert!(done && text.contains("going on where"), "{text}");
    assert_eq!(names(&franchise.sim.products(franchise.children[0])).len(), 3);
    franchise.gateway.restart();
    assert_eq!(emitted(&franchise).await, ["import.completed", "import.failed", "import.started"]);
}
