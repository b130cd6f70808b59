//! What a command acts on: from names, files and selectors to objects of the server.

pub mod args;
pub mod files;
#[cfg(test)]
mod tests;
mod url;

use std::rc::Rc;

use apimachinery::object::ObjectExt;
use serde_json::Value;

use crate::cli::Invocation;
use crate::client::{Client, Connection, with_query};
use crate::discovery::{Mapper, Resource};
use crate::error::{Error, Result};
pub use args::Pick;

/// A server to talk to, and what it serves.
pub struct Session {
    /// The client.
    pub client: Client,
    /// What the server serves.
    pub mapper: Mapper,
    /// The namespace of this request.
    pub namespace: String,
    /// Whether `--namespace` was given.
    pub namespace_given: bool,
}

/// An object that a command acts on.
#[derive(Clone)]
pub struct Item {
    /// Its resource.
    pub resource: Rc<Resource>,
    /// Its namespace, for namespaced resources.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// The object: as in the file, or as on the server.
    pub object: Value,
    /// Where it came from, for messages; empty when it came from the server.
    pub source: String,
}

impl Session {
    /// Connects as the flags and the kubeconfig say. No request is made yet.
    pub async fn open(invocation: &Invocation) -> Result<Self> {
        let connection = Connection::open(invocation).await?;
        let mapper = Mapper::new(invocation, connection.client.clone());
        Ok(Self {
            client: connection.client,
            mapper,
            namespace: connection.namespace,
            namespace_given: connection.namespace_given,
        })
    }

    /// The namespace for a list: none when all are wanted.
    pub fn scope(&self, invocation: &Invocation) -> Option<&str> {
        (!invocation.is("all-namespaces")).then_some(self.namespace.as_str())
    }

    /// Reads one object.
    pub async fn fetch(&self, resource: &Rc<Resource>, name: &str) -> Result<Item> {
        let namespace = resource.namespaced.then(|| self.namespace.clone());
        let object = self.client.get(&resource.object_path(namespace.as_deref(), name)).await?;
        Ok(Item { resource: resource.clone(), namespace, name: name.into(), object, source: String::new() })
    }

    /// Lists the objects of a resource, in pieces.
    pub async fn list(
        &self,
        resource: &Rc<Resource>,
        namespace: Option<&str>,
        label_selector: &str,
        field_selector: &str,
    ) -> Result<Vec<Item>> {
        let list = self.list_object(resource, namespace, label_selector, field_selector, 500).await?;
        let kind = list["kind"].as_str().and_then(|kind| kind.strip_suffix("List")).unwrap_or(&resource.kind);
        let api_version = list["apiVersion"].as_str().unwrap_or("v1");
        let items = list["items"].as_array().cloned().unwrap_or_default();
        Ok(items
            .into_iter()
            .map(|mut object| {
                if object["kind"].is_null() {
                    object["kind"] = kind.into();
                    object["apiVersion"] = api_version.into();
                }
                Item::of(resource.clone(), object)
            })
            .collect())
    }

    /// A whole list as the server returns it, put together from its pieces.
    pub async fn list_object(
        &self,
        resource: &Resource,
        namespace: Option<&str>,
        label_selector: &str,
        field_selector: &str,
        chunk: i64,
    ) -> Result<Value> {
        self.list_path(&resource.path(namespace), label_selector, field_selector, chunk).await
    }

    /// The list at a path, put together from its pieces.
    pub async fn list_path(&self, path: &str, labels: &str, fields: &str, chunk: i64) -> Result<Value> {
        let limit = if chunk > 0 { chunk.to_string() } else { String::new() };
        let query = [("fieldSelector", fields), ("labelSelector", labels), ("limit", limit.as_str())];
        let path = with_query(path, &query);
        let mut list = self.client.get(&path).await?;
        while let Some(token) = list["metadata"]["continue"].as_str().filter(|token| !token.is_empty()) {
            let next = self.client.get(&with_query(&path, &[("continue", token)])).await?;
            list["metadata"] = next["metadata"].clone();
            if let (Some(items), Value::Array(more)) = (list["items"].as_array_mut(), next["items"].clone()) {
                items.extend(more);
            }
        }
        Ok(list)
    }

