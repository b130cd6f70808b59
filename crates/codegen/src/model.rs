//! The schemas as a model of types and fields, joined with the hand-owned tables.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::roots::Definitions;
use crate::{defaults, enums, merge, names, zero};

/// All types, sorted by name.
pub struct Model {
    /// The types.
    pub types: Vec<TypeModel>,
    /// Definition names of kinds, for the constants.
    pub kinds: Vec<String>,
}

/// One object type.
pub struct TypeModel {
    /// Definition name.
    pub name: String,
    /// What it is, in words.
    pub description: String,
    /// Fields sorted by name.
    pub fields: Vec<FieldModel>,
    /// Merge facts of the type itself.
    pub merge: merge::Merge,
    /// Discriminator and members of its union.
    pub union: Option<(&'static str, &'static str)>,
}

/// One field.
pub struct FieldModel {
    /// JSON name.
    pub name: String,
    /// What it is, in words.
    pub description: String,
    /// Must it be there.
    pub required: bool,
    /// Is its zero value the same as its absence.
    pub omit_zero: bool,
    /// Is it a struct by value in Go.
    pub embedded: bool,
    /// What the value looks like.
    pub shape: ShapeModel,
    /// Merge facts.
    pub merge: merge::Merge,
    /// Index in [`enums::NAMED`].
    pub named: Option<usize>,
    /// Declared default as JSON text.
    pub default: Option<&'static str>,
}

/// What a value looks like.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum ShapeModel {
    /// A variant of `Shape` without payload.
    Scalar(&'static str),
    /// A variant of `Shape` that refers to a type.
    Ref(&'static str, String),
    /// A list.
    Array(Box<ShapeModel>),
    /// A map.
    Map(Box<ShapeModel>),
}

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.";
const APIEXTENSIONS: &str = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.";

/// Builds the model; fails where a hand-owned table names something that is not there.
pub fn build(definitions: &Definitions) -> Result<Model> {
    let mut merges = merge::all();
    let mut named = by_field(enums::NAMED.iter().enumerate().flat_map(|(at, row)| {
        row.uses.split(';').flat_map(move |entry| {
            let mut words = entry.split_whitespace();
            let types = words.next().unwrap_or_default();
            words.map(move |field| (types, field, at)).collect::<Vec<_>>()
        })
    }));
    let mut defaults =
        by_field(defaults::DEFAULTS.iter().map(|(types, field, text)| (*types, *field, *text)));
    let mut unions = by_field(enums::UNIONS.iter().map(|(types, by, members)| (*types, "", (*by, *members))));
    let mut pointers = zero::pointers();
    let mut embedded = zero::embedded();

    let mut types = Vec::new();
    for (name, schema) in &definitions.schemas {
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut fields = Vec::new();
        let properties = &schema["properties"];
        let is_kind = properties["kind"].is_object() && properties["metadata"].is_object();
        for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
            let shape = shape(schema).with_context(|| format!("{name}.{field}"))?;
            let key = (name.clone(), field.clone());
            // k8s-openapi requires the metadata of every kind; the API does not.
            let is_metadata =
                matches!(&shape, ShapeModel::Ref(_, ty) if ty.starts_with(META) && ty.ends_with("Meta"));
            let required = required.contains(&field.as_str()) && !is_metadata;
            let pointer = pointers.remove(&key);
            let own = is_kind && matches!(field.as_str(), "metadata" | "spec" | "status");
            let embedded = embedded.remove(&key) || (own && matches!(&shape, ShapeModel::Ref("Object", _)));
            fields.push(FieldModel {
                name: field.clone(),
                description: text(schema),
                required,
                omit_zero: !required && !pointer && zero::has_zero(&shape),
                embedded,
                shape,
                merge: merges.remove(&key).unwrap_or_default(),
                named: named.remove(&key),
                default: defaults.remove(&key),
            });
        }
        fields.sort_by(|a, b| a.name.cmp(&b.name));
        let key = (name.clone(), String::new());
        types.push(TypeModel {
            name: name.clone(),
            description: text(schema),
            fields,
            merge: merges.remove(&key).unwrap_or_default(),
            union: unions.remove(&key),
        });
    }
    for name in &definitions.listed {
        types.push(list_of(name, &types)?);
    }
    types.sort_by(|a, b| a.name.cmp(&b.name));

    let leftover: Vec<String> =
        (merges.keys().chain(named.keys()).chain(defaults.keys()).chain(unions.keys()))
            .chain(pointers.iter().chain(&embedded))
            .map(|(name, field)| format!("{}.{field}", names::short(name)))
            .collect();
    if !leftover.is_empty() {
        bail!("hand-owned tables name fields that do not exist: {}", leftover.join(" "));
    }
    let mut kinds: Vec<String> = definitions.listed.iter().chain(&definitions.single).cloned().collect();
    kinds.sort();
    Ok(Model { types, kinds })
}

