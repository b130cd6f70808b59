//! PodGroups: pods that are scheduled together, and the templates of them in Workloads.

mod workload;

use serde_json::Value;

use crate::conditions;
use crate::workload::{SPEC, STATUS};
use strategy::field::{Errors, Path};
use strategy::names;
use strategy::read::{Read, same};
use strategy::write;
use strategy::{Keeps, NameRule, Strategy};

pub use workload::Workload;

/// The rules of PodGroups.
pub struct PodGroup;

const MOST_CLAIMS: usize = 4;
/// What is off upstream: it is dropped from what is new.
const OFF: [&str; 5] =
    ["schedulingConstraints", "resourceClaims", "disruptionMode", "priorityClassName", "priority"];

impl Strategy for PodGroup {
    fn keeps(&self) -> Keeps {
        Keeps::Status
    }

    fn status_alone(&self) -> bool {
        true
    }

    fn prepare_for_create(&self, object: &mut Value) {
        self.keeps().prepare_for_create(object);
        forget(write::ensure(object, "spec"), &Value::Null);
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        let spec = &object["spec"];
        validate_reference(&spec["podGroupTemplateRef"], &SPEC.child("podGroupTemplateRef"), errors);
        validate_policy(&spec["schedulingPolicy"], &SPEC.child("schedulingPolicy"), errors);
    }

    fn prepare_for_update(&self, new: &mut Value, old: &Value) {
        self.keeps().prepare_for_update(new, old);
        forget(write::ensure(new, "spec"), &old["spec"]);
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        let (spec, before) = (&new["spec"], &old["spec"]);
        for key in ["podGroupTemplateRef", "schedulingPolicy"] {
            errors.immutable(&SPEC.child(key), &spec[key], &before[key]);
        }
        for key in OFF.into_iter().filter(|key| !same(&spec[key], &before[key])) {
            if key == "resourceClaims" {
                errors.immutable(&SPEC.child(key), &spec[key], &before[key]);
                let claims = spec.items(key).len();
                if claims > MOST_CLAIMS {
                    errors.too_many(&SPEC.child(key), claims, MOST_CLAIMS);
                }
            } else if spec.has(key) {
                errors.forbidden(&SPEC.child(key), "");
            }
        }
    }

    fn prepare_status_update(&self, new: &mut Value, old: &Value) {
        strategy::prepare_status_update(new, old);
        strategy::keep_metadata(new, old, &["labels", "annotations", "finalizers", "ownerReferences"]);
        if old["spec"].items("resourceClaims").is_empty()
            && let Some(status) = write::object(new, "status")
        {
            write::remove(status, "resourceClaimStatuses");
        }
    }

    fn validate_status_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        let (status, path) = (&new["status"], STATUS.child("resourceClaimStatuses"));
        conditions::validate(status.items("conditions"), &STATUS.child("conditions"), errors);
        let told = status.items("resourceClaimStatuses");
        let claims = new["spec"].items("resourceClaims");
        for (index, claim) in told.iter().enumerate() {
            let name = claim.text("name");
            if !claims.iter().any(|known| known.text("name") == name) {
                let why = "must match the name of an entry in `spec.resourceClaims`";
                errors.invalid(&path.index(index).child("name"), name, why);
            }
        }
        if same(&status["resourceClaimStatuses"], &old["status"]["resourceClaimStatuses"]) {
            return;
        }
        if told.len() > MOST_CLAIMS {
            errors.too_many(&path, told.len(), MOST_CLAIMS);
            return;
        }
        unique_names(told, &path, errors);
        for (index, claim) in told.iter().enumerate().filter(|(_, claim)| claim.has("resourceClaimName")) {
            let path = path.index(index);
            let name = &claim["resourceClaimName"];
            let found = names::errors(NameRule::Subdomain, claim.text("resourceClaimName"));
            errors.invalid_each(&path.child("resourceClaimName"), name, found);
        }
    }
}

/// Drops what is off upstream, unless it was there before.
fn forget(spec: &mut Value, before: &Value) {
    for key in OFF {
        if same(&before[key], &Value::Null) {
            write::remove(spec, key);
        }
    }
}

/// Validates the template that a group was made of, where there is one.
fn validate_reference(reference: &Value, path: &Path, errors: &mut Errors) {
    if reference.is_null() {
        return;
    }
    if !reference.has("workload") {
        errors.invalid(path, "", "must specify one of: `workload`");
        return;
    }
    let (workload, path) = (&reference["workload"], path.child("workload"));
    named(workload, "workloadName", NameRule::Subdomain, &path, errors);
    named(workload, "podGroupTemplateName", NameRule::Label, &path, errors);
}

/// Validates how the pods are scheduled: each for itself, or together.
fn validate_policy(policy: &Value, path: &Path, errors: &mut Errors) {
    match (policy.has("basic"), policy.has("gang")) {
        (false, false) => errors.invalid(path, "", "must specify one of: `basic`, `gang`"),
        (true, true) => {
            errors.invalid(path, "{basic, gang}", "must specify exactly one of: `basic`, `gang`");
        }
        _ => {}
    }
    if policy.has("gang") {
        let path = path.child("gang");
        match policy["gang"].int("minCount").unwrap_or(0) {
            0 => errors.required(&path.child("minCount"), ""),
            count if count < 1 => {
                errors.invalid(&path.child("minCount"), count, "must be greater than or equal to 1");
            }
            _ => {}
        }
    }
}

/// Validates a name that must be given.
fn named(object: &Value, key: &str, rule: NameRule, path: &Path, errors: &mut Errors) {
    match object.text(key) {
        "" => errors.required(&path.child(key), ""),
        name => errors.invalid_each(&path.child(key), &object[key], names::errors(rule, name)),
    }
}

