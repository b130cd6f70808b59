//! RoleBindings and ClusterRoleBindings.

use serde_json::Value;

use strategy::field::{Errors, Path};
use strategy::names;
use strategy::read::{Read, same};
use strategy::write;
use strategy::{NameRule, Strategy};

/// The rules of RoleBindings and ClusterRoleBindings.
pub struct RoleBinding {
    /// Whether it holds in one namespace.
    pub namespaced: bool,
}

const GROUP: &str = "rbac.authorization.k8s.io";

impl Strategy for RoleBinding {
    fn name_rule(&self) -> NameRule {
        NameRule::PathSegment
    }

    fn default(&self, object: &mut Value) {
        write::zero(write::ensure(object, "roleRef"), "apiGroup", GROUP);
        for subject in write::items(object, "subjects") {
            if matches!(subject.text("kind"), "User" | "Group") {
                write::zero(subject, "apiGroup", GROUP);
            }
        }
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        let role = &object["roleRef"];
        let path = Path::root("roleRef");
        if role.text("apiGroup") != GROUP {
            errors.unsupported(&path.child("apiGroup"), role.text("apiGroup"), &[GROUP]);
        }
        let kinds: &[&str] = if self.namespaced { &["Role", "ClusterRole"] } else { &["ClusterRole"] };
        if !kinds.contains(&role.text("kind")) {
            errors.unsupported(&path.child("kind"), role.text("kind"), kinds);
        }
        let name = role.text("name");
        if name.is_empty() {
            errors.required(&path.child("name"), "");
        } else {
            let found = names::errors(NameRule::PathSegment, name);
            errors.invalid_each(&path.child("name"), &role["name"], found);
        }
        for (index, subject) in object.items("subjects").iter().enumerate() {
            validate_subject(subject, self.namespaced, &Path::root("subjects").index(index), errors);
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        self.validate(new, errors);
        if !same(&new["roleRef"], &old["roleRef"]) {
            errors.invalid(&Path::root("roleRef"), new["roleRef"].clone(), "cannot change roleRef");
        }
    }

    fn allow_create_on_update(&self) -> bool {
        true
    }
}

fn validate_subject(subject: &Value, namespaced: bool, path: &Path, errors: &mut Errors) {
    let (kind, name, group) = (subject.text("kind"), subject.text("name"), subject.text("apiGroup"));
    if name.is_empty() {
        errors.required(&path.child("name"), "");
    }
    match kind {
        "ServiceAccount" => {
            if !name.is_empty() {
                let found = names::errors(NameRule::Subdomain, name);
                errors.invalid_each(&path.child("name"), &subject["name"], found);
            }
            if !group.is_empty() {
                errors.unsupported(&path.child("apiGroup"), group, &[""]);
            }
            if !namespaced && subject.text("namespace").is_empty() {
                errors.required(&path.child("namespace"), "");
            }
        }
        "User" | "Group" => {
            if group != GROUP {
                errors.unsupported(&path.child("apiGroup"), group, &[GROUP]);
            }
        }
        other => errors.unsupported(&path.child("kind"), other, &["ServiceAccount", "User", "Group"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::{created, updated};

    #[test]
    fn groups_are_filled_in_and_the_role_stays() {
        let binding =
            json!({"roleRef": {"kind": "Role", "name": "r"}, "subjects": [{"kind": "User", "name": "jane"}]});
        assert_eq!(created(&RoleBinding { namespaced: true }, binding.clone()), "");
        assert_eq!(
            created(&RoleBinding { namespaced: false }, binding.clone()),
            "roleRef.kind: Unsupported value: \"Role\": supported values: \"ClusterRole\""
        );
        let mut other = binding.clone();
        other["roleRef"]["name"] = json!("s");
        assert!(
            updated(&RoleBinding { namespaced: true }, other, binding).ends_with(": cannot change roleRef")
        );
        assert_eq!(
            created(
                &RoleBinding { namespaced: false },
                json!({"roleRef": {"kind": "ClusterRole", "name": "r"}, "subjects": [{"kind": "ServiceAccount", "name": "s"}]})
            ),
            "subjects[0].namespace: Required value"
        );
    }
}
