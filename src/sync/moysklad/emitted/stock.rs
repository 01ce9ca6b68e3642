//! Stock hooks: they only say that stock has changed and where to read what (facts/moysklad.md 1.5).

use super::super::accounts::Account;
use super::super::api::{AccountApi, ApiError};
use super::super::settings::StockSettings;
use super::super::work::{Work, broken};
use super::Source;
use crate::queue::{HandlerError, Outcome};
use crate::sync::told;
use diesel_async::AsyncConnection as _;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use url::Url;
use uuid::Uuid;

/// Most items in one event.
const ITEMS: usize = 1000;
/// Ids in one request: URL and headers hold 8 KB (facts/moysklad.md 4.5).
const IDS: usize = 100;

/// Reports that a stock hook may name, under the API's base.
const REPORTS: [&str; 2] = ["/report/stock/all/current", "/report/stock/bystore/current"];

/// Where a stock hook says that the changes can be read.
pub(super) fn report_url(body: &[u8]) -> Result<String, HandlerError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Body {
        report_url: String,
    }
    serde_json::from_slice(body)
        .map(|body: Body| body.report_url)
        .map_err(|_| HandlerError::GiveUp("the stock hook has no readable reportUrl".to_owned()))
}

/// The report of this URL and since when. Anything else than a report of this API is refused: the token goes there.
fn report(url: &str, base: &str) -> Option<(&'static str, Option<String>)> {
    let (url, base) = (Url::parse(url).ok()?, Url::parse(base).ok()?);
    if url.origin() != base.origin() {
        return None;
    }
    let path = url.path().strip_prefix(base.path().trim_end_matches('/'))?;
    let report = REPORTS.into_iter().find(|report| *report == path)?;
    let since = url.query_pairs().find(|(name, _)| name == "changedSince");
    Some((report, since.map(|(_, value)| value.into_owned())))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Changed {
    assortment_id: Uuid,
    #[serde(default)]
    store_id: Option<Uuid>,
    #[serde(default)]
    stock: Decimal,
}

/// Reads what has changed and tells it, and what has fallen below its minimum.
pub(super) async fn run(
    source: &Source,
    account: &Account,
    url: &str,
    api: &AccountApi,
    cx: &Work,
) -> Result<Outcome, ApiError> {
    let Some((report, since)) = report(url, api.base()) else {
        return Err(HandlerError::GiveUp(
            "the stock hook's reportUrl is no stock report of this API".to_owned(),
        )
        .into());
    };
    let query: Vec<_> = since.into_iter().map(|since| ("changedSince", since)).collect();
    let changed = api.get("GET /report/stock/{report}/current", report, &query).await?;
    let changed: Vec<Changed> = serde_json::from_value(changed)
        .map_err(|_| HandlerError::Retry("moysklad: the stock report is unreadable".to_owned()))?;
    if changed.is_empty() {
        return Ok(Outcome::completed("no stock has changed"));
    }
    // Only the sum over all stores can be compared with the minimum.
    let otherwise = StockSettings::of(account.role, &account.settings).ok().and_then(|stock| stock.low);
    let low = if report == REPORTS[0] { low(api, &changed, otherwise).await? } else { Vec::new() };
    let account = account.account_id;
    let items: Vec<Value> = changed
        .iter()
        .map(|item| {
            let mut told = json!({"id": item.assortment_id, "stock": number(item.stock)});
            if let Some(store) = item.store_id {
                told["store_id"] = store.to_string().into();
            }
            told
        })
        .collect();
    let emitted = cx
        .conn()
        .await?
        .transaction(async |conn| {
            let mut emitted = Vec::new();
            for (event_type, items) in [("inventory.updated", items), ("inventory.low", low)] {
                for (page, items) in items.chunks(ITEMS).enumerate() {
                    let event_id = match page {
                        0 => source.event_id.clone(),
                        page => format!("{}/{page}", source.event_id),
                    };
                    let source = Source { event_id, change: None, occurred_at: source.occurred_at };
                    let data = json!({"account_id": account, "items": items});
                    if source.emit(conn, event_type, &account.to_string(), data).await?
                        && !emitted.contains(&event_type)
                    {
                        emitted.push(event_type);
                    }
                }
            }
            QueryOk::Ok(emitted)
        })
        .await
        .map_err(broken)?;
    Ok(Outcome::completed(format!("stock of {} items: {}", changed.len(), told(&emitted))))
}

type QueryOk<T> = diesel::QueryResult<T>;

/// What there is less of than its minimum; where it has none, than `otherwise`.
async fn low(api: &AccountApi, changed: &[Changed], otherwise: Option<u32>) -> Result<Vec<Value>, ApiError> {
    let mut minimums: HashMap<Uuid, Decimal> = HashMap::new();
    for items in changed.chunks(IDS) {
        let ids: Vec<String> = items.iter().map(|item| format!("id={}", item.assortment_id)).collect();
        let query = [("filter", ids.join(";")), ("limit", IDS.to_string())];
        let reply = api.get("GET /entity/product", "/entity/product", &query).await?;
        for product in reply["rows"].as_array().into_iter().flatten() {
            if let Some(id) = product["id"].as_str().and_then(|id| id.parse().ok())
                && let Ok(minimum) = serde_json::from_value(product["minimumBalance"].clone())
            {
                minimums.insert(id, minimum);
            }
        }
    }
    Ok(below(changed, &minimums, otherwise))
}

fn below(changed: &[Changed], minimums: &HashMap<Uuid, Decimal>, otherwise: Option<u32>) -> Vec<Value> {
    let low = changed.iter().filter_map(|item| {
        let own = minimums.get(&item.assortment_id).copied();
        // Zero is what a product shows that was given none.
        let minimum = match otherwise.map(Decimal::from) {
            Some(otherwise) => own.filter(|own| !own.is_zero()).unwrap_or(otherwise),
            None => own?,
        };
        let told = json!({"id": item.assortment_id, "stock": number(item.stock), "minimum": number(minimum)});
        (item.stock < minimum).then_some(told)
    });
    low.collect()
}

fn number(amount: Decimal) -> Value {
    serde_json::from_str(&amount.normalize().to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "https://api.moysklad.ru/api/remap/1.2";

    #[test]
    fn only_stock_reports_of_this_api_are_read() {
        let given = format!("{BASE}/report/stock/all/current?changedSince=2022-09-24 19:14:32");
        assert_eq!(report(&given, BASE), Some((REPORTS[0], Some("2022-09-24 19:14:32".to_owned()))));
        assert_eq!(report(&format!("{BASE}/report/stock/bystore/current"), BASE), Some((REPORTS[1], None)));
        for url in [
            "https://evil.example/api/remap/1.2/report/stock/all/current",
            "https://api.moysklad.ru:444/api/remap/1.2/report/stock/all/current",
            "https://api.moysklad.ru/api/remap/1.2/entity/counterparty",
            "https://api.moysklad.ru/api/remap/1.2/report/stock/all/current/../../../../entity/product",
            "/report/stock/all/current",
            "",
        ] {
            assert_eq!(report(url, BASE), None, "{url}");
        }
    }

    #[test]
    fn low_is_what_falls_below_its_minimum() {
        let changed = json!([
            {"assortmentId": Uuid::from_u128(1), "stock": 4.999},
            {"assortmentId": Uuid::from_u128(2), "stock": 5.0},
            {"assortmentId": Uuid::from_u128(3), "stock": -1.0},
        ]);
        let changed: Vec<Changed> = serde_json::from_value(changed).unwrap();
        let minimums = [1, 2].map(|id| (Uuid::from_u128(id), Decimal::from(5))).into();
        let low = below(&changed, &minimums, None);
        assert_eq!(low, [json!({"id": Uuid::from_u128(1), "stock": number(changed[0].stock), "minimum": 5})]);
        let ids = |otherwise| {
            below(&changed, &minimums, otherwise).iter().map(|low| low["id"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(ids(Some(0)), [json!(Uuid::from_u128(1)), json!(Uuid::from_u128(3))]);
        let none = [(Uuid::from_u128(3), Decimal::ZERO)].into();
        assert_eq!(below(&changed, &none, Some(5)).len(), 2, "zero is no minimum of its own");
    }

    #[test]
    fn a_hook_without_a_report_is_unreadable() {
        assert!(report_url(b"{}").is_err());
        assert_eq!(report_url(br#"{"reportUrl":"x"}"#).unwrap(), "x");
    }
}
