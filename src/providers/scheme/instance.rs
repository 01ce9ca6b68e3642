//! Instances of schemes: a table over the scheme that it names, over the environment.

use super::load::{Scheme, Tables, load_builtin};
use super::pointers::Pointers;
use super::table::{Param, ParamEntry, SecretEntry, Table};
use super::{SchemeError, SchemeProvider, Secret, keys, rules};
use crate::config::Source;
use crate::providers::{Access, Replay};
use secrecy::{ExposeSecret as _, SecretString};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What an instance is called, and which of its values came from where.
pub struct Instance {
    /// The provider.
    pub provider: SchemeProvider,
    /// Name of its scheme.
    pub scheme: String,
    /// Who may call it.
    pub access: Access,
}

/// How ids are made of secrets that were given none.
pub type SecretId<'a> = &'a dyn Fn(usize, &SecretString) -> String;

impl Tables {
    /// Names of the tables.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// Who may call the provider of this name, by its table.
    pub(in crate::providers) fn access(&self, name: &str) -> Access {
        self.by_name.get(name).map(|table| access(table.get_ref())).unwrap_or_default()
    }

    fn problem(&self, name: &str, message: impl Into<String>) -> SchemeError {
        match self.by_name.get(name) {
            Some(table) => SchemeError::at(&self.file, &self.text, Some(table.span()), message.into()),
            None => SchemeError::new("environment", name, message.into()),
        }
    }

    /// The instance of this name: the table's, over the built-in scheme that it names or is named after, over the
    /// environment. `None` if nothing configures it: such a provider does not exist.
    pub fn instance(
        &self,
        name: &str,
        source: &Source,
        learned: &[Learned],
        id: SecretId<'_>,
    ) -> Result<Option<Instance>, SchemeError> {
        let own = self.by_name.get(name).map(toml::Spanned::get_ref);
        let scheme = self.scheme_of(name, own)?;
        let table = self.table(name, &scheme, own)?;
        let params = self.params(name, &table, own, source)?;
        let prefix = name.to_uppercase().replace('-', "_");
        let mut values: Vec<(Option<String>, SecretString)> = Vec::new();
        // The environment wins over the file; further variables of a scheme belong to its first instance alone.
        let mut variables = vec![format!("{prefix}_WEBHOOK_SECRET")];
        if name == scheme.name {
            variables.extend(table.secret_env.iter().cloned());
        }
        let variables: Vec<&str> = variables.iter().map(String::as_str).collect();
        if let Some(text) = source.first(&variables) {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            values.extend(parts.map(|part| (None, SecretString::from(part))));
        } else if let Some(own) = own {
            values.extend(own.secret.iter().map(|value| (None, value.clone())));
            values.extend(own.secrets.iter().map(|entry| match entry {
                SecretEntry::Named { id, value } => (Some(id.clone()), value.clone()),
                SecretEntry::Plain(value) => (None, value.clone()),
            }));
        }
        // Without its table the provider is gone, whatever it once offered.
        if own.is_some() {
            values.extend(learned.iter().map(|secret| (Some(secret.id.clone()), secret.value.clone())));
        }
        let mut secrets = Vec::new();
        for (index, (named, value)) in values.into_iter().enumerate() {
            secrets.push(self.secret(name, &table, named, value, index, id)?);
        }
        let required = |param: &Param| param.required;
        let declared = table.params.iter().filter_map(|(key, entry)| match entry {
            ParamEntry::Declared(param) => Some((key, param)),
            ParamEntry::Value(_) => None,
        });
        let missing: Vec<&str> = declared
            .filter(|(key, param)| required(param) && !params.contains_key(*key))
            .map(|(key, _)| key.as_str())
            .collect();
        let learning = own.is_some_and(|own| own.learn_secret);
        let given = if table.secretless {
            // Optional ones may be shared with another scheme, as Google's key set is.
            own.is_some() || table.params.values().any(|entry| requested(entry, source))
        } else {
            !secrets.is_empty() || learning
        };
        if !given {
            return match own {
                Some(_) => Err(self.problem(
                    name,
                    format!("providers.{name} has no secret: set `secret`, or {prefix}_WEBHOOK_SECRET"),
                )),
                None => Ok(None),
            };
        }
        if let Some(key) = missing.first() {
            return Err(self.problem(name, format!("providers.{name} needs the parameter `{key}`")));
        }
        let replay = own.and_then(|own| own.replay);
        let by_scheme = table.event.as_ref().map(|event| event.get_ref().replay);
        Ok(Some(Instance {
            access: own.map(access).unwrap_or_default(),
            scheme: scheme.name.clone(),
            provider: SchemeProvider {
                name: name.to_owned(),
                secrets,
                params,
                registered_url: own.and_then(|own| own.url.as_ref()).map(|url| url.0.clone()),
                replay: replay.or(by_scheme).unwrap_or(Replay::Off),
                tolerance: self.tolerance(name, &prefix, own, source)?,
                learning,
                pointers: Pointers::of(&table),
                table: Arc::new(table),
            },
        }))
    }

