//! Limits, failures and dead tokens: what concerns one account does not concern another.

use super::{Franchise, MAIN_TOKEN, ORIGIN, account_path, hook_url, id_of};
use crate::support::moysklad::Fault;
use crate::support::wait;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

#[tokio::test]
async fn a_slow_child_holds_nobody() {
    let franchise = Franchise::start_with(&[("WORKER_CONCURRENCY", "8")]).await;
    let Franchise { sim, main, children: [slow, quick], .. } = &franchise;
    // One product takes it three calls of 15 s, and there are more products than workers.
    sim.latency(*slow, Duration::from_secs(15));
    for number in 0..12 {
        sim.create(*main, json!({"name": format!("Kettle {number}"), "externalCode": format!("k{number}")}));
    }
    sim.products_when("the quick child to have all", *quick, |products| products.len() == 12).await;
    assert!(sim.products(*slow).is_empty(), "the quick child had to wait for the slow one");
    assert!(sim.peak_in_flight(*slow) <= 5, "{}", sim.peak_in_flight(*slow));
}

#[tokio::test]
async fn a_child_that_answers_nothing_but_errors_holds_nobody_and_catches_up() {
    let franchise = Franchise::start_with(&[("WORKER_MAX_ATTEMPTS", "20")]).await;
    let Franchise { sim, main, children: [sick, well], .. } = &franchise;
    for _ in 0..4 {
        sim.fault(*sick, Method::GET, Fault::Status(503, 1074));
    }
    sim.create(*main, json!({"name": "Kettle", "externalCode": "k"}));
    sim.products_when("the well child to have it", *well, |products| products.len() == 1).await;
    sim.products_when("the sick child to have it", *sick, |products| products.len() == 1).await;
}

#[tokio::test]
async fn a_rate_limit_is_honoured_to_the_millisecond_and_everything_arrives() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children: [slow, _], .. } = &franchise;
    // Three requests in three seconds, where the gateway believes in forty-five.
    sim.request_weight(*slow, 15);
    for number in 0..3 {
        sim.create(*main, json!({"name": format!("Kettle {number}"), "externalCode": format!("k{number}")}));
    }
    sim.products_when("all to arrive", *slow, |products| products.len() == 3).await;
    franchise.settle().await;
    let (served, refused) = (sim.requests(*slow).len(), sim.refused(*slow, 429));
    assert!(refused > 0, "the limit was never reached");
    assert!(refused <= 5 * served.div_ceil(3), "{refused} refusals for {served} requests");
    for task in franchise.tasks(*slow).await {
        assert!(task["attempts"].as_i64().unwrap() <= 1, "waiting is no attempt: {task}");
    }
}

#[tokio::test]
async fn the_published_rate_is_never_exceeded() {
    let franchise = Franchise::start_with(&[("MOYSKLAD_REQUEST_WEIGHT", "3")]).await;
    let Franchise { sim, main, children, .. } = &franchise;
    for account in [*main, children[0], children[1]] {
        sim.request_weight(account, 3);
    }
    for number in 0..8 {
        sim.create(*main, json!({"name": format!("Kettle {number}"), "externalCode": format!("k{number}")}));
    }
    for child in children {
        sim.products_when("all to arrive", *child, |products| products.len() == 8).await;
    }
    for account in [*main, children[0], children[1]] {
        assert_eq!(sim.refused(account, 429), 0);
        assert!(sim.peak_in_flight(account) <= 5);
    }
}

#[tokio::test]
async fn a_dead_token_suspends_its_account_alone_and_a_new_one_resumes_it() {
    let franchise = Franchise::start().await;
    let Franchise { gateway, sim, main, children: [dead, alive] } = &franchise;
    let id = franchise.create(json!({"name": "Kettle", "externalCode": "k"})).await;
    sim.kill_token(*dead);
    sim.edit(*main, id, json!({"name": "Teapot"}));
    sim.products_when("the other child to follow", *alive, |products| products[0]["name"] == "Teapot").await;
    let task = franchise.task_when("the task to wait", *dead, |task| !task["error"].is_null()).await;
    assert_eq!(task["status"], "received");
    assert!(task["error"].as_str().unwrap().contains("is suspended: MoySklad refused its token"), "{task}");
    assert!(task["next_attempt_at"].is_string());
    let account = gateway.admin_get(&account_path(*dead)).await;
    assert_eq!(account["status"], "suspended");
    assert_eq!(gateway.admin_get(&account_path(*alive)).await["status"], "active");
    assert_eq!(sim.refused(*dead, 401), 1, "the first refusal stops its queue");

    // Suspended, its tasks wait, and it gets no request.
    sim.create(*main, json!({"name": "Meanwhile", "externalCode": "m"}));
    sim.products_when("the other child to go on", *alive, |products| products.len() == 2).await;
    let blocked = gateway.admin_get("/api/v1/sync-queue?status=blocked").await;
    assert_eq!(blocked["items"][0]["account_id"], dead.to_string());
    assert_eq!(sim.refused(*dead, 401), 1);

    sim.set_token(*dead, "kazan-canary-new-9");
    let body = json!({
        "name": "Kazan", "role": "child", "parent_account_id": main, "access_token": "kazan-canary-new-9",
    });
    let (status, account) = gateway.admin("PUT", &account_path(*dead), &body).await;
    assert_eq!((status, account["status"].as_str()), (200, Some("active")));
    sim.products_when("it to catch up", *dead, |products| {
        products.len() == 2 && products.iter().any(|product| product["name"] == "Teapot")
    })
    .await;
}

