//! FlowSchemas and PriorityLevelConfigurations.

use ::flow_control::bootstrap::{self, Made};
use serde_json::Value;

use strategy::field::{Errors, Path};
use strategy::read::{Read, same};
use strategy::write;
use strategy::{Keeps, NameRule, Strategy};

/// The rules of FlowSchemas.
pub struct FlowSchema;
/// The rules of PriorityLevelConfigurations.
pub struct PriorityLevelConfiguration;

const SPEC: Path<'static> = Path::root("spec");
/// Hashes have 64 bits; some of them are kept from what deals them out, as upstream.
const HASH_BITS: u32 = 60;
const MOST_QUEUES: i64 = 10_000_000;
const VERBS: [&str; 9] =
    ["create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"];
const KINDS: [&str; 3] = ["Group", "ServiceAccount", "User"];
/// What of either kind must be as it was made.
const FIXED: [&str; 2] = ["exempt", "catch-all"];

impl Strategy for FlowSchema {
    fn keeps(&self) -> Keeps {
        Keeps::StatusAndGeneration
    }

    fn status_alone(&self) -> bool {
        true
    }

    fn default(&self, object: &mut Value) {
        write::zero(write::ensure(object, "spec"), "matchingPrecedence", 1000);
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        let spec = &object["spec"];
        let precedence = spec.int("matchingPrecedence").unwrap_or(0);
        let path = SPEC.child("matchingPrecedence");
        if precedence <= 0 {
            errors.invalid(&path, precedence, "must be a positive value");
        } else if precedence > 10000 {
            errors.invalid(&path, precedence, "must not be greater than 10000");
        } else if precedence == 1 && object["metadata"].text("name") != "exempt" {
            errors.invalid(&path, precedence, "only the schema named 'exempt' may have matchingPrecedence 1");
        }
        if spec.has("distinguisherMethod") {
            let (method, path) = (&spec["distinguisherMethod"], SPEC.child("distinguisherMethod"));
            if !matches!(method.text("type"), "ByUser" | "ByNamespace") {
                errors.unsupported(&path.child("type"), method.clone(), &["ByNamespace", "ByUser"]);
            }
        }
        let level = spec["priorityLevelConfiguration"].text("name");
        let level_path = SPEC.child("priorityLevelConfiguration");
        let level_path = level_path.child("name");
        if level.is_empty() {
            errors.required(&level_path, "must reference a priority level");
        } else {
            let found = strategy::names::errors(NameRule::Subdomain, level);
            errors.invalid_each(&level_path, &Value::from(level), found);
        }
        for (index, rule) in spec.items("rules").iter().enumerate() {
            validate_rule(rule, &SPEC.child("rules").index(index), errors);
        }
        let name = object["metadata"].text("name");
        if FIXED.contains(&name) && !same(spec, &fixed(bootstrap::schemas(), name)) {
            errors.invalid(&SPEC, spec.clone(), format!("spec of '{name}' must equal the fixed value"));
        }
        validate_conditions(object, errors);
    }

    fn validate_status_update(&self, new: &Value, _old: &Value, errors: &mut Errors) {
        validate_conditions(new, errors);
    }
}

/// The spec of an object that every cluster has as it was made.
fn fixed(made: Vec<Made>, name: &str) -> Value {
    let mut mandatory = made.into_iter().filter(|made| made.mandatory);
    let found = mandatory.find(|made| made.object["metadata"].text("name") == name);
    found.map_or(Value::Null, |mut made| made.object["spec"].take())
}

/// Validates the conditions of either kind: each has a type of its own.
fn validate_conditions(object: &Value, errors: &mut Errors) {
    let conditions = object["status"].items("conditions");
    let status_path = Path::root("status");
    let list_path = status_path.child("conditions");
    for (index, condition) in conditions.iter().enumerate() {
        let (kind, path) = (condition.text("type"), list_path.index(index));
        if conditions[..index].iter().any(|other| other.text("type") == kind) {
            errors.duplicate(&path.child("type"), kind);
        }
        if kind.is_empty() {
            errors.required(&path.child("type"), "must not be empty");
        }
    }
}

