//! The jobs that this engine has in hand.

use std::collections::HashMap;
use std::sync::Arc;
use tokio::task::AbortHandle;
use uuid::Uuid;

/// Jobs in hand by row id, with the attempt that is running and the means to stop it.
#[derive(Default)]
pub(super) struct Running(HashMap<Uuid, (i32, Arc<AbortHandle>)>);

impl Running {
    pub(super) fn add(&mut self, id: Uuid, attempt: i32, handle: AbortHandle) {
        self.0.insert(id, (attempt, Arc::new(handle)));
    }

    /// Forgets a job that has ended; a later attempt on the same row stays.
    pub(super) fn remove(&mut self, id: Uuid, attempt: i32) {
        if self.0.get(&id).is_some_and(|job| job.0 == attempt) {
            self.0.remove(&id);
        }
    }

    pub(super) fn ids(&self) -> Vec<Uuid> {
        self.0.keys().copied().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Stops every job that `held` does not confirm: its lease is lost and another worker may have the row.
    pub(super) fn stop_unless_held(&mut self, asked: &[Uuid], held: &[(Uuid, i32)]) -> usize {
        let held: HashMap<Uuid, i32> = held.iter().copied().collect();
        let lost: Vec<Uuid> = asked
            .iter()
            .filter(|id| self.0.get(id).is_some_and(|job| held.get(id) != Some(&job.0)))
            .copied()
            .collect();
        for id in &lost {
            if let Some((_, handle)) = self.0.remove(id) {
                handle.abort();
            }
        }
        lost.len()
    }

    /// Stops all jobs and gives their rows.
    pub(super) fn stop_all(&mut self) -> Vec<Uuid> {
        self.0
            .drain()
            .map(|(id, (_, handle))| {
                handle.abort();
                id
            })
            .collect()
    }
}
