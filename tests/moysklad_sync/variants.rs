//! Variants: what they show is what main's show, own or inherited, and no two are made of one.

use super::{Franchise, count, hook_all, id_of, last_segment, price, reference, sale_price};
use crate::support::moysklad::{Fault, Simulator};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

/// A kettle for 500 in main, which its children have.
async fn kettle(franchise: &Franchise) -> Uuid {
    hook_all(franchise);
    franchise.sim.person(franchise.main).add_characteristic("Colour").unwrap();
    let price = sale_price(franchise, "Retail", "500", "RUB");
    franchise.create(json!({"name": "Kettle", "externalCode": "k", "salePrices": [price]})).await
}

fn coloured(sim: &Simulator, product: Uuid, colour: &str) -> Value {
    json!({"product": reference(sim, "product", product), "externalCode": colour,
        "characteristics": [{"name": "Colour", "value": colour}]})
}

/// Makes main's variant of this colour, with these prices of its own, and waits for the children to have it.
async fn variant(franchise: &Franchise, product: Uuid, colour: &str, own: &[Value]) -> Uuid {
    let mut body = coloured(&franchise.sim, product, colour);
    if !own.is_empty() {
        body["salePrices"] = own.into();
    }
    let id = franchise.sim.create_in(franchise.main, "variant", body);
    franchise.settle().await;
    id
}

fn shown(franchise: &Franchise, account: Uuid, colour: &str) -> String {
    let variant = franchise.sim.one(account, "variant", colour);
    price(&franchise.sim, account, &variant, "Retail").0
}

async fn reprice(franchise: &Franchise, kind: &str, id: Uuid, value: &str) {
    let price = sale_price(franchise, "Retail", value, "RUB");
    franchise.sim.edit_in(franchise.main, kind, id, json!({"salePrices": [price]}));
    franchise.settle().await;
}

fn writes_to_variants(sim: &Simulator, account: Uuid) -> usize {
    sim.writes(account).iter().filter(|write| write.path.contains("/entity/variant")).count()
}

#[tokio::test]
async fn a_price_that_becomes_inherited_again_is_shown_and_kept_up_in_the_children() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children, .. } = &franchise;
    let product = kettle(&franchise).await;
    let id = variant(&franchise, product, "red", &[sale_price(&franchise, "Retail", "700", "RUB")]).await;
    let expect = |value: &str| {
        for account in [main, &children[0], &children[1]] {
            assert_eq!(shown(&franchise, *account, "red"), value);
        }
    };
    expect("700.0");
    sim.person(*main).inherit_prices(id).unwrap();
    franchise.settle().await;
    expect("500.0");
    // No webhook tells of the variant, only of its product.
    for value in ["600", "610"] {
        reprice(&franchise, "product", product, value).await;
        expect(&format!("{value}.0"));
    }
    reprice(&franchise, "variant", id, "650").await;
    expect("650.0");
    reprice(&franchise, "product", product, "620").await;
    expect("650.0");
    let before = children.map(|child| sim.writes(child).len());
    franchise.notify(*main, product, "UPDATE", "once more").await;
    franchise.notify_of(*main, "variant", id, "UPDATE", "and this").await;
    franchise.settle().await;
    assert_eq!(children.map(|child| sim.writes(child).len()), before);
}

#[tokio::test]
async fn a_price_that_is_the_products_by_chance_stays_when_the_products_changes() {
    let franchise = Franchise::start().await;
    let Franchise { children, .. } = &franchise;
    let product = kettle(&franchise).await;
    variant(&franchise, product, "red", &[sale_price(&franchise, "Retail", "500", "RUB")]).await;
    variant(&franchise, product, "blue", &[]).await;
    let before = children.map(|child| writes_to_variants(&franchise.sim, child));
    reprice(&franchise, "product", product, "600").await;
    for (child, before) in children.iter().zip(before) {
        assert_eq!(shown(&franchise, *child, "red"), "500.0");
        assert_eq!(shown(&franchise, *child, "blue"), "600.0");
        assert_eq!(
            writes_to_variants(&franchise.sim, *child) - before,
            1,
            "blue inherits, and is not written"
        );
    }
}

#[tokio::test]
async fn a_variant_that_the_child_had_with_a_price_of_its_own_shows_mains() {
    let franchise = Franchise::start().await;
    let Franchise { sim, children: [kazan, _], .. } = &franchise;
    let product = kettle(&franchise).await;
    let own = id_of(&sim.by_external_code(*kazan, "k"));
    sim.person(*kazan).add_characteristic("Colour").unwrap();
    let mut body = coloured(sim, own, "red");
    body["externalCode"] = "own".into();
    let retail = reference(sim, "pricetype", sim.price_type(*kazan, "Retail"));
    body["salePrices"] = json!([{"value": 900, "priceType": retail}]);
    let old = sim.create_in(*kazan, "variant", body);
    variant(&franchise, product, "red", &[]).await;
    assert_eq!(id_of(&sim.one(*kazan, "variant", "red")), old, "not made twice");
    assert_eq!(shown(&franchise, *kazan, "red"), "500.0");
    reprice(&franchise, "product", product, "600").await;
    assert_eq!(shown(&franchise, *kazan, "red"), "600.0");
}

