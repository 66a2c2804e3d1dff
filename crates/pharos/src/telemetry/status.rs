//! `pharos telemetry status`: one screen about what every replica runs and exports.
//!
//! ```text
//! gather: TelemetryConfigs, heartbeat Leases, the leader's Lease -> picture (pure) -> render
//! ```
//!
//! Status has what the leader judged; the Leases have what each replica says itself, with the
//! statistics that change too often for status.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use jiff::Timestamp;

use crate::arguments::telemetry::{OutputFormat, StatusArguments};
use crate::console;

use gather::Gathered;
use picture::Picture;
use render::Shown;

mod age;
mod gather;
mod picture;
mod render;

/// How long the API server may take for everything.
const DEADLINE: Duration = Duration::from_secs(30);

/// Shows what there is.
pub(super) fn run(arguments: &StatusArguments) -> anyhow::Result<ExitCode> {
    let StatusArguments { name, namespace, kubeconfig, all, output } = arguments;
    let gathered = console::runtime()?.block_on(async {
        let client = console::client(kubeconfig.as_deref()).await?;
        let gathering = Gathered::of(&client, namespace);
        tokio::time::timeout(DEADLINE, gathering)
            .await
            .with_context(|| format!("the API server did not answer within {DEADLINE:?}"))?
    })?;
    let now = Timestamp::now();
    let mut picture = Picture::of(namespace, &gathered, now);
    if let Some(name) = name
        && !picture.restrict(name)
    {
        let names: Vec<_> = picture.objects.iter().map(|object| object.name.as_str()).collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        bail!(
            "there is no TelemetryConfig {name:?} in namespace {namespace:?}; there are: {names}"
        );
    }
    let text = match output {
        OutputFormat::Json => serde_json::to_string_pretty(&picture)? + "\n",
        OutputFormat::Text => {
            render::text(&picture, if *all { Shown::All } else { Shown::Few }, now)
        }
    };
    console::print(&text)?;
    Ok(ExitCode::SUCCESS)
}