    /// How far the proof's time may be from now, if it is configured.
    fn tolerance(
        &self,
        name: &str,
        prefix: &str,
        own: Option<&Table>,
        source: &Source,
    ) -> Result<Option<u32>, SchemeError> {
        let variable = format!("{prefix}_TOLERANCE_SECONDS");
        match source.get(&variable).map(|text| text.trim().parse()) {
            Some(Ok(seconds)) => Ok(Some(seconds)),
            Some(Err(_)) => Err(self.problem(name, format!("{variable} must be a number of seconds"))),
            None => Ok(own.and_then(|own| own.tolerance_seconds)),
        }
    }

    /// An instance with exactly this secret and these parameters, for vectors: whatever is configured plays no part.
    pub fn trial(
        &self,
        name: &str,
        secret: &SecretString,
        params: BTreeMap<String, SecretString>,
    ) -> Result<SchemeProvider, SchemeError> {
        let own = self.by_name.get(name).map(toml::Spanned::get_ref);
        let scheme = self.scheme_of(name, own)?;
        let table = self.table(name, &scheme, own)?;
        let mut values: BTreeMap<String, SecretString> = BTreeMap::new();
        for (key, entry) in &table.params {
            if let ParamEntry::Declared(param) = entry
                && let Some(default) = &param.default
            {
                values.insert(key.clone(), default.clone().into());
            }
        }
        values.extend(params);
        let learning = secret.expose_secret().is_empty() && !table.secretless;
        let secrets = if table.secretless || learning {
            Vec::new()
        } else {
            vec![self.secret(name, &table, None, secret.clone(), 0, &|_, _| "vector".to_owned())?]
        };
        let replay = table.event.as_ref().map_or(Replay::Off, |event| event.get_ref().replay);
        Ok(SchemeProvider {
            name: name.to_owned(),
            secrets,
            params: values,
            registered_url: None,
            replay,
            tolerance: own.and_then(|own| own.tolerance_seconds),
            learning: true,
            pointers: Pointers::of(&table),
            table: Arc::new(table),
        })
    }

    /// Name of the scheme of this provider, and its table with what the instance says otherwise.
    pub(super) fn merged(&self, name: &str) -> Result<(String, Table), SchemeError> {
        let own = self.by_name.get(name).map(toml::Spanned::get_ref);
        let scheme = self.scheme_of(name, own)?;
        let mut table = self.table(name, &scheme, own)?;
        table.replay = own.and_then(|own| own.replay);
        Ok((scheme.name, table))
    }

    /// The scheme's table with what the instance says otherwise: each may be good, and both together prove nothing.
    fn table(&self, name: &str, scheme: &Scheme, own: Option<&Table>) -> Result<Table, SchemeError> {
        let table = merged(scheme, own);
        rules::check(&table)
            .map_err(|(_, message)| self.problem(name, format!("providers.{name}: {message}")))?;
        Ok(table)
    }

    fn scheme_of(&self, name: &str, own: Option<&Table>) -> Result<Scheme, SchemeError> {
        let named = own.and_then(|own| own.scheme.as_ref()).map(toml::Spanned::get_ref);
        let wanted = named.map_or(name, String::as_str);
        match load_builtin(wanted) {
            Some(scheme) => scheme,
            None => match own {
                Some(own) if named.is_none() && !own.verify.is_empty() && own.event.is_some() => {
                    Ok(Scheme { name: name.to_owned(), table: Arc::new(own.clone()) })
                }
                Some(_) if named.is_none() => Err(self.problem(
                    name,
                    format!("{name} is no built-in scheme, so providers.{name} needs `[[providers.{name}.verify]]` and `[providers.{name}.event]`, or `scheme`"),
                )),
                _ => Err(self.problem(name, format!("there is no built-in scheme `{wanted}`; `hookgate providers list --all` shows them"))),
            },
        }
    }

