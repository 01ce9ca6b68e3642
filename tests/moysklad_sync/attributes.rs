//! Attributes: by name and type, of each type, with elements of dictionaries; those of the child alone stay.

use super::{Franchise, attribute, set_catalog, with_attribute};
use serde_json::{Value, json};
use uuid::Uuid;

/// A new attribute in each account; gives main's.
fn everywhere(franchise: &Franchise, name: &str, kind: &str) -> Uuid {
    let body = json!({"name": name, "type": kind});
    for child in franchise.children {
        franchise.sim.person(child).add_attribute("product", &body).unwrap();
    }
    franchise.sim.person(franchise.main).add_attribute("product", &body).unwrap()
}

/// A dictionary with an attribute of the same name.
fn dictionary(franchise: &Franchise, account: Uuid, name: &str, elements: &[&str]) -> (Uuid, Vec<Uuid>) {
    let person = franchise.sim.person(account);
    let (id, elements) = person.add_dictionary(name, elements).unwrap();
    let href = format!("{}/context/companysettings/metadata/customEntities/{id}", franchise.sim.base);
    let meta = json!({"meta": {"href": href, "type": "customentitymetadata"}});
    let body = json!({"name": name, "type": "customentity", "customEntityMeta": meta});
    (person.add_attribute("product", &body).unwrap(), elements)
}

#[tokio::test]
async fn each_type_of_attribute_crosses_exactly_and_can_be_cleared() {
    let franchise = Franchise::start().await;
    let Franchise { sim, children, .. } = &franchise;
    let values = [
        ("string", json!("Ceramic")),
        ("text", json!("Two\nlines")),
        ("link", json!("https://example.test/k?a=1&b=2")),
        ("boolean", json!(true)),
        ("long", json!(-7)),
        ("double", serde_json::from_str::<Value>("12345678901234567.25").unwrap()),
        ("time", json!("2026-01-23 10:44:00.000")),
    ];
    let mut ids = Vec::new();
    for (kind, _) in &values {
        ids.push(everywhere(&franchise, &format!("A {kind}"), kind));
    }
    let all = ids.iter().zip(&values).map(|(id, (_, value))| with_attribute(sim, *id, value.clone()));
    let all: Vec<Value> = all.collect();
    let id = franchise.create(json!({"name": "Kettle", "externalCode": "k", "attributes": all})).await;
    for child in children {
        let product = sim.by_external_code(*child, "k");
        for (kind, value) in &values {
            assert_eq!(attribute(&product, &format!("A {kind}")).to_string(), value.to_string(), "{kind}");
        }
        assert_eq!(franchise.outcome(*child).await, "created");
    }
    for (index, (kind, _)) in values.iter().enumerate() {
        franchise.edit(id, json!({"attributes": [with_attribute(sim, ids[index], Value::Null)]})).await;
        for child in children {
            let product = sim.by_external_code(*child, "k");
            assert_eq!(attribute(&product, &format!("A {kind}")), Value::Null, "{kind}");
            let left = product["attributes"].as_array().map_or(0, Vec::len);
            assert_eq!(left, values.len() - 1 - index, "only that one");
        }
    }
}

#[tokio::test]
async fn an_element_of_a_dictionary_is_known_by_its_name_or_made() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children: [kazan, omsk], .. } = &franchise;
    let (colour, elements) = dictionary(&franchise, *main, "Colour", &["Red", "Blue; light"]);
    let (_, own) = dictionary(&franchise, *kazan, "Colour", &["Green", "Red"]);
    dictionary(&franchise, *omsk, "Colour", &[]);
    let value = |n: usize| with_attribute(sim, colour, sim.reference(*main, "customentity", elements[n]));
    let id = franchise.create(json!({"name": "Kettle", "externalCode": "k", "attributes": [value(0)]})).await;
    let product = sim.by_external_code(*kazan, "k");
    assert_eq!(super::last_segment(&attribute(&product, "Colour")), own[1].to_string());
    assert_eq!(attribute(&sim.by_external_code(*omsk, "k"), "Colour")["name"], "Red");

    franchise.edit(id, json!({"attributes": [value(1)]})).await;
    // A second one with the same element makes no second element.
    franchise.create(json!({"name": "Pot", "externalCode": "p", "attributes": [value(1)]})).await;
    for child in [kazan, omsk] {
        for code in ["k", "p"] {
            let product = sim.by_external_code(*child, code);
            assert_eq!(attribute(&product, "Colour")["name"], "Blue; light");
        }
        let elements = sim.entities(*child, "customentity");
        assert_eq!(elements.iter().filter(|one| one["name"] == "Blue; light").count(), 1, "{elements:?}");
    }
}

