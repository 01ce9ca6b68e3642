//! The jobs that this engine has in hand.

use std::collections::HashMap;
use std::sync::Arc;
use tokio::task::AbortHandle;
use uuid::Uuid;

/// Jobs in hand by row id, with the attempt that is running and the means to stop it.
#[derive(Default)]
pub(super) struct Running(HashMap<Uuid, (i32, Arc<AbortHandle>)>);

impl Running {
    /// Adds a job. An earlier attempt on the same row, whose lease was lost without notice, is stopped.
    pub(super) fn add(&mut self, id: Uuid, attempt: i32, handle: AbortHandle) {
        if let Some((_, earlier)) = self.0.insert(id, (attempt, Arc::new(handle))) {
            earlier.abort();
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn of_two_attempts_on_one_row_only_the_later_goes_on() {
        let mut running = Running::default();
        let [first, second] = [(); 2].map(|()| tokio::spawn(std::future::pending::<()>()));
        running.add(Uuid::nil(), 1, first.abort_handle());
        running.add(Uuid::nil(), 2, second.abort_handle());
        assert!(first.await.unwrap_err().is_cancelled());
        running.remove(Uuid::nil(), 1);
        assert_eq!(running.len(), 1);
        assert!(!second.is_finished());
    }
}
