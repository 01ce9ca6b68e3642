//! Stock: the short report, which tells current quantities only.

use super::account::Account;
use super::json::{decimal_value, full_time, moscow_now};
use super::list::Query;
use super::refused::Refused;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use uuid::Uuid;

impl Account {
    /// `GET /report/stock/all/current` and `…/bystore/current`: bare arrays.
    pub(super) fn stock_report(&self, report: &str, query: &Query) -> Result<Value, Refused> {
        let since = match query.get("changedSince") {
            Some(text) => Some(full_time(text).ok_or(Refused::field(400, 1035, "changedSince"))?),
            None => None,
        };
        let changed = |moment: &String| since.as_ref().is_none_or(|since| moment >= since);
        // Lines of nothing show only among changes.
        let shows = |quantity: Decimal| since.is_some() || !quantity.is_zero();
        if report == "bystore" {
            let rows =
                self.stock.iter().filter(|(_, (quantity, moment))| changed(moment) && shows(*quantity));
            return Ok(rows
                .map(|((assortment, store), (quantity, _))| {
                    json!({
                        "assortmentId": assortment.to_string(), "storeId": store.to_string(),
                        "stock": decimal_value(*quantity),
                    })
                })
                .collect());
        }
        let mut sums: Vec<(Uuid, Decimal, bool)> = Vec::new();
        for ((assortment, _), (quantity, moment)) in &self.stock {
            match sums.iter_mut().find(|sum| sum.0 == *assortment) {
                Some(sum) => {
                    sum.1 += *quantity;
                    sum.2 |= changed(moment);
                }
                None => sums.push((*assortment, *quantity, changed(moment))),
            }
        }
        let rows = sums.into_iter().filter(|(_, quantity, changed)| *changed && shows(*quantity));
        let rows = rows.map(|(assortment, quantity, _)| {
            json!({"assortmentId": assortment.to_string(), "stock": decimal_value(quantity)})
        });
        Ok(rows.collect())
    }

    /// Sets what a store has of something; gives the moment since when it changed.
    pub(super) fn set_stock(&mut self, assortment: Uuid, store: Uuid, quantity: Decimal) -> String {
        let now = moscow_now();
        self.stock.insert((assortment, store), (quantity, now.clone()));
        now
    }
}
