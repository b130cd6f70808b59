//! `kubectl delete`, and waiting until objects are gone.

use std::time::Duration;

use serde_json::{Value, json};

use cli_runtime::cli::{Command, DryRun, Flag, Invocation, flag};
use cli_runtime::client::with_query;
use cli_runtime::error::{Error, Result};
use cli_runtime::resource::{Item, Pick, Session, args, files};

/// Deletes objects.
pub static COMMAND: Command = Command {
    name: "delete",
    short: "Delete resources by file names, stdin, resources and names, or by resources and label selector",
    long: "Delete resources by file names, stdin, resources and names, or by resources and label selector.\n\nObjects such as pods end gracefully: they get a period of time first, which --grace-period changes and --now cuts to one second. --force removes an object at once, without knowing that its processes have ended; two pods may then use the same name and storage.\n\nNo version is checked: a change that somebody makes at the same time is lost with the object.",
    examples: "
# What a file describes
kubectl delete -f pod.yaml

# By name
kubectl delete pod,service web

# By label
kubectl delete pods -l app=web

# Every pod of the namespace
kubectl delete pods --all

# Without waiting for a node that is gone
kubectl delete pod web --force",
    usage: "delete ([-f FILENAME] | [-k DIRECTORY] | TYPE [(NAME | -l label | --all)])",
    flags: &[
        flag::FILES,
        flag::DELETE,
        flag::DRY_RUN,
        flag::SELECTOR,
        flag::FIELD_SELECTOR,
        flag::ALL_NAMESPACES,
        FLAGS,
    ],
    run: Some(|invocation| Box::pin(run(invocation))),
    ..Command::NONE
};

const FLAGS: &[Flag] = &[
    Flag::switch("all", "Delete every object of the given types in the namespace."),
    Flag::switch("ignore-not-found", "An object that is not there counts as deleted."),
    Flag::switch("interactive", "Ask before anything is deleted.").short('i'),
    Flag::switch("now", "End at once: the same as --grace-period=1."),
    Flag::text("output", "", "\"name\" prints type and name only.").short('o'),
    Flag::text("raw", "", "Path of the server to which DELETE is sent."),
    Flag::bool("wait", "true", "Wait until the objects are gone, finalizers included."),
];

/// How objects are deleted.
pub struct Deletion {
    /// Seconds to end; `None` leaves it to the object.
    pub grace_period: Option<i64>,
    /// Background, Foreground or Orphan.
    pub propagation: &'static str,
    /// Whether anything is really deleted.
    pub dry_run: DryRun,
    /// How long to wait until objects are gone.
    pub wait: Option<Duration>,
    /// Print names only.
    pub names_only: bool,
    /// Print nothing.
    pub quiet: bool,
}

/// A week: what upstream takes for "as long as it takes".
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

impl Deletion {
    /// What `--grace-period`, `--now`, `--force`, `--cascade`, `--timeout` and `--wait` say.
    pub fn from_flags(invocation: &Invocation, dry_run: DryRun) -> Result<Self> {
        let mut grace_period = Some(invocation.int("grace-period")).filter(|seconds| *seconds >= 0);
        let force = invocation.is("force");
        if invocation.is("now") {
            if grace_period.is_some() {
                return Err(Error::message("--now and --grace-period cannot be specified together"));
            }
            grace_period = Some(1);
        }
        if grace_period == Some(0) && !force {
            // Upstream turns a zero into one second unless it is forced.
            grace_period = Some(1);
        }
        if force && grace_period.is_none() {
            grace_period = Some(0);
        }
        if force && grace_period.is_some_and(|seconds| seconds > 0) {
            return Err(Error::message(
                "--force and --grace-period greater than 0 cannot be specified together",
            ));
        }
        let propagation = match invocation.text("cascade") {
            "background" | "true" => "Background",
            "foreground" => "Foreground",
            "orphan" | "false" => "Orphan",
            other => {
                return Err(Error::message(format!(
                    "invalid cascade value ({other}). Must be \"background\", \"foreground\", or \"orphan\""
                )));
            }
        };
        let timeout =
            Some(invocation.duration("timeout")).filter(|timeout| !timeout.is_zero()).unwrap_or(WEEK);
        let waits = invocation.is("wait");
        Ok(Self {
            grace_period,
            propagation,
            dry_run,
            wait: (waits && dry_run == DryRun::None).then_some(timeout),
            names_only: invocation.text("output") == "name",
            quiet: false,
        })
    }

    fn options(&self) -> Value {
        let mut options =
            json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": self.propagation});
        if let Some(seconds) = self.grace_period {
            options["gracePeriodSeconds"] = seconds.into();
        }
        options
    }

    /// Deletes one object and says so. The answer is what the server said.
    pub async fn delete(&self, session: &Session, item: &Item) -> Result<Value> {
        let mut reply = Value::Null;
        if self.dry_run != DryRun::Client {
            let path = with_query(&item.path(), &[("dryRun", self.dry_run.parameter())]);
            reply = session
                .client
                .delete(&path, &self.options())
                .await
                .map_err(|error| error.during("deleting", &item.source))?;
        }
        self.say(item);
        Ok(reply)
    }

    fn say(&self, item: &Item) {
        if self.quiet {
            return;
        }
        if self.names_only {
            outln!("{}", item.label());
            return;
        }
        let done = if self.grace_period == Some(0) { "force deleted" } else { "deleted" };
        let place = match item.namespace.as_deref() {
            Some(namespace) => format!(" from {namespace} namespace"),
            None => String::new(),
        };
        outln!("{} \"{}\" {done}{}{place}", item.resource.label(), item.name, self.dry_run.suffix());
    }
}