fn validate_rule(rule: &Value, path: &Path<'_>, errors: &mut Errors) {
    let subjects = rule.items("subjects");
    if subjects.is_empty() {
        errors.required(&path.child("subjects"), "subjects must contain at least one value");
    }
    for (index, subject) in subjects.iter().enumerate() {
        validate_subject(subject, &path.child("subjects").index(index), errors);
    }
    let (resources, paths) = (rule.items("resourceRules"), rule.items("nonResourceRules"));
    if resources.is_empty() && paths.is_empty() {
        errors.required(path, "at least one of resourceRules and nonResourceRules has to be non-empty");
    }
    for (index, rule) in resources.iter().enumerate() {
        let list = path.child("resourceRules");
        let path = list.index(index);
        validate_verbs(rule, &path.child("verbs"), errors);
        let need = "resource rules must supply at least one api group";
        words(rule, "apiGroups", need, "api groups", &path, errors);
        let need = "resource rules must supply at least one resource";
        words(rule, "resources", need, "resources", &path, errors);
        let namespaces = rule.items("namespaces");
        if namespaces.is_empty() && rule["clusterScope"] != true {
            let need = "resource rules that are not cluster scoped must supply at least one namespace";
            errors.required(&path.child("namespaces"), need);
        } else if has_wildcard(namespaces) {
            words(rule, "namespaces", "", "namespaces", &path, errors);
        } else {
            for (index, namespace) in namespaces.iter().enumerate() {
                let found = strategy::names::errors(NameRule::Label, namespace.as_str().unwrap_or_default());
                let path = path.child("namespaces");
                for why in found {
                    let why = format!("each member of this list must be '*' or a DNS-1123 label; {why}");
                    errors.invalid(&path.index(index), namespace.clone(), why);
                }
            }
        }
    }
    for (index, rule) in paths.iter().enumerate() {
        let list = path.child("nonResourceRules");
        let path = list.index(index);
        validate_verbs(rule, &path.child("verbs"), errors);
        let need = "nonResourceURLs must contain at least one value";
        words(rule, "nonResourceURLs", need, "non-resource URLs", &path, errors);
        let urls = rule.items("nonResourceURLs");
        for (index, url) in urls.iter().enumerate().filter(|_| !has_wildcard(urls)) {
            let url = url.as_str().unwrap_or_default();
            if let Some(why) = wrong_url(url) {
                errors.invalid(&path.child("nonResourceURLs").index(index), url, why);
            }
        }
    }
}

fn validate_subject(subject: &Value, path: &Path<'_>, errors: &mut Errors) {
    let kind = subject.text("kind");
    let field = match kind {
        "ServiceAccount" => "serviceAccount",
        "User" => "user",
        "Group" => "group",
        _ => return errors.unsupported(&path.child("kind"), kind, &KINDS),
    };
    let (who, who_path) = (&subject[field], path.child(field));
    if !subject.has(field) {
        errors.required(&who_path, format!("{field} is required when subject kind is '{kind}'"));
    } else if kind == "ServiceAccount" {
        validate_account(who, &who_path, errors);
    } else if who.text("name").is_empty() {
        errors.required(&who_path.child("name"), "");
    }
    for (other, of) in [("serviceAccount", "ServiceAccount"), ("user", "User"), ("group", "Group")] {
        if other != field && subject.has(other) {
            let why = format!("{other} is forbidden when subject kind is not '{of}'");
            errors.forbidden(&path.child(other), why);
        }
    }
}

fn validate_account(account: &Value, path: &Path<'_>, errors: &mut Errors) {
    match account.text("name") {
        "" => errors.required(&path.child("name"), ""),
        "*" => {}
        name => {
            let found = strategy::names::errors(NameRule::Subdomain, name);
            errors.invalid_each(&path.child("name"), &account["name"], found);
        }
    }
    match account.text("namespace") {
        "" => errors.required(&path.child("namespace"), "must specify namespace for service account"),
        namespace => {
            let found = strategy::names::errors(NameRule::Label, namespace);
            errors.invalid_each(&path.child("namespace"), &account["namespace"], found);
        }
    }
}

fn has_wildcard(list: &[Value]) -> bool {
    list.iter().any(|word| word == "*")
}

