//! Which replica scans what. Pure.
//!
//! Every resource in every namespace belongs to one of the living replicas, by rendezvous hashing: each
//! replica weighs each share, and the heaviest has it. Replicas that know the same living ones agree
//! without asking each other, and when one comes or goes, only its own shares move. While they do not
//! know the same, a share may have two owners or, until all know, none; who takes one over looks at
//! all of it.

use std::sync::Arc;

use pharos_reports::digest;

/// Who lives, and which of them is this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    /// In order, each once.
    replicas: Arc<[Box<str>]>,
    me: Box<str>,
}

// === impl Share ===

impl Share {
    /// Of these replicas. One that is not among them owns nothing: the others do not count on it.
    pub(crate) fn of(me: &str, replicas: impl IntoIterator<Item = impl Into<Box<str>>>) -> Self {
        let mut replicas: Vec<Box<str>> = replicas.into_iter().map(Into::into).collect();
        replicas.sort_unstable();
        replicas.dedup();
        Self { replicas: replicas.into(), me: me.into() }
    }

    /// Whether this process scans a resource in a namespace; the namespace is empty for what is in none.
    pub(crate) fn owns(&self, group: &str, resource: &str, namespace: &str) -> bool {
        self.owner(group, resource, namespace) == Some(&self.me)
    }

    /// Whether this process scans everything.
    pub(crate) fn owns_all(&self) -> bool {
        matches!(&*self.replicas, [only] if *only == self.me)
    }

    fn owner(&self, group: &str, resource: &str, namespace: &str) -> Option<&str> {
        let weight = |replica: &&str| {
            let parts = [replica.as_bytes(), group.as_bytes(), resource.as_bytes()];
            digest::of_parts(&[parts[0], parts[1], parts[2], namespace.as_bytes()])
        };
        match &*self.replicas {
            [only] => Some(only),
            // Of equal ones the last by name, for everybody.
            several => several.iter().map(AsRef::as_ref).max_by_key(weight),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESOURCES: [(&str, &str); 3] = [("", "pods"), ("apps", "deployments"), ("", "nodes")];

    fn shares() -> impl Iterator<Item = (&'static str, &'static str, String)> {
        RESOURCES.into_iter().flat_map(|(group, resource)| {
            (0..200).map(move |number| (group, resource, format!("namespace-{number}")))
        })
    }

    fn owners(replicas: &[&str]) -> Vec<String> {
        let share = Share::of(replicas[0], replicas.iter().copied());
        let owner = |(group, resource, namespace): (&str, &str, String)| {
            share.owner(group, resource, &namespace).unwrap().to_owned()
        };
        shares().map(owner).collect()
    }

    #[test]
    fn everything_has_exactly_one_owner_whoever_is_asked() {
        let replicas = ["c", "a", "b"];
        for (group, resource, namespace) in shares() {
            let owns = |me: &&str| Share::of(me, replicas).owns(group, resource, &namespace);
            assert_eq!(replicas.iter().filter(|me| owns(me)).count(), 1);
        }
    }

    #[test]
    fn shares_are_even() {
        let owners = owners(&["a", "b", "c", "d"]);
        for replica in ["a", "b", "c", "d"] {
            let count = owners.iter().filter(|owner| *owner == replica).count();
            assert!((100..=200).contains(&count), "{replica} owns {count} of 600");
        }
    }

    #[test]
    fn only_the_shares_of_who_goes_move() {
        let (before, after) = (owners(&["a", "b", "c"]), owners(&["a", "b"]));
        for (before, after) in before.iter().zip(&after) {
            assert!(before == after || before == "c", "{before} lost a share to {after}");
        }
    }

    #[test]
    fn one_works_alone_and_who_does_not_count_owns_nothing() {
        assert!(Share::of("a", ["a"]).owns_all());
        assert!(Share::of("a", ["a"]).owns("", "pods", "x"));
        let counted_out = Share::of("a", ["b"]);
        assert!(shares().all(|(group, resource, ns)| !counted_out.owns(group, resource, &ns)));
        assert!(!counted_out.owns_all() && !Share::of("a", ["a", "b"]).owns_all());
        assert!(!Share::of("a", Vec::<String>::new()).owns("", "pods", "x"));
    }
}
