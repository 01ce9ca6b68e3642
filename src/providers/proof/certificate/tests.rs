use super::super::testdata::{NAME, every_flipped_bit, now, public, shared_vectors, text};
use super::*;
use crate::providers::proof::SignatureScheme;
use CertificateError as E;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

fn certificate(name: &str) -> &'static str {
    text("certificates", name)
}

fn anchors() -> Anchors {
    let mut anchors = Anchors::default();
    assert_eq!(anchors.add_roots_pem(certificate("root").as_bytes()), Ok(1));
    anchors
}

fn chained(names: &[&str]) -> CertificateRules {
    CertificateRules { names: names.iter().map(|&name| name.to_owned()).collect(), chain: true }
}

/// The certificate and the intermediate, as a sender gives them.
fn with_intermediate(name: &str) -> String {
    certificate(name).to_owned() + certificate("intermediate")
}

fn judge(name: &str) -> Result<PublicKey, CertificateError> {
    public_key(with_intermediate(name).as_bytes(), &chained(&[NAME]), &anchors(), now())
}

#[test]
fn a_chain_to_a_trusted_root_gives_the_key() {
    for name in ["good", "good_client_too", "name_in_cn_only", "name_in_san_only", "name_in_upper_case"] {
        assert_eq!(judge(name), Ok(public("rsa")), "{name}");
    }
    assert_eq!(judge("good_p256"), Ok(public("p256")));
}

#[test]
fn everything_else_is_refused_for_its_reason() {
    for (name, reason) in [
        ("san_says_otherwise", E::Name),
        ("other_name", E::Name),
        ("name_as_prefix", E::Name),
        ("name_as_suffix", E::Name),
        ("wildcard", E::Name),
        ("two_names_in_cn", E::Name),
        ("expired", E::Expired),
        ("not_yet", E::NotYetValid),
        ("client_only", E::Usage),
        ("no_usage", E::Usage),
        ("foreign", E::UnknownIssuer),
        ("self_signed", E::UnknownIssuer),
        ("p384_key", E::Key),
        ("version_1", E::Usage),
        ("root", E::Usage),
    ] {
        assert_eq!(judge(name), Err(reason), "{name}");
    }
    let small = judge("small_key").unwrap();
    assert!(small.fits(SignatureScheme::RsaSha1) && !small.fits(SignatureScheme::RsaSha256));
    for name in ["authority", "issued_by_a_leaf"] {
        let error = judge(name).unwrap_err();
        assert!(matches!(error, E::Chain(_) | E::UnknownIssuer), "{name}: {error}");
    }
}

#[test]
fn an_intermediate_may_come_from_the_settings_but_is_not_trusted_itself() {
    let alone = certificate("good").as_bytes();
    let rules = chained(&[NAME]);
    let mut anchors = anchors();
    assert_eq!(public_key(alone, &rules, &anchors, now()), Err(E::UnknownIssuer));
    assert_eq!(anchors.add_intermediates_pem(certificate("intermediate").as_bytes()), Ok(1));
    assert_eq!(public_key(alone, &rules, &anchors, now()), Ok(public("rsa")));

    let mut no_roots = Anchors::default();
    assert_eq!(no_roots.add_intermediates_pem(certificate("intermediate").as_bytes()), Ok(1));
    assert_eq!(public_key(alone, &rules, &no_roots, now()), Err(E::NoRoots));
    no_roots.add_roots_pem(certificate("foreign").as_bytes()).unwrap();
    assert_eq!(public_key(alone, &rules, &no_roots, now()), Err(E::UnknownIssuer));
}

#[test]
fn without_a_chain_only_time_and_name_count() {
    let none = Anchors::default();
    let loose = CertificateRules::default();
    let judge =
        |name: &str, rules: &CertificateRules| public_key(certificate(name).as_bytes(), rules, &none, now());
    for name in ["self_signed", "version_1", "foreign", "client_only"] {
        assert_eq!(judge(name, &loose), Ok(public("rsa")), "{name}");
    }
    assert_eq!(judge("expired", &loose), Err(E::Expired));
    let named = CertificateRules { names: vec![NAME.to_owned()], chain: false };
    assert_eq!(judge("self_signed", &named), Ok(public("rsa")));
    assert_eq!(judge("other_name", &named), Err(E::Name));
}

#[test]
fn a_certificate_is_valid_from_its_first_to_its_last_second() {
    let text = certificate("good").as_bytes();
    let end = valid_until(text).unwrap();
    let start = "2025-01-01T00:00:00Z".parse::<DateTime<Utc>>().unwrap();
    let judge = |now| public_key(text, &CertificateRules::default(), &Anchors::default(), now);
    assert!(judge(start).is_ok() && judge(end).is_ok());
    assert_eq!(judge(start - chrono::Duration::seconds(1)), Err(E::NotYetValid));
    assert_eq!(judge(end + chrono::Duration::seconds(1)), Err(E::Expired));
}

#[test]
fn a_star_stands_for_one_label_of_the_rule_and_never_of_the_certificate() {
    assert!(matches("*.paypal.com", "api.PayPal.com"));
    for name in [
        "paypal.com",
        ".paypal.com",
        "a.b.paypal.com",
        "api.paypal.com.evil.net",
        "*.paypal.com",
        "evilpaypal.com",
    ] {
        assert!(!matches("*.paypal.com", name), "{name}");
    }
    assert!(matches("a.b", "A.B") && !matches("a.b", "*.b") && !matches("a.b", "b"));
}

