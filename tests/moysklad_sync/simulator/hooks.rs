//! Webhooks: how they are kept, what they tell, when they are lost.

use super::{Api, ORIGIN, Simulator, api, api_of};
use crate::support::moysklad::Weather;
use crate::support::wait;
use actix_web::{App, HttpResponse, HttpServer, web};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Posts that a receiver got, and what it answers to them: status and how long it takes.
#[derive(Clone, Default)]
struct Receiver {
    got: Arc<Mutex<Vec<(String, Value)>>>,
    answers: Arc<Mutex<VecDeque<(u16, Duration)>>>,
}

impl Receiver {
    /// Answers these, then 204 for ever. Gives its URL.
    fn start(&self, answers: &[(u16, Duration)]) -> String {
        self.answers.lock().unwrap().extend(answers);
        let receiver = self.clone();
        let server = HttpServer::new(move || {
            let receiver = receiver.clone();
            App::new().default_service(web::to(move |request: actix_web::HttpRequest, body: web::Bytes| {
                let receiver = receiver.clone();
                async move {
                    let body = serde_json::from_slice(&body).unwrap();
                    receiver.got.lock().unwrap().push((request.query_string().to_owned(), body));
                    let answer = receiver.answers.lock().unwrap().pop_front();
                    let (status, wait) = answer.unwrap_or((204, Duration::ZERO));
                    tokio::time::sleep(wait).await;
                    HttpResponse::build(status.try_into().unwrap()).finish()
                }
            }))
        });
        let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
        let address = server.addrs()[0];
        tokio::spawn(server.run());
        format!("http://{address}/hook?secret=1")
    }

    fn got(&self) -> Vec<(String, Value)> {
        self.got.lock().unwrap().clone()
    }
}

async fn quiet(api: &Api) {
    wait::until("webhooks to end", Duration::from_secs(15), || async { api.sim.is_quiet().then_some(()) })
        .await;
}

#[tokio::test]
async fn a_webhook_is_tried_four_times_with_one_request_id_and_then_lost() {
    let api = api_of(Simulator::start_patient(ORIGIN, 0, Duration::from_secs(5)));
    let receiver = Receiver::default();
    let now = Duration::ZERO;
    let url = receiver.start(&[(500, now), (202, now), (204, Duration::from_secs(3600)), (204, now)]);
    api.sim.hook(api.account, "product", "CREATE", &url);
    let person = api.sim.person(api.account);
    person.create("product", &json!({"name": "Kettle"})).unwrap();
    quiet(&api).await;
    let delivery = api.sim.deliveries().remove(0);
    assert_eq!(delivery.statuses, [Some(500), Some(202), None, Some(204)], "the third took too long");
    let got = receiver.got();
    assert_eq!(got.len(), 4);
    assert!(got.iter().all(|(query, _)| *query == format!("secret=1&requestId={}", delivery.request_id)));

    receiver.answers.lock().unwrap().extend([(500, now); 4]);
    person.create("product", &json!({"name": "Cup"})).unwrap();
    quiet(&api).await;
    person.create("product", &json!({"name": "Jug"})).unwrap();
    quiet(&api).await;
    let deliveries = api.sim.deliveries();
    assert_eq!(deliveries[1].statuses, [Some(500); 4]);
    assert_eq!(deliveries[2].statuses, [Some(204)], "what was lost is never sent again");
    assert_eq!(receiver.got().len(), 4 + 4 + 1);
}

