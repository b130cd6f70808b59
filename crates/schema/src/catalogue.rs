//! The built-in resources: hand-owned rows, one file a group, looked up by name or kind.

use std::borrow::Cow;

use crate::resource::{Body, Names, Resource, Stability, Subresource, Text, Verbs};
use crate::types::{Schema, TypeId};

mod admissionregistration;
mod apps;
mod authentication;
mod autoscaling;
mod batch;
mod certificates;
mod cluster;
mod core;
mod extension;
mod networking;
mod rbac;
mod resource_claims;
mod scheduling;
mod storage;

/// A group with its versions, preferred first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group<'a> {
    /// Group name; empty for the core group.
    pub name: &'a str,
    /// Versions that are on, preferred first.
    pub versions: Vec<&'a str>,
}

/// A set of resources and how to find them.
#[derive(Clone, Copy, Debug)]
pub struct Catalogue {
    tables: &'static [&'static [Resource]],
}

/// In the order of upstream's discovery: core, then by the groups' priorities.
static CATALOGUE: Catalogue = Catalogue {
    tables: &[
        core::RESOURCES,
        extension::API_SERVICES,
        apps::RESOURCES,
        cluster::EVENTS,
        authentication::AUTHENTICATION,
        authentication::AUTHORIZATION,
        autoscaling::RESOURCES,
        batch::RESOURCES,
        certificates::RESOURCES,
        networking::RESOURCES,
        cluster::POLICY,
        rbac::RESOURCES,
        storage::RESOURCES,
        admissionregistration::RESOURCES,
        extension::CUSTOM_RESOURCE_DEFINITIONS,
        scheduling::RESOURCES,
        cluster::COORDINATION,
        cluster::NODE,
        networking::DISCOVERY,
        cluster::FLOWCONTROL,
        cluster::INTERNAL,
        resource_claims::RESOURCES,
        storage::MIGRATION,
    ],
};

/// Gives the catalogue of built-in resources.
pub fn catalogue() -> &'static Catalogue {
    &CATALOGUE
}

impl Catalogue {
    /// Lists every row, also those that are off by default.
    pub fn all(&self) -> impl Iterator<Item = &'static Resource> + use<> {
        self.tables.iter().flat_map(|rows| rows.iter())
    }

    /// Lists the rows that are on by default, in the order of discovery.
    pub fn resources(&self) -> impl Iterator<Item = &'static Resource> + use<> {
        self.all().filter(|resource| resource.stability == Stability::Stable)
    }

    /// Finds a row by the words of its URL.
    pub fn lookup(&self, group: &str, version: &str, plural: &str) -> Option<&'static Resource> {
        self.rows_of(group).find(|resource| resource.version == version && resource.plural == plural)
    }

    /// Finds a row by the kind of its objects.
    pub fn by_kind(&self, group: &str, version: &str, kind: &str) -> Option<&'static Resource> {
        self.rows_of(group).find(|resource| resource.version == version && resource.kind == kind)
    }

    /// Lists groups and versions that are on by default, in upstream's order of preference.
    pub fn groups(&self) -> Vec<Group<'static>> {
        groups(self.resources())
    }

    fn rows_of(&self, group: &str) -> impl Iterator<Item = &'static Resource> {
        self.tables
            .iter()
            .filter(move |rows| rows.first().is_some_and(|resource| resource.group == group))
            .flat_map(|rows| rows.iter())
    }
}

/// Lists the groups and versions of rows, in the order of the rows, better versions first.
pub fn groups<'a>(rows: impl IntoIterator<Item = &'a Resource>) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for row in rows {
        let at = groups.iter().position(|group| group.name == row.group).unwrap_or_else(|| {
            groups.push(Group { name: &row.group, versions: Vec::new() });
            groups.len() - 1
        });
        let versions = &mut groups[at].versions;
        if !versions.contains(&&*row.version) {
            versions.push(&row.version);
        }
    }
    for group in &mut groups {
        group.versions.sort_by_key(|version| std::cmp::Reverse(version_rank(version)));
    }
    groups
}

/// Ranks a version as Kubernetes does: stable over beta over alpha, then by number.
fn version_rank(version: &str) -> (u8, u32, u32) {
    fn numbers(rest: &str) -> Option<(u8, u32, u32)> {
        let (major, stage, minor) = match (rest.find("alpha"), rest.find("beta")) {
            (Some(at), _) => (&rest[..at], 1, &rest[at + 5..]),
            (_, Some(at)) => (&rest[..at], 2, &rest[at + 4..]),
            _ => (rest, 3, "0"),
        };
        Some((stage, major.parse().ok()?, minor.parse().ok()?))
    }
    version.strip_prefix('v').and_then(numbers).unwrap_or_default()
}

