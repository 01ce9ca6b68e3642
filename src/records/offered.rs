//! Secrets that handshakes offered. They prove nothing before an operator has approved them: whoever reaches the route
//! can offer one.

use crate::crypto::MasterKey;
use crate::db::schema::offered_secrets::{self, dsl};
use crate::db::{Pool, error_kind};
use crate::providers::LearnedSecrets;
use crate::providers::scheme::Learned;
use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use sha2::Sha256;
use utoipa::ToSchema;
use uuid::Uuid;

/// Most offers that wait for one provider.
const MAX_WAITING: i64 = 10;
/// How long an offer waits.
const WAITS: TimeDelta = TimeDelta::days(30);

/// Why an offered secret was not kept.
#[derive(Debug, thiserror::Error)]
pub enum OfferError {
    /// Too many offers wait for an operator already.
    #[error("too many offered secrets wait for approval: see `hookgate providers secrets`")]
    Full,
    /// There is no key to seal it with.
    #[error("a secret cannot be kept without HOOKGATE_MASTER_KEY")]
    NoKey,
    /// The database cannot take it.
    #[error("the database cannot take the offered secret")]
    Unavailable,
}

/// An offered secret, as an operator sees it: never its value.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OfferedSecret {
    /// Id of the offer.
    pub id: Uuid,
    /// The provider that it was offered to.
    pub provider: String,
    /// What it is called once it is approved: digits of a keyed hash.
    pub secret_id: String,
    /// When it was first offered.
    pub offered_at: DateTime<Utc>,
    /// When it was approved; null: it waits.
    pub approved_at: Option<DateTime<Utc>>,
}

type Row = (Uuid, String, Vec<u8>, DateTime<Utc>, Option<DateTime<Utc>>);
type Columns = (dsl::id, dsl::provider, dsl::fingerprint, dsl::offered_at, dsl::approved_at);
const COLUMNS: Columns = (dsl::id, dsl::provider, dsl::fingerprint, dsl::offered_at, dsl::approved_at);

impl From<Row> for OfferedSecret {
    fn from((id, provider, fingerprint, offered_at, approved_at): Row) -> Self {
        Self { id, provider, secret_id: name(&fingerprint), offered_at, approved_at }
    }
}

/// What a secret is called once it is approved.
fn name(fingerprint: &[u8]) -> String {
    format!("learned-{}", hex::encode(fingerprint.get(..4).unwrap_or_default()))
}

/// Where an offered secret is sealed.
fn place(id: Uuid) -> String {
    format!("offered_secrets/sealed/{id}")
}

/// Keeps a secret that a handshake offered until an operator approves it.
pub async fn offer(
    pool: &Pool,
    master_key: Option<&MasterKey>,
    provider: &str,
    secret: &SecretString,
) -> Result<(), OfferError> {
    let key = master_key.ok_or(OfferError::NoKey)?;
    let mac = Hmac::<Sha256>::new_from_slice(&key.derive("fingerprints of offered secrets"));
    let fingerprint = mac
        .map_err(|_| OfferError::NoKey)?
        .chain_update(provider)
        .chain_update([0])
        .chain_update(secret.expose_secret())
        .finalize()
        .into_bytes();
    let id = Uuid::now_v7();
    let sealed = key.seal(&place(id), secret);
    let mut conn = pool.get().await.map_err(|_| OfferError::Unavailable)?;
    let kept = store(&mut conn, id, provider, &fingerprint, &sealed).await.map_err(|error| {
        tracing::error!(kind = error_kind(&error), "an offered secret was not stored");
        OfferError::Unavailable
    })?;
    if kept { Ok(()) } else { Err(OfferError::Full) }
}

