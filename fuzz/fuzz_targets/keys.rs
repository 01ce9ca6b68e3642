//! Public and private keys in every form. A key proves nothing that its private half did not sign, one key is the same in
//! every form, and what a private key signs its public half proves.

#![no_main]

use arbitrary::Arbitrary;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hookgate::providers::proof::{PublicKey, SignatureScheme, SigningKey};
use hookgate_fuzz::testdata;
use libfuzzer_sys::fuzz_target;
use secrecy::SecretString;
use std::sync::OnceLock;

const SCHEMES: [SignatureScheme; 6] = [
    SignatureScheme::Ed25519,
    SignatureScheme::EcdsaP256Sha256Der,
    SignatureScheme::EcdsaP256Sha256Fixed,
    SignatureScheme::RsaSha1,
    SignatureScheme::RsaSha256,
    SignatureScheme::RsaSha512,
];

#[derive(Debug, Arbitrary)]
struct Input {
    form: Form,
    message: Vec<u8>,
    signature: Vec<u8>,
}

#[derive(Debug, Arbitrary)]
enum Form {
    Text(String),
    Pem {
        label: Label,
        der: Vec<u8>,
    },
    Der(Vec<u8>),
    Ed25519([u8; 32]),
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    Jwk(Vec<(JwkName, String)>),
    /// A key of the unit tests, some of its bytes changed.
    Mended {
        key: usize,
        private: bool,
        edits: Vec<(u16, u8)>,
    },
    Whsk(Vec<u8>),
}

#[derive(Debug, Arbitrary)]
enum Label {
    Public,
    RsaPublic,
    Certificate,
    Private,
    RsaPrivate,
    EcParameters,
    Other(String),
}

#[derive(Debug, Arbitrary)]
enum JwkName {
    Kty,
    Crv,
    X,
    Y,
    N,
    E,
    Use,
    Alg,
    KeyOps,
    Other(String),
}

fuzz_target!(|input: Input| {
    let mut keys: Vec<PublicKey> = Vec::new();
    match &input.form {
        Form::Text(text) => {
            keys.extend(PublicKey::from_pem(text.as_bytes()));
            keys.extend(PublicKey::from_spki_base64(text));
            private(text, &input.message);
        }
        Form::Pem { label, der } => {
            let text = pem(label, der);
            keys.extend(PublicKey::from_pem(text.as_bytes()));
            private(&text, &input.message);
        }
        Form::Der(der) => keys.extend(public(der)),
        Form::Ed25519(bytes) => {
            keys.extend(PublicKey::from_ed25519(bytes));
            let signing = SigningKey::from_ed25519_seed(bytes).expect("every 32 bytes are a seed");
            signs(&signing, &input.message);
        }
        Form::Rsa { modulus, exponent } => {
            let (n, e) = (URL_SAFE_NO_PAD.encode(modulus), URL_SAFE_NO_PAD.encode(exponent));
            let jwk = serde_json::json!({"kty": "RSA", "n": n, "e": e});
            keys.extend(jwk.as_object().map(|jwk| PublicKey::from_jwk(jwk)).into_iter().flatten());
        }
        Form::Jwk(fields) => {
            let value = |name: &JwkName, value: &str| match name {
                JwkName::KeyOps => vec![value].into(),
                _ => value.into(),
            };
            let fields = fields.iter().map(|(name, text)| (name.text(), value(name, text)));
            keys.extend(PublicKey::from_jwk(&fields.collect()));
        }
        Form::Mended { key, private: secret, edits } => {
            let section = if *secret { "keys" } else { "public" };
            let names = testdata::names(section);
            let text = testdata::text(section, names[key % names.len()]);
            let mut der = testdata::der(text);
            for (at, change) in edits {
                let at = usize::from(*at) % der.len();
                der[at] ^= change;
            }
            keys.extend(public(&der));
            if *secret {
                let label = text.lines().next().unwrap_or_default().trim_matches('-').replace("BEGIN ", "");
                private(&pem(&Label::Other(label), &der), &input.message);
            }
        }
        Form::Whsk(bytes) => private(&format!("whsk_{}", STANDARD.encode(bytes)), &input.message),
    }
    for key in keys.iter().chain(known()) {
        for scheme in SCHEMES {
            let proven = key.verify(scheme, &input.message, &input.signature);
            assert!(!proven, "{scheme:?} by nobody's signature");
        }
    }
});

/// Every DER form, and that they agree.
fn public(der: &[u8]) -> Vec<PublicKey> {
    let mut keys = Vec::new();
    if let Ok(key) = PublicKey::from_pkcs1_der(der) {
        assert_eq!(PublicKey::from_pem(pem(&Label::RsaPublic, der).as_bytes()).as_ref(), Ok(&key));
        keys.push(key);
    }
    if let Ok(key) = PublicKey::from_spki_der(der) {
        assert_eq!(PublicKey::from_spki_base64(&STANDARD.encode(der)).as_ref(), Ok(&key));
        assert_eq!(PublicKey::from_pem(pem(&Label::Public, der).as_bytes()).as_ref(), Ok(&key));
        keys.push(key);
    }
    keys
}

fn private(text: &str, message: &[u8]) {
    if let Ok(key) = SigningKey::from_text(&SecretString::from(text)) {
        signs(&key, message);
        assert!(format!("{key:?}").len() < 32);
    }
}

/// Whatever it signs is proven by its public half.
fn signs(key: &SigningKey, message: &[u8]) {
    // A modulus of 1024 bits signs, and is refused as a public key for what it would sign.
    let Ok(public) = key.public_key() else { return };
    for scheme in SCHEMES {
        if let Ok(signature) = key.sign(scheme, message)
            && public.fits(scheme)
        {
            assert!(public.verify(scheme, message, &signature), "{scheme:?}");
            let other = [message, b"."].concat();
            assert!(!public.verify(scheme, &other, &signature), "{scheme:?} of another message");
        }
    }
}

fn known() -> &'static [PublicKey] {
    static KNOWN: OnceLock<Vec<PublicKey>> = OnceLock::new();
    KNOWN.get_or_init(|| ["rsa", "p256", "ed25519"].map(testdata::public).into())
}

fn pem(label: &Label, der: &[u8]) -> String {
    let label = match label {
        Label::Public => "PUBLIC KEY",
        Label::RsaPublic => "RSA PUBLIC KEY",
        Label::Certificate => "CERTIFICATE",
        Label::Private => "PRIVATE KEY",
        Label::RsaPrivate => "RSA PRIVATE KEY",
        Label::EcParameters => "EC PARAMETERS",
        Label::Other(text) => text,
    };
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

impl JwkName {
    fn text(&self) -> String {
        match self {
            Self::Kty => "kty",
            Self::Crv => "crv",
            Self::X => "x",
            Self::Y => "y",
            Self::N => "n",
            Self::E => "e",
            Self::Use => "use",
            Self::Alg => "alg",
            Self::KeyOps => "key_ops",
            Self::Other(name) => name,
        }
        .to_owned()
    }
}
