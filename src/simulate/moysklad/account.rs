//! One account: its entities, its dictionaries, its switches.

use super::gates::Principal;
use super::json::{self, map};
use super::kind::{KINDS, Kind, kind};
use super::knobs::Rules;
use super::refused::Refused;
use super::stock_hooks::StockHook;
use super::traffic::Traffic;
use super::webhooks::Hook;
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// One account.
pub(super) struct Account {
    pub(super) id: Uuid,
    pub(super) name: String,
    /// Prefix of every href.
    pub(super) base: String,
    /// The end of every id that the account gives: ids tell whose they are, also after their entity is gone.
    node: [u8; 6],
    next_place: u64,
    pub(super) rules: Rules,
    /// The employee in whose name everything is done.
    pub(super) owner: Uuid,
    pub(super) group: Uuid,
    pub(super) principals: Vec<Principal>,
    /// In the order of their creation.
    pub(super) entities: BTreeMap<u64, Entity>,
    places: HashMap<Uuid, u64>,
    sync_ids: HashMap<(&'static str, Uuid), Uuid>,
    /// Variants by their product: every shown product counts them.
    variants: HashMap<Uuid, Vec<Uuid>>,
    /// Ids of the web interface, and the API's.
    pub(super) ui_ids: HashMap<Uuid, Uuid>,
    pub(super) price_types: Vec<PriceType>,
    pub(super) characteristics: Vec<(Uuid, String)>,
    pub(super) attributes: BTreeMap<&'static str, Vec<Attribute>>,
    pub(super) states: BTreeMap<&'static str, Vec<State>>,
    pub(super) dictionaries: Vec<(Uuid, String)>,
    /// Bank accounts, and whose they are.
    pub(super) bank_accounts: HashMap<Uuid, Uuid>,
    pub(super) hooks: Vec<Hook>,
    pub(super) stock_hooks: Vec<StockHook>,
    /// By assortment and store; and when it last changed, in Moscow's time.
    pub(super) stock: BTreeMap<(Uuid, Uuid), (Decimal, String)>,
    /// Last number given to a document or code, by kind.
    counters: HashMap<String, u64>,
    /// What the present request has done so far.
    pub(super) events: Vec<Event>,
    /// What no correct client does, found while the present request was handled.
    pub(super) complaints: Vec<String>,
    pub(super) traffic: Traffic,
}

/// What a request did to one entity.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) kind: &'static str,
    pub(super) id: Uuid,
    pub(super) action: &'static str,
    pub(super) updated: Vec<String>,
}

/// An entity as it is stored: what can be worked out is not in it.
#[derive(Debug, Clone)]
pub(super) struct Entity {
    pub(super) id: Uuid,
    pub(super) kind: &'static Kind,
    pub(super) fields: Map<String, Value>,
    /// Positions or components.
    pub(super) parts: Vec<Part>,
    pub(super) images: Vec<Image>,
    /// Of an element of a dictionary.
    pub(super) dictionary: Option<Uuid>,
    pub(super) ui_id: Option<Uuid>,
}

/// A position or component.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Part {
    pub(super) id: Uuid,
    pub(super) fields: Map<String, Value>,
}

/// A picture.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Image {
    pub(super) id: Uuid,
    pub(super) filename: String,
    pub(super) content: bytes::Bytes,
    pub(super) updated: String,
}

/// A type of sale price.
#[derive(Debug, Clone)]
pub(super) struct PriceType {
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) external_code: String,
}

/// A custom field.
#[derive(Debug, Clone)]
pub(super) struct Attribute {
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) required: bool,
    pub(super) description: Option<String>,
    pub(super) dictionary: Option<Uuid>,
}

/// A state of documents.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) color: i64,
}

/// The external code of the first price type of every account.
pub(super) const DEFAULT_PRICE_TYPE: &str = "cbcf493b-55bc-11d9-848a-00112f43529a";

