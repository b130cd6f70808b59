//! CustomResourceDefinitions.

use crate::{definition_warnings, webhook_client};
use apimachinery::{FieldError, names};
use custom_resources::approval::{ANNOTATION, Approval};
use serde_json::{Value, json};
use strategy::field::{Errors, Path};
use strategy::read::{Read, same};
use strategy::write;
use strategy::{Keeps, Strategy};

/// The rules of CustomResourceDefinitions.
pub struct CustomResourceDefinition;

/// Holds a definition until its objects are gone.
pub const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

const SPEC: Path<'static> = Path::root("spec");
const STATUS: Path<'static> = Path::root("status");

impl Strategy for CustomResourceDefinition {
    fn takes_any_finalizer(&self) -> bool {
        true
    }

    fn allow_unconditional_update(&self) -> bool {
        false
    }

    fn create_warnings(&self, object: &Value) -> Vec<String> {
        definition_warnings::of(object)
    }

    fn update_warnings(&self, new: &Value, _old: &Value) -> Vec<String> {
        definition_warnings::of(new)
    }

    fn keeps(&self) -> Keeps {
        Keeps::StatusAndGeneration
    }

    fn default(&self, object: &mut Value) {
        let Some(spec) = write::object(object, "spec") else { return };
        if let Some(names) = write::object(spec, "names") {
            let kind = names.text("kind").to_owned();
            write::zero(names, "singular", kind.to_lowercase());
            if !kind.is_empty() {
                write::zero(names, "listKind", format!("{kind}List"));
            }
        }
        write::missing(spec, "conversion", json!({"strategy": "None"}));
        let service = ["conversion", "webhook", "clientConfig", "service"]
            .iter()
            .try_fold(spec, |value, field| write::object(value, field));
        if let Some(service) = service {
            write::missing(service, "port", json!(443));
        }
    }

    fn prepare_for_create(&self, object: &mut Value) {
        self.keeps().prepare_for_create(object);
        let versions = object["spec"]["versions"].as_array().into_iter().flatten();
        let stored: Vec<Value> = versions
            .filter(|version| version.flag("storage") == Some(true))
            .map(|version| version["name"].clone())
            .collect();
        write::set(write::ensure(object, "status"), "storedVersions", stored);
    }

    fn prepare_for_update(&self, new: &mut Value, old: &Value) {
        self.keeps().prepare_for_update(new, old);
        // From now on there may be objects in the version that is stored now.
        let mut stored: Vec<Value> = new["status"]["storedVersions"].as_array().cloned().unwrap_or_default();
        let versions = new["spec"]["versions"].as_array().into_iter().flatten();
        let storing = versions.filter(|version| version.flag("storage") == Some(true));
        for name in storing.map(|version| version["name"].clone()).collect::<Vec<_>>() {
            if !stored.contains(&name) {
                stored.push(name);
            }
        }
        write::set(write::ensure(new, "status"), "storedVersions", stored);
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        validate(object, errors);
        errors.extend(custom_resources::faults(&object["spec"], None));
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        validate(new, errors);
        errors.extend(custom_resources::faults(&new["spec"], Some(&old["spec"])));
        let fields: &[&[&str]] = if is_established(old) {
            &[&["group"], &["names", "plural"], &["scope"], &["names", "kind"]]
        } else {
            &[&["group"], &["names", "plural"]]
        };
        for field in fields {
            let at =
                |object: &Value| field.iter().fold(object["spec"].clone(), |value, key| value[*key].clone());
            if !same(&at(new), &at(old)) {
                let path = format!("spec.{}", field.join("."));
                errors.invalid(&Path::root(&path), at(new), "field is immutable");
            }
        }
        validate_stored_versions(new, errors);
    }

    fn validate_status_update(&self, new: &Value, _old: &Value, errors: &mut Errors) {
        validate_stored_versions(new, errors);
        let path = STATUS.child("storedVersions");
        let stored = &new["status"]["storedVersions"];
        if stored.as_array().is_none_or(Vec::is_empty) {
            errors.invalid(&path, stored.clone(), "must have at least one stored version");
        }
        let versions = new["spec"]["versions"].as_array().into_iter().flatten();
        for version in versions.filter(|version| version.flag("storage") == Some(true)) {
            let name = version.text("name");
            if !stored.as_array().into_iter().flatten().any(|stored| stored == name) {
                errors.invalid(&path, stored.clone(), format!("must have the storage version {name}"));
            }
        }
    }

