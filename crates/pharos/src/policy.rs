//! `pharos policy`: what people and CI ask about policies, without a replica of their own.

use std::process::ExitCode;

use crate::arguments::policies::PolicyCommand;
use crate::console;

mod status;

/// Runs a command to its end.
pub(crate) fn run(command: &PolicyCommand) -> ExitCode {
    let outcome = match command {
        PolicyCommand::Status(arguments) => status::run(arguments),
    };
    console::ended(outcome)
}
