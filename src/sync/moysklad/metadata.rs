//! What an account calls its price types, currencies and units: the words in which a product crosses accounts.

use super::api::{AccountApi, ApiError, id_of};
use crate::queue::HandlerError;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// They change rarely; a write that fails because they did reads them anew.
pub(super) const FRESH: Duration = Duration::from_secs(5 * 60);

/// Price types, currencies and units of one account.
#[derive(Debug, Default)]
pub(super) struct Metadata {
    price_types: Vec<PriceType>,
    currencies: Vec<Currency>,
    uoms: Vec<Uom>,
}

#[derive(Debug, Deserialize)]
struct PriceType {
    id: Uuid,
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Currency {
    id: Uuid,
    iso_code: String,
    #[serde(default)]
    default: bool,
}

#[derive(Debug, Deserialize)]
struct Uom {
    id: Uuid,
    // Units made by hand may have none.
    #[serde(default)]
    code: String,
}

impl Metadata {
    async fn read(api: &AccountApi) -> Result<Self, ApiError> {
        let all = [("limit", "1000".to_owned())];
        let (price_types, currencies, uoms) = tokio::join!(
            api.get("GET /context/companysettings/pricetype", "/context/companysettings/pricetype", &[]),
            api.get("GET /entity/currency", "/entity/currency", &all),
            api.get("GET /entity/uom", "/entity/uom", &all),
        );
        let none = || json!({"rows": []});
        let price_types = if_allowed(price_types, "price types")?.unwrap_or_else(|| json!([]));
        let currencies = if_allowed(currencies, "currencies")?.unwrap_or_else(none);
        let uoms = if_allowed(uoms, "units")?.unwrap_or_else(none);
        Self::parse(price_types, currencies, uoms).map_err(|_| {
            HandlerError::Retry("moysklad: an account's metadata is unreadable".to_owned()).into()
        })
    }

    fn parse(price_types: Value, mut currencies: Value, mut uoms: Value) -> serde_json::Result<Self> {
        Ok(Self {
            // A bare array, unlike every other list.
            price_types: serde_json::from_value(price_types)?,
            currencies: serde_json::from_value(currencies["rows"].take())?,
            uoms: serde_json::from_value(uoms["rows"].take())?,
        })
    }

    /// Name of the price type that a price refers to; the reply may tell it inline.
    pub(super) fn price_type_name<'a>(&'a self, price_type: &'a Value) -> Option<&'a str> {
        if let Some(name) = price_type.get("name").and_then(Value::as_str) {
            return Some(name);
        }
        let id = id_of(price_type)?;
        self.price_types.iter().find(|price_type| price_type.id == id).map(|price_type| &*price_type.name)
    }

    pub(super) fn price_type(&self, name: &str) -> Option<Uuid> {
        self.price_types.iter().find(|price_type| price_type.name == name).map(|price_type| price_type.id)
    }

    /// ISO code of the currency that a price refers to; without one it is the account's own currency.
    pub(super) fn iso_code(&self, currency: Option<&Value>) -> Option<&str> {
        let found = match currency {
            Some(currency) => {
                let id = id_of(currency)?;
                self.currencies.iter().find(|currency| currency.id == id)
            }
            None => self.currencies.iter().find(|currency| currency.default),
        };
        found.map(|currency| &*currency.iso_code)
    }

    pub(super) fn currency(&self, iso_code: &str) -> Option<Uuid> {
        self.currencies.iter().find(|currency| currency.iso_code == iso_code).map(|currency| currency.id)
    }

    /// The currency in which the account keeps its books.
    pub(super) fn own_currency(&self) -> Option<Uuid> {
        self.currencies.iter().find(|currency| currency.default).map(|currency| currency.id)
    }

    /// Code of the unit that a product refers to.
    pub(super) fn uom_code(&self, uom: &Value) -> Option<&str> {
        let id = id_of(uom)?;
        self.uoms.iter().find(|uom| uom.id == id).map(|uom| &*uom.code).filter(|code| !code.is_empty())
    }

