//! The identity that authentication gives a request, as `authentication.k8s.io/v1 UserInfo`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Group of every request that was authenticated.
pub const AUTHENTICATED: &str = "system:authenticated";
/// Group of anonymous requests.
pub const UNAUTHENTICATED: &str = "system:unauthenticated";
/// Name of the user behind anonymous requests.
pub const ANONYMOUS: &str = "system:anonymous";
/// Extra key naming the credential that was used.
pub const CREDENTIAL_ID: &str = "authentication.kubernetes.io/credential-id";
/// Extra key naming the pod that a token is bound to.
pub const POD_NAME: &str = "authentication.kubernetes.io/pod-name";
/// Extra key with the UID of the pod that a token is bound to.
pub const POD_UID: &str = "authentication.kubernetes.io/pod-uid";
/// Extra key naming the node that a token's pod runs on, or that the token is bound to.
pub const NODE_NAME: &str = "authentication.kubernetes.io/node-name";
/// Extra key with the UID of that node.
pub const NODE_UID: &str = "authentication.kubernetes.io/node-uid";

/// Who a request is from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct UserInfo {
    /// The user name, such as `system:serviceaccount:default:builder`.
    #[serde(rename = "username", skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Tells apart users that had the same name at different times.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// Groups, in the order that the credential gives them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Further facts from the authenticator.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, Vec<String>>,
}

impl UserInfo {
    /// The user of a request without credentials.
    pub fn anonymous() -> Self {
        Self { name: ANONYMOUS.into(), groups: vec![UNAUTHENTICATED.into()], ..Self::default() }
    }

    /// Whether the user is in a group.
    pub fn in_group(&self, group: &str) -> bool {
        self.groups.iter().any(|member| member == group)
    }

    /// Namespace and name, when the user is a service account.
    pub fn service_account(&self) -> Option<(&str, &str)> {
        service_account_of(&self.name)
    }

    /// Adds `system:authenticated` unless it is there or the user is anonymous.
    pub fn authenticated(mut self) -> Self {
        if self.name != ANONYMOUS && !self.in_group(AUTHENTICATED) && !self.in_group(UNAUTHENTICATED) {
            self.groups.push(AUTHENTICATED.into());
        }
        self
    }
}

/// The user name of a service account.
pub fn service_account_user(namespace: &str, name: &str) -> String {
    format!("system:serviceaccount:{namespace}:{name}")
}

/// The groups of a service account.
pub fn service_account_groups(namespace: &str) -> Vec<String> {
    vec!["system:serviceaccounts".into(), format!("system:serviceaccounts:{namespace}")]
}

fn service_account_of(user: &str) -> Option<(&str, &str)> {
    let (namespace, name) = user.strip_prefix("system:serviceaccount:")?.split_once(':')?;
    (!namespace.is_empty() && !name.is_empty() && !name.contains(':')).then_some((namespace, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_account_names_are_recognised() {
        assert_eq!(service_account_of("system:serviceaccount:a:b"), Some(("a", "b")));
        for other in
            ["system:serviceaccount:a:", "system:serviceaccount:a", "jane", "system:serviceaccount:a:b:c"]
        {
            assert_eq!(service_account_of(other), None, "{other}");
        }
    }

    #[test]
    fn only_known_users_are_authenticated() {
        let user = UserInfo { name: "jane".into(), ..UserInfo::default() }.authenticated();
        assert_eq!(user.groups, [AUTHENTICATED]);
        assert_eq!(user.clone().authenticated(), user, "added once");
        assert_eq!(UserInfo::anonymous().authenticated(), UserInfo::anonymous());
    }
}