/// A list that must have words, and nothing beside a wildcard.
fn words(rule: &Value, key: &str, need: &str, what: &str, path: &Path<'_>, errors: &mut Errors) {
    let list = rule.items(key);
    if list.is_empty() {
        errors.required(&path.child(key), need);
    } else if list.len() > 1 && has_wildcard(list) {
        let why = format!("if '*' is present, must not specify other {what}");
        errors.invalid(&path.child(key), rule[key].clone(), why);
    }
}

fn validate_verbs(rule: &Value, path: &Path<'_>, errors: &mut Errors) {
    let verbs = rule.items("verbs");
    let is_known = |verb: &Value| VERBS.iter().any(|known| verb == known);
    if verbs.is_empty() {
        errors.required(path, "verbs must contain at least one value");
    } else if has_wildcard(verbs) {
        if verbs.len() > 1 {
            let why = "if '*' is present, must not specify other verbs";
            errors.invalid(path, verbs.to_vec(), why);
        }
    } else if !verbs.iter().all(is_known) {
        errors.unsupported(path, verbs.to_vec(), &VERBS);
    }
}

fn wrong_url(url: &str) -> Option<&'static str> {
    if url.is_empty() {
        Some("must not be empty")
    } else if !url.starts_with('/') {
        Some("must start with slash")
    } else if url.contains(' ') {
        Some("must not contain white-space")
    } else if url.contains("//") {
        Some("must not contain double slash")
    } else if url.find('*').is_some_and(|at| at + 1 != url.len() || !url.ends_with("/*")) {
        Some("wildcard can only do suffix matching")
    } else {
        None
    }
}

impl Strategy for PriorityLevelConfiguration {
    fn keeps(&self) -> Keeps {
        Keeps::StatusAndGeneration
    }

    fn status_alone(&self) -> bool {
        true
    }

    fn default(&self, object: &mut Value) {
        let spec = write::ensure(object, "spec");
        if let Some(exempt) = write::object(spec, "exempt") {
            write::missing(exempt, "nominalConcurrencyShares", 0);
            write::missing(exempt, "lendablePercent", 0);
        }
        if let Some(limited) = write::object(spec, "limited") {
            write::missing(limited, "nominalConcurrencyShares", 30);
            write::missing(limited, "lendablePercent", 0);
            if let Some(response) = write::object(limited, "limitResponse")
                && let Some(queuing) = write::object(response, "queuing")
            {
                write::zero(queuing, "handSize", 8);
                write::zero(queuing, "queues", 64);
                write::zero(queuing, "queueLengthLimit", 50);
            }
        }
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        let spec = &object["spec"];
        let kind = spec.text("type");
        if (object["metadata"].text("name") == "exempt") != (kind == "Exempt") {
            let why = "type must be 'Exempt' if and only if name is 'exempt'";
            errors.invalid(&SPEC.child("type"), kind, why);
        }
        match kind {
            "Exempt" => {
                if spec.has("limited") {
                    errors.forbidden(&SPEC.child("limited"), "must be nil if the type is not Limited");
                }
                validate_shares(&spec["exempt"], &SPEC.child("exempt"), errors);
                validate_lendable(&spec["exempt"], &SPEC.child("exempt"), errors);
            }
            "Limited" => {
                if spec.has("exempt") {
                    errors.forbidden(&SPEC.child("exempt"), "must be nil if the type is Limited");
                }
                let path = SPEC.child("limited");
                if spec.has("limited") {
                    validate_limited(&spec["limited"], &path, errors);
                } else {
                    errors.required(&path, "must not be empty when type is Limited");
                }
            }
            other => errors.unsupported(&SPEC.child("type"), other, &["Exempt", "Limited"]),
        }
        validate_fixed_level(object["metadata"].text("name"), spec, errors);
        validate_conditions(object, errors);
    }

    fn validate_status_update(&self, new: &Value, _old: &Value, errors: &mut Errors) {
        validate_conditions(new, errors);
    }
}

