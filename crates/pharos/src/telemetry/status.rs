//! `pharos telemetry status`.
use crate::arguments::telemetry::StatusArguments;
use std::process::ExitCode;
pub(super) fn run(_: &StatusArguments) -> anyhow::Result<ExitCode> {
    anyhow::bail!("x")
}
