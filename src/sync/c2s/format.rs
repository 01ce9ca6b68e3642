//! How values are written for Brazilian readers.

use super::person::{Address, Company, PersonPhone};
use super::phone::Phone;

/// Longest value of one field in characters: an upstream's odd value must not push out the rest.
pub(super) const LONGEST_VALUE: usize = 120;

/// On one line and not too long.
pub(super) fn tidy(value: &str) -> String {
    let clean: String =
        value.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST_VALUE).collect();
    clean.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `F - FEMININO` as `Feminino`.
pub(super) fn sex(value: &str) -> String {
    match value.trim().chars().next() {
        Some('F' | 'f') => "Feminino".to_owned(),
        Some('M' | 'm') => "Masculino".to_owned(),
        _ => value.to_owned(),
    }
}

/// An amount in reais as Brazilians write it: `5000,00`, `5000.5` and `5.000` are five thousand, the second with fifty
/// centavos. An amount of zero says nothing.
pub(super) fn reais(value: &str) -> Option<String> {
    let value = value.trim().trim_start_matches("R$").trim();
    // A last separator with one or two digits behind it is the decimal one; all others group thousands.
    let split = value.rfind(['.', ',']).filter(|at| matches!(value.len() - at, 2 | 3));
    let (whole, cents) = split.map_or((value, ""), |at| (&value[..at], &value[at + 1..]));
    let whole: String = whole.chars().filter(|c| !matches!(c, '.' | ',' | ' ')).collect();
    if whole.len() > 15 || !whole.chars().chain(cents.chars()).all(|c| c.is_ascii_digit()) {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let cents = format!("{cents:0<2}");
    if whole == 0 && cents == "00" {
        return None;
    }
    let digits = whole.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push('.');
        }
        grouped.push(digit);
    }
    Some(format!("R$ {grouped},{cents}"))
}

/// Number, kind, carrier and whether it has `WhatsApp`.
pub(super) fn phone(phone: &PersonPhone) -> String {
    let number =
        Phone::parse(&phone.number).map_or_else(|| phone.number.clone(), |number| number.formatted());
    let whatsapp = phone.whatsapp.then(|| "WhatsApp".to_owned());
    join([Some(number), phone.kind.clone(), phone.carrier.clone(), whatsapp], " · ")
}

/// Street, district, city and postcode; `None` if all are unknown.
pub(super) fn address(address: &Address) -> Option<String> {
    let street = join([address.street.clone(), address.number.clone(), address.complement.clone()], ", ");
    let city = join([address.city.clone(), address.state.clone()], "/");
    let postcode = address.postcode.as_ref().map(|postcode| format!("CEP {}", self::postcode(postcode)));
    let some = |part: String| Some(part).filter(|part| !part.is_empty());
    some(join([some(street), address.district.clone(), some(city), postcode], " - "))
}

fn postcode(value: &str) -> String {
    match digits(value) {
        digits if digits.len() == 8 => format!("{}-{}", &digits[..5], &digits[5..]),
        _ => value.to_owned(),
    }
}

/// A company's number may hold letters (since 2026), so only its separators go.
pub(super) fn company(company: &Company) -> String {
    let plain: String = company.cnpj.chars().filter(char::is_ascii_alphanumeric).collect();
    let number = if plain.len() == 14 {
        format!("{}.{}.{}/{}-{}", &plain[..2], &plain[2..5], &plain[5..8], &plain[8..12], &plain[12..])
    } else {
        company.cnpj.clone()
    };
    join([Some(number), company.relation.clone()], " · ")
}

fn digits(value: &str) -> String {
    value.chars().filter(char::is_ascii_digit).collect()
}

fn join<const N: usize>(parts: [Option<String>; N], separator: &str) -> String {
    parts.into_iter().flatten().collect::<Vec<_>>().join(separator)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn amounts_are_written_as_in_brazil() {
        for (value, written) in [
            ("5000,00", "R$ 5.000,00"),
            ("5000.00", "R$ 5.000,00"),
            ("5000.5", "R$ 5.000,50"),
            ("R$ 1.234.567,89", "R$ 1.234.567,89"),
            ("5.000", "R$ 5.000,00"),
            ("999", "R$ 999,00"),
            ("0,50", "R$ 0,50"),
        ] {
            assert_eq!(reais(value).as_deref(), Some(written), "{value}");
        }
        for nothing in ["0", "0,00", "", "abc", "1e9", "-5", ",5", "é5,00"] {
            assert_eq!(reais(nothing), None, "{nothing}");
        }
    }

    proptest! {
        #[test]
        fn any_value_is_safe_to_write(value in ".{0,200}") {
            let _ = (reais(&value), sex(&value), postcode(&value), tidy(&value));
            prop_assert!(tidy(&value).chars().count() <= LONGEST_VALUE);
            let _ = company(&Company { cnpj: value, relation: None });
        }

        #[test]
        fn an_amount_keeps_its_value(cents in 1u64..10_000_000_000) {
            let written = reais(&format!("{}.{:02}", cents / 100, cents % 100)).unwrap();
            prop_assert_eq!(digits(&written).parse::<u64>().unwrap(), cents);
        }
    }
}
