//! `kubectl version`.

use serde_json::{Value, json};

use cli_runtime::cli::{Command, Flag, Invocation};
use cli_runtime::error::{Error, Result};
use cli_runtime::resource::Session;

/// Shows versions.
pub static COMMAND: Command = Command {
    name: "version",
    short: "Print the client and server version information",
    long: "Print the client and server version information for the current context.",
    examples: "
# Both versions
kubectl version",
    usage: "version [flags]",
    flags: &[FLAGS],
    run: Some(|invocation| Box::pin(run(invocation))),
    ..Command::NONE
};

const FLAGS: &[Flag] = &[
    Flag::switch("client", "The client's version only; no server is asked."),
    Flag::text("output", "", "yaml or json.").short('o'),
];

const GIT_VERSION: &str = concat!("v", env!("CARGO_PKG_VERSION"));
/// What upstream's kubectl of this version bundles; `kubectl kustomize` follows it.
const KUSTOMIZE: &str = "v5.7.1";

async fn run(invocation: Invocation) -> Result<()> {
    let output = invocation.text("output");
    if !matches!(output, "" | "yaml" | "json") {
        return Err(Error::message("--output must be 'yaml' or 'json'"));
    }
    invocation
        .no_args()
        .map_err(|_| invocation.usage(format!("extra arguments: [{}]", invocation.args.join(" "))))?;
    let client = json!({
        "major": "1", "minor": "36", "gitVersion": GIT_VERSION, "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "", "goVersion": "", "compiler": "rustc", "platform": "linux/amd64",
    });
    let mut versions = json!({"clientVersion": client, "kustomizeVersion": KUSTOMIZE});
    let mut failed = Ok(());
    if !invocation.is("client") {
        match Session::open(&invocation).await {
            Ok(session) => match session.client.get("/version").await {
                Ok(server) => versions["serverVersion"] = server,
                Err(error) => failed = Err(error),
            },
            Err(error) => failed = Err(error),
        }
    }
    match output {
        "json" => outln!("{}", formats::json::text(&versions)),
        "yaml" => out!("{}", formats::yaml::text(&versions)),
        _ => {
            outln!("Client Version: {GIT_VERSION}\nKustomize Version: {KUSTOMIZE}");
            if let Some(server) = versions["serverVersion"]["gitVersion"].as_str() {
                outln!("Server Version: {server}");
                warn_of_skew(&versions["serverVersion"]);
            }
        }
    }
    failed
}

fn warn_of_skew(server: &Value) {
    let minor: String =
        server["minor"].as_str().unwrap_or("").chars().take_while(char::is_ascii_digit).collect();
    if let Ok(minor) = minor.parse::<i64>()
        && (minor - 36).abs() > 1
    {
        errln!(
            "WARNING: version difference between client (1.36) and server (1.{minor}) exceeds the supported minor version skew of +/-1"
        );
    }
}
