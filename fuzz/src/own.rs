//! Schemes that a user might write: every field of a table, with references, templates and conditions from a small world
//! of names, so that they meet what is in the request.

use crate::schemes::SECRET;
use crate::wire::{NOON, Wire};
use arbitrary::{Arbitrary, Result, Unstructured};
use chrono::DateTime;
use toml::{Table, Value};

/// A table and a request for it.
#[derive(Debug)]
pub struct Own {
    table: Table,
    algorithms: Vec<&'static str>,
    /// Which of the secrets.
    pub secret: u8,
    /// The request.
    pub request: Wire,
}

impl Own {
    /// The settings file.
    pub fn toml(&self) -> String {
        let mine = Table::from_iter([("mine".to_owned(), Value::Table(self.table.clone()))]);
        Table::from_iter([("providers".to_owned(), Value::Table(mine))]).to_string()
    }

    /// Whether every way to prove needs a key, not only a text that is shown.
    pub fn keyed(&self) -> bool {
        self.algorithms.iter().all(|algorithm| !["token", "basic", "postback"].contains(algorithm))
    }
}

impl<'a> Arbitrary<'a> for Own {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let mut algorithms = Vec::new();
        let table = table(u, &mut algorithms)?;
        let secret = if maybe(u)? { u.arbitrary()? } else { 0 };
        Ok(Self { table, algorithms, secret, request: request(u)? })
    }
}

const ALGORITHMS: &[&str] = &[
    "hmac-sha256",
    "hmac-sha1",
    "hmac-sha384",
    "hmac-sha512",
    "md5",
    "sha1",
    "sha256",
    "sha512",
    "ed25519",
    "ecdsa-p256-sha256",
    "rsa-sha1",
    "rsa-sha256",
    "rsa-sha512",
    "token",
    "basic",
    "jwt",
    "postback",
];
const FORMS: &[&str] = &["utf8", "hex", "base64", "base64url", "whsec", "pem", "spki", "sha256"];
const ENCODINGS: &[&str] = &["hex", "hex-upper", "base64", "base64url", "text"];
const TIMES: &[&str] = &["unix", "unix_ms", "rfc3339", "rfc2822"];
const URLS: &[&str] = &["as-is", "without-port", "default-port", "escaped-quotes"];
const NAMES: &[&str] = &["a", "b", "x-signature", "x-time", "content-type", "authorization", "A", "t", "v1"];
const POINTERS: &[&str] = &["", "/a", "/b", "/a/b", "/a/0", "/a/*", "/*/a", "/a/*/b", "/~1", "/~0", "/a/0/a"];
const TEXTS: &[&str] =
    &["1", ".", ":", "v0=", "{", "}", "t=1760000000,v1=00", "1760000000", "2025-10-09T08:53:20Z", "\0", "é"];
const PLAIN: &[&str] = &[
    "body",
    "body_sha256",
    "body_sha256_base64",
    "body_md5",
    "body_crc32",
    "method",
    "path",
    "path_token",
    "unique",
    "form_sorted",
    "url",
    "url_decoded",
    "index",
    "secret",
    "kid",
    "time",
];
const NAMED: &[&str] = &["header", "headers", "query", "form", "signature", "header_prefix", "param"];
const POINTED: &[&str] = &["json", "item", "around", "json_key_beside"];
const AROUND: &[&str] =
    &["hmac_sha256_hex", "hmac_sha256_base64", "sha256_hex", "base64_decoded", "json_string"];

fn choose(u: &mut Unstructured<'_>, from: &[&'static str]) -> Result<&'static str> {
    u.choose(from).copied()
}

/// Once in four times; never once the input has ended, so that short inputs make small tables.
fn maybe(u: &mut Unstructured<'_>) -> Result<bool> {
    Ok(!u.ratio(3, 4)?)
}

