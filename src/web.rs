//! Requests to others: a collector of telemetry, our own public address. HTTP and HTTPS, bounded in time and size; nothing is
//! retried, no redirect is followed. GitHub has a client of its own, over the same kind of connections.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Body;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::crypto::{CryptoProvider, ring};

/// Until a connection stands.
const CONNECT: Duration = Duration::from_secs(5);

/// Idle connections are closed after this.
const IDLE: Duration = Duration::from_secs(90);

/// Answers are read this far, so that their connection can be used again.
const ANSWER: usize = 64 * 1024;

/// How we call ourselves.
pub const AGENT: &str = concat!("nectr/", env!("CARGO_PKG_VERSION"));

/// The client. Cheap to clone; keeps connections for the next request.
#[derive(Clone)]
pub struct Web(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

/// An answer, whatever its status.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// The body; empty if it was longer than 64 KiB, or broke off.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// Nobody is there, or speaks something else.
    #[error("{0}")]
    Connection(String),
    /// Nothing came in time.
    #[error("no answer within {} ms", .0.as_millis())]
    Late(Duration),
}

impl Web {
    /// Must be called within a tokio runtime. Connects to nobody yet.
    pub fn new() -> Self {
        Self(pool(IDLE))
    }

    /// Sends one request and reads the answer, all within `limit`.
    pub async fn send(&self, request: Request<Bytes>, limit: Duration) -> Result<Answer, WebError> {
        let exchange = async {
            let answer = self.0.request(request.map(Full::new)).await.map_err(|error| root_of(&error))?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, ANSWER).collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            Ok(Answer { status: head.status, headers: head.headers, body })
        };
        tokio::time::timeout(limit, exchange).await.unwrap_or(Err(WebError::Late(limit)))
    }
}

impl Default for Web {
    fn default() -> Self {
        Self::new()
    }
}

/// The innermost cause says most: "connection refused" rather than "client error".
fn root_of(error: &hyper_util::client::legacy::Error) -> WebError {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    WebError::Connection(cause.to_string())
}

/// A pool of connections, HTTP and HTTPS, that are closed when idle for so long. Must be called within a tokio runtime;
/// connects to nobody yet.
pub fn pool<B>(idle: Duration) -> Client<HttpsConnector<HttpConnector>, B>
where
    B: Body + Send,
    B::Data: Send,
{
    let provider = CryptoProvider::get_default().cloned().unwrap_or_else(|| {
        // Losing a race for the process-wide default leaves a default: that is all that is wanted.
        let _ = ring::default_provider().install_default();
        Arc::new(ring::default_provider())
    });
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring speaks the default versions");
    let tls = match tls.clone().with_native_roots() {
        Ok(trusting) => trusting.with_no_client_auth(),
        Err(error) => {
            // Plain http still works, as on this machine; https will say that the issuer is unknown.
            tracing::warn!(%error, "no root certificates found: nothing can be reached over https");
            tls.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth()
        }
    };
    let mut tcp = HttpConnector::new();
    tcp.set_connect_timeout(Some(CONNECT));
    tcp.set_nodelay(true);
    tcp.enforce_http(false);
    let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(tcp);
    Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).pool_idle_timeout(idle).build(https)
}
