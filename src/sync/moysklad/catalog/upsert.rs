//! Makes the counterpart of main's product in a child as main's is.
//!
//! Safe to run twice and to be cut off anywhere: it starts from what main says now; what is there already is not
//! written again; a create that was cut off is found by its `syncId`.

use super::super::api::{AccountApi, ApiError, id_of_entity};
use super::super::mappings::{self, Key};
use super::super::metadata::{FRESH, MetadataCache};
use super::super::product::{self, Projection};
use crate::db::{Pool, PooledConnection};
use crate::queue::{HandlerError, Outcome};
use serde_json::Value;
use std::time::Duration;
use uuid::Uuid;

const READ: &str = "GET /entity/product/{id}";
const SEARCH: &str = "GET /entity/product";
const CREATE: &str = "POST /entity/product";
const UPDATE: &str = "PUT /entity/product/{id}";

/// Where something cannot cross over, metadata of this age may be the reason.
const RECENT: Duration = Duration::from_secs(30);

/// One product of main on its way to one child.
pub(super) struct Upsert<'a> {
    pub(super) main: AccountApi,
    pub(super) child: AccountApi,
    pub(super) key: Key,
    pub(super) pool: &'a Pool,
    pub(super) metadata: &'a MetadataCache,
}

impl Upsert<'_> {
    /// Reads main's product and brings it to the child.
    pub(super) async fn run(&self) -> Result<Outcome, ApiError> {
        let product = match self.main.get(READ, &path(self.key.main_id), &[]).await {
            Err(ApiError::NotFound(_)) => {
                return Ok(Outcome::completed("the product no longer exists in main"));
            }
            product => product?,
        };
        let mut projection = self.project(&product, FRESH).await?;
        if !projection.is_complete() {
            projection = self.project(&product, RECENT).await?;
        }
        let done = match mappings::find(&mut *self.conn().await?, self.key).await.map_err(work)? {
            Some(mapping) if mapping.written_hash == Some(projection.hash()) => {
                projection.outcome("no change")
            }
            Some(mapping) => self.update_mapped(mapping.child_id, &product, projection).await?,
            None => self.match_or_create(&product, projection).await?,
        };
        Ok(Outcome::completed(done))
    }

    async fn project(&self, product: &Value, age: Duration) -> Result<Projection, ApiError> {
        let (main, child) = tokio::try_join!(
            self.metadata.younger_than(age, &self.main),
            self.metadata.younger_than(age, &self.child)
        )?;
        Ok(product::project(product, &main, &child, self.child.base()))
    }

    async fn update_mapped(
        &self,
        child_id: Uuid,
        product: &Value,
        projection: Projection,
    ) -> Result<String, ApiError> {
        if let Some(written) = self.write(child_id, product, &projection).await? {
            return Ok(written.outcome("updated"));
        }
        mappings::remove(&mut *self.conn().await?, self.key).await.map_err(work)?;
        self.match_or_create(product, projection).await
    }

    async fn match_or_create(&self, product: &Value, projection: Projection) -> Result<String, ApiError> {
        let mut found = self.search(projection.external_code()).await?;
        match (found.pop(), found.len()) {
            (None, _) if projection.is_archived() => {
                Ok("archived in main and unknown to the child: not created".to_owned())
            }
            (None, _) => self.create(product, projection).await,
            (Some(counterpart), 0) => self.link(&counterpart, product, projection).await,
            (Some(_), others) => Err(conflict(&format!(
                "{} products of the child have this externalCode: leave it to one of them, then retry",
                others + 1
            ))),
        }
    }

    /// The child's products with this external code, also archived ones.
    async fn search(&self, external_code: &str) -> Result<Vec<Value>, ApiError> {
        if external_code.is_empty() {
            return Ok(Vec::new());
        }
        let filter =
            format!("externalCode={};archived=true;archived=false", external_code.replace(';', "\\;"));
        let query = [("filter", filter), ("limit", "100".to_owned())];
        let mut reply = self.child.get(SEARCH, "/entity/product", &query).await?;
        let Value::Array(mut rows) = reply["rows"].take() else {
            return Err(HandlerError::Retry(format!("moysklad: {SEARCH} gave no rows")).into());
        };
        // Whether `=` regards case is not documented.
        rows.retain(|row| row["externalCode"] == external_code);
        Ok(rows)
    }

    /// Takes a product that the child has already for the counterpart.
    async fn link(
        &self,
        counterpart: &Value,
        product: &Value,
        projection: Projection,
    ) -> Result<String, ApiError> {
        let child_id = id_of_entity(counterpart)?;
        if !mappings::insert(&mut *self.conn().await?, self.key, child_id).await.map_err(work)? {
            return Err(conflict(
                "the child's product with this externalCode already follows another product of main: \
                 give each its own externalCode, then retry",
            ));
        }
        if projection.is_held_by(counterpart) {
            self.note(Some(&projection)).await?;
            return Ok(projection.outcome("linked, no change"));
        }
        match self.write(child_id, product, &projection).await? {
            Some(written) => Ok(written.outcome("linked and updated")),
            None => {
                Err(HandlerError::Retry("the child's product vanished while it was linked".to_owned()).into())
            }
        }
    }

    async fn create(&self, product: &Value, mut projection: Projection) -> Result<String, ApiError> {
        let sync_id = sync_id(self.key);
        let created = match self.child.create(CREATE, "/entity/product", &projection.create(sync_id)).await {
            // A price type, currency or unit that it refers to is gone.
            Err(ApiError::NotFound(_)) => {
                projection = self.project(product, Duration::ZERO).await?;
                self.child.create(CREATE, "/entity/product", &projection.create(sync_id)).await?
            }
            created => created?,
        };
        let child_id = id_of_entity(&created)?;
        if !mappings::insert(&mut *self.conn().await?, self.key, child_id).await.map_err(work)? {
            return Err(HandlerError::Retry("another run has just linked this product".to_owned()).into());
        }
        if projection.was_created_as(&created) {
            self.note(Some(&projection)).await?;
            return Ok(projection.outcome("created"));
        }
        // An earlier run created it and never knew; main has changed since.
        match self.write(child_id, product, &projection).await? {
            Some(written) => Ok(written.outcome("created by an earlier run, updated")),
            None => Err(HandlerError::Retry("the child's new product vanished".to_owned()).into()),
        }
    }

    /// Writes to the child's product; gives what was written, or `None` if there is no such product.
    async fn write(
        &self,
        child_id: Uuid,
        product: &Value,
        projection: &Projection,
    ) -> Result<Option<Projection>, ApiError> {
        // Should this run be cut off, the next one must not believe the old hash.
        self.note(None).await?;
        let mut written = projection.clone();
        match self.child.update(UPDATE, &path(child_id), &written.update()).await {
            Err(ApiError::NotFound(_)) => match self.child.get(READ, &path(child_id), &[]).await {
                Err(ApiError::NotFound(_)) => return Ok(None),
                // It is there: a price type, currency or unit that the body refers to is gone.
                there => {
                    there?;
                    written = self.project(product, Duration::ZERO).await?;
                    self.child.update(UPDATE, &path(child_id), &written.update()).await?
                }
            },
            reply => reply?,
        };
        self.note(Some(&written)).await?;
        Ok(Some(written))
    }

    async fn note(&self, written: Option<&Projection>) -> Result<(), ApiError> {
        let hash = written.map(Projection::hash);
        mappings::note(&mut *self.conn().await?, self.key, hash.as_deref()).await.map_err(work)
    }

    /// For one query: none is held over a call.
    async fn conn(&self) -> Result<PooledConnection, ApiError> {
        self.pool.get().await.map_err(|error| HandlerError::from(error).into())
    }
}

