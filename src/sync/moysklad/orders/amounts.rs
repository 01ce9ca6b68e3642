//! What lines cost, to the kopeck, as MoySklad adds them up.

use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::Value;

/// The number that the API shows; what it does not show is nothing. `None`: it is no number, or too long to be exact.
pub(super) fn decimal(value: &Value) -> Option<Decimal> {
    match value {
        Value::Null => Some(Decimal::ZERO),
        Value::Number(number) => {
            let text = number.to_string();
            Decimal::from_str_exact(&text).or_else(|_| Decimal::from_scientific(&text)).ok()
        }
        _ => None,
    }
}

/// How a document counts value-added tax.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Vat {
    /// The document has VAT at all.
    pub(super) enabled: bool,
    /// Prices hold it already.
    pub(super) included: bool,
}

impl Vat {
    /// Of a document that the API shows.
    pub(super) fn of(document: &Value) -> Self {
        let flag = |name: &str| document[name].as_bool().unwrap_or(false);
        Self { enabled: flag("vatEnabled"), included: flag("vatIncluded") }
    }
}

/// What one line adds to its document's sum, in whole kopecks: half a kopeck is rounded up, line by line; VAT that the
/// price does not hold is added (facts/moysklad.md 6). `None`: not exact.
pub(super) fn line(position: &Value, vat: Vat) -> Option<Decimal> {
    let field = |name: &str| decimal(&position[name]);
    let part = Decimal::ONE_HUNDRED.checked_sub(field("discount")?)?;
    let gross = field("price")?.checked_mul(field("quantity")?)?.checked_mul(part)?;
    let net = kopecks(gross.checked_div(Decimal::ONE_HUNDRED)?);
    let taxed = vat.enabled && !vat.included && position["vatEnabled"].as_bool() != Some(false);
    if !taxed {
        return Some(net);
    }
    let tax = net.checked_mul(field("vat")?)?.checked_div(Decimal::ONE_HUNDRED)?;
    net.checked_add(kopecks(tax))
}

/// What the lines add up to.
pub(super) fn total<'a>(positions: impl IntoIterator<Item = &'a Value>, vat: Vat) -> Option<Decimal> {
    positions.into_iter().try_fold(Decimal::ZERO, |sum, position| sum.checked_add(line(position, vat)?))
}

fn kopecks(amount: Decimal) -> Decimal {
    amount.round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const PLAIN: Vat = Vat { enabled: false, included: false };
    const INSIDE: Vat = Vat { enabled: true, included: true };
    const ON_TOP: Vat = Vat { enabled: true, included: false };

    fn cost(position: &Value, vat: Vat) -> String {
        line(position, vat).unwrap().to_string()
    }

    #[test]
    fn discounts_take_off_and_negative_ones_put_on() {
        let position = |discount: &str| {
            let text = format!(r#"{{"price": 10001.0, "quantity": 3.0, "discount": {discount}}}"#);
            serde_json::from_str::<Value>(&text).unwrap()
        };
        assert_eq!(cost(&position("0"), PLAIN), "30003");
        assert_eq!(cost(&position("12.5"), PLAIN), "26253", "26252.625");
        assert_eq!(cost(&position("-10"), PLAIN), "33003", "33003.3");
        assert_eq!(cost(&position("100"), PLAIN), "0");
    }

    #[test]
    fn half_a_kopeck_is_rounded_up_in_each_line() {
        let half = json!({"price": 1, "quantity": 0.5});
        assert_eq!(cost(&half, PLAIN), "1");
        assert_eq!(total([&half, &half], PLAIN).unwrap().to_string(), "2", "and not one for both");
    }

    #[test]
    fn vat_is_added_only_where_the_price_does_not_hold_it() {
        let taxed = json!({"price": 10000, "quantity": 1, "vat": 20, "vatEnabled": true});
        assert_eq!(cost(&taxed, ON_TOP), "12000");
        assert_eq!(cost(&taxed, INSIDE), "10000");
        assert_eq!(cost(&taxed, PLAIN), "10000");
        for (rate, enabled) in [(0, true), (0, false)] {
            let position = json!({"price": 10000, "quantity": 1, "vat": rate, "vatEnabled": enabled});
            assert_eq!(cost(&position, ON_TOP), "10000");
        }
    }

    #[test]
    fn what_is_no_exact_number_is_no_amount() {
        assert_eq!(decimal(&json!("12")), None);
        let long: Value = serde_json::from_str(&"9".repeat(40)).unwrap();
        assert_eq!(decimal(&long), None);
        assert_eq!(line(&json!({"price": long, "quantity": 1}), PLAIN), None);
        assert_eq!(decimal(&serde_json::from_str("1e3").unwrap()), Some(1000.into()));
    }

    proptest! {
        /// Against whole numbers: price in kopecks, thousandths of pieces, tenths of per cent.
        #[test]
        fn a_line_costs_what_long_arithmetic_says(
            price in 0_i128..10_000_000_000, pieces in 1_i128..10_000_000, discount in -2000_i128..=1000,
        ) {
            let text = format!(
                r#"{{"price": {price}.0, "quantity": {}.{:03}, "discount": {}}}"#,
                pieces / 1000, pieces % 1000, Decimal::from_i128_with_scale(discount, 1),
            );
            let position: Value = serde_json::from_str(&text).unwrap();
            let exact = price * pieces * (1000 - discount);
            let rounded = (exact + 500_000) / 1_000_000;
            prop_assert_eq!(line(&position, PLAIN).unwrap().to_string(), rounded.to_string());
        }
    }
}
