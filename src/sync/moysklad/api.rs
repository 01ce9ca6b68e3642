//! MoySklad's JSON API 1.2: one client for all accounts, what one account sees of it, its limits, what its errors mean.

mod account;
mod error;
mod limits;
mod owners;

pub(super) use account::{AccountApi, LONGEST};
pub(super) use error::{ApiError, NOT_ALLOWED};

use crate::config::{Moysklad, Settings};
use crate::nodes::{Nodes, Standing};
use crate::queue::HandlerError;
use crate::upstream::Upstream;
use limits::{policy, share};
use owners::Owners;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use url::{Host, Url};
use uuid::Uuid;

/// Of a small request.
const TIMEOUT: Duration = Duration::from_secs(30);

/// MoySklad for all accounts: connections, limits, circuits.
#[derive(Clone)]
pub(super) struct Gateway {
    upstream: Upstream,
    nodes: Nodes,
    whole: Arc<Moysklad>,
    base: String,
    own_webhooks: HeaderValue,
    weight: u32,
    owners: Owners,
}

impl Gateway {
    pub(super) fn new(settings: &Settings, nodes: Nodes) -> Self {
        let moysklad = &settings.moysklad;
        let own_webhooks = webhook_prefix(&settings.receiver.app_url);
        let whole = Arc::new(moysklad.clone());
        let limits = whole.clone();
        let limits = move |standing| share(&limits, standing).as_ref().map(policy);
        Self {
            upstream: Upstream::shared("moysklad", &moysklad.base_url, policy(moysklad), &nodes, limits),
            nodes,
            whole,
            base: moysklad.base_url.as_str().trim_end_matches('/').to_owned(),
            // A URL is visible ASCII, so this cannot fail; the default keeps the write and loses only the muting.
            own_webhooks: HeaderValue::from_str(&own_webhooks).unwrap_or(HeaderValue::from_static("")),
            weight: moysklad.request_weight,
            owners: Owners::default(),
        }
    }

    /// What this process may use of MoySklad's limits now; `None`: nothing, so that work is left to others.
    pub(super) fn share(&self) -> Option<Moysklad> {
        share(&self.whole, self.nodes.standing()?)
    }

    /// Whether this process may make calls now.
    pub(super) fn has_share(&self) -> bool {
        self.nodes.standing().is_some_and(|standing| standing.rank < self.whole.shares())
    }

    /// The place of this process among those that share, once it has one; waits at most `limit` for it.
    pub(super) async fn admitted(&self, limit: Duration) -> Option<Standing> {
        self.nodes.admitted(limit).await;
        self.nodes.standing()
    }

    /// The API as the owner of this token sees it.
    pub(super) fn account(&self, id: Uuid, token: &SecretString) -> Result<AccountApi, ApiError> {
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))
            .map_err(|_| ApiError::TokenRefused { account: id, owner: None })?;
        authorization.set_sensitive(true);
        let is_own = self.owners.of(id, token);
        Ok(AccountApi::new(self.clone(), id, authorization, is_own))
    }
}

/// `APP_URL` without a trailing slash: the prefix of every webhook URL of this gateway.
fn webhook_prefix(app_url: &Url) -> String {
    app_url.as_str().trim_end_matches('/').to_owned()
}

/// Whether MoySklad accepts this `APP_URL` in the loop-prevention header: it wants a scheme and a complete host, and
/// refuses one without a dot, such as `localhost`.
pub fn is_accepted_prefix(app_url: &Url) -> bool {
    match app_url.host() {
        Some(Host::Domain(name)) => name.trim_end_matches('.').contains('.'),
        Some(Host::Ipv4(_)) => true,
        Some(Host::Ipv6(_)) | None => false,
    }
}

/// The id at the end of an entity's href.
pub(super) fn id_of(reference: &Value) -> Option<Uuid> {
    let href = reference.get("meta")?.get("href")?.as_str()?;
    let path = href.split(['?', '#']).next()?;
    path.rsplit('/').next()?.parse().ok()
}

/// The id of an entity that the API gave.
pub(super) fn id_of_entity(entity: &Value) -> Result<Uuid, ApiError> {
    let id = entity["id"].as_str().and_then(|id| id.parse().ok());
    id.ok_or_else(|| HandlerError::Retry("moysklad: an entity came without its id".to_owned()).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_prefix_needs_a_dotted_host() {
        for (url, accepted) in [
            ("https://hooks.example.com", true),
            ("http://127.0.0.1:8080", true),
            ("http://localhost:8080", false),
            ("http://localhost.:8080", false),
            ("http://[::1]:8080", false),
        ] {
            assert_eq!(is_accepted_prefix(&Url::parse(url).unwrap()), accepted, "{url}");
        }
    }

    #[test]
    fn the_prefix_is_what_app_url_says() {
        for (url, prefix) in [
            ("https://hooks.example.com", "https://hooks.example.com"),
            ("https://hooks.example.com/", "https://hooks.example.com"),
            ("https://hooks.example.com/base", "https://hooks.example.com/base"),
        ] {
            assert_eq!(webhook_prefix(&Url::parse(url).unwrap()), prefix);
        }
    }

    #[test]
    fn an_id_is_the_last_segment_of_an_href() {
        let id = Uuid::from_u128(7);
        let meta = |href: String| json!({"meta": {"href": href, "type": "product"}});
        assert_eq!(id_of(&meta(format!("https://h/entity/product/{id}"))), Some(id));
        assert_eq!(id_of(&meta(format!("https://h/entity/product/{id}?expand=uom"))), Some(id));
        assert_eq!(id_of(&meta("https://h/entity/product".to_owned())), None);
        assert_eq!(id_of(&json!({})), None);
    }
}
