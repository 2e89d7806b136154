//! Spans on their way to the collector.
//!
//! What ends is put into a bounded queue that never makes anybody wait; a thread of the SDK takes it from there in
//! batches, and the runtime sends them. Rooms name spans and fields as their log lines do; the names that the rest of the
//! world has agreed on are given here.

use std::time::Duration;

use opentelemetry::{
    Key, KeyValue,
    trace::{SpanKind, TracerProvider as _},
};
use opentelemetry_proto::{
    tonic::collector::trace::v1::ExportTraceServiceRequest,
    transform::{common::tonic::ResourceAttributesWithSchema, trace::tonic::group_spans_by_resource_and_scope},
};
use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider, SpanData, SpanExporter},
};
use prost::Message;
use tokio::runtime::Handle;

use super::otlp::{Otlp, Sampling, Sender};

/// Spans that may wait; what ends while so many do is not exported.
const WAITING: usize = 4096;

/// Spans in one request, at most.
const BATCH: usize = 512;

/// How long a span waits for company.
const DELAY: Duration = Duration::from_secs(2);

/// Makes the spans of this process.
pub(super) fn provider(otlp: &Otlp, sender: Sender) -> SdkTracerProvider {
    let resource = resource(otlp);
    let exporter = Exporter { sender, runtime: Handle::current(), resource: (&resource).into() };
    // Everything is said here: the SDK would read what is not from the environment.
    let batches = BatchConfigBuilder::default()
        .with_max_queue_size(WAITING)
        .with_max_export_batch_size(BATCH)
        .with_scheduled_delay(DELAY)
        .build();
    SdkTracerProvider::builder()
        .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(batches).build())
        .with_sampler(sampler(otlp.sampling))
        .with_resource(resource)
        .build()
}

pub(super) fn tracer(provider: &SdkTracerProvider) -> SdkTracer {
    provider.tracer("nectr")
}

fn sampler(sampling: Sampling) -> Sampler {
    let ours = match sampling.ratio {
        ratio if ratio >= 1.0 => Sampler::AlwaysOn,
        ratio if ratio <= 0.0 => Sampler::AlwaysOff,
        ratio => Sampler::TraceIdRatioBased(ratio),
    };
    if sampling.follow_parent { Sampler::ParentBased(Box::new(ours)) } else { ours }
}

/// Who speaks. The service's own name goes before one among the attributes.
pub(super) fn resource(otlp: &Otlp) -> Resource {
    let given = otlp.attributes.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    Resource::builder_empty()
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attributes(given)
        .with_service_name(otlp.service.clone())
        .build()
}

#[derive(Debug)]
struct Exporter {
    sender: Sender,
    runtime: Handle,
    resource: ResourceAttributesWithSchema,
}

impl SpanExporter for Exporter {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        batch.iter_mut().for_each(name);
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        let message = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
        let sender = self.sender.clone();
        // The SDK's thread has no reactor to send with.
        match self.runtime.spawn(async move { sender.send(message).await }).await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(OTelSdkError::InternalFailure("the collector did not take them".to_owned())),
        }
    }
}

/// Our field, and what OpenTelemetry's conventions call it.
const NAMES: [(&str, &str); 6] = [
    ("method", "http.request.method"),
    ("route", "http.route"),
    ("status", "http.response.status_code"),
    ("repository", "vcs.repository.name"),
    ("pull_request", "vcs.change.id"),
    ("error", "error.message"),
];

/// Gives a span its kind, its name and its attributes' names as the conventions have them.
fn name(span: &mut SpanData) {
    span.span_kind = match &*span.name {
        "request" => SpanKind::Server,
        "attempt" => SpanKind::Consumer,
        "github" => SpanKind::Client,
        _ => SpanKind::Internal,
    };
    let value = |key: &str| {
        span.attributes.iter().find(|attribute| attribute.key.as_str() == key).map(|it| it.value.to_string())
    };
    let name = match span.span_kind {
        SpanKind::Server => value("method").zip(value("route")).map(|(method, route)| format!("{method} {route}")),
        SpanKind::Client => {
            value("method").zip(value("route")).map(|(method, route)| format!("GitHub {method} {route}"))
        }
        SpanKind::Consumer => value("source").zip(value("kind")).map(|(source, kind)| format!("{source} {kind}")),
        SpanKind::Internal | SpanKind::Producer => None,
    };
    if let Some(name) = name {
        span.name = name.into();
    }
    let client = span.span_kind == SpanKind::Client;
    for attribute in &mut span.attributes {
        // A client knows the pattern of an address, a server its route.
        if client && attribute.key.as_str() == "route" {
            attribute.key = Key::from_static_str("url.template");
        } else if let Some((_, theirs)) = NAMES.iter().find(|(ours, _)| *ours == attribute.key.as_str()) {
            attribute.key = Key::from_static_str(theirs);
        }
    }
}
