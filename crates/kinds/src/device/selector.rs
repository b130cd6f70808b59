//! Validation of the expressions that choose devices.

use cel::types::{Place, Record, Type};
use cel::{Environment, Program};
use serde_json::Value;

use super::{Judged, LONGEST_DRIVER, MAX_ITEMS, lists};
use strategy::field::{Errors, Path};
use strategy::read::Read;

const LONGEST: usize = 10 * 1024;
/// What one run of an expression may cost, in upstream's unit.
const MOST_COST: u64 = 1_000_000;
/// Attributes and capacities that a device may have: so many domains, and so many names in one.
const MOST_FACTS: u64 = 32;
const LONGEST_ATTRIBUTE: u64 = 64;
const LONGEST_DOMAIN: u64 = 63;
const LONGEST_NAME: u64 = 32;

/// What expressions may say of a device: attributes and capacities by the domain that defines them, and by name.
fn of_devices<'t>() -> Environment<'t> {
    let of_domain = |place| Place::map(place, MOST_FACTS).with_keys(LONGEST_NAME);
    let facts = |of_domain| Place::map(of_domain, MOST_FACTS).with_keys(LONGEST_DOMAIN);
    let attributes = of_domain(Place::sized(Type::Dyn, LONGEST_ATTRIBUTE)).with_names();
    let fields = vec![
        ("driver", Place::sized(Type::String, LONGEST_DRIVER as u64)),
        ("attributes", facts(attributes)),
        ("capacity", facts(of_domain(Place::sized(Type::Opaque("kubernetes.Quantity"), 0)))),
        ("allowMultipleAllocations", Place::sized(Type::Bool, 1)),
    ];
    Environment::new().with("device", Record::of("kubernetes.DRADevice", fields))
}

/// Validates the expressions that choose devices.
pub(super) fn validate(selectors: &[Value], judged: Judged, path: &Path, errors: &mut Errors) {
    lists::each(selectors, MAX_ITEMS, path, errors, |selector, path, errors| {
        let path = path.child("cel");
        if !selector.has("cel") {
            errors.required(&path, "");
        } else if judged == Judged::New {
            validate_expression(selector["cel"].text("expression"), &path.child("expression"), errors);
        }
    });
}

