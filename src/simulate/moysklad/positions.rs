//! Lines of documents and components of bundles, and what a document adds up to.

use super::account::{Account, Entity, Part};
use super::json::{self, decimal, float, id_of};
use super::refused::Refused;
use super::show::part_kind;
use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::{Map, Value};
use uuid::Uuid;

/// Lines in one body.
const MOST: usize = 1000;
const MOST_COMPONENTS: usize = 50;

impl Account {
    /// All positions of a document anew: those with an id are changed, those without are added, the others go.
    pub(super) fn replace_positions(&self, document: &mut Entity, items: &[Value]) -> Result<(), Refused> {
        if items.len() > MOST {
            return Err(Refused::new(413, 2007));
        }
        let old = std::mem::take(&mut document.parts);
        for item in items {
            let fields = item.as_object().ok_or(Refused::field(412, 2016, "positions"))?;
            let part = match part_id(item) {
                Some(id) => {
                    let known = old.iter().find(|part| part.id == id).cloned();
                    let known = known.ok_or_else(Refused::unknown)?;
                    self.change_position(document, known, fields)?
                }
                None => self.new_position(document, fields)?,
            };
            if document.parts.iter().any(|other| other.id == part.id) {
                return Err(Refused::field(412, 3013, "positions"));
            }
            document.parts.push(part);
        }
        let gone = old.iter().filter(|old| !document.parts.iter().any(|part| part.id == old.id));
        gone.into_iter().try_for_each(check_unshipped)
    }

    /// Another document, such as a shipment, uses this much of a line.
    pub(super) fn ship(&mut self, document: Uuid, line: Uuid, quantity: Decimal) -> Result<(), Refused> {
        let mut document = self.get(document).cloned().ok_or_else(Refused::unknown)?;
        let line = document.parts.iter_mut().find(|part| part.id == line).ok_or_else(Refused::unknown)?;
        line.fields.insert("shipped".to_owned(), json::decimal_value(quantity));
        self.put(document);
        Ok(())
    }

    pub(super) fn new_position(
        &self,
        document: &Entity,
        fields: &Map<String, Value>,
    ) -> Result<Part, Refused> {
        for required in ["assortment", "quantity"] {
            if !fields.contains_key(required) {
                return Err(Refused::field(412, 3000, required));
            }
        }
        let blank = serde_json::json!({
            "quantity": 0.0, "price": 0.0, "discount": 0.0, "vat": 0, "vatEnabled": false, "shipped": 0.0,
        });
        let part = Part { id: self.mint(), fields: json::map(blank) };
        self.change_position(document, part, fields)
    }

