//! `kubectl rollout status`.

use std::time::Duration;

use apimachinery::object::ObjectExt;
use serde_json::Value;

use cli_runtime::cli::{Command, Flag, Invocation, flag};
use cli_runtime::client::with_query;
use cli_runtime::error::{Error, Result};
use cli_runtime::resource::{Item, Session, args};

/// Shows a rollout's progress.
pub static COMMAND: Command = Command {
    name: "status",
    short: "Show the status of the rollout",
    long: "Show the status of the rollout.\n\nIt is watched until it is done, unless --watch=false.",
    examples: "
# Until the rollout is done
kubectl rollout status deployment/web",
    usage: "status (TYPE NAME | TYPE/NAME) [flags]",
    flags: &[flag::FILES, flag::SELECTOR, FLAGS],
    run: Some(|invocation| Box::pin(run(invocation))),
    ..Command::NONE
};

const FLAGS: &[Flag] = &[
    Flag::int("revision", "0", "Watch this revision; a newer one ends the command with an error."),
    Flag::duration("timeout", "0s", "How long to watch; zero means until it is done."),
    Flag::bool("watch", "true", "Watch until it is done.").short('w'),
];

async fn run(invocation: Invocation) -> Result<()> {
    if invocation.args.is_empty() && !cli_runtime::resource::files::given(&invocation) {
        return Err(Error::message("required resource not specified"));
    }
    let session = Session::open(&invocation).await?;
    let picks = args::picks(&session, &invocation, &invocation.args).await?;
    let (items, errors) = session.objects(&invocation, picks).await;
    Error::all(errors)?;
    if items.is_empty() {
        errln!("No resources found in {} namespace.", session.namespace);
    }
    for item in items {
        let timeout = invocation.duration("timeout");
        let follow = follow(&session, &invocation, &item);
        if timeout.is_zero() {
            follow.await?;
        } else {
            tokio::time::timeout(timeout.max(Duration::from_millis(1)), follow)
                .await
                .unwrap_or_else(|_| Err(Error::message("timed out waiting for the condition")))?;
        }
    }
    Ok(())
}

async fn follow(session: &Session, invocation: &Invocation, item: &Item) -> Result<()> {
    let revision = invocation.int("revision");
    let mut last = String::new();
    let mut show = |object: &Value| -> Result<bool> {
        let (text, done) = progress(object, revision)?;
        if text != last {
            out!("{text}");
            last.clone_from(&text);
        }
        Ok(done || !invocation.is("watch"))
    };
    loop {
        let object = session.client.get(&item.path()).await?;
        if show(&object)? {
            return Ok(());
        }
        let field = format!("metadata.name={}", item.name);
        let query = [
            ("fieldSelector", field.as_str()),
            ("resourceVersion", object.resource_version()),
            ("watch", "true"),
        ];
        let mut watch =
            session.client.watch(&with_query(&item.collection(), &query), "application/json").await?;
        while let Ok(Some((kind, object))) = watch.next().await {
            match kind.as_str() {
                "DELETED" => return Err(Error::message("object has been deleted")),
                "BOOKMARK" => {}
                _ => {
                    if show(&object)? {
                        return Ok(());
                    }
                }
            }
        }
    }
}