#[tokio::test]
async fn the_same_characteristics_are_never_made_twice() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children: [kazan, omsk], .. } = &franchise;
    let product = kettle(&franchise).await;
    let red = variant(&franchise, product, "red", &[]).await;
    // 15000 where a search shows nothing: looked for once more, then made.
    sim.fault(*kazan, Method::POST, Fault::Status(412, 15000));
    variant(&franchise, product, "blue", &[]).await;
    assert_eq!(count(sim, *kazan, "variant", "blue"), 1);

    // Main makes of red what the child has of its own already.
    let own = id_of(&sim.by_external_code(*kazan, "k"));
    let mut green = coloured(sim, own, "green");
    green["externalCode"] = "own".into();
    let green = sim.create_in(*kazan, "variant", green);
    let changes = json!({"characteristics": [{"name": "Colour", "value": "green"}]});
    sim.edit_in(*main, "variant", red, changes);
    franchise.settle().await;
    let task = franchise.tasks(*kazan).await.remove(0);
    let error = task["error"].as_str().unwrap();
    assert!(error.contains("code 15000") && error.contains("another variant of this product"), "{error}");
    assert_eq!(sim.one(*omsk, "variant", "red")["characteristics"][0]["value"], "green");
    sim.person(*kazan).delete("variant", green).unwrap();
    franchise.retry_failed(*kazan).await;
    assert_eq!(sim.one(*kazan, "variant", "red")["characteristics"][0]["value"], "green");
}

#[tokio::test]
async fn characteristics_are_made_once_and_again_when_they_have_vanished() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children: [kazan, omsk], .. } = &franchise;
    let product = kettle(&franchise).await;
    let posts = |account| {
        let path = "/entity/variant/metadata/characteristics";
        let all = sim.writes(account).into_iter();
        all.filter(|write| write.method == Method::POST && write.path.ends_with(path)).count()
    };
    let red = variant(&franchise, product, "red", &[]).await;
    variant(&franchise, product, "blue", &[]).await;
    assert_eq!((posts(*kazan), posts(*omsk)), (1, 1));

    // A person makes the next one at the same time: 10002, which is as good.
    sim.person(*kazan).add_characteristic("Size").unwrap();
    sim.person(*main).add_characteristic("Size").unwrap();
    let large = json!({"product": reference(sim, "product", product), "externalCode": "large",
        "characteristics": [{"name": "Colour", "value": "red"}, {"name": "Size", "value": "L"}]});
    sim.create_in(*main, "variant", large);
    franchise.settle().await;
    sim.one(*kazan, "variant", "large");

    // With its last variant a characteristic may go: 10001 for what was known a moment ago.
    sim.rules(*kazan, |rules| rules.unused_characteristics_vanish = true);
    for colour in ["red", "blue", "large"] {
        let id = id_of(&sim.one(*kazan, "variant", colour));
        sim.person(*kazan).delete("variant", id).unwrap();
    }
    variant(&franchise, product, "green", &[]).await;
    let green = sim.one(*kazan, "variant", "green");
    assert_eq!(green["characteristics"][0]["name"], "Colour");
    assert_eq!(last_segment(&green["product"]), id_of(&sim.by_external_code(*kazan, "k")).to_string());
    // One that main changes comes back with it.
    sim.edit_in(*main, "variant", red, json!({"description": "The first"}));
    franchise.settle().await;
    assert_eq!(sim.one(*kazan, "variant", "red")["description"], "The first");
}

#[tokio::test]
async fn variants_come_back_with_a_product_that_the_child_had_deleted() {
    let franchise = Franchise::start().await;
    let Franchise { sim, children: [kazan, _], .. } = &franchise;
    let product = kettle(&franchise).await;
    for (colour, own) in [("red", &[][..]), ("blue", &[sale_price(&franchise, "Retail", "700", "RUB")])] {
        variant(&franchise, product, colour, own).await;
    }
    // All of it goes by hand, and nobody hears of it.
    franchise.unheard(|| {
        for colour in ["red", "blue"] {
            let id = id_of(&sim.one(*kazan, "variant", colour));
            sim.person(*kazan).delete("variant", id).unwrap();
        }
        sim.delete(*kazan, id_of(&sim.by_external_code(*kazan, "k")));
    });
    franchise.edit(product, json!({"description": "Boils"})).await;
    let own = id_of(&sim.by_external_code(*kazan, "k"));
    for (colour, value) in [("red", "500.0"), ("blue", "700.0")] {
        let variant = sim.one(*kazan, "variant", colour);
        assert_eq!(last_segment(&variant["product"]), own.to_string());
        assert_eq!(shown(&franchise, *kazan, colour), value);
    }
}