    pub(super) fn change_position(
        &self,
        document: &Entity,
        mut part: Part,
        fields: &Map<String, Value>,
    ) -> Result<Part, Refused> {
        let is_order = document.kind.keyword == "customerorder";
        for (name, value) in fields {
            match (name.as_str(), value) {
                ("quantity" | "price" | "discount", Value::Number(number)) => {
                    part.fields.insert(name.clone(), float(number));
                }
                ("reserve", Value::Number(number)) if is_order => {
                    part.fields.insert(name.clone(), float(number));
                }
                ("assortment", Value::Object(_)) => {
                    let id = self.reference_to(&super::kind::SELLABLE, value, name)?;
                    let keyword = value["meta"]["type"].as_str().unwrap_or_default();
                    part.fields.insert(name.clone(), self.reference(keyword, id));
                }
                ("vat", Value::Number(_))
                | ("vatEnabled", Value::Bool(_))
                | ("taxSystem", Value::String(_))
                | ("pack", Value::Object(_)) => {
                    part.fields.insert(name.clone(), value.clone());
                }
                ("pack", Value::Null) => {
                    part.fields.shift_remove(name);
                }
                (
                    "id" | "meta" | "accountId" | "shipped" | "inTransit" | "wait" | "stock" | "things"
                    | "cost",
                    _,
                ) => {}
                (name, _) => return Err(Refused::field(412, 2016, name)),
            }
        }
        if self.rules.rounds_prices
            && let Some(price) = part.fields.get_mut("price")
        {
            let rounded =
                decimal(Some(price)).round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero);
            *price = json::decimal_value(rounded);
        }
        self.check_position(&mut part)?;
        Ok(part)
    }

    fn check_position(&self, part: &mut Part) -> Result<(), Refused> {
        let number = |name| decimal(part.fields.get(name));
        let quantity = number("quantity");
        if quantity <= Decimal::ZERO {
            return Err(Refused::field(412, 2016, "quantity"));
        }
        if number("reserve") > quantity {
            return Err(Refused::field(412, 17003, "reserve"));
        }
        if number("discount") > Decimal::ONE_HUNDRED {
            return Err(Refused::field(412, 17008, "discount"));
        }
        let vat = number("vat");
        if part.fields.get("vatEnabled") != Some(&true.into()) && vat > Decimal::ZERO {
            return Err(Refused::field(412, 17021, "vatEnabled"));
        }
        let assortment = part.fields.get("assortment").and_then(id_of).and_then(|id| self.get(id));
        let assortment = assortment.ok_or_else(Refused::unknown)?;
        if assortment.kind.keyword == "bundle" && !quantity.fract().is_zero() {
            return Err(Refused::field(412, 17018, "quantity"));
        }
        if let Some(pack) = part.fields.get_mut("pack") {
            let packs = assortment.fields.get("packs").and_then(Value::as_array);
            let own = packs.and_then(|packs| packs.iter().find(|own| own["id"] == pack["id"]));
            *pack = own.cloned().ok_or_else(Refused::unknown)?;
        }
        Ok(())
    }

    /// Components are merged by what they are made of; dropping one has a request of its own.
    pub(super) fn merge_components(&self, bundle: &mut Entity, items: &[Value]) -> Result<(), Refused> {
        let is_new = bundle.parts.is_empty();
        if self.rules.components_are_replaced || is_new {
            bundle.parts.clear();
        }
        let before = bundle.parts.clone();
        let mut sent = Vec::new();
        for item in items {
            let fields = item.as_object().ok_or(Refused::field(412, 2016, "components"))?;
            let part = self.component(fields)?;
            let made_of = part.fields.get("assortment").and_then(id_of);
            if sent.contains(&made_of) {
                return Err(Refused::field(412, 29002, "components"));
            }
            sent.push(made_of);
            let same = |old: &&mut Part| old.fields.get("assortment").and_then(id_of) == made_of;
            match bundle.parts.iter_mut().find(same) {
                Some(old) => old.fields = part.fields,
                None => bundle.parts.push(part),
            }
        }
        if !(1..=MOST_COMPONENTS).contains(&bundle.parts.len()) {
            return Err(Refused::field(412, 29000, "components"));
        }
        if !is_new && before != bundle.parts {
            self.check_unused(bundle)?;
        }
        Ok(())
    }

    /// Components of a bundle that stands in a document are locked.
    pub(super) fn check_unused(&self, bundle: &Entity) -> Result<(), Refused> {
        let refers = |part: &Part| part.fields.get("assortment").and_then(id_of) == Some(bundle.id);
        let used = |entity: &Entity| entity.kind.is_document && entity.parts.iter().any(refers);
        if self.entities.values().any(used) { Err(Refused::field(412, 29001, "components")) } else { Ok(()) }
    }

    pub(super) fn component(&self, fields: &Map<String, Value>) -> Result<Part, Refused> {
        let assortment = fields.get("assortment").ok_or(Refused::field(412, 3000, "assortment"))?;
        let allowed = ["product", "service", "variant"];
        let id = match self.reference_to(&allowed, assortment, "assortment") {
            Err(Refused { code: 2024, .. }) => return Err(Refused::field(412, 29003, "assortment")),
            id => id?,
        };
        let Some(Value::Number(quantity)) = fields.get("quantity") else {
            return Err(Refused::field(412, 3000, "quantity"));
        };
        let keyword = assortment["meta"]["type"].as_str().unwrap_or_default();
        let mut part = Part { id: self.mint(), fields: Map::new() };
        part.fields.insert("assortment".to_owned(), self.reference(keyword, id));
        part.fields.insert("quantity".to_owned(), float(quantity));
        Ok(part)
    }

    /// A line as the API shows it.
    pub(super) fn show_part(&self, entity: &Entity, part: &Part) -> Value {
        let list = entity.kind.parts.unwrap_or_default();
        let href = format!("{}/{list}/{}", self.href(entity.kind.keyword, entity.id), part.id);
        let mut shown = json::map(json::meta(&href, &part_kind(entity)));
        shown.insert("id".to_owned(), part.id.to_string().into());
        shown.insert("accountId".to_owned(), self.id.to_string().into());
        shown.extend(part.fields.clone());
        Value::Object(shown)
    }
}

/// A line that a linked document uses stays (1023).
pub(super) fn check_unshipped(part: &Part) -> Result<(), Refused> {
    if decimal(part.fields.get("shipped")).is_zero() { Ok(()) } else { Err(Refused::new(412, 1023)) }
}

/// The id that a line in a body has, by itself or in its `meta`.
pub(super) fn part_id(item: &Value) -> Option<Uuid> {
    item["id"].as_str().and_then(|id| id.parse().ok()).or_else(|| id_of(item))
}

/// Sums of a document in kopecks, each line rounded half up.
pub(super) fn totals(document: &Entity) -> Vec<(&'static str, Decimal)> {
    let flag = |name| document.fields.get(name) == Some(&Value::Bool(true));
    let (has_vat, included) = (flag("vatEnabled"), flag("vatIncluded"));
    let round = |amount: Decimal| amount.round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero);
    let (mut sum, mut vat_sum, mut reserved) = (Decimal::ZERO, Decimal::ZERO, Decimal::ZERO);
    for part in &document.parts {
        let number = |name| decimal(part.fields.get(name));
        let factor = Decimal::ONE - number("discount") / Decimal::ONE_HUNDRED;
        let line = number("price") * number("quantity") * factor;
        let rounded = round(line);
        sum += rounded;
        reserved += round(number("price") * number("reserve") * factor);
        if has_vat && part.fields.get("vatEnabled") == Some(&Value::Bool(true)) {
            let rate = number("vat");
            if included {
                vat_sum += round(rounded * rate / (Decimal::ONE_HUNDRED + rate));
            } else {
                let vat = round(rounded * rate / Decimal::ONE_HUNDRED);
                vat_sum += vat;
                sum += vat;
            }
        }
    }
    let mut totals = vec![("sum", sum), ("vatSum", vat_sum), ("payedSum", Decimal::ZERO)];
    if document.kind.keyword == "customerorder" {
        totals.extend([
            ("shippedSum", Decimal::ZERO),
            ("invoicedSum", Decimal::ZERO),
            ("reservedSum", reserved),
        ]);
    }
    totals
}
