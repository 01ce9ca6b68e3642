//! How much of an entity an update sends.

use crate::sync::moysklad::metadata::Metadata;

/// How much of an entity is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strategy {
    Prices,
    Attributes,
    Base,
    Full,
}

impl Strategy {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Prices => "prices",
            Self::Attributes => "attributes",
            Self::Base => "base",
            Self::Full => "full",
        }
    }

    /// What was done when these fields were written: an attribute may be called like a field, so the names of an event
    /// are not the last word.
    pub(super) fn written(self, fields: &[String]) -> Self {
        let price = |name: &String| matches!(&**name, "salePrices" | "buyPrice" | "minPrice");
        if self == Self::Full {
            Self::Full
        } else if fields.iter().all(price) {
            Self::Prices
        } else if fields.iter().all(|name| name == "attributes") {
            Self::Attributes
        } else {
            Self::Base
        }
    }

    /// By the names that the events gave: attributes and price types come under their human names, mixed with the others.
    /// A change of folder, an unknown name and no names at all mean everything.
    pub(super) fn of(updated_fields: Option<&[String]>, main: &Metadata) -> Self {
        let Some(names) = updated_fields.filter(|names| !names.is_empty()) else { return Self::Full };
        let price = |name: &String| {
            matches!(&**name, "salePrices" | "buyPrice" | "minPrice") || main.is_price_type(name)
        };
        let attribute = |name: &String| main.is_attribute(name);
        if names.iter().any(|name| !price(name) && !attribute(name) && !is_standard(name)) {
            Self::Full
        } else if names.iter().all(price) {
            Self::Prices
        } else if names.iter().all(attribute) {
            Self::Attributes
        } else {
            Self::Base
        }
    }
}

/// Fields that can change without others.
fn is_standard(name: &str) -> bool {
    matches!(
        name,
        "name"
            | "code"
            | "externalCode"
            | "article"
            | "description"
            | "archived"
            | "weight"
            | "volume"
            | "barcodes"
            | "packs"
            | "uom"
            | "country"
            | "vat"
            | "vatEnabled"
            | "useParentVat"
            | "attributes"
            | "discountProhibited"
            | "tnved"
            | "trackingType"
            | "paymentItemType"
            | "weighed"
            | "onTap"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::moysklad::metadata::tests::account;

    #[test]
    fn names_decide_how_much_is_sent() {
        let main = account(1, &["Franchise Moscow"], &["RUB"]);
        let of = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            Strategy::of(Some(&names), &main)
        };
        assert_eq!(of(&["salePrices", "Franchise Moscow"]), Strategy::Prices);
        assert_eq!(of(&["name", "buyPrice"]), Strategy::Base);
        assert_eq!(of(&["name", "productFolder"]), Strategy::Full);
        assert_eq!(of(&["nobody knows this"]), Strategy::Full);
        assert_eq!(of(&[]), Strategy::Full);
        assert_eq!(Strategy::of(None, &main), Strategy::Full);
    }
}
