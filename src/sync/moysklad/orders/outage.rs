//! Documents that wait for MoySklad itself: an outage costs them no tries, however long it is, within reason.

use super::super::work::Work;
use crate::queue::HandlerError;
use crate::sync::tasks::{self, HELD, Task};
use chrono::{DateTime, Duration as Span, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration;

/// Without an answer for longer than this, tries count again, and the last one leaves it to a person.
const REASON: Span = Span::days(3);
/// After so long without a failure, the next one begins another outage.
const APART: Span = Span::minutes(20);
/// The wait after the first failure; later ones are as long as the outage has been.
const FIRST: Duration = Duration::from_secs(1);
/// And never longer.
const LAST: Duration = Duration::from_secs(5 * 60);

/// What a task remembers of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Outage {
    since: DateTime<Utc>,
    last: DateTime<Utc>,
}

impl Outage {
    /// With one more failure now, which may be the first.
    fn goes_on(before: Option<Self>, now: DateTime<Utc>) -> Self {
        let same = before.filter(|outage| outage.last <= now && now - outage.last < APART);
        Self { since: same.map_or(now, |outage| outage.since), last: now }
    }

    /// How long to wait; `None`: longer than is reasonable.
    fn wait(self) -> Option<Duration> {
        let age = self.last - self.since;
        (age < REASON).then(|| age.to_std().unwrap_or_default().clamp(FIRST, LAST))
    }
}

/// Lets a task wait that MoySklad did not answer.
pub(in super::super) async fn wait_out(
    cx: &Work,
    task: &Task,
    failure: String,
) -> Result<HandlerError, HandlerError> {
    let before = serde_json::from_value(task.payload["outage"].clone()).ok();
    let outage = Outage::goes_on(before, cx.clock.now());
    let Some(after) = outage.wait() else { return Ok(HandlerError::Retry(failure)) };
    tasks::note(&mut *cx.pool.get().await?, task.id, &json!({ "outage": outage })).await?;
    Ok(HandlerError::Defer { after, reason: format!("{HELD}: MoySklad does not answer: {failure}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn waits_grow_with_the_outage_and_end_after_three_days() {
        let mut outage = Outage::goes_on(None, at(0));
        assert_eq!(outage.wait(), Some(FIRST));
        for (seconds, wait) in [(4, 4), (60, 60), (400, 300), (1500, 300)] {
            outage = Outage::goes_on(Some(outage), at(seconds));
            assert_eq!(outage.wait(), Some(Duration::from_secs(wait)), "{seconds}");
        }
        let days = Outage { since: at(0), last: at(3 * 86_400) };
        assert_eq!(days.wait(), None);
    }

    #[test]
    fn a_failure_long_after_another_is_another_outage() {
        let first = Outage::goes_on(None, at(0));
        assert_eq!(Outage::goes_on(Some(first), at(3600)), Outage { since: at(3600), last: at(3600) });
        assert_eq!(Outage::goes_on(Some(first), at(-5)).since, at(-5), "a clock that was set back");
    }
}
