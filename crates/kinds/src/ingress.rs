//! Ingresses and IngressClasses.

use apimachinery::ObjectExt;
use serde_json::Value;

use apimachinery::names::port_name_errors;
use pod_strategy::probes::validate_port_number;
use strategy::addresses;
use strategy::field::{Errors, Path};
use strategy::names;
use strategy::read::Read;
use strategy::write;
use strategy::{Keeps, NameRule, Strategy};

/// The rules of Ingresses.
pub struct Ingress;
/// The rules of IngressClasses.
pub struct IngressClass;

const SPEC: Path<'static> = Path::root("spec");
const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";

impl Strategy for Ingress {
    fn keeps(&self) -> Keeps {
        Keeps::StatusAndGeneration
    }

    fn prepare_for_create(&self, object: &mut Value) {
        self.keeps().prepare_for_create(object);
        write::set(object, "status", serde_json::json!({"loadBalancer": {}}));
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        let spec = &object["spec"];
        validate_spec(spec, errors);
        if object.annotation(CLASS_ANNOTATION).is_some() && spec.has("ingressClassName") {
            let path = Path::root("annotations");
            errors.invalid(
                &path.child(CLASS_ANNOTATION),
                object.annotation(CLASS_ANNOTATION).unwrap_or_default(),
                "can not be set when the class field is also set",
            );
        }
    }

    fn validate_update(&self, new: &Value, _old: &Value, errors: &mut Errors) {
        validate_spec(&new["spec"], errors);
    }

    fn validate_status_update(&self, new: &Value, _old: &Value, errors: &mut Errors) {
        validate_balancer(&new["status"]["loadBalancer"], errors);
    }

    fn create_warnings(&self, object: &Value) -> Vec<String> {
        object
            .annotation(CLASS_ANNOTATION)
            .map(|_| {
                format!("annotation {CLASS_ANNOTATION:?} is deprecated, please use 'spec.ingressClassName' instead")
            })
            .into_iter()
            .collect()
    }
}

fn validate_spec(spec: &Value, errors: &mut Errors) {
    let rules = spec.items("rules");
    if rules.is_empty() && !spec.has("defaultBackend") {
        errors.invalid(&SPEC, spec["rules"].clone(), "either `defaultBackend` or `rules` must be specified");
    }
    if spec.has("defaultBackend") {
        validate_backend(&spec["defaultBackend"], &SPEC.child("defaultBackend"), errors);
    }
    for (index, rule) in rules.iter().enumerate() {
        let rules_path = SPEC.child("rules");
        let path = rules_path.index(index);
        let host = rule.text("host");
        if !host.is_empty() {
            validate_host(host, &path.child("host"), errors);
        }
        if rule.has("http") {
            validate_paths(&rule["http"], &path.child("http").child("paths"), errors);
        }
    }
    for (index, tls) in spec.items("tls").iter().enumerate() {
        let tls_path = SPEC.child("tls");
        let path = tls_path.index(index);
        for (index, host) in tls.items("hosts").iter().enumerate() {
            validate_host(host.as_str().unwrap_or_default(), &path.child("hosts").index(index), errors);
        }
        let secret = tls.text("secretName");
        if !secret.is_empty() {
            let found = names::errors(NameRule::Subdomain, secret);
            errors.invalid_each(&path.child("secretName"), &tls["secretName"], found);
        }
    }
    let class = spec.text("ingressClassName");
    if spec.has("ingressClassName") {
        let found = names::errors(NameRule::Subdomain, class);
        errors.invalid_each(&SPEC.child("ingressClassName"), &spec["ingressClassName"], found);
    }
}

/// Validates where a load balancer says that it is.
fn validate_balancer(balancer: &Value, errors: &mut Errors) {
    let list_path = Path::root("status.loadBalancer.ingress");
    for (index, place) in balancer.items("ingress").iter().enumerate() {
        let path = list_path.index(index);
        if !place.text("ip").is_empty() {
            addresses::validate(place.text("ip"), &path.child("ip"), errors);
        }
        let host = place.text("hostname");
        if !host.is_empty() {
            let found = names::errors(NameRule::Subdomain, host);
            errors.invalid_each(&path.child("hostname"), &place["hostname"], found);
            if host.parse::<std::net::IpAddr>().is_ok() {
                errors.invalid(&path.child("hostname"), host, "must be a DNS name, not an IP address");
            }
        }
    }
}

fn validate_host(host: &str, path: &Path, errors: &mut Errors) {
    if host.parse::<std::net::IpAddr>().is_ok() {
        errors.invalid(path, host, "must be a DNS name, not an IP address");
        return;
    }
    match host.strip_prefix("*.") {
        Some(rest) if apimachinery::names::is_dns1123_subdomain(rest) => {}
        None if !host.contains('*') => {
            errors.invalid_each(path, &Value::from(host), names::errors(NameRule::Subdomain, host));
        }
        _ => errors.invalid(
            path,
            host,
            "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
        ),
    }
}

fn validate_paths(http: &Value, path: &Path, errors: &mut Errors) {
    let paths = http.items("paths");
    if paths.is_empty() {
        errors.required(path, "");
    }
    for (index, entry) in paths.iter().enumerate() {
        let item_path = path.index(index);
        let url = entry.text("path");
        match entry.text("pathType") {
            "Exact" | "Prefix" => {
                if !url.starts_with('/') {
                    errors.invalid(&item_path.child("path"), url, "must be an absolute path");
                }
                for bad in ["//", "/./", "/../", "%2f", "%2F"] {
                    if url.contains(bad) {
                        errors.invalid(&item_path.child("path"), url, format!("must not contain '{bad}'"));
                    }
                }
                for bad in ["/..", "/."] {
                    if url.ends_with(bad) {
                        errors.invalid(&item_path.child("path"), url, format!("cannot end with '{bad}'"));
                    }
                }
            }
            "ImplementationSpecific" => {
                if !url.is_empty() && !url.starts_with('/') {
                    errors.invalid(&item_path.child("path"), url, "must be an absolute path");
                }
            }
            "" => errors.required(&item_path.child("pathType"), "pathType must be specified"),
            other => errors.unsupported(
                &item_path.child("pathType"),
                other,
                &["Exact", "ImplementationSpecific", "Prefix"],
            ),
        }
        validate_backend(&entry["backend"], &item_path.child("backend"), errors);
    }
}

