//! States that nobody has changed stay, and of two that were changed the later one does.

use super::states::ordered;
use super::{Shop, hook_url, id, rows};
use crate::support::moysklad::Weather;
use serde_json::{Value, json};
use uuid::Uuid;

async fn following() -> (Shop, Uuid) {
    ordered(|settings| settings["status_back"] = true.into()).await
}

/// Main's order changes in something else, and no one says in what: as a sweep finds it.
async fn touch(shop: &Shop) {
    let hook =
        json!({"entityType": "customerorder", "action": "UPDATE", "url": format!("{}&any=1", hook_url())});
    // The second time it is there.
    let _ = shop.sim.add_hook(shop.main, &hook);
    shop.sim.edit_in(
        shop.main,
        "customerorder",
        id(&shop.order()),
        json!({"code": Uuid::new_v4().to_string()}),
    );
    shop.settle().await;
}

fn state_of(shop: &Shop, order: Uuid) -> Value {
    shop.source(order)["state"].clone()
}

#[tokio::test]
async fn a_state_that_main_lacks_is_not_undone_in_the_child() {
    let shop = Shop::start_with(|_, mut settings| {
        settings["status_back"] = true.into();
        settings
    })
    .await;
    let (_, tea) = shop.product("Tea").await;
    let packed = shop.sim.person(shop.child).add_state("customerorder", "Packed").unwrap();
    let packed = shop.sim.state_reference("customerorder", packed);
    let lines = json!([shop.line("product", tea, json!({"quantity": 1, "price": 100}))]);
    let order = shop.create("customerorder", shop.document(lines, json!({ "state": packed })));
    shop.settle().await;
    let before = state_of(&shop, order);
    touch(&shop).await;
    assert_eq!(state_of(&shop, order), before);
    assert!(shop.sim.writes(shop.child).is_empty());
}

#[tokio::test]
async fn a_copy_that_is_made_anew_has_the_childs_state() {
    let (shop, order) = following().await;
    shop.set_state(shop.child, order, "Подтвержден");
    shop.settle().await;
    shop.sim.person(shop.main).delete("customerorder", id(&shop.order())).unwrap();
    shop.settle().await;
    shop.sim.edit_in(shop.child, "customerorder", order, json!({"description": "still wanted"}));
    shop.settle().await;
    assert_eq!(shop.state(shop.main, id(&shop.order())), "Подтвержден");
    touch(&shop).await;
    assert_eq!(shop.state(shop.child, order), "Подтвержден");
}

#[tokio::test]
async fn where_the_sums_differ_mains_state_and_lines_are_mains_own_all_the_same() {
    let shop = Shop::start().await;
    let Shop { sim, main, child, .. } = &shop;
    let (own_tea, tea) = shop.product("Tea").await;
    sim.rules(*main, |rules| rules.rounds_prices = true);
    let line = |quantity: u32| shop.line("product", tea, json!({"quantity": quantity, "price": 3.5}));
    let order = shop.create("customerorder", shop.document(json!([line(1000)]), json!({})));
    shop.settle().await;
    let copy = id(&shop.order());
    shop.set_state(*main, copy, "Подтвержден");
    let path = format!("/entity/customerorder/{copy}/positions");
    let own = json!({"assortment": sim.reference(*main, "product", own_tea), "quantity": 5, "price": 100});
    sim.person(*main).request(&reqwest::Method::POST, &path, &own).unwrap();
    shop.settle().await;
    let path = format!("/entity/customerorder/{order}/positions");
    sim.person(*child).request(&reqwest::Method::POST, &path, &json!([line(7)])).unwrap();
    shop.settle().await;
    let after = shop.order();
    assert_eq!(shop.state(*main, copy), "Подтвержден");
    let mut quantities: Vec<String> = rows(&after).iter().map(|line| line["quantity"].to_string()).collect();
    quantities.sort();
    assert_eq!(quantities, ["1000.0", "5.0", "7.0"], "the clerk's line is left alone");
    let task = &shop.tasks().await[0];
    assert_eq!(task["status"], "failed", "the sums still differ: {task}");
}

/// A transfer waits, while both sides change the order's state.
async fn both_change(
    states: Value,
    first: fn(&Shop, Uuid, Uuid),
    second: fn(&Shop, Uuid, Uuid),
) -> (Shop, Uuid, Uuid) {
    let (shop, order) = ordered(|settings| {
        settings["status_back"] = true.into();
        settings["states"] = states;
    })
    .await;
    let copy = id(&shop.order());
    let cake = shop.sim.create_in(shop.child, "product", json!({"name": "Cake"}));
    let mut lines = rows(&shop.source(order));
    lines.push(shop.line("product", cake, json!({"quantity": 1, "price": 100})));
    shop.sim.edit_in(shop.child, "customerorder", order, json!({"positions": lines}));
    shop.task_when("the order to be held", |task| !task["error"].is_null()).await;
    first(&shop, order, copy);
    // Moments are told to the millisecond.
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    second(&shop, order, copy);
    let counterpart = shop.sim.create_in(shop.main, "product", json!({"name": "Cake"}));
    shop.link("product", counterpart, cake).await;
    shop.settle().await;
    assert_eq!(rows(&shop.order()).len(), 2);
    (shop, order, copy)
}

fn child_confirms(shop: &Shop, order: Uuid, _: Uuid) {
    shop.set_state(shop.child, order, "Подтвержден");
}

fn main_delivers(shop: &Shop, _: Uuid, copy: Uuid) {
    shop.set_state(shop.main, copy, "Доставлен");
}

#[tokio::test]
async fn mains_later_state_is_not_undone_by_an_older_one_of_the_child() {
    let (shop, order, copy) = both_change(json!({}), child_confirms, main_delivers).await;
    assert_eq!((shop.state(shop.main, copy), shop.state(shop.child, order)), ("Доставлен", "Доставлен"));
}

#[tokio::test]
async fn the_childs_later_state_is_not_undone_by_an_older_one_of_main() {
    let (shop, order, copy) = both_change(json!({}), main_delivers, child_confirms).await;
    assert_eq!((shop.state(shop.main, copy), shop.state(shop.child, order)), ("Подтвержден", "Подтвержден"));
}

#[tokio::test]
async fn a_state_that_both_chose_is_undone_in_neither() {
    let states = json!({"Доставлен": "Доставлен", "Подтвержден": "Доставлен"});
    let (shop, order, copy) = both_change(states, child_confirms, main_delivers).await;
    assert_eq!((shop.state(shop.main, copy), shop.state(shop.child, order)), ("Доставлен", "Подтвержден"));
}

#[tokio::test]
async fn a_state_that_both_chose_is_not_undone_by_mains_either_that_is_heard_of_first() {
    let (shop, order) = ordered(|settings| {
        settings["status_back"] = true.into();
        settings["states"] = json!({"Доставлен": "Доставлен", "Подтвержден": "Доставлен"});
    })
    .await;
    let copy = id(&shop.order());
    shop.sim.weather(Weather { lose: 1.0, ..Weather::default() });
    child_confirms(&shop, order, copy);
    shop.sim.weather(Weather::default());
    main_delivers(&shop, order, copy);
    shop.settle().await;
    assert_eq!((shop.state(shop.main, copy), shop.state(shop.child, order)), ("Доставлен", "Подтвержден"));
}
