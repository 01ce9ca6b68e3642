use super::super::testdata::{every_flipped_bit, jwk, message, names, public, shared_vectors, signing, text};
use super::*;
use crate::providers::proof::{SigningKey, SigningKeyError};
use SignatureScheme as S;
use proptest::prelude::*;

const SCHEMES: [S; 6] =
    [S::Ed25519, S::EcdsaP256Sha256Der, S::EcdsaP256Sha256Fixed, S::RsaSha1, S::RsaSha256, S::RsaSha512];

fn decoded(text: &str) -> Vec<u8> {
    STANDARD.decode(text).unwrap()
}

#[test]
fn a_signature_by_openssl_verifies_under_its_key_and_scheme_alone() {
    let right = [
        ("ed25519", "ed25519", S::Ed25519),
        ("p256", "p256", S::EcdsaP256Sha256Der),
        ("rsa", "rsa_sha1", S::RsaSha1),
        ("rsa", "rsa_sha256", S::RsaSha256),
        ("rsa", "rsa_sha512", S::RsaSha512),
        ("rsa1024", "rsa1024_sha1", S::RsaSha1),
    ];
    let mut verified = 0;
    for key in ["ed25519", "p256", "rsa", "rsa1024"] {
        for signature in names("signatures") {
            for scheme in SCHEMES {
                let found = public(key).verify(scheme, message(), &decoded(text("signatures", signature)));
                assert_eq!(found, right.contains(&(key, signature, scheme)), "{key} {signature} {scheme:?}");
                verified += usize::from(found);
            }
        }
    }
    assert_eq!(verified, right.len());
}

#[test]
fn every_form_of_a_key_is_the_same_key() {
    for name in ["rsa", "p256", "ed25519"] {
        let key = public(name);
        let der = pem::blocks(text("public", name).as_bytes()).unwrap().remove(0).1;
        assert_eq!(PublicKey::from_spki_der(&der), Ok(key.clone()));
        assert_eq!(PublicKey::from_spki_base64(&format!(" {}\n", STANDARD.encode(der))), Ok(key.clone()));
        assert_eq!(PublicKey::from_jwk(jwk(name, "1").as_object().unwrap()), Ok(key.clone()));
        assert_eq!(signing(name).public_key().as_ref(), Ok(&key));
    }
    assert_eq!(public("rsa_pkcs1"), public("rsa"));
    assert_eq!(signing("rsa_pkcs1").public_key(), Ok(public("rsa")));
    let certificate = text("certificates", "good").as_bytes();
    assert_eq!(PublicKey::from_pem(certificate), Ok(public("rsa")));
    let escaped = text("public", "p256").replace('\n', "\\n");
    assert_eq!(PublicKey::from_pem(escaped.as_bytes()), Ok(public("p256")), "as in an environment variable");
}

#[test]
fn other_kinds_of_keys_are_refused() {
    assert_eq!(PublicKey::from_pem(text("public", "p384").as_bytes()), Err(BadKey));
    assert_eq!(PublicKey::from_pem(text("keys", "rsa").as_bytes()), Err(BadKey), "a private key");
    for length in [0, 31, 33, 64] {
        assert_eq!(PublicKey::from_ed25519(&vec![7; length]), Err(BadKey));
    }
    let Kind::P256(point) = public("p256").0 else { panic!("not P-256") };
    let compressed = [&[2 + (point[64] & 1)], &point[1..33]].concat();
    assert_eq!(PublicKey::from_point(&compressed), Err(BadKey));
    assert_eq!(PublicKey::from_rsa(&[0xff; 127], &[1, 0, 1]), Err(BadKey), "1016 bits");
    assert_eq!(PublicKey::from_rsa(&[0xff; 1025], &[1, 0, 1]), Err(BadKey), "8200 bits");
    let zeros = [vec![0; 2], vec![0xff; 128]].concat();
    assert_eq!(PublicKey::from_rsa(&zeros, &[0, 3]), PublicKey::from_rsa(&[0xff; 128], &[3]));
    let with_more = [&*pem::blocks(text("public", "rsa_pkcs1").as_bytes()).unwrap()[0].1, &[0]].concat();
    assert_eq!(PublicKey::from_pkcs1_der(&with_more), Err(BadKey), "bytes behind the key");
}

