//! The certificate that the kubelet shows to the API server: had before anything else is asked, renewed while it runs.
//!
//! It is asked for with the certificate that is there, or, where there is none or it has expired, with what the
//! bootstrap kubeconfig holds: a token at the first start, a rejoin certificate later.

use std::path::{Path, PathBuf};

use anyhow::Context;
use base64::Engine;
use component::{
    Runtime as Process,
    cause::whole,
    client::{Connection, Connections, connect, read_kubeconfig},
};
use jiff::Timestamp;
use kube::{
    Client,
    config::{AuthInfo, Kubeconfig as Given},
};
use pki::{Credentials, Described, Kubeconfig};

use super::{
    FIRST_PAUSE, Store, deadline, longer,
    request::{Ask, kept_key, signed},
    wait,
};

/// Whose certificate is kept, and how it is had.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) node: String,
    pub(crate) store: Store,
    /// The kubeconfig that the kubelet works with.
    pub(crate) kubeconfig: PathBuf,
    /// The one it comes by a certificate with.
    pub(crate) bootstrap: Option<PathBuf>,
}

impl Source {
    fn ask(&self) -> Ask<'_> {
        Ask {
            node: &self.node,
            signer: "kubernetes.io/kube-apiserver-client-kubelet",
            usage: "client auth",
            names: &[],
        }
    }

    /// Asks as the user of a kubeconfig or through a client that is there.
    async fn renew(&self, client: Client) -> anyhow::Result<()> {
        let path = self.store.key_of_request();
        let key = kept_key(&path)?;
        let answer = signed(client, &self.ask(), &key).await;
        if answer.is_err() {
            // A refused or forgotten request is not asked for again with the same key.
            let _ = std::fs::remove_file(&path);
        }
        self.store.replace(&answer?, &key.serialize_pem(), Timestamp::now())?;
        std::fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
        Ok(())
    }

    async fn bootstrap(&self) -> anyhow::Result<()> {
        let bootstrap = self.bootstrap.as_deref().context("there is no bootstrap kubeconfig")?;
        let connection =
            Connection { kubeconfig: Some(bootstrap), user_agent: "kubelet", ..Connection::default() };
        let client = connect(&connection).await?;
        self.renew(client).await.with_context(|| format!("as the user of {}", bootstrap.display()))
    }
}

/// What is to be done before the kubelet can connect.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Need {
    /// Nothing.
    Nothing,
    /// A certificate, and then a kubeconfig that names it.
    Everything,
    /// A certificate: the kubeconfig names the place where it belongs.
    Certificate,
    /// To copy the kubeconfig's own certificate to where renewed ones belong.
    Adoption(Box<(String, String)>),
}

/// Decides from the kubeconfig's user, what the store holds, and whether the kubelet renews its certificate itself.
fn need(user: Option<&AuthInfo>, store: &Store, rotates: bool, now: Timestamp) -> Need {
    let Some(user) = user else { return Need::Everything };
    let current = store.current().to_string_lossy().into_owned();
    if user.client_certificate.as_deref() == Some(&current) {
        let good = store.load().is_some_and(|certificate| certificate.is_current(now));
        return if good { Need::Nothing } else { Need::Certificate };
    }
    match own_pair(user) {
        Some((certificate, key)) => {
            let good = Described::of_pem(&certificate).is_ok_and(|described| described.is_current(now));
            match (good, rotates) {
                (_, true) if store.load().is_some_and(|certificate| certificate.is_current(now)) => {
                    Need::Nothing
                }
                (true, true) => Need::Adoption(Box::new((certificate, key))),
                (true, false) => Need::Nothing,
                (false, _) => Need::Everything,
            }
        }
        // A token, a password or a program: nothing of it can be renewed here.
        None => Need::Nothing,
    }
}

/// The certificate and key of a user's entry, PEM, wherever they are.
fn own_pair(user: &AuthInfo) -> Option<(String, String)> {
    use secrecy::ExposeSecret;
    let decode = |text: &str| {
        let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok()?;
        String::from_utf8(bytes).ok()
    };
    let part = |data: Option<&str>, file: &Option<String>| match data {
        Some(data) => decode(data),
        None => std::fs::read_to_string(file.as_ref()?).ok(),
    };
    let key = user.client_key_data.as_ref().map(|key| key.expose_secret());
    Some((
        part(user.client_certificate_data.as_deref(), &user.client_certificate)?,
        part(key, &user.client_key)?,
    ))
}

