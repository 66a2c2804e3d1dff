//! What the end-to-end tests and the demo share. The promises themselves are in `tests/`.

pub mod changes;
pub mod editions;
pub mod gateway;
pub mod guide;
pub mod history;
pub mod manifests;
pub mod planted;
pub mod pod_security;
pub mod replicas;
pub mod scans;
pub mod stage;
pub mod traffic;
pub mod writes;