#[tokio::test]
async fn a_dead_token_of_main_stops_its_family_and_keeps_the_work() {
    let franchise = Franchise::start().await;
    let Franchise { gateway, sim, main, children } = &franchise;
    sim.kill_token(*main);
    sim.create(*main, json!({"name": "Kettle", "externalCode": "k"}));
    for child in children {
        let task = franchise.task_when("the task to wait", *child, |task| !task["error"].is_null()).await;
        assert!(task["error"].as_str().unwrap().contains(&format!("account {main} is suspended")), "{task}");
        assert_eq!(gateway.admin_get(&account_path(*child)).await["status"], "active");
    }
    assert!((1..=2).contains(&sim.refused(*main, 401)), "{}", sim.refused(*main, 401));
    sim.set_token(*main, MAIN_TOKEN);
    let body = json!({"name": "Head office", "role": "main", "status": "active"});
    assert_eq!(gateway.admin("PUT", &account_path(*main), &body).await.0, 200);
    for child in children {
        sim.products_when("the work to be done", *child, |products| products.len() == 1).await;
    }
}

#[tokio::test]
async fn a_refused_field_fails_with_its_code_and_is_not_tried_again() {
    let franchise = Franchise::start().await;
    let Franchise { sim, children: [kazan, omsk], .. } = &franchise;
    sim.unique_codes(*kazan);
    sim.create(*kazan, json!({"name": "Own", "code": "17", "externalCode": "own"}));
    franchise.create(json!({"name": "Kettle", "code": "17", "externalCode": "k"})).await;
    let task = franchise.tasks(*kazan).await.remove(0);
    assert_eq!((task["status"].as_str(), task["attempts"].as_i64()), (Some("failed"), Some(1)));
    assert!(task["error"].as_str().unwrap().contains("code 3006"), "{task}");
    assert_eq!(sim.by_external_code(*omsk, "k")["code"], "17");
}

#[tokio::test]
async fn work_survives_a_sigkill_and_is_done_once() {
    let mut franchise = Franchise::start().await;
    let [kazan, _] = franchise.children;
    franchise.sim.latency(kazan, Duration::from_millis(400));
    franchise.sim.create(franchise.main, json!({"name": "Kettle", "externalCode": "k"}));
    franchise.task_when("the task to run", kazan, |task| task["status"] == "processing").await;
    franchise.gateway.kill();
    franchise.gateway.restart();
    franchise.sim.resolve(super::ORIGIN, &franchise.gateway.base);
    franchise.settle().await;
    assert_eq!(franchise.sim.by_external_code(kazan, "k")["name"], "Kettle");
    assert_eq!(franchise.sim.products(kazan).len(), 1);
}

#[tokio::test]
async fn a_token_of_another_account_stops_its_account_and_archives_nothing() {
    let franchise = Franchise::start().await;
    let Franchise { gateway, sim, main, children: [kazan, _] } = &franchise;
    let id = franchise.create(json!({"name": "Kettle", "externalCode": "k"})).await;
    let stranger = sim.account("stranger-canary-90b1", &["Retail"], &["RUB"]);
    sim.create(stranger, json!({"name": "Theirs", "externalCode": "theirs"}));
    let put = async |token: &str| {
        let body = json!({"name": "Head office", "role": "main", "access_token": token});
        assert_eq!(gateway.admin("PUT", &account_path(*main), &body).await.0, 200);
    };
    let main_id = main.to_string();
    let commands: [&[&str]; 2] =
        [&["sync", "full", "--account", &main_id], &["webhook", "setup", "--account", &main_id]];
    for command in commands {
        put("stranger-canary-90b1").await;
        let done = gateway.command(command);
        let text =
            format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert!(!done.status.success() && text.contains(&format!("is that of account {stranger}")), "{text}");
        assert_eq!(gateway.admin_get(&account_path(*main)).await["status"], "suspended");
    }
    assert_eq!(sim.products(*kazan).len(), 1);
    put(MAIN_TOKEN).await;
    franchise.edit(id, json!({"name": "Teapot"})).await;
    assert_eq!(sim.by_external_code(*kazan, "k")["name"], "Teapot");
}

