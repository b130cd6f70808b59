//! Prints, checks and migrates configurations; lists images.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Subcommand;

use crate::{
    addons,
    configuration::{
        ClusterSettings, Documents, KUBELET_GROUP, PROXY_GROUP, kube_proxy, kubelet, migrate, print,
        v1beta4::{
            API_VERSION, ApiEndpoint, BootstrapToken, BootstrapTokenDiscovery, ClusterConfiguration,
            Discovery, InitConfiguration, JoinConfiguration, NodeRegistration, ResetConfiguration,
        },
    },
    container_runtime,
    paths::Paths,
};

/// What was typed.
#[derive(Debug, clap::Args)]
pub struct Flags {
    /// The kubeconfig file to use when talking to the cluster
    #[arg(long, global = true, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print configuration
    Print {
        #[command(subcommand)]
        what: Print,
    },
    /// Interact with container images used by kubeadm
    Images {
        #[command(subcommand)]
        what: Images,
    },
    /// Read an older version of the kubeadm configuration API types from a file, and output the similar config for the newer version
    Migrate {
        /// Path to the kubeadm config file that is using an old API version
        #[arg(long, value_name = "FILE")]
        old_config: PathBuf,
        /// Path to the resulting file; standard output if absent
        #[arg(long, value_name = "FILE")]
        new_config: Option<PathBuf>,
        /// Allow migration to experimental, unreleased APIs
        #[arg(long)]
        allow_experimental_api: bool,
    },
    /// Read a file containing the kubeadm configuration API and report any warnings or errors
    Validate {
        /// Path to a kubeadm configuration file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Allow validation of experimental, unreleased APIs
        #[arg(long)]
        allow_experimental_api: bool,
    },
}

