//! Secrets at rest and the comparison of tokens.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac as _};
use rand::Rng as _;
use secrecy::{ExposeSecret, SecretBox, SecretString};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use subtle::ConstantTimeEq as _;

/// Why a secret cannot be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum CryptoError {
    /// The key is not 32 bytes in base64.
    #[error("the master key must be 32 bytes in base64 (make one with `openssl rand -base64 32`)")]
    BadKey,
    /// The stored bytes were sealed with another key, for another place, or are damaged.
    #[error("a stored secret cannot be opened: HOOKGATE_MASTER_KEY is not the key it was sealed with")]
    CannotOpen,
}

/// The key that seals secrets in the database (XChaCha20-Poly1305). Cannot be printed.
#[derive(Clone)]
pub struct MasterKey(Arc<SecretBox<[u8; 32]>>);

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey([REDACTED])")
    }
}

impl MasterKey {
    /// Reads 32 bytes of base64.
    pub fn parse(text: &str) -> Result<Self, CryptoError> {
        let bytes = STANDARD.decode(text.trim()).map_err(|_| CryptoError::BadKey)?;
        let key: [u8; 32] = bytes.try_into().map_err(|_| CryptoError::BadKey)?;
        Ok(Self(Arc::new(SecretBox::new(Box::new(key)))))
    }

    /// A fresh key as base64, to be kept.
    pub fn generate() -> SecretString {
        STANDARD.encode(random_bytes::<32>()).into()
    }

    /// Seals `plain` for one `place` (table, column and row): sealed bytes moved to another row do not open.
    pub fn seal(&self, place: &str, plain: &SecretString) -> Vec<u8> {
        let nonce = random_bytes::<24>();
        let payload = Payload { msg: plain.expose_secret().as_bytes(), aad: place.as_bytes() };
        let mut sealed = nonce.to_vec();
        // Encryption of a buffer that fits memory cannot fail with this cipher; an empty result opens to an error.
        sealed.extend(self.cipher().encrypt(&XNonce::from(nonce), payload).unwrap_or_default());
        sealed
    }

    /// Opens what `seal` made for the same place.
    pub fn open(&self, place: &str, sealed: &[u8]) -> Result<SecretString, CryptoError> {
        let (nonce, message) = sealed.split_at_checked(24).ok_or(CryptoError::CannotOpen)?;
        let nonce: [u8; 24] = nonce.try_into().map_err(|_| CryptoError::CannotOpen)?;
        let payload = Payload { msg: message, aad: place.as_bytes() };
        let plain =
            self.cipher().decrypt(&XNonce::from(nonce), payload).map_err(|_| CryptoError::CannotOpen)?;
        String::from_utf8(plain).map(SecretString::from).map_err(|_| CryptoError::CannotOpen)
    }

    /// A key for one `purpose`; from it neither this key nor that of another purpose can be found.
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        // An HMAC takes a key of any length.
        Hmac::<Sha256>::new_from_slice(self.0.expose_secret())
            .map(|mac| mac.chain_update(purpose).finalize().into_bytes().into())
            .unwrap_or_default()
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&Key::from(*self.0.expose_secret()))
    }
}

/// Compares a presented token with the expected one in constant time; also their lengths stay secret, because
/// digests are compared.
pub fn same_secret(presented: &[u8], expected: &SecretString) -> bool {
    let presented = Sha256::digest(presented);
    let expected = Sha256::digest(expected.expose_secret().as_bytes());
    presented.ct_eq(&expected).into()
}

/// Random bytes from the system's generator.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_secrets_open_only_in_their_place_with_their_key() {
        let key = MasterKey::parse(MasterKey::generate().expose_secret()).unwrap();
        let sealed = key.seal("accounts/1", &"token".into());
        assert_eq!(key.open("accounts/1", &sealed).unwrap().expose_secret(), "token");
        assert!(key.open("accounts/2", &sealed).is_err());
        let other = MasterKey::parse(MasterKey::generate().expose_secret()).unwrap();
        assert!(other.open("accounts/1", &sealed).is_err());
        for cut in 0..sealed.len() {
            assert!(key.open("accounts/1", &sealed[..cut]).is_err());
        }
    }

    #[test]
    fn derived_keys_differ_by_key_and_purpose() {
        let key = MasterKey::parse(&STANDARD.encode([0; 32])).unwrap();
        let other = MasterKey::parse(&STANDARD.encode([1; 32])).unwrap();
        assert_eq!(key.derive("a"), key.derive("a"));
        assert_ne!(key.derive("a"), key.derive("b"));
        assert_ne!(key.derive("a"), other.derive("a"));
        assert_ne!(key.derive("a"), [0; 32]);
    }

    #[test]
    fn tokens_compare_by_content() {
        assert!(same_secret(b"abc", &"abc".into()));
        assert!(!same_secret(b"abcd", &"abc".into()));
        assert!(!same_secret(b"", &"abc".into()));
    }
}
