//! Images of main's goods in its children: brought after everything else, as main has them, and only when they differ.

mod cut_off;
mod weather;

use super::{Franchise, account_path, hook_url, reference};
use crate::support::moysklad::Fault;
use crate::support::wait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use diesel::sql_query;
use diesel_async::RunQueryDsl;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

/// The content of a picture: begins as a png does, and is so many bytes long.
fn picture(mark: u8, bytes: usize) -> Vec<u8> {
    let mut content = b"\x89PNG\r\n\x1a\n".to_vec();
    content.resize(bytes, mark);
    content
}

/// A new image, for bodies that a person sends.
fn image(filename: &str, content: &[u8]) -> Value {
    json!({"filename": filename, "content": STANDARD.encode(content)})
}

/// A small image whose name says what is in it.
pub fn named(name: &str) -> Value {
    image(&format!("{name}.png"), &picture(name.as_bytes()[0], 100))
}

fn kettle(images: &[&str]) -> Value {
    let images: Vec<Value> = images.iter().map(|name| named(name)).collect();
    json!({"name": "Kettle", "externalCode": "k", "images": images})
}

/// File names of the images of the account's product.
fn names(franchise: &Franchise, account: Uuid) -> Vec<String> {
    let product = franchise.sim.by_external_code(account, "k");
    let id = product["id"].as_str().unwrap().parse().unwrap();
    franchise.sim.images(account, id).into_iter().map(|(name, _)| name).collect()
}

/// The images of an entity, by name, to keep them in a list of a person.
fn kept(franchise: &Franchise, account: Uuid, product: Uuid, name: &str) -> Value {
    let shown = franchise.sim.entity(account, product, &["images"]).unwrap();
    let rows = shown["images"]["rows"].as_array().unwrap().clone();
    let found = rows.into_iter().find(|row| row["filename"] == format!("{name}.png")).unwrap();
    json!({"meta": found["meta"]})
}

/// A person makes these the images of a product of main.
async fn put(franchise: &Franchise, product: Uuid, list: Vec<Value>) {
    let path = format!("/entity/product/{product}/images");
    franchise.sim.person(franchise.main).request(&Method::POST, &path, &list.into()).unwrap();
    franchise.settle().await;
}

/// Requests about images so far: of lists, of downloads, and writes of the children.
fn calls(franchise: &Franchise) -> (usize, usize, usize) {
    let of_main = franchise.sim.requests(franchise.main);
    let lists = of_main
        .iter()
        .filter(|request| request.path.ends_with("/images") || request.query.contains("images"))
        .count();
    let downloads = of_main.iter().filter(|request| request.path.starts_with("/download/")).count();
    let writes = franchise.children.map(|child| franchise.sim.writes(child).len());
    (lists, downloads, writes.iter().sum())
}

async fn set(franchise: &Franchise, child: Uuid, settings: Value) {
    let body = json!({
        "name": "Child", "role": "child", "parent_account_id": franchise.main, "settings": settings,
    });
    let (status, reply) = franchise.gateway.admin("PUT", &account_path(child), &body).await;
    assert_eq!(status, 200, "{reply}");
}

/// The newest task of this account that copies images.
async fn task(franchise: &Franchise, account: Uuid) -> Value {
    let tasks = franchise.tasks(account).await;
    tasks.into_iter().find(|task| task["entity_type"] == "images").unwrap()
}

#[tokio::test]
async fn a_new_product_gets_its_images_and_a_second_look_costs_one_read() {
    let franchise = Franchise::start().await;
    let Franchise { gateway, sim, main, children } = &franchise;
    let id = franchise.create(kettle(&["a", "b"])).await;
    for child in children {
        let product = sim.by_external_code(*child, "k")["id"].as_str().unwrap().parse().unwrap();
        let [a, b] = ["a", "b"].map(|name| (format!("{name}.png"), picture(name.as_bytes()[0], 100).into()));
        assert_eq!(sim.images(*child, product), [a, b], "as main has them");
        let log = gateway.admin_get(&format!("/api/v1/sync-log?account={child}&main_id={id}")).await;
        let newest = &log["items"][0];
        assert_eq!((&newest["operation"], &newest["strategy"]), (&json!("images copied"), &json!("images")));
        assert_eq!((&newest["applied"], &newest["skipped"]), (&json!(["images"]), &json!([])));
        let task = task(&franchise, *child).await;
        assert!(task["outcome"].as_str().unwrap().starts_with("images: 1 copied (2 uploaded)"), "{task}");
        assert!(!task.to_string().contains(".png"), "no content");
    }
    let (lists, downloads, writes) = calls(&franchise);
    assert_eq!(
        (lists, downloads),
        (2, 2),
        "each child reads one list, and the images are fetched once for both"
    );

    // Nothing is told of the fields, so images may be meant.
    franchise.notify(*main, id, "UPDATE", "again").await;
    franchise.settle().await;
    assert_eq!(calls(&franchise), (lists + 2, downloads, writes));
    assert!(!gateway.log().contains("/temporary/"), "links to contents are rights to them");
}

