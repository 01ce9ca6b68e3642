//! What a child account wants: which of main's catalogue it gets and in which form, and what becomes of its orders.
//!
//! Stored as the account's `settings`, a JSON object in which everything may be left out. Unknown keys are refused: a
//! misspelt setting must not be silently without effect.

mod catalog;
mod orders;

pub use catalog::{
    AttributeCondition, CatalogSettings, Comparison, EntityKind, MatchField, ProductFilter, VatPolicy,
};
pub use orders::{CounterpartyPolicy, DocumentKind, OrderSettings};

use super::accounts::Role;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use utoipa::ToSchema;

/// Settings of a child account.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ChildSettings {
    /// What flows from main to this child.
    pub catalog: CatalogSettings,
    /// What flows from this child to main.
    pub orders: OrderSettings,
    /// What is told of its stock.
    pub stock: StockSettings,
    /// Whether nobody but this gateway uses the login whose token this is. Then what that login did, by a webhook's word, is
    /// the gateway's own doing and starts nothing. Default false: a person may use it too.
    pub dedicated_login: bool,
    /// Of what beside the sync's own affairs events are emitted: the webhooks for it are set up, too. Default: nothing.
    pub emit: BTreeSet<Emitted>,
}

/// Settings of a main account.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MainSettings {
    /// As that of a child.
    pub stock: StockSettings,
    /// As that of a child.
    pub dedicated_login: bool,
    /// As that of a child.
    pub emit: BTreeSet<Emitted>,
}

/// What events are emitted of only where that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Emitted {
    /// `customer.created`, `customer.updated`.
    Customers,
    /// `sales_order.created`, `.confirmed`, `.cancelled`; of a child whose orders flow they are emitted anyway.
    Orders,
    /// `purchase_order.created`; likewise.
    PurchaseOrders,
}

impl MainSettings {
    /// Reads and checks an account's stored settings.
    pub fn read(value: &Value) -> Result<Self, SettingsError> {
        let settings: Self = read(value)?;
        settings.stock.check()?;
        Ok(settings)
    }
}

/// What is told of an account's stock, as `inventory.updated` and `inventory.low`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StockSettings {
    /// The report whose changes are told; MoySklad sends them every few minutes. Absent (default): none is.
    pub report: Option<StockReport>,
    /// Less than this is low where a product has no minimum of its own; only with the report `all`. Absent: only minimums
    /// of products count.
    pub low: Option<u32>,
}

impl StockSettings {
    /// Of an account with this role, by its stored settings.
    pub fn of(role: Role, value: &Value) -> Result<Self, SettingsError> {
        Ok(match role {
            Role::Main => MainSettings::read(value)?.stock,
            Role::Child => ChildSettings::read(value)?.stock,
        })
    }

    fn check(self) -> Result<(), SettingsError> {
        if self.low.is_some() && self.report != Some(StockReport::All) {
            // What one store lacks another may have.
            return Err(SettingsError(
                "stock.low: needs stock.report to be `all`, for only the sum over all stores can be low"
                    .to_owned(),
            ));
        }
        Ok(())
    }
}

/// A report of stock that webhooks tell the changes of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum StockReport {
    /// The sums over all stores.
    All,
    /// What each store has.
    Bystore,
}

impl StockReport {
    /// The API's keyword.
    pub fn keyword(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Bystore => "bystore",
        }
    }
}

/// Reads settings; a refusal names the key at fault.
fn read<T: DeserializeOwned>(value: &Value) -> Result<T, SettingsError> {
    serde_json::from_value(value.clone())
        .map_err(|error| SettingsError(fault::<T>(value, &error.to_string())))
}

/// serde tells what is wrong, but not where: each key is tried alone.
fn fault<T: DeserializeOwned>(value: &Value, whole: &str) -> String {
    let refused = |one: Value| serde_json::from_value::<T>(one).err();
    for (section, inner) in value.as_object().into_iter().flatten() {
        for (key, field) in inner.as_object().into_iter().flatten() {
            if let Some(error) = refused(json!({section: {key: field}})) {
                return format!("{section}.{key}: {error}");
            }
        }
        if let Some(error) = refused(json!({section: inner})) {
            return format!("{section}: {error}");
        }
    }
    whole.to_owned()
}

