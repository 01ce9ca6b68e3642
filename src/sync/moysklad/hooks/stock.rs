//! Webhooks of stock (`webhookstock`, facts/moysklad.md 1.5): one of ours where an account's settings want its stock told.

use super::plan::{Action, Own, Wanted};
use super::{HookError, SetupReport, wire};
use crate::queue::HandlerError;
use crate::sync::moysklad::accounts::Account;
use crate::sync::moysklad::api::{AccountApi, ApiError};
use crate::sync::moysklad::settings::{StockReport, StockSettings};
use serde_json::{Value, json};
use uuid::Uuid;

const PATH: &str = "/entity/webhookstock";
/// The longest page.
const PAGE: usize = 1000;
/// What such a webhook tells, in the words of our events.
const TELLS: Wanted = Wanted { entity_type: "stock", action: Action::Update };
/// Another node may have made the same one between our look and our request.
const LOOKS: usize = 2;

/// The report whose changes the account's settings want told.
pub(super) fn wanted(account: &Account) -> Result<Option<StockReport>, HookError> {
    let settings = StockSettings::of(account.role, &account.settings);
    Ok(settings.map_err(|error| HookError::Settings(account.account_id, error))?.report)
}

/// A webhook as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StockHook {
    id: Uuid,
    report: String,
    url: String,
    enabled: bool,
}

impl StockHook {
    fn read(row: &Value) -> Option<Self> {
        Some(Self {
            id: row["id"].as_str()?.parse().ok()?,
            report: row["reportType"].as_str()?.to_owned(),
            url: row["url"].as_str()?.to_owned(),
            enabled: row["enabled"].as_bool().unwrap_or(true),
        })
    }
}

/// What is to be done about one webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// It is needed and not there.
    Create(StockReport),
    /// It is ours, needed and not as it should be.
    Mend { id: Uuid, report: StockReport, flaw: &'static str },
    /// It is ours, and needless.
    Remove { id: Uuid, report: String },
}

/// What is to be done so that ours is there if it is wanted, and no other one of ours.
fn steps(there: &[StockHook], wanted: Option<StockReport>, own: &Own) -> Vec<Step> {
    let mut ours: Vec<&StockHook> = there.iter().filter(|hook| own.is_own(&hook.url)).collect();
    // Of several the one with the right URL stays: the others could not get it (error 30003).
    ours.sort_by_key(|hook| (hook.url != own.url, !hook.enabled));
    let mut kept = None;
    if let Some(report) = wanted {
        kept = Some(match ours.iter().position(|hook| hook.report == report.keyword()) {
            None => Some(Step::Create(report)),
            Some(found) => {
                let hook = ours.remove(found);
                let mend = |flaw| Step::Mend { id: hook.id, report, flaw };
                match (hook.enabled, hook.url == own.url) {
                    (false, _) => Some(mend("switched off")),
                    (true, false) => Some(mend("has an old URL")),
                    (true, true) => None,
                }
            }
        });
    }
    let removals = ours.into_iter().map(|hook| Step::Remove { id: hook.id, report: hook.report.clone() });
    // First, since the number of webhooks is limited.
    removals.chain(kept.flatten()).collect()
}

/// What is wrong with the account's webhooks of stock.
pub(super) async fn flaws(
    api: &AccountApi,
    own: &Own,
    wanted: Option<StockReport>,
) -> Result<Vec<String>, ApiError> {
    let Some(there) = look(api, wanted).await? else {
        return Ok(vec![format!("{TELLS}: the token may not see webhooks of stock")]);
    };
    let flaws = steps(&there, wanted, own).into_iter().map(|step| match step {
        Step::Create(report) => format!("{TELLS} ({}): missing", report.keyword()),
        Step::Mend { report, flaw, .. } => format!("{TELLS} ({}): {flaw}", report.keyword()),
        Step::Remove { report, .. } => format!("{TELLS} ({report}): not needed"),
    });
    Ok(flaws.collect())
}

/// Makes ours as wanted; adds to the report what was done.
pub(super) async fn make_so(
    api: &AccountApi,
    own: &Own,
    wanted: Option<StockReport>,
    report: &mut SetupReport,
) -> Result<(), ApiError> {
    for look_number in 1..=LOOKS {
        let Some(there) = look(api, wanted).await? else {
            report.problems.push(format!("{TELLS}: the token may not see webhooks of stock"));
            return Ok(());
        };
        let steps = steps(&there, wanted, own);
        let needless: Vec<Uuid> = steps
            .iter()
            .filter_map(|step| if let Step::Remove { id, .. } = step { Some(*id) } else { None })
            .collect();
        remove(api, &needless).await?;
        report.removed += needless.len();
        let Some(step) = steps.into_iter().find(|step| !matches!(step, Step::Remove { .. })) else {
            report.kept += usize::from(wanted.is_some());
            return Ok(());
        };
        let created = matches!(step, Step::Create(_));
        match write(api, own, &step).await {
            Ok(()) if created => report.created += 1,
            Ok(()) => report.mended += 1,
            Err(error @ ApiError::TokenRefused { .. }) => return Err(error),
            Err(error) if error.code() == Some(30003) && look_number < LOOKS => continue,
            Err(error) => report.problems.push(wire::explain(&error, &TELLS, &[], own)),
        }
        return Ok(());
    }
    Ok(())
}

