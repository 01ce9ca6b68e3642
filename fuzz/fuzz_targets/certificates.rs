//! Certificates. With a chain demanded, only the very bytes that the authority signed give a key; a text that ends the
//! reading of one never gives another's.

#![no_main]

use arbitrary::Arbitrary;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;
use hookgate::providers::proof::PublicKey;
use hookgate::providers::proof::certificate::{Anchors, CertificateRules, public_key, valid_until};
use hookgate_fuzz::testdata;
use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;

#[derive(Debug, Arbitrary)]
struct Input {
    text: Text,
    names: Vec<Name>,
    chain: bool,
    /// Seconds from the time of the test certificates, in days and seconds.
    days: i16,
    seconds: i32,
    /// What is trusted beside the test authority.
    trusted: Option<Text>,
}

#[derive(Debug, Arbitrary)]
enum Text {
    Any(Vec<u8>),
    Blocks(Vec<Block>),
}

#[derive(Debug, Arbitrary)]
struct Block {
    label: Label,
    der: Der,
    /// Put between this block and the next.
    after: Gap,
}

#[derive(Debug, Arbitrary)]
enum Label {
    Certificate,
    Trusted,
    Other(String),
}

#[derive(Debug, Arbitrary)]
enum Gap {
    Nothing,
    Line,
    Windows,
    Escaped,
    Text(String),
}

#[derive(Debug, Arbitrary)]
enum Der {
    Any(Vec<u8>),
    /// One of the test certificates, some of its bytes changed, something cut off or behind it.
    Mended {
        which: u8,
        edits: Vec<(u16, u8)>,
        cut: Option<u16>,
        more: Vec<u8>,
    },
    /// A piece of one put in another's place.
    Grafted {
        which: u8,
        from: u8,
        at: u16,
        length: u16,
    },
}

#[derive(Debug, Arbitrary)]
enum Name {
    Right,
    Upper,
    Star,
    Other(String),
}

fuzz_target!(|input: Input| {
    let fixed = fixed();
    let text = input.text.bytes();
    let rules = CertificateRules { names: input.names.iter().map(Name::text).collect(), chain: input.chain };
    let at = testdata::now().timestamp() + i64::from(input.days) * 86_400 + i64::from(input.seconds);
    let now = DateTime::from_timestamp(at, 0).unwrap_or_default();

    let end = valid_until(&text);
    let found = public_key(&text, &rules, &fixed.anchors, now);
    if found.is_ok() {
        assert!(end.is_ok_and(|end| now <= end), "a key of a certificate that has ended");
        if !input.chain {
            // Whoever reads no more than the key finds the same one.
            assert_eq!(PublicKey::from_pem(&text).as_ref().ok(), found.as_ref().ok());
        }
    }
    if let (true, Ok(key)) = (input.chain, &found) {
        assert!(fixed.genuine.contains(key), "a key that the authority did not sign");
        let leaf = first_block(&text);
        assert!(leaf.is_some_and(|leaf| fixed.leaves.contains(&leaf)), "a certificate that it did not sign");
    }
    let nobody = public_key(&text, &CertificateRules { chain: true, ..rules }, &Anchors::default(), now);
    assert!(nobody.is_err(), "a chain to nobody");

    if let Some(trusted) = &input.trusted {
        let trusted = trusted.bytes();
        let mut anchors = Anchors::default();
        let added = anchors.add_roots_pem(&trusted);
        assert!(added.is_err() || added.is_ok_and(|count| count == anchors.roots().len()));
        let _ = anchors.add_intermediates_pem(&trusted);
        let _ = anchors.add_root(&trusted);
        let _ = public_key(&text, &CertificateRules { names: Vec::new(), chain: true }, &anchors, now);
    }
});

struct Fixed {
    anchors: Anchors,
    ders: Vec<Vec<u8>>,
    leaves: Vec<Vec<u8>>,
    genuine: Vec<PublicKey>,
}

fn fixed() -> &'static Fixed {
    static FIXED: OnceLock<Fixed> = OnceLock::new();
    FIXED.get_or_init(|| {
        let text = |name: &str| testdata::text("certificates", name);
        let mut anchors = Anchors::default();
        anchors.add_roots_pem(text("root").as_bytes()).expect("a root");
        anchors.add_intermediates_pem(text("intermediate").as_bytes()).expect("an intermediate");
        let names = testdata::names("certificates");
        // What the authority signed for somebody; that of a stranger, and what signed itself, are none of these.
        let signed =
            names.iter().filter(|name| !["foreign", "self_signed", "issued_by_a_leaf"].contains(name));
        let signed: Vec<&str> = signed.copied().collect();
        Fixed {
            anchors,
            ders: names.iter().map(|name| testdata::der(text(name))).collect(),
            leaves: signed.iter().map(|name| testdata::der(text(name))).collect(),
            genuine: signed
                .iter()
                .filter_map(|name| PublicKey::from_pem(text(name).as_bytes()).ok())
                .collect(),
        }
    })
}

/// The DER of the first block, read as the PEM of all the others is.
fn first_block(text: &[u8]) -> Option<Vec<u8>> {
    let text = String::from_utf8_lossy(text).replace("\\n", "\n");
    let body = text.split_once("-----BEGIN CERTIFICATE-----")?.1.split_once("-----END")?.0;
    STANDARD.decode(body.split_ascii_whitespace().collect::<String>()).ok()
}

impl Text {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Any(bytes) => bytes.clone(),
            Self::Blocks(blocks) => blocks.iter().take(10).map(Block::text).collect::<String>().into_bytes(),
        }
    }
}

impl Block {
    fn text(&self) -> String {
        let label = match &self.label {
            Label::Certificate => "CERTIFICATE",
            Label::Trusted => "TRUSTED CERTIFICATE",
            Label::Other(text) => text,
        };
        let (line, after) = match &self.after {
            Gap::Nothing => ("", ""),
            Gap::Line => ("\n", "\n"),
            Gap::Windows => ("\r\n", "\r\n"),
            Gap::Escaped => ("\\n", "\\n"),
            Gap::Text(text) => ("\n", &**text),
        };
        let body = STANDARD.encode(self.der.bytes());
        format!("-----BEGIN {label}-----{line}{body}{line}-----END {label}-----{after}")
    }
}

impl Der {
    fn bytes(&self) -> Vec<u8> {
        let ders = &fixed().ders;
        let one = |which: u8| &ders[usize::from(which) % ders.len()];
        match self {
            Self::Any(bytes) => bytes.clone(),
            Self::Mended { which, edits, cut, more } => {
                let mut der = one(*which).clone();
                for (at, change) in edits {
                    let at = usize::from(*at) % der.len();
                    der[at] ^= change;
                }
                if let Some(cut) = cut {
                    der.truncate(usize::from(*cut));
                }
                der.extend_from_slice(more);
                der
            }
            Self::Grafted { which, from, at, length } => {
                let (mut der, from) = (one(*which).clone(), one(*from));
                let at = usize::from(*at) % der.len();
                let end = (at + usize::from(*length)).min(der.len()).min(from.len());
                if at < end {
                    der[at..end].copy_from_slice(&from[at..end]);
                }
                der
            }
        }
    }
}

impl Name {
    fn text(&self) -> String {
        match self {
            Self::Right => testdata::NAME.to_owned(),
            Self::Upper => testdata::NAME.to_uppercase(),
            Self::Star => format!("*.{}", testdata::NAME.split_once('.').map_or("", |name| name.1)),
            Self::Other(name) => name.clone(),
        }
    }
}
