//! Who calls: HTTP Basic, and OAuth 2.0 client credentials with a cached token.

use super::{Call, Upstream, UpstreamError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// The principal of calls for tokens: their rate and circuit are not those of the calls that use the tokens.
const PRINCIPAL: &str = "oauth";
/// No token is believed to be good for longer, whatever its server says.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 3600);
/// What a server means that does not say how long its token is good for.
const UNTOLD_LIFE: Duration = Duration::from_secs(300);
/// A token is renewed this long before its end, or in the last tenth of its life if that is shorter: what is sent
/// before the end may arrive after it.
const MARGIN: Duration = Duration::from_secs(60);

/// The header of HTTP Basic (RFC 7617).
pub fn basic(user: &str, password: &SecretString) -> HeaderValue {
    let pair = STANDARD.encode(format!("{user}:{}", password.expose_secret()));
    // Base64 can always stand in a header.
    let mut value = HeaderValue::from_str(&format!("Basic {pair}")).unwrap_or(HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

/// The tokens of OAuth 2.0 client credentials (RFC 6749, 4.4): one at a time, kept until shortly before it ends. Those who
/// need a new one at the same time wait for one call.
pub struct ClientCredentials {
    upstream: Upstream,
    route: &'static str,
    path: &'static str,
    basic: HeaderValue,
    token: Mutex<Option<Token>>,
}

struct Token {
    bearer: HeaderValue,
    until: Instant,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: Option<u64>,
}

impl ClientCredentials {
    /// Tokens from `path` of this upstream; `route` is what logs show of it.
    pub fn new(
        upstream: Upstream,
        route: &'static str,
        path: &'static str,
        client_id: &str,
        client_secret: &SecretString,
    ) -> Self {
        Self { upstream, route, path, basic: basic(client_id, client_secret), token: Mutex::default() }
    }

    /// The value for `Authorization`.
    pub async fn bearer(&self) -> Result<HeaderValue, UpstreamError> {
        // Held over the call: whoever comes meanwhile waits here and finds the token.
        let mut token = self.token.lock().await;
        if let Some(token) = token.as_ref().filter(|token| Instant::now() < token.until) {
            return Ok(token.bearer.clone());
        }
        // Its life began when it was made, which was not before this.
        let asked = Instant::now();
        let call = Call::new(Method::POST, self.route, self.path)
            .header(AUTHORIZATION, self.basic.clone())
            .form(&[("grant_type", "client_credentials")])
            // A token more does no harm.
            .repeatable();
        let reply = self.upstream.call(PRINCIPAL, call).await?;
        let granted: Granted = reply.json()?;
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", granted.access_token))
            .map_err(|_| UpstreamError::Unreadable { upstream: reply.upstream, route: reply.route })?;
        bearer.set_sensitive(true);
        let life = granted.expires_in.map_or(UNTOLD_LIFE, Duration::from_secs).min(LONGEST_LIFE);
        *token =
            Some(Token { bearer: bearer.clone(), until: asked + life.saturating_sub(MARGIN.min(life / 10)) });
        Ok(bearer)
    }

    /// Forgets a token that was refused, unless there is a newer one already.
    pub async fn refused(&self, bearer: &HeaderValue) {
        let mut token = self.token.lock().await;
        if token.as_ref().is_some_and(|token| token.bearer == bearer) {
            *token = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_is_the_example_of_its_rfc_and_does_not_show() {
        let value = basic("Aladdin", &"open sesame".into());
        assert_eq!(value.as_bytes(), b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert!(!format!("{value:?}").contains("QWxh"));
    }
}
