//! Public keys and what they signed.

use super::{certificate, pem};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use serde_json::{Map, Value};
use x509_cert::der::asn1::{BitStringRef, ObjectIdentifier, UintRef};
use x509_cert::der::{Decode as _, Reader as _, SliceReader};
use x509_cert::spki::SubjectPublicKeyInfoRef;

const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// Sizes of RSA moduli in bits: what SHA-1 senders may still have, what anybody else must have, and what is no
/// signature key any more but an attempt to keep the machine busy.
const RSA_LEGACY_BITS: usize = 1024;
const RSA_BITS: usize = 2048;
const RSA_MOST_BITS: usize = 8192;

/// Ed25519 keys of small order (RFC 7748 and RFC 8032 tell how they arise), without the sign bit. Under them one
/// signature fits many messages, so they prove nothing.
const SMALL_ORDER: [[u8; 32]; 7] = [
    ends(0x00, 0x00, 0x00),
    ends(0x01, 0x00, 0x00),
    ends(0xec, 0xff, 0x7f),
    ends(0xed, 0xff, 0x7f),
    ends(0xee, 0xff, 0x7f),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
        0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

const fn ends(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut bytes = [middle; 32];
    bytes[0] = first;
    bytes[31] = last;
    bytes
}

/// How a signature was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureScheme {
    /// Ed25519 (RFC 8032).
    Ed25519,
    /// ECDSA on P-256 with SHA-256, signature in ASN.1 DER.
    EcdsaP256Sha256Der,
    /// ECDSA on P-256 with SHA-256, signature as r and s, 32 bytes each (JWS).
    EcdsaP256Sha256Fixed,
    /// RSA PKCS#1 v1.5 with SHA-1; only for senders that offer nothing better.
    RsaSha1,
    /// RSA PKCS#1 v1.5 with SHA-256.
    RsaSha256,
    /// RSA PKCS#1 v1.5 with SHA-512.
    RsaSha512,
}

/// The text is no key of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a public key of this kind")]
pub struct BadKey;

/// A public key: Ed25519, ECDSA on P-256, or RSA of 1024 to 8192 bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Ed25519([u8; 32]),
    /// Uncompressed point, with its leading 4.
    P256([u8; 65]),
    /// Both without leading zeros.
    Rsa {
        modulus: Box<[u8]>,
        exponent: Box<[u8]>,
    },
}

impl PublicKey {
    /// From the 32 bytes of an Ed25519 key (Discord, Standard Webhooks' `whpk_`).
    pub fn from_ed25519(bytes: &[u8]) -> Result<Self, BadKey> {
        let key: [u8; 32] = bytes.try_into().map_err(|_| BadKey)?;
        let mut without_sign = key;
        without_sign[31] &= 0x7f;
        if SMALL_ORDER.contains(&without_sign) {
            return Err(BadKey);
        }
        Ok(Self(Kind::Ed25519(key)))
    }

