//! Cases 19 and 20 of facts/moysklad.md: a receiver that was down, and a token that is dead.

use super::{Person, TOKENS, id, ours, run, shown};
use crate::moysklad_reconcile::{cut_off, join_up};
use crate::moysklad_sync::{Franchise, account_path};
use crate::support::wait;
use diesel::sql_types::{Nullable, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::RunQueryDsl as _;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use uuid::Uuid;

/// Names of the products that are not archived, by external code.
fn shelf(franchise: &Franchise, account: Uuid) -> BTreeMap<String, String> {
    let products = franchise.sim.products(account);
    let shown = products.iter().filter(|product| product["archived"] != true);
    let text = |product: &Value, field: &str| product[field].as_str().unwrap().to_owned();
    shown.map(|product| (text(product, "externalCode"), text(product, "name"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_edits_and_twenty_deletes_of_an_outage_are_caught_up_with() {
    let mut franchise = Franchise::start_with(&[
        ("MOYSKLAD_RECONCILE_MINUTES", "0.05"),
        ("MOYSKLAD_HOOK_CHECK_MINUTES", "0.05"),
    ])
    .await;
    let main = franchise.main;
    assert!(run(&franchise, &["webhook", "setup", "--all"]).0);
    let products: Vec<Value> = (0..520)
        .map(|n| json!({"name": format!("Kettle {n}"), "externalCode": format!("kettle-{n}")}))
        .collect();
    let ids = franchise.sim.person(main).create_many("product", &products).unwrap();
    let equal = async |franchise: &Franchise| {
        wait::until("the children to be as main", Duration::from_secs(180), || async {
            let wanted = shelf(franchise, main);
            franchise.children.iter().all(|child| shelf(franchise, *child) == wanted).then_some(())
        })
        .await;
    };
    equal(&franchise).await;
    franchise.settle().await;

    assert!(franchise.gateway.terminate());
    cut_off(&franchise);
    let person = franchise.sim.person(main);
    let edits: Vec<(Uuid, Value)> =
        ids[..500].iter().enumerate().map(|(n, id)| (*id, json!({"name": format!("Teapot {n}")}))).collect();
    for some in edits.chunks(50) {
        person.update_many("product", some).unwrap();
    }
    person.delete_many("product", &ids[500..]).unwrap();
    let webhooks = Person::new(&franchise, TOKENS[0]);
    let hooks = ours(&webhooks.hooks().await);
    webhooks.add_hook("product", "UPDATE", "https://other.example.com/hook").await;
    webhooks.change_hook(&hooks[0], json!({"enabled": false})).await;
    webhooks.remove_hook(&hooks[1]).await;

    franchise.gateway.restart();
    join_up(&franchise);
    equal(&franchise).await;
    franchise.settle().await;
    assert_eq!(shelf(&franchise, main).len(), 500);
    for child in franchise.children {
        assert_eq!(franchise.sim.products(child).len(), 520, "archived, not deleted, and none made twice");
    }
    wait::until("the webhooks to be mended", Duration::from_secs(20), || async {
        let all = shown(&franchise, main);
        let ours = ours(&all);
        (all.len() == 16 && ours.len() == 15 && ours.iter().all(|hook| hook["enabled"] == true)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_token_costs_one_refusal_whoever_would_use_it() {
    let franchise = Franchise::start_with(&[
        ("MOYSKLAD_RECONCILE_MINUTES", "0.03"),
        ("MOYSKLAD_HOOK_CHECK_MINUTES", "0.03"),
    ])
    .await;
    let [dead, alive] = franchise.children;
    assert!(run(&franchise, &["webhook", "setup", "--all"]).0);
    let product = franchise.create(json!({"name": "Kettle", "externalCode": "kettle"})).await;
    franchise.sim.kill_token(dead);
    wait::until("the account to be suspended", Duration::from_secs(20), || async {
        let account = franchise.gateway.admin_get(&account_path(dead)).await;
        (account["status"] == "suspended").then_some(())
    })
    .await;
    franchise.sim.edit(franchise.main, product, json!({"name": "Teapot"}));
    let name = |account| franchise.sim.by_external_code(account, "kettle")["name"].clone();
    wait::until("the other child to go on", Duration::from_secs(20), || async {
        (name(alive) == "Teapot").then_some(())
    })
    .await;
    let sweeps = || franchise.gateway.log().matches("swept").count();
    let seen = sweeps();
    wait::until("the others to be swept", Duration::from_secs(20), || async {
        (sweeps() >= seen + 4).then_some(())
    })
    .await;
    let refused = franchise.sim.refused(dead, 401);
    assert!(
        (1..=2).contains(&refused),
        "a sweep and a check may have begun together, nothing later: {refused}"
    );
    let (healthy, text) = run(&franchise, &["webhook", "health-check"]);
    assert!(!healthy && text.contains("suspended: MoySklad refused its token; set a new one"), "{text}");
    assert_eq!(franchise.sim.refused(dead, 401), refused);

    franchise.sim.set_token(dead, "kazan-canary-new-9");
    let body = json!({
        "name": "Kazan", "role": "child", "parent_account_id": franchise.main, "access_token": "kazan-canary-new-9",
    });
    assert_eq!(franchise.gateway.admin("PUT", &account_path(dead), &body).await.0, 200);
    wait::until("it to catch up", Duration::from_secs(20), || async {
        (name(dead) == "Teapot").then_some(())
    })
    .await;
    // A sweep that had begun with the dead token may have ended just now.
    wait::until("a sweep with the new token", Duration::from_secs(60), || async {
        trouble(&franchise, dead).await.is_none().then_some(())
    })
    .await;
    let (healthy, text) = run(&franchise, &["webhook", "health-check"]);
    assert!(healthy, "{text}");
    assert!(run(&franchise, &["accounts", "settings", &id(dead)]).0);
}

#[derive(QueryableByName)]
struct Trouble {
    #[diesel(sql_type = Nullable<Text>)]
    last_error: Option<String>,
}

/// What went wrong in the last sweep of this account.
async fn trouble(franchise: &Franchise, account: Uuid) -> Option<String> {
    let query = format!(
        "SELECT last_error FROM moysklad_sweeps WHERE job = 'reconcile' AND account_id = '{account}'"
    );
    let mut conn = franchise.gateway.database.connect().await;
    sql_query(query).get_result::<Trouble>(&mut conn).await.unwrap().last_error
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_sweep_met_before_is_forgotten_with_a_new_token_or_a_new_start() {
    // None but the first sweeps, which are a quarter of an hour away.
    let franchise = Franchise::start().await;
    let kazan = franchise.children[0];
    assert!(run(&franchise, &["webhook", "setup", "--all"]).0);
    let mut conn = franchise.gateway.database.connect().await;
    let met = format!(
        "INSERT INTO moysklad_sweeps (account_id, job, due_at, last_error)
         VALUES ('{kazan}', 'reconcile', now() + interval '1 hour', 'MoySklad refused the token')
         ON CONFLICT (account_id, job) DO UPDATE SET last_error = excluded.last_error"
    );
    let put = async |more: Value| {
        let mut body = json!({"name": "Kazan", "role": "child", "parent_account_id": franchise.main});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(franchise.gateway.admin("PUT", &account_path(kazan), &body).await.0, 200);
    };
    let cases = [
        vec![json!({"access_token": TOKENS[1]})],
        vec![json!({"status": "inactive"}), json!({"status": "active"})],
    ];
    for changes in cases {
        sql_query(&met).execute(&mut conn).await.unwrap();
        put(json!({})).await;
        let (healthy, text) = run(&franchise, &["webhook", "health-check"]);
        assert!(!healthy && text.contains("its last sweep: MoySklad refused the token"), "{text}");
        for change in changes {
            put(change).await;
        }
        let (healthy, text) = run(&franchise, &["webhook", "health-check"]);
        assert!(healthy, "{text}");
    }
}
