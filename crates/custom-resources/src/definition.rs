//! A definition as the server reads it: its names, its versions and what each offers.

use serde::Deserialize;
use serde_json::Value;

/// `spec` of a CustomResourceDefinition.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Definition {
    /// The API group.
    pub group: String,
    /// The names.
    pub names: DefinitionNames,
    /// `Namespaced` or `Cluster`.
    pub scope: String,
    /// The versions, in the order in which they were written.
    pub versions: Vec<Version>,
    /// How objects go from one version to another.
    pub conversion: Conversion,
    /// Keeps unknown fields everywhere; v1 objects may not say so, older ones that are stored can.
    pub preserve_unknown_fields: bool,
}

/// How objects go from one version to another.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Conversion {
    /// `None`: versions differ in their name and in what they declare; or `Webhook`.
    pub strategy: String,
    /// Who converts.
    pub webhook: Webhook,
}

/// Who converts objects.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Webhook {
    /// Where it is.
    pub client_config: Value,
    /// The versions of ConversionReview that it knows, the preferred one first.
    pub conversion_review_versions: Vec<String>,
}

/// What the resource is called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DefinitionNames {
    /// As in paths.
    pub plural: String,
    /// As people say it of one.
    pub singular: String,
    /// Abbreviations.
    pub short_names: Vec<String>,
    /// The kind of objects.
    pub kind: String,
    /// The kind of lists.
    pub list_kind: String,
    /// Groups such as `all`.
    pub categories: Vec<String>,
}

/// One version of a resource.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Version {
    /// Its name.
    pub name: String,
    /// Whether requests for it are answered.
    pub served: bool,
    /// Whether objects are stored in it.
    pub storage: bool,
    /// Whether whoever asks for it is warned.
    pub deprecated: bool,
    /// The words of that warning.
    pub deprecation_warning: Option<String>,
    schema: SchemaOf,
    /// The subresources.
    pub subresources: Subresources,
    /// What `kubectl get` prints.
    pub additional_printer_columns: Vec<Value>,
    selectable_fields: Vec<SelectableField>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct SchemaOf {
    #[serde(rename = "openAPIV3Schema")]
    schema: Option<Value>,
}

/// The subresources of a version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Subresources {
    /// `status`, where it is there.
    pub status: Option<Empty>,
    /// `scale`, where it is there.
    pub scale: Option<Scale>,
}

/// An object whose presence says all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Empty {}

/// Where the fields of `autoscaling/v1` Scale are in an object, as simple JSON paths (`.spec.replicas`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Scale {
    /// How many are wanted.
    pub spec_replicas_path: String,
    /// How many there are.
    pub status_replicas_path: String,
    /// Which pods they are, as text.
    pub label_selector_path: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SelectableField {
    json_path: String,
}

impl Definition {
    /// Reads a CustomResourceDefinition; its form was checked when it was stored.
    pub fn read(object: &Value) -> Result<Self, serde_json::Error> {
        Self::deserialize(&object["spec"])
    }

    /// Whether objects live in namespaces.
    pub fn is_namespaced(&self) -> bool {
        self.scope == "Namespaced"
    }

    /// Whether a webhook converts objects between versions.
    pub fn converts(&self) -> bool {
        self.conversion.strategy == "Webhook"
    }

    /// The version in which objects are stored.
    pub fn stored_version(&self) -> Option<&Version> {
        self.versions.iter().find(|version| version.storage)
    }
}

impl Version {
    /// The schema as it was written; absent where objects may be anything.
    pub fn schema(&self) -> Option<&Value> {
        self.schema.schema.as_ref()
    }

    /// The fields that selectors may name, as dotted paths (`spec.color`).
    pub fn selectable(&self) -> impl Iterator<Item = &str> {
        self.selectable_fields.iter().map(|field| field.json_path.trim_start_matches('.'))
    }

    /// What a client is told that asks for this version.
    pub fn warning(&self, definition: &Definition) -> Option<String> {
        self.deprecated.then(|| match &self.deprecation_warning {
            Some(words) => words.clone(),
            None => format!("{}/{} {} is deprecated", definition.group, self.name, definition.names.kind),
        })
    }
}
