//! As of which version was told, so that nothing older is told after it. Pure but for the clock,
//! which is an argument.

use std::time::Duration;

use tokio::time::Instant;

/// How long lists may be older than what was told. A server that lags catches up or ends before; one
/// whose etcd was restored from a backup never does, and has to be believed.
const PATIENCE: Duration = Duration::from_secs(60);

/// The newest version that was told.
#[derive(Debug, Default)]
pub(super) struct Progress {
    newest: String,
    outdated_since: Option<Instant>,
}

/// A list that is older than what was told.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a list as of resourceVersion {listed}, although {newest} was read before")]
pub(crate) struct Outdated {
    listed: String,
    newest: String,
}

// === impl Progress ===

impl Progress {
    /// The version to go on from.
    pub(super) fn newest(&self) -> &str {
        &self.newest
    }

    /// Takes in the version of a change or bookmark; whether it is news.
    pub(super) fn advance(&mut self, version: &str) -> bool {
        let news = !is_known(version, &self.newest);
        if news {
            version.clone_into(&mut self.newest);
        }
        news
    }

    /// A list failed: what was older before it has not stayed so.
    pub(super) fn interrupted(&mut self) {
        self.outdated_since = None;
    }

    /// Takes in the version of a list, unless it is older than what was told.
    pub(super) fn listed(&mut self, version: &str, now: Instant) -> Result<(), Outdated> {
        if version != self.newest && is_known(version, &self.newest) {
            let since = *self.outdated_since.get_or_insert(now);
            if now.duration_since(since) < PATIENCE {
                let (listed, newest) = (version.to_owned(), self.newest.clone());
                return Err(Outdated { listed, newest });
            }
        }
        *self = Self { newest: version.to_owned(), outdated_since: None };
        Ok(())
    }
}

/// Whether `version` is not newer than `newest`, as far as both can be compared.
fn is_known(version: &str, newest: &str) -> bool {
    match (version.parse::<u64>(), newest.parse::<u64>()) {
        (Ok(version), Ok(newest)) => version <= newest,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After a list as of this version.
    fn after(version: &str) -> Progress {
        let mut progress = Progress::default();
        progress.listed(version, Instant::now()).unwrap();
        progress
    }

    #[test]
    fn only_what_is_newer_is_news() {
        let mut progress = after("9");
        let told = ["9", "10", "10", "8", "100", "99"].map(|version| progress.advance(version));
        assert_eq!(told, [false, true, false, false, true, false]);
        assert_eq!(progress.newest(), "100");
    }

    #[test]
    fn what_cannot_be_compared_is_news() {
        let mut progress = after("9");
        assert!(progress.advance("x9"));
        assert!(progress.advance("8"), "nothing is older than x9");
        assert!(after("9").listed("", Instant::now()).is_ok());
        assert!(after("x").listed("1", Instant::now()).is_ok());
        let beyond = "18446744073709551616";
        assert!(after("9").advance(beyond));
    }

    #[test]
    fn a_list_may_be_as_old_as_what_was_told_and_not_older() {
        let mut progress = after("9");
        progress.advance("12");
        let refused = progress.listed("11", Instant::now()).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "a list as of resourceVersion 11, although 12 was read before"
        );
        assert_eq!(progress.newest(), "12");
        assert!(progress.listed("12", Instant::now()).is_ok());
        assert!(progress.listed("13", Instant::now()).is_ok());
    }

    #[test]
    fn a_server_that_stays_behind_for_a_minute_is_believed() {
        let mut progress = after("9");
        let start = Instant::now();
        let mut at = |seconds, version| {
            progress.listed(version, start + Duration::from_secs(seconds)).is_ok()
        };
        assert!(!at(0, "5"));
        assert!(!at(59, "6"));
        assert!(at(60, "6"));
        assert!(at(60, "7"), "and goes on from there");
        assert!(!at(60, "6"), "the patience begins anew");
        assert!(at(70, "8"));
        assert!(!at(130, "7"), "a good list ended the first outage");
    }
}
