//! ImagePolicyWebhook: a service is asked whether a pod's images may run.
//!
//! This is the pure part: what it is told, and what its answer means. The server makes the calls.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use strategy::read::Read;

use crate::attributes::{Attributes, Operation};

/// The plugin's name.
pub const NAME: &str = "ImagePolicyWebhook";
/// What the keys of its audit annotations begin with.
pub const AUDIT_PREFIX: &str = "imagepolicywebhook.image-policy.k8s.io/";

/// Its configuration, which has no kind.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Configuration {
    image_policy: ImagePolicy,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ImagePolicy {
    kube_config_file: PathBuf,
    #[serde(rename = "allowTTL")]
    allow_ttl: i64,
    #[serde(rename = "denyTTL")]
    deny_ttl: i64,
    retry_backoff: i64,
    default_allow: bool,
}

/// Who is asked, and how long his answers hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A kubeconfig that names the service.
    pub kubeconfig: PathBuf,
    /// How long a yes holds.
    pub allow: Duration,
    /// How long a no holds.
    pub deny: Duration,
    /// The pause before a call that failed is made again.
    pub pause: Duration,
    /// Whether pods run while nobody answers.
    pub fails_open: bool,
}

impl Settings {
    /// Reads the plugin's configuration.
    pub fn parse(configuration: Option<&Value>) -> Result<Self, String> {
        let configuration = configuration.ok_or("no config specified")?;
        let Configuration { image_policy } =
            Configuration::deserialize(configuration).map_err(|error| error.to_string())?;
        if image_policy.kube_config_file.as_os_str().is_empty() {
            return Err("imagePolicy.kubeConfigFile: Required value".to_owned());
        }
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        let milli = Duration::from_millis(1);
        Ok(Self {
            kubeconfig: image_policy.kube_config_file,
            allow: span(image_policy.allow_ttl, second, (second, 30 * minute), 5 * minute)?,
            deny: span(image_policy.deny_ttl, second, (second, 30 * minute), 30 * second)?,
            pause: span(image_policy.retry_backoff, milli, (milli, 5 * minute), 500 * milli)?,
            fails_open: image_policy.default_allow,
        })
    }
}

/// A number of units; -1 turns it off, 0 is the default.
fn span(
    number: i64,
    unit: Duration,
    (least, most): (Duration, Duration),
    default: Duration,
) -> Result<Duration, String> {
    if number == -1 {
        return Ok(Duration::ZERO);
    }
    let given = u32::try_from(number).ok().map(|number| unit.saturating_mul(number));
    match given {
        Some(Duration::ZERO) => Ok(default),
        Some(given) if (least..=most).contains(&given) => Ok(given),
        _ => Err(format!("valid value is between {least:?} and {most:?}, got {number} times {unit:?}")),
    }
}

/// Whether the service is asked about a request at all.
pub fn concerns(attributes: &Attributes) -> bool {
    let writes = matches!(attributes.operation, Operation::Create | Operation::Update);
    let pod = attributes.group.is_empty() && attributes.resource == "pods";
    writes && pod && matches!(attributes.subresource, "" | "ephemeralcontainers")
}

/// The ImageReview of a pod.
pub fn question(attributes: &Attributes, pod: &Value) -> Value {
    let lists: &[&str] = match attributes.subresource {
        "" => &["containers", "initContainers"],
        _ => &["ephemeralContainers"],
    };
    let containers = lists.iter().flat_map(|list| pod["spec"].items(list));
    let containers: Vec<Value> =
        containers.map(|container| json!({"image": container.text("image")})).collect();
    let told =
        pod["metadata"].entries("annotations").filter(|(key, _)| key.contains(".image-policy.k8s.io/"));
    let annotations: Map<String, Value> = told.map(|(key, value)| (key.clone(), value.clone())).collect();
    let mut spec = json!({"containers": containers, "namespace": attributes.namespace});
    if !annotations.is_empty() {
        spec["annotations"] = Value::Object(annotations);
    }
    json!({"kind": "ImageReview", "apiVersion": "imagepolicy.k8s.io/v1alpha1",
        "metadata": {"creationTimestamp": null}, "spec": spec, "status": {"allowed": false}})
}

/// What the service said of a pod's images.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Whether they may run.
    pub allowed: bool,
    /// Why not.
    pub reason: String,
    /// For the audit log, without [`AUDIT_PREFIX`].
    pub audit_annotations: Vec<(String, String)>,
}

impl Answer {
    /// Reads an ImageReview that was answered.
    pub fn read(body: &[u8]) -> Result<Self, String> {
        let review: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let status = &review["status"];
        let annotations = status.entries("auditAnnotations");
        let text = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
        Ok(Self {
            allowed: status.flag("allowed") == Some(true),
            reason: status.text("reason").to_owned(),
            audit_annotations: annotations.filter_map(text).collect(),
        })
    }

    /// What a client is told whose pod may not run.
    pub fn refusal(&self) -> Option<String> {
        match (self.allowed, self.reason.as_str()) {
            (true, _) => None,
            (false, "") => Some("one or more images rejected by webhook backend".to_owned()),
            (false, reason) => {
                Some(format!("image policy webhook backend denied one or more images: {reason}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Cluster, Request};

    #[test]
    fn configurations_are_read_with_their_defaults() {
        let read = |policy: Value| Settings::parse(Some(&json!({"imagePolicy": policy})));
        let usual = read(json!({"kubeConfigFile": "/etc/k", "defaultAllow": true, "denyTTL": -1})).unwrap();
        let seconds = [usual.allow, usual.deny].map(|span| span.as_secs());
        assert_eq!((seconds, usual.pause.as_millis(), usual.fails_open), ([300, 0], 500, true));
        let wrong = read(json!({"kubeConfigFile": "/etc/k", "allowTTL": 7200})).unwrap_err();
        assert!(wrong.starts_with("valid value is between 1s and 1800s"), "{wrong}");
        assert!(read(json!({})).is_err() && Settings::parse(None).is_err());
    }

    #[test]
    fn the_images_that_are_new_are_told() {
        let pod = json!({"metadata": {"annotations": {"a.image-policy.k8s.io/ticket": "7", "other": "x"}}, "spec": {
            "containers": [{"image": "c"}], "initContainers": [{"image": "i"}], "ephemeralContainers": [{"image": "e"}]}});
        let told = |request: Request| {
            request
                .run(&Cluster::new(), |context| {
                    (concerns(context.attributes), question(context.attributes, &pod))
                })
                .0
        };
        let (asked, review) = told(Request::create("", "pods").inside("x"));
        assert!(asked);
        assert_eq!(
            review["spec"],
            json!({"containers": [{"image": "c"}, {"image": "i"}], "namespace": "x",
                "annotations": {"a.image-policy.k8s.io/ticket": "7"}})
        );
        let (asked, review) =
            told(Request::update("", "pods", json!({})).inside("x").through("ephemeralcontainers"));
        assert!(asked);
        assert_eq!(review["spec"]["containers"], json!([{"image": "e"}]));
        assert!(!told(Request::update("", "pods", json!({})).through("status")).0);
        assert!(!told(Request::delete("", "pods")).0);
    }

    #[test]
    fn answers_say_why_not() {
        let refusal =
            |status: Value| Answer::read(json!({"status": status}).to_string().as_bytes()).unwrap().refusal();
        assert_eq!(refusal(json!({"allowed": true})), None);
        assert_eq!(refusal(json!({})).unwrap(), "one or more images rejected by webhook backend");
        assert_eq!(
            refusal(json!({"allowed": false, "reason": "old"})).unwrap(),
            "image policy webhook backend denied one or more images: old"
        );
    }
}
