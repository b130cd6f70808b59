//! A container's environment, from its spec, the objects it refers to and the services of its namespace.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::api::core::v1::{ConfigMap, Container, EnvVar, Pod, Secret, Service};

use super::{
    downward::{self, Facts},
    expansion::expand,
};
use crate::pod;

/// The objects an environment refers to, by name; none is an object that is not there.
#[derive(Debug, Default)]
pub struct Objects {
    /// ConfigMaps of the pod's namespace.
    pub config_maps: BTreeMap<String, Option<Arc<ConfigMap>>>,
    /// Secrets of the pod's namespace.
    pub secrets: BTreeMap<String, Option<Arc<Secret>>>,
}

/// The names of the objects a container's environment refers to: ConfigMaps, then Secrets.
pub fn references(container: &Container) -> (Vec<String>, Vec<String>) {
    let (mut config_maps, mut secrets) = (Vec::new(), Vec::new());
    for source in container.env_from.iter().flatten() {
        config_maps.extend(source.config_map_ref.as_ref().map(|reference| reference.name.clone()));
        secrets.extend(source.secret_ref.as_ref().map(|reference| reference.name.clone()));
    }
    for source in container.env.iter().flatten().filter_map(|variable| variable.value_from.as_ref()) {
        config_maps.extend(source.config_map_key_ref.as_ref().map(|reference| reference.name.clone()));
        secrets.extend(source.secret_key_ref.as_ref().map(|reference| reference.name.clone()));
    }
    (config_maps, secrets)
}

/// Computes the environment. An error is the message of `CreateContainerConfigError`.
pub fn environment(
    pod: &Pod,
    container: &Container,
    objects: &Objects,
    services: &[Arc<Service>],
    facts: &Facts,
) -> Result<Vec<(String, String)>, String> {
    let mut variables: Vec<(String, String)> = Vec::new();
    let services = service_variables(pod, services);
    for source in container.env_from.iter().flatten() {
        let prefix = source.prefix.as_deref().unwrap_or_default();
        if let Some(reference) = &source.config_map_ref {
            let found = config_map(objects, &reference.name, reference.optional)?;
            let data = found.and_then(|found| found.data.clone()).unwrap_or_default();
            set_all(&mut variables, prefix, data);
        }
        if let Some(reference) = &source.secret_ref {
            let found = secret(objects, &reference.name, reference.optional)?;
            let data = found.and_then(|found| found.data.clone()).unwrap_or_default();
            let text =
                data.into_iter().map(|(key, value)| (key, String::from_utf8_lossy(&value.0).into_owned()));
            set_all(&mut variables, prefix, text);
        }
    }
    for variable in container.env.iter().flatten() {
        let value = match (&variable.value, &variable.value_from) {
            (Some(value), _) if !value.is_empty() => {
                let lookup =
                    |name: &str| find(&variables, name).or_else(|| services.get(name).map(String::as_str));
                Some(expand(value, lookup))
            }
            (_, Some(_)) => from_source(pod, container, variable, objects, facts)?,
            _ => Some(String::new()),
        };
        if let Some(value) = value {
            set(&mut variables, variable.name.clone(), value);
        }
    }
    // What the pod sets itself wins over what the cluster offers.
    for (name, value) in services {
        if find(&variables, &name).is_none() {
            variables.push((name, value));
        }
    }
    Ok(variables)
}

fn find<'a>(variables: &'a [(String, String)], name: &str) -> Option<&'a str> {
    variables.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn set(variables: &mut Vec<(String, String)>, name: String, value: String) {
    match variables.iter_mut().find(|(key, _)| *key == name) {
        Some((_, present)) => *present = value,
        None => variables.push((name, value)),
    }
}

fn set_all(
    variables: &mut Vec<(String, String)>,
    prefix: &str,
    data: impl IntoIterator<Item = (String, String)>,
) {
    for (key, value) in data {
        let name = format!("{prefix}{key}");
        // Since 1.34 any printable name without `=` is a variable's; others are passed over.
        if !name.is_empty() && !name.contains(['=', '\0']) {
            set(variables, name, value);
        }
    }
}

fn config_map<'a>(
    objects: &'a Objects,
    name: &str,
    optional: Option<bool>,
) -> Result<Option<&'a ConfigMap>, String> {
    required("configmap", &objects.config_maps, name, optional)
}

fn secret<'a>(
    objects: &'a Objects,
    name: &str,
    optional: Option<bool>,
) -> Result<Option<&'a Secret>, String> {
    required("secret", &objects.secrets, name, optional)
}

