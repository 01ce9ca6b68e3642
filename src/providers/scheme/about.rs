//! What a scheme is, in words: for those who have to set it up.

use super::table::{Algorithm, Handshake, ParamEntry, Table, Verify, When};
use super::template::{Part, Presence, Template};
use super::{BUILTIN, SchemeError, Tables};
use crate::providers::Replay;
use serde::Serialize;

/// What a scheme is, in words.
#[derive(Debug, Clone, Default, Serialize)]
pub struct About {
    /// Name of the provider.
    pub name: String,
    /// Name of its scheme.
    pub scheme: String,
    /// Name for people.
    pub title: String,
    /// Address of the sender's own documentation.
    pub docs: Option<String>,
    /// Remarks.
    pub note: Option<String>,
    /// It has no secret: fetched keys or certificates prove it.
    pub secretless: bool,
    /// Where the secret is found.
    pub secret_help: Option<String>,
    /// Environment variables that hold the secret.
    pub secret_env: Vec<String>,
    /// What it asks for beside the secret.
    pub params: Vec<AboutParam>,
    /// The ways to prove a request; the first whose condition holds counts.
    pub proofs: Vec<String>,
    /// Requests that only set things up, and how they are answered.
    pub handshakes: Vec<String>,
    /// Whether a handshake can offer a secret.
    pub learns: bool,
    /// What happens to known bytes under a new id.
    pub replay: Replay,
    /// Types of its samples for `hookgate send`.
    pub samples: Vec<String>,
}

/// What a scheme asks for beside its secret.
#[derive(Debug, Clone, Serialize)]
pub struct AboutParam {
    /// Its key in `params`.
    pub name: String,
    /// What it is.
    pub help: String,
    /// Without it there is no such provider.
    pub required: bool,
    /// It is a secret.
    pub secret: bool,
    /// Environment variables that hold it.
    pub env: Vec<String>,
    /// What it is if nothing is said.
    pub default: Option<String>,
}

/// Names of all built-in schemes, in order; two of them are code.
pub fn builtin_names() -> Vec<&'static str> {
    let mut names: Vec<&str> = BUILTIN.iter().map(|(name, _)| *name).chain(["c2s", "moysklad"]).collect();
    names.sort_unstable();
    names
}