#[test]
fn a_jwk_must_be_meant_for_signatures() {
    let with = |name: &str, member: &str, value: Value| {
        let mut jwk = jwk(name, "1");
        jwk[member] = value;
        PublicKey::from_jwk(jwk.as_object().unwrap())
    };
    assert!(with("rsa", "use", "sig".into()).is_ok());
    assert!(with("rsa", "key_ops", serde_json::json!(["verify"])).is_ok());
    assert_eq!(with("rsa", "use", "enc".into()), Err(BadKey));
    assert_eq!(with("rsa", "key_ops", serde_json::json!(["encrypt"])), Err(BadKey));
    assert_eq!(with("rsa", "kty", "oct".into()), Err(BadKey));
    assert_eq!(with("rsa", "n", "AQAB".into()), Err(BadKey));
    assert_eq!(with("rsa", "e", Value::Null), Err(BadKey));
    assert_eq!(with("p256", "crv", "P-384".into()), Err(BadKey));
    assert_eq!(with("p256", "x", "AQAB".into()), Err(BadKey));
    assert!(PublicKey::from_jwk(jwk("p384", "1").as_object().unwrap()).is_err());
}

#[test]
fn an_ed25519_key_of_small_order_is_refused() {
    // The neutral element: R equal to it and s = 0 "sign" every message, as far as the equation is concerned.
    let neutral = ends(1, 0, 0);
    let forged = [neutral, [0; 32]].concat();
    let accepted = UnparsedPublicKey::new(&signature::ED25519, neutral).verify(b"anything", &forged);
    assert!(accepted.is_ok(), "the forgery works, so the list is needed");
    for mut key in SMALL_ORDER {
        assert_eq!(PublicKey::from_ed25519(&key), Err(BadKey));
        key[31] |= 0x80;
        assert_eq!(PublicKey::from_ed25519(&key), Err(BadKey));
    }
}

#[test]
fn what_a_private_key_signs_its_public_key_verifies() {
    for (name, schemes) in [
        ("ed25519", &[S::Ed25519][..]),
        ("p256", &[S::EcdsaP256Sha256Der, S::EcdsaP256Sha256Fixed]),
        ("rsa", &[S::RsaSha256, S::RsaSha512]),
    ] {
        for scheme in SCHEMES {
            match signing(name).sign(scheme, b"hello") {
                Ok(signature) => {
                    assert!(schemes.contains(&scheme));
                    assert!(public(name).verify(scheme, b"hello", &signature));
                    assert!(!public(name).verify(scheme, b"hellp", &signature));
                    assert!(!public(name).verify(scheme, b"hello", &signature[1..]));
                    assert!(!public(name).verify(scheme, b"hello", &[&*signature, &[0]].concat()));
                }
                Err(error) => {
                    assert_eq!(error, SigningKeyError::Mismatch);
                    assert!(!schemes.contains(&scheme), "{name} {scheme:?}");
                }
            }
        }
    }
}

#[test]
fn seeds_are_read_and_other_texts_explained() {
    let seed = [7; 32];
    let key = SigningKey::from_text(&hex::encode(seed).into()).unwrap();
    let public = key.public_key().unwrap();
    let Kind::Ed25519(bytes) = &public.0 else { panic!("not Ed25519") };
    let whsk = format!("whsk_{}", STANDARD.encode([seed, *bytes].concat()));
    assert_eq!(SigningKey::from_text(&whsk.into()).unwrap().public_key(), Ok(public));
    for text in ["", "whsk_", "whsk_AQID", &"g".repeat(64), text("public", "rsa"), text("keys", "p384")] {
        let error = SigningKey::from_text(&text.to_owned().into()).unwrap_err();
        assert_eq!(error, SigningKeyError::Unreadable);
        assert!(error.to_string().contains("openssl"), "{error}");
    }
    assert_eq!(format!("{:?} {:?}", key, signing("rsa")), "SigningKey(Ed25519) SigningKey(RSA)");
}

