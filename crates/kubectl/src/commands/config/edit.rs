//! `kubectl config set*|unset|use-context|rename-context|delete-*`.

use base64::Engine;
use serde_json::{Value, json};

use super::file_for;
use cli_runtime::cli::{Command, Flag, Invocation};
use cli_runtime::client::kubeconfig::{self, entry, entry_mut};
use cli_runtime::error::{Error, Result, go_io_error};

macro_rules! command {
    ($item:ident, $name:literal, $aliases:expr, $short:literal, $usage:literal, $flags:expr, $run:expr) => {
        #[doc = $short]
        pub static $item: Command = Command {
            name: $name,
            aliases: $aliases,
            short: $short,
            usage: $usage,
            flags: $flags,
            run: Some(|invocation| Box::pin(async move { $run(&invocation) })),
            ..Command::NONE
        };
    };
}

command!(
    DELETE_CLUSTER,
    "delete-cluster",
    &[],
    "Delete the specified cluster from the kubeconfig",
    "delete-cluster NAME",
    &[],
    |i: &Invocation| delete(i, "clusters", "cluster", "cluster")
);
command!(
    DELETE_CONTEXT,
    "delete-context",
    &[],
    "Delete the specified context from the kubeconfig",
    "delete-context NAME",
    &[],
    |i: &Invocation| delete(i, "contexts", "context", "context")
);
command!(
    DELETE_USER,
    "delete-user",
    &[],
    "Delete the specified user from the kubeconfig",
    "delete-user NAME",
    &[],
    |i: &Invocation| delete(i, "users", "user", "user")
);
command!(
    RENAME_CONTEXT,
    "rename-context",
    &[],
    "Rename a context from the kubeconfig file",
    "rename-context CONTEXT_NAME NEW_NAME",
    &[],
    rename_context
);
command!(
    SET,
    "set",
    &[],
    "Set an individual value in a kubeconfig file",
    "set PROPERTY_NAME PROPERTY_VALUE",
    &[SET_FLAGS],
    set
);
command!(
    UNSET,
    "unset",
    &[],
    "Unset an individual value in a kubeconfig file",
    "unset PROPERTY_NAME",
    &[],
    unset
);
command!(
    USE_CONTEXT,
    "use-context",
    &["use"],
    "Set the current-context in a kubeconfig file",
    "use-context CONTEXT_NAME",
    &[],
    use_context
);
command!(
    SET_CLUSTER,
    "set-cluster",
    &[],
    "Set a cluster entry in kubeconfig",
    "set-cluster NAME [--server=server] [--certificate-authority=path/to/certificate/authority] [--insecure-skip-tls-verify=true] [--tls-server-name=example.com]",
    &[CLUSTER_FLAGS],
    set_cluster
);
command!(
    SET_CONTEXT,
    "set-context",
    &[],
    "Set a context entry in kubeconfig",
    "set-context [NAME | --current] [--cluster=cluster_nickname] [--user=user_nickname] [--namespace=namespace]",
    &[CONTEXT_FLAGS],
    set_context
);
command!(
    SET_CREDENTIALS,
    "set-credentials",
    &[],
    "Set a user entry in kubeconfig",
    "set-credentials NAME [--client-certificate=path/to/certfile] [--client-key=path/to/keyfile] [--token=bearer_token] [--username=basic_user] [--password=basic_password] [--auth-provider=provider_name] [--auth-provider-arg=key=value] [--exec-command=exec_command] [--exec-api-version=exec_api_version] [--exec-arg=arg] [--exec-env=key=value]",
    &[USER_FLAGS],
    set_credentials
);

const SET_FLAGS: &[Flag] =
    &[Flag::switch("set-raw-bytes", "Write a value of bytes as it is, without base64.")];
const CLUSTER_FLAGS: &[Flag] = &[
    Flag::switch("embed-certs", "Put the certificate into the file instead of its path."),
    Flag::text("proxy-url", "", "Proxy to reach the cluster by."),
];
const CONTEXT_FLAGS: &[Flag] = &[Flag::switch("current", "Change the current context.")];
const USER_FLAGS: &[Flag] = &[
    Flag::text("auth-provider", "", "Authentication provider."),
    Flag::array("auth-provider-arg", "Setting of the provider (key=value)."),
    Flag::switch("embed-certs", "Put certificate and key into the file instead of their paths."),
    Flag::text("exec-api-version", "", "API version of the credential plugin."),
    Flag::array("exec-arg", "Argument of the credential plugin."),
    Flag::text("exec-command", "", "Command of the credential plugin."),
    Flag::array("exec-env", "Environment of the credential plugin (key=value)."),
    Flag::text("exec-interactive-mode", "", "Never, IfAvailable or Always."),
    Flag::switch("exec-provide-cluster-info", "Tell the plugin about the cluster."),
];

fn one<'a>(invocation: &'a Invocation, what: &str) -> Result<&'a str> {
    match invocation.args.as_slice() {
        [name] => Ok(name),
        _ => Err(invocation.usage(format!("Unexpected args: {:?}, expected {what}", invocation.args))),
    }
}

