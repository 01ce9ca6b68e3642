//! Work API, the person lookup (facts/c2s-stripe-paypal-twilio.md 1.6). Its token stands in the query string, and its
//! refusals come with HTTP 200 and the real status in the body.

use super::cache::Cache;
use super::cpf::Cpf;
use super::person::Person;
use super::phone::Phone;
use super::scalar::{List, Scalar};
use crate::config;
use crate::queue::HandlerError;
use crate::upstream::{Call, Policy, Upstream, UpstreamError};
use bytes::Bytes;
use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;

/// How long a reply is used again: a lead whose message could not be posted must not be paid for twice.
const REPLY_LIFE: Duration = Duration::from_secs(3600);

/// One kind of lookup.
struct Module {
    name: &'static str,
    route: &'static str,
}

const PHONE: Module = Module { name: "phone", route: "GET /api?modulo=phone" };
const MAIL: Module = Module { name: "mail", route: "GET /api?modulo=mail" };
const NAME: Module = Module { name: "name", route: "GET /api?modulo=name" };
const CPF: Module = Module { name: "cpf", route: "GET /api?modulo=cpf" };

/// Who was found by a telephone, an e-mail or a name.
#[derive(Default)]
pub(super) struct Hits {
    /// How many were found, companies and unreadable ones included.
    pub(super) total: usize,
    /// Those with a valid CPF, the best first.
    pub(super) people: Vec<Hit>,
}

/// A person that was found.
pub(super) struct Hit {
    pub(super) cpf: Cpf,
    pub(super) name: Option<String>,
}

/// The Work API.
pub(super) struct WorkApi {
    upstream: Upstream,
    token: SecretString,
    hits: Cache<Arc<Hits>>,
    people: Cache<Option<Arc<Person>>>,
}

impl WorkApi {
    /// The API of the settings, with its key.
    pub(super) fn new(settings: &config::WorkApi, token: SecretString) -> Self {
        let policy = Policy {
            timeout: Duration::from_secs(30),
            units: 1,
            per: settings.interval,
            burst: 1,
            parallel: 2,
            max_wait: Duration::from_secs(20),
            ..Policy::default()
        };
        let upstream = Upstream::new("work_api", &settings.base_url, policy);
        Self { upstream, token, hits: Cache::new(REPLY_LIFE), people: Cache::new(REPLY_LIFE) }
    }

    /// Who has this telephone.
    pub(super) async fn by_phone(&self, phone: &Phone) -> Result<Arc<Hits>, HandlerError> {
        self.hits(&PHONE, phone.national()).await
    }

    /// Who has this e-mail address.
    pub(super) async fn by_email(&self, email: &str) -> Result<Arc<Hits>, HandlerError> {
        self.hits(&MAIL, email).await
    }

    /// Who is called so.
    pub(super) async fn by_name(&self, name: &str) -> Result<Arc<Hits>, HandlerError> {
        self.hits(&NAME, name).await
    }

    /// The person with this CPF.
    pub(super) async fn person(&self, cpf: Cpf) -> Result<Option<Arc<Person>>, HandlerError> {
        let digits = cpf.digits();
        if let Some(known) = self.people.get(&digits) {
            return Ok(known);
        }
        let person = match self.ask(&CPF, &digits).await? {
            Some(body) => Person::read(&body, cpf).map_err(|_| unreadable(&CPF))?.map(Arc::new),
            None => None,
        };
        self.people.put(digits, person.clone());
        Ok(person)
    }

    async fn hits(&self, module: &Module, value: &str) -> Result<Arc<Hits>, HandlerError> {
        let key = format!("{}:{value}", module.name);
        if let Some(known) = self.hits.get(&key) {
            return Ok(known);
        }
        let hits = match self.ask(module, value).await? {
            Some(body) => Hits::read(&body).map_err(|_| unreadable(module))?,
            None => Hits::default(),
        };
        let hits = Arc::new(hits);
        self.hits.put(key, Arc::clone(&hits));
        Ok(hits)
    }

