//! What is said in words, as bodies of requests in main.

use super::super::world::World;
use super::Fields;
use serde_json::{Value, json};

impl World {
    /// The body of a request in main.
    pub(super) fn body(&self, kind: &str, fields: &Fields) -> Value {
        let mut body = json!({});
        let (mut prices, mut attributes) = (Vec::new(), Vec::new());
        for (name, value) in fields {
            if let Some(price_type) = name.strip_prefix("price/") {
                let mut price = self.money(value);
                let id = self.sim.price_type(self.main, price_type);
                price["priceType"] = self.sim.reference(self.main, "pricetype", id);
                prices.push(price);
            } else if let Some(attribute) = name.strip_prefix("attribute/") {
                let mut one = self.sim.attribute_reference("product", self.attributes[attribute]);
                one["value"] = match (attribute, value) {
                    ("Fabric", Value::String(fabric)) => {
                        self.sim.reference(self.main, "customentity", self.fabrics[&**fabric])
                    }
                    _ => value.clone(),
                };
                attributes.push(one);
            } else {
                self.field(kind, name, value, &mut body);
            }
        }
        if !prices.is_empty() {
            body["salePrices"] = prices.into();
        }
        if !attributes.is_empty() {
            body["attributes"] = attributes.into();
        }
        body
    }

    fn field(&self, kind: &str, name: &str, value: &Value, body: &mut Value) {
        match name {
            "buyPrice" | "minPrice" => body[name] = self.money(value),
            "vat" => {
                for (place, name) in ["useParentVat", "vatEnabled", "vat"].iter().enumerate() {
                    body[*name] = value[place].clone();
                }
            }
            "uom" => body[name] = self.unit(value),
            "country" => {
                body[name] = match value.as_str() {
                    Some(code) => {
                        let id = self.sim.id_by(self.main, "country", "code", code);
                        self.sim.reference(self.main, "country", id)
                    }
                    None => Value::Null,
                }
            }
            "packs" => {
                let pack = |pack: &Value| json!({"uom": self.unit(&pack[0]), "quantity": pack[1], "barcodes": pack[2]});
                body[name] = value.as_array().unwrap().iter().map(pack).collect();
            }
            "folder" => body["productFolder"] = self.slot("productfolder", value),
            "product" => body[name] = self.slot("product", value),
            "components" => {
                let part = |part: &Value| {
                    let kind =
                        ["product", "service", "variant"].into_iter().find(|kind| part[0] == **kind).unwrap();
                    json!({"assortment": self.slot(kind, &part[1]), "quantity": part[2]})
                };
                body[name] = value.as_array().unwrap().iter().map(part).collect();
            }
            "characteristics" => {
                // A person at the web interface makes them as needed.
                for one in value.as_array().unwrap() {
                    let _ = self.person().add_characteristic(one["name"].as_str().unwrap());
                }
                body[name] = value.clone();
            }
            _ => body[name] = value.clone(),
        }
        debug_assert!(kind != "variant" || name != "folder");
    }

    fn money(&self, value: &Value) -> Value {
        let currency = self.sim.currency(self.main, value[1].as_str().unwrap());
        json!({"value": value[0], "currency": self.sim.reference(self.main, "currency", currency)})
    }

    fn unit(&self, name: &Value) -> Value {
        match name.as_str() {
            Some(name) => {
                let id = self.sim.id_by(self.main, "uom", "name", name);
                self.sim.reference(self.main, "uom", id)
            }
            None => Value::Null,
        }
    }

    fn slot(&self, kind: &'static str, n: &Value) -> Value {
        match n.as_u64() {
            Some(n) => {
                let id = self.book.of(kind)[usize::try_from(n).unwrap()].id;
                self.sim.reference(self.main, kind, id)
            }
            None => Value::Null,
        }
    }
}