fn delete(invocation: &Invocation, list: &str, field: &str, what: &str) -> Result<()> {
    let name = one(invocation, "NAME")?;
    let (path, mut config) = file_for(invocation, |config| entry(config, list, field, name).is_some())?;
    if entry(&config, list, field, name).is_none() {
        return Err(Error::message(format!("cannot delete {what} {name}, not in {}", path.display())));
    }
    if let Some(entries) = config[list].as_array_mut() {
        entries.retain(|entry| entry["name"] != name);
    }
    kubeconfig::write(&path, &config)?;
    if list == "contexts" && config["current-context"] == name {
        errln!(
            "warning: this removed your active context, use \"kubectl config use-context\" to select a different one"
        );
    }
    outln!("deleted {what} {name} from {}", path.display());
    Ok(())
}

fn rename_context(invocation: &Invocation) -> Result<()> {
    let [old, new] = invocation.args.as_slice() else {
        return Err(invocation.usage("Unexpected args"));
    };
    let (path, mut config) =
        file_for(invocation, |config| entry(config, "contexts", "context", old).is_some())?;
    if entry(&config, "contexts", "context", old).is_none() {
        return Err(Error::message(format!(
            "cannot rename the context \"{old}\", it's not in {}",
            path.display()
        )));
    }
    if entry(&config, "contexts", "context", new).is_some() {
        return Err(Error::message(format!(
            "cannot rename the context \"{old}\", the context \"{new}\" already exists in {}",
            path.display()
        )));
    }
    for entry in config["contexts"].as_array_mut().into_iter().flatten() {
        if entry["name"] == old.as_str() {
            entry["name"] = new.clone().into();
        }
    }
    if config["current-context"] == old.as_str() {
        config["current-context"] = new.clone().into();
    }
    kubeconfig::write(&path, &config)?;
    outln!("Context \"{old}\" renamed to \"{new}\".");
    Ok(())
}

fn use_context(invocation: &Invocation) -> Result<()> {
    let name = one(invocation, "CONTEXT_NAME")?;
    let merged = kubeconfig::merged(invocation)?;
    if entry(&merged, "contexts", "context", name).is_none() {
        return Err(Error::message(format!("no context exists with the name: \"{name}\"")));
    }
    let (path, mut config) =
        file_for(invocation, |config| !config["current-context"].as_str().unwrap_or("").is_empty())?;
    config["current-context"] = name.into();
    kubeconfig::write(&path, &config)?;
    outln!("Switched to context \"{name}\".");
    Ok(())
}

fn put(entry: &mut Value, field: &str, value: &str) {
    if value.is_empty() {
        if let Some(fields) = entry.as_object_mut() {
            fields.remove(field);
        }
    } else {
        entry[field] = value.into();
    }
}

/// Sets a path, or the content it leads to, and removes the other of the two.
fn put_file(entry: &mut Value, field: &str, path: &str, embed: bool) -> Result<()> {
    let data = format!("{field}-data");
    if embed && !path.is_empty() {
        let bytes = std::fs::read(path).map_err(|error| {
            Error::message(format!(
                "could not read {field} data from {path}: open {path}: {}",
                go_io_error(&error)
            ))
        })?;
        entry[&data] = base64::engine::general_purpose::STANDARD.encode(bytes).into();
        put(entry, field, "");
        return Ok(());
    }
    let absolute = match path {
        "" => String::new(),
        path => std::path::absolute(path)?.to_string_lossy().into_owned(),
    };
    put(entry, field, &absolute);
    put(entry, &data, "");
    Ok(())
}

fn set_cluster(invocation: &Invocation) -> Result<()> {
    let name = one(invocation, "NAME")?;
    let (path, mut config) =
        file_for(invocation, |config| entry(config, "clusters", "cluster", name).is_some())?;
    let cluster = entry_mut(&mut config, "clusters", "cluster", name)?;
    for (flag, field) in
        [("server", "server"), ("tls-server-name", "tls-server-name"), ("proxy-url", "proxy-url")]
    {
        if invocation.changed(flag) {
            put(cluster, field, invocation.text(flag));
        }
    }
    if invocation.changed("insecure-skip-tls-verify") {
        cluster["insecure-skip-tls-verify"] = invocation.is("insecure-skip-tls-verify").into();
    }
    if invocation.changed("certificate-authority") {
        put_file(
            cluster,
            "certificate-authority",
            invocation.text("certificate-authority"),
            invocation.is("embed-certs"),
        )?;
    }
    kubeconfig::write(&path, &config)?;
    outln!("Cluster \"{name}\" set.");
    Ok(())
}