/// Whether the offer is in the table now.
async fn store(
    conn: &mut AsyncPgConnection,
    id: Uuid,
    provider: &str,
    fingerprint: &[u8],
    sealed: &[u8],
) -> QueryResult<bool> {
    conn.transaction(async |conn| {
        // One at a time for each provider, or two offers at once could both be the tenth.
        diesel::sql_query("SELECT pg_advisory_xact_lock(hashtextextended('offer ' || $1, 0))")
            .bind::<Text, _>(provider)
            .execute(conn)
            .await?;
        let known: i64 = dsl::offered_secrets
            .filter(dsl::provider.eq(provider).and(dsl::fingerprint.eq(fingerprint)))
            .count()
            .get_result(conn)
            .await?;
        if known > 0 {
            return Ok(true);
        }
        let waiting = dsl::offered_secrets.filter(dsl::provider.eq(provider).and(dsl::approved_at.is_null()));
        diesel::delete(waiting.filter(dsl::offered_at.lt(Utc::now() - WAITS))).execute(conn).await?;
        let count: i64 = waiting.count().get_result(conn).await?;
        if count >= MAX_WAITING {
            return Ok(false);
        }
        diesel::insert_into(dsl::offered_secrets)
            .values((
                dsl::id.eq(id),
                dsl::provider.eq(provider),
                dsl::fingerprint.eq(fingerprint),
                dsl::sealed.eq(sealed),
            ))
            .execute(conn)
            .await?;
        Ok(true)
    })
    .await
}

/// All offered secrets, of one provider if one is given; the newest first.
pub async fn offered(
    conn: &mut AsyncPgConnection,
    provider: Option<&str>,
) -> QueryResult<Vec<OfferedSecret>> {
    let mut query = offered_secrets::table.select(COLUMNS).into_boxed();
    if let Some(provider) = provider {
        query = query.filter(dsl::provider.eq(provider));
    }
    let rows: Vec<Row> = query.order(dsl::id.desc()).limit(1000).load(conn).await?;
    Ok(rows.into_iter().map(OfferedSecret::from).collect())
}

/// Lets an offered secret prove requests; `None`: there is no such offer.
pub async fn approve(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<Option<OfferedSecret>> {
    diesel::update(dsl::offered_secrets.find(id).filter(dsl::approved_at.is_null()))
        .set(dsl::approved_at.eq(Utc::now()))
        .execute(conn)
        .await?;
    let row: Option<Row> = dsl::offered_secrets.find(id).select(COLUMNS).first(conn).await.optional()?;
    Ok(row.map(OfferedSecret::from))
}

/// Lets an offered secret wait again.
pub async fn withdraw(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<()> {
    diesel::update(dsl::offered_secrets.find(id))
        .set(dsl::approved_at.eq(None::<DateTime<Utc>>))
        .execute(conn)
        .await?;
    Ok(())
}

/// Forgets an offered secret, approved or not; says whether it was there.
pub async fn forget(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<bool> {
    Ok(diesel::delete(dsl::offered_secrets.find(id)).execute(conn).await? > 0)
}

/// The approved secrets, the latest approval first. One that this key does not open is left out.
pub async fn learned(
    conn: &mut AsyncPgConnection,
    master_key: Option<&MasterKey>,
) -> QueryResult<LearnedSecrets> {
    let mut learned = LearnedSecrets::new();
    let Some(key) = master_key else { return Ok(learned) };
    let rows: Vec<(Uuid, String, Vec<u8>, Vec<u8>)> = dsl::offered_secrets
        .filter(dsl::approved_at.is_not_null())
        .order((dsl::approved_at.desc(), dsl::id))
        .select((dsl::id, dsl::provider, dsl::fingerprint, dsl::sealed))
        .load(conn)
        .await?;
    for (id, provider, fingerprint, sealed) in rows {
        match key.open(&place(id), &sealed) {
            Ok(value) => {
                learned.entry(provider).or_default().push(Learned { id: name(&fingerprint), value });
            }
            Err(error) => tracing::error!(offer = %id, provider, %error, "an approved secret is left out"),
        }
    }
    Ok(learned)
}
