//! Free loopback ports.
//!
//! A port cannot be reserved for a child process, so the race between finding and binding it is
//! kept small: ports come from below the range from which kernels take the local ports of outgoing
//! connections, none is handed out twice by one process, and [`with_free`] tries again when a child
//! says that its address is in use.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context;

use crate::process::StartError;

const FIRST: u32 = 20_000;
const COUNT: u32 = 12_000;
/// Spreads processes with neighbouring ids over the range; coprime to `COUNT`.
const STRIDE: u32 = 7_919;
const ATTEMPTS: usize = 5;

static HANDED_OUT: AtomicU32 = AtomicU32::new(0);

/// A loopback address with this port.
#[must_use]
pub const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

/// Finds `N` different ports on which nothing listens.
pub fn free<const N: usize>() -> anyhow::Result<[u16; N]> {
    let mut ports = [0; N];
    for port in &mut ports {
        *port = candidates()
            .find(|candidate| TcpListener::bind((Ipv4Addr::UNSPECIFIED, *candidate)).is_ok())
            .context("no free port between 20000 and 32000 on this machine")?;
    }
    Ok(ports)
}

/// Calls `start` with free ports, again with others when an address turned out to be in use.
pub async fn with_free<const N: usize, T>(
    mut start: impl AsyncFnMut([u16; N]) -> Result<T, StartError>,
) -> anyhow::Result<T> {
    let mut attempt = 1;
    loop {
        match start(free()?).await {
            Err(StartError::AddressInUse(_)) if attempt < ATTEMPTS => attempt += 1,
            outcome => return Ok(outcome?),
        }
    }
}

fn candidates() -> impl Iterator<Item = u16> {
    let offset = std::process::id().wrapping_mul(STRIDE) % COUNT;
    (0..COUNT).filter_map(move |_| {
        let index = HANDED_OUT.fetch_add(1, Ordering::Relaxed);
        u16::try_from(FIRST + (offset + index % COUNT) % COUNT).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ports_are_free_and_different() {
        let ports: [u16; 20] = free().unwrap();
        assert_eq!(BTreeSet::from(ports).len(), ports.len());
        for port in ports {
            TcpListener::bind(loopback(port)).unwrap();
        }
    }

    #[tokio::test]
    async fn a_start_that_lost_the_race_is_tried_again_with_other_ports() {
        let mut tried = Vec::new();
        let won = with_free(async |[port]: [u16; 1]| {
            tried.push(port);
            if tried.len() < 3 { Err(StartError::AddressInUse("etcd".into())) } else { Ok(port) }
        })
        .await
        .unwrap();
        assert_eq!(tried.len(), 3);
        assert!(!tried[..2].contains(&won));
    }

    #[tokio::test]
    async fn another_failure_is_not_tried_again() {
        let mut tries = 0;
        let outcome = with_free(async |_: [u16; 1]| {
            tries += 1;
            Err::<(), _>(StartError::Failed(anyhow::anyhow!("no such flag")))
        })
        .await;
        assert_eq!(outcome.unwrap_err().to_string(), "no such flag");
        assert_eq!(tries, 1);
    }
}
