//! `kubeadm certs check-expiration`: what a machine holds and when each ends, as upstream prints it.

use std::fs;

use clap::ValueEnum;
use jiff::{Timestamp, tz::TimeZone};
use pki::{Described, cluster::Signer};
use serde_json::{Value, json};

use super::held;
use crate::{certificates::is_external, paths::Paths};

/// What was typed.
#[derive(Debug, clap::Args)]
pub struct Flags {
    /// The path where to save the certificates
    #[arg(long, value_name = "DIRECTORY")]
    cert_dir: Option<std::path::PathBuf>,
    /// Output format
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
    Yaml,
}

/// A line of the answer.
struct Line {
    name: String,
    /// `None` where it is missing.
    expires: Option<Timestamp>,
    /// Who signed it; nothing for an authority.
    authority: &'static str,
    external: bool,
}

/// Runs the command.
pub(super) fn run(paths: &Paths, flags: &Flags) -> anyhow::Result<()> {
    let paths = match &flags.cert_dir {
        Some(directory) => paths.clone().with_pki(directory.clone()),
        None => paths.clone(),
    };
    let now = Timestamp::now();
    let (leaves, authorities) = (leaves(&paths)?, authorities(&paths)?);
    match flags.output {
        Output::Text => print!("{}", text(&leaves, &authorities, now)),
        Output::Json => println!("{:#}", json(&leaves, &authorities, now)),
        Output::Yaml => print!("{}", formats::yaml::text(&json(&leaves, &authorities, now))),
    }
    Ok(())
}

fn leaves(paths: &Paths) -> anyhow::Result<Vec<Line>> {
    let on_control_plane = paths.pki().join("apiserver.crt").exists();
    let mut lines = Vec::new();
    for held in held::all() {
        let here = held.is_here(paths);
        if !here && !on_control_plane {
            continue;
        }
        lines.push(Line {
            name: held.name.to_owned(),
            expires: if here { Some(held.read(paths)?.not_after) } else { None },
            authority: authority_name(held.signer),
            // A worker's certificates come from the cluster, which renews them when asked.
            external: on_control_plane && is_external(&paths.pki(), held.signer),
        });
    }
    Ok(lines)
}

fn authorities(paths: &Paths) -> anyhow::Result<Vec<Line>> {
    let on_control_plane = paths.pki().join("apiserver.crt").exists();
    let mut lines = Vec::new();
    for signer in Signer::ALL {
        let path = paths.pki().join(format!("{}.crt", signer.file()));
        let Ok(text) = fs::read_to_string(path) else { continue };
        lines.push(Line {
            name: authority_name(signer).to_owned(),
            expires: Some(Described::of_pem(&text)?.not_after),
            authority: "",
            external: on_control_plane && is_external(&paths.pki(), signer),
        });
    }
    lines.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(lines)
}

/// What upstream calls an authority here.
fn authority_name(signer: Signer) -> &'static str {
    match signer {
        Signer::Cluster => "ca",
        Signer::FrontProxy => "front-proxy-ca",
        Signer::Etcd => "etcd-ca",
    }
}

fn text(leaves: &[Line], authorities: &[Line], now: Timestamp) -> String {
    let external = |line: &Line| if line.external { "yes" } else { "no" }.to_owned();
    let (expires, left) = (|line: &Line| shown(line.expires), |line: &Line| residual(line.expires, now));
    let missing = |line: &Line| format!("!MISSING! {}", line.name);
    let mut first = vec![
        ["CERTIFICATE", "EXPIRES", "RESIDUAL TIME", "CERTIFICATE AUTHORITY", "EXTERNALLY MANAGED"]
            .map(str::to_owned)
            .to_vec(),
    ];
    first.extend(leaves.iter().map(|line| match line.expires {
        Some(_) => {
            vec![line.name.clone(), expires(line), left(line), line.authority.to_owned(), external(line)]
        }
        None => vec![missing(line), String::new(), String::new(), String::new(), String::new()],
    }));
    let mut second = vec![
        ["CERTIFICATE AUTHORITY", "EXPIRES", "RESIDUAL TIME", "EXTERNALLY MANAGED"]
            .map(str::to_owned)
            .to_vec(),
    ];
    second.extend(
        authorities.iter().map(|line| vec![line.name.clone(), expires(line), left(line), external(line)]),
    );
    format!("{}\n{}", table(&first), table(&second))
}

