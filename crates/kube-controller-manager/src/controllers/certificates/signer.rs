//! Signing of approved certificate requests.
//!
//! Keeps true: an approved request to one of the cluster's own signers has its certificate.
//! Woken by: changes of certificate requests.
//! Reads: certificate requests, the authority's files. Writes: the certificate, or why there is none.
//! Gives up when: the request asks for what its signer does not sign, which is said in the condition `Failed`.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use controller_runtime::Running;
use controller_runtime::api::Error;
use controller_runtime::context::{Context, now};
use controller_runtime::objects::Condition;
use controller_runtime::objects::certificate_request::{CertificateSigningRequest, RequestSpec};
use informer::{Key, Outcome, Store, run_workers};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use pki::Authority;
use serde_json::json;

use super::authorities::Authorities;
use super::{NODE_REJOIN, faults, is_ours, read, uses};

/// How far before now a certificate begins, for clocks that are a little behind; upstream's value.
const BACKDATE: SignedDuration = SignedDuration::from_mins(5);
/// The shortest life that can be asked for; upstream's value.
const SHORTEST: i64 = 600;
/// The life of a rejoin certificate: it must outlast all the others (decision record 0021).
const REJOIN: i64 = 10 * 365 * 24 * 3600;

/// Starts the controller.
pub fn start(context: Context) -> Option<Running> {
    let authorities = match Authorities::read(&context.options.signing) {
        Ok(authorities) => authorities?,
        Err(error) => {
            tracing::error!(error, "cannot read the authorities that sign certificates");
            return None;
        }
    };
    let (requests, queue) = super::requests(&context, "certificate_signing");
    let shell = Arc::new(Shell { context, requests, authorities });
    Some(Box::pin(async move {
        shell.requests.ready().await;
        run_workers("csrsigning", &queue, 1, |key| shell.reconcile(key)).await;
    }))
}

struct Shell {
    context: Context,
    requests: Store<CertificateSigningRequest>,
    authorities: Authorities,
}

impl Shell {
    async fn reconcile(&self, key: Key) -> Result<Outcome, Error> {
        let Some(object) = self.requests.get(key.as_str()) else { return Ok(Outcome::Done) };
        let waits = object.is("Approved") && !object.is("Denied") && !object.is("Failed");
        if !waits || !object.status.certificate.is_empty() || !is_ours(&object.spec.signer_name) {
            return Ok(Outcome::Done);
        }
        // A signer without an authority is left to others.
        let Some(authority) = self.authorities.of(&object.spec.signer_name) else { return Ok(Outcome::Done) };
        let status = match self.sign(authority, &object, now()) {
            Ok(certificate) => json!({"certificate": STANDARD.encode(certificate)}),
            Err(fault) => {
                let failed = Condition {
                    kind: "Failed".to_owned(),
                    status: "True".to_owned(),
                    reason: "SignerValidationFailure".to_owned(),
                    message: fault,
                    last_update_time: Some(Time(now())),
                    last_transition_time: Some(Time(now())),
                    ..Condition::default()
                };
                let mut conditions = object.status.conditions.clone();
                conditions.push(failed);
                json!({"conditions": conditions})
            }
        };
        match self.context.api.update_status(&*object, &status).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(Outcome::Done),
        }
    }

    fn sign(
        &self,
        authority: &Authority,
        object: &CertificateSigningRequest,
        now: Timestamp,
    ) -> Result<String, String> {
        let request = read(object)?;
        faults(&object.spec.signer_name, &request, &object.spec.usages)?;
        let uses = uses(object)?;
        let seconds = seconds(&object.spec, self.context.options.cluster_signing_duration);
        let not_before = now.saturating_sub(BACKDATE).map_err(|error| error.to_string())?;
        let not_after = not_before
            .saturating_add(SignedDuration::from_secs(seconds))
            .map_err(|error| error.to_string())?;
        authority.sign(&request, &uses, not_before, not_after).map_err(|error| error.to_string())
    }
}

/// How long a certificate is good: as asked, but neither shorter than ten minutes nor longer than the signer signs.
fn seconds(spec: &RequestSpec, longest: Duration) -> i64 {
    if spec.signer_name == NODE_REJOIN {
        return REJOIN;
    }
    let longest = i64::try_from(longest.as_secs()).unwrap_or(i64::MAX);
    spec.expiration_seconds.map_or(longest, |seconds| seconds.clamp(SHORTEST.min(longest), longest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_lives_as_asked_within_the_signers_bounds() {
        let (year, hour) = (Duration::from_secs(8760 * 3600), 3600);
        for (signer, asked, longest, expected) in [
            (super::super::CLIENT, None, year, 8760 * hour),
            (super::super::CLIENT, Some(hour), year, hour),
            (super::super::CLIENT, Some(10 * 8760 * hour), year, 8760 * hour),
            (super::super::CLIENT, Some(1), year, 600),
            (super::super::KUBELET_CLIENT, Some(hour), Duration::from_secs(60), 60),
            (NODE_REJOIN, None, year, REJOIN),
            (NODE_REJOIN, Some(hour), Duration::from_secs(60), REJOIN),
        ] {
            let spec = RequestSpec {
                signer_name: signer.to_owned(),
                expiration_seconds: asked,
                ..RequestSpec::default()
            };
            assert_eq!(seconds(&spec, longest), expected, "{signer} {asked:?} {longest:?}");
        }
    }
}