async fn run(invocation: Invocation) -> Result<()> {
    let session = Session::open(&invocation).await?;
    let raw = invocation.text("raw");
    if !raw.is_empty() {
        return super::raw::with_file(&session, http::Method::DELETE, raw, invocation.list("filename")).await;
    }
    let dry_run = invocation.dry_run()?;
    if !matches!(invocation.text("output"), "" | "name") {
        return Err(invocation.usage(format!(
            "unexpected -o output mode: {}. We only support '-o name'",
            invocation.text("output")
        )));
    }
    let deletion = Deletion::from_flags(&invocation, dry_run)?;
    if deletion.grace_period == Some(0) && invocation.is("force") {
        errln!(
            "Warning: Immediate deletion does not wait for confirmation that the running resource has been terminated. The resource may continue to run on the cluster indefinitely."
        );
    }
    let all = invocation.is("all");
    if all && (!invocation.text("selector").is_empty() || !invocation.text("field-selector").is_empty()) {
        return Err(Error::message("cannot set --all and --selector at the same time"));
    }
    let picks = args::named_picks(&session, &invocation, &invocation.args).await?;
    let ignore_missing =
        invocation.is("ignore-not-found") || (all && !invocation.changed("ignore-not-found"));
    let listed = picks.iter().any(|pick| matches!(pick, Pick::List(_)));
    let mut items = Vec::new();
    let mut errors = Vec::new();
    for pick in picks {
        match pick {
            // Names are deleted without being read first.
            Pick::Name(resource, name) => {
                let namespace = resource.namespaced.then(|| session.namespace.clone());
                items.push(Item { resource, namespace, name, object: Value::Null, source: String::new() });
            }
            Pick::File(item) => items.push(item),
            Pick::List(_) => {
                let (found, failed) = session.objects(&invocation, vec![pick]).await;
                items.extend(found);
                errors.extend(failed);
            }
        }
    }
    if invocation.is("interactive") && !items.is_empty() && !confirmed(&items)? {
        outln!("deletion is cancelled");
        return Ok(());
    }
    if invocation.is("all-namespaces") && !files::given(&invocation) && all && items.len() > 1 {
        errln!("Warning: deleting resources in all namespaces");
    }
    let found_any = !items.is_empty();
    let mut deleted = Vec::new();
    for item in items {
        if !item.resource.namespaced && session.namespace_given && item.source.is_empty() {
            errln!("Warning: deleting cluster-scoped resources, not scoped to the provided namespace");
        }
        match deletion.delete(&session, &item).await {
            Ok(reply) => deleted.push((item, reply)),
            Err(error) if error.is_not_found() && ignore_missing => {}
            Err(error) => errors.push(error),
        }
    }
    if let Some(timeout) = deletion.wait
        && let Err(error) = wait_gone(&session, &deleted, timeout).await
    {
        errors.push(error);
    }
    if !found_any && listed && errors.is_empty() {
        outln!("No resources found");
    }
    Error::all(errors)
}

fn confirmed(items: &[Item]) -> Result<bool> {
    outln!("You are about to delete the following {} resource(s):", items.len());
    for item in items {
        outln!("{}", item.label());
    }
    out!("Do you want to continue? (y/N): ");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(answer.trim().eq_ignore_ascii_case("y"))
}

/// Waits until every deleted object is gone or replaced by another one of its name.
async fn wait_gone(session: &Session, deleted: &[(Item, Value)], timeout: Duration) -> Result<()> {
    let waiting = async {
        for (item, reply) in deleted {
            let uid =
                deleted_uid(reply).or_else(|| item.object["metadata"]["uid"].as_str().map(str::to_string));
            gone(session, item, uid.as_deref()).await?;
        }
        Ok(())
    };
    match tokio::time::timeout(timeout, waiting).await {
        Ok(done) => done,
        Err(_) => {
            let name = deleted.first().map(|(item, _)| format!("{}/{}", item.resource.plural, item.name));
            Err(Error::message(format!(
                "timed out waiting for the condition on {}",
                name.unwrap_or_default()
            )))
        }
    }
}

/// The UID in a deletion's answer: a `Status` names it in its details, an object in its metadata.
fn deleted_uid(reply: &Value) -> Option<String> {
    let uid = if reply["kind"] == "Status" { &reply["details"]["uid"] } else { &reply["metadata"]["uid"] };
    uid.as_str().filter(|uid| !uid.is_empty()).map(str::to_string)
}

/// Waits until an object is gone: reads it once, then watches.
pub async fn gone(session: &Session, item: &Item, uid: Option<&str>) -> Result<()> {
    loop {
        let field = format!("metadata.name={}", item.name);
        let list =
            match session.client.get(&with_query(&item.collection(), &[("fieldSelector", &field)])).await {
                Ok(list) => list,
                Err(error) if error.is_not_found() => return Ok(()),
                // Who may delete but not list cannot wait.
                Err(error) if error.code() == 403 || error.code() == 405 => return Ok(()),
                Err(error) => return Err(error),
            };
        let still = list["items"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|object| uid.is_none_or(|uid| object["metadata"]["uid"] == uid));
        if !still {
            return Ok(());
        }
        let version = list["metadata"]["resourceVersion"].as_str().unwrap_or("");
        let query = [("fieldSelector", field.as_str()), ("resourceVersion", version), ("watch", "true")];
        let mut watch =
            session.client.watch(&with_query(&item.collection(), &query), "application/json").await?;
        loop {
            match watch.next().await {
                Ok(Some((kind, object)))
                    if kind == "DELETED" && uid.is_none_or(|uid| object["metadata"]["uid"] == uid) =>
                {
                    return Ok(());
                }
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => break,
            }
        }
    }
}
