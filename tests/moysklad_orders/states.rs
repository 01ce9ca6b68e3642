//! States: there and back, without an echo.

use super::waiting::{listed, switch};
use super::{Shop, id};
use crate::support::wait;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

pub async fn ordered(settings: impl FnOnce(&mut Value)) -> (Shop, Uuid) {
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
    shop.set_state(shop.child, order, "Подтвержден");
    shop.settle().await;
    let copy = shop.order();
    assert_eq!(shop.state(shop.main, id(&copy)), "Доставлен", "by the settings");

    let writes = (shop.sim.writes(shop.main).len(), shop.sim.writes(shop.child).len());
    shop.set_state(shop.main, id(&copy), "Отменен");
    shop.settle().await;
    assert_eq!(shop.state(shop.child, order), "Отменен");
    assert_eq!(shop.sim.writes(shop.main).len(), writes.0, "the way back has no way forth");
    assert_eq!(shop.sim.writes(shop.child).len(), writes.1 + 1);
}

#[tokio::test]
async fn a_state_waits_for_a_child_that_is_switched_off() {
    let (shop, order) = ordered(|settings| settings["status_back"] = true.into()).await;
    switch(&shop, shop.child, "inactive").await;
    shop.set_state(shop.main, id(&shop.order()), "Отменен");
    wait::until("the state to wait", Duration::from_secs(20), || async {
        listed(&shop, "blocked").await.into_iter().find(|task| task["operation"] == "status_back")
    })
    .await;
    assert_eq!(shop.state(shop.child, order), "Новый");
    switch(&shop, shop.child, "active").await;
    shop.settle().await;
    assert_eq!(shop.state(shop.child, order), "Отменен");
}

#[tokio::test]
async fn where_the_header_has_no_effect_a_state_does_not_go_in_circles() {
    let (shop, order) = ordered(|settings| settings["status_back"] = true.into()).await;
    shop.sim.header_support(false);
    let writes = (shop.sim.writes(shop.main).len(), shop.sim.writes(shop.child).len());
    shop.set_state(shop.main, id(&shop.order()), "Подтвержден");
    shop.settle().await;
    assert_eq!(shop.state(shop.child, order), "Подтвержден");
    assert_eq!(shop.sim.writes(shop.main).len(), writes.0);
    assert_eq!(shop.sim.writes(shop.child).len(), writes.1 + 1);
}

#[tokio::test]
async fn by_default_mains_state_is_mains_own_and_an_edit_of_the_child_does_not_undo_it() {
    let (shop, order) = ordered(|_| {}).await;
    let copy = id(&shop.order());
    shop.set_state(shop.main, copy, "Доставлен");
    shop.settle().await;
    assert_eq!(shop.state(shop.child, order), "Новый");
    shop.sim.edit_in(shop.child, "customerorder", order, json!({"description": "please hurry"}));
    shop.settle().await;
    let copy = shop.order();
    assert!(copy["description"].as_str().unwrap().ends_with("please hurry"));
    assert_eq!(shop.state(shop.main, id(&copy)), "Доставлен");
}

#[tokio::test]
async fn a_state_that_came_back_can_be_undone_in_the_child() {
    let (shop, order) = ordered(|settings| settings["status_back"] = true.into()).await;
    let copy = id(&shop.order());
    shop.set_state(shop.main, copy, "Подтвержден");
    shop.settle().await;
    assert_eq!(shop.state(shop.child, order), "Подтвержден");
    shop.set_state(shop.child, order, "Новый");
    shop.settle().await;
    assert_eq!(
        shop.state(shop.main, copy),
        "Новый",
        "as when it was last brought over, and news all the same"
    );
}
