//! Images of main's goods in its children: slow, so apart from everything else and behind it.
//!
//! Whoever brings an entity to a child notes that its images may differ ([`note`]). One task of each child, of the lowest
//! priority, reads main's lists of those that were noted, downloads what is new and gives the child main's list: a request
//! holds the whole list, so removals, another order and a lost answer are nothing special. What was copied is remembered
//! with the mapping, by main's words and the content's hash; a child's own words about its images are never compared.

mod apart;
mod copy;
mod download;
mod list;
mod pending;
mod place;
mod plan;
mod recent;
mod refusals;
mod run;
mod wanted;

pub(super) use download::Downloads;
pub(super) use run::run;
pub(super) use wanted::{has_images, has_none, may_differ};

use super::mappings::Key;
use crate::sync::tasks::{self, NewTask, Task};
use diesel::QueryResult;
use diesel_async::AsyncPgConnection;
use serde_json::json;
use std::time::Duration;
use uuid::Uuid;

/// Entity type of the task.
const IMAGES: &str = "images";
/// What it does.
const COPY: &str = "copy";
/// What is noted one after another gathers this long.
const GATHER: Duration = Duration::from_millis(500);

/// Notes that the images of this entity, which the child has, may differ from main's. `none`: main shows that it has none.
pub(super) async fn note(
    conn: &mut AsyncPgConnection,
    key: Key,
    none: bool,
    event: Option<Uuid>,
) -> QueryResult<()> {
    pending::note(conn, key, none, event).await.map(drop)
}

/// Nothing of this child is looked at any more: it takes no images.
pub(super) async fn forget(conn: &mut AsyncPgConnection, main: Uuid, child: Uuid) -> QueryResult<()> {
    pending::forget(conn, main, child).await.map(drop)
}

/// Sees to it that a task looks at what is noted, if anything is.
pub(super) async fn schedule(
    conn: &mut AsyncPgConnection,
    main: Uuid,
    child: Uuid,
    max_attempts: i32,
) -> QueryResult<()> {
    let Some(delay) = pending::next_due(conn, main, child).await? else { return Ok(()) };
    let task = NewTask {
        event_id: None,
        account_id: child,
        entity_type: IMAGES,
        entity_id: main.to_string(),
        operation: COPY,
        payload: json!({"main_account": main}),
        dedupe_key: format!("images/{main}/{child}"),
        max_attempts,
        priority: tasks::IMAGES,
        delay: delay.max(GATHER),
    };
    tasks::enqueue_gathering(conn, &[task]).await
}

/// Sees to it that what is due for these children of this main is looked at: the task that should have done so may have failed
/// for good.
pub(super) async fn rouse(
    conn: &mut AsyncPgConnection,
    main: Uuid,
    children: &[Uuid],
    max_attempts: i32,
) -> QueryResult<()> {
    for child in pending::children_with_due(conn, main, children).await? {
        schedule(conn, main, child, max_attempts).await?;
    }
    Ok(())
}

/// Whether [`run`] runs this task.
pub(super) fn takes(task: &Task) -> bool {
    task.entity_type == IMAGES
}
