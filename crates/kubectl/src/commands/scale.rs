//! `kubectl scale` and `kubectl autoscale`.

use serde_json::json;

use cli_runtime::change;
use cli_runtime::cli::{Command, DryRun, Flag, Invocation, flag};
use cli_runtime::client::{MERGE, with_query};
use cli_runtime::error::{Error, Result};
use cli_runtime::resource::{Item, Session, args};

/// Sets the number of replicas.
pub static SCALE: Command = Command {
    name: "scale",
    short: "Set a new size for a deployment, replica set, or replication controller",
    long: "Set a new size for a deployment, replica set, replication controller, or stateful set.\n\nThe change can be made to depend on the current size or version.",
    examples: "
# Three replicas
kubectl scale deployment web --replicas=3

# Only if there are two now
kubectl scale --current-replicas=2 --replicas=3 deployment/web",
    usage: "scale [--resource-version=version] [--current-replicas=count] --replicas=COUNT (-f FILENAME | TYPE NAME)",
    flags: &[
        flag::FILES,
        flag::PRINT,
        flag::DRY_RUN,
        flag::SELECTOR,
        flag::ALL,
        flag::RESOURCE_VERSION,
        SCALE_FLAGS,
    ],
    run: Some(|invocation| Box::pin(scale(invocation))),
    ..Command::NONE
};

/// Creates an autoscaler.
pub static AUTOSCALE: Command = Command {
    name: "autoscale",
    short: "Auto-scale a deployment, replica set, stateful set, or replication controller",
    long: "Create an autoscaler that chooses how many pods run.\n\nIt looks after a deployment, replica set, stateful set or replication controller by name.",
    examples: "
# Between two and ten pods, as the load asks
kubectl autoscale deployment web --min=2 --max=10

# At 80 percent of the processor time asked for
kubectl autoscale deployment web --max=5 --cpu-percent=80",
    usage: "autoscale (-f FILENAME | TYPE NAME | TYPE/NAME) [--min=MINPODS] --max=MAXPODS [--cpu-percent=CPU]",
    flags: &[flag::FILES, flag::PRINT, flag::DRY_RUN, flag::SAVE_CONFIG, AUTOSCALE_FLAGS],
    run: Some(|invocation| Box::pin(autoscale(invocation))),
    ..Command::NONE
};

const SCALE_FLAGS: &[Flag] = &[
    Flag::int("current-replicas", "-1", "Only act if this is the current size; -1 means any."),
    Flag::int("replicas", "0", "The new size. Required."),
    Flag::duration("timeout", "0s", "How long to wait for the change; zero means not to wait."),
];

const AUTOSCALE_FLAGS: &[Flag] = &[
    Flag::text("cpu", "", "Target for processor use: a percentage of the requests, or a quantity."),
    Flag::int("cpu-percent", "-1", "Target for processor use, in percent of the requests."),
    Flag::manager("kubectl-autoscale"),
    Flag::int("max", "-1", "At most this many pods. Required."),
    Flag::text("memory", "", "Target for memory use: a percentage of the requests, or a quantity."),
    Flag::int("min", "-1", "At least this many pods."),
    Flag::text("name", "", "Name of the autoscaler; the object's own if not given."),
];

async fn scale(invocation: Invocation) -> Result<()> {
    if !invocation.changed("replicas") {
        return Err(Error::message("required flag(s) \"replicas\" not set"));
    }
    let replicas = invocation.int("replicas");
    if replicas < 0 {
        return Err(Error::message(
            "The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0",
        ));
    }
    let dry_run = invocation.dry_run()?;
    let session = Session::open(&invocation).await?;
    let picks = args::named_picks(&session, &invocation, &invocation.args).await?;
    let (items, errors) = session.objects(&invocation, picks).await;
    if items.is_empty() && !errors.is_empty() {
        let reasons: Vec<String> = errors.iter().map(Error::reported).collect();
        return Err(Error::message(format!("no objects passed to scale {}", reasons.join(", "))));
    }
    Error::all(errors)?;
    if items.is_empty() {
        return Err(Error::message("no objects passed to scale"));
    }
    if items.len() > 1 && !invocation.text("resource-version").is_empty() {
        return Err(Error::message("cannot use --resource-version with multiple resources"));
    }
    let mut errors = Vec::new();
    for item in items {
        match scale_one(&session, &invocation, &item, replicas, dry_run).await {
            Ok(()) => {
                let mut object = item.object.clone();
                object["spec"]["replicas"] = replicas.into();
                change::report(&invocation, &object, "scaled")?;
            }
            Err(error) => errors.push(error),
        }
    }
    Error::all(errors)
}

