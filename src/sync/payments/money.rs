//! From a decimal text to whole minor units, exactly.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;

/// Why an amount cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// The currency is not three capital letters.
    #[error("the currency is no ISO 4217 code")]
    Currency,
    /// The amount is not made of digits with at most one point between them.
    #[error("the amount is no plain decimal number")]
    Form,
    /// The amount has a part of a minor unit.
    #[error("the amount has more decimal places than its currency")]
    Precision,
    /// The amount does not fit into 63 bits of minor units.
    #[error("the amount is too large")]
    Size,
}

/// The decimal places of a currency by ISO 4217; 2 for all that are not named here.
fn decimal_places(currency: &str) -> u32 {
    match currency {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "UYI"
        | "VND" | "VUV" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        "CLF" | "UYW" => 4,
        _ => 2,
    }
}

/// The minor units of an amount such as `10.99`, which must not be negative. Zeros behind the last place of the currency
/// say nothing and are taken (`100.00` yen); any other digit there is refused.
pub fn minor_units(amount: &str, currency: &str) -> Result<i64, MoneyError> {
    if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err(MoneyError::Currency);
    }
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // The decimal library also reads signs and underscores.
    if !digits(whole) || !digits(fraction) {
        return Err(MoneyError::Form);
    }
    let exact = Decimal::from_str_exact(amount).map_err(|_| MoneyError::Size)?.normalize();
    let places = decimal_places(currency);
    if exact.scale() > places {
        return Err(MoneyError::Precision);
    }
    exact.checked_mul(10_u32.pow(places).into()).and_then(|units| units.to_i64()).ok_or(MoneyError::Size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_currency_has_its_own_minor_unit() {
        for (amount, currency, units) in [
            ("10.99", "USD", 1099),
            ("10.9", "EUR", 1090),
            ("10", "BRL", 1000),
            ("0.01", "USD", 1),
            ("0.10", "USD", 10),
            ("0", "USD", 0),
            ("007.50", "USD", 750),
            ("500", "JPY", 500),
            ("500.00", "JPY", 500),
            ("1.234", "KWD", 1234),
            ("1.2", "TND", 1200),
            ("12", "HUF", 1200),
            ("10.990", "USD", 1099),
            ("92233720368547758.07", "USD", i64::MAX),
            ("9223372036854775807", "KRW", i64::MAX),
        ] {
            assert_eq!(minor_units(amount, currency), Ok(units), "{amount} {currency}");
        }
    }

    #[test]
    fn what_is_not_exactly_an_amount_is_refused() {
        for (amount, currency, error) in [
            ("10.999", "USD", MoneyError::Precision),
            ("0.001", "USD", MoneyError::Precision),
            ("500.5", "JPY", MoneyError::Precision),
            ("1.2345", "KWD", MoneyError::Precision),
            ("", "USD", MoneyError::Form),
            (".", "USD", MoneyError::Form),
            (".5", "USD", MoneyError::Form),
            ("5.", "USD", MoneyError::Form),
            ("-1.00", "USD", MoneyError::Form),
            ("+1.00", "USD", MoneyError::Form),
            ("1e3", "USD", MoneyError::Form),
            ("1_000", "USD", MoneyError::Form),
            ("1,000.00", "USD", MoneyError::Form),
            ("1.0.0", "USD", MoneyError::Form),
            (" 1", "USD", MoneyError::Form),
            ("١", "USD", MoneyError::Form),
            ("NaN", "USD", MoneyError::Form),
            ("92233720368547758.08", "USD", MoneyError::Size),
            ("9223372036854775808", "KRW", MoneyError::Size),
            ("99999999999999999999999999999999", "USD", MoneyError::Size),
            ("1", "usd", MoneyError::Currency),
            ("1", "US", MoneyError::Currency),
            ("1", "US1", MoneyError::Currency),
            ("1", "", MoneyError::Currency),
        ] {
            assert_eq!(minor_units(amount, currency), Err(error), "{amount} {currency}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_from_minor_units_reads_as_them(
            units in 0..=i64::MAX,
            currency in prop::sample::select(vec![("JPY", 0_u32), ("USD", 2), ("KWD", 3), ("CLF", 4)]),
            zeros in 0..3_usize,
        ) {
            let (currency, places) = currency;
            let one = 10_i64.pow(places);
            let mut text = (units / one).to_string();
            if places > 0 {
                text = format!("{text}.{:0width$}{}", units % one, "0".repeat(zeros), width = places as usize);
            }
            prop_assert_eq!(minor_units(&text, currency), Ok(units));
        }

        #[test]
        fn a_part_of_a_minor_unit_is_never_rounded_away(
            whole in 0..1_000_000_u64,
            part in 1..10_u8,
            currency in prop::sample::select(vec![("JPY", 0_usize), ("USD", 2), ("KWD", 3)]),
        ) {
            let text = format!("{whole}.{}{part}", "0".repeat(currency.1));
            prop_assert_eq!(minor_units(&text, currency.0), Err(MoneyError::Precision));
        }

        #[test]
        fn no_text_breaks_it(amount in "\\PC{0,40}", currency in "\\PC{0,4}") {
            let _ = minor_units(&amount, &currency);
            let _ = minor_units(&amount, "USD");
        }
    }
}
