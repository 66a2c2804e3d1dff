//! The promises, walked through one after the other on the real parts. Each test sets its own
//! [`Stage`](pharos_e2e::stage::Stage); they run one at a time, so that what they print was measured
//! on a quiet machine.

mod admission_reports;
mod api_server_outage;
mod background_scan;
mod certificates;
mod cluster_policies;
mod collector_guide;
mod control_plane;
mod custom_resource_definition;
mod environment;
mod fleet;
mod invalid_change;
mod kyverno_dashboard;
mod kyverno_policies;
mod kyverno_telemetry;
mod leaving;
mod parts_drivers;
mod policies;
mod policy_kinds;
mod printer_columns;
mod prometheus_scrape;
mod references;
mod replicas;
mod scan_telemetry;
mod startup;
mod switches;