    /// Turns picks into objects read from the server; files are read there by name, unless `local`.
    pub async fn objects(&self, invocation: &Invocation, picks: Vec<Pick>) -> (Vec<Item>, Vec<Error>) {
        let (mut items, mut errors) = (Vec::new(), Vec::new());
        for pick in picks {
            let found = match pick {
                Pick::Name(resource, name) => self.fetch(&resource, &name).await.map(|item| vec![item]),
                Pick::File(item) => match self.client.get(&item.path()).await {
                    Ok(object) => Ok(vec![Item { object, ..item }]),
                    Err(error) => Err(error.during("retrieving current configuration of", &item.source)),
                },
                Pick::List(resource) => {
                    let scope = self.scope(invocation);
                    self.list(
                        &resource,
                        scope,
                        invocation.text("selector"),
                        invocation.text("field-selector"),
                    )
                    .await
                }
            };
            match found {
                Ok(found) => items.extend(found),
                Err(error) => errors.push(error),
            }
        }
        (items, errors)
    }

    /// The objects that the arguments and files mean, read from the server; an error ends it.
    pub async fn current(&self, invocation: &Invocation, args: &[String]) -> Result<Vec<Item>> {
        let picks = args::picks(self, invocation, args).await?;
        let (items, errors) = self.objects(invocation, picks).await;
        Error::all(errors)?;
        Ok(items)
    }

    /// Reads the pod of `POD`, `pod/x`, or the first pod that `deploy/x` and the like select.
    pub async fn pod_of(&self, word: &str) -> Result<Item> {
        let pods = self.pods_of(word).await?;
        pods.into_iter().next().ok_or_else(|| Error::message(format!("no pods found for {word}")))
    }

    /// The pods of `POD`, `pod/x`, or those that `deploy/x` and the like select, running ones first.
    pub async fn pods_of(&self, word: &str) -> Result<Vec<Item>> {
        let pods = pods();
        let Some((kind, name)) = word.split_once('/') else {
            return Ok(vec![self.fetch(&pods, word).await?]);
        };
        if matches!(kind, "pod" | "pods" | "po") {
            return Ok(vec![self.fetch(&pods, name).await?]);
        }
        let resource = self.mapper.resource(kind).await?;
        let owner = self.fetch(&resource, name).await?;
        let selector = selector_of(&owner.object).ok_or_else(|| {
            Error::message(format!("cannot attach to {}: selector is not known", owner.object.kind()))
        })?;
        let mut found = self.list(&pods, Some(&self.namespace), &selector, "").await?;
        found.sort_by_key(|pod| {
            (pod.object["status"]["phase"] != "Running", pod.object.creation_timestamp().to_string())
        });
        Ok(found)
    }
}

impl Item {
    /// An item of an object as the server returned it.
    pub fn of(resource: Rc<Resource>, object: Value) -> Self {
        let namespace = resource.namespaced.then(|| object.namespace().to_string());
        Self { name: object.name().to_string(), resource, namespace, object, source: String::new() }
    }

    /// Its path on the server.
    pub fn path(&self) -> String {
        self.resource.object_path(self.namespace.as_deref(), &self.name)
    }

    /// The path of one of its subresources; its own, for the empty name.
    pub fn path_of(&self, subresource: &str) -> String {
        match subresource {
            "" => self.path(),
            name => format!("{}/{name}", self.path()),
        }
    }

    /// Path of the collection it is in.
    pub fn collection(&self) -> String {
        self.resource.path(self.namespace.as_deref())
    }

    /// `deployment.apps/web`, as messages name it.
    pub fn label(&self) -> String {
        format!("{}/{}", self.resource.label(), self.name)
    }
}

/// The selector of an object that selects pods, as text.
pub fn selector_of(object: &Value) -> Option<String> {
    let selector = &object["spec"]["selector"];
    let selector = match object.kind() {
        "Service" | "ReplicationController" => {
            let pairs =
                selector.as_object()?.iter().filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)));
            apimachinery::labels::Selector::from_pairs(pairs)
        }
        _ => {
            selector.as_object()?;
            apimachinery::labels::Selector::from_label_selector(selector).ok()?
        }
    };
    Some(selector.to_string())
}

/// The resource of pods, which needs no discovery.
pub fn pods() -> Rc<Resource> {
    core("pods", "pod", "Pod", true)
}

/// The resource of nodes, which needs no discovery.
pub fn nodes() -> Rc<Resource> {
    core("nodes", "node", "Node", false)
}

/// A resource of the core group, which needs no discovery.
pub fn core(plural: &str, singular: &str, kind: &str, namespaced: bool) -> Rc<Resource> {
    Rc::new(Resource {
        version: "v1".into(),
        plural: plural.into(),
        singular: singular.into(),
        kind: kind.into(),
        namespaced,
        ..Resource::default()
    })
}
