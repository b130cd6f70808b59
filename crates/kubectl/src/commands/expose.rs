//! `kubectl expose`: a service for what a pod, deployment or service selects.

use apimachinery::object::ObjectExt;
use serde_json::{Value, json};

use super::overrides;
use cli_runtime::change;
use cli_runtime::cli::{Command, Flag, Invocation, flag};
use cli_runtime::error::{Error, Result};
use cli_runtime::resource::{Item, Session};
use generators::parse_target_port;

/// Creates a service for an object.
pub static COMMAND: Command = Command {
    name: "expose",
    short: "Take a replication controller, service, deployment or pod and expose it as a new Kubernetes service",
    long: "Expose a resource as a new Kubernetes service.\n\nPods, services, replication controllers, replica sets and deployments can be exposed: their selector, or a pod's labels, become the service's selector.",
    examples: "
# A service in front of a pod
kubectl expose pod web --port=80

# On a port of every node
kubectl expose pod web --type=NodePort --port=80

# Another port and name
kubectl expose deployment web --port=80 --target-port=8000 --name=front",
    usage: "expose (-f FILENAME | TYPE NAME) [--port=port] [--protocol=TCP|UDP|SCTP] [--target-port=number-or-name] [--name=name] [--external-ip=external-ip-of-service] [--type=type]",
    flags: &[flag::FILES, flag::PRINT, flag::DRY_RUN, flag::SAVE_CONFIG, FLAGS],
    run: Some(|invocation| Box::pin(run(invocation))),
    ..Command::NONE
};

const FLAGS: &[Flag] = &[
    Flag::text("cluster-ip", "", "Address to give the service; 'None' makes it headless."),
    Flag::text("external-ip", "", "Address outside the cluster that the service takes traffic on as well."),
    Flag::manager("kubectl-expose"),
    Flag::text("labels", "", "Labels of the service, with commas between.").short('l'),
    Flag::text("load-balancer-ip", "", "Address to ask the load balancer for."),
    Flag::text("name", "", "Name of the service; the object's own if not given."),
    Flag::text("override-type", "merge", "How --overrides changes the object: json, merge or strategic."),
    Flag::text("overrides", "", "JSON that changes the object before it is sent."),
    Flag::text("port", "", "Port of the service; the object's own if not given."),
    Flag::text("protocol", "", "TCP, UDP or SCTP."),
    Flag::text("selector", "", "Selector of the service; the object's own if not given."),
    Flag::text("session-affinity", "", "None or ClientIP."),
    Flag::text("target-port", "", "Name or number of the port of the pods."),
    Flag::text("type", "", "ClusterIP, NodePort, LoadBalancer or ExternalName."),
];

async fn run(invocation: Invocation) -> Result<()> {
    // A wrong value is refused before anything is asked of the server.
    invocation.dry_run()?;
    let session = Session::open(&invocation).await?;
    if invocation.args.is_empty() && !cli_runtime::resource::files::given(&invocation) {
        return Err(invocation.usage("You must provide one or more resources by argument or filename.\nExample resource specifications include:\n   '-f rsrc.yaml'\n   '--filename=rsrc.json'\n   '<resource> <name>'\n   '<resource>'"));
    }
    let picks = cli_runtime::resource::args::picks(&session, &invocation, &invocation.args).await?;
    let (items, errors) = session.objects(&invocation, picks).await;
    Error::all(errors)?;
    for item in items {
        let mut object = service(&invocation, &item)?;
        if session.namespace_given
            || item.namespace.as_deref().is_some_and(|namespace| namespace != "default")
        {
            object["metadata"]["namespace"] = item.namespace.clone().into();
        }
        object = overrides::apply(&invocation, object)?;
        let namespace = item.namespace.as_deref().unwrap_or("default");
        let path = format!("/api/v1/namespaces/{namespace}/services");
        object = change::created(&session, &invocation, &path, object).await?;
        change::report(&invocation, &object, "exposed")?;
    }
    Ok(())
}

