//! `updatedFields`: only what changed is sent, by whatever name the webhook calls it.

use super::{Franchise, attribute, count, hook_url, reference, sale_price, with_attribute};
use serde_json::{Value, json};
use uuid::Uuid;

/// A product with a price of each type and two attributes, one of them named like a field.
async fn product(franchise: &Franchise) -> (Uuid, Uuid, Uuid) {
    let Franchise { sim, main, children, .. } = franchise;
    let mut ids = Vec::new();
    for name in ["Франшиза москва", "name"] {
        let body = json!({"name": name, "type": "string"});
        for child in children {
            sim.person(*child).add_attribute("product", &body).unwrap();
        }
        ids.push(sim.person(*main).add_attribute("product", &body).unwrap());
    }
    let price = |name: &str| sale_price(franchise, name, "100", "RUB");
    let id = franchise
        .create(
            json!({"name": "Kettle", "externalCode": "k", "article": "K-1", "barcodes": [{"code128": "K"}],
            "salePrices": [price("Retail"), price("Wholesale")],
            "attributes": ids.iter().map(|id| with_attribute(sim, *id, json!("old"))).collect::<Vec<_>>()}),
        )
        .await;
    (id, ids[0], ids[1])
}

/// The fields of the newest write to a child and how many elements its list has, and the strategy of the log.
async fn newest(franchise: &Franchise, child: Uuid, id: Uuid) -> (Vec<String>, usize, String) {
    let write = franchise.sim.writes(child).pop().unwrap();
    let fields: Vec<String> = write.body.as_object().unwrap().keys().cloned().collect();
    let elements = write.body.as_object().unwrap().values().find_map(Value::as_array).map_or(0, Vec::len);
    let entry = franchise.log(child, id).await.remove(0);
    assert_eq!(entry["applied"], json!(fields), "{entry}");
    (fields, elements, entry["strategy"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn names_of_fields_price_types_and_attributes_send_what_they_name() {
    let franchise = Franchise::start().await;
    let Franchise { sim, children: [kazan, omsk], .. } = &franchise;
    let (id, franchise_attribute, name_attribute) = product(&franchise).await;
    let sent = |fields: &[&str], elements: usize, strategy: &str| {
        let fields: Vec<String> = fields.iter().map(|field| (*field).to_owned()).collect();
        (fields, elements, strategy.to_owned())
    };
    let value = |id, text: &str| json!({"attributes": [with_attribute(sim, id, json!(text))]});
    let prices = |names: &[&str]| {
        let prices: Vec<Value> =
            names.iter().map(|name| sale_price(&franchise, name, "222", "RUB")).collect();
        json!({"salePrices": prices})
    };
    for (changes, received, expected) in [
        (prices(&["Retail"]), json!(["salePrices"]), sent(&["salePrices"], 1, "prices")),
        (prices(&["Retail", "Wholesale"]), json!(["Wholesale"]), sent(&["salePrices"], 1, "prices")),
        (
            value(franchise_attribute, "new"),
            json!(["Франшиза москва"]),
            sent(&["attributes"], 1, "attributes"),
        ),
        // Named like a field: what differs decides, not the name.
        (value(name_attribute, "new"), json!(["name"]), sent(&["attributes"], 1, "attributes")),
        (json!({"name": "Teapot"}), json!(["name"]), sent(&["name"], 0, "base")),
        (json!({"description": "Boils"}), json!(["description"]), sent(&["description"], 0, "base")),
        (json!({"barcodes": []}), json!(["barcodes"]), sent(&["barcodes"], 0, "base")),
    ] {
        franchise.edit(id, changes.clone()).await;
        for child in [kazan, omsk] {
            assert_eq!(newest(&franchise, *child, id).await, expected, "{changes}");
            assert_eq!(franchise.log(*child, id).await[0]["received"], received);
        }
    }
    let product = sim.by_external_code(*kazan, "k");
    assert_eq!(product["name"], "Teapot");
    assert_eq!(
        (attribute(&product, "name"), attribute(&product, "Франшиза москва")),
        (json!("new"), json!("new"))
    );
}

#[tokio::test]
async fn a_folder_an_unknown_name_and_no_names_send_everything() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children: [kazan, _], .. } = &franchise;
    let (id, ..) = product(&franchise).await;
    let folder = sim.create_in(*main, "productfolder", json!({"name": "A"}));
    franchise.edit(id, json!({"productFolder": reference(sim, "productfolder", folder)})).await;
    let full = async || {
        let (fields, _, strategy) = newest(&franchise, *kazan, id).await;
        assert_eq!(strategy, "full");
        for field in ["name", "article", "barcodes", "salePrices", "attributes", "productFolder"] {
            assert!(fields.contains(&field.to_owned()), "{field}: {fields:?}");
        }
    };
    full().await;
    // A name that nobody knows, such as a price type that was renamed meanwhile; then none, and an empty list.
    for (n, names) in [json!(["Renamed since"]), Value::Null, json!([])].into_iter().enumerate() {
        franchise.unheard(|| sim.edit(*main, id, json!({"name": format!("Kettle {n}")})));
        notify_with(&franchise, &[(id, names)], &format!("n{n}")).await;
        full().await;
        assert_eq!(sim.by_external_code(*kazan, "k")["name"], format!("Kettle {n}"));
    }
}

#[tokio::test]
async fn each_event_of_a_notification_has_its_own_names() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children: [kazan, _], .. } = &franchise;
    let kettle = franchise.create(json!({"name": "Kettle", "externalCode": "k"})).await;
    let pot = franchise.create(json!({"name": "Pot", "externalCode": "p"})).await;
    franchise.unheard(|| {
        sim.edit(*main, kettle, json!({"salePrices": [sale_price(&franchise, "Retail", "5", "RUB")]}));
        sim.edit(*main, pot, json!({"description": "Large"}));
    });
    notify_with(&franchise, &[(kettle, json!(["salePrices"])), (pot, json!(["description"]))], "two").await;
    let strategy = async |id| franchise.log(*kazan, id).await[0]["strategy"].clone();
    assert_eq!((strategy(kettle).await, strategy(pot).await), (json!("prices"), json!("base")));
    assert_eq!(sim.by_external_code(*kazan, "p")["description"], "Large");
    assert_eq!(count(sim, *kazan, "product", "k"), 1);
}