#[tokio::test]
async fn answers_that_are_lost_make_no_second_variant_folder_or_bundle() {
    let franchise = Franchise::start_with(&[("WORKER_BACKOFF_SECONDS", "1")]).await;
    let Franchise { sim, main, children: [kazan, _], .. } = &franchise;
    let product = kettle(&franchise).await;
    variant(&franchise, product, "blue", &[]).await;
    // The folder has no syncId, nor has the variant; the bundle has.
    sim.fault(*kazan, Method::POST, Fault::DropAfterCommit);
    sim.create_in(*main, "productfolder", json!({"name": "A", "externalCode": "a"}));
    franchise.settle().await;
    sim.fault(*kazan, Method::POST, Fault::DropAfterCommit);
    let red = variant(&franchise, product, "red", &[]).await;
    sim.fault(*kazan, Method::POST, Fault::DropAfterCommit);
    let parts = json!([{"assortment": reference(sim, "variant", red), "quantity": 1}]);
    sim.create_in(*main, "bundle", json!({"name": "Set", "externalCode": "b", "components": parts}));
    franchise.settle().await;
    for (kind, code) in [("productfolder", "a"), ("variant", "red"), ("bundle", "b")] {
        assert_eq!(count(sim, *kazan, kind, code), 1, "{kind}");
    }
}

#[tokio::test]
async fn a_price_that_was_written_and_could_not_cross_over_afterwards_is_inherited_again() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children, .. } = &franchise;
    let product = kettle(&franchise).await;
    let id = variant(&franchise, product, "red", &[sale_price(&franchise, "Retail", "700", "RUB")]).await;
    let money = |value: &str, currency: &str| {
        let mut price = sale_price(&franchise, "Retail", value, currency);
        price.as_object_mut().unwrap().remove("priceType");
        price
    };
    sim.edit_in(*main, "variant", id, json!({"buyPrice": money("80", "RUB")}));
    franchise.settle().await;
    // Kazan has no dollars: it keeps what it was told last.
    let prices =
        json!({"salePrices": [sale_price(&franchise, "Retail", "9", "USD")], "buyPrice": money("3", "USD")});
    sim.edit_in(*main, "variant", id, prices);
    franchise.settle().await;
    assert_eq!(shown(&franchise, children[0], "red"), "700.0");
    sim.person(*main).inherit_prices(id).unwrap();
    franchise.settle().await;
    for child in children {
        assert_eq!(shown(&franchise, *child, "red"), "500.0");
        let buys = &sim.one(*child, "variant", "red")["buyPrice"];
        assert!(buys.is_null() || buys["value"] == json!(0.0), "{buys}");
    }
}

#[tokio::test]
async fn a_price_whose_write_was_never_answered_is_inherited_again() {
    for fresh in [true, false] {
        let franchise = Franchise::start_with(&[("WORKER_BACKOFF_SECONDS", "600")]).await;
        let Franchise { sim, main, children: [kazan, _], .. } = &franchise;
        let product = kettle(&franchise).await;
        variant(&franchise, product, "blue", &[]).await;
        let own = sale_price(&franchise, "Retail", "700", "RUB");
        // A call is tried three times in one run.
        let lost = |method: Method, times| {
            (0..times).for_each(|_| sim.fault(*kazan, method.clone(), Fault::DropAfterCommit));
        };
        let mut body = coloured(sim, product, "red");
        let id = if fresh {
            lost(Method::POST, 3);
            body["salePrices"] = json!([own]);
            sim.create_in(*main, "variant", body)
        } else {
            let id = sim.create_in(*main, "variant", body);
            franchise.settle().await;
            lost(Method::PUT, 3);
            sim.edit_in(*main, "variant", id, json!({"salePrices": [own]}));
            id
        };
        franchise
            .task_when("the lost answer", *kazan, |task| task["attempts"] == 1 && !task["error"].is_null())
            .await;
        assert_eq!(shown(&franchise, *kazan, "red"), "700.0");
        franchise.unheard(|| sim.person(*main).inherit_prices(id).unwrap());
        franchise.due_now().await;
        franchise.settle().await;
        assert_eq!(shown(&franchise, *kazan, "red"), "500.0", "made by the lost one: {fresh}");
    }
}
