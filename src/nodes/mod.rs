//! Which processes are alive, and how many of them share what upstreams allow.
//!
//! An upstream counts the calls of an account, whichever process makes them. So each process that calls keeps a row in the
//! table `nodes`, reads those of the others, and takes the share of one among so many. At no time do the shares add up to
//! more than the whole: who joins makes no call until all others have *said in their rows* that they heed it, and who cannot
//! renew its row makes none from a second before the others stop counting it.

mod beat;
mod store;

use crate::db::Database;
use crate::queue::Waker;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Name of the wake-up that a process sends when it joins or leaves.
pub const NODES: &str = "nodes";

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Works until it is stopped.
    Worker,
    /// Does one thing for a person, who waits for it. Comes before the workers where not all can have a share.
    Command,
}

/// A process among those that share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// How many there are, this one included.
    pub of: u32,
    /// How many of them come first where there is not enough for all.
    pub rank: u32,
}

impl Standing {
    /// The only one.
    pub const ALONE: Self = Self { of: 1, rank: 0 };
}

/// What has to keep to the share of this process.
pub trait Follower: Send + Sync {
    /// This is the standing from now on; `None`: no call may be made.
    fn follow(&self, standing: Option<Standing>);
    /// Whether nothing is under way any more that only an earlier, larger share allowed.
    fn has_settled(&self) -> bool;
}

/// The standing of this process. Cheap to clone.
#[derive(Clone)]
pub struct Nodes(Arc<Shared>);

struct Shared {
    standing: watch::Sender<Option<Standing>>,
    followers: Mutex<Vec<Arc<dyn Follower>>>,
}

impl Nodes {
    /// Of a process that shares with none, for as long as it lives.
    pub fn alone() -> Self {
        Self::with(Some(Standing::ALONE))
    }

    fn with(standing: Option<Standing>) -> Self {
        Self(Arc::new(Shared { standing: watch::Sender::new(standing), followers: Mutex::default() }))
    }

    /// The standing now; `None` while no call may be made.
    pub fn standing(&self) -> Option<Standing> {
        *self.0.standing.borrow()
    }

    /// Tells this one the standing now and whenever it changes, until all of these handles are gone.
    pub fn tell(&self, follower: Arc<dyn Follower>) {
        let mut followers = self.followers();
        // Under the lock, so that no change falls between.
        follower.follow(self.standing());
        followers.push(follower);
    }

    /// Waits until this process may make calls, at most `limit`; true if it may.
    pub async fn admitted(&self, limit: Duration) -> bool {
        let mut standing = self.0.standing.subscribe();
        let admitted = standing.wait_for(Option::is_some);
        matches!(tokio::time::timeout(limit, admitted).await, Ok(Ok(_)))
    }

    fn set(&self, standing: Option<Standing>) {
        let followers = self.followers();
        if self.standing() == standing {
            return;
        }
        self.0.standing.send_replace(standing);
        followers.iter().for_each(|follower| follower.follow(standing));
    }

    fn have_settled(&self) -> bool {
        self.followers().iter().all(|follower| follower.has_settled())
    }

    fn followers(&self) -> MutexGuard<'_, Vec<Arc<dyn Follower>>> {
        self.0.followers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The membership of this process. Dropped without [`Node::leave`] it is over for the others a few seconds later, as after
/// a crash.
pub struct Node {
    /// Its standing.
    pub nodes: Nodes,
    stop: CancellationToken,
    beating: JoinHandle<()>,
}

impl Node {
    /// Joins the others. `waker` (named [`NODES`]) tells of those who join and leave; without its wake-ups they are seen a
    /// second later. Survives every loss of the database.
    pub fn join(database: Database, kind: Kind, waker: Waker) -> Self {
        let (nodes, stop) = (Nodes::with(None), CancellationToken::new());
        let beat = beat::Beat::new(database, Uuid::new_v4(), kind, nodes.clone());
        Self { nodes, beating: tokio::spawn(beat.run(waker, stop.clone())), stop }
    }

    /// Makes no call from now on, and tells the others.
    pub async fn leave(mut self) {
        self.stop.cancel();
        let _ = (&mut self.beating).await;
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.beating.abort();
        self.nodes.set(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Noted(Mutex<Vec<Option<Standing>>>);

    impl Follower for Noted {
        fn follow(&self, standing: Option<Standing>) {
            self.0.lock().unwrap().push(standing);
        }

        fn has_settled(&self) -> bool {
            self.0.lock().unwrap().len() > 1
        }
    }

    #[tokio::test]
    async fn a_follower_is_told_at_once_and_at_each_change() {
        let (nodes, noted) = (Nodes::alone(), Arc::new(Noted::default()));
        nodes.tell(noted.clone());
        assert!(!nodes.have_settled());
        let two = Some(Standing { of: 2, rank: 1 });
        for standing in [two, two, None] {
            nodes.set(standing);
        }
        assert_eq!(*noted.0.lock().unwrap(), [Some(Standing::ALONE), two, None]);
        assert!(nodes.have_settled());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_to_be_admitted_waits_no_longer_than_told() {
        assert!(Nodes::alone().admitted(Duration::ZERO).await);
        let nodes = Nodes::with(None);
        assert!(!nodes.admitted(Duration::from_secs(1)).await);
        let later = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            nodes.set(Some(Standing::ALONE));
        };
        assert!(tokio::join!(nodes.admitted(Duration::from_secs(2)), later).0);
    }
}
