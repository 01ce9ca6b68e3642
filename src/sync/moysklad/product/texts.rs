//! What an entity is called and described as, and its value-added tax.

use super::Projection;
use crate::sync::moysklad::settings::{CatalogSettings, EntityKind, VatPolicy};
use serde_json::Value;

impl Projection {
    pub(super) fn texts(&mut self, kind: EntityKind, entity: &Value) {
        let names: &[&str] = match kind {
            // Its name is made of its characteristics, and what else it is called by is often not unique.
            EntityKind::Variant => &["description", "externalCode"],
            EntityKind::Service | EntityKind::Productfolder => &["name", "description", "externalCode"],
            EntityKind::Product | EntityKind::Bundle => &["name", "article", "description", "externalCode"],
        };
        for name in names {
            // What is not shown is empty, and an empty text clears the child's.
            let text = entity.get(*name).and_then(Value::as_str).unwrap_or_default();
            self.set(name, text.into());
        }
        // Never cleared: a child may be set to fill it in by itself.
        if kind != EntityKind::Variant
            && let Some(code) = entity.get("code").and_then(Value::as_str)
        {
            self.set("code", code.into());
        }
    }

    /// A rate without `vatEnabled` (or the other way round) is refused (16010), so they go together. Where folders do not
    /// cross, what main's folder says is the entity's own affair.
    pub(super) fn vat(&mut self, entity: &Value, settings: &CatalogSettings) {
        let flag = |name| entity.get(name).and_then(Value::as_bool).unwrap_or(false);
        match settings.vat {
            VatPolicy::Leave => return,
            VatPolicy::Without => {
                self.set("useParentVat", false.into());
                self.set("vatEnabled", false.into());
                self.set("vat", 0.into());
                return;
            }
            VatPolicy::Copy => {}
        }
        if flag("useParentVat")
            && !settings.takes_folders()
            && let (Some(rate), Some(enabled)) =
                (entity.get("effectiveVat"), entity.get("effectiveVatEnabled"))
        {
            self.set("useParentVat", false.into());
            self.set("vatEnabled", enabled.clone());
            self.set("vat", rate.clone());
            return;
        }
        self.set("useParentVat", flag("useParentVat").into());
        if !flag("useParentVat") {
            self.set("vatEnabled", flag("vatEnabled").into());
            self.set("vat", entity.get("vat").cloned().unwrap_or_else(|| 0.into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{product, projected};
    use super::*;
    use serde_json::json;

    #[test]
    fn vat_of_the_folder_comes_without_an_own_rate() {
        let mut product = product();
        product["useParentVat"] = true.into();
        let body = projected(&product).update(None);
        assert_eq!(body["useParentVat"], true);
        assert!(body.get("vat").is_none() && body.get("vatEnabled").is_none());
    }

    #[test]
    fn where_folders_do_not_cross_the_rate_of_mains_folder_does() {
        let entity = json!({"useParentVat": true, "effectiveVat": 10, "effectiveVatEnabled": true});
        let mut settings = CatalogSettings { create_folders: false, ..CatalogSettings::default() };
        for (create_folders, expected) in
            [(false, [json!(false), json!(true), json!(10)]), (true, [json!(true), Value::Null, Value::Null])]
        {
            settings.create_folders = create_folders;
            let mut projection = Projection::nothing();
            projection.vat(&entity, &settings);
            let said = ["useParentVat", "vatEnabled", "vat"];
            assert_eq!(said.map(|name| projection.field(name).cloned().unwrap_or_default()), expected);
        }
    }
}
