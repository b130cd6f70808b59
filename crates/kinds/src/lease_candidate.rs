//! LeaseCandidates: servers that would lead, and which versions they are.

use serde_json::Value;

use strategy::Strategy;
use strategy::field::{Errors, Path};
use strategy::read::Read;

/// The rules of LeaseCandidates.
pub struct LeaseCandidate;

const SPEC: Path<'static> = Path::root("spec");
const OLDEST: &str = "OldestEmulationVersion";

impl Strategy for LeaseCandidate {
    fn validate(&self, object: &Value, errors: &mut Errors) {
        let spec = &object["spec"];
        for key in ["leaseName", "binaryVersion", "strategy"] {
            if spec.text(key).is_empty() {
                errors.required(&SPEC.child(key), "");
            }
        }
        let strategy = spec.text("strategy");
        if strategy == OLDEST && spec.text("emulationVersion").is_empty() {
            let why = "must be specified when `strategy` is 'OldestEmulationVersion'";
            errors.required(&SPEC.child("emulationVersion"), why);
        }
        for key in ["binaryVersion", "emulationVersion"] {
            let version = spec.text(key);
            if !version.is_empty() && parts(version).is_none() {
                let why = format!("could not parse {version:?} as version");
                errors.invalid(&SPEC.child(key), version, why);
            }
        }
        let (binary, emulated) = (parts(spec.text("binaryVersion")), parts(spec.text("emulationVersion")));
        if let (Some(binary), Some(emulated)) = (binary, emulated)
            && binary < emulated
        {
            let why = "must be greater than or equal to `emulationVersion`";
            errors.invalid(&SPEC.child("binaryVersion"), spec.text("binaryVersion"), why);
        }
        if !matches!(strategy, "" | OLDEST) && !strategy.contains('/') {
            errors.unsupported(&SPEC.child("strategy"), strategy, &[OLDEST]);
        }
    }

    fn allow_create_on_update(&self) -> bool {
        true
    }

    fn allow_unconditional_update(&self) -> bool {
        false
    }
}

/// The numbers of a version, missing ones zero; nothing where it is none.
fn parts(version: &str) -> Option<[u32; 3]> {
    let mut parts = [0; 3];
    let text = version.strip_prefix('v').unwrap_or(version);
    let numbers: Vec<&str> = text.split(['-', '+']).next()?.split('.').collect();
    if !(2..=3).contains(&numbers.len()) {
        return None;
    }
    for (part, number) in parts.iter_mut().zip(numbers) {
        *part = number.parse().ok()?;
    }
    Some(parts)
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
            check("1.35.0", "1.36"),
            "spec.binaryVersion: Invalid value: \"1.35.0\": must be greater than or equal to `emulationVersion`"
        );
        assert_eq!(
            check("new", ""),
            "spec.emulationVersion: Required value: must be specified when `strategy` is 'OldestEmulationVersion'\nspec.binaryVersion: Invalid value: \"new\": could not parse \"new\" as version"
        );
    }
}