/// What to say about a rollout, and whether it is done.
fn progress(object: &Value, revision: i64) -> Result<(String, bool)> {
    let name = object.name();
    let spec = &object["spec"];
    let status = &object["status"];
    let count = |field: &str| status[field].as_i64().unwrap_or(0);
    let observed = object.generation() <= count("observedGeneration");
    match object.kind() {
        "Deployment" => {
            if revision > 0 {
                let current: i64 = object
                    .annotation("deployment.kubernetes.io/revision")
                    .and_then(|text| text.parse().ok())
                    .unwrap_or(0);
                if current != revision {
                    return Err(Error::message(format!(
                        "desired revision ({revision}) is different from the running revision ({current})"
                    )));
                }
            }
            if !observed {
                return Ok(("Waiting for deployment spec update to be observed...\n".into(), false));
            }
            let late = object.list_at(&["status", "conditions"]).iter().any(|condition| {
                condition["type"] == "Progressing" && condition["reason"] == "ProgressDeadlineExceeded"
            });
            if late {
                return Err(Error::message(format!("deployment \"{name}\" exceeded its progress deadline")));
            }
            let wanted = spec["replicas"].as_i64().unwrap_or(1);
            let (updated, replicas, available) =
                (count("updatedReplicas"), count("replicas"), count("availableReplicas"));
            Ok(if updated < wanted {
                (
                    format!(
                        "Waiting for deployment \"{name}\" rollout to finish: {updated} out of {wanted} new replicas have been updated...\n"
                    ),
                    false,
                )
            } else if replicas > updated {
                (
                    format!(
                        "Waiting for deployment \"{name}\" rollout to finish: {} old replicas are pending termination...\n",
                        replicas - updated
                    ),
                    false,
                )
            } else if available < updated {
                (
                    format!(
                        "Waiting for deployment \"{name}\" rollout to finish: {available} of {updated} updated replicas are available...\n"
                    ),
                    false,
                )
            } else {
                (format!("deployment \"{name}\" successfully rolled out\n"), true)
            })
        }
        "DaemonSet" => {
            if spec["updateStrategy"]["type"] == "OnDelete" {
                return Err(Error::message(
                    "rollout status is only available for RollingUpdate strategy type",
                ));
            }
            if !observed {
                return Ok(("Waiting for daemon set spec update to be observed...\n".into(), false));
            }
            let wanted = count("desiredNumberScheduled");
            let (updated, available) = (count("updatedNumberScheduled"), count("numberAvailable"));
            Ok(if updated < wanted {
                (
                    format!(
                        "Waiting for daemon set \"{name}\" rollout to finish: {updated} out of {wanted} new pods have been updated...\n"
                    ),
                    false,
                )
            } else if available < wanted {
                (
                    format!(
                        "Waiting for daemon set \"{name}\" rollout to finish: {available} of {wanted} updated pods are available...\n"
                    ),
                    false,
                )
            } else {
                (format!("daemon set \"{name}\" successfully rolled out\n"), true)
            })
        }
        "StatefulSet" => {
            if spec["updateStrategy"]["type"] == "OnDelete" {
                return Err(Error::message(
                    "rollout status is only available for RollingUpdate strategy type",
                ));
            }
            if !observed {
                return Ok(("Waiting for statefulset spec update to be observed...\n".into(), false));
            }
            let wanted = spec["replicas"].as_i64().unwrap_or(1);
            let (updated, ready) = (count("updatedReplicas"), count("readyReplicas"));
            if ready < wanted {
                return Ok((format!("Waiting for {} pods to be ready...\n", wanted - ready), false));
            }
            // Servers write a partition of 0 where none is asked for.
            if let Some(partition) = spec["updateStrategy"]["rollingUpdate"]["partition"].as_i64() {
                return Ok(if updated < wanted - partition {
                    (
                        format!(
                            "Waiting for partitioned roll out to finish: {updated} out of {} new pods have been updated...\n",
                            wanted - partition
                        ),
                        false,
                    )
                } else {
                    (
                        format!("partitioned roll out complete: {updated} new pods have been updated...\n"),
                        true,
                    )
                });
            }
            if status["updateRevision"] != status["currentRevision"] {
                return Ok((
                    format!(
                        "waiting for statefulset rolling update to complete {updated} pods at revision {}...\n",
                        status["updateRevision"].as_str().unwrap_or("")
                    ),
                    false,
                ));
            }
            Ok((
                format!(
                    "statefulset rolling update complete {} pods at revision {}...\n",
                    count("currentReplicas"),
                    status["currentRevision"].as_str().unwrap_or("")
                ),
                true,
            ))
        }
        kind => Err(Error::message(format!("no status viewer has been implemented for {kind}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_deployment_says_what_it_waits_for() {
        let deployment = |updated: i64, replicas: i64, available: i64| {
            json!({"kind": "Deployment", "metadata": {"name": "web", "generation": 2}, "spec": {"replicas": 3},
                "status": {"observedGeneration": 2, "updatedReplicas": updated, "replicas": replicas, "availableReplicas": available}})
        };
        let text = |object: Value| progress(&object, 0).unwrap().0;
        assert_eq!(
            text(deployment(1, 3, 3)),
            "Waiting for deployment \"web\" rollout to finish: 1 out of 3 new replicas have been updated...\n"
        );
        assert_eq!(
            text(deployment(3, 4, 3)),
            "Waiting for deployment \"web\" rollout to finish: 1 old replicas are pending termination...\n"
        );
        assert_eq!(
            text(deployment(3, 3, 2)),
            "Waiting for deployment \"web\" rollout to finish: 2 of 3 updated replicas are available...\n"
        );
        assert_eq!(text(deployment(3, 3, 3)), "deployment \"web\" successfully rolled out\n");
    }
}
