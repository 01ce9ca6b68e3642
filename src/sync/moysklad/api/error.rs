//! What an error of MoySklad's API means for the work, by its code and status.

use super::limits::WINDOW;
use crate::queue::HandlerError;
use crate::sync::tasks::BLOCKED;
use crate::upstream::{Told, UpstreamError};
use serde_json::Value;
use std::time::Duration;
use uuid::Uuid;

/// Too many requests are in flight, of this token or of all that use the account.
const TOO_MANY_AT_ONCE: u64 = 1073;

/// Why a request was never sent, as the transport says it.
const CANNOT_CONNECT: &str = "cannot connect";

/// What an error of the API means for the work.
#[derive(Debug, thiserror::Error)]
pub(in crate::sync::moysklad) enum ApiError {
    /// The account's token is not (or no longer) good.
    #[error("{}", refused(*account, *owner))]
    TokenRefused {
        /// Whose.
        account: Uuid,
        /// It is good, but this account's.
        owner: Option<Uuid>,
    },
    /// The entity, or one that the body refers to, is not in this account.
    #[error("{0}")]
    NotFound(String),
    /// The token's user, or the tariff, may not do this with entities of this type (facts/moysklad.md 4.8). It may later, without
    /// anybody telling.
    #[error("account {account} may not do this: {text}: {}; it goes on by itself then", may_not(*.code))]
    NotAllowed {
        /// Whose.
        account: Uuid,
        /// MoySklad's reason.
        code: u64,
        /// What was asked, and what came of it.
        text: String,
    },
    /// No answer came, or that of a server in trouble (5xx): asked again later, it may go well.
    #[error("{text}")]
    Unanswered {
        /// What was asked, and what came of it.
        text: String,
        /// Whether it may be at work on the request still, so that what it has now is not the end of it.
        still: bool,
    },
    /// Anything else.
    #[error(transparent)]
    Work(#[from] HandlerError),
}

fn refused(account: Uuid, owner: Option<Uuid>) -> String {
    match owner {
        None => format!("MoySklad refused the token of account {account}"),
        Some(owner) => {
            format!("the token of account {account} is that of account {owner}: set the right one")
        }
    }
}

/// No right to see, change, delete or make entities of a type.
const NO_RIGHT: [u64; 4] = [1016, 1017, 1018, 1045];
/// Not in the account's tariff.
const NOT_IN_TARIFF: [u64; 2] = [1070, 47_000];

fn may_not(code: u64) -> &'static str {
    if NO_RIGHT.contains(&code) {
        "give the user or solution whose token it is this right in MoySklad"
    } else {
        "the account's tariff has to include it, and to be paid"
    }
}

/// What may not be done is tried again after this time.
pub(in crate::sync::moysklad) const NOT_ALLOWED: Duration = Duration::from_secs(15 * 60);

impl ApiError {
    /// MoySklad's code of the error, if it gave one.
    pub(in crate::sync::moysklad) fn code(&self) -> Option<u64> {
        let text = match self {
            Self::TokenRefused { .. } => return Some(1056),
            Self::NotAllowed { code, .. } => return Some(*code),
            Self::NotFound(text)
            | Self::Unanswered { text, .. }
            | Self::Work(
                HandlerError::Retry(text)
                | HandlerError::GiveUp(text)
                | HandlerError::Defer { reason: text, .. },
            ) => text,
        };
        // As [`sort`] writes it.
        text.rsplit_once("(code ")?.1.strip_suffix(')')?.parse().ok()
    }

    /// Whether trying again changes nothing.
    pub(in crate::sync::moysklad) fn is_final(&self) -> bool {
        matches!(self, Self::NotFound(_) | Self::Work(HandlerError::GiveUp(_)))
    }

    /// Whether the answer is no, and not that there was none.
    pub(in crate::sync::moysklad) fn is_refusal(&self) -> bool {
        self.is_final() || matches!(self, Self::NotAllowed { .. })
    }

    /// Whether MoySklad gave this code as the reason.
    pub(in crate::sync::moysklad) fn has_code(&self, code: u64) -> bool {
        matches!(self, Self::Work(HandlerError::GiveUp(text)) | Self::NotFound(text) if text.contains(&format!("(code {code})")))
    }
}

impl From<ApiError> for HandlerError {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Work(error) => error,
            ApiError::Unanswered { text, .. } => Self::Retry(text),
            ApiError::NotAllowed { .. } => {
                Self::Defer { after: NOT_ALLOWED, reason: format!("{BLOCKED}: {error}") }
            }
            ApiError::TokenRefused { .. } | ApiError::NotFound(_) => Self::GiveUp(error.to_string()),
        }
    }
}

/// Codes of facts/moysklad.md 4.8; texts are translated and never looked at.
pub(super) fn sort(error: UpstreamError, account: Uuid) -> ApiError {
    let body: Option<Value> = error.body().and_then(|body| serde_json::from_slice(body).ok());
    let code = body.as_ref().and_then(error_code);
    // A missing entity is told by an error body or by none; anything else came from no MoySklad at all, and taking its
    // word for "gone" would lose the work of a wrong MOYSKLAD_BASE_URL without a trace.
    let says_missing = error.body().is_some_and(bytes::Bytes::is_empty) || code.is_some();
    match sort_code(error.status(), code, error.to_string(), account) {
        Ok(sorted) => sorted,
        Err(text) if error.status() == Some(404) && says_missing => ApiError::NotFound(text),
        Err(text) if is_unanswered(&error) => ApiError::Unanswered { text, still: is_open(&error) },
        Err(text) => ApiError::Work(match error.into() {
            HandlerError::Retry(_) => HandlerError::Retry(text),
            HandlerError::GiveUp(_) => HandlerError::GiveUp(text),
            defer @ HandlerError::Defer { .. } => defer,
        }),
    }
}

