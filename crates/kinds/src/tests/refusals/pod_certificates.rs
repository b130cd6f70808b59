//! What is said of PodCertificateRequests beside their keys.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::check;
use crate::certificate_signing_request::request::tests::REQUESTS;
use crate::pod_certificate_request::key::tests::{PAIRS, UID};
use crate::strategy;

#[test]
fn pod_certificate_requests() {
    let (_, key, proof) = PAIRS[0];
    let request = |change: Value| {
        let mut spec = json!({"signerName": "a.example/s", "podName": "p", "podUID": UID, "serviceAccountName": "s",
            "serviceAccountUID": "2", "nodeName": "w1", "nodeUID": "3", "pkixPublicKey": key, "proofOfPossession": proof});
        spec.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        json!({ "spec": spec })
    };
    let one = "spec: Invalid value: exactly one of (stubPKCS10Request) or (pkixPublicKey, proofOfPossession) must be set";
    check(
        "certificates.k8s.io",
        "PodCertificateRequest",
        &[
            (request(json!({"unverifiedUserAnnotations": {"A.example/b": "c"}})), ""),
            (
                request(json!({"unverifiedUserAnnotations": {"b": "c"}})),
                "spec.unverifiedUserAnnotations: Invalid value: \"b\": must be a domain-prefixed key (such as \"acme.io/foo\")",
            ),
            (
                request(json!({"unverifiedUserAnnotations": {"a.example/b": "c".repeat(256 * 1024)}})),
                "spec.unverifiedUserAnnotations: Too long: may not be more than 262144 bytes",
            ),
            (request(json!({"pkixPublicKey": "", "proofOfPossession": ""})), one),
            (request(json!({"stubPKCS10Request": "AAAA"})), one),
            (
                request(json!({"pkixPublicKey": "", "proofOfPossession": "", "stubPKCS10Request": "AAAA"})),
                "spec.stubPKCS10Request: Invalid value: \"AAAA\": must be a valid PKCS#10 CSR",
            ),
        ],
    );
    let (_, stub) = REQUESTS[0];
    let stub: String = stub.split_whitespace().collect();
    let mut forged = BASE64_STANDARD.decode(&stub).unwrap();
    *forged.last_mut().unwrap() ^= 1;
    let forged = BASE64_STANDARD.encode(forged);
    let told = format!("spec.stubPKCS10Request: Invalid value: \"{forged}\": could not verify CSR signature");
    let by = |stub: &str| {
        request(json!({"pkixPublicKey": "", "proofOfPossession": "", "stubPKCS10Request": stub}))
    };
    check("certificates.k8s.io", "PodCertificateRequest", &[(by(&stub), ""), (by(&forged), &told)]);
    let mut bare = json!({"spec": {}});
    strategy("certificates.k8s.io", "PodCertificateRequest").default(&mut bare);
    assert_eq!(bare["spec"]["maxExpirationSeconds"], 86400);
}
