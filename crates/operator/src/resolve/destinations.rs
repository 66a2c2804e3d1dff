//! The exporters that are declared, for signals to choose from by name.

use std::collections::BTreeMap;

use pharos_api::telemetryconfig::{Exporter, ExporterType};
use pharos_telemetry::config::{OtlpReceiver, SinkName};

use super::exporter::{Destination, destination};
use super::material::Reader;
use super::problem::Findings;
use super::reference::exporter_path;

/// The exporters by name; nothing for one that has a problem of its own.
pub(super) struct Destinations<'a>(BTreeMap<&'a str, Option<Destination>>);

// === impl Destinations ===

impl<'a> Destinations<'a> {
    pub(super) fn of(
        exporters: &'a [Exporter],
        reader: &mut Reader<'_>,
        findings: &mut Findings,
    ) -> Self {
        let mut destinations = BTreeMap::new();
        for exporter in exporters {
            let resolved = destination(exporter, reader, findings);
            if destinations.insert(exporter.name.as_str(), resolved).is_some() {
                findings.invalid(exporter_path(&exporter.name), "is declared twice");
            }
        }
        let scraped = exporters.iter().filter(|it| it.r#type == ExporterType::Prometheus);
        if scraped.count() > 1 {
            findings.invalid("spec.exporters", "at most one exporter may have type Prometheus");
        }
        Self(destinations)
    }

    /// The exporters that a signal names.
    pub(super) fn chosen(
        &self,
        field: &str,
        names: &[String],
        findings: &mut Findings,
    ) -> Vec<(SinkName, &Destination)> {
        if names.is_empty() {
            findings.invalid(field, "must name at least one of spec.exporters");
        }
        let mut chosen = Vec::new();
        for name in names {
            match self.0.get(name.as_str()) {
                Some(Some(destination)) => chosen.push((SinkName::new(name), destination)),
                Some(None) => {}
                None => {
                    let message = format!("{name:?} is not the name of an entry of spec.exporters");
                    findings.invalid(field, message);
                }
            }
        }
        chosen
    }

    /// The exporters that a signal names which cannot be scraped.
    pub(super) fn receivers(
        &self,
        field: &str,
        names: &[String],
        findings: &mut Findings,
    ) -> Vec<(SinkName, OtlpReceiver)> {
        let mut receivers = Vec::new();
        for (name, destination) in self.chosen(field, names, findings) {
            match destination {
                Destination::Receiver(receiver) => receivers.push((name, receiver.clone())),
                Destination::Scrapes(_) => {
                    let message = format!("{:?} must have type OTLP", name.as_str());
                    findings.invalid(field, message);
                }
            }
        }
        receivers
    }
}
