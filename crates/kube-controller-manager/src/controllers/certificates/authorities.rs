//! Which authority signs for which signer.

use std::path::Path;
use std::sync::Arc;

use controller_runtime::Signing;
use pki::Authority;

use super::{CLIENT, KUBELET_CLIENT, KUBELET_SERVING, LEGACY, NODE_REJOIN};

/// A certificate's file and its key's.
type Files<'a> = (&'a Path, &'a Path);

/// The signers that have an authority.
pub struct Authorities(Vec<(&'static str, Arc<Authority>)>);

impl Authorities {
    /// Reads the files that the flags name; none where they name none.
    pub fn read(signing: &Signing) -> Result<Option<Self>, String> {
        let mut read: Vec<(Files<'_>, Arc<Authority>)> = Vec::new();
        let mut authorities = Vec::new();
        for (signer, files) in files(signing)? {
            let known =
                read.iter().find(|(known, _)| *known == files).map(|(_, authority)| authority.clone());
            let authority = match known {
                Some(authority) => authority,
                None => Arc::new(load(files)?),
            };
            read.push((files, authority.clone()));
            authorities.push((signer, authority));
        }
        Ok((!authorities.is_empty()).then_some(Self(authorities)))
    }

    /// The authority of a signer.
    pub fn of(&self, signer: &str) -> Option<&Authority> {
        self.0.iter().find(|(known, _)| *known == signer).map(|(_, authority)| &**authority)
    }
}

fn load((certificate, key): Files<'_>) -> Result<Authority, String> {
    let read =
        |path: &Path| std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()));
    Authority::from_pem(&read(certificate)?, &read(key)?).map_err(|error| error.to_string())
}

/// Which files belong to which signer. One authority for all and one for a signer exclude each other, as upstream.
fn files(signing: &Signing) -> Result<Vec<(&'static str, Files<'_>)>, String> {
    fn pair<'a>(
        signer: &str,
        certificate: &'a Option<std::path::PathBuf>,
        key: &'a Option<std::path::PathBuf>,
    ) -> Result<Option<Files<'a>>, String> {
        match (certificate.as_deref(), key.as_deref()) {
            (None, None) => Ok(None),
            (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
            _ => Err(format!("the authority of {signer} needs a certificate and a key")),
        }
    }
    let all = pair("all signers", &signing.cluster_signing_cert_file, &signing.cluster_signing_key_file)?;
    let each = [
        (
            KUBELET_SERVING,
            &signing.cluster_signing_kubelet_serving_cert_file,
            &signing.cluster_signing_kubelet_serving_key_file,
        ),
        (
            KUBELET_CLIENT,
            &signing.cluster_signing_kubelet_client_cert_file,
            &signing.cluster_signing_kubelet_client_key_file,
        ),
        (
            CLIENT,
            &signing.cluster_signing_kube_apiserver_client_cert_file,
            &signing.cluster_signing_kube_apiserver_client_key_file,
        ),
        (
            LEGACY,
            &signing.cluster_signing_legacy_unknown_cert_file,
            &signing.cluster_signing_legacy_unknown_key_file,
        ),
    ];
    let mut found = Vec::new();
    for (signer, certificate, key) in each {
        found.extend(pair(signer, certificate, key)?.map(|files| (signer, files)));
    }
    match all {
        Some(_) if !found.is_empty() => Err(
            "cannot specify --cluster-signing-{cert,key}-file and other --cluster-signing-*-file flags at the same time"
                .to_owned(),
        ),
        Some(files) => Ok(each.iter().map(|(signer, ..)| *signer).chain([NODE_REJOIN]).map(|signer| (signer, files)).collect()),
        None => {
            // What a node shows to come back is a client's certificate too.
            let rejoin = found.iter().find(|(signer, _)| *signer == KUBELET_CLIENT).map(|(_, files)| *files);
            found.extend(rejoin.map(|files| (NODE_REJOIN, files)));
            Ok(found)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn each_signer_may_have_an_authority_of_its_own() {
        let file = |name: &str| Some(PathBuf::from(name));
        let signers = |signing: &Signing| -> Result<Vec<(&'static str, String)>, String> {
            let found = files(signing)?;
            Ok(found
                .into_iter()
                .map(|(signer, (certificate, _))| (signer, certificate.display().to_string()))
                .collect())
        };
        assert_eq!(signers(&Signing::default()), Ok(Vec::new()));
        let one = Signing {
            cluster_signing_cert_file: file("ca.crt"),
            cluster_signing_key_file: file("ca.key"),
            ..Signing::default()
        };
        let all = signers(&one).unwrap();
        assert_eq!(all.len(), 5);
        assert!(all.iter().all(|(_, certificate)| certificate == "ca.crt"));
        let own = Signing {
            cluster_signing_kubelet_client_cert_file: file("kubelet.crt"),
            cluster_signing_kubelet_client_key_file: file("kubelet.key"),
            ..Signing::default()
        };
        let kubelet = "kubelet.crt".to_owned();
        assert_eq!(signers(&own), Ok(vec![(KUBELET_CLIENT, kubelet.clone()), (NODE_REJOIN, kubelet)]));
        let both = Signing {
            cluster_signing_cert_file: file("ca.crt"),
            cluster_signing_key_file: file("ca.key"),
            ..own
        };
        assert!(signers(&both).unwrap_err().contains("at the same time"));
        let half = Signing { cluster_signing_cert_file: file("ca.crt"), ..Signing::default() };
        assert!(signers(&half).is_err());
    }
}
