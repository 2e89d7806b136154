//! Where telemetry is sent, and how: settings that were checked, and the one client that sends.
//!
//! A collector that is away, slow or talks nonsense costs what it did not take and nothing else: each request has a
//! deadline and is repeated for a minute at most, nothing waits in line for it but a bounded queue, and failures are logged
//! once in a while. Headers, which may hold a collector's password, are never shown.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    domain::retry,
    web::{AGENT, Web, WebError},
};

/// Time between two lines about a collector that does not take what it is sent.
const QUIET: Duration = Duration::from_secs(300);

/// How long one message is sent again: longer than a collector takes to start anew.
const PERSISTENCE: Duration = Duration::from_secs(60);

/// The wait after the first failure, at most; doubled after each further one up to the longest.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(16);

/// The shortest wait a collector may ask for.
const LEAST: Duration = Duration::from_millis(100);

/// What is exported, to whom, as the `OTEL_*` variables say.
#[derive(Debug, Clone)]
pub struct Otlp {
    /// Where traces go, if anywhere.
    pub traces: Option<Target>,
    /// Where metrics go, if anywhere.
    pub metrics: Option<Target>,
    /// `OTEL_EXPORTER_OTLP_TIMEOUT`: for one request.
    pub timeout: Duration,
    /// `OTEL_SERVICE_NAME`.
    pub service: String,
    /// `OTEL_RESOURCE_ATTRIBUTES`.
    pub attributes: Vec<(String, String)>,
    /// `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`.
    pub sampling: Sampling,
    /// `OTEL_METRIC_EXPORT_INTERVAL`: time between two exports of metrics.
    pub interval: Duration,
}

/// Where one signal is sent.
#[derive(Debug, Clone)]
pub struct Target {
    /// The whole address, `/v1/traces` and the like included.
    pub url: Url,
    /// What the collector wants to see, each marked as sensitive.
    pub headers: HeaderMap,
}

/// Which traces are kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Whether the caller's decision holds where there is one.
    pub follow_parent: bool,
    /// Which part of the traces that begin here is kept, from 0 to 1.
    pub ratio: f64,
}

/// What every sender of a process shares.
pub(super) struct Post {
    web: Web,
    timeout: Duration,
    complained: Mutex<Option<Instant>>,
    ending: CancellationToken,
}

/// Sends one signal to its collector. Cheap to clone.
#[derive(Clone)]
pub(super) struct Sender {
    post: Arc<Post>,
    target: Arc<Target>,
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sender").field(&self.target.url.as_str()).finish()
    }
}

/// Why something was not taken.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("it cannot be a request: {0}")]
    Request(#[from] http::Error),
    #[error(transparent)]
    Unanswered(#[from] WebError),
    #[error("it answered {status}")]
    Status { status: StatusCode, after: Option<Duration> },
    /// It took the rest.
    #[error("it left out {count}: {reason}")]
    Partly { count: i64, reason: String },
}

impl Refusal {
    /// How long to wait before the same is sent again, after this many failures; none if that would not help. `random` is
    /// from 0 to 1.
    fn wait(&self, failures: u32, random: f64) -> Option<Duration> {
        let doubled = FIRST.saturating_mul(2u32.saturating_pow(failures.saturating_sub(1))).min(LONGEST);
        let backoff = doubled.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0);
        match self {
            Self::Request(_) | Self::Partly { .. } => None,
            Self::Unanswered(_) => Some(backoff),
            Self::Status { status, after } => {
                matches!(status.as_u16(), 429 | 502 | 503 | 504).then(|| after.unwrap_or(backoff).max(LEAST))
            }
        }
    }
}

impl Post {
    /// Must be called within a tokio runtime. Connects to nobody yet.
    pub(super) fn new(timeout: Duration) -> Arc<Self> {
        let (complained, ending) = Default::default();
        Arc::new(Self { web: Web::new(), timeout, complained, ending })
    }

    pub(super) fn sender(self: &Arc<Self>, target: &Target) -> Sender {
        Sender { post: self.clone(), target: Arc::new(target.clone()) }
    }

    /// From now on each message has one more try, at once.
    pub(super) fn end(&self) {
        self.ending.cancel();
    }

    fn may_complain(&self) -> bool {
        let mut last = self.complained.lock().unwrap_or_else(PoisonError::into_inner);
        let may = last.is_none_or(|last| last.elapsed() >= QUIET);
        if may {
            *last = Some(Instant::now());
        }
        may
    }
}

impl Sender {
    /// Sends one message until the collector takes it or that has taken too long; whether it was taken.
    pub(super) async fn send(&self, message: Vec<u8>) -> bool {
        let message = Bytes::from(message);
        let deadline = Instant::now() + PERSISTENCE;
        let mut failures = 0;
        loop {
            let last = self.post.ending.is_cancelled();
            let Err(refusal) = self.exchange(message.clone()).await else { return true };
            failures += 1;
            self.complain(&refusal);
            let wait = refusal
                .wait(failures, random())
                .filter(|wait| !last && *wait <= deadline.saturating_duration_since(Instant::now()));
            let Some(wait) = wait else { return false };
            let _ = self.post.ending.run_until_cancelled(tokio::time::sleep(wait)).await;
        }
    }

