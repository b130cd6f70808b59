//! `kubectl apply --prune --applyset=NAME`: a parent object remembers which kinds and namespaces its members have, and
//! each member says by a label whose it is. As upstream, it is there when `KUBECTL_APPLYSET` is `true`.

use std::collections::BTreeSet;
use std::rc::Rc;

use apimachinery::object::ObjectExt;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::Digest;

use crate::commands::delete::Deletion;
use cli_runtime::cli::{DryRun, Invocation};
use cli_runtime::client::{APPLY, with_query};
use cli_runtime::discovery::Resource;
use cli_runtime::error::{Error, Result};
use cli_runtime::print;
use cli_runtime::resource::{Item, Session};

const ID: &str = "applyset.kubernetes.io/id";
const PART_OF: &str = "applyset.kubernetes.io/part-of";
const TOOLING: &str = "applyset.kubernetes.io/tooling";
const KINDS: &str = "applyset.kubernetes.io/contains-group-kinds";
const NAMESPACES: &str = "applyset.kubernetes.io/additional-namespaces";
const PARENT_TYPE: &str = "applyset.kubernetes.io/is-parent-type";
const MANAGER: &str = "kubectl-applyset";
const TOOL: &str = concat!("kubectl/v", env!("CARGO_PKG_VERSION"));

/// The set whose members are applied.
pub struct ApplySet {
    parent: Rc<Resource>,
    name: String,
    namespace: Option<String>,
    id: String,
    /// What the parent knew before: kinds as `Deployment.apps`.
    kinds: BTreeSet<String>,
    namespaces: BTreeSet<String>,
}

/// Refuses what does not go together.
pub fn check(invocation: &Invocation) -> Result<()> {
    if invocation.text("applyset").is_empty() {
        return Ok(());
    }
    if std::env::var("KUBECTL_APPLYSET").as_deref() != Ok("true") {
        return Err(Error::Plain(
            "error: unknown flag: --applyset\nSee 'kubectl apply --help' for usage.".to_owned(),
        ));
    }
    if !invocation.is("prune") {
        return Err(Error::message("--applyset requires --prune"));
    }
    for (other, given) in [
        ("selector", !invocation.text("selector").is_empty()),
        ("all", invocation.is("all")),
        ("prune-allowlist", !invocation.list("prune-allowlist").is_empty()),
    ] {
        if given {
            return Err(Error::message(format!("--{other} is incompatible with --applyset")));
        }
    }
    Ok(())
}

impl ApplySet {
    /// Finds the set that `--applyset` names; none where it names none.
    pub async fn open(session: &Session, invocation: &Invocation) -> Result<Option<Self>> {
        let reference = invocation.text("applyset");
        if reference.is_empty() {
            return Ok(None);
        }
        let (word, name) = reference.split_once('/').unwrap_or(("secrets", reference));
        let parent = session.mapper.resource(word).await?;
        permit(session, &parent).await?;
        if parent.namespaced && !session.namespace_given {
            return Err(Error::message("namespace is required to use namespace-scoped ApplySet"));
        }
        let namespace = parent.namespaced.then(|| session.namespace.clone());
        let parts = [name, namespace.as_deref().unwrap_or(""), &parent.kind, &parent.group];
        let digest = sha2::Sha256::digest(parts.join(".").as_bytes());
        let id = format!("applyset-{}-v1", URL_SAFE_NO_PAD.encode(digest));
        let mut set = Self {
            name: name.to_owned(),
            namespace,
            id,
            parent,
            kinds: BTreeSet::new(),
            namespaces: BTreeSet::new(),
        };
        match session.client.get(&set.path()).await {
            Ok(found) => set.read(&found)?,
            Err(error) if error.is_not_found() && set.is_built_in() => {}
            Err(error) => return Err(error),
        }
        Ok(Some(set))
    }

    fn is_built_in(&self) -> bool {
        is_built_in(&self.parent)
    }

    fn path(&self) -> String {
        self.parent.object_path(self.namespace.as_deref(), &self.name)
    }

    fn read(&mut self, parent: &Value) -> Result<()> {
        let name = format!("{}.{}/{}", self.parent.plural, self.parent.group, self.name);
        let Some(tooling) = parent.annotation(TOOLING) else {
            return Err(Error::message(format!(
                "ApplySet parent object {name:?} already exists and is missing required annotation {TOOLING:?}"
            )));
        };
        if tooling.split('/').next() != Some("kubectl") {
            return Err(Error::message(format!(
                "ApplySet parent object {name:?} already exists and is managed by tooling {tooling:?} instead of \"kubectl\""
            )));
        }
        match parent.label(ID) {
            Some(id) if id == self.id => {}
            Some(id) => {
                return Err(Error::message(format!(
                    "ApplySet parent object {name:?} exists and has incorrect value for label {ID:?} (got: {id}, want: {})",
                    self.id
                )));
            }
            None => {
                return Err(Error::message(format!(
                    "ApplySet parent object {name:?} exists and does not have required label {ID}"
                )));
            }
        }
        self.kinds = words(parent.annotation(KINDS));
        self.namespaces = words(parent.annotation(NAMESPACES));
        Ok(())
    }

