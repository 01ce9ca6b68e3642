//! Reading JSON that came from outside: bounded depth, exact slices, errors that quote no value.

use super::Unreadable;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::error::Category;
use serde_json::value::RawValue;

/// Deepest nesting that is read. Providers stay under 15; a parser, a database and an operator's tool further on may
/// each recurse.
const MAX_DEPTH: usize = 100;

/// The body as text, if it can be JSON at all: UTF-8 and not nested without end.
pub(super) fn text(body: &Bytes) -> Result<&str, Unreadable> {
    let text = std::str::from_utf8(body).map_err(|_| Unreadable("the body is not UTF-8".to_owned()))?;
    if too_deep(body) {
        return Err(Unreadable(format!("the body is nested deeper than {MAX_DEPTH} levels")));
    }
    Ok(text)
}

/// Reads `text`; `what` names the expected form in the error.
pub(super) fn read<'a, T: Deserialize<'a>>(text: &'a str, what: &str) -> Result<T, Unreadable> {
    serde_json::from_str(text).map_err(|error| {
        // serde_json's own message may quote a value.
        Unreadable(match error.classify() {
            Category::Data => format!("not {what} (line {}, column {})", error.line(), error.column()),
            _ => format!("not valid JSON (line {}, column {})", error.line(), error.column()),
        })
    })
}

/// The exact bytes of a part of the body, without a copy.
pub(super) fn slice(body: &Bytes, part: &RawValue) -> Bytes {
    body.slice_ref(part.get().as_bytes())
}

pub(super) fn too_deep(bytes: &[u8]) -> bool {
    // Counting is many times faster than following: most bodies have not even as many brackets.
    let brackets: usize = bytes.chunks(255).map(|part| usize::from(opening(part))).sum();
    if brackets <= MAX_DEPTH {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return true;
                }
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// How many of at most 255 bytes are opening brackets, in a number so small that many are added at once.
fn opening(bytes: &[u8]) -> u8 {
    bytes.iter().map(|byte| u8::from(matches!(byte, b'[' | b'{'))).fold(0, u8::wrapping_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_outside_strings() {
        let nested = |levels: usize| Bytes::from("[".repeat(levels) + &"]".repeat(levels));
        assert!(text(&nested(MAX_DEPTH)).is_ok());
        assert!(text(&nested(MAX_DEPTH + 1)).is_err());
        assert!(text(&nested(1_000_000)).is_err());
        assert!(text(&Bytes::from(format!("\"{}\\\"{}\"", "[".repeat(500), "{".repeat(500)))).is_ok());
    }

    #[test]
    fn errors_quote_no_value() {
        #[derive(Debug, Deserialize)]
        struct Form {
            #[allow(dead_code)]
            id: u32,
        }
        let error = read::<Form>(r#"{"id":"hunter2"}"#, "a form").unwrap_err().to_string();
        assert!(error.contains("a form") && !error.contains("hunter2"), "{error}");
        assert!(read::<Form>("{", "a form").unwrap_err().to_string().contains("JSON"));
    }
}
