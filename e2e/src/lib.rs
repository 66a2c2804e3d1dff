//! What the end-to-end tests and the demo share. The promises themselves are in `tests/`.

pub mod guide;
pub mod manifests;
pub mod stage;
pub mod traffic;