fn path(id: Uuid) -> String {
    format!("/entity/product/{id}")
}

fn work(error: diesel::result::Error) -> ApiError {
    HandlerError::from(error).into()
}

fn conflict(text: &str) -> ApiError {
    HandlerError::GiveUp(format!("conflict: {text}")).into()
}

/// Namespace of the `syncId`s that this gateway gives.
const NAMESPACE: Uuid = Uuid::from_u128(0x7d0c_4a53_9c1e_4f0b_8a5f_2e7b_61d3_90c4);

/// The same for every run of the same product and child: MoySklad answers a repeated create with what the first one
/// created.
fn sync_id(key: Key) -> Uuid {
    let name = [key.main_account, key.main_id, key.child_account].map(Uuid::into_bytes).concat();
    Uuid::new_v5(&NAMESPACE, &name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_id_belongs_to_one_product_in_one_child_for_ever() {
        let key = |main: u128, id: u128, child: u128| Key {
            main_account: Uuid::from_u128(main),
            child_account: Uuid::from_u128(child),
            entity_type: "product",
            main_id: Uuid::from_u128(id),
        };
        let first = sync_id(key(1, 2, 3));
        assert_eq!(first, sync_id(key(1, 2, 3)));
        for other in [key(2, 2, 3), key(1, 3, 3), key(1, 2, 4), key(3, 2, 1)] {
            assert_ne!(first, sync_id(other));
        }
        assert_eq!(first.to_string(), "e012c8d5-79ed-585a-8b36-4a87805a7e8f");
    }
}