/// Validates that no two items have one name.
fn unique_names(items: &[Value], path: &Path, errors: &mut Errors) {
    for (index, item) in items.iter().enumerate() {
        if items[..index].iter().any(|other| other.text("name") == item.text("name")) {
            errors.duplicate(&path.index(index), item.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::{created, found, updated};

    fn group(change: Value) -> Value {
        let mut spec = json!({
            "podGroupTemplateRef": {"workload": {"workloadName": "w", "podGroupTemplateName": "t"}},
            "schedulingPolicy": {"gang": {"minCount": 2}},
        });
        spec.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        json!({"metadata": {"name": "g"}, "spec": spec})
    }

    #[test]
    fn a_group_says_how_its_pods_are_scheduled() {
        for (change, expected) in [
            (json!({}), ""),
            (json!({"schedulingPolicy": {"basic": {}}, "podGroupTemplateRef": null}), ""),
            (
                json!({"schedulingPolicy": {"gang": {}}}),
                "spec.schedulingPolicy.gang.minCount: Required value",
            ),
            (
                json!({"schedulingPolicy": {"gang": {"minCount": -1}, "basic": {}}}),
                "spec.schedulingPolicy: Invalid value: \"{basic, gang}\": must specify exactly one of: `basic`, `gang`\n\
                 spec.schedulingPolicy.gang.minCount: Invalid value: -1: must be greater than or equal to 1",
            ),
            (
                json!({"schedulingPolicy": {}, "podGroupTemplateRef": {}}),
                "spec.podGroupTemplateRef: Invalid value: \"\": must specify one of: `workload`\n\
                 spec.schedulingPolicy: Invalid value: \"\": must specify one of: `basic`, `gang`",
            ),
            (
                json!({"podGroupTemplateRef": {"workload": {}}}),
                "spec.podGroupTemplateRef.workload.workloadName: Required value\n\
                 spec.podGroupTemplateRef.workload.podGroupTemplateName: Required value",
            ),
        ] {
            assert_eq!(created(&PodGroup, group(change.clone())), expected, "{change}");
        }
        let told = created(
            &PodGroup,
            group(
                json!({"podGroupTemplateRef": {"workload": {"workloadName": "a.b", "podGroupTemplateName": "a.b"}}}),
            ),
        );
        assert!(
            told.starts_with("spec.podGroupTemplateRef.workload.podGroupTemplateName: Invalid value"),
            "{told}"
        );
    }

    #[test]
    fn what_is_off_is_dropped_and_what_is_said_stays() {
        let off = json!({"priority": 5, "priorityClassName": "p", "disruptionMode": "Pod",
            "schedulingConstraints": {}, "resourceClaims": [{"name": "c", "resourceClaimName": "c"}]});
        let mut new = group(off);
        new["status"] = json!({"conditions": []});
        PodGroup.prepare_for_create(&mut new);
        assert_eq!((&new["spec"], &new["status"]), (&group(json!({}))["spec"], &json!({})));
        let policy = json!({"schedulingPolicy": {"gang": {"minCount": 3}}});
        for (old, new, expected) in [
            (json!({}), json!({}), ""),
            (
                json!({}),
                policy,
                "spec.schedulingPolicy: Invalid value: {\"gang\":{\"minCount\":3}}: field is immutable",
            ),
            (
                json!({}),
                json!({"podGroupTemplateRef": null}),
                "spec.podGroupTemplateRef: Invalid value: \"null\": field is immutable",
            ),
            (json!({"priority": 1}), json!({"priority": 1}), ""),
            (json!({"priority": 1}), json!({"priority": 2}), "spec.priority: Forbidden"),
            (json!({"priority": 1}), json!({}), ""),
        ] {
            let mut after = group(new);
            let before = group(old);
            PodGroup.prepare_for_update(&mut after, &before);
            assert_eq!(updated(&PodGroup, after.clone(), before.clone()), expected, "{before} {after}");
        }
        let mut added = group(json!({"priority": 1}));
        PodGroup.prepare_for_update(&mut added, &group(json!({})));
        assert_eq!(added["spec"], group(json!({}))["spec"]);
    }

    #[test]
    fn a_status_tells_of_the_claims_of_the_group() {
        let claims = json!([{"name": "c", "resourceClaimTemplateName": "t"}]);
        let with = |told: Value| {
            let mut object = group(json!({"resourceClaims": claims}));
            object["status"] = json!({"resourceClaimStatuses": told});
            object
        };
        let check = |told: Value| {
            found(|errors| PodGroup.validate_status_update(&with(told), &with(json!([])), errors))
        };
        assert_eq!(check(json!([{"name": "c", "resourceClaimName": "c-1"}])), "");
        assert_eq!(
            check(json!([{"name": "d"}, {"name": "d"}])),
            "status.resourceClaimStatuses[0].name: Invalid value: \"d\": must match the name of an entry in `spec.resourceClaims`\n\
             status.resourceClaimStatuses[1].name: Invalid value: \"d\": must match the name of an entry in `spec.resourceClaims`\n\
             status.resourceClaimStatuses[1]: Duplicate value: {\"name\":\"d\"}"
        );
        assert!(
            check(json!([{"name": "c", "resourceClaimName": "C"}]))
                .starts_with("status.resourceClaimStatuses[0].resourceClaimName: Invalid value: \"C\": ")
        );
        let mut new = group(json!({}));
        new["status"] = json!({"resourceClaimStatuses": [{"name": "c"}]});
        PodGroup.prepare_status_update(&mut new, &group(json!({})));
        assert_eq!(new["status"], json!({}));
    }
}
