//! What stands below a folder of main that was moved or has another tax: no webhook tells of it then.

use super::changes::{self, Change};
use super::drain::Drain;
use super::filters;
use super::routes::{escaped, path, routes};
use crate::sync::moysklad::api::ApiError;
use crate::sync::moysklad::settings::{EntityKind, VatPolicy};
use crate::sync::moysklad::work::broken;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

/// What stands in folders.
const GOODS: [EntityKind; 3] = [EntityKind::Product, EntityKind::Service, EntityKind::Bundle];
/// Names that tell of a folder's place, which may decide about its tax, too, and of its own tax.
const PLACE: [&str; 1] = ["productFolder"];
const TAX: [&str; 4] = ["productFolder", "vat", "vatEnabled", "useParentVat"];
/// More folders are not looked through one by one.
const FEW: usize = 5;
/// Rows of one list.
const PAGE: usize = 1000;

/// Of a list, what is needed here.
#[derive(Deserialize)]
struct List {
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    id: Uuid,
}

/// What it may mean for the child that a folder was changed.
#[derive(Clone, Copy)]
struct Meaning {
    /// What the child does not have may meet its filters now.
    is_moved: bool,
    /// What it has may have another tax: its own folders, or none, say nothing of main's.
    is_taxed: bool,
}

impl Drain<'_> {
    /// Notes what has to be looked at because these folders were changed.
    pub(super) async fn call_goods(&mut self, folders: &[Change]) -> Result<(), ApiError> {
        let has_tax = self.settings.vat == VatPolicy::Copy && !self.settings.takes_folders();
        let meaning = Meaning { is_moved: filters::need_folders(&self.settings.filters), is_taxed: has_tax };
        let tells = |change: &&Change| {
            change.version.is_some()
                && !change.deleted
                && (meaning.is_moved && names(change, &PLACE) || meaning.is_taxed && names(change, &TAX))
        };
        let told: Vec<Uuid> = folders.iter().filter(tells).map(|change| change.main_id).collect();
        if told.is_empty() {
            return Ok(());
        }
        let paths = if told.len() > FEW {
            vec![None]
        } else {
            let folders = self.read(EntityKind::Productfolder, &told).await?;
            folders.values().map(|folder| Some(whole_path(folder))).collect()
        };
        for kind in GOODS.into_iter().filter(|kind| self.settings.entities.contains(kind)) {
            for path in &paths {
                self.call_below(kind, path.as_deref(), meaning).await?;
            }
        }
        Ok(())
    }

    /// Those of this type in folders whose path begins so, or anywhere: more than there are below one does no harm.
    async fn call_below(
        &self,
        kind: EntityKind,
        folder: Option<&str>,
        meaning: Meaning,
    ) -> Result<(), ApiError> {
        let (main, child) = (self.pair.main_id(), self.pair.child_id());
        let mut below = folder.filter(|path| !path.starts_with(['=', '~']) && !path.ends_with('\\'));
        let (mut offset, mut limit) = (0, PAGE);
        loop {
            let mut filter = "archived=true;archived=false".to_owned();
            if let Some(path) = below {
                filter = format!("{filter};pathName~={}", escaped(path));
            }
            let query = [("filter", filter), ("offset", offset.to_string())];
            let page = self.main.list_as(routes(kind).list, &path(kind), &query, &mut limit).await;
            let list: List = match page {
                // It may not be a field to filter by.
                Err(error) if error.is_final() && below.is_some() => {
                    (below, offset) = (None, 0);
                    continue;
                }
                list => list?,
            };
            let ids: Vec<Uuid> = list.rows.iter().map(|row| row.id).collect();
            let known = self.mappings(kind, &ids).await?;
            let (has, lacks): (Vec<Uuid>, Vec<Uuid>) = ids.into_iter().partition(|id| known.contains_key(id));
            let mut conn = self.cx.conn().await?;
            for (is_told, ids, fields) in
                [(meaning.is_moved, lacks, PLACE.as_slice()), (meaning.is_taxed, has, &TAX[1..])]
            {
                if is_told {
                    changes::follow(&mut conn, main, child, kind, &ids, fields).await.map_err(broken)?;
                }
            }
            if list.rows.len() < limit {
                return Ok(());
            }
            offset += list.rows.len();
        }
    }
}

/// Whether the change may be about one of these fields.
fn names(change: &Change, fields: &[&str]) -> bool {
    let told = change.updated_fields.as_deref();
    told.is_none_or(|told| told.iter().any(|name| fields.contains(&&**name)))
}

/// The path of what stands in this folder.
fn whole_path(folder: &Value) -> String {
    let text = |name: &str| folder[name].as_str().unwrap_or_default();
    match text("pathName") {
        "" => text("name").to_owned(),
        above => format!("{above}/{}", text("name")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_path_ends_with_the_folders_own_name() {
        assert_eq!(whole_path(&json!({"name": "C", "pathName": "A/B"})), "A/B/C");
        assert_eq!(whole_path(&json!({"name": "A", "pathName": ""})), "A");
    }

    #[test]
    fn only_what_may_be_about_its_place_or_tax_tells_of_goods() {
        let change = |fields: Option<&[&str]>| Change {
            updated_fields: fields.map(|names| names.iter().map(|name| (*name).to_owned()).collect()),
            ..Change::needed(EntityKind::Productfolder, Uuid::nil())
        };
        assert!(names(&change(None), &PLACE) && names(&change(Some(&["name", "productFolder"])), &PLACE));
        assert!(!names(&change(Some(&["name"])), &TAX) && !names(&change(Some(&["vat"])), &PLACE));
    }
}