/// What a source names; `None` where it may be absent and is.
fn required<'a, K>(
    kind: &str,
    known: &'a BTreeMap<String, Option<Arc<K>>>,
    name: &str,
    optional: Option<bool>,
) -> Result<Option<&'a K>, String> {
    match known.get(name) {
        Some(Some(found)) => Ok(Some(found)),
        _ if optional == Some(true) => Ok(None),
        _ => Err(format!("{kind} {name:?} not found")),
    }
}

fn from_source(
    pod: &Pod,
    container: &Container,
    variable: &EnvVar,
    objects: &Objects,
    facts: &Facts,
) -> Result<Option<String>, String> {
    let Some(source) = &variable.value_from else { return Ok(None) };
    if let Some(reference) = &source.field_ref {
        return downward::field(pod, &reference.field_path, facts).map(Some);
    }
    if let Some(selector) = &source.resource_field_ref {
        return downward::resource(pod, selector, Some(container), facts).map(Some);
    }
    let namespace = pod::namespace(pod);
    if let Some(reference) = &source.config_map_key_ref {
        let found = config_map(objects, &reference.name, reference.optional)?;
        let value = found.and_then(|found| found.data.as_ref()?.get(&reference.key).cloned());
        if value.is_none() && reference.optional != Some(true) {
            return Err(format!(
                "couldn't find key {} in ConfigMap {namespace}/{}",
                reference.key, reference.name
            ));
        }
        return Ok(value);
    }
    if let Some(reference) = &source.secret_key_ref {
        let found = secret(objects, &reference.name, reference.optional)?;
        let value = found.and_then(|found| found.data.as_ref()?.get(&reference.key));
        if value.is_none() && reference.optional != Some(true) {
            return Err(format!(
                "couldn't find key {} in Secret {namespace}/{}",
                reference.key, reference.name
            ));
        }
        return Ok(value.map(|value| String::from_utf8_lossy(&value.0).into_owned()));
    }
    Ok(None)
}

/// The variables that tell of services: those of the pod's namespace (unless it asks for none) and the API server's.
fn service_variables(pod: &Pod, services: &[Arc<Service>]) -> BTreeMap<String, String> {
    let links = pod::spec(pod).enable_service_links != Some(false);
    let mut variables = BTreeMap::new();
    // The API server's come first: a service of the pod's own namespace with the same name wins.
    let mut wanted: Vec<&Arc<Service>> = services
        .iter()
        .filter(|service| {
            let metadata = &service.metadata;
            let namespace = metadata.namespace.as_deref().unwrap_or_default();
            let master = namespace == "default" && metadata.name.as_deref() == Some("kubernetes");
            master || (links && namespace == pod::namespace(pod))
        })
        .collect();
    wanted.sort_by_key(|service| service.metadata.namespace.as_deref() == Some(pod::namespace(pod)));
    for service in wanted {
        one_service(service, &mut variables);
    }
    variables
}

fn one_service(service: &Service, variables: &mut BTreeMap<String, String>) {
    let Some(spec) = &service.spec else { return };
    let address = spec.cluster_ip.as_deref().unwrap_or_default();
    let ports = spec.ports.as_deref().unwrap_or_default();
    let (Some(first), false) = (ports.first(), matches!(address, "" | "None")) else { return };
    let name = shout(service.metadata.name.as_deref().unwrap_or_default());
    variables.insert(format!("{name}_SERVICE_HOST"), address.to_owned());
    variables.insert(format!("{name}_SERVICE_PORT"), first.port.to_string());
    for port in ports {
        if let Some(port_name) = port.name.as_deref().filter(|name| !name.is_empty()) {
            variables.insert(format!("{name}_SERVICE_PORT_{}", shout(port_name)), port.port.to_string());
        }
    }
    let bracketed = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
    for (index, port) in ports.iter().enumerate() {
        let protocol = port.protocol.as_deref().unwrap_or("TCP");
        let lower = protocol.to_lowercase();
        let url = format!("{lower}://{bracketed}:{}", port.port);
        if index == 0 {
            variables.insert(format!("{name}_PORT"), url.clone());
        }
        let prefix = format!("{name}_PORT_{}_{}", port.port, protocol.to_uppercase());
        variables.insert(format!("{prefix}_PROTO"), lower);
        variables.insert(format!("{prefix}_PORT"), port.port.to_string());
        variables.insert(format!("{prefix}_ADDR"), address.to_owned());
        variables.insert(prefix, url);
    }
}

