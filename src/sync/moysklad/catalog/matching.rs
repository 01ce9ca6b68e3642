//! Which entity of a child is main's, where no mapping says it: by the field of the settings, a variant by its
//! characteristics, a folder by its name and place.

use super::drain::{Drain, Item};
use super::routes::escaped;
use crate::sync::moysklad::api::{ApiError, id_of};
use crate::sync::moysklad::product::elements;
use crate::sync::moysklad::settings::{EntityKind, MatchField};
use serde_json::Value;
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet};

/// Conditions of one search, as many as entities of one read.
const VALUES_AT_ONCE: usize = super::drain::AT_ONCE;
/// The same in bytes as they stand in the URL, which has 8 KB with all headers: values of 255 Cyrillic letters fill it
/// quickly.
const BYTES_AT_ONCE: usize = 5000;
/// Of the longest name of a field, `=` and `;`, encoded.
const CONDITION_BYTES: usize = "externalCode%3D%3B".len();

impl Drain<'_> {
    /// The child's entities that may be the counterparts of these, also archived ones; a list for each.
    pub(super) async fn candidates(
        &self,
        kind: EntityKind,
        items: &[&Item],
    ) -> Result<Vec<Vec<Value>>, ApiError> {
        match kind {
            EntityKind::Variant => self.variants(items).await,
            EntityKind::Productfolder => {
                let rows =
                    self.search(kind, "name", items.iter().flat_map(|item| texts(item, "name"))).await?;
                let same = |item: &Item, row: &Value| {
                    row["name"] == item.entity["name"]
                        && row.get("productFolder").and_then(id_of)
                            == item.projection.field("productFolder").and_then(id_of)
                };
                Ok(pick(items, &rows, same))
            }
            EntityKind::Product | EntityKind::Service | EntityKind::Bundle => {
                let field = self.match_field(kind);
                let name = field_name(field);
                let rows = self.search(kind, name, items.iter().flat_map(|item| values(item, field))).await?;
                // Whether `=` regards case is not documented.
                let same = |item: &Item, row: &Value| match field {
                    MatchField::Barcode => {
                        let theirs = barcodes(row);
                        values(item, field).iter().any(|value| theirs.contains(value))
                    }
                    _ => values(item, field).iter().any(|value| row[name] == **value),
                };
                Ok(pick(items, &rows, same))
            }
        }
    }

    pub(super) fn match_field(&self, kind: EntityKind) -> MatchField {
        match kind {
            EntityKind::Service => self.settings.match_services_by,
            _ => self.settings.match_products_by,
        }
    }

    async fn search(
        &self,
        kind: EntityKind,
        field: &str,
        values: impl Iterator<Item = String>,
    ) -> Result<Vec<Value>, ApiError> {
        let values: BTreeSet<String> = values.collect();
        let mut values = values.into_iter().peekable();
        let (mut found, mut seen) = (Vec::new(), HashSet::new());
        while values.peek().is_some() {
            let (mut conditions, mut count, mut bytes) = (Vec::new(), 0, 0);
            if kind != EntityKind::Productfolder {
                conditions.extend(["archived=true".to_owned(), "archived=false".to_owned()]);
            }
            let mut is_last = false;
            while count < VALUES_AT_ONCE
                && !is_last
                && let Some(value) = values.next_if(|value| {
                    count == 0 || !is_operator(value) && bytes + in_url(value) < BYTES_AT_ONCE
                })
            {
                count += 1;
                bytes += in_url(&value);
                conditions.push(format!("{field}={}", escaped(&value)));
                // With the semicolon after it, it would be the sign of a semicolon.
                is_last = value.ends_with('\\') || is_operator(&value);
            }
            let query = [("filter", conditions.join(";")), ("limit", "1000".to_owned())];
            // One of several barcodes, say, may be found by two searches: it is still one.
            let rows = self.rows(&self.child, kind, &query).await?;
            found.extend(rows.into_iter().filter(|row| seen.insert(row["id"].to_string())));
        }
        Ok(found)
    }

    async fn variants(&self, items: &[&Item]) -> Result<Vec<Vec<Value>>, ApiError> {
        let mut by_product = HashMap::new();
        let mut all = Vec::new();
        for item in items {
            let Some(product) = item.projection.created("product").and_then(id_of) else {
                all.push(Vec::new());
                continue;
            };
            if let Entry::Vacant(place) = by_product.entry(product) {
                let filter = format!("productid={product};archived=true;archived=false");
                let query = [("filter", filter), ("limit", "1000".to_owned())];
                place.insert(self.rows(&self.child, EntityKind::Variant, &query).await?);
            }
            let wanted = characteristics(&item.entity);
            let same = by_product[&product].iter().filter(|row| characteristics(row) == wanted);
            all.push(same.cloned().collect());
        }
        Ok(all)
    }
}

/// Bytes that a condition with this value takes in a URL.
fn in_url(value: &str) -> usize {
    CONDITION_BYTES
        + url::form_urlencoded::byte_serialize(escaped(value).as_bytes()).map(str::len).sum::<usize>()
}

/// Whether the word makes another operator of the `=` before it, which finds more and does not go together with others.
fn is_operator(value: &str) -> bool {
    value.starts_with('~')
}

/// By which words an entity is recognised; none: it is always a new one.
pub(super) fn values(item: &Item, field: MatchField) -> Vec<String> {
    match field {
        MatchField::Barcode => barcodes(&item.entity),
        _ => texts(item, field_name(field)),
    }
}

pub(super) fn field_name(field: MatchField) -> &'static str {
    match field {
        MatchField::Code => "code",
        MatchField::ExternalCode => "externalCode",
        MatchField::Article => "article",
        MatchField::Barcode => "barcode",
        MatchField::Name => "name",
    }
}

fn texts(item: &Item, name: &str) -> Vec<String> {
    item.entity[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned).into_iter().collect()
}

fn barcodes(entity: &Value) -> Vec<String> {
    elements(entity.get("barcodes"))
        .filter_map(Value::as_object)
        .flat_map(|barcode| barcode.values().filter_map(Value::as_str).map(str::to_owned))
        .collect()
}

fn characteristics(variant: &Value) -> BTreeSet<(String, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    elements(variant.get("characteristics")).map(|one| (text(&one["name"]), text(&one["value"]))).collect()
}

fn pick(items: &[&Item], rows: &[Value], same: impl Fn(&Item, &Value) -> bool) -> Vec<Vec<Value>> {
    items.iter().map(|item| rows.iter().filter(|row| same(item, row)).cloned().collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_takes_its_encoded_bytes() {
        for value in ["plain-7", "a b;c", "Чайник", "50%"] {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            query.append_pair("", &format!("externalCode={};", escaped(value)));
            assert_eq!(in_url(value), query.finish().len() - 1, "{value}");
        }
    }
}
