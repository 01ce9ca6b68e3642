//! Any text as a settings file. Reading it never panics, and no error shows a secret that stands in the file, however
//! it stands there: in its place, without its quotes, as a list, as a number.

#![no_main]

use chrono::DateTime;
use hookgate::config::Source;
use hookgate::providers::Provider as _;
use hookgate::providers::scheme::{SchemeError, read_tables};
use hookgate_fuzz::holds;
use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, OnceLock};

const SECRET: &str = "hunter2hunter2";
const NUMBER: &str = "31337431337431337";

/// The ways in which people write a secret, right and wrong.
const PLANTED: &[&str] = &[
    "secret = \"hunter2hunter2\"",
    "secrets = [\"other\", { id = \"new\", value = \"hunter2hunter2\" }]",
    "params = { verify_token = \"hunter2hunter2\" }",
    "secret = \"\"\"\nhunter2hunter2\"\"\"",
    "secrets = [\n\"other\",\n\"hunter2hunter2\"\n]",
    "secret = 31337431337431337",
    "secret = 31337431337431337.5",
    "secret = [\"hunter2hunter2\"]",
    "secret = { value = \"hunter2hunter2\" }",
    "secret = hunter2hunter2",
    "secret = \"hunter2hunter2",
    "secret = 'hunter2hunter2' x",
    "secret = \"\\qhunter2hunter2\"",
    "secret hunter2hunter2",
    "secrets = \"hunter2hunter2\"",
    "secrets = [[\"hunter2hunter2\"]]",
    "secrets = [31337431337431337]",
    "secrets = [{ id = \"new\", value = 31337431337431337 }]",
    "secrets = { id = \"new\", value = \"hunter2hunter2\" }",
    "params = \"hunter2hunter2\"",
    "params = { verify_token = 31337431337431337 }",
    "params = { verify_token = { value = \"hunter2hunter2\" } }",
];

fuzz_target!(|input: &[u8]| {
    static NOTHING: OnceLock<Source> = OnceLock::new();
    let nothing = NOTHING.get_or_init(|| Source::from_env(Arc::new(|_| None)));
    let text = String::from_utf8_lossy(input);
    instances(&text, nothing);
    // A text that holds the secret itself may put it where it is no secret: into a name.
    if text.contains(SECRET) || text.contains(NUMBER) {
        return;
    }
    let at = input.iter().map(|byte| usize::from(*byte)).sum::<usize>() % PLANTED.len();
    let planted = format!("[providers.stripe]\n{}\n{text}", PLANTED[at]);
    for error in instances(&planted, nothing) {
        let shown = format!("{error} {error:?}");
        assert!(!holds::contains(shown.as_bytes(), SECRET.as_bytes()), "{}: {shown}", PLANTED[at]);
        assert!(!holds::contains(shown.as_bytes(), NUMBER.as_bytes()), "{}: {shown}", PLANTED[at]);
    }
});

/// Reads the file and makes all of its providers; what went wrong.
fn instances(text: &str, nothing: &Source) -> Vec<SchemeError> {
    let tables = match read_tables("hookgate.toml", text) {
        Ok(tables) => tables,
        Err(error) => {
            assert!(error.line.is_none_or(|line| line <= text.lines().count() + 1), "{error:?}");
            return vec![error];
        }
    };
    let mut errors = Vec::new();
    for name in tables.names() {
        match tables.instance(name, nothing, &[], &|index, _| format!("#{index}")) {
            Err(error) => errors.push(error),
            Ok(None) => {}
            Ok(Some(instance)) => {
                let provider = instance.provider;
                assert_eq!(provider.name(), name);
                let _ = (provider.secret_ids(), provider.secret_headers(), provider.secret_parameters());
                assert!((200..300).contains(&provider.reply().status));
                let now = DateTime::from_timestamp(1_760_000_000, 0).unwrap_or_default();
                for event_type in provider.sample_types() {
                    let _ = provider.sample(event_type, "https://hooks.example.com", None, now);
                }
            }
        }
    }
    errors
}
