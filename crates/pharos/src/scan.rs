//! `pharos scan`: what is in a cluster, judged now; and how far its background scans are.

use std::process::ExitCode;

use crate::arguments::scan::{ScanCommand, ScanSubcommand};
use crate::console;

mod now;
mod status;

/// Runs a command to its end.
pub(crate) fn run(command: &ScanCommand) -> ExitCode {
    let outcome = match &command.command {
        Some(ScanSubcommand::Status(arguments)) => status::run(arguments),
        None => now::run(&command.now),
    };
    console::ended(outcome)
}
