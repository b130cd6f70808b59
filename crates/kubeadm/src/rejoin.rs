//! What lets a node come back whose certificates expired while it was off: a certificate that is good for ten years and
//! for one thing, asking for the node's own (decision record 0021).

use std::{fs, path::Path, time::Duration};

use anyhow::Context as _;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use pki::Described;
use serde_json::Value;

use crate::{
    cluster::{
        Api,
        certificates::{Ask, request},
    },
    kubeconfigs::Target,
    paths::Paths,
};

const SIGNER: &str = "magnetite.internal/node-rejoin";
const GROUP: &str = "system:bootstrappers:node-rejoin";
/// A certificate with less than this share of its life left is replaced.
const LEFT: f64 = 1.0 / 3.0;

/// Makes sure that the kubelet's bootstrap kubeconfig holds the node's rejoin certificate, which takes the place of the
/// token that it joined with. Says whether one was made.
pub async fn ensure(paths: &Paths, node: &str, within: Duration) -> anyhow::Result<bool> {
    let bootstrap = paths.kubeconfig("bootstrap-kubelet");
    let user = format!("system:node-rejoin:{node}");
    let there = embedded(&bootstrap)
        .is_some_and(|held| held.common_name == user && held.left(Timestamp::now()) > LEFT);
    if there {
        return Ok(false);
    }
    let kubelet = paths.kubeconfig("kubelet");
    let target = target(&kubelet)?;
    let api = Api::open(&kubelet).await?;
    let ask = Ask {
        name: "node-rejoin-",
        signer: SIGNER,
        common_name: &user,
        organizations: &[GROUP],
        expiration_seconds: None,
    };
    let issued = request(&api, &ask, within).await?;
    pki::write_private(&bootstrap, &target.with_certificate(&user, &issued)?)?;
    Ok(true)
}

/// The certificate that a kubeconfig's user holds in itself.
pub fn embedded(kubeconfig: &Path) -> Option<Described> {
    let text = fs::read_to_string(kubeconfig).ok()?;
    let config: Value = formats::yaml::one(&text).ok()?;
    let data = config["users"][0]["user"]["client-certificate-data"].as_str()?;
    let pem = String::from_utf8(BASE64_STANDARD.decode(data).ok()?).ok()?;
    Described::of_pem(&pem).ok()
}

/// The cluster that a kubeconfig is for.
pub fn target(kubeconfig: &Path) -> anyhow::Result<Target> {
    let shown = kubeconfig.display().to_string();
    let text = fs::read_to_string(kubeconfig).with_context(|| format!("reading {shown}"))?;
    let config: Value = formats::yaml::one(&text).with_context(|| shown.clone())?;
    let cluster = &config["clusters"][0];
    let field = |name: &str| cluster["cluster"][name].as_str().filter(|text| !text.is_empty());
    let authority = match (field("certificate-authority-data"), field("certificate-authority")) {
        (Some(data), _) => String::from_utf8(BASE64_STANDARD.decode(data)?)?,
        (None, Some(file)) => fs::read_to_string(file).with_context(|| format!("reading {file}"))?,
        (None, None) => anyhow::bail!("{shown} names no certificate authority"),
    };
    Ok(Target {
        cluster: cluster["name"].as_str().unwrap_or("kubernetes").to_owned(),
        server: field("server").with_context(|| format!("{shown} names no server"))?.to_owned(),
        authority,
    })
}

#[cfg(test)]
mod tests {
    use pki::{Authority, Leaf};

    use super::*;

    #[test]
    fn a_kubeconfigs_cluster_and_certificate_are_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let now = Timestamp::now();
        let authority = Authority::new("kubernetes", 1, now).unwrap();
        let issued = authority.issue(&Leaf::client("system:node-rejoin:w1", &[GROUP]), now).unwrap();
        let made = Target {
            cluster: "kubernetes".into(),
            server: "https://192.168.1.10:6443".into(),
            authority: authority.certificate().to_owned(),
        };
        let path = folder.path().join("bootstrap-kubelet.conf");
        pki::write_private(&path, &made.with_certificate("system:node-rejoin:w1", &issued).unwrap()).unwrap();
        assert_eq!(target(&path).unwrap(), made);
        assert_eq!(embedded(&path).unwrap().organizations, [GROUP]);
        pki::write_private(&path, &made.with_token("tls-bootstrap", "a.b").unwrap()).unwrap();
        assert_eq!(embedded(&path), None);
    }
}