    /// Makes objects members of the set.
    pub fn adopt(&self, items: &mut [Item]) -> Result<()> {
        for item in items {
            if item.object.label(PART_OF).is_some() {
                return Err(Error::message(format!("ApplySet label {PART_OF:?} already set in input data")));
            }
            item.object.set_at(&["metadata", "labels", PART_OF], self.id.as_str().into());
        }
        Ok(())
    }

    /// Writes down the kinds of the members to be before the first is made, so that none can be forgotten.
    pub async fn announce(&self, session: &Session, items: &[Item], dry_run: DryRun) -> Result<()> {
        let (mut kinds, mut namespaces) = self.of(items);
        kinds.extend(self.kinds.iter().cloned());
        namespaces.extend(self.namespaces.iter().cloned());
        self.write(session, &kinds, &namespaces, dry_run).await
    }

    /// Deletes members that are not among those applied, and writes down what is left.
    pub async fn prune(
        &self,
        session: &Session,
        invocation: &Invocation,
        applied: &[Item],
        dry_run: DryRun,
    ) -> Result<()> {
        let kept: BTreeSet<&str> = applied.iter().map(|item| item.object.uid()).collect();
        let (mut kinds, mut namespaces) = self.of(applied);
        let now = (kinds.clone(), namespaces.clone());
        kinds.extend(self.kinds.iter().cloned());
        namespaces.extend(self.namespaces.iter().cloned());
        namespaces.extend(self.namespace.clone());
        let mut deletion = Deletion::from_flags(invocation, dry_run)?;
        deletion.quiet = true;
        for kind in &kinds {
            let resource = of_group_kind(session, kind).await?;
            let scopes: Vec<Option<&str>> = match resource.namespaced {
                true => namespaces.iter().map(|namespace| Some(namespace.as_str())).collect(),
                false => vec![None],
            };
            for scope in scopes {
                for item in session.list(&resource, scope, &format!("{PART_OF}={}", self.id), "").await? {
                    if !kept.contains(item.object.uid()) && item.object.deletion_timestamp().is_none() {
                        deletion.delete(session, &item).await?;
                        outln!("{} pruned{}", print::name(&item.object), dry_run.suffix());
                    }
                }
            }
        }
        self.write(session, &now.0, &now.1, dry_run).await
    }

    /// The kinds of objects, and their namespaces beside the parent's own.
    fn of(&self, items: &[Item]) -> (BTreeSet<String>, BTreeSet<String>) {
        let kind = |item: &Item| match item.resource.group.as_str() {
            "" => item.resource.kind.clone(),
            group => format!("{}.{group}", item.resource.kind),
        };
        let namespaces = items.iter().filter_map(|item| item.namespace.clone());
        (
            items.iter().map(kind).collect(),
            namespaces.filter(|namespace| Some(namespace) != self.namespace.as_ref()).collect(),
        )
    }

    async fn write(
        &self,
        session: &Session,
        kinds: &BTreeSet<String>,
        namespaces: &BTreeSet<String>,
        dry_run: DryRun,
    ) -> Result<()> {
        if dry_run == DryRun::Client {
            return Ok(());
        }
        let list = |words: &BTreeSet<String>| words.iter().cloned().collect::<Vec<_>>().join(",");
        let mut parent = json!({
            "apiVersion": self.parent.api_version(), "kind": self.parent.kind,
            "metadata": {
                "name": self.name,
                "annotations": { TOOLING: TOOL, KINDS: list(kinds), NAMESPACES: list(namespaces) },
                "labels": { ID: self.id },
            },
        });
        if let Some(namespace) = &self.namespace {
            parent["metadata"]["namespace"] = namespace.as_str().into();
        }
        let query = [("dryRun", dry_run.parameter()), ("fieldManager", MANAGER), ("force", "false")];
        session.client.patch(&with_query(&self.path(), &query), APPLY, &parent).await.map(|_| ())
    }
}

fn words(list: Option<&str>) -> BTreeSet<String> {
    list.unwrap_or("").split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn is_built_in(resource: &Resource) -> bool {
    resource.group.is_empty() && matches!(resource.plural.as_str(), "configmaps" | "secrets")
}

/// Custom resources say themselves that they may be parents.
async fn permit(session: &Session, resource: &Resource) -> Result<()> {
    if is_built_in(resource) {
        return Ok(());
    }
    let definition = format!(
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{}.{}",
        resource.plural, resource.group
    );
    match session.client.get(&definition).await {
        Ok(definition) if definition.label(PARENT_TYPE) == Some("true") => Ok(()),
        Err(error) if !error.is_not_found() => Err(error),
        _ => Err(Error::message(format!(
            "resource \"{}/{}, Resource={}\" is not permitted as an ApplySet parent",
            resource.group, resource.version, resource.plural
        ))),
    }
}

/// The preferred version of a kind written as `Deployment.apps`.
async fn of_group_kind(session: &Session, kind: &str) -> Result<Rc<Resource>> {
    let (kind, group) = kind.split_once('.').unwrap_or((kind, ""));
    let known = session.mapper.all().await?;
    known.iter().find(|resource| resource.kind == kind && resource.group == group).cloned().ok_or_else(|| {
        Error::message(format!("could not find mapping for kind in {KINDS:?} annotation: no matches for kind {kind:?} in group {group:?}"))
    })
}
