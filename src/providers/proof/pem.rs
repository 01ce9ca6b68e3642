//! PEM (RFC 7468), read kindly: any line length, any line end, text before and between the blocks.
//!
//! `rustls-pki-types` reads PEM too, but knows no `RSA PUBLIC KEY`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Longest text that is read. Chains of certificates stay under 20 KiB; a system's file of roots has its own reader.
pub(super) const MAX_PEM: usize = 64 * 1024;

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";

/// The blocks of `text` as (label, DER); `None` if one of them cannot be read or there is none.
///
/// A literal `\n` counts as a line's end, because that is how a key gets through many an environment variable.
pub(super) fn blocks(text: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    if text.len() > MAX_PEM {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?.replace("\\n", "\n");
    let mut blocks = Vec::new();
    let mut rest = &*text;
    while let Some((_, after)) = rest.split_once(BEGIN) {
        let (label, after) = after.split_once(DASHES)?;
        let (body, after) = after.split_once(&format!("-----END {label}-----"))?;
        let body: String = body.split_ascii_whitespace().collect();
        blocks.push((label.to_owned(), STANDARD.decode(body).ok()?));
        rest = after;
    }
    (!blocks.is_empty()).then_some(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn blocks_are_found_whatever_stands_around_them() {
        let expected = Some(vec![("A B".to_owned(), vec![1, 2, 3]), ("C".to_owned(), vec![])]);
        for text in [
            "-----BEGIN A B-----\nAQID\n-----END A B-----\n-----BEGIN C-----\n-----END C-----\n",
            "subject=x\r\n-----BEGIN A B-----\r\nAQ\r\nID\r\n-----END A B-----\r\nand\r\n-----BEGIN C----------END C-----",
            "-----BEGIN A B-----\\nAQID\\n-----END A B-----\\n-----BEGIN C-----\\n-----END C-----",
        ] {
            assert_eq!(blocks(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn what_is_cut_off_or_no_base64_is_refused() {
        for text in [
            "",
            "AQID",
            "-----BEGIN A-----\nAQID",
            "-----BEGIN A-----\nAQID\n-----END B-----",
            "-----BEGIN A-----\nAQI\n-----END A-----",
            "-----BEGIN A-----\nProc-Type: 4,ENCRYPTED\n\nAQID\n-----END A-----",
            "-----BEGIN A-----\nAQID\n-----END A-----\n-----BEGIN B",
        ] {
            assert_eq!(blocks(text.as_bytes()), None, "{text}");
        }
        let long = format!("-----BEGIN A-----\n{}\n-----END A-----", "AAAA".repeat(MAX_PEM / 4));
        assert_eq!(blocks(long.as_bytes()), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(parts in prop::collection::vec("-----BEGIN A-----|-----END A-----|-----|AQID|\n|\\PC", 0..12)) {
            let _ = blocks(parts.concat().as_bytes());
        }
    }
}
