//! Tables from TOML: the built-in ones, and those of `hookgate.toml`.

use super::table::Table;
use super::{SchemeError, rules};
use std::collections::BTreeMap;
use std::sync::Arc;

include!(concat!(env!("OUT_DIR"), "/builtin.rs"));

/// A table that passed every check, with what is needed to make an instance of it.
#[derive(Clone)]
pub struct Scheme {
    /// Its name.
    pub name: String,
    pub(super) table: Arc<Table>,
}

/// The built-in scheme of this name.
pub fn load_builtin(name: &str) -> Option<Result<Scheme, SchemeError>> {
    let (_, text) = BUILTIN.iter().find(|(known, _)| *known == name)?;
    Some(read_scheme(name, text))
}

fn read_scheme(name: &str, text: &str) -> Result<Scheme, SchemeError> {
    let file = format!("{name}.toml");
    let table: Table = toml::from_str(text).map_err(|error| SchemeError::toml(&file, text, &error))?;
    rules::check(&table).map_err(|(span, message)| SchemeError::at(&file, text, span, message))?;
    if table.verify.is_empty() || table.event.is_none() {
        return Err(SchemeError::new(&file, "verify", "a scheme needs `[[verify]]` and `[event]`"));
    }
    Ok(Scheme { name: name.to_owned(), table: Arc::new(table) })
}

/// The tables `[providers.NAME]` of a settings file.
#[derive(Default)]
pub struct Tables {
    pub(super) file: String,
    pub(super) text: String,
    pub(super) by_name: BTreeMap<String, toml::Spanned<Table>>,
}

/// Reads `[providers.NAME]` from the text of a settings file, whatever else stands there.
pub fn read_tables(file: &str, text: &str) -> Result<Tables, SchemeError> {
    #[derive(serde::Deserialize)]
    struct File {
        #[serde(default)]
        providers: BTreeMap<String, toml::Spanned<Table>>,
    }
    let read: File = toml::from_str(text).map_err(|error| SchemeError::toml(file, text, &error))?;
    for (name, table) in &read.providers {
        let problem = |message: String| SchemeError::at(file, text, Some(table.span()), message);
        check_name(name).map_err(|message| problem(format!("providers.{name}: {message}")))?;
        rules::check(table.get_ref())
            .map_err(|(span, message)| SchemeError::at(file, text, span.or(Some(table.span())), message))?;
    }
    Ok(Tables { file: file.to_owned(), text: text.to_owned(), by_name: read.providers })
}

