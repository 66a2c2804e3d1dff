//! What goes to standard error: log lines, and the one line that says why the process ends.
//!
//! The console is a listener of its own: it stays as it is whatever happens to the exports, and its
//! level can be changed while the process runs ([`LogLevel`]). Whatever the pipeline listens for is
//! added beside it.

use std::io::{IsTerminal, Write};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, bail};
use pharos_telemetry::Pipeline;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Format;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, reload};

use crate::arguments::LogFormat;

mod line;

use line::{Line, WithSpan};

/// What the client logs for every attempt, Pharos logs once with a remedy. Directives that come
/// later win, so that both can still be asked for.
const QUIET: &str = "kube_client=off,kube_runtime=off";

/// What is logged to standard error; can be changed at any time. Cheap to clone.
#[derive(Clone)]
pub(crate) struct LogLevel {
    filter: reload::Handle<EnvFilter, Registry>,
    /// As it was asked for: a filter does not show the same text.
    text: Arc<Mutex<String>>,
}

/// Starts logging to standard error, and to where the pipeline is told to send log records.
pub(crate) fn start(
    format: LogFormat,
    filter: &str,
    pipeline: &Pipeline,
) -> anyhow::Result<LogLevel> {
    let (level, filter) = LogLevel::new(filter).context("--log-level")?;
    let ansi = std::io::stderr().is_terminal();
    tracing_subscriber::registry()
        .with(console(format, std::io::stderr, ansi).with_filter(filter))
        // Not its layer for spans: ours are started where they are declared, and what `tracing`
        // knows besides are spans of whatever crate we use, with whatever is in them.
        .with(pipeline.log_layer())
        .try_init()
        .context("cannot start logging")?;
    // The level of the moment decides about records of the crate `log`, too; not that of the start.
    log::set_max_level(log::LevelFilter::Trace);
    Ok(level)
}

fn console<W>(format: LogFormat, writer: W, ansi: bool) -> Box<dyn Layer<Registry> + Send + Sync>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(ansi);
    match format {
        LogFormat::Text => {
            let format = Format::default().with_ansi(ansi);
            Box::new(lines.event_format(WithSpan::new(Line::Text, format)))
        }
        LogFormat::Json => {
            let json = lines.json().flatten_event(true);
            Box::new(json.map_event_format(|format| WithSpan::new(Line::Json, format)))
        }
    }
}

// === impl LogLevel ===

impl LogLevel {
    pub(crate) fn new(text: &str) -> anyhow::Result<(Self, reload::Layer<EnvFilter, Registry>)> {
        let (layer, filter) = reload::Layer::new(parse(text)?);
        Ok((Self { filter, text: Arc::new(Mutex::new(text.to_owned())) }, layer))
    }

    /// The filter in force, as it was asked for.
    pub(crate) fn filter(&self) -> String {
        self.text.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts another filter in force.
    pub(crate) fn set(&self, text: &str) -> anyhow::Result<()> {
        let filter = parse(text)?;
        let mut shown = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        self.filter.reload(filter).context("there is nobody who logs")?;
        text.clone_into(&mut shown);
        Ok(())
    }
}

/// A level, or directives; a word that is neither would silence everything.
fn parse(filter: &str) -> anyhow::Result<EnvFilter> {
    let word = !filter.contains(['=', ',']);
    if word && LevelFilter::from_str(filter).is_err() {
        bail!("{filter:?} is neither a level (error, warn, info, debug, trace, off) nor a filter");
    }
    EnvFilter::try_new(format!("{QUIET},{filter}"))
        .with_context(|| format!("{filter:?} is not a filter"))
}

/// The line a person reads when the process ends with an error.
pub(crate) fn last_words(error: &anyhow::Error) {
    // Nothing is left to do where standard error is gone.
    let _ = writeln!(std::io::stderr(), "pharos: {error:#}");
}

#[cfg(test)]
mod tests;