/// One of the list, mostly; sometimes anything.
fn word(u: &mut Unstructured<'_>, from: &[&'static str]) -> Result<String> {
    if !u.ratio(19, 20)? {
        Ok(u.arbitrary::<&str>()?.chars().take(40).collect())
    } else {
        Ok(choose(u, from)?.to_owned())
    }
}

/// Mostly one that means something everywhere: else next to no table would be accepted.
fn reference(u: &mut Unstructured<'_>) -> Result<String> {
    let strange = !u.ratio(9, 10)?;
    let mut text = String::new();
    for _ in 0..u.int_in_range(0..=2)? {
        if maybe(u)? {
            text.push_str(choose(u, if strange { AROUND } else { &AROUND[2..] })?);
            text.push(':');
        }
    }
    let (plain, named, pointed) =
        if strange { (PLAIN, NAMED, POINTED) } else { (&PLAIN[..10], &NAMED[..4], &POINTED[..1]) };
    match u.int_in_range(0..=3)? {
        0 => text.push_str(choose(u, plain)?),
        1 => text.push_str(&format!("{}:{}", choose(u, pointed)?, word(u, POINTERS)?)),
        _ => text.push_str(&format!("{}:{}", choose(u, named)?, word(u, NAMES)?)),
    }
    Ok(text)
}

/// What is signed: the body, mostly, and what senders put beside it.
fn signed(u: &mut Unstructured<'_>) -> Result<String> {
    if u.ratio(2, 3)? {
        let usual = [
            "{body}",
            "{secret}{body}",
            "{secret!}{body}",
            "{secret?}{body}",
            "{url}{form_sorted}",
            "{time}.{body}",
        ];
        return choose(u, &usual).map(str::to_owned);
    }
    template(u)
}

fn template(u: &mut Unstructured<'_>) -> Result<String> {
    let mut text = String::new();
    for _ in 0..u.int_in_range(1..=4)? {
        if maybe(u)? {
            text.push_str(&word(u, TEXTS)?);
        } else {
            let presence = choose(u, &["", "", "", "?", "!"])?;
            text.push_str(&format!("{{{}{presence}}}", reference(u)?));
        }
    }
    Ok(text)
}

/// Some of what `make` makes.
fn some<T: Into<Value>>(
    u: &mut Unstructured<'_>,
    most: usize,
    make: impl Fn(&mut Unstructured<'_>) -> Result<T>,
) -> Result<Value> {
    let count = u.int_in_range(0..=most)?;
    let all: Result<Vec<Value>> = (0..count).map(|_| Ok(make(u)?.into())).collect();
    Ok(Value::Array(all?))
}

fn some_template(u: &mut Unstructured<'_>) -> Result<Value> {
    let mut first = vec![Value::from(template(u)?)];
    if let Value::Array(more) = some(u, 2, template)? {
        first.extend(more);
    }
    Ok(Value::Array(first))
}

fn pairs(u: &mut Unstructured<'_>, value: impl Fn(&mut Unstructured<'_>) -> Result<String>) -> Result<Table> {
    let mut table = Table::new();
    for _ in 0..u.int_in_range(1..=2)? {
        table.insert(word(u, NAMES)?, value(u)?.into());
    }
    Ok(table)
}

/// A table, made by giving each field a chance.
struct Maker<'u, 'a>(&'u mut Unstructured<'a>, Table);

