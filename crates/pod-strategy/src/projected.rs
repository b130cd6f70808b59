//! Validation of projected volumes: files of many sources in one directory.

use serde_json::Value;

use crate::env::validate_downward_file;
use crate::signers;
use crate::tolerated::Tolerated;
use crate::volumes::{validate_items, validate_local_path, validate_mode};
use strategy::field::{Errors, Path};
use strategy::read::Read;
use strategy::selectors;

const KEYS: [&str; 6] = ["RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519"];
const SHORTEST_LIFE: i64 = 3600;
const LONGEST_LIFE: i64 = 7_862_400;
/// The longest life of what the project's own signers sign.
const LONGEST_OWN_LIFE: i64 = 86_400;

/// The paths that the sources of a volume took so far; duplicates are told of the volume, not of the source.
struct Paths<'a> {
    taken: Vec<&'a str>,
    volume: &'a Path<'a>,
}

impl<'a> Paths<'a> {
    fn take(&mut self, path: &'a str, shown: &str, errors: &mut Errors) {
        if self.taken.contains(&path) {
            errors.invalid(self.volume, shown, "conflicting duplicate paths");
        } else {
            self.taken.push(path);
        }
    }
}

/// Validates a projected volume.
pub(crate) fn validate(projected: &Value, tolerated: Tolerated, path: &Path, errors: &mut Errors) {
    validate_mode(projected, "defaultMode", path, errors);
    let mut paths = Paths { taken: Vec::new(), volume: path };
    let sources_path = path.child("sources");
    for (index, source) in projected.items("sources").iter().enumerate() {
        let path = sources_path.index(index);
        let mut count = 0;
        for kind in ["secret", "configMap"] {
            if source.has(kind) {
                count += 1;
                validate_keys(&source[kind], &mut paths, &path.child(kind), errors);
            }
        }
        if source.has("downwardAPI") {
            count += 1;
            // Upstream leaves the items out of their paths.
            for file in source["downwardAPI"].items("items") {
                validate_downward_file(file, &path.child("downwardAPI"), errors);
                let name = file.text("path");
                if !name.is_empty() {
                    paths.take(name, name, errors);
                }
            }
        }
        if source.has("serviceAccountToken") {
            count += 1;
            let token = &source["serviceAccountToken"];
            let token_path = path.child("serviceAccountToken");
            validate_token(token, tolerated.token_paths, paths.volume, &token_path, errors);
        }
        if source.has("clusterTrustBundle") {
            count += 1;
            let bundle = &source["clusterTrustBundle"];
            validate_bundle(bundle, &mut paths, &path.child("clusterTrustBundle"), errors);
        }
        if source.has("podCertificate") {
            count += 1;
            let certificate = &source["podCertificate"];
            validate_certificate(certificate, &mut paths, &path.child("podCertificate"), errors);
        }
        if count > 1 {
            errors.forbidden(&path, "may not specify more than 1 volume type per source");
        }
    }
}

fn validate_keys<'a>(files: &'a Value, paths: &mut Paths<'a>, path: &Path, errors: &mut Errors) {
    let name = files.text("name");
    if name.is_empty() {
        errors.required(&path.child("name"), "");
    }
    validate_items(files, path, errors);
    for item in files.items("items") {
        let file = item.text("path");
        if !file.is_empty() {
            paths.take(file, name, errors);
        }
    }
}

/// Validates a service account's token, whose path upstream tells of as the volume's.
fn validate_token(token: &Value, anywhere: bool, volume: &Path, path: &Path, errors: &mut Errors) {
    let seconds = token.int("expirationSeconds").unwrap_or(0);
    let seconds_path = path.child("expirationSeconds");
    if seconds < 600 {
        errors.invalid(&seconds_path, seconds, "may not specify a duration less than 10 minutes");
    }
    if seconds > 1 << 32 {
        errors.invalid(&seconds_path, seconds, "may not specify a duration larger than 2^32 seconds");
    }
    match token.text("path") {
        "" => errors.required(&volume.child("path"), ""),
        _ if anywhere => {}
        file => validate_local_path(file, true, &volume.child("path"), errors),
    }
}

fn validate_bundle<'a>(bundle: &'a Value, paths: &mut Paths<'a>, path: &Path, errors: &mut Errors) {
    match (bundle.has("name"), bundle.has("signerName")) {
        (true, true) => {
            errors.invalid(path, bundle.clone(), "only one of name and signerName may be used");
        }
        (true, false) => {
            let (name, path_of_name) = (bundle.text("name"), path.child("name"));
            if name.is_empty() {
                errors.required(&path_of_name, "must be a valid object name");
            }
            for why in signers::bundle_name_errors(name) {
                errors.invalid(&path_of_name, name, format!("not a valid clustertrustbundlename: {why}"));
            }
            if bundle.has("labelSelector") {
                errors.invalid(
                    &path.child("labelSelector"),
                    bundle["labelSelector"].clone(),
                    "labelSelector must be unset if name is specified",
                );
            }
        }
        (false, true) => {
            let (signer, path_of_signer) = (bundle.text("signerName"), path.child("signerName"));
            if signer.is_empty() {
                errors.required(&path_of_signer, "must be a valid signer name");
            }
            signers::validate(signer, &path_of_signer, errors);
            selectors::validate(&bundle["labelSelector"], &path.child("labelSelector"), errors);
        }
        (false, false) => errors.required(path, "either name or signerName must be specified"),
    }
    let file = bundle.text("path");
    if file.is_empty() {
        errors.required(&path.child("path"), "");
    }
    validate_local_path(file, true, &path.child("path"), errors);
    paths.take(file, file, errors);
}

fn validate_certificate<'a>(certificate: &'a Value, paths: &mut Paths<'a>, path: &Path, errors: &mut Errors) {
    let signer = certificate.text("signerName");
    signers::validate(signer, &path.child("signerName"), errors);
    let key = certificate.text("keyType");
    if !KEYS.contains(&key) {
        errors.unsupported(&path.child("keyType"), key, &KEYS);
    }
    if let Some(life) = certificate.int("maxExpirationSeconds") {
        let path = path.child("maxExpirationSeconds");
        if life < SHORTEST_LIFE {
            errors.invalid(
                &path,
                life,
                format!("if provided, maxExpirationSeconds must be >= {SHORTEST_LIFE}"),
            );
        }
        let longest = if signers::is_own(signer) { LONGEST_OWN_LIFE } else { LONGEST_LIFE };
        if life > longest {
            errors.invalid(&path, life, format!("if provided, maxExpirationSeconds must be <= {longest}"));
        }
    }
    let mut count = 0;
    for key in ["credentialBundlePath", "keyPath", "certificateChainPath"] {
        let file = certificate.text(key);
        if !file.is_empty() {
            count += 1;
            validate_local_path(file, true, &path.child(key), errors);
            paths.take(file, file, errors);
        }
    }
    if count == 0 {
        errors.required(
            path,
            "specify at least one of credentialBundlePath, keyPath, and certificateChainPath",
        );
    }
}
