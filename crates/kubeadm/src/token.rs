//! Manages bootstrap tokens.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Subcommand;
use jiff::{SpanRound, Timestamp, Unit};
use serde_json::{Value, json};

use crate::{
    bootstrap_token::{SECRETS, Terms, Token},
    cluster::Api,
    configuration::{Documents, v1beta4::BootstrapToken},
    discovery,
    init::stored,
    join_command,
    paths::Paths,
    sealed::CertificateKey,
};

/// What was typed.
#[derive(Debug, clap::Args)]
pub struct Flags {
    /// The kubeconfig file to use when talking to the cluster
    #[arg(long, global = true, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Whether to enable dry-run mode or not
    #[arg(long, global = true)]
    dry_run: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create bootstrap tokens on the server
    Create {
        /// The token; made up if absent
        token: Option<String>,
        /// A kubeadm configuration file
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// A human friendly description of how this token is used
        #[arg(long)]
        description: Option<String>,
        /// Extra groups that this token will authenticate as when used for authentication
        #[arg(long, value_delimiter = ',')]
        groups: Vec<String>,
        /// The ways in which this token can be used
        #[arg(long, value_delimiter = ',')]
        usages: Vec<String>,
        /// The duration before the token is automatically deleted (e.g. 1s, 2m, 3h); '0' for never
        #[arg(long)]
        ttl: Option<String>,
        /// Instead of printing only the token, print the full 'kubeadm join' flag needed to join the cluster
        #[arg(long)]
        print_join_command: bool,
        /// With --print-join-command, print the command that joins a control plane
        #[arg(long)]
        certificate_key: Option<String>,
    },
    /// List bootstrap tokens on the server
    List {
        /// Output format: text, json, yaml
        #[arg(short, long, default_value = "text")]
        output: String,
    },
    /// Delete bootstrap tokens on the server
    Delete {
        /// Tokens or their ids
        #[arg(required = true)]
        tokens: Vec<String>,
    },
    /// Generate and print a bootstrap token, but do not create it on the server
    Generate,
}

/// Runs the command.
pub async fn run(flags: Flags) -> anyhow::Result<()> {
    if matches!(flags.command, Command::Generate) {
        println!("{}", Token::generate().text());
        return Ok(());
    }
    let path = kubeconfig(flags.kubeconfig)?;
    let api = Api::open(&path).await?;
    match flags.command {
        Command::Generate => Ok(()),
        Command::Create {
            token,
            config,
            description,
            groups,
            usages,
            ttl,
            print_join_command,
            certificate_key,
        } => {
            let documents = Documents::read(config.as_deref())?;
            let tokens = documents.init.map(|init| init.bootstrap_tokens).unwrap_or_default();
            let mut given = tokens.into_iter().next().unwrap_or_default();
            if let Some(token) = token {
                given.token = token;
            }
            if let Some(description) = description {
                given.description = description;
            }
            if !groups.is_empty() {
                given.groups = groups;
            }
            if !usages.is_empty() {
                given.usages = usages;
            }
            given.ttl = ttl.or(given.ttl);
            create(&api, &given, flags.dry_run, print_join_command, certificate_key.as_deref()).await
        }
        Command::List { output } => list(&api, &output).await,
        Command::Delete { tokens } => delete(&api, &tokens, flags.dry_run).await,
    }
}

/// The administrator's kubeconfig: as given, of the environment, or this machine's.
pub fn kubeconfig(given: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let of_environment = || std::env::var_os("KUBECONFIG").map(PathBuf::from);
    let of_user = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".kube/config"));
    let places = [given, Some(Paths::system().kubeconfig("admin")), of_environment(), of_user()];
    places
        .into_iter()
        .flatten()
        .find(|path| path.exists())
        .context("no kubeconfig: run this on a control plane as root, or give one with --kubeconfig")
}

async fn create(
    api: &Api,
    given: &BootstrapToken,
    dry_run: bool,
    print_join_command: bool,
    certificate_key: Option<&str>,
) -> anyhow::Result<()> {
    let terms = Terms::new(given, Timestamp::now())?;
    let path = format!("{SECRETS}/bootstrap-token-{}", terms.token.id);
    if !dry_run {
        if api.get(&path).await?.is_some() {
            bail!(
                "a token with id {:?} already exists; remove it with: kubeadm token delete {}",
                terms.token.id,
                terms.token.id
            );
        }
        api.create(SECRETS, &terms.secret()).await?;
    }
    if !print_join_command {
        println!("{}", terms.token.text());
        return Ok(());
    }
    // The key is checked here, where a wrong one can still be mended.
    let key = certificate_key.map(CertificateKey::parse).transpose()?.map(|key| key.text());
    let info = api.get("/api/v1/namespaces/kube-public/configmaps/cluster-info").await?.context(
        "the cluster has no ConfigMap cluster-info in kube-public: kubeadm init phase bootstrap-token",
    )?;
    let text = info["data"]["kubeconfig"].as_str().context("cluster-info has no kubeconfig")?;
    let mut target = discovery::target(text)?;
    let configuration = stored(api).await?;
    if !configuration.control_plane_endpoint.is_empty() {
        target.server =
            crate::configuration::Endpoint::parse(&configuration.control_plane_endpoint, 6443)?.url();
    }
    println!("{}", join_command::of(&target, &terms.token.text())?.line(key.as_deref()));
    Ok(())
}

