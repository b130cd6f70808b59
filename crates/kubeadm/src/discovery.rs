//! How a machine that joins comes to believe in a cluster: its public kubeconfig, signed with the token, and the hash
//! of its authority's key.

use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::{
    bootstrap_token::{Token, is_signed},
    cluster::Api,
    configuration::{
        Endpoint,
        v1beta4::{BootstrapTokenDiscovery, Discovery},
    },
    kubeconfigs::Target,
};

const CLUSTER_INFO: &str = "/api/v1/namespaces/kube-public/configmaps/cluster-info";
const LOOK: Duration = Duration::from_millis(500);

/// Finds the cluster.
pub async fn find(discovery: &Discovery, within: Duration) -> anyhow::Result<Target> {
    match (&discovery.bootstrap_token, &discovery.file) {
        (Some(by_token), None) => by_token_within(by_token, within).await,
        (None, Some(file)) => {
            let path = &file.kube_config_path;
            if path.starts_with("https://") {
                bail!("fetch {path} yourself and give the file: --discovery-file FILE");
            }
            let text = std::fs::read_to_string(path).with_context(|| format!("reading {path}"))?;
            target(&text).with_context(|| path.clone())
        }
        (None, None) => bail!(
            "nothing says which cluster to join; type the command that `kubeadm token create --print-join-command` prints on a control plane"
        ),
        (Some(_), Some(_)) => bail!("--discovery-file and --discovery-token cannot both be given"),
    }
}