#[derive(Debug, clap::Args)]
struct Components {
    /// Which component configurations to print besides: KubeProxyConfiguration, KubeletConfiguration
    #[arg(long, value_delimiter = ',')]
    component_configs: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum Print {
    /// Print default init configuration, that can be used for 'kubeadm init'
    #[command(name = "init-defaults")]
    Init(Components),
    /// Print default join configuration, that can be used for 'kubeadm join'
    #[command(name = "join-defaults")]
    Join(Components),
    /// Print default reset configuration, that can be used for 'kubeadm reset'
    #[command(name = "reset-defaults")]
    Reset,
    /// Print the configuration of every kubelet as 'kubeadm init' makes it
    #[command(name = "kubelet-defaults")]
    Kubelet,
    /// Print the configuration of every kube-proxy as 'kubeadm init' makes it
    #[command(name = "kube-proxy-defaults")]
    KubeProxy,
}

#[derive(Debug, Subcommand)]
enum Images {
    /// Print a list of images kubeadm will use
    List(ImageFlags),
    /// Bring the images used by kubeadm into the container runtime
    Pull(ImageFlags),
}

#[derive(Debug, clap::Args)]
struct ImageFlags {
    /// Path to a kubeadm configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Path to the CRI socket
    #[arg(long, value_name = "SOCKET")]
    cri_socket: Option<String>,
    /// Choose a specific Kubernetes version
    #[arg(long, value_name = "VERSION")]
    kubernetes_version: Option<String>,
}

/// Runs the command.
pub async fn run(flags: Flags) -> anyhow::Result<()> {
    match flags.command {
        Command::Print { what } => print!("{}", defaults(&what)?),
        Command::Images { what: Images::List(_) } => {
            for image in addons::images()? {
                println!("{image}");
            }
        }
        Command::Images { what: Images::Pull(_) } => {
            let archives = container_runtime::archives(&Paths::system())?;
            if archives.is_empty() {
                bail!("no image archives in /usr/share/magnetite/images; install the package magnetite-node");
            }
            container_runtime::import(archives).await?;
            for image in addons::images()? {
                println!("[config/images] Imported {image}");
            }
        }
        Command::Migrate { old_config, new_config, .. } => {
            let text = std::fs::read_to_string(&old_config)
                .with_context(|| format!("reading {}", old_config.display()))?;
            let text = migrated(&text)?;
            match new_config {
                Some(path) => {
                    std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
                }
                None => print!("{text}"),
            }
        }
        Command::Validate { config, .. } => {
            let documents = Documents::read(Some(&config))?;
            if let Some(cluster) = documents.cluster {
                ClusterSettings::new(cluster)?;
            }
            println!("ok");
        }
    }
    Ok(())
}

fn migrated(text: &str) -> anyhow::Result<String> {
    let documents = formats::yaml::documents(text)?;
    let mut texts = Vec::new();
    for document in documents {
        texts.push(formats::yaml::text(&migrate(document)?));
    }
    let text = texts.join("---\n");
    // What comes out must be read by what will be given it.
    Documents::parse(&text)?;
    Ok(text)
}

const PLACEHOLDER: &str = "abcdef.0123456789abcdef";

fn registration() -> NodeRegistration {
    NodeRegistration {
        name: "node".into(),
        cri_socket: "unix:///run/containerd/containerd.sock".into(),
        image_pull_policy: "IfNotPresent".into(),
        image_pull_serial: Some(true),
        ..NodeRegistration::default()
    }
}

fn defaults(what: &Print) -> anyhow::Result<String> {
    let cluster = ClusterSettings::new(ClusterConfiguration::default())?;
    let mut texts = match what {
        Print::Init(_) => {
            let init = InitConfiguration {
                bootstrap_tokens: vec![BootstrapToken {
                    token: PLACEHOLDER.into(),
                    ttl: Some("24h0m0s".into()),
                    usages: vec!["signing".into(), "authentication".into()],
                    groups: vec![crate::cluster::objects::JOINING.into()],
                    ..BootstrapToken::default()
                }],
                node_registration: registration(),
                local_api_endpoint: ApiEndpoint { advertise_address: "1.2.3.4".into(), bind_port: 6443 },
                ..InitConfiguration::default()
            };
            vec![print("InitConfiguration", &init)?, print("ClusterConfiguration", &cluster.configuration)?]
        }
        Print::Join(_) => {
            let join = JoinConfiguration {
                node_registration: registration(),
                ca_cert_path: "/etc/kubernetes/pki/ca.crt".into(),
                discovery: Discovery {
                    bootstrap_token: Some(BootstrapTokenDiscovery {
                        token: PLACEHOLDER.into(),
                        api_server_endpoint: "kube-apiserver:6443".into(),
                        unsafe_skip_ca_verification: true,
                        ..BootstrapTokenDiscovery::default()
                    }),
                    tls_bootstrap_token: PLACEHOLDER.into(),
                    ..Discovery::default()
                },
                ..JoinConfiguration::default()
            };
            vec![print("JoinConfiguration", &join)?]
        }
        Print::Reset => {
            let reset = ResetConfiguration {
                certificates_dir: "/etc/kubernetes/pki".into(),
                cri_socket: registration().cri_socket,
                ..ResetConfiguration::default()
            };
            vec![print("ResetConfiguration", &reset)?]
        }
        Print::Kubelet => vec![formats::yaml::text(&kubelet(&cluster, None))],
        Print::KubeProxy => vec![formats::yaml::text(&kube_proxy(&cluster, None))],
    };
    if let Print::Init(components) | Print::Join(components) = what {
        for component in &components.component_configs {
            texts.push(match component.as_str() {
                "KubeletConfiguration" => formats::yaml::text(&kubelet(&cluster, None)),
                "KubeProxyConfiguration" => formats::yaml::text(&kube_proxy(&cluster, None)),
                other => bail!(
                    "--component-configs: unknown kind {other:?}: KubeletConfiguration of {KUBELET_GROUP} and KubeProxyConfiguration of {PROXY_GROUP} go with {API_VERSION}"
                ),
            });
        }
    }
    Ok(texts.join("---\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read_again() {
        let components = || Components {
            component_configs: vec!["KubeletConfiguration".into(), "KubeProxyConfiguration".into()],
        };
        for what in [Print::Init(components()), Print::Join(components()), Print::Reset] {
            let text = defaults(&what).unwrap();
            Documents::parse(&text).unwrap();
        }
        assert!(defaults(&Print::Init(Components { component_configs: vec!["Pod".into()] })).is_err());
    }

    #[test]
    fn the_last_version_is_migrated() {
        let old = "apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\nscheduler:\n  extraArgs: {v: '2'}\n";
        let new = migrated(old).unwrap();
        assert!(new.contains("v1beta4") && new.contains("- name: v\n"), "{new}");
    }
}