impl Account {
    pub(super) fn new(name: &str, base: &str) -> Self {
        let random = Uuid::new_v4().into_bytes();
        let node = [random[0], random[1], random[2], random[3], random[4], random[5]];
        let mut account = Self {
            id: Uuid::new_v4(),
            name: name.to_owned(),
            base: base.to_owned(),
            node,
            next_place: 0,
            rules: Rules::default(),
            owner: Uuid::nil(),
            group: Uuid::nil(),
            principals: Vec::new(),
            entities: BTreeMap::new(),
            places: HashMap::new(),
            sync_ids: HashMap::new(),
            variants: HashMap::new(),
            ui_ids: HashMap::new(),
            price_types: Vec::new(),
            characteristics: Vec::new(),
            attributes: BTreeMap::new(),
            states: BTreeMap::new(),
            dictionaries: Vec::new(),
            bank_accounts: HashMap::new(),
            hooks: Vec::new(),
            stock_hooks: Vec::new(),
            stock: BTreeMap::new(),
            counters: HashMap::new(),
            events: Vec::new(),
            complaints: Vec::new(),
            traffic: Traffic::default(),
        };
        account.group = account.furnish("group", json!({"name": "Основной"}));
        account.owner = account.furnish("employee", json!({"name": "Администратор"}));
        for (code, name) in [("796", "шт"), ("112", "л"), ("166", "кг")] {
            account.furnish("uom", json!({"name": name, "code": code}));
        }
        for (code, name) in [("643", "Россия"), ("398", "Казахстан"), ("156", "Китай"), ("860", "Узбекистан")]
        {
            account.furnish("country", json!({"name": name, "code": code}));
        }
        account.furnish("organization", json!({"name": name, "companyType": "legal"}));
        account.furnish("store", json!({"name": "Основной склад"}));
        for document in ["customerorder", "retaildemand", "purchaseorder"] {
            let states = [
                ("Новый", "Regular"),
                ("Подтвержден", "Regular"),
                ("Доставлен", "Successful"),
                ("Отменен", "Unsuccessful"),
            ];
            let states = states.map(|(name, kind)| State {
                id: account.mint(),
                name: name.to_owned(),
                kind: kind.to_owned(),
                color: 15_106_326,
            });
            account.states.insert(document, states.into());
        }
        account
    }

    /// A new id of this account.
    pub(super) fn mint(&self) -> Uuid {
        let mut bytes = Uuid::new_v4().into_bytes();
        bytes[10..].copy_from_slice(&self.node);
        Uuid::from_bytes(bytes)
    }

    /// Whether the account gave this id at any time.
    pub(super) fn minted(&self, id: Uuid) -> bool {
        id.as_bytes()[10..] == self.node
    }

    /// Puts in what every account has from its first day, without an event.
    pub(super) fn furnish(&mut self, keyword: &str, fields: Value) -> Uuid {
        let id = self.mint();
        let Some(kind) = kind(keyword) else { return id };
        let mut fields = map(fields);
        fields.insert("updated".to_owned(), json::moscow_now().into());
        fields.entry("externalCode").or_insert_with(|| json::random_code().into());
        let entity =
            Entity { id, kind, fields, parts: Vec::new(), images: Vec::new(), dictionary: None, ui_id: None };
        self.put(entity);
        id
    }

    pub(super) fn get(&self, id: Uuid) -> Option<&Entity> {
        self.entities.get(self.places.get(&id)?)
    }

    /// An entity of this kind.
    pub(super) fn find(&self, kind: &Kind, id: Uuid) -> Result<&Entity, Refused> {
        self.get(id).filter(|entity| std::ptr::eq(entity.kind, kind)).ok_or_else(Refused::unknown)
    }

    /// Entities of one kind, oldest first.
    pub(super) fn all(&self, keyword: &str) -> impl DoubleEndedIterator<Item = &Entity> {
        self.entities.values().filter(move |entity| entity.kind.keyword == keyword)
    }

    /// Stores an entity, in the place of its former state if it has one.
    pub(super) fn put(&mut self, entity: Entity) {
        let place = self.places.get(&entity.id).copied().unwrap_or_else(|| {
            self.next_place += 1;
            self.next_place
        });
        self.places.insert(entity.id, place);
        if let Some(ui_id) = entity.ui_id {
            self.ui_ids.insert(ui_id, entity.id);
        }
        let sync_id = entity.fields.get("syncId").and_then(Value::as_str).and_then(|id| id.parse().ok());
        if let Some(sync_id) = sync_id {
            self.sync_ids.insert((entity.kind.keyword, sync_id), entity.id);
        }
        if let Some(product) = product_of(&entity) {
            let variants = self.variants.entry(product).or_default();
            if !variants.contains(&entity.id) {
                variants.push(entity.id);
            }
        }
        self.entities.insert(place, entity);
    }

