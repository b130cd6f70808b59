//! `kubeadm certs renew`: certificates made anew with what they say now, and the units that use them restarted one at a
//! time. On a control plane the authority's key is at hand; on a worker the cluster signs, asked with the kubelet's
//! certificate.

use std::time::Duration;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use pki::{Described, Issued};

use super::held::{self, Held, Place};
use crate::{
    certificates::{self, is_external},
    cluster::{
        Api,
        certificates::{Ask, CLIENT, request},
    },
    configuration::ClusterSettings,
    init::stored,
    kubeconfigs,
    paths::Paths,
    rejoin, systemd,
};

/// A year, which upstream's leaves last too.
const DAYS: i64 = 365;
/// How long the cluster may take to sign.
const SIGNING: Duration = Duration::from_secs(60);
/// How long a worker's kubelet may take to have its own certificate after a sleep.
const KUBELET: Duration = Duration::from_secs(600);
/// How long a unit may take to be ready again.
const RESTART: Duration = Duration::from_secs(300);
/// How long the cluster may take to say how long certificates are to last.
const QUESTION: Duration = Duration::from_secs(5);

/// What was typed.
#[derive(Debug, clap::Args)]
pub struct Flags {
    /// The certificate, as check-expiration names it, or `all`
    name: String,
    /// Renew only what has less than a third of its life left, or has expired
    #[arg(long)]
    due: bool,
    /// Leave the units that use the certificates as they are
    #[arg(long)]
    no_restart: bool,
    /// The path where the certificates are
    #[arg(long, value_name = "DIRECTORY")]
    cert_dir: Option<std::path::PathBuf>,
}

/// Runs the command.
pub(super) async fn run(paths: &Paths, flags: &Flags) -> anyhow::Result<()> {
    let paths = match &flags.cert_dir {
        Some(directory) => paths.clone().with_pki(directory.clone()),
        None => paths.clone(),
    };
    let now = Timestamp::now();
    let chosen = choose(&paths, &flags.name, flags.due, now)?;
    let on_control_plane = paths.pki().join("ca.key").exists();
    let renewed = match on_control_plane {
        true => issue(&paths, &chosen, days(&paths, flags.no_restart).await, now)?,
        false => ask(&paths, &chosen, flags, now).await?,
    };
    let units = units(&renewed);
    if renewed.is_empty() {
        println!("Nothing is due to be renewed.");
        return Ok(());
    }
    if flags.no_restart {
        println!(
            "Done renewing certificates. You must restart {}, so that they can use the new certificates.",
            units.join(", ")
        );
        return Ok(());
    }
    restart(&units).await?;
    println!("\nDone renewing certificates.");
    Ok(())
}

/// What is to be renewed of what is here.
fn choose(paths: &Paths, name: &str, due: bool, now: Timestamp) -> anyhow::Result<Vec<Held>> {
    let all = held::all();
    if name != "all" && !all.iter().any(|held| held.name == name) {
        let names: Vec<&str> = all.iter().map(|held| held.name).collect();
        bail!("unknown certificate {name:?}; there are all, {}", names.join(", "));
    }
    let mut chosen = Vec::new();
    for held in all.into_iter().filter(|held| name == "all" || held.name == name) {
        if !held.is_here(paths) {
            if name != "all" {
                bail!("{name} is not on this machine");
            }
            continue;
        }
        match held.is_due(paths, now) {
            Ok(is_due) if is_due || !due => chosen.push(held),
            Ok(_) => {}
            // One that is broken does not keep the others from being renewed.
            Err(error) if name == "all" => eprintln!("W: {} cannot be renewed: {error:#}", held.name),
            Err(error) => return Err(error),
        }
    }
    Ok(chosen)
}

/// Renews what is due of a control plane's, without telling anybody, and returns it.
pub(super) fn renew_due(paths: &Paths, now: Timestamp) -> anyhow::Result<Vec<Held>> {
    let mut renewed = Vec::new();
    for held in choose(paths, "all", true, now)? {
        if reissue(paths, &held, DAYS, now)? {
            renewed.push(held);
        }
    }
    Ok(renewed)
}

/// Makes one anew; says whether its authority's key is here.
fn reissue(paths: &Paths, held: &Held, days: i64, now: Timestamp) -> anyhow::Result<bool> {
    if is_external(&paths.pki(), held.signer) {
        return Ok(false);
    }
    let said = held.read(paths)?;
    let authority = certificates::authority(&paths.pki(), held.signer)?;
    held.replace(paths, &authority.issue(&said.leaf(days), now)?, now)?;
    Ok(true)
}

