//! Tokens that belong to another account are found out before anything is written with them.

use super::{CHILD_TOKENS, Franchise, MAIN_TOKEN, account_path};
use crate::moysklad_reconcile::kettle;
use crate::support::wait;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

const SOON: Duration = Duration::from_secs(30);

pub async fn set_token(franchise: &Franchise, child: Uuid, token: &str) {
    let body = json!({
        "name": "Child", "role": "child", "parent_account_id": franchise.main, "access_token": token,
    });
    assert_eq!(franchise.gateway.admin("PUT", &account_path(child), &body).await.0, 200);
}

async fn status(franchise: &Franchise, account: Uuid) -> Value {
    franchise.gateway.admin_get(&account_path(account)).await["status"].clone()
}

#[tokio::test]
async fn two_empty_children_with_swapped_tokens_get_nothing_and_are_suspended() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children: [kazan, omsk], .. } = &franchise;
    set_token(&franchise, *kazan, CHILD_TOKENS[1]).await;
    set_token(&franchise, *omsk, CHILD_TOKENS[0]).await;
    sim.create(*main, kettle(1));
    for (child, owner) in [(kazan, omsk), (omsk, kazan)] {
        wait::until("the child to be suspended", SOON, || async {
            (status(&franchise, *child).await == "suspended").then_some(())
        })
        .await;
        let text = format!("the token of account {child} is that of account {owner}: set the right one");
        wait::until("the log to say so", SOON, || async {
            franchise.gateway.log().contains(&text).then_some(())
        })
        .await;
    }
    assert!(sim.writes(*kazan).is_empty() && sim.writes(*omsk).is_empty());
    // With the right ones it goes on.
    set_token(&franchise, *kazan, CHILD_TOKENS[0]).await;
    set_token(&franchise, *omsk, CHILD_TOKENS[1]).await;
    for child in [kazan, omsk] {
        sim.products_when("the product to come", *child, |products| products.len() == 1).await;
    }
}

#[tokio::test]
async fn whose_token_it_is_is_asked_once_for_many_runs() {
    let franchise = Franchise::start().await;
    let Franchise { sim, children: [kazan, _], .. } = &franchise;
    for n in 0..3 {
        franchise.create(kettle(n)).await;
    }
    let asked = sim.requests(*kazan).iter().filter(|one| one.path.ends_with("/organization")).count();
    assert!(asked <= 1, "{asked}");
}

#[tokio::test]
async fn webhooks_of_another_account_are_not_removed() {
    let franchise = Franchise::start().await;
    let Franchise { gateway, sim, main, children: [kazan, _] } = &franchise;
    set_token(&franchise, *kazan, MAIN_TOKEN).await;
    let done = gateway.command(&["webhook", "delete-all", "--account", &kazan.to_string(), "--force"]);
    let text = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(!done.status.success() && text.contains(&format!("is that of account {main}")), "{text}");
    assert_eq!(status(&franchise, *kazan).await, "suspended");
    assert!(sim.writes(*main).is_empty(), "main's webhooks are still there");
}
