//! `kubectl create secret generic|tls|docker-registry`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::configmap::{HASH, SOURCES, pairs};
use crate::{MANAGER, generated};
use cli_runtime::cli::{Command, Flag, Invocation, flag};
use cli_runtime::error::{Error, Result, go_io_error};

/// Creates secrets.
pub static COMMAND: Command = Command {
    name: "secret",
    short: "Create a secret using a specified subcommand",
    long: "Create a secret using a specified subcommand.\n\nA docker-registry secret holds credentials for an image registry, a generic one any keys and values, a tls one a certificate and its key.",
    usage: "secret (docker-registry | generic | tls)",
    subcommands: &[&DOCKER_REGISTRY, &GENERIC, &TLS],
    ..Command::NONE
};

static GENERIC: Command = Command {
    name: "generic",
    short: "Create a secret from a local file, directory, or literal value",
    examples: "
# Keys and values
kubectl create secret generic login --from-literal=user=admin --from-literal=password=secret

# From files
kubectl create secret generic keys --from-file=id=~/.ssh/id_ed25519",
    usage: "generic NAME [--type=string] [--from-file=[key=]source] [--from-literal=key1=value1] [--dry-run=server|client|none]",
    flags: &[flag::PRINT, flag::DRY_RUN, flag::VALIDATE, flag::SAVE_CONFIG, MANAGER, SOURCES, HASH, TYPE],
    run: Some(|invocation| Box::pin(generic(invocation))),
    ..Command::NONE
};

static TLS: Command = Command {
    name: "tls",
    short: "Create a TLS secret",
    examples: "
# From a certificate and its key
kubectl create secret tls web --cert=tls.crt --key=tls.key",
    usage: "tls NAME --cert=path/to/cert/file --key=path/to/key/file [--dry-run=server|client|none]",
    flags: &[flag::PRINT, flag::DRY_RUN, flag::VALIDATE, flag::SAVE_CONFIG, MANAGER, HASH, TLS_FLAGS],
    run: Some(|invocation| Box::pin(tls(invocation))),
    ..Command::NONE
};

static DOCKER_REGISTRY: Command = Command {
    name: "docker-registry",
    short: "Create a secret for use with a Docker registry",
    examples: "
# Credentials for a registry
kubectl create secret docker-registry pull --docker-server=registry.example.com --docker-username=me --docker-password=secret",
    usage: "docker-registry NAME --docker-username=user --docker-password=password --docker-email=email [--docker-server=string] [--from-file=[key=]source] [--dry-run=server|client|none]",
    flags: &[flag::PRINT, flag::DRY_RUN, flag::VALIDATE, flag::SAVE_CONFIG, MANAGER, HASH, DOCKER_FLAGS],
    run: Some(|invocation| Box::pin(docker_registry(invocation))),
    ..Command::NONE
};

const TYPE: &[Flag] = &[Flag::text("type", "", "Type of the secret.")];
const TLS_FLAGS: &[Flag] = &[
    Flag::text("cert", "", "File with the certificate, in PEM."),
    Flag::text("key", "", "File with its key."),
];
const DOCKER_FLAGS: &[Flag] = &[
    Flag::text("docker-email", "", "E-mail address for the registry."),
    Flag::text("docker-password", "", "Password for the registry."),
    Flag::text("docker-server", "https://index.docker.io/v1/", "The registry."),
    Flag::text("docker-username", "", "User name for the registry."),
    Flag::list("from-file", "A docker config file to take the credentials from."),
];

async fn generic(invocation: Invocation) -> Result<()> {
    let name = invocation.exactly_one_name()?;
    let mut object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}});
    for (key, value) in pairs(&invocation)? {
        object["data"][&key] = STANDARD.encode(value).into();
    }
    if !invocation.text("type").is_empty() {
        object["type"] = invocation.text("type").into();
    }
    finish(&invocation, object).await
}

async fn tls(invocation: Invocation) -> Result<()> {
    let name = invocation.exactly_one_name()?;
    let (certificate, key) = (invocation.text("cert"), invocation.text("key"));
    if certificate.is_empty() || key.is_empty() {
        return Err(Error::message("key and cert must be specified"));
    }
    let read = |path: &str| {
        std::fs::read(path).map_err(|error| Error::message(format!("open {path}: {}", go_io_error(&error))))
    };
    let object = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "kubernetes.io/tls",
        "data": {"tls.crt": STANDARD.encode(read(certificate)?), "tls.key": STANDARD.encode(read(key)?)},
    });
    finish(&invocation, object).await
}

async fn docker_registry(invocation: Invocation) -> Result<()> {
    let name = invocation.exactly_one_name()?;
    let config = if invocation.changed("from-file") {
        let (_, content) = pairs(&invocation)?
            .into_iter()
            .next()
            .ok_or_else(|| Error::message("the file has no content"))?;
        content
    } else {
        let (user, password) = (invocation.text("docker-username"), invocation.text("docker-password"));
        if user.is_empty() || password.is_empty() {
            return Err(Error::message(
                "either --from-file or the combination of --docker-username, --docker-password and --docker-server is required",
            ));
        }
        // The order of the fields is upstream's, so that the same flags give the same bytes.
        let quoted = |text: &str| Value::from(text).to_string();
        let email = match invocation.text("docker-email") {
            "" => String::new(),
            email => format!(",\"email\":{}", quoted(email)),
        };
        let auth = STANDARD.encode(format!("{user}:{password}"));
        format!(
            "{{\"auths\":{{{}:{{\"username\":{},\"password\":{}{email},\"auth\":\"{auth}\"}}}}}}",
            quoted(invocation.text("docker-server")),
            quoted(user),
            quoted(password)
        )
        .into_bytes()
    };
    let object = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": STANDARD.encode(config)},
    });
    finish(&invocation, object).await
}

async fn finish(invocation: &Invocation, mut object: Value) -> Result<()> {
    if invocation.is("append-hash") {
        let content = json!({"data": object["data"], "kind": "Secret", "name": object["metadata"]["name"],
            "type": object["type"].as_str().unwrap_or("")});
        let name = object["metadata"]["name"].as_str().unwrap_or("").to_string();
        object["metadata"]["name"] = format!("{name}-{}", kustomize::hash(&content)).into();
    }
    generated(invocation, object, "secrets", true, "secret").await
}
