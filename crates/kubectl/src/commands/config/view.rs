//! `kubectl config view`.

use base64::Engine;
use serde_json::{Value, json};

use cli_runtime::cli::{Command, Flag, Invocation};
use cli_runtime::client::kubeconfig::{self, SECTIONS, entry};
use cli_runtime::error::{Error, Result, go_io_error};
use cli_runtime::print::Printer;

/// Shows the configuration.
pub static COMMAND: Command = Command {
    name: "view",
    short: "Display merged kubeconfig settings or a specified kubeconfig file",
    examples: "
# The joined configuration, without secrets
kubectl config view

# With them
kubectl config view --raw

# What the current context uses, in one file
kubectl config view --minify --flatten --raw",
    usage: "view [flags]",
    flags: &[FLAGS],
    run: Some(|invocation| Box::pin(async move { run(&invocation) })),
    ..Command::NONE
};

const FLAGS: &[Flag] = &[
    Flag::bool("allow-missing-template-keys", "true", "Print nothing, instead of failing, where a template names a field that is not there."),
    Flag::switch("flatten", "Put the content of files in the place of their paths."),
    Flag::bool("merge", "true", "Join all files."),
    Flag::switch("minify", "Leave out what the current context does not use."),
    Flag::text("output", "yaml", "Output format. One of: (json, yaml, name, go-template, go-template-file, template, templatefile, jsonpath, jsonpath-as-json, jsonpath-file).").short('o'),
    Flag::switch("raw", "Show secrets and certificates as they are."),
    Flag::switch("show-managed-fields", "Accepted for compatibility."),
    Flag::text("template", "", "Template, or the file it is in, for -o=go-template and -o=go-template-file."),
];

fn run(invocation: &Invocation) -> Result<()> {
    invocation.no_args()?;
    let mut config = kubeconfig::merged(invocation)?;
    if !invocation.text("context").is_empty() {
        config["current-context"] = invocation.text("context").into();
    }
    if invocation.is("minify") {
        minify(&mut config)?;
    }
    for (list, field) in SECTIONS {
        if let Some(entries) = config[list].as_array_mut() {
            for entry in entries.iter_mut() {
                if invocation.is("flatten") {
                    flatten(&mut entry[field])?;
                }
                if !invocation.is("raw") {
                    redact(&mut entry[field]);
                }
            }
        }
        if config[list].as_array().is_some_and(Vec::is_empty) {
            config[list] = Value::Null;
        }
    }
    let mut printer =
        Printer::from_flags(invocation)?.ok_or_else(|| Error::message("--output must name a format"))?;
    printer.print(&config)
}

fn minify(config: &mut Value) -> Result<()> {
    let name = config["current-context"].as_str().unwrap_or("").to_string();
    if name.is_empty() {
        return Err(Error::message("current-context must exist in order to minify"));
    }
    let context = entry(config, "contexts", "context", &name)
        .cloned()
        .ok_or_else(|| Error::message(format!("cannot locate context {name}")))?;
    for (list, wanted) in [
        ("contexts", json!(name)),
        ("clusters", context["cluster"].clone()),
        ("users", context["user"].clone()),
    ] {
        if let Some(entries) = config[list].as_array_mut() {
            entries.retain(|entry| entry["name"] == wanted);
        }
    }
    Ok(())
}

fn flatten(entry: &mut Value) -> Result<()> {
    for name in ["certificate-authority", "client-certificate", "client-key"] {
        let Some(path) = entry[name].as_str().map(str::to_string) else {
            if let Some(fields) = entry.as_object_mut() {
                fields.retain(|field, value| field != name || !value.is_null());
            }
            continue;
        };
        let bytes = std::fs::read(&path)
            .map_err(|error| Error::message(format!("open {path}: {}", go_io_error(&error))))?;
        entry[format!("{name}-data")] = base64::engine::general_purpose::STANDARD.encode(bytes).into();
        if let Some(fields) = entry.as_object_mut() {
            fields.remove(name);
        }
    }
    Ok(())
}

fn redact(entry: &mut Value) {
    for (name, shown) in [
        ("certificate-authority-data", "DATA+OMITTED"),
        ("client-certificate-data", "DATA+OMITTED"),
        ("client-key-data", "DATA+OMITTED"),
        ("token", "REDACTED"),
        ("password", "REDACTED"),
    ] {
        if entry.get(name).is_some_and(Value::is_string) {
            entry[name] = shown.into();
        }
    }
}