/// Removes ours; gives how many there were.
pub(super) async fn delete_all(api: &AccountApi, own: &Own) -> Result<usize, ApiError> {
    let there = look(api, None).await?.unwrap_or_default();
    let ours: Vec<Uuid> = there.iter().filter(|hook| own.is_own(&hook.url)).map(|hook| hook.id).collect();
    remove(api, &ours).await?;
    Ok(ours.len())
}

/// All webhooks of stock, also those of others. A token that may not see them is no trouble where none is wanted, and
/// `None` where one is.
async fn look(api: &AccountApi, wanted: Option<StockReport>) -> Result<Option<Vec<StockHook>>, ApiError> {
    match list(api).await {
        Err(error) if error.is_refusal() => Ok(if wanted.is_some() { None } else { Some(Vec::new()) }),
        there => there.map(Some),
    }
}

async fn list(api: &AccountApi) -> Result<Vec<StockHook>, ApiError> {
    let mut hooks = Vec::new();
    let mut offset = 0;
    loop {
        let query = [("limit", PAGE.to_string()), ("offset", offset.to_string())];
        let reply = api.get("GET /entity/webhookstock", PATH, &query).await?;
        let rows = reply["rows"].as_array().ok_or_else(|| {
            HandlerError::Retry("moysklad: GET /entity/webhookstock gave no rows".to_owned())
        })?;
        rows.iter().try_for_each(|row| api.check_owner(row))?;
        hooks.extend(rows.iter().filter_map(StockHook::read));
        offset += rows.len();
        if rows.len() < PAGE {
            return Ok(hooks);
        }
    }
}

async fn write(api: &AccountApi, own: &Own, step: &Step) -> Result<(), ApiError> {
    let body = json!({"url": own.url, "enabled": true});
    match step {
        Step::Create(report) => {
            let mut body = body;
            body["stockType"] = "stock".into();
            body["reportType"] = report.keyword().into();
            api.post_once("POST /entity/webhookstock", PATH, &body).await.map(drop)
        }
        Step::Mend { id, .. } => {
            api.update("PUT /entity/webhookstock/{id}", &format!("{PATH}/{id}"), &body).await.map(drop)
        }
        Step::Remove { .. } => Ok(()),
    }
}

/// Removes some of ours. One that is gone already is no error.
async fn remove(api: &AccountApi, ids: &[Uuid]) -> Result<(), ApiError> {
    if ids.is_empty() {
        return Ok(());
    }
    let meta = |id: &Uuid| {
        let href = format!("{}{PATH}/{id}", api.base());
        json!({"meta": {"href": href, "type": "webhookstock", "mediaType": "application/json"}})
    };
    let metas = ids.iter().map(meta).collect();
    for one in api.write_many("POST /entity/webhookstock/delete", &format!("{PATH}/delete"), metas).await? {
        match one {
            Ok(_) | Err(ApiError::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://gate.example.com/api/v1/webhooks/moysklad/secret";

    fn own() -> Own {
        Own::new(&"https://gate.example.com/".parse().unwrap(), Some(&"secret".into())).unwrap()
    }

    fn hook(n: u128, report: &str, url: &str) -> StockHook {
        StockHook { id: Uuid::from_u128(n), report: report.to_owned(), url: url.to_owned(), enabled: true }
    }

    #[test]
    fn one_of_the_wanted_report_stays_and_no_other_of_ours() {
        let old = "https://gate.example.com/api/v1/webhooks/moysklad?token=old";
        let there = [
            hook(1, "all", old),
            hook(2, "all", URL),
            hook(3, "bystore", URL),
            hook(4, "all", "https://o.example/x"),
        ];
        let removed =
            |n: u128, report: &str| Step::Remove { id: Uuid::from_u128(n), report: report.to_owned() };
        let all = Some(StockReport::All);
        assert_eq!(steps(&there, all, &own()), [removed(3, "bystore"), removed(1, "all")]);
        assert_eq!(steps(&there, None, &own()).len(), 3, "that of others stays");
        assert_eq!(steps(&there[3..], all, &own()), [Step::Create(StockReport::All)]);
        let mend = |flaw| Step::Mend { id: Uuid::from_u128(1), report: StockReport::All, flaw };
        assert_eq!(steps(&there[..1], all, &own()), [mend("has an old URL")]);
        let mut off = hook(1, "all", URL);
        off.enabled = false;
        assert_eq!(steps(&[off], all, &own()), [mend("switched off")]);
    }
}
