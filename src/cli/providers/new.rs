//! `hookgate providers new`: a commented table from a few answers.

use super::CliError;
use crate::cli::output::print;
use crate::config::Settings;
use crate::providers::scheme::{builtin_names, read_tables};
use clap::Args;
use std::fmt::Write as _;
use std::io::{BufRead, IsTerminal as _, Write as _};
use std::path::PathBuf;

/// Algorithms that a table of one's own usually has.
const ALGORITHMS: [&str; 8] =
    ["hmac-sha256", "hmac-sha1", "hmac-sha384", "hmac-sha512", "ed25519", "rsa-sha256", "token", "basic"];

/// Write the table of a provider of your own, from a few answers.
///
/// On a terminal what no option says is asked for. The table goes to standard output, or with --write to the end of the
/// settings file.
#[derive(Debug, Args, Default)]
#[command(
    after_help = "Examples:\n  hookgate providers new acme\n  hookgate providers new stripe-eu --scheme stripe\n  \
                        hookgate providers new acme --signature header:X-Acme-Signature --prefix sha256= \\\n      \
                        --time header:X-Acme-Timestamp --id '{json:/account}.{json:/id}' --type '{json:/type}' --write"
)]
pub(in crate::cli) struct NewCommand {
    /// Its name: the last word of its URL.
    name: String,
    /// A built-in scheme that it uses: the answers below are then not needed.
    #[arg(long, value_name = "NAME")]
    scheme: Option<String>,
    /// How the proof is made.
    #[arg(long, value_parser = ALGORITHMS)]
    algorithm: Option<String>,
    /// Where the proof stands: header:NAME or query:NAME.
    #[arg(long, value_name = "REFERENCE")]
    signature: Option<String>,
    /// How the signature is written.
    #[arg(long, value_parser = ["hex", "base64", "base64url"])]
    encoding: Option<String>,
    /// What stands before the signature, as 'sha256='.
    #[arg(long)]
    prefix: Option<String>,
    /// Where the time of the proof stands; empty: it has none.
    #[arg(long, value_name = "REFERENCE")]
    time: Option<String>,
    /// How it is written.
    #[arg(long, value_name = "FORMAT", value_parser = ["unix", "unix_ms", "rfc3339", "rfc2822"])]
    time_format: Option<String>,
    /// How many seconds it may be from now, both ways.
    #[arg(long, value_name = "SECONDS")]
    tolerance: Option<u32>,
    /// What is signed, as '{time}.{body}'.
    #[arg(long, value_name = "TEMPLATE")]
    signed: Option<String>,
    /// The event's id, as '{json:/id}'.
    #[arg(long, value_name = "TEMPLATE")]
    id: Option<String>,
    /// The event's type.
    #[arg(long = "type", value_name = "TEMPLATE")]
    event_type: Option<String>,
    /// What the event is about; empty: nothing that orders events.
    #[arg(long, value_name = "TEMPLATE")]
    subject: Option<String>,
    /// Where a challenge stands that is sent back, as 'query:challenge' or 'json:/challenge'; empty: there is none.
    #[arg(long, value_name = "REFERENCE")]
    challenge: Option<String>,
    /// Append it to the settings file instead of printing it.
    #[arg(long)]
    write: bool,
}

pub(super) fn run(command: NewCommand, settings: &Settings) -> Result<(), CliError> {
    let write = command.write;
    let name = command.name.clone();
    let terminal = std::io::stdin().is_terminal();
    let table = compose(command, if terminal { Some(std::io::stdin().lock()) } else { None })
        .map_err(CliError::Message)?;
    // What is printed can be read.
    read_tables("the new table", &table)?;
    if !write {
        print(table.trim_end());
        return Ok(());
    }
    let (file, text) = settings.source.file();
    let path = match (file, std::env::var("HOOKGATE_CONFIG")) {
        ("", Ok(path)) if !path.is_empty() => PathBuf::from(path),
        ("", _) => PathBuf::from("hookgate.toml"),
        (file, _) => PathBuf::from(file),
    };
    if read_tables(file, text)?.names().any(|known| known == name) {
        return Err(CliError::Message(format!("{} has a table [providers.{name}] already", path.display())));
    }
    let gap = if text.is_empty() || text.ends_with("\n\n") { "" } else { "\n" };
    let whole = format!("{text}{gap}{table}");
    read_tables(&path.display().to_string(), &whole)?;
    let mut open = std::fs::OpenOptions::new();
    let mut file = open.create(true).append(true).open(&path)?;
    file.write_all(format!("{gap}{table}").as_bytes())?;
    println!(
        "[providers.{name}] is in {}; give it its secret, then send SIGHUP to the gateway",
        path.display()
    );
    Ok(())
}

