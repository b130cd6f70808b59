//! Ingresses and IngressClasses.

use apimachinery::ObjectExt;
use serde_json::Value;

use crate::domain_path;
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
const LONGEST_HOST: usize = 253;
const LONGEST_CONTROLLER: usize = 250;

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
        validate_spec(spec, &Stored::default(), errors);
        if let Some(annotation) = object.annotation(CLASS_ANNOTATION)
            && spec.has("ingressClassName")
            && annotation != spec.text("ingressClassName")
        {
            let path = Path::root("annotations");
            let why = "must match `ingressClassName` when both are specified";
            errors.invalid(&path.child(CLASS_ANNOTATION), annotation, why);
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        validate_spec(&new["spec"], &Stored::of(&old["spec"]), errors);
    }

    fn validate_status_update(&self, new: &Value, _old: &Value, errors: &mut Errors) {
        validate_balancer(&new["status"]["loadBalancer"], errors);
    }

    fn create_warnings(&self, object: &Value) -> Vec<String> {
        let is_old = object.annotation(CLASS_ANNOTATION).is_some() && !object["spec"].has("ingressClassName");
        is_old
            .then(|| {
                format!("annotation {CLASS_ANNOTATION:?} is deprecated, please use 'spec.ingressClassName' instead")
            })
            .into_iter()
            .collect()
    }
}

/// What was wrong before there was a rule for it, and may stay so.
#[derive(Default)]
struct Stored {
    secret_names: bool,
    wildcard_rules: bool,
}

impl Stored {
    fn of(spec: &Value) -> Stored {
        let is_wrong = |check: &dyn Fn(&mut Errors)| {
            let mut errors = Errors::new();
            check(&mut errors);
            !errors.is_empty()
        };
        Stored {
            secret_names: spec
                .items("tls")
                .iter()
                .any(|tls| is_wrong(&|errors| validate_secret_name(tls.text("secretName"), &SPEC, errors))),
            wildcard_rules: spec.items("rules").iter().any(|rule| {
                rule.text("host").contains('*')
                    && is_wrong(&|errors| validate_rule_value(rule, &SPEC, errors))
            }),
        }
    }
}

fn validate_spec(spec: &Value, stored: &Stored, errors: &mut Errors) {
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
            if is_address(host) {
                errors.invalid(&path.child("host"), host, "must be a DNS name, not an IP address");
            }
            validate_host(host, &path.child("host"), errors);
        }
        if !host.contains('*') || !stored.wildcard_rules {
            validate_rule_value(rule, &path, errors);
        }
    }
    for (index, tls) in spec.items("tls").iter().enumerate() {
        let tls_path = SPEC.child("tls");
        let path = tls_path.index(index);
        for (index, host) in tls.items("hosts").iter().enumerate() {
            validate_host(host.as_str().unwrap_or_default(), &path.child("hosts").index(index), errors);
        }
        if !stored.secret_names {
            validate_secret_name(tls.text("secretName"), &path.child("secretName"), errors);
        }
    }
    if spec.has("ingressClassName") {
        let found = names::errors(NameRule::Subdomain, spec.text("ingressClassName"));
        errors.invalid_each(&SPEC.child("ingressClassName"), &spec["ingressClassName"], found);
    }
}

fn validate_secret_name(name: &str, path: &Path, errors: &mut Errors) {
    if !name.is_empty() {
        errors.invalid_each(path, &Value::from(name), names::errors(NameRule::Subdomain, name));
    }
}

fn validate_rule_value(rule: &Value, path: &Path, errors: &mut Errors) {
    if rule.has("http") {
        validate_paths(&rule["http"], &path.child("http").child("paths"), errors);
    }
}

/// Whether a text is an address, also one that is written with zeros before its numbers.
fn is_address(text: &str) -> bool {
    addresses::without_zeros(text).parse::<std::net::IpAddr>().is_ok()
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
            if is_address(host) {
                errors.invalid(&path.child("hostname"), host, "must be a DNS name, not an IP address");
            }
        }
    }
}

fn validate_host(host: &str, path: &Path, errors: &mut Errors) {
    if !host.contains('*') {
        errors.invalid_each(path, &Value::from(host), names::errors(NameRule::Subdomain, host));
        return;
    }
    if host.len() > LONGEST_HOST {
        errors.invalid(path, host, format!("must be no more than {LONGEST_HOST} bytes"));
    }
    let rest = host.strip_prefix("*.");
    if !rest.is_some_and(|rest| rest.len() > LONGEST_HOST || apimachinery::names::is_dns1123_subdomain(rest))
    {
        errors.invalid(
            path,
            host,
            "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
        );
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
        if !entry.has("pathType") {
            errors.required(&item_path.child("pathType"), "pathType must be specified");
            continue;
        }
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
    match (backend.has("service"), backend.has("resource")) {
        (true, true) => errors.invalid(path, "", "cannot set both resource and service backends"),
        (false, true) => validate_reference(&backend["resource"], &path.child("resource"), errors),
        (true, false) => validate_service_backend(&backend["service"], path, errors),
        (false, false) => errors.invalid(path, "", "resource or service backend is required"),
    }
}

fn validate_service_backend(service: &Value, backend_path: &Path, errors: &mut Errors) {
    let path = backend_path.child("service");
    if service.text("name").is_empty() {
        errors.required(&path.child("name"), "");
    } else {
        let found = names::errors(NameRule::Label, service.text("name"));
        errors.invalid_each(&path.child("name"), &service["name"], found);
    }
    let port_path = path.child("port");
    match (service["port"].text("name"), service["port"].int("number").unwrap_or(0)) {
        ("", 0) => errors.required(backend_path, "port name or number is required"),
        ("", number) => validate_port_number(number, &port_path.child("number"), errors),
        (name, 0) => {
            errors.invalid_each(&port_path.child("name"), &Value::from(name), port_name_errors(name))
        }
        _ => errors.invalid(backend_path, "", "cannot set both port name & port number"),
    }
}

/// Validates the name of an object of any kind.
fn validate_reference(reference: &Value, path: &Path, errors: &mut Errors) {
    if reference.has("apiGroup") {
        let found = names::errors(NameRule::Subdomain, reference.text("apiGroup"));
        errors.invalid_each(&path.child("apiGroup"), &reference["apiGroup"], found);
    }
    for (key, missing) in [("kind", "kind is required"), ("name", "name is required")] {
        let text = reference.text(key);
        if text.is_empty() {
            errors.required(&path.child(key), missing);
        } else {
            let found = names::errors(NameRule::PathSegment, text);
            errors.invalid_each(&path.child(key), &reference[key], found);
        }
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
        let path = SPEC.child("controller");
        if controller.len() > LONGEST_CONTROLLER {
            errors.too_long(&path, LONGEST_CONTROLLER);
        }
        domain_path::validate(controller, &path, errors);
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
    validate_reference(parameters, &path, errors);
    let (namespace, namespace_path) = (&parameters["namespace"], path.child("namespace"));
    match parameters.text("scope") {
        "Namespace" if namespace.is_null() => {
            errors.required(&namespace_path, "`parameters.scope` is set to 'Namespace'");
        }
        "Namespace" => {
            let found = names::errors(NameRule::Label, namespace.as_str().unwrap_or_default());
            errors.invalid_each(&namespace_path, namespace, found);
        }
        "Cluster" => {
            if !namespace.is_null() {
                errors.forbidden(&namespace_path, "`parameters.scope` is set to 'Cluster'");
            }
        }
        other => errors.unsupported(&path.child("scope"), other, &["Cluster", "Namespace"]),
    }
}

#[cfg(test)]
mod tests;
