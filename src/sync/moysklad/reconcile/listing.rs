//! Pages of an account's entities, in the order of their last change (facts/moysklad.md 4.4, 4.5).

use crate::queue::HandlerError;
use crate::sync::moysklad::api::{AccountApi, ApiError};
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;
use uuid::Uuid;

/// MoySklad's clock is Moscow's: UTC+3 all year.
const MOSCOW: TimeDelta = TimeDelta::hours(3);
/// The longest page.
const PAGE: usize = 1000;
/// How often one page is waited for, and how long: together less than a sweep's lease.
const WAITS: usize = 6;
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How many ids fit into one URL with room to spare.
pub(super) const IDS: usize = 60;

/// An entity that a list showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) id: Uuid,
    pub(super) updated: DateTime<Utc>,
    /// Documents and counterparties tell it, goods do not.
    pub(super) created: Option<DateTime<Utc>>,
}

/// Where a list goes on. There is no snapshot, and an offset alone would skip rows while others change: pages are told
/// apart by the time of the last row, and by an offset only among rows of that very time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    since: DateTime<Utc>,
    offset: usize,
    /// Rows of the next page: fewer after one that was too long for one reply.
    #[serde(default = "longest")]
    limit: usize,
}

fn longest() -> usize {
    PAGE
}

impl Place {
    /// Whatever changed at this time or later.
    pub(super) fn since(since: DateTime<Utc>) -> Self {
        Self { since, offset: 0, limit: PAGE }
    }

    /// Everything.
    pub(super) fn beginning() -> Self {
        // Earlier dates are refused: 1970-01-01 03:00:00 by Moscow's clock.
        Self::since(DateTime::UNIX_EPOCH)
    }

    /// Those of a page before this place that it shows once more.
    pub(super) fn overlap(&self, page: &[Entry]) -> Vec<Uuid> {
        page.iter().filter(|entry| entry.updated >= self.since).map(|entry| entry.id).collect()
    }

    /// After a page of at most `limit` rows that came from here; `None` if it was the last one.
    fn after(&self, page: &[Entry], limit: usize) -> Option<Self> {
        let last = page.last().filter(|_| page.len() >= limit)?;
        if last.updated > self.since {
            // Rows of that time that this page showed already come once more.
            return Some(Self { since: last.updated, offset: 0, limit });
        }
        Some(Self { since: self.since, offset: self.offset + page.len(), limit })
    }
}

/// One page, and where the next one begins.
pub(super) struct Page {
    pub(super) entries: Vec<Entry>,
    pub(super) next: Option<Place>,
    /// How many rows there are from the place on, by MoySklad's count.
    pub(super) size: usize,
}

