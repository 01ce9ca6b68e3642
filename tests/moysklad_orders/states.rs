//! States: there and back, without an echo.

use super::{Shop, id, target};
use serde_json::{Value, json};
use uuid::Uuid;

fn state(shop: &Shop, account: Uuid, order: &Value) -> String {
    let own = target(&order["state"]);
    let names = ["Новый", "Подтвержден", "Доставлен", "Отменен"];
    let is_it = |name: &&&str| {
        shop.sim.state(account, "customerorder", name).is_some_and(|state| state.to_string() == own)
    };
    (*names.iter().find(is_it).unwrap()).to_owned()
}

fn set_state(shop: &Shop, account: Uuid, order: Uuid, name: &str) {
    let state = shop.sim.state(account, "customerorder", name).unwrap();
    let state = shop.sim.state_reference("customerorder", state);
    shop.sim.edit_in(account, "customerorder", order, json!({ "state": state }));
}

async fn ordered(settings: impl FnOnce(&mut Value)) -> (Shop, Uuid) {
    let shop = Shop::start_with(|_, mut orders| {
        settings(&mut orders);
        orders
    })
    .await;
    let (_, tea) = shop.product("Tea").await;
    let lines = json!([shop.line("product", tea, json!({"quantity": 1, "price": 100}))]);
    let order = shop.create("customerorder", shop.document(lines, json!({})));
    shop.settle().await;
    (shop, order)
}

#[tokio::test]
async fn a_state_goes_over_by_its_name_and_comes_back_if_that_is_wanted() {
    let (shop, order) = ordered(|settings| {
        settings["status_back"] = true.into();
        settings["states"] = json!({"Подтвержден": "Доставлен"});
    })
    .await;
    set_state(&shop, shop.child, order, "Подтвержден");
    shop.settle().await;
    let copy = shop.order();
    assert_eq!(state(&shop, shop.main, &copy), "Доставлен", "by the settings");

    let writes = (shop.sim.writes(shop.main).len(), shop.sim.writes(shop.child).len());
    set_state(&shop, shop.main, id(&copy), "Отменен");
    shop.settle().await;
    assert_eq!(state(&shop, shop.child, &shop.source(order)), "Отменен");
    assert_eq!(shop.sim.writes(shop.main).len(), writes.0, "the way back has no way forth");
    assert_eq!(shop.sim.writes(shop.child).len(), writes.1 + 1);
}

#[tokio::test]
async fn where_the_header_has_no_effect_a_state_does_not_go_in_circles() {
    let (shop, order) = ordered(|settings| settings["status_back"] = true.into()).await;
    shop.sim.header_support(false);
    let writes = (shop.sim.writes(shop.main).len(), shop.sim.writes(shop.child).len());
    set_state(&shop, shop.main, id(&shop.order()), "Подтвержден");
    shop.settle().await;
    assert_eq!(state(&shop, shop.child, &shop.source(order)), "Подтвержден");
    assert_eq!(shop.sim.writes(shop.main).len(), writes.0);
    assert_eq!(shop.sim.writes(shop.child).len(), writes.1 + 1);
}

#[tokio::test]
async fn by_default_mains_state_is_mains_own_and_an_edit_of_the_child_does_not_undo_it() {
    let (shop, order) = ordered(|_| {}).await;
    let copy = id(&shop.order());
    set_state(&shop, shop.main, copy, "Доставлен");
    shop.settle().await;
    assert_eq!(state(&shop, shop.child, &shop.source(order)), "Новый");
    shop.sim.edit_in(shop.child, "customerorder", order, json!({"description": "please hurry"}));
    shop.settle().await;
    let copy = shop.order();
    assert!(copy["description"].as_str().unwrap().ends_with("please hurry"));
    assert_eq!(state(&shop, shop.main, &copy), "Доставлен");
}
