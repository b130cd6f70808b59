//! `kubectl set image`.

use serde_json::{Value, json};

use super::{MANAGER, change, pod_spec, send};
use cli_runtime::cli::{Command, Invocation, flag};
use cli_runtime::error::{Error, Result};
use cli_runtime::resource::Session;

/// Changes containers' images.
pub static COMMAND: Command = Command {
    name: "image",
    short: "Update the image of a pod template",
    long: "Update existing container image(s) of resources.\n\nPods, replication controllers, deployments, daemon sets, stateful sets, cron jobs and replica sets can be changed.",
    examples: "
# One container's image
kubectl set image deployment/web nginx=nginx:1.29

# Every container's
kubectl set image deployment/web *=nginx:1.29",
    usage: "image (-f FILENAME | TYPE NAME) CONTAINER_NAME_1=CONTAINER_IMAGE_1 ... CONTAINER_NAME_N=CONTAINER_IMAGE_N",
    flags: &[flag::FILES, flag::PRINT, flag::DRY_RUN, flag::SELECTOR, flag::ALL, flag::LOCAL, MANAGER],
    run: Some(|invocation| Box::pin(run(invocation))),
    ..Command::NONE
};

async fn run(invocation: Invocation) -> Result<()> {
    let (resources, changes) = change::split(&invocation.args, |arg| arg.contains('='));
    let images: Vec<(&str, &str)> = changes.iter().filter_map(|change| change.split_once('=')).collect();
    if images.is_empty() {
        return Err(Error::message("at least one image update is required"));
    }
    if images.len() > 1 && images.iter().any(|(name, _)| *name == "*") {
        return Err(Error::message(
            "all containers are already specified by *, but saw more than one container_name=image_name pairs",
        ));
    }
    let session = Session::open(&invocation).await?;
    let mut errors = Vec::new();
    for item in change::targets(&session, &invocation, &resources).await? {
        let mut patch = json!({});
        let mut known = Vec::new();
        let spec = pod_spec(&item)?;
        for field in ["initContainers", "containers"] {
            let mut containers: Vec<Value> = Vec::new();
            for container in spec[field].as_array().into_iter().flatten() {
                let name = container["name"].as_str().unwrap_or("");
                known.push(name);
                let image = images.iter().find(|(wanted, _)| *wanted == "*" || *wanted == name);
                if let Some((_, image)) = image {
                    containers.push(json!({"name": name, "image": image}));
                }
            }
            if !containers.is_empty() {
                patch[field] = containers.into();
            }
        }
        let missing: Vec<Error> = images
            .iter()
            .filter(|(name, _)| *name != "*" && !known.contains(name))
            .map(|(name, _)| Error::message(format!("unable to find container named \"{name}\"")))
            .collect();
        if !missing.is_empty() {
            errors.extend(missing);
            continue;
        }
        if let Err(error) = send(&session, &invocation, &item, patch, "image updated").await {
            errors.push(error);
        }
    }
    Error::all(errors)
}
