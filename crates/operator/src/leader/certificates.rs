//! When a rotation is complete: every replica that ran one version of a Secret runs another. Pure.
//!
//! A new leader takes what it finds for settled, so that a take-over announces nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::judge::Obeying;
use crate::report::State;

/// A replica and the Secret that it has a certificate from.
type Holder = (String, String);

/// Which version of which Secret each replica of one object ran when that was settled last.
#[derive(Debug, Default)]
pub(super) struct Certificates(BTreeMap<Holder, String>);

// === impl Certificates ===

impl Certificates {
    /// Takes in what the replicas run now, and names the Secrets whose rotation is complete.
    pub(super) fn observe(&mut self, obeying: &[Obeying<'_>]) -> Vec<String> {
        let running = running(obeying);
        self.0.retain(|holder, _| still_holds(holder, obeying, &running));
        let secrets: BTreeSet<_> = running.keys().map(|(_, secret)| secret.clone()).collect();
        let rotated: Vec<_> =
            secrets.into_iter().filter(|secret| self.is_rotated(secret, &running)).collect();
        for (holder, version) in running {
            if rotated.contains(&holder.1) {
                self.0.insert(holder, version);
            } else {
                self.0.entry(holder).or_insert(version);
            }
        }
        rotated
    }

    /// Versions may differ where the content does not: a replica that started later read it in a
    /// version with other metadata. So each replica is compared with itself.
    fn is_rotated(&self, secret: &str, running: &BTreeMap<Holder, String>) -> bool {
        let settled = || self.0.iter().filter(|((_, of), _)| of == secret);
        let renewed: BTreeSet<_> = settled()
            .filter_map(|(holder, before)| running.get(holder).filter(|now| *now != before))
            .collect();
        let lags = |(holder, before)| {
            running.get(holder).is_none_or(|now| now == before && !renewed.contains(now))
        };
        !renewed.is_empty() && !settled().any(lags)
    }
}

fn running(obeying: &[Obeying<'_>]) -> BTreeMap<Holder, String> {
    let certificates = obeying.iter().filter_map(|one| Some((one.replica, one.report?)));
    certificates
        .flat_map(|(replica, report)| {
            report.references.certificates.iter().map(|certificate| {
                let holder = (replica.name.clone(), certificate.secret.clone());
                (holder, certificate.version.clone())
            })
        })
        .collect()
}

/// A replica that is gone holds nothing, nor does one that runs without the Secret. One that is
/// about to say something is waited for.
fn still_holds(
    holder: &Holder,
    obeying: &[Obeying<'_>],
    running: &BTreeMap<Holder, String>,
) -> bool {
    let (name, _) = holder;
    obeying.iter().find(|one| one.replica.name == *name).is_some_and(|one| {
        let programmed = one.report.is_some_and(|report| report.state == State::Programmed);
        running.contains_key(holder) || !programmed
    })
}

#[cfg(test)]
mod tests;
