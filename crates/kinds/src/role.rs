//! Roles and ClusterRoles.

use serde_json::Value;

use strategy::field::{Errors, Path};
use strategy::read::Read;
use strategy::selectors;
use strategy::{NameRule, Strategy};

/// The rules of Roles and ClusterRoles.
pub struct Role {
    /// Whether it holds in one namespace.
    pub namespaced: bool,
}

impl Strategy for Role {
    fn name_rule(&self) -> NameRule {
        NameRule::PathSegment
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        validate_rules(object, self.namespaced, errors);
        if object.has("aggregationRule") {
            let path = Path::root("aggregationRule.clusterRoleSelectors");
            let wanted = object["aggregationRule"].items("clusterRoleSelectors");
            if wanted.is_empty() {
                errors.required(
                    &path,
                    "at least one clusterRoleSelector required if aggregationRule is non-nil",
                );
            }
            for (index, selector) in wanted.iter().enumerate() {
                selectors::validate(selector, &path.index(index), errors);
            }
        }
    }

    fn allow_create_on_update(&self) -> bool {
        true
    }
}

fn validate_rules(object: &Value, namespaced: bool, errors: &mut Errors) {
    for (index, rule) in object.items("rules").iter().enumerate() {
        let rules_path = Path::root("rules");
        let path = rules_path.index(index);
        if rule.items("verbs").is_empty() {
            errors.required(&path.child("verbs"), "verbs must contain at least one value");
        }
        if !rule.items("nonResourceURLs").is_empty() {
            let urls_path = path.child("nonResourceURLs");
            if namespaced {
                errors.invalid(
                    &urls_path,
                    rule["nonResourceURLs"].clone(),
                    "namespaced rules cannot apply to non-resource URLs",
                );
            }
            if ["apiGroups", "resources", "resourceNames"].iter().any(|key| !rule.items(key).is_empty()) {
                errors.invalid(
                    &urls_path,
                    rule["nonResourceURLs"].clone(),
                    "rules cannot apply to both regular resources and non-resource URLs",
                );
            }
            continue;
        }
        if rule.items("apiGroups").is_empty() {
            errors.required(&path.child("apiGroups"), "resource rules must supply at least one api group");
        }
        if rule.items("resources").is_empty() {
            errors.required(&path.child("resources"), "resource rules must supply at least one resource");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::created;

    #[test]
    fn rules_are_complete() {
        let rules = json!({"rules": [{"verbs": ["get"], "nonResourceURLs": ["/x"]}, {"apiGroups": [""]}]});
        assert_eq!(
            created(&Role { namespaced: true }, rules.clone()),
            "rules[0].nonResourceURLs: Invalid value: [\"/x\"]: namespaced rules cannot apply to non-resource URLs\nrules[1].verbs: Required value: verbs must contain at least one value\nrules[1].resources: Required value: resource rules must supply at least one resource"
        );
        assert!(!created(&Role { namespaced: false }, rules).contains("namespaced"));
    }
}
