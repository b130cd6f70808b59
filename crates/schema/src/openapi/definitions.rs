//! Types as OpenAPI schemas.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Form;
use crate::kinds;
use crate::resource::{Body, Resource};
use crate::tables::{ListType, MapType, PatchStrategy};
use crate::types::{Element, Field, Kind, Merge, Type};

/// Group, version and kind of the definitions that are objects of the API.
pub(super) struct Kinds<'a> {
    by_name: BTreeMap<&'a str, Vec<(&'a str, &'a str, &'a str)>>,
}

impl<'a> Kinds<'a> {
    pub(super) fn of(rows: &'a [Resource]) -> Kinds<'a> {
        let mut by_name: BTreeMap<&'a str, Vec<(&'a str, &'a str, &'a str)>> = BTreeMap::new();
        let mut add = |ty: Type<'a>, kind: (&'a str, &'a str, &'a str)| {
            let known = by_name.entry(ty.name()).or_default();
            if !known.contains(&kind) {
                known.push(kind);
            }
        };
        for row in rows {
            let (group, version) = (&*row.group, &*row.version);
            add(row.ty(), (group, version, &row.kind));
            if let Some(list) = row.list_type() {
                add(list, (group, version, &row.list_kind));
            }
            for subresource in row.subresources.iter() {
                if let Body::Kind { group, version, kind, schema } = subresource.body {
                    add(schema.ty(), (group, version, kind));
                }
            }
            // Every group version knows how to be deleted from.
            add(kinds::META_V1_DELETEOPTIONS.ty(), (group, version, "DeleteOptions"));
        }
        for (id, kind) in [
            (kinds::META_V1_STATUS, "Status"),
            (kinds::META_V1_APIRESOURCELIST, "APIResourceList"),
            (kinds::META_V1_APIGROUP, "APIGroup"),
            (kinds::META_V1_APIGROUPLIST, "APIGroupList"),
            (kinds::META_V1_APIVERSIONS, "APIVersions"),
        ] {
            add(id.ty(), ("", "v1", kind));
        }
        Kinds { by_name }
    }
}

/// Adds a type and everything that it refers to.
pub(super) fn reach<'a>(ty: Type<'a>, types: &mut BTreeMap<&'a str, Type<'a>>) {
    // What a custom resource's tables have copied is the built-in type.
    let ty = Type::named(ty.name()).unwrap_or(ty);
    if ty.name().is_empty() || types.insert(ty.name(), ty).is_some() {
        return;
    }
    for field in ty.fields() {
        if !ty.is_built_in() && !matches!(field.name(), "items" | "metadata") {
            continue;
        }
        let mut element = field.element();
        loop {
            match element.kind() {
                Kind::Array(inner) | Kind::Map(inner) => element = inner,
                Kind::Object(inner) => break reach(inner, types),
                Kind::SchemaOrBool(inner) | Kind::SchemaOrArray(inner) | Kind::SchemaOrStrings(inner) => {
                    reach(inner, types);
                    break reach_named(element.kind(), types);
                }
                kind => break reach_named(kind, types),
            }
        }
    }
}

fn reach_named<'a>(kind: Kind<'a>, types: &mut BTreeMap<&'a str, Type<'a>>) {
    if let Some(ty) = reference(kind).and_then(Type::named) {
        types.insert(ty.name(), ty);
    }
}

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.";
const QUANTITY: &str = "io.k8s.apimachinery.pkg.api.resource.Quantity";
const INT_OR_STRING: &str = "io.k8s.apimachinery.pkg.util.intstr.IntOrString";
const RAW_EXTENSION: &str = "io.k8s.apimachinery.pkg.runtime.RawExtension";

