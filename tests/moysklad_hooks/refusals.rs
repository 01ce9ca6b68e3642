//! Webhooks that MoySklad refuses, and what an operator is told to do.

use super::{Person, TOKENS, id, names, ours, run, shown, told};
use crate::moysklad_sync::{Franchise, account_path};
use crate::support::moysklad::Fault;
use crate::support::wait;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

/// What the setup of this account says, which must fail.
fn refusal(franchise: &Franchise, account: Uuid) -> String {
    let (done, text) = run(franchise, &["webhook", "setup", "--account", &id(account)]);
    assert!(!done, "{text}");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_set_up_none_is_told_once_and_asked_once() {
    let franchise = Franchise::start().await;
    let (sim, main) = (&franchise.sim, franchise.main);
    let writes = || sim.writes(main).len();
    sim.rules(main, |rules| rules.is_administrator = false);
    let before = writes();
    let text = refusal(&franchise, main);
    assert!(text.contains("not an administrator's: set one of an administrator"), "30004: {text}");
    assert_eq!(writes() - before, 1, "the others would be refused, too");

    sim.rules(main, |rules| (rules.is_administrator, rules.free_tariff) = (true, true));
    let before = writes();
    let text = refusal(&franchise, main);
    assert!(text.contains("tariff has no webhooks: take a paid tariff"), "30006: {text}");
    assert_eq!(writes() - before, 1);
    // Also where the first step is to remove a needless one.
    let child = franchise.children[0];
    sim.rules(child, |rules| rules.is_administrator = false);
    assert!(refusal(&franchise, child).contains("not an administrator's"));

    sim.rules(main, |rules| rules.free_tariff = false);
    let (done, text) = run(&franchise, &["webhook", "setup", "--account", &id(main)]);
    assert!(done, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_webhook_is_refused_for_is_told_and_the_others_are_set_up() {
    for (code, remedy) in [
        (30003, "delete it where it was made"),
        (30005, "set a public URL there"),
        (30007, "remove one in MoySklad"),
        (30008, "changes of this kind are found by the sweep"),
        (30009, "does not tell the changed fields"),
    ] {
        let franchise = Franchise::start().await;
        franchise.sim.fault(franchise.main, Method::POST, Fault::Status(412, code));
        let (done, text) = run(&franchise, &["--json", "webhook", "setup", "--account", &id(franchise.main)]);
        let report: Value = serde_json::from_str(&text).unwrap();
        let problems = report[0]["problems"].as_array().unwrap();
        assert!(!done && problems.len() == 1, "{code}: {text}");
        assert!(problems[0].as_str().unwrap().contains(remedy), "{code}: {text}");
        let main = Person::new(&franchise, TOKENS[0]);
        assert_eq!(ours(&main.hooks().await).len(), 14, "{code}");
        assert_eq!((&report[0]["created"], &report[0]["mended"]), (&json!(11), &json!(3)), "{code}");
        assert!(run(&franchise, &["webhook", "setup", "--account", &id(franchise.main)]).0, "{code}");
        assert_eq!(ours(&main.hooks().await).len(), 15, "{code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_set_up_at_once_make_each_webhook_once() {
    let franchise = Franchise::start().await;
    // Both read the list before either has made anything.
    franchise.sim.latency(franchise.main, Duration::from_millis(100));
    let setup = || {
        let arguments = ["--json", "webhook", "setup", "--account", &id(franchise.main)].map(str::to_owned);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        told(&franchise.gateway.command(&arguments))
    };
    let (one, other) = std::thread::scope(|scope| {
        let one = scope.spawn(setup);
        let other = setup();
        (one.join().unwrap(), other)
    });
    assert!(one.0 && other.0, "{one:?} {other:?}");
    let hooks = ours(&Person::new(&franchise, TOKENS[0]).hooks().await);
    let mut once = names(&hooks);
    once.dedup();
    assert_eq!((once.len(), hooks.len()), (15, 15));
    assert!(run(&franchise, &["webhook", "health-check"]).1.contains("every webhook is there"));
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_switched_on_one_by_one() {
    let franchise = Franchise::start_with(&[
        ("MOYSKLAD_HOOK_CHECK_MINUTES", "0.03"),
        ("MOYSKLAD_RECONCILE_MINUTES", "0.03"),
    ])
    .await;
    let [kazan, omsk] = franchise.children;
    assert!(run(&franchise, &["accounts", "settings", &id(omsk), "--status", "inactive"]).0);
    let asked = franchise.sim.requests(omsk).len();
    let (done, text) = run(&franchise, &["--json", "webhook", "setup", "--all"]);
    assert!(done && !text.contains(&id(omsk)), "{text}");
    let text = refusal(&franchise, omsk);
    assert!(text.contains("the account is inactive; make it active first"), "{text}");
    let product = franchise.create(json!({"name": "Kettle", "externalCode": "kettle"})).await;
    franchise.edit(product, json!({"name": "Big kettle"})).await;
    assert_eq!(franchise.sim.by_external_code(kazan, "kettle")["name"], "Big kettle");
    let (done, text) = run(&franchise, &["--json", "webhook", "health-check"]);
    let checks: Value = serde_json::from_str(&text).unwrap();
    let verdicts: Vec<&Value> = checks.as_array().unwrap().iter().map(|check| &check["verdict"]).collect();
    assert!(done && verdicts == ["ok", "ok", "off"], "{text}");
    assert_eq!(franchise.sim.requests(omsk).len(), asked, "not a single request");

    assert!(run(&franchise, &["accounts", "settings", &id(omsk), "--status", "active"]).0);
    let (done, text) = run(&franchise, &["webhook", "setup", "--account", &id(omsk)]);
    assert!(done, "{text}");
    let (done, text) = run(&franchise, &["sync", "full", "--account", &id(omsk)]);
    assert!(done, "{text}");
    assert_eq!(franchise.sim.by_external_code(omsk, "kettle")["name"], "Big kettle");

    // Taken out of it again, it alone loses its webhooks.
    let (done, text) = run(&franchise, &["webhook", "delete-all", "--account", &id(omsk)]);
    assert!(!done && text.contains("--force"), "{text}");
    assert!(run(&franchise, &["webhook", "delete-all", "--account", &id(omsk), "--force"]).0);
    let hooks = |account| ours(&shown(&franchise, account)).len();
    // A check that was under way may have made some of them once more, and removes them at its end.
    wait::until("its webhooks to be gone", Duration::from_secs(60), || async {
        (hooks(omsk) == 0).then_some(())
    })
    .await;
    assert_eq!(hooks(kazan), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_was_just_made_opens_the_door_at_once_and_a_wrong_one_never() {
    // No secret for all accounts: before the first setup there is no such provider.
    let franchise = Franchise::start_with(&[("MOYSKLAD_WEBHOOK_TOKEN", "")]).await;
    for account in [franchise.main, franchise.children[0]] {
        let (done, text) = run(&franchise, &["webhook", "setup", "--account", &id(account)]);
        assert!(done, "{text}");
        franchise.create(json!({"name": "Kettle", "externalCode": id(account)})).await;
    }
    let deliveries = franchise.sim.deliveries();
    let first = deliveries.iter().find(|delivery| delivery.account == franchise.main).unwrap();
    // None at all where the machine paused for longer than MoySklad waits.
    let (last, before) = first.statuses.split_last().unwrap();
    assert_eq!(*last, Some(200), "the first webhook of all: {:?}", first.statuses);
    assert!(before.iter().all(Option::is_none), "no other answer: {:?}", first.statuses);
    assert_eq!(franchise.sim.products(franchise.children[1]).len(), 2);
    let post = async |token: &str| {
        let url = franchise.gateway.url(&format!("/api/v1/webhooks/moysklad/{token}"));
        franchise.gateway.http.post(url).body("{}").send().await.unwrap().status().as_u16()
    };
    let guesses = (0..40).map(|guess| format!("{guess:032x}")).collect::<Vec<_>>();
    let started = std::time::Instant::now();
    let replies = futures_util::future::join_all(guesses.iter().map(|guess| post(guess))).await;
    assert!(replies.iter().all(|status| *status == 401), "{replies:?}");
    assert!(started.elapsed() < Duration::from_secs(30), "who guesses together shares one look");
    assert_eq!(franchise.gateway.admin_get(&account_path(franchise.main)).await["status"], "active");
}
