//! Impersonation that is for some requests only (KEP-5284): a verb that says as whom, another that says for what.

use apimachinery::names::is_dns1123_subdomain;
use authn::{UserInfo, service_account_groups};

const NODE: &str = "system:node:";
const NODE_NAME: &str = "authentication.kubernetes.io/node-name";
const MASTERS: &str = "system:masters";

/// As what kind of user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// A service account whose pod is on a node, as that node.
    AssociatedNode,
    /// Any node.
    ArbitraryNode,
    /// A service account.
    ServiceAccount,
    /// Everybody else.
    UserInfo,
}

impl Mode {
    /// The modes that a wish falls under, in the order in which they are asked.
    pub(super) fn applying(wanted: &UserInfo, real: &UserInfo) -> impl Iterator<Item = Self> + use<> {
        let is_name_alone = wanted.uid.is_empty() && wanted.groups.is_empty() && wanted.extra.is_empty();
        let node = node_name(&wanted.name);
        let is_own = node.is_some()
            && real.service_account().is_some()
            && matches!(real.extra.get(NODE_NAME).map(Vec::as_slice), Some([own]) if Some(own.as_str()) == node);
        let (is_node, is_account) = (node.is_some(), wanted.service_account().is_some());
        let is_sound = is_sound(wanted);
        [
            (Self::AssociatedNode, is_own && is_name_alone),
            (Self::ArbitraryNode, is_node && is_name_alone),
            (Self::ServiceAccount, is_account && is_name_alone),
            (Self::UserInfo, !is_node && !is_account && is_sound),
        ]
        .into_iter()
        .filter_map(|(mode, applies)| applies.then_some(mode))
    }

    /// The verb that says as whom.
    pub(super) fn verb(self) -> &'static str {
        match self {
            Self::AssociatedNode => "impersonate:associated-node",
            Self::ArbitraryNode => "impersonate:arbitrary-node",
            Self::ServiceAccount => "impersonate:serviceaccount",
            Self::UserInfo => "impersonate:user-info",
        }
    }

    /// The verb that says for what.
    pub(super) fn verb_on(self, verb: &str) -> String {
        self.verb().replacen("impersonate", "impersonate-on", 1) + ":" + verb
    }

    /// Resource, namespace and name that the first verb is asked about.
    pub(super) fn asked_for(self, wanted: &UserInfo) -> (&'static str, &str, &str) {
        match self {
            // Which node is no question: it is the one that the agent runs on.
            Self::AssociatedNode => ("nodes", "", "*"),
            Self::ArbitraryNode => ("nodes", "", node_name(&wanted.name).unwrap_or_default()),
            Self::ServiceAccount => {
                let (namespace, name) = wanted.service_account().unwrap_or_default();
                ("serviceaccounts", namespace, name)
            }
            Self::UserInfo => ("users", "", &wanted.name),
        }
    }

    /// Gives the user the groups that such users have.
    pub(super) fn complete(self, user: &mut UserInfo) {
        match self {
            Self::AssociatedNode | Self::ArbitraryNode => user.groups = vec!["system:nodes".to_owned()],
            Self::ServiceAccount => {
                if let Some((namespace, _)) = user.service_account() {
                    user.groups = service_account_groups(namespace);
                }
            }
            Self::UserInfo => {}
        }
    }
}

fn node_name(user: &str) -> Option<&str> {
    user.strip_prefix(NODE).filter(|name| is_dns1123_subdomain(name))
}

/// Whether nothing is wished for that a role for some requests must not give.
fn is_sound(wanted: &UserInfo) -> bool {
    wanted.groups.iter().all(|group| !group.is_empty() && group != MASTERS)
        && wanted.extra.iter().all(|(key, values)| {
            let prefix = key.split_once('/').map(|(prefix, path)| (prefix, path.is_empty()));
            matches!(prefix, Some((prefix, false)) if is_dns1123_subdomain(prefix))
                && *key == key.to_lowercase()
                && !values.is_empty()
                && values.iter().all(|value| !value.is_empty())
        })
}
