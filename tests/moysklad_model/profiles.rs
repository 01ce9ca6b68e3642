//! The children: how each is set, and what main and they have to say it in.

mod orders;

pub use orders::{CHILD_STATES, CUSTOMERS, Head, MAIN_STATES, Orders, furnish, name_of};

use serde_json::{Value, json};
use uuid::Uuid;

/// Sale prices of main; the first is the default.
pub const PRICE_TYPES: [&str; 3] = ["Retail", "Wholesale", "Staff"];
/// Currencies of main.
pub const CURRENCIES: [&str; 2] = ["RUB", "USD"];
/// Custom fields of main, with their types. No child has the last.
pub const ATTRIBUTES: [(&str, &str); 9] = [
    ("Paint", "string"),
    ("Notes", "text"),
    ("Site", "link"),
    ("Baked", "time"),
    ("Promo", "boolean"),
    ("Height", "double"),
    ("Rank", "long"),
    ("Fabric", "customentity"),
    ("Secret", "string"),
];
/// Elements of main's dictionary of fabrics; children begin with one or none of them.
pub const FABRICS: [&str; 4] = ["Linen", "Wool", "Silk", "Jute"];
/// A custom field that only children have.
pub const CHILD_NOTE: &str = "Child note";
/// A price type that only children have.
pub const OWN_PRICE: &str = "Own";
/// The folder of main that a filter by folder wants; it is the first, and stays where it is.
pub const WANTED_FOLDER: &str = "Franchise";

/// Which products a child wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub enum Filter {
    /// All.
    None,
    /// Those below main's folder [`WANTED_FOLDER`].
    Folder,
    /// Those whose attribute `Promo` is ticked.
    Promo,
    /// Those whose `Paint` is another than red, or none.
    NotRed,
}

/// How a child is set.
#[derive(Debug, Clone, Copy)]
pub struct Profile {
    pub name: &'static str,
    pub token: &'static str,
    pub price_types: &'static [&'static str],
    pub currencies: &'static [&'static str],
    /// Attributes that it has as main has them.
    pub attributes: &'static [&'static str],
    pub by_article: bool,
    /// Where main's prices go; none: to the same name.
    pub prices: Option<&'static [(&'static str, &'static str)]>,
    /// The only attributes that it wants.
    pub only: Option<&'static [&'static str]>,
    pub folders: bool,
    /// It had main's folders before: what stands where is nobody's affair any more.
    pub had_folders: bool,
    /// `copy`, `leave` or `without`.
    pub vat: &'static str,
    pub filter: Filter,
    pub orders: Orders,
}

const MOST_ATTRIBUTES: &[&str] =
    &["Paint", "Notes", "Site", "Baked", "Promo", "Height", "Rank", "Fabric", "Child note"];

const DEFAULT: Profile = Profile {
    name: "default",
    token: "default-canary-01d4",
    price_types: &["Wholesale", "Retail", OWN_PRICE],
    currencies: &["RUB"],
    attributes: MOST_ATTRIBUTES,
    by_article: false,
    prices: None,
    only: None,
    folders: true,
    had_folders: false,
    vat: "copy",
    filter: Filter::None,
    orders: orders::PLAIN,
};

/// The five children of a large run; a filter is chosen for the last.
pub const PROFILES: [Profile; 5] = [
    DEFAULT,
    Profile {
        name: "article",
        token: "article-canary-02e5",
        price_types: &["Retail", OWN_PRICE, "Wholesale", "Staff"],
        currencies: &["KZT", "RUB", "USD"],
        // Its `Paint` is of another type.
        attributes: &["Notes", "Promo", "Rank", "Fabric", CHILD_NOTE],
        by_article: true,
        vat: "leave",
        orders: orders::STUB,
        ..DEFAULT
    },
    Profile {
        name: "prices",
        token: "prices-canary-03f6",
        price_types: &["Sale", OWN_PRICE, "Cost"],
        currencies: &["RUB", "USD"],
        prices: Some(&[("Retail", "Sale"), ("buyPrice", "Cost"), ("Staff", "buyPrice")]),
        orders: orders::ALL,
        ..DEFAULT
    },
    Profile {
        name: "few",
        token: "few-canary-04a7",
        price_types: &["Retail", OWN_PRICE],
        currencies: &["RUB", "USD"],
        only: Some(&["Paint", "Fabric"]),
        folders: false,
        vat: "without",
        orders: orders::NONE,
        ..DEFAULT
    },
    Profile {
        name: "filtered",
        token: "filtered-canary-05b8",
        price_types: &["Retail", "Wholesale", "Staff", OWN_PRICE],
        currencies: &["RUB", "USD"],
        orders: orders::SOME,
        ..DEFAULT
    },
];

impl Profile {
    /// The settings of its account.
    pub fn settings(&self, wanted_folder: Uuid, head: &Head) -> Value {
        let mut catalog = json!({"create_folders": self.folders, "vat": self.vat});
        if self.by_article {
            catalog["match_products_by"] = "article".into();
        }
        if let Some(prices) = self.prices {
            catalog["price_types"] =
                prices.iter().map(|(from, to)| ((*from).to_owned(), json!(to))).collect();
        }
        if let Some(only) = self.only {
            catalog["attributes"] = json!(only);
        }
        let attribute = |name: &str, is: &str, value: Value| json!([{"attribute": {"name": name, "is": is, "value": value}}]);
        catalog["filters"] = match self.filter {
            Filter::None => json!([]),
            Filter::Folder => json!([{"folderIn": [wanted_folder]}]),
            Filter::Promo => attribute("Promo", "equal", json!(true)),
            Filter::NotRed => attribute("Paint", "notEqual", json!("red")),
        };
        json!({"catalog": catalog, "orders": self.orders.settings(head)})
    }

    /// Where main's price of this type goes.
    pub fn price(&self, from: &str) -> Option<&'static str> {
        match self.prices {
            Some(prices) => prices.iter().find(|(name, _)| *name == from).map(|(_, to)| *to),
            None => PRICE_TYPES.iter().chain(&["buyPrice"]).find(|name| **name == from).copied(),
        }
    }

    /// Whether main's attribute of this name crosses over.
    pub fn takes(&self, attribute: &str) -> bool {
        self.attributes.contains(&attribute) && self.only.is_none_or(|only| only.contains(&attribute))
    }
}
