//! Background scans whose replicas are lost, and whose API server, definitions and rights are.

mod apis;
mod kills;
mod shares;
