//! One step of the chain, and the cluster as it sees it.

use std::borrow::Cow;
use std::sync::Arc;

use apimachinery::status::Status;
use apimachinery::{fields, labels};
use serde_json::Value;

use crate::{
    User,
    attributes::{Attributes, Operation},
    review::{Asker, Step},
    rules::Served,
};

/// What plugins read of the cluster.
pub trait View: Sync {
    /// One object; the namespace is empty for cluster-wide resources.
    fn get(&self, group: &str, resource: &str, namespace: &str, name: &str) -> Option<Arc<Value>>;
    /// All objects of a resource, in one namespace or (empty) in all.
    fn list(&self, group: &str, resource: &str, namespace: &str) -> Vec<Arc<Value>>;
    /// Whether authorisation lets the user do something beside the request itself.
    fn allows(&self, user: &User, access: &Access) -> bool;
    /// Who answers such questions when expressions ask them.
    fn access(&self) -> Arc<dyn MayDo>;
    /// The resource that has objects of a kind.
    fn resource_of(&self, group: &str, version: &str, kind: &str) -> Option<ResourceOf>;
    /// An object in the version in which it is told to webhooks and expressions: the request's, or another that is served.
    fn told<'o>(
        &self,
        attributes: &Attributes,
        served: Option<&Served>,
        object: &'o Value,
    ) -> Result<Cow<'o, Value>, Status>;
    /// An object that was changed in that version, read as if a client had sent it.
    fn taken(&self, attributes: &Attributes, served: Option<&Served>, object: Value)
    -> Result<Value, Status>;
    /// Two objects of that version merged by their schema, as server-side apply merges them.
    fn merged(
        &self,
        attributes: &Attributes,
        served: Option<&Served>,
        live: &Value,
        wanted: &Value,
    ) -> Result<Value, String>;
    /// The groups and versions under which the objects of a resource are served besides.
    fn versions(&self, group: &str, version: &str, resource: &str) -> Vec<Served>;
}

/// A resource, found by the kind of its objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceOf {
    /// Plural name.
    pub resource: String,
    /// Whether its objects are in namespaces.
    pub namespaced: bool,
}

/// Knows what users may do.
pub trait MayDo: Send + Sync {
    /// Whether the user may, and why.
    fn may(&self, user: &User, access: &Access) -> Judgement;
}

/// What authorisation says of something that a user may or may not do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// Whether it is allowed.
    pub allowed: bool,
    /// Why; may be empty.
    pub reason: String,
    /// What kept it from deciding.
    pub failure: Option<String>,
}

/// Something that a user may or may not do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Access<'a> {
    /// Verb, such as `approve`.
    pub verb: &'a str,
    /// API group.
    pub group: &'a str,
    /// Resource, such as `signers`.
    pub resource: &'a str,
    /// Subresource.
    pub subresource: &'a str,
    /// Namespace; empty for all, and for what is in none.
    pub namespace: &'a str,
    /// Object name.
    pub name: &'a str,
    /// Which fields the objects must have, where that is said.
    pub field_selector: Option<&'a fields::Selector>,
    /// Which labels.
    pub label_selector: Option<&'a labels::Selector>,
    /// A path that is no resource, in place of all of these.
    pub path: Option<&'a str>,
}

/// What surrounds the object while it passes the chain.
pub struct Context<'a> {
    /// The request.
    pub attributes: &'a Attributes<'a>,
    /// The object as it is stored, for updates and deletions.
    pub old: Option<&'a Value>,
    /// The cluster.
    pub view: &'a dyn View,
    /// Who asks, and how.
    pub asker: &'a dyn Asker,
    /// Messages for the client of a request that is let through.
    pub warnings: Vec<String>,
}

/// An object that is not there yet, but that a controller makes of itself and at any moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Awaited {
    /// API group.
    pub group: &'static str,
    /// Resource.
    pub resource: &'static str,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// The steps of admission in which a plugin does something; it is counted in no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steps {
    /// It changes objects, or refuses them while they are changed.
    Admit,
    /// It judges the result.
    Validate,
    /// It does the one and then the other.
    Both,
    /// The server does its work.
    Neither,
}

impl Steps {
    /// Whether a step is one of these.
    pub fn include(self, step: Step) -> bool {
        match step {
            Step::Admit => matches!(self, Self::Admit | Self::Both),
            Step::Validate => matches!(self, Self::Validate | Self::Both),
        }
    }
}

/// One plugin of the chain.
pub trait Plugin: Send + Sync {
    /// Upstream's name, as the flags `--enable-admission-plugins` and `--disable-admission-plugins` take it.
    fn name(&self) -> &'static str;

    /// Takes the plugin's own configuration, or does without where it can; says what is wrong.
    fn configure(&mut self, _configuration: Option<&Value>) -> Result<(), String> {
        Ok(())
    }

    /// The steps in which it does something.
    fn steps(&self) -> Steps;

    /// Whether the plugin looks at requests of this operation.
    fn handles(&self, operation: Operation) -> bool;

    /// What the server may wait for before the chain begins, because for want of it the plugin would refuse.
    fn awaits(&self, _attributes: &Attributes, _object: &Value, _view: &dyn View) -> Option<Awaited> {
        None
    }

    /// Changes the object, or refuses it.
    fn admit(&self, _context: &mut Context, _object: &mut Value) -> Result<(), Status> {
        Ok(())
    }

    /// Refuses the object in its final form.
    fn validate(&self, _context: &mut Context, _object: &Value) -> Result<(), Status> {
        Ok(())
    }
}