#[tokio::test]
async fn what_main_adds_turns_round_and_removes_shows_in_its_children() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children, .. } = &franchise;
    let id = franchise.create(kettle(&["a", "b"])).await;
    let keep = |name: &str| kept(&franchise, *main, id, name);
    let mut downloads = calls(&franchise).1;
    // Each list, and how many images of it nobody has fetched.
    let lists = [
        (vec![keep("b"), keep("a")], vec!["b", "a"], 0),
        (vec![keep("b"), keep("a"), named("c")], vec!["b", "a", "c"], 1),
        (vec![named("d"), keep("b")], vec!["d", "b"], 1),
        (vec![named("d"), named("d")], vec!["d", "d"], 0),
        (vec![named("e")], vec!["e"], 1),
    ];
    for (list, expected, new) in lists {
        put(&franchise, id, list).await;
        let expected: Vec<String> = expected.iter().map(|name| format!("{name}.png")).collect();
        for child in children {
            assert_eq!(names(&franchise, *child), expected);
        }
        let now = calls(&franchise).1;
        assert_eq!(now - downloads, new, "{expected:?}: what is known is not brought again");
        downloads = now;
    }
    // Another picture under the same name.
    put(&franchise, id, vec![image("e.png", &picture(b'x', 100))]).await;
    for child in children {
        let product = sim.by_external_code(*child, "k")["id"].as_str().unwrap().parse().unwrap();
        assert_eq!(sim.images(*child, product), [("e.png".to_owned(), picture(b'x', 100).into())]);
    }
    put(&franchise, id, vec![]).await;
    let writes = calls(&franchise).2;
    for child in children {
        assert!(names(&franchise, *child).is_empty());
    }
    // And then nothing is there to be looked at.
    let (lists, ..) = calls(&franchise);
    franchise.notify(*main, id, "UPDATE", "again").await;
    franchise.settle().await;
    assert_eq!((calls(&franchise).0, calls(&franchise).2), (lists, writes));
}

