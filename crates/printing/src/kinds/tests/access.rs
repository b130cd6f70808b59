//! Who may what, and what is admitted.

use serde_json::json;

use super::{check, meta};

#[test]
fn access_and_admission() {
    check(
        "rbac.authorization.k8s.io",
        "RoleBinding",
        json!({
            "metadata": meta("b"), "roleRef": {"kind": "Role", "name": "r"},
            "subjects": [
                {"kind": "User", "name": "u"}, {"kind": "Group", "name": "g"}, {"kind": "Group", "name": "h"},
                {"kind": "ServiceAccount", "namespace": "n", "name": "s"},
            ],
        }),
        "b | Role/r | 60m | u | g, h | n/s",
    );
    check(
        "rbac.authorization.k8s.io",
        "ClusterRole",
        json!({"metadata": meta("r")}),
        "r | 2026-01-01T23:00:00Z",
    );
    check(
        "certificates.k8s.io",
        "CertificateSigningRequest",
        json!({
            "metadata": meta("c"),
            "spec": {"signerName": "kubernetes.io/kube-apiserver-client", "username": "admin", "expirationSeconds": 3600},
            "status": {"certificate": "LS0t", "conditions": [{"type": "Approved", "status": "True"}]},
        }),
        "c | 60m | kubernetes.io/kube-apiserver-client | admin | 60m | Approved,Issued",
    );
    let group = "admissionregistration.k8s.io";
    check(
        group,
        "MutatingWebhookConfiguration",
        json!({"metadata": meta("w"), "webhooks": [{}, {}]}),
        "w | 2 | 60m",
    );
    check(
        group,
        "ValidatingAdmissionPolicy",
        json!({"metadata": meta("p"), "spec": {"validations": [{}], "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}}}),
        "p | 1 | v1/ConfigMap | 60m",
    );
    check(
        group,
        "ValidatingAdmissionPolicyBinding",
        json!({"metadata": meta("b"), "spec": {"policyName": "p"}}),
        "b | p | <unset> | 60m",
    );
    check(
        "apiregistration.k8s.io",
        "APIService",
        json!({
            "metadata": meta("v1.x"), "spec": {"service": {"namespace": "n", "name": "s"}},
            "status": {"conditions": [{"type": "Available", "status": "False", "reason": "MissingEndpoints"}]},
        }),
        "v1.x | n/s | False (MissingEndpoints) | 60m",
    );
}
