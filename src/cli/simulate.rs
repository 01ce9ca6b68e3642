//! `hookgate simulate`: upstreams on this machine, for staging without real accounts.

use super::CliError;
use super::output::print;
use crate::simulate::moysklad::{Config, Refused, Simulator, Weather};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use uuid::Uuid;

/// Requests of each account that a simulator remembers, which may stand for weeks.
const REMEMBERED: usize = 1000;

/// Play an upstream on a loopback port until Ctrl-C.
#[derive(Debug, Subcommand)]
pub(super) enum SimulateCommand {
    /// MoySklad: a main account and its children, as strict as the real one.
    ///
    /// Prints the base URL, the accounts with their tokens, and the commands that make them known to the gateway. A
    /// write without the loop-prevention header raises webhooks, so curl can stand for a person who edits. At the end it
    /// lists the requests that no correct client makes; if there were some, the exit code is 1.
    #[command(after_help = "Examples:\n  \
        hookgate simulate moysklad --accounts 1+3 --seed-products 500\n  \
        hookgate simulate moysklad --port 9090 --lose 0.01 --repeat 0.05 --reorder \\\n      \
        --webhook-target 'http://127.0.0.1:8080/api/v1/webhooks/moysklad?token=…'")]
    Moysklad(Moysklad),
}