fn validate_backend(backend: &Value, path: &Path, errors: &mut Errors) {
    let (service, resource) = (backend.has("service"), backend.has("resource"));
    if service && resource {
        errors.invalid(path, "", "cannot set both resource and service backends");
    } else if resource {
        let path = path.child("resource");
        for key in ["kind", "name"] {
            if backend["resource"].text(key).is_empty() {
                errors.required(&path.child(key), "");
            }
        }
    } else if service {
        let service = &backend["service"];
        let path = path.child("service");
        if service.text("name").is_empty() {
            errors.required(&path.child("name"), "");
        } else {
            let found = names::errors(NameRule::Label, service.text("name"));
            errors.invalid_each(&path.child("name"), &service["name"], found);
        }
        let port_path = path.child("port");
        let (name, number) = (service["port"].text("name"), service["port"].int("number").unwrap_or(0));
        match (name, number) {
            ("", 0) => errors.required(&path, "port name or number is required"),
            ("", number) => validate_port_number(number, &port_path.child("number"), errors),
            (name, 0) => {
                errors.invalid_each(&port_path.child("name"), &Value::from(name), port_name_errors(name))
            }
            _ => errors.invalid(&path, "", "cannot set both port name & port number"),
        }
    } else {
        errors.required(path, "must specify either a service or resource backend");
    }
}

impl Strategy for IngressClass {
    fn keeps(&self) -> Keeps {
        Keeps::Generation
    }

    fn default(&self, object: &mut Value) {
        if let Some(parameters) =
            write::object(object, "spec").and_then(|spec| write::object(spec, "parameters"))
        {
            write::missing(parameters, "scope", "Cluster");
        }
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        let spec = &object["spec"];
        let controller = spec.text("controller");
        if controller.len() > 250 {
            errors.too_long(&SPEC.child("controller"), 250);
        }
        let valid = controller.split_once('/').is_some_and(|(domain, path)| {
            apimachinery::names::is_dns1123_subdomain(domain) && !path.is_empty()
        });
        if controller.is_empty() {
            errors.required(&SPEC.child("controller"), "");
        } else if !valid {
            errors.invalid(
                &SPEC.child("controller"),
                controller,
                "must be a domain-prefixed path (such as \"acme.io/foo\")",
            );
        }
        if spec.has("parameters") {
            validate_parameters(&spec["parameters"], errors);
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        errors.immutable(&SPEC.child("controller"), &new["spec"]["controller"], &old["spec"]["controller"]);
        self.validate(new, errors);
    }
}

fn validate_parameters(parameters: &Value, errors: &mut Errors) {
    let path = SPEC.child("parameters");
    for key in ["kind", "name"] {
        if parameters.text(key).is_empty() {
            errors.required(&path.child(key), "");
        }
    }
    let namespace = !parameters.text("namespace").is_empty();
    match (parameters.text("scope"), namespace) {
        ("Namespace", false) => {
            errors.required(&path.child("namespace"), "`parameters.scope` is set to 'Namespace'");
        }
        ("Cluster", true) => {
            errors.forbidden(&path.child("namespace"), "`parameters.scope` is set to 'Cluster'");
        }
        ("Namespace" | "Cluster", _) => {}
        (other, _) => errors.unsupported(&path.child("scope"), other, &["Cluster", "Namespace"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::created;

    #[test]
    fn ingresses_lead_somewhere() {
        let path =
            |path: Value| json!({"spec": {"rules": [{"host": "a.example", "http": {"paths": [path]}}]}});
        let backend = json!({"service": {"name": "web", "port": {"number": 80}}});
        assert_eq!(
            created(&Ingress, path(json!({"path": "/", "pathType": "Prefix", "backend": backend}))),
            ""
        );
        assert_eq!(
            created(&Ingress, path(json!({"path": "x", "backend": backend}))),
            "spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified"
        );
        assert_eq!(
            created(
                &Ingress,
                path(json!({"path": "x", "pathType": "Exact", "backend": {"service": {"name": "web"}}}))
            ),
            "spec.rules[0].http.paths[0].path: Invalid value: \"x\": must be an absolute path\nspec.rules[0].http.paths[0].backend.service: Required value: port name or number is required"
        );
        assert_eq!(
            created(&Ingress, json!({"spec": {}})),
            "spec: Invalid value: \"null\": either `defaultBackend` or `rules` must be specified"
        );
        let placed =
            json!({"status": {"loadBalancer": {"ingress": [{"ip": "ten"}, {"hostname": "10.0.0.1"}]}}});
        assert_eq!(
            strategy::testing::found(|errors| Ingress.validate_status_update(&placed, &placed, errors)),
            "status.loadBalancer.ingress[0].ip: Invalid value: \"ten\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)\nstatus.loadBalancer.ingress[1].hostname: Invalid value: \"10.0.0.1\": must be a DNS name, not an IP address"
        );
        assert!(
            created(&Ingress, json!({"spec": {"defaultBackend": backend, "rules": [{"host": "a.*"}]}}))
                .contains("a wildcard DNS-1123 subdomain must start with '*.'")
        );
    }
}