/// Makes them with the keys of the authorities, which are here.
fn issue(paths: &Paths, chosen: &[Held], days: i64, now: Timestamp) -> anyhow::Result<Vec<Held>> {
    let mut renewed = Vec::new();
    for held in chosen {
        if !reissue(paths, held, days, now)? {
            println!("Detected external {} CA, {} can't be renewed", held.signer.common_name(), held.name);
            continue;
        }
        println!("{} renewed", held.purpose);
        renewed.push(*held);
    }
    Ok(renewed)
}

/// Asks the cluster for them with the kubelet's certificate.
async fn ask(paths: &Paths, chosen: &[Held], flags: &Flags, now: Timestamp) -> anyhow::Result<Vec<Held>> {
    let kubeconfig = paths.kubeconfig("kubelet");
    if !kubeconfig.exists() {
        bail!("this machine is neither a control plane nor a node: {} is missing", kubeconfig.display());
    }
    if flags.name == "kubelet.conf" {
        bail!("the kubelet renews its certificate itself while it runs: systemctl start kubelet");
    }
    let chosen: Vec<&Held> = chosen.iter().filter(|held| held.place != Place::Kubelet).collect();
    let node = own(paths, if chosen.is_empty() { Duration::ZERO } else { KUBELET }).await;
    if chosen.is_empty() {
        if flags.name == "all"
            && let Ok(node) = node
        {
            keep_rejoin(paths, &node).await;
        }
        return Ok(Vec::new());
    }
    let node = node?;
    let api = Api::open(&kubeconfig).await?;
    let mut renewed = Vec::new();
    for held in chosen {
        let issued = signed(&api, held, &held.read(paths)?).await.with_context(|| held.name)?;
        held.replace(paths, &issued, now)?;
        println!("{} renewed", held.purpose);
        renewed.push(*held);
    }
    if flags.name == "all" {
        keep_rejoin(paths, &node).await;
    }
    Ok(renewed)
}

async fn signed(api: &Api, held: &Held, said: &Described) -> anyhow::Result<Issued> {
    let groups: Vec<&str> = said.organizations.iter().map(String::as_str).collect();
    let name = format!("{}-", held.name.trim_end_matches(".conf"));
    let ask = Ask {
        name: &name,
        signer: CLIENT,
        common_name: &said.common_name,
        organizations: &groups,
        expiration_seconds: None,
    };
    request(api, &ask, SIGNING).await
}

/// A rejoin certificate is for the day when all others have expired: it is renewed long before, if it can be.
async fn keep_rejoin(paths: &Paths, node: &str) {
    match rejoin::ensure(paths, node, SIGNING).await {
        Ok(true) => println!("certificate by which this node may rejoin renewed"),
        Ok(false) => {}
        Err(error) => {
            eprintln!("W: the certificate by which this node may rejoin was not renewed: {error:#}")
        }
    }
}

