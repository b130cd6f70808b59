//! `kubectl create deployment`.

use serde_json::{Value, json};

use crate::{MANAGER, generated};
use cli_runtime::cli::{Command, Flag, Invocation, flag};
use cli_runtime::error::{Error, Result};

/// Creates a deployment.
pub static DEPLOYMENT: Command = Command {
    name: "deployment",
    aliases: &["deploy"],
    short: "Create a deployment with the specified name",
    examples: "
# Three pods that run nginx
kubectl create deployment web --image=nginx --replicas=3

# With a command of its own
kubectl create deployment sleeper --image=busybox -- sleep 3600",
    usage: "deployment NAME --image=image -- [COMMAND] [args...]",
    flags: &[flag::PRINT, flag::DRY_RUN, flag::VALIDATE, flag::SAVE_CONFIG, MANAGER, FLAGS],
    run: Some(|invocation| Box::pin(run(invocation))),
    ..Command::NONE
};

const FLAGS: &[Flag] = &[
    Flag::list("image", "Image of a container; each image gets a container."),
    Flag::int("port", "-1", "Port that the container exposes."),
    Flag::int("replicas", "1", "How many pods to run.").short('r'),
];

async fn run(invocation: Invocation) -> Result<()> {
    invocation.require(&["image"])?;
    let (name, command) = name_and_command(&invocation)?;
    let images = invocation.list("image");
    if images.len() > 1 && !command.is_empty() {
        return Err(Error::message("cannot specify multiple --image options and command"));
    }
    if invocation.int("replicas") < 0 {
        return Err(invocation.usage("--replicas must be greater than or equal to 0"));
    }
    let mut containers: Vec<Value> = images.iter().map(|image| container(image, &command)).collect();
    if invocation.changed("port") && invocation.int("port") >= 0 {
        containers[0]["ports"] = json!([{"containerPort": invocation.int("port")}]);
    }
    let labels = json!({"app": name});
    let object = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": invocation.int("replicas"),
            "selector": {"matchLabels": labels},
            "strategy": {},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
        },
        "status": {},
    });
    generated(&invocation, object, "deployments", true, "deployment:").await
}

/// `NAME -- COMMAND…`.
pub fn name_and_command(invocation: &Invocation) -> Result<(String, Vec<String>)> {
    let before = invocation.dash_at.unwrap_or(invocation.args.len());
    let name = match invocation.args.get(..before) {
        Some([name]) => name.clone(),
        // Upstream takes what follows the name for the command even without `--`.
        Some([name, ..]) => name.clone(),
        _ => return Err(invocation.usage("exactly one NAME is required, got 0")),
    };
    Ok((name, invocation.args[1..].to_vec()))
}

/// A container named after its image.
pub fn container(image: &str, command: &[String]) -> Value {
    let mut container = json!({"name": name_of(image), "image": image, "resources": {}});
    if !command.is_empty() {
        container["command"] = command.into();
    }
    container
}

/// A container's name from an image's: the last part, without tag and digest, as a label.
fn name_of(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    let bare = last.split(['@', ':']).next().unwrap_or(last);
    bare.replace(['_', '.'], "-").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn container_is_named_after_its_image() {
        for (image, name) in [
            ("nginx", "nginx"),
            ("reg.io:5000/a/My_app:v1", "my-app"),
            ("a/b@sha256:00", "b"),
            ("x.y:1", "x-y"),
        ] {
            assert_eq!(name_of(image), name);
        }
    }
}