/// A row as it is written in the source; plain data, so that rows can be built at compile time.
#[derive(Clone, Copy)]
struct Row {
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    list_kind: &'static str,
    plural: &'static str,
    singular: &'static str,
    namespaced: bool,
    verbs: Verbs,
    short_names: &'static [&'static str],
    categories: &'static [&'static str],
    subresources: &'static [Subresource],
    prefix: &'static str,
    storage: (&'static str, &'static str),
    selectable_fields: &'static [&'static str],
    stability: Stability,
    schema: TypeId,
}

impl Row {
    /// A namespaced kind stored under its plural.
    const fn namespaced(
        (group, version): (&'static str, &'static str),
        plural: &'static str,
        singular: &'static str,
        (kind, list_kind): (&'static str, &'static str),
        schema: TypeId,
    ) -> Row {
        Row {
            group,
            version,
            kind,
            list_kind,
            plural,
            singular,
            namespaced: true,
            verbs: Verbs::ALL,
            short_names: &[],
            categories: &[],
            subresources: &[],
            prefix: plural,
            storage: (group, version),
            selectable_fields: &[],
            stability: Stability::Stable,
            schema,
        }
    }

    /// A cluster-wide kind stored under its plural.
    const fn cluster(
        group_version: (&'static str, &'static str),
        plural: &'static str,
        singular: &'static str,
        kinds: (&'static str, &'static str),
        schema: TypeId,
    ) -> Row {
        Row { namespaced: false, ..Row::namespaced(group_version, plural, singular, kinds, schema) }
    }

    /// Not stored: an answer is made for each request.
    const fn virtual_only(self, verbs: Verbs) -> Row {
        Row { verbs, prefix: "", ..self }
    }

    const fn verbs(self, verbs: Verbs) -> Row {
        Row { verbs, ..self }
    }

    const fn short(self, short_names: &'static [&'static str]) -> Row {
        Row { short_names, ..self }
    }

    const fn categories(self, categories: &'static [&'static str]) -> Row {
        Row { categories, ..self }
    }

    const fn subresources(self, subresources: &'static [Subresource]) -> Row {
        Row { subresources, ..self }
    }

    const fn prefix(self, prefix: &'static str) -> Row {
        Row { prefix, ..self }
    }

    /// Stored as an object of another group version, which the row's own is converted from and to.
    const fn stored_as(self, group: &'static str, version: &'static str) -> Row {
        Row { storage: (group, version), ..self }
    }

    const fn selectable(self, selectable_fields: &'static [&'static str]) -> Row {
        Row { selectable_fields, ..self }
    }

    const fn off(self, stability: Stability) -> Row {
        Row { stability, ..self }
    }

    const fn build(self) -> Resource {
        Resource {
            group: Text::Borrowed(self.group),
            version: Text::Borrowed(self.version),
            kind: Text::Borrowed(self.kind),
            list_kind: Text::Borrowed(self.list_kind),
            plural: Text::Borrowed(self.plural),
            singular: Text::Borrowed(self.singular),
            namespaced: self.namespaced,
            verbs: self.verbs,
            short_names: Names::Static(self.short_names),
            categories: Names::Static(self.categories),
            subresources: Cow::Borrowed(self.subresources),
            prefix: Text::Borrowed(self.prefix),
            storage_group: Text::Borrowed(self.storage.0),
            storage_version: Text::Borrowed(self.storage.1),
            selectable_fields: Names::Static(self.selectable_fields),
            stability: self.stability,
            schema: Schema::BuiltIn(self.schema),
            published: None,
        }
    }
}

/// A subresource that reads and writes the parent.
const fn own(name: &'static str) -> Subresource {
    Subresource { name, body: Body::Parent, verbs: Verbs::READ_WRITE }
}

/// A subresource without objects.
const fn stream(name: &'static str, options: &'static str, verbs: Verbs) -> Subresource {
    Subresource { name, body: Body::Stream(options), verbs }
}

/// A subresource with a kind of its own.
const fn other(
    name: &'static str,
    (group, version): (&'static str, &'static str),
    kind: &'static str,
    verbs: Verbs,
    schema: TypeId,
) -> Subresource {
    Subresource { name, body: Body::Kind { group, version, kind, schema }, verbs }
}

/// `status` alone, as most kinds have.
const STATUS: &[Subresource] = &[own("status")];

/// The `scale` subresource of replicated workloads.
const SCALE: Subresource =
    other("scale", ("autoscaling", "v1"), "Scale", Verbs::READ_WRITE, crate::kinds::AUTOSCALING_V1_SCALE);

#[cfg(test)]
mod tests;