/// Makes sure that there is a kubeconfig with a certificate that is current, where one can be had. Answers when there is.
pub(crate) async fn ensure(source: &Source, rotates: bool, process: &Process) -> anyhow::Result<()> {
    let (kubeconfig, store) = (&source.kubeconfig, &source.store);
    let bootstrap = source.bootstrap.as_deref().filter(|path| path.exists());
    let given = match kubeconfig.exists() {
        true => Some(
            read_kubeconfig(kubeconfig).with_context(|| format!("kubeconfig {}", kubeconfig.display()))?,
        ),
        false => None,
    };
    let need = need(given.as_ref().and_then(user), store, rotates, Timestamp::now());
    let shown = match (need, bootstrap, given) {
        (Need::Nothing, ..) => return Ok(()),
        (Need::Adoption(pair), ..) => return store.replace(&pair.0, &pair.1, Timestamp::now()),
        (_, None, None) => {
            let bootstrap = source.bootstrap.as_deref().unwrap_or(Path::new("a bootstrap kubeconfig"));
            anyhow::bail!("neither {} nor {} exists", kubeconfig.display(), bootstrap.display())
        }
        (need, None, Some(_)) => {
            tracing::warn!(
                kubeconfig = %kubeconfig.display(), ?need,
                "the node's certificate is missing or has expired, and there is no bootstrap kubeconfig"
            );
            return Ok(());
        }
        (Need::Certificate, Some(_), Some(_)) => None,
        (_, Some(bootstrap), _) => Some(bootstrap),
    };
    let shutdown = process.shutdown();
    let mut pause = FIRST_PAUSE / 2;
    while let Err(error) = source.bootstrap().await {
        tracing::warn!(error = whole(error.as_ref()), "cannot have the node's certificate");
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = longer(pause).min(FIRST_PAUSE * 8),
            () = shutdown.cancelled() => anyhow::bail!("stopped while waiting for the node's certificate"),
        }
    }
    match shown {
        Some(bootstrap) => write_kubeconfig(&read_kubeconfig(bootstrap)?, kubeconfig, store),
        None => Ok(()),
    }
}

/// Has a configuration show the certificate of the store instead of the kubeconfig's own, which grows old.
pub(crate) fn show(store: &Store, user: &mut AuthInfo) {
    let current = store.current().to_string_lossy().into_owned();
    user.client_certificate = Some(current.clone());
    user.client_key = Some(current);
    user.client_certificate_data = None;
    user.client_key_data = None;
}

