//! One log line, with the span that it was logged in where there is one.

use std::fmt;

use pharos_telemetry::propagation::{CurrentSpan, current_span};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Lines of another format, with `trace_id` and `span_id` at their end.
pub(super) struct WithSpan<F> {
    line: Line,
    format: F,
}

/// What a line looks like.
#[derive(Clone, Copy)]
pub(super) enum Line {
    Text,
    /// One object.
    Json,
}

// === impl WithSpan ===

impl<F> WithSpan<F> {
    pub(super) fn new(line: Line, format: F) -> Self {
        Self { line, format }
    }
}

impl<S, N, F> FormatEvent<S, N> for WithSpan<F>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some(CurrentSpan { trace_id, span_id }) = current_span() else {
            return self.format.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.format.format_event(context, Writer::new(&mut line), event)?;
        let line = line.trim_end();
        match (self.line, line.strip_suffix('}')) {
            (Line::Json, Some(open)) => {
                writeln!(writer, r#"{open},"trace_id":"{trace_id}","span_id":"{span_id}"}}"#)
            }
            (Line::Json | Line::Text, _) => {
                writeln!(writer, "{line} trace_id={trace_id} span_id={span_id}")
            }
        }
    }
}