fn validate_expression(expression: &str, path: &Path, errors: &mut Errors) {
    if expression.len() > LONGEST {
        errors.too_long(path, LONGEST);
        return;
    }
    match Program::check(expression, &of_devices()) {
        Err(error) => errors.invalid(path, expression, format!("compilation failed: {error}")),
        // What an attribute is, is known when there is a device.
        Ok(checked) if !matches!(checked.output, Type::Bool) && !checked.output.is_dyn() => {
            let why = format!("must evaluate to bool or the unknown type, not {}", checked.output);
            errors.invalid(path, expression, why);
        }
        Ok(checked) if checked.cost.max > MOST_COST => {
            errors.forbidden(path, "too complex, exceeds cost limit");
        }
        Ok(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::found;

    fn check(expression: &str) -> String {
        let selectors = json!([{"cel": {"expression": expression}}]);
        let path = Path::root("s");
        found(|errors| {
            validate(selectors.as_array().map(Vec::as_slice).unwrap_or_default(), Judged::New, &path, errors)
        })
    }

    #[test]
    fn expressions_say_whether_a_device_is_wanted() {
        let long = format!("true{}", " ".repeat(LONGEST));
        let ten = "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]";
        let nested = ["x", "y", "z", "z2", "z3", "z4", "z5"]
            .iter()
            .rev()
            .fold("int('1'.find('[0-9]*')) < 100".to_owned(), |inner, name| {
                format!("{ten}.all({name}, {inner})")
            });
        for (expression, expected) in [
            ("device.attributes['a.example'].oneBool", ""),
            ("cel.bind(a, device.attributes['a.example'], a.oneBool && a.other)", ""),
            ("device.driver == 'a.example' && device.attributes['a.example'].model == 'x'", ""),
            ("device.capacity['a.example'].memory.compareTo(quantity('1Gi')) >= 0", ""),
            ("device.attributes['a.example'].version.isGreaterThan(semver('0.0.1'))", ""),
            ("device.attributes['a.example'].services.matches('[^a]?sym')", ""),
            ("device.attributes.exists_one(x, x == 'a.example')", ""),
            ("device.allowMultipleAllocations == true", ""),
            ("device.driver", "must evaluate to bool or the unknown type, not string"),
            ("1", "must evaluate to bool or the unknown type, not int"),
        ] {
            let expected = match expected {
                "" => String::new(),
                why => format!("s[0].cel.expression: Invalid value: \"{expression}\": {why}"),
            };
            assert_eq!(check(expression), expected, "{expression}");
        }
        assert!(check("device.nothing == 1").contains("undefined field 'nothing'"));
        let nothing = "s[0].cel.expression: Invalid value: \"\": compilation failed: ERROR: <input>:1:1: Syntax error: mismatched input '<EOF>' expecting ";
        assert!(check("").starts_with(nothing) && !check("").contains('\n'), "{}", check(""));
        let by_name = "device.attributes.noDomain.exists(x, x == 'model')";
        assert_eq!(check(by_name), "s[0].cel.expression: Forbidden: too complex, exceeds cost limit");
        assert_eq!(check(&long), "s[0].cel.expression: Too long: may not be more than 10240 bytes");
        assert_eq!(check(&nested), "s[0].cel.expression: Forbidden: too complex, exceeds cost limit");
    }

    #[test]
    fn expressions_cost_as_much_as_upstream_says() {
        for (expression, expected) in [
            ("true", 0),
            ("device.attributes['no-such-domain'].noSuchAttr.isGreaterThan(quantity('0'))", 6),
            ("'dra.example.com' in device.attributes", 3),
            ("device.attributes.exists_one(x, x == 'dra.example.com')", 164),
            ("device.attributes['dra.example.com'].exists_one(x, x == 'services')", 133),
            ("device.capacity.exists_one(x, x == 'dra.example.com')", 164),
            ("device.capacity['dra.example.com'].exists_one(x, x == 'memory')", 133),
            ("cel.bind(dra, device.attributes['dra.example.com'], dra.name)", 15),
            (
                "device.attributes['dra.example.com'].name.isGreaterThan(semver('v0.0.1', true)) && isSemver('v1.0.0', true)",
                7,
            ),
            (
                "'name' in device.capacity['dra.example.com'] && device.capacity['dra.example.com'].name.isGreaterThan(quantity('1Ki'))",
                10,
            ),
            (
                "!('name' in device.capacity['dra.example.com']) || device.capacity['dra.example.com'].name.isGreaterThan(quantity('1Ki'))",
                11,
            ),
            ("device.attributes['dra.example.com'].name.exists(x, x > 0)", 5 + 6 * 64),
            ("device.attributes['dra.example.com'].names.all(x, x != '')", 5 + 4 * 64),
            ("1 in device.attributes['dra.example.com'].names", 4 + 64),
            ("device.driver == ''", 2),
            ("device.driver == 'dra.example.com'", 4),
            ("device.attributes['dra.example.com']['name']", 4),
            ("device.attributes['dra.example.com'].name == 'fish'", 5),
            ("device.capacity['dra.example.com'].name.isGreaterThan(quantity('1Ki'))", 6),
            ("device.attributes['dra.example.com'].services.split('example').size() >= 2", 19),
            ("device.attributes['dra.example.com'].services.matches('[^a]?sym')", 18),
            ("device.allowMultipleAllocations == true", 3),
        ] {
            let checked = Program::check(expression, &of_devices()).unwrap();
            assert_eq!(checked.cost.max, expected, "{expression}");
        }
    }
}
