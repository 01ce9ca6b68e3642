//! The cryptography of proofs: bytes in, verdict out. No scheme, no request, no network.

mod anchors;
pub mod certificate;
pub mod jwt;
mod key;
mod pem;
mod signing_key;
#[cfg(test)]
pub(crate) mod testdata;

pub use key::{BadKey, PublicKey, SignatureScheme};
pub use signing_key::{SigningKey, SigningKeyError};

use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// A hash function. SHA-1 and MD5 only prove what their senders offer nothing better for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// MD5.
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// The hash of `message`.
pub fn digest(hash: Hash, message: &[u8]) -> Vec<u8> {
    match hash {
        Hash::Md5 => Md5::digest(message).to_vec(),
        Hash::Sha1 => Sha1::digest(message).to_vec(),
        Hash::Sha256 => Sha256::digest(message).to_vec(),
        Hash::Sha384 => Sha384::digest(message).to_vec(),
        Hash::Sha512 => Sha512::digest(message).to_vec(),
    }
}

/// HMAC (RFC 2104) of `message` under `key`.
pub fn hmac(hash: Hash, key: &[u8], message: &[u8]) -> Vec<u8> {
    macro_rules! mac {
        ($hash:ty) => {
            // HMAC takes keys of every length, so the error cannot happen; an empty tag matches nothing.
            Hmac::<$hash>::new_from_slice(key)
                .map(|mac| mac.chain_update(message).finalize().into_bytes().to_vec())
                .unwrap_or_default()
        };
    }
    match hash {
        Hash::Md5 => mac!(Md5),
        Hash::Sha1 => mac!(Sha1),
        Hash::Sha256 => mac!(Sha256),
        Hash::Sha384 => mac!(Sha384),
        Hash::Sha512 => mac!(Sha512),
    }
}
