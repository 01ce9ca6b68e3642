//! The webhooks that accounts need: set up, checked, mended, removed.

mod plan;
mod stock;
mod wire;

pub(super) use plan::{Action, Wanted, of_child, of_main};

use super::accounts::{self, Account, AccountError, Credentials, Role, Status};
use super::api::{self, AccountApi, ApiError};
use super::reconcile::trouble;
use super::settings::{ChildSettings, MainSettings, SettingsError};
use super::work::Work;
use crate::config::Settings;
use crate::crypto::MasterKey;
use crate::db::{Pool, PoolError};
use crate::nodes::Nodes;
use crate::queue::HandlerError;
use diesel_async::AsyncPgConnection;
use plan::{Own, Step};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;
use uuid::Uuid;

/// Why webhooks cannot be looked after.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// MoySklad would take neither the webhooks nor the header that keeps own writes quiet.
    #[error(
        "APP_URL must have a host with a dot, such as https://hooks.example.com: MoySklad refuses any other one in the \
         header that prevents loops, so no webhook is set up"
    )]
    Prefix,
    /// The URL of a webhook would be too long.
    #[error("{0}")]
    Url(String),
    /// It takes no part now.
    #[error("the account is {0}; make it active first")]
    NotActive(&'static str),
    /// Somebody removed them meanwhile.
    #[error(
        "its webhooks are not set up, or were removed meanwhile: run `hookgate webhook setup --account {0}`"
    )]
    Removed(Uuid),
    /// A child's settings cannot be read.
    #[error("account {0}: settings: {1}")]
    Settings(Uuid, SettingsError),
    /// The account, or its secret.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// MoySklad did not do it.
    #[error("{0}")]
    Api(String),
    /// No connection to the database.
    #[error("no connection to the database: {0}")]
    Pool(#[from] PoolError),
}

impl From<diesel::result::Error> for HookError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Account(error.into())
    }
}

/// What a setup did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SetupReport {
    /// Webhooks that were there as they should be.
    pub kept: usize,
    /// Webhooks that were missing.
    pub created: usize,
    /// Ours that were switched off, had an old URL or told too little.
    pub mended: usize,
    /// Ours that are not needed.
    pub removed: usize,
    /// What could not be done, and why.
    pub problems: Vec<String>,
}

impl SetupReport {
    /// Whether anything was not as it should be.
    pub fn changed(&self) -> bool {
        self.created + self.mended + self.removed + self.problems.len() > 0
    }
}

/// What is wrong with an account's webhooks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flaws {
    /// Webhooks that are missing, switched off or otherwise than they should be: something may be lost.
    pub amiss: Vec<String>,
    /// Ours that are not needed any more: what they tell is ignored, and the next check removes them.
    pub needless: Vec<String>,
}

/// Webhooks of accounts.
#[derive(Clone)]
pub struct Hooks {
    work: Work,
}

impl Hooks {
    /// For these settings.
    pub fn new(settings: &Settings, pool: Pool, master_key: Option<MasterKey>, nodes: Nodes) -> Self {
        Self { work: Work::new(settings, pool, master_key, nodes) }
    }

    pub(super) fn of(work: Work) -> Self {
        Self { work }
    }

    /// Refuses what no account's setup could succeed with, before MoySklad is asked anything.
    pub async fn prepare(&self, accounts: &[Uuid]) -> Result<(), HookError> {
        self.check_prefix()?;
        let mut conn = self.work.pool.get().await?;
        for id in accounts {
            let token = accounts::ensure_hook_token(&mut conn, self.work.master_key(), *id).await?;
            Own::new(self.app_url(), Some(&token)).map_err(HookError::Url)?;
        }
        Ok(())
    }

    /// Makes the account's webhooks exactly those that its role and settings need. Those of others are never touched. An
    /// account that was not prepared is refused.
    pub async fn setup(&self, id: Uuid) -> Result<SetupReport, HookError> {
        self.check_prefix()?;
        let (credentials, own, needed) = self.look(id).await?;
        let api = self.api(&credentials).await?;
        let stock = stock::wanted(&credentials.account)?;
        let made = async {
            api.check_token().await?;
            self.learn_uid(&api).await?;
            let mut report = self.make_so(&api, &own, &needed).await?;
            stock::make_so(&api, &own, stock, &mut report).await?;
            Ok(report)
        };
        let made = made.await;
        // Who removes them forgets the secret first and lists them then: what was made after that list is to go, too.
        if !accounts::has_hook_token(&mut *self.work.pool.get().await?, id).await? {
            return match remove_ours(&api, &own).await {
                Ok(_) => Err(HookError::Removed(id)),
                Err(error) => Err(HookError::Api(told(&self.work, &credentials, error).await)),
            };
        }
        match made {
            Ok(report) => Ok(report),
            Err(error) => Err(HookError::Api(match wire::of_account(&error) {
                Some(remedy) => remedy.to_owned(),
                None => told(&self.work, &credentials, error).await,
            })),
        }
    }

