//! The real parts that Pharos is tested and shown with: a control plane of etcd and kube-apiserver,
//! an OpenTelemetry Collector, Prometheus, Jaeger, Helm, and `pharos serve` as a child process.
//!
//! Owns building those parts from the Go modules in `e2e/tools`, starting them on loopback ports,
//! reading what they say, and leaving nothing behind. Enter at [`ControlPlane::start`],
//! [`Collector::start`], [`PrometheusServer::start`], [`Jaeger::start`], [`Helm::ensure`] and
//! [`Pharos::builder`]; certificates come from [`pki`], faults of the API server
//! from a [`FaultProxy`]. Wait with [`eventually`], never by sleeping.
//!
//! It knows Pharos by its command line and its endpoints only, so that a test cannot see more than
//! a user can.

mod balancer;
pub mod bench;
pub mod collector;
mod control_plane;
mod eventually;
pub mod fault_proxy;
pub mod golden;
mod helm;
mod http;
pub mod jaeger;
mod kubectl;
mod kyverno;
mod mutual_tls_proxy;
pub mod parts;
mod pharos;
pub mod pki;
pub mod ports;
pub mod process;
pub mod prometheus;
pub mod prometheus_server;
mod property;

pub use balancer::Balancer;
pub use collector::{Collector, Export, LogRecord, Point, Series, Signal, Span, Value};
pub use control_plane::{
    AnotherApiServer, AuditRecord, ControlPlane, ControlPlaneBuilder, ControllerManager,
};
pub use eventually::eventually;
pub use fault_proxy::{Fault, FaultProxy, Matching};
pub use helm::Helm;
pub use jaeger::Jaeger;
pub use kubectl::{Kubectl, external_name_service};
pub use kyverno::{Kyverno, KyvernoReports, KyvernoTelemetry};
pub use mutual_tls_proxy::{Call, MutualTlsProxy};
pub use pharos::{Builder, Pharos, Ports, WebhookTarget};
pub use prometheus_server::PrometheusServer;
pub use property::try_on;
