//! An OTLP collector in this process: takes traces and metrics over HTTP and keeps every byte it was sent.

use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::{
    collector::{metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{AnyValue, KeyValue, any_value::Value},
    metrics::v1::{Metric, metric::Data},
    trace::v1::{Span as Wire, status::StatusCode},
};
use prost::Message;
use tokio::{net::TcpListener, sync::Notify};

/// One request as it arrived.
#[derive(Clone)]
pub struct Taken {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// A span, read.
#[derive(Debug, Clone)]
pub struct Span {
    pub name: String,
    pub kind: i32,
    pub trace: String,
    pub id: String,
    /// Empty: the first of its trace.
    pub parent: String,
    pub failed: bool,
    pub attributes: BTreeMap<String, String>,
    /// Of the process that made it.
    pub resource: BTreeMap<String, String>,
}

#[derive(Default)]
struct Inner {
    messages: Mutex<Vec<Taken>>,
    hangs: bool,
    /// What is answered before it takes anything.
    refusals: Mutex<VecDeque<Response<Full<Bytes>>>>,
    arrived: Notify,
}

/// The collector. Listens for as long as the test runs.
pub struct Collector {
    pub url: String,
    inner: Arc<Inner>,
}

impl Collector {
    /// One that takes everything.
    pub async fn start() -> Self {
        Self::listen(false).await
    }

    /// One that reads everything and never answers.
    pub async fn that_hangs() -> Self {
        Self::listen(true).await
    }

    async fn listen(hangs: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let inner = Arc::new(Inner { hangs, ..Inner::default() });
        let theirs = inner.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let inner = theirs.clone();
                tokio::spawn(async move {
                    let service = service_fn(move |request| take(inner.clone(), request));
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { url, inner }
    }

    /// The next request is refused so; its message is kept with the others.
    pub fn refuse(&self, status: u16, headers: &[(&str, &str)]) {
        let mut refusal = Response::builder().status(status);
        for (name, value) in headers {
            refusal = refusal.header(*name, *value);
        }
        self.inner.refusals.lock().unwrap().push_back(refusal.body(Full::default()).unwrap());
    }

    /// Everything that arrived.
    pub fn messages(&self) -> Vec<Taken> {
        self.inner.messages.lock().unwrap().clone()
    }

    /// Waits until something arrives at this path.
    pub async fn asked(&self, path: &str) {
        loop {
            let arrived = self.inner.arrived.notified();
            if self.messages().iter().any(|message| message.path == path) {
                return;
            }
            arrived.await;
        }
    }

    /// All spans, in the order they ended.
    pub fn spans(&self) -> Vec<Span> {
        let mut spans = Vec::new();
        for message in self.messages().iter().filter(|message| message.path == "/v1/traces") {
            for resource in ExportTraceServiceRequest::decode(message.body.clone()).unwrap().resource_spans {
                let of = texts(&resource.resource.unwrap().attributes);
                let wire = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
                spans.extend(wire.map(|span| Span { resource: of.clone(), ..Span::from(span) }));
            }
        }
        spans
    }

    /// The metrics of the last message that had any, by name.
    pub fn metrics(&self) -> BTreeMap<String, Metric> {
        let messages = self.messages();
        let last = messages.iter().rfind(|message| message.path == "/v1/metrics").unwrap();
        let all = ExportMetricsServiceRequest::decode(last.body.clone()).unwrap().resource_metrics;
        let metrics = all.into_iter().flat_map(|resource| resource.scope_metrics).flat_map(|scope| scope.metrics);
        metrics.map(|metric| (metric.name.clone(), metric)).collect()
    }
}

async fn take(inner: Arc<Inner>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let message = Taken { path: head.uri.path().to_owned(), headers: head.headers, body };
    inner.messages.lock().unwrap().push(message);
    inner.arrived.notify_waiters();
    if inner.hangs {
        std::future::pending::<()>().await;
    }
    let refusal = inner.refusals.lock().unwrap().pop_front();
    Ok(refusal.unwrap_or_default())
}

impl From<Wire> for Span {
    fn from(span: Wire) -> Self {
        let failed = span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error);
        Self {
            kind: span.kind,
            trace: hex::encode(&span.trace_id),
            id: hex::encode(&span.span_id),
            parent: hex::encode(&span.parent_span_id),
            failed,
            attributes: texts(&span.attributes),
            resource: BTreeMap::new(),
            name: span.name,
        }
    }
}

impl Span {
    /// An attribute as text; empty if there is none.
    pub fn get(&self, key: &str) -> &str {
        self.attributes.get(key).map_or("", String::as_str)
    }
}

/// How many values went into a histogram.
pub fn count(metric: &Metric) -> u64 {
    let Some(Data::Histogram(histogram)) = &metric.data else { panic!("{} is no histogram", metric.name) };
    let points = &histogram.data_points;
    for point in points {
        assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count, "{}", metric.name);
        assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1, "{}", metric.name);
    }
    points.iter().map(|point| point.count).sum()
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: Option<&AnyValue>| match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    attributes.iter().map(|attribute| (attribute.key.clone(), text(attribute.value.as_ref()))).collect()
}
