//! Fetching objects from Stripe.

use super::kind::Kind;
use crate::config;
use crate::sync::HandlerError;
use crate::upstream::{Call, Policy, Upstream, UpstreamError};
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

/// Names the connected account whose object is meant.
const STRIPE_ACCOUNT: HeaderName = HeaderName::from_static("stripe-account");
/// Stripe counts calls for the platform's account, whichever connected account they are about.
const PRINCIPAL: &str = "platform";

/// Stripe's API with the configured key.
pub(super) struct Api {
    upstream: Upstream,
    key: SecretString,
}

impl Api {
    /// `None` without a key.
    pub(super) fn new(settings: &config::Stripe) -> Option<Self> {
        let key = settings.api_key.clone()?;
        let policy = policy(settings.requests_per_second);
        Some(Self { upstream: Upstream::new("stripe", &settings.base_url, policy), key })
    }

    /// The object as it is now; `None` if there is none any more. `account` is the connected account it belongs to.
    pub(super) async fn fetch(
        &self,
        kind: Kind,
        id: &str,
        account: Option<&str>,
    ) -> Result<Option<Value>, HandlerError> {
        let (path, route) = kind.endpoint();
        let mut call =
            Call::new(Method::GET, route, format!("{path}/{id}")).header(AUTHORIZATION, self.bearer()?);
        if let Some(account) = account {
            call = call.header(STRIPE_ACCOUNT, header(account)?);
        }
        let object: Value = match self.upstream.call(PRINCIPAL, call).await {
            Ok(reply) => reply.json()?,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if object["id"] != id {
            return Err(HandlerError::Retry(format!("stripe: {route} gave another object")));
        }
        // What is left of a customer is a stub that says so.
        Ok((object["deleted"] != true).then_some(object))
    }

    fn bearer(&self) -> Result<HeaderValue, HandlerError> {
        let mut value = header(&format!("Bearer {}", self.key.expose_secret()))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

fn policy(requests_per_second: u32) -> Policy {
    Policy {
        timeout: Duration::from_secs(15),
        units: requests_per_second,
        per: Duration::from_secs(1),
        // Stripe counts within a second, whose start is not known: burst and refill together must fit into one.
        // With the default they make 25, its limit for one endpoint.
        burst: (requests_per_second / 4).max(1),
        ..Policy::default()
    }
}

fn header(text: &str) -> Result<HeaderValue, HandlerError> {
    HeaderValue::from_str(text).map_err(|_| {
        HandlerError::GiveUp("STRIPE_API_KEY holds characters that no header can carry".to_owned())
    })
}

/// Whether Stripe says that there is no such object. A 404 without its code comes from something else at that address,
/// a wrong `STRIPE_BASE_URL` say, and must not pass for a deleted object.
fn is_missing(error: &UpstreamError) -> bool {
    #[derive(Deserialize)]
    struct Body {
        error: Detail,
    }
    #[derive(Deserialize)]
    struct Detail {
        code: Option<String>,
    }
    let body = error.body().filter(|_| error.status() == Some(404));
    body.and_then(|body| serde_json::from_slice::<Body>(body).ok())
        .is_some_and(|body| body.error.code.as_deref() == Some("resource_missing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// That no second sees more than the two together is shown where limits are kept (`upstream/limit.rs`).
    #[test]
    fn the_burst_and_the_refill_of_a_second_are_what_one_endpoint_allows() {
        let policy = policy(20);
        assert_eq!((policy.per, policy.units + policy.burst), (Duration::from_secs(1), 25));
    }
}