/// Columns three blanks apart, every line filled up to its end, as upstream's tab writer does.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for row in rows {
        for (cell, width) in row.iter().zip(&widths) {
            text.push_str(&format!("{cell:width$}   "));
        }
        text.push('\n');
    }
    text
}

fn shown(time: Option<Timestamp>) -> String {
    time.map(|time| time.to_zoned(TimeZone::UTC).strftime("%b %d, %Y %H:%M UTC").to_string())
        .unwrap_or_default()
}

/// The time that is left in one unit, as upstream's `ShortHumanDuration`.
fn residual(time: Option<Timestamp>, now: Timestamp) -> String {
    let Some(time) = time else { return String::new() };
    let seconds = time.as_second() - now.as_second();
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match seconds {
        i64::MIN..=-1 => "<invalid>".to_owned(),
        0..=59 => format!("{seconds}s"),
        _ if minutes < 60 => format!("{minutes}m"),
        _ if hours < 24 => format!("{hours}h"),
        _ if hours < 24 * 365 => format!("{}d", hours / 24),
        _ => format!("{}y", hours / 24 / 365),
    }
}

fn json(leaves: &[Line], authorities: &[Line], now: Timestamp) -> Value {
    let one = |line: &Line| {
        let mut value = json!({
            "name": line.name,
            "expirationDate": line.expires,
            "residualTime": line.expires.map_or(0, |end| (end.as_second() - now.as_second()).max(0)),
            "externallyManaged": line.external,
            "missing": line.expires.is_none(),
        });
        if !line.authority.is_empty() {
            value["caName"] = line.authority.into();
        }
        value
    };
    json!({
        "kind": "CertificateExpirationInfo",
        "apiVersion": "output.kubeadm.k8s.io/v1alpha3",
        "certificates": leaves.iter().map(one).collect::<Vec<_>>(),
        "certificateAuthorities": authorities.iter().map(one).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn the_answer_reads_as_upstreams() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let line = |name: &str, expires: &str, authority| Line {
            name: name.into(),
            expires: expires.parse().ok(),
            authority,
            external: false,
        };
        let leaves = [
            line("admin.conf", "2027-01-01T00:00:00Z", "ca"),
            line("apiserver", "2026-01-03T12:00:00Z", "ca"),
            line("etcd-server", "2025-12-31T23:00:00Z", "etcd-ca"),
            line("front-proxy-client", "", "front-proxy-ca"),
        ];
        let authorities = [line("ca", "2035-12-30T00:00:00Z", "")];
        expect![[r#"
            CERTIFICATE                    EXPIRES                  RESIDUAL TIME   CERTIFICATE AUTHORITY   EXTERNALLY MANAGED   
            admin.conf                     Jan 01, 2027 00:00 UTC   1y              ca                      no                   
            apiserver                      Jan 03, 2026 12:00 UTC   2d              ca                      no                   
            etcd-server                    Dec 31, 2025 23:00 UTC   <invalid>       etcd-ca                 no                   
            !MISSING! front-proxy-client                                                                                         

            CERTIFICATE AUTHORITY   EXPIRES                  RESIDUAL TIME   EXTERNALLY MANAGED   
            ca                      Dec 30, 2035 00:00 UTC   10y             no                   
        "#]]
        .assert_eq(&text(&leaves, &authorities, now));
        let value = json(&leaves, &authorities, now);
        assert_eq!(value["certificates"][1]["residualTime"], 60 * 3600);
        assert_eq!(value["certificates"][3]["missing"], true);
    }
}
