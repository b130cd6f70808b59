//! `pods/exec`, `pods/attach` and `pods/portforward`: checked here, then a tunnel to the pod's kubelet.

use apimachinery::{ObjectExt as _, Status};
use http::HeaderMap;
use httpstream::remotecommand::Wanted;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::backend::{BackendError, Target};
use super::translate::Translation;
use super::tunnel::{self, Asked};
use super::{Call, Streaming, container, query};
use crate::http::{Query, Response};

pub(super) async fn serve(streaming: &Streaming, call: Call<'_>) -> Result<Response, Status> {
    let info = call.info;
    let pod = call.objects.get("", "pods", &info.namespace, &info.name).await?;
    let Location { path, translation } = location(&info.subresource, &pod, &query(&call.request))?;
    let node = pod.str_at(&["spec", "nodeName"]).unwrap_or("");
    if node.is_empty() {
        return Err(Status::bad_request(format!("pod {} does not have a host assigned", info.name)));
    }
    if !httpstream::is_upgrade(call.request.headers()) {
        return Err(Status::bad_request("Upgrade request required"));
    }
    let node = call.objects.get("", "nodes", "", node).await?;
    let address = streaming.kubelets.address(&node)?;
    let target = Target {
        host: address.host,
        port: address.port,
        tls: Some(streaming.kubelets.tls(true)),
        server_name: None,
    };
    let asked = Asked::of(call.request, Some(&target.authority()), HeaderMap::new());
    let answered = async {
        let answer = asked.send(&streaming.dialer, &target, &path).await?;
        if translation.helps(&asked.headers, answer.status()) {
            return translation.serve(&streaming.dialer, &target, &path, asked).await;
        }
        Ok(tunnel::joined(&streaming.dialer, asked.client, answer))
    };
    answered
        .await
        .map_err(|error: BackendError| Status::new(500, "", format!("error dialing backend: {error}")))
}

/// What a kubelet is asked for.
struct Location {
    /// Path and query, in the parameter names of the kubelet's own interface.
    path: String,
    /// What is made of it for a kubelet that knows SPDY only.
    translation: Translation,
}

fn location(subresource: &str, pod: &Value, query: &Query<'_>) -> Result<Location, Status> {
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let (namespace, name) = (pod.namespace(), pod.name());
    let mut parameters: Vec<String> = Vec::new();
    let (path, translation) = if subresource == "portforward" {
        let ports: Vec<&str> = query.all("ports").collect();
        if !ports.is_empty() {
            parameters.push(format!("port={}", encode(&ports.join(","))));
        }
        (format!("/portForward/{namespace}/{name}"), Translation::PortForward)
    } else {
        let container = container::choose(pod, query.get("container"))?;
        for command in query.all("command").filter(|_| subresource == "exec") {
            parameters.push(format!("command={}", encode(command)));
        }
        let wanted = wanted(query);
        for (parameter, asked) in [
            ("input", wanted.stdin),
            ("output", wanted.stdout),
            ("error", wanted.stderr),
            ("tty", wanted.tty),
        ] {
            if asked {
                parameters.push(format!("{parameter}=1"));
            }
        }
        // A terminal has one output.
        let wanted = Wanted { stderr: wanted.stderr && !wanted.tty, ..wanted };
        (format!("/{subresource}/{namespace}/{name}/{container}"), Translation::Command(wanted))
    };
    let path = if parameters.is_empty() { path } else { format!("{path}?{}", parameters.join("&")) };
    Ok(Location { path, translation })
}

/// Which streams are asked for. Without a word about any, output is wanted; else only what is named, as the client opens
/// no more.
fn wanted(query: &Query<'_>) -> Wanted {
    let silent = !["stdin", "stdout", "stderr"].into_iter().any(|option| query.has(option));
    Wanted {
        stdin: query.flag("stdin"),
        stdout: query.flag("stdout") || silent,
        stderr: query.flag("stderr") || silent,
        tty: query.flag("tty"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(subresource: &str, query: &str) -> String {
        let pod =
            json!({"metadata": {"name": "web", "namespace": "a"}, "spec": {"containers": [{"name": "c"}]}});
        let location = location(subresource, &pod, &Query::parse(Some(query)));
        location.map_or_else(|status| status.message, |location| location.path)
    }

    #[test]
    fn options_become_the_kubelets_parameters() {
        assert_eq!(
            check(
                "exec",
                "command=sh&command=-c&command=echo+%26&stdin=true&stdout=true&stderr=false&tty=true"
            ),
            "/exec/a/web/c?command=sh&command=%2Dc&command=echo%20%26&input=1&output=1&tty=1"
        );
        assert_eq!(check("exec", "container=c&command=ls"), "/exec/a/web/c?command=ls&output=1&error=1");
        assert_eq!(check("attach", "stdout=1"), "/attach/a/web/c?output=1");
        assert_eq!(check("portforward", ""), "/portForward/a/web");
        assert_eq!(check("portforward", "ports=80&ports=81"), "/portForward/a/web?port=80%2C81");
        assert_eq!(check("exec", "container=x"), "container x is not valid for pod web");
    }
}