fn service(invocation: &Invocation, item: &Item) -> Result<Value> {
    let object = &item.object;
    let kind = object.kind();
    if !matches!(kind, "Pod" | "Service" | "ReplicationController" | "Deployment" | "ReplicaSet") {
        return Err(Error::message(format!("cannot expose a {}", item.resource.qualified())));
    }
    let selector = match invocation.text("selector") {
        "" => selector(object)?,
        text => {
            let mut selector = json!({});
            for pair in text.split(',') {
                let (key, value) = pair
                    .split_once('=')
                    .ok_or_else(|| Error::message(format!("unexpected selector spec: {pair}")))?;
                selector[key] = value.into();
            }
            selector
        }
    };
    let headless = invocation.text("cluster-ip") == "None";
    let given = ports_given(invocation, object)?;
    if given.is_empty() && !headless {
        return Err(Error::message(
            "couldn't find port via --port flag or introspection\nSee 'kubectl expose -h' for help and examples",
        ));
    }
    let mut spec = json!({"selector": selector});
    if !given.is_empty() {
        spec["ports"] = given.into();
    }
    for (flag, field) in [
        ("type", "type"),
        ("session-affinity", "sessionAffinity"),
        ("cluster-ip", "clusterIP"),
        ("load-balancer-ip", "loadBalancerIP"),
    ] {
        if !invocation.text(flag).is_empty() {
            spec[field] = invocation.text(flag).into();
        }
    }
    if !invocation.text("external-ip").is_empty() {
        spec["externalIPs"] = json!([invocation.text("external-ip")]);
    }
    let name = match invocation.text("name") {
        "" => item.name.as_str(),
        name => name,
    };
    let mut metadata = json!({"name": name});
    let labels = match invocation.text("labels") {
        "" => object["metadata"]["labels"].clone(),
        text => {
            let mut labels = json!({});
            for pair in text.split(',') {
                let (key, value) = pair
                    .split_once('=')
                    .ok_or_else(|| Error::message(format!("unexpected label spec: {pair}")))?;
                labels[key] = value.into();
            }
            labels
        }
    };
    if !labels.is_null() {
        metadata["labels"] = labels;
    }
    Ok(
        json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec, "status": {"loadBalancer": {}}}),
    )
}

fn selector(object: &Value) -> Result<Value> {
    let found = match object.kind() {
        "Pod" => object["metadata"]["labels"].clone(),
        "Service" | "ReplicationController" => object["spec"]["selector"].clone(),
        _ => {
            if object["spec"]["selector"]["matchExpressions"].as_array().is_some_and(|list| !list.is_empty())
            {
                return Err(Error::message("couldn't convert expressions to map-based selector format"));
            }
            object["spec"]["selector"]["matchLabels"].clone()
        }
    };
    match found.as_object().is_some_and(|labels| !labels.is_empty()) {
        true => Ok(found),
        false if object.kind() == "Pod" => Err(Error::message(
            "couldn't retrieve selectors via --selector flag or introspection: the pod has no labels and cannot be exposed",
        )),
        false => Err(Error::message(
            "couldn't retrieve selectors via --selector flag or introspection: the object has no selector",
        )),
    }
}

/// The service's ports: `--port`, or every port that the object's containers or the service have.
fn ports_given(invocation: &Invocation, object: &Value) -> Result<Vec<Value>> {
    let mut known: Vec<(u64, String)> = Vec::new();
    let pod_spec = match object.kind() {
        "Pod" => &object["spec"],
        _ => &object["spec"]["template"]["spec"],
    };
    if object.kind() == "Service" {
        for port in object["spec"]["ports"].as_array().into_iter().flatten() {
            known.push((
                port["port"].as_u64().unwrap_or(0),
                port["protocol"].as_str().unwrap_or("TCP").into(),
            ));
        }
    }
    for container in pod_spec["containers"].as_array().into_iter().flatten() {
        for port in container["ports"].as_array().into_iter().flatten() {
            known.push((
                port["containerPort"].as_u64().unwrap_or(0),
                port["protocol"].as_str().unwrap_or("TCP").into(),
            ));
        }
    }
    let wanted: Vec<(u64, String)> = match invocation.text("port") {
        "" => known.clone(),
        text => text
            .split(',')
            .map(|port| {
                let number: u16 = port.parse().map_err(|_| {
                    Error::message(format!("strconv.Atoi: parsing \"{port}\": invalid syntax"))
                })?;
                let number = u64::from(number);
                let protocol =
                    known.iter().find(|(known, _)| *known == number).map_or("TCP", |(_, protocol)| protocol);
                Ok((number, protocol.to_string()))
            })
            .collect::<Result<_>>()?,
    };
    let several = wanted.len() > 1;
    Ok(wanted
        .into_iter()
        .enumerate()
        .map(|(index, (port, protocol))| {
            let protocol = match invocation.text("protocol") {
                "" => protocol,
                given => given.to_string(),
            };
            let target = match invocation.text("target-port") {
                "" => json!(port),
                given => parse_target_port(given),
            };
            let mut entry = json!({"port": port, "protocol": protocol, "targetPort": target});
            if several {
                entry["name"] = format!("port-{}", index + 1).into();
            }
            entry
        })
        .collect())
}
