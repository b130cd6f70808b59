//! Names like `acme.io/foo`: a domain that somebody owns, and a path below it.

use serde_json::Value;

use apimachinery::names::dns1123_subdomain_errors;
use strategy::field::{Errors, Path};

/// Validates a path that is prefixed by a domain.
pub(crate) fn validate(text: &str, path: &Path, errors: &mut Errors) {
    if text.is_empty() {
        errors.required(path, "");
        return;
    }
    match text.split_once('/') {
        Some((domain, rest)) if !domain.is_empty() && !rest.is_empty() => {
            errors.invalid_each(path, &Value::from(domain), dns1123_subdomain_errors(domain));
            if !rest.bytes().all(is_of_path) {
                errors.invalid(
                    path,
                    rest,
                    "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')",
                );
            }
        }
        _ => errors.invalid(path, text, "must be a domain-prefixed path (such as \"acme.io/foo\")"),
    }
}

fn is_of_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use strategy::testing::found;

    #[test]
    fn a_domain_comes_first() {
        let check = |text: &str| found(|errors| validate(text, &Path::root("p"), errors));
        assert_eq!(check("acme.io/foo/bar"), "");
        assert_eq!(check(""), "p: Required value");
        assert_eq!(
            check("foo"),
            "p: Invalid value: \"foo\": must be a domain-prefixed path (such as \"acme.io/foo\")"
        );
        assert!(check("Acme/foo").starts_with("p: Invalid value: \"Acme\": a lowercase RFC 1123 subdomain"));
        assert!(check("acme.io/a b").contains("Invalid path"));
    }
}