async fn by_token_within(given: &BootstrapTokenDiscovery, within: Duration) -> anyhow::Result<Target> {
    let token = Token::parse(&given.token)?;
    let endpoint = Endpoint::parse(&given.api_server_endpoint, 6443).context("API server endpoint")?;
    check_pins(given)?;
    let api = Api::unchecked(&endpoint.url())?;
    let end = tokio::time::Instant::now() + within;
    loop {
        let why = match api.get(CLUSTER_INFO).await {
            Ok(Some(info)) => match believed(&info, &token, given) {
                Ok(Ok(target)) => {
                    confirm(&endpoint, &target, &info).await?;
                    return Ok(target);
                }
                Ok(Err(not_yet)) => not_yet,
                Err(never) => return Err(never),
            },
            Ok(None) => "there is no ConfigMap cluster-info in kube-public".to_owned(),
            Err(error) => format!("{error:#}"),
        };
        if tokio::time::Instant::now() >= end {
            bail!("couldn't validate the identity of the API Server {}: {why}", endpoint.authority());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The first answer came over a connection that anybody could have been at the other end of. Its authority is known
/// now: the server must show a certificate of it and give the same answer.
async fn confirm(endpoint: &Endpoint, target: &Target, info: &Value) -> anyhow::Result<()> {
    let api = Api::anonymous(&endpoint.url(), &target.authority)?;
    let again = api
        .get(CLUSTER_INFO)
        .await
        .with_context(|| {
            format!(
                "the API server {} does not show a certificate of the cluster's authority for this name",
                endpoint.authority()
            )
        })?
        .unwrap_or_default();
    if again["data"]["kubeconfig"] != info["data"]["kubeconfig"] {
        bail!("the API server {} gave two different answers", endpoint.authority());
    }
    Ok(())
}

fn check_pins(given: &BootstrapTokenDiscovery) -> anyhow::Result<()> {
    if given.ca_cert_hashes.is_empty() && !given.unsafe_skip_ca_verification {
        bail!(
            "using token-based discovery without --discovery-token-ca-cert-hash can be unsafe; \
             set the --discovery-token-unsafe-skip-ca-verification flag to continue"
        );
    }
    for pin in &given.ca_cert_hashes {
        let hex = pin.strip_prefix("sha256:").unwrap_or_default();
        if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            bail!("invalid public key hash {pin:?}: expected \"sha256:\" and 64 hexadecimal digits");
        }
    }
    Ok(())
}

/// Whether what a server says of its cluster can be believed: not yet (the token is not there, or its signature), never
/// (another secret, another authority), or yes.
fn believed(
    info: &Value,
    token: &Token,
    given: &BootstrapTokenDiscovery,
) -> anyhow::Result<Result<Target, String>> {
    let field = |name: &str| info["data"][name].as_str();
    let Some(text) = field("kubeconfig") else {
        return Ok(Err("the ConfigMap cluster-info has no kubeconfig".into()));
    };
    let Some(signature) = field(&format!("jws-kubeconfig-{}", token.id)) else {
        return Ok(Err(format!(
            "the token {:?} is unknown to the cluster or has expired; make one on a control plane with: \
             kubeadm token create --print-join-command",
            token.id
        )));
    };
    if !is_signed(text, signature, token) {
        // Waiting does not mend it.
        bail!(
            "couldn't validate the identity of the API Server: the secret part of the token {:?} is not that of the cluster's; \
             list the tokens on a control plane with: kubeadm token list",
            token.id
        );
    }
    let target = target(text)?;
    if !given.ca_cert_hashes.is_empty() {
        let hashes: Vec<String> = pki::certificates_of(&target.authority)?
            .iter()
            .map(pki::public_key_hash)
            .collect::<Result<_, _>>()?;
        if !hashes.iter().any(|hash| given.ca_cert_hashes.iter().any(|pin| pin.eq_ignore_ascii_case(hash))) {
            bail!(
                "cluster CA found in cluster-info ConfigMap is invalid: none of the public keys {:?} are pinned",
                hashes.join(",")
            );
        }
    }
    Ok(Ok(target))
}

/// The cluster of a kubeconfig.
pub fn target(kubeconfig: &str) -> anyhow::Result<Target> {
    let config = formats::yaml::one(kubeconfig)?;
    let cluster = &config["clusters"][0];
    let server = cluster["cluster"]["server"].as_str().context("a kubeconfig without a server")?;
    let inline = cluster["cluster"]["certificate-authority-data"].as_str();
    let authority = match (inline, cluster["cluster"]["certificate-authority"].as_str()) {
        (Some(data), _) => {
            let bytes = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, data)?;
            String::from_utf8(bytes)?
        }
        (None, Some(path)) => std::fs::read_to_string(path).with_context(|| format!("reading {path}"))?,
        (None, None) => bail!("a kubeconfig without a certificate authority"),
    };
    let name = cluster["name"].as_str().filter(|name| !name.is_empty()).unwrap_or("kubernetes");
    Ok(Target { cluster: name.into(), server: server.into(), authority })
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    use pki::Authority;
    use ring::hmac;
    use serde_json::json;

    use super::*;

    fn signed(text: &str, token: &Token) -> Value {
        let header = BASE64_URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"HS256","kid":"{}"}}"#, token.id));
        let key = hmac::Key::new(hmac::HMAC_SHA256, token.secret.as_bytes());
        let content = BASE64_URL_SAFE_NO_PAD.encode(text);
        let mac = BASE64_URL_SAFE_NO_PAD.encode(hmac::sign(&key, format!("{header}.{content}").as_bytes()));
        let name = format!("jws-kubeconfig-{}", token.id);
        json!({"data": {"kubeconfig": text, name: format!("{header}..{mac}")}})
    }

    #[test]
    fn only_the_pinned_authority_is_believed() {
        let token = Token::parse("123456.1234567890123456").unwrap();
        let authority = Authority::new("kubernetes", 1, jiff::Timestamp::now()).unwrap();
        let there = Target {
            cluster: "kubernetes".into(),
            server: "https://192.168.1.10:6443".into(),
            authority: authority.certificate().into(),
        };
        let text = there.with_token("nobody", "").unwrap();
        let hash = pki::public_key_hash(&pki::certificates_of(authority.certificate()).unwrap()[0]).unwrap();
        let mut given = BootstrapTokenDiscovery { ca_cert_hashes: vec![hash], ..Default::default() };
        assert_eq!(believed(&signed(&text, &token), &token, &given).unwrap().unwrap(), there);
        let other = Token::parse("123456.1234567890123450").unwrap();
        let error = believed(&signed(&text, &other), &token, &given).unwrap_err().to_string();
        assert!(error.contains("secret part"), "{error}");
        let why = believed(&json!({"data": {"kubeconfig": text}}), &token, &given).unwrap().unwrap_err();
        assert!(why.contains("unknown to the cluster"), "{why}");
        given.ca_cert_hashes = vec![format!("sha256:{}", "0".repeat(64))];
        let error = believed(&signed(&text, &token), &token, &given).unwrap_err().to_string();
        assert!(error.contains("none of the public keys"), "{error}");
        given.ca_cert_hashes.clear();
        assert!(check_pins(&given).is_err());
        given.unsafe_skip_ca_verification = true;
        assert!(check_pins(&given).is_ok());
        assert!(believed(&signed(&text, &token), &token, &given).unwrap().is_ok());
    }
}
