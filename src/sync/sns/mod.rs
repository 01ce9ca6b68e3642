//! What Amazon SNS's messages set in motion: the subscription of a topic that is allowed is confirmed.
//!
//! Anybody with an Amazon account can make SNS sign a request to confirm a subscription to a topic of theirs. So a topic
//! must be named in `SNS_TOPIC_ARNS` before its subscription is confirmed. Notifications are kept as received.

mod confirmation;

use crate::config::{self, Settings};
use crate::sync::{Context, Event, Handler, HandlerError, Outcome};
use crate::upstream::{Call, Policy, Upstream};
use confirmation::{Confirmation, Refusal};
use reqwest::Method;
use std::time::Duration;

/// Handles SNS's messages.
pub struct SnsHandler {
    settings: config::Sns,
}

impl SnsHandler {
    /// A handler that confirms subscriptions to the topics of the settings.
    pub fn new(settings: &Settings) -> Self {
        Self { settings: settings.sns.clone() }
    }
}

#[async_trait::async_trait]
impl Handler for SnsHandler {
    fn provider(&self) -> &'static str {
        "sns"
    }

    /// A subscription is confirmed by what its message holds, with no account.
    fn serves_instances(&self) -> bool {
        true
    }

    fn wants(&self, event_type: &str) -> bool {
        event_type == "SubscriptionConfirmation"
    }

    async fn handle(&self, event: &Event, _: &Context) -> Result<Outcome, HandlerError> {
        let confirmation = match Confirmation::read(&event.body, &self.settings) {
            Ok(confirmation) => confirmation,
            Err(refusal @ Refusal::NotAllowed { .. }) => return Ok(Outcome::ignored(refusal.to_string())),
            Err(refusal) => return Err(HandlerError::GiveUp(refusal.to_string())),
        };
        let topic = &confirmation.topic;
        let policy = Policy { timeout: Duration::from_secs(10), max_reply: 64 << 10, ..Policy::default() };
        // Subscriptions are confirmed once in a topic's life, so a client need not be kept.
        let upstream = Upstream::new("sns", &confirmation.origin, policy);
        // Made anew from what was checked: nothing else of the given URL is sent anywhere. A second time does no harm.
        let call = Call::new(Method::GET, "GET /?Action=ConfirmSubscription", "/")
            .query("Action", "ConfirmSubscription")
            .query("TopicArn", topic)
            .query("Token", &confirmation.token);
        upstream.call(topic, call).await?;
        Ok(Outcome::completed(format!("confirmed the subscription to {topic}")))
    }
}
