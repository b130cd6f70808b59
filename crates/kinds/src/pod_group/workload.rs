//! Workloads: templates of the groups of pods that one controller makes.

use serde_json::Value;

use super::{forget, named, unique_names, validate_policy};
use crate::workload::SPEC;
use strategy::field::{Errors, Path};
use strategy::names;
use strategy::read::{Read, same};
use strategy::write;
use strategy::{NameRule, Strategy};

/// The rules of Workloads.
pub struct Workload;

const MOST_TEMPLATES: usize = 8;

impl Strategy for Workload {
    fn prepare_for_create(&self, object: &mut Value) {
        forget_each(object, &Value::Null);
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        validate_controller(&object["spec"]["controllerRef"], &SPEC.child("controllerRef"), errors);
        let path = SPEC.child("podGroupTemplates");
        let templates = object["spec"].items("podGroupTemplates");
        if !fits(templates, &path, errors) {
            return;
        }
        unique_names(templates, &path, errors);
        for (index, template) in templates.iter().enumerate() {
            let path = path.index(index);
            named(template, "name", NameRule::Label, &path, errors);
            validate_policy(&template["schedulingPolicy"], &path.child("schedulingPolicy"), errors);
        }
    }

    fn prepare_for_update(&self, new: &mut Value, old: &Value) {
        forget_each(new, old);
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        let (spec, before) = (&new["spec"], &old["spec"]);
        errors.immutable(&SPEC.child("controllerRef"), &spec["controllerRef"], &before["controllerRef"]);
        let (key, path) = ("podGroupTemplates", SPEC.child("podGroupTemplates"));
        if !same(&spec[key], &before[key]) {
            errors.immutable(&path, &spec[key], &before[key]);
            fits(spec.items(key), &path, errors);
        }
    }
}

/// Drops what is off upstream from each template, unless the template in its place had it before.
fn forget_each(object: &mut Value, old: &Value) {
    let Some(spec) = write::object(object, "spec") else { return };
    let before = old["spec"].items("podGroupTemplates");
    for (index, template) in write::items(spec, "podGroupTemplates").enumerate() {
        forget(template, before.get(index).unwrap_or(&Value::Null));
    }
}

/// Validates that there are templates, and not too many.
fn fits(templates: &[Value], path: &Path, errors: &mut Errors) -> bool {
    match templates.len() {
        0 => errors.required(path, ""),
        count if count > MOST_TEMPLATES => errors.too_many(path, count, MOST_TEMPLATES),
        _ => return true,
    }
    false
}

/// Validates the object whose controller makes the groups, where there is one.
fn validate_controller(reference: &Value, path: &Path, errors: &mut Errors) {
    if reference.is_null() {
        return;
    }
    let group = reference.text("apiGroup");
    if !group.is_empty() {
        let found = names::errors(NameRule::Subdomain, group);
        errors.invalid_each(&path.child("apiGroup"), &reference["apiGroup"], found);
    }
    for key in ["kind", "name"] {
        named(reference, key, NameRule::PathSegment, path, errors);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::{created, updated};

    fn workload(controller: Value, templates: Value) -> Value {
        json!({"metadata": {"name": "w"}, "spec": {"controllerRef": controller, "podGroupTemplates": templates}})
    }

    fn template(name: &str) -> Value {
        json!({"name": name, "schedulingPolicy": {"basic": {}}})
    }

    #[test]
    fn a_workload_has_templates_of_groups() {
        let job = json!({"apiGroup": "batch", "kind": "Job", "name": "j"});
        for (object, expected) in [
            (workload(job, json!([template("a"), template("b")])), ""),
            (workload(json!(null), json!([])), "spec.podGroupTemplates: Required value"),
            (
                workload(json!({"kind": "a/b"}), json!(vec![template("a"); 9])),
                "spec.controllerRef.kind: Invalid value: \"a/b\": may not contain '/'\n\
                 spec.controllerRef.name: Required value\n\
                 spec.podGroupTemplates: Too many: 9: must have at most 8 items",
            ),
            (
                workload(
                    json!(null),
                    json!([{"name": "a", "schedulingPolicy": {"gang": {"minCount": 1}}}, {"name": "a"}, {}]),
                ),
                "spec.podGroupTemplates[1]: Duplicate value: {\"name\":\"a\"}\n\
                 spec.podGroupTemplates[1].schedulingPolicy: Invalid value: \"\": must specify one of: `basic`, `gang`\n\
                 spec.podGroupTemplates[2].name: Required value\n\
                 spec.podGroupTemplates[2].schedulingPolicy: Invalid value: \"\": must specify one of: `basic`, `gang`",
            ),
        ] {
            assert_eq!(created(&Workload, object.clone()), expected, "{object}");
        }
    }

    #[test]
    fn what_a_workload_says_stays() {
        let old = workload(json!(null), json!([template("a")]));
        assert_eq!(updated(&Workload, old.clone(), old.clone()), "");
        let job = json!({"kind": "Job", "name": "j"});
        assert_eq!(
            updated(&Workload, workload(job, json!([])), old),
            "spec.controllerRef: Invalid value: {\"kind\":\"Job\",\"name\":\"j\"}: field is immutable\n\
             spec.podGroupTemplates: Invalid value: []: field is immutable\n\
             spec.podGroupTemplates: Required value"
        );
        let mut priority = template("a");
        priority["priority"] = json!(5);
        let mut new = workload(json!(null), json!([priority]));
        Workload.prepare_for_create(&mut new);
        assert_eq!(new["spec"]["podGroupTemplates"], json!([template("a")]));
        let old = workload(json!(null), json!([priority]));
        let mut new = old.clone();
        Workload.prepare_for_update(&mut new, &old);
        assert_eq!(new, old);
    }
}