impl Tables {
    /// What the provider of this name is, configured or not: by its table, or by the built-in scheme.
    pub fn about(&self, name: &str) -> Result<About, SchemeError> {
        if let Some(about) = coded(name) {
            return Ok(about);
        }
        let (scheme, table) = self.merged(name)?;
        let mut secret_env = Vec::new();
        if !table.secretless {
            secret_env.push(format!("{}_WEBHOOK_SECRET", name.to_uppercase().replace('-', "_")));
        }
        if name == scheme {
            secret_env.extend(table.secret_env.iter().cloned());
        }
        let event = table.event.as_ref().map(toml::Spanned::get_ref);
        Ok(About {
            name: name.to_owned(),
            title: table.title.clone().unwrap_or_else(|| scheme.clone()),
            scheme,
            docs: table.docs.clone(),
            note: table.note.clone(),
            secretless: table.secretless,
            secret_help: table.secret_help.clone(),
            secret_env,
            params: params(&table),
            proofs: table.verify.iter().map(|rule| proof(rule.get_ref())).collect(),
            handshakes: table.handshake.iter().map(|found| handshake(found.get_ref())).collect(),
            learns: table.handshake.iter().any(|found| found.get_ref().learn.is_some()),
            replay: table.replay.or(event.map(|event| event.replay)).unwrap_or_default(),
            samples: table.sample.iter().map(|sample| sample.r#type.clone()).collect(),
        })
    }
}

/// The schemes that no table can say.
fn coded(name: &str) -> Option<About> {
    let about = |title: &str, secret_env: &[&str], help: &str, proofs: &[&str]| About {
        name: name.to_owned(),
        scheme: name.to_owned(),
        title: title.to_owned(),
        secret_help: Some(help.to_owned()),
        secret_env: secret_env.iter().map(|&name| name.to_owned()).collect(),
        proofs: proofs.iter().map(|&proof| proof.to_owned()).collect(),
        ..About::default()
    };
    Some(match name {
        "c2s" => about(
            "C2S (Contact2Sale)",
            &["WEBHOOK_SECRET", "C2S_WEBHOOK_SECRET"],
            "any text of your own: C2S sends it back as it stands in the URL that you register, ?token=SECRET",
            &["token in header:x-webhook-token, or in query:token"],
        ),
        "moysklad" => about(
            "MoySklad",
            &["MOYSKLAD_WEBHOOK_TOKEN"],
            "any text of your own: MoySklad sends it back as it stands in the URL that you register, as its last segment \
             or as ?token=SECRET",
            &[
                "token in path_token, or in query:token; each event's href must be at the host of MOYSKLAD_BASE_URL",
            ],
        ),
        _ => return None,
    })
}

fn params(table: &Table) -> Vec<AboutParam> {
    let declared = table.params.iter().filter_map(|(name, entry)| match entry {
        ParamEntry::Declared(param) => Some((name, param)),
        ParamEntry::Value(_) => None,
    });
    declared
        .map(|(name, param)| AboutParam {
            name: name.clone(),
            help: param.help.clone(),
            required: param.required,
            secret: param.secret,
            env: param.env.clone(),
            default: param.default.clone(),
        })
        .collect()
}

fn proof(rule: &Verify) -> String {
    let mut words = vec![algorithm(rule.algorithm).to_owned()];
    if let Some(place) = &rule.signature {
        words.push(format!("in {}", place.from));
    }
    if let Some(jwt) = &rule.jwt {
        words.push(format!("in {}", jwt.from));
    }
    if let Some(certificate) = &rule.certificate {
        words.push(format!(
            "with the key of the certificate at {} ({})",
            certificate.url,
            certificate.hosts.join(", ")
        ));
    }
    let signed: Vec<String> = rule.signed_templates().map(text).collect();
    if !signed.is_empty() {
        words.push(format!("over {}", signed.join(" + ")));
    }
    let mut line = words.join(" ");
    if let Some(time) = &rule.time {
        line = format!(
            "{line}; its time is {}, at most {} s old and {} s ahead",
            time.from, time.past, time.future
        );
    }
    conditional(line, &rule.when)
}

fn handshake(table: &Handshake) -> String {
    let mut line = format!("answered with {}", table.reply.status.unwrap_or(200));
    if let Some(body) = &table.reply.body {
        line = format!("{line} and {}", text(body));
    }
    if let Some(secret) = &table.learn {
        line = format!("{line}; offers the secret in {secret}");
    }
    conditional(line, &table.when)
}

fn conditional(line: String, when: &When) -> String {
    let conditions = conditions(when);
    if conditions.is_empty() { line } else { format!("{line}; if {}", conditions.join(" and ")) }
}

fn conditions(when: &When) -> Vec<String> {
    let mut all = Vec::new();
    let mut say = |what: &str, value: &Option<String>| {
        if let Some(value) = value {
            all.push(format!("{what} {value}"));
        }
    };
    say("the method is", &when.method);
    say("there is a header", &when.header);
    say("there is no header", &when.no_header);
    say("there is a parameter", &when.query);
    say("the secret begins with", &when.secret_prefix);
    say("the content type is", &when.content_type);
    say("the content type is not", &when.no_content_type);
    say("there is configured", &when.param);
    all.extend(when.header_is.iter().map(|(name, value)| format!("the header {name} is {value}")));
    all.extend(when.header_contains.iter().map(|(name, value)| format!("the header {name} holds {value}")));
    all.extend(when.json.iter().map(|(pointer, value)| format!("{pointer} of the body is {value}")));
    all.extend(when.json_has.iter().map(|pointer| format!("the body has {pointer}")));
    all.extend(when.param_is.iter().map(|(name, value)| format!("{name} is configured as {value}")));
    all
}

/// A template as it is written.
fn text(template: &Template) -> String {
    let parts = template.parts.iter().map(|part| match part {
        Part::Text(text) => text.replace('{', "{{").replace('}', "}}"),
        Part::Value { reference, presence } => {
            let mark = match presence {
                Presence::Needed => "",
                Presence::Optional => "?",
                Presence::Guard => "!",
            };
            format!("{{{reference}{mark}}}")
        }
    });
    parts.collect()
}

fn algorithm(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::HmacSha1 => "hmac-sha1",
        Algorithm::HmacSha256 => "hmac-sha256",
        Algorithm::HmacSha384 => "hmac-sha384",
        Algorithm::HmacSha512 => "hmac-sha512",
        Algorithm::Md5 => "md5",
        Algorithm::Sha1 => "sha1",
        Algorithm::Sha256 => "sha256",
        Algorithm::Sha512 => "sha512",
        Algorithm::Ed25519 => "ed25519",
        Algorithm::EcdsaP256Sha256 => "ecdsa-p256-sha256",
        Algorithm::RsaSha1 => "rsa-sha1",
        Algorithm::RsaSha256 => "rsa-sha256",
        Algorithm::RsaSha512 => "rsa-sha512",
        Algorithm::Token => "token",
        Algorithm::Basic => "basic",
        Algorithm::Jwt => "jwt",
        Algorithm::Postback => "postback",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::scheme::read_tables;

    #[test]
    fn every_builtin_scheme_can_be_told() {
        let tables = read_tables("", "").unwrap();
        for name in builtin_names() {
            let about = tables.about(name).unwrap();
            assert!(!about.title.is_empty() && !about.proofs.is_empty(), "{name}");
            assert!(about.secretless || !about.secret_env.is_empty(), "{name}");
        }
    }

    #[test]
    fn an_instance_is_told_by_its_scheme_and_its_own_words() {
        let text = "[providers.hub]\nscheme = 'github'\nsecret = 'x'\nreplay = 'drop'\n";
        let about = read_tables("f", text).unwrap().about("hub").unwrap();
        assert_eq!((about.scheme.as_str(), about.replay), ("github", Replay::Drop));
        assert_eq!(about.secret_env, ["HUB_WEBHOOK_SECRET"]);
        assert!(about.proofs[0].contains("hmac-sha256 in header:x-hub-signature-256 over {body}"));
        assert!(read_tables("", "").unwrap().about("nobody").is_err());
    }
}
