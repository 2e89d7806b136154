//! Which trace something belongs to: taken from a request, kept with what waits, found again by who works on it.
//!
//! All of it does nothing where traces are not exported.

use http::HeaderMap;
use opentelemetry::{
    Context, Value,
    propagation::{Extractor, TextMapPropagator},
    trace::{SpanContext, Status, TraceContextExt},
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Under which name our own trace context is kept with a delivery's headers and a task's arguments. `traceparent` is the
/// sender's, and nobody's word for anything.
pub const KEPT: &str = "nectr-traceparent";

/// Continues the trace that a request's `traceparent` and `tracestate` name, if they do. Before the span is entered.
pub fn continue_request(span: &Span, headers: &HeaderMap) {
    continue_from(span, &Headers(headers));
}

/// Continues the trace of [`current`], as it was kept. Before the span is entered.
pub fn continue_kept(span: &Span, traceparent: &str) {
    continue_from(span, &Kept(traceparent));
}

/// The context of the span we are in, as a `traceparent`; none where nothing is traced.
pub fn current() -> Option<String> {
    let context = Span::current().context();
    let span = context.span();
    let span = span.span_context();
    let text = || format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags());
    span.is_valid().then(text)
}

/// Says something about the span we are in, to the collector alone: a field on a span that is also printed costs more than
/// all of intake's own bookkeeping, and every line of the log would repeat it.
pub fn tell(key: &'static str, value: impl Into<Value>) {
    Span::current().set_attribute(key, value);
}

/// Says that what the span we are in stands for went wrong.
pub fn failed() {
    Span::current().set_status(Status::error(""));
}

/// Whether anybody is told.
pub fn is_on() -> bool {
    here().is_some()
}

/// The trace and span a log line is written in; none where nothing is traced.
pub(super) fn here() -> Option<SpanContext> {
    let context = Context::map_current(|context| context.span().span_context().clone());
    context.is_valid().then_some(context)
}

fn continue_from(span: &Span, carrier: &dyn Extractor) {
    let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), carrier);
    if parent.span().span_context().is_valid() {
        // Without traces there is nothing to set it on.
        let _ = span.set_parent(parent);
    }
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

struct Kept<'a>(&'a str);

impl Extractor for Kept<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == "traceparent").then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent"]
    }
}
