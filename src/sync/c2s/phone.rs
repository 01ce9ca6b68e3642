//! Brazilian telephone numbers, brought to one form (facts: numbering plan of 2016 and later).

use std::fmt;

/// A national number: area code (DDD) and subscriber, 10 digits of a fixed line or 11 of a mobile.
///
/// `Debug` shows only the area code.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Phone(String);

impl Phone {
    /// Reads a number as people write it. Refused are numbers without an area code (a guess would find a stranger),
    /// foreign ones, services such as 0800 and 4004, and obvious junk.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let known =
            |c: char| c.is_ascii_digit() || c.is_whitespace() || "+()-./\u{2010}\u{2011}\u{2013}".contains(c);
        if !text.chars().all(known) {
            return None;
        }
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let national = without_trunk(without_country(&digits, text.starts_with('+'))?)?;
        let (area, subscriber) = national.split_at_checked(2)?;
        if !is_area(area) {
            return None;
        }
        let subscriber = match (subscriber.len(), subscriber.as_bytes().first()?) {
            (9, b'9') | (8, b'2'..=b'5') => subscriber.to_owned(),
            // A mobile from before the ninth digit.
            (8, b'6'..=b'9') => format!("9{subscriber}"),
            _ => return None,
        };
        (!is_junk(&subscriber)).then(|| Self(format!("{area}{subscriber}")))
    }

    /// Area code and subscriber, digits only.
    pub(super) fn national(&self) -> &str {
        &self.0
    }

    /// `(11) 98765-4321`, for the reader of a lead.
    pub(super) fn formatted(&self) -> String {
        let (start, last) = self.0.split_at(self.0.len() - 4);
        format!("({}) {}-{last}", &start[..2], &start[2..])
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Phone(({}) …)", &self.0[..2])
    }
}

/// Whether 11 bare digits look like a mobile with its area code.
pub(super) fn is_plausible_mobile(digits: &str) -> bool {
    digits.len() == 11 && is_area(&digits[..2]) && digits.as_bytes()[2] == b'9'
}

/// Drops country code 55 where it is one: after `+` or `00`, or when the length leaves no other reading. Eleven digits
/// that start with 55 are a mobile of area 55 and stay whole.
fn without_country(digits: &str, plus: bool) -> Option<&str> {
    if plus {
        return digits.strip_prefix("55");
    }
    if let Some(international) = digits.strip_prefix("00") {
        return international.strip_prefix("55");
    }
    Some(digits.strip_prefix("55").filter(|_| matches!(digits.len(), 12 | 13)).unwrap_or(digits))
}

/// Drops the trunk prefix 0, with or without the two digits of a carrier.
fn without_trunk(digits: &str) -> Option<&str> {
    let Some(rest) = digits.strip_prefix('0') else { return Some(digits) };
    match rest.len() {
        10 | 11 => Some(rest),
        12 | 13 => rest.get(2..),
        _ => None,
    }
}

/// The 67 area codes in use.
fn is_area(code: &str) -> bool {
    let Ok(code) = code.parse::<u8>() else { return false };
    matches!(
        code,
        11..=19 | 21 | 22 | 24 | 27 | 28 | 31..=35 | 37 | 38 | 41..=49 | 51 | 53..=55 | 61..=69 | 71 | 73..=75 | 77
            | 79 | 81..=89 | 91..=99
    )
}

/// One digit repeated, or a service number that many share (4003-xxxx, 4004-xxxx).
fn is_junk(subscriber: &str) -> bool {
    let line = &subscriber[subscriber.len() - 8..];
    let repeated = line.bytes().all(|digit| digit == line.as_bytes()[0]);
    repeated || (subscriber.len() == 8 && line.starts_with("400"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn national(text: &str) -> Option<String> {
        Phone::parse(text).map(|phone| phone.0)
    }

    #[test]
    fn the_ways_to_write_a_number_give_one_form() {
        for text in [
            "11987654321",
            "(11) 98765-4321",
            "+55 11 98765-4321",
            "5511987654321",
            "0055 11 98765 4321",
            "011 98765-4321",
            "0 15 11 98765-4321",
            "+55 (011) 98765-4321",
            "1187654321",
            "551187654321",
            " 11 98765–4321 ",
        ] {
            assert_eq!(national(text).as_deref(), Some("11987654321"), "{text}");
        }
    }

    #[test]
    fn area_55_is_not_the_country_code() {
        assert_eq!(national("55 98765-4321").as_deref(), Some("55987654321"));
        assert_eq!(national("55 8765-4321").as_deref(), Some("55987654321"));
        assert_eq!(national("55 55 98765-4321").as_deref(), Some("55987654321"));
        assert_eq!(national("55 3221-1234").as_deref(), Some("5532211234"));
        assert_eq!(national("555532211234").as_deref(), Some("5532211234"));
    }

    #[test]
    fn fixed_lines_never_get_a_ninth_digit() {
        assert_eq!(national("(11) 3333-4444").as_deref(), Some("1133334444"));
        assert_eq!(national("+551155554444").as_deref(), Some("1155554444"));
    }

    #[test]
    fn what_names_nobody_is_refused() {
        for text in [
            "",
            "98765-4321",
            "3333-4444",
            "99999-9999",
            "(11) 99999-9999",
            "11 3333-3333",
            "0800 123 4567",
            "4004-1234",
            "11 4004-1234",
            "(20) 98765-4321",
            "(10) 3333-4444",
            "11 1234-5678",
            "11 0234-5678",
            "119876543210",
            "+1 212 555 0123",
            "00 1 212 555 0123",
            "11 98765-4321 / 11 91234-5678",
            "onze 98765-4321",
            "11 98765-4321 ramal 12",
        ] {
            assert_eq!(national(text), None, "{text}");
        }
    }

    #[test]
    fn it_is_written_for_readers_and_hidden_from_logs() {
        let phone = Phone::parse("11987654321").unwrap();
        assert_eq!(phone.formatted(), "(11) 98765-4321");
        assert_eq!(Phone::parse("1133334444").unwrap().formatted(), "(11) 3333-4444");
        assert_eq!(format!("{phone:?}"), "Phone((11) …)");
    }

    #[test]
    fn there_are_67_area_codes() {
        assert_eq!((0..100).filter(|code| is_area(&format!("{code:02}"))).count(), 67);
    }

    proptest! {
        #[test]
        fn a_normalised_number_stays_itself(text in "[+0-9() .-]{8,20}") {
            if let Some(phone) = Phone::parse(&text) {
                prop_assert!(matches!(phone.0.len(), 10 | 11));
                for again in [phone.0.clone(), phone.formatted(), format!("+55{}", phone.0), format!("0{}", phone.0)] {
                    prop_assert_eq!(Phone::parse(&again), Some(phone.clone()), "{}", again);
                }
            }
        }

        #[test]
        fn any_text_is_safe_to_read(text in ".{0,24}") {
            let _ = Phone::parse(&text);
        }
    }
}
