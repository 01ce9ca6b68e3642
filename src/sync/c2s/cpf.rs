//! CPF, the number of a person at Brazil's revenue service: 9 digits and 2 check digits.

use super::scalar::Scalar;
use std::fmt;

/// A CPF whose check digits are right. Whether it was ever issued, arithmetic cannot tell.
///
/// `Display` and `Debug` show only its check digits, so that it cannot slip into a log.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Cpf([u8; 11]);

impl Cpf {
    /// Reads 11 digits, alone or written `NNN.NNN.NNN-NN`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let plain = match text.len() {
            11 => text.to_owned(),
            14 if text.as_bytes()[3] == b'.' && text.as_bytes()[7] == b'.' && text.as_bytes()[11] == b'-' => {
                text.replace(['.', '-'], "")
            }
            _ => return None,
        };
        let digits = digits_of(&plain)?;
        // Eleven equal digits satisfy the arithmetic, and are never issued.
        let all_equal = digits.iter().all(|digit| *digit == digits[0]);
        (!all_equal && check_digits(&digits)).then_some(Self(digits))
    }

    /// Reads the field `cpf` or `cpf_cnpj` of a lookup, which may stand as a number without its leading zeros, or be
    /// padded to the 14 digits of a company's number. Fourteen digits that are a valid company's number as well are
    /// no person's.
    pub(super) fn from_lookup(field: &Scalar<'_>) -> Option<Self> {
        let text = match field {
            Scalar::Text(text) => text.trim().to_owned(),
            Scalar::Number(number) if number.len() <= 11 => format!("{number:0>11}"),
            Scalar::Number(number) => format!("{number:0>14}"),
            Scalar::Absent | Scalar::Flag(_) => return None,
        };
        match text.strip_prefix("000") {
            Some(person) if text.len() == 14 && !is_company(&text) => Self::parse(person),
            Some(_) if text.len() == 14 => None,
            _ => Self::parse(&text),
        }
    }

    /// Its 11 digits, for a lookup.
    pub(super) fn digits(self) -> String {
        self.0.iter().map(|digit| char::from(b'0' + digit)).collect()
    }

    /// `NNN.NNN.NNN-NN`, for the reader of a lead.
    pub(super) fn formatted(self) -> String {
        let digits = self.digits();
        format!("{}.{}.{}-{}", &digits[..3], &digits[3..6], &digits[6..9], &digits[9..])
    }
}

impl fmt::Display for Cpf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "***.***.***-{}{}", self.0[9], self.0[10])
    }
}

impl fmt::Debug for Cpf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cpf({self})")
    }
}

fn digits_of<const N: usize>(text: &str) -> Option<[u8; N]> {
    let bytes: [u8; N] = text.as_bytes().try_into().ok()?;
    bytes.iter().all(u8::is_ascii_digit).then(|| bytes.map(|byte| byte - b'0'))
}

fn check_digits(digits: &[u8; 11]) -> bool {
    (9..11).all(|place| {
        let weights = (2..).take(place);
        digits[place] == check_digit(digits[..place].iter().rev().zip(weights))
    })
}

/// Whether 14 digits are a valid CNPJ, the number of a company.
fn is_company(text: &str) -> bool {
    let Some(digits) = digits_of::<14>(text) else { return false };
    (12..14).all(|place| {
        let weights = (2..10).cycle().take(place);
        digits[place] == check_digit(digits[..place].iter().rev().zip(weights))
    })
}

/// The check digit of both numbers; the weights count from the last digit, from 2 up.
fn check_digit<'a>(weighted: impl Iterator<Item = (&'a u8, u32)>) -> u8 {
    let sum: u32 = weighted.map(|(digit, weight)| u32::from(*digit) * weight).sum();
    match sum % 11 {
        0 | 1 => 0,
        rest => u8::try_from(11 - rest).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const VALID: [&str; 5] =
        ["529.982.247-25", "111.444.777-35", "123.456.789-09", "280.012.389-38", "000.000.001-91"];

    #[test]
    fn valid_numbers_are_read_in_both_forms() {
        for text in VALID {
            let cpf = Cpf::parse(text).unwrap();
            assert_eq!(cpf.formatted(), text);
            assert_eq!(Cpf::parse(&cpf.digits()), Some(cpf));
        }
    }

    #[test]
    fn wrong_check_digits_repeated_digits_and_other_forms_are_refused() {
        for digit in '0'..='9' {
            assert_eq!(Cpf::parse(&digit.to_string().repeat(11)), None);
        }
        for text in [
            "529.982.247-24",
            "1234567890",
            "529982247-25",
            "529.982.24725",
            "529-982-247.25",
            "***.982.247-**",
            "",
            "５２９９８２２４７２５",
        ] {
            assert_eq!(Cpf::parse(text), None, "{text}");
        }
    }

    #[test]
    fn it_never_shows_itself() {
        let cpf = Cpf::parse(VALID[0]).unwrap();
        assert_eq!(format!("{cpf}"), "***.***.***-25");
        assert_eq!(format!("{cpf:?}"), "Cpf(***.***.***-25)");
    }

    fn from_lookup(json: &str) -> Option<String> {
        let scalar: Scalar<'_> = serde_json::from_str(json).unwrap();
        Cpf::from_lookup(&scalar).map(Cpf::formatted)
    }

    #[test]
    fn lookups_pad_and_shorten_it() {
        let is = |text: &str| Some(text.to_owned());
        assert_eq!(from_lookup(r#""00052998224725""#), is("529.982.247-25"));
        assert_eq!(from_lookup(r#""529.982.247-25""#), is("529.982.247-25"));
        assert_eq!(from_lookup("52998224725"), is("529.982.247-25"));
        assert_eq!(from_lookup("191"), is("000.000.001-91"), "a number loses its leading zeros");
        assert_eq!(from_lookup(r#""191""#), None, "a text does not");
        assert_eq!(from_lookup(r#""00000000000191""#), None, "also a valid company's number");
        assert_eq!(from_lookup(r#""11222333000181""#), None);
        assert_eq!(from_lookup("11222333000181"), None);
        assert_eq!(from_lookup("529982247250000000000000"), None);
        assert_eq!(from_lookup("null"), None);
    }

    proptest! {
        #[test]
        fn of_a_hundred_endings_one_is_right(base in 0u32..1_000_000_000) {
            prop_assume!(base % 111_111_111 != 0);
            let right = (0..100).filter(|check| Cpf::parse(&format!("{base:09}{check:02}")).is_some());
            prop_assert_eq!(right.count(), 1);
        }

        #[test]
        fn any_text_is_safe_to_read(text in ".{0,20}") {
            if let Some(cpf) = Cpf::parse(&text) {
                prop_assert!(cpf.formatted() == text.trim() || cpf.digits() == text.trim());
            }
        }
    }
}