/// Of a list as MoySklad gives it, what is needed here. The rest of a page of thousand entities is megabytes.
#[derive(Debug, Deserialize)]
struct List {
    meta: Option<ListMeta>,
    rows: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct ListMeta {
    size: Option<usize>,
}

#[derive(Debug, Deserialize)]
struct Row {
    id: Uuid,
    #[serde(rename = "accountId")]
    account_id: Option<Uuid>,
    updated: Option<String>,
    created: Option<String>,
}

/// Reads one page of all entities of a type, archived ones too.
pub(super) async fn page(api: &AccountApi, kind: &str, place: &Place) -> Result<Page, ApiError> {
    let mut filter = format!("updated>={}", moscow(place.since));
    if can_be_archived(kind) {
        filter.push_str(";archived=true;archived=false");
    }
    let query =
        [("filter", filter), ("order", "updated,asc".to_owned()), ("offset", place.offset.to_string())];
    let mut limit = place.limit;
    let list = list(api, kind, &query, &mut limit).await?;
    let told = list.meta.and_then(|meta| meta.size).unwrap_or_default();
    let entries = entries(list.rows);
    let next = place.after(&entries, limit);
    let size = told.saturating_sub(place.offset).max(entries.len());
    Ok(Page { entries, next, size })
}

/// Those of these ids (at most [`IDS`]) that are there, archived ones too: with ids that filter is ignored.
pub(super) async fn among(api: &AccountApi, kind: &str, ids: &[Uuid]) -> Result<Vec<Entry>, ApiError> {
    let filter = ids.iter().map(|id| format!("id={id}")).collect::<Vec<_>>().join(";");
    let mut limit = ids.len();
    let list = list(api, kind, &[("filter", filter)], &mut limit).await?;
    if limit < ids.len() {
        // Those that this part does not show may be there all the same.
        let text = format!("moysklad: {} entities are too long for one reply", ids.len());
        return Err(HandlerError::Retry(text).into());
    }
    Ok(entries(list.rows))
}

/// Those of these ids that are there, archived ones too, however many are asked for.
pub(in crate::sync::moysklad) async fn there(
    api: &AccountApi,
    kind: &str,
    ids: &[Uuid],
) -> Result<BTreeSet<Uuid>, ApiError> {
    let mut there = BTreeSet::new();
    for some in ids.chunks(IDS) {
        there.extend(among(api, kind, some).await?.into_iter().map(|entry| entry.id));
    }
    Ok(there)
}

/// Asks again where an account is busy. Who looks for what was lost has time, and a sweep that ended at the first wait
/// would never come through while much is going on.
async fn list(
    api: &AccountApi,
    kind: &str,
    query: &[(&'static str, String)],
    limit: &mut usize,
) -> Result<List, ApiError> {
    let path = format!("/entity/{kind}");
    let mut waits = 0..WAITS;
    let list: List = loop {
        match api.list_as(route(kind), &path, query, limit).await {
            Err(ApiError::Work(HandlerError::Defer { after, .. })) if waits.next().is_some() => {
                tokio::time::sleep(after.min(LONGEST_WAIT)).await;
            }
            told => break told?,
        }
    };
    api.check_owner_id(list.rows.first().and_then(|row| row.account_id))?;
    Ok(list)
}

fn entries(rows: Vec<Row>) -> Vec<Entry> {
    let time = |text: Option<&str>| text.and_then(from_moscow);
    let entry = |row: Row| {
        // Folders may come without a time of change; then each sweep looks at all of them.
        let updated = time(row.updated.as_deref()).unwrap_or(DateTime::UNIX_EPOCH);
        Entry { id: row.id, updated, created: time(row.created.as_deref()) }
    };
    rows.into_iter().map(entry).collect()
}

fn can_be_archived(kind: &str) -> bool {
    matches!(kind, "product" | "variant" | "bundle" | "service" | "counterparty")
}

/// For logs and metrics, which want few different names.
fn route(kind: &str) -> &'static str {
    match kind {
        "product" => "GET /entity/product",
        "variant" => "GET /entity/variant",
        "bundle" => "GET /entity/bundle",
        "service" => "GET /entity/service",
        "productfolder" => "GET /entity/productfolder",
        "customerorder" => "GET /entity/customerorder",
        "retaildemand" => "GET /entity/retaildemand",
        "purchaseorder" => "GET /entity/purchaseorder",
        "counterparty" => "GET /entity/counterparty",
        _ => "GET /entity/{type}",
    }
}

fn moscow(time: DateTime<Utc>) -> String {
    (time + MOSCOW).format("%Y-%m-%d %H:%M:%S%.3f").to_string()
}

fn from_moscow(text: &str) -> Option<DateTime<Utc>> {
    let naive = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").ok()?;
    Some(naive.and_utc() - MOSCOW)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn entry(n: u128, updated: &str) -> Entry {
        Entry { id: Uuid::from_u128(n), updated: at(updated), created: None }
    }

    #[test]
    fn times_are_moscows() {
        assert_eq!(moscow(at("2026-01-23T07:44:23.5Z")), "2026-01-23 10:44:23.500");
        assert_eq!(from_moscow("2026-01-23 10:44:23.500"), Some(at("2026-01-23T07:44:23.5Z")));
        assert_eq!(moscow(DateTime::UNIX_EPOCH), "1970-01-01 03:00:00.000");
    }

    #[test]
    fn the_next_page_begins_at_the_time_of_the_last_row() {
        let place = Place::since(at("2026-01-01T00:00:00Z"));
        let page = [entry(1, "2026-01-01T00:00:00Z"), entry(2, "2026-01-02T00:00:00Z")];
        let next = Place { limit: 2, ..Place::since(at("2026-01-02T00:00:00Z")) };
        assert_eq!(place.after(&page, 2), Some(next));
        assert_eq!(place.after(&page, 3), None, "a short page is the last one");
    }

    #[test]
    fn rows_that_come_once_more_are_known() {
        let place = Place::since(at("2026-01-01T00:00:00Z"));
        let page = [
            entry(1, "2026-01-01T00:00:00Z"),
            entry(2, "2026-01-02T00:00:00Z"),
            entry(3, "2026-01-02T00:00:00Z"),
        ];
        let next = place.after(&page, 3).unwrap();
        assert_eq!(next.overlap(&page), [Uuid::from_u128(2), Uuid::from_u128(3)]);
    }

    #[test]
    fn of_a_list_only_ids_and_times_are_read() {
        let text = r#"{"context": {}, "meta": {"size": 7, "limit": 1000}, "rows": [
            {"id": "00000000-0000-0000-0000-000000000001", "updated": "2026-01-23 10:44:23.500", "salePrices": [{}]},
            {"id": "00000000-0000-0000-0000-000000000002", "name": "a folder"}]}"#;
        let list: List = serde_json::from_str(text).unwrap();
        assert_eq!(list.meta.unwrap().size, Some(7));
        let rows = entries(list.rows);
        assert_eq!(rows[0], entry(1, "2026-01-23T07:44:23.5Z"));
        assert_eq!(rows[1], entry(2, "1970-01-01T00:00:00Z"));
        assert!(serde_json::from_str::<List>(r#"{"rows": [{"name": "without an id"}]}"#).is_err());
    }

    #[test]
    fn more_rows_of_one_time_than_a_page_holds_come_by_offset() {
        let place = Place::since(at("2026-01-01T00:00:00Z"));
        let page = [entry(1, "2026-01-01T00:00:00Z"), entry(2, "2026-01-01T00:00:00Z")];
        let second = place.after(&page, 2).unwrap();
        assert_eq!(second, Place { offset: 2, limit: 2, ..place });
        assert_eq!(second.after(&page, 2).unwrap().offset, 4);
    }
}
