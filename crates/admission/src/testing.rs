//! A cluster in memory and short ways to send requests to one plugin.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use apimachinery::ObjectExt;
use apimachinery::status::Status;
use serde_json::Value;

use crate::review::Asker;
use crate::rules::Served;
use crate::{Access, Attributes, Context, Judgement, MayDo, Operation, Plugin, ResourceOf, User, View};

type Key = (String, String, String, String);

#[derive(Default)]
pub(crate) struct Cluster {
    objects: BTreeMap<Key, Arc<Value>>,
    allowed: Vec<(String, String)>,
}

impl Cluster {
    pub(crate) fn new() -> Cluster {
        Cluster::default()
    }

    pub(crate) fn with(mut self, group: &str, resource: &str, object: Value) -> Cluster {
        let key = (group.into(), resource.into(), object.namespace().into(), object.name().into());
        self.objects.insert(key, Arc::new(object));
        self
    }

    pub(crate) fn allowing(mut self, verb: &str, name: &str) -> Cluster {
        self.allowed.push((verb.into(), name.into()));
        self
    }
}

impl View for Cluster {
    fn get(&self, group: &str, resource: &str, namespace: &str, name: &str) -> Option<Arc<Value>> {
        self.objects.get(&(group.into(), resource.into(), namespace.into(), name.into())).cloned()
    }

    fn list(&self, group: &str, resource: &str, namespace: &str) -> Vec<Arc<Value>> {
        self.objects
            .iter()
            .filter(|((g, r, n, _), _)| {
                g == group && r == resource && (namespace.is_empty() || n == namespace)
            })
            .map(|(_, object)| object.clone())
            .collect()
    }

    fn allows(&self, _user: &User, access: &Access) -> bool {
        self.allowed.iter().any(|(verb, name)| verb == access.verb && name == access.name)
    }

    fn access(&self) -> Arc<dyn MayDo> {
        Arc::new(Allowed(self.allowed.clone()))
    }

    fn resource_of(&self, _group: &str, _version: &str, kind: &str) -> Option<ResourceOf> {
        Some(ResourceOf { resource: format!("{}s", kind.to_lowercase()), namespaced: true })
    }

    fn told<'o>(
        &self,
        _attributes: &Attributes,
        _served: Option<&Served>,
        object: &'o Value,
    ) -> Result<Cow<'o, Value>, Status> {
        Ok(Cow::Borrowed(object))
    }

    fn taken(&self, _: &Attributes, _: Option<&Served>, object: Value) -> Result<Value, Status> {
        Ok(object)
    }

    fn merged(
        &self,
        _: &Attributes,
        _: Option<&Served>,
        live: &Value,
        wanted: &Value,
    ) -> Result<Value, String> {
        let mut merged = live.clone();
        patch::merge_patch(&mut merged, wanted);
        Ok(merged)
    }

    fn versions(&self, _group: &str, _version: &str, _resource: &str) -> Vec<Served> {
        Vec::new()
    }
}

struct Allowed(Vec<(String, String)>);

impl MayDo for Allowed {
    fn may(&self, _user: &User, access: &Access) -> Judgement {
        let allowed = self.0.iter().any(|(verb, name)| verb == access.verb && name == access.name);
        Judgement { allowed, ..Judgement::default() }
    }
}

/// Who asks in these tests.
pub(crate) struct Nobody;

impl Asker for Nobody {
    fn user_info(&self) -> Value {
        serde_json::json!({"username": "jane", "groups": ["dev"]})
    }

    fn options(&self) -> Value {
        Value::Null
    }
}

#[derive(Clone)]
pub(crate) struct Request {
    operation: Operation,
    group: &'static str,
    resource: &'static str,
    subresource: &'static str,
    namespace: &'static str,
    name: &'static str,
    user: String,
    groups: Vec<String>,
    old: Option<Value>,
    dry_run: bool,
}

impl Request {
    fn new(operation: Operation, group: &'static str, resource: &'static str) -> Request {
        Request {
            operation,
            group,
            resource,
            subresource: "",
            namespace: "",
            name: "",
            user: "jane".into(),
            groups: Vec::new(),
            old: None,
            dry_run: false,
        }
    }

    pub(crate) fn create(group: &'static str, resource: &'static str) -> Request {
        Request::new(Operation::Create, group, resource)
    }

    pub(crate) fn update(group: &'static str, resource: &'static str, old: Value) -> Request {
        let mut request = Request::new(Operation::Update, group, resource);
        request.old = Some(old);
        request
    }

    pub(crate) fn delete(group: &'static str, resource: &'static str) -> Request {
        Request::new(Operation::Delete, group, resource)
    }

    pub(crate) fn named(mut self, name: &'static str) -> Request {
        self.name = name;
        self
    }

    pub(crate) fn inside(mut self, namespace: &'static str) -> Request {
        self.namespace = namespace;
        self
    }

    pub(crate) fn through(mut self, subresource: &'static str) -> Request {
        self.subresource = subresource;
        self
    }

    pub(crate) fn dry(mut self) -> Request {
        self.dry_run = true;
        self
    }

    pub(crate) fn by(mut self, user: &str) -> Request {
        self.user = user.to_owned();
        self
    }

    pub(crate) fn by_node(mut self, node: &str) -> Request {
        self.user = format!("system:node:{node}");
        self.groups = vec!["system:nodes".into()];
        self
    }

    pub(crate) fn run<T>(&self, cluster: &Cluster, work: impl FnOnce(&mut Context) -> T) -> (T, Vec<String>) {
        let attributes = Attributes {
            operation: self.operation,
            group: self.group,
            version: "v1",
            resource: self.resource,
            subresource: self.subresource,
            kind: "",
            namespace: self.namespace,
            name: self.name,
            user: User { name: &self.user, groups: &self.groups },
            dry_run: self.dry_run,
            random: 7,
        };
        let mut context = Context {
            attributes: &attributes,
            old: self.old.as_ref(),
            view: cluster,
            asker: &Nobody,
            warnings: Vec::new(),
        };
        let result = work(&mut context);
        (result, context.warnings)
    }

    pub(crate) fn admit(
        &self,
        plugin: &dyn Plugin,
        cluster: &Cluster,
        mut object: Value,
    ) -> Result<Value, Status> {
        self.run(cluster, |context| {
            plugin.admit(context, &mut object)?;
            plugin.validate(context, &object)?;
            Ok(object)
        })
        .0
    }
}
