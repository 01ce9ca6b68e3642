//! Waiting for a condition with a deadline instead of sleeping.

use std::time::{Duration, Instant};

/// Calls `probe` until it gives a value; panics with `what` after `limit`.
pub async fn until<T, F, Fut>(what: &str, limit: Duration, mut probe: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let start = Instant::now();
    loop {
        if let Some(value) = probe().await {
            return value;
        }
        assert!(start.elapsed() < limit, "gave up waiting after {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