/// Asks for what was not said; without anybody to ask, the default stands.
struct Questions<R>(Option<R>);

impl<R: BufRead> Questions<R> {
    fn ask(&mut self, said: Option<String>, question: &str, default: &str) -> Result<String, String> {
        let Some(input) = self.0.as_mut().filter(|_| said.is_none()) else {
            return Ok(said.unwrap_or_else(|| default.to_owned()));
        };
        // To stderr: what goes to stdout is the table.
        let shown = if default.is_empty() { String::new() } else { format!(" [{default}]") };
        eprint!("{question}{shown}: ");
        let _ = std::io::stderr().flush();
        let mut line = String::new();
        input.read_line(&mut line).map_err(|error| format!("cannot read the answer: {error}"))?;
        let answer = line.trim();
        Ok(if answer.is_empty() { default.to_owned() } else { answer.to_owned() })
    }
}

/// Text as TOML writes it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn compose<R: BufRead>(mut command: NewCommand, input: Option<R>) -> Result<String, String> {
    let mut questions = Questions(input);
    let name = command.name.clone();
    let variable = format!("{}_WEBHOOK_SECRET", name.to_uppercase().replace('-', "_"));
    let own = [&command.algorithm, &command.signature, &command.signed, &command.id, &command.event_type];
    let scheme = if own.iter().any(|answer| answer.is_some()) {
        command.scheme.take().unwrap_or_default()
    } else {
        questions.ask(command.scheme.take(), "Built-in scheme that it uses (empty: one of its own)", "")?
    };
    let mut text = format!(
        "[providers.{name}]\n# The secret: {variable} in the environment, or here. Several while one is rotated: \
         secrets = [\"new\", \"old\"]\n# secret = \"\"\n"
    );
    if !scheme.is_empty() {
        if !builtin_names().contains(&scheme.as_str()) {
            return Err(format!(
                "there is no built-in scheme {scheme}; `hookgate providers list --all` shows them"
            ));
        }
        let _ = writeln!(text, "scheme = {}", quoted(&scheme));
        return Ok(text);
    }
    text.push_str(
        "# What to do with known bytes under another id, where the id is not signed: \"off\", \"flag\" or \"drop\"\n\
         replay = \"flag\"\n\n",
    );
    text.push_str(&proof(&mut command, &mut questions)?);
    text.push_str(&event(&mut command, &mut questions)?);
    let question = "Where a challenge stands that is sent back (empty: there is none)";
    let challenge = questions.ask(command.challenge.take(), question, "")?;
    if !challenge.is_empty() {
        text.push_str(&handshake(&name, &challenge)?);
    }
    Ok(text)
}

fn proof<R: BufRead>(command: &mut NewCommand, questions: &mut Questions<R>) -> Result<String, String> {
    let question = format!("How the proof is made ({})", ALGORITHMS.join(", "));
    let algorithm = questions.ask(command.algorithm.take(), &question, "hmac-sha256")?;
    let mut text = format!(
        "# The proof; docs/providers.md says what else can stand here\n[[providers.{}.verify]]\nalgorithm = {}\n",
        command.name,
        quoted(&algorithm)
    );
    // HTTP Basic has its place.
    if algorithm == "basic" {
        return Ok(text);
    }
    let question = "Where the proof stands (header:NAME or query:NAME)";
    let place = quoted(&questions.ask(command.signature.take(), question, "header:X-Signature")?);
    if algorithm == "token" {
        let _ = writeln!(text, "signature = {{ from = {place} }}");
        return Ok(text);
    }
    let question = "How it is written (hex, base64, base64url)";
    let encoding = quoted(&questions.ask(command.encoding.take(), question, "hex")?);
    let _ = write!(text, "signature = {{ from = {place}, encoding = {encoding}");
    let prefix = questions.ask(command.prefix.take(), "What stands before it (as sha256=)", "")?;
    if !prefix.is_empty() {
        let _ = write!(text, ", prefix = {}", quoted(&prefix));
    }
    text.push_str(" }\n");
    let question = "Where the time of the proof stands (empty: it has none)";
    let time = questions.ask(command.time.take(), question, "")?;
    let mut signed = "{body}";
    if !time.is_empty() {
        signed = "{time}.{body}";
        let question = "How the time is written (unix, unix_ms, rfc3339, rfc2822)";
        let format = quoted(&questions.ask(command.time_format.take(), question, "unix")?);
        let tolerance = command.tolerance.map(|seconds| seconds.to_string());
        let tolerance = questions.ask(tolerance, "How many seconds it may be from now", "300")?;
        let tolerance: u32 =
            tolerance.parse().map_err(|_| "the tolerance must be a number of seconds".to_owned())?;
        let _ = writeln!(
            text,
            "# Seconds that it may be old or ahead; it must be part of what is signed\n\
             time = {{ from = {}, format = {format}, past = {tolerance}, future = {tolerance} }}",
            quoted(&time)
        );
    }
    let signed = questions.ask(command.signed.take(), "What is signed", signed)?;
    let _ = writeln!(text, "signed = {}", quoted(&signed));
    Ok(text)
}

