//! What an entity is called and described as, and its value-added tax.

use super::Projection;
use crate::sync::moysklad::settings::{EntityKind, VatPolicy};
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

    /// A rate without `vatEnabled` (or the other way round) is refused (16010), so they go together.
    pub(super) fn vat(&mut self, entity: &Value, policy: VatPolicy) {
        let flag = |name| entity.get(name).and_then(Value::as_bool).unwrap_or(false);
        match policy {
            VatPolicy::Leave => return,
            VatPolicy::Without => {
                self.set("useParentVat", false.into());
                self.set("vatEnabled", false.into());
                self.set("vat", 0.into());
                return;
            }
            VatPolicy::Copy => {}
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

    #[test]
    fn vat_of_the_folder_comes_without_an_own_rate() {
        let mut product = product();
        product["useParentVat"] = true.into();
        let body = projected(&product).update();
        assert_eq!(body["useParentVat"], true);
        assert!(body.get("vat").is_none() && body.get("vatEnabled").is_none());
    }
}