/// The node's name, as soon as its kubelet has a certificate that is current.
async fn own(paths: &Paths, within: Duration) -> anyhow::Result<String> {
    let current = kubeconfigs::kubelet_current(paths);
    let end = tokio::time::Instant::now() + within;
    loop {
        let found = std::fs::read_to_string(&current).ok().and_then(|text| Described::of_pem(&text).ok());
        if let Some(found) = found.filter(|found| found.is_current(Timestamp::now())) {
            let name = found.common_name.strip_prefix("system:node:");
            return Ok(name.with_context(|| format!("{} is not a node's", current.display()))?.to_owned());
        }
        if tokio::time::Instant::now() >= end {
            bail!(
                "waited {within:?} for the kubelet to have a certificate that has not expired; see journalctl -u kubelet"
            );
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// How long certificates are to last: as the cluster's configuration says, if it can be asked.
async fn days(paths: &Paths, at_boot: bool) -> i64 {
    if at_boot {
        return DAYS;
    }
    let asked = tokio::time::timeout(QUESTION, configured(paths)).await;
    match asked {
        Ok(Ok(days)) => days,
        _ => DAYS,
    }
}

async fn configured(paths: &Paths) -> anyhow::Result<i64> {
    let api = Api::open(&paths.kubeconfig("admin")).await?;
    Ok(ClusterSettings::new(stored(&api).await?)?.leaf_days)
}

/// The units that use certificates, each once, in the order in which one needs the other.
fn units(renewed: &[Held]) -> Vec<&'static str> {
    let order = systemd::CONTROL_PLANE.iter().chain(systemd::NODE).copied();
    order.filter(|unit| renewed.iter().any(|held| held.unit == Some(unit))).collect()
}

async fn restart(units: &[&'static str]) -> anyhow::Result<()> {
    if !systemd::is_running() {
        return Ok(());
    }
    for unit in units {
        // What does not run reads its certificate when it starts.
        let state = systemd::unit(unit).await?;
        if !state.exists() || state.active == "inactive" {
            continue;
        }
        println!("Restarting {unit}");
        let restarted = tokio::time::timeout(RESTART, systemd::restart(&[unit])).await;
        if restarted.is_err() {
            bail!("{unit} is not ready {RESTART:?} after its restart:\n{}", systemd::last_words(unit).await);
        }
        restarted??;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use pki::{Authority, Leaf, cluster::Signer};

    use super::*;

    fn ground() -> (tempfile::TempDir, Paths, Timestamp) {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::under(folder.path());
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        for signer in Signer::ALL {
            let authority = Authority::new(signer.common_name(), 10, now).unwrap();
            authority.issued().write(&paths.pki(), signer.file()).unwrap();
        }
        (folder, paths, now)
    }

    fn put(paths: &Paths, file: &str, signer: Signer, leaf: Leaf, now: Timestamp) {
        let authority = certificates::authority(&paths.pki(), signer).unwrap();
        authority.issue(&leaf, now).unwrap().write(&paths.pki(), file).unwrap();
    }

    #[test]
    fn what_is_due_is_renewed_with_the_same_names() {
        let (_folder, paths, now) = ground();
        let old = Leaf {
            days: 1,
            ..Leaf::server("kube-apiserver", &["kubernetes"], &["10.96.0.1".parse().unwrap()])
        };
        put(&paths, "apiserver", Signer::Cluster, old, now);
        put(&paths, "etcd/server", Signer::Etcd, Leaf::server("m", &["m"], &[]), now);
        let later: Timestamp = "2026-01-05T00:00:00Z".parse().unwrap();
        let chosen = choose(&paths, "all", true, later).unwrap();
        assert_eq!(chosen.iter().map(|held| held.name).collect::<Vec<_>>(), ["apiserver"]);
        let renewed = issue(&paths, &chosen, DAYS, later).unwrap();
        assert_eq!(units(&renewed), ["kube-apiserver"]);
        let said = chosen[0].read(&paths).unwrap();
        assert!(said.is_current(later));
        assert_eq!((said.dns_names, said.addresses.len()), (vec!["kubernetes".to_owned()], 1));
        assert!(choose(&paths, "all", true, later).unwrap().is_empty());
    }

    #[test]
    fn units_are_restarted_in_the_order_of_their_needs() {
        let all = held::all();
        assert_eq!(
            units(&all),
            [
                "kube-etcd",
                "kube-apiserver",
                "kube-controller-manager",
                "cloud-controller-manager",
                "kube-scheduler",
                "kube-proxy",
                "podnet"
            ]
        );
    }

    #[test]
    fn an_authority_whose_key_is_elsewhere_signs_nothing_here() {
        let (_folder, paths, now) = ground();
        put(&paths, "etcd/server", Signer::Etcd, Leaf::server("m", &["m"], &[]), now);
        std::fs::remove_file(paths.pki().join("etcd/ca.key")).unwrap();
        let chosen = choose(&paths, "etcd-server", false, now).unwrap();
        assert!(issue(&paths, &chosen, DAYS, now).unwrap().is_empty());
    }

    #[test]
    fn unknown_and_absent_certificates_are_named() {
        let (_folder, paths, now) = ground();
        let unknown = choose(&paths, "api-server", false, now).unwrap_err().to_string();
        assert!(
            unknown.starts_with("unknown certificate \"api-server\"; there are all, admin.conf, apiserver"),
            "{unknown}"
        );
        assert_eq!(
            choose(&paths, "apiserver", false, now).unwrap_err().to_string(),
            "apiserver is not on this machine"
        );
        assert!(choose(&paths, "all", false, now).unwrap().is_empty());
    }
}