fn event<R: BufRead>(command: &mut NewCommand, questions: &mut Questions<R>) -> Result<String, String> {
    let id = questions.ask(command.id.take(), "The event's id", "{json:/id}")?;
    let event_type = questions.ask(command.event_type.take(), "The event's type", "{json:/type}")?;
    let question = "What the event is about (empty: nothing that orders events)";
    let subject = questions.ask(command.subject.take(), question, "")?;
    let mut text = format!(
        "\n# What an event is called: the id makes redelivery harmless, events of one subject are handled in order\n\
         [providers.{}.event]\nid = {}\ntype = {}\n",
        command.name,
        quoted(&id),
        quoted(&event_type)
    );
    if !subject.is_empty() {
        let _ = writeln!(text, "subject = {}", quoted(&subject));
    }
    Ok(text)
}

fn handshake(name: &str, challenge: &str) -> Result<String, String> {
    let when = match challenge.split_once(':') {
        Some(("query", parameter)) => format!("method = \"GET\", query = {}", quoted(parameter)),
        Some(("json", pointer)) => format!("method = \"POST\", json_has = [{}]", quoted(pointer)),
        Some(("header", header)) => format!("header = {}", quoted(header)),
        _ => return Err("a challenge stands in query:NAME, json:/POINTER or header:NAME".to_owned()),
    };
    Ok(format!(
        "\n# A request that only asks whether this is the right place\n[[providers.{name}.handshake]]\nwhen = {{ {when} }}\nproof = \"none\"\nreply = {{ body = {} }}\n",
        quoted(&format!("{{{challenge}}}"))
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> NewCommand {
        NewCommand { name: name.to_owned(), ..NewCommand::default() }
    }

    #[test]
    fn answers_make_a_table_that_can_be_read() {
        let answers = "\nhmac-sha512\nheader:X-Acme-Signature\nbase64\nsha512=\nheader:X-Acme-Time\nunix_ms\n60\n\n\
                       {json:/account}.{json:/id}\n\n{json:/account}\nquery:challenge\n";
        let text = compose(named("acme"), Some(answers.as_bytes())).unwrap();
        let about = read_tables("f", &text).unwrap().about("acme").unwrap();
        let proof = "hmac-sha512 in header:x-acme-signature over {time}.{body}; its time is header:x-acme-time, \
                     at most 60 s old and 60 s ahead";
        assert_eq!(about.proofs, [proof]);
        assert_eq!(about.handshakes.len(), 1);
        assert!(
            text.contains("ACME_WEBHOOK_SECRET") && text.contains("{json:/account}.{json:/id}"),
            "{text}"
        );
    }

    #[test]
    fn without_a_terminal_the_defaults_stand() {
        let nobody = None::<&[u8]>;
        for algorithm in ALGORITHMS {
            let command = NewCommand { algorithm: Some(algorithm.to_owned()), ..named("acme") };
            let text = compose(command, nobody).unwrap();
            assert!(read_tables("f", &text).unwrap().about("acme").is_ok(), "{text}");
        }
        let instance = NewCommand { scheme: Some("stripe".to_owned()), ..named("stripe-eu") };
        let text = compose(instance, nobody).unwrap();
        assert_eq!(read_tables("f", &text).unwrap().about("stripe-eu").unwrap().scheme, "stripe");
        let unknown = NewCommand { scheme: Some("nobody".to_owned()), ..named("x") };
        assert!(compose(unknown, nobody).unwrap_err().contains("list --all"));
    }

    #[test]
    fn quotes_in_an_answer_stay_inside_their_text() {
        let command = NewCommand { prefix: Some("a\"b\\".to_owned()), ..named("acme") };
        let text = compose(command, None::<&[u8]>).unwrap();
        assert!(read_tables("f", &text).is_ok(), "{text}");
    }
}
