//! A catalogue row: everything the server knows about a resource besides its behaviour.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;

use crate::types::{Schema, Type, TypeId};

/// A text that is a literal for built-in rows and owned for custom resources.
pub type Text = Cow<'static, str>;

/// A list of texts that is literal for built-in rows and owned for custom resources.
#[derive(Clone, Debug)]
pub enum Names {
    /// Written in the source.
    Static(&'static [&'static str]),
    /// Made at run time.
    Owned(Vec<String>),
}

impl Names {
    /// Lists nothing.
    pub const NONE: Names = Names::Static(&[]);

    /// Lists the texts.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let (fixed, owned): (&[&str], &[String]) = match self {
            Names::Static(names) => (names, &[]),
            Names::Owned(names) => (&[], names),
        };
        fixed.iter().copied().chain(owned.iter().map(String::as_str))
    }

    /// Says whether a text is among them.
    pub fn contains(&self, name: &str) -> bool {
        self.iter().any(|known| known == name)
    }

    /// Says whether there are none.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

/// The verbs a resource or subresource answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verbs(u16);

const VERB_NAMES: [&str; 8] =
    ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

impl Verbs {
    /// No verb.
    pub const NONE: Verbs = Verbs(0);
    /// `create`
    pub const CREATE: Verbs = Verbs(1);
    /// `delete`
    pub const DELETE: Verbs = Verbs(1 << 1);
    /// `deletecollection`
    pub const DELETECOLLECTION: Verbs = Verbs(1 << 2);
    /// `get`
    pub const GET: Verbs = Verbs(1 << 3);
    /// `list`
    pub const LIST: Verbs = Verbs(1 << 4);
    /// `patch`
    pub const PATCH: Verbs = Verbs(1 << 5);
    /// `update`
    pub const UPDATE: Verbs = Verbs(1 << 6);
    /// `watch`
    pub const WATCH: Verbs = Verbs(1 << 7);
    /// All eight, as an ordinary stored resource.
    pub const ALL: Verbs = Verbs(0xff);
    /// `get`, `patch` and `update`, as an ordinary subresource.
    pub const READ_WRITE: Verbs = Verbs(1 << 3 | 1 << 5 | 1 << 6);

    /// Joins two sets.
    pub const fn with(self, other: Verbs) -> Verbs {
        Verbs(self.0 | other.0)
    }

    /// Takes a set away.
    pub const fn without(self, other: Verbs) -> Verbs {
        Verbs(self.0 & !other.0)
    }

    /// Says whether all verbs of a set are there.
    pub const fn contains(self, other: Verbs) -> bool {
        self.0 & other.0 == other.0
    }

    /// Lists the names, sorted.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        VERB_NAMES.iter().enumerate().filter(move |(bit, _)| self.0 & (1 << bit) != 0).map(|(_, name)| *name)
    }
}

/// How a group version is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stability {
    /// On unless turned off.
    Stable,
    /// Off unless turned on.
    Beta,
    /// Off unless turned on.
    Alpha,
}

/// A resource: one row of the catalogue.
#[derive(Clone, Debug)]
pub struct Resource {
    /// API group; empty for the core group.
    pub group: Text,
    /// API version.
    pub version: Text,
    /// Kind of its objects.
    pub kind: Text,
    /// Kind of its lists.
    pub list_kind: Text,
    /// Lower-case plural, as in URLs.
    pub plural: Text,
    /// Lower-case singular.
    pub singular: Text,
    /// Does it live in namespaces.
    pub namespaced: bool,
    /// Verbs of the resource itself.
    pub verbs: Verbs,
    /// Abbreviations that kubectl accepts.
    pub short_names: Names,
    /// Groupings such as `all`.
    pub categories: Names,
    /// Subresources, sorted by name.
    pub subresources: Cow<'static, [Subresource]>,
    /// Path under `/registry/`, without slashes at its ends; empty where nothing is stored.
    pub prefix: Text,
    /// Group of the stored form.
    pub storage_group: Text,
    /// Version of the stored form.
    pub storage_version: Text,
    /// Field selectors besides `metadata.name` and `metadata.namespace`.
    pub selectable_fields: Names,
    /// Is its group version on by default.
    pub stability: Stability,
    /// Schema of its objects.
    pub schema: Schema,
    /// The schema that OpenAPI documents show, where that is not made of [`Resource::schema`]: a custom resource's.
    pub published: Option<Arc<Value>>,
}

