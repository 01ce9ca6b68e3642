//! Private keys, for whoever has to sign a sample: `hookgate send` and tests. Proving needs none.

use super::{PublicKey, SignatureScheme, pem};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RsaKeyPair,
};
use secrecy::{ExposeSecret as _, SecretString};
use std::fmt;
use zeroize::Zeroizing;

/// Why a key cannot be read or cannot sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SigningKeyError {
    /// It is none of the forms that are read.
    #[error(
        "not a private key: give PKCS#8 in PEM (RSA from 2048 bits, P-256, Ed25519; `openssl pkcs8 -topk8 -nocrypt` \
         makes it from other forms), a 32-byte Ed25519 seed in hex, or a `whsk_` key"
    )]
    Unreadable,
    /// It is a key of another kind than the scheme, or the scheme is RSA with SHA-1, which is verified but not made.
    #[error("this private key cannot make signatures of this kind")]
    Mismatch,
}

/// A private key.
pub struct SigningKey(Kind);

enum Kind {
    Ed25519(Ed25519KeyPair),
    /// One pair for each form of the signature, because `ring` ties them together.
    P256(Box<P256>),
    Rsa(Box<RsaKeyPair>),
}

struct P256 {
    der: EcdsaKeyPair,
    fixed: EcdsaKeyPair,
}

impl SigningKey {
    /// From PEM (PKCS#8, or `RSA PRIVATE KEY`), the hex of a 32-byte Ed25519 seed, or Standard Webhooks' `whsk_`.
    pub fn from_text(text: &SecretString) -> Result<Self, SigningKeyError> {
        let text = text.expose_secret().trim();
        if let Some(key) = text.strip_prefix("whsk_") {
            let bytes = Zeroizing::new(STANDARD.decode(key).map_err(|_| SigningKeyError::Unreadable)?);
            // Seed and public key; the latter follows from the former.
            return Self::from_ed25519_seed(bytes.get(..32).ok_or(SigningKeyError::Unreadable)?);
        }
        if text.len() == 64 {
            let seed = Zeroizing::new(hex::decode(text).map_err(|_| SigningKeyError::Unreadable)?);
            return Self::from_ed25519_seed(&seed);
        }
        let blocks = pem::blocks(text.as_bytes()).ok_or(SigningKeyError::Unreadable)?;
        // `openssl ecparam` puts an EC PARAMETERS block in front.
        let found = blocks.into_iter().find(|block| block.0.ends_with("PRIVATE KEY"));
        let (label, der) = found.ok_or(SigningKeyError::Unreadable)?;
        let der = Zeroizing::new(der);
        match &*label {
            "PRIVATE KEY" => Self::from_pkcs8(&der),
            "RSA PRIVATE KEY" => RsaKeyPair::from_der(&der).map(Self::rsa).map_err(unreadable),
            _ => Err(SigningKeyError::Unreadable),
        }
    }

    /// From PKCS#8 in DER.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, SigningKeyError> {
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            return Ok(Self(Kind::Ed25519(pair)));
        }
        let random = SystemRandom::new();
        if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der, &random) {
            let fixed = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &random)
                .map_err(unreadable)?;
            return Ok(Self(Kind::P256(Box::new(P256 { der: pair, fixed }))));
        }
        RsaKeyPair::from_pkcs8(der).map(Self::rsa).map_err(unreadable)
    }

    /// From the seed of an Ed25519 key.
    pub fn from_ed25519_seed(seed: &[u8]) -> Result<Self, SigningKeyError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(unreadable)?;
        Ok(Self(Kind::Ed25519(pair)))
    }

    fn rsa(pair: RsaKeyPair) -> Self {
        Self(Kind::Rsa(Box::new(pair)))
    }

    /// Signs `message`.
    pub fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, SigningKeyError> {
        use SignatureScheme as S;
        let random = SystemRandom::new();
        let ecdsa = |pair: &EcdsaKeyPair| {
            let signature = pair.sign(&random, message).map_err(|_| SigningKeyError::Mismatch)?;
            Ok(signature.as_ref().to_vec())
        };
        match (&self.0, scheme) {
            (Kind::Ed25519(pair), S::Ed25519) => Ok(pair.sign(message).as_ref().to_vec()),
            (Kind::P256(pair), S::EcdsaP256Sha256Der) => ecdsa(&pair.der),
            (Kind::P256(pair), S::EcdsaP256Sha256Fixed) => ecdsa(&pair.fixed),
            (Kind::Rsa(pair), S::RsaSha256 | S::RsaSha512) => {
                let padding = if scheme == S::RsaSha512 { &RSA_PKCS1_SHA512 } else { &RSA_PKCS1_SHA256 };
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(padding, &random, message, &mut signature)
                    .map_err(|_| SigningKeyError::Mismatch)?;
                Ok(signature)
            }
            _ => Err(SigningKeyError::Mismatch),
        }
    }

    /// The key that verifies what this one signs.
    pub fn public_key(&self) -> Result<PublicKey, SigningKeyError> {
        match &self.0 {
            Kind::Ed25519(pair) => PublicKey::from_ed25519(pair.public_key().as_ref()),
            Kind::P256(pair) => PublicKey::from_point(pair.der.public_key().as_ref()),
            Kind::Rsa(pair) => PublicKey::from_pkcs1_der(pair.public().as_ref()),
        }
        .map_err(|_| SigningKeyError::Unreadable)
    }
}

/// Says which kind of key it is and nothing of its value.
impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.0 {
            Kind::Ed25519(_) => "SigningKey(Ed25519)",
            Kind::P256(_) => "SigningKey(P-256)",
            Kind::Rsa(_) => "SigningKey(RSA)",
        })
    }
}

fn unreadable(_: ring::error::KeyRejected) -> SigningKeyError {
    SigningKeyError::Unreadable
}
