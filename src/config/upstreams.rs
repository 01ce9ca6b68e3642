//! APIs that only some events need to be looked up at: PayPal, Twilio, SNS.

use super::values::{minutes, positive, seconds, secret, secrets, url};
use super::{ConfigError, Source};
use secrecy::SecretString;
use std::path::PathBuf;
use url::Url;

/// PayPal's REST API.
#[derive(Clone, Debug)]
pub struct Paypal {
    /// `PAYPAL_CLIENT_ID` of the REST app; unset: nothing is done with events.
    pub client_id: Option<String>,
    /// `PAYPAL_CLIENT_SECRET` of the REST app; unset: nothing is done with events.
    pub client_secret: Option<SecretString>,
    /// `PAYPAL_BASE_URL`; `/v1/…` and `/v2/…` are appended.
    pub base_url: Url,
    /// `PAYPAL_REQUESTS_PER_SECOND`. PayPal publishes no figure, only that it answers 429.
    pub requests_per_second: u32,
}

impl Paypal {
    pub(super) fn read(source: &Source) -> Result<Self, ConfigError> {
        Ok(Self {
            client_id: source.get("PAYPAL_CLIENT_ID").map(|id| id.trim().to_owned()),
            client_secret: secret(source, &["PAYPAL_CLIENT_SECRET"]),
            base_url: url(source, "PAYPAL_BASE_URL", "https://api-m.paypal.com")?,
            requests_per_second: positive(source, "PAYPAL_REQUESTS_PER_SECOND", 10)?,
        })
    }
}

/// Where keys and certificates that prove requests come from.
#[derive(Clone, Debug)]
pub struct Keys {
    /// `HOOKGATE_KEY_ROOTS`: PEM file of further certificate authorities for providers' certificates.
    pub roots: Option<PathBuf>,
    /// `HOOKGATE_KEY_INTERMEDIATES`: PEM file of intermediates, for senders who give their leaf alone.
    pub intermediates: Option<PathBuf>,
    /// `HOOKGATE_KEY_HOSTS`: `HOST=URL`, comma-separated: where something else stands in for a host that keys are fetched
    /// from, as in tests.
    pub hosts: String,
}

impl Keys {
    pub(super) fn read(source: &Source) -> Self {
        Self {
            roots: source.get("HOOKGATE_KEY_ROOTS").map(PathBuf::from),
            intermediates: source.get("HOOKGATE_KEY_INTERMEDIATES").map(PathBuf::from),
            hosts: source.get("HOOKGATE_KEY_HOSTS").unwrap_or_default(),
        }
    }
}

/// Twilio's REST API.
#[derive(Clone, Debug)]
pub struct Twilio {
    /// `TWILIO_ACCOUNT_SID`; unset: the signed callbacks alone tell what became of a message.
    pub account_sid: Option<String>,
    /// `TWILIO_AUTH_TOKEN`: the first of them where a rotation has several.
    pub auth_token: Option<SecretString>,
    /// `TWILIO_BASE_URL`; `/2010-04-01/…` is appended.
    pub base_url: Url,
    /// `TWILIO_REQUESTS_PER_SECOND`.
    pub requests_per_second: u32,
}

impl Twilio {
    pub(super) fn read(source: &Source) -> Result<Self, ConfigError> {
        Ok(Self {
            account_sid: source.get("TWILIO_ACCOUNT_SID").map(|sid| sid.trim().to_owned()),
            auth_token: secrets(source, &["TWILIO_AUTH_TOKEN"]).into_iter().next(),
            base_url: url(source, "TWILIO_BASE_URL", "https://api.twilio.com")?,
            requests_per_second: positive(source, "TWILIO_REQUESTS_PER_SECOND", 20)?,
        })
    }
}

/// Amazon SNS.
#[derive(Clone, Debug)]
pub struct Sns {
    /// `SNS_TOPIC_ARNS`: topics whose subscriptions are confirmed, comma-separated; none: no subscription is.
    pub topic_arns: Vec<String>,
    /// `SNS_BASE_URL`: the only origin that subscriptions are confirmed at, instead of Amazon's own hosts. For tests
    /// against a simulator.
    pub base_url: Option<Url>,
}

impl Sns {
    pub(super) fn read(source: &Source) -> Result<Self, ConfigError> {
        let arns = source.get("SNS_TOPIC_ARNS").unwrap_or_default();
        Ok(Self {
            topic_arns: arns
                .split(',')
                .map(str::trim)
                .filter(|arn| !arn.is_empty())
                .map(str::to_owned)
                .collect(),
            base_url: match source.get("SNS_BASE_URL") {
                Some(_) => Some(url(source, "SNS_BASE_URL", "")?),
                None => None,
            },
        })
    }
}

/// What is looked after in MoySklad accounts without an event.
#[derive(Clone, Copy, Debug)]
pub struct MoyskladWatch {
    /// `MOYSKLAD_HOOK_CHECK_MINUTES`: how often an account's webhooks are checked and mended.
    pub hook_check: std::time::Duration,
    /// `MOYSKLAD_RECONCILE_MINUTES`: how often an account is asked for what no webhook told of.
    pub reconcile: std::time::Duration,
    /// `MOYSKLAD_LOOP_WRITES`: how many own writes to one entity may come back as webhooks within ten minutes.
    pub loop_writes: u32,
    /// `MOYSKLAD_RESTORE_SECONDS`: how long what a child has deleted stays away before it comes back from main; its user
    /// may be tidying up.
    pub restore: std::time::Duration,
}

impl MoyskladWatch {
    pub(super) fn read(source: &Source) -> Result<Self, ConfigError> {
        Ok(Self {
            hook_check: minutes(source, "MOYSKLAD_HOOK_CHECK_MINUTES", 60)?,
            reconcile: minutes(source, "MOYSKLAD_RECONCILE_MINUTES", 30)?,
            loop_writes: positive(source, "MOYSKLAD_LOOP_WRITES", 2)?,
            restore: seconds(source, "MOYSKLAD_RESTORE_SECONDS", 60)?,
        })
    }
}