    /// From X.509's `SubjectPublicKeyInfo` in DER.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, BadKey> {
        let spki = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| BadKey)?;
        let key: BitStringRef<'_> = spki.subject_public_key;
        let key = key.as_bytes().ok_or(BadKey)?;
        // What else may stand there is fixed by RFC 8410, RFC 5480 and RFC 3279; some leave out RSA's NULL.
        match (spki.algorithm.oid, spki.algorithm.parameters) {
            (ED25519, None) => Self::from_ed25519(key),
            (EC, Some(_)) if spki.algorithm.parameters_oid() == Ok(P256) => Self::from_point(key),
            (RSA, None) => Self::from_pkcs1_der(key),
            (RSA, Some(null)) if null.is_null() => Self::from_pkcs1_der(key),
            _ => Err(BadKey),
        }
    }

    /// From `SubjectPublicKeyInfo` in base64 (`SendGrid`).
    pub fn from_spki_base64(text: &str) -> Result<Self, BadKey> {
        if text.len() > pem::MAX_PEM {
            return Err(BadKey);
        }
        Self::from_spki_der(&STANDARD.decode(text.trim()).map_err(|_| BadKey)?)
    }

    /// From PKCS#1's `RSAPublicKey` in DER.
    pub fn from_pkcs1_der(der: &[u8]) -> Result<Self, BadKey> {
        let numbers = |der| {
            let mut reader = SliceReader::new(der)?;
            let numbers = reader.sequence(|parts| Ok((UintRef::decode(parts)?, UintRef::decode(parts)?)))?;
            reader.finish(numbers)
        };
        let (modulus, exponent): (UintRef<'_>, UintRef<'_>) = numbers(der).map_err(|_| BadKey)?;
        Self::from_rsa(modulus.as_bytes(), exponent.as_bytes())
    }

    /// From PEM: a `PUBLIC KEY`, an `RSA PUBLIC KEY`, or a `CERTIFICATE`, whose key it is. The first block counts; of
    /// a certificate nothing but the key is read.
    pub fn from_pem(text: &[u8]) -> Result<Self, BadKey> {
        let blocks = pem::blocks(text).ok_or(BadKey)?;
        let (label, der) = blocks.first().ok_or(BadKey)?;
        match &**label {
            "PUBLIC KEY" => Self::from_spki_der(der),
            "RSA PUBLIC KEY" => Self::from_pkcs1_der(der),
            "CERTIFICATE" => certificate::key_of(der).map_err(|_| BadKey),
            _ => Err(BadKey),
        }
    }

    /// From a JSON Web Key (RFC 7517, RFC 8037) that is meant for signatures.
    pub fn from_jwk(jwk: &Map<String, Value>) -> Result<Self, BadKey> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let bytes = |name: &str| {
            let value = text(name).filter(|value| value.len() <= RSA_MOST_BITS).ok_or(BadKey)?;
            URL_SAFE_NO_PAD.decode(value).map_err(|_| BadKey)
        };
        let meant = text("use").is_none_or(|purpose| purpose == "sig")
            && jwk.get("key_ops").is_none_or(|operations| {
                operations.as_array().is_some_and(|list| list.iter().any(|operation| operation == "verify"))
            });
        if !meant {
            return Err(BadKey);
        }
        match (text("kty"), text("crv")) {
            (Some("RSA"), _) => Self::from_rsa(&bytes("n")?, &bytes("e")?),
            (Some("EC"), Some("P-256")) => {
                let (x, y) = (bytes("x")?, bytes("y")?);
                if x.len() != 32 {
                    return Err(BadKey);
                }
                Self::from_point(&[&[4], &*x, &*y].concat())
            }
            (Some("OKP"), Some("Ed25519")) => Self::from_ed25519(&bytes("x")?),
            _ => Err(BadKey),
        }
    }

    pub(super) fn from_point(point: &[u8]) -> Result<Self, BadKey> {
        // Keys come uncompressed from everybody; that the point is on the curve is seen when it is used.
        match <[u8; 65]>::try_from(point) {
            Ok(point) if point[0] == 4 => Ok(Self(Kind::P256(point))),
            _ => Err(BadKey),
        }
    }

    fn from_rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, BadKey> {
        let (modulus, exponent) = (without_zeros(modulus), without_zeros(exponent));
        let bits = bits(modulus);
        if !(RSA_LEGACY_BITS..=RSA_MOST_BITS).contains(&bits) || exponent.is_empty() || exponent.len() > 4 {
            return Err(BadKey);
        }
        Ok(Self(Kind::Rsa { modulus: modulus.into(), exponent: exponent.into() }))
    }

    /// Whether signatures of `scheme` can be made with this key's private half.
    pub fn fits(&self, scheme: SignatureScheme) -> bool {
        use SignatureScheme as S;
        match &self.0 {
            Kind::Ed25519(_) => scheme == S::Ed25519,
            Kind::P256(_) => matches!(scheme, S::EcdsaP256Sha256Der | S::EcdsaP256Sha256Fixed),
            Kind::Rsa { modulus, .. } => match scheme {
                S::RsaSha1 => true,
                S::RsaSha256 | S::RsaSha512 => bits(modulus) >= RSA_BITS,
                _ => false,
            },
        }
    }

    /// Whether `signature` is one of `scheme` over `message` by this key. A key that does not fit, a wrong length,
    /// anything odd: `false`.
    pub fn verify(&self, scheme: SignatureScheme, message: &[u8], signature: &[u8]) -> bool {
        use SignatureScheme as S;
        if !self.fits(scheme) {
            return false;
        }
        match &self.0 {
            Kind::Ed25519(key) => {
                UnparsedPublicKey::new(&signature::ED25519, key).verify(message, signature).is_ok()
            }
            Kind::P256(point) => {
                let algorithm = match scheme {
                    S::EcdsaP256Sha256Fixed => &signature::ECDSA_P256_SHA256_FIXED,
                    _ => &signature::ECDSA_P256_SHA256_ASN1,
                };
                UnparsedPublicKey::new(algorithm, point).verify(message, signature).is_ok()
            }
            Kind::Rsa { modulus, exponent } => {
                let algorithm = match scheme {
                    S::RsaSha1 => &signature::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
                    S::RsaSha512 => &signature::RSA_PKCS1_2048_8192_SHA512,
                    _ => &signature::RSA_PKCS1_2048_8192_SHA256,
                };
                let key = RsaPublicKeyComponents { n: modulus, e: exponent };
                key.verify(algorithm, message, signature).is_ok()
            }
        }
    }
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

/// Length of a number that has no leading zeros.
fn bits(number: &[u8]) -> usize {
    number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}

#[cfg(test)]
mod tests;
