//! Products, folders, variants, bundles, attributes, pictures: what merges, what replaces, what is refused.

use super::{Api, api};
use serde_json::{Value, json};
use uuid::Uuid;

#[tokio::test]
async fn prices_and_attributes_merge_while_barcodes_replace() {
    let api = api();
    let (retail, staff) =
        (api.sim.price_type(api.account, "Retail"), api.sim.price_type(api.account, "Staff"));
    let price = |id: Uuid, value: i64| json!({"value": value, "priceType": api.sim.reference(api.account, "pricetype", id)});
    let person = api.sim.person(api.account);
    let text = person.add_attribute("product", &json!({"name": "Brand", "type": "string"})).unwrap();
    let (dictionary, elements) = person.add_dictionary("Colours", &["red", "blue"]).unwrap();
    let meta = format!("{}/context/companysettings/metadata/customEntities/{dictionary}", api.sim.base);
    let colour = json!({"name": "Colour", "type": "customentity", "customEntityMeta": {"href": meta, "type": "customentitymetadata"}});
    let colour = person.add_attribute("product", &colour).unwrap();
    let attribute = |id: Uuid, value: Value| {
        let mut sent = api.sim.attribute_reference("product", id);
        sent["value"] = value;
        sent
    };
    let red = api.sim.reference(api.account, "customentity", elements[0]);
    let id = api
        .create(
            "product",
            json!({
                "name": "Kettle", "barcodes": [{"ean13": "2000000000015"}, {"code128": "K"}],
                "salePrices": [price(retail, 100), price(staff, 50)],
                "attributes": [attribute(text, "Bork".into()), attribute(colour, red)],
            }),
        )
        .await;
    let shown = api
        .put(
            "product",
            id,
            json!({
                "salePrices": [price(staff, 60)], "barcodes": [{"ean13": "2000000000022"}],
                "attributes": [attribute(text, Value::Null)],
            }),
        )
        .await;
    let value = |index: usize| shown["salePrices"][index]["value"].to_string();
    assert_eq!((value(0), value(1)), ("100.0".to_owned(), "60.0".to_owned()));
    assert_eq!(shown["salePrices"][1]["priceType"]["name"], "Staff");
    assert_eq!(shown["barcodes"], json!([{"ean13": "2000000000022"}]));
    assert_eq!(shown["attributes"].as_array().unwrap().len(), 1);
    assert_eq!(shown["attributes"][0]["name"], "Colour");
    assert_eq!(shown["attributes"][0]["value"]["name"], "red");
    assert_eq!(
        api.refused("product", json!({"name": "x", "attributes": [attribute(text, 5.into())]})).await,
        (412, 2016)
    );
    let foreign = person.add_attribute("customerorder", &json!({"name": "Note", "type": "string"})).unwrap();
    let body = json!({"name": "x", "attributes": [attribute(foreign, "n".into())]});
    assert_eq!(api.refused("product", body).await, (412, 14000));
    person.add_attribute("product", &json!({"name": "Must", "type": "string", "required": true})).unwrap();
    assert_eq!(api.refused("product", json!({"name": "x"})).await, (412, 3000));
}

