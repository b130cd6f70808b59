//! CertificateApproval, CertificateSigning and CertificateSubjectRestriction: who may have what signed.

use apimachinery::status::Status;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use strategy::read::{Read, same};
use x509_parser::prelude::{FromDer, X509CertificationRequest};

use crate::{Access, Context, Operation, Plugin, Steps, User, View};

pub(crate) struct CertificateApproval;
pub(crate) struct CertificateSigning;
pub(crate) struct CertificateSubjectRestriction;

const GROUP: &str = "certificates.k8s.io";
const REQUESTS: &str = "certificatesigningrequests";
const CLIENT_SIGNER: &str = "kubernetes.io/kube-apiserver-client";

fn concerns(context: &Context, subresource: &str) -> bool {
    let attributes = context.attributes;
    attributes.group == GROUP && attributes.resource == REQUESTS && attributes.subresource == subresource
}

impl Plugin for CertificateApproval {
    fn name(&self) -> &'static str {
        "CertificateApproval"
    }

    fn steps(&self) -> Steps {
        Steps::Validate
    }

    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Update
    }

    fn validate(&self, context: &mut Context, object: &Value) -> Result<(), Status> {
        if !concerns(context, "approval") {
            return Ok(());
        }
        let Some(old) = context.old else { return Ok(()) };
        let signer = old["spec"].text("signerName");
        if may(context, "approve", signer) {
            return Ok(());
        }
        let why = format!("user not permitted to approve requests with signerName {signer:?}");
        Err(context.attributes.forbidden(object, why))
    }
}

impl Plugin for CertificateSigning {
    fn name(&self) -> &'static str {
        "CertificateSigning"
    }

    fn steps(&self) -> Steps {
        Steps::Validate
    }

    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Update
    }

    fn validate(&self, context: &mut Context, object: &Value) -> Result<(), Status> {
        if !concerns(context, "status") {
            return Ok(());
        }
        let Some(old) = context.old else { return Ok(()) };
        let unchanged = ["certificate", "conditions"]
            .iter()
            .all(|key| same(&object["status"][*key], &old["status"][*key]));
        let signer = old["spec"].text("signerName");
        if unchanged || may(context, "sign", signer) {
            return Ok(());
        }
        let why = format!("user not permitted to sign requests with signerName {signer:?}");
        Err(context.attributes.forbidden(object, why))
    }
}

impl Plugin for CertificateSubjectRestriction {
    fn name(&self) -> &'static str {
        "CertificateSubjectRestriction"
    }

    fn steps(&self) -> Steps {
        Steps::Validate
    }

    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Create
    }

    fn validate(&self, context: &mut Context, object: &Value) -> Result<(), Status> {
        if !concerns(context, "") || object["spec"].text("signerName") != CLIENT_SIGNER {
            return Ok(());
        }
        let Some(groups) = organizations(object["spec"].text("request")) else {
            return Err(context
                .attributes
                .forbidden(object, "could not parse the certificate signing request"));
        };
        if groups.iter().any(|group| group == "system:masters") {
            let why = format!("use of {CLIENT_SIGNER} signer with system:masters group is not allowed");
            return Err(context.attributes.forbidden(object, why));
        }
        Ok(())
    }
}

/// Whether the user of a request may do something for a signer.
pub(crate) fn may(context: &Context, verb: &str, signer: &str) -> bool {
    allows_for_signer(context.view, &context.attributes.user, verb, signer)
}

/// Whether a user may do something for a signer, by its name or for all signers of its domain.
pub fn allows_for_signer(view: &dyn View, user: &User, verb: &str, signer: &str) -> bool {
    let access = |name: &str| {
        view.allows(user, &Access { verb, group: GROUP, resource: "signers", name, ..Access::default() })
    };
    let domain = signer.split('/').next().unwrap_or_default();
    access(signer) || access(&format!("{domain}/*"))
}

/// The organisations of the subject in a request: base64 of PEM of PKCS #10.
fn organizations(request: &str) -> Option<Vec<String>> {
    let pem = BASE64_STANDARD.decode(request).ok()?;
    let (_, block) = x509_parser::pem::parse_x509_pem(&pem).ok()?;
    let (_, parsed) = X509CertificationRequest::from_der(&block.contents).ok()?;
    let names = parsed.certification_request_info.subject.iter_organization();
    Some(names.filter_map(|name| name.as_str().ok().map(str::to_owned)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Cluster, Request};
    use serde_json::json;

    fn request() -> Value {
        json!({"spec": {"signerName": "example.com/a"}, "status": {}})
    }

    #[test]
    fn approval_needs_the_signer() {
        let update = Request::update(GROUP, REQUESTS, request()).named("r").through("approval");
        let refused = update.admit(&CertificateApproval, &Cluster::new(), request()).unwrap_err();
        assert_eq!(
            refused.message,
            "certificatesigningrequests.certificates.k8s.io \"r\" is forbidden: user not permitted to approve requests with signerName \"example.com/a\""
        );
        for name in ["example.com/a", "example.com/*"] {
            let cluster = Cluster::new().allowing("approve", name);
            assert!(update.admit(&CertificateApproval, &cluster, request()).is_ok());
        }
    }

    #[test]
    fn signing_needs_the_signer_only_when_something_is_signed() {
        let update = Request::update(GROUP, REQUESTS, request()).through("status");
        assert!(update.admit(&CertificateSigning, &Cluster::new(), request()).is_ok());
        let mut signed = request();
        signed["status"]["certificate"] = json!("eA==");
        assert!(update.admit(&CertificateSigning, &Cluster::new(), signed).is_err());
    }

    #[test]
    fn nobody_asks_to_be_a_master() {
        let mut csr = rcgen::CertificateParams::default();
        csr.distinguished_name.push(rcgen::DnType::OrganizationName, "system:masters");
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = csr.serialize_request(&key).unwrap().pem().unwrap();
        let object = json!({"spec": {"signerName": CLIENT_SIGNER, "request": BASE64_STANDARD.encode(pem)}});
        let create = Request::create(GROUP, REQUESTS).named("r");
        let refused =
            create.admit(&CertificateSubjectRestriction, &Cluster::new(), object.clone()).unwrap_err();
        assert!(refused.message.ends_with(
            "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed"
        ));
        let mut other = object;
        other["spec"]["signerName"] = json!("example.com/a");
        assert!(create.admit(&CertificateSubjectRestriction, &Cluster::new(), other).is_ok());
    }
}
