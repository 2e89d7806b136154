//! Where telemetry is sent, and how: settings that were checked, and the one client that sends.
//!
//! A collector that is away, slow or talks nonsense costs what it did not take and nothing else: each request has a
//! deadline, nothing waits in line for it but a bounded queue, and failures are logged once in a while. Headers, which
//! may hold a collector's password, are never shown.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use url::Url;

/// Time between two lines about a collector that does not take what it is sent.
const QUIET: Duration = Duration::from_secs(300);

/// Idle connections are closed after this.
const IDLE: Duration = Duration::from_secs(90);

/// Answers are read this far, so that their connection can be used again.
const ANSWER: usize = 64 * 1024;

const AGENT: &str = concat!("nectr/", env!("CARGO_PKG_VERSION"));

/// What is exported, to whom, as the `OTEL_*` variables say.
#[derive(Debug, Clone)]
pub struct Otlp {
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` without trailing slash; `/v1/traces` and `/v1/metrics` are added.
    pub endpoint: Url,
    /// `OTEL_EXPORTER_OTLP_HEADERS`, each marked as sensitive.
    pub headers: HeaderMap,
    /// `OTEL_EXPORTER_OTLP_TIMEOUT`: for one request in all.
    pub timeout: Duration,
    /// `OTEL_SERVICE_NAME`.
    pub service: String,
    /// `OTEL_RESOURCE_ATTRIBUTES`.
    pub attributes: Vec<(String, String)>,
    /// `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`.
    pub sampling: Sampling,
    /// Whether traces are exported (`OTEL_TRACES_EXPORTER`).
    pub traces: bool,
    /// Whether metrics are exported (`OTEL_METRICS_EXPORTER`).
    pub metrics: bool,
    /// `OTEL_METRIC_EXPORT_INTERVAL`: time between two exports of metrics.
    pub interval: Duration,
}

/// Which traces are kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Whether the caller's decision holds where there is one.
    pub follow_parent: bool,
    /// Which part of the traces that begin here is kept, from 0 to 1.
    pub ratio: f64,
}

/// Sends to the collector. Cheap to clone.
#[derive(Clone)]
pub(super) struct Sender(Arc<Inner>);

struct Inner {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    endpoint: String,
    headers: HeaderMap,
    timeout: Duration,
    complained: Mutex<Option<Instant>>,
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sender").field(&self.0.endpoint).finish()
    }
}

/// Why something was not taken.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("it cannot be a request: {0}")]
    Request(#[from] http::Error),
    #[error("{}", root_of(.0))]
    Connection(#[from] hyper_util::client::legacy::Error),
    #[error("it answered {0}")]
    Status(StatusCode),
    #[error("no answer within {} ms", .0.as_millis())]
    Late(Duration),
}

impl Sender {
    /// Must be called within a tokio runtime. Connects to nobody yet.
    pub(super) fn new(otlp: &Otlp) -> Self {
        Self(Arc::new(Inner {
            client: Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(IDLE)
                .build(connector()),
            endpoint: otlp.endpoint.as_str().trim_end_matches('/').to_owned(),
            headers: otlp.headers.clone(),
            timeout: otlp.timeout,
            complained: Mutex::default(),
        }))
    }

    /// Sends one message; whether the collector took it. `signal` is `traces` or `metrics`.
    pub(super) async fn send(&self, signal: &'static str, message: Vec<u8>) -> bool {
        let exchange = tokio::time::timeout(self.0.timeout, self.exchange(signal, message));
        let refusal = match exchange.await {
            Ok(Ok(())) => return true,
            Ok(Err(refusal)) => refusal,
            Err(_) => Refusal::Late(self.0.timeout),
        };
        if self.may_complain() {
            tracing::warn!(
                collector = self.0.endpoint,
                signal,
                error = %refusal,
                "telemetry is lost: the collector does not take it; this is said again in 5 minutes at the earliest"
            );
        }
        false
    }

    async fn exchange(&self, signal: &str, message: Vec<u8>) -> Result<(), Refusal> {
        let mut request = Request::builder().method(Method::POST).uri(format!("{}/v1/{signal}", self.0.endpoint));
        if let Some(headers) = request.headers_mut() {
            headers.extend(self.0.headers.clone());
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
            headers.insert(header::USER_AGENT, HeaderValue::from_static(AGENT));
        }
        let answer = self.0.client.request(request.body(Full::new(message.into()))?).await?;
        let status = answer.status();
        // What it says does not matter, only that it has been said.
        let _ = Limited::new(answer.into_body(), ANSWER).collect().await;
        if status.is_success() { Ok(()) } else { Err(Refusal::Status(status)) }
    }

    fn may_complain(&self) -> bool {
        let mut last = self.0.complained.lock().unwrap_or_else(PoisonError::into_inner);
        let may = last.is_none_or(|last| last.elapsed() >= QUIET);
        if may {
            *last = Some(Instant::now());
        }
        may
    }
}

/// The innermost cause says most: "connection refused" rather than "client error".
fn root_of(error: &hyper_util::client::legacy::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

fn connector() -> HttpsConnector<HttpConnector> {
    let provider = rustls::crypto::ring::default_provider;
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    let trusting = HttpsConnectorBuilder::new().with_provider_and_native_roots(provider());
    match trusting {
        Ok(builder) => builder.https_or_http().enable_http1().wrap_connector(tcp),
        Err(error) => {
            // Plain http still works, as for a collector on this machine; https will say that the issuer is unknown.
            tracing::warn!(%error, "no root certificates found: the collector cannot be reached over https");
            let config = rustls::ClientConfig::builder_with_provider(Arc::new(provider()))
                .with_safe_default_protocol_versions()
                .expect("ring speaks the default versions")
                .with_root_certificates(rustls::RootCertStore::empty())
                .with_no_client_auth();
            let builder = HttpsConnectorBuilder::new().with_tls_config(config);
            builder.https_or_http().enable_http1().wrap_connector(tcp)
        }
    }
}