    /// Variants of a product.
    pub(super) fn variants_of(&self, product: Uuid) -> impl Iterator<Item = &Entity> {
        self.variants.get(&product).into_iter().flatten().filter_map(|id| self.get(*id))
    }

    /// Takes an entity out for good.
    pub(super) fn remove(&mut self, id: Uuid) -> Option<Entity> {
        let entity = self.entities.remove(&self.places.remove(&id)?)?;
        self.sync_ids.retain(|_, holder| *holder != id);
        if let Some(variants) = product_of(&entity).and_then(|product| self.variants.get_mut(&product)) {
            variants.retain(|variant| *variant != id);
        }
        self.stock.retain(|(assortment, store), _| *assortment != id && *store != id);
        Some(entity)
    }

    pub(super) fn by_sync_id(&self, kind: &Kind, sync_id: Uuid) -> Option<Uuid> {
        self.sync_ids.get(&(kind.keyword, sync_id)).copied()
    }

    /// The next number of this series.
    pub(super) fn count(&mut self, series: &str) -> u64 {
        let counter = self.counters.entry(series.to_owned()).or_default();
        *counter += 1;
        *counter
    }

    pub(super) fn href(&self, keyword: &str, id: Uuid) -> String {
        let base = &self.base;
        match keyword {
            "pricetype" => format!("{base}/context/companysettings/pricetype/{id}"),
            "customentity" => match self.get(id).and_then(|element| element.dictionary) {
                Some(dictionary) => format!("{base}/entity/customentity/{dictionary}/{id}"),
                None => format!("{base}/entity/customentity/{id}"),
            },
            _ => format!("{base}/entity/{keyword}/{id}"),
        }
    }

    /// `{"meta": {…}}`.
    pub(super) fn reference(&self, keyword: &str, id: Uuid) -> Value {
        json::meta(&self.href(keyword, id), keyword)
    }

    /// The currency in which the account keeps its books: its first.
    pub(super) fn own_currency(&self) -> Option<Uuid> {
        self.all("currency").next().map(|currency| currency.id)
    }

    pub(super) fn is_in_bin(entity: &Entity) -> bool {
        entity.fields.contains_key("deleted")
    }

    /// `meta` of everything that refers to this id.
    pub(super) fn dependents(&self, id: Uuid) -> Vec<Value> {
        let text = id.to_string();
        let refers = |value: &Value| {
            let mut found = Vec::new();
            json::references(value, &mut found);
            found.iter().any(|meta| meta["href"].as_str().is_some_and(|href| href.ends_with(&text)))
        };
        let holds = |fields: &Map<String, Value>| fields.values().any(refers);
        self.entities
            .values()
            .filter(|entity| entity.id != id)
            .filter(|entity| holds(&entity.fields) || entity.parts.iter().any(|part| holds(&part.fields)))
            .map(|entity| self.reference(entity.kind.keyword, entity.id)["meta"].take())
            .collect()
    }

    /// The metadata of attributes that this kind has.
    pub(super) fn attributes_of(&self, kind: &Kind) -> &[Attribute] {
        kind.attributes.and_then(|owner| self.attributes.get(owner)).map_or(&[], Vec::as_slice)
    }

    /// Notes what no correct client does.
    pub(super) fn complain(&mut self, what: String) {
        self.complaints.push(what);
    }
}

/// The product of a variant.
fn product_of(entity: &Entity) -> Option<Uuid> {
    if entity.kind.keyword == "variant" { json::id_of(entity.fields.get("product")?) } else { None }
}

/// The keyword of a kind, for keys that live as long as the program.
pub(super) fn keyword_of(keyword: &str) -> Option<&'static str> {
    KINDS.iter().find(|kind| kind.keyword.eq_ignore_ascii_case(keyword)).map(|kind| kind.keyword)
}
