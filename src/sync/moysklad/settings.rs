//! What a child account wants: which of main's catalogue it gets and in which form, and what becomes of its orders.
//!
//! Stored as the account's `settings`, a JSON object in which everything may be left out. Unknown keys are refused: a
//! misspelt setting must not be silently without effect.

use super::accounts::Role;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use utoipa::ToSchema;
use uuid::Uuid;

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

/// What flows from main to a child.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CatalogSettings {
    /// Types that flow: `product`, `variant`, `bundle`, `service`, `productfolder`. Default: all of them.
    pub entities: BTreeSet<EntityKind>,
    /// By which field an entity that the child has already is recognized. Default `externalCode`.
    pub match_products_by: MatchField,
    /// The same for services, which have no article. Default `externalCode`.
    pub match_services_by: MatchField,
    /// Price types of main (by name; `buyPrice` for the purchase price) and where they go in the child (by name;
    /// `buyPrice`). Absent: sale prices to the type of the same name, purchase price to purchase price.
    pub price_types: Option<BTreeMap<String, String>>,
    /// Attributes (by name) that flow. Absent: those that the child has under the same name and type.
    pub attributes: Option<BTreeSet<String>>,
    /// Conditions, all of which a product, service or bundle must meet when it is created in the child; it is created also
    /// when it meets them only later. One that ceases to meet them stays in the child and is kept up.
    pub filters: Vec<ProductFilter>,
    /// Whether folders of main are made in the child. Default true. If not, the child's own arrangement is left alone.
    pub create_folders: bool,
    /// Whether images of products, variants and bundles are copied: main's list replaces the child's. Default true, as
    /// something would be missing in the child without them; they come behind everything else, in tasks of their own.
    pub images: bool,
    /// What becomes of value-added tax. Default `copy`.
    pub vat: VatPolicy,
}

impl CatalogSettings {
    /// Whether what stands in a folder of main stands in that folder in the child.
    pub(super) fn takes_folders(&self) -> bool {
        self.create_folders && self.entities.contains(&EntityKind::Productfolder)
    }
}

impl Default for CatalogSettings {
    fn default() -> Self {
        Self {
            entities: EntityKind::ALL.into(),
            match_products_by: MatchField::ExternalCode,
            match_services_by: MatchField::ExternalCode,
            price_types: None,
            attributes: None,
            filters: Vec::new(),
            create_folders: true,
            images: true,
            vat: VatPolicy::Copy,
        }
    }
}

/// A type of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum EntityKind {
    /// Folders; they come first, products stand in them.
    Productfolder,
    /// Goods.
    Product,
    /// Services.
    Service,
    /// Kinds of a product.
    Variant,
    /// Sets of the others.
    Bundle,
}

impl EntityKind {
    /// All of them, each before those that refer to it.
    pub const ALL: [Self; 5] =
        [Self::Productfolder, Self::Product, Self::Service, Self::Variant, Self::Bundle];

    /// The API's keyword.
    pub fn keyword(self) -> &'static str {
        match self {
            Self::Productfolder => "productfolder",
            Self::Product => "product",
            Self::Service => "service",
            Self::Variant => "variant",
            Self::Bundle => "bundle",
        }
    }

    /// The type of a keyword.
    pub fn parse(keyword: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.keyword() == keyword)
    }
}

/// A field by which two accounts' entities are recognized as the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum MatchField {
    /// `code`.
    Code,
    /// `externalCode`.
    ExternalCode,
    /// `article`; products only.
    Article,
    /// Any barcode.
    Barcode,
    /// The exact name.
    Name,
}

/// A condition on a product of main.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum ProductFilter {
    /// It is in one of these folders of main, or below.
    FolderIn(Vec<Uuid>),
    /// It is in none of these folders of main, nor below.
    FolderNotIn(Vec<Uuid>),
    /// One of its attributes is so.
    Attribute(AttributeCondition),
}

/// A condition on an attribute, by its name in main.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AttributeCondition {
    /// Its name.
    pub name: String,
    /// How it is compared.
    pub is: Comparison,
    /// With what: text, a number, true or false; for a dictionary the element's name. Not for `set` and `unset`.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub value: Value,
}

/// How an attribute is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Comparison {
    /// Equal.
    Equal,
    /// Not equal, or not set.
    NotEqual,
    /// A text that holds this one.
    Contains,
    /// A number or time below.
    Less,
    /// A number or time above.
    Greater,
    /// Has a value.
    Set,
    /// Has none.
    Unset,
}

/// What becomes of value-added tax.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum VatPolicy {
    /// As in main.
    Copy,
    /// The child's own affair: never sent.
    Leave,
    /// Always without VAT.
    Without,
}

/// What flows from a child to main.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OrderSettings {
    /// Documents that flow: `customerorder`, `retaildemand`, `purchaseorder`. Default: none before `organization` is set.
    pub documents: BTreeSet<DocumentKind>,
    /// Organization of main that the orders belong to. Without it no document flows.
    pub organization: Option<Uuid>,
    /// Whose orders they are in main.
    pub counterparty: CounterpartyPolicy,
    /// Store of main.
    pub store: Option<Uuid>,
    /// Names of states: the child's to main's. Absent: the state of the same name, if main has it.
    pub states: BTreeMap<String, String>,
    /// Whether main's state goes back to the child's order. Default false.
    pub status_back: bool,
    /// Only documents that are applicable. Default true.
    pub only_applicable: bool,
    /// Put before the child's number.
    pub number_prefix: Option<String>,
}

impl Default for OrderSettings {
    fn default() -> Self {
        Self {
            documents: [DocumentKind::Customerorder, DocumentKind::Retaildemand, DocumentKind::Purchaseorder]
                .into(),
            organization: None,
            counterparty: CounterpartyPolicy::Real,
            store: None,
            states: BTreeMap::new(),
            status_back: false,
            only_applicable: true,
            number_prefix: None,
        }
    }
}

/// A document that flows from child to main.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DocumentKind {
    /// An order of a customer.
    Customerorder,
    /// A sale over the counter.
    Retaildemand,
    /// An order to a supplier.
    Purchaseorder,
}

impl DocumentKind {
    /// The API's keyword.
    pub fn keyword(self) -> &'static str {
        match self {
            Self::Customerorder => "customerorder",
            Self::Retaildemand => "retaildemand",
            Self::Purchaseorder => "purchaseorder",
        }
    }
}

/// Whose orders a child's orders are in main.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum CounterpartyPolicy {
    /// The same counterparty: matched by INN, telephone or e-mail, made if main has none.
    Real,
    /// Always this counterparty of main, which stands for the child.
    Stub(Uuid),
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