/// What is simulated, and how badly things go.
#[derive(Debug, Args)]
pub(super) struct Moysklad {
    /// Loopback port; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// One main account and so many children.
    #[arg(long, value_name = "1+N", default_value = "1+2", value_parser = children)]
    accounts: usize,
    /// Products that main has already.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed_products: usize,
    /// How long every webhook waits, in milliseconds.
    #[arg(long, value_name = "MILLIS", default_value_t = 0)]
    delay: u64,
    /// How long every request takes, in milliseconds.
    #[arg(long, value_name = "MILLIS", default_value_t = 0)]
    latency: u64,
    /// What a request costs of the 45 units in three seconds: 1 for a solution's token, 4 for a user's.
    #[arg(long, value_name = "UNITS", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=45))]
    weight: u32,
    /// Share of webhooks that are never sent.
    #[arg(long, value_name = "0..1", default_value_t = 0.0, value_parser = share)]
    lose: f64,
    /// Share of webhooks that are sent twice, under one request id or two.
    #[arg(long, value_name = "0..1", default_value_t = 0.0, value_parser = share)]
    repeat: f64,
    /// Let webhooks overtake each other.
    #[arg(long)]
    reorder: bool,
    /// Share of requests that fail with 500, 502 or 504.
    #[arg(long, value_name = "0..1", default_value_t = 0.0, value_parser = share)]
    fail: f64,
    /// Ignore the loop-prevention header.
    #[arg(long)]
    no_header_support: bool,
    /// Register the webhooks of every account for this URL. Without it: `hookgate webhook setup --all`.
    #[arg(long, value_name = "URL")]
    webhook_target: Option<String>,
    /// Send webhooks for this origin elsewhere, as a name server would: https://gate.example.com=http://127.0.0.1:8080
    #[arg(long, value_name = "ORIGIN=ADDRESS", value_parser = origin)]
    resolve: Vec<(String, String)>,
    /// Where chance begins.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

fn children(text: &str) -> Result<usize, String> {
    let children = text.strip_prefix("1+").and_then(|children| children.parse().ok());
    children.filter(|children| *children <= 100).ok_or("1+N, where N is at most 100".to_owned())
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or("a number between 0 and 1".to_owned())
}

fn origin(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').ok_or("ORIGIN=ADDRESS")?;
    Ok((pair.0.trim_end_matches('/').to_owned(), pair.1.trim_end_matches('/').to_owned()))
}

/// One simulated account, as it is told.
struct Told {
    id: Uuid,
    name: String,
    token: String,
    parent: Option<Uuid>,
}

pub(super) async fn run(command: SimulateCommand, json: bool) -> Result<(), CliError> {
    let SimulateCommand::Moysklad(options) = command;
    let config = Config { port: options.port, seed: options.seed, ..Config::default() };
    let simulator = Simulator::start(&config)?;
    let accounts = set_up(&simulator, &options)
        .map_err(|refused| CliError::Message(format!("the simulator refused its own data: {refused}")))?;
    // First: who has read the accounts may end it.
    let mut terminate = signal(SignalKind::terminate())?;
    tell(&simulator, &accounts, json);
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    let violations = simulator.violations();
    for violation in &violations {
        eprintln!("no correct client does this: {violation}");
    }
    if violations.is_empty() { Ok(()) } else { Err(CliError::Silent) }
}

fn set_up(simulator: &Simulator, options: &Moysklad) -> Result<Vec<Told>, Refused> {
    let mut accounts = Vec::new();
    let mut add = |name: String, parent: Option<Uuid>| {
        let token = format!("{}{:08x}", Uuid::new_v4().simple(), rand::random::<u32>());
        let id = simulator.add_account(&name, &token, &["Цена продажи", "Опт"], &["RUB", "USD"]);
        accounts.push(Told { id, name, token, parent });
        id
    };
    let main = add("Main".to_owned(), None);
    for number in 1..=options.accounts {
        add(format!("Child {number}"), Some(main));
    }
    for account in &accounts {
        simulator.latency(account.id, Duration::from_millis(options.latency));
        simulator.request_weight(account.id, options.weight);
    }
    simulator.keep(REMEMBERED);
    for (origin, address) in &options.resolve {
        simulator.resolve(origin, address);
    }
    if let Some(url) = &options.webhook_target {
        for account in &accounts {
            let types: &[&str] = match account.parent {
                None => &["product", "variant", "bundle", "service", "productfolder"],
                Some(_) => &["customerorder", "retaildemand", "purchaseorder"],
            };
            for entity_type in types {
                for action in ["CREATE", "UPDATE", "DELETE"] {
                    let mut hook = json!({"entityType": entity_type, "action": action, "url": url});
                    if action == "UPDATE" {
                        hook["diffType"] = "FIELDS".into();
                    }
                    simulator.add_hook(account.id, &hook)?;
                }
            }
        }
    }
    simulator.header_support(!options.no_header_support);
    seed_products(simulator, main, options.seed_products)?;
    simulator.weather(Weather {
        lose: options.lose,
        repeat: options.repeat / 2.0,
        repeat_anew: options.repeat / 2.0,
        reorder: if options.reorder { 0.3 } else { 0.0 },
        delay: Duration::from_millis(options.delay),
        fail: options.fail,
        ..Weather::default()
    });
    Ok(accounts)
}

fn seed_products(simulator: &Simulator, main: Uuid, count: usize) -> Result<(), Refused> {
    if count == 0 {
        return Ok(());
    }
    let person = simulator.person(main);
    let mut folders = Vec::new();
    for name in ["Чай", "Кофе", "Посуда"] {
        folders.push(person.create("productfolder", &json!({"name": name}))?);
    }
    let retail = simulator.price_type(main, "Цена продажи").ok_or_else(no_price_type)?;
    let products: Vec<Value> = (1..=count)
        .map(|number| {
            let price_type = simulator.reference(main, "pricetype", retail);
            json!({
                "name": format!("Product {number}"), "code": format!("{number:05}"),
                "article": format!("A-{number}"),
                "productFolder": simulator.reference(main, "productfolder", folders[number % folders.len()]),
                "salePrices": [{"value": number * 100, "priceType": price_type}],
            })
        })
        .collect();
    for products in products.chunks(1000) {
        person.create_many("product", products)?;
    }
    Ok(())
}

fn no_price_type() -> Refused {
    Refused { status: 404, code: 1021, parameter: None, dependencies: Vec::new(), location: None }
}

fn tell(simulator: &Simulator, accounts: &[Told], json: bool) {
    let base = simulator.base();
    if json {
        let accounts: Vec<Value> = accounts
            .iter()
            .map(|account| {
                let role = if account.parent.is_some() { "child" } else { "main" };
                json!({
                    "account_id": account.id, "name": account.name, "role": role,
                    "parent_account_id": account.parent, "access_token": account.token,
                })
            })
            .collect();
        print(&json!({"base_url": base, "accounts": accounts}).to_string());
        return;
    }
    let mut lines = vec![
        format!("MoySklad is simulated at {base}"),
        "For the gateway:".to_owned(),
        format!("  export MOYSKLAD_BASE_URL={base}"),
    ];
    for account in accounts {
        let variable = account.name.to_uppercase().replace(' ', "_");
        lines.push(format!("  export {variable}={} {variable}_TOKEN={}", account.id, account.token));
    }
    for Told { id, name, token, parent } in accounts {
        let role = match parent {
            None => "--role main".to_owned(),
            Some(parent) => format!("--role child --parent {parent}"),
        };
        lines.push(format!("  hookgate accounts add {id} --name '{name}' {role} --token {token}"));
    }
    if let Some(main) = accounts.first() {
        lines.push("To edit as a person would:".to_owned());
        lines.push(format!(
            "  curl --compressed -X POST {base}/entity/product -H 'Authorization: Bearer {}' \\\n    \
             -H 'Content-Type: application/json' -d '{{\"name\": \"Kettle\"}}'",
            main.token
        ));
    }
    lines.push("Ctrl-C ends it.".to_owned());
    print(&lines.join("\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_or_refused() {
        assert_eq!(children("1+3"), Ok(3));
        assert!(children("3").is_err() && children("1+101").is_err());
        assert_eq!(share("0.05"), Ok(0.05));
        assert!(share("5").is_err() && share("-1").is_err());
        let pair = ("https://gate.example.com".to_owned(), "http://127.0.0.1:8080".to_owned());
        assert_eq!(origin("https://gate.example.com/=http://127.0.0.1:8080"), Ok(pair));
    }

    #[test]
    fn seeded_products_are_there_and_raise_no_webhook_in_the_past() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let simulator = Simulator::start(&Config::default()).unwrap();
        let main = simulator.add_account("Main", "token", &["Цена продажи"], &["RUB"]);
        seed_products(&simulator, main, 7).unwrap();
        let products = simulator.entities(main, "product");
        assert_eq!(products.len(), 7);
        assert_eq!(products[2]["salePrices"][0]["value"].to_string(), "300.0");
        assert_eq!(products[0]["pathName"], "Кофе");
    }
}
