//! What a child shall hold of an entity of main: worked out from the rules alone (product.md, facts/moysklad.md 5, 8 and
//! the settings' own words), without the code that is tested.

use super::profiles::{Filter, PRICE_TYPES, Profile, WANTED_FOLDER};
use super::words::{Thing, is_nothing};
use crate::support::moysklad::Simulator;
use serde_json::{Value, json};
use uuid::Uuid;

/// Whether a filter lets this entity of main (as the API shows it) into its child.
pub fn accepts(sim: &Simulator, main: Uuid, filter: Filter, shown: &Value) -> bool {
    let attribute = |name: &str| {
        let all = shown["attributes"].as_array().into_iter().flatten();
        all.filter(|one| one["name"] == name).map(|one| one["value"].clone()).next()
    };
    match filter {
        Filter::None => true,
        Filter::Promo => attribute("Promo") == Some(true.into()),
        Filter::NotRed => attribute("Paint") != Some("red".into()),
        Filter::Folder => {
            let parent = |entity: &Value| {
                let href = entity["productFolder"]["meta"]["href"].as_str()?;
                sim.entity(main, href.rsplit('/').next()?.parse().ok()?, &[])
            };
            let wanted = wanted_id(sim, main);
            std::iter::successors(parent(shown), parent).any(|folder| folder["id"] == wanted)
        }
    }
}

/// It may have been renamed; it is main's first folder.
fn wanted_id(sim: &Simulator, main: Uuid) -> Value {
    let named = sim.find(main, "productfolder", "name", WANTED_FOLDER);
    named.unwrap_or_else(|| sim.ids(main, "productfolder")[0]).to_string().into()
}

/// Whether the child has made up this barcode by itself.
pub fn is_made_up(barcode: &Value) -> bool {
    barcode["ean13"].as_str().is_some_and(|digits| digits.starts_with("20"))
}

/// What of `theirs` is not as `ours` of main says.
pub fn differences(profile: &Profile, ours: &Thing, theirs: &Thing) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut same = |name: &str, wanted: &Value, held: &str| {
        let got = theirs.fields.get(held).unwrap_or(&Value::Null);
        if got != wanted {
            wrong.push(format!("{held} is {got} and main's {name} is {wanted}"));
        }
    };
    let field = |name: &str| &ours.fields[name];
    for name in texts(ours.kind) {
        same(name, field(name), name);
    }
    // A child may fill in what is empty.
    if ours.kind != "variant" && field("code") != "" {
        same("code", field("code"), "code");
    }
    match profile.vat {
        _ if ours.kind == "variant" => {}
        "copy" if field("useParentVat") == true => same("useParentVat", &true.into(), "useParentVat"),
        "copy" => ["useParentVat", "vatEnabled", "vat"].iter().for_each(|name| same(name, field(name), name)),
        "without" => {
            same("VAT policy", &false.into(), "useParentVat");
            same("VAT policy", &false.into(), "vatEnabled");
            same("VAT policy", &"0".into(), "vat");
        }
        _ => {}
    }
    if ours.kind == "variant" {
        same("product", field("product"), "product");
        same("characteristics", field("characteristics"), "characteristics");
    } else if profile.folders || !profile.had_folders {
        same("folder", if profile.folders { field("folder") } else { &Value::Null }, "folder");
    }
    if ours.kind == "bundle" {
        same("components", field("components"), "components");
    }
    if ours.kind != "productfolder" {
        same("archived", field("archived"), "archived");
        if *field("barcodes") != json!([]) {
            same("barcodes", field("barcodes"), "barcodes");
        }
        prices(profile, ours, theirs, &mut same);
    }
    if matches!(ours.kind, "product" | "bundle") {
        for name in ["weight", "volume", "country"] {
            same(name, field(name), name);
        }
    }
    if !matches!(ours.kind, "variant" | "productfolder") {
        same("uom", field("uom"), "uom");
        for (name, _) in super::profiles::ATTRIBUTES {
            if profile.takes(name) {
                let name = format!("attribute/{name}");
                same(&name, ours.fields.get(&name).unwrap_or(&Value::Null), &name);
            }
        }
    }
    if ours.kind == "product" {
        same("packs", field("packs"), "packs");
    }
    if *field("barcodes") == json!([]) {
        let theirs = theirs.fields["barcodes"].as_array().unwrap();
        if theirs.len() > 1 || !theirs.iter().all(is_made_up) {
            wrong.push(format!("barcodes are {theirs:?} and main has none"));
        }
    }
    wrong
}

/// Fields that are the same text or flag on both sides.
fn texts(kind: &str) -> &'static [&'static str] {
    match kind {
        "variant" => &["description", "externalCode", "discountProhibited"],
        "productfolder" => &["name", "description", "externalCode"],
        "service" => &["name", "description", "externalCode", "discountProhibited"],
        "bundle" => &[
            "name",
            "description",
            "externalCode",
            "article",
            "tnved",
            "discountProhibited",
            "partialDisposal",
        ],
        _ => &[
            "name",
            "description",
            "externalCode",
            "article",
            "tnved",
            "discountProhibited",
            "partialDisposal",
            "weighed",
        ],
    }
}

fn prices(profile: &Profile, ours: &Thing, theirs: &Thing, same: &mut impl FnMut(&str, &Value, &str)) {
    let mut price = |name: &str, from: &str, to: &str| {
        let Some(wanted) = ours.fields.get(from) else { return };
        if is_nothing(wanted) {
            // Nothing is nothing in any currency.
            let got = theirs.fields.get(to).unwrap_or(&Value::Null);
            if !is_nothing(got) {
                same(name, wanted, to);
            }
        } else if profile.currencies.contains(&wanted[1].as_str().unwrap_or_default()) {
            same(name, wanted, to);
        }
    };
    let held = |to: &str| if to == "buyPrice" { to.to_owned() } else { format!("price/{to}") };
    for name in PRICE_TYPES {
        if let Some(to) = profile.price(name)
            && (to == "buyPrice" || profile.price_types.contains(&to))
            && !(to == "buyPrice" && ours.kind == "bundle")
        {
            price(name, &format!("price/{name}"), &held(to));
        }
    }
    if ours.kind != "bundle"
        && let Some(to) = profile.price("buyPrice")
        && (to == "buyPrice" || profile.price_types.contains(&to))
    {
        price("buyPrice", "buyPrice", &held(to));
    }
    price("minPrice", "minPrice", "minPrice");
}
