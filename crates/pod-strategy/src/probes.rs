//! Validation of probes and lifecycle hooks.

use serde_json::Value;

use apimachinery::names::port_name_errors;
use strategy::field::{Errors, Path};
use strategy::names;
use strategy::read::Read;

const HANDLERS: [&str; 5] = ["exec", "httpGet", "tcpSocket", "grpc", "sleep"];

/// The signals that Linux knows, in upstream's (sorted) order.
const SIGNALS: [&str; 65] = [
    "SIGABRT",
    "SIGALRM",
    "SIGBUS",
    "SIGCHLD",
    "SIGCLD",
    "SIGCONT",
    "SIGFPE",
    "SIGHUP",
    "SIGILL",
    "SIGINT",
    "SIGIO",
    "SIGIOT",
    "SIGKILL",
    "SIGPIPE",
    "SIGPOLL",
    "SIGPROF",
    "SIGPWR",
    "SIGQUIT",
    "SIGRTMAX",
    "SIGRTMAX-1",
    "SIGRTMAX-10",
    "SIGRTMAX-11",
    "SIGRTMAX-12",
    "SIGRTMAX-13",
    "SIGRTMAX-14",
    "SIGRTMAX-2",
    "SIGRTMAX-3",
    "SIGRTMAX-4",
    "SIGRTMAX-5",
    "SIGRTMAX-6",
    "SIGRTMAX-7",
    "SIGRTMAX-8",
    "SIGRTMAX-9",
    "SIGRTMIN",
    "SIGRTMIN+1",
    "SIGRTMIN+10",
    "SIGRTMIN+11",
    "SIGRTMIN+12",
    "SIGRTMIN+13",
    "SIGRTMIN+14",
    "SIGRTMIN+15",
    "SIGRTMIN+2",
    "SIGRTMIN+3",
    "SIGRTMIN+4",
    "SIGRTMIN+5",
    "SIGRTMIN+6",
    "SIGRTMIN+7",
    "SIGRTMIN+8",
    "SIGRTMIN+9",
    "SIGSEGV",
    "SIGSTKFLT",
    "SIGSTOP",
    "SIGSYS",
    "SIGTERM",
    "SIGTRAP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGUSR1",
    "SIGUSR2",
    "SIGVTALRM",
    "SIGWINCH",
    "SIGXCPU",
    "SIGXFSZ",
];

/// Validates the signal that stops a container, which each operating system must know.
fn validate_signal(lifecycle: &Value, os: &Value, path: &Path, errors: &mut Errors) {
    if !lifecycle.has("stopSignal") {
        return;
    }
    let path = path.child("stopSignal");
    let signal = lifecycle.text("stopSignal");
    let known: &[&str] = match os.text("name") {
        _ if os.is_null() => {
            errors.forbidden(&path, "may not be set for containers with empty `spec.os.name`");
            return;
        }
        "windows" => &["SIGKILL", "SIGTERM"],
        "linux" => &SIGNALS,
        _ => return,
    };
    if !known.contains(&signal) {
        errors.unsupported(&path, signal, known);
    }
}

/// Validates the probes and hooks of a container that runs for long.
pub fn validate(container: &Value, grace: i64, os: &Value, path: &Path, errors: &mut Errors) {
    let lifecycle = &container["lifecycle"];
    for hook in ["postStart", "preStop"] {
        if lifecycle.has(hook) {
            validate_handler(&lifecycle[hook], grace, &path.child("lifecycle").child(hook), errors);
        }
    }
    validate_signal(lifecycle, os, &path.child("lifecycle"), errors);
    for kind in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let probe = &container[kind];
        if probe.is_null() {
            continue;
        }
        let path = path.child(kind);
        validate_probe(probe, grace, &path, errors);
        if kind == "readinessProbe" {
            if probe.has("terminationGracePeriodSeconds") {
                errors.invalid(
                    &path.child("terminationGracePeriodSeconds"),
                    probe["terminationGracePeriodSeconds"].clone(),
                    "must not be set for readinessProbes",
                );
            }
        } else if probe.int("successThreshold").unwrap_or(0) != 1 {
            errors.invalid(&path.child("successThreshold"), probe["successThreshold"].clone(), "must be 1");
        }
    }
}

fn validate_probe(probe: &Value, grace: i64, path: &Path, errors: &mut Errors) {
    validate_handler(probe, grace, path, errors);
    for key in
        ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"]
    {
        validate_not_negative(probe, key, path, errors);
    }
    if let Some(seconds) = probe.int("terminationGracePeriodSeconds").filter(|seconds| *seconds <= 0) {
        errors.invalid(&path.child("terminationGracePeriodSeconds"), seconds, "must be greater than 0");
    }
}

/// Validates that a number, where given, is not below zero.
pub fn validate_not_negative(object: &Value, key: &str, path: &Path, errors: &mut Errors) {
    if let Some(value) = object.int(key).filter(|value| *value < 0) {
        errors.invalid(&path.child(key), value, "must be greater than or equal to 0");
    }
}

fn validate_handler(handler: &Value, grace: i64, path: &Path, errors: &mut Errors) {
    let mut count = 0;
    for kind in HANDLERS {
        let action = &handler[kind];
        if action.is_null() {
            continue;
        }
        let path = path.child(kind);
        count += 1;
        if count > 1 {
            errors.forbidden(&path, "may not specify more than 1 handler type");
            continue;
        }
        match kind {
            "exec" => {
                if action.items("command").is_empty() {
                    errors.required(&path.child("command"), "");
                }
            }
            "httpGet" => validate_http(action, &path, errors),
            "sleep" => {
                let seconds = action.int("seconds").unwrap_or(0);
                if seconds < 0 || seconds > grace {
                    errors.invalid(
                        &path,
                        seconds,
                        format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})"),
                    );
                }
            }
            _ => validate_port(&action["port"], &path.child("port"), errors),
        }
    }
    if count == 0 {
        errors.required(path, "must specify a handler type");
    }
}

fn validate_http(action: &Value, path: &Path, errors: &mut Errors) {
    if action.text("path").is_empty() {
        errors.required(&path.child("path"), "");
    }
    validate_port(&action["port"], &path.child("port"), errors);
    let scheme = action.text("scheme");
    if !matches!(scheme, "HTTP" | "HTTPS") {
        errors.unsupported(&path.child("scheme"), scheme, &["HTTP", "HTTPS"]);
    }
    for header in action.items("httpHeaders") {
        let name = header.text("name");
        // Upstream leaves the index out.
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            errors.invalid(
                &path.child("httpHeaders"),
                name,
                "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')",
            );
        }
    }
}

/// Validates a port given by number or by name.
pub fn validate_port(port: &Value, path: &Path, errors: &mut Errors) {
    match port {
        Value::String(name) => errors.invalid_each(path, port, port_name_errors(name)),
        _ => validate_port_number(port.as_i64().unwrap_or(0), path, errors),
    }
}

/// Validates that a port number is in the range of ports.
pub fn validate_port_number(port: i64, path: &Path, errors: &mut Errors) {
    if !(1..=65535).contains(&port) {
        errors.invalid(path, port, "must be between 1 and 65535, inclusive");
    }
}

/// Validates that a name is a label, with upstream's message.
pub fn validate_label(name: &str, path: &Path, errors: &mut Errors) {
    errors.invalid_each(path, &Value::from(name), names::errors(strategy::NameRule::Label, name));
}
