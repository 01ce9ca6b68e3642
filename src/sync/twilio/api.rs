//! Looking at a message in Twilio's API (facts 3.5).

use super::callback::Callback;
use crate::config;
use crate::sync::messages::{Direction, ErrorCode, Status};
use crate::upstream::{Call, Policy, Upstream, UpstreamError, basic};
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde::Deserialize;
use std::time::Duration;

/// Twilio's API with an account's token.
pub(super) struct Api {
    upstream: Upstream,
    account: String,
    basic: HeaderValue,
}

/// What a message shows. Its numbers and its text are not read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// Its status.
    pub(super) status: Status,
    /// Why it did not arrive.
    pub(super) error_code: Option<ErrorCode>,
    /// Which way it goes.
    pub(super) direction: Direction,
}

#[derive(Deserialize)]
struct Resource {
    sid: String,
    status: String,
    direction: Option<String>,
    error_code: Option<i64>,
}

const ROUTE: &str = "GET /2010-04-01/Accounts/{sid}/Messages/{sid}.json";

impl Api {
    /// `None` without an account and its token.
    pub(super) fn new(settings: &config::Twilio) -> Option<Self> {
        let account = settings.account_sid.clone().filter(|sid| is_sid(sid))?;
        let basic = basic(&account, settings.auth_token.as_ref()?);
        let policy = Policy {
            timeout: Duration::from_secs(5),
            // A look is a bonus: nothing should wait long for it.
            tries: 1,
            units: settings.requests_per_second,
            per: Duration::from_secs(1),
            burst: settings.requests_per_second,
            max_wait: Duration::from_millis(500),
            ..Policy::default()
        };
        Some(Self { upstream: Upstream::new("twilio", &settings.base_url, policy), account, basic })
    }

    /// The message as it is now; `None` if it is gone, of another account, or of a status that is not known here.
    pub(super) async fn message(&self, callback: &Callback) -> Result<Option<Seen>, UpstreamError> {
        let (id, account) = (callback.message_id.as_str(), &self.account);
        if !is_sid(id) || callback.account.as_ref().is_some_and(|own| own != account) {
            return Ok(None);
        }
        let path = format!("/2010-04-01/Accounts/{account}/Messages/{id}.json");
        let call = Call::new(Method::GET, ROUTE, path).header(AUTHORIZATION, self.basic.clone());
        match self.upstream.call(account, call).await {
            Ok(reply) => Ok(seen(id, &reply.json()?)),
            // Messages may be deleted at any time.
            Err(error) if error.status() == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn seen(id: &str, resource: &Resource) -> Option<Seen> {
    let inbound = resource.direction.as_deref() == Some("inbound");
    let code = resource.error_code.filter(|code| *code != 0);
    (resource.sid == id).then_some(())?;
    Some(Seen {
        status: Status::from_name(&resource.status)?,
        error_code: code.and_then(|code| ErrorCode::new(&code.to_string())),
        direction: if inbound { Direction::Inbound } else { Direction::Outbound },
    })
}

/// Two letters and 32 hexadecimal digits. Nothing else goes into a path.
fn is_sid(text: &str) -> bool {
    let (kind, digits) = text.split_at_checked(2).unwrap_or_default();
    kind.bytes().all(|byte| byte.is_ascii_uppercase())
        && digits.len() == 32
        && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(direction: &str, status: &str, error_code: Option<i64>) -> Resource {
        let (sid, direction) = ("SM1".to_owned(), Some(direction.to_owned()));
        Resource { sid, status: status.to_owned(), direction, error_code }
    }

    #[test]
    fn a_message_shows_its_status_direction_and_code() {
        let shown = seen("SM1", &resource("outbound-api", "undelivered", Some(30003))).unwrap();
        assert_eq!((shown.status, shown.direction), (Status::Undelivered, Direction::Outbound));
        assert_eq!(shown.error_code, ErrorCode::new("30003"));
        let shown = seen("SM1", &resource("inbound", "received", None)).unwrap();
        assert_eq!((shown.direction, shown.error_code), (Direction::Inbound, None));
    }

    #[test]
    fn another_message_and_an_unknown_status_show_nothing() {
        assert_eq!(seen("SM2", &resource("inbound", "received", None)), None);
        assert_eq!(seen("SM1", &resource("inbound", "teleported", None)), None);
    }

    #[test]
    fn a_sid_is_letters_and_hexadecimal_digits() {
        assert!(is_sid("SM0123456789abcdef0123456789abcdef"));
        for bad in [
            "",
            "SM",
            "sm0123456789abcdef0123456789abcdef",
            "SM0123456789abcdef0123456789abcdeg",
            "SM0123456789abcdef0123456789abcde/",
            "SM0123456789abcdef0123456789abcdef0",
            "é0123456789abcdef0123456789abcdef",
        ] {
            assert!(!is_sid(bad), "{bad}");
        }
    }
}
