//! The cluster as admission, token checks and authorisation see it: straight from the watch cache.

use std::sync::Arc;

use apimachinery::{ObjectExt, time};
use authn::{Lookup, Referent};
use serde_json::Value;
use storage::{Query, Store};

use crate::server::Server;

/// The cluster as admission sees it.
pub struct View<'a> {
    /// Where it looks.
    pub server: &'a Server,
}

impl admission::View for View<'_> {
    fn get(&self, group: &str, resource: &str, namespace: &str, name: &str) -> Option<Arc<Value>> {
        let entry = self.server.registry.stored(group, resource)?;
        entry.cache().value(&entry.key(namespace, name))
    }

    fn list(&self, group: &str, resource: &str, namespace: &str) -> Vec<Arc<Value>> {
        let mut found = Vec::new();
        if let Some(entry) = self.server.registry.stored(group, resource) {
            let query = Query { namespace: namespace.to_owned(), ..Query::default() };
            entry.cache().visit(&query, |object| {
                found.extend(object.kept_value());
                true
            });
        }
        found
    }

    fn allows(&self, user: &admission::User, access: &admission::Access) -> bool {
        let attributes = authz::Attributes {
            user: authz::User { name: user.name, groups: user.groups },
            verb: access.verb,
            group: access.group,
            version: "*",
            resource: access.resource,
            name: access.name,
            is_resource: true,
            ..authz::Attributes::default()
        };
        self.server.authorizer.authorize(&attributes).is_allowed()
    }
}

/// The objects that tokens are bound to. It holds the store alone, since the server is made of what needs it.
pub struct TokenObjects {
    /// Where it looks.
    pub store: Arc<Store>,
}

impl TokenObjects {
    fn value(&self, prefix: &str, key: &str) -> Option<Arc<Value>> {
        self.store.cache(prefix)?.get(key)?.value().ok().map(Arc::new)
    }

    fn referent(&self, prefix: &str, key: &str) -> Option<Referent> {
        let value = self.value(prefix, key)?;
        Some(Referent {
            uid: value.uid().to_owned(),
            deletion_timestamp: value.deletion_timestamp().and_then(time::parse),
        })
    }
}

impl Lookup for TokenObjects {
    fn service_account(&self, namespace: &str, name: &str) -> Option<Referent> {
        self.referent("serviceaccounts", &format!("{namespace}/{name}"))
    }

    fn pod(&self, namespace: &str, name: &str) -> Option<Referent> {
        self.referent("pods", &format!("{namespace}/{name}"))
    }

    fn node(&self, name: &str) -> Option<Referent> {
        self.referent("minions", name)
    }

    fn secret(&self, namespace: &str, name: &str) -> Option<Arc<Value>> {
        self.value("secrets", &format!("{namespace}/{name}"))
    }
}
