//! `kubectl set env`.

use apimachinery::object::ObjectExt;
use serde_json::{Value, json};

use super::{CONTAINERS, MANAGER, change, picked, pod_spec, send};
use cli_runtime::cli::{Command, Flag, Invocation, flag};
use cli_runtime::error::{Error, Result};
use cli_runtime::resource::Session;

/// Changes containers' environment.
pub static COMMAND: Command = Command {
    name: "env",
    short: "Update environment variables on a pod template",
    examples: "
# Set a variable
kubectl set env deployment/web COLOUR=blue

# What is set
kubectl set env deployment/web --list

# All keys of a config map
kubectl set env deployment/web --from=configmap/settings --prefix=APP_

# Take a variable away
kubectl set env deployment/web COLOUR-",
    usage: "env RESOURCE/NAME KEY_1=VAL_1 ... KEY_N=VAL_N",
    flags: &[
        flag::FILES,
        flag::PRINT,
        flag::DRY_RUN,
        flag::SELECTOR,
        flag::ALL,
        flag::LOCAL,
        MANAGER,
        CONTAINERS,
        FLAGS,
    ],
    run: Some(|invocation| Box::pin(run(invocation))),
    ..Command::NONE
};

const FLAGS: &[Flag] = &[
    Flag::array("env", "A variable (key=value).").short('e'),
    Flag::text("from", "", "Config map or secret whose keys become variables."),
    Flag::list("keys", "Only these keys of the config map or secret."),
    Flag::switch("list", "Show the variables."),
    Flag::bool("overwrite", "true", "Change variables that are set already."),
    Flag::text("prefix", "", "Put this before the names of the keys."),
    Flag::switch("resolve", "Show the values of variables that come from config maps and secrets."),
];

async fn run(invocation: Invocation) -> Result<()> {
    let is_change = |arg: &str| arg.contains('=') || (arg.ends_with('-') && arg.len() > 1);
    let (resources, mut changes) = change::split(&invocation.args, is_change);
    changes.extend(invocation.list("env").iter().cloned());
    if changes.is_empty() && invocation.text("from").is_empty() && !invocation.is("list") {
        return Err(invocation.usage("at least one environment variable must be provided"));
    }
    let session = Session::open(&invocation).await?;
    let mut variables: Vec<Value> = Vec::new();
    for change in &changes {
        variables.push(match change.split_once('=') {
            Some((name, value)) => json!({"name": name, "value": value}),
            None => json!({"name": change.trim_end_matches('-'), "$patch": "delete"}),
        });
    }
    variables.extend(from(&session, &invocation).await?);
    let mut errors = Vec::new();
    for item in change::targets(&session, &invocation, &resources).await? {
        let spec = pod_spec(&item)?;
        let mut patch = json!({});
        for field in ["initContainers", "containers"] {
            let mut containers: Vec<Value> = Vec::new();
            for (name, container) in picked(&invocation, spec, field) {
                if invocation.is("list") {
                    list(&item.object, name, container);
                }
                let mut changes = variables.clone();
                let known = container.list_at(&["env"]);
                let set = |variable: &Value| known.iter().find(|known| known["name"] == variable["name"]);
                if !invocation.is("overwrite")
                    && let Some(taken) = changes
                        .iter()
                        .find(|variable| variable["$patch"].is_null() && set(variable).is_some())
                {
                    return Err(Error::message(format!(
                        "'{}' already has a value, and --overwrite is false",
                        taken["name"].as_str().unwrap_or("")
                    )));
                }
                // A value and a reference exclude each other.
                for variable in changes.iter_mut().filter(|variable| variable["$patch"].is_null()) {
                    if let Some(known) = set(variable) {
                        let other = if variable["valueFrom"].is_null() { "valueFrom" } else { "value" };
                        if !known[other].is_null() {
                            variable[other] = Value::Null;
                        }
                    }
                }
                if !changes.is_empty() {
                    containers.push(json!({"name": name, "env": changes}));
                }
            }
            if !containers.is_empty() {
                patch[field] = containers.into();
            }
        }
        if invocation.is("list") {
            continue;
        }
        if patch.as_object().is_none_or(serde_json::Map::is_empty) {
            errors.push(Error::message(format!(
                "{} does not have any containers matching \"{}\"",
                item.label(),
                invocation.text("containers")
            )));
        } else if let Err(error) = send(&session, &invocation, &item, patch, "env updated").await {
            errors.push(error);
        }
    }
    Error::all(errors)
}

fn list(object: &Value, name: &str, container: &Value) {
    outln!("# {} {}, container {name}", object.kind(), object.name());
    for variable in container["env"].as_array().into_iter().flatten() {
        let name = variable["name"].as_str().unwrap_or("");
        let from = &variable["valueFrom"];
        if let Some(key) = from["configMapKeyRef"].as_object() {
            outln!("# {name} from configmap {}, key {}", text(&key["name"]), text(&key["key"]));
        } else if let Some(key) = from["secretKeyRef"].as_object() {
            outln!("# {name} from secret {}, key {}", text(&key["name"]), text(&key["key"]));
        } else if let Some(field) = from["fieldRef"].as_object() {
            outln!("# {name} from field path {}", text(&field["fieldPath"]));
        } else {
            outln!("{name}={}", variable["value"].as_str().unwrap_or(""));
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

/// Variables for the keys of the config map or secret of `--from`.
async fn from(session: &Session, invocation: &Invocation) -> Result<Vec<Value>> {
    let source = invocation.text("from");
    if source.is_empty() {
        return Ok(Vec::new());
    }
    let (kind, name) = source
        .split_once('/')
        .ok_or_else(|| Error::message("--from must be configmap/<name> or secret/<name>"))?;
    let resource = session.mapper.resource(kind).await?;
    let reference = match resource.kind.as_str() {
        "ConfigMap" => "configMapKeyRef",
        "Secret" => "secretKeyRef",
        _ => return Err(Error::message(format!("unsupported resource specified in --from: {kind}"))),
    };
    let object = session.fetch(&resource, name).await?.object;
    let keys = invocation.list("keys");
    Ok(object["data"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(key, _)| keys.is_empty() || keys.contains(key))
        .map(|(key, _)| {
            let variable: String =
                key.to_uppercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
            json!({"name": format!("{}{variable}", invocation.text("prefix")), "valueFrom": {reference: {"name": name, "key": key}}})
        })
        .collect())
}
