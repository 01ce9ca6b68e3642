//! What flows from main to a child, and in which form.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use utoipa::ToSchema;
use uuid::Uuid;

/// What flows from main to a child.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CatalogSettings {
    /// Types that flow: `product`, `variant`, `bundle`, `service`, `productfolder`. Default: all of them.
    pub entities: BTreeSet<EntityKind>,
    /// By which field an entity that the child has already is recognized. Default `externalCode`.
    pub match_products_by: MatchField,
    /// The same for services, which have no article. Default `externalCode`.
    pub match_services_by: MatchField,
    /// Price types of main (by name; `buyPrice` for the purchase price) and where they go in the child (by name;
    /// `buyPrice`). Absent: sale prices to the type of the same name, purchase price to purchase price.
    pub price_types: Option<BTreeMap<String, String>>,
    /// Attributes (by name) that flow. Absent: those that the child has under the same name and type.
    pub attributes: Option<BTreeSet<String>>,
    /// Conditions, all of which a product, service or bundle must meet when it is created in the child; it is created also
    /// when it meets them only later. One that ceases to meet them stays in the child and is kept up.
    pub filters: Vec<ProductFilter>,
    /// Whether folders of main are made in the child. Default true. If not, the child's own arrangement is left alone.
    pub create_folders: bool,
    /// Whether images of products, variants and bundles are copied: main's list replaces the child's. Default true, as
    /// something would be missing in the child without them; they come behind everything else, in tasks of their own.
    pub images: bool,
    /// What becomes of value-added tax. Default `copy`.
    pub vat: VatPolicy,
}

impl CatalogSettings {
    /// Whether what stands in a folder of main stands in that folder in the child.
    pub(in crate::sync::moysklad) fn takes_folders(&self) -> bool {
        self.create_folders && self.entities.contains(&EntityKind::Productfolder)
    }
}

impl Default for CatalogSettings {
    fn default() -> Self {
        Self {
            entities: EntityKind::ALL.into(),
            match_products_by: MatchField::ExternalCode,
            match_services_by: MatchField::ExternalCode,
            price_types: None,
            attributes: None,
            filters: Vec::new(),
            create_folders: true,
            images: true,
            vat: VatPolicy::Copy,
        }
    }
}

/// A type of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum EntityKind {
    /// Folders; they come first, products stand in them.
    Productfolder,
    /// Goods.
    Product,
    /// Services.
    Service,
    /// Kinds of a product.
    Variant,
    /// Sets of the others.
    Bundle,
}

impl EntityKind {
    /// All of them, each before those that refer to it.
    pub const ALL: [Self; 5] =
        [Self::Productfolder, Self::Product, Self::Service, Self::Variant, Self::Bundle];

    /// The API's keyword.
    pub fn keyword(self) -> &'static str {
        match self {
            Self::Productfolder => "productfolder",
            Self::Product => "product",
            Self::Service => "service",
            Self::Variant => "variant",
            Self::Bundle => "bundle",
        }
    }

    /// The type of a keyword.
    pub fn parse(keyword: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.keyword() == keyword)
    }
}

/// A field by which two accounts' entities are recognized as the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum MatchField {
    /// `code`.
    Code,
    /// `externalCode`.
    ExternalCode,
    /// `article`; products only.
    Article,
    /// Any barcode.
    Barcode,
    /// The exact name.
    Name,
}

/// A condition on a product of main.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum ProductFilter {
    /// It is in one of these folders of main, or below.
    FolderIn(Vec<Uuid>),
    /// It is in none of these folders of main, nor below.
    FolderNotIn(Vec<Uuid>),
    /// One of its attributes is so.
    Attribute(AttributeCondition),
}

/// A condition on an attribute, by its name in main.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AttributeCondition {
    /// Its name.
    pub name: String,
    /// How it is compared.
    pub is: Comparison,
    /// With what: text, a number, true or false; for a dictionary the element's name. Not for `set` and `unset`.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub value: Value,
}

/// How an attribute is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Comparison {
    /// Equal.
    Equal,
    /// Not equal, or not set.
    NotEqual,
    /// A text that holds this one.
    Contains,
    /// A number or time below.
    Less,
    /// A number or time above.
    Greater,
    /// Has a value.
    Set,
    /// Has none.
    Unset,
}

/// What becomes of value-added tax.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum VatPolicy {
    /// As in main.
    Copy,
    /// The child's own affair: never sent.
    Leave,
    /// Always without VAT.
    Without,
}