/// Of the levels that every cluster has, only how much the exempt one lends may change.
fn validate_fixed_level(name: &str, spec: &Value, errors: &mut Errors) {
    if !FIXED.contains(&name) {
        return;
    }
    let (mut fixed, mut what) = (fixed(bootstrap::levels(), name), "");
    if name == "exempt" {
        write::copy(&mut fixed, "exempt", spec);
        what = " except the 'spec.exempt' field";
    }
    if !same(spec, &fixed) {
        errors.invalid(&SPEC, spec.clone(), format!("spec of '{name}'{what} must equal the fixed value"));
    }
}

fn validate_shares(part: &Value, path: &Path<'_>, errors: &mut Errors) {
    if let Some(shares) = part.int("nominalConcurrencyShares").filter(|shares| *shares < 0) {
        errors.invalid(&path.child("nominalConcurrencyShares"), shares, "must be a non-negative integer");
    }
}

fn validate_lendable(part: &Value, path: &Path<'_>, errors: &mut Errors) {
    if let Some(percent) = part.int("lendablePercent").filter(|percent| !(0..=100).contains(percent)) {
        errors.invalid(&path.child("lendablePercent"), percent, "must be between 0 and 100, inclusive");
    }
}

fn validate_limited(limited: &Value, path: &Path<'_>, errors: &mut Errors) {
    validate_shares(limited, path, errors);
    validate_response(&limited["limitResponse"], &path.child("limitResponse"), errors);
    validate_lendable(limited, path, errors);
    if let Some(percent) = limited.int("borrowingLimitPercent").filter(|percent| *percent < 0) {
        let why = "if specified, must be a non-negative integer";
        errors.invalid(&path.child("borrowingLimitPercent"), percent, why);
    }
}

fn validate_response(response: &Value, path: &Path<'_>, errors: &mut Errors) {
    match response.text("type") {
        "Reject" => {
            if response.has("queuing") {
                let why = "must be nil if limited.limitResponse.type is not Limited";
                errors.forbidden(&path.child("queuing"), why);
            }
        }
        "Queue" if response.has("queuing") => {
            validate_queuing(&response["queuing"], &path.child("queuing"), errors);
        }
        "Queue" => {
            let why = "must not be empty if limited.limitResponse.type is Limited";
            errors.required(&path.child("queuing"), why);
        }
        other => errors.unsupported(&path.child("type"), other, &["Queue", "Reject"]),
    }
}

fn validate_queuing(queuing: &Value, path: &Path<'_>, errors: &mut Errors) {
    let number = |key| queuing.int(key).unwrap_or(0);
    let (length, queues, hand) = (number("queueLengthLimit"), number("queues"), number("handSize"));
    if length <= 0 {
        errors.invalid(&path.child("queueLengthLimit"), length, "must be positive");
    }
    if queues <= 0 {
        errors.invalid(&path.child("queues"), queues, "must be positive");
    } else if queues > MOST_QUEUES {
        let why = format!("must not be greater than {MOST_QUEUES}");
        errors.invalid(&path.child("queues"), queues, why);
    }
    let path = path.child("handSize");
    if hand <= 0 {
        errors.invalid(&path, hand, "must be positive");
    } else if hand > queues {
        errors.invalid(&path, hand, format!("should not be greater than queues ({queues})"));
    } else if entropy_bits(queues, hand) > HASH_BITS {
        let why = format!(
            "required entropy bits of deckSize {queues} and handSize {hand} should not be greater than {HASH_BITS}"
        );
        errors.invalid(&path, hand, why);
    }
}

