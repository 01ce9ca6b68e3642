//! Imports of large catalogues: within MoySklad's limits, fair to the other children, cut off and gone on with.

use super::{join_up, names};
use crate::moysklad_hooks::{TOKENS, told};
use crate::moysklad_sync::{Franchise, with_attribute};
use crate::support::moysklad::Weather;
use crate::support::{observe, wait};
use diesel::QueryableByName;
use diesel::sql_query;
use diesel::sql_types::BigInt;
use diesel_async::RunQueryDsl;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Child;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// A log at `trace` of thousands of products would take longer than their import.
const QUIET: (&str, &str) = ("RUST_LOG", "hookgate=info");
/// A pause of the machine must not make another worker do the work again.
const LEASE: (&str, &str) = ("WORKER_LEASE_SECONDS", "15");
const LONG: Duration = Duration::from_secs(120);

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

async fn count(franchise: &Franchise, query: &str) -> i64 {
    let mut conn = franchise.gateway.database.connect().await;
    let count: Count = sql_query(query).get_result(&mut conn).await.unwrap();
    count.rows
}

/// Fills main's catalogue, and no webhook tells of it.
fn fill(franchise: &Franchise, count: usize) {
    franchise.sim.weather(Weather { lose: 1.0, ..Weather::default() });
    let bodies: Vec<Value> = (0..count).map(product).collect();
    for some in bodies.chunks(1000) {
        assert_eq!(
            franchise.sim.person(franchise.main).create_many("product", some).unwrap().len(),
            some.len()
        );
    }
    franchise.sim.weather(Weather::default());
    join_up(franchise);
}

fn product(n: usize) -> Value {
    json!({
        "name": format!("Kettle {n}"), "externalCode": external_code(n), "code": format!("{n:06}"),
        "article": format!("A-{n}"), "description": "Boils water.", "weight": 1.25,
        "barcodes": [{"ean13": format!("2{n:012}")}],
    })
}

fn external_code(n: usize) -> String {
    format!("kettle-{n}")
}

fn external_codes(franchise: &Franchise, account: Uuid) -> BTreeSet<String> {
    let products = franchise.sim.products(account);
    let codes: BTreeSet<String> =
        products.iter().map(|product| product["externalCode"].as_str().unwrap().to_owned()).collect();
    assert_eq!(codes.len(), products.len(), "nothing is there twice");
    codes
}

fn all(count: usize) -> BTreeSet<String> {
    (0..count).map(external_code).collect()
}

/// Waits for a command without holding the runtime.
async fn ended(command: Child) -> (bool, String) {
    tokio::task::spawn_blocking(|| told(&command.wait_with_output().unwrap())).await.unwrap()
}

