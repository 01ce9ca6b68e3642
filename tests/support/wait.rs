//! Waiting for a condition with a deadline instead of sleeping.

use std::time::{Duration, Instant};

/// A shorter limit would fail on a machine that is busy with something else.
const LEAST: Duration = Duration::from_secs(60);

/// Calls `probe` until it gives a value; panics with `what` after `limit`, or a minute if that is longer.
pub async fn until<T, F, Fut>(what: &str, limit: Duration, mut probe: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let (start, limit) = (Instant::now(), limit.max(LEAST));
    loop {
        // Asked before the probe: after a pause of the whole machine there is one more look.
        let last = start.elapsed() >= limit;
        if let Some(value) = probe().await {
            return value;
        }
        assert!(!last, "gave up waiting after {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