    fn deletion_finalizer(&self) -> Option<&'static str> {
        Some(CLEANUP)
    }
}

const NO_PATH: &str = "must be a simple json path starting with .";

/// What every definition must be, new or changed.
fn validate(object: &Value, errors: &mut Errors) {
    let spec = &object["spec"];
    let (plural, group) = (spec["names"].text("plural"), spec.text("group"));
    let name = object["metadata"].text("name");
    if name != format!("{plural}.{group}") {
        errors.invalid(&Path::root("metadata.name"), name, "must be spec.names.plural+\".\"+spec.group");
    }
    validate_group(object, errors);
    validate_versions(spec, errors);
    match spec.text("scope") {
        "Cluster" | "Namespaced" => {}
        "" => errors.required(&SPEC.child("scope"), ""),
        other => errors.unsupported(&SPEC.child("scope"), other, &["Cluster", "Namespaced"]),
    }
    validate_names(&spec["names"], errors);
    if spec.flag("preserveUnknownFields") == Some(true) {
        errors.invalid(
            &SPEC.child("preserveUnknownFields"),
            true,
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead",
        );
    }
    match spec["conversion"].text("strategy") {
        "None" => {
            if spec["conversion"]["webhook"].is_object() {
                let path = SPEC.child("conversion");
                let why = "should not be set when strategy is not set to Webhook";
                errors.forbidden(&path.child("webhookClientConfig"), why);
            }
        }
        "Webhook" => validate_webhook(spec, errors),
        "" => errors.required(&SPEC.child("conversion").child("strategy"), ""),
        other => {
            let path = SPEC.child("conversion");
            errors.unsupported(&path.child("strategy"), other, &["None", "Webhook"]);
        }
    }
}

/// Whether a definition is served.
fn is_established(object: &Value) -> bool {
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    conditions
        .into_iter()
        .any(|condition| condition.text("type") == "Established" && condition.text("status") == "True")
}

fn validate_group(object: &Value, errors: &mut Errors) {
    let (path, group) = (SPEC.child("group"), object["spec"].text("group"));
    if group.is_empty() {
        errors.required(&path, "");
        return;
    }
    errors.invalid_each(&path, &group.into(), names::dns1123_subdomain_errors(group));
    if !group.contains('.') {
        errors.invalid(&path, group, "should be a domain with at least one dot");
    }
    let annotation = object["metadata"]["annotations"][ANNOTATION].as_str();
    let Some(approval) = Approval::of(group, annotation) else { return };
    let annotations = Path::root("metadata.annotations");
    let (_, words) = approval.words();
    match approval {
        Approval::Missing => errors.required(&annotations.key(ANNOTATION), words),
        Approval::Invalid(text) => errors.invalid(&annotations.key(ANNOTATION), text, words),
        Approval::Approved(_) | Approval::Bypassed(_) => {}
    }
}

fn validate_versions(spec: &Value, errors: &mut Errors) {
    let path = SPEC.child("versions");
    let versions: Vec<&Value> = spec["versions"].as_array().into_iter().flatten().collect();
    for (index, version) in versions.iter().enumerate() {
        let (here, name) = (path.index(index), version.text("name"));
        errors.invalid_each(&here.child("name"), &name.into(), names::dns1035_label_errors(name));
        let columns = version["additionalPrinterColumns"].as_array().into_iter().flatten();
        for (index, column) in columns.enumerate() {
            let column_path = here.child("additionalPrinterColumns");
            let column_path = column_path.index(index);
            validate_column(column, &column_path, errors);
        }
        validate_selectable(version, &here.child("selectableFields"), errors);
        let subresources = here.child("subresources");
        if version["subresources"].has("scale") {
            validate_scale(&version["subresources"]["scale"], &subresources.child("scale"), errors);
        }
    }
    let is_repeated = |(index, version): (usize, &&Value)| {
        versions[..index].iter().any(|other| other.text("name") == version.text("name"))
    };
    if versions.iter().enumerate().any(is_repeated) {
        errors.invalid(&path, spec["versions"].clone(), "must contain unique version names");
    }
    let storing = versions.iter().filter(|version| version.flag("storage") == Some(true)).count();
    if storing != 1 {
        errors.invalid(
            &path,
            spec["versions"].clone(),
            "must have exactly one version marked as storage version",
        );
    }
}

