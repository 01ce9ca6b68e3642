//! Random lists of images while requests fail, answers are lost and webhooks come late, twice or never.

use super::{Franchise, named};
use crate::support::moysklad::Weather;
use crate::support::wait;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

const PRODUCTS: usize = 3;
const EDITS: usize = 24;
const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// A list of known images, by their `meta`, and new ones; none twice.
fn random_list(franchise: &Franchise, product: Uuid, dice: &mut StdRng) -> Vec<Value> {
    let shown = franchise.sim.entity(franchise.main, product, &["images"]).unwrap();
    let mut there: Vec<Value> = shown["images"]["rows"].as_array().unwrap().clone();
    let mut list = Vec::new();
    for _ in 0..dice.random_range(0..4) {
        if !there.is_empty() && dice.random_range(0..2) == 0 {
            let one = there.remove(dice.random_range(0..there.len()));
            list.push(json!({"meta": one["meta"]}));
        } else {
            let name = NAMES[dice.random_range(0..NAMES.len())];
            there.retain(|row| row["filename"] != format!("{name}.png"));
            list.retain(|one: &Value| one["filename"] != format!("{name}.png"));
            list.push(named(name));
        }
    }
    list
}

/// Names and contents of each product's images, by external code.
fn images(franchise: &Franchise, account: Uuid) -> Vec<(String, Vec<(String, Vec<u8>)>)> {
    let products = franchise.sim.products(account);
    let mut all: Vec<_> = products
        .iter()
        .map(|product| {
            let id = product["id"].as_str().unwrap().parse().unwrap();
            let images = franchise.sim.images(account, id);
            let code = product["externalCode"].as_str().unwrap().to_owned();
            (code, images.into_iter().map(|(name, content)| (name, content.to_vec())).collect())
        })
        .collect();
    all.sort();
    all
}

#[tokio::test]
async fn random_lists_converge_in_bad_weather() {
    let seed: u64 = std::env::var("HOOKGATE_IMAGES_SEED").map_or(1, |seed| seed.parse().unwrap());
    println!("HOOKGATE_IMAGES_SEED={seed}; another one makes other edits");
    let mut dice = StdRng::seed_from_u64(seed);
    let franchise = Franchise::start_with(&[("WORKER_MAX_ATTEMPTS", "50")]).await;
    let Franchise { sim, main, children, .. } = &franchise;
    let mut products = Vec::new();
    for n in 0..PRODUCTS {
        products.push(sim.create(*main, json!({"name": "Kettle", "externalCode": format!("k{n}")})));
    }
    franchise.settle().await;
    sim.weather(Weather {
        lose: 0.1,
        repeat: 0.1,
        reorder: 0.2,
        fail: 0.05,
        drop_after_commit: 0.05,
        ..Weather::default()
    });
    for _ in 0..EDITS {
        let product = products[dice.random_range(0..products.len())];
        let list = random_list(&franchise, product, &mut dice);
        let path = format!("/entity/product/{product}/images");
        sim.person(*main).request(&Method::POST, &path, &list.into()).unwrap();
        // Some edits meet work that is under way, some find it done.
        tokio::time::sleep(Duration::from_millis(dice.random_range(0..150))).await;
        franchise.due_now().await;
    }
    sim.weather(Weather::default());
    // What a sweep would find.
    for product in &products {
        franchise.notify(*main, *product, "UPDATE", &format!("sweep {product}")).await;
    }
    let expected = images(&franchise, *main);
    for child in children {
        wait::until("the images to be main's", Duration::from_secs(60), || async {
            franchise.due_now().await;
            (images(&franchise, *child) == expected).then_some(())
        })
        .await;
    }
    franchise.due_now().await;
    franchise.settle().await;
    // And then silence.
    let writes = children.map(|child| sim.writes(child).len());
    for product in &products {
        franchise.notify(*main, *product, "UPDATE", &format!("again {product}")).await;
    }
    franchise.settle().await;
    assert_eq!(children.map(|child| sim.writes(child).len()), writes);
}
