//! Signs as the providers do, written against their documentation and not with the gateway's own code.

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
