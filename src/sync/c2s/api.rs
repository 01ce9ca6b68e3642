//! The two calls that the enrichment makes at C2S (facts/c2s-stripe-paypal-twilio.md 1.1 and 1.3).

use crate::config;
use crate::queue::HandlerError;
use crate::upstream::{Call, Policy, Upstream, UpstreamError};
use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue, InvalidHeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use std::time::Duration;

/// Its documentation knows both headers, and its users report either as the one that works.
const AUTHENTICATION: HeaderName = HeaderName::from_static("authentication");

/// C2S's API.
pub(super) struct C2sApi {
    upstream: Upstream,
    bearer: HeaderValue,
    token: HeaderValue,
}

impl C2sApi {
    /// The API of the settings, with a company's token.
    pub(super) fn new(settings: &config::C2s, token: &SecretString) -> Result<Self, InvalidHeaderValue> {
        let policy = Policy {
            timeout: Duration::from_secs(15),
            units: settings.requests_per_minute,
            per: Duration::from_secs(60),
            burst: 5,
            parallel: 2,
            max_wait: Duration::from_secs(20),
            breaker_pause: Duration::from_secs(60),
            ..Policy::default()
        };
        let secret = |text: &str| {
            HeaderValue::from_str(text).map(|mut value| {
                value.set_sensitive(true);
                value
            })
        };
        Ok(Self {
            upstream: Upstream::new("c2s", &settings.base_url, policy),
            bearer: secret(&format!("Bearer {}", token.expose_secret()))?,
            token: secret(token.expose_secret())?,
        })
    }

    /// The lead with its messages, as C2S writes it.
    pub(super) async fn lead(&self, id: &LeadId<'_>) -> Result<Bytes, UpstreamError> {
        let path = format!("/integration/leads/{}", id.0);
        Ok(self.call(Call::new(Method::GET, "GET /integration/leads/{id}", path)).await?.body)
    }

    /// Puts a message on the lead's timeline, for its sellers. Never repeated by itself: C2S would show it twice.
    pub(super) async fn create_message(&self, id: &LeadId<'_>, text: &str) -> Result<(), UpstreamError> {
        let path = format!("/integration/leads/{}/create_message", id.0);
        let call = Call::new(Method::POST, "POST /integration/leads/{id}/create_message", path);
        self.call(call.json(&serde_json::json!({ "body": text }))).await?;
        Ok(())
    }

    async fn call(&self, call: Call) -> Result<crate::upstream::Reply, UpstreamError> {
        let call = call.header(AUTHORIZATION, self.bearer.clone()).header(AUTHENTICATION, self.token.clone());
        self.upstream.call("company", call).await
    }
}

/// A lead's id that can stand in a path.
pub(super) struct LeadId<'a>(&'a str);

impl<'a> LeadId<'a> {
    /// The client encodes everything else; these two would lead to another path.
    pub(super) fn new(id: &'a str) -> Option<Self> {
        (!id.is_empty() && !id.contains(['/', '%'])).then_some(Self(id))
    }

    /// The id.
    pub(super) fn as_str(&self) -> &str {
        self.0
    }
}

/// Whether the call surely changed nothing: it was not made, or C2S refused it.
pub(super) fn was_refused(error: &UpstreamError) -> bool {
    error.wait().is_some() || matches!(error.status(), Some(400..=407 | 409..=499))
}

/// What a failed call means for the event. A refused token is retried: C2S has given 403 for a while without cause, and
/// after the last attempt the event waits for an operator.
pub(super) fn handler_error(error: UpstreamError) -> HandlerError {
    match error.status() {
        Some(401 | 403) => HandlerError::Retry(format!("{error} (is the token in C2S_TOKEN valid?)")),
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_cannot_lead_to_another_path() {
        for good in ["77", "0b4e2f1c9a8d7e6f5a4b3c2d1e0f9a8b", "lead 1:é"] {
            assert_eq!(LeadId::new(good).map(|id| id.0), Some(good));
        }
        for bad in ["", "a/b", "../b", "a%2fb"] {
            assert!(LeadId::new(bad).is_none(), "{bad}");
        }
    }
}
