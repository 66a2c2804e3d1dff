//! The table of exports: what each replica sends where, and what all of them together did. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pharos_api::telemetryconfig::{ExporterState, Signal};

use super::super::age::ago;
use super::super::picture::{Exporter, Picture, Replica};
use super::cut;
use crate::table::{NOTHING, Table};

/// What all replicas together did with one exporter.
#[derive(Default)]
struct Sum {
    replicas: usize,
    scraped: usize,
    failing: usize,
    silent: usize,
    oldest_success: Option<Timestamp>,
    sent: u64,
    failed: u64,
    dropped: u64,
}

/// The words over the columns.
const HEAD: [&str; 10] = [
    "EXPORTER",
    "SIGNAL",
    "REPLICA",
    "STATE",
    "LAST SUCCESS",
    "TOOK",
    "SENT",
    "FAILED",
    "DROPPED",
    "MESSAGE",
];

/// First what all replicas did together, where there are several; then each that is shown.
pub(super) fn exports(picture: &Picture, shown: &[Replica], now: Timestamp) -> Table {
    let mut table = Table::new(&HEAD);
    if picture.replicas.len() > 1 {
        for ((name, signal), sum) in sums(&picture.replicas) {
            table.row(together(name, signal, &sum, now));
        }
    }
    for replica in shown {
        for exporter in &replica.exporters {
            table.row(alone(replica, exporter, now));
        }
    }
    table
}

fn together(name: &str, signal: Signal, sum: &Sum, now: Timestamp) -> [String; HEAD.len()] {
    // What never arrived is older than anything that did.
    let success = sum.oldest_success.filter(|_| sum.silent == 0);
    [
        name.to_owned(),
        format!("{signal:?}"),
        format!("all {}", sum.replicas),
        sum.state(),
        success.map(|it| format!("{} ago", ago(it, now))).unwrap_or_default(),
        String::new(),
        sum.number(sum.sent),
        sum.number(sum.failed),
        sum.number(sum.dropped),
        String::new(),
    ]
}

fn alone(replica: &Replica, exporter: &Exporter, now: Timestamp) -> [String; HEAD.len()] {
    let scraped = exporter.state.is_none();
    let number = |number: u64| if scraped { String::new() } else { number.to_string() };
    [
        exporter.name.clone(),
        format!("{:?}", exporter.signal),
        replica.name.clone(),
        exporter.state.map_or_else(|| "Scraped".to_owned(), |state| format!("{state:?}")),
        exporter.last_success.map(|it| format!("{} ago", ago(it, now))).unwrap_or_default(),
        exporter.last_export_milliseconds.map(|it| format!("{it} ms")).unwrap_or_default(),
        number(exporter.sent),
        number(exporter.failed),
        number(exporter.dropped),
        failure(exporter, now),
    ]
}

fn failure(exporter: &Exporter, now: Timestamp) -> String {
    match &exporter.reason {
        None => String::new(),
        Some(reason) => {
            cut(&format!("{reason} for {}: {}", ago(exporter.since, now), exporter.message))
        }
    }
}

fn sums(replicas: &[Replica]) -> BTreeMap<(&str, Signal), Sum> {
    let mut sums: BTreeMap<_, Sum> = BTreeMap::new();
    for exporter in replicas.iter().flat_map(|replica| &replica.exporters) {
        let sum = sums.entry((exporter.name.as_str(), exporter.signal)).or_default();
        sum.add(exporter);
    }
    sums
}

// === impl Sum ===

impl Sum {
    fn add(&mut self, exporter: &Exporter) {
        self.replicas += 1;
        self.sent += exporter.sent;
        self.failed += exporter.failed;
        self.dropped += exporter.dropped;
        match exporter.state {
            None => self.scraped += 1,
            Some(ExporterState::Failing) => self.failing += 1,
            Some(ExporterState::Healthy | ExporterState::NotYetExported) => {}
        }
        self.oldest_success = match (self.oldest_success, exporter.last_success) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        if exporter.state.is_some() && exporter.last_success.is_none() {
            self.silent += 1;
        }
    }

    fn state(&self) -> String {
        match self {
            Self { failing: 1.., .. } => format!("{} Failing", self.failing),
            _ if self.scraped == self.replicas => "Scraped".to_owned(),
            Self { silent: 1.., .. } => format!("{} NotYetExported", self.silent),
            _ => "Healthy".to_owned(),
        }
    }

    fn number(&self, number: u64) -> String {
        if self.scraped == self.replicas { NOTHING.to_owned() } else { number.to_string() }
    }
}
