//! Names of signers of certificates, `example.com/name`, and of the bundles of those who trust them.

use serde_json::Value;

use strategy::NameRule;
use strategy::field::{Errors, Path};
use strategy::names;

const LONGEST_DOMAIN: usize = 253;
/// A domain, a slash, and a path of at most five labels.
const LONGEST_SIGNER: usize = 571;

/// Validates the name of a signer.
pub fn validate(name: &str, path: &Path, errors: &mut Errors) {
    if name.is_empty() {
        errors.required(path, "");
        return;
    }
    let [domain, rest] = name.split('/').collect::<Vec<_>>()[..] else {
        let why = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
        errors.invalid(path, name, why);
        return;
    };
    if domain.len() > LONGEST_DOMAIN {
        errors.too_long(path, LONGEST_DOMAIN);
    }
    validate_parts(domain, NameRule::Label, path, errors);
    if !domain.contains('.') {
        errors.invalid(path, domain, "should be a domain with at least two segments separated by dots");
    }
    validate_parts(rest, NameRule::Subdomain, path, errors);
    if name.len() > LONGEST_SIGNER {
        errors.too_long(path, LONGEST_SIGNER);
    }
}

/// Validates what stands between dots, up to the first that is wrong.
fn validate_parts(text: &str, rule: NameRule, path: &Path, errors: &mut Errors) {
    for part in text.split('.') {
        let found = names::errors(rule, part);
        if !found.is_empty() {
            let found = found.iter().map(|why| format!("validating label {part:?}: {why}"));
            errors.invalid_each(path, &Value::from(text), found);
            return;
        }
    }
}

/// Whether a signer is of the project's own domain.
pub fn is_own(signer: &str) -> bool {
    let domain = signer.split('/').next().unwrap_or_default();
    domain == "kubernetes.io" || domain.ends_with(".kubernetes.io")
}

/// What is wrong with the name of a ClusterTrustBundle, which may begin with its signer's; empty when nothing is.
pub fn bundle_name_errors(name: &str) -> Vec<String> {
    match name.rsplit_once(':') {
        Some(("", _)) => {
            let mut found =
                vec!["ClusterTrustBundle without signer name must not have \":\" in its name".to_owned()];
            found.extend(names::errors(NameRule::Subdomain, name));
            found
        }
        Some((_, rest)) => names::errors(NameRule::Subdomain, rest),
        None => names::errors(NameRule::Subdomain, name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strategy::testing::found;

    #[test]
    fn signers_are_a_path_in_a_domain() {
        let form = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
        let label = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
        let subdomain = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
        for (signer, expected) in [
            ("example.com/a.b", String::new()),
            ("", "s: Required value".to_owned()),
            ("a/b/c", format!("s: Invalid value: \"a/b/c\": {form}")),
            (
                "example/A.b",
                format!(
                    "s: Invalid value: \"example\": should be a domain with at least two segments separated by dots\n\
                     s: Invalid value: \"A.b\": validating label \"A\": {subdomain}"
                ),
            ),
            ("Ex_.B.com/a", format!("s: Invalid value: \"Ex_.B.com\": validating label \"Ex_\": {label}")),
        ] {
            assert_eq!(found(|errors| validate(signer, &Path::root("s"), errors)), expected, "{signer}");
        }
        let long = format!("{}.com/a", "a.".repeat(125));
        let text = found(|errors| validate(&long, &Path::root("s"), errors));
        assert!(text.starts_with("s: Too long: may not be more than 253 bytes"), "{text}");
    }
}