fn by_field<T: Copy>(
    rows: impl Iterator<Item = (&'static str, &'static str, T)>,
) -> BTreeMap<(String, String), T> {
    let mut all = BTreeMap::new();
    for (types, field, value) in rows {
        for name in names::expand(types) {
            let clash = all.insert((name.clone(), field.to_owned()), value);
            assert!(clash.is_none(), "{name}.{field} is named twice");
        }
    }
    all
}

fn text(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().to_owned()
}

fn shape(schema: &Value) -> Result<ShapeModel> {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.strip_prefix("#/definitions/").context("foreign reference")?;
        return Ok(reference_shape(name));
    }
    // schemars wraps a reference that has a description beside it.
    if let Some([only]) = schema["allOf"].as_array().map(Vec::as_slice) {
        return shape(only);
    }
    Ok(match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("boolean"), _) => ShapeModel::Scalar("Bool"),
        (Some("integer"), Some("int32")) => ShapeModel::Scalar("Int32"),
        (Some("integer"), Some("int64")) => ShapeModel::Scalar("Int64"),
        (Some("number"), Some("double")) => ShapeModel::Scalar("Double"),
        (Some("string"), None) => ShapeModel::Scalar("String"),
        (Some("string"), Some("byte")) => ShapeModel::Scalar("Bytes"),
        (Some("array"), _) => ShapeModel::Array(Box::new(shape(&schema["items"])?)),
        (Some("object"), _) if schema.get("additionalProperties").is_some() => {
            ShapeModel::Map(Box::new(shape(&schema["additionalProperties"])?))
        }
        (ty, format) => bail!("no shape for type {ty:?} format {format:?}"),
    })
}

fn reference_shape(name: &str) -> ShapeModel {
    let scalar = match name {
        "io.k8s.apimachinery.pkg.api.resource.Quantity" => "Quantity",
        "io.k8s.apimachinery.pkg.util.intstr.IntOrString" => "IntOrString",
        "io.k8s.apimachinery.pkg.runtime.RawExtension" => "RawExtension",
        _ => match name.strip_prefix(META) {
            Some("Time") => "Time",
            Some("MicroTime") => "MicroTime",
            Some("FieldsV1") => "FieldsV1",
            _ => match name.strip_prefix(APIEXTENSIONS) {
                Some("JSON") => "Json",
                Some(
                    one @ ("JSONSchemaPropsOrBool"
                    | "JSONSchemaPropsOrArray"
                    | "JSONSchemaPropsOrStringArray"),
                ) => {
                    let variant = match one {
                        "JSONSchemaPropsOrBool" => "SchemaOrBool",
                        "JSONSchemaPropsOrArray" => "SchemaOrArray",
                        _ => "SchemaOrStrings",
                    };
                    return ShapeModel::Ref(variant, format!("{APIEXTENSIONS}JSONSchemaProps"));
                }
                _ => return ShapeModel::Ref("Object", name.to_owned()),
            },
        },
    };
    ShapeModel::Scalar(scalar)
}

/// Makes the list type of a kind; k8s-openapi has one generic list instead.
fn list_of(name: &str, types: &[TypeModel]) -> Result<TypeModel> {
    let ty = types.iter().find(|ty| ty.name == name).context("listed kind without definition")?;
    let kind = name.rsplit('.').next().unwrap_or_default();
    let described = |field: &str| {
        ty.fields
            .iter()
            .find(|known| known.name == field)
            .map_or(String::new(), |known| known.description.clone())
    };
    let field = |name: &str, description: String, required, shape| FieldModel {
        name: name.to_owned(),
        description,
        required,
        omit_zero: false,
        embedded: false,
        shape,
        merge: merge::NOTHING,
        named: None,
        default: None,
    };
    let string = || ShapeModel::Scalar("String");
    let items = ShapeModel::Array(Box::new(ShapeModel::Ref("Object", name.to_owned())));
    let metadata = ShapeModel::Ref("Object", format!("{META}ListMeta"));
    Ok(TypeModel {
        name: format!("{name}List"),
        description: format!("{kind}List is a list of {kind} objects."),
        fields: vec![
            field("apiVersion", described("apiVersion"), false, string()),
            field("items", format!("items is the list of {kind} objects."), true, items),
            field("kind", described("kind"), false, string()),
            field("metadata", "Standard list metadata.".to_owned(), false, metadata),
        ],
        merge: merge::NOTHING,
        union: None,
    })
}
