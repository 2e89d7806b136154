//! What the process says about itself: log lines on standard error, so that standard output belongs to the commands,
//! numbers for Prometheus, and, where an OTLP collector is set, traces and the same numbers for that.
//!
//! Nobody waits for any of it, and none of it holds a secret.

mod lines;
pub mod metrics;
mod numbers;
mod otlp;
mod process;
pub mod trace;
mod traces;

use std::{
    io::{IsTerminal, stderr},
    sync::Arc,
    time::Duration,
};

use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::{task::JoinHandle, time::MissedTickBehavior};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{LevelFilter, filter_fn},
    fmt,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use lines::WithTrace;
use numbers::Numbers;
use otlp::Post;
pub use otlp::{Otlp, Sampling, Target, try_collectors};
pub use process::most_open_files;

/// How long the end of the process waits for the collector.
const FAREWELL: Duration = Duration::from_secs(2);

/// What a log line looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// For machines: one JSON object a line.
    Json,
}

/// What is under way to a collector, if there is one. Ends with [`Telemetry::end`].
#[derive(Default)]
pub struct Telemetry {
    spans: Option<SdkTracerProvider>,
    numbers: Option<(Numbers, Duration)>,
    sending: Option<JoinHandle<()>>,
    post: Option<Arc<Post>>,
}

/// Starts logging what `filter` lets through (a level, or `target=level` pairs; what cannot be read counts as `info`).
/// Without a format it is pretty on a terminal and JSON elsewhere. With a collector, spans go there whatever the filter
/// says; that needs a tokio runtime with threads of its own. A second call changes nothing.
pub fn init(filter: &str, format: Option<LogFormat>, otlp: Option<&Otlp>) -> Telemetry {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let format = format.unwrap_or(if stderr().is_terminal() { LogFormat::Pretty } else { LogFormat::Json });
    let lines = match format {
        LogFormat::Pretty => {
            let ansi = stderr().is_terminal();
            let format = WithTrace { format: fmt::format().with_ansi(ansi), style: LogFormat::Pretty };
            fmt::layer().with_writer(stderr).with_ansi(ansi).event_format(format).boxed()
        }
        LogFormat::Json => {
            let format = WithTrace { format: fmt::format().json().flatten_event(true), style: LogFormat::Json };
            fmt::layer().with_writer(stderr).json().event_format(format).boxed()
        }
    };
    let both = otlp.map(|otlp| (otlp, Post::new(otlp.timeout)));
    let to = both.as_ref().and_then(|(otlp, post)| Some((otlp, post.sender(otlp.traces.as_ref()?))));
    let spans = to.map(|(otlp, sender)| traces::provider(otlp, sender));
    let exported = spans.as_ref().map(|spans| {
        let ours = filter_fn(|metadata| metadata.is_span() && metadata.target().starts_with("nectr"));
        tracing_opentelemetry::layer()
            .with_tracer(traces::tracer(spans))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(ours.with_max_level_hint(LevelFilter::INFO))
    });
    let registry = tracing_subscriber::registry().with(exported).with(lines.with_filter(filter));
    if registry.try_init().is_err() {
        // Somebody listens already: a test, or an earlier call.
        return Telemetry::default();
    }
    let to = both.as_ref().and_then(|(otlp, post)| Some((otlp, post.sender(otlp.metrics.as_ref()?))));
    let numbers = to.map(|(otlp, sender)| (Numbers::new(otlp, sender), otlp.interval));
    Telemetry { spans, numbers, sending: None, post: both.map(|(_, post)| post) }
}

impl Telemetry {
    /// Sends the numbers every now and then, if they are to be sent; `refresh` looks first at what nobody counts.
    pub fn send_numbers<F, R>(&mut self, refresh: F)
    where
        F: Fn() -> R + Send + 'static,
        R: Future<Output = ()> + Send,
    {
        let Some((numbers, interval)) = self.numbers.clone() else { return };
        self.sending = Some(tokio::spawn(async move {
            let mut beat = tokio::time::interval(interval);
            beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                beat.tick().await;
                refresh().await;
                numbers.send().await;
            }
        }));
    }

    /// Sends what is left, in 2 s at most.
    pub async fn end(self) {
        if let Some(post) = &self.post {
            post.end();
        }
        if let Some(sending) = &self.sending {
            sending.abort();
        }
        let spans = async {
            if let Some(spans) = self.spans {
                // It blocks. What it says was logged where it was sent.
                let _ = tokio::task::spawn_blocking(move || spans.shutdown_with_timeout(FAREWELL)).await;
            }
        };
        let numbers = async {
            if let Some((numbers, _)) = &self.numbers {
                numbers.send().await;
            }
        };
        let _ = tokio::time::timeout(FAREWELL, async { tokio::join!(spans, numbers) }).await;
    }
}