async fn terms(api: &Api) -> anyhow::Result<Vec<Terms>> {
    let path = format!("{SECRETS}?fieldSelector=type%3Dbootstrap.kubernetes.io%2Ftoken");
    let listed = api.get(&path).await?.unwrap_or_default();
    let mut all: Vec<Terms> =
        listed["items"].as_array().into_iter().flatten().filter_map(Terms::of).collect();
    all.sort_by(|one, other| one.token.id.cmp(&other.token.id));
    Ok(all)
}

async fn list(api: &Api, output: &str) -> anyhow::Result<()> {
    let all = terms(api).await?;
    match output {
        "text" => print!("{}", table(&all, Timestamp::now())),
        "json" => {
            for terms in &all {
                println!("{}", serde_json::to_string_pretty(&object(terms))?);
            }
        }
        "yaml" => {
            let texts: Vec<String> = all.iter().map(|terms| formats::yaml::text(&object(terms))).collect();
            print!("{}", texts.join("---\n"));
        }
        other => bail!("invalid output format: {other}"),
    }
    Ok(())
}

fn object(terms: &Terms) -> Value {
    let mut object = json!({
        "kind": "BootstrapToken",
        "apiVersion": "output.kubeadm.k8s.io/v1alpha3",
        "token": terms.token.text(),
        "usages": terms.usages,
        "groups": terms.groups,
    });
    if !terms.description.is_empty() {
        object["description"] = terms.description.clone().into();
    }
    if let Some(expires) = terms.expires {
        object["expires"] = expires.to_string().into();
    }
    object
}

/// Upstream's columns.
fn table(all: &[Terms], now: Timestamp) -> String {
    let mut rows =
        vec![["TOKEN", "TTL", "EXPIRES", "USAGES", "DESCRIPTION", "EXTRA GROUPS"].map(str::to_owned)];
    let or_none = |text: String| if text.is_empty() { "<none>".to_owned() } else { text };
    for terms in all {
        let (ttl, expires) = match terms.expires {
            None => ("<forever>".to_owned(), "<never>".to_owned()),
            Some(at) if at <= now => ("<invalid>".to_owned(), at.to_string()),
            Some(at) => (left(now, at), at.to_string()),
        };
        rows.push([
            terms.token.text(),
            ttl,
            expires,
            or_none(terms.usages.join(",")),
            or_none(terms.description.clone()),
            or_none(terms.groups.join(",")),
        ]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..6).map(width).collect();
    let line = |row: &[String; 6]| {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("{}\n", cells.join("   ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// The largest unit of what is left, as upstream has it.
fn left(now: Timestamp, end: Timestamp) -> String {
    let rounded = (end - now).round(SpanRound::new().largest(Unit::Hour).smallest(Unit::Second));
    let Ok(span) = rounded else { return "<invalid>".into() };
    match (span.get_hours(), span.get_minutes(), span.get_seconds()) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, _) => format!("{minutes}m"),
        (hours, _, _) if hours < 48 => format!("{hours}h"),
        (hours, _, _) => format!("{}d", hours / 24),
    }
}

async fn delete(api: &Api, tokens: &[String], dry_run: bool) -> anyhow::Result<()> {
    for text in tokens {
        let id = match Token::parse(text) {
            Ok(token) => token.id,
            Err(_)
                if text.len() == 6
                    && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) =>
            {
                text.clone()
            }
            Err(_) => bail!(
                "given token {text:?} didn't match pattern [a-z0-9]{{6}} or [a-z0-9]{{6}}.[a-z0-9]{{16}}"
            ),
        };
        if !dry_run && !api.delete(&format!("{SECRETS}/bootstrap-token-{id}")).await? {
            bail!("failed to delete bootstrap token {id:?}: secrets \"bootstrap-token-{id}\" not found");
        }
        println!("bootstrap token {id:?} deleted");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn tokens_are_listed_in_upstreams_columns() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let given = |token: &str, ttl: &str| BootstrapToken {
            token: token.into(),
            ttl: Some(ttl.into()),
            ..BootstrapToken::default()
        };
        let all = [given("123456.1234567890123456", "0"), given("abcdef.1234567890123456", "24h")]
            .map(|given| Terms::new(&given, now).unwrap());
        expect![[r#"
            TOKEN                     TTL         EXPIRES                USAGES                   DESCRIPTION   EXTRA GROUPS
            123456.1234567890123456   <forever>   <never>                signing,authentication   <none>        system:bootstrappers:kubeadm:default-node-token
            abcdef.1234567890123456   23h         2026-01-02T00:00:00Z   signing,authentication   <none>        system:bootstrappers:kubeadm:default-node-token
        "#]]
        .assert_eq(&table(&all, "2026-01-01T00:00:01Z".parse().unwrap()));
    }
}
