//! Pharos: a Kubernetes policy engine whose telemetry is configured with `kubectl apply`.

mod admin;
mod apply;
mod arguments;
mod console;
mod crds;
mod documents;
mod judge;
mod logging;
mod policy;
mod scan;
mod serve;
mod table;
mod telemetry;
mod test;
mod tls;
mod webhooks;

use std::process::ExitCode;

use arguments::{Arguments, Command};
use clap::Parser;

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Crds => crds::print(),
        Command::Policy(command) => return policy::run(&command),
        Command::Scan(command) => return scan::run(&command),
        Command::Webhooks(command) => return webhooks::run(&command),
        Command::Telemetry(command) => return telemetry::run(&command),
        Command::Test(arguments) => return test::run(&arguments),
        Command::Apply(arguments) => return apply::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            logging::last_words(&error);
            ExitCode::FAILURE
        }
    }
}