fn validate_column(column: &Value, path: &Path<'_>, errors: &mut Errors) {
    const TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];
    const FORMATS: [&str; 8] = ["byte", "date", "date-time", "double", "float", "int32", "int64", "password"];
    if column.text("name").is_empty() {
        errors.required(&path.child("name"), "");
    }
    let known = format!("must be one of {}", TYPES.join(","));
    match column.text("type") {
        "" => errors.required(&path.child("type"), known),
        kind if TYPES.contains(&kind) => {}
        kind => errors.invalid(&path.child("type"), kind, known),
    }
    let format = column.text("format");
    if !format.is_empty() && !FORMATS.contains(&format) {
        errors.invalid(&path.child("format"), format, format!("must be one of {}", FORMATS.join(",")));
    }
    // So upstream spells the field here.
    let (path, text) = (path.child("JSONPath"), column.text("jsonPath"));
    if text.is_empty() {
        errors.required(&path, "");
    } else if !text.starts_with('.') {
        errors.invalid(&path, text, NO_PATH);
    }
}

/// Fields that selectors may name are few, are there, and hold one plain value.
fn validate_selectable(version: &Value, path: &Path<'_>, errors: &mut Errors) {
    const MOST: usize = 8;
    let schema = version["schema"]["openAPIV3Schema"].as_object();
    let fields: Vec<&str> = version["selectableFields"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|field| field.text("jsonPath"))
        .collect();
    let count = fields.iter().collect::<std::collections::BTreeSet<_>>().len();
    for (index, field) in fields.iter().enumerate() {
        let here = path.index(index);
        let here = here.child("jsonPath");
        if field.is_empty() {
            errors.required(&here, "");
            continue;
        }
        if fields[..index].contains(field) {
            errors.push(FieldError::duplicate(here.to_string(), *field));
        }
        if *field == ".metadata" || field.starts_with(".metadata.") || field.starts_with(".metadata[") {
            errors.invalid(&here, *field, "must not point to fields in metadata");
            continue;
        }
        match schema.map(|schema| custom_resources::at_path(field, schema)) {
            None => {}
            Some(Err(why)) => errors.invalid(&here, *field, format!("is an invalid path: {why}")),
            Some(Ok(found)) => {
                let kind = found.get("type").and_then(Value::as_str).unwrap_or_default();
                if !matches!(kind, "boolean" | "integer" | "string") {
                    let why = "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.";
                    errors.invalid(&here, *field, why);
                }
            }
        }
    }
    if count > MOST {
        errors.push(FieldError::too_many(path.to_string(), count, MOST));
    }
}

fn validate_scale(scale: &Value, path: &Path<'_>, errors: &mut Errors) {
    for (field, below, is_required) in [
        ("specReplicasPath", &[".spec"][..], true),
        ("statusReplicasPath", &[".status"], true),
        ("labelSelectorPath", &[".spec", ".status"], false),
    ] {
        let (path, text) = (path.child(field), scale.text(field));
        let is_below = |root: &&str| text.strip_prefix(root).is_some_and(|rest| rest.starts_with('.'));
        if text.is_empty() {
            if is_required {
                errors.required(&path, "");
            }
        } else if !text.starts_with('.') {
            errors.invalid(&path, text, NO_PATH);
        } else if !below.iter().any(is_below) {
            let either = if is_required { "" } else { "either " };
            errors.invalid(
                &path,
                text,
                format!("should be a json path under {either}{}", below.join(" or ")),
            );
        }
    }
}