/// A provider's name is a path segment, a label and, in capitals, part of a variable's name.
fn check_name(name: &str) -> Result<(), &'static str> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > 63 || !name.bytes().all(plain) || name.starts_with('-') {
        Err("a provider's name is up to 63 lower-case letters, digits and hyphens")
    } else if ["hookgate", "app", "providers", "replay"].contains(&name)
        || uuid::Uuid::parse_str(name).is_ok()
    {
        Err("this name is taken for Hookgate's own use")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A table of one's own, with one line replaced.
    fn with(line: &str, instead: &str) -> Result<Tables, SchemeError> {
        let text = r#"port = 8080

[providers.acme]
secret = "hunter2"
allow_ips = ["203.0.113.0/24"]

[[providers.acme.verify]]
algorithm = "hmac-sha256"
signature = { from = "header:X-Acme-Signature", prefix = "sha256=" }
time = { from = "header:X-Acme-Time", format = "unix", past = 300, future = 300 }
signed = "{time}.{body}"

[providers.acme.event]
id = "{json:/account}.{json:/id}"
type = "{json:/type}"
"#;
        assert!(text.contains(line), "{line}");
        read_tables("hookgate.toml", &text.replace(line, instead))
    }

    #[test]
    fn a_table_of_ones_own_is_read() {
        assert_eq!(with("port", "port").unwrap().names().collect::<Vec<_>>(), ["acme"]);
    }

    #[test]
    fn mistakes_are_told_with_file_line_and_field_and_without_values() {
        for (line, instead, place, part) in [
            ("\"hmac-sha256\"", "\"hmac-sha3\"", "line 8, `algorithm`", "unknown variant"),
            ("header:X-Acme-Signature", "cookie:a", "line 9, `signature`", "no reference `cookie:…`"),
            ("\"unix\"", "\"stardate\"", "line 10, `time`", "unknown variant"),
            ("{time}.{body}", "{time}.{bodie}", "line 11, `signed`", "no reference `bodie`"),
            ("{time}.{body}", "{time}.{body", "line 11, `signed`", "not closed"),
            ("{json:/id}\"", "{json:id}\"", "line 14, `id`", "JSON pointer"),
            ("203.0.113.0/24", "203.0.113", "line 5, `allow_ips`", "not a network"),
            ("type = ", "kind = ", "line 15, `kind`", "unknown field"),
            ("signed =", "singed =", "line 11, `singed`", "unknown field"),
            ("secret = \"hunter2\"", "secret = hunter2", "line 4, `secret`", "in quotes"),
            ("secret = \"hunter2\"", "secret = 123456", "line 4, `secret`", "in quotes"),
            ("time = {", "# {", "line 7, `providers.acme.verify`", "`time` does not say where"),
            ("signed = \"{time}.{body}\"\n", "", "line 7, `providers.acme.verify`", "what is signed"),
            ("{json:/type}", "{item:/type}", "line 13, `providers.acme.event`", "only with `each`"),
            ("{json:/type}", "{secret}", "line 13, `providers.acme.event`", "secret must not become part"),
            ("providers.acme", "providers.Acme", "line 3, `providers.Acme`", "lower-case letters"),
        ] {
            let error =
                with(line, instead).err().unwrap_or_else(|| panic!("{instead} was taken")).to_string();
            assert!(error.starts_with(&format!("hookgate.toml {place}")), "{instead}: {error}");
            assert!(error.contains(part) && !error.contains("hunter2"), "{instead}: {error}");
        }
    }

    #[test]
    fn a_secret_in_the_wrong_place_is_not_quoted() {
        for line in [
            "params = \"hunter2\"",
            "secrets = \"hunter2\"",
            "scheme = [\"hunter2\"]",
            "secrets = [\n\"hunter2\"\n3\n]",
            "secrets = [\nhunter2\n]",
            "replay = \"hunter2, expected\"",
            "allow_ips = [\"hunter2\"]",
        ] {
            let error = with("secret = \"hunter2\"", line).err().map(|error| format!("{error} {error:?}"));
            assert!(error.as_ref().is_some_and(|error| !error.contains("hunter2")), "{line}: {error:?}");
        }
    }

    #[test]
    fn a_secret_in_a_wrong_place_is_not_shown() {
        for line in [
            "secrets = \"hunter2\"",
            "secrets = [[\"hunter2\"]]",
            "secrets = [{ id = \"a\", value = [\"hunter2\"] }]",
            "params = \"hunter2\"",
            "params = [\"hunter2\"]",
            "secret = [\"hunter2\"]",
            "learn_secret = \"hunter2\"",
            "algorithm = \"hunter2\"",
            "replay = \"hunter2\"",
            "replay = \"hunter2, expected hunter2\"",
        ] {
            let error = with("secret = \"hunter2\"", line).err();
            let error = error.unwrap_or_else(|| panic!("{line} was taken")).to_string();
            assert!(error.contains("line 4") && !error.contains("hunter2"), "{line}: {error}");
        }
    }

    #[test]
    fn proofs_that_prove_nothing_are_refused() {
        for (line, instead, part) in [
            ("\"hmac-sha256\"", "\"sha256\"", "proves nothing unless"),
            (
                "signature = {",
                "each = \"/a\"\nrequire = [{ left = \"time\" }]\nsignature = {",
                "exactly one of",
            ),
            ("prefix = \"sha256=\"", "pair = \"=\"", "go together"),
            ("header:X-Acme-Signature", "secret", "cannot be `secret`"),
            ("header:X-Acme-Signature", "hmac_sha256_hex:body", "cannot be `hmac_sha256_hex:body`"),
            ("header:X-Acme-Signature", "sha256_hex:param:token", "cannot be `sha256_hex:param:token`"),
            ("prefix = \"sha256=\"", "prefix = \"\"", "must not be empty"),
            ("signed =", "each = \"/items\"\nsigned =", "only the items that `verify.each` proves"),
        ] {
            let error =
                with(line, instead).err().unwrap_or_else(|| panic!("{instead} was taken")).to_string();
            assert!(error.contains(part), "{instead}: {error}");
        }
    }

    #[test]
    fn a_plain_hash_has_the_secret_written_into_what_it_is_of() {
        for (signed, good) in [
            ("signed = \"{body}{secret}\"", true),
            ("signed = \"{sha256_hex:secret}{body}\"", true),
            ("signed = \"{body}\"", false),
            ("signed = \"{body}{secret!}\"", false),
            ("signed_parts = [\"{secret}{header:a}\", \"{body}\"]", false),
            ("signed_parts = [[\"{secret}{body}\"], [\"{body}\"]]", false),
        ] {
            let text = format!(
                "[[providers.a.verify]]\nalgorithm = \"sha256\"\nsignature = {{ from = \"header:a\" }}\n{signed}\n"
            );
            let read = read_tables("f", &text);
            assert_eq!(read.is_ok(), good, "{signed}: {:?}", read.err());
        }
    }

    proptest! {
        #[test]
        fn no_file_panics_and_no_error_shows_the_secret(text in "(?s).{0,300}") {
            let text = format!("[providers.a]\nsecret = \"hunter2\"\n{text}");
            if let Err(error) = read_tables("f", &text) {
                prop_assert!(!error.to_string().contains("hunter2"));
            }
        }
    }
}
