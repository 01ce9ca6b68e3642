//! Whose order it is in main: always the same stand-in, or the counterparty that the child's is.
//!
//! A counterparty is recognized by its INN (and KPP, where both sides tell it), a person by telephone or e-mail; one that
//! main does not know is made, once, also where the orders of two children bring it at the same moment. Two that fit are a
//! question for a person.

use super::super::api::{AccountApi, ApiError, id_of, id_of_entity};
use super::super::mappings;
use super::super::settings::{CounterpartyPolicy, DocumentKind};
use super::super::work::{Work, broken};
use super::refusals;
use super::store::{self, Source};
use crate::queue::HandlerError;
use serde_json::{Map, Value};
use uuid::Uuid;

const COUNTERPARTY: &str = "counterparty";
/// Digits of the shortest telephone number that is one.
const SHORTEST_PHONE: usize = 7;
/// What a counterparty made in main gets of the child's.
const COPIED: [&str; 9] =
    ["name", "companyType", "inn", "kpp", "ogrn", "legalTitle", "legalAddress", "phone", "email"];

/// Main's counterparty for the document.
pub(super) async fn find(
    cx: &Work,
    source: Source,
    policy: CounterpartyPolicy,
    main: &AccountApi,
    child: &AccountApi,
    document: &Value,
) -> Result<Uuid, ApiError> {
    if let CounterpartyPolicy::Stub(id) = policy {
        return Ok(id);
    }
    // Who buys by a purchase order is the child itself.
    let side = if source.kind == DocumentKind::Purchaseorder.keyword() { "organization" } else { "agent" };
    let who = &document[side];
    let id = id_of(who).ok_or_else(|| give_up("the document names nobody: set a stub counterparty"))?;
    let kind = match who["meta"]["type"].as_str() {
        Some("organization") => "organization",
        _ => COUNTERPARTY,
    };
    if let Some(known) =
        store::counterparty(&mut *cx.conn().await?, source, kind, id).await.map_err(broken)?
    {
        return Ok(known);
    }
    let party = child.get("GET /entity/{party}/{id}", &format!("/entity/{kind}/{id}"), &[]).await?;
    let found = match search(main, &party).await? {
        Some(found) => found,
        None => create(main, source, id, &party).await?,
    };
    let key = mappings::Key {
        main_account: source.main_account,
        child_account: source.child_account,
        entity_type: if kind == COUNTERPARTY { COUNTERPARTY } else { "organization" },
        main_id: found,
    };
    // Two of the child's may be one in main: the second is looked up each time.
    mappings::insert(&mut *cx.conn().await?, key, id, None).await.map_err(broken)?;
    Ok(found)
}

/// Forgets whom the document was for: main does not know that counterparty any more.
pub(super) async fn forget(cx: &Work, source: Source, found: Uuid) -> Result<(), ApiError> {
    let mut conn = cx.conn().await?;
    for entity_type in [COUNTERPARTY, "organization"] {
        let key = mappings::Key {
            main_account: source.main_account,
            child_account: source.child_account,
            entity_type,
            main_id: found,
        };
        mappings::remove(&mut conn, key).await.map_err(broken)?;
    }
    Ok(())
}

/// By what a counterparty is recognized, the surest first.
fn criteria(party: &Value) -> Vec<(&'static str, &str)> {
    let text = |name: &str| party[name].as_str().map(str::trim).filter(|text| !text.is_empty());
    let is_person = party["companyType"].as_str().is_some_and(|kind| kind.starts_with("individual"));
    if let Some(inn) = text("inn").filter(|_| !is_person) {
        return vec![("inn", inn)];
    }
    let told = ["phone", "email"].into_iter().filter_map(|name| Some((name, text(name)?)));
    told.filter(|(name, value)| tells(name, value)).collect()
}

/// Whether anybody can be known by this: "-" and "none" stand where a number or an address should.
fn tells(name: &str, value: &str) -> bool {
    if name == "phone" { digits(value).len() >= SHORTEST_PHONE } else { value.contains('@') }
}

/// Whether main's counterparty is this one, by one criterion.
fn is_same(name: &str, theirs: &Value, ours: &Value) -> bool {
    let text = |party: &Value, name: &str| party[name].as_str().unwrap_or_default().trim().to_lowercase();
    match name {
        "inn" => {
            let (one, other) = (text(theirs, "kpp"), text(ours, "kpp"));
            text(theirs, "inn") == text(ours, "inn") && (one == other || one.is_empty() || other.is_empty())
        }
        "phone" => digits(&text(theirs, "phone")) == digits(&text(ours, "phone")),
        name => text(theirs, name) == text(ours, name),
    }
}

