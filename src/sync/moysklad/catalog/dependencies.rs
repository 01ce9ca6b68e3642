//! What entities refer to: the words of both accounts, and other entities that must be in the child first.

use super::changes::Change;
use super::drain::Drain;
use crate::queue::HandlerError;
use crate::sync::moysklad::api::{ApiError, id_of};
use crate::sync::moysklad::metadata::{Metadata, UomName};
use crate::sync::moysklad::product::{self, Projection, Terms, elements, reference};
use crate::sync::moysklad::settings::{CatalogSettings, EntityKind};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// The words of both accounts.
pub(super) struct Words {
    main: Arc<Metadata>,
    child: Arc<Metadata>,
}

impl Words {
    pub(super) fn main(&self) -> &Metadata {
        &self.main
    }

    pub(super) fn projection(
        &self,
        kind: EntityKind,
        entity: &Value,
        settings: &CatalogSettings,
        base: &str,
    ) -> Projection {
        let terms = Terms { main: &self.main, child: &self.child, base, settings };
        product::project(kind, entity, terms)
    }
}

/// Counterparts of the entities that others refer to.
#[derive(Default)]
pub(super) struct Links(HashMap<(EntityKind, Uuid), Uuid>);

impl Drain<'_> {
    /// What the accounts call things, as far as these entities need it.
    pub(super) async fn words(
        &self,
        kind: EntityKind,
        entities: &[&Value],
        age: Duration,
    ) -> Result<Words, ApiError> {
        let metadata = &self.cx.metadata;
        let (main, mut child) = tokio::try_join!(
            metadata.younger_than(age, &self.main),
            metadata.younger_than(age, &self.child)
        )?;
        if kind != EntityKind::Productfolder && kind != EntityKind::Variant {
            if !missing_units(entities, &main, &child).is_empty() {
                // An earlier run may have made them and never known.
                child = metadata.younger_than(Duration::ZERO, &self.child).await?;
                if self.make_units(missing_units(entities, &main, &child)).await? {
                    child = metadata.younger_than(Duration::ZERO, &self.child).await?;
                }
            }
            if entities.iter().any(|entity| entity.get("country").is_some()) {
                tokio::try_join!(main.load_countries(&self.main), child.load_countries(&self.child))?;
            }
            if entities.iter().any(|entity| elements(entity.get("attributes")).next().is_some()) {
                tokio::try_join!(main.load_attributes(&self.main), child.load_attributes(&self.child))?;
                self.make_elements(entities, &child).await?;
            }
        }
        if kind == EntityKind::Variant {
            let names: BTreeSet<String> = entities
                .iter()
                .flat_map(|entity| elements(entity.get("characteristics")))
                .filter_map(|one| one["name"].as_str().map(str::to_owned))
                .collect();
            child.ensure_characteristics(&self.child, &names).await?;
        }
        Ok(Words { main, child })
    }

    /// Makes these units in the child; whether there were any.
    async fn make_units(&self, missing: Vec<UomName>) -> Result<bool, ApiError> {
        for unit in &missing {
            let mut body = json!({"name": unit.name});
            if let Some(code) = &unit.code {
                body["code"] = code.as_str().into();
            }
            match self.child.create("POST /entity/uom", "/entity/uom", &body).await {
                // A token without that right: the entity crosses without its unit, and says so.
                Err(ApiError::Work(HandlerError::GiveUp(error)) | ApiError::NotFound(error)) => {
                    tracing::warn!(error, "a unit could not be made in a child");
                    return Ok(false);
                }
                made => drop(made?),
            }
        }
        Ok(!missing.is_empty())
    }

    /// Makes the dictionary elements that the child lacks.
    async fn make_elements(&self, entities: &[&Value], child: &Metadata) -> Result<(), ApiError> {
        for attribute in entities.iter().flat_map(|entity| elements(entity.get("attributes"))) {
            if attribute["type"] != "customentity" {
                continue;
            }
            let name = attribute["name"].as_str().unwrap_or_default();
            if self.settings.attributes.as_ref().is_some_and(|allowed| !allowed.contains(name)) {
                continue;
            }
            let dictionary = child.attribute(name, "customentity").and_then(|attribute| attribute.dictionary);
            if let Some((dictionary, element)) = dictionary.zip(attribute["value"]["name"].as_str()) {
                match child.ensure_element(&self.child, dictionary, element).await {
                    // The attribute is then left out, and said to be.
                    Err(ApiError::Work(HandlerError::GiveUp(_)) | ApiError::NotFound(_)) => {}
                    made => drop(made?),
                }
            }
        }
        Ok(())
    }

    /// Counterparts of what these refer to; what the child lacks is brought there first.
    pub(super) async fn links(&mut self, kind: EntityKind, entities: &[&Value]) -> Result<Links, ApiError> {
        let mut wanted: Vec<(EntityKind, Uuid)> = Vec::new();
        for entity in entities {
            wanted.extend(folder_of(entity).map(|id| (EntityKind::Productfolder, id)));
            match kind {
                EntityKind::Variant => {
                    wanted.extend(parent_of(entity).map(|id| (EntityKind::Product, id)));
                }
                EntityKind::Bundle => wanted.extend(components(entity).filter_map(|(part, _)| part)),
                _ => {}
            }
        }
        let mut links = Links::default();
        for kind in EntityKind::ALL {
            let mut ids: Vec<Uuid> = wanted.iter().filter(|one| one.0 == kind).map(|one| one.1).collect();
            ids.sort_unstable();
            ids.dedup();
            if ids.is_empty() {
                continue;
            }
            let known = self.mappings(kind, &ids).await?;
            let missing: Vec<Uuid> = ids.iter().copied().filter(|id| !known.contains_key(id)).collect();
            let wanted_here = kind != EntityKind::Productfolder || self.settings.create_folders;
            if !missing.is_empty() && wanted_here {
                for some in missing.chunks(super::drain::AT_ONCE) {
                    let changes = some
                        .iter()
                        .map(|id| Change {
                            kind,
                            main_id: *id,
                            updated_fields: None,
                            event: None,
                            version: None,
                        })
                        .collect();
                    // Boxed: what is brought first may refer to something itself.
                    Box::pin(self.process(kind, changes)).await?;
                }
            }
            let known = self.mappings(kind, &ids).await?;
            links.0.extend(known.into_iter().map(|(id, mapping)| ((kind, id), mapping.child_id)));
        }
        Ok(links)
    }

    /// The folder in which each folder of main stands.
    pub(super) async fn folder_parents(&mut self) -> Result<HashMap<Uuid, Option<Uuid>>, ApiError> {
        if let Some(parents) = &self.parents {
            return Ok(parents.clone());
        }
        let mut parents = HashMap::new();
        loop {
            let query = [("limit", "1000".to_owned()), ("offset", parents.len().to_string())];
            let rows = self.rows(&self.main, EntityKind::Productfolder, &query).await?;
            let count = rows.len();
            for row in rows {
                parents.insert(crate::sync::moysklad::api::id_of_entity(&row)?, folder_of(&row));
            }
            if count < 1000 {
                break;
            }
        }
        self.parents = Some(parents.clone());
        Ok(parents)
    }
}

