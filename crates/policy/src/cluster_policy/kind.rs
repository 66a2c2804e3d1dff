//! Kinds as ClusterPolicies write them: `Pod`, `apps/v1/Deployment`, `Pod/exec`, `*/*`.

use crate::request::GroupVersionKind;
use crate::rule::KindPattern;
use crate::wildcard;

const ALL: &str = "*";

// === impl KindPattern ===

impl KindPattern {
    /// Reads a kind as ClusterPolicies and Kyverno's ConfigMap have it. What stands before it may be a
    /// version, or a group and a version; what stands after it, behind a slash or a dot, is a part of
    /// the resource. None for what has more parts.
    pub fn parse(text: &str) -> Option<Self> {
        let (before, last) = text.rsplit_once('/').map_or((None, text), |(a, b)| (Some(a), b));
        let parts: Vec<&str> =
            before.into_iter().flat_map(|it| it.split('/')).chain(last.split('.')).collect();
        let pattern = |group: &str, version: &str, kind: &str, sub_resource: &str| {
            Some(Self {
                group: group.to_owned(),
                version: version.to_owned(),
                kind: kind.to_owned(),
                sub_resource: sub_resource.to_owned(),
            })
        };
        match parts[..] {
            [kind] => pattern(ALL, ALL, kind, ""),
            [ALL, ALL] => pattern(ALL, ALL, ALL, ALL),
            // A part of any resource, which is told from a kind by its small letters.
            [ALL, part] if part.to_lowercase() == part => pattern(ALL, ALL, ALL, part),
            [version, kind] if is_version(version) => pattern(ALL, version, kind, ""),
            [kind, part] => pattern(ALL, ALL, kind, part),
            [version, kind, part] if is_version(version) => pattern(ALL, version, kind, part),
            [group, version, kind] => pattern(group, version, kind, ""),
            [group, version, kind, part] => pattern(group, version, kind, part),
            _ => None,
        }
    }

    /// Whether it is about a resource of that kind, or that part of one. Ephemeral containers count
    /// as a Pod: they are how a Pod's containers come to be more.
    pub(crate) fn is_about(&self, kind: GroupVersionKind<'_>, sub_resource: &str) -> bool {
        let GroupVersionKind { group, version, kind } = kind;
        let is_pod = (group, version, kind) == ("", "v1", "Pod");
        wildcard::matches(&self.kind, kind)
            && wildcard::matches(&self.group, group)
            && wildcard::matches(&self.version, version)
            && (wildcard::matches(&self.sub_resource, sub_resource)
                || is_pod && sub_resource == "ephemeralcontainers")
    }
}

/// `v1`, `v2beta1` or `*`.
fn is_version(text: &str) -> bool {
    let digit = |text: &str| text.len() == 1 && text.starts_with(|it: char| it.is_ascii_digit());
    text == ALL
        || text.strip_prefix('v').is_some_and(|rest| {
            let named = rest.split_once("alpha").or_else(|| rest.split_once("beta"));
            named.map_or_else(|| digit(rest), |(major, minor)| digit(major) && digit(minor))
        })
}

/// The kind that an entry of a list of kinds names, without group, version and part of a resource.
pub(super) fn bare(text: &str) -> String {
    KindPattern::parse(text).map(|pattern| pattern.kind).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<[String; 4]> {
        let KindPattern { group, version, kind, sub_resource } = KindPattern::parse(text)?;
        Some([group, version, kind, sub_resource])
    }

    #[test]
    fn a_kind_is_read_as_kyverno_reads_it() {
        for (text, expected) in [
            ("Pod", ["*", "*", "Pod", ""]),
            ("*", ["*", "*", "*", ""]),
            ("*/*", ["*", "*", "*", "*"]),
            ("*/scale", ["*", "*", "*", "scale"]),
            ("*/Deployment", ["*", "*", "Deployment", ""]),
            ("v1/Pod", ["*", "v1", "Pod", ""]),
            ("v1beta1/CronJob", ["*", "v1beta1", "CronJob", ""]),
            ("Pod/exec", ["*", "*", "Pod", "exec"]),
            ("Pod.status", ["*", "*", "Pod", "status"]),
            ("v1/Pod/exec", ["*", "v1", "Pod", "exec"]),
            ("apps/v1/Deployment", ["apps", "v1", "Deployment", ""]),
            ("networking.k8s.io/v1/Ingress", ["networking.k8s.io", "v1", "Ingress", ""]),
            ("apps/*/Deployment/scale", ["apps", "*", "Deployment", "scale"]),
        ] {
            assert_eq!(parsed(text), Some(expected.map(str::to_owned)), "{text}");
        }
        assert_eq!(parsed("a/b/c/d/e"), None);
    }

    #[test]
    fn a_kind_is_about_what_it_names_and_pods_about_their_ephemeral_containers() {
        let pod = GroupVersionKind { group: "", version: "v1", kind: "Pod" };
        let deployment = GroupVersionKind { group: "apps", version: "v1", kind: "Deployment" };
        for (text, kind, part, expected) in [
            ("Pod", pod, "", true),
            ("Pod", pod, "exec", false),
            ("Pod", pod, "ephemeralcontainers", true),
            ("Pod/*", pod, "exec", true),
            ("Pod", deployment, "", false),
            ("*", deployment, "", true),
            ("*", deployment, "scale", false),
            ("*/*", deployment, "scale", true),
            ("*/scale", deployment, "scale", true),
            ("*/scale", deployment, "", false),
            ("apps/v1/*", deployment, "", true),
            ("batch/*/*", deployment, "", false),
            ("v2/Deployment", deployment, "", false),
            ("D*", deployment, "", true),
        ] {
            let pattern = KindPattern::parse(text).unwrap();
            assert_eq!(pattern.is_about(kind, part), expected, "{text} {kind:?}/{part}");
        }
    }
}