    /// The body of a reply that tells of somebody; `None` where there is nobody.
    async fn ask(&self, module: &Module, value: &str) -> Result<Option<Bytes>, HandlerError> {
        let call = Call::new(Method::GET, module.route, "/api")
            .query("token", self.token.expose_secret())
            .query("modulo", module.name)
            .query("consulta", value);
        let reply = match self.upstream.call("key", call).await {
            Ok(reply) => reply,
            Err(error) => {
                return match error.status() {
                    Some(404) => Ok(None),
                    Some(401..=403) => Err(refused(&error)),
                    _ => Err(error.into()),
                };
            }
        };
        let verdict: Verdict<'_> = serde_json::from_slice(&reply.body).map_err(|_| unreadable(module))?;
        match verdict.status() {
            Some(404) => Ok(None),
            Some(401..=403) => {
                Err(refused(&format!("{} answered 200 with a refusal in the body", module.route)))
            }
            None | Some(200) if !verdict.is_error() => Ok(Some(reply.body)),
            _ => Err(HandlerError::Retry(format!(
                "work_api: {} answered 200 with an error in the body",
                module.route
            ))),
        }
    }
}

impl Hits {
    fn read(body: &[u8]) -> Result<Self, serde_json::Error> {
        let found: Found<'_> = serde_json::from_slice(body)?;
        let rows = || found.msg.0.iter().chain(&found.data.0);
        Ok(Self { total: rows().count(), people: rows().filter_map(Row::read).collect() })
    }
}

/// Lists by telephone and e-mail stand in `msg`, by name in `data`.
#[derive(Deserialize)]
struct Found<'a> {
    #[serde(borrow, default)]
    msg: List<Row<'a>>,
    #[serde(borrow, default)]
    data: List<Row<'a>>,
}

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow, default)]
    cpf_cnpj: Scalar<'a>,
    #[serde(borrow, default)]
    cpf: Scalar<'a>,
    #[serde(borrow, default)]
    nome: Scalar<'a>,
}

impl Row<'_> {
    fn read(&self) -> Option<Hit> {
        let cpf = Cpf::from_lookup(&self.cpf_cnpj).or_else(|| Cpf::from_lookup(&self.cpf))?;
        Some(Hit { cpf, name: self.nome.text() })
    }
}

/// What a reply of HTTP 200 says of itself.
#[derive(Deserialize)]
struct Verdict<'a> {
    #[serde(borrow, default)]
    status: Scalar<'a>,
    #[serde(borrow)]
    erro: Option<&'a RawValue>,
}

impl Verdict<'_> {
    fn status(&self) -> Option<u16> {
        self.status.text()?.parse().ok()
    }

    fn is_error(&self) -> bool {
        self.erro.is_some_and(|erro| !matches!(erro.get(), "null" | "false" | "0" | r#""""# | "[]"))
    }
}

/// The key does not work, or has no quota left: other leads fail alike, and a person has to act before one succeeds.
fn refused(what: &impl std::fmt::Display) -> HandlerError {
    HandlerError::Retry(format!("{what} (is the key in WORK_API valid, and has it quota left?)"))
}

fn unreadable(module: &Module) -> HandlerError {
    UpstreamError::Unreadable { upstream: "work_api", route: module.route }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hits_are_read_from_both_forms_and_only_people_count() {
        let hits = Hits::read(
            br#"{"status":200,"total":4,"msg":[{"cpf_cnpj":"11222333000181","nome":"LTDA"},
                {"cpf_cnpj":"00052998224725","nome":"ANA","cpfMae":"111.444.777-35"},
                {"cpf_cnpj":"52998224724","nome":"WRONG"},{"cpf_cnpj":null}]}"#,
        )
        .unwrap();
        assert_eq!(hits.total, 4);
        let people: Vec<_> =
            hits.people.iter().map(|hit| (hit.cpf.formatted(), hit.name.as_deref())).collect();
        assert_eq!(people, [("529.982.247-25".to_owned(), Some("ANA"))]);

        let hits = Hits::read(br#"{"data":[{"cpf":"111.444.777-35","nome":"RUI"}]}"#).unwrap();
        assert_eq!(hits.people.len(), 1);
        assert_eq!(Hits::read(br#"{"msg":"nada encontrado"}"#).unwrap().total, 0);
    }

    #[test]
    fn errors_in_the_body_are_noticed() {
        let is_error = |json: &str| {
            let verdict: Verdict<'_> = serde_json::from_str(json).unwrap();
            (verdict.status(), verdict.is_error())
        };
        assert_eq!(is_error(r#"{"status":"403","reason":"x"}"#), (Some(403), false));
        assert_eq!(is_error(r#"{"status":200,"erro":"x"}"#), (Some(200), true));
        assert_eq!(is_error(r#"{"erro":{"code":1}}"#), (None, true));
        assert_eq!(is_error(r#"{"erro":null}"#), (None, false));
        assert_eq!(is_error(r#"{"erro":false,"msg":[]}"#), (None, false));
    }
}