/// A subresource of a resource.
#[derive(Clone, Copy, Debug)]
pub struct Subresource {
    /// Name after the slash: `status`.
    pub name: &'static str,
    /// What is read and written there.
    pub body: Body,
    /// Verbs it answers.
    pub verbs: Verbs,
}

/// What a subresource reads and writes.
#[derive(Clone, Copy, Debug)]
pub enum Body {
    /// The parent object itself.
    Parent,
    /// Objects of another kind.
    Kind {
        /// API group of the kind.
        group: &'static str,
        /// API version of the kind.
        version: &'static str,
        /// The kind.
        kind: &'static str,
        /// Its schema.
        schema: TypeId,
    },
    /// No objects: text, or a stream that is asked for with options of this core kind.
    Stream(&'static str),
}

impl Resource {
    /// Says whether a DELETE that removes an object answers with it, as the registries of some kinds do upstream; of
    /// others only a `Status` tells.
    pub fn returns_deleted(&self) -> bool {
        match &*self.group {
            "" => matches!(
                &*self.plural,
                "persistentvolumeclaims"
                    | "persistentvolumes"
                    | "pods"
                    | "podtemplates"
                    | "resourcequotas"
                    | "serviceaccounts"
                    | "services"
            ),
            "resource.k8s.io" => true,
            "storage.k8s.io" => self.plural != "csistoragecapacities",
            _ => false,
        }
    }

    /// Gives the schema of its objects.
    pub fn ty(&self) -> Type<'_> {
        self.schema.ty()
    }

    /// Gives the schema of its lists; `None` where it has no lists.
    pub fn list_type(&self) -> Option<Type<'_>> {
        match self.list_kind.is_empty() {
            true => None,
            false => self.ty().list(),
        }
    }

    /// Says whether objects are kept in the store.
    pub fn stored(&self) -> bool {
        !self.prefix.is_empty()
    }

    /// Writes `group/version`, or the version alone in the core group.
    pub fn api_version(&self) -> String {
        api_version(&self.group, &self.version)
    }

    /// Writes the `apiVersion` that objects are stored under.
    pub fn storage_api_version(&self) -> String {
        api_version(&self.storage_group, &self.storage_version)
    }

    /// Writes the store's key of an object: `/registry/<prefix>/[<namespace>/]<name>`.
    pub fn key(&self, namespace: &str, name: &str) -> String {
        let prefix = &self.prefix;
        if self.namespaced {
            format!("/registry/{prefix}/{namespace}/{name}")
        } else {
            format!("/registry/{prefix}/{name}")
        }
    }

    /// Says the group, version and kind of what a subresource reads and writes.
    pub fn subresource_kind<'a>(&'a self, subresource: &'a Subresource) -> (&'a str, &'a str, &'a str) {
        match subresource.body {
            Body::Parent => (&self.group, &self.version, &self.kind),
            Body::Kind { group, version, kind, .. } => (group, version, kind),
            Body::Stream(kind) => (&self.group, &self.version, kind),
        }
    }

    /// Gives the schema of what a subresource reads and writes.
    pub fn subresource_type<'a>(&'a self, subresource: &Subresource) -> Option<Type<'a>> {
        match subresource.body {
            Body::Parent => Some(self.ty()),
            Body::Kind { schema, .. } => Some(schema.ty()),
            Body::Stream(_) => None,
        }
    }

    /// Finds a subresource by name.
    pub fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|subresource| subresource.name == name)
    }
}

fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}
