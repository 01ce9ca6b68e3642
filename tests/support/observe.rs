//! What became of events, as operators see it.

use super::gateway::Gateway;
use super::wait;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// The only item of a list (`payments`, `messages`) of this provider and id, if there is one.
pub async fn item(gateway: &Gateway, list: &str, provider: &str, id: &str) -> Option<Value> {
    let page = gateway.admin_get(&format!("/api/v1/{list}?provider={provider}&id={id}")).await;
    let items = page["items"].as_array().unwrap();
    assert!(items.len() < 2, "{page}");
    items.first().cloned()
}

/// How many events of each type were emitted about a subject (all subjects if it is empty).
pub async fn emitted(gateway: &Gateway, subject: &str) -> BTreeMap<String, usize> {
    let filter = if subject.is_empty() { String::new() } else { format!("&subject={subject}") };
    let page = gateway.admin_get(&format!("/api/v1/events?provider=hookgate&limit=200{filter}")).await;
    let mut counts = BTreeMap::new();
    for item in page["items"].as_array().unwrap() {
        *counts.entry(item["event_type"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    counts
}

/// The body of the only event of this type that was emitted.
pub async fn emission(gateway: &Gateway, event_type: &str) -> Value {
    let page = gateway.admin_get(&format!("/api/v1/events?provider=hookgate&type={event_type}")).await;
    let items = page["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "{page}");
    let id = items[0]["id"].as_str().unwrap();
    gateway.admin_get(&format!("/api/v1/events/{id}")).await["payload"].clone()
}

/// What [`emitted`] is compared with.
pub fn counts(expected: &[(&str, usize)]) -> BTreeMap<String, usize> {
    expected.iter().map(|(event_type, count)| ((*event_type).to_owned(), *count)).collect()
}

/// Waits until the event has ended `completed`, and gives its outcome.
pub async fn completed(gateway: &Gateway, provider: &str, event_id: &str) -> String {
    let event = gateway.event(provider, event_id, &["completed"]).await;
    event["outcome"].as_str().unwrap().to_owned()
}

/// Waits until so many events of a provider have ended, all of them `completed`.
pub async fn all_completed(gateway: &Gateway, provider: &str, count: usize) {
    wait::until(&format!("{count} events to be completed"), Duration::from_secs(60), || async {
        let page = gateway.admin_get(&format!("/api/v1/events?provider={provider}&limit=200")).await;
        let statuses: Vec<&str> =
            page["items"].as_array()?.iter().filter_map(|item| item["status"].as_str()).collect();
        assert!(!statuses.contains(&"failed"), "{page}");
        (statuses.iter().filter(|status| **status == "completed").count() == count).then_some(())
    })
    .await;
}

/// Replays an event that has ended `completed` once, and waits for its second end.
pub async fn replay(gateway: &Gateway, provider: &str, event_id: &str) {
    let stored = gateway.event(provider, event_id, &["completed"]).await;
    let path = format!("/api/v1/events/{}/replay", stored["id"].as_str().unwrap());
    assert_eq!(gateway.admin("POST", &path, &json!({})).await.0, 200);
    wait::until("the event to be handled twice", Duration::from_secs(20), || async {
        let again = gateway.event(provider, event_id, &["completed"]).await;
        (again["attempt_log"].as_array()?.len() == 2).then_some(())
    })
    .await;
}
