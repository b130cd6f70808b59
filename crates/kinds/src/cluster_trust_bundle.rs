//! ClusterTrustBundles.

use std::borrow::Cow;

use apimachinery::ObjectExt;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use crate::certificate_signing_request::validate_signer;
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
        let signer = object["spec"].text("signerName");
        validate_name(object.name(), signer, errors);
        if !signer.is_empty() {
            validate_signer(signer, &SIGNER, errors);
        }
        validate_bundle(object["spec"].text("trustBundle"), errors);
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        self.validate(new, errors);
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
    let mut anchors: Vec<Vec<u8>> = Vec::new();
    let mut wrong = false;
    let mut rest = bundle;
    let mut index = 0;
    while let Some((kind, body, after)) = next_block(rest) {
        rest = after;
        let compact: String = body.chars().filter(|character| !character.is_whitespace()).collect();
        let why = match BASE64_STANDARD.decode(compact) {
            _ if kind != "CERTIFICATE" => Some(format!("entry {index} has bad block type: {kind}")),
            _ if body.contains(':') => Some(format!("entry {index} has PEM block headers")),
            // A certificate is a sequence, whose encoding begins with 0x30.
            Ok(der) if der.first() == Some(&0x30) => {
                if let Some(first) = anchors.iter().position(|other| *other == der) {
                    Some(format!("duplicate trust anchor (indices [{first} {index}])"))
                } else {
                    anchors.push(der);
                    None
                }
            }
            _ => Some(format!("entry {index} does not parse as X.509: x509: malformed certificate")),
        };
        if let Some(why) = why {
            wrong = true;
            errors.invalid(&BUNDLE, OMITTED, why);
        }
        index += 1;
    }
    if anchors.is_empty() && !wrong {
        errors.invalid(&BUNDLE, OMITTED, "at least one trust anchor must be provided");
    }
}

/// The kind and the content of the next PEM block, and what follows it.
pub(crate) fn next_block(text: &str) -> Option<(&str, &str, &str)> {
    let (_, rest) = text.split_once("-----BEGIN ")?;
    let (kind, rest) = rest.split_once("-----")?;
    let (body, rest) = rest.split_once(&format!("-----END {kind}-----"))?;
    Some((kind, body, rest))
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
        let good = block("CERTIFICATE", "MAA=");
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
                bundle("a", "", &format!("{good}{good}")),
                "spec.trustBundle: Invalid value: \"<value omitted>\": duplicate trust anchor (indices [0 1])",
            ),
        ] {
            assert_eq!(created(&ClusterTrustBundle, object), expected);
        }
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
