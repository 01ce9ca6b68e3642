//! The sync log: a row for what became of each change in each child, and the days that add them up.

use super::{Franchise, hook_all, reference, sale_price};
use serde_json::{Value, json};

#[tokio::test]
async fn each_change_has_a_row_with_what_was_written_what_was_not_and_why() {
    let franchise = Franchise::start().await;
    let Franchise { gateway, sim, main, children: [kazan, omsk] } = &franchise;
    hook_all(&franchise);
    let all = ["Retail", "Staff"].map(|name| sale_price(&franchise, name, "5", "RUB"));
    let id = franchise.create(json!({"name": "Kettle", "externalCode": "k", "salePrices": all})).await;
    franchise.edit(id, json!({"salePrices": [sale_price(&franchise, "Retail", "6", "RUB")]})).await;
    franchise.notify(*main, id, "UPDATE", "nothing new").await;
    franchise.settle().await;
    // Kazan has two of the next, so it and its variant wait; and a bundle is of a type that nobody has asked for.
    for name in ["One", "Two"] {
        sim.create(*kazan, json!({"name": name, "externalCode": "p"}));
    }
    let pot = franchise.create(json!({"name": "Pot", "externalCode": "p"})).await;
    sim.person(*main).add_characteristic("Colour").unwrap();
    let variant = sim.create_in(
        *main,
        "variant",
        json!({"product": reference(sim, "product", pot), "externalCode": "red",
            "characteristics": [{"name": "Colour", "value": "red"}]}),
    );
    franchise.settle().await;
    sim.delete(*main, id);
    franchise.settle().await;

    let row = |entry: &Value| ["operation", "strategy"].map(|name| entry[name].as_str().unwrap().to_owned());
    let rows: Vec<[String; 2]> = franchise.log(*kazan, id).await.iter().map(row).collect();
    let expected =
        [["archived", "base"], ["no change", "skipped"], ["updated", "prices"], ["created", "full"]];
    assert_eq!(rows, expected);
    let [archived, unchanged, updated, created] = &franchise.log(*kazan, id).await[..] else {
        panic!("four")
    };
    let lacks = json!(["1 sale price of a type that the child lacks"]);
    assert_eq!((&created["received"], &created["skipped"]), (&Value::Null, &lacks));
    assert!(created["applied"].as_array().unwrap().contains(&json!("salePrices")), "{created}");
    assert_eq!((&updated["received"], &updated["applied"]), (&json!(["salePrices"]), &json!(["salePrices"])));
    assert_eq!((&unchanged["applied"], &archived["applied"]), (&json!([]), &json!(["archived"])));
    for entry in [archived, unchanged, updated, created] {
        assert_eq!((&entry["main_account"], &entry["child_account"]), (&json!(main), &json!(kazan)));
        assert_eq!((&entry["entity_type"], &entry["error"]), (&json!("product"), &Value::Null));
        assert!(entry["task_id"].is_string() && entry["event_id"].is_string(), "{entry}");
        assert!(
            entry["calls"].as_f64().unwrap() >= 1.0 && entry["duration_ms"].as_i64().unwrap() >= 0,
            "{entry}"
        );
    }
    // One read of main, one write; what the accounts call things is known from the first run.
    assert_eq!(updated["calls"], json!(2.0), "{updated}");
    assert_eq!(updated["child_id"], sim.by_external_code(*kazan, "k")["id"]);

    let failed = franchise.log(*kazan, pot).await.remove(0);
    assert_eq!(row(&failed), ["failed", "skipped"]);
    assert!(failed["error"].as_str().unwrap().starts_with("conflict: "), "{failed}");
    let blocked = franchise.log(*kazan, variant).await.remove(0);
    assert_eq!(row(&blocked), ["blocked", "skipped"]);
    let text = gateway.admin_get("/api/v1/sync-log?limit=200").await.to_string();
    assert!(!text.contains("Kettle") && !text.contains("Pot"), "no content");

    for (child, failures) in [(kazan, true), (omsk, false)] {
        let log = gateway.admin_get(&format!("/api/v1/sync-log?account={child}&limit=200")).await;
        let entries = log["items"].as_array().unwrap();
        let days = gateway.admin_get(&format!("/api/v1/sync-log/daily?account={child}")).await;
        let days = days.as_array().unwrap();
        let sum = |name: &str| days.iter().map(|day| day[name].as_f64().unwrap()).sum::<f64>();
        let number = |count: usize| f64::from(u32::try_from(count).unwrap());
        let of = |wanted: &dyn Fn(&&Value) -> bool| number(entries.iter().filter(wanted).count());
        assert!((sum("changes") - number(entries.len())).abs() < 0.1, "{days:?}");
        assert!((sum("failed") - of(&|entry| !entry["error"].is_null())).abs() < 0.1, "{days:?}");
        let written = of(&|entry| entry["error"].is_null() && entry["strategy"] != "skipped");
        assert!((sum("written") - written).abs() < 0.1, "{days:?}");
        let calls: f64 = entries.iter().map(|entry| entry["calls"].as_f64().unwrap()).sum();
        assert!((sum("calls") - calls).abs() < 0.001, "{days:?}");
        assert_eq!(sum("failed") > 0.0, failures);
        assert!(
            days.iter().all(|day| day["child_account"] == json!(child) && day["main_account"] == json!(main))
        );
    }
}
