//! Upstream's flags: Go spellings, flags that mean nothing here, and suggestions for unknown ones.

use std::collections::BTreeSet;
use std::ffi::OsString;

use clap::Parser;

use crate::about::{self, CommandLine};

/// A flag of upstream's component that is accepted and has no meaning here; using it logs one warning.
#[derive(Debug, Clone, Copy)]
pub struct Ignored {
    /// Name without dashes.
    pub name: &'static str,
    /// Whether a value may follow as the next argument (a Go bool flag takes one only after `=`).
    pub takes_value: bool,
}

/// An ignored flag with a value.
pub const fn ignored(name: &'static str) -> Ignored {
    Ignored { name, takes_value: true }
}

/// An ignored boolean flag.
pub const fn ignored_switch(name: &'static str) -> Ignored {
    Ignored { name, takes_value: false }
}

/// Logging flags of upstream's that every component takes: these logs are not buffered and not split.
const LOGGING: &[Ignored] = &[
    ignored("log-flush-frequency"),
    ignored("log-json-info-buffer-size"),
    ignored_switch("log-json-split-stream"),
    ignored("log-text-info-buffer-size"),
    ignored_switch("log-text-split-stream"),
    ignored("vmodule"),
];

/// Flags of a component that serves metrics and asks the API server who may read them.
pub const SERVING: &[Ignored] = &[
    ignored("authentication-token-webhook-cache-ttl"),
    ignored_switch("authentication-tolerate-lookup-failure"),
    ignored("authorization-webhook-cache-authorized-ttl"),
    ignored("authorization-webhook-cache-unauthorized-ttl"),
    ignored("cert-dir"),
    ignored_switch("contention-profiling"),
    ignored_switch("disable-http2-serving"),
    ignored("http2-max-streams-per-connection"),
    ignored_switch("permit-address-sharing"),
    ignored_switch("permit-port-sharing"),
    ignored("tls-cipher-suites"),
    ignored("tls-curve-preferences"),
    ignored("tls-min-version"),
    ignored("tls-sni-cert-key"),
];

/// Flags of a component that works against the API server: how much it may ask, and which of upstream's features are on.
pub const CLIENT: &[Ignored] = &[
    ignored("allow-metric-labels"),
    ignored("allow-metric-labels-manifest"),
    ignored("disabled-metrics"),
    ignored("emulated-version"),
    ignored("feature-gates"),
    ignored("kube-api-burst"),
    ignored("kube-api-content-type"),
    ignored("kube-api-qps"),
    ignored("leader-elect-resource-lock"),
    ignored("min-compatibility-version"),
    ignored("show-hidden-metrics-for-version"),
];

/// What is left of the arguments once ignored flags are taken out, and the names of those.
#[derive(Debug, PartialEq, Eq)]
pub struct Sorted {
    /// For the parser.
    pub kept: Vec<String>,
    /// Flags given that have no meaning here.
    pub ignored: Vec<&'static str>,
    /// `--profiling`, which every component has.
    pub profiling: Option<bool>,
}

/// Rewrites Go spellings (`-name`, `--some_name`) and takes out ignored flags. The first argument is the program.
pub fn sort(arguments: impl IntoIterator<Item = String>, known: &[&[Ignored]]) -> Sorted {
    let mut sorted = Sorted { kept: Vec::new(), ignored: Vec::new(), profiling: None };
    let ignored =
        |name: &str| known.iter().copied().chain([LOGGING]).flatten().find(|flag| flag.name == name);
    let mut arguments = arguments.into_iter();
    sorted.kept.extend(arguments.next());
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            sorted.kept.push(argument);
            sorted.kept.extend(arguments.by_ref());
            break;
        }
        let Some(name_value) = argument
            .strip_prefix("--")
            .or_else(|| argument.strip_prefix('-').filter(|rest| rest.len() > 1 && !rest.starts_with('-')))
        else {
            sorted.kept.push(argument);
            continue;
        };
        // The one shorthand that components have; pflag takes its value without a space too.
        let verbosity = name_value.strip_prefix('v').filter(|_| !argument.starts_with("--"));
        if let Some(level) = verbosity.filter(|rest| rest.starts_with(|first: char| first.is_ascii_digit())) {
            sorted.kept.push(format!("--v={level}"));
            continue;
        }
        let (name, value) = match name_value.split_once('=') {
            Some((name, value)) => (name.replace('_', "-"), Some(value)),
            None => (name_value.replace('_', "-"), None),
        };
        if name == "profiling" {
            sorted.profiling = Some(!matches!(value, Some("false" | "f" | "F" | "FALSE" | "False" | "0")));
            continue;
        }
        if let Some(flag) = ignored(&name) {
            if value.is_none() && flag.takes_value {
                arguments.next();
            }
            sorted.ignored.push(flag.name);
            continue;
        }
        sorted.kept.push(match value {
            Some(value) => format!("--{name}={value}"),
            None => format!("--{name}"),
        });
    }
    sorted
}

