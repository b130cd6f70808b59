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
            write::zero(names, "listKind", format!("{kind}List"));
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
    let storing = versions.iter().filter(|version| version.flag("storage") == Some(true)).count();
    if storing != 1 {
        errors.invalid(
            &path,
            spec["versions"].clone(),
            "must have exactly one version marked as storage version",
        );
    }
    for (index, version) in versions.iter().enumerate() {
        let (here, name) = (path.index(index), version.text("name"));
        errors.invalid_each(&here.child("name"), &name.into(), names::dns1035_label_errors(name));
        if versions[..index].iter().any(|other| other.text("name") == name) {
            errors.invalid(&path, name, "must contain unique version names");
        }
        let columns = version["additionalPrinterColumns"].as_array().into_iter().flatten();
        for (index, column) in columns.enumerate() {
            let column_path = here.child("additionalPrinterColumns");
            let column_path = column_path.index(index);
            for field in ["name", "jsonPath", "type"] {
                if column.text(field).is_empty() {
                    errors.required(&column_path.child(field), "");
                }
            }
            let known = ["boolean", "date", "integer", "number", "string"];
            let kind = column.text("type");
            if !kind.is_empty() && !known.contains(&kind) {
                errors.unsupported(&column_path.child("type"), kind, &known);
            }
        }
        validate_selectable(version, &here.child("selectableFields"), errors);
        let subresources = here.child("subresources");
        if version["subresources"].has("scale") {
            validate_scale(&version["subresources"]["scale"], &subresources.child("scale"), errors);
        }
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
    if fields.len() > MOST {
        errors.push(FieldError::too_many(path.to_string(), fields.len(), MOST));
    }
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
}

fn validate_scale(scale: &Value, path: &Path<'_>, errors: &mut Errors) {
    for (field, below, is_required) in [
        ("specReplicasPath", ".spec.", true),
        ("statusReplicasPath", ".status.", true),
        ("labelSelectorPath", "", false),
    ] {
        let text = scale.text(field);
        if text.is_empty() {
            if is_required {
                errors.required(&path.child(field), "");
            }
            continue;
        }
        let is_simple = text.starts_with('.') && !text.contains(['[', ']', '*', '@', '?']);
        let fits = match below {
            "" => text.starts_with(".spec.") || text.starts_with(".status."),
            below => text.starts_with(below),
        };
        if !is_simple || !fits {
            let below = match below {
                "" => ".spec or .status",
                below => below.trim_end_matches('.'),
            };
            errors.invalid(
                &path.child(field),
                text,
                format!("should be a json path under {below}, without array notation"),
            );
        }
    }
}

fn validate_names(own: &Value, errors: &mut Errors) {
    let path = SPEC.child("names");
    let plural = own.text("plural");
    errors.invalid_each(&path.child("plural"), &plural.into(), names::dns1035_label_errors(plural));
    if own.has("singular") {
        let singular = own.text("singular");
        errors.invalid_each(&path.child("singular"), &singular.into(), names::dns1035_label_errors(singular));
    }
    for (field, list) in [("shortNames", &own["shortNames"]), ("categories", &own["categories"])] {
        for (index, name) in list.as_array().into_iter().flatten().enumerate() {
            let name = name.as_str().unwrap_or_default();
            let here = path.child(field);
            errors.invalid_each(&here.index(index), &name.into(), names::dns1035_label_errors(name));
        }
    }
    for field in ["kind", "listKind"] {
        let name = own.text(field);
        let faults = names::dns1035_label_errors(&name.to_lowercase());
        let faults = faults
            .into_iter()
            .map(|fault| format!("may have mixed case, but should otherwise match: {fault}"));
        errors.invalid_each(&path.child(field), &name.into(), faults);
    }
    if own.text("kind") == own.text("listKind") {
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
        assert_eq!(with(&[".spec.color"; 9])[0], format!("{AT}: Too many: 9: must have at most 8 items"));
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
