//! Signs as the providers do, written against their documentation and not with the gateway's own code.

use base64::Engine as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// `Stripe-Signature` of a body at a Unix time.
pub fn stripe(secret: &str, unix: i64, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{unix}.").as_bytes());
    mac.update(body);
    format!("t={unix},v1={}", hex::encode(mac.finalize().into_bytes()))
}

/// `Stripe-Signature` of a body, now.
pub fn stripe_now(secret: &str, body: &[u8]) -> String {
    stripe(secret, chrono::Utc::now().timestamp(), body)
}

/// HMAC-SHA256 in lower-case hex.
pub fn hmac_sha256(secret: &str, message: &[u8]) -> String {
    hmac_sha256_key(secret.as_bytes(), message)
}

/// HMAC-SHA256 under a key that is no text, in lower-case hex.
pub fn hmac_sha256_key(key: &[u8], message: &[u8]) -> String {
    hex::encode(hmac_sha256_bytes(key, message))
}

/// HMAC-SHA256 in base64.
pub fn hmac_sha256_base64(secret: &str, message: &[u8]) -> String {
    base64(&hmac_sha256_bytes(secret.as_bytes(), message))
}

fn hmac_sha256_bytes(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

/// SHA-256 in lower-case hex.
pub fn sha256(message: &[u8]) -> String {
    use sha2::Digest as _;
    hex::encode(Sha256::digest(message))
}

/// Base64, with padding.
pub fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// `X-Twilio-Signature` of a form: HMAC-SHA1 over the URL and the fields in the order of their names.
pub fn twilio(token: &str, url: &str, form: &str) -> String {
    let mut fields: Vec<(String, String)> =
        url::form_urlencoded::parse(form.as_bytes()).into_owned().collect();
    fields.sort();
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(token.as_bytes()).unwrap();
    mac.update(url.as_bytes());
    for (name, value) in fields {
        mac.update(name.as_bytes());
        mac.update(value.as_bytes());
    }
    base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes())
}

/// Something of the keys and certificates that OpenSSL made for tests; JSON.
pub fn test_key(section: &str, name: &str) -> serde_json::Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/providers/proof/testdata/keys.json");
    let all: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    all[section][name].clone()
}

/// RSA PKCS #1 v1.5 over SHA-256 with the tests' key.
pub fn rsa_sha256(message: &[u8]) -> Vec<u8> {
    let pem = test_key("keys", "rsa").as_str().unwrap().to_owned();
    let lines: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = base64::engine::general_purpose::STANDARD.decode(lines).unwrap();
    let key = ring::signature::RsaKeyPair::from_pkcs8(&der).unwrap();
    let mut signature = vec![0; key.public().modulus_len()];
    let random = ring::rand::SystemRandom::new();
    key.sign(&ring::signature::RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
    signature
}

/// A JSON Web Token of these claims, RS256 with the tests' key under this id.
pub fn jwt(kid: &str, claims: &serde_json::Value) -> String {
    let encode = |bytes: &[u8]| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
    let header = serde_json::json!({"alg": "RS256", "kid": kid, "typ": "JWT"}).to_string();
    let text = format!("{}.{}", encode(header.as_bytes()), encode(claims.to_string().as_bytes()));
    let signature = encode(&rsa_sha256(text.as_bytes()));
    format!("{text}.{signature}")
}