    async fn exchange(&self, message: Bytes) -> Result<(), Refusal> {
        let mut request = Request::builder().method(Method::POST).uri(self.target.url.as_str());
        if let Some(headers) = request.headers_mut() {
            headers.extend(self.target.headers.clone());
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
            headers.insert(header::USER_AGENT, HeaderValue::from_static(AGENT));
        }
        let answer = self.post.web.send(request.body(message)?, self.post.timeout).await?;
        match answer.status {
            status if status.is_success() => self.taken(answer.body),
            status => Err(Refusal::Status { status, after: retry_after(&answer.headers, Utc::now()) }),
        }
    }

    /// What a collector that says yes did not take after all, if anything: `partial_success`, which has the same shape for
    /// both signals. With nothing left out it is a warning.
    fn taken(&self, answer: Bytes) -> Result<(), Refusal> {
        let said = ExportTraceServiceResponse::decode(answer).ok().and_then(|answer| answer.partial_success);
        let Some(said) = said.filter(|said| said.rejected_spans > 0 || !said.error_message.is_empty()) else {
            return Ok(());
        };
        if said.rejected_spans > 0 {
            return Err(Refusal::Partly { count: said.rejected_spans, reason: said.error_message });
        }
        tracing::debug!(collector = %self.target.url, warning = said.error_message, "the collector took everything");
        Ok(())
    }

    fn complain(&self, refusal: &Refusal) {
        if self.post.may_complain() {
            tracing::warn!(
                collector = %self.target.url,
                error = %refusal,
                "the collector does not take telemetry, or not all of it: what it does not take within a minute is lost; \
                 this is said again in 5 minutes at the earliest"
            );
        }
    }
}

/// Asks the collector of each signal once whether it would take something: a message with nothing in it. Names the signal
/// and its address, and says why not.
pub async fn try_collectors(otlp: &Otlp) -> Vec<(&'static str, Url, Result<(), String>)> {
    let post = Post::new(otlp.timeout);
    let targets = [("traces", &otlp.traces), ("metrics", &otlp.metrics)];
    let mut tried = Vec::new();
    for (signal, target) in targets.into_iter().filter_map(|(signal, target)| Some((signal, target.as_ref()?))) {
        let taken = post.sender(target).exchange(Bytes::new()).await;
        tried.push((signal, target.url.clone(), taken.map_err(|refusal| refusal.to_string())));
    }
    tried
}

/// How long the collector asks for patience: seconds, or a date.
fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    retry::retry_after(value, now)?.to_std().ok()
}

/// From 0 to 1; so that many processes do not come back together, not to keep a secret.
fn random() -> f64 {
    f64::from(RandomState::new().hash_one(()) as u32) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use opentelemetry_proto::tonic::collector::metrics::v1::{
        ExportMetricsPartialSuccess, ExportMetricsServiceResponse,
    };

    use super::*;

    const fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn what_may_pass_is_sent_again_later_and_later() {
        let away = || Refusal::Unanswered(WebError::Connection("refused".to_owned()));
        let waits: Vec<_> = (1..8).map(|failures| away().wait(failures, 1.0).unwrap().as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 16, 16]);
        assert_eq!(away().wait(2, 0.0), Some(seconds(1)));
        assert_eq!(away().wait(u32::MAX, 0.0), Some(seconds(8)));
        for code in [429, 502, 503, 504] {
            let busy = |after| Refusal::Status { status: StatusCode::from_u16(code).unwrap(), after };
            assert_eq!(busy(None).wait(1, 1.0), Some(seconds(1)), "{code}");
            assert_eq!(busy(Some(seconds(30))).wait(1, 1.0), Some(seconds(30)), "{code}");
        }
    }

    #[test]
    fn what_the_collector_will_never_take_is_not_sent_again() {
        for code in [400, 401, 403, 404, 413, 500, 501] {
            let refusal = Refusal::Status { status: StatusCode::from_u16(code).unwrap(), after: Some(seconds(1)) };
            assert_eq!(refusal.wait(1, 1.0), None, "{code}");
        }
    }

    #[tokio::test]
    async fn what_a_collector_left_out_of_what_it_took_is_said_and_not_sent_again() {
        let target = Target { url: Url::parse("http://collector.test/").unwrap(), headers: HeaderMap::new() };
        let sender = Post::new(seconds(1)).sender(&target);
        let answer = |count, reason: &str| {
            let said = ExportMetricsPartialSuccess { rejected_data_points: count, error_message: reason.to_owned() };
            ExportMetricsServiceResponse { partial_success: Some(said) }.encode_to_vec().into()
        };
        let refusal = sender.taken(answer(3, "too many labels")).unwrap_err();
        assert_eq!(refusal.to_string(), "it left out 3: too many labels");
        assert_eq!(refusal.wait(1, 1.0), None);
        assert!(sender.taken(answer(0, "soon too many labels")).is_ok());
        assert!(sender.taken(answer(0, "")).is_ok());
        for nothing in ["", "{\"partialSuccess\":{}}", "ok"] {
            assert!(sender.taken(nothing.into()).is_ok(), "{nothing}");
        }
    }

    #[test]
    fn patience_is_asked_for_in_seconds_or_until_a_date() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let asked = |value: &str| {
            let headers = HeaderMap::from_iter([(header::RETRY_AFTER, value.parse().unwrap())]);
            retry_after(&headers, now)
        };
        assert_eq!(asked("7"), Some(seconds(7)));
        assert_eq!(asked(&(now + seconds(9)).to_rfc2822()), Some(seconds(9)));
        assert_eq!(asked(&(now - seconds(9)).to_rfc2822()), None);
        assert_eq!(asked("soon"), None);
    }
}
