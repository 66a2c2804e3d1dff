//! `pharos telemetry`: what people and CI ask about TelemetryConfigs, without a replica of their own.
//!
//! [`check`] judges files as the controller would, [`status`] shows what replicas run. Both read and
//! write nothing; both judge by the crates that the controller is made of.

use std::process::ExitCode;

use crate::arguments::telemetry::TelemetryCommand;
use crate::console;

mod check;
mod status;

/// Runs a command to its end.
pub(crate) fn run(command: &TelemetryCommand) -> ExitCode {
    let outcome = match command {
        TelemetryCommand::Check(arguments) => check::run(arguments),
        TelemetryCommand::Status(arguments) => status::run(arguments),
    };
    console::ended(outcome)
}
