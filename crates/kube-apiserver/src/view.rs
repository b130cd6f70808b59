//! The cluster as admission, token checks and authorisation see it: straight from the watch cache.

use std::borrow::Cow;
use std::sync::Arc;

use admission::rules::Served;
use admission::{Attributes, Operation};
use apimachinery::{ObjectExt, Status, time};
use authn::{Lookup, Referent};
use schema::FieldValidation;
use serde_json::Value;
use storage::{Query, Store};

use crate::convert;
use crate::handlers::write::Expected;
use crate::legacy_tokens::Uses;
use crate::registry::Entry;
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
        judged(&self.server.authorizer, user, access).is_allowed()
    }

    fn access(&self) -> Arc<dyn admission::MayDo> {
        Arc::new(Access(self.server.authorizer.clone()))
    }

    fn resource_of(&self, group: &str, version: &str, kind: &str) -> Option<admission::ResourceOf> {
        let entry = self.server.registry.of_kind(group, version, kind)?;
        Some(admission::ResourceOf {
            resource: entry.row.plural.to_string(),
            namespaced: entry.row.namespaced,
        })
    }

    fn told<'o>(
        &self,
        attributes: &Attributes,
        served: Option<&Served>,
        object: &'o Value,
    ) -> Result<Cow<'o, Value>, Status> {
        let Some(entry) = self.whole(attributes, served).filter(|_| object.is_object()) else {
            return Ok(Cow::Borrowed(object));
        };
        if object.api_version() == entry.api_version {
            return Ok(Cow::Borrowed(object));
        }
        let mut told = object.clone();
        convert::to_served(&entry, &mut told);
        convert::from_storage(&entry, &mut told)?;
        Ok(Cow::Owned(told))
    }

    fn taken(
        &self,
        attributes: &Attributes,
        served: Option<&Served>,
        mut object: Value,
    ) -> Result<Value, Status> {
        let unreadable = |error: schema::DecodeError| Status::internal(error);
        if let Some(entry) = self.whole(attributes, served) {
            let expected = Expected::of(&entry);
            expected.decode(&mut object, Vec::new(), FieldValidation::Ignore).map_err(unreadable)?;
            convert::to_stored(&entry, &mut object);
            if let Some(own) = self.whole(attributes, None) {
                convert::from_storage(&own, &mut object)?;
                own.strategy.default(&mut object);
            }
            return Ok(object);
        }
        let (group, version, resource) = (attributes.group, attributes.version, attributes.resource);
        if let Some(entry) = self.server.registry.lookup(group, version, resource)
            && let Some(sub) = entry.row.subresource(attributes.subresource)
            && let Some(ty) = entry.row.subresource_type(sub)
        {
            let decoded = schema::decode(ty, &mut object, FieldValidation::Ignore);
            decoded.map_err(unreadable)?;
        }
        Ok(object)
    }

    fn merged(
        &self,
        attributes: &Attributes,
        served: Option<&Served>,
        live: &Value,
        wanted: &Value,
    ) -> Result<Value, String> {
        let Some(entry) = self.whole(attributes, served) else {
            return Err("a subresource takes no configuration".to_owned());
        };
        let mut merged = live.clone();
        managed_fields::merge(entry.row.ty(), &mut merged, wanted);
        Ok(merged)
    }

    fn versions(&self, group: &str, version: &str, resource: &str) -> Vec<Served> {
        self.server.registry.versions(group, version, resource)
    }
}

impl View<'_> {
    /// The resource whose objects are in a request, under the version in which they are told; none where a subresource
    /// takes something else.
    fn whole(&self, attributes: &Attributes, served: Option<&Served>) -> Option<Arc<Entry>> {
        let registry = &self.server.registry;
        let own = registry.lookup(attributes.group, attributes.version, attributes.resource)?;
        if attributes.operation == Operation::Connect {
            return None;
        }
        if !attributes.subresource.is_empty() {
            let (_, _, kind) = own.row.subresource_kind(own.row.subresource(attributes.subresource)?);
            if *kind != *own.row.kind {
                return None;
            }
        }
        let other = |served: &Served| registry.lookup(&served.group, &served.version, &served.resource);
        served.map_or(Some(own), other)
    }
}

/// Answers what expressions ask of users.
struct Access(Arc<authz::Chain>);

impl admission::MayDo for Access {
    fn may(&self, user: &admission::User, access: &admission::Access) -> admission::Judgement {
        let decision = judged(&self.0, user, access);
        let failure = decision.failure().map(str::to_owned);
        let reason = if failure.is_some() { String::new() } else { decision.reason().to_string() };
        admission::Judgement { allowed: decision.is_allowed(), reason, failure }
    }
}

fn judged(chain: &authz::Chain, user: &admission::User, access: &admission::Access) -> authz::Decision {
    let attributes = authz::Attributes {
        user: authz::User { name: user.name, groups: user.groups },
        verb: access.verb,
        group: access.group,
        version: "*",
        resource: access.resource,
        subresource: access.subresource,
        namespace: access.namespace,
        name: access.name,
        path: access.path.unwrap_or_default(),
        is_resource: access.path.is_none(),
        field_selector: access.field_selector,
        label_selector: access.label_selector,
        ..authz::Attributes::default()
    };
    chain.authorize(&attributes)
}

/// The objects that tokens are bound to. It holds the store alone, since the server is made of what needs it.
pub struct TokenObjects {
    /// Where it looks.
    pub store: Arc<Store>,
    /// Who is told of tokens that were used.
    pub uses: Uses,
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

    fn note_use(&self, secret: &Value) {
        self.uses.note(secret);
    }
}
