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
    let table: Table = toml::from_str(text)
        .map_err(|error| SchemeError::at(&file, text, error.span(), error.message().to_owned()))?;
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
    let read: File = toml::from_str(text)
        .map_err(|error| SchemeError::at(file, text, error.span(), error.message().to_owned()))?;
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
