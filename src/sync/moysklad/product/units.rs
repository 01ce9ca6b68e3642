//! Units, packs and the country, by their codes.

use super::{Projection, Terms, reference};
use serde_json::{Value, json};

impl Projection {
    pub(super) fn uom(&mut self, entity: &Value, terms: Terms<'_>) {
        let Some(uom) = entity.get("uom") else {
            self.set("uom", Value::Null);
            return;
        };
        match terms.main.uom_name(uom).and_then(|name| terms.child.uom(&name)) {
            Some(id) => self.set("uom", reference(terms.base, "entity/uom", "uom", id)),
            None => self.skip("unit"),
        }
    }

    /// Replaced as a whole; their ids are the child's own and not sent.
    pub(super) fn packs(&mut self, entity: &Value, terms: Terms<'_>) {
        let Some(packs) = entity.get("packs").and_then(Value::as_array) else {
            self.set("packs", json!([]));
            return;
        };
        // Packs need a unit that they are counted in (16008).
        if self.field("uom").is_none() {
            self.skip("packs for want of the unit");
            return;
        }
        let mut ours = Vec::new();
        for pack in packs {
            let uom = pack.get("uom").and_then(|uom| terms.main.uom_name(uom));
            let Some(uom) = uom.and_then(|name| terms.child.uom(&name)) else {
                self.skip("packs with a unit that the child lacks");
                return;
            };
            let mut one =
                json!({"uom": reference(terms.base, "entity/uom", "uom", uom), "quantity": pack["quantity"]});
            if let Some(barcodes) = pack.get("barcodes") {
                one["barcodes"] = barcodes.clone();
            }
            ours.push(one);
        }
        self.set("packs", ours.into());
    }

    pub(super) fn country(&mut self, entity: &Value, terms: Terms<'_>) {
        let Some(country) = entity.get("country") else {
            self.set("country", Value::Null);
            return;
        };
        match terms.main.country_code(country).and_then(|code| terms.child.country(code)) {
            Some(id) => self.set("country", reference(terms.base, "entity/country", "country", id)),
            None => self.skip("country"),
        }
    }
}
