//! What an account calls its price types, currencies and units: the words in which a product crosses accounts.

use super::api::{AccountApi, ApiError, id_of, id_of_entity};
use crate::queue::HandlerError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::OnceCell;
use uuid::Uuid;

/// They change rarely; a write that fails because they did reads them anew.
pub(super) const FRESH: Duration = Duration::from_secs(5 * 60);

/// Price types, currencies and units of one account.
#[derive(Debug, Default)]
pub(super) struct Metadata {
    price_types: Vec<PriceType>,
    currencies: Vec<Currency>,
    uoms: Vec<Uom>,
    /// Read when something needs them.
    attributes: OnceCell<Vec<Attribute>>,
    countries: OnceCell<Vec<Uom>>,
    characteristics: OnceCell<Mutex<BTreeSet<String>>>,
    /// Elements of dictionaries, by dictionary and name.
    elements: Mutex<HashMap<(Uuid, String), Uuid>>,
}

/// A custom field of products, services and bundles.
#[derive(Debug)]
pub(super) struct Attribute {
    pub(super) id: Uuid,
    pub(super) name: String,
    /// `string`, `customentity`, …
    pub(super) kind: String,
    /// Its dictionary, for `customentity`.
    pub(super) dictionary: Option<Uuid>,
    /// Nothing can be created without it.
    pub(super) is_required: bool,
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
    #[serde(default, deserialize_with = "or_empty")]
    code: String,
    #[serde(default, deserialize_with = "or_empty")]
    name: String,
}

/// What a unit is known by in every account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UomName {
    pub(super) code: Option<String>,
    pub(super) name: String,
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
            price_types: readable(price_types)?,
            currencies: readable(currencies["rows"].take())?,
            uoms: readable(uoms["rows"].take())?,
            ..Self::default()
        })
    }

    /// Reads the custom fields, once.
    pub(super) async fn load_attributes(&self, api: &AccountApi) -> Result<(), ApiError> {
        let read = async || {
            let path = "/entity/product/metadata/attributes";
            let reply = api.get("GET /entity/product/metadata/attributes", path, &[]).await;
            let rows = if_allowed(reply, "attributes")?.unwrap_or_else(|| json!({"rows": []}));
            let one = |row: &Value| {
                Some(Attribute {
                    id: row["id"].as_str()?.parse().ok()?,
                    name: row["name"].as_str()?.to_owned(),
                    kind: row["type"].as_str()?.to_owned(),
                    dictionary: id_of(&json!({"meta": row["customEntityMeta"]})),
                    is_required: row["required"].as_bool().unwrap_or(false),
                })
            };
            Ok::<_, ApiError>(rows["rows"].as_array().into_iter().flatten().filter_map(one).collect())
        };
        self.attributes.get_or_try_init(read).await.map(|_| ())
    }

    /// The custom field of this name and type: name alone would mix a text with a dictionary.
    pub(super) fn attribute(&self, name: &str, kind: &str) -> Option<&Attribute> {
        self.attributes.get()?.iter().find(|attribute| attribute.name == name && attribute.kind == kind)
    }

    /// The custom field with this id.
    pub(super) fn attribute_by_id(&self, id: Uuid) -> Option<&Attribute> {
        self.attributes.get()?.iter().find(|attribute| attribute.id == id)
    }

    /// Names of the custom fields without which nothing can be created.
    pub(super) fn required_attributes(&self) -> impl Iterator<Item = &Attribute> {
        self.attributes.get().into_iter().flatten().filter(|attribute| attribute.is_required)
    }

    pub(super) fn is_attribute(&self, name: &str) -> bool {
        self.attributes.get().is_some_and(|all| all.iter().any(|attribute| attribute.name == name))
    }

    /// Reads the countries, once.
    pub(super) async fn load_countries(&self, api: &AccountApi) -> Result<(), ApiError> {
        let read = async || {
            let query = [("limit", "1000".to_owned())];
            let reply = api.get("GET /entity/country", "/entity/country", &query).await;
            let mut rows = if_allowed(reply, "countries")?.unwrap_or_else(|| json!({"rows": []}));
            readable(rows["rows"].take())
                .map_err(|_| HandlerError::Retry("moysklad: countries are unreadable".to_owned()).into())
        };
        self.countries.get_or_try_init(read).await.map(|_| ())
    }

    pub(super) fn country_code(&self, country: &Value) -> Option<&str> {
        let id = id_of(country)?;
        self.countries
            .get()?
            .iter()
            .find(|one| one.id == id)
            .map(|one| &*one.code)
            .filter(|code| !code.is_empty())
    }

    pub(super) fn country(&self, code: &str) -> Option<Uuid> {
        self.countries.get()?.iter().find(|one| one.code == code).map(|one| one.id)
    }

    /// Makes sure that the account has these characteristics.
    pub(super) async fn ensure_characteristics(
        &self,
        api: &AccountApi,
        names: &BTreeSet<String>,
    ) -> Result<(), ApiError> {
        let path = "/entity/variant/metadata/characteristics";
        let read = async || {
            let reply = api.get("GET /entity/variant/metadata/characteristics", path, &[]).await?;
            let rows = reply["rows"].as_array().or_else(|| reply["characteristics"].as_array());
            let name = |row: &Value| row["name"].as_str().map(str::to_owned);
            Ok::<_, ApiError>(Mutex::new(rows.into_iter().flatten().filter_map(name).collect()))
        };
        let known = self.characteristics.get_or_try_init(read).await?;
        let missing: Vec<String> = names.difference(&locked(known)).cloned().collect();
        for name in missing {
            let route = "POST /entity/variant/metadata/characteristics";
            match api.create(route, path, &json!({"name": name})).await {
                // Somebody was quicker.
                Err(error) if error.has_code(10_002) => {}
                made => drop(made?),
            }
            locked(known).insert(name);
        }
        Ok(())
    }

    /// The dictionary's element of this name, made if there is none.
    pub(super) async fn ensure_element(
        &self,
        api: &AccountApi,
        dictionary: Uuid,
        name: &str,
    ) -> Result<Uuid, ApiError> {
        if let Some(id) = self.element(dictionary, name) {
            return Ok(id);
        }
        let path = format!("/entity/customentity/{dictionary}");
        let query = [("filter", format!("name={}", name.replace(';', "\\;"))), ("limit", "100".to_owned())];
        let reply = api.get("GET /entity/customentity/{id}", &path, &query).await?;
        let same = |row: &&Value| row["name"] == name;
        let found = if let Some(row) = reply["rows"].as_array().into_iter().flatten().find(same) {
            id_of_entity(row)?
        } else {
            let made = api.create("POST /entity/customentity/{id}", &path, &json!({"name": name})).await?;
            id_of_entity(&made)?
        };
        self.elements().insert((dictionary, name.to_owned()), found);
        Ok(found)
    }

    pub(super) fn element(&self, dictionary: Uuid, name: &str) -> Option<Uuid> {
        self.elements().get(&(dictionary, name.to_owned())).copied()
    }

    fn elements(&self) -> MutexGuard<'_, HashMap<(Uuid, String), Uuid>> {
        locked(&self.elements)
    }

    /// Names of the price types.
    pub(super) fn price_types(&self) -> impl Iterator<Item = &str> {
        self.price_types.iter().map(|price_type| &*price_type.name)
    }

    pub(super) fn is_price_type(&self, name: &str) -> bool {
        self.price_types.iter().any(|price_type| price_type.name == name)
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

    /// What the unit that a product refers to is known by.
    pub(super) fn uom_name(&self, uom: &Value) -> Option<UomName> {
        let id = id_of(uom)?;
        let uom = self.uoms.iter().find(|uom| uom.id == id)?;
        let code = Some(uom.code.clone()).filter(|code| !code.is_empty());
        (code.is_some() || !uom.name.is_empty()).then(|| UomName { code, name: uom.name.clone() })
    }

    /// The same unit here: by its code, or by its name where it has none.
    pub(super) fn uom(&self, uom: &UomName) -> Option<Uuid> {
        let same = |other: &&Uom| match &uom.code {
            Some(code) => other.code == *code,
            None => other.code.is_empty() && other.name == uom.name,
        };
        self.uoms.iter().find(same).map(|uom| uom.id)
    }
}