/// Names the definition of a scalar that has one.
fn reference(kind: Kind<'_>) -> Option<&'static str> {
    Some(match kind {
        Kind::Time => "io.k8s.apimachinery.pkg.apis.meta.v1.Time",
        Kind::MicroTime => "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime",
        Kind::FieldsV1 => "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1",
        Kind::Quantity => QUANTITY,
        Kind::IntOrString => INT_OR_STRING,
        Kind::RawExtension => RAW_EXTENSION,
        Kind::Json => "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON",
        Kind::SchemaOrBool(_) => {
            "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool"
        }
        Kind::SchemaOrArray(_) => {
            "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray"
        }
        Kind::SchemaOrStrings(_) => {
            "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray"
        }
        _ => return None,
    })
}

/// A schema as a small tree, for both versions of OpenAPI.
#[derive(Default)]
pub(super) struct Schema<'a> {
    pub(super) reference: Option<&'a str>,
    pub(super) description: &'a str,
    pub(super) ty: Option<&'static str>,
    pub(super) format: Option<&'static str>,
    /// Version 3 only, as JSON text.
    default: Option<&'a str>,
    pub(super) values: Vec<&'a str>,
    pub(super) required: Vec<&'a str>,
    pub(super) properties: Vec<(&'a str, Schema<'a>)>,
    pub(super) items: Option<Box<Schema<'a>>>,
    pub(super) entries: Option<Box<Schema<'a>>>,
    pub(super) extensions: Vec<(&'static str, Value)>,
    /// Version 3 only: the types that it may be.
    one_of: &'static [&'static str],
}

/// Makes the definition of a type.
pub(super) fn definition<'a>(ty: Type<'a>, kinds: &Kinds<'_>) -> Schema<'a> {
    let mut schema = Schema { description: ty.description(), ..Schema::default() };
    let listed = |field: &Field<'_>| ty.is_built_in() || matches!(field.name(), "items" | "metadata");
    (schema.ty, schema.format, schema.one_of) = match ty.name() {
        QUANTITY => (Some("string"), None, &["string", "number"][..]),
        INT_OR_STRING => (Some("string"), Some("int-or-string"), &["integer", "string"][..]),
        name => match name.strip_prefix(META) {
            Some("Time" | "MicroTime") => (Some("string"), Some("date-time"), &[][..]),
            _ if name.contains(".apiextensions.v1.JSON") && !name.ends_with("Props") => (None, None, &[][..]),
            _ => (Some("object"), None, &[][..]),
        },
    };
    for field in ty.fields().filter(listed) {
        if field.required() {
            schema.required.push(field.name());
        }
        schema.properties.push((field.name(), property(field)));
    }
    if let Some(kinds) = kinds.by_name.get(ty.name()) {
        let kinds: Vec<Value> = kinds
            .iter()
            .map(|(group, version, kind)| json!({"group": group, "version": version, "kind": kind}))
            .collect();
        schema.extensions.push(("x-kubernetes-group-version-kind", kinds.into()));
    }
    if let Some(map_type) = ty.map_type() {
        schema.extensions.push(("x-kubernetes-map-type", map_type_name(map_type).into()));
    }
    if let Some((discriminator, members)) = ty.union() {
        let members: Map<String, Value> =
            members.map(|(field, value)| (field.to_owned(), value.into())).collect();
        let union = json!([{"discriminator": discriminator, "fields-to-discriminateBy": members}]);
        schema.extensions.push(("x-kubernetes-unions", union));
    }
    schema
}

fn property<'a>(field: Field<'a>) -> Schema<'a> {
    let mut schema = element(field.element());
    schema.description = field.description();
    schema.default = field.default();
    schema.extensions = extensions(field.merge());
    // An enum of a list's elements belongs to the elements.
    let values: Vec<&str> = field.enum_values().collect();
    match &mut schema.items {
        Some(items) => items.values = values,
        None => schema.values = values,
    }
    schema
}

