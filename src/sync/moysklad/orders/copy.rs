//! Which order of main is the copy of a child's document, and what becomes of it when the document is gone.

use super::super::api::{ApiError, id_of_entity};
use super::super::work::broken;
use super::super::{loops, mappings};
use super::log::{Entry, Log};
use super::read::{self, Document};
use super::store::{self, GONE, Link, remembered};
use super::transfer::{Transfer, UPDATE};
use super::{ORDER, header, sync_id};
use crate::queue::HandlerError;
use std::collections::BTreeSet;
use uuid::Uuid;

impl Transfer<'_> {
    /// Main's copy, as it is there. One that somebody has deleted is forgotten: the child goes on with a new one.
    pub(super) async fn copy(&self, link: Option<Link>) -> Result<Option<(Link, Document)>, ApiError> {
        let Some(link) = link else { return Ok(None) };
        if let Some(order) = read::document(&self.main, ORDER, link.order).await? {
            return Ok(Some((link, order)));
        }
        store::forget(&mut *self.cx.conn().await?, self.source, link.order).await.map_err(broken)?;
        Ok(None)
    }

    /// Main's copy that was made by a run that never knew of it. It is known from now on.
    pub(super) async fn made_unknown(&self) -> Result<Option<Link>, ApiError> {
        let ours = sync_id(self.source.child_account, self.source.document).to_string();
        let query = [("filter", format!("externalCode={ours}")), ("limit", "100".to_owned())];
        let reply = self.main.get("GET /entity/customerorder", "/entity/customerorder", &query).await?;
        let rows = reply["rows"].as_array().map_or(&[][..], Vec::as_slice);
        let Some(order) = rows.iter().find(|row| row["syncId"] == ours) else { return Ok(None) };
        let order = id_of_entity(order)?;
        let said = header::all_optional();
        self.link(order, &said).await?;
        Ok(Some(Link { order, written: None, said, adding_since: None }))
    }

    pub(super) async fn link(&self, order: Uuid, said: &BTreeSet<String>) -> Result<(), ApiError> {
        let (key, document) = (self.source.key(order), self.source.document);
        let mut conn = self.cx.conn().await?;
        let is_new =
            mappings::insert(&mut conn, key, document, Some(&remembered(said))).await.map_err(broken)?;
        if is_new {
            return Ok(());
        }
        Err(HandlerError::Retry("another run has just linked this document".to_owned()).into())
    }

    /// Notes what main's order holds; `None` before a write, whose end may never be known.
    pub(super) async fn note(
        &self,
        order: Uuid,
        written: Option<&[u8]>,
        said: &BTreeSet<String>,
    ) -> Result<(), ApiError> {
        let (mut conn, said) = (self.cx.conn().await?, remembered(said));
        mappings::note(&mut conn, self.source.key(order), written, Some(&said)).await.map_err(broken)
    }

    /// The document is gone in the child: main's order says so and does not count any more.
    pub(super) async fn gone(&self, link: Option<Link>, log: &Log<'_>) -> Result<String, ApiError> {
        let Some(link) = link else {
            return Ok("the document no longer exists in the child, and main does not know it".to_owned());
        };
        let path = read::path(ORDER, link.order);
        let order = match self.main.get("GET /entity/customerorder/{id}", &path, &[]).await {
            Err(ApiError::NotFound(_)) => {
                let mut conn = self.cx.conn().await?;
                store::forget(&mut conn, self.source, link.order).await.map_err(broken)?;
                return Ok("the document no longer exists on either side".to_owned());
            }
            order => order?,
        };
        let Some(body) = header::gone(&order) else {
            self.note(link.order, Some(GONE), &link.said).await?;
            return Ok("no change".to_owned());
        };
        loops::before_write(&mut *self.cx.conn().await?, self.source.main_account, ORDER, link.order).await?;
        self.note(link.order, None, &link.said).await?;
        self.main.update(UPDATE, &path, &body).await?;
        self.note(link.order, Some(GONE), &link.said).await?;
        let operation = "deleted in the child: main's order is not applicable any more";
        let applied = ["applicable", "description"].map(str::to_owned);
        let entry = Entry {
            order: link.order,
            operation,
            is_new: false,
            applied: &applied,
            skipped: &[],
            error: None,
        };
        log.write(entry).await?;
        Ok(operation.to_owned())
    }
}
