//! Validation of where a webhook is: an address, or a service of the cluster.

use serde_json::Value;

use apimachinery::names::dns1123_subdomain_errors;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::pem::Blocks;
use strategy::field::{Errors, Path};
use strategy::read::Read;

const FORM: &str = "; desired format: https://host[/path]";

/// Validates a `clientConfig`, which has one of both.
pub(crate) fn validate(config: &Value, path: &Path, errors: &mut Errors) {
    match (config.has("url"), config.has("service")) {
        (true, false) => validate_url(config.text("url"), &path.child("url"), errors),
        (false, true) => validate_service(&config["service"], &path.child("service"), errors),
        _ => errors.required(path, "exactly one of url or service is required"),
    }
}

fn validate_url(url: &str, path: &Path, errors: &mut Errors) {
    let (url, fragment) = url.split_once('#').unwrap_or((url, ""));
    let (url, query) = url.split_once('?').unwrap_or((url, ""));
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = match scheme {
        "" => "",
        _ => rest.split('/').next().unwrap_or_default(),
    };
    let (user, host) =
        authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    if scheme != "https" {
        errors.invalid(path, scheme, format!("'https' is the only allowed URL scheme{FORM}"));
    }
    if host.is_empty() {
        errors.invalid(path, host, format!("host must be specified{FORM}"));
    }
    if let Some(user) = user {
        errors.invalid(path, user, "user information is not permitted in the URL");
    }
    if !fragment.is_empty() {
        errors.invalid(path, fragment, "fragments are not permitted in the URL");
    }
    if !query.is_empty() {
        errors.invalid(path, query, "query parameters are not permitted in the URL");
    }
}

fn validate_service(service: &Value, path: &Path, errors: &mut Errors) {
    for key in ["name", "namespace"] {
        if service.text(key).is_empty() {
            errors.required(&path.child(key), format!("service {key} is required"));
        }
    }
    if let Some(port) = service.int("port").filter(|port| !(1..=65535).contains(port)) {
        errors.invalid(
            &path.child("port"),
            port,
            "port is not valid: must be between 1 and 65535, inclusive",
        );
    }
    let text = service.text("path");
    if matches!(text, "" | "/") {
        return;
    }
    let path = path.child("path");
    if text == "//" {
        errors.invalid(&path, text, "segment[0] may not be empty");
        return;
    }
    if !text.starts_with('/') {
        errors.invalid(&path, text, "must start with a '/'");
    }
    let inner = text.strip_prefix('/').unwrap_or(text);
    for (index, step) in inner.strip_suffix('/').unwrap_or(inner).split('/').enumerate() {
        if step.is_empty() {
            errors.invalid(&path, text, format!("segment[{index}] may not be empty"));
            continue;
        }
        for message in dns1123_subdomain_errors(step) {
            errors.invalid(&path, text, format!("segment[{index}]: {message}"));
        }
    }
}

/// What is wrong with a bundle of authorities in base64, where there is one. As upstream, one certificate is enough.
pub(crate) fn no_authorities(bundle: &str) -> Option<String> {
    if bundle.is_empty() {
        return None;
    }
    let bytes = BASE64_STANDARD.decode(bundle).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let mut blocks = Blocks::of(&text);
    let (mut has_blocks, mut is_malformed) = (false, false);
    for block in blocks.by_ref() {
        has_blocks = true;
        if block.kind != "CERTIFICATE" || block.has_headers {
            continue;
        }
        if block.certificate().is_some() {
            return None;
        }
        is_malformed = true;
    }
    let why = if is_malformed {
        "failed to parse certificate: x509: malformed certificate"
    } else if has_blocks && blocks.is_at_end() {
        "no valid certificate authority data seen"
    } else {
        "unable to parse bytes as PEM block"
    };
    Some(format!("unable to load root certificates: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::found;

    #[test]
    fn a_webhook_is_somewhere() {
        let check = |config: Value| found(|errors| validate(&config, &Path::root("c"), errors));
        let at = |url: &str| check(json!({ "url": url }));
        let below = |path: &str| check(json!({"service": {"name": "s", "namespace": "n", "path": path}}));
        assert_eq!(at("https://a.example:8443/x"), "");
        assert_eq!(
            at("http://a"),
            "c.url: Invalid value: \"http\": 'https' is the only allowed URL scheme; desired format: https://host[/path]"
        );
        assert_eq!(
            at("https:///x"),
            "c.url: Invalid value: \"\": host must be specified; desired format: https://host[/path]"
        );
        assert_eq!(
            at("https://u:p@a?q=1#f"),
            "c.url: Invalid value: \"u:p\": user information is not permitted in the URL\n\
             c.url: Invalid value: \"f\": fragments are not permitted in the URL\n\
             c.url: Invalid value: \"q=1\": query parameters are not permitted in the URL"
        );
        assert_eq!(below("/a/b/"), "");
        assert_eq!(below("//"), "c.service.path: Invalid value: \"//\": segment[0] may not be empty");
        assert_eq!(below("/a//b"), "c.service.path: Invalid value: \"/a//b\": segment[1] may not be empty");
        assert!(
            below("/A")
                .starts_with("c.service.path: Invalid value: \"/A\": segment[0]: a lowercase RFC 1123")
        );
        assert_eq!(
            check(json!({"service": {"name": "s", "namespace": "n", "port": 0}})),
            "c.service.port: Invalid value: 0: port is not valid: must be between 1 and 65535, inclusive"
        );
        assert_eq!(check(json!({})), "c: Required value: exactly one of url or service is required");
    }

    #[test]
    fn a_bundle_holds_a_certificate() {
        let why = |text: &str| no_authorities(&BASE64_STANDARD.encode(text));
        let start = "unable to load root certificates:";
        assert_eq!(no_authorities(""), None);
        assert_eq!(why("b"), Some(format!("{start} unable to parse bytes as PEM block")));
        assert_eq!(
            why("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"),
            Some(format!("{start} failed to parse certificate: x509: malformed certificate"))
        );
        // What is no certificate is passed over; behind the last of it there may be nothing.
        let key = "-----BEGIN KEY-----\nMAA=\n-----END KEY-----";
        let unseen = Some(format!("{start} no valid certificate authority data seen"));
        assert_eq!((why(key), why(&format!("{key}\n{key}\n"))), (unseen.clone(), unseen));
        assert_eq!(why(&format!("{key}\n\n")), Some(format!("{start} unable to parse bytes as PEM block")));
    }
}
