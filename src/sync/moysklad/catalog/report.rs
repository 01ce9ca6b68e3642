//! What one run did, and what the outcome of its task says of it.

use super::audit::SyncLogEntry;
use super::changes::Change;
use crate::queue::{HandlerError, Outcome};
use crate::sync::moysklad::settings::EntityKind;
use std::collections::BTreeMap;
use std::time::Instant;

/// Failures that an outcome names.
const NAMED: usize = 3;

/// What this run did so far.
pub(super) struct Report {
    pub(super) started: Instant,
    pub(super) entries: Vec<SyncLogEntry>,
    /// What was done to how many, by type; only what somebody told of.
    done: BTreeMap<(EntityKind, String), usize>,
    pub(super) total: BTreeMap<EntityKind, usize>,
    /// What an outcome says of a single change.
    single: String,
    pub(super) failed: Vec<String>,
    /// What failed in a way that may pass, and how.
    pub(super) passing: Vec<(Change, String)>,
    /// Types of which nothing may be done now, and why.
    pub(super) refused: BTreeMap<EntityKind, String>,
}

impl Report {
    pub(super) fn new(started: Instant) -> Self {
        Self {
            started,
            entries: Vec::new(),
            done: BTreeMap::new(),
            total: BTreeMap::new(),
            single: String::new(),
            failed: Vec::new(),
            passing: Vec::new(),
            refused: BTreeMap::new(),
        }
    }

    pub(super) fn count(&mut self, change: &Change, word: &str, text: &str) {
        if change.version.is_some() {
            *self.done.entry((change.kind, word.to_owned())).or_default() += 1;
            *self.total.entry(change.kind).or_default() += 1;
            text.clone_into(&mut self.single);
        }
    }

    /// How the task ends, after so many reads and writes.
    pub(super) fn outcome(&self, (reads, writes): (u32, u32)) -> Result<Outcome, HandlerError> {
        let all: usize = self.total.values().sum();
        if let Some((_, text)) = self.passing.first() {
            return Err(HandlerError::Retry(text.clone()));
        }
        if !self.failed.is_empty() {
            let named = self.failed.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; ");
            let more = self.failed.len().saturating_sub(NAMED);
            let rest = if more > 0 { format!("; and {more} more") } else { String::new() };
            return Err(HandlerError::GiveUp(if all <= 1 {
                self.single.clone()
            } else {
                format!("{} of {all} failed: {named}{rest}", self.failed.len())
            }));
        }
        if let Some(why) = self.refusal() {
            return Ok(Outcome::completed(format!("nothing done, another task tries again: {why}")));
        }
        let refused: Vec<String> =
            self.refused.iter().map(|(kind, why)| format!("; {}s: {why}", kind.keyword())).collect();
        let done = match all {
            0 => "nothing was waiting".to_owned(),
            1 => self.single.clone(),
            _ => {
                let kinds: Vec<String> =
                    self.total.iter().map(|(kind, count)| self.of_kind(*kind, *count)).collect();
                format!("{}; {}, {}", kinds.join("; "), counted(reads, "GET"), counted(writes, "write"))
            }
        };
        Ok(Outcome::completed(done + &refused.concat()))
    }

    /// Why nothing at all could be done of what somebody told of, if that is for want of a right.
    pub(super) fn refusal(&self) -> Option<&str> {
        let first = self.refused.values().next()?;
        self.total.is_empty().then_some(first)
    }

    fn of_kind(&self, kind: EntityKind, count: usize) -> String {
        let done: Vec<String> = self
            .done
            .iter()
            .filter(|((of, _), _)| *of == kind)
            .map(|((_, word), count)| format!("{count} {word}"))
            .collect();
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        format!("{}: {}", counted(count, kind.keyword()), done.join(", "))
    }
}

fn counted(count: u32, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn change(version: Option<i64>) -> Change {
        Change { version, ..Change::needed(EntityKind::Product, Uuid::nil()) }
    }

    #[test]
    fn an_outcome_counts_what_was_told_of() {
        let mut report = Report::new(Instant::now());
        report.count(&change(None), "created", "created");
        assert_eq!(report.outcome((0, 0)).unwrap().summary, "nothing was waiting");
        report.count(&change(Some(1)), "prices", "updated; skipped: unit");
        assert_eq!(report.outcome((1, 1)).unwrap().summary, "updated; skipped: unit");
        for _ in 0..2 {
            report.count(&change(Some(1)), "no change", "no change");
        }
        assert_eq!(
            report.outcome((1, 1)).unwrap().summary,
            "3 products: 2 no change, 1 prices; 1 GET, 1 write"
        );
        report.failed.push("product x: refused".to_owned());
        let failed = report.outcome((1, 1)).unwrap_err().to_string();
        assert_eq!(failed, "1 of 3 failed: product x: refused");
    }
}
