//! `pharos webhooks remove`: the break-glass, for whoever has a kubeconfig and nothing else.
//!
//! It deletes what engines have registered and looks whether an engine that runs registers itself
//! again, which it cannot prevent.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use kube::Client;
use pharos_admission::{Registered, registered, unregister};
use pharos_cluster::in_time;

use crate::arguments::webhooks::{RemoveArguments, WebhooksCommand};
use crate::console;

/// What the exit code says where something came back.
const CAME_BACK: u8 = 1;
const LOOK_EVERY: Duration = Duration::from_secs(1);
const STOP_IT: &str = "a replica of Pharos runs and registers itself. Stop it, then remove again:\n  \
     kubectl scale deployment -n pharos -l app.kubernetes.io/name=pharos --replicas=0\n";

/// Runs a command to its end.
pub(crate) fn run(command: &WebhooksCommand) -> ExitCode {
    let WebhooksCommand::Remove(arguments) = command;
    let outcome = console::runtime().and_then(|runtime| runtime.block_on(remove(arguments)));
    console::ended(outcome)
}

async fn remove(arguments: &RemoveArguments) -> anyhow::Result<ExitCode> {
    let client = console::client(arguments.kubeconfig.as_deref()).await?;
    let found = list(&client, arguments).await?;
    if found.is_empty() {
        console::print("nothing of Pharos is registered\n")?;
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.dry_run {
        console::print(&told("would remove", &found))?;
        return Ok(ExitCode::SUCCESS);
    }
    for registered in &found {
        let name = &registered.name;
        in_time(unregister(&client, registered))
            .await
            .with_context(|| format!("cannot delete the ValidatingWebhookConfiguration {name}"))?;
    }
    console::print(&told("removed", &found))?;
    let back = watched(&client, arguments).await?;
    if back.is_empty() {
        let watched = arguments.watch();
        console::print(&format!("nothing came back within {watched:?}\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    console::print(&(told("came back:", &back) + STOP_IT))?;
    Ok(ExitCode::from(CAME_BACK))
}

async fn list(client: &Client, arguments: &RemoveArguments) -> anyhow::Result<Vec<Registered>> {
    let found = in_time(registered(client)).await;
    let mut found = found.context("cannot list ValidatingWebhookConfigurations")?;
    if let Some(namespace) = &arguments.namespace {
        found.retain(|registered| registered.is_of(namespace));
    }
    Ok(found)
}

/// What is there again, as soon as there is something.
async fn watched(client: &Client, arguments: &RemoveArguments) -> anyhow::Result<Vec<Registered>> {
    let end = tokio::time::Instant::now() + arguments.watch();
    loop {
        let found = list(client, arguments).await?;
        if !found.is_empty() || tokio::time::Instant::now() >= end {
            return Ok(found);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn told(what: &str, registered: &[Registered]) -> String {
    let mut text = String::new();
    for Registered { name, fail_open, fail_closed, .. } in registered {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{what} ValidatingWebhookConfiguration {name}: webhooks that fail open {fail_open}, \
             closed {fail_closed}"
        );
    }
    text
}
