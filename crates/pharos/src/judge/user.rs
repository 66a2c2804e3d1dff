//! Who asks: Kyverno's user info file.

use anyhow::Context;
use serde::Deserialize;
use serde_json::{Map, Value};

/// The user of every request.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct UserInfo {
    #[serde(default, rename = "apiVersion")]
    _api_version: String,
    #[serde(default, rename = "kind")]
    _kind: String,
    #[serde(default, rename = "metadata")]
    _metadata: Value,
    /// The Roles that are bound to the user, as NAMESPACE:NAME.
    #[serde(default)]
    pub(crate) roles: Vec<String>,
    /// The ClusterRoles that are bound to the user.
    #[serde(default)]
    pub(crate) cluster_roles: Vec<String>,
    /// The user as the request shows it; empty where nobody said who asks.
    #[serde(default)]
    pub(crate) user_info: Map<String, Value>,
}

// === impl UserInfo ===

impl UserInfo {
    pub(crate) fn parse(document: Value) -> anyhow::Result<Self> {
        serde_json::from_value(document).context("no user info file")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_is_what_the_file_says_and_a_field_it_does_not_have_is_an_error() {
        let parse = |yaml: &str| UserInfo::parse(serde_saphyr::from_str(yaml).unwrap());
        let user = parse(
            "{apiVersion: cli.kyverno.io/v1alpha1, kind: UserInfo, metadata: {name: u}, \
             clusterRoles: [admin], userInfo: {username: jane, groups: [a]}}",
        )
        .unwrap();
        assert_eq!(user.user_info["username"], "jane");
        assert_eq!((user.roles.len(), user.cluster_roles.len()), (0, 1));
        assert!(parse("{clusterroles: [admin]}").is_err());
    }
}
