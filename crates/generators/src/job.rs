//! `kubectl create job` and `kubectl create cronjob`.

use apimachinery::object::ObjectExt;
use serde_json::{Value, json};

use crate::workload::name_and_command;
use crate::{MANAGER, generated};
use cli_runtime::cli::{Command, Flag, Invocation, flag};
use cli_runtime::error::{Error, Result};
use cli_runtime::resource::Session;

/// Creates a job.
pub static JOB: Command = Command {
    name: "job",
    short: "Create a job with the specified name",
    examples: "
# A job with a command
kubectl create job once --image=busybox -- date

# A job out of a cron job, now
kubectl create job now --from=cronjob/nightly",
    usage: "job NAME --image=image [--from=cronjob/name] -- [COMMAND] [args...]",
    flags: &[flag::PRINT, flag::DRY_RUN, flag::VALIDATE, flag::SAVE_CONFIG, MANAGER, JOB_FLAGS],
    run: Some(|invocation| Box::pin(job(invocation))),
    ..Command::NONE
};

/// Creates a cron job.
pub static CRONJOB: Command = Command {
    name: "cronjob",
    aliases: &["cj"],
    short: "Create a cron job with the specified name",
    examples: "
# Every minute
kubectl create cronjob tick --image=busybox --schedule=\"*/1 * * * *\" -- date",
    usage: "cronjob NAME --image=image --schedule='0/5 * * * ?' -- [COMMAND] [args...] [flags]",
    flags: &[flag::PRINT, flag::DRY_RUN, flag::VALIDATE, flag::SAVE_CONFIG, MANAGER, CRONJOB_FLAGS],
    run: Some(|invocation| Box::pin(cronjob(invocation))),
    ..Command::NONE
};

const JOB_FLAGS: &[Flag] = &[
    Flag::text("from", "", "Cron job to take the job from (cronjob/name)."),
    Flag::text("image", "", "Image to run."),
];

const CRONJOB_FLAGS: &[Flag] = &[
    Flag::text("image", "", "Image to run."),
    Flag::text("restart", "", "Restart policy: OnFailure (the default) or Never."),
    Flag::text("schedule", "", "When to run, in cron's form."),
];

async fn job(invocation: Invocation) -> Result<()> {
    let (name, command) = name_and_command(&invocation)?;
    let (image, from) = (invocation.text("image"), invocation.text("from"));
    let object = match (image, from) {
        ("", "") => return Err(Error::message("either --image or --from must be specified")),
        (_, "") => json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
            "spec": {"template": {"metadata": {}, "spec": pod_spec(&name, image, &command, "Never")}},
            "status": {},
        }),
        ("", from) if command.is_empty() => {
            let session = Session::open(&invocation).await?;
            let cronjob = match from.split_once('/') {
                Some((kind, cronjob)) => {
                    session.fetch(&session.mapper.resource(kind).await?, cronjob).await?
                }
                None => {
                    return Err(Error::message(
                        "arguments in resource/name form must have a single resource and name",
                    ));
                }
            };
            if cronjob.object.kind() != "CronJob" {
                return Err(Error::message(format!(
                    "from must be an existing cronjob, found {}",
                    cronjob.object.kind()
                )));
            }
            from_cronjob(&name, &cronjob.object)
        }
        ("", _) => return Err(Error::message("cannot specify --from and command")),
        _ => return Err(Error::message("either --image or --from must be specified")),
    };
    generated(&invocation, object, "jobs", true, "job:").await
}

async fn cronjob(invocation: Invocation) -> Result<()> {
    invocation.require(&["image", "schedule"])?;
    let (name, command) = name_and_command(&invocation)?;
    let restart = match invocation.text("restart") {
        "" => "OnFailure",
        given => given,
    };
    let object = json!({
        "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": name},
        "spec": {
            "schedule": invocation.text("schedule"),
            "jobTemplate": {
                "metadata": {"name": name},
                "spec": {"template": {"metadata": {}, "spec": pod_spec(&name, invocation.text("image"), &command, restart)}},
            },
        },
        "status": {},
    });
    generated(&invocation, object, "cronjobs", true, "cronjob:").await
}

fn pod_spec(name: &str, image: &str, command: &[String], restart: &str) -> Value {
    let mut container = json!({"name": name, "image": image, "resources": {}});
    if !command.is_empty() {
        container["command"] = command.into();
    }
    json!({"containers": [container], "restartPolicy": restart})
}

fn from_cronjob(name: &str, cronjob: &Value) -> Value {
    let template = &cronjob["spec"]["jobTemplate"];
    let mut annotations = json!({"cronjob.kubernetes.io/instantiate": "manual"});
    for (key, value) in template.annotations() {
        annotations[key] = value.into();
    }
    let mut job = json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {
            "name": name, "namespace": cronjob.namespace(), "annotations": annotations,
            "ownerReferences": [{"apiVersion": "batch/v1", "kind": "CronJob", "name": cronjob.name(),
                "uid": cronjob.uid(), "controller": true}],
        },
        "spec": template["spec"], "status": {},
    });
    if !template["metadata"]["labels"].is_null() {
        job["metadata"]["labels"] = template["metadata"]["labels"].clone();
    }
    job
}