/// Why settings are not acceptable: names the key, never a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SettingsError(pub String);

impl ChildSettings {
    /// Reads and checks an account's stored settings.
    pub fn read(value: &Value) -> Result<Self, SettingsError> {
        let settings: Self = read(value)?;
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), SettingsError> {
        self.stock.check()?;
        let refuse = |text: &str| Err(SettingsError(text.to_owned()));
        if self.catalog.match_services_by == MatchField::Article {
            return refuse(
                "catalog.match_services_by: services have no article; take code, externalCode, barcode or name",
            );
        }
        let targets = self.catalog.price_types.iter().flatten().map(|(_, target)| target);
        if targets.clone().collect::<BTreeSet<_>>().len() < targets.count() {
            return refuse("catalog.price_types: two price types of main go to one of the child");
        }
        for filter in &self.catalog.filters {
            if let ProductFilter::Attribute(condition) = filter
                && !matches!(condition.is, Comparison::Set | Comparison::Unset)
                && condition.value.is_null()
            {
                return refuse(
                    "catalog.filters: an attribute condition needs a `value`, unless it is `set` or `unset`",
                );
            }
        }
        if self.orders.number_prefix.as_ref().is_some_and(|prefix| prefix.chars().count() > 20) {
            return refuse("orders.number_prefix: at most 20 characters");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn an_empty_object_means_the_defaults() {
        assert_eq!(ChildSettings::read(&json!({})).unwrap(), ChildSettings::default());
    }

    #[test]
    fn misspelt_keys_and_impossible_values_are_refused() {
        for value in [
            json!({"catalogue": {}}),
            json!({"catalog": {"match_by": "code"}}),
            json!({"catalog": {"match_services_by": "article"}}),
            json!({"catalog": {"filters": [{"attribute": {"name": "a", "is": "equal"}}]}}),
            json!({"orders": {"counterparty": "nobody"}}),
            json!({"catalog": {"price_types": {"Retail": "Franchise", "buyPrice": "Franchise"}}}),
            json!({"stock": {"report": "some"}}),
            json!({"stock": {"low": 5}}),
            json!({"stock": {"report": "bystore", "low": 5}}),
            json!({"stock": {"report": "all", "low": -1}}),
        ] {
            assert!(ChildSettings::read(&value).is_err(), "{value}");
        }
    }

    #[test]
    fn the_key_at_fault_is_named() {
        for (value, key) in [
            (json!({"catalog": {"create_folders": true, "entities": ["ship"]}}), "catalog.entities: "),
            (json!({"catalog": {"image": true}}), "catalog.image: "),
            (json!({"orders": {"store": "x"}}), "orders.store: "),
            (json!({"orders": 1}), "orders: "),
            (json!({"order": {}}), "order: "),
            (json!({"catalog": {"match_services_by": "article"}}), "catalog.match_services_by: "),
        ] {
            let refusal = ChildSettings::read(&value).unwrap_err().0;
            assert!(refusal.starts_with(key), "{value}: {refusal}");
        }
        assert!(MainSettings::read(&json!({"dedicated_login": true})).unwrap().dedicated_login);
        assert!(MainSettings::read(&json!({"catalog": {}})).is_err());
        let stock = json!({"stock": {"report": "all", "low": 5}});
        assert_eq!(MainSettings::read(&stock).unwrap().stock.low, Some(5));
        assert_eq!(StockSettings::of(Role::Child, &stock).unwrap().report, Some(StockReport::All));
        assert!(MainSettings::read(&json!({"stock": {"low": 5}})).is_err());
    }

    #[test]
    fn what_is_written_is_read_again() {
        let settings = json!({
            "catalog": {
                "entities": ["product", "variant"], "match_products_by": "article",
                "price_types": {"Retail": "Franchise", "buyPrice": "Purchase"},
                "filters": [{"folderIn": [Uuid::nil()]}, {"attribute": {"name": "Franchise", "is": "equal", "value": true}}],
            },
            "orders": {"organization": Uuid::nil(), "counterparty": {"stub": Uuid::nil()}, "states": {"New": "Neu"}},
        });
        let settings = ChildSettings::read(&settings).unwrap();
        let again = serde_json::to_value(&settings).unwrap();
        assert_eq!(ChildSettings::read(&again).unwrap(), settings);
    }
}