fn set_context(invocation: &Invocation) -> Result<()> {
    let name = match (invocation.is("current"), invocation.args.as_slice()) {
        (true, []) => {
            let merged = kubeconfig::merged(invocation)?;
            let current = merged["current-context"].as_str().unwrap_or("").to_string();
            if current.is_empty() {
                return Err(Error::message("no current context is set"));
            }
            current
        }
        (false, [name]) => name.clone(),
        (true, _) => return Err(Error::message("you cannot specify both a context name and --current")),
        (false, _) => return Err(invocation.usage("you must specify a non-empty context name or --current")),
    };
    let known = |config: &Value| entry(config, "contexts", "context", &name).is_some();
    let (path, mut config) = file_for(invocation, known)?;
    let done = if known(&config) { "modified" } else { "created" };
    let context = entry_mut(&mut config, "contexts", "context", &name)?;
    for field in ["cluster", "user", "namespace"] {
        if invocation.changed(field) {
            put(context, field, invocation.text(field));
        }
    }
    kubeconfig::write(&path, &config)?;
    outln!("Context \"{name}\" {done}.");
    Ok(())
}

fn set_credentials(invocation: &Invocation) -> Result<()> {
    let name = one(invocation, "NAME")?;
    if invocation.changed("token") && (invocation.changed("username") || invocation.changed("password")) {
        return Err(Error::message(
            "you cannot specify more than one authentication method at the same time: --token, --username/--password",
        ));
    }
    let (path, mut config) = file_for(invocation, |config| entry(config, "users", "user", name).is_some())?;
    let user = entry_mut(&mut config, "users", "user", name)?;
    for flag in ["token", "username", "password"] {
        if invocation.changed(flag) {
            put(user, flag, invocation.text(flag));
        }
    }
    for flag in ["client-certificate", "client-key"] {
        if invocation.changed(flag) {
            put_file(user, flag, invocation.text(flag), invocation.is("embed-certs"))?;
        }
    }
    if invocation.changed("auth-provider") {
        user["auth-provider"]["name"] = invocation.text("auth-provider").into();
    }
    for argument in invocation.list("auth-provider-arg") {
        if let Some((key, value)) = argument.split_once('=') {
            user["auth-provider"]["config"][key] = value.into();
        }
    }
    if invocation.changed("exec-command") {
        let environment: Vec<Value> = invocation
            .list("exec-env")
            .iter()
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| json!({"name": name, "value": value}))
            .collect();
        let mut exec = json!({
            "command": invocation.text("exec-command"),
            "apiVersion": invocation.text("exec-api-version"),
            "provideClusterInfo": invocation.is("exec-provide-cluster-info"),
            "args": if invocation.list("exec-arg").is_empty() { Value::Null } else { invocation.list("exec-arg").into() },
            "env": if environment.is_empty() { Value::Null } else { environment.into() },
        });
        put(
            &mut exec,
            "interactiveMode",
            match invocation.text("exec-interactive-mode") {
                "" => "IfAvailable",
                mode => mode,
            },
        );
        user["exec"] = exec;
    }
    kubeconfig::write(&path, &config)?;
    outln!("User \"{name}\" set.");
    Ok(())
}

/// Walks `users.admin.token` to the place it names; names of entries may have dots.
fn place<'a>(config: &'a mut Value, property: &str) -> Result<(&'a mut Value, String)> {
    let (head, rest) = property.split_once('.').unwrap_or((property, ""));
    if rest.is_empty() {
        return Ok((config, head.to_string()));
    }
    let (list, field) = *kubeconfig::SECTIONS
        .iter()
        .find(|(list, _)| *list == head)
        .ok_or_else(|| Error::message(format!("unknown property {property}")))?;
    let (name, key) =
        rest.rsplit_once('.').ok_or_else(|| Error::message(format!("incomplete property {property}")))?;
    Ok((entry_mut(config, list, field, name)?, key.to_string()))
}

fn set(invocation: &Invocation) -> Result<()> {
    let [property, value] = invocation.args.as_slice() else {
        return Err(invocation.usage("Unexpected args"));
    };
    let (path, mut config) = file_for(invocation, |_| true)?;
    let (target, key) = place(&mut config, property)?;
    target[&key] = match value.as_str() {
        "true" => true.into(),
        "false" => false.into(),
        text if key.ends_with("-data") && !invocation.is("set-raw-bytes") => text.into(),
        text if key.ends_with("-data") => base64::engine::general_purpose::STANDARD.encode(text).into(),
        text => text.into(),
    };
    kubeconfig::write(&path, &config)?;
    outln!("Property \"{property}\" set.");
    Ok(())
}

fn unset(invocation: &Invocation) -> Result<()> {
    let property = one(invocation, "PROPERTY_NAME")?;
    let (path, mut config) = file_for(invocation, |_| true)?;
    let section = kubeconfig::SECTIONS.iter().find_map(|(list, field)| {
        let name = property.strip_prefix(list)?.strip_prefix('.')?;
        entry(&config, list, field, name).map(|_| (*list, name.to_string()))
    });
    match section {
        Some((list, name)) => {
            if let Some(entries) = config[list].as_array_mut() {
                entries.retain(|entry| entry["name"] != name.as_str());
            }
        }
        None if property == "current-context" => config["current-context"] = "".into(),
        None => {
            let (target, key) = place(&mut config, property)?;
            if let Some(fields) = target.as_object_mut() {
                fields.remove(&key);
            }
        }
    }
    kubeconfig::write(&path, &config)?;
    outln!("Property \"{property}\" unset.");
    Ok(())
}
