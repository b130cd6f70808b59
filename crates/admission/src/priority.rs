//! Priority: the number and the preemption policy that a pod's class stands for, and one default class.

use std::sync::Arc;

use apimachinery::ObjectExt;
use apimachinery::status::Status;
use serde_json::Value;
use strategy::read::Read;
use strategy::write;

use crate::{Context, Operation, Plugin, Steps};

pub(crate) struct Priority;

const GROUP: &str = "scheduling.k8s.io";
const CLASSES: &str = "priorityclasses";

impl Plugin for Priority {
    fn name(&self) -> &'static str {
        "Priority"
    }

    fn steps(&self) -> Steps {
        Steps::Both
    }

    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    fn admit(&self, context: &mut Context, object: &mut Value) -> Result<(), Status> {
        if !context.attributes.is("", "pods") {
            return Ok(());
        }
        match (context.attributes.operation, context.old) {
            (Operation::Create, _) => settle(context, object),
            (_, Some(old)) => {
                let spec = write::ensure(object, "spec");
                for key in ["priority", "preemptionPolicy"] {
                    if !spec.has(key) {
                        write::copy(spec, key, &old["spec"]);
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn validate(&self, context: &mut Context, object: &Value) -> Result<(), Status> {
        let attributes = context.attributes;
        if !attributes.is(GROUP, CLASSES) || object.flag("globalDefault") != Some(true) {
            return Ok(());
        }
        match default_class(context) {
            Some(class) if class.name() != object.name() => Err(attributes.forbidden(
                object,
                format!(
                    "PriorityClass {} is already marked as default. Only one default can exist",
                    class.name()
                ),
            )),
            _ => Ok(()),
        }
    }
}

/// The class for pods that name none: where several claim it, the one of the lowest priority.
fn default_class(context: &Context) -> Option<Arc<Value>> {
    context
        .view
        .list(GROUP, CLASSES, "")
        .into_iter()
        .filter(|class| class.flag("globalDefault") == Some(true))
        .min_by_key(|class| class.int("value").unwrap_or(0))
}

fn settle(context: &Context, pod: &mut Value) -> Result<(), Status> {
    let attributes = context.attributes;
    let name = pod["spec"].text("priorityClassName").to_owned();
    let class = if name.is_empty() {
        default_class(context)
    } else {
        let class = context.view.get(GROUP, CLASSES, "", &name);
        if class.is_none() {
            let why = format!("no PriorityClass with name {name} was found");
            return Err(attributes.forbidden(pod, why));
        }
        class
    };
    let (priority, policy) = match &class {
        Some(class) => {
            let policy = class.text("preemptionPolicy");
            let policy = if policy.is_empty() { "PreemptLowerPriority" } else { policy };
            (class.int("value").unwrap_or(0), policy)
        }
        None => (0, "PreemptLowerPriority"),
    };
    if let Some(given) = pod["spec"].int("priority").filter(|given| *given != priority) {
        let why = format!(
            "the integer value of priority ({given}) must not be provided in pod spec; priority admission controller computed {priority} from the given PriorityClass name"
        );
        return Err(attributes.forbidden(pod, why));
    }
    let given = pod["spec"].text("preemptionPolicy");
    if !given.is_empty() && given != policy {
        let why = format!(
            "the string value of PreemptionPolicy ({given}) must not be provided in pod spec; priority admission controller computed {policy} from the given PriorityClass name"
        );
        return Err(attributes.forbidden(pod, why));
    }
    let spec = write::ensure(pod, "spec");
    if let Some(class) = &class {
        write::set(spec, "priorityClassName", class.name());
    }
    write::set(spec, "priority", priority);
    write::set(spec, "preemptionPolicy", policy);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Cluster, Request};
    use serde_json::json;

    fn create(cluster: Cluster, spec: Value) -> Result<Value, Status> {
        let request = Request::create("", "pods").named("web").inside("x");
        request.admit(&Priority, &cluster, json!({"spec": spec})).map(|pod| pod["spec"].clone())
    }

    #[test]
    fn classes_become_numbers() {
        let cluster = || {
            Cluster::new().with(
                GROUP,
                CLASSES,
                json!({"metadata": {"name": "high"}, "value": 9, "preemptionPolicy": "Never"}),
            )
        };
        assert_eq!(
            create(cluster(), json!({"priorityClassName": "high"})).unwrap(),
            json!({"priorityClassName": "high", "priority": 9, "preemptionPolicy": "Never"})
        );
        assert_eq!(
            create(cluster(), json!({})).unwrap(),
            json!({"priority": 0, "preemptionPolicy": "PreemptLowerPriority"})
        );
        assert_eq!(
            create(cluster(), json!({"priorityClassName": "low"})).unwrap_err().message,
            "pods \"web\" is forbidden: no PriorityClass with name low was found"
        );
        assert!(create(cluster(), json!({"priorityClassName": "high", "priority": 3})).is_err());
        let defaulting = cluster().with(
            GROUP,
            CLASSES,
            json!({"metadata": {"name": "usual"}, "value": 3, "globalDefault": true}),
        );
        assert_eq!(create(defaulting, json!({})).unwrap()["priorityClassName"], "usual");
    }

    #[test]
    fn there_is_one_default() {
        let class = |name: &str| json!({"metadata": {"name": name}, "value": 3, "globalDefault": true});
        let cluster = Cluster::new().with(GROUP, CLASSES, class("a"));
        let request = Request::create(GROUP, CLASSES).named("b");
        assert!(request.admit(&Priority, &cluster, class("b")).is_err());
        assert!(Request::update(GROUP, CLASSES, class("a")).admit(&Priority, &cluster, class("a")).is_ok());
    }
}