    fn secret(
        &self,
        name: &str,
        table: &Table,
        named: Option<String>,
        value: SecretString,
        index: usize,
        id: SecretId<'_>,
    ) -> Result<Secret, SchemeError> {
        let mut made = Vec::new();
        let mut reason = None;
        for rule in &table.verify {
            let rule = rule.get_ref();
            let fits = rule
                .when
                .secret_prefix
                .as_ref()
                .is_none_or(|prefix| value.expose_secret().starts_with(prefix.as_str()));
            made.push(match keys::key(rule, &value) {
                Ok(key) if fits => Some(key),
                Ok(_) => None,
                Err(expected) => {
                    reason.get_or_insert(expected);
                    None
                }
            });
        }
        if made.iter().all(Option::is_none) {
            let expected = reason.unwrap_or_else(|| "of another kind".to_owned());
            return Err(self
                .problem(name, format!("providers.{name}: secret number {} must be {expected}", index + 1)));
        }
        Ok(Secret { id: named.unwrap_or_else(|| id(index, &value)), value, keys: made })
    }

    fn params(
        &self,
        name: &str,
        table: &Table,
        own: Option<&Table>,
        source: &Source,
    ) -> Result<BTreeMap<String, SecretString>, SchemeError> {
        let mut values = BTreeMap::new();
        for (key, entry) in own.into_iter().flat_map(|own| &own.params) {
            let ParamEntry::Value(value) = entry else { continue };
            let known = matches!(table.params.get(key), Some(ParamEntry::Declared(_)));
            let own_scheme = own.is_some_and(|own| !own.verify.is_empty());
            if !known && !own_scheme {
                return Err(
                    self.problem(name, format!("providers.{name}: the scheme has no parameter `{key}`"))
                );
            }
            values.insert(key.clone(), value.clone());
        }
        for (key, entry) in &table.params {
            let ParamEntry::Declared(param) = entry else { continue };
            let variables: Vec<&str> = param.env.iter().map(String::as_str).collect();
            let from_env = source.first(&variables).map(|text| SecretString::from(text.trim()));
            let default = || param.default.clone().map(SecretString::from);
            if let Some(value) = from_env.or_else(|| values.remove(key)).or_else(default) {
                values.insert(key.clone(), value);
            }
        }
        Ok(values)
    }
}

/// A secret of the database: a handshake offered it and an operator approved it, or it is one account's own.
#[derive(Debug, Clone)]
pub struct Learned {
    /// Its id.
    pub id: String,
    /// The secret.
    pub value: SecretString,
    /// The account whose events alone it proves.
    pub account: Option<uuid::Uuid>,
}

/// Whether the environment holds a parameter that the scheme cannot do without.
fn requested(entry: &ParamEntry, source: &Source) -> bool {
    match entry {
        ParamEntry::Declared(param) if param.required => {
            let variables: Vec<&str> = param.env.iter().map(String::as_str).collect();
            source.first(&variables).is_some()
        }
        _ => false,
    }
}

fn access(table: &Table) -> Access {
    Access {
        allow: table.allow_ips.iter().map(|network| network.0).collect(),
        requests_per_second: table.requests_per_second,
        max_body_bytes: table.max_body_bytes,
    }
}

/// The scheme's table with what the instance says otherwise.
fn merged(scheme: &Scheme, own: Option<&Table>) -> Table {
    let mut table = (*scheme.table).clone();
    let Some(own) = own else { return table };
    if !own.verify.is_empty() {
        table.verify.clone_from(&own.verify);
        // It goes with the ways to prove: what the instance says instead may need a secret.
        table.secretless = false;
    }
    if own.event.is_some() {
        table.event.clone_from(&own.event);
    }
    if !own.handshake.is_empty() {
        table.handshake.clone_from(&own.handshake);
    }
    if own.reply.is_some() {
        table.reply.clone_from(&own.reply);
    }
    if !own.sample.is_empty() {
        table.sample.clone_from(&own.sample);
    }
    table.secretless |= own.secretless;
    table
}

#[cfg(test)]
mod tests {
    use super::super::read_tables;
    use super::*;

    fn problem(text: &str) -> Option<String> {
        let tables = read_tables("hookgate.toml", text).unwrap();
        let name = tables.names().next().unwrap().to_owned();
        tables.trial(&name, &"abc".into(), BTreeMap::new()).err().map(|error| error.to_string())
    }

    #[test]
    fn an_instance_cannot_do_without_the_secret_that_its_scheme_needs() {
        let error = problem("[providers.postmark]\nsecretless = true\n").unwrap();
        assert!(error.contains("line 1") && error.contains("without secrets needs"), "{error}");
    }

    #[test]
    fn another_proof_of_a_scheme_without_secrets_needs_one() {
        let proof = "algorithm = \"token\"\nsignature = { from = \"header:x\" }\n";
        let tables = read_tables("", &format!("[[providers.sns.verify]]\n{proof}")).unwrap();
        let provider = tables.trial("sns", &"abc".into(), BTreeMap::new()).unwrap();
        assert_eq!(provider.secrets.len(), 1);
    }
}