#[test]
fn texts_that_are_no_certificates_are_refused() {
    for text in ["", "hello", text("public", "rsa"), text("keys", "rsa")] {
        assert_eq!(valid_until(text.as_bytes()), Err(E::NotPem), "{text}");
        assert!(anchors().add_roots_pem(text.as_bytes()).is_err());
    }
    let many = certificate("good").repeat(MAX_CERTIFICATES + 1);
    assert_eq!(valid_until(many.as_bytes()), Err(E::NotPem));
    let broken = "-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n";
    assert_eq!(valid_until(broken.as_bytes()), Err(E::Malformed));
}

/// Checks a `PayPal` vector's signature with its certificate, as far as this room goes: the rules for URL, algorithm name,
/// webhook id and age are the scheme's.
fn paypal(vector: &serde_json::Value) -> Result<bool, CertificateError> {
    let header = |name: &str| {
        let headers = vector["headers"].as_object().unwrap();
        headers
            .iter()
            .find(|header| header.0.eq_ignore_ascii_case(name))
            .map(|header| header.1.as_str().unwrap())
    };
    let pki = &vector["paypal"];
    let mut anchors = Anchors::default();
    for root in pki["trust_roots_pem"].as_array().unwrap() {
        anchors.add_roots_pem(root.as_str().unwrap().as_bytes()).unwrap();
    }
    for intermediate in pki["intermediates_pem"].as_array().unwrap() {
        anchors.add_intermediates_pem(intermediate.as_str().unwrap().as_bytes()).unwrap();
    }
    let now = DateTime::from_timestamp(vector["now_unix"].as_i64().unwrap(), 0).unwrap();
    let names = ["messageverificationcerts.paypal.com", "messageverificationcerts.sandbox.paypal.com"];
    let url = header("PAYPAL-CERT-URL").unwrap();
    let pem = pki["cert_by_url"][url].as_str().unwrap();
    let key = public_key(pem.as_bytes(), &chained(&names), &anchors, now)?;
    let body = STANDARD.decode(vector["body_b64"].as_str().unwrap()).unwrap();
    let signed = format!(
        "{}|{}|{}|{}",
        header("PAYPAL-TRANSMISSION-ID").unwrap(),
        header("PAYPAL-TRANSMISSION-TIME").unwrap(),
        vector["secret"].as_str().unwrap(),
        crc32(&body)
    );
    let signature = STANDARD.decode(header("PAYPAL-TRANSMISSION-SIG").unwrap()).unwrap();
    Ok(key.verify(SignatureScheme::RsaSha256, signed.as_bytes(), &signature))
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}

#[test]
fn genuine_paypal_deliveries_verify_and_altered_ones_do_not() {
    for vector in shared_vectors("published/paypal.json") {
        let name = vector["name"].as_str().unwrap();
        match name {
            "genuine_cert_expired_today" => assert_eq!(paypal(&vector), Err(E::Expired)),
            // What is wrong with these the scheme sees, not the certificate.
            "genuine_algo_header_sha1" | "genuine_algo_unknown" => {}
            _ => assert_eq!(paypal(&vector), Ok(vector["valid"] == true), "{name}"),
        }
    }
    for vector in shared_vectors("own/paypal.json") {
        let name = vector["name"].as_str().unwrap();
        match name {
            "synthetic_expired_cert" => assert_eq!(paypal(&vector), Err(E::Expired)),
            _ if name.starts_with("synthetic_valid") => assert_eq!(paypal(&vector), Ok(true), "{name}"),
            "synthetic_crc_signed_int" | "synthetic_crc_hex" | "synthetic_simulator_on_live_endpoint" => {
                assert_eq!(paypal(&vector), Ok(false), "{name}");
            }
            _ => {}
        }
    }
}

#[test]
fn sns_vectors_verify_with_a_certificate_that_nobody_issued() {
    for vector in shared_vectors("own/sns.json") {
        let (Some(signed), Some(true)) = (vector["signed_input_b64"].as_str(), vector["valid"].as_bool())
        else {
            continue;
        };
        let body = STANDARD.decode(vector["body_b64"].as_str().unwrap()).unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let pem = vector["cert_by_url"][body["SigningCertURL"].as_str().unwrap()].as_str().unwrap();
        let now = DateTime::from_timestamp(vector["now_unix"].as_i64().unwrap(), 0).unwrap();
        let key = public_key(pem.as_bytes(), &CertificateRules::default(), &Anchors::default(), now).unwrap();
        let signature = STANDARD.decode(body["Signature"].as_str().unwrap()).unwrap();
        let scheme = match body["SignatureVersion"].as_str() {
            Some("1") => SignatureScheme::RsaSha1,
            _ => SignatureScheme::RsaSha256,
        };
        assert!(key.verify(scheme, &STANDARD.decode(signed).unwrap(), &signature), "{}", vector["name"]);
    }
}

fn pem_of(der: &[u8]) -> String {
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der))
}

#[test]
fn a_flipped_bit_anywhere_in_the_certificate_is_noticed() {
    let der = super::certificates(certificate("good").as_bytes()).unwrap().remove(0);
    let (rules, anchors) = (chained(&[NAME]), anchors());
    for (bit, other) in every_flipped_bit(&der).enumerate() {
        let text = pem_of(&other) + certificate("intermediate");
        assert!(public_key(text.as_bytes(), &rules, &anchors, now()).is_err(), "bit {bit}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>, cut: prop::sample::Index) {
        let _ = key_of(&bytes);
        let der = super::certificates(certificate("version_1").as_bytes()).unwrap().remove(0);
        for der in [&der[..cut.index(der.len())], &[&der[..cut.index(der.len())], &bytes].concat()] {
            let pem = pem_of(der);
            let _ = valid_until(pem.as_bytes());
            let _ = public_key(pem.as_bytes(), &chained(&[NAME]), &anchors(), now());
        }
    }
}