fn is_unanswered(error: &UpstreamError) -> bool {
    matches!(error, UpstreamError::Status { status: 500.., .. } | UpstreamError::Transport { .. })
}

/// Whether the request may be at work still: no answer came of it, or one of what stands before the server.
fn is_open(error: &UpstreamError) -> bool {
    match error {
        UpstreamError::Transport { reason, .. } => *reason != CANNOT_CONNECT,
        error => matches!(error.status(), Some(502 | 504)),
    }
}

/// What a code or status means by itself; otherwise the text with the code.
pub(super) fn sort_code(
    status: Option<u16>,
    code: Option<u64>,
    text: String,
    account: Uuid,
) -> Result<ApiError, String> {
    let text = match code {
        Some(code) => format!("{text} (code {code})"),
        None => text,
    };
    Ok(match (status, code) {
        (Some(401), _) | (_, Some(1056)) => ApiError::TokenRefused { account, owner: None },
        (_, Some(1021)) => ApiError::NotFound(text),
        (_, Some(code)) if NO_RIGHT.contains(&code) || NOT_IN_TARIFF.contains(&code) => {
            ApiError::NotAllowed { account, code, text }
        }
        // Too many at once (1073) comes without a time to wait.
        (Some(429), _) | (_, Some(1049 | TOO_MANY_AT_ONCE)) => {
            HandlerError::Defer { after: WINDOW, reason: text }.into()
        }
        // Another request changed the entity meanwhile.
        (_, Some(1065)) => HandlerError::Retry(text).into(),
        _ => return Err(text),
    })
}

/// The first error code of the body.
pub(super) fn error_code(body: &Value) -> Option<u64> {
    body.get("errors")?.get(0)?.get("code")?.as_u64()
}

/// "Identical failing requests" are taken to be those with one status and code: what else they have in common is not
/// documented, and this counts most.
pub(super) fn told(body: &[u8]) -> Told {
    let code = serde_json::from_slice(body).ok().as_ref().and_then(error_code);
    Told { code, too_many_at_once: code == Some(TOO_MANY_AT_ONCE) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::Redacted;
    use serde_json::json;

    fn failure(status: u16, body: &str) -> ApiError {
        let body = Redacted(body.to_owned().into());
        let error =
            UpstreamError::Status { upstream: "moysklad", route: "PUT /entity/product/{id}", status, body };
        sort(error, Uuid::nil())
    }

    fn with_code(status: u16, code: u64) -> ApiError {
        failure(status, &json!({"errors": [{"error": "текст", "code": code}]}).to_string())
    }

    #[test]
    fn codes_decide_before_statuses() {
        assert!(matches!(with_code(401, 1056), ApiError::TokenRefused { .. }));
        assert!(matches!(failure(401, ""), ApiError::TokenRefused { .. }));
        assert!(matches!(with_code(412, 1021), ApiError::NotFound(_)));
        assert!(matches!(failure(404, ""), ApiError::NotFound(_)));
        assert!(matches!(with_code(429, 1073), ApiError::Work(HandlerError::Defer { .. })));
        assert!(matches!(with_code(429, 1049), ApiError::Work(HandlerError::Defer { .. })));
        assert!(matches!(with_code(412, 1065), ApiError::Work(HandlerError::Retry(_))));
        assert!(matches!(with_code(503, 1074), ApiError::Unanswered { still: false, .. }));
        assert!(matches!(with_code(504, 1088), ApiError::Unanswered { still: true, .. }));
    }

    #[test]
    fn what_may_not_be_done_waits_for_whoever_can_allow_it() {
        for (code, remedy) in
            [(1016, "this right"), (1045, "this right"), (1070, "tariff"), (47_000, "tariff")]
        {
            let error = with_code(403, code);
            assert_eq!((error.code(), error.is_refusal(), error.is_final()), (Some(code), true, false));
            let HandlerError::Defer { reason, .. } = error.into() else { panic!("{code}") };
            assert!(reason.starts_with("blocked: account ") && reason.contains(remedy), "{reason}");
        }
    }

    #[test]
    fn the_code_is_told() {
        assert_eq!(with_code(412, 30003).code(), Some(30003));
        assert_eq!(with_code(404, 1021).code(), Some(1021));
        assert_eq!(failure(500, "").code(), None);
    }

    #[test]
    fn a_404_of_somebody_else_does_not_mean_that_an_entity_is_gone() {
        for body in ["<html>nginx</html>", "{}", "null"] {
            assert!(matches!(failure(404, body), ApiError::Work(HandlerError::GiveUp(_))), "{body}");
        }
    }

    #[test]
    fn a_refused_field_gives_up_and_says_the_code_without_the_text() {
        let text = match with_code(412, 3006) {
            ApiError::Work(HandlerError::GiveUp(text)) => text,
            other => panic!("{other:?}"),
        };
        assert!(text.contains("3006") && text.contains("412") && !text.contains("текст"), "{text}");
    }

    #[test]
    fn a_failure_tells_its_code_and_whether_too_many_were_in_flight() {
        let body = |code: u64| json!({"errors": [{"error": "текст", "code": code}]}).to_string();
        assert_eq!(told(body(1073).as_bytes()), Told { code: Some(1073), too_many_at_once: true });
        assert_eq!(told(body(1049).as_bytes()), Told { code: Some(1049), too_many_at_once: false });
        for body in ["", "[]", "<html>", "{\"errors\": []}"] {
            assert_eq!(told(body.as_bytes()), Told::default(), "{body}");
        }
    }
}
