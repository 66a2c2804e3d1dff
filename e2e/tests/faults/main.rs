//! The faults that break operators, each on a real etcd and kube-apiserver.
//!
//! Most of these wait: for Leases that lapse, for watches that end, for silence. They run side by
//! side, each on its own stage, and assert states, counts and order, never times.

mod background_scan;
mod bad_object;
mod chart;
mod command_line;
mod crashes;
mod edits;
mod garbage;
mod leadership;
mod lock_out;
mod materials;
mod older_views;
mod registration;
mod restarts;
mod rotation;
mod scale;
mod settled;
mod skew;
mod watches;
