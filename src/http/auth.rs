//! Who may use the admin API: an extractor, so that a handler without it is seen at a glance.

use super::AppState;
use super::problem::Problem;
use crate::crypto::same_secret;
use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpRequest, web};
use std::future::{Ready, ready};

/// Shows that the request carries the admin token.
#[derive(Debug, Clone, Copy)]
pub struct Admin(());

impl FromRequest for Admin {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(check(request).map(|()| Self(())).ok_or(Problem::Unauthorized))
    }
}

fn check(request: &HttpRequest) -> Option<()> {
    let expected = request.app_data::<web::Data<AppState>>()?.admin_token.as_ref()?;
    let value = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && same_secret(token.trim().as_bytes(), expected)).then_some(())
}
