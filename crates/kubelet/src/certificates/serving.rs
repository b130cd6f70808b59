//! The certificate that the kubelet serves with, where the cluster signs it (`serverTLSBootstrap`).

use std::{net::IpAddr, sync::Arc};

use component::{Runtime as Process, cause::whole};
use jiff::Timestamp;
use kube::Client;
use pki::{Described, Identity};
use rcgen::{KeyPair, SanType};

use super::{
    FIRST_PAUSE, Store, deadline, longer,
    request::{Ask, signed},
    wait,
};

/// The names that a kubelet is reached by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Names {
    /// The node's.
    pub(crate) node: String,
    /// The node's addresses.
    pub(crate) addresses: Vec<IpAddr>,
}

impl Names {
    fn alternatives(&self) -> anyhow::Result<Vec<SanType>> {
        let name = SanType::DnsName(self.node.as_str().try_into()?);
        let addresses = self.addresses.iter().map(|address| SanType::IpAddress(*address));
        Ok(std::iter::once(name).chain(addresses).collect())
    }

    /// Whether a certificate is good for them all.
    fn are_in(&self, certificate: &Described) -> bool {
        certificate.dns_names.contains(&self.node)
            && self.addresses.iter().all(|address| certificate.addresses.contains(address))
    }
}

/// When a certificate is to be asked for: now, where there is none or the node has other addresses.
fn due(certificate: Option<&Described>, names: &Names, share: f64, now: Timestamp) -> Timestamp {
    match certificate {
        Some(certificate) if names.are_in(certificate) => deadline(certificate, share),
        _ => now,
    }
}

/// Has the certificate signed and renewed until shutdown; the server shows it from then on through `identity`.
pub(crate) async fn keep(
    store: Store,
    identity: Arc<Identity>,
    names: impl Fn() -> Names + Send,
    client: Client,
    process: Process,
) -> anyhow::Result<()> {
    let shutdown = process.shutdown();
    let mut pause = FIRST_PAUSE;
    let mut share = rand::random::<f64>();
    loop {
        let (now, wanted) = (Timestamp::now(), names());
        let mut rest = wait(due(store.load().as_ref(), &wanted, share, now), now);
        if rest.is_zero() {
            match renew(&store, &identity, &wanted, client.clone()).await {
                Ok(()) => {
                    tracing::info!("the node has a new server certificate");
                    pause = FIRST_PAUSE;
                    share = rand::random();
                    continue;
                }
                Err(error) => {
                    tracing::warn!(
                        error = whole(error.as_ref()),
                        "cannot renew the node's server certificate"
                    );
                    rest = pause;
                    pause = longer(pause);
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(rest) => {}
            () = shutdown.cancelled() => return Ok(()),
        }
    }
}

async fn renew(store: &Store, identity: &Identity, names: &Names, client: Client) -> anyhow::Result<()> {
    let alternatives = names.alternatives()?;
    let ask = Ask {
        node: &names.node,
        signer: "kubernetes.io/kubelet-serving",
        usage: "server auth",
        names: &alternatives,
    };
    let key = KeyPair::generate()?;
    let certificate = signed(client, &ask, &key).await?;
    store.replace(&certificate, &key.serialize_pem(), Timestamp::now())?;
    let current = store.current();
    identity.follow(&current, &current)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use pki::{Authority, Leaf};

    use super::*;

    #[test]
    fn other_addresses_need_another_certificate() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let authority = Authority::new("kubernetes", 1, now).unwrap();
        let leaf = Leaf::server("system:node:n1", &["n1"], &["10.0.0.1".parse().unwrap()]);
        let certificate = Described::of_pem(&authority.issue(&leaf, now).unwrap().certificate).unwrap();
        let names = |addresses: &[&str]| Names {
            node: "n1".into(),
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        };
        assert_eq!(due(None, &names(&["10.0.0.1"]), 0.0, now), now);
        assert_eq!(due(Some(&certificate), &names(&["10.0.0.2"]), 0.0, now), now);
        assert!(due(Some(&certificate), &names(&["10.0.0.1"]), 0.0, now) > now);
        assert!(due(Some(&certificate), &names(&[]), 0.0, now) > now);
    }
}