fn element<'a>(element_of: Element<'a>) -> Schema<'a> {
    let kind = element_of.kind();
    let mut schema = Schema { reference: reference(kind), ..Schema::default() };
    (schema.ty, schema.format) = match kind {
        Kind::Bool => (Some("boolean"), None),
        Kind::Int32 => (Some("integer"), Some("int32")),
        Kind::Int64 => (Some("integer"), Some("int64")),
        Kind::Double => (Some("number"), Some("double")),
        Kind::String => (Some("string"), None),
        Kind::Bytes => (Some("string"), Some("byte")),
        Kind::Object(ty) => {
            schema.reference = Some(ty.name());
            (None, None)
        }
        Kind::Array(inner) => {
            schema.items = Some(Box::new(element(inner)));
            (Some("array"), None)
        }
        Kind::Map(inner) => {
            schema.entries = Some(Box::new(element(inner)));
            (Some("object"), None)
        }
        _ => (None, None),
    };
    schema
}

fn map_type_name(map_type: MapType) -> &'static str {
    match map_type {
        MapType::Atomic => "atomic",
        MapType::Granular => "granular",
    }
}

fn extensions(merge: Merge<'_>) -> Vec<(&'static str, Value)> {
    let mut extensions = Vec::new();
    let keys: Vec<&str> = merge.map_keys().collect();
    if !keys.is_empty() {
        extensions.push(("x-kubernetes-list-map-keys", keys.into()));
    }
    if let Some(list_type) = merge.list_type() {
        let name = match list_type {
            ListType::Atomic => "atomic",
            ListType::Set => "set",
            ListType::Map => "map",
        };
        extensions.push(("x-kubernetes-list-type", name.into()));
    }
    if let Some(map_type) = merge.map_type() {
        extensions.push(("x-kubernetes-map-type", map_type_name(map_type).into()));
    }
    if let Some(key) = merge.key() {
        extensions.push(("x-kubernetes-patch-merge-key", key.into()));
    }
    if let Some(strategy) = merge.strategy() {
        let name = match strategy {
            PatchStrategy::Merge => "merge",
            PatchStrategy::MergeRetainKeys => "merge,retainKeys",
            PatchStrategy::RetainKeys => "retainKeys",
            PatchStrategy::Replace => "replace",
        };
        extensions.push(("x-kubernetes-patch-strategy", name.into()));
    }
    extensions
}

impl Schema<'_> {
    pub(super) fn json(&self, form: Form) -> Value {
        let mut map = Map::new();
        let mut put = |key: &str, value: Value| {
            map.insert(key.to_owned(), value);
        };
        match (self.reference, form) {
            (Some(name), Form::V2) => put("$ref", format!("#/definitions/{name}").into()),
            // What stands beside a `$ref` is ignored in version 3.
            (Some(name), Form::V3) if self.is_bare() => put("$ref", component(name).into()),
            (Some(name), Form::V3) => put("allOf", json!([{"$ref": component(name)}])),
            (None, _) => {}
        }
        if !self.description.is_empty() {
            put("description", self.description.into());
        }
        if form == Form::V3 && !self.one_of.is_empty() {
            put("oneOf", self.one_of.iter().map(|ty| json!({"type": ty})).collect());
        } else if let Some(ty) = self.ty {
            put("type", ty.into());
        }
        if let Some(format) = self.format {
            put("format", format.into());
        }
        if form == Form::V3
            && let Some(default) = self.default.and_then(|text| serde_json::from_str(text).ok())
        {
            put("default", default);
        }
        if !self.values.is_empty() {
            put("enum", self.values.iter().copied().collect());
        }
        if !self.required.is_empty() {
            put("required", self.required.iter().copied().collect());
        }
        if !self.properties.is_empty() {
            let properties =
                self.properties.iter().map(|(name, schema)| ((*name).to_owned(), schema.json(form)));
            put("properties", Value::Object(properties.collect()));
        }
        if let Some(items) = &self.items {
            put("items", items.json(form));
        }
        if let Some(entries) = &self.entries {
            put("additionalProperties", entries.json(form));
        }
        for (name, value) in &self.extensions {
            put(name, value.clone());
        }
        Value::Object(map)
    }

    fn is_bare(&self) -> bool {
        self.description.is_empty() && self.default.is_none() && self.extensions.is_empty()
    }
}

fn component(name: &str) -> String {
    format!("#/components/schemas/{name}")
}
