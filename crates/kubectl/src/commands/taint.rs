//! `kubectl taint`.

use serde_json::{Value, json};

use cli_runtime::change;
use cli_runtime::cli::{Command, Flag, Invocation, flag};
use cli_runtime::client::MERGE;
use cli_runtime::error::{Error, Result};
use cli_runtime::resource::Session;

/// Changes nodes' taints.
pub static COMMAND: Command = Command {
    name: "taint",
    short: "Update the taints on one or more nodes",
    long: "Update the taints on one or more nodes.\n\nA taint has a key, a value and an effect: NoSchedule, PreferNoSchedule or NoExecute.",
    examples: "
# Add a taint
kubectl taint nodes w1-k8s dedicated=special:NoSchedule

# Take it away
kubectl taint nodes w1-k8s dedicated:NoSchedule-

# Take all of a key away
kubectl taint nodes w1-k8s dedicated-",
    usage: "taint NODE NAME KEY_1=VAL_1:TAINT_EFFECT_1 ... KEY_N=VAL_N:TAINT_EFFECT_N",
    flags: &[
        flag::PRINT,
        flag::DRY_RUN,
        flag::VALIDATE,
        flag::SELECTOR,
        &[
            Flag::switch("all", "All nodes of the cluster."),
            Flag::manager("kubectl-taint"),
            Flag::switch("overwrite", "Change taints that are there already."),
        ],
    ],
    run: Some(|invocation| Box::pin(run(invocation))),
    ..Command::NONE
};

#[derive(Debug, PartialEq, Eq)]
enum Change {
    Add { key: String, value: String, effect: String },
    Remove { key: String, effect: Option<String> },
}

fn parse(text: &str) -> Result<Change> {
    let wrong = || Error::message(format!("invalid taint spec: {text}"));
    let effect_known = |effect: &str| -> Result<()> {
        match effect {
            "NoSchedule" | "PreferNoSchedule" | "NoExecute" => Ok(()),
            _ => Err(Error::message(format!("invalid taint effect: {effect}, unsupported taint effect"))),
        }
    };
    if let Some(spec) = text.strip_suffix('-') {
        let (key, effect) = match spec.split_once(':') {
            Some((key, effect)) => {
                effect_known(effect)?;
                (key, Some(effect.to_string()))
            }
            None => (spec, None),
        };
        let key = key.split('=').next().unwrap_or(key).to_string();
        return Ok(Change::Remove { key, effect });
    }
    let (spec, effect) = text.rsplit_once(':').ok_or_else(wrong)?;
    effect_known(effect)?;
    let (key, value) = spec.split_once('=').unwrap_or((spec, ""));
    if key.is_empty() || value.contains([':', '=']) {
        return Err(wrong());
    }
    Ok(Change::Add { key: key.into(), value: value.into(), effect: effect.into() })
}

async fn run(invocation: Invocation) -> Result<()> {
    let (resources, specs) =
        change::split(&invocation.args, |arg| arg.contains([':', '=']) || arg.ends_with('-'));
    if specs.is_empty() {
        return Err(Error::message("at least one taint update is required"));
    }
    let changes = specs
        .iter()
        .map(|spec| parse(spec).map_err(|error| invocation.usage(error.to_string())))
        .collect::<Result<Vec<_>>>()?;
    let session = Session::open(&invocation).await?;
    let mut errors = Vec::new();
    for item in change::targets(&session, &invocation, &resources).await? {
        if item.resource.plural != "nodes" {
            return Err(Error::message(format!(
                "invalid resource type {}, only node(s) are supported",
                item.resource.plural
            )));
        }
        let mut taints: Vec<Value> = item.object["spec"]["taints"].as_array().cloned().unwrap_or_default();
        match apply(&mut taints, &changes, invocation.is("overwrite"), &item.name) {
            Err(error) => errors.push(error),
            Ok(done) => {
                let taints = if taints.is_empty() { Value::Null } else { taints.into() };
                let object = change::patched(
                    &session,
                    &invocation,
                    &item,
                    MERGE,
                    &json!({"spec": {"taints": taints}}),
                )
                .await?;
                change::report(&invocation, &object, done)?;
            }
        }
    }
    Error::all(errors)
}

fn apply(taints: &mut Vec<Value>, changes: &[Change], overwrite: bool, node: &str) -> Result<&'static str> {
    let (mut added, mut overwritten) = (false, false);
    for change in changes {
        match change {
            Change::Add { key, value, effect } => {
                added = true;
                let same = |taint: &Value| taint["key"] == *key && taint["effect"] == *effect;
                if taints.iter().any(same) {
                    if !overwrite {
                        return Err(Error::message(format!(
                            "node {node} already has {key} taint(s) with same effect(s) and --overwrite is false"
                        )));
                    }
                    taints.retain(|taint| !same(taint));
                    overwritten = true;
                }
                let mut taint = json!({"key": key, "effect": effect});
                if !value.is_empty() {
                    taint["value"] = value.clone().into();
                }
                taints.push(taint);
            }
            Change::Remove { key, effect } => {
                let before = taints.len();
                taints.retain(|taint| {
                    !(taint["key"] == *key && effect.as_ref().is_none_or(|effect| taint["effect"] == *effect))
                });
                if taints.len() == before {
                    return Err(Error::message(match effect {
                        Some(effect) => format!("taint \"{key}:{effect}\" not found"),
                        None => format!("taint \"{key}\" not found"),
                    }));
                }
            }
        }
    }
    Ok(if overwritten {
        "modified"
    } else if added {
        "tainted"
    } else {
        "untainted"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taints_are_added_changed_and_removed() {
        let mut taints = Vec::new();
        let go = |taints: &mut Vec<Value>, spec: &str, overwrite| {
            apply(taints, &[parse(spec).unwrap()], overwrite, "n")
        };
        assert_eq!(go(&mut taints, "a=b:NoSchedule", false).unwrap(), "tainted");
        assert!(go(&mut taints, "a=c:NoSchedule", false).is_err());
        assert_eq!(go(&mut taints, "a=c:NoSchedule", true).unwrap(), "modified");
        assert_eq!(taints, vec![json!({"key": "a", "value": "c", "effect": "NoSchedule"})]);
        assert_eq!(go(&mut taints, "a:NoSchedule-", false).unwrap(), "untainted");
        assert!(go(&mut taints, "a-", false).is_err());
        assert!(parse("a=b:Never").is_err());
    }
}