#[tokio::test]
async fn names_that_gather_before_the_task_runs_are_all_heard() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children: [kazan, _], .. } = &franchise;
    let id = franchise.create(json!({"name": "Kettle", "externalCode": "k"})).await;
    franchise.unheard(|| {
        sim.edit(*main, id, json!({"salePrices": [sale_price(&franchise, "Retail", "5", "RUB")]}));
        sim.edit(*main, id, json!({"description": "Large"}));
    });
    let both = [(id, json!(["salePrices"])), (id, json!(["description"]))];
    franchise.gathered(async || notified(&franchise, &both, "both").await).await;
    franchise.settle().await;
    let entry = franchise.log(*kazan, id).await.remove(0);
    assert_eq!(entry["received"], json!(["description", "salePrices"]), "{entry}");
    let mut applied: Vec<&str> =
        entry["applied"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    applied.sort_unstable();
    assert_eq!(applied, ["description", "salePrices"]);
    assert_eq!(sim.writes(*kazan).len(), 2);
}

/// One notification of updates of main's products, with these names; null: without.
async fn notify_with(franchise: &Franchise, updates: &[(Uuid, Value)], request_id: &str) {
    notified(franchise, updates, request_id).await;
    franchise.settle().await;
}

/// The same, and gives when it is stored.
async fn notified(franchise: &Franchise, updates: &[(Uuid, Value)], request_id: &str) {
    let Franchise { gateway, sim, main, .. } = franchise;
    let event = |(id, names): &(Uuid, Value)| {
        let href = format!("{}/entity/product/{id}", sim.base);
        let mut event =
            json!({"meta": {"type": "product", "href": href}, "action": "UPDATE", "accountId": main});
        if !names.is_null() {
            event["updatedFields"] = names.clone();
        }
        event
    };
    let body = json!({"events": updates.iter().map(event).collect::<Vec<_>>()}).to_string();
    let path = hook_url().replace(super::ORIGIN, "");
    let url = gateway.url(&format!("{path}&requestId={request_id}"));
    assert_eq!(gateway.http.post(url).body(body).send().await.unwrap().status(), 200);
}