#[tokio::test]
async fn what_has_no_counterpart_is_left_out_and_said() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children: [kazan, omsk], .. } = &franchise;
    let text =
        sim.person(*main).add_attribute("product", &json!({"name": "Colour", "type": "string"})).unwrap();
    let lone =
        sim.person(*main).add_attribute("product", &json!({"name": "Lone", "type": "string"})).unwrap();
    let party = everywhere(&franchise, "Maker", "counterparty");
    // The same name with another type is another attribute.
    dictionary(&franchise, *kazan, "Colour", &["Red"]);
    sim.person(*omsk).add_attribute("product", &json!({"name": "Colour", "type": "string"})).unwrap();
    let maker = sim.create_in(*main, "counterparty", json!({"name": "Works"}));
    let attributes = json!([
        with_attribute(sim, text, json!("Red")),
        with_attribute(sim, lone, json!("x")),
        with_attribute(sim, party, sim.reference(*main, "counterparty", maker)),
    ]);
    franchise.create(json!({"name": "Kettle", "externalCode": "k", "attributes": attributes})).await;
    let lacks = "an attribute that the child lacks under its name and type";
    let refers = "an attribute that refers to something of main alone";
    assert_eq!(franchise.outcome(*kazan).await, format!("created; skipped: {lacks}, {lacks}, {refers}"));
    assert!(sim.by_external_code(*kazan, "k").get("attributes").is_none());
    assert_eq!(franchise.outcome(*omsk).await, format!("created; skipped: {lacks}, {refers}"));
    assert_eq!(attribute(&sim.by_external_code(*omsk, "k"), "Colour"), "Red");
}

#[tokio::test]
async fn the_childs_own_attributes_stay_and_the_allow_list_decides_what_crosses() {
    let franchise = Franchise::start().await;
    let Franchise { sim, children: [kazan, omsk], .. } = &franchise;
    let label = everywhere(&franchise, "Label", "string");
    let secret = everywhere(&franchise, "Margin", "string");
    let own =
        sim.person(*kazan).add_attribute("product", &json!({"name": "Shelf", "type": "string"})).unwrap();
    set_catalog(&franchise, *kazan, json!({"attributes": ["Label"]})).await;
    let value = |id, text: &str| with_attribute(sim, id, json!(text));
    let id = franchise
        .create(json!({"name": "Kettle", "externalCode": "k",
            "attributes": [value(label, "new"), value(secret, "40 %")]}))
        .await;
    assert_eq!(franchise.outcome(*kazan).await, "created", "left out on purpose");
    let in_kazan = super::id_of(&sim.by_external_code(*kazan, "k"));
    sim.edit(*kazan, in_kazan, json!({"attributes": [value(own, "A-4")]}));
    franchise.edit(id, json!({"name": "Teapot", "attributes": [value(label, "old")]})).await;
    let product = sim.by_external_code(*kazan, "k");
    let all = ["Label", "Margin", "Shelf"].map(|name| attribute(&product, name));
    assert_eq!(all, [json!("old"), Value::Null, json!("A-4")]);
    assert_eq!(attribute(&sim.by_external_code(*omsk, "k"), "Margin"), "40 %");

    // No longer on the list: what the child has is its own affair from now on.
    set_catalog(&franchise, *kazan, json!({"attributes": []})).await;
    franchise.edit(id, json!({"name": "Samovar", "attributes": [value(label, "antique")]})).await;
    let product = sim.by_external_code(*kazan, "k");
    assert_eq!((&product["name"], attribute(&product, "Label")), (&json!("Samovar"), json!("old")));
}

