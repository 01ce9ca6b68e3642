//! What no webhook told of: lost edits and deletes come over all the same; and the import of everything.

mod import;
mod large;
mod sweep;
mod taken_over;

use crate::moysklad_sync::{Franchise, ORIGIN};
use serde_json::{Value, json};

/// From now on no webhook arrives.
pub fn cut_off(franchise: &Franchise) {
    // Nobody listens there: each attempt fails at once.
    franchise.sim.resolve(ORIGIN, "http://127.0.0.1:9");
}

/// From now on they arrive again.
pub fn join_up(franchise: &Franchise) {
    franchise.sim.resolve(ORIGIN, &franchise.gateway.base);
}

pub fn kettle(n: usize) -> Value {
    json!({"name": format!("Kettle {n}"), "externalCode": format!("kettle-{n}")})
}

/// Names of an account's products that are not archived, in order.
pub fn names(products: &[Value]) -> Vec<String> {
    let shown = products.iter().filter(|product| product["archived"] != true);
    let mut names: Vec<String> = shown.map(|product| product["name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}
