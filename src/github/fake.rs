//! A server that stands in for GitHub in this module's tests: it answers as a script says and remembers what it was asked.

#![allow(clippy::unwrap_used)]

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use secrecy::SecretString;
use serde_json::Value;
use tokio::{net::TcpListener, sync::Notify};
use url::Url;

use super::{BoxError, GitHub, GitHubOptions, RateGate};
use crate::domain::Clock;

/// The bot's token in these tests.
pub(super) const BOT: &str = "bot-token";

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) method: String,
    /// Path and query.
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Seen {
    /// The only value of a header. Fails if it was sent twice.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let values: Vec<_> = self.headers.get_all(name).iter().collect();
        assert!(values.len() <= 1, "{name} was sent {} times", values.len());
        values.first().map(|value| value.to_str().unwrap())
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// What to do with a request.
pub(super) enum Reply {
    Answer(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// A body without end.
    Endless,
    /// No answer, the connection kept.
    Hang,
    /// No answer, the connection closed.
    Cut,
}

impl Reply {
    pub(super) fn json(body: Value) -> Self {
        Self::status(200, body)
    }

    pub(super) fn status(status: u16, body: Value) -> Self {
        Self::Answer(status, Vec::new(), body.to_string().into_bytes())
    }

    pub(super) fn empty(status: u16) -> Self {
        Self::Answer(status, Vec::new(), Vec::new())
    }

    pub(super) fn with(self, name: &'static str, value: impl Into<String>) -> Self {
        match self {
            Self::Answer(status, mut headers, body) => {
                headers.push((name, value.into()));
                Self::Answer(status, headers, body)
            }
            other => other,
        }
    }
}

/// The server.
pub(super) struct Fake {
    pub(super) url: Url,
    seen: Arc<Mutex<Vec<Seen>>>,
    arrived: Arc<Notify>,
}

impl Fake {
    /// Serves `script` until the test's runtime ends.
    pub(super) async fn start(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let (seen, arrived, script) = (Arc::<Mutex<Vec<Seen>>>::default(), Arc::new(Notify::new()), Arc::new(script));
        let fake = Self { url, seen: seen.clone(), arrived: arrived.clone() };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, arrived, script) = (seen.clone(), arrived.clone(), script.clone());
                let service = service_fn(move |request| {
                    let (seen, arrived, script) = (seen.clone(), arrived.clone(), script.clone());
                    async move {
                        let request = take(request).await;
                        seen.lock().unwrap().push(request.clone());
                        arrived.notify_one();
                        answer(script(&request)).await
                    }
                });
                // A connection that is cut on purpose ends in an error.
                tokio::spawn(
                    async move { http1::Builder::new().serve_connection(TokioIo::new(stream), service).await },
                );
            }
        });
        fake
    }

    /// What was asked so far.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Method and path of what was asked so far.
    pub(super) fn asked(&self) -> Vec<String> {
        self.seen().iter().map(|seen| format!("{} {}", seen.method, seen.path)).collect()
    }

    /// Waits for a request.
    pub(super) async fn arrival(&self) {
        self.arrived.notified().await;
    }

    /// A client of this server, and the clock it goes by.
    pub(super) fn github(&self) -> (GitHub, Clock) {
        self.github_with(|_| ())
    }

    pub(super) fn github_with(&self, change: impl FnOnce(&mut GitHubOptions)) -> (GitHub, Clock) {
        let clock = Clock::manual("2026-01-01T00:00:00Z".parse().unwrap());
        let mut options = GitHubOptions {
            api_url: self.url.clone(),
            server_url: self.url.clone(),
            oauth: Some(("client-id".to_owned(), SecretString::from("client-secret"))),
            pat: Some(SecretString::from(BOT)),
            ask_gh: false,
            gate: Arc::new(Gate(Ok(None))),
            clock: clock.clone(),
        };
        change(&mut options);
        (GitHub::new(options).unwrap(), clock)
    }
}

async fn take(request: Request<Incoming>) -> Seen {
    let (parts, body) = request.into_parts();
    Seen {
        method: parts.method.to_string(),
        path: parts.uri.to_string(),
        headers: parts.headers,
        body: body.collect().await.unwrap().to_bytes().to_vec(),
    }
}

async fn answer(reply: Reply) -> Result<Response<BoxBody<Bytes, Infallible>>, &'static str> {
    match reply {
        Reply::Answer(status, headers, body) => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            Ok(response.body(Full::from(body).boxed()).unwrap())
        }
        Reply::Endless => {
            let frame = || Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 64 * 1024]))));
            let frames = futures_util::stream::repeat_with(frame);
            Ok(Response::new(BodyExt::boxed(StreamBody::new(futures_util::StreamExt::filter_map(
                frames,
                std::future::ready,
            )))))
        }
        Reply::Hang => std::future::pending().await,
        Reply::Cut => Err("cut on purpose"),
    }
}

/// A limiter that always says the same.
pub(super) struct Gate(pub(super) Result<Option<std::time::Duration>, &'static str>);

impl RateGate for Gate {
    fn admit(
        &self,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Option<std::time::Duration>, BoxError>> + Send + '_>> {
        Box::pin(async { self.0.map_err(BoxError::from) })
    }
}