    pub(super) fn uom(&self, code: &str) -> Option<Uuid> {
        self.uoms.iter().find(|uom| uom.code == code).map(|uom| uom.id)
    }
}

/// A token may be allowed to write products and not to read one of these lists. What needs that list is then left out,
/// and said to be; the rest crosses over.
fn if_allowed(list: Result<Value, ApiError>, what: &str) -> Result<Option<Value>, ApiError> {
    match list {
        Err(error @ (ApiError::NotFound(_) | ApiError::Work(HandlerError::GiveUp(_)))) => {
            tracing::warn!(%error, what, "an account does not show a list that products refer to");
            Ok(None)
        }
        list => list.map(Some),
    }
}

/// Metadata of accounts, read once for the tasks of a few minutes.
#[derive(Clone, Default)]
pub(super) struct MetadataCache {
    accounts: Arc<Mutex<HashMap<Uuid, Slot>>>,
}

/// Locked while it is read, so that many tasks of one account read it once.
type Slot = Arc<tokio::sync::Mutex<Option<(Instant, Arc<Metadata>)>>>;

impl MetadataCache {
    /// Metadata of the account, not older than `age`.
    pub(super) async fn younger_than(
        &self,
        age: Duration,
        api: &AccountApi,
    ) -> Result<Arc<Metadata>, ApiError> {
        let slot = self.slot(api.id());
        let mut slot = slot.lock().await;
        if let Some((read, metadata)) = &*slot
            && read.elapsed() < age
        {
            return Ok(metadata.clone());
        }
        let metadata = Arc::new(Metadata::read(api).await?);
        *slot = Some((Instant::now(), metadata.clone()));
        Ok(metadata)
    }

    fn slot(&self, account: Uuid) -> Slot {
        let mut accounts = self.accounts.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        accounts.entry(account).or_default().clone()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An account whose ids all come from `seed`: price types `names`, roubles and more currencies, pieces.
    pub(in super::super) fn account(seed: u128, names: &[&str], currencies: &[&str]) -> Metadata {
        let id = |n: usize| Uuid::from_u128(seed * 1000 + n as u128);
        let price_types: Vec<Value> =
            names.iter().enumerate().map(|(n, name)| json!({"id": id(n), "name": name})).collect();
        let currencies: Vec<Value> = currencies
            .iter()
            .enumerate()
            .map(|(n, iso)| json!({"id": id(100 + n), "isoCode": iso, "default": n == 0}))
            .collect();
        let uoms = json!([{"id": id(200), "code": "796"}, {"id": id(201)}]);
        Metadata::parse(json!(price_types), json!({"rows": currencies}), json!({"rows": uoms})).unwrap()
    }

    #[test]
    fn names_and_codes_lead_from_one_account_to_the_other() {
        let (main, child) =
            (account(1, &["Retail"], &["RUB"]), account(2, &["Franchise", "Retail"], &["USD", "RUB"]));
        let price_type = json!({"meta": {"href": format!("https://h/{}", main.price_types[0].id)}});
        assert_eq!(
            child.price_type(main.price_type_name(&price_type).unwrap()),
            Some(child.price_types[1].id)
        );
        let rouble = json!({"meta": {"href": format!("https://h/{}", main.currencies[0].id)}});
        assert_eq!(child.currency(main.iso_code(Some(&rouble)).unwrap()), Some(child.currencies[1].id));
        let unit = |n: usize| json!({"meta": {"href": format!("https://h/{}", main.uoms[n].id)}});
        assert_eq!(child.uom(main.uom_code(&unit(0)).unwrap()), Some(child.uoms[0].id));
        assert_eq!(main.uom_code(&unit(1)), None);
    }

    #[test]
    fn a_price_without_a_currency_is_in_the_accounts_own() {
        assert_eq!(account(1, &[], &["KZT", "RUB"]).iso_code(None), Some("KZT"));
    }
}