#[tokio::test]
async fn folders_make_paths_and_no_circles() {
    let api = api();
    let a = api.create("productfolder", json!({"name": "A"})).await;
    let b =
        api.create("productfolder", json!({"name": "B", "productFolder": api.at("productfolder", a)})).await;
    let c =
        api.create("productfolder", json!({"name": "C", "productFolder": api.at("productfolder", b)})).await;
    let kettle =
        api.create("product", json!({"name": "Kettle", "productFolder": api.at("productfolder", c)})).await;
    let shown = api.get(&format!("/entity/product/{kettle}?expand=productFolder")).await;
    assert_eq!(shown["pathName"], "A/B/C");
    assert_eq!(
        (&shown["productFolder"]["name"], &shown["productFolder"]["pathName"]),
        (&json!("C"), &json!("A/B"))
    );
    let circle = json!({"productFolder": api.at("productfolder", c)});
    assert_eq!(api.send("PUT", &format!("/entity/productfolder/{a}"), &circle).await.code(), (412, 23001));
    let in_use = api.send("DELETE", &format!("/entity/productfolder/{c}"), &Value::Null).await;
    assert_eq!(in_use.code(), (409, 1028));
    assert!(
        in_use.body["errors"][0]["dependencies"][0]["href"].as_str().unwrap().ends_with(&kettle.to_string())
    );
    let gone = api.send("DELETE", &format!("/entity/product/{kettle}"), &Value::Null).await;
    assert_eq!((gone.status, gone.body), (200, Value::Null));
    let again = api.send("DELETE", &format!("/entity/product/{kettle}"), &Value::Null).await;
    assert_eq!((again.status, again.body), (404, Value::Null), "an empty 404");
}

#[tokio::test]
async fn variants_inherit_prices_and_are_told_apart_by_their_characteristics() {
    let api = api();
    let retail = api.sim.reference(api.account, "pricetype", api.sim.price_type(api.account, "Retail"));
    let product = api
        .create("product", json!({"name": "Shirt", "salePrices": [{"value": 700, "priceType": retail}]}))
        .await;
    let path = "/entity/variant/metadata/characteristics";
    let size = api.send("POST", path, &json!({"name": "Size"})).await.body["id"].clone();
    assert_eq!(api.send("POST", path, &json!({"name": "Size"})).await.code(), (412, 10002));
    assert_eq!(api.get(path).await["characteristics"][0]["name"], "Size");
    let variant = |value: &str| json!({"product": api.at("product", product), "characteristics": [{"id": size, "value": value}]});
    let large = api.create("variant", variant("L")).await;
    let shown = api.get(&format!("/entity/variant/{large}")).await;
    assert_eq!(shown["name"], "Shirt (L)");
    assert_eq!(shown["salePrices"][0]["value"].to_string(), "700.0", "the product's");
    assert_eq!(api.refused("variant", variant("L")).await, (412, 15000));
    let mut stale = variant("M");
    stale["characteristics"][0]["id"] = Uuid::new_v4().to_string().into();
    assert_eq!(api.refused("variant", stale).await, (412, 10001));
    let unknown = json!({"product": api.at("product", product), "characteristics": [{"name": "Colour", "value": "red"}]});
    assert_eq!(api.refused("variant", unknown).await, (412, 10001));
    assert_eq!(api.get(&format!("/entity/product/{product}")).await["variantsCount"], 1);
    let found = api.list("variant", &format!("productid={product}")).await;
    assert_eq!(found["rows"][0]["id"], large.to_string());
}

