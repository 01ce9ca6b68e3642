//! The only place that maps errors to status codes: RFC 9457 problem+json.

use super::request_id::current_request_id;
use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};

/// What the caller is told went wrong. `detail` texts name fields, never values that came in or secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// 400: the request cannot be read.
    #[error("{0}")]
    BadRequest(String),
    /// 401: not proven, not authenticated. Never says which check failed.
    #[error("the request is not authenticated")]
    Unauthorized,
    /// 404.
    #[error("{0}")]
    NotFound(String),
    /// 405.
    #[error("this route does not take that method")]
    MethodNotAllowed,
    /// 408: the body did not arrive in time.
    #[error("the request body did not arrive in time")]
    Timeout,
    /// 409: the thing is in a state that does not allow this.
    #[error("{0}")]
    Conflict(String),
    /// 413.
    #[error("the request body is longer than {max} bytes")]
    TooLarge {
        /// Longest body.
        max: usize,
    },
    /// 422: readable, but a field is not acceptable.
    #[error("{0}")]
    Unprocessable(String),
    /// 429: over a rate limit.
    #[error("too many requests")]
    TooManyRequests {
        /// Seconds until the next one may pass.
        after: u64,
    },
    /// 503: cannot be stored or read now.
    #[error("{detail}")]
    Unavailable {
        /// What is unavailable.
        detail: &'static str,
    },
}

impl Problem {
    fn parts(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::BadRequest(_) => (StatusCode::BAD_REQUEST, "bad-request", "Bad request"),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized", "Unauthorized"),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "not-found", "Not found"),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed")
            }
            Self::Timeout => (StatusCode::REQUEST_TIMEOUT, "request-timeout", "Request timeout"),
            Self::Conflict(_) => (StatusCode::CONFLICT, "conflict", "Conflict"),
            Self::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "Payload too large"),
            Self::Unprocessable(_) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "unprocessable", "Unprocessable content")
            }
            Self::TooManyRequests { .. } => {
                (StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "Too many requests")
            }
            Self::Unavailable { .. } => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Service unavailable")
            }
        }
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.parts().0
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let (status, id, title) = self.parts();
        let mut response = HttpResponse::build(status);
        response.insert_header((CONTENT_TYPE, "application/problem+json"));
        match self {
            Self::TooManyRequests { after } => {
                response.insert_header((RETRY_AFTER, after.to_string()));
            }
            Self::Unavailable { .. } => {
                response.insert_header((RETRY_AFTER, "1"));
            }
            Self::Unauthorized => {
                response.insert_header((WWW_AUTHENTICATE, "Bearer"));
            }
            _ => {}
        }
        let body = serde_json::json!({
            "type": format!("urn:hookgate:problem:{id}"),
            "title": title,
            "status": status.as_u16(),
            "detail": self.to_string(),
            "request_id": current_request_id(),
        });
        response.body(body.to_string())
    }
}

impl From<diesel::result::Error> for Problem {
    fn from(error: diesel::result::Error) -> Self {
        match error {
            diesel::result::Error::NotFound => Self::NotFound("there is no such row".to_owned()),
            error => {
                // The kind only: a database message may quote a row.
                tracing::error!(kind = %crate::db::error_kind(&error), "a query failed");
                Self::Unavailable { detail: "the database cannot answer now" }
            }
        }
    }
}

impl From<crate::db::PoolError> for Problem {
    fn from(_: crate::db::PoolError) -> Self {
        Self::Unavailable { detail: "the database cannot be reached now" }
    }
}
