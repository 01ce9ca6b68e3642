//! The API as one account sees it: mandatory headers, loop prevention, whose token it is.

use super::error::{error_code, sort, sort_code};
use super::owners::IsOwn;
use super::{ApiError, Gateway, TIMEOUT};
use crate::queue::HandlerError;
use crate::upstream::{Call, Reply, UpstreamError};
use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderName, HeaderValue};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use uuid::Uuid;

/// MoySklad accepts this spelling alone, without a space, or no header at all (error 1062).
const JSON: HeaderValue = HeaderValue::from_static("application/json;charset=utf-8");
/// Webhooks whose URL begins with its value are not raised by the write that carries it.
const DISABLE_BY_PREFIX: HeaderName = HeaderName::from_static("x-lognex-webhook-disablebyprefix");
/// Each row that a list may have more, since a page of a thousand with many prices is tens of megabytes; also of one that is
/// read as a whole.
const ROW_TIME: Duration = Duration::from_millis(60);
/// MoySklad ends a request after this time (error 1088).
pub(in crate::sync::moysklad) const LONGEST: Duration = Duration::from_secs(300);

/// The API as one account sees it.
#[derive(Clone)]
pub(in crate::sync::moysklad) struct AccountApi {
    gateway: Gateway,
    id: Uuid,
    authorization: HeaderValue,
    is_own: IsOwn,
    counts: Arc<Counts>,
    urgent: bool,
}

/// Calls that were made through one [`AccountApi`] and its clones.
#[derive(Debug, Default)]
struct Counts {
    reads: AtomicU32,
    writes: AtomicU32,
}

impl AccountApi {
    pub(super) fn new(gateway: Gateway, id: Uuid, authorization: HeaderValue, is_own: IsOwn) -> Self {
        Self { gateway, id, authorization, is_own, counts: Arc::default(), urgent: false }
    }

    /// The same, whose calls go ahead of those of others: somebody waits for what comes of them.
    #[must_use]
    pub(in crate::sync::moysklad) fn urgent(mut self) -> Self {
        self.urgent = true;
        self
    }

    /// Reads and writes so far.
    pub(in crate::sync::moysklad) fn counts(&self) -> (u32, u32) {
        (self.counts.reads.load(Ordering::Relaxed), self.counts.writes.load(Ordering::Relaxed))
    }

    pub(in crate::sync::moysklad) fn id(&self) -> Uuid {
        self.id
    }

    /// Whether this came from the account that the token was set for. With the token of another account one catalogue would
    /// be taken for the other. What MoySklad shares among all accounts names none.
    pub(in crate::sync::moysklad) fn check_owner(&self, entity: &Value) -> Result<(), ApiError> {
        self.check_owner_id(entity["accountId"].as_str().and_then(|id| id.parse().ok()))
    }

