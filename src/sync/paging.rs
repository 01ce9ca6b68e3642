//! Places in lists that are ordered by their rows' last change.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};

/// A place in a list of what providers have; opaque to clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// Last change of the row before.
    pub updated_at: DateTime<Utc>,
    /// Provider of the row before.
    pub provider: String,
    /// The provider's id of the row before.
    pub id: String,
}

/// Which rows of such a list; `S` is how far one has come.
#[derive(Debug, Clone)]
pub struct Filter<S> {
    /// Of this provider.
    pub provider: Option<String>,
    /// With this id.
    pub id: Option<String>,
    /// With this status.
    pub status: Option<S>,
    /// Only those that come after this place.
    pub after: Option<Cursor>,
    /// At most so many.
    pub limit: u8,
}

/// A page of at most `limit` of these rows, of which one more than that was asked for; and where the next page starts, if
/// there is one.
pub(super) fn page<T>(mut rows: Vec<T>, limit: u8, place: impl Fn(&T) -> Cursor) -> (Vec<T>, Option<Cursor>) {
    let more = rows.len() > usize::from(limit);
    rows.truncate(limit.into());
    let next = if more { rows.last().map(place) } else { None };
    (rows, next)
}

impl Cursor {
    /// Reads what [`Self::encode`] made; `None` for anything else.
    pub fn decode(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let text = String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))?;
        let mut fields = text.splitn(3, '\n');
        let updated_at = DateTime::from_timestamp_micros(fields.next()?.parse().ok()?)?;
        Some(Self { updated_at, provider: fields.next()?.to_owned(), id: fields.next()?.to_owned() })
    }

    /// As a query parameter.
    pub fn encode(&self) -> String {
        let micros = self.updated_at.timestamp_micros();
        URL_SAFE_NO_PAD.encode(format!("{micros}\n{}\n{}", self.provider, self.id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_what_it_wrote() {
        let cursor = Cursor {
            updated_at: DateTime::from_timestamp_micros(1_800_000_000_123_456).unwrap(),
            provider: "stripe".to_owned(),
            id: "pi_1\n2".to_owned(),
        };
        assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
    }

    #[test]
    fn a_cursor_of_another_form_is_refused() {
        let bad = [
            String::new(),
            "x".to_owned(),
            "%%%".to_owned(),
            URL_SAFE_NO_PAD.encode("1"),
            URL_SAFE_NO_PAD.encode("x\ny\nz"),
            URL_SAFE_NO_PAD.encode("1\ny\n\0"),
        ];
        for text in bad {
            assert_eq!(Cursor::decode(&text), None, "{text}");
        }
    }
}
