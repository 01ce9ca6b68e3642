//! Paths and, for logs, routes of the catalogue's types.

use crate::sync::moysklad::settings::EntityKind;
use uuid::Uuid;

/// Routes of one type.
pub(super) struct Routes {
    pub(super) list: &'static str,
    pub(super) read: &'static str,
    pub(super) create: &'static str,
    pub(super) update: &'static str,
}

macro_rules! routes {
    ($name:literal) => {
        Routes {
            list: concat!("GET /entity/", $name),
            read: concat!("GET /entity/", $name, "/{id}"),
            create: concat!("POST /entity/", $name),
            update: concat!("PUT /entity/", $name, "/{id}"),
        }
    };
}

pub(super) fn routes(kind: EntityKind) -> Routes {
    match kind {
        EntityKind::Productfolder => routes!("productfolder"),
        EntityKind::Product => routes!("product"),
        EntityKind::Service => routes!("service"),
        EntityKind::Variant => routes!("variant"),
        EntityKind::Bundle => routes!("bundle"),
    }
}

pub(super) fn path(kind: EntityKind) -> String {
    format!("/entity/{}", kind.keyword())
}

pub(super) fn path_of(kind: EntityKind, id: Uuid) -> String {
    format!("/entity/{}/{id}", kind.keyword())
}

/// A filter's value: a semicolon would begin the next condition.
pub(super) fn escaped(value: &str) -> String {
    value.replace(';', "\\;")
}
