//! `PayPal`'s own verdict on a webhook (verify-webhook-signature), and the token that asking takes.

use super::fetch::{Answer, Fetcher, host};
use super::settings::PayPal;
use super::shelf::{Find, Shelf};
use super::{KeyringError, Kind, Reason};
use crate::clock::Clock;
use crate::providers::evidence::Postback;
use bytes::Bytes;
use chrono::Duration;
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use url::Url;

/// A verdict waits this long for the verification that asked for it.
const VERDICT: Duration = Duration::seconds(10);
const MOST_VERDICTS: usize = 1024;
/// A token is not used in its last minute, nor for longer than this, whatever `PayPal` says.
const MARGIN: Duration = Duration::seconds(60);
const LONGEST_TOKEN: Duration = Duration::hours(8);
/// Longest answer, in bytes.
const MOST: usize = 64 * 1024;
/// Key of the one token, and of failures that are not about one webhook.
const API: &str = "api";

pub(super) struct Verdicts {
    settings: Option<PayPal>,
    clock: Clock,
    given: Shelf<bool>,
    tokens: Shelf<Arc<SecretString>>,
}

/// What asking gave.
enum Word {
    Verdict(bool),
    /// The token is no longer taken.
    TokenRefused,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    expires_in: i64,
}

#[derive(Deserialize)]
struct VerdictAnswer {
    verification_status: String,
}

impl Verdicts {
    pub(super) fn new(settings: Option<PayPal>, clock: Clock) -> Self {
        let given = Shelf::new(MOST_VERDICTS, Duration::zero());
        Self { settings, clock, given, tokens: Shelf::new(1, Duration::zero()) }
    }

    pub(super) fn known(&self, postback: &Postback) -> Option<bool> {
        match self.given.find(&name(postback), self.clock.now(), |_| true) {
            Find::Use(verdict) => Some(verdict),
            _ => None,
        }
    }

    /// Asks, unless somebody has just asked the same.
    pub(super) async fn supply(&self, fetcher: &Fetcher, postback: &Postback) -> Result<(), KeyringError> {
        let paypal = self.settings.as_ref().ok_or(KeyringError::NoPayPal)?;
        let name = name(postback);
        let _turn = self.given.turn(&name).await;
        if self.known(postback).is_some() {
            return Ok(());
        }
        // Trouble with the API is trouble for every webhook.
        if let Find::Fail(error) = self.given.find(API, self.clock.now(), |_| true) {
            return Err(error);
        }
        let verdict = self.ask(paypal, fetcher, &postback.body).await.inspect_err(|error| {
            self.given.fail(API, error.clone(), self.clock.now());
        })?;
        let now = self.clock.now();
        self.given.heal(API);
        self.given.keep(&name, verdict, now, now + VERDICT);
        Ok(())
    }

    async fn ask(&self, paypal: &PayPal, fetcher: &Fetcher, body: &Bytes) -> Result<bool, KeyringError> {
        // A token may end before its time; then one new token is worth a try.
        for _ in 0..2 {
            let token = self.token(paypal, fetcher).await?;
            match post(paypal, fetcher, &token, body).await? {
                Word::Verdict(verdict) => return Ok(verdict),
                Word::TokenRefused => self.tokens.forget(API),
            }
        }
        Err(KeyringError::PayPalCredentials)
    }

    async fn token(&self, paypal: &PayPal, fetcher: &Fetcher) -> Result<Arc<SecretString>, KeyringError> {
        let _turn = self.tokens.turn(API).await;
        match self.tokens.find(API, self.clock.now(), |_| true) {
            Find::Use(token) => return Ok(token),
            Find::Fail(error) => return Err(error),
            Find::Fetch => {}
        }
        let answer = fetch_token(paypal, fetcher).await;
        let now = self.clock.now();
        match answer {
            Ok((token, end)) => {
                let token = Arc::new(token);
                self.tokens.keep(API, token.clone(), now, now + end);
                Ok(token)
            }
            Err(error) => {
                self.tokens.fail(API, error.clone(), now);
                Err(error)
            }
        }
    }
}

async fn fetch_token(paypal: &PayPal, fetcher: &Fetcher) -> Result<(SecretString, Duration), KeyringError> {
    let url = endpoint(&paypal.base_url, "v1/oauth2/token");
    let read = |answer: Answer| {
        let answer: TokenAnswer = serde_json::from_slice(&answer.ok()?.body).map_err(|_| Reason::Content)?;
        let end = Duration::seconds(answer.expires_in.clamp(0, LONGEST_TOKEN.num_seconds())) - MARGIN;
        Ok((answer.access_token.into(), end.max(MARGIN)))
    };
    let request = |client: &reqwest::Client, url| {
        client
            .post(url)
            .basic_auth(&paypal.client_id, Some(paypal.client_secret.expose_secret()))
            .form(&[("grant_type", "client_credentials")])
    };
    fetcher.fetch(Kind::Token, &url, MOST, request, read).await.map_err(|reason| match reason {
        Reason::Status(400 | 401 | 403) => KeyringError::PayPalCredentials,
        reason => KeyringError::Fetch { kind: Kind::Token, host: host(&url).to_owned(), reason },
    })
}

async fn post(
    paypal: &PayPal,
    fetcher: &Fetcher,
    token: &SecretString,
    body: &Bytes,
) -> Result<Word, KeyringError> {
    let url = endpoint(&paypal.base_url, "v1/notifications/verify-webhook-signature");
    let read = |answer: Answer| match answer.status {
        StatusCode::UNAUTHORIZED => Ok(Word::TokenRefused),
        // Its fields cannot be those of a genuine webhook. No trouble of the API's: anybody could make it look so.
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::UNPROCESSABLE_ENTITY => {
            Ok(Word::Verdict(false))
        }
        _ => {
            let answer: VerdictAnswer =
                serde_json::from_slice(&answer.ok()?.body).map_err(|_| Reason::Content)?;
            match &*answer.verification_status {
                "SUCCESS" => Ok(Word::Verdict(true)),
                "FAILURE" => Ok(Word::Verdict(false)),
                _ => Err(Reason::Content),
            }
        }
    };
    let request = |client: &reqwest::Client, url| {
        client
            .post(url)
            .bearer_auth(token.expose_secret())
            .header(CONTENT_TYPE, "application/json")
            .body(body.clone())
    };
    fetcher.fetch(Kind::Verdict, &url, MOST, request, read).await.map_err(|reason| KeyringError::Fetch {
        kind: Kind::Verdict,
        host: host(&url).to_owned(),
        reason,
    })
}

fn endpoint(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
    url
}

fn name(postback: &Postback) -> String {
    hex::encode(Sha256::digest(&postback.body))
}
