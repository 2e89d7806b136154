//! Log lines that say which trace and span they belong to.

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

use super::{LogFormat, trace};

/// A format, and the ids in front of what it writes.
pub(super) struct WithTrace<F> {
    pub(super) format: F,
    pub(super) style: LogFormat,
}

impl<S, N, F> FormatEvent<S, N> for WithTrace<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let Some(here) = trace::here() else { return self.format.format_event(context, to, event) };
        let (trace, span) = (here.trace_id(), here.span_id());
        let mut line = String::new();
        self.format.format_event(context, Writer::new(&mut line), event)?;
        match (self.style, line.strip_prefix('{'), line.strip_suffix('\n')) {
            (LogFormat::Json, Some(rest), _) => {
                write!(to, "{{\"trace_id\":\"{trace}\",\"span_id\":\"{span}\",{rest}")
            }
            (_, _, Some(line)) => writeln!(to, "{line} trace_id={trace} span_id={span}"),
            (_, _, None) => write!(to, "{line} trace_id={trace} span_id={span}"),
        }
    }
}
