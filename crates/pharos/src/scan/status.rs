//! `pharos scan status`: what the replicas that scan say of themselves.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Context;
use pharos_background_scan::{ScanStatus, status};

use crate::arguments::policies::PolicyOutput;
use crate::arguments::scan::ScanStatusArguments;
use crate::console;
use crate::table::Table;

/// Stands among the resources where reports cannot be listed.
const REPORTS: &str = "(reports)";

/// Shows what there is.
pub(super) fn run(arguments: &ScanStatusArguments) -> anyhow::Result<ExitCode> {
    let ScanStatusArguments { namespace, kubeconfig, output } = arguments;
    let replicas = console::runtime()?.block_on(async {
        let client = console::client(kubeconfig.as_deref()).await?;
        let asked = status(client, namespace).await;
        asked.with_context(|| format!("cannot list the Leases of namespace {namespace:?}"))
    })?;
    let text = match output {
        PolicyOutput::Json => serde_json::to_string_pretty(&replicas)? + "\n",
        PolicyOutput::Yaml => serde_saphyr::to_string(&replicas)?,
        PolicyOutput::Table => table(&replicas),
    };
    console::print(&text)?;
    let complete =
        |status: &Option<ScanStatus>| status.as_ref().is_some_and(ScanStatus::is_complete);
    let done = !replicas.is_empty() && replicas.values().all(complete);
    Ok(if done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn table(replicas: &BTreeMap<String, Option<ScanStatus>>) -> String {
    if replicas.is_empty() {
        return "No replica scans.\n".to_owned();
    }
    let mut table = Table::new(&[
        "REPLICA", "COMPLETE", "OBJECTS", "LEFT", "WAITING", "JUDGED", "WRITTEN", "DELETED",
        "FAILED",
    ]);
    let mut shares = Table::new(&[
        "REPLICA",
        "RESOURCE",
        "OBJECTS",
        "LEFT",
        "TROUBLE",
        "NAMESPACES",
        "AMONG THEM",
    ]);
    for (replica, status) in replicas {
        let status = status.clone();
        let complete = match &status {
            None => "Unknown",
            Some(status) if status.is_complete() => "True",
            Some(_) => "False",
        };
        let status = status.unwrap_or_default();
        let ScanStatus { objects, left, waiting, judged, written, deleted, failed, .. } = &status;
        table.row([
            replica.clone(),
            complete.to_owned(),
            objects.to_string(),
            left.to_string(),
            waiting.to_string(),
            judged.to_string(),
            written.to_string(),
            deleted.to_string(),
            failed.to_string(),
        ]);
        if let Some(trouble) = &status.reports_trouble {
            let (none, trouble) = (String::new, trouble.clone());
            shares.row([
                replica.clone(),
                REPORTS.to_owned(),
                none(),
                none(),
                trouble,
                none(),
                none(),
            ]);
        }
        for of in &status.resources {
            shares.row([
                replica.clone(),
                of.resource.clone(),
                of.objects.to_string(),
                of.left.to_string(),
                of.trouble.clone().unwrap_or_default(),
                of.namespaces.to_string(),
                of.named.join(","),
            ]);
        }
    }
    let shares = if shares.is_empty() { String::new() } else { format!("\n{}", shares.text("")) };
    table.text("") + &shares
}

#[cfg(test)]
mod tests {
    use pharos_background_scan::TargetStatus;

    use super::*;

    #[test]
    fn every_replica_is_shown_with_its_share() {
        let pods = TargetStatus {
            resource: "pods.v1".to_owned(),
            objects: 3,
            namespaces: 2,
            named: vec!["a".to_owned(), "b".to_owned()],
            ..TargetStatus::default()
        };
        let loads = TargetStatus {
            resource: "loads.v1.example.com".to_owned(),
            trouble: Some("Forbidden".to_owned()),
            ..TargetStatus::default()
        };
        let one = ScanStatus {
            objects: 3,
            left: 1,
            reports_trouble: Some("UnknownKind".to_owned()),
            resources: vec![pods, loads],
            ..ScanStatus::default()
        };
        let replicas = [("one".to_owned(), Some(one)), ("two".to_owned(), None)].into();
        let shown = table(&replicas);
        let rows: Vec<Vec<&str>> =
            shown.lines().map(|line| line.split_whitespace().collect()).collect();
        for row in [
            "one False 3 1 0 0 0 0 0",
            "two Unknown 0 0 0 0 0 0 0",
            "one (reports) - - UnknownKind - -",
            "one pods.v1 3 0 - 2 a,b",
            "one loads.v1.example.com 0 0 Forbidden 0 -",
        ] {
            assert!(rows.contains(&row.split(' ').collect()), "{row} is not in\n{shown}");
        }
        assert_eq!(table(&BTreeMap::new()), "No replica scans.\n");
    }
}