/// Parses the process's arguments. Prints help, the version or an error and exits as upstream's components do.
///
/// Returns the flags and the names of ignored ones, to be warned of once logging is up.
pub fn parse<F: Parser>(known: &[&[Ignored]]) -> (F, Vec<&'static str>) {
    let arguments = std::env::args_os().map(|argument: OsString| argument.to_string_lossy().into_owned());
    let sorted = sort(arguments, known);
    let command = command::<F>();
    let matches = command.clone().get_matches_from(sorted.kept);
    let profiles = sorted.profiling.unwrap_or(true);
    about::was_told(CommandLine { flags: stated(&command, &matches), profiles });
    match F::from_arg_matches(&matches) {
        Ok(flags) => (flags, sorted.ignored),
        Err(error) => error.exit(),
    }
}

/// Every flag that a component takes, those without an effect too.
pub fn names<F: Parser>(known: &[&[Ignored]]) -> BTreeSet<String> {
    let command = command::<F>();
    let own = command.get_arguments().filter_map(|argument| argument.get_long().map(str::to_owned));
    let ignored = known.iter().copied().chain([LOGGING]).flatten().map(|flag| flag.name.to_owned());
    let everywhere = ["help", "profiling", "version"].map(str::to_owned);
    own.chain(ignored).chain(everywhere).collect()
}

/// What upstream's scheduler and controller managers all take: how they serve, how they reach the API server, how they are
/// elected, how they log. For [`differences`].
pub const UPSTREAM_CONTROLLERS: &str = "\
    authentication-kubeconfig authentication-skip-lookup authentication-token-webhook-cache-ttl
    authentication-tolerate-lookup-failure authorization-always-allow-paths authorization-kubeconfig
    authorization-webhook-cache-authorized-ttl authorization-webhook-cache-unauthorized-ttl bind-address
    cert-dir client-ca-file contention-profiling disable-http2-serving http2-max-streams-per-connection
    permit-address-sharing permit-port-sharing profiling requestheader-allowed-names
    requestheader-client-ca-file requestheader-extra-headers-prefix requestheader-group-headers
    requestheader-uid-headers requestheader-username-headers secure-port tls-cert-file tls-cipher-suites
    tls-curve-preferences tls-min-version tls-private-key-file tls-sni-cert-key allow-metric-labels
    allow-metric-labels-manifest disabled-metrics emulated-version feature-gates kube-api-burst
    kube-api-content-type kube-api-qps kubeconfig leader-elect leader-elect-lease-duration
    leader-elect-renew-deadline leader-elect-resource-lock leader-elect-resource-name
    leader-elect-resource-namespace leader-elect-retry-period master min-compatibility-version
    show-hidden-metrics-for-version help log-flush-frequency log-json-info-buffer-size log-json-split-stream
    log-text-info-buffer-size log-text-split-stream logging-format v version vmodule";

/// Says by which flags a component differs from upstream's, which are given as words in lists: those that it does not take, and
/// those that upstream does not have. For the tests of components.
pub fn differences<F: Parser>(known: &[&[Ignored]], upstream: &[&str]) -> (Vec<String>, Vec<String>) {
    let words = upstream.iter().flat_map(|list| list.split_whitespace());
    let upstream: BTreeSet<String> = words.map(str::to_owned).collect();
    let taken = names::<F>(known);
    (upstream.difference(&taken).cloned().collect(), taken.difference(&upstream).cloned().collect())
}

/// Each flag with its value as text, whether it was given or not.
fn stated(command: &clap::Command, matches: &clap::ArgMatches) -> Vec<(String, String)> {
    let flags = command.get_arguments().filter_map(|argument| {
        let values = matches.try_get_raw(argument.get_id().as_str()).ok().flatten();
        let values: Vec<_> = values.into_iter().flatten().map(|value| value.to_string_lossy()).collect();
        Some((argument.get_long()?.to_owned(), values.join(",")))
    });
    flags.filter(|(name, _)| !matches!(name.as_str(), "help" | "version")).collect()
}

/// A component's command line. Of a flag that is given twice the last counts, as in upstream: a unit's file has some, its
/// environment others.
fn command<F: Parser>() -> clap::Command {
    F::command().version(crate::VERSION).disable_help_subcommand(true).args_override_self(true)
}

