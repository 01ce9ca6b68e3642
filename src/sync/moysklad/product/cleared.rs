//! What was written to a child once and main no longer shows: unset fields are not shown (facts/moysklad.md 4.6), so
//! their absence is the only word of it. What the child has of its own stays.

use super::attributes::{attribute_of, crosses};
use super::prices::goes_to;
use super::{Projection, Terms, elements};
use crate::sync::moysklad::api::id_of;
use serde_json::{Value, json};
use uuid::Uuid;

impl Projection {
    /// Empties what `written`, the fields of the last write, names and `entity` of main lacks. What is absent for another
    /// reason, such as a setting, is left as it is.
    pub(in crate::sync::moysklad) fn clear(
        &mut self,
        entity: &Value,
        written: Option<&Value>,
        terms: Terms<'_>,
    ) {
        let Some(written) = written.and_then(Value::as_object) else { return };
        for name in written.keys() {
            if self.fields.contains_key(name) || entity.get(name).is_some() {
                continue;
            }
            match name.as_str() {
                // Shown only when they are true, or not at all where they were never set.
                "weighed" | "onTap" | "partialDisposal" | "isSerialTrackable" => self.set(name, false.into()),
                "tnved" => self.set(name, "".into()),
                "minPrice" | "overhead" => self.set(name, json!({"value": 0})),
                "buyPrice" if goes_to(terms.settings, name) == Some(name) => {
                    self.set(name, json!({"value": 0}));
                }
                _ => {}
            }
        }
        let written_ids = |list: &str| -> Vec<Uuid> {
            written.keys().filter_map(|key| key.strip_prefix(list)?.strip_prefix('/')?.parse().ok()).collect()
        };
        self.clear_attributes(entity, &written_ids("attributes"), terms);
        self.clear_prices(entity, &written_ids("salePrices"), terms);
    }

    fn clear_attributes(&mut self, entity: &Value, written: &[Uuid], terms: Terms<'_>) {
        let there: Vec<Option<Uuid>> = elements(self.field("attributes")).map(id_of).collect();
        let is_gone = |id: &&Uuid| {
            // One that the child no longer has cannot be emptied.
            terms.child.attribute_by_id(**id).is_some_and(|theirs| {
                let shown = elements(entity.get("attributes"))
                    .any(|ours| ours["name"] == *theirs.name && ours["type"] == *theirs.kind);
                !shown && !there.contains(&Some(**id)) && crosses(terms.settings, &theirs.name)
            })
        };
        let gone = written.iter().filter(is_gone).map(|id| attribute_of(terms.base, *id, Value::Null));
        self.add_to("attributes", gone.collect());
    }

    /// That every price type is shown, with 0 where there is no price, is not documented.
    fn clear_prices(&mut self, entity: &Value, written: &[Uuid], terms: Terms<'_>) {
        let shown: Vec<&str> = elements(entity.get("salePrices"))
            .filter_map(|price| terms.main.price_type_name(price.get("priceType")?))
            .collect();
        let gone = terms.main.price_types().filter(|name| !shown.contains(name)).filter_map(|name| {
            let id = terms.child.price_type(goes_to(terms.settings, name)?)?;
            let price_type = super::prices::price_type(terms.base, id);
            written.contains(&id).then(|| json!({"value": 0, "priceType": price_type}))
        });
        let gone: Vec<Value> = gone.collect();
        // A variant that inherits has none of its own to be cleared.
        if !self.inherited.contains_key("salePrices") {
            self.add_to("salePrices", gone);
        }
    }

    fn add_to(&mut self, list: &str, more: Vec<Value>) {
        if !more.is_empty() {
            let all: Vec<Value> = elements(self.field(list)).cloned().chain(more).collect();
            self.set(list, all.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{BASE, href, projected};
    use super::*;
    use crate::sync::moysklad::metadata::tests::account;
    use crate::sync::moysklad::settings::CatalogSettings;

    fn cleared(entity: &Value, written: &Value, settings: &CatalogSettings) -> Value {
        let (main, child) =
            (account(1, &["Retail", "Wholesale"], &["RUB"]), account(2, &["Wholesale", "Retail"], &["RUB"]));
        let mut projection = projected(entity);
        projection.clear(entity, Some(written), Terms { main: &main, child: &child, base: BASE, settings });
        projection.update(None)
    }

    #[test]
    fn what_was_written_and_is_no_longer_shown_is_emptied() {
        let settings = CatalogSettings::default();
        let written = json!({"weighed": "h", "tnved": "h", "minPrice": "h", "buyPrice": "h",
            format!("salePrices/{}", Uuid::from_u128(2001)): "h"});
        let body = cleared(&json!({"name": "Kettle"}), &written, &settings);
        assert_eq!((&body["weighed"], &body["tnved"]), (&json!(false), &json!("")));
        assert_eq!((&body["minPrice"], &body["buyPrice"]), (&json!({"value": 0}), &json!({"value": 0})));
        let prices = body["salePrices"].as_array().unwrap();
        assert_eq!((prices.len(), &prices[0]["value"]), (1, &json!(0)));
        assert_eq!(id_of(&prices[0]["priceType"]), Some(Uuid::from_u128(2001)));
    }

    #[test]
    fn what_was_never_written_or_is_held_back_by_a_setting_is_left_alone() {
        let mut settings = CatalogSettings::default();
        let body = cleared(&json!({"name": "Kettle"}), &json!({"name": "h"}), &settings);
        for name in ["weighed", "tnved", "minPrice", "buyPrice"] {
            assert!(body.get(name).is_none(), "{name}");
        }
        settings.price_types = Some([("Retail".to_owned(), "Retail".to_owned())].into());
        let written = json!({"buyPrice": "h", format!("salePrices/{}", Uuid::from_u128(2000)): "h"});
        let body = cleared(&json!({"name": "Kettle"}), &written, &settings);
        assert!(body.get("buyPrice").is_none() && body["salePrices"] == json!([]), "{body}");
        // Shown, but in a currency that the child lacks: not nothing.
        let dear = json!({"salePrices": [{"value": 5, "priceType": href(1000), "currency": href(1101)}]});
        let written = json!({format!("salePrices/{}", Uuid::from_u128(2001)): "h"});
        assert_eq!(cleared(&dear, &written, &CatalogSettings::default())["salePrices"], json!([]));
    }
}