#[tokio::test]
async fn goods_that_main_does_not_show_any_more_are_archived_only_if_somebody_says_that_they_are_deleted() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children: [kazan, _], .. } = &franchise;
    let many: Vec<Value> =
        (0..25).map(|n| json!({"name": format!("P{n}"), "externalCode": format!("p{n}")})).collect();
    let ids = sim.person(*main).create_many("product", &many).unwrap();
    franchise.settle().await;
    franchise.unheard(|| sim.person(*main).delete_many("product", &ids).unwrap());
    let archived = || sim.products(*kazan).iter().filter(|one| one["archived"] == true).count();
    tell(&franchise, "UPDATE", &ids, "update").await;
    assert_eq!(archived(), 0);
    let error = franchise.tasks(*kazan).await[0]["error"].as_str().unwrap().to_owned();
    assert!(error.contains("main does not show 25 of 25 products"), "{error}");
    tell(&franchise, "DELETE", &ids, "delete").await;
    assert_eq!(archived(), 25);
}

/// One notification about these products of main, for one run of each child.
async fn tell(franchise: &Franchise, action: &str, ids: &[Uuid], request_id: &str) {
    let event = |id: &Uuid| {
        let href = format!("{}/entity/product/{id}", franchise.sim.base);
        json!({"meta": {"type": "product", "href": href}, "action": action, "accountId": franchise.main})
    };
    let body = json!({"events": ids.iter().map(event).collect::<Vec<Value>>()}).to_string();
    let path = format!("{}&requestId={request_id}", hook_url().replace(ORIGIN, ""));
    let post = franchise.gateway.http.post(franchise.gateway.url(&path)).body(body);
    let reply = franchise.gathered(async || post.send().await.unwrap()).await;
    assert_eq!(reply.status(), 200);
    franchise.settle().await;
}

#[tokio::test]
async fn goods_that_main_does_not_show_stay_also_when_news_of_them_come_in_portions() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children: [kazan, _], .. } = &franchise;
    let many: Vec<Value> =
        (0..45).map(|n| json!({"name": format!("P{n}"), "externalCode": format!("p{n}")})).collect();
    let ids = sim.person(*main).create_many("product", &many).unwrap();
    franchise.settle().await;
    let archived = || sim.products(*kazan).iter().filter(|one| one["archived"] == true).count();
    // A few are gone for certain: main shows the others.
    franchise.unheard(|| sim.person(*main).delete_many("product", &ids[..5]).unwrap());
    tell(&franchise, "UPDATE", &ids[..5], "few").await;
    assert_eq!(archived(), 5);
    franchise.unheard(|| sim.person(*main).delete_many("product", &ids[5..]).unwrap());
    for (n, portion) in ids[5..].chunks(20).enumerate() {
        tell(&franchise, "UPDATE", portion, &format!("portion {n}")).await;
        assert_eq!(archived(), 5, "portion {n}");
        let error = franchise.tasks(*kazan).await[0]["error"].as_str().unwrap().to_owned();
        assert!(error.contains("main does not show 40 of 40 products"), "{error}");
    }
}

#[tokio::test]
async fn one_that_fails_again_and_again_keeps_no_other_waiting() {
    let franchise =
        Franchise::start_with(&[("WORKER_BACKOFF_SECONDS", "1"), ("WORKER_MAX_ATTEMPTS", "20")]).await;
    let Franchise { sim, main, children: [kazan, _], .. } = &franchise;
    let codes = ["a", "b", "c"];
    let goods = codes.map(|code| json!({"name": code, "externalCode": code}));
    let ids = sim.person(*main).create_many("product", &goods).unwrap();
    franchise.settle().await;
    let own = id_of(&sim.by_external_code(*kazan, "b")).to_string();
    sim.contended(*kazan, Some(&own));
    for (id, code) in ids.iter().zip(codes) {
        sim.edit(*main, *id, json!({"name": format!("{code} anew")}));
    }
    let name = |code: &str| sim.by_external_code(*kazan, code)["name"].clone();
    wait::until("the others to be written", Duration::from_secs(60), || async {
        (name("a") == "a anew" && name("c") == "c anew").then_some(())
    })
    .await;
    let list = format!("/api/v1/sync-changes?account={kazan}&status=waiting");
    wait::until("the one to wait, visibly", Duration::from_secs(60), || async {
        let page = franchise.gateway.admin_get(&list).await;
        let [one] = page["items"].as_array().unwrap().as_slice() else { return None };
        (one["main_id"] == json!(ids[1]) && one["error"].as_str()?.contains("code 1065")).then_some(())
    })
    .await;
    // And keeps none waiting that comes later.
    franchise.sim.edit(*main, ids[0], json!({"name": "a once more"}));
    wait::until("a later change", Duration::from_secs(30), || async {
        (name("a") == "a once more").then_some(())
    })
    .await;
    sim.contended(*kazan, None);
    wait::until("the one to come by itself", Duration::from_secs(60), || async {
        (name("b") == "b anew").then_some(())
    })
    .await;
}
