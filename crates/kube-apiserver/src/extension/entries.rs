//! What is served of a definition: an entry of the registry for each version.

use std::borrow::Cow;
use std::sync::Arc;

use apimachinery::Status;
use custom_resources::{Definition, Rules, Stored, Version, published, tables};
use printing::CustomColumns;
use schema::{Body, Names, Resource, Stability, Subresource, Verbs, kinds};
use serde_json::Value;
use storage::{Cache, Rewrite, SelectableField};

use super::Conversion;
use crate::registry::{Custom, Entry};
use crate::server::Server;

/// Where the objects of a definition are stored.
pub fn prefix(definition: &Definition) -> String {
    format!("{}/{}", definition.group, definition.names.plural)
}

/// Makes the entries of a definition. Its cache is kept where what it indexes is as in `before`.
pub async fn make(
    server: &Server,
    definition: &Definition,
    before: Option<&Definition>,
) -> Result<Vec<Arc<Entry>>, Status> {
    let cache = cache(server, definition, before).await?;
    let conversion = Conversion::of(server, definition);
    let stored = definition.stored_version().map_or("", |version| version.name.as_str());
    let mut entries = Vec::new();
    for version in definition.versions.iter().filter(|version| version.served) {
        let rules = Rules::of(version, definition.preserve_unknown_fields);
        let columns = CustomColumns::parse(&version.additional_printer_columns).or_else(|error| {
            tracing::warn!(%error, version = version.name, "additionalPrinterColumns cannot be read");
            CustomColumns::parse(&[])
        });
        let custom = Custom {
            columns: columns.map_err(Status::internal)?,
            scale: version.subresources.scale.clone(),
            warning: version.warning(definition),
            conversion: conversion.clone(),
            rules,
        };
        let row = row(definition, version, stored, &custom.rules);
        entries.push(Arc::new(Entry::of_definition(row, cache.clone(), Arc::new(custom))));
    }
    Ok(entries)
}

async fn cache(
    server: &Server,
    definition: &Definition,
    before: Option<&Definition>,
) -> Result<Arc<Cache>, Status> {
    let prefix = prefix(definition);
    let selectable = |definition: &Definition| -> Vec<String> {
        let mut fields: Vec<String> =
            definition.versions.iter().flat_map(Version::selectable).map(str::to_owned).collect();
        fields.sort();
        fields.dedup();
        fields
    };
    let fields = selectable(definition);
    if let Some(cache) = server.store.cache(&prefix) {
        if before.is_some_and(|before| selectable(before) == fields && reads_alike(before, definition)) {
            return Ok(cache);
        }
        server.store.remove(&prefix).await;
    }
    let fields = fields.iter().map(|field| SelectableField::new(field)).collect();
    let rewrite = Stored::of(definition).map(|stored| Rewrite::by(move |bytes| stored.rewrite(bytes)));
    let resource = storage::Resource::new(&prefix, definition.is_namespaced(), fields).rewritten(rewrite);
    server.store.add(resource).await.map_err(crate::refusal::of_collection)
}

/// Whether stored objects are read the same under two states of a definition.
fn reads_alike(before: &Definition, after: &Definition) -> bool {
    let shapes = |definition: &Definition| -> Vec<(String, bool, Option<Value>)> {
        let versions = definition.versions.iter();
        versions.map(|version| (version.name.clone(), version.storage, version.schema().cloned())).collect()
    };
    let is_plain = || Stored::of(after)?.is_plain(&Stored::of(before)?).then_some(());
    before.converts() == after.converts() && (shapes(before) == shapes(after) || is_plain().is_some())
}

fn row(definition: &Definition, version: &Version, stored: &str, rules: &Rules) -> Resource {
    let own = |text: &str| Cow::Owned(text.to_owned());
    let names = &definition.names;
    let reversed: Vec<&str> = definition.group.split('.').rev().collect();
    let type_name = format!("{}.{}.{}", reversed.join("."), version.name, names.kind);
    let mut subresources = Vec::new();
    if version.subresources.scale.is_some() {
        let body = Body::Kind {
            group: "autoscaling",
            version: "v1",
            kind: "Scale",
            schema: kinds::AUTOSCALING_V1_SCALE,
        };
        subresources.push(Subresource { name: "scale", body, verbs: Verbs::READ_WRITE });
    }
    if version.subresources.status.is_some() {
        subresources.push(Subresource { name: "status", body: Body::Parent, verbs: Verbs::READ_WRITE });
    }
    Resource {
        group: own(&definition.group),
        version: own(&version.name),
        kind: own(&names.kind),
        list_kind: own(&names.list_kind),
        plural: own(&names.plural),
        singular: own(&names.singular),
        namespaced: definition.is_namespaced(),
        verbs: Verbs::ALL,
        short_names: Names::Owned(names.short_names.clone()),
        categories: Names::Owned(names.categories.clone()),
        subresources: Cow::Owned(subresources),
        prefix: Cow::Owned(prefix(definition)),
        storage_group: own(&definition.group),
        storage_version: own(stored),
        selectable_fields: Names::Owned(version.selectable().map(str::to_owned).collect()),
        stability: Stability::Stable,
        schema: tables(rules.node(), &type_name),
        published: Some(Arc::new(published(definition, version))),
    }
}
