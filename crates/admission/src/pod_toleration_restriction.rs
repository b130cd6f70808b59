//! PodTolerationRestriction: pods of a namespace get the tolerations that it, or the cluster, gives to all, and have none
//! but those that are allowed there.

use apimachinery::status::Status;
use pod_strategy::resources::qos_class;
use pod_strategy::scheduling::validate_tolerations;
use serde::Deserialize;
use serde_json::{Value, json};
use strategy::field::{Errors, Path};
use strategy::read::Read;
use strategy::write;

use crate::configuration::{self, Kinds};
use crate::{Context, Operation, Plugin, Steps};

const KINDS: &Kinds = &[("podtolerationrestriction.admission.k8s.io/v1alpha1", "Configuration")];
const DEFAULT: &str = "scheduler.alpha.kubernetes.io/defaultTolerations";
const ALLOWED: &str = "scheduler.alpha.kubernetes.io/tolerationsWhitelist";

/// The plugin, with what holds in namespaces that say nothing.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct PodTolerationRestriction {
    default: Vec<Value>,
    whitelist: Vec<Value>,
}

/// The tolerations in an annotation of the pod's namespace; `None` where there is no such annotation.
fn of_namespace(context: &Context, annotation: &str) -> Result<Option<Vec<Value>>, Status> {
    let name = context.attributes.namespace;
    let namespace = context
        .view
        .get("", "namespaces", "", name)
        .ok_or_else(|| Status::not_found("", "namespaces", name))?;
    let Some(text) = namespace["metadata"]["annotations"].get(annotation).and_then(Value::as_str) else {
        return Ok(None);
    };
    if text.is_empty() {
        return Ok(Some(Vec::new()));
    }
    serde_json::from_str(text).map(Some).map_err(|error| Status::new(500, "", error.to_string()))
}

fn operator(toleration: &Value) -> &str {
    match toleration.text("operator") {
        "" => "Equal",
        operator => operator,
    }
}

/// Whether whatever one toleration tolerates, another does too.
fn covers(wide: &Value, narrow: &Value) -> bool {
    let text = |key| wide.text(key) == narrow.text(key);
    let seconds = |toleration: &Value| toleration.int("tolerationSeconds");
    if text("key") && text("operator") && text("value") && text("effect") && seconds(wide) == seconds(narrow)
    {
        return true;
    }
    let any_key = wide.text("key").is_empty() && wide.text("operator") == "Exists";
    if !(text("key") || any_key) || !(text("effect") || wide.text("effect").is_empty()) {
        return false;
    }
    if wide.text("effect") == "NoExecute"
        && let Some(most) = seconds(wide)
        && seconds(narrow).is_none_or(|seconds| seconds > most)
    {
        return false;
    }
    match operator(wide) {
        "Exists" => true,
        "Equal" => operator(narrow) == "Equal" && text("value"),
        _ => false,
    }
}

/// All of two lists but those that others cover; of two that cover one another the first.
fn merged(first: Vec<Value>, second: &[Value]) -> Vec<Value> {
    let mut all = first;
    all.extend(second.iter().cloned());
    let mut kept: Vec<Value> = Vec::new();
    for (index, toleration) in all.iter().enumerate() {
        let later = all[index + 1..].iter().any(|wide| covers(wide, toleration) && !covers(toleration, wide));
        if !later && !kept.iter().any(|wide| covers(wide, toleration)) {
            kept.push(toleration.clone());
        }
    }
    kept
}