async fn scale_one(
    session: &Session,
    invocation: &Invocation,
    item: &Item,
    replicas: i64,
    dry_run: DryRun,
) -> Result<()> {
    let wanted = invocation.int("current-replicas");
    let current = item.object["spec"]["replicas"].as_i64().unwrap_or(0);
    if wanted >= 0 && current != wanted {
        return Err(Error::message(format!("Expected replicas to be {wanted}, was {current}")));
    }
    let version = invocation.text("resource-version");
    let known = item.object["metadata"]["resourceVersion"].as_str().unwrap_or("");
    if !version.is_empty() && version != known {
        return Err(Error::message(format!("Expected resource version to be {version}, was {known}")));
    }
    if dry_run == DryRun::Client {
        return Ok(());
    }
    let mut patch = json!({"spec": {"replicas": replicas}});
    if wanted >= 0 || !version.is_empty() {
        patch["metadata"]["resourceVersion"] = known.into();
    }
    let query = [("dryRun", dry_run.parameter())];
    session.client.patch(&with_query(&format!("{}/scale", item.path()), &query), MERGE, &patch).await?;
    let timeout = invocation.duration("timeout");
    if !timeout.is_zero() && dry_run == DryRun::None {
        let resized = move |object: &serde_json::Value| {
            object["status"]["replicas"].as_i64().unwrap_or(0) == replicas
                && object["status"]["observedGeneration"].as_i64()
                    >= object["metadata"]["generation"].as_i64()
        };
        super::wait::until(session, item, timeout, resized).await?;
    }
    Ok(())
}

async fn autoscale(invocation: Invocation) -> Result<()> {
    let (least, most) = (invocation.int("min"), invocation.int("max"));
    if most < 1 {
        return Err(Error::message(format!("--max=MAXPODS is required and must be at least 1, max: {most}")));
    }
    if least > most {
        return Err(Error::message(format!(
            "--max=MAXPODS must be larger or equal to --min=MINPODS, max: {most}, min: {least}"
        )));
    }
    // A wrong value is refused before anything is asked of the server.
    invocation.dry_run()?;
    let session = Session::open(&invocation).await?;
    let picks = args::picks(&session, &invocation, &invocation.args).await?;
    let (items, errors) = session.objects(&invocation, picks).await;
    Error::all(errors)?;
    for item in items {
        let name = match invocation.text("name") {
            "" => item.name.as_str(),
            name => name,
        };
        let mut metrics = Vec::new();
        let percent = invocation.int("cpu-percent");
        if percent >= 0 {
            metrics.push(json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": percent}}}));
        }
        for resource in ["cpu", "memory"] {
            let text = invocation.text(resource);
            if text.is_empty() {
                continue;
            }
            let target = match text.strip_suffix('%') {
                Some(percent) => {
                    let percent: u32 = percent
                        .parse()
                        .map_err(|_| Error::message(format!("invalid {resource} value: {text}")))?;
                    json!({"type": "Utilization", "averageUtilization": percent})
                }
                None => json!({"type": "AverageValue", "averageValue": text}),
            };
            metrics.push(json!({"type": "Resource", "resource": {"name": resource, "target": target}}));
        }
        let mut spec = json!({
            "maxReplicas": most,
            "scaleTargetRef": {"apiVersion": item.resource.api_version(), "kind": item.resource.kind, "name": item.name},
        });
        if least > 0 {
            spec["minReplicas"] = least.into();
        }
        if !metrics.is_empty() {
            spec["metrics"] = metrics.into();
        }
        let mut object = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": name}, "spec": spec, "status": {"currentMetrics": null, "desiredReplicas": 0}});
        if session.namespace_given {
            object["metadata"]["namespace"] = item.namespace.clone().into();
        }
        let namespace = item.namespace.as_deref().unwrap_or("default");
        let path = format!("/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers");
        object = change::created(&session, &invocation, &path, object).await?;
        change::report(&invocation, &object, "autoscaled")?;
    }
    Ok(())
}