/// The rows of a list that can be spoken of in another account. One without its name or code must not hide the others.
fn readable<T: DeserializeOwned>(rows: Value) -> serde_json::Result<Vec<T>> {
    let rows: Vec<Value> = serde_json::from_value(rows)?;
    Ok(rows.into_iter().filter_map(|row| serde_json::from_value(row).ok()).collect())
}

fn or_empty<'de, D: Deserializer<'de>>(text: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(text)?.unwrap_or_default())
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A token may be allowed to write products and not to read one of these lists. What needs that list is then left out,
/// and said to be; the rest crosses over.
fn if_allowed(list: Result<Value, ApiError>, what: &str) -> Result<Option<Value>, ApiError> {
    match list {
        Err(error) if error.is_refusal() => {
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
        // That of another account would be kept, and used with the right token, too.
        api.check_token().await?;
        let metadata = Arc::new(Metadata::read(api).await?);
        *slot = Some((Instant::now(), metadata.clone()));
        Ok(metadata)
    }

    fn slot(&self, account: Uuid) -> Slot {
        locked(&self.accounts).entry(account).or_default().clone()
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
        assert_eq!(child.uom(&main.uom_name(&unit(0)).unwrap()), Some(child.uoms[0].id));
        assert_eq!(main.uom_name(&unit(1)), None);
    }

    #[test]
    fn a_row_that_nothing_names_hides_no_other() {
        let rows = |name: &str| json!([{"id": Uuid::from_u128(1), name: null}, {"name": "no id"}, {"id": Uuid::from_u128(2), name: "X"}]);
        let (currencies, uoms) = (json!({"rows": rows("isoCode")}), json!({"rows": rows("code")}));
        let account = Metadata::parse(rows("name"), currencies, uoms).unwrap();
        let second = Some(Uuid::from_u128(2));
        assert_eq!((account.price_type("X"), account.currency("X")), (second, second));
        assert_eq!(account.uom(&UomName { code: Some("X".to_owned()), name: String::new() }), second);
        assert!(Metadata::parse(json!({}), json!({"rows": []}), json!({"rows": []})).is_err());
    }

    #[test]
    fn a_price_without_a_currency_is_in_the_accounts_own() {
        assert_eq!(account(1, &[], &["KZT", "RUB"]).iso_code(None), Some("KZT"));
    }
}
