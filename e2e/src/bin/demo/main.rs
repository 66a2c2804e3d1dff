//! The demo: `kubectl apply` moves live metrics, watched on a real control plane.
//!
//! `up` shows it and ends everything that it started, unless told to keep it; `down` ends what was
//! kept or what a kill left behind. What runs is recorded in `.demo/state.json`.

use std::process::ExitCode;

use clap::builder::FalseyValueParser;
use clap::{Args, Parser, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

use crate::console::Console;
use crate::session::Session;

mod cluster;
mod console;
mod counters;
mod kind;
mod session;
mod shell;
mod story;
mod switch;
mod teardown;
mod up;

/// As shells report a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Watch `kubectl apply` move live metrics, on a real control plane.
#[derive(Parser)]
#[command(max_term_width = 100)]
enum Verb {
    /// Show it, then end everything.
    Up(Options),
    /// End what runs: left by KEEP=1, left by a kill, or running in another terminal.
    Down,
}

#[derive(Args)]
struct Options {
    /// Leave everything running at the end and say how to reach it.
    #[arg(long, env = "KEEP", value_parser = FalseyValueParser::new())]
    keep: bool,

    /// Which control plane to use.
    #[arg(long, env = "CLUSTER", value_parser = cluster_kind, default_value = "local")]
    cluster: ClusterKind,
}

/// Where the API server comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Serialize, serde::Deserialize)]
enum ClusterKind {
    /// etcd and kube-apiserver as processes of this machine.
    Local,
    /// A kind cluster in a Docker engine.
    Kind,
}

/// How it went, apart from errors.
enum Outcome {
    Done,
    Interrupted,
}

#[tokio::main]
async fn main() -> ExitCode {
    let console = Console::of_standard_output();
    let outcome = match Verb::parse() {
        Verb::Up(options) => run(&console, &options).await,
        Verb::Down => teardown::down(&console).await.map(|()| Outcome::Done),
    };
    match outcome {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Interrupted) => ExitCode::from(INTERRUPTED),
        Err(error) => {
            console.failure(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Shows it all and cleans up, whether it succeeds, fails or is interrupted.
async fn run(console: &Console, options: &Options) -> anyhow::Result<Outcome> {
    let interrupted = interrupted()?;
    if options.cluster == ClusterKind::Kind {
        kind::check().await?;
    }
    let mut session = Session::open(options.cluster).await?;
    // The loser of the race is dropped, and with it every process that it started.
    let outcome = tokio::select! {
        // Ctrl-C reaches a running kubectl too: its failure is then not the cause.
        biased;
        () = interrupted => {
            console.note("\nInterrupted: ending everything.");
            Ok(Outcome::Interrupted)
        }
        outcome = up::up(console, &mut session, options.keep) => outcome.map(|()| Outcome::Done),
    };
    match outcome {
        Ok(Outcome::Done) if options.keep => Ok(Outcome::Done),
        Ok(outcome) => {
            session.end().await?;
            session.discard()?;
            Ok(outcome)
        }
        Err(error) => {
            let logs = session.run_dir().join("*.log");
            let error = error.context(format!("the demo failed (logs: {})", logs.display()));
            match session.end().await {
                Ok(()) => Err(error),
                Err(left) => Err(error.context(format!("and not everything ended ({left:#})"))),
            }
        }
    }
}

/// Resolves at the first signal that asks us to end. From this call on, none ends us by itself.
fn interrupted() -> anyhow::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}

/// Make hands over `CLUSTER=` where nothing was chosen.
fn cluster_kind(text: &str) -> Result<ClusterKind, String> {
    if text.is_empty() { Ok(ClusterKind::Local) } else { ClusterKind::from_str(text, true) }
}