#[tokio::test]
async fn one_request_is_one_notification_of_all_its_events() {
    let api = api();
    let receiver = Receiver::default();
    let url = receiver.start(&[]);
    for action in ["CREATE", "UPDATE"] {
        api.sim.hook(api.account, "product", action, &url);
    }
    let person = api.sim.person(api.account);
    let bodies: Vec<Value> = (0..50).map(|number| json!({"name": format!("Kettle {number}")})).collect();
    let ids = person.create_many("product", &bodies).unwrap();
    quiet(&api).await;
    let staff = api.sim.reference(api.account, "pricetype", api.sim.price_type(api.account, "Staff"));
    let retail = api.sim.reference(api.account, "pricetype", api.sim.price_type(api.account, "Retail"));
    let brand = person.add_attribute("product", &json!({"name": "Brand", "type": "string"})).unwrap();
    let mut attribute = api.sim.attribute_reference("product", brand);
    attribute["value"] = "Bork".into();
    let changes = json!({
        "name": "Teapot", "attributes": [attribute],
        "salePrices": [{"value": 1, "priceType": retail}, {"value": 2, "priceType": staff}],
    });
    person.update_many("product", &ids.iter().map(|id| (*id, changes.clone())).collect::<Vec<_>>()).unwrap();
    quiet(&api).await;
    let got = receiver.got();
    assert_eq!(got.len(), 2);
    assert_eq!(got[0].1["events"].as_array().unwrap().len(), 50);
    let event = &got[1].1["events"][49];
    let mut updated: Vec<&str> =
        event["updatedFields"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    updated.sort_unstable();
    assert_eq!(
        updated,
        ["Brand", "Staff", "name", "salePrices"],
        "own price types and attributes by their names"
    );
    assert_eq!(event["accountId"], api.account.to_string());
    assert!(got[0].1["events"][0].get("updatedFields").is_none());
    assert_eq!(got[0].1["auditContext"]["moment"].as_str().unwrap().len(), 19);
}

#[tokio::test]
async fn weather_loses_and_repeats() {
    let api = api();
    let receiver = Receiver::default();
    let url = receiver.start(&[]);
    api.sim.hook(api.account, "product", "CREATE", &url);
    let person = api.sim.person(api.account);
    let create = || person.create("product", &json!({"name": "Kettle"})).unwrap();
    api.sim.weather(Weather { lose: 1.0, ..Weather::default() });
    create();
    quiet(&api).await;
    assert_eq!(receiver.got().len(), 0);
    api.sim.weather(Weather { repeat: 1.0, repeat_anew: 1.0, ..Weather::default() });
    create();
    quiet(&api).await;
    let mut queries: Vec<String> = receiver.got().into_iter().map(|got| got.0).collect();
    assert_eq!(queries.len(), 3);
    queries.sort();
    queries.dedup();
    assert_eq!(queries.len(), 2, "one of them under another request id");
}

#[tokio::test]
async fn the_webhook_entity_has_its_limits() {
    let api = api();
    let hook = |number: usize| json!({"entityType": "product", "action": "UPDATE", "url": format!("https://h.example.com/{number}"), "diffType": "FIELDS"});
    let created = api.send("POST", "/entity/webhook", &hook(0)).await;
    assert_eq!(
        (created.status, &created.body["diffType"], &created.body["method"]),
        (200, &json!("FIELDS"), &json!("POST"))
    );
    for (change, code) in [
        (json!({}), 30003),
        (json!({"entityType": "notes"}), 30000),
        (json!({"action": "TOUCH", "diffType": null}), 30009),
        (json!({"url": "nowhere"}), 30005),
        (json!({"url": format!("https://h.example.com/{}", "x".repeat(250))}), 30010),
        (json!({"action": "CREATE"}), 30009),
        (json!({"method": "GET"}), 30001),
    ] {
        let mut body = hook(0);
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        assert_eq!(api.send("POST", "/entity/webhook", &body).await.code(), (412, code), "{change}");
    }
    for number in 1..5 {
        assert_eq!(api.send("POST", "/entity/webhook", &hook(number)).await.status, 200);
    }
    assert_eq!(api.send("POST", "/entity/webhook", &hook(5)).await.code(), (412, 30007));
    let path = format!("/entity/webhook/{}", created.body["id"].as_str().unwrap());
    assert_eq!(api.send("PUT", &path, &json!({"enabled": false})).await.body["enabled"], false);
    assert_eq!(api.get("/entity/webhook").await["meta"]["size"], 5);
    assert_eq!(api.send("DELETE", &path, &Value::Null).await.status, 200);
    assert_eq!(api.send("DELETE", &path, &Value::Null).await.status, 404);
    api.sim.rules(api.account, |rules| rules.free_tariff = true);
    assert_eq!(api.send("POST", "/entity/webhook", &hook(6)).await.code(), (403, 30006));
    api.sim.rules(api.account, |rules| (rules.free_tariff, rules.is_administrator) = (false, false));
    assert_eq!(api.send("POST", "/entity/webhook", &hook(6)).await.code(), (403, 30004));
}

#[tokio::test]
async fn the_webhookstock_entity_has_its_limits() {
    let api = api();
    let path = "/entity/webhookstock";
    let hook = |number: usize| json!({"stockType": "stock", "reportType": "all", "url": format!("https://h.example.com/{number}")});
    let created = api.send("POST", path, &hook(0)).await;
    assert_eq!((created.status, &created.body["enabled"]), (200, &json!(true)));
    for (change, code) in [
        (json!({}), 30003),
        (json!({"stockType": "reserve"}), 2029),
        (json!({"reportType": "some"}), 2029),
        (json!({"reportType": null}), 3000),
        (json!({"url": "nowhere"}), 30005),
        (json!({"url": format!("https://h.example.com/{}", "x".repeat(250))}), 30010),
    ] {
        let mut body = hook(0);
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        assert_eq!(api.send("POST", path, &body).await.code(), (412, code), "{change}");
    }
    // Several at once: the good ones stay.
    let many = json!([hook(1), hook(1), hook(2), hook(3), hook(4), hook(5)]);
    let reply = api.send("POST", path, &many).await;
    assert_eq!(reply.status, 400);
    assert_eq!(reply.body[1]["errors"][0]["code"], 30003);
    assert_eq!(reply.body[5]["errors"][0]["code"], 30007);
    let other = api
        .send(
            "POST",
            path,
            &json!({"stockType": "stock", "reportType": "bystore", "url": "https://h.example.com/0"}),
        )
        .await;
    assert_eq!(other.status, 200);
    let other = format!("{path}/{}", other.body["id"].as_str().unwrap());
    assert_eq!(api.send("PUT", &other, &json!({"reportType": "all"})).await.code(), (412, 30003));
    assert_eq!(api.send("PUT", &other, &json!({"enabled": false})).await.body["enabled"], false);
    assert_eq!(api.get(path).await["meta"]["size"], 6);
    let gone = json!([{"meta": created.body["meta"]}, {"meta": created.body["meta"]}]);
    let reply = api.send("POST", &format!("{path}/delete"), &gone).await;
    assert!(
        reply.body[0]["info"].is_string() && reply.body[1]["errors"][0]["code"] == 1021,
        "{}",
        reply.body
    );
    assert_eq!(api.send("DELETE", &other, &Value::Null).await.status, 200);
    assert_eq!(api.send("DELETE", &other, &Value::Null).await.status, 404);
    api.sim.rules(api.account, |rules| rules.free_tariff = true);
    assert_eq!(api.send("POST", path, &hook(6)).await.code(), (403, 30006));
    api.sim.rules(api.account, |rules| (rules.free_tariff, rules.is_administrator) = (false, false));
    assert_eq!(api.send("POST", path, &hook(6)).await.code(), (403, 30004));
}

#[tokio::test]
async fn a_webhook_that_fails_for_days_is_switched_off() {
    let api = api();
    api.sim.hook(api.account, "product", "CREATE", &format!("{}/nobody", api.sim.base));
    for _ in 0..8 {
        assert_eq!(api.get("/entity/webhook").await["rows"][0]["enabled"], true);
        api.sim.person(api.account).create("product", &json!({"name": "Kettle"})).unwrap();
        quiet(&api).await;
        api.sim.pass_days(1);
    }
    assert_eq!(api.get("/entity/webhook").await["rows"][0]["enabled"], false);
    api.sim.take_violations();
}

#[tokio::test]
async fn stock_tells_where_to_read_what_changed() {
    let api = api();
    let receiver = Receiver::default();
    let url = receiver.start(&[]);
    let hook = json!({"stockType": "stock", "reportType": "all", "url": url});
    assert_eq!(api.send("POST", "/entity/webhookstock", &hook).await.status, 200);
    let id = api.create("product", json!({"name": "Kettle"})).await;
    let store = api.sim.first(api.account, "store");
    api.sim.person(api.account).set_stock(id, store, "7.5".parse().unwrap());
    quiet(&api).await;
    let report = receiver.got()[0].1["reportUrl"].as_str().unwrap().to_owned();
    assert!(report.contains("/current?changedSince=20") && report.contains(' '), "{report}");
    let (path, since) = report.strip_prefix(&api.sim.base).unwrap().split_once("?changedSince=").unwrap();
    let rows = api.get(&format!("{path}?{}", super::query("changedSince", since))).await;
    assert_eq!(rows, json!([{"assortmentId": id, "stock": serde_json::from_str::<Value>("7.5").unwrap()}]));
}
