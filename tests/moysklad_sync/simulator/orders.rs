//! Documents: positions, sums to the kopeck, states, the bin.

use super::{Api, api};
use serde_json::{Value, json};
use uuid::Uuid;

async fn counterparty(api: &Api) -> Value {
    api.at("counterparty", api.create("counterparty", json!({"name": "Buyer", "inn": "7700000000"})).await)
}

async fn order(api: &Api, positions: Value) -> Value {
    let body = json!({
        "organization": api.at("organization", api.sim.first(api.account, "organization")),
        "agent": counterparty(api).await, "positions": positions,
    });
    let reply = api.send("POST", "/entity/customerorder", &body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.body
}

#[tokio::test]
async fn an_order_adds_up_to_the_kopeck() {
    let api = api();
    let product = api.at("product", api.create("product", json!({"name": "Kettle"})).await);
    let order = order(&api, json!([
        {"assortment": product, "quantity": 3, "price": 333.33, "discount": 10, "vat": 20, "vatEnabled": true, "reserve": 1},
        {"assortment": product, "quantity": 0.5, "price": 101, "discount": -10},
    ]))
    .await;
    // 899.991 and 55.55 kopecks, each rounded.
    assert_eq!(order["sum"].to_string(), "956.0");
    assert_eq!(order["vatSum"].to_string(), "150.0");
    assert_eq!(order["reservedSum"].to_string(), "300.0");
    assert_eq!(order["name"], "00001");
    assert_eq!(order["applicable"], true);
    let id = order["id"].as_str().unwrap();
    let shown = api.get(&format!("/entity/customerorder/{id}?expand=state,agent,positions.assortment")).await;
    assert_eq!(shown["state"]["name"], "Новый");
    assert_eq!(shown["agent"]["inn"], "7700000000");
    assert_eq!(shown["positions"]["rows"][1]["assortment"]["name"], "Kettle");
    let added_vat =
        api.send("PUT", &format!("/entity/customerorder/{id}"), &json!({"vatIncluded": false})).await.body;
    assert_eq!(added_vat["sum"].to_string(), "1136.0");
}

#[tokio::test]
async fn positions_that_keep_their_id_stay_and_the_missing_go() {
    let api = api();
    let product = api.at("product", api.create("product", json!({"name": "Kettle"})).await);
    let line = |price: i64| json!({"assortment": product, "quantity": 1, "price": price});
    let order = order(&api, json!([line(1), line(2), line(3)])).await;
    let path = format!("/entity/customerorder/{}", order["id"].as_str().unwrap());
    let rows = api.get(&format!("{path}/positions")).await["rows"].clone();
    let kept = rows[1]["id"].clone();
    let reply = api.send("PUT", &path, &json!({"positions": [{"id": kept, "price": 20}, line(4)]})).await;
    assert_eq!(reply.body["sum"].to_string(), "24.0");
    let rows = api.get(&format!("{path}/positions")).await["rows"].clone();
    assert_eq!((&rows[0]["id"], rows.as_array().unwrap().len()), (&kept, 2));
    let added = api.send("POST", &format!("{path}/positions"), &line(5)).await.body;
    assert_eq!(added.as_array().unwrap().len(), 1, "always an array");
    let gone = api.send("POST", &format!("{path}/positions/delete"), &json!([{"id": kept}])).await;
    assert_eq!(gone.status, 200);
    assert_eq!(api.get(&path).await["sum"].to_string(), "9.0");
    let unknown = json!({"positions": [{"id": Uuid::new_v4(), "price": 1}]});
    assert_eq!(api.send("PUT", &path, &unknown).await.code(), (404, 1021));
}

#[tokio::test]
async fn more_than_a_thousand_positions_need_pages() {
    let api = api();
    let product = api.at("product", api.create("product", json!({"name": "Kettle"})).await);
    let lines = |count: usize| -> Value {
        (0..count).map(|_| json!({"assortment": product, "quantity": 1, "price": 1})).collect()
    };
    let order = order(&api, lines(1000)).await;
    let path = format!("/entity/customerorder/{}", order["id"].as_str().unwrap());
    assert_eq!(api.send("POST", &format!("{path}/positions"), &lines(200)).await.status, 200);
    let shown = api.get(&format!("{path}?expand=positions")).await;
    assert_eq!(shown["positions"]["rows"].as_array().unwrap().len(), 1000);
    assert_eq!(shown["positions"]["meta"]["size"], 1200);
    let rest = api.get(&format!("{path}/positions?limit=1000&offset=1000")).await;
    assert_eq!(rest["rows"].as_array().unwrap().len(), 200);
    assert_eq!(api.send("PUT", &path, &json!({"positions": lines(1001)})).await.code(), (413, 2007));
}

#[tokio::test]
async fn impossible_positions_are_refused() {
    let api = api();
    let product = api.at("product", api.create("product", json!({"name": "Kettle"})).await);
    let part = json!([{"assortment": product, "quantity": 1}]);
    let bundle = api.at("bundle", api.create("bundle", json!({"name": "Set", "components": part})).await);
    let order = order(&api, json!([])).await;
    let path = format!("/entity/customerorder/{}/positions", order["id"].as_str().unwrap());
    for (line, code) in [
        (json!({"assortment": product, "quantity": 1, "reserve": 2}), 17003),
        (json!({"assortment": product, "quantity": 1, "discount": 101}), 17008),
        (json!({"assortment": bundle, "quantity": 1.5}), 17018),
        (json!({"assortment": product, "quantity": 1, "vat": 20, "vatEnabled": false}), 17021),
        (json!({"assortment": product}), 3000),
        (json!({"quantity": 1}), 3000),
    ] {
        assert_eq!(api.send("POST", &path, &line).await.code(), (412, code), "{line}");
    }
    // A bundle that was sold keeps its components, and a product in a document cannot be deleted.
    api.send("POST", &path, &json!({"assortment": bundle, "quantity": 1})).await;
    let bundle_path =
        bundle["meta"]["href"].as_str().unwrap().strip_prefix(&api.sim.base).unwrap().to_owned();
    assert_eq!(api.send("DELETE", &bundle_path, &Value::Null).await.code(), (409, 1028));
    let body = json!({"components": [{"assortment": product, "quantity": 2}]});
    assert_eq!(api.send("PUT", &bundle_path, &body).await.code(), (412, 29001));
}

#[tokio::test]
async fn a_time_loses_its_seconds_and_the_bin_hides() {
    let api = api();
    let order = order(&api, json!([])).await;
    let path = format!("/entity/customerorder/{}", order["id"].as_str().unwrap());
    let shown = api.send("PUT", &path, &json!({"moment": "2026-01-23 13:50:24"})).await.body;
    assert_eq!(shown["moment"], "2026-01-23 13:50:00.000");
    let state = api.sim.state(api.account, "customerorder", "Отменен").unwrap();
    api.send("PUT", &path, &json!({"state": api.sim.state_reference("customerorder", state)})).await;
    assert_eq!(api.list("customerorder", "state.name=Отменен").await["meta"]["size"], 1);
    assert_eq!(api.send("POST", &format!("{path}/trash"), &Value::Null).await.status, 200);
    assert_eq!(api.list("customerorder", "").await["meta"]["size"], 0);
    assert_eq!(api.list("customerorder", "isDeleted=true").await["meta"]["size"], 1);
    for kind in ["retaildemand", "purchaseorder"] {
        assert_eq!(api.refused(kind, json!({})).await, (412, 3000));
    }
}

#[tokio::test]
async fn a_line_that_was_shipped_stays_and_the_others_of_a_list_go() {
    for status in [200, 400] {
        let api = api();
        api.sim.rules(api.account, |rules| rules.partial_failure_status = status);
        let product = api.at("product", api.create("product", json!({"name": "Kettle"})).await);
        let line = |price: i64| json!({"assortment": product, "quantity": 1, "price": price});
        let order = order(&api, json!([line(1), line(2), line(4)])).await;
        let id: Uuid = order["id"].as_str().unwrap().parse().unwrap();
        let path = format!("/entity/customerorder/{id}");
        let rows = api.get(&format!("{path}/positions")).await["rows"].clone();
        let shipped = rows[1]["id"].as_str().unwrap();
        api.sim.person(api.account).ship(id, shipped.parse().unwrap(), 1.into()).unwrap();
        let list = json!([{"id": rows[0]["id"]}, {"id": shipped}, {"id": Uuid::new_v4()}]);
        let reply = api.send("POST", &format!("{path}/positions/delete"), &list).await;
        assert_eq!(reply.status, status, "{}", reply.body);
        assert!(reply.body[0]["info"].is_string(), "{}", reply.body);
        assert_eq!(reply.body[1]["errors"][0]["code"], 1023);
        assert_eq!(reply.body[2]["errors"][0]["code"], 1021);
        assert_eq!(api.get(&path).await["sum"].to_string(), "6.0");
        let without = json!({"positions": [{"id": rows[2]["id"]}]});
        assert_eq!(api.send("PUT", &path, &without).await.code(), (412, 1023));
    }
}

#[tokio::test]
async fn a_bank_account_belongs_to_whose_it_is() {
    let api = api();
    let order = order(&api, json!([])).await;
    let path = format!("/entity/customerorder/{}", order["id"].as_str().unwrap());
    let agent = order["agent"]["meta"]["href"].as_str().unwrap().rsplit('/').next().unwrap();
    let account =
        api.sim.person(api.account).add_bank_account("counterparty", agent.parse().unwrap()).unwrap();
    assert_eq!(api.send("PUT", &path, &json!({"organizationAccount": account})).await.code(), (412, 17000));
    assert_eq!(api.send("PUT", &path, &json!({"agentAccount": account})).await.status, 200);
    let other = counterparty(&api).await;
    assert_eq!(api.send("PUT", &path, &json!({"agent": other})).await.code(), (412, 17001));
    let with_it = json!({"agent": other, "agentAccount": null});
    assert_eq!(api.send("PUT", &path, &with_it).await.status, 200);
}
