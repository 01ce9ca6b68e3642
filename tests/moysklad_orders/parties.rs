//! Whose order it is in main.

use super::{Shop, id, target};
use serde_json::{Value, json};

const PHONE: &str = "+7 900 555-66-77";

async fn shop() -> Shop {
    let mut shop = Shop::start_with(|_, mut settings| {
        settings["counterparty"] = "real".into();
        settings
    })
    .await;
    shop.gateway.canary(PHONE);
    shop
}

/// Orders for this counterparty of the child; gives main's name of whose order it is.
async fn ordered_by(shop: &Shop, agent: Value) -> String {
    let (_, tea) = shop.product("Tea").await;
    let agent = shop.sim.create_in(shop.child, "counterparty", agent);
    let lines = json!([shop.line("product", tea, json!({"quantity": 1, "price": 100}))]);
    let agent = json!({"agent": shop.sim.reference(shop.child, "counterparty", agent)});
    shop.create("customerorder", shop.document(lines, agent));
    shop.settle().await;
    let whose: uuid::Uuid = target(&shop.order()["agent"]).parse().unwrap();
    shop.sim.entity(shop.main, whose, &[]).unwrap()["name"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_company_is_known_by_its_inn_and_branch() {
    let shop = shop().await;
    for (name, kpp) in [("Head", "770101001"), ("Branch", "160101001")] {
        let body = json!({"name": name, "companyType": "legal", "inn": "7701234567", "kpp": kpp});
        shop.sim.create_in(shop.main, "counterparty", body);
    }
    let company = json!({"name": "Own", "companyType": "legal", "inn": "7701234567", "kpp": "160101001"});
    assert_eq!(ordered_by(&shop, company).await, "Branch");
}

#[tokio::test]
async fn a_person_whom_main_does_not_know_is_made_once() {
    let shop = shop().await;
    let before = shop.sim.entities(shop.main, "counterparty").len();
    let person = json!({"name": "Anna", "companyType": "individual", "phone": PHONE});
    assert_eq!(ordered_by(&shop, person).await, "Anna");
    let made = shop.sim.entities(shop.main, "counterparty");
    assert_eq!(made.len(), before + 1);
    let order = shop.sim.entities(shop.child, "customerorder").remove(0);
    shop.sim.edit_in(shop.child, "customerorder", id(&order), json!({"description": "again"}));
    shop.settle().await;
    assert_eq!(shop.sim.entities(shop.main, "counterparty").len(), before + 1);
    let text = shop.gateway.admin_get("/api/v1/events?provider=hookgate&limit=200").await.to_string()
        + &shop.gateway.admin_get("/api/v1/sync-queue").await.to_string();
    assert!(!text.contains("Anna") && !text.contains("555-66"), "{text}");
}

#[tokio::test]
async fn what_stands_where_a_telephone_number_or_an_address_should_makes_no_two_people_one() {
    let shop = shop().await;
    let before = shop.sim.entities(shop.main, "counterparty").len();
    let (_, tea) = shop.product("Tea").await;
    for (name, phone, email) in
        [("Anna", "-", "none"), ("Boris", "-", "none"), ("Clara", "нет", "-"), ("Dmitri", "0", "-")]
    {
        let person = json!({"name": name, "companyType": "individual", "phone": phone, "email": email});
        let agent = shop.sim.create_in(shop.child, "counterparty", person);
        let lines = json!([shop.line("product", tea, json!({"quantity": 1, "price": 100}))]);
        let agent = json!({"agent": shop.sim.reference(shop.child, "counterparty", agent)});
        shop.create("customerorder", shop.document(lines, agent));
        shop.settle().await;
    }
    assert_eq!(shop.sim.entities(shop.main, "counterparty").len(), before + 4);
    let mut agents: Vec<String> = shop.orders().iter().map(|order| target(&order["agent"])).collect();
    agents.sort();
    agents.dedup();
    assert_eq!(agents.len(), 4, "each has an order of his own");
}

#[tokio::test]
async fn two_of_main_that_fit_are_a_question_for_a_person() {
    let shop = shop().await;
    for name in ["One", "Two"] {
        let body = json!({"name": name, "companyType": "legal", "inn": "7701234567"});
        shop.sim.create_in(shop.main, "counterparty", body);
    }
    let (_, tea) = shop.product("Tea").await;
    let company = json!({"name": "Own", "companyType": "legal", "inn": "7701234567"});
    let agent = shop.sim.create_in(shop.child, "counterparty", company);
    let lines = json!([shop.line("product", tea, json!({"quantity": 1, "price": 100}))]);
    let agent = json!({"agent": shop.sim.reference(shop.child, "counterparty", agent)});
    shop.create("customerorder", shop.document(lines, agent));
    let task = shop.task_when("the order to fail", |task| task["status"] == "failed").await;
    let error = task["error"].as_str().unwrap();
    assert!(error.contains("2 counterparties of main have the same inn"), "{error}");
    assert!(!error.contains("7701234567") && shop.orders().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_orders_that_bring_the_same_company_at_once_make_it_once() {
    let shop = shop().await;
    let (_, tea) = shop.product("Tea").await;
    // Both have searched before either makes it.
    shop.sim.latency(shop.main, std::time::Duration::from_millis(300));
    for name in ["Romashka", "OOO Romashka"] {
        let company = json!({"name": name, "companyType": "legal", "inn": "7701234567"});
        let company = shop.sim.create_in(shop.child, "counterparty", company);
        let lines = json!([shop.line("product", tea, json!({"quantity": 1, "price": 100}))]);
        let agent = json!({"agent": shop.sim.reference(shop.child, "counterparty", company)});
        shop.create("customerorder", shop.document(lines, agent));
    }
    shop.settle().await;
    let agents: Vec<String> = shop.orders().iter().map(|order| target(&order["agent"])).collect();
    assert_eq!(agents.len(), 2);
    assert_eq!(agents[0], agents[1]);
}
