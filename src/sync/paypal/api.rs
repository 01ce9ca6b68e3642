//! Fetching resources from PayPal.

use super::kind::Kind;
use super::object::Id;
use crate::config;
use crate::sync::HandlerError;
use crate::upstream::{Call, ClientCredentials, Policy, Reply, Upstream, UpstreamError};
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde_json::Value;
use std::time::Duration;

/// All calls are those of one REST app.
const PRINCIPAL: &str = "app";

/// PayPal's API with the configured REST app.
pub(super) struct Api {
    upstream: Upstream,
    tokens: ClientCredentials,
}

impl Api {
    /// `None` without the app's id and secret.
    pub(super) fn new(settings: &config::Paypal) -> Option<Self> {
        let (id, secret) = (settings.client_id.as_deref()?, settings.client_secret.as_ref()?);
        let policy = Policy {
            timeout: Duration::from_secs(15),
            units: settings.requests_per_second,
            per: Duration::from_secs(1),
            burst: settings.requests_per_second,
            ..Policy::default()
        };
        let upstream = Upstream::new("paypal", &settings.base_url, policy);
        let (route, path) = ("POST /v1/oauth2/token", "/v1/oauth2/token");
        let tokens = ClientCredentials::new(upstream.clone(), route, path, id, secret);
        Some(Self { upstream, tokens })
    }

    /// The resource as it is now.
    pub(super) async fn fetch(&self, kind: Kind, id: &Id) -> Result<Value, HandlerError> {
        let (_, route) = kind.endpoint();
        let object: Value = match self.get(kind, id).await? {
            Ok(reply) => reply.json()?,
            // Events may be faster than PayPal's own reading side.
            Err(error) if error.status() == Some(404) => {
                return Err(HandlerError::Retry(format!(
                    "{error}: not readable yet, or not of this account or environment (PAYPAL_BASE_URL)"
                )));
            }
            Err(error) => return Err(error.into()),
        };
        if object["id"] != id.as_str() {
            return Err(HandlerError::Retry(format!("paypal: {route} gave another object")));
        }
        Ok(object)
    }

    /// Asks with a token, and once more with a new one if the first is refused: tokens may be revoked before their end.
    async fn get(&self, kind: Kind, id: &Id) -> Result<Result<Reply, UpstreamError>, HandlerError> {
        let bearer = self.tokens.bearer().await.map_err(token_error)?;
        let result = self.get_with(&bearer, kind, id).await;
        if !matches!(&result, Err(error) if error.status() == Some(401)) {
            return Ok(result);
        }
        self.tokens.refused(&bearer).await;
        let bearer = self.tokens.bearer().await.map_err(token_error)?;
        Ok(self.get_with(&bearer, kind, id).await)
    }

    async fn get_with(&self, bearer: &HeaderValue, kind: Kind, id: &Id) -> Result<Reply, UpstreamError> {
        let (path, route) = kind.endpoint();
        let path = format!("{path}/{}", id.as_str());
        let call = Call::new(Method::GET, route, path).header(AUTHORIZATION, bearer.clone());
        self.upstream.call(PRINCIPAL, call).await
    }
}

fn token_error(error: UpstreamError) -> HandlerError {
    match error.status() {
        Some(400 | 401 | 403) => HandlerError::GiveUp(format!(
            "{error} (are PAYPAL_CLIENT_ID and PAYPAL_CLIENT_SECRET those of this environment?)"
        )),
        _ => error.into(),
    }
}
