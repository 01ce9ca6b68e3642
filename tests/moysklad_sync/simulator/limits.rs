//! Rates, parallelism, sizes, faults, tokens.

use super::{TOKEN, api, query};
use crate::support::moysklad::{Fault, Weather};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

#[tokio::test]
async fn more_than_five_at_once_are_refused_with_1073() {
    let api = api();
    api.sim.latency(api.account, Duration::from_secs(12));
    let asked = (0..8).map(|_| api.send("GET", "/entity/product", &Value::Null));
    let replies = futures_util::future::join_all(asked).await;
    let served = replies.iter().filter(|reply| reply.status == 200).count();
    assert_eq!(served, 5);
    assert!(replies.iter().filter(|reply| reply.status != 200).all(|reply| reply.code() == (429, 1073)));
    assert_eq!(api.sim.peak_in_flight(api.account), 8);
}

#[tokio::test]
async fn a_weight_makes_the_bucket_smaller_and_each_principal_has_its_own() {
    let api = api();
    api.sim.add_principal(api.account, "other", 15);
    let ask = async |token: &str| {
        let url = format!("{}/entity/product", api.sim.base);
        api.http.get(url).bearer_auth(token).send().await.unwrap().status().as_u16()
    };
    let mut statuses = Vec::new();
    while statuses.last() != Some(&429) && statuses.len() < 20 {
        statuses.push(ask("other").await);
    }
    // More than three where the machine paused meanwhile.
    let (last, served) = statuses.split_last().unwrap();
    assert!(served.len() >= 3 && served.iter().all(|status| *status == 200), "{statuses:?}");
    assert_eq!(*last, 429);
    assert_eq!(ask(TOKEN).await, 200);
}

#[tokio::test]
async fn what_is_too_large_or_too_deep_is_refused() {
    let api = api();
    let long = format!("/entity/product?{}", query("filter", &format!("name={}", "x".repeat(9000))));
    assert_eq!(api.send("GET", &long, &Value::Null).await.status, 414);
    assert_eq!(api.sim.take_violations().len(), 1);
    let mut deep = json!({});
    for _ in 0..11 {
        deep = json!({"name": deep});
    }
    assert_eq!(api.send("POST", "/entity/product", &deep).await.code(), (400, 2006));
    assert_eq!(api.send("PUT", "/entity/product", &json!([])).await.code(), (400, 2009));
    assert_eq!(api.send("GET", "/entity/teapot", &Value::Null).await.code(), (412, 1005));
}

#[tokio::test]
async fn a_fault_does_nothing_or_everything() {
    let api = api();
    api.sim.fault(api.account, Method::POST, Fault::Status(504, 1088));
    assert_eq!(api.refused("product", json!({"name": "Kettle"})).await, (504, 1088));
    assert!(api.sim.products(api.account).is_empty());
    let post = async |fault: Fault| {
        api.sim.fault(api.account, Method::POST, fault);
        let request = api.http.post(format!("{}/entity/product", api.sim.base)).bearer_auth(TOKEN);
        let reply = request.header(super::HEADER, super::ORIGIN).json(&json!({"name": "Cup"})).send().await;
        match reply {
            Ok(reply) => reply.bytes().await.is_err(),
            Err(_) => true,
        }
    };
    assert!(post(Fault::DropBefore).await);
    assert!(api.sim.products(api.account).is_empty());
    assert!(post(Fault::DropAfterCommit).await);
    assert_eq!(api.sim.products(api.account).len(), 1);
    api.sim.weather(Weather { fail: 1.0, ..Weather::default() });
    assert!(api.send("GET", "/entity/product", &Value::Null).await.status >= 500);
}

#[tokio::test]
async fn a_new_token_ends_the_old_one() {
    let api = api();
    let login = api
        .http
        .post(format!("{}/security/token", api.sim.base))
        .basic_auth("admin@franchise", Some("password"));
    let reply: Value = login.send().await.unwrap().json().await.unwrap();
    let token = reply["access_token"].as_str().unwrap();
    assert_eq!(token.len(), 40);
    assert_eq!(api.send("GET", "/entity/product", &Value::Null).await.code(), (401, 1056));
    let url = format!("{}/context/employee", api.sim.base);
    let employee: Value = api.http.get(url).bearer_auth(token).send().await.unwrap().json().await.unwrap();
    assert_eq!(employee["uid"], "admin@franchise");
}

#[tokio::test]
async fn an_id_is_known_as_another_accounts_also_after_its_entity_is_gone() {
    let api = api();
    let other = api.sim.account("other", &["Retail"], &["RUB"]);
    let id = api.sim.create(other, json!({"name": "Kettle"}));
    api.sim.delete(other, id);
    api.send("GET", &format!("/entity/product/{id}"), &Value::Null).await;
    assert!(api.sim.take_violations()[0].contains("is an id of another account"));
    api.send("GET", &format!("/entity/product/{}", Uuid::new_v4()), &Value::Null).await;
    assert!(api.sim.take_violations().is_empty());
}
