//! Prices: by the name of their type or as the settings say, never in another currency, and down to nothing.

use super::{Franchise, last_segment, price, reference, sale_price, set_catalog};
use crate::support::moysklad::Simulator;
use serde_json::{Value, json};
use uuid::Uuid;

fn buy_price(franchise: &Franchise, value: i64, iso_code: &str) -> Value {
    let Franchise { sim, main, .. } = franchise;
    json!({"value": value, "currency": reference(sim, "currency", sim.currency(*main, iso_code))})
}

fn value(sim: &Simulator, account: Uuid, price_type: &str) -> String {
    price(sim, account, &sim.by_external_code(account, "k"), price_type).0
}

#[tokio::test]
async fn the_map_sends_prices_where_it_says_also_from_and_to_the_buy_price() {
    let franchise = Franchise::start().await;
    let Franchise { sim, children: [kazan, omsk], .. } = &franchise;
    // Main's dealer price is what the child buys for; what main pays shows nowhere else than asked for.
    set_catalog(&franchise, *kazan, json!({"price_types": {"Wholesale": "buyPrice", "buyPrice": "Retail"}}))
        .await;
    set_catalog(&franchise, *omsk, json!({"price_types": {"Retail": "Own", "Staff": "Nowhere"}})).await;
    let id = franchise
        .create(json!({
            "name": "Kettle", "externalCode": "k", "buyPrice": buy_price(&franchise, 100, "RUB"),
            "salePrices": [
                sale_price(&franchise, "Retail", "300", "RUB"), sale_price(&franchise, "Wholesale", "200", "RUB"),
                sale_price(&franchise, "Staff", "150", "RUB"),
            ],
        }))
        .await;
    let bought = |child: &Uuid| sim.by_external_code(*child, "k")["buyPrice"]["value"].to_string();
    assert_eq!((bought(kazan), value(sim, *kazan, "Retail")), ("200.0".into(), "100.0".into()));
    assert_eq!(value(sim, *kazan, "Wholesale"), "0.0", "not in the map");
    assert_eq!(franchise.outcome(*kazan).await, "created", "what the map leaves out is left out on purpose");
    assert_eq!((value(sim, *omsk, "Own"), value(sim, *omsk, "Retail")), ("300.0".into(), "0.0".into()));
    assert_eq!(bought(omsk), "0.0");
    assert_eq!(
        franchise.outcome(*omsk).await,
        "created; skipped: 1 sale price of a type that the child lacks"
    );

    let changes = json!({"buyPrice": buy_price(&franchise, 110, "RUB"),
        "salePrices": [sale_price(&franchise, "Wholesale", "0", "RUB")]});
    franchise.edit(id, changes).await;
    assert_eq!((bought(kazan), value(sim, *kazan, "Retail")), ("0.0".into(), "110.0".into()));
    let written = sim.writes(*kazan).pop().unwrap().body;
    let fields: Vec<&String> = written.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["buyPrice", "salePrices"], "{written}");
    assert_eq!(sim.writes(*omsk).len(), 1, "nothing that Omsk takes has changed");

    let (status, reply) = franchise
        .gateway
        .admin(
            "PUT",
            &super::account_path(*kazan),
            &json!({"name": "Kazan", "role": "child", "parent_account_id": franchise.main,
                "settings": {"catalog": {"price_types": {"Retail": "Retail", "Staff": "Retail"}}}}),
        )
        .await;
    assert_eq!(status, 422, "{reply}");
    assert!(reply.to_string().contains("catalog.price_types"), "{reply}");
}

