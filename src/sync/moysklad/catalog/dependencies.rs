//! What entities refer to: the words of both accounts, and other entities that must be in the child first.

use super::changes::Change;
use super::drain::Drain;
use crate::sync::moysklad::api::{ApiError, id_of};
use crate::sync::moysklad::mappings;
use crate::sync::moysklad::metadata::{Metadata, UomName};
use crate::sync::moysklad::product::{self, Projection, Terms, elements, reference};
use crate::sync::moysklad::settings::{CatalogSettings, EntityKind};
use crate::sync::moysklad::work::broken;
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

    fn terms<'a>(&'a self, settings: &'a CatalogSettings, base: &'a str) -> Terms<'a> {
        Terms { main: &self.main, child: &self.child, base, settings }
    }

    pub(super) fn projection(
        &self,
        kind: EntityKind,
        entity: &Value,
        settings: &CatalogSettings,
        base: &str,
    ) -> Projection {
        product::project(kind, entity, self.terms(settings, base))
    }

    /// The same for a child's entity to which these fields were written.
    pub(super) fn projection_after(
        &self,
        kind: EntityKind,
        entity: &Value,
        written: Option<&Value>,
        settings: &CatalogSettings,
        base: &str,
    ) -> Projection {
        let mut projection = self.projection(kind, entity, settings, base);
        projection.keep_own(written);
        projection.clear(entity, written, self.terms(settings, base));
        projection
    }
}

/// Why an entity cannot be brought to the child now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Obstacle {
    /// It refers to this one, which is not in the child. The text is how what waits is found again.
    #[error("waits for {} {} of main", .0.keyword(), .1)]
    Waits(EntityKind, Uuid),
    /// What main shows of it does not say what it refers to.
    #[error("{0}")]
    Unclear(&'static str),
}

impl Obstacle {
    pub(super) fn awaited(&self) -> Option<(EntityKind, Uuid)> {
        match self {
            Self::Waits(kind, id) => Some((*kind, *id)),
            Self::Unclear(_) => None,
        }
    }
}

/// Counterparts of the entities that others refer to.
#[derive(Default)]
pub(super) struct Links(HashMap<(EntityKind, Uuid), Uuid>);

impl Drain<'_> {
    /// What the accounts call things, as far as these entities need it, or an attribute that they no longer have.
    pub(super) async fn words(
        &self,
        kind: EntityKind,
        entities: &[&Value],
        clears_attributes: bool,
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
            let has_attributes = |entity: &&Value| elements(entity.get("attributes")).next().is_some();
            if clears_attributes || entities.iter().any(has_attributes) {
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
                Err(error) if error.is_refusal() => {
                    tracing::warn!(%error, "a unit could not be made in a child");
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
                    Err(error) if error.is_refusal() => {}
                    made => drop(made?),
                }
            }
        }
        Ok(())
    }

    /// Counterparts of what these refer to; what the child lacks is brought there first.
    pub(super) async fn links(&mut self, kind: EntityKind, entities: &[&Value]) -> Result<Links, ApiError> {
        let wanted: Vec<(EntityKind, Uuid)> =
            entities.iter().flat_map(|entity| references_of(kind, entity)).collect();
        let mut links = Links::default();
        for kind in EntityKind::ALL {
            let mut ids: Vec<Uuid> = wanted.iter().filter(|one| one.0 == kind).map(|one| one.1).collect();
            ids.sort_unstable();
            ids.dedup();
            if ids.is_empty() {
                continue;
            }
            let known = self.mappings(kind, &ids).await?;
            let missing = |id: &Uuid| !known.contains_key(id) && !self.unwanted.contains_key(&(kind, *id));
            let missing: Vec<Uuid> = ids.iter().copied().filter(missing).collect();
            if kind != EntityKind::Productfolder || self.settings.takes_folders() {
                for some in missing.chunks(super::drain::AT_ONCE) {
                    if !self.report.refused.contains_key(&kind) {
                        let changes = some.iter().map(|id| Change::needed(kind, *id)).collect();
                        // Boxed: what is brought first may refer to something itself.
                        match Box::pin(self.process(kind, changes)).await {
                            Err(error @ ApiError::NotAllowed { .. }) => self.refuse(kind, &error).await?,
                            done => done?,
                        }
                    }
                    self.refuse_needed(kind, some).await?;
                }
            }
            let known = self.mappings(kind, &ids).await?;
            links.0.extend(known.into_iter().map(|(id, mapping)| ((kind, id), mapping.child_id)));
        }
        Ok(links)
    }

    /// Drops the mappings of what this refers to and the child no longer has: of folders, say, nothing tells that they were
    /// deleted there.
    pub(super) async fn forget_dead(&self, kind: EntityKind, entity: &Value) -> Result<(), ApiError> {
        for (kind, id) in references_of(kind, entity) {
            let Some(mapping) = self.mappings(kind, &[id]).await?.remove(&id) else { continue };
            if !self.has(&self.child, kind, mapping.child_id).await? {
                let mut conn = self.cx.conn().await?;
                mappings::remove(&mut conn, self.key(kind, id)).await.map_err(broken)?;
            }
        }
        Ok(())
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
    /// Adds the references to the child's entities.
    pub(super) fn add(
        &self,
        kind: EntityKind,
        entity: &Value,
        projection: &mut Projection,
        settings: &CatalogSettings,
        base: &str,
    ) -> Result<(), Obstacle> {
        let link = |kind: EntityKind, id: Uuid| {
            let path = format!("entity/{}", kind.keyword());
            self.0.get(&(kind, id)).map(|child| reference(base, &path, kind.keyword(), *child))
        };
        if kind != EntityKind::Variant && settings.takes_folders() {
            let folder = match folder_of(entity) {
                None => Value::Null,
                Some(folder) => link(EntityKind::Productfolder, folder)
                    .ok_or(Obstacle::Waits(EntityKind::Productfolder, folder))?,
            };
            projection.set("productFolder", folder);
        }
        match kind {
            EntityKind::Variant => {
                let parent = parent_of(entity).ok_or(Obstacle::Unclear("the variant names no product"))?;
                let product =
                    link(EntityKind::Product, parent).ok_or(Obstacle::Waits(EntityKind::Product, parent))?;
                projection.set_on_create("product", product);
                let characteristics: Vec<Value> = elements(entity.get("characteristics"))
                    .map(|one| json!({"name": one["name"], "value": one["value"]}))
                    .collect();
                projection.set("characteristics", characteristics.into());
            }
            EntityKind::Bundle => {
                let mut parts = Vec::new();
                for (part, quantity) in components(entity) {
                    let (kind, id) =
                        part.ok_or(Obstacle::Unclear("a component is of a type that does not flow"))?;
                    let assortment = link(kind, id).ok_or(Obstacle::Waits(kind, id))?;
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

/// What an entity of main refers to that is brought before it.
fn references_of(kind: EntityKind, entity: &Value) -> Vec<(EntityKind, Uuid)> {
    let folder = folder_of(entity).map(|id| (EntityKind::Productfolder, id));
    let more: Vec<_> = match kind {
        EntityKind::Variant => parent_of(entity).map(|id| (EntityKind::Product, id)).into_iter().collect(),
        EntityKind::Bundle => components(entity).filter_map(|(part, _)| part).collect(),
        _ => Vec::new(),
    };
    folder.into_iter().chain(more).collect()
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
