//! What the process says about itself: log lines on standard error, so that standard output belongs to the commands, and
//! numbers for Prometheus.

pub mod metrics;

use std::io::{IsTerminal, stderr};

use tracing_subscriber::{EnvFilter, Layer, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// What a log line looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// For machines: one JSON object a line.
    Json,
}

/// Starts logging what `filter` lets through (a level, or `target=level` pairs; what cannot be read counts as `info`).
/// Without a format it is pretty on a terminal and JSON elsewhere. A second call changes nothing.
pub fn init(filter: &str, format: Option<LogFormat>) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let format = format.unwrap_or(if stderr().is_terminal() { LogFormat::Pretty } else { LogFormat::Json });
    let lines = match format {
        LogFormat::Pretty => fmt::layer().with_writer(stderr).with_ansi(stderr().is_terminal()).boxed(),
        LogFormat::Json => fmt::layer().with_writer(stderr).json().flatten_event(true).boxed(),
    };
    // An error means that somebody listens already: a test, or an earlier call.
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
}
