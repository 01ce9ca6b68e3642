//! Public keys and what they signed.

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

/// A public key.
#[derive(Debug, Clone)]
pub struct PublicKey {
    #[allow(dead_code)]
    bytes: Vec<u8>,
}
