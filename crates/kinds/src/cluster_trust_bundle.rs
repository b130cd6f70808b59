//! ClusterTrustBundles.

use std::borrow::Cow;

use apimachinery::ObjectExt;
use serde_json::Value;

use crate::pem::Blocks;
use pod_strategy::signers;
use strategy::field::{Errors, Path};
use strategy::names;
use strategy::read::Read;
use strategy::{NameRule, Strategy, field_text};

/// The rules of ClusterTrustBundles.
pub struct ClusterTrustBundle;

const SIGNER: Path<'static> = Path::root("spec.signerName");
const BUNDLE: Path<'static> = Path::root("spec.trustBundle");
const LONGEST: usize = 1024 * 1024;
/// Certificates are not repeated in errors.
const OMITTED: &str = "<value omitted>";

impl Strategy for ClusterTrustBundle {
    /// The rest of the rule depends on the signer.
    fn name_rule(&self) -> NameRule {
        NameRule::PathSegment
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        validate_names(object, errors);
        validate_bundle(object["spec"].text("trustBundle"), errors);
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        let (spec, before) = (&new["spec"], &old["spec"]);
        validate_names(new, errors);
        // A bundle that stays is not read anew: readers of certificates may have become stricter.
        if spec["trustBundle"] != before["trustBundle"] {
            validate_bundle(spec.text("trustBundle"), errors);
        }
        errors.immutable(&SIGNER, &new["spec"]["signerName"], &old["spec"]["signerName"]);
    }

    fn selectable_fields(&self) -> &'static [&'static str] {
        &["spec.signerName"]
    }

    fn selectable_field<'a>(&self, object: &'a Value, name: &str) -> Option<Cow<'a, str>> {
        self.selectable_fields().contains(&name).then(|| field_text(object, name))
    }

    fn allow_unconditional_update(&self) -> bool {
        false
    }
}

fn validate_names(object: &Value, errors: &mut Errors) {
    let signer = object["spec"].text("signerName");
    validate_name(object.name(), signer, errors);
    if !signer.is_empty() {
        signers::validate(signer, &SIGNER, errors);
    }
}

/// A bundle of a signer is named after it.
fn validate_name(name: &str, signer: &str, errors: &mut Errors) {
    let path = Path::root("metadata.name");
    let rest = if signer.is_empty() {
        if name.contains(':') {
            let why = "ClusterTrustBundle without signer name must not have \":\" in its name";
            errors.invalid(&path, name, why);
            return;
        }
        name
    } else {
        let prefix = format!("{}:", signer.replace('/', ":"));
        let Some(rest) = name.strip_prefix(&prefix) else {
            let why =
                format!("ClusterTrustBundle for signerName {signer} must be named with prefix {prefix}");
            errors.invalid(&path, name, why);
            return;
        };
        rest
    };
    errors.invalid_each(&path, &Value::from(name), names::errors(NameRule::Subdomain, rest));
}

fn validate_bundle(bundle: &str, errors: &mut Errors) {
    if bundle.len() > LONGEST {
        errors.too_long(&BUNDLE, LONGEST);
        return;
    }
    // Each anchor and where it is given.
    let mut anchors: Vec<(Vec<u8>, Vec<usize>)> = Vec::new();
    let before = errors.len();
    for (index, block) in Blocks::of(bundle).enumerate() {
        let why = match block.certificate() {
            _ if block.kind != "CERTIFICATE" => format!("entry {index} has bad block type: {}", block.kind),
            _ if block.has_headers => format!("entry {index} has PEM block headers"),
            None => format!("entry {index} does not parse as X.509"),
            Some(certificate) if !certificate.is_ca() => {
                format!("entry {index} does not have the CA bit set")
            }
            Some(_) => {
                match anchors.iter_mut().find(|(der, _)| *der == block.der) {
                    Some((_, indices)) => indices.push(index),
                    None => anchors.push((block.der, vec![index])),
                }
                continue;
            }
        };
        errors.invalid(&BUNDLE, OMITTED, why);
    }
    // Where a block is wrong, what is missing or there twice may be a consequence.
    if errors.len() > before {
        return;
    }
    if anchors.is_empty() {
        errors.invalid(&BUNDLE, OMITTED, "at least one trust anchor must be provided");
    }
    for (_, indices) in anchors.into_iter().filter(|(_, indices)| indices.len() > 1) {
        let indices: Vec<String> = indices.iter().map(usize::to_string).collect();
        let why = format!("duplicate trust anchor (indices [{}])", indices.join(" "));
        errors.invalid(&BUNDLE, OMITTED, why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::{created, updated};

    fn bundle(name: &str, signer: &str, blocks: &str) -> Value {
        json!({"metadata": {"name": name}, "spec": {"signerName": signer, "trustBundle": blocks}})
    }

    #[test]
    fn bundles_are_named_after_their_signer_and_hold_certificates() {
        let block =
            |kind: &str, content: &str| format!("-----BEGIN {kind}-----\n{content}\n-----END {kind}-----\n");
        let made = |ca| {
            let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = ca;
            params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem()
        };
        let good = made(rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained));
        let leaf = made(rcgen::IsCa::ExplicitNoCa);
        for (object, expected) in [
            (bundle("a", "", &good), ""),
            (bundle("a.example:s:b", "a.example/s", &good), ""),
            (
                bundle("b", "a.example/s", &good),
                "metadata.name: Invalid value: \"b\": ClusterTrustBundle for signerName a.example/s must be named with prefix a.example:s:",
            ),
            (
                bundle("a:b", "", &good),
                "metadata.name: Invalid value: \"a:b\": ClusterTrustBundle without signer name must not have \":\" in its name",
            ),
            (
                bundle("a", "", ""),
                "spec.trustBundle: Invalid value: \"<value omitted>\": at least one trust anchor must be provided",
            ),
            (
                bundle("a", "", &block("PRIVATE KEY", "MAA=")),
                "spec.trustBundle: Invalid value: \"<value omitted>\": entry 0 has bad block type: PRIVATE KEY",
            ),
            (
                bundle("a", "", &format!("{good}{}", block("CERTIFICATE", "Key: value\n\nMAA="))),
                "spec.trustBundle: Invalid value: \"<value omitted>\": entry 1 has PEM block headers",
            ),
            (
                bundle("a", "", &block("CERTIFICATE", "MAA=")),
                "spec.trustBundle: Invalid value: \"<value omitted>\": entry 0 does not parse as X.509",
            ),
            (
                bundle("a", "", &format!("{good}{leaf}{good}")),
                "spec.trustBundle: Invalid value: \"<value omitted>\": entry 1 does not have the CA bit set",
            ),
            (
                bundle("a", "", &format!("{good}{good}")),
                "spec.trustBundle: Invalid value: \"<value omitted>\": duplicate trust anchor (indices [0 1])",
            ),
        ] {
            assert_eq!(created(&ClusterTrustBundle, object), expected);
        }
        // What is stored need not be read.
        let old = bundle("a", "", &leaf);
        assert_eq!(updated(&ClusterTrustBundle, old.clone(), old), "");
        assert!(
            updated(
                &ClusterTrustBundle,
                bundle("a.example:s:b", "a.example/s", &good),
                bundle("a.example:s:b", "", &good)
            )
            .ends_with("spec.signerName: Invalid value: \"a.example/s\": field is immutable")
        );
    }
}