    async fn make_so(
        &self,
        api: &AccountApi,
        own: &Own,
        needed: &BTreeSet<Wanted>,
    ) -> Result<SetupReport, ApiError> {
        let mut there = wire::list(api).await?;
        let steps = plan::steps(&there, needed, own);
        let amiss = steps.iter().filter(|step| !matches!(step, Step::Remove { .. })).count();
        let mut report = SetupReport { kept: needed.len() - amiss, ..SetupReport::default() };
        let needless: Vec<Uuid> = steps
            .iter()
            .filter_map(|step| if let Step::Remove { id, .. } = step { Some(*id) } else { None })
            .collect();
        wire::remove(api, &needless).await?;
        report.removed = needless.len();
        for step in &steps {
            let (done, wanted) = match step {
                Step::Remove { .. } => continue,
                Step::Create(wanted) => (wire::create(api, wanted, &own.url).await, wanted),
                Step::Mend { id, wanted, .. } => (wire::mend(api, *id, wanted, &own.url).await, wanted),
            };
            match (done, step) {
                (Ok(()), Step::Create(_)) => report.created += 1,
                (Ok(()), _) => report.mended += 1,
                (Err(error @ ApiError::TokenRefused { .. }), _) => return Err(error),
                // The next one would be refused, too.
                (Err(error), _) if wire::of_account(&error).is_some() => return Err(error),
                // Somebody has just made the same one, another node perhaps: it is ours, whatever else it is.
                (Err(error), Step::Create(_)) if error.code() == Some(30003) => {
                    there = wire::list(api).await?;
                    if self.adopt(api, own, wanted, &there).await? {
                        report.mended += 1;
                    } else {
                        report.problems.push(wire::explain(&error, wanted, &there, own));
                    }
                }
                (Err(error), _) => report.problems.push(wire::explain(&error, wanted, &there, own)),
            }
        }
        Ok(report)
    }

    /// Mends ours among those that are there; false if there is none.
    async fn adopt(
        &self,
        api: &AccountApi,
        own: &Own,
        wanted: &Wanted,
        there: &[plan::Hook],
    ) -> Result<bool, ApiError> {
        let mut found = true;
        for step in plan::steps(there, &BTreeSet::from([*wanted]), own) {
            match step {
                Step::Mend { id, wanted, .. } => wire::mend(api, id, &wanted, &own.url).await?,
                Step::Create(_) => found = false,
                Step::Remove { .. } => {}
            }
        }
        Ok(found)
    }

    /// Removes every webhook of this gateway from the account; those of others stay. Gives how many there were.
    pub async fn delete_all(&self, id: Uuid) -> Result<usize, HookError> {
        let credentials = self.credentials(id).await?;
        let api = self.api(&credentials).await?;
        let mut conn = self.work.pool.get().await?;
        let token = accounts::hook_token(&mut conn, self.work.master_key(), id).await?;
        let own = Own::new(self.app_url(), token.as_ref()).map_err(HookError::Url)?;
        // First: once it is gone, no check sets them up again, and they are found by their URL.
        accounts::forget_hook_token(&mut conn, id).await?;
        drop(conn);
        match remove_ours(&api, &own).await {
            Ok(removed) => Ok(removed),
            Err(error) => Err(HookError::Api(told(&self.work, &credentials, error).await)),
        }
    }

    /// What is wrong with the account's webhooks.
    pub async fn flaws(&self, id: Uuid) -> Result<Flaws, HookError> {
        self.check_prefix()?;
        if !accounts::has_hook_token(&mut *self.work.pool.get().await?, id).await? {
            let text = format!("its webhooks are not set up: run `hookgate webhook setup --account {id}`");
            return Ok(Flaws { amiss: vec![text], needless: Vec::new() });
        }
        let (credentials, own, needed) = self.look(id).await?;
        let api = self.api(&credentials).await?;
        let stock = stock::wanted(&credentials.account)?;
        let looked = async { Ok((wire::list(&api).await?, stock::flaws(&api, &own, stock).await?)) };
        let (there, of_stock) = match looked.await {
            Ok(found) => found,
            Err(error) => return Err(HookError::Api(told(&self.work, &credentials, error).await)),
        };
        let mut flaws = Flaws { amiss: of_stock, needless: Vec::new() };
        if let Some(text) = trouble(&mut *self.work.pool.get().await?, id).await? {
            flaws.amiss.push(format!("its last sweep: {text}"));
        }
        for step in plan::steps(&there, &needed, &own) {
            match step {
                Step::Create(wanted) => flaws.amiss.push(format!("{wanted}: missing")),
                Step::Mend { wanted, flaw, .. } => flaws.amiss.push(format!("{wanted}: {flaw}")),
                Step::Remove { what, .. } => flaws.needless.push(what),
            }
        }
        Ok(flaws)
    }

