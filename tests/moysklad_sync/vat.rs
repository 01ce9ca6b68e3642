//! Value-added tax: as in main, the child's own affair, or none at all.

use super::{Franchise, id_of, set_catalog};
use serde_json::{Value, json};

/// Rate, whether there is one, whether it is the folder's.
fn vat(product: &Value) -> [Value; 3] {
    ["vat", "vatEnabled", "useParentVat"].map(|name| product[name].clone())
}

#[tokio::test]
async fn copied_it_is_mains_in_every_form() {
    let franchise = Franchise::start().await;
    let Franchise { sim, children: [kazan, _], .. } = &franchise;
    let id = franchise.create(json!({"name": "Kettle", "externalCode": "k"})).await;
    let own = |rate: i64, enabled: bool| json!({"vat": rate, "vatEnabled": enabled, "useParentVat": false});
    for (changes, expected) in [
        // Without VAT is not 0 %.
        (own(0, false), [json!(0), json!(false), json!(false)]),
        (own(0, true), [json!(0), json!(true), json!(false)]),
        (own(20, true), [json!(20), json!(true), json!(false)]),
        (own(0, false), [json!(0), json!(false), json!(false)]),
        (own(10, true), [json!(10), json!(true), json!(false)]),
    ] {
        franchise.edit(id, changes.clone()).await;
        assert_eq!(vat(&sim.by_external_code(*kazan, "k")), expected, "{changes}");
    }
    franchise.edit(id, json!({"useParentVat": true})).await;
    assert_eq!(sim.by_external_code(*kazan, "k")["useParentVat"], true);
    // Made so at once, too.
    for (n, changes) in
        [own(0, false), own(0, true), own(20, true), json!({"useParentVat": true})].iter().enumerate()
    {
        let mut product = json!({"name": "Pot", "externalCode": format!("p{n}")});
        for (name, value) in changes.as_object().unwrap() {
            product[name] = value.clone();
        }
        franchise.create(product).await;
        let shown = sim.by_external_code(*kazan, &format!("p{n}"));
        for (name, value) in changes.as_object().unwrap() {
            assert_eq!(shown[name], *value, "{changes}");
        }
    }
}

#[tokio::test]
async fn left_it_is_the_childs_affair_and_without_it_there_is_none() {
    let franchise = Franchise::start().await;
    let Franchise { sim, children: [kazan, omsk], .. } = &franchise;
    set_catalog(&franchise, *kazan, json!({"vat": "leave"})).await;
    set_catalog(&franchise, *omsk, json!({"vat": "without"})).await;
    let twenty =
        json!({"name": "Kettle", "externalCode": "k", "vat": 20, "vatEnabled": true, "useParentVat": false});
    let id = franchise.create(twenty).await;
    let none = [json!(0), json!(false), json!(false)];
    assert_eq!(vat(&sim.by_external_code(*omsk, "k")), none);
    let created = &sim.writes(*kazan)[0].body;
    for field in ["vat", "vatEnabled", "useParentVat"] {
        assert!(created.get(field).is_none(), "{created}");
    }
    let in_kazan = id_of(&sim.by_external_code(*kazan, "k"));
    sim.edit(*kazan, in_kazan, json!({"vat": 5, "vatEnabled": true, "useParentVat": false}));
    let writes = [kazan, omsk].map(|child| sim.writes(*child).len());
    franchise.edit(id, json!({"vat": 10})).await;
    assert_eq!([kazan, omsk].map(|child| sim.writes(*child).len()), writes);
    franchise.edit(id, json!({"name": "Teapot", "vat": 7})).await;
    assert_eq!(vat(&sim.by_external_code(*kazan, "k")), [json!(5), json!(true), json!(false)]);
    assert_eq!(vat(&sim.by_external_code(*omsk, "k")), none);
    assert_eq!(sim.by_external_code(*omsk, "k")["name"], "Teapot");
}
