//! As whom the server calls webhooks: the users of a kubeconfig whose names say for which servers they are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use apimachinery::ObjectExt as _;
use pki::Identity;
use serde_json::Value;

use crate::client::Credentials;
use crate::error::ConfigError;
use crate::kubeconfig;

/// The users by what they are for: `host:port`, `host`, `*.domain`, `*`.
#[derive(Debug)]
pub struct Users {
    users: BTreeMap<String, Value>,
    /// The current context's, for all others.
    current: Option<String>,
    directory: PathBuf,
}

impl Users {
    /// Reads a kubeconfig; paths in it are beside it.
    pub fn of_kubeconfig(path: &Path) -> Result<Self, ConfigError> {
        let config = kubeconfig::read(path)?;
        let directory = path.parent().unwrap_or(Path::new(".")).to_owned();
        let users = Self::parse(&config, directory);
        // A file that names credentials that are not there is found out at the start.
        for name in users.users.keys() {
            users.of(name).map_err(|error| ConfigError::new(format!("user {name:?}: {error}")))?;
        }
        Ok(users)
    }

    fn parse(config: &Value, directory: PathBuf) -> Self {
        let named = |item: &Value| {
            let user = item.get("user").cloned().unwrap_or_default();
            Some((item.str_at(&["name"])?.to_owned(), user))
        };
        let current = config.str_at(&["current-context"]).filter(|name| !name.is_empty());
        let context = current.and_then(|current| {
            let contexts = config.list_at(&["contexts"]).iter();
            contexts.into_iter().find(|context| context.str_at(&["name"]) == Some(current))
        });
        Self {
            users: config.list_at(&["users"]).iter().filter_map(named).collect(),
            current: context.and_then(|context| context.str_at(&["context", "user"])).map(str::to_owned),
            directory,
        }
    }

    /// The user for a server, as upstream finds it: by its whole name, by ever shorter domains, without the usual port.
    fn name_for(&self, target: &str) -> Option<&str> {
        let known = |name: &str| self.users.get_key_value(name).map(|(name, _)| name.as_str());
        let by_domain = |target: &str| {
            let mut rest = target;
            while let Some((_, shorter)) = rest.split_once('.') {
                if let Some(name) = known(&format!("*.{shorter}")) {
                    return Some(name);
                }
                rest = shorter;
            }
            None
        };
        let exact = |target: &str| known(target).or_else(|| by_domain(target));
        exact(target)
            .or_else(|| exact(target.strip_suffix(":443")?))
            .or_else(|| known("*"))
            .or_else(|| known(self.current.as_deref()?))
    }

    /// What the server shows to another, and under which certificate it calls it.
    pub(crate) fn for_target(
        &self,
        target: &str,
    ) -> Result<(Credentials, Option<Arc<Identity>>), ConfigError> {
        match self.name_for(target) {
            Some(name) => self.of(name),
            None => Ok((Credentials::None, None)),
        }
    }

    fn of(&self, name: &str) -> Result<(Credentials, Option<Arc<Identity>>), ConfigError> {
        let Some(user) = self.users.get(name) else { return Ok((Credentials::None, None)) };
        let identity = kubeconfig::identity(user, &self.directory)?;
        Ok((kubeconfig::credentials(user, &self.directory), identity))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_user_with_the_closest_name_is_taken() {
        let users =
            ["hook.ns.svc", "hook.other.svc:8443", "*.other.svc", "*.svc:9443", "else", "example.com:443"];
        let list: Vec<Value> =
            users.iter().map(|name| json!({"name": name, "user": {"token": name}})).collect();
        let config = json!({"users": list, "current-context": "c",
            "contexts": [{"name": "c", "context": {"user": "else"}}]});
        let users = Users::parse(&config, PathBuf::new());
        for (target, expected) in [
            ("hook.ns.svc:443", "hook.ns.svc"),
            ("hook.other.svc:8443", "hook.other.svc:8443"),
            ("hook.other.svc:443", "*.other.svc"),
            ("any.ns.svc:9443", "*.svc:9443"),
            ("example.com:443", "example.com:443"),
            ("example.com", "else"),
        ] {
            assert_eq!(users.name_for(target), Some(expected), "{target}");
            let (credentials, _) = users.for_target(target).unwrap();
            assert_eq!(credentials, Credentials::Header(format!("Bearer {expected}")));
        }
        let none = Users::parse(&json!({}), PathBuf::new());
        assert_eq!(none.for_target("hook.ns.svc:443").unwrap().0, Credentials::None);
    }
}