#[tokio::test]
async fn a_price_becomes_nothing_and_the_childs_own_types_stay() {
    let franchise = Franchise::start().await;
    let Franchise { sim, children: [_, omsk], .. } = &franchise;
    let price_in = |name: &str, value: &str| sale_price(&franchise, name, value, "RUB");
    let id = franchise
        .create(json!({"name": "Kettle", "externalCode": "k",
            "minPrice": buy_price(&franchise, 90, "RUB"), "buyPrice": buy_price(&franchise, 80, "USD"),
            "salePrices": [price_in("Retail", "300"), price_in("Wholesale", "200")]}))
        .await;
    let own = json!({"value": 55, "priceType": reference(sim, "pricetype", sim.price_type(*omsk, "Own"))});
    let in_omsk = super::id_of(&sim.by_external_code(*omsk, "k"));
    sim.edit(*omsk, in_omsk, json!({"salePrices": [own]}));
    franchise.edit(id, json!({"salePrices": [price_in("Retail", "0")]})).await;
    franchise
        .edit(
            id,
            json!({"minPrice": buy_price(&franchise, 0, "RUB"), "buyPrice": buy_price(&franchise, 0, "RUB")}),
        )
        .await;
    let values = ["Retail", "Wholesale", "Own"].map(|name| value(sim, *omsk, name));
    assert_eq!(values, ["0.0", "200.0", "55.0"]);
    let product = sim.by_external_code(*omsk, "k");
    assert_eq!((&product["minPrice"]["value"], &product["buyPrice"]["value"]), (&json!(0.0), &json!(0.0)));
    for write in &sim.writes(*omsk)[1..] {
        assert!(!write.body.to_string().contains(&sim.price_type(*omsk, "Own").to_string()));
    }
}

#[tokio::test]
async fn a_price_in_a_currency_that_the_child_lacks_is_never_written_in_another() {
    let franchise = Franchise::start().await;
    let Franchise { sim, children: [kazan, omsk], .. } = &franchise;
    let id = franchise
        .create(json!({"name": "Kettle", "externalCode": "k",
            "salePrices": [sale_price(&franchise, "Retail", "300", "USD"), sale_price(&franchise, "Wholesale", "7", "RUB")]}))
        .await;
    assert_eq!(franchise.outcome(*kazan).await, "created; skipped: sale price in USD");
    assert_eq!((value(sim, *kazan, "Retail"), value(sim, *kazan, "Wholesale")), ("0.0".into(), "7.0".into()));
    let in_omsk = price(sim, *omsk, &sim.by_external_code(*omsk, "k"), "Retail");
    assert_eq!(in_omsk, ("300.0".to_owned(), sim.currency(*omsk, "USD")));

    // From dollars to roubles and back: what Kazan shows is the last price that it could take, and it is told.
    franchise.edit(id, json!({"salePrices": [sale_price(&franchise, "Retail", "27000", "RUB")]})).await;
    assert_eq!(value(sim, *kazan, "Retail"), "27000.0");
    franchise.edit(id, json!({"salePrices": [sale_price(&franchise, "Retail", "310", "USD")]})).await;
    assert_eq!(value(sim, *kazan, "Retail"), "27000.0");
    let entry = &franchise.log(*kazan, id).await[0];
    assert_eq!(entry["skipped"], json!(["sale price in USD"]), "{entry}");
    assert_eq!(value(sim, *omsk, "Retail"), "310.0");
    for write in sim.writes(*kazan) {
        assert!(!write.body.to_string().contains("310"), "{}", write.body);
    }
}

#[tokio::test]
async fn a_bundle_has_prices_and_an_overhead_but_no_buy_price() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children: [kazan, _], .. } = &franchise;
    super::hook_all(&franchise);
    let product = franchise.create(json!({"name": "Kettle", "externalCode": "k"})).await;
    let parts = json!([{"assortment": reference(sim, "product", product), "quantity": 1}]);
    let bundle = json!({"name": "Set", "externalCode": "b", "components": parts,
        "overhead": buy_price(&franchise, 9, "RUB"), "salePrices": [sale_price(&franchise, "Retail", "99", "RUB")]});
    let bundle = sim.create_in(*main, "bundle", bundle);
    franchise.settle().await;
    let shown = sim.one(*kazan, "bundle", "b");
    assert_eq!(
        (&shown["overhead"]["value"], price(sim, *kazan, &shown, "Retail").0),
        (&json!(9.0), "99.0".into())
    );
    assert_eq!(last_segment(&shown["overhead"]["currency"]), sim.currency(*kazan, "RUB").to_string());
    sim.edit_in(*main, "bundle", bundle, json!({"overhead": null}));
    franchise.settle().await;
    assert_eq!(sim.one(*kazan, "bundle", "b")["overhead"]["value"], json!(0.0));
}
