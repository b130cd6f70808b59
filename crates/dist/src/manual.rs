//! Manual pages and completions of the command lines, made from the tables that the programs read.

use clap_complete::{Shell, generate};

/// A file to be installed.
pub struct Made {
    /// Its name; of a completion the path below a `share` directory.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// The manual pages of kubectl and kubeadm and of each of their commands.
pub fn pages() -> anyhow::Result<Vec<Made>> {
    let mut pages: Vec<Made> = cli_runtime::cli::man::pages(&kubectl::ROOT)
        .into_iter()
        .map(|(name, text)| Made { name: format!("{name}.1"), text })
        .collect();
    let mut kubeadm = kubeadm::command().disable_help_subcommand(true);
    kubeadm.build();
    below(&kubeadm, "kubeadm", &mut pages)?;
    Ok(pages)
}

fn below(command: &clap::Command, name: &str, pages: &mut Vec<Made>) -> anyhow::Result<()> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone().name(name.to_owned()).display_name(name.to_owned()))
        .source("Magnetite")
        .date("")
        .render(&mut page)?;
    pages.push(Made { name: format!("{name}.1"), text: String::from_utf8(page)? });
    command
        .get_subcommands()
        .filter(|command| !command.is_hide_set() && command.get_name() != "help")
        .try_for_each(|command| below(command, &format!("{name}-{}", command.get_name()), pages))
}

/// The completions of both command lines for each shell, at the places where shells look below a `share` directory.
pub fn completions() -> anyhow::Result<Vec<Made>> {
    let places = [
        (Shell::Bash, "bash-completion/completions/kubeadm"),
        (Shell::Zsh, "zsh/vendor-completions/_kubeadm"),
        (Shell::Fish, "fish/vendor_completions.d/kubeadm.fish"),
    ];
    let mut made = Vec::new();
    for (shell, place) in places {
        let mut script = Vec::new();
        generate(shell, &mut kubeadm::command(), "kubeadm", &mut script);
        made.push(Made { name: place.into(), text: String::from_utf8(script)? });
    }
    let kubectl = [
        (cli_runtime::cli::complete::bash(&kubectl::ROOT), "bash-completion/completions/kubectl"),
        (cli_runtime::cli::complete::zsh(&kubectl::ROOT), "zsh/vendor-completions/_kubectl"),
        (cli_runtime::cli::complete::fish(&kubectl::ROOT), "fish/vendor_completions.d/kubectl.fish"),
    ];
    made.extend(kubectl.map(|(text, place)| Made { name: place.into(), text }));
    Ok(made)
}