/// Digits of a telephone number; Russia's trunk prefix 8 is its country code 7.
fn digits(text: &str) -> String {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    match digits.strip_prefix('8') {
        Some(rest) if rest.len() == 10 => format!("7{rest}"),
        _ => digits,
    }
}

async fn search(main: &AccountApi, party: &Value) -> Result<Option<Uuid>, ApiError> {
    for (name, value) in criteria(party) {
        let filter = format!("{name}={}", value.replace(';', "\\;"));
        let query =
            [("filter", format!("{filter};archived=true;archived=false")), ("limit", "100".to_owned())];
        let mut reply = main.get("GET /entity/counterparty", "/entity/counterparty", &query).await?;
        let Value::Array(mut rows) = reply["rows"].take() else {
            return Err(
                HandlerError::Retry("moysklad: GET /entity/counterparty gave no rows".to_owned()).into()
            );
        };
        rows.retain(|row| is_same(name, row, party));
        let exact = |row: &&Value| name == "inn" && row["kpp"] == party["kpp"];
        let found = match rows.as_slice() {
            [] => continue,
            [one] => one,
            several => {
                let mut exact = several.iter().filter(exact);
                match (exact.next(), exact.next()) {
                    (Some(one), None) => one,
                    _ => {
                        return Err(give_up(&format!(
                            "conflict: {} counterparties of main have the same {name}: merge them, then retry",
                            several.len()
                        )));
                    }
                }
            }
        };
        return id_of_entity(found).map(Some);
    }
    Ok(None)
}

async fn create(main: &AccountApi, source: Source, id: Uuid, party: &Value) -> Result<Uuid, ApiError> {
    let mut body: Map<String, Value> = COPIED
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), party.get(*name)?.clone())))
        .filter(|(_, value)| value.as_str().is_some_and(|text| !text.is_empty()))
        .collect();
    let own = super::sync_id(source.child_account, id);
    if let Some((name, value)) = criteria(party).into_iter().next() {
        let kpp = party["kpp"].as_str().filter(|_| name == "inn").unwrap_or_default();
        let text = format!("{} {name} {} {kpp}", source.main_account, value.to_lowercase());
        body.insert("syncId".to_owned(), Uuid::new_v5(&super::NAMESPACE, text.as_bytes()).to_string().into());
        let made = post(main, &body).await?;
        // The one that was made of it may be another one by now.
        if is_same(name, &made, party) {
            return id_of_entity(&made);
        }
    }
    body.insert("syncId".to_owned(), own.to_string().into());
    id_of_entity(&post(main, &body).await?)
}

async fn post(main: &AccountApi, body: &Map<String, Value>) -> Result<Value, ApiError> {
    let body = Value::Object(body.clone());
    match main.create("POST /entity/counterparty", "/entity/counterparty", &body).await {
        Err(error) => Err(refusals::advised(main, COUNTERPARTY, error).await?),
        made => made,
    }
}

fn give_up(text: &str) -> ApiError {
    HandlerError::GiveUp(text.to_owned()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn companies_are_known_by_their_inn_and_people_by_telephone_and_mail() {
        let company = json!({"companyType": "legal", "inn": "7701", "phone": "5556677", "email": "a@b"});
        assert_eq!(criteria(&company), [("inn", "7701")]);
        let person =
            json!({"companyType": "individual", "inn": "7701", "phone": " 555-66-77 ", "email": "a@b"});
        assert_eq!(criteria(&person), [("phone", "555-66-77"), ("email", "a@b")]);
        assert_eq!(
            criteria(&json!({"companyType": "legal", "email": "a@b", "phone": ""})),
            [("email", "a@b")]
        );
        assert!(criteria(&json!({"name": "Nobody"})).is_empty());
        assert!(criteria(&json!({"phone": "-", "email": "none"})).is_empty());
        assert!(criteria(&json!({"phone": "000-00", "email": "-"})).is_empty());
    }

    #[test]
    fn a_branch_is_another_company_unless_it_tells_no_kpp() {
        let company = |kpp: &str| json!({"inn": "7701", "kpp": kpp});
        assert!(is_same("inn", &company("1"), &company("1")));
        assert!(!is_same("inn", &company("1"), &company("2")));
        assert!(is_same("inn", &company("1"), &json!({"inn": "7701"})));
    }

    #[test]
    fn a_telephone_number_is_its_digits() {
        let phone = |text: &str| json!({"phone": text});
        assert!(is_same("phone", &phone("8 (900) 123-45-67"), &phone("+79001234567")));
        assert!(!is_same("phone", &phone("+79001234567"), &phone("+79001234568")));
        assert!(is_same("email", &json!({"email": "A@b.ru"}), &json!({"email": "a@B.ru "})));
    }
}