#[tokio::test]
async fn an_edit_of_something_else_asks_for_no_images() {
    let franchise = Franchise::start().await;
    let Franchise { sim, children, .. } = &franchise;
    let id = franchise.create(kettle(&["a"])).await;
    let (lists, downloads, writes) = calls(&franchise);
    franchise.edit(id, json!({"description": "Whistles"})).await;
    assert_eq!(calls(&franchise), (lists, downloads, writes + 2));
    // One that has none costs nothing either, whatever is told.
    let bare = franchise.create(json!({"name": "Cup", "externalCode": "c"})).await;
    franchise.notify(franchise.main, bare, "UPDATE", "again").await;
    franchise.settle().await;
    assert_eq!(calls(&franchise).0, lists);
    assert_eq!(sim.products(children[0]).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_takes_no_images_costs_no_call_and_gets_them_when_it_does() {
    let franchise = Franchise::start().await;
    let Franchise { gateway, sim, main, children: [kazan, omsk] } = &franchise;
    set(&franchise, *kazan, json!({"catalog": {"images": false}})).await;
    let id = franchise.create(kettle(&["a"])).await;
    put(&franchise, id, vec![named("b"), named("c")]).await;
    assert!(names(&franchise, *kazan).is_empty());
    assert_eq!(names(&franchise, *omsk), ["b.png", "c.png"]);
    let of_kazan = franchise.tasks(*kazan).await;
    assert!(of_kazan.iter().all(|task| task["entity_type"] != "images"), "{of_kazan:?}");
    assert!(sim.requests(*kazan).iter().all(|request| !request.path.ends_with("/images")));
    let (lists, downloads, _) = calls(&franchise);
    assert_eq!((lists, downloads), (2, 3), "only the other child's");

    set(&franchise, *kazan, json!({"catalog": {"images": true}})).await;
    let writes = sim.writes(*omsk).len();
    let output = gateway.command(&["sync", "full", "--account", &main.to_string()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(names(&franchise, *kazan), ["b.png", "c.png"], "the import waits for them");
    assert_eq!(sim.writes(*omsk).len(), writes, "the other child had them");
}

#[tokio::test]
async fn a_lost_answer_to_an_upload_doubles_nothing() {
    let franchise = Franchise::start().await;
    let Franchise { sim, children: [kazan, _], .. } = &franchise;
    let id = franchise.create(kettle(&[])).await;
    sim.fault(*kazan, Method::POST, Fault::DropAfterCommit);
    let path = format!("/entity/product/{id}/images");
    let list = json!([named("a"), named("b")]);
    sim.person(franchise.main).request(&Method::POST, &path, &list).unwrap();
    wait::until("the upload to be lost", Duration::from_secs(20), || async {
        let told =
            |task: &Value| task["outcome"].as_str().is_some_and(|outcome| outcome.contains("1 put off"));
        franchise.tasks(*kazan).await.iter().any(told).then_some(())
    })
    .await;
    franchise.due_now().await;
    franchise.settle().await;
    assert_eq!(names(&franchise, *kazan), ["a.png", "b.png"]);
    let uploads = sim.writes(*kazan).into_iter().filter(|write| write.path.ends_with("/images")).count();
    assert_eq!(uploads, 2);
}

#[tokio::test]
async fn what_is_too_large_is_told_and_the_rest_goes_on() {
    let franchise = Franchise::start().await;
    let Franchise { gateway, sim, main, children: [kazan, omsk] } = &franchise;
    set(&franchise, *omsk, json!({"catalog": {"images": false}})).await;
    // Larger than what is brought at all, larger than what the child takes, and good ones.
    sim.rules(*main, |rules| rules.most_image_bytes = 16 << 20);
    let images = [
        image("huge.png", &picture(b'h', 11_000_000)),
        named("a"),
        image("large.png", &picture(b'l', 4_000_000)),
        named("b"),
    ];
    let id = franchise.create(json!({"name": "Kettle", "externalCode": "k", "images": images})).await;
    assert_eq!(names(&franchise, *kazan), ["a.png", "b.png"]);
    let log = gateway.admin_get(&format!("/api/v1/sync-log?account={kazan}&main_id={id}")).await;
    assert_eq!(
        log["items"][0]["skipped"],
        json!(["image 1: it is larger than 10 MB", "image 3: it is too large for MoySklad (code 51004)"]),
        "{log}"
    );
    let task = task(&franchise, *kazan).await;
    assert!(task["outcome"].as_str().unwrap().contains("skipped: image 1: it is larger"), "{task}");
    let (lists, downloads, writes) = calls(&franchise);
    assert_eq!(downloads, 3, "the huge one is not even fetched");
    franchise.notify(*main, id, "UPDATE", "again").await;
    franchise.settle().await;
    assert_eq!(calls(&franchise), (lists + 1, downloads, writes), "what was refused once is not tried again");
}

#[tokio::test]
async fn a_full_storage_is_told_and_a_retry_takes_it_up_again() {
    let franchise = Franchise::start().await;
    let Franchise { gateway, sim, main, children: [kazan, omsk] } = &franchise;
    set(&franchise, *omsk, json!({"catalog": {"images": false}})).await;
    let id = franchise.create(kettle(&[])).await;
    sim.fault(*kazan, Method::POST, Fault::Status(412, 51003));
    put(&franchise, id, vec![named("a")]).await;
    let failed = task(&franchise, *kazan).await;
    assert_eq!(failed["status"], "failed");
    let error = failed["error"].as_str().unwrap();
    assert!(error.contains("code 51003") && error.contains("make room"), "{error}");
    let log = gateway.admin_get(&format!("/api/v1/sync-log?account={kazan}&main_id={id}")).await;
    assert_eq!(log["items"][0]["operation"], "failed");
    let path = format!("/api/v1/sync-queue/{}/retry", failed["id"].as_str().unwrap());
    assert_eq!(gateway.admin("POST", &path, &Value::Null).await.0, 200);
    franchise.settle().await;
    assert_eq!(names(&franchise, *kazan), ["a.png"]);
    assert_eq!(sim.images(*main, id).len(), 1);
}

#[tokio::test]
async fn an_expired_link_is_asked_for_anew() {
    let franchise = Franchise::start().await;
    let Franchise { sim, children: [kazan, omsk], .. } = &franchise;
    set(&franchise, *omsk, json!({"catalog": {"images": false}})).await;
    sim.dead_links(1);
    franchise.create(kettle(&["a"])).await;
    assert_eq!(names(&franchise, *kazan), ["a.png"]);
    assert_eq!(calls(&franchise).1, 2);
    assert_eq!(task(&franchise, *kazan).await["attempts"], 1);
}

#[tokio::test]
async fn a_dead_token_during_images_suspends_the_account_and_a_new_one_goes_on() {
    let franchise = Franchise::start().await;
    let Franchise { gateway, sim, main, children: [dead, alive] } = &franchise;
    let id = franchise.create(kettle(&[])).await;
    sim.kill_token(*dead);
    let path = format!("/entity/product/{id}/images");
    sim.person(*main).request(&Method::POST, &path, &named("a")).unwrap();
    let waiting = |task: &Value| task["entity_type"] == "images" && !task["error"].is_null();
    let task = franchise.task_when("the task to wait", *dead, waiting).await;
    assert!(task["error"].as_str().unwrap().contains("is suspended: MoySklad refused its token"), "{task}");
    assert_eq!(gateway.admin_get(&account_path(*dead)).await["status"], "suspended");
    assert_eq!(gateway.admin_get(&account_path(*alive)).await["status"], "active");
    assert_eq!(sim.refused(*dead, 401), 1, "the first refusal stops it");
    sim.set_token(*dead, "kazan-canary-new-9");
    let body = json!({
        "name": "Kazan", "role": "child", "parent_account_id": main, "access_token": "kazan-canary-new-9",
    });
    assert_eq!(gateway.admin("PUT", &account_path(*dead), &body).await.0, 200);
    franchise.settle().await;
    for child in [dead, alive] {
        assert_eq!(names(&franchise, *child), ["a.png"]);
    }
}

#[tokio::test]
async fn what_a_child_has_lost_comes_again_with_the_next_change() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children: [kazan, _], .. } = &franchise;
    let id = franchise.create(kettle(&["a", "b"])).await;
    let of_kazan: Uuid = sim.by_external_code(*kazan, "k")["id"].as_str().unwrap().parse().unwrap();
    // A person removes one there; then main adds one.
    sim.edit(*kazan, of_kazan, json!({"images": [kept(&franchise, *kazan, of_kazan, "b")]}));
    sim.person(*main).add_image("product", id, "c.png", &picture(b'c', 100)).unwrap();
    franchise.settle().await;
    assert_eq!(names(&franchise, *kazan), ["a.png", "b.png", "c.png"]);

    // What is made anew gets its images anew.
    sim.delete(*kazan, of_kazan);
    franchise.task_when("a task to wait", *kazan, |task| task["status"] == "received").await;
    let mut conn = franchise.gateway.database.connect().await;
    sql_query("UPDATE moysklad_changes SET due_at = now()").execute(&mut conn).await.unwrap();
    franchise.due_now().await;
    franchise.settle().await;
    assert_eq!(names(&franchise, *kazan), ["a.png", "b.png", "c.png"]);
}

#[tokio::test]
async fn many_lists_are_read_at_once_and_variants_and_bundles_have_images_too() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children: [kazan, omsk], .. } = &franchise;
    set(&franchise, *omsk, json!({"catalog": {"images": false}})).await;
    for kind in ["variant", "bundle"] {
        sim.hook(*main, kind, "CREATE", &hook_url());
        sim.hook(*main, kind, "UPDATE", &hook_url());
    }
    let cups: Vec<Value> = (0..20)
        .map(
            |n| json!({"name": "Cup", "externalCode": format!("cup {n}"), "images": [named(&n.to_string())]}),
        )
        .collect();
    let ids = franchise.gathered(async || sim.person(*main).create_many("product", &cups).unwrap()).await;
    franchise.settle().await;
    for (n, cup) in sim.products(*kazan).iter().enumerate() {
        let id = cup["id"].as_str().unwrap().parse().unwrap();
        assert_eq!(sim.images(*kazan, id).len(), 1, "cup {n}");
    }
    assert!(calls(&franchise).0 <= 3, "{} reads of lists", calls(&franchise).0);
    sim.person(*main).add_characteristic("Colour").unwrap();
    let red = sim.create_in(
        *main,
        "variant",
        json!({
            "product": reference(sim, "product", ids[0]), "externalCode": "red", "images": [named("r")],
            "characteristics": [{"name": "Colour", "value": "red"}],
        }),
    );
    let part = json!({"assortment": reference(sim, "variant", red), "quantity": 2});
    sim.create_in(
        *main,
        "bundle",
        json!({"name": "Set", "externalCode": "set", "components": [part], "images": [named("s")]}),
    );
    franchise.settle().await;
    for (kind, code, name) in [("variant", "red", "r.png"), ("bundle", "set", "s.png")] {
        let id = sim.one(*kazan, kind, code)["id"].as_str().unwrap().parse().unwrap();
        let images = sim.images(*kazan, id);
        assert_eq!(images.len(), 1, "{kind}");
        assert_eq!(images[0].0, name);
    }
}