async fn import(franchise: &Franchise, account: Uuid) -> Value {
    let command =
        franchise.gateway.begin_command(&["--json", "sync", "full", "--account", &account.to_string()]);
    let (done, text) = ended(command).await;
    assert!(done, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// Entities that were posted, however many in one request.
fn posted(franchise: &Franchise, account: Uuid) -> usize {
    let writes = franchise.sim.writes(account);
    writes.iter().map(|write| write.body.as_array().map_or(1, Vec::len)).sum()
}

async fn imports(franchise: &Franchise) -> BTreeMap<String, usize> {
    let mut emitted = observe::emitted(&franchise.gateway, "").await;
    emitted.retain(|event_type, _| event_type.starts_with("import."));
    emitted
}

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_products_are_imported_within_the_limits() {
    const MANY: usize = 5000;
    let franchise = Franchise::start_with(&[QUIET, LEASE]).await;
    fill(&franchise, MANY);
    let (main, kazan) = (franchise.main, franchise.children[0]);
    let start = Instant::now();
    let report = import(&franchise, kazan).await;
    let took = start.elapsed();
    for (name, value) in [("found", MANY), ("expected", MANY), ("done", MANY), ("waiting", 0), ("failed", 0)]
    {
        assert_eq!(report[name], json!(value), "{name}: {report}");
    }
    assert_eq!(external_codes(&franchise, kazan), all(MANY));
    let mapped = "SELECT count(*) AS rows FROM moysklad_mappings WHERE entity_type = 'product'";
    assert_eq!(usize::try_from(count(&franchise, mapped).await), Ok(MANY));
    let mut calls = 0;
    for (account, token) in [(main, TOKENS[0]), (kazan, TOKENS[1])] {
        let (answers, refused) = (franchise.sim.answers(account), franchise.sim.refused(account, 429));
        println!("{answers} calls, {refused} refused, {} at once", franchise.sim.peak_in_flight(account));
        assert!(refused * 100 < answers, "{refused} of {answers} answered 429");
        assert!(franchise.sim.peak_in_flight_of(account, token) <= 5);
        calls += answers;
    }
    println!("{MANY} products: {calls} calls, {took:?}");
    assert!(calls <= 45 * MANY / 1000, "{calls} calls");
    assert_eq!(imports(&franchise).await, observe::counts(&[("import.completed", 1), ("import.started", 1)]));

    let before = franchise.sim.writes(kazan).len();
    assert_eq!(import(&franchise, kazan).await["found"], json!(MANY));
    assert_eq!(franchise.sim.writes(kazan).len(), before, "a second import writes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_of_thousands_starves_no_other_child() {
    let franchise = Franchise::start_with(&[QUIET, LEASE]).await;
    fill(&franchise, 3000);
    let [kazan, omsk] = franchise.children;
    franchise.sim.latency(kazan, Duration::from_secs(1));
    let mut command = franchise.gateway.begin_command(&["sync", "full", "--account", &kazan.to_string()]);
    wait::until("the import to write", LONG, || async {
        (!franchise.sim.writes(kazan).is_empty()).then_some(())
    })
    .await;
    for n in 0..5 {
        let name = format!("Teapot {n}");
        franchise.sim.create(franchise.main, json!({"name": name, "externalCode": name}));
        franchise
            .sim
            .products_when("the other child to follow", omsk, |products| names(products).contains(&name))
            .await;
    }
    let so_far = franchise.sim.products(kazan).len();
    let runs = command.try_wait().unwrap().is_none();
    assert!(runs && so_far < 3000, "the import was under way all the time: {so_far}");
    franchise.sim.latency(kazan, Duration::ZERO);
    let (done, text) = ended(command).await;
    assert!(done, "{text}");
    wait::until("the import's child to have the news too", LONG, || async {
        (franchise.sim.products(kazan).len() == 3005).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_killed_while_it_imports_repeats_nothing_and_leaves_nothing_out() {
    const MANY: usize = 2000;
    let mut franchise = Franchise::start_with(&[QUIET, LEASE]).await;
    fill(&franchise, MANY);
    let kazan = franchise.children[0];
    franchise.sim.latency(kazan, Duration::from_millis(500));
    let command =
        franchise.gateway.begin_command(&["--json", "sync", "full", "--account", &kazan.to_string()]);
    wait::until("the import to be half-way", LONG, || async {
        (franchise.sim.products(kazan).len() > MANY / 4).then_some(())
    })
    .await;
    franchise.gateway.kill();
    let had = franchise.sim.products(kazan).len();
    assert!(had < MANY, "it was killed in the middle");
    franchise.sim.latency(kazan, Duration::ZERO);
    franchise.gateway.restart();
    let (done, text) = ended(command).await;
    assert!(done, "{text}");
    assert_eq!(external_codes(&franchise, kazan), all(MANY));
    let posted = posted(&franchise, kazan);
    assert!(posted <= MANY + 100, "only what was on its way is sent again: {posted}");
    assert_eq!(imports(&franchise).await, observe::counts(&[("import.completed", 1), ("import.started", 1)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_killed_while_it_reads_goes_on_after_the_page_that_it_noted() {
    const MANY: usize = 3500;
    let franchise = Franchise::start_with(&[QUIET, LEASE]).await;
    fill(&franchise, MANY);
    let (main, kazan) = (franchise.main, franchise.children[0]);
    let pages = || {
        let mut requests = franchise.sim.requests(main);
        requests.retain(|request| request.path == "/entity/product" && request.query.contains("order="));
        requests.len()
    };
    franchise.sim.latency(main, Duration::from_secs(3));
    let arguments = ["sync", "full", "--account", &kazan.to_string()];
    let mut command = franchise.gateway.begin_command(&arguments);
    let noted = "SELECT coalesce(max((progress->>'found')::bigint), 0) AS rows FROM moysklad_sweeps WHERE job = 'import'";
    wait::until("two pages to be noted", LONG, || async {
        (count(&franchise, noted).await >= 2000).then_some(())
    })
    .await;
    command.kill().unwrap();
    command.wait().unwrap();
    let found = count(&franchise, noted).await;
    assert!(found < 3500, "it was killed in the middle");
    franchise.sim.latency(main, Duration::ZERO);
    let before = pages();

    // The dead process keeps its import for a minute.
    let (done, text) = ended(franchise.gateway.begin_command(&arguments)).await;
    assert!(!done && text.contains("under way"), "{text}");
    let mut conn = franchise.gateway.database.connect().await;
    sql_query("UPDATE moysklad_sweeps SET lease_until = now() WHERE job = 'import'")
        .execute(&mut conn)
        .await
        .unwrap();

    let (done, text) = ended(franchise.gateway.begin_command(&arguments)).await;
    assert!(done && text.contains("going on where"), "{text}");
    assert!(text.contains(&format!("imported: {MANY}")), "what overlaps is not counted twice: {text}");
    assert!(pages() - before <= 4, "{before} pages before, {} in all", pages());
    assert_eq!(external_codes(&franchise, kazan), all(MANY));
    assert_eq!(posted(&franchise, kazan), MANY, "nothing was sent twice");
    assert_eq!(imports(&franchise).await, observe::counts(&[("import.completed", 1), ("import.started", 1)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_of_thousands_asks_for_pages_of_a_thousand() {
    const MANY: usize = 2200;
    let franchise = Franchise::start_with(&[QUIET, LEASE]).await;
    let (main, kazan) = (franchise.main, franchise.children[0]);
    let mut conn = franchise.gateway.database.connect().await;
    wait::until("all accounts to be on the list", LONG, || async {
        let listed = "SELECT count(*) AS rows FROM moysklad_sweeps WHERE job = 'reconcile'";
        (count(&franchise, listed).await == 3).then_some(())
    })
    .await;
    fill(&franchise, MANY);
    import(&franchise, kazan).await;
    franchise.sim.weather(Weather { lose: 1.0, ..Weather::default() });
    let gone: Vec<Uuid> = (0..30)
        .map(|n| franchise.sim.id_by(main, "product", "externalCode", &external_code(n * 50)))
        .collect();
    franchise.sim.person(main).delete_many("product", &gone).unwrap();
    let pages = || {
        let mut requests = franchise.sim.requests(main);
        requests.retain(|request| request.path == "/entity/product" && request.query.contains("order="));
        requests.len()
    };
    let before = pages();
    // What was there before the import is not looked at again.
    let now = "UPDATE moysklad_sweeps SET due_at = now(), seen_until = now() + interval '1 hour'
               WHERE job = 'reconcile' AND account_id = (SELECT account_id FROM moysklad_accounts WHERE role = 'main')";
    let sweeps = || franchise.gateway.log().matches("swept").count();
    let sweep = async || {
        sql_query(now).execute(&mut conn).await.unwrap();
        wait::until("a sweep", LONG, || async { (sweeps() > 0).then_some(()) }).await;
    };
    franchise.gathered(sweep).await;
    let shown = || names(&franchise.sim.products(kazan)).len();
    wait::until("the deletes to be found", LONG, || async { (shown() == MANY - 30).then_some(()) }).await;
    // One for what has changed, three for all that are there.
    assert_eq!((pages() - before, sweeps()), (4, 1), "pages and sweeps");
    let writes = franchise.sim.writes(kazan);
    assert_eq!(
        writes.iter().filter(|write| write.method == Method::PUT).count(),
        0,
        "archived with an array"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_too_long_for_one_reply_is_read_in_parts() {
    const MANY: usize = 400;
    let franchise = Franchise::start_with(&[QUIET, LEASE]).await;
    let person = franchise.sim.person(franchise.main);
    let long: Value = "ж".repeat(4096).into();
    // A hundred kilobytes each; no child has these fields, so nothing of them is written.
    let attributes: Vec<Value> = (0..12)
        .map(|n| {
            person.add_attribute("product", &json!({"name": format!("Text {n}"), "type": "text"})).unwrap()
        })
        .map(|id| with_attribute(&franchise.sim, id, long.clone()))
        .collect();
    let body = |n: usize| {
        let mut body = product(n);
        body["attributes"] = attributes.clone().into();
        body
    };
    franchise.unheard(|| person.create_many("product", &(0..MANY).map(body).collect::<Vec<_>>()).unwrap());
    let kazan = franchise.children[0];
    let report = import(&franchise, kazan).await;
    assert_eq!((&report["found"], &report["failed"]), (&json!(MANY), &json!(0)));
    assert_eq!(external_codes(&franchise, kazan), all(MANY));
}
