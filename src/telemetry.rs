//! Logs and metrics.
//!
//! A log line names ids, counts and durations. It never holds a secret, a payload, a query string or anything about a
//! person; the black-box tests search every line for what they put in.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;

/// Starts logging to stderr: for people, or as JSON lines. `RUST_LOG` filters, default `info`.
pub fn start_logs(json: bool) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second call happens only in tests that share a process; the first one's logger stays.
    let _ = if json {
        lines.json().flatten_event(true).try_init()
    } else {
        lines.with_ansi(std::io::stderr().is_terminal()).try_init()
    };
}

/// Upper bounds in seconds: acknowledgements take fractions of a millisecond, upstream calls up to minutes.
const SECONDS: [f64; 16] =
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Starts the metrics of this process; the handle renders them.
pub fn start_metrics() -> Option<PrometheusHandle> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .ok()?
        .install_recorder()
        .ok()?;
    describe();
    Some(handle)
}

fn describe() {
    metrics::describe_counter!("webhook_events_received_total", "Events by what became of them at the door");
    metrics::describe_counter!("webhook_quarantined_total", "Requests put into quarantine, by reason");
    metrics::describe_counter!(
        "webhook_quarantine_dropped_total",
        "Requests that were not kept: too many at once, in a minute, too large, or no database"
    );
    metrics::describe_histogram!(
        "webhook_ack_duration_seconds",
        "From the last byte of a request to its reply"
    );
    metrics::describe_counter!("webhook_events_processed_total", "Attempts at events by how they ended");
    metrics::describe_histogram!("webhook_processing_duration_seconds", "How long handlers worked on events");
    metrics::describe_gauge!("webhook_queue_depth", "Unfinished rows of each queue");
    metrics::describe_counter!(
        "webhook_key_fetches_total",
        "Fetches of keys, certificates and verdicts by outcome"
    );
    metrics::describe_counter!("upstream_requests_total", "Calls to upstream APIs by status");
    metrics::describe_counter!(
        "upstream_held_total",
        "Times that calls were held before an upstream bans for them, by reason"
    );
    metrics::describe_counter!(
        "upstream_parallel_lowered_total",
        "Times that fewer calls were allowed in flight because an upstream said so"
    );
    metrics::describe_histogram!(
        "upstream_request_duration_seconds",
        "How long upstream APIs took to answer"
    );
}
