//! Every built-in scheme, with each secret of ours that it takes.

use crate::testdata;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookgate::providers::scheme::{BUILTIN, SchemeProvider, read_tables};
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use toml::Value;

/// The text that secrets are made of. No seed may hold it, except those of tokens.
pub const SECRET: &str = "fuzz-secret-8d1f3a5b7c9e2046";
/// For HTTP Basic.
pub const PAIR: &str = "fuzz-user:pw-8d1f3a5b7c9e2046";

/// A built-in scheme with a secret.
pub struct Trial {
    /// Its name.
    pub name: &'static str,
    /// The secret; empty if the scheme has none.
    pub secret: String,
    /// Whether whoever knows the secret text proves a request by showing it: tokens, HTTP Basic.
    pub shown: bool,
    /// Where its signatures stand and what is in front of them, if it tells HMACs of challenges: (header, prefix).
    pub told: Vec<(String, String)>,
    /// The provider.
    pub provider: SchemeProvider,
}

/// Every secret that a scheme may want.
pub fn secrets() -> Vec<String> {
    let bytes = [0x5a; 32];
    let mut all = vec![
        SECRET.to_owned(),
        PAIR.to_owned(),
        hex::encode(bytes),
        STANDARD.encode(bytes),
        format!("whsec_{}", STANDARD.encode(bytes)),
    ];
    for name in ["rsa", "p256", "ed25519"] {
        let pem = testdata::text("public", name);
        let der = testdata::der(pem);
        all.push(pem.to_owned());
        all.push(STANDARD.encode(&der));
        if name == "ed25519" {
            let key = &der[der.len() - 32..];
            all.extend([hex::encode(key), STANDARD.encode(key), format!("whpk_{}", STANDARD.encode(key))]);
        }
    }
    all
}

/// Every built-in scheme by its name.
pub fn all() -> &'static BTreeMap<&'static str, Vec<Trial>> {
    static ALL: OnceLock<BTreeMap<&'static str, Vec<Trial>>> = OnceLock::new();
    ALL.get_or_init(|| BUILTIN.iter().map(|(name, text)| (*name, trials(name, text))).collect())
}

fn trials(name: &'static str, text: &str) -> Vec<Trial> {
    let table: toml::Table = text.parse().expect("a built-in table");
    let algorithms: Vec<&str> =
        list(&table, "verify").filter_map(|rule| rule.get("algorithm")?.as_str()).collect();
    let secretless = table.get("secretless").and_then(Value::as_bool) == Some(true);
    let shown = algorithms.iter().any(|algorithm| ["token", "basic"].contains(algorithm));
    // An HMAC key can be any text; only the others have to be tried with keys of every kind.
    let plain = algorithms.iter().all(|algorithm| algorithm.starts_with("hmac") || *algorithm == "token");
    let told = if text.contains("{hmac_sha256_") { places(&table) } else { Vec::new() };
    let secrets = secrets();
    let secrets = if secretless { &secrets[..1] } else { &secrets[..if plain { 5 } else { secrets.len() }] };
    let tables = read_tables("", "").expect("an empty file");
    let mut trials = Vec::new();
    for secret in secrets {
        for params in params(&table) {
            if let Ok(provider) = tables.trial(name, &SecretString::from(secret.as_str()), params) {
                let secret = if secretless { String::new() } else { secret.clone() };
                trials.push(Trial { name, secret, shown, told: told.clone(), provider });
            }
        }
    }
    assert!(!trials.is_empty(), "{name} takes none of the secrets");
    trials
}

fn places(table: &toml::Table) -> Vec<(String, String)> {
    let place = |rule: &Value| {
        let place = rule.get("signature")?;
        let header = place.get("from")?.as_str()?.strip_prefix("header:")?.to_lowercase();
        Some((header, place.get("prefix").and_then(Value::as_str).unwrap_or_default().to_owned()))
    };
    list(table, "verify").filter_map(place).collect()
}

/// The parameters that must be there, and all that may.
fn params(table: &toml::Table) -> Vec<BTreeMap<String, SecretString>> {
    let declared = table.get("params").and_then(Value::as_table).cloned().unwrap_or_default();
    let given = |all: bool| {
        let chosen = declared
            .iter()
            .filter(|(_, param)| all || param.get("required").and_then(Value::as_bool) == Some(true));
        chosen.map(|(name, _)| (name.clone(), SecretString::from("example"))).collect()
    };
    let (needed, all): (BTreeMap<_, _>, BTreeMap<_, _>) = (given(false), given(true));
    if needed.len() == all.len() { vec![needed] } else { vec![needed, all] }
}

fn list<'t>(table: &'t toml::Table, key: &str) -> impl Iterator<Item = &'t Value> {
    table.get(key).and_then(Value::as_array).into_iter().flatten()
}

/// The built-in schemes with another proof: a token in `x-fuzz`. So their readers are reached without a signature.
pub fn readers() -> &'static BTreeMap<&'static str, SchemeProvider> {
    static ALL: OnceLock<BTreeMap<&'static str, SchemeProvider>> = OnceLock::new();
    ALL.get_or_init(|| BUILTIN.iter().map(|(name, text)| (*name, reader(name, text))).collect())
}

fn reader(name: &str, text: &str) -> SchemeProvider {
    let mut table: toml::Table = text.parse().expect("a built-in table");
    let params = params(&table).pop().unwrap_or_default();
    for key in ["verify", "secretless", "sample"] {
        table.remove(key);
    }
    let proof: toml::Table =
        "algorithm = \"token\"\nsignature = { from = \"header:x-fuzz\" }".parse().expect("a rule");
    table.insert("verify".to_owned(), Value::Array(vec![Value::Table(proof)]));
    let name = format!("{name}-reader");
    let file = toml::Table::from_iter([(
        "providers".to_owned(),
        Value::Table(toml::Table::from_iter([(name.clone(), Value::Table(table))])),
    )]);
    let tables = read_tables("", &file.to_string()).expect("a table with a token");
    tables.trial(&name, &SecretString::from(SECRET), params).expect("a text as secret")
}