    /// An active account, the URL of its webhooks, and which it needs.
    async fn look(&self, id: Uuid) -> Result<(Credentials, Own, BTreeSet<Wanted>), HookError> {
        let credentials = self.credentials(id).await?;
        if credentials.account.status != Status::Active {
            return Err(HookError::NotActive(credentials.account.status.as_str()));
        }
        let mut conn = self.work.pool.get().await?;
        // Not made here: who has just removed the webhooks must not find them there again.
        let token = accounts::hook_token(&mut conn, self.work.master_key(), id).await?;
        let token = token.ok_or(HookError::Removed(id))?;
        let own = Own::new(self.app_url(), Some(&token)).map_err(HookError::Url)?;
        let needed = needed(&mut conn, &credentials.account).await?;
        Ok((credentials, own, needed))
    }

    async fn credentials(&self, id: Uuid) -> Result<Credentials, HookError> {
        let found = accounts::credentials(&mut *self.work.pool.get().await?, id).await?;
        Ok(found.ok_or(AccountError::Unknown)?)
    }

    async fn api(&self, credentials: &Credentials) -> Result<AccountApi, HookError> {
        match self.work.api(credentials) {
            Ok(api) => Ok(api),
            Err(error) => Err(HookError::Api(told(&self.work, credentials, error).await)),
        }
    }

    /// Notes whom the token acts as, if it is one of this account; without that knowledge only a second line of defence is
    /// missing.
    async fn learn_uid(&self, api: &AccountApi) -> Result<(), ApiError> {
        let text = |reply: Value, name: &str| reply[name].as_str().map(str::to_owned);
        let uid = match api.get("GET /context/employee", "/context/employee", &[]).await {
            Ok(employee) => {
                api.check_owner(&employee)?;
                text(employee, "uid")
            }
            Err(error @ ApiError::TokenRefused { .. }) => return Err(error),
            // Error 55006: it is a solution's.
            Err(_) => match api.get("GET /context/application", "/context/application", &[]).await {
                Ok(application) => text(application, "appUid"),
                Err(error) => {
                    tracing::debug!(account = %api.id(), %error, "whom the token acts as is not known");
                    None
                }
            },
        };
        if let (Some(uid), Ok(mut conn)) = (uid, self.work.pool.get().await)
            && let Err(error) = accounts::set_own_uid(&mut conn, api.id(), &uid).await
        {
            tracing::warn!(account = %api.id(), error = crate::db::error_kind(&error), "an account's uid is not noted");
        }
        Ok(())
    }

    fn app_url(&self) -> &url::Url {
        &self.work.settings.receiver.app_url
    }

    fn check_prefix(&self) -> Result<(), HookError> {
        if api::is_accepted_prefix(self.app_url()) { Ok(()) } else { Err(HookError::Prefix) }
    }
}

/// Removes every webhook of this gateway; gives how many there were.
async fn remove_ours(api: &AccountApi, own: &Own) -> Result<usize, ApiError> {
    let there = wire::list(api).await?;
    let ours: Vec<Uuid> = plan::own_among(&there, own).iter().map(|hook| hook.id).collect();
    wire::remove(api, &ours).await?;
    Ok(ours.len() + stock::delete_all(api, own).await?)
}

/// An error in words; a dead token suspends its account.
pub(super) async fn told(work: &Work, credentials: &Credentials, error: ApiError) -> String {
    if matches!(error, ApiError::TokenRefused { .. })
        && let Ok(mut conn) = work.pool.get().await
        && accounts::suspend(&mut conn, credentials).await.unwrap_or_default()
    {
        tracing::warn!(account = %credentials.account.account_id, "{error}: the account is suspended");
    }
    match error {
        ApiError::Work(HandlerError::Defer { reason, .. }) => reason,
        error => error.to_string(),
    }
}

/// The webhooks that an account needs; the same tell a sweep what to look for.
pub(super) async fn needed(
    conn: &mut AsyncPgConnection,
    account: &Account,
) -> Result<BTreeSet<Wanted>, HookError> {
    let read = |account: &Account| {
        ChildSettings::read(&account.settings).map_err(|error| HookError::Settings(account.account_id, error))
    };
    let (mut needed, emitted) = match account.role {
        Role::Child => {
            let settings = read(account)?;
            (of_child(&settings), settings.emit)
        }
        Role::Main => {
            let children = accounts::children(conn, account.account_id).await?;
            let (off, taking_part): (Vec<_>, Vec<_>) =
                children.iter().partition(|child| child.status == Status::Inactive);
            let own = MainSettings::read(&account.settings)
                .map_err(|error| HookError::Settings(account.account_id, error))?;
            let taking_part: Vec<_> = taking_part.into_iter().map(read).collect::<Result<_, _>>()?;
            let mut needed = of_main(&taking_part);
            // What becomes of the orders of one that is switched off waits for it, and is told only once.
            if off.into_iter().filter_map(|child| read(child).ok()).any(|child| plan::follows_states(&child))
            {
                needed.extend(plan::of_states());
            }
            (needed, own.emit)
        }
    };
    needed.extend(plan::of_emitted(&emitted));
    Ok(needed)
}
