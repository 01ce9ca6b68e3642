//! Whether main adds an order up to what the child does.

use super::amounts::{self, Vat};
use crate::queue::HandlerError;
use rust_decimal::Decimal;
use serde_json::Value;

/// Main's order must add up to what the child's document does, to the kopeck; `own` are lines that somebody has added in
/// main, and come on top. A difference is for a person to look at: the order is written, and the task fails.
pub(super) fn check(expected: Option<Decimal>, order: &Value, own: &[&Value]) -> Result<(), HandlerError> {
    let own = amounts::total(own.iter().copied(), Vat::of(order));
    let difference = match (expected, own, amounts::decimal(&order["sum"])) {
        (Some(theirs), Some(own), Some(sum)) => {
            theirs.checked_add(own).and_then(|expected| sum.checked_sub(expected))
        }
        _ => None,
    };
    match difference {
        Some(difference) if difference.is_zero() => Ok(()),
        Some(difference) => Err(HandlerError::GiveUp(format!(
            "written, but main adds the order up to {} kopecks {} than the child: look at both, then retry",
            difference.abs().normalize(),
            if difference.is_sign_positive() { "more" } else { "less" },
        ))),
        None => Err(HandlerError::GiveUp("written, but the sums cannot be compared".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_kopeck_is_noticed_and_lines_of_mains_own_are_not() {
        let own = json!({"price": 150, "quantity": 2});
        let order = |sum: &str| serde_json::from_str::<Value>(&format!(r#"{{"sum": {sum}}}"#)).unwrap();
        let expected = Some(Decimal::from(1000));
        assert!(check(expected, &order("1000.0"), &[]).is_ok());
        assert!(check(expected, &order("1300.0"), &[&own]).is_ok());
        let said = |sum: &str| check(expected, &order(sum), &[]).unwrap_err().to_string();
        assert!(said("1001.0").contains("1 kopecks more"), "{}", said("1001.0"));
        assert!(said("999.0").contains("1 kopecks less"));
        assert!(said("null").contains("1000 kopecks less"), "a sum that is not shown is nothing");
        assert!(said("\"x\"").contains("cannot be compared"));
    }
}
