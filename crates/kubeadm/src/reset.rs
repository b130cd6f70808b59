//! Takes back what init or join did to this machine.

mod etcd_member;
mod leftovers;

use std::{io::Write as _, path::PathBuf};

use crate::{
    configuration::Documents,
    failure::Preflight,
    paths::Paths,
    phases::{self, Phase, Selection},
    systemd,
};

/// The phases of `kubeadm reset`, in order, under upstream's names.
pub const PHASES: &[Phase] = &[
    Phase { name: "preflight", about: "Run reset pre-flight checks", parts: &[] },
    Phase { name: "remove-etcd-member", about: "Remove a local etcd member", parts: &[] },
    Phase { name: "cleanup-node", about: "Run cleanup node", parts: &[] },
];

/// What was typed.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = phases::help("reset", PHASES))]
pub struct Flags {
    /// The path to the directory where the certificates are stored
    #[arg(long, value_name = "DIRECTORY")]
    cert_dir: Option<String>,
    /// Cleanup the "/etc/kubernetes/tmp" directory
    #[arg(long)]
    cleanup_tmp_dir: bool,
    /// Path to a kubeadm configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Path to the CRI socket
    #[arg(long, value_name = "SOCKET")]
    cri_socket: Option<String>,
    /// Don't apply any changes; just output what would be done
    #[arg(long)]
    dry_run: bool,
    /// Reset the node without prompting for confirmation
    #[arg(short, long)]
    force: bool,
    /// A list of checks whose errors will be shown as warnings
    #[arg(long, value_name = "CHECK", value_delimiter = ',')]
    ignore_preflight_errors: Vec<String>,
    /// The kubeconfig file to use when talking to the cluster
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// List of phases to be skipped
    #[arg(long, value_name = "PHASE", value_delimiter = ',')]
    skip_phases: Vec<String>,
}

/// Runs the command.
pub async fn run(flags: Flags) -> anyhow::Result<()> {
    let given = Documents::read(flags.config.as_deref())?.reset.unwrap_or_default();
    let mut skipped = given.skip_phases;
    skipped.extend(flags.skip_phases);
    let selection = Selection::Without(skipped);
    selection.check(PHASES)?;
    let dry_run = flags.dry_run || given.dry_run;
    if selection.takes("preflight") {
        println!("[preflight] Running pre-flight checks");
        if !nix::unistd::geteuid().is_root() {
            let message = "[preflight] Some fatal errors occurred:\n\t[ERROR IsPrivilegedUser]: user is not running as root; run the command with sudo";
            return Err(Preflight(message.into()).into());
        }
        if !flags.force && !given.force && !dry_run {
            print!(
                "[reset] WARNING: Changes made to this host by 'kubeadm init' or 'kubeadm join' will be reverted.\n\
                 [reset] Are you sure you want to proceed? [y/N]: "
            );
            std::io::stdout().flush()?;
            if !is_yes()? {
                return Err(Preflight("aborted reset operation".into()).into());
            }
        }
    }
    let paths = Paths::system();
    if dry_run {
        println!("[dryrun] Would remove this machine's member from etcd, where other members are left");
        println!(
            "[dryrun] Would stop and disable the units {}, {}",
            systemd::CONTROL_PLANE.join(", "),
            systemd::NODE.join(", ")
        );
        println!(
            "[dryrun] Would remove all pods, the rules and links of their network, and the files of the cluster:"
        );
        for path in leftovers::files(&paths) {
            println!("\t{}", path.display());
        }
        return Ok(());
    }
    if selection.takes("cleanup-node") {
        println!("[reset] Stopping the kubelet and all other units of the cluster");
        // Before its etcd member goes, without which an API server would take its time to end. A unit that does not
        // stop is met again below.
        let _ = leftovers::stop_units(Some("kube-etcd")).await;
    }
    if selection.takes("remove-etcd-member") {
        etcd_member::remove(&paths).await;
    }
    if selection.takes("cleanup-node") {
        let socket = flags.cri_socket.or(Some(given.cri_socket).filter(|socket| !socket.is_empty()));
        leftovers::clean_up(&paths, socket.as_deref()).await?;
    }
    println!(
        "
The reset process has removed the cluster's units from this machine's boot, its pods, their network, its packet
rules and its files. Images stay in containerd: `ctr -n k8s.io images ls`.

The reset process does not clean your kubeconfig files and you must remove them manually.
Please, check the contents of the $HOME/.kube/config file."
    );
    Ok(())
}

fn is_yes() -> anyhow::Result<bool> {
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
