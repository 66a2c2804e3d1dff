//! What goes to standard error: log lines, and the one line that says why the process ends.

use std::io::{IsTerminal, Write};
use std::str::FromStr;

use anyhow::{Context, bail};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::arguments::LogFormat;

/// What the client logs for every attempt, Pharos logs once with a remedy. Directives that come
/// later win, so that both can still be asked for.
const QUIET: &str = "kube_client=off,kube_runtime=off";

/// Starts logging to standard error.
pub(crate) fn start(format: LogFormat, filter: &str) -> anyhow::Result<()> {
    let filter = parse(filter)?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let started = match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("cannot start logging: {error}"))
}

/// A level, or directives; a word that is neither would silence everything.
fn parse(filter: &str) -> anyhow::Result<EnvFilter> {
    let word = !filter.contains(['=', ',']);
    if word && LevelFilter::from_str(filter).is_err() {
        bail!(
            "--log-level {filter:?} is neither a level (error, warn, info, debug, trace, off) nor a filter"
        );
    }
    EnvFilter::try_new(format!("{QUIET},{filter}"))
        .with_context(|| format!("--log-level {filter:?} is not a filter"))
}

/// The line a person reads when the process ends with an error.
pub(crate) fn last_words(error: &anyhow::Error) {
    // Nothing is left to do where standard error is gone.
    let _ = writeln!(std::io::stderr(), "pharos: {error:#}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_with_a_typing_error_is_refused() {
        for filter in ["info", "off", "DEBUG", "info,pharos_admission=debug", "kube_client=debug"] {
            assert!(parse(filter).is_ok(), "{filter}");
        }
        for filter in ["wran", "info,a=b=c"] {
            assert!(parse(filter).is_err(), "{filter}");
        }
    }
}
