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
