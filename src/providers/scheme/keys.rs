//! The configured secret as key material, and signatures as bytes.

use super::table::{Algorithm, Encoding, KeyForm, Verify};
use crate::providers::proof::{Hash, PublicKey, SignatureScheme, digest};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};

/// What a secret becomes for one way to prove a request.
pub(super) enum Key {
    /// Bytes of an HMAC key.
    Bytes(SecretSlice<u8>),
    /// A public key.
    Public(PublicKey),
    /// The text itself is compared, hashed or looked up.
    Text,
}

/// Makes a key of the configured text for one way to prove; the error says what the text must be.
pub(super) fn key(rule: &Verify, secret: &SecretString) -> Result<Key, String> {
    let (algorithm, form) = (rule.algorithm, rule.secret);
    if secret.expose_secret().trim().is_empty() {
        return Err("text that is not empty: an empty key proves anything".to_owned());
    }
    match algorithm.kind() {
        Kind::Hmac(_) => {
            let bytes = bytes(form, secret.expose_secret())?;
            if bytes.is_empty() {
                return Err("a key that is not empty".to_owned());
            }
            Ok(Key::Bytes(bytes.into()))
        }
        // The key is in the certificate; the secret is only part of what is signed.
        Kind::Signature(_) if rule.certificate.is_some() => Ok(Key::Text),
        Kind::Jwt => match &rule.jwt {
            Some(jwt) if jwt.has_keys() => Ok(Key::Text),
            Some(jwt) if jwt.algorithms.iter().any(|algorithm| algorithm == "HS256") => {
                Ok(Key::Bytes(bytes(form, secret.expose_secret())?.into()))
            }
            _ => public_key(SignatureScheme::RsaSha256, form, secret.expose_secret()).map(Key::Public),
        },
        Kind::Signature(scheme) => public_key(scheme, form, secret.expose_secret()).map(Key::Public),
        _ => Ok(Key::Text),
    }
}

/// The families of algorithms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Hmac(Hash),
    Digest(Hash),
    Signature(SignatureScheme),
    Token,
    Basic,
    Jwt,
    Postback,
}

impl Algorithm {
    pub(super) fn kind(self) -> Kind {
        match self {
            Self::HmacSha1 => Kind::Hmac(Hash::Sha1),
            Self::HmacSha256 => Kind::Hmac(Hash::Sha256),
            Self::HmacSha384 => Kind::Hmac(Hash::Sha384),
            Self::HmacSha512 => Kind::Hmac(Hash::Sha512),
            Self::Md5 => Kind::Digest(Hash::Md5),
            Self::Sha1 => Kind::Digest(Hash::Sha1),
            Self::Sha256 => Kind::Digest(Hash::Sha256),
            Self::Sha512 => Kind::Digest(Hash::Sha512),
            Self::Ed25519 => Kind::Signature(SignatureScheme::Ed25519),
            Self::EcdsaP256Sha256 => Kind::Signature(SignatureScheme::EcdsaP256Sha256Der),
            Self::RsaSha1 => Kind::Signature(SignatureScheme::RsaSha1),
            Self::RsaSha256 => Kind::Signature(SignatureScheme::RsaSha256),
            Self::RsaSha512 => Kind::Signature(SignatureScheme::RsaSha512),
            Self::Token => Kind::Token,
            Self::Basic => Kind::Basic,
            Self::Jwt => Kind::Jwt,
            Self::Postback => Kind::Postback,
        }
    }
}

fn bytes(form: KeyForm, text: &str) -> Result<Vec<u8>, String> {
    match form {
        KeyForm::Utf8 | KeyForm::Pem => Ok(text.as_bytes().to_vec()),
        KeyForm::Hex => hex::decode(text).map_err(|_| "hexadecimal".to_owned()),
        KeyForm::Base64 | KeyForm::Spki => base64(text).ok_or_else(|| "base64".to_owned()),
        KeyForm::Base64url => {
            URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|_| "URL-safe base64".to_owned())
        }
        KeyForm::Whsec => {
            let text =
                ["whsec_", "whpk_"].iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(text);
            base64(text).ok_or_else(|| "`whsec_` or `whpk_` and base64".to_owned())
        }
        KeyForm::Sha256 => Ok(digest(Hash::Sha256, text.as_bytes())),
    }
}

/// With its padding or without: secrets are copied by hand.
fn base64(text: &str) -> Option<Vec<u8>> {
    STANDARD_NO_PAD.decode(text.trim_end_matches('=')).ok()
}

fn public_key(scheme: SignatureScheme, form: KeyForm, text: &str) -> Result<PublicKey, String> {
    if form == KeyForm::Pem {
        return PublicKey::from_pem(text.as_bytes())
            .map_err(|_| "a public key of this kind in PEM".to_owned());
    }
    let bytes = bytes(if form == KeyForm::Utf8 { KeyForm::Base64 } else { form }, text)?;
    // A key in one piece of DER begins with a sequence; 32 bytes alone are an Ed25519 key.
    let key = match scheme {
        SignatureScheme::Ed25519 if bytes.len() == 32 => PublicKey::from_ed25519(&bytes),
        _ => PublicKey::from_spki_der(&bytes),
    };
    key.map_err(|_| "a public key of this kind".to_owned())
}

/// The bytes of a signature as it is written; `None` if it is written otherwise.
pub(super) fn decode(encoding: Encoding, text: &str) -> Option<Vec<u8>> {
    match encoding {
        Encoding::Hex => strict_hex(text, u8::is_ascii_uppercase),
        Encoding::HexUpper => strict_hex(text, u8::is_ascii_lowercase),
        Encoding::Base64 => STANDARD.decode(text).ok(),
        Encoding::Base64url => URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok(),
        Encoding::Text => Some(text.as_bytes().to_vec()),
    }
}

fn strict_hex(text: &str, refused: fn(&u8) -> bool) -> Option<Vec<u8>> {
    if text.as_bytes().iter().any(refused) { None } else { hex::decode(text).ok() }
}

/// Writes a signature, for samples.
pub(super) fn encode(encoding: Encoding, signature: &[u8]) -> String {
    match encoding {
        Encoding::Hex => hex::encode(signature),
        Encoding::HexUpper => hex::encode_upper(signature),
        Encoding::Base64 => STANDARD.encode(signature),
        Encoding::Base64url => URL_SAFE_NO_PAD.encode(signature),
        Encoding::Text => String::from_utf8_lossy(signature).into_owned(),
    }
}