#[tokio::test]
async fn an_attribute_that_only_the_child_requires_is_named_with_the_remedy() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children: [kazan, omsk], .. } = &franchise;
    let required = json!({"name": "Origin", "type": "string", "required": true});
    sim.person(*kazan).add_attribute("product", &required).unwrap();
    let id = franchise.create(json!({"name": "Kettle", "externalCode": "k"})).await;
    let task = franchise.tasks(*kazan).await.remove(0);
    assert_eq!((task["status"].as_str(), task["attempts"].as_i64()), (Some("failed"), Some(1)));
    let error = task["error"].as_str().unwrap();
    for part in ["code 3000", "the child requires the attribute “Origin” (string)", "make it optional"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert!(sim.products(*kazan).is_empty());
    assert_eq!(sim.products(*omsk).len(), 1, "the other child is not concerned");

    // The first remedy: main has one, too.
    let origin =
        sim.person(*main).add_attribute("product", &json!({"name": "Origin", "type": "string"})).unwrap();
    franchise.edit(id, json!({"attributes": [with_attribute(sim, origin, json!("Tula"))]})).await;
    assert_eq!(attribute(&sim.by_external_code(*kazan, "k"), "Origin"), "Tula");
}

#[tokio::test]
async fn elements_and_attributes_that_a_child_has_deleted_stop_nothing() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children: [kazan, _], .. } = &franchise;
    let (colour, elements) = dictionary(&franchise, *main, "Colour", &["Red"]);
    dictionary(&franchise, *kazan, "Colour", &[]);
    let label = everywhere(&franchise, "Label", "string");
    let red = with_attribute(sim, colour, sim.reference(*main, "customentity", elements[0]));
    let both = json!([red, with_attribute(sim, label, json!("new"))]);
    let id = franchise.create(json!({"name": "Kettle", "externalCode": "k", "attributes": both})).await;
    // The element that the gateway remembers goes, and with it what refers to it.
    let shown = sim.by_external_code(*kazan, "k");
    let element: Uuid = super::last_segment(&attribute(&shown, "Colour")).parse().unwrap();
    let own = |name: &str| {
        let all = shown["attributes"].as_array().unwrap();
        all.iter().find(|one| one["name"] == name).unwrap()["id"].as_str().unwrap().parse::<Uuid>().unwrap()
    };
    let none = with_attribute(sim, own("Colour"), Value::Null);
    sim.edit(*kazan, super::id_of(&shown), json!({"attributes": [none]}));
    let path = |id: Uuid| format!("/entity/product/metadata/attributes/{id}");
    let dictionary = sim.reference(*kazan, "customentity", element);
    let dictionary = dictionary["meta"]["href"].as_str().unwrap().rsplit('/').nth(1).unwrap().to_owned();
    let by_hand =
        |path: &str| sim.person(*kazan).request(&reqwest::Method::DELETE, path, &Value::Null).unwrap();
    by_hand(&format!("/entity/customentity/{dictionary}/{element}"));
    franchise.create(json!({"name": "Pot", "externalCode": "p", "attributes": [red]})).await;
    assert_eq!(attribute(&sim.by_external_code(*kazan, "p"), "Colour")["name"], "Red");

    // Its own attribute goes, and main empties what it had there.
    by_hand(&path(own("Label")));
    franchise
        .edit(id, json!({"name": "Teapot", "attributes": [with_attribute(sim, label, Value::Null)]}))
        .await;
    let shown = sim.by_external_code(*kazan, "k");
    assert_eq!((&shown["name"], attribute(&shown, "Label")), (&json!("Teapot"), Value::Null));
}