#[test]
fn published_ed25519_vectors_of_standard_webhooks_verify() {
    for vector in shared_vectors("published/standardwebhooks.json") {
        let field = |name: &str| vector[name].as_str().unwrap();
        let Some(key) = field("secret").strip_prefix("whpk_") else { continue };
        let header = |name: &str| vector["headers"][name].as_str().unwrap();
        let body = decoded(field("body_b64"));
        let signed = [header("webhook-id"), ".", header("webhook-timestamp"), "."].concat();
        let key = PublicKey::from_ed25519(&decoded(key)).unwrap();
        let verified = header("webhook-signature")
            .split(' ')
            .filter_map(|signature| signature.strip_prefix("v1a,"))
            .any(|signature| {
                key.verify(S::Ed25519, &[signed.as_bytes(), &body].concat(), &decoded(signature))
            });
        let name = field("name");
        assert_eq!(verified, vector["valid"] == true || name == "v1a_old", "{name}");
    }
}

#[test]
fn published_ecdsa_vectors_of_sendgrid_verify() {
    for vector in shared_vectors("published/sendgrid.json") {
        let header = |name: &str| {
            let headers = vector["headers"].as_object().unwrap();
            headers.iter().find(|header| header.0.eq_ignore_ascii_case(name)).unwrap().1.as_str().unwrap()
        };
        let key = PublicKey::from_spki_base64(vector["secret"].as_str().unwrap()).unwrap();
        let time = header("X-Twilio-Email-Event-Webhook-Timestamp").as_bytes();
        let message = [time, &decoded(vector["body_b64"].as_str().unwrap())].concat();
        let signature = decoded(header("X-Twilio-Email-Event-Webhook-Signature"));
        let verified = key.verify(S::EcdsaP256Sha256Der, &message, &signature);
        assert_eq!(verified, vector["valid"] == true, "{}", vector["name"]);
    }
}

const OPENSSL: [(&str, &str, S); 5] = [
    ("ed25519", "ed25519", S::Ed25519),
    ("p256", "p256", S::EcdsaP256Sha256Der),
    ("rsa", "rsa_sha1", S::RsaSha1),
    ("rsa", "rsa_sha256", S::RsaSha256),
    ("rsa", "rsa_sha512", S::RsaSha512),
];

#[test]
fn a_flipped_bit_in_message_or_signature_never_verifies() {
    for (key, name, scheme) in OPENSSL {
        let (key, signature) = (public(key), decoded(text("signatures", name)));
        for message in every_flipped_bit(message()) {
            assert!(!key.verify(scheme, &message, &signature), "{name}");
        }
        for other in every_flipped_bit(&signature) {
            assert!(!key.verify(scheme, message(), &other), "{name}");
        }
    }
}

#[test]
fn a_key_with_a_flipped_bit_is_refused_or_verifies_nothing() {
    for (key, name, scheme) in OPENSSL {
        let der = pem::blocks(text("public", key).as_bytes()).unwrap().remove(0).1;
        let signature = decoded(text("signatures", name));
        for (bit, other) in every_flipped_bit(&der).enumerate() {
            let verified =
                PublicKey::from_spki_der(&other).is_ok_and(|key| key.verify(scheme, message(), &signature));
            assert!(!verified, "{name}, bit {bit}");
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>, text in "\\PC{0,80}", scheme in 0..SCHEMES.len()) {
        let _ = PublicKey::from_spki_der(&bytes);
        let _ = PublicKey::from_pkcs1_der(&bytes);
        let _ = PublicKey::from_spki_base64(&text);
        let _ = PublicKey::from_pem(&bytes);
        let _ = SigningKey::from_text(&text.into());
        let _ = SigningKey::from_pkcs8(&bytes);
        for key in ["ed25519", "p256", "rsa"] {
            prop_assert!(!public(key).verify(SCHEMES[scheme], &bytes, &bytes));
        }
    }

    #[test]
    fn no_jwk_panics(kty in "RSA|EC|OKP|oct", crv in "P-256|Ed25519|", n in "[A-Za-z0-9_-]{0,90}", e in "[A-Za-z0-9_-]{0,8}") {
        let jwk = serde_json::json!({"kty": kty, "crv": crv, "n": n, "e": e, "x": n, "y": n});
        if let Ok(key) = PublicKey::from_jwk(jwk.as_object().unwrap()) {
            for scheme in SCHEMES {
                prop_assert!(!key.verify(scheme, b"m", &[1; 64]));
            }
        }
    }
}
