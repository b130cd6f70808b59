//! LeaseCandidates: servers that would lead, and which versions they are.

use cel::Version;
use serde_json::Value;

use crate::lease::{OLDEST, validate_strategy};
use strategy::Strategy;
use strategy::field::{Errors, Path};
use strategy::read::Read;

/// The rules of LeaseCandidates.
pub struct LeaseCandidate;

const SPEC: Path<'static> = Path::root("spec");

impl Strategy for LeaseCandidate {
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
        if let (Some(binary), Some(emulated)) = (&binary, &emulated)
            && binary.order(emulated).is_lt()
        {
            let why = "must be greater than or equal to `emulationVersion`";
            errors.invalid(&SPEC.child("binaryVersion"), spec.text("binaryVersion"), why);
        }
        let strategy = spec.text("strategy");
        if strategy.is_empty() {
            errors.required(&SPEC.child("strategy"), "");
            return;
        }
        if strategy == OLDEST && emulated.is_none() {
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
            check("1.35.0", "1.36.0"),
            "spec.binaryVersion: Invalid value: \"1.35.0\": must be greater than or equal to `emulationVersion`"
        );
        assert_eq!(
            check("new", ""),
            "spec.binaryVersion: Invalid value: \"new\": must be a valid semantic version\nspec.emulationVersion: Required value: must be specified when `strategy` is 'OldestEmulationVersion'"
        );
    }
}
