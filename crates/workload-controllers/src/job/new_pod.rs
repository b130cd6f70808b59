//! The pods of a job: from its template, with the finalizer and, where they have one, their index.

use controller_runtime::objects::job::Job;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::{Value, json};

use super::FINALIZER;
use super::decision::{INDEX, INDEX_FAILURES, INDEX_IGNORED, NewPod};
use crate::pods::{Name, from_template};

/// The variable by which a container knows its index.
const VARIABLE: &str = "JOB_COMPLETION_INDEX";

/// Makes a pod.
pub fn object(job: &Job, template: &Value, owner: &OwnerReference, new: &NewPod) -> Value {
    let name = match new.index {
        Some(index) => format!("{}-{index}", job.metadata.name),
        None => job.metadata.name.clone(),
    };
    let mut pod = from_template(template, owner, &job.metadata.namespace, Name::Generated(&name));
    let metadata = &mut pod["metadata"];
    match metadata["finalizers"].as_array_mut() {
        Some(finalizers) => finalizers.push(FINALIZER.into()),
        None => metadata["finalizers"] = json!([FINALIZER]),
    }
    let Some(index) = new.index else { return pod };
    metadata["annotations"][INDEX] = index.to_string().into();
    metadata["labels"][INDEX] = index.to_string().into();
    if let Some((failures, ignored)) = new.failures {
        metadata["annotations"][INDEX_FAILURES] = failures.to_string().into();
        if ignored > 0 {
            metadata["annotations"][INDEX_IGNORED] = ignored.to_string().into();
        }
    }
    let spec = &mut pod["spec"];
    spec["hostname"] = name.into();
    let from = json!({"fieldRef": {"fieldPath": format!("metadata.labels['{INDEX}']")}});
    for kind in ["containers", "initContainers"] {
        for container in spec[kind].as_array_mut().into_iter().flatten() {
            let variable = json!({"name": VARIABLE, "valueFrom": from});
            match container["env"].as_array_mut() {
                Some(variables) if variables.iter().any(|one| one["name"] == VARIABLE) => {}
                Some(variables) => variables.push(variable),
                None => container["env"] = json!([variable]),
            }
        }
    }
    if spec["initContainers"].is_null()
        && let Some(spec) = spec.as_object_mut()
    {
        spec.remove("initContainers");
    }
    pod
}

#[cfg(test)]
mod tests {
    use super::*;
    use controller_runtime::ownership::controller_reference;

    #[test]
    fn an_indexed_pod_knows_its_index() {
        let job: Job =
            serde_json::from_value(json!({"metadata": {"name": "sum", "namespace": "a", "uid": "j"}}))
                .unwrap();
        let template =
            json!({"metadata": {"labels": {"job-name": "sum"}}, "spec": {"containers": [{"name": "c"}]}});
        let plain = object(&job, &template, &controller_reference(&job), &NewPod::default());
        assert_eq!(plain["metadata"]["generateName"], "sum-");
        assert_eq!(plain["metadata"]["finalizers"], json!([FINALIZER]));
        let new = NewPod { index: Some(2), failures: Some((1, 0)) };
        let pod = object(&job, &template, &controller_reference(&job), &new);
        assert_eq!(pod["metadata"]["generateName"], "sum-2-");
        assert_eq!(pod["metadata"]["annotations"], json!({INDEX: "2", INDEX_FAILURES: "1"}));
        assert_eq!(pod["spec"]["hostname"], "sum-2");
        assert_eq!(pod["spec"]["containers"][0]["env"][0]["name"], "JOB_COMPLETION_INDEX");
        assert!(pod["spec"].get("initContainers").is_none());
    }
}