impl<'u, 'a> Maker<'u, 'a> {
    fn always<T: Into<Value>>(
        mut self,
        key: &str,
        make: impl FnOnce(&mut Unstructured<'a>) -> Result<T>,
    ) -> Result<Self> {
        let value = make(self.0)?.into();
        self.1.insert(key.to_owned(), value);
        Ok(self)
    }

    fn maybe<T: Into<Value>>(
        self,
        key: &str,
        make: impl FnOnce(&mut Unstructured<'a>) -> Result<T>,
    ) -> Result<Self> {
        if maybe(self.0)? { self.always(key, make) } else { Ok(self) }
    }

    fn mostly<T: Into<Value>>(
        self,
        key: &str,
        make: impl FnOnce(&mut Unstructured<'a>) -> Result<T>,
    ) -> Result<Self> {
        if self.0.ratio(7, 8)? { self.always(key, make) } else { Ok(self) }
    }
}

fn table(u: &mut Unstructured<'_>, algorithms: &mut Vec<&'static str>) -> Result<Table> {
    let mut verify = Vec::new();
    let count = if maybe(u)? { 2 } else { 1 };
    for place in 0..count {
        let algorithm = if maybe(u)? { "token" } else { choose(u, ALGORITHMS)? };
        algorithms.push(algorithm);
        verify.push(Value::Table(rule(u, algorithm, place + 1 < count)?));
    }
    let made = Maker(u, Table::new())
        .maybe("secretless", maybe)?
        .maybe("scheme", |u| choose(u, &["postmark", "sns", "meta", "midtrans", "x", "own"]))?
        .always("event", event)?
        .maybe("handshake", |u| some(u, 2, handshake))?
        .maybe("reply", |u| {
            Ok(Maker(u, Table::new())
                .maybe("status", |u| Ok(190 + i64::from(u.arbitrary::<u8>()? % 120)))?
                .maybe("body", |u| word(u, TEXTS))?
                .1)
        })?
        .maybe("sample", |u| some(u, 1, sample))?
        .maybe("tolerance_seconds", |u| Ok(i64::from(u.arbitrary::<u32>()?)))?
        .maybe("replay", |u| choose(u, &["off", "flag", "drop"]).map(str::to_owned))?;
    let mut table = made.1;
    table.insert("verify".to_owned(), Value::Array(verify));
    Ok(table)
}

fn rule(u: &mut Unstructured<'_>, algorithm: &'static str, conditional: bool) -> Result<Table> {
    let mut made = Maker(u, Table::new())
        .always("algorithm", |_| Ok(algorithm))?
        .maybe("secret", |u| choose(u, FORMS))?
        .mostly("signature", place)?
        .maybe("time", |u| {
            Ok(Maker(u, Table::new())
                .always("from", reference)?
                .always("format", |u| choose(u, TIMES))?
                .always("past", |u| Ok(i64::from(u.arbitrary::<u16>()?)))?
                .always("future", |u| Ok(i64::from(u.arbitrary::<u16>()?)))?
                .1)
        })?
        .maybe("each", |u| word(u, POINTERS))?
        .maybe("require", |u| some(u, 2, require))?
        .maybe("urls", |u| some(u, 4, |u| choose(u, URLS)))?;
    if made.0.ratio(3, 4)? {
        made = made.mostly("signed", signed)?;
    } else {
        made = made.always("signed_parts", |u| {
            if u.arbitrary()? { some(u, 3, signed) } else { some(u, 2, |u| some(u, 2, signed)) }
        })?;
    }
    if conditional || maybe(made.0)? {
        made = made.always("when", when)?;
    }
    if algorithm == "jwt" {
        made = made.mostly("jwt", jwt)?;
    }
    if algorithm.starts_with("rsa") || algorithm.starts_with("ecdsa") {
        made = made.maybe("certificate", certificate)?;
    }
    Ok(made.1)
}

fn place(u: &mut Unstructured<'_>) -> Result<Table> {
    // One in four stands where the secret is shown, so that the readers behind a token are reached.
    let shown =
        |u: &mut Unstructured<'_>| if maybe(u)? { Ok("header:x-shown".to_owned()) } else { reference(u) };
    let mut made = Maker(u, Table::new())
        .always("from", shown)?
        .maybe("encoding", |u| choose(u, ENCODINGS))?
        .maybe("prefix", |u| word(u, &["v0=", "sha256=", "Bearer "]))?
        .maybe("separator", |u| word(u, &[",", " ", ";"]))?;
    if maybe(made.0)? {
        made =
            made.always("pair", |u| word(u, &["=", ","]))?.always("key", |u| word(u, &["v1", "t", "a"]))?;
    }
    Ok(made.1)
}

fn require(u: &mut Unstructured<'_>) -> Result<Table> {
    let made = Maker(u, Table::new()).always("left", reference)?;
    let made = match made.0.int_in_range(0..=2)? {
        0 => made.always("right", reference)?,
        1 => made.always("equals", |u| word(u, TEXTS))?,
        _ => made.always("one_of", reference)?,
    };
    Ok(made.1)
}

fn certificate(u: &mut Unstructured<'_>) -> Result<Table> {
    let made = Maker(u, Table::new())
        .always("url", reference)?
        .always("hosts", |u| some(u, 2, |u| word(u, &["hooks.example.com", "*.example.com", "*"])))?
        .maybe("path_prefix", |u| word(u, &["/", "/in"]))?
        .maybe("names", |u| some(u, 2, |u| word(u, &[crate::testdata::NAME, "*.example.com"])))?
        .always("chain", |u| u.arbitrary::<bool>())?;
    Ok(made.1)
}

fn jwt(u: &mut Unstructured<'_>) -> Result<Table> {
    let made = Maker(u, Table::new())
        .always("from", reference)?
        .always("algorithms", |u| some(u, 2, |u| choose(u, &["RS256", "ES256", "HS256", "none"])))?
        .maybe("keys_url", |u| word(u, &["https://hooks.example.com/keys", "https://{header:a}/{kid}"]))?
        .maybe("key_request", |u| {
            Ok(Maker(u, Table::new())
                .always("url", template)?
                .always("body", template)?
                .always("pointer", |u| word(u, POINTERS))?
                .1)
        })?
        .maybe("issuers", |u| some(u, 2, |u| word(u, TEXTS)))?
        .maybe("audience", template)?
        .maybe("claims", |u| pairs(u, template))?
        .maybe("body_sha256_claim", |u| word(u, NAMES))?
        .maybe("max_age", |u| Ok(i64::from(u.arbitrary::<u32>()?)))?
        .maybe("expires", |u| u.arbitrary::<bool>())?;
    Ok(made.1)
}

fn when(u: &mut Unstructured<'_>) -> Result<Table> {
    let made = Maker(u, Table::new())
        .maybe("method", |u| word(u, &["POST", "GET"]))?
        .maybe("header", |u| word(u, NAMES))?
        .maybe("no_header", |u| word(u, NAMES))?
        .maybe("header_is", |u| pairs(u, |u| word(u, TEXTS)))?
        .maybe("header_contains", |u| pairs(u, |u| word(u, TEXTS)))?
        .maybe("query", |u| word(u, NAMES))?
        .maybe("json_has", |u| some(u, 2, |u| word(u, POINTERS)))?
        .maybe("content_type", |u| word(u, &["application/json", "application/x-www-form-urlencoded"]))?
        .maybe("secret_prefix", |u| word(u, &["whsec_", "fuzz-"]))?
        .maybe("param", |u| word(u, NAMES))?;
    Ok(made.1)
}

fn event(u: &mut Unstructured<'_>) -> Result<Table> {
    let made = Maker(u, Table::new())
        .maybe("each", |u| some(u, 2, |u| word(u, POINTERS)))?
        .always("id", |u| some(u, 3, template))?
        .always("type", some_template)?
        .maybe("subject", template)?
        .maybe("time", |u| {
            let made = Maker(u, Table::new()).always("from", reference)?;
            Ok(made.always("format", |u| choose(u, TIMES))?.1)
        })?
        .maybe("format", |u| choose(u, &["json", "form", "any"]))?
        .maybe("in", reference)?
        .maybe("envelope", |u| pairs(u, reference))?
        .maybe("replay", |u| choose(u, &["off", "flag", "drop"]))?
        .maybe("replay_key", template)?;
    Ok(made.1)
}

fn handshake(u: &mut Unstructured<'_>) -> Result<Table> {
    let mut made = Maker(u, Table::new())
        .always("when", when)?
        .maybe("learn", reference)?
        .maybe("refuse", |u| Ok(i64::from(u.int_in_range(100..=599)?)))?
        .mostly("reply", |u| {
            Ok(Maker(u, Table::new())
                .maybe("status", |u| Ok(i64::from(u.int_in_range(100..=599)?)))?
                .maybe("headers", |u| pairs(u, template))?
                .maybe("body", template)?
                .1)
        })?;
    made = match made.0.int_in_range(0..=2)? {
        0 => made.always("proof", |u| choose(u, &["none", "signature"]))?,
        1 => made.always("proof", require)?,
        _ => made,
    };
    Ok(made.1)
}

fn sample(u: &mut Unstructured<'_>) -> Result<Table> {
    let text = |u: &mut Unstructured<'_>| {
        word(u, &["{now}", "{signature}", "t={now},v1={signature}", "{\"a\":\"{uuid}\"}"])
    };
    let made = Maker(u, Table::new())
        .always("type", |_| Ok("a"))?
        .maybe("query", text)?
        .maybe("headers", |u| pairs(u, text))?
        .maybe("body", text)?;
    Ok(made.1)
}

/// A request of the same small world.
fn request(u: &mut Unstructured<'_>) -> Result<Wire> {
    let mut headers = vec![("x-shown".to_owned(), SECRET.as_bytes().to_vec())];
    for _ in 0..u.int_in_range(0..=5)? {
        headers.push((word(u, NAMES)?.to_lowercase(), word(u, TEXTS)?.replace('\0', "").into_bytes()));
    }
    let field = |u: &mut Unstructured<'_>| Ok(format!("{}={}", word(u, NAMES)?, word(u, TEXTS)?));
    let mut query = String::new();
    for _ in 0..u.int_in_range(0..=2)? {
        query = format!("{query}&{}", field(u)?);
    }
    let body = match u.int_in_range(0..=3)? {
        0 => u.arbitrary::<&[u8]>()?.to_vec(),
        1 => {
            headers.push(("content-type".to_owned(), b"application/x-www-form-urlencoded".to_vec()));
            format!("{}&{}", field(u)?, field(u)?).into_bytes()
        }
        _ => {
            headers.push(("content-type".to_owned(), b"application/json; charset=utf-8".to_vec()));
            json(u, 5)?.to_string().into_bytes()
        }
    };
    Ok(Wire {
        who: String::new(),
        now: DateTime::from_timestamp(NOON, 0).unwrap_or_default(),
        method: choose(u, &["POST", "POST", "GET", "HEAD", "PUT"])?.to_owned(),
        bases: vec!["https://hooks.example.com:8443".to_owned(), "http://user@[::1]".to_owned()],
        path: word(u, &["/in", "/", "/in/token", ""])?,
        query,
        headers,
        body: body.into(),
    })
}

fn json(u: &mut Unstructured<'_>, depth: usize) -> Result<serde_json::Value> {
    let kinds = if depth == 0 { 3 } else { 6 };
    Ok(match u.int_in_range(0..=kinds)? {
        0 => serde_json::Value::Null,
        1 => u.arbitrary::<bool>()?.into(),
        2 => u.arbitrary::<i64>()?.into(),
        3 => word(u, TEXTS)?.into(),
        4 => {
            let count = u.int_in_range(0..=4)?;
            let items: Result<Vec<_>> = (0..count).map(|_| json(u, depth - 1)).collect();
            items?.into()
        }
        _ => {
            let mut fields = serde_json::Map::new();
            for _ in 0..u.int_in_range(0..=4)? {
                fields.insert(word(u, &["a", "b", "0", "/", "~"])?, json(u, depth - 1)?);
            }
            fields.into()
        }
    })
}