/// Reads a Go duration flag (`10s`, `1m30s`); for clap's `value_parser`.
pub fn duration(text: &str) -> Result<std::time::Duration, String> {
    apimachinery::time::parse_go_duration(text)
        .and_then(|nanos| u64::try_from(nanos).ok())
        .map(std::time::Duration::from_nanos)
        .ok_or_else(|| format!("time: invalid duration {text:?}"))
}

/// Writes a duration as Go does (`1m30s`).
pub fn shown_duration(duration: std::time::Duration) -> String {
    apimachinery::time::format_go_duration(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
}

/// Writes a component's configuration into a file, as `--write-config-to` asks.
pub fn write_config(path: &std::path::Path, configuration: &serde_json::Value) -> anyhow::Result<()> {
    use anyhow::Context as _;
    let text = serde_saphyr::to_string(configuration).context("writing the configuration")?;
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
    tracing::info!(file = %path.display(), "wrote configuration to file");
    Ok(())
}

/// Reads a component config file (YAML or JSON) of the given group and kind into its type.
///
/// Unknown fields are an error, as upstream decodes its configurations strictly; so is another kind.
pub fn config_file<T: serde::de::DeserializeOwned>(
    path: &std::path::Path,
    group: &str,
    kind: &str,
) -> anyhow::Result<T> {
    use anyhow::Context as _;
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let mut value: serde_json::Value =
        serde_saphyr::from_str(&text).with_context(|| format!("reading {}", path.display()))?;
    let (api_version, found) = (
        value["apiVersion"].as_str().unwrap_or_default().to_owned(),
        value["kind"].as_str().unwrap_or_default().to_owned(),
    );
    if found != kind || apimachinery::gvk::split_api_version(&api_version).0 != group {
        anyhow::bail!(
            "{}: expected kind {kind} of group {group}, found apiVersion {api_version:?}, kind {found:?}",
            path.display()
        );
    }
    if let Some(map) = value.as_object_mut() {
        map.remove("apiVersion");
        map.remove("kind");
    }
    serde_json::from_value(value).with_context(|| format!("strict decoding of {}", path.display()))
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches as _;

    use super::*;

    fn check(arguments: &[&str], kept: &[&str], ignored_names: &[&str]) {
        let known = [ignored("cloud-provider"), ignored_switch("contention-profiling")];
        let sorted = sort(arguments.iter().map(|argument| (*argument).to_owned()), &[&known]);
        assert_eq!(sorted.kept, kept);
        assert_eq!(sorted.ignored, ignored_names);
    }

    #[derive(Debug, Parser)]
    struct Several {
        #[arg(long)]
        one: Option<String>,
        #[arg(long, value_delimiter = ',')]
        many: Vec<String>,
    }

    #[test]
    fn the_last_of_two_equal_flags_counts() {
        let words = ["p", "--one=a", "--many=a,b", "--one=b", "--many=c"];
        let several = Several::from_arg_matches(&command::<Several>().get_matches_from(words)).unwrap();
        assert_eq!(
            (several.one.as_deref(), several.many),
            (Some("b"), vec!["a".into(), "b".into(), "c".into()])
        );
    }

    #[test]
    fn flags_are_stated_with_their_values() {
        let command = command::<Several>();
        let matches = command.clone().get_matches_from(["p", "--many=a,b", "--many=c"]);
        let expected = [("one", ""), ("many", "a,b,c")];
        assert_eq!(
            stated(&command, &matches),
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }

    #[test]
    fn profiling_is_a_flag_of_every_component() {
        for (argument, expected) in
            [("--profiling", true), ("--profiling=true", true), ("--profiling=false", false)]
        {
            let sorted = sort(["p".to_owned(), argument.to_owned()], &[]);
            assert_eq!((sorted.kept, sorted.profiling), (vec!["p".to_owned()], Some(expected)));
        }
    }

    #[test]
    fn go_spellings_and_ignored_flags() {
        check(&["p", "--v=2", "-v", "3"], &["p", "--v=2", "-v", "3"], &[]);
        check(&["p", "-v4", "-v=4", "--v", "4"], &["p", "--v=4", "--v=4", "--v", "4"], &[]);
        check(&["p", "--secure_port=1"], &["p", "--secure-port=1"], &[]);
        check(&["p", "--cloud-provider", "x", "--v=1"], &["p", "--v=1"], &["cloud-provider"]);
        check(&["p", "--cloud-provider=x", "y"], &["p", "y"], &["cloud-provider"]);
        check(&["p", "--contention-profiling", "y"], &["p", "y"], &["contention-profiling"]);
        check(&["p", "--", "--cloud-provider"], &["p", "--", "--cloud-provider"], &[]);
    }

    #[test]
    fn durations_are_gos() {
        assert_eq!(duration("1m30s").unwrap().as_secs(), 90);
        assert!(duration("-1s").is_err() && duration("5").is_err());
    }
}