impl Plugin for PodTolerationRestriction {
    fn name(&self) -> &'static str {
        "PodTolerationRestriction"
    }

    fn configure(&mut self, configuration: Option<&Value>) -> Result<(), String> {
        let Some(configuration) = configuration else { return Ok(()) };
        *self = configuration::read(configuration, KINDS)?;
        let mut errors = Errors::new();
        validate_tolerations(&self.default, &Path::root("default"), &mut errors);
        validate_tolerations(&self.whitelist, &Path::root("whitelist"), &mut errors);
        configuration::joined(&errors.into_vec())
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
        let mut given = Vec::new();
        if context.attributes.operation == Operation::Create {
            given = of_namespace(context, DEFAULT)?.unwrap_or_else(|| self.default.clone());
        }
        if qos_class(&object["spec"]) != "BestEffort" {
            let pressure = "node.kubernetes.io/memory-pressure";
            given.push(json!({"key": pressure, "operator": "Exists", "effect": "NoSchedule"}));
        }
        let spec = write::ensure(object, "spec");
        let tolerations = merged(given, spec.items("tolerations"));
        if !tolerations.is_empty() {
            write::set(spec, "tolerations", tolerations);
        }
        self.validate(context, object)
    }

    fn validate(&self, context: &mut Context, object: &Value) -> Result<(), Status> {
        let tolerations = object["spec"].items("tolerations");
        if !context.attributes.is("", "pods") || tolerations.is_empty() {
            return Ok(());
        }
        let allowed = of_namespace(context, ALLOWED)?.unwrap_or_else(|| self.whitelist.clone());
        let is_allowed = |toleration: &Value| allowed.iter().any(|wide| covers(wide, toleration));
        if allowed.is_empty() || tolerations.iter().all(is_allowed) {
            return Ok(());
        }
        let why = "pod tolerations (possibly merged with namespace default tolerations) conflict with its namespace whitelist";
        Err(Status::new(500, "", why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Cluster, Request};

    #[test]
    fn some_tolerations_cover_others() {
        let any = json!({"operator": "Exists"});
        let key = json!({"key": "a", "operator": "Exists"});
        let equal = json!({"key": "a", "value": "1", "effect": "NoSchedule"});
        let minute =
            json!({"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60});
        let forever = json!({"key": "a", "operator": "Exists", "effect": "NoExecute"});
        for (wide, narrow, expected) in [
            (&any, &equal, true),
            (&key, &equal, true),
            (&equal, &key, false),
            (&key, &any, false),
            (&minute, &forever, false),
            (&forever, &minute, true),
            (&minute, &minute, true),
        ] {
            assert_eq!(covers(wide, narrow), expected, "{wide} {narrow}");
        }
        assert_eq!(merged(vec![equal.clone(), minute], std::slice::from_ref(&key)), [key]);
        assert_eq!(merged(vec![equal.clone()], std::slice::from_ref(&equal)), [equal]);
    }

    fn admit(plugin: &PodTolerationRestriction, annotations: Value, spec: Value) -> Result<Value, String> {
        let namespace = json!({"metadata": {"name": "x", "annotations": annotations}});
        let cluster = Cluster::new().with("", "namespaces", namespace);
        let request = Request::create("", "pods").inside("x").named("p");
        let pod = request.admit(plugin, &cluster, json!({"spec": spec}));
        pod.map(|pod| pod["spec"]["tolerations"].clone()).map_err(|status| status.message)
    }

    #[test]
    fn namespaces_say_more_than_the_cluster() {
        let mut plugin = PodTolerationRestriction::default();
        let configuration = json!({"apiVersion": "podtolerationrestriction.admission.k8s.io/v1alpha1",
            "kind": "Configuration", "default": [{"key": "d", "operator": "Exists"}],
            "whitelist": [{"key": "d", "operator": "Exists"}, {"key": "e", "operator": "Exists"}]});
        plugin.configure(Some(&configuration)).unwrap();
        let default = json!([{"key": "d", "operator": "Exists"}]);
        assert_eq!(admit(&plugin, json!({}), json!({})), Ok(default));
        assert_eq!(admit(&plugin, json!({DEFAULT: ""}), json!({})), Ok(Value::Null));
        let own = json!({"tolerations": [{"key": "f", "operator": "Exists"}]});
        assert!(
            admit(&plugin, json!({}), own.clone())
                .unwrap_err()
                .contains("conflict with its namespace whitelist")
        );
        let open = json!({DEFAULT: "", ALLOWED: "[{\"key\": \"f\", \"operator\": \"Exists\"}]"});
        assert_eq!(admit(&plugin, open, own.clone()), Ok(own["tolerations"].clone()));
        let requests = json!({"containers": [{"resources": {"requests": {"cpu": "1"}}}]});
        let pressed = admit(&PodTolerationRestriction::default(), json!({}), requests).unwrap();
        assert_eq!(pressed[0]["key"], "node.kubernetes.io/memory-pressure");
    }

    #[test]
    fn a_configuration_must_be_one() {
        let refused = |configuration: Value| {
            PodTolerationRestriction::default().configure(Some(&configuration)).unwrap_err()
        };
        assert_eq!(
            refused(json!({"apiVersion": "v1", "kind": "Pod"})),
            "no kind \"Pod\" is registered for version \"v1\""
        );
        let wrong = refused(
            json!({"apiVersion": KINDS[0].0, "kind": "Configuration", "default": [{"operator": "Near"}]}),
        );
        assert!(wrong.contains("default[0].operator: Unsupported value: \"Near\""), "{wrong}");
    }
}
