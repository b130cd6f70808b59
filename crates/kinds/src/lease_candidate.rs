//! LeaseCandidates: servers that would lead, and which versions they are.

use cel::Version;
use serde_json::Value;

use crate::lease::{OLDEST, validate_strategy};
use strategy::field::{Errors, Path};
use strategy::read::Read;
use strategy::{NameRule, Strategy};

/// The rules of LeaseCandidates.
pub struct LeaseCandidate;

const SPEC: Path<'static> = Path::root("spec");

impl Strategy for LeaseCandidate {
    fn name_rule(&self) -> NameRule {
        NameRule::ConfigKey
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        let spec = &object["spec"];
        if spec.text("leaseName").is_empty() {
            errors.required(&SPEC.child("leaseName"), "");
        }
        let emulated = version(spec, "emulationVersion", errors);
        if spec.text("binaryVersion").is_empty() {
            errors.required(&SPEC.child("binaryVersion"), "");
        }
        let binary = version(spec, "binaryVersion", errors);
        // What cannot be read is version 0.0.0 to upstream, as it is to itself.
        let zero = Version::parse("0.0.0", false).ok();
        let is_older = match (binary.as_ref().or(zero.as_ref()), &emulated) {
            (Some(binary), Some(emulated)) => binary.order(emulated).is_lt(),
            _ => false,
        };
        if is_older && !spec.text("binaryVersion").is_empty() {
            let why = "must be greater than or equal to `emulationVersion`";
            errors.invalid(&SPEC.child("binaryVersion"), spec.text("binaryVersion"), why);
        }
        let strategy = spec.text("strategy");
        if strategy.is_empty() {
            errors.required(&SPEC.child("strategy"), "");
            return;
        }
        let says_none = match (&emulated, &zero) {
            (Some(emulated), Some(zero)) => emulated.order(zero).is_eq(),
            _ => true,
        };
        if strategy == OLDEST && says_none {
            let why = "must be specified when `strategy` is 'OldestEmulationVersion'";
            errors.required(&SPEC.child("emulationVersion"), why);
        }
        validate_strategy(strategy, &SPEC.child("strategy"), errors);
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        self.validate(new, errors);
        let key = "leaseName";
        errors.immutable(&SPEC.child(key), &new["spec"][key], &old["spec"][key]);
    }

    fn allow_create_on_update(&self) -> bool {
        true
    }

    fn allow_unconditional_update(&self) -> bool {
        false
    }
}

/// The version in a field, if there is one.
fn version(spec: &Value, key: &str, errors: &mut Errors) -> Option<Version> {
    let text = spec.text(key);
    if text.is_empty() {
        return None;
    }
    let version = Version::parse(text, false).ok();
    if version.is_none() {
        errors.invalid(&SPEC.child(key), text, "must be a valid semantic version");
    }
    version
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::created;

    #[test]
    fn candidates_say_which_version_they_are() {
        let check = |binary: &str, emulated: &str| {
            created(
                &LeaseCandidate,
                json!({"spec": {"leaseName": "l", "strategy": OLDEST, "binaryVersion": binary, "emulationVersion": emulated}}),
            )
        };
        assert_eq!(check("1.36.0", "1.35.0"), "");
        assert_eq!(
            check("new", "1.35.0"),
            "spec.binaryVersion: Invalid value: \"new\": must be a valid semantic version\n\
             spec.binaryVersion: Invalid value: \"new\": must be greater than or equal to `emulationVersion`"
        );
        let must = "spec.emulationVersion: Required value: must be specified when `strategy` is 'OldestEmulationVersion'";
        assert_eq!(check("1.36.0", "0.0.0"), must);
        assert_eq!(
            check("1.35.0", "1.36.0"),
            "spec.binaryVersion: Invalid value: \"1.35.0\": must be greater than or equal to `emulationVersion`"
        );
        assert_eq!(
            check("new", ""),
            "spec.binaryVersion: Invalid value: \"new\": must be a valid semantic version\nspec.emulationVersion: Required value: must be specified when `strategy` is 'OldestEmulationVersion'"
        );
    }

    #[test]
    fn candidates_have_names_of_servers() {
        let spec = json!({"leaseName": "l", "strategy": "a.example/b", "binaryVersion": "1.36.0"});
        let create = |name: &str| {
            let mut object = json!({"metadata": {"name": name, "namespace": "n"}, "spec": spec});
            crate::create(&LeaseCandidate, true, &mut object)
                .iter()
                .map(|error| error.body())
                .collect::<Vec<_>>()
        };
        assert!(create("Server_1.").is_empty());
        assert!(create("a/b")[0].contains("a valid config key must consist of"));
    }
}
