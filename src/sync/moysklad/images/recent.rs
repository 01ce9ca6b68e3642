//! Contents that were downloaded lately: the children of one main want the same ones within minutes, and main's calls are
//! counted.

use super::plan::Image;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;
use uuid::Uuid;

/// Bytes that are kept.
const KEPT: u64 = 16 << 20;
/// Larger ones would leave no room for others.
const LARGEST: u64 = 4 << 20;

/// Whose image, which, of what time and size.
type Key = (Uuid, Uuid, String, u64);
type Cell = Arc<OnceCell<Bytes>>;

/// The youngest contents; clones share them.
#[derive(Clone, Default)]
pub(super) struct Recent(Arc<Mutex<VecDeque<(Key, Cell)>>>);

impl Recent {
    /// The content, from `download` if nobody has it. Who wants the same meanwhile waits for it.
    pub(super) async fn get<E>(
        &self,
        account: Uuid,
        image: &Image,
        download: impl Future<Output = Result<Bytes, E>>,
    ) -> Result<Bytes, E> {
        if image.size > LARGEST {
            return download.await;
        }
        let cell = self.cell((account, image.id, image.updated.clone(), image.size));
        cell.get_or_try_init(|| download).await.cloned()
    }

    fn cell(&self, key: Key) -> Cell {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, cell)) = all.iter().find(|one| one.0 == key) {
            return cell.clone();
        }
        all.push_back((key, Cell::default()));
        // Also the smallest takes some room.
        while all.iter().map(|((.., size), _)| size.max(&1024)).sum::<u64>() > KEPT {
            all.pop_front();
        }
        all.back().map(|one| one.1.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    fn image(id: u128, size: u64) -> Image {
        let (filename, updated, download) = ("a.png".to_owned(), "2026".to_owned(), String::new());
        Image { id: Uuid::from_u128(id), filename, size, updated, download }
    }

    async fn downloads(recent: &Recent, account: u128, image: &Image) -> usize {
        let mut count = 0;
        let download = async {
            count += 1;
            Ok::<_, Infallible>(Bytes::from_static(b"x"))
        };
        recent.get(Uuid::from_u128(account), image, download).await.unwrap();
        count
    }

    #[tokio::test]
    async fn a_content_is_downloaded_once_for_each_account_and_forgotten_for_newer_ones() {
        let recent = Recent::default();
        let one = image(1, 3 << 20);
        assert_eq!((downloads(&recent, 1, &one).await, downloads(&recent, 1, &one).await), (1, 0));
        assert_eq!(downloads(&recent, 2, &one).await, 1, "another account's may be another");
        let newer = Image { updated: "2027".to_owned(), ..one.clone() };
        assert_eq!(downloads(&recent, 1, &newer).await, 1);
        for id in 10..15 {
            downloads(&recent, 1, &image(id, 3 << 20)).await;
        }
        assert_eq!(downloads(&recent, 1, &one).await, 1, "there is room for five of them");
        let large = image(1, 5 << 20);
        assert_eq!((downloads(&recent, 1, &large).await, downloads(&recent, 1, &large).await), (1, 1));
    }

    #[tokio::test]
    async fn a_failure_is_not_kept() {
        let recent = Recent::default();
        let failed = recent.get(Uuid::nil(), &image(1, 1), async { Err::<Bytes, _>("lost") }).await;
        assert_eq!(failed, Err("lost"));
        assert_eq!(downloads(&recent, 0, &image(1, 1)).await, 1);
    }
}