/// Renews the certificate until shutdown.
pub(crate) async fn keep(
    source: Source,
    client: Client,
    connections: Connections,
    process: Process,
) -> anyhow::Result<()> {
    let shutdown = process.shutdown();
    let mut pause = FIRST_PAUSE;
    let mut known = source.store.load();
    let mut share = rand::random::<f64>();
    loop {
        let found = source.store.load();
        if found != known {
            // Somebody else has renewed it.
            known = found;
            share = rand::random();
            connections.renew();
        }
        let now = Timestamp::now();
        let due = known.as_ref().map_or(now, |certificate| deadline(certificate, share));
        let mut rest = wait(due, now);
        if rest.is_zero() {
            let current = known.as_ref().is_some_and(|certificate| certificate.is_current(now));
            let renewed = match current {
                true => source.renew(client.clone()).await,
                false => source.bootstrap().await,
            };
            match renewed {
                Ok(()) => {
                    tracing::info!("the node has a new client certificate");
                    pause = FIRST_PAUSE;
                    continue;
                }
                Err(error) => {
                    tracing::warn!(
                        error = whole(error.as_ref()),
                        "cannot renew the node's client certificate"
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

/// The entry of the current context's user.
fn user(config: &Given) -> Option<&AuthInfo> {
    let context = current(config)?;
    let named = config.auth_infos.iter().find(|named| Some(&named.name) == context.user.as_ref())?;
    named.auth_info.as_ref()
}

fn current(config: &Given) -> Option<&kube::config::Context> {
    let name = config.current_context.as_ref()?;
    config.contexts.iter().find(|named| named.name == *name)?.context.as_ref()
}

/// Writes the kubeconfig of the node itself for the cluster of another one.
fn write_kubeconfig(of: &Given, target: &Path, store: &Store) -> anyhow::Result<()> {
    let context = current(of).context("a kubeconfig without a current context")?;
    let cluster = of
        .clusters
        .iter()
        .find(|named| named.name == context.cluster)
        .and_then(|named| named.cluster.as_ref())
        .context("a kubeconfig without a cluster")?;
    let server = cluster.server.as_deref().context("a kubeconfig without a server")?;
    let authority = match (&cluster.certificate_authority_data, &cluster.certificate_authority) {
        (Some(data), _) => String::from_utf8(base64::engine::general_purpose::STANDARD.decode(data)?)?,
        (None, Some(path)) => std::fs::read_to_string(path).with_context(|| format!("reading {path}"))?,
        (None, None) => anyhow::bail!("a kubeconfig without a certificate authority"),
    };
    let pair = store.current();
    Kubeconfig {
        cluster: "default-cluster",
        server,
        authority: &authority,
        user: "default-auth",
        credentials: Credentials::CertificateFiles { certificate: &pair, key: &pair },
    }
    .write(target)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use pki::{Authority, Issued, Leaf};
    use serde_json::json;

    use super::*;

    fn issued(now: Timestamp) -> Issued {
        let authority = Authority::new("kubernetes", 1, now).unwrap();
        authority.issue(&Leaf::client("system:node:n1", &["system:nodes"]), now).unwrap()
    }

    #[test]
    fn what_is_needed_depends_on_the_kubeconfigs_user() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::client(folder.path());
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let later: Timestamp = "2027-06-01T00:00:00Z".parse().unwrap();
        let pair = issued(now);
        let user = |entry: serde_json::Value| serde_json::from_value::<AuthInfo>(entry).unwrap();
        assert_eq!(need(None, &store, true, now), Need::Everything);
        // One that names the store.
        let named = user(json!({"client-certificate": store.current(), "client-key": store.current()}));
        assert_eq!(need(Some(&named), &store, true, now), Need::Certificate);
        store.replace(&pair.certificate, &pair.key, now).unwrap();
        assert_eq!(need(Some(&named), &store, true, now), Need::Nothing);
        assert_eq!(need(Some(&named), &store, true, later), Need::Certificate);
        // One that holds its certificate itself.
        let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        let own = user(
            json!({"client-certificate-data": encode(&pair.certificate), "client-key-data": encode(&pair.key)}),
        );
        assert_eq!(need(Some(&own), &store, false, now), Need::Nothing);
        assert_eq!(need(Some(&own), &store, true, now), Need::Nothing);
        let empty = Store::server(folder.path());
        let adopted = Need::Adoption(Box::new((pair.certificate.clone(), pair.key.clone())));
        assert_eq!(need(Some(&own), &empty, true, now), adopted);
        assert_eq!(need(Some(&own), &store, true, later), Need::Everything);
        // One that needs none.
        assert_eq!(need(Some(&user(json!({"token": "t"}))), &store, true, now), Need::Nothing);
    }

    #[test]
    fn the_nodes_kubeconfig_is_of_the_current_contexts_cluster() {
        let folder = tempfile::tempdir().unwrap();
        let given: Given = serde_json::from_value(json!({
            "current-context": "b",
            "contexts": [{"name": "a", "context": {"cluster": "a", "user": "u"}},
                {"name": "b", "context": {"cluster": "b", "user": "u"}}],
            "clusters": [{"name": "a", "cluster": {"server": "https://a"}},
                {"name": "b", "cluster": {"server": "https://b:6443", "certificate-authority-data": "Q0E="}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
        }))
        .unwrap();
        assert!(user(&given).unwrap().token.is_some());
        let target = folder.path().join("kubelet.conf");
        write_kubeconfig(&given, &target, &Store::client(folder.path())).unwrap();
        let written = read_kubeconfig(&target).unwrap();
        assert_eq!(written.clusters[0].cluster.as_ref().unwrap().server.as_deref(), Some("https://b:6443"));
        let named = user(&written).unwrap().client_certificate.clone().unwrap();
        assert!(named.ends_with("kubelet-client-current.pem"), "{named}");
    }
}