fn shout(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::{Value, json};

    use super::*;

    fn check(container: Value, links: bool, expected: Expect) {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "n"},
            "spec": {"enableServiceLinks": links, "containers": [container]},
        }))
        .unwrap();
        let config_map = json!({"metadata": {"name": "cm"}, "data": {"k": "v", "l": "w"}});
        let secret = json!({"metadata": {"name": "s"}, "data": {"k": "c2VjcmV0"}});
        let objects = Objects {
            config_maps: BTreeMap::from([
                ("cm".into(), Some(Arc::new(serde_json::from_value(config_map).unwrap()))),
                ("gone".into(), None),
            ]),
            secrets: BTreeMap::from([("s".into(), Some(Arc::new(serde_json::from_value(secret).unwrap())))]),
        };
        let service = |namespace: &str, name: &str, address: &str, port: Value| -> Arc<Service> {
            let spec = json!({"clusterIP": address, "ports": [port]});
            let metadata = json!({"namespace": namespace, "name": name});
            Arc::new(serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap())
        };
        let services = [
            service("default", "kubernetes", "10.96.0.1", json!({"name": "https", "port": 443})),
            service("n", "my-db", "10.96.0.7", json!({"port": 53, "protocol": "UDP"})),
            service("n", "headless", "None", json!({"port": 1})),
            service("other", "hidden", "10.96.0.9", json!({"port": 1})),
        ];
        let container = &pod::spec(&pod).containers[0];
        let facts = Facts { pod_ips: vec!["10.0.0.1".into()], ..Facts::default() };
        let text = match environment(&pod, container, &objects, &services, &facts) {
            Ok(variables) => {
                variables.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("\n")
            }
            Err(message) => format!("error: {message}"),
        };
        expected.assert_eq(&text);
    }

    #[test]
    fn services_are_told_under_both_families_of_names() {
        check(
            json!({"name": "c"}),
            true,
            expect![[r#"
            KUBERNETES_PORT=tcp://10.96.0.1:443
            KUBERNETES_PORT_443_TCP=tcp://10.96.0.1:443
            KUBERNETES_PORT_443_TCP_ADDR=10.96.0.1
            KUBERNETES_PORT_443_TCP_PORT=443
            KUBERNETES_PORT_443_TCP_PROTO=tcp
            KUBERNETES_SERVICE_HOST=10.96.0.1
            KUBERNETES_SERVICE_PORT=443
            KUBERNETES_SERVICE_PORT_HTTPS=443
            MY_DB_PORT=udp://10.96.0.7:53
            MY_DB_PORT_53_UDP=udp://10.96.0.7:53
            MY_DB_PORT_53_UDP_ADDR=10.96.0.7
            MY_DB_PORT_53_UDP_PORT=53
            MY_DB_PORT_53_UDP_PROTO=udp
            MY_DB_SERVICE_HOST=10.96.0.7
            MY_DB_SERVICE_PORT=53"#]],
        );
    }

    #[test]
    fn a_later_source_wins_and_values_refer_to_earlier_ones() {
        let container = json!({"name": "c",
        "envFrom": [{"prefix": "P_", "configMapRef": {"name": "cm"}}, {"secretRef": {"name": "s"}}],
        "env": [
            {"name": "A", "value": "x"},
            {"name": "B", "value": "$(A)-$(P_k)-$(LATER)-$$(A)"},
            {"name": "LATER", "value": "y"},
            {"name": "k", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "l"}}},
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "GONE", "valueFrom": {"secretKeyRef": {"name": "no", "key": "k", "optional": true}}},
            {"name": "KUBERNETES_PORT", "value": "mine"},
        ]});
        check(
            container,
            false,
            expect![[r#"
            P_k=v
            P_l=w
            k=w
            A=x
            B=x-v-$(LATER)-$(A)
            LATER=y
            IP=10.0.0.1
            KUBERNETES_PORT=mine
            KUBERNETES_PORT_443_TCP=tcp://10.96.0.1:443
            KUBERNETES_PORT_443_TCP_ADDR=10.96.0.1
            KUBERNETES_PORT_443_TCP_PORT=443
            KUBERNETES_PORT_443_TCP_PROTO=tcp
            KUBERNETES_SERVICE_HOST=10.96.0.1
            KUBERNETES_SERVICE_PORT=443
            KUBERNETES_SERVICE_PORT_HTTPS=443"#]],
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        check(
            json!({"name": "c", "envFrom": [{"configMapRef": {"name": "gone"}}]}),
            false,
            expect![[r#"error: configmap "gone" not found"#]],
        );
        let key = json!({"name": "X", "valueFrom": {"secretKeyRef": {"name": "s", "key": "nope"}}});
        check(
            json!({"name": "c", "env": [key]}),
            false,
            expect!["error: couldn't find key nope in Secret n/s"],
        );
    }
}