fn validate_names(own: &Value, errors: &mut Errors) {
    let path = SPEC.child("names");
    for field in ["plural", "singular", "kind", "listKind"] {
        let (path, name) = (path.child(field), own.text(field));
        if name.is_empty() {
            errors.required(&path, "");
        } else if matches!(field, "plural" | "singular") {
            errors.invalid_each(&path, &name.into(), names::dns1035_label_errors(name));
        } else {
            let faults = names::dns1035_label_errors(&name.to_lowercase());
            let faults = faults
                .into_iter()
                .map(|fault| format!("may have mixed case, but should otherwise match: {fault}"));
            errors.invalid_each(&path, &name.into(), faults);
        }
    }
    for (field, list) in [("shortNames", &own["shortNames"]), ("categories", &own["categories"])] {
        for (index, name) in list.as_array().into_iter().flatten().enumerate() {
            let name = name.as_str().unwrap_or_default();
            let here = path.child(field);
            errors.invalid_each(&here.index(index), &name.into(), names::dns1035_label_errors(name));
        }
    }
    if !own.text("kind").is_empty() && own.text("kind") == own.text("listKind") {
        errors.invalid(
            &path.child("listKind"),
            own.text("listKind"),
            "kind and listKind may not be the same",
        );
    }
}

fn validate_webhook(spec: &Value, errors: &mut Errors) {
    let conversion = SPEC.child("conversion");
    let webhook = &spec["conversion"]["webhook"];
    let path = conversion.child("webhookClientConfig");
    let config = &webhook["clientConfig"];
    if config.is_object() {
        webhook_client::validate(config, &path, errors);
    } else {
        errors.required(&path, "required when strategy is set to Webhook");
    }
    let versions: Vec<&str> = webhook["conversionReviewVersions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let reviews = conversion.child("conversionReviewVersions");
    if versions.is_empty() {
        errors.required(&reviews, "");
        return;
    }
    for (index, version) in versions.iter().enumerate() {
        if versions[..index].contains(version) {
            errors.invalid(&reviews.index(index), *version, "duplicate version");
        }
        errors.invalid_each(&reviews.index(index), &(*version).into(), names::dns1035_label_errors(version));
    }
    if !versions.iter().any(|version| matches!(*version, "v1" | "v1beta1")) {
        errors.invalid(
            &reviews,
            webhook["conversionReviewVersions"].clone(),
            "must include at least one of v1, v1beta1",
        );
    }
}

fn validate_stored_versions(object: &Value, errors: &mut Errors) {
    let versions: Vec<&str> = object["spec"]["versions"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|version| version.text("name"))
        .collect();
    let path = STATUS.child("storedVersions");
    for (index, stored) in object["status"]["storedVersions"].as_array().into_iter().flatten().enumerate() {
        if !stored.as_str().is_some_and(|name| versions.contains(&name)) {
            errors.invalid(&path.index(index), stored.clone(), "missing from spec.versions; v1 was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in v1 and removes v1 from status.storedVersions".replace("v1", stored.as_str().unwrap_or_default()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition() -> Value {
        json!({
            "metadata": {"name": "wands.example.com"},
            "spec": {"group": "example.com", "scope": "Namespaced", "names": {"plural": "wands", "kind": "Wand"},
                "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}]},
        })
    }

    fn faults(change: impl Fn(&mut Value)) -> Vec<String> {
        let mut object = definition();
        change(&mut object);
        CustomResourceDefinition.default(&mut object);
        let mut errors = Errors::new();
        CustomResourceDefinition.validate(&object, &mut errors);
        errors.into_vec().iter().map(|error| format!("{}: {}", error.field, error.body())).collect()
    }

    #[test]
    fn definitions_get_their_names_and_are_checked() {
        let mut object = definition();
        CustomResourceDefinition.default(&mut object);
        assert_eq!(object["spec"]["names"]["singular"], "wand");
        assert_eq!(object["spec"]["names"]["listKind"], "WandList");
        assert_eq!(object["spec"]["conversion"]["strategy"], "None");
        CustomResourceDefinition.prepare_for_create(&mut object);
        assert_eq!(object["status"]["storedVersions"], json!(["v1"]));
        assert_eq!(faults(|_| {}), [""; 0]);
        assert_eq!(
            faults(|object| object["metadata"]["name"] = "x".into()),
            [r#"metadata.name: Invalid value: "x": must be spec.names.plural+"."+spec.group"#]
        );
        assert_eq!(
            faults(|object| object["spec"]["scope"] = "World".into()),
            [r#"spec.scope: Unsupported value: "World": supported values: "Cluster", "Namespaced""#]
        );
        assert!(
            faults(|object| object["spec"]["versions"][0]["storage"] = false.into())[0]
                .ends_with("must have exactly one version marked as storage version")
        );
        assert_eq!(
            faults(|object| object["spec"]["versions"][0]["schema"] = json!({})),
            ["spec.validation.openAPIV3Schema: Required value: schemas are required"]
        );
        assert!(
            faults(|object| {
                object["metadata"]["name"] = "wands.x.k8s.io".into();
                object["spec"]["group"] = "x.k8s.io".into();
            })[0]
                .starts_with(
                    "metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups"
                )
        );
    }

    #[test]
    fn selectable_fields_hold_one_plain_value() {
        let with = |paths: &[&str]| {
            faults(|object| {
                let version = &mut object["spec"]["versions"][0];
                version["schema"]["openAPIV3Schema"] = json!({"type": "object", "properties": {"spec": {"type": "object",
                    "properties": {"color": {"type": "string"}, "parts": {"type": "array", "items": {"type": "string"}}}}}});
                let fields = paths.iter().map(|path| json!({"jsonPath": path}));
                version["selectableFields"] = fields.collect();
            })
        };
        const AT: &str = "spec.versions[0].selectableFields";
        assert_eq!(with(&[".spec.color"]), [""; 0]);
        assert_eq!(
            with(&[".spec.size", ".spec.parts", ".metadata.name", ".spec.color", ".spec.color"]),
            [
                format!(
                    "{AT}[0].jsonPath: Invalid value: \".spec.size\": is an invalid path: does not refer to a valid field"
                ),
                format!(
                    "{AT}[1].jsonPath: Invalid value: \".spec.parts\": must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed."
                ),
                format!(
                    "{AT}[2].jsonPath: Invalid value: \".metadata.name\": must not point to fields in metadata"
                ),
                format!("{AT}[4].jsonPath: Duplicate value: \".spec.color\""),
            ]
        );
        assert_eq!(with(&[""]), [format!("{AT}[0].jsonPath: Required value")]);
        let many = |count: usize| {
            let names: Vec<String> = (0..count).map(|number| format!("f{number}")).collect();
            faults(|object| {
                let version = &mut object["spec"]["versions"][0];
                let properties: serde_json::Map<String, Value> =
                    names.iter().map(|name| (name.clone(), json!({"type": "string"}))).collect();
                version["schema"]["openAPIV3Schema"] = json!({"type": "object", "properties": properties});
                version["selectableFields"] =
                    names.iter().map(|name| json!({"jsonPath": format!(".{name}")})).collect();
            })
        };
        assert_eq!(many(8), [""; 0]);
        assert_eq!(many(9), [format!("{AT}: Too many: 9: must have at most 8 items")]);
    }

    #[test]
    fn names_versions_and_columns_are_checked() {
        let label = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
        let mixed = format!("may have mixed case, but should otherwise match: {label}");
        let told = |change: &dyn Fn(&mut Value)| faults(change).join("\n");
        let spec = |field: &'static str, value: Value| told(&|object| object["spec"][field] = value.clone());
        let names = |field: &'static str, value: Value| {
            told(&|object| {
                object["spec"]["names"][field] = value.clone();
                if field == "plural" {
                    object["metadata"]["name"] = format!("{}.example.com", value.as_str().unwrap()).into();
                }
            })
        };
        assert_eq!(names("plural", json!("")), "spec.names.plural: Required value");
        assert_eq!(
            names("plural", json!("A_b")),
            format!("spec.names.plural: Invalid value: \"A_b\": {label}")
        );
        assert_eq!(
            names("singular", json!("A_b")),
            format!("spec.names.singular: Invalid value: \"A_b\": {label}")
        );
        assert_eq!(
            names("kind", json!("")),
            "spec.names.singular: Required value\nspec.names.kind: Required value\nspec.names.listKind: Required value"
        );
        assert_eq!(
            names("kind", json!("A_")),
            format!(
                "spec.names.singular: Invalid value: \"a_\": {label}\nspec.names.kind: Invalid value: \"A_\": {mixed}\nspec.names.listKind: Invalid value: \"A_List\": {mixed}"
            )
        );
        assert_eq!(
            names("listKind", json!("Wand")),
            "spec.names.listKind: Invalid value: \"Wand\": kind and listKind may not be the same"
        );
        assert_eq!(
            names("shortNames", json!(["w", "W"])),
            format!("spec.names.shortNames[1]: Invalid value: \"W\": {label}")
        );
        assert_eq!(
            names("categories", json!(["all", "A"])),
            format!("spec.names.categories[1]: Invalid value: \"A\": {label}")
        );
        assert_eq!(spec("scope", json!("")), "spec.scope: Required value");
        assert!(
            spec("preserveUnknownFields", json!(true))
                .starts_with("spec.preserveUnknownFields: Invalid value: true: cannot set to true")
        );
        let group = |group: &'static str| {
            told(&|object| {
                object["spec"]["group"] = group.into();
                object["metadata"]["name"] = format!("wands.{group}").into();
            })
        };
        assert_eq!(group(""), "spec.group: Required value");
        assert_eq!(
            group("example"),
            "spec.group: Invalid value: \"example\": should be a domain with at least one dot"
        );
        assert!(
            group("Example.com")
                .starts_with("spec.group: Invalid value: \"Example.com\": a lowercase RFC 1123 subdomain")
        );

        let version = |field: &'static str, value: Value| {
            told(&|object| object["spec"]["versions"][0][field] = value.clone())
        };
        assert_eq!(
            version("name", json!("V1")),
            format!("spec.versions[0].name: Invalid value: \"V1\": {label}")
        );
        let doubled = told(&|object| {
            let mut again = object["spec"]["versions"][0].clone();
            again["storage"] = false.into();
            object["spec"]["versions"].as_array_mut().unwrap().push(again);
        });
        assert!(
            doubled.ends_with("must contain unique version names") && doubled.lines().count() == 1,
            "{doubled}"
        );
        let column = |column: Value| {
            version("additionalPrinterColumns", json!([column]))
                .replace("spec.versions[0].additionalPrinterColumns[0].", "")
        };
        assert_eq!(
            column(json!({"name": "C", "type": "integer", "format": "int32", "jsonPath": ".spec.c"})),
            ""
        );
        assert_eq!(
            column(json!({})),
            "name: Required value\ntype: Required value: must be one of boolean,date,integer,number,string\nJSONPath: Required value"
        );
        assert_eq!(
            column(json!({"name": "C", "type": "text", "format": "int", "jsonPath": "spec.c"})),
            "type: Invalid value: \"text\": must be one of boolean,date,integer,number,string\n\
             format: Invalid value: \"int\": must be one of byte,date,date-time,double,float,int32,int64,password\n\
             JSONPath: Invalid value: \"spec.c\": must be a simple json path starting with ."
        );
        let scale = |replicas: &str, status: &str, selector: &str| {
            let scale = json!({"specReplicasPath": replicas, "statusReplicasPath": status, "labelSelectorPath": selector});
            version("subresources", json!({ "scale": scale }))
                .replace("spec.versions[0].subresources.scale.", "")
        };
        assert_eq!(scale(".spec.n", ".status.n", ""), "");
        assert_eq!(scale(".spec.n", ".status.n", ".spec.selector"), "");
        assert_eq!(scale(".spec.n", ".status.n", ".status.selector"), "");
        assert_eq!(scale("", "", ""), "specReplicasPath: Required value\nstatusReplicasPath: Required value");
        assert_eq!(
            scale(".status.n", ".spec.n", ".metadata.labels"),
            "specReplicasPath: Invalid value: \".status.n\": should be a json path under .spec\n\
             statusReplicasPath: Invalid value: \".spec.n\": should be a json path under .status\n\
             labelSelectorPath: Invalid value: \".metadata.labels\": should be a json path under either .spec or .status"
        );
        assert_eq!(
            scale("spec.n", ".status", "status"),
            "specReplicasPath: Invalid value: \"spec.n\": must be a simple json path starting with .\n\
             statusReplicasPath: Invalid value: \".status\": should be a json path under .status\n\
             labelSelectorPath: Invalid value: \"status\": must be a simple json path starting with ."
        );
    }

    #[test]
    fn conversion_by_webhook_says_where_and_how() {
        let check = |conversion: Value| {
            faults(|object| object["spec"]["conversion"] = conversion.clone())
                .join("\n")
                .replace("spec.conversion.", "")
        };
        let webhook = |config: Value, versions: Value| {
            check(
                json!({"strategy": "Webhook", "webhook": {"clientConfig": config, "conversionReviewVersions": versions}}),
            )
        };
        let config = json!({"url": "https://a.example/convert"});
        assert_eq!(webhook(config.clone(), json!(["v1", "v1beta1"])), "");
        assert_eq!(
            webhook(json!({"service": {"name": "s", "namespace": "n"}}), json!(["v1beta1"])),
            "",
            "a port of its own is given"
        );
        assert_eq!(
            webhook(json!({}), json!([])),
            "webhookClientConfig: Required value: exactly one of url or service is required\nconversionReviewVersions: Required value"
        );
        assert_eq!(
            webhook(Value::Null, json!(["v1"])),
            "webhookClientConfig: Required value: required when strategy is set to Webhook"
        );
        assert_eq!(
            webhook(config.clone(), json!(["v1", "v1"])),
            "conversionReviewVersions[1]: Invalid value: \"v1\": duplicate version"
        );
        assert_eq!(
            webhook(config.clone(), json!(["v2"])),
            "conversionReviewVersions: Invalid value: [\"v2\"]: must include at least one of v1, v1beta1"
        );
        assert!(
            webhook(config.clone(), json!(["v1", "V"]))
                .starts_with("conversionReviewVersions[1]: Invalid value: \"V\": a DNS-1035 label")
        );
        assert_eq!(
            check(json!({"strategy": "None", "webhook": {}})),
            "webhookClientConfig: Forbidden: should not be set when strategy is not set to Webhook"
        );
        assert_eq!(check(json!({"strategy": ""})), "strategy: Required value");
        assert_eq!(
            check(json!({"strategy": "Some"})),
            "strategy: Unsupported value: \"Some\": supported values: \"None\", \"Webhook\""
        );
    }

    #[test]
    fn versions_that_were_stored_are_kept_in_mind() {
        let mut old = definition();
        CustomResourceDefinition.default(&mut old);
        CustomResourceDefinition.prepare_for_create(&mut old);
        let mut new = old.clone();
        let mut second = new["spec"]["versions"][0].clone();
        second["name"] = "v2".into();
        new["spec"]["versions"][0]["storage"] = false.into();
        new["spec"]["versions"].as_array_mut().unwrap().push(second);
        CustomResourceDefinition.prepare_for_update(&mut new, &old);
        assert_eq!(new["status"]["storedVersions"], json!(["v1", "v2"]));
        assert_eq!(new["metadata"]["generation"].as_i64(), Some(2));
        let again = new.clone();
        CustomResourceDefinition.prepare_for_update(&mut new, &again);
        assert_eq!(new["status"]["storedVersions"], json!(["v1", "v2"]), "each once");

        let told = |stored: Value| {
            let mut changed = new.clone();
            changed["status"]["storedVersions"] = stored;
            let mut errors = Errors::new();
            CustomResourceDefinition.validate_status_update(&changed, &new, &mut errors);
            errors.into_vec().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(told(json!(["v2"])), "");
        assert_eq!(
            told(json!(["v1"])),
            "status.storedVersions: Invalid value: [\"v1\"]: must have the storage version v2"
        );
        assert_eq!(
            told(json!([])),
            "status.storedVersions: Invalid value: []: must have at least one stored version\n\
             status.storedVersions: Invalid value: []: must have the storage version v2"
        );
    }

    #[test]
    fn what_objects_are_stored_under_stays() {
        let check = |established: bool, change: fn(&mut Value)| {
            let mut old = definition();
            CustomResourceDefinition.default(&mut old);
            let status = if established { "True" } else { "False" };
            old["status"] =
                json!({"storedVersions": ["v1"], "conditions": [{"type": "Established", "status": status}]});
            let mut new = old.clone();
            change(&mut new);
            let mut errors = Errors::new();
            CustomResourceDefinition.validate_update(&new, &old, &mut errors);
            errors.into_vec().into_iter().map(|error| error.field).collect::<Vec<_>>()
        };
        assert_eq!(check(true, |new| new["spec"]["scope"] = "Cluster".into()), ["spec.scope"]);
        assert_eq!(check(false, |new| new["spec"]["scope"] = "Cluster".into()), [""; 0]);
        let renamed = check(true, |new| new["spec"]["versions"][0]["name"] = "v2".into());
        assert_eq!(renamed, ["status.storedVersions[0]"]);
    }
}
