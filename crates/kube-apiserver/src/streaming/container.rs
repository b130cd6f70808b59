//! Which container of a pod is meant when the client may leave it out.

use apimachinery::{ObjectExt as _, Status};
use serde_json::Value;

fn names<'a>(pod: &'a Value, list: &str) -> Vec<&'a str> {
    pod.list_at(&["spec", list]).iter().filter_map(|container| container.str_at(&["name"])).collect()
}

/// The container asked for, or the pod's only one.
pub(super) fn choose<'a>(pod: &'a Value, asked: Option<&'a str>) -> Result<&'a str, Status> {
    let pod_name = pod.name();
    let [containers, init, ephemeral] =
        ["containers", "initContainers", "ephemeralContainers"].map(|list| names(pod, list));
    if let Some(asked) = asked {
        let known = [&containers, &init, &ephemeral].into_iter().flatten().any(|name| *name == asked);
        return match known {
            true => Ok(asked),
            false => Err(Status::bad_request(format!("container {asked} is not valid for pod {pod_name}"))),
        };
    }
    let mut message = format!("a container name must be specified for pod {pod_name}");
    match containers.as_slice() {
        [only] => return Ok(only),
        [] => {}
        several => {
            message.push_str(&format!(", choose one of: [{}]", several.join(" ")));
            if !init.is_empty() {
                message.push_str(&format!(" or one of the init containers: [{}]", init.join(" ")));
            }
            if !ephemeral.is_empty() {
                message.push_str(&format!(" or one of the ephemeral containers: [{}]", ephemeral.join(" ")));
            }
        }
    }
    Err(Status::bad_request(message))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(containers: &[&str], init: &[&str], asked: Option<&str>) -> String {
        let list = |names: &[&str]| names.iter().map(|name| json!({"name": name})).collect::<Value>();
        let pod = json!({"metadata": {"name": "web"}, "spec": {
            "containers": list(containers), "initContainers": list(init)}});
        match choose(&pod, asked) {
            Ok(name) => name.to_owned(),
            Err(status) => format!("{} {}", status.code, status.message),
        }
    }

    #[test]
    fn a_container_must_be_named_where_there_are_several() {
        assert_eq!(check(&["a"], &["i"], None), "a");
        assert_eq!(check(&["a", "b"], &["i"], Some("i")), "i");
        assert_eq!(
            check(&["a", "b"], &[], None),
            "400 a container name must be specified for pod web, choose one of: [a b]"
        );
        assert_eq!(
            check(&["a", "b"], &["i", "j"], None),
            "400 a container name must be specified for pod web, choose one of: [a b] or one of the init containers: [i j]"
        );
        assert_eq!(check(&["a"], &[], Some("x")), "400 container x is not valid for pod web");
    }
}