/// Units of these entities that the child lacks.
fn missing_units(entities: &[&Value], main: &Metadata, child: &Metadata) -> Vec<UomName> {
    let units = entities.iter().flat_map(|entity| {
        let packs = elements(entity.get("packs")).filter_map(|pack| pack.get("uom"));
        entity.get("uom").into_iter().chain(packs)
    });
    let mut missing = Vec::new();
    for unit in units.filter_map(|unit| main.uom_name(unit)) {
        if child.uom(&unit).is_none() && !unit.name.is_empty() && !missing.contains(&unit) {
            missing.push(unit);
        }
    }
    missing
}

impl Links {
    /// Adds the references to the child's entities; an error says what is not there yet.
    pub(super) fn add(
        &self,
        kind: EntityKind,
        entity: &Value,
        projection: &mut Projection,
        settings: &CatalogSettings,
        base: &str,
    ) -> Result<(), String> {
        let link = |kind: EntityKind, id: Uuid| {
            let path = format!("entity/{}", kind.keyword());
            self.0.get(&(kind, id)).map(|child| reference(base, &path, kind.keyword(), *child))
        };
        if kind != EntityKind::Variant {
            match folder_of(entity) {
                None if settings.create_folders => projection.set("productFolder", Value::Null),
                None => {}
                Some(folder) => match link(EntityKind::Productfolder, folder) {
                    Some(reference) => projection.set("productFolder", reference),
                    None if settings.create_folders
                        && settings.entities.contains(&EntityKind::Productfolder) =>
                    {
                        return Err(format!("waits for folder {folder} of main"));
                    }
                    None => projection.skip("folder"),
                },
            }
        }
        match kind {
            EntityKind::Variant => {
                let parent = parent_of(entity).ok_or("the variant names no product")?;
                let product = link(EntityKind::Product, parent)
                    .ok_or_else(|| format!("waits for product {parent} of main"))?;
                projection.set_on_create("product", product);
                let characteristics: Vec<Value> = elements(entity.get("characteristics"))
                    .map(|one| json!({"name": one["name"], "value": one["value"]}))
                    .collect();
                projection.set("characteristics", characteristics.into());
                inherit(entity, projection);
            }
            EntityKind::Bundle => {
                let mut parts = Vec::new();
                for (part, quantity) in components(entity) {
                    let (kind, id) = part.ok_or("a component is of a type that does not flow")?;
                    let assortment =
                        link(kind, id).ok_or_else(|| format!("waits for {} {id} of main", kind.keyword()))?;
                    parts.push(json!({"assortment": assortment, "quantity": quantity}));
                }
                if !parts.is_empty() {
                    projection.set("components", parts.into());
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// A variant without prices of its own shows its product's. Written, they would become its own.
fn inherit(entity: &Value, projection: &mut Projection) {
    let parent = &entity["product"];
    let price =
        |price: &Value| (price["value"].to_string(), id_of(&price["currency"]), id_of(&price["priceType"]));
    let prices = |of: &Value| {
        let mut all: Vec<_> = elements(of.get("salePrices")).map(price).collect();
        all.sort();
        all
    };
    if prices(entity) == prices(parent) {
        projection.drop_field("salePrices");
    }
    for name in ["buyPrice", "minPrice"] {
        if price(&entity[name]) == price(&parent[name]) {
            projection.drop_field(name);
        }
    }
}

pub(super) fn folder_of(entity: &Value) -> Option<Uuid> {
    entity.get("productFolder").and_then(id_of)
}

pub(super) fn parent_of(entity: &Value) -> Option<Uuid> {
    entity.get("product").and_then(id_of)
}

/// The parts of a bundle: what, if it is of a type that flows, and how many.
fn components(entity: &Value) -> impl Iterator<Item = (Option<(EntityKind, Uuid)>, &Value)> {
    elements(entity["components"].get("rows")).map(|row| {
        let part = &row["assortment"];
        let kind = part["meta"]["type"].as_str().and_then(EntityKind::parse);
        (kind.zip(id_of(part)), &row["quantity"])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::moysklad::metadata::tests::account;

    #[test]
    fn prices_that_a_variant_inherits_are_not_made_its_own() {
        let href = |n: u128| json!({"meta": {"href": format!("https://h/{}", Uuid::from_u128(n))}});
        let price = |value: i64| json!({"value": value, "priceType": href(1000), "currency": href(1100)});
        let variant =
            |value: i64| json!({"salePrices": [price(value)], "product": {"salePrices": [price(5)]}});
        let words = Words {
            main: Arc::new(account(1, &["Retail"], &["RUB"])),
            child: Arc::new(account(2, &["Retail"], &["RUB"])),
        };
        for (value, own) in [(5, false), (6, true)] {
            let entity = variant(value);
            let settings = CatalogSettings::default();
            let mut projection = words.projection(EntityKind::Variant, &entity, &settings, "https://h");
            inherit(&entity, &mut projection);
            assert_eq!(projection.field("salePrices").is_some(), own, "{value}");
        }
    }
}
