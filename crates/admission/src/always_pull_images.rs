//! AlwaysPullImages: a pod's images are pulled each time, so that whoever runs one has shown that he may have it.

use apimachinery::status::Status;
use serde_json::Value;
use strategy::read::Read;
use strategy::write;

use crate::{Context, Operation, Plugin, Steps};

pub(crate) struct AlwaysPullImages;

const LISTS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

fn images(pod: &Value) -> Vec<&str> {
    let containers = LISTS.iter().flat_map(|list| pod["spec"].items(list));
    let volumes = pod["spec"].items("volumes").iter().map(|volume| volume["image"].text("reference"));
    containers
        .map(|container| container.text("image"))
        .chain(volumes)
        .filter(|image| !image.is_empty())
        .collect()
}

/// Updates that bring no new image change nothing.
fn concerns(context: &Context, pod: &Value) -> bool {
    let Some(old) = context.old else { return context.attributes.is("", "pods") };
    let known = images(old);
    context.attributes.is("", "pods") && images(pod).iter().any(|image| !known.contains(image))
}

impl Plugin for AlwaysPullImages {
    fn name(&self) -> &'static str {
        "AlwaysPullImages"
    }

    fn steps(&self) -> Steps {
        Steps::Both
    }

    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    fn admit(&self, context: &mut Context, object: &mut Value) -> Result<(), Status> {
        if !concerns(context, object) {
            return Ok(());
        }
        let spec = write::ensure(object, "spec");
        for list in LISTS {
            for container in write::items(spec, list) {
                container["imagePullPolicy"] = "Always".into();
            }
        }
        for volume in write::items(spec, "volumes") {
            if let Some(image) = write::object(volume, "image") {
                image["pullPolicy"] = "Always".into();
            }
        }
        Ok(())
    }

    fn validate(&self, context: &mut Context, object: &Value) -> Result<(), Status> {
        if !concerns(context, object) {
            return Ok(());
        }
        for list in LISTS {
            for (index, container) in object["spec"].items(list).iter().enumerate() {
                let policy = container.text("imagePullPolicy");
                if policy != "Always" {
                    let why = format!(
                        "spec.{list}[{index}].imagePullPolicy: Unsupported value: {policy:?}: supported values: \"Always\""
                    );
                    return Err(context.attributes.forbidden(object, why));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{Cluster, Request};

    #[test]
    fn every_image_is_pulled() {
        let pod = json!({"spec": {"containers": [{"image": "a", "imagePullPolicy": "Never"}],
            "volumes": [{"image": {"reference": "v"}}]}});
        let request = Request::create("", "pods").inside("x");
        let made = request.admit(&AlwaysPullImages, &Cluster::new(), pod.clone()).unwrap();
        assert_eq!(made["spec"]["containers"][0]["imagePullPolicy"], "Always");
        assert_eq!(made["spec"]["volumes"][0]["image"]["pullPolicy"], "Always");
        let same = Request::update("", "pods", pod.clone()).inside("x");
        assert_eq!(same.admit(&AlwaysPullImages, &Cluster::new(), pod.clone()).unwrap(), pod);
    }
}
