//! Whose tokens these are, as far as it is known: found out once for each token and process, however many tasks use it.

use super::ApiError;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;
use uuid::Uuid;

/// What is known of the token of each account. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Owners(Arc<Mutex<HashMap<Uuid, Known>>>);

/// Hash of a token, and what is known of it.
type Known = ([u8; 32], IsOwn);

impl Owners {
    /// What is known of this token; of a new one nothing.
    pub(super) fn of(&self, account: Uuid, token: &SecretString) -> IsOwn {
        let hash: [u8; 32] = Sha256::digest(token.expose_secret()).into();
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, is_own) = accounts.entry(account).or_insert_with(|| (hash, IsOwn::default()));
        if *known != hash {
            (*known, *is_own) = (hash, IsOwn::default());
        }
        is_own.clone()
    }
}

/// Whether a token is known to be that of its account. Clones share it.
#[derive(Clone, Default)]
pub(super) struct IsOwn(Arc<OnceCell<()>>);

impl IsOwn {
    /// Something that was read has told that it is.
    pub(super) fn known(&self) {
        // Known already is as good.
        let _ = self.0.set(());
    }

    /// Looks, unless it is known; at most one look goes on at a time.
    pub(super) async fn once(
        &self,
        look: impl Future<Output = Result<(), ApiError>>,
    ) -> Result<(), ApiError> {
        self.0.get_or_try_init(|| look).await.copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test]
    async fn a_token_is_looked_at_once_and_a_new_one_again() {
        let (owners, account, looks) = (Owners::default(), Uuid::from_u128(1), AtomicU32::new(0));
        let look = async |token: &str| {
            let is_own = owners.of(account, &token.into());
            let look = async {
                looks.fetch_add(1, Ordering::Relaxed);
                Ok(())
            };
            is_own.once(look).await.unwrap();
            looks.load(Ordering::Relaxed)
        };
        assert_eq!((look("first").await, look("first").await, look("second").await), (1, 1, 2));
        owners.of(account, &"third".into()).known();
        assert_eq!(look("third").await, 2, "what was read has told");
        let other = ApiError::TokenRefused { account, owner: Some(Uuid::nil()) };
        let is_own = owners.of(account, &"fourth".into());
        assert!(is_own.once(async { Err(other) }).await.is_err());
        assert_eq!(look("fourth").await, 3, "nothing is known of it");
    }
}