    /// The same where only the account's id was read.
    pub(in crate::sync::moysklad) fn check_owner_id(&self, owner: Option<Uuid>) -> Result<(), ApiError> {
        match owner {
            Some(owner) if owner != self.id => {
                Err(ApiError::TokenRefused { account: self.id, owner: Some(owner) })
            }
            Some(_) => {
                self.is_own.known();
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// The same before a write, where nothing that was read has told yet: an empty account shows nothing, and what is meant for
    /// it must not go into another. Every account has an organization. A token that may not see it is believed, and what the
    /// writes answer is looked at.
    pub(in crate::sync::moysklad) async fn check_token(&self) -> Result<(), ApiError> {
        self.is_own
            .once(async {
                let query = [("limit", "1".to_owned())];
                let organizations = self.get("GET /entity/organization", "/entity/organization", &query).await;
                match organizations {
                    Ok(list) => self.check_owner(&list["rows"][0]),
                    Err(error) if error.is_refusal() => {
                        tracing::debug!(account = %self.id, %error, "whose token it is could not be looked up");
                        Ok(())
                    }
                    Err(error) => Err(error),
                }
            })
            .await
    }

    /// Prefix of every href.
    pub(in crate::sync::moysklad) fn base(&self) -> &str {
        &self.gateway.base
    }

    /// Reads `path` under the API's base.
    pub(in crate::sync::moysklad) async fn get(
        &self,
        route: &'static str,
        path: &str,
        query: &[(&'static str, String)],
    ) -> Result<Value, ApiError> {
        let reply = self.call(get(route, path, query)).await?;
        let owner = reply["accountId"].as_str().or_else(|| reply["rows"][0]["accountId"].as_str());
        if owner.and_then(|owner| owner.parse().ok()) == Some(self.id) {
            self.is_own.known();
        }
        Ok(reply)
    }

    /// At most `limit` rows of a list, as `T`, without a tree of all that the reply holds; if so many are too long for one
    /// reply, a quarter of them, and so on. `limit` says then what was asked for in the end.
    pub(in crate::sync::moysklad) async fn list_as<T: DeserializeOwned>(
        &self,
        route: &'static str,
        path: &str,
        query: &[(&'static str, String)],
        limit: &mut usize,
    ) -> Result<T, ApiError> {
        loop {
            let rows = u32::try_from(*limit).unwrap_or(u32::MAX);
            let call = get(route, path, query).query("limit", limit.to_string()).timeout(time_for_rows(rows));
            match self.send(call).await.and_then(|reply| reply.json()) {
                Err(error) if error.is_too_long() && *limit > 1 => *limit = (*limit / 4).max(1),
                reply => return reply.map_err(|error| sort(error, self.id)),
            }
        }
    }

    /// How long a write of `path` has to wait because it was written too often within a minute.
    pub(in crate::sync::moysklad) fn holds(&self, path: &str) -> Option<Duration> {
        self.gateway.upstream.holds_put(&self.id.to_string(), path)
    }

    /// How long this account may not be called, because nothing answered lately.
    pub(in crate::sync::moysklad) fn closed_for(&self) -> Duration {
        self.gateway.upstream.closed_for(&self.id.to_string())
    }

    /// Creates an entity. A `syncId` in the body makes it safe to send again after a lost reply.
    pub(in crate::sync::moysklad) async fn create(
        &self,
        route: &'static str,
        path: &str,
        body: &Value,
    ) -> Result<Value, ApiError> {
        let call = Call::new(Method::POST, route, path);
        self.write(if body.get("syncId").is_some() { call.repeatable() } else { call }, body).await
    }

    /// Creates and updates (those with `meta`) many entities of one type at once, at most 1,000. Gives what became of
    /// each, in their order: the good ones are saved whatever the others are.
    pub(in crate::sync::moysklad) async fn write_many(
        &self,
        route: &'static str,
        path: &str,
        items: Vec<Value>,
    ) -> Result<Vec<Result<Value, ApiError>>, ApiError> {
        let safe = items.iter().all(|item| item.get("meta").is_some() || item.get("syncId").is_some());
        let call = Call::new(Method::POST, route, path);
        let call = if safe { call.repeatable() } else { call };
        let count = items.len();
        match self.send_list(call, &Value::Array(items)).await? {
            Value::Array(results) if results.len() == count => {
                Ok(results.into_iter().map(|result| self.item(route, result)).collect())
            }
            _ => Err(HandlerError::Retry(format!("moysklad: {route} answered another list")).into()),
        }
    }

    /// Deletes lines, at most 1,000, named by their `meta`; gives why some could not be deleted. What comes back for those
    /// that were is not documented, so nothing is read of it.
    pub(in crate::sync::moysklad) async fn delete_lines(
        &self,
        route: &'static str,
        path: &str,
        metas: Vec<Value>,
    ) -> Result<Vec<ApiError>, ApiError> {
        let call = Call::new(Method::POST, route, path);
        let results = match self.send_list(call, &Value::Array(metas)).await? {
            Value::Array(results) => results,
            one => vec![one],
        };
        Ok(results.into_iter().filter_map(|result| self.item(route, result).err()).collect())
    }

    /// What became of the items of a list; null where nothing is said. Whether some failed items make the whole a 400 or
    /// a 200 is not documented: the form tells.
    async fn send_list(&self, call: Call, body: &Value) -> Result<Value, ApiError> {
        self.check_token().await?;
        match self.send(self.written(call, body)).await {
            Ok(reply) if reply.body.is_empty() => Ok(Value::Null),
            Err(UpstreamError::Status { upstream, route, status, body }) => {
                match serde_json::from_slice(&body.0) {
                    Ok(Value::Array(results)) => Ok(Value::Array(results)),
                    _ => Err(sort(UpstreamError::Status { upstream, route, status, body }, self.id)),
                }
            }
            reply => reply.and_then(|reply| reply.json()).map_err(|error| sort(error, self.id)),
        }
    }

    fn item(&self, route: &str, result: Value) -> Result<Value, ApiError> {
        match error_code(&result) {
            None if result.get("errors").is_none() => self.check_owner(&result).map(|()| result),
            code => Err(sort_code(None, code, format!("moysklad: an item of {route} was refused"), self.id)
                .unwrap_or_else(|text| HandlerError::GiveUp(text).into())),
        }
    }

    /// Changes the fields of the body.
    pub(in crate::sync::moysklad) async fn update(
        &self,
        route: &'static str,
        path: &str,
        body: &Value,
    ) -> Result<Value, ApiError> {
        self.write(Call::new(Method::PUT, route, path), body).await
    }

    /// Changes the fields of a part of what is at `whole`, such as a line of a document.
    pub(in crate::sync::moysklad) async fn update_part(
        &self,
        route: &'static str,
        (whole, path): (&str, &str),
        body: &Value,
    ) -> Result<Value, ApiError> {
        self.write(Call::new(Method::PUT, route, path).part_of(whole), body).await
    }

    /// How many writes of `path` and its parts a minute allows from now on.
    pub(in crate::sync::moysklad) fn updates_left(&self, path: &str) -> u32 {
        self.gateway.upstream.puts_left(&self.id.to_string(), path)
    }

    /// Posts what must not be sent again by itself: nothing would recognize it, so after a lost reply the next run looks.
    pub(in crate::sync::moysklad) async fn post_once(
        &self,
        route: &'static str,
        path: &str,
        body: &Value,
    ) -> Result<Value, ApiError> {
        self.write(Call::new(Method::POST, route, path), body).await
    }

    /// Asks for a file below `/download`: the answer is its place for the next minute, in `Location`, or the file itself.
    pub(in crate::sync::moysklad) async fn download(&self, path: &str) -> Result<Reply, ApiError> {
        let call = Call::new(Method::GET, "GET /download/{id}", path).takes_redirect();
        self.send(call).await.map_err(|error| sort(error, self.id))
    }

    async fn write(&self, call: Call, body: &Value) -> Result<Value, ApiError> {
        self.check_token().await?;
        let saved = self.call(self.written(call, body)).await?;
        self.check_owner(&saved)?;
        Ok(saved)
    }

    fn written(&self, call: Call, body: &Value) -> Call {
        call.timeout(time_for(body)).header(DISABLE_BY_PREFIX, self.gateway.own_webhooks.clone()).json(body)
    }

    async fn call(&self, call: Call) -> Result<Value, ApiError> {
        self.send(call).await.and_then(|reply| reply.json()).map_err(|error| sort(error, self.id))
    }

    async fn send(&self, call: Call) -> Result<Reply, UpstreamError> {
        let count = if call.is_get() { &self.counts.reads } else { &self.counts.writes };
        count.fetch_add(1, Ordering::Relaxed);
        let call = call
            .header(ACCEPT, JSON)
            .header(AUTHORIZATION, self.authorization.clone())
            .weight(self.gateway.weight)
            .urgent(self.urgent);
        let principal = self.id.to_string();
        // Boxed: it is large, and part of every future that makes a call.
        Box::pin(self.gateway.upstream.call(&principal, call)).await
    }
}

/// How long a write may take, by how many entities or lines it holds.
fn time_for(body: &Value) -> Duration {
    let items = body.as_array().or_else(|| body["positions"].as_array()).map_or(0, Vec::len);
    (TIMEOUT + Duration::from_secs(items as u64)).min(LONGEST)
}

/// How long a list of so many rows may take.
fn time_for_rows(rows: u32) -> Duration {
    TIMEOUT.saturating_add(ROW_TIME.saturating_mul(rows)).min(LONGEST)
}

fn get(route: &'static str, path: &str, query: &[(&'static str, String)]) -> Call {
    let limit = query.iter().find(|(name, _)| *name == "limit").and_then(|(_, rows)| rows.parse().ok());
    let call = Call::new(Method::GET, route, path).timeout(time_for_rows(limit.unwrap_or(0)));
    query.iter().fold(call, |call, (name, value)| call.query(name, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_write_may_take_as_long_as_what_it_holds_needs() {
        let lines = |count: usize| Value::from(vec![json!({}); count]);
        assert_eq!(time_for(&json!({"name": "x"})), TIMEOUT);
        assert_eq!(time_for(&lines(20)), Duration::from_secs(50));
        assert_eq!(time_for(&json!({"positions": lines(100)})), Duration::from_secs(130));
        assert_eq!(time_for(&lines(1000)), LONGEST);
    }
}