#[tokio::test]
async fn bundles_have_components_and_a_barcode_of_their_own() {
    let api = api();
    let (tea, cup) = (
        api.create("product", json!({"name": "Tea"})).await,
        api.create("product", json!({"name": "Cup"})).await,
    );
    let part = |id: Uuid, quantity: i64| json!({"assortment": api.at("product", id), "quantity": quantity});
    assert_eq!(api.refused("bundle", json!({"name": "Set"})).await, (412, 29000));
    assert_eq!(
        api.refused("bundle", json!({"name": "Set", "components": [part(tea, 1), part(tea, 2)]})).await,
        (412, 29002)
    );
    let set = api.create("bundle", json!({"name": "Set", "components": [part(tea, 1)]})).await;
    let shown = api.get(&format!("/entity/bundle/{set}")).await;
    assert_eq!(shown["barcodes"][0]["ean13"].as_str().unwrap().len(), 13);
    assert_eq!(shown["components"]["meta"]["size"], 1);
    assert!(shown["components"].get("rows").is_none());
    api.put("bundle", set, json!({"components": [part(cup, 2)]})).await;
    let shown = api.get(&format!("/entity/bundle/{set}?expand=components.assortment")).await;
    let rows = shown["components"]["rows"].as_array().unwrap();
    let names: Vec<_> = rows.iter().map(|row| row["assortment"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Tea", "Cup"], "components are merged");
    let component = rows[0]["id"].as_str().unwrap();
    let gone =
        api.send("DELETE", &format!("/entity/bundle/{set}/components/{component}"), &Value::Null).await;
    assert_eq!(gone.status, 200);
    assert_eq!(
        api.get(&format!("/entity/bundle/{set}/components")).await["rows"].as_array().unwrap().len(),
        1
    );
    let nested =
        json!({"name": "Set of sets", "components": [{"assortment": api.at("bundle", set), "quantity": 1}]});
    assert_eq!(api.refused("bundle", nested).await, (412, 29003));
}

#[tokio::test]
async fn a_picture_is_downloaded_through_a_link_without_a_token() {
    let api = api();
    let id = api.create("product", json!({"name": "Kettle"})).await;
    let path = format!("/entity/product/{id}/images");
    // The first bytes of a png.
    let body = json!({"filename": "kettle.png", "content": "iVBORw0KGgo="});
    let first = api.send("POST", &path, &body).await.body;
    let second = api.send("POST", &path, &body).await.body;
    assert_eq!(second.as_array().unwrap().len(), 2);
    assert_eq!(second[0]["meta"]["href"], second[1]["meta"]["href"], "the same picture has one id");
    let href = first[0]["meta"]["downloadHref"].as_str().unwrap();
    let plain = reqwest::Client::builder()
        .no_proxy()
        .gzip(true)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let reply = plain.get(href).bearer_auth(super::TOKEN).send().await.unwrap();
    assert_eq!(reply.status().as_u16(), 302);
    let location = reply.headers()["location"].to_str().unwrap().to_owned();
    assert!(!href.starts_with(&location[..20]), "contents are at another host: {location}");
    let content = plain.get(&location).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(&content[..], b"\x89PNG\r\n\x1a\n");
    let reply = plain.get(&location).bearer_auth(super::TOKEN).send().await.unwrap();
    assert_eq!(reply.status().as_u16(), 400);
    assert!(api.sim.take_violations()[0].contains("a token was sent to the host of contents"));
    api.sim.dead_links(1);
    let reply = plain.get(href).bearer_auth(super::TOKEN).send().await.unwrap();
    let location = reply.headers()["location"].to_str().unwrap().to_owned();
    assert_eq!(plain.get(location).send().await.unwrap().status().as_u16(), 403);
    let shown = api.get(&format!("/entity/product/{id}?expand=images")).await;
    assert_eq!(
        (&shown["images"]["rows"][0]["filename"], &shown["images"]["rows"][0]["size"]),
        (&json!("kettle.png"), &json!(8))
    );
    let gone = api
        .send(
            "DELETE",
            first[0]["meta"]["href"].as_str().unwrap().strip_prefix(&api.sim.base).unwrap(),
            &Value::Null,
        )
        .await;
    assert_eq!(gone.status, 200);
    assert_eq!(api.get(&path).await["rows"].as_array().unwrap().len(), 1, "only the first with this id");
    api.put("product", id, json!({"images": []})).await;
    assert_eq!(api.get(&path).await["rows"], json!([]));
}

#[tokio::test]
async fn pictures_have_limits_and_their_list_is_replaced_as_a_whole() {
    let api = api();
    let id = api.create("product", json!({"name": "Kettle"})).await;
    let path = format!("/entity/product/{id}/images");
    let post = async |body: Value| {
        let reply = api.send("POST", &path, &body).await;
        (reply.status, reply.body["errors"][0]["code"].as_u64().unwrap_or_default())
    };
    let png = "iVBORw0KGgo=";
    assert_eq!(post(json!({"filename": "a.png"})).await, (412, 51001));
    assert_eq!(post(json!({"filename": "a.png", "content": "aGVsbG8="})).await, (412, 51002));
    assert_eq!(post(json!({"content": png})).await, (412, 51005));
    api.sim.rules(api.account, |rules| rules.most_image_bytes = 7);
    assert_eq!(post(json!({"filename": "a.png", "content": png})).await, (412, 51004));
    api.sim.rules(api.account, |rules| rules.most_image_bytes = 8);
    let many: Vec<Value> = (0..11).map(|n| json!({"filename": format!("{n}.png"), "content": png})).collect();
    assert_eq!(post(many.clone().into()).await, (412, 51006));
    assert_eq!(api.get(&path).await["rows"], json!([]), "nothing of a list that is refused");
    assert_eq!(post(many[..10].into()).await.0, 200);
    assert_eq!(post(many[10].clone()).await, (412, 51006));
    let rows = api.get(&path).await["rows"].as_array().unwrap().clone();
    let list = json!([{"meta": rows[3]["meta"]}, many[10], {"meta": rows[0]["meta"]}]);
    let reply = api.send("POST", &path, &list).await.body;
    let names: Vec<_> = reply.as_array().unwrap().iter().map(|row| row["filename"].clone()).collect();
    assert_eq!(names, ["3.png", "10.png", "0.png"]);
    assert_eq!(post(json!([{"meta": rows[5]["meta"]}])).await, (404, 1021), "it is gone");
}

#[tokio::test]
async fn many_are_written_at_once_and_the_good_ones_stay() {
    let api = api();
    let kettle = api.create("product", json!({"name": "Kettle"})).await;
    let mut change = api.at("product", kettle);
    change["name"] = "Teapot".into();
    let body = json!([{"name": "Cup"}, {"code": "7"}, change, {"name": "Jug", "vatEnabled": true}]);
    let reply = api.send("POST", "/entity/product", &body).await;
    assert_eq!(reply.status, 400);
    assert_eq!(reply.body[0]["name"], "Cup");
    assert_eq!(reply.body[1]["errors"][0]["code"], 3000);
    assert_eq!(reply.body[2]["id"], kettle.to_string());
    assert_eq!(reply.body[3]["errors"][0]["code"], 16010);
    assert_eq!(api.sim.products(api.account).len(), 2);
    api.sim.rules(api.account, |rules| rules.partial_failure_status = 200);
    assert_eq!(api.send("POST", "/entity/product", &json!([{}])).await.status, 200);
    let twice = json!([api.at("product", kettle), api.at("product", kettle)]);
    assert_eq!(api.send("POST", "/entity/product", &twice).await.body[1]["errors"][0]["code"], 3013);
    let many: Vec<Value> = (0..1001).map(|number| json!({"name": number.to_string()})).collect();
    assert_eq!(api.send("POST", "/entity/product", &many.into()).await.code(), (413, 2007));
    let gone = api.send("POST", "/entity/product/delete", &json!([api.at("product", kettle)])).await;
    assert!(gone.body[0]["info"].as_str().unwrap().contains(&kettle.to_string()));
}

#[tokio::test]
async fn lists_are_filtered_paged_and_expanded_as_documented() {
    let api = api();
    let folder = api.create("productfolder", json!({"name": "A"})).await;
    let mut ids = Vec::new();
    for number in 0..5 {
        let body = json!({
            "name": format!("Kettle {number}"), "externalCode": format!("k;{number}"), "archived": number == 4,
            "productFolder": api.at("productfolder", folder),
        });
        ids.push(api.create("product", body).await);
    }
    let names = |page: &Value| -> Vec<String> {
        page["rows"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&api.list("product", "").await).len(), 4, "archived ones hide");
    assert_eq!(names(&api.list("product", "archived=true;archived=false").await).len(), 5);
    assert_eq!(names(&api.list("product", &format!("id={};id={}", ids[4], ids[1])).await).len(), 2);
    assert_eq!(names(&api.list("product", r"externalCode=k\;2").await), ["Kettle 2"]);
    assert_eq!(names(&api.list("product", "name~=kettle 3").await), ["Kettle 3"]);
    assert_eq!(names(&api.list("product", "code=").await).len(), 4, "unset");
    assert_eq!(names(&api.list("product", "updated>=2020-01-01 00:00:00").await).len(), 4);
    assert_eq!(names(&api.list("product", "updated>=2120-01-01 00:00:00").await).len(), 0);
    let href = api.at("productfolder", folder)["meta"]["href"].as_str().unwrap().to_owned();
    assert_eq!(names(&api.list("product", &format!("productFolder={href}")).await).len(), 4);
    for filter in ["nonsense=1", "archived~true", "name=a;name>b", "updated>=soon"] {
        let path = format!("/entity/product?{}", super::query("filter", filter));
        assert_eq!(api.send("GET", &path, &Value::Null).await.status, 412, "{filter}");
    }
    let page = api.get("/entity/product?limit=2&offset=1&order=name,desc").await;
    assert_eq!(names(&page), ["Kettle 2", "Kettle 1"]);
    assert_eq!(page["meta"]["size"], 4);
    let next = api.get(page["meta"]["nextHref"].as_str().unwrap().strip_prefix(&api.sim.base).unwrap()).await;
    assert_eq!(names(&next), ["Kettle 0"]);
    assert!(next["meta"].get("nextHref").is_none());
    let folder_of = |page: &Value| page["rows"][0]["productFolder"]["name"].clone();
    assert_eq!(
        folder_of(&api.get("/entity/product?expand=productFolder").await),
        Value::Null,
        "no limit, no expand"
    );
    assert_eq!(folder_of(&api.get("/entity/product?expand=productFolder&limit=100").await), "A");
    let assortment = api.get(&format!("/entity/assortment?{}", super::query("filter", "type=product"))).await;
    assert_eq!(names(&assortment).len(), 4);
}

#[tokio::test]
async fn ids_of_the_web_interface_lead_to_the_real_ones() {
    let api = api();
    let id = api.create("product", json!({"name": "Kettle"})).await;
    let shown = api.get(&format!("/entity/product/{id}")).await;
    let ui = shown["meta"]["uuidHref"].as_str().unwrap().rsplit('=').next().unwrap().to_owned();
    assert_ne!(ui, id.to_string());
    let plain = reqwest::Client::builder()
        .no_proxy()
        .gzip(true)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let url = format!("{}/entity/product/{ui}", api.sim.base);
    let reply = plain.get(url).bearer_auth(super::TOKEN).send().await.unwrap();
    assert_eq!(reply.status().as_u16(), 308);
    assert_eq!(reply.headers()["location"].to_str().unwrap(), shown["meta"]["href"]);
}

#[tokio::test]
async fn price_types_are_written_as_a_whole_and_settings_fill_in_codes() {
    let api = api();
    let path = "/context/companysettings/pricetype";
    let before = api.get(path).await;
    assert_eq!(before[0]["externalCode"], "cbcf493b-55bc-11d9-848a-00112f43529a");
    let after = api.send("POST", path, &json!([before[0], {"name": "Online"}])).await.body;
    assert_eq!((after.as_array().unwrap().len(), &after[1]["name"]), (2, &json!("Online")));
    assert_eq!(after[0]["id"], before[0]["id"]);
    let settings = json!({"uniqueCodeRules": {"checkUniqueCode": true, "fillUniqueCode": true}});
    api.send("PUT", "/entity/assortment/settings", &settings).await;
    let id = api.create("product", json!({"name": "Kettle"})).await;
    let code = api.get(&format!("/entity/product/{id}")).await["code"].clone();
    assert_eq!(code, "00001");
    assert_eq!(api.refused("product", json!({"name": "x", "code": code})).await, (412, 3006));
}

/// A field that the API does not know is ignored by it, and a mistake of whoever sends it.
#[tokio::test]
async fn an_unknown_field_is_a_violation() {
    let api: Api = api();
    api.create("product", json!({"name": "Kettle", "prise": 1})).await;
    assert!(api.sim.take_violations()[0].contains("no field `prise`"));
}