/// How many bits it takes to tell all hands of so many queues apart.
fn entropy_bits(queues: i64, hand: i64) -> u32 {
    // No hand of more than 64 could be told apart: two queues left are a bit each.
    let bits: f64 = (0..hand.min(64)).map(|held| ((queues - held) as f64).log2()).sum();
    bits.ceil() as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::created;

    fn schema(change: Value) -> String {
        let mut spec = json!({
            "priorityLevelConfiguration": {"name": "l"},
            "rules": [{
                "subjects": [{"kind": "User", "user": {"name": "u"}}],
                "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["/a/*"]}],
            }],
        });
        spec.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        created(&FlowSchema, json!({"metadata": {"name": "s"}, "spec": spec}))
    }

    fn rule(change: Value) -> String {
        let mut rule = json!({
            "subjects": [{"kind": "User", "user": {"name": "u"}}],
            "resourceRules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "namespaces": ["n"]}],
        });
        rule.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        schema(json!({"rules": [rule]}))
    }

    #[test]
    fn schemas_say_whom_and_what_they_take() {
        let resource = |change: Value| {
            let mut of =
                json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "namespaces": ["n"]});
            of.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            rule(json!({"resourceRules": [of]}))
        };
        let url =
            |url: &str| rule(json!({"nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": [url]}]}));
        for (found, expected) in [
            (schema(json!({})), ""),
            (
                schema(json!({"matchingPrecedence": 1})),
                "spec.matchingPrecedence: Invalid value: 1: only the schema named 'exempt' may have matchingPrecedence 1",
            ),
            (
                schema(json!({"matchingPrecedence": 10001})),
                "spec.matchingPrecedence: Invalid value: 10001: must not be greater than 10000",
            ),
            (
                rule(json!({"subjects": [{"kind": "Group", "user": {"name": "u"}}]})),
                "spec.rules[0].subjects[0].group: Required value: group is required when subject kind is 'Group'\n\
                 spec.rules[0].subjects[0].user: Forbidden: user is forbidden when subject kind is not 'User'",
            ),
            (
                rule(json!({"subjects": [{"kind": "ServiceAccount", "serviceAccount": {"name": "a"}}]})),
                "spec.rules[0].subjects[0].serviceAccount.namespace: Required value: must specify namespace for service account",
            ),
            (resource(json!({})), ""),
            (
                resource(json!({"verbs": ["*", "get"]})),
                "spec.rules[0].resourceRules[0].verbs: Invalid value: [\"*\",\"get\"]: if '*' is present, must not specify other verbs",
            ),
            (
                resource(json!({"namespaces": []})),
                "spec.rules[0].resourceRules[0].namespaces: Required value: resource rules that are not cluster scoped must supply at least one namespace",
            ),
            (
                resource(json!({"resources": []})),
                "spec.rules[0].resourceRules[0].resources: Required value: resource rules must supply at least one resource",
            ),
            (url("/healthz"), ""),
            (
                url("healthz"),
                "spec.rules[0].nonResourceRules[0].nonResourceURLs[0]: Invalid value: \"healthz\": must start with slash",
            ),
            (
                url("/a*/b"),
                "spec.rules[0].nonResourceRules[0].nonResourceURLs[0]: Invalid value: \"/a*/b\": wildcard can only do suffix matching",
            ),
        ] {
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn levels_can_be_dealt_out() {
        let level = |name: &str, spec: Value| {
            created(&PriorityLevelConfiguration, json!({"metadata": {"name": name}, "spec": spec}))
        };
        let queues = |queues: i64, hand: i64| {
            let queuing = json!({"queues": queues, "handSize": hand, "queueLengthLimit": 5});
            level(
                "l",
                json!({"type": "Limited", "limited": {"limitResponse": {"type": "Queue", "queuing": queuing}}}),
            )
        };
        let path = "spec.limited.limitResponse.queuing";
        for (found, expected) in [
            (queues(64, 8), String::new()),
            (
                queues(4, 8),
                format!("{path}.handSize: Invalid value: 8: should not be greater than queues (4)"),
            ),
            (
                queues(1024, 7),
                format!(
                    "{path}.handSize: Invalid value: 7: required entropy bits of deckSize 1024 and handSize 7 should not be greater than 60"
                ),
            ),
            (
                queues(10_000_001, 1),
                format!("{path}.queues: Invalid value: 10000001: must not be greater than 10000000"),
            ),
            (
                level(
                    "l",
                    json!({"type": "Limited", "limited": {"lendablePercent": 101, "limitResponse": {"type": "Reject"}}}),
                ),
                "spec.limited.lendablePercent: Invalid value: 101: must be between 0 and 100, inclusive"
                    .into(),
            ),
            (
                level("l", json!({"type": "Exempt"})),
                "spec.type: Invalid value: \"Exempt\": type must be 'Exempt' if and only if name is 'exempt'"
                    .into(),
            ),
            (level("exempt", json!({"type": "Exempt"})), String::new()),
        ] {
            assert_eq!(found, expected);
        }
    }
}
