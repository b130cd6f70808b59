//! `/statusz` and `/flagz`: as text for people, and as objects of `config.k8s.io` for programs that ask for them.

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::Page;

const GROUP: &str = "config.k8s.io";
const VERSIONS: [&str; 2] = ["v1beta1", "v1alpha1"];
const WARNING: &str = "Warning: This endpoint is not meant to be machine parseable, has no formatting compatibility guarantees and is for debugging purposes only.";

/// The form that a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Object(&'static str),
    /// One that the page does not have.
    None,
}

impl Form {
    /// Reads `Accept`: `application/json;as=Statusz;v=v1beta1;g=config.k8s.io`, or text.
    pub(super) fn of(accept: &str, kind: &str) -> Self {
        if accept.trim().is_empty() {
            return Self::Text;
        }
        let of_item = |item: &str| {
            let mut parts = item.split(';').map(str::trim);
            let media_type = parts.next().unwrap_or_default();
            let parameters: Vec<(&str, &str)> = parts.filter_map(|part| part.split_once('=')).collect();
            let parameter =
                |name: &str| parameters.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
            match media_type {
                "application/json" if parameter("as") == Some(kind) && parameter("g") == Some(GROUP) => {
                    let version = parameter("v")?;
                    VERSIONS.iter().find(|known| **known == version).map(|known| Self::Object(known))
                }
                "text/plain" | "text/*" | "*/*" => Some(Self::Text),
                _ => None,
            }
        };
        accept.split(',').find_map(of_item).unwrap_or(Self::None)
    }
}

fn answer(form: Form, kind: &str, name: &str, text: impl FnOnce() -> String, fields: Value) -> Page {
    match form {
        Form::Text => Page::text(StatusCode::OK, text()),
        Form::Object(version) => {
            let mut object = json!({
                "kind": kind, "apiVersion": format!("{GROUP}/{version}"), "metadata": { "name": name },
            });
            if let (Some(object), Value::Object(fields)) = (object.as_object_mut(), fields) {
                object.extend(fields);
            }
            Page::json(&object)
        }
        Form::None => Page::text(
            StatusCode::NOT_ACCEPTABLE,
            format!(
                "only the following media types are accepted: text/plain, application/json;as={kind};v={};g={GROUP}\n",
                VERSIONS[0]
            ),
        ),
    }
}

pub(super) fn statusz(form: Form, name: &str, started: Timestamp, paths: &[&str]) -> Page {
    let up = u64::try_from(Timestamp::now().as_second() - started.as_second()).unwrap_or_default();
    let version = env!("CARGO_PKG_VERSION");
    let emulation = concat!(env!("CARGO_PKG_VERSION_MAJOR"), ".", env!("CARGO_PKG_VERSION_MINOR"));
    let mut paths: Vec<&str> = paths.iter().copied().chain(["/flagz", "/statusz"]).collect();
    paths.sort_unstable();
    let text = || {
        let started = started.strftime("%a %b %e %H:%M:%S UTC %Y");
        let (hours, minutes, seconds) = (up / 3600, up / 60 % 60, up % 60);
        let paths = paths.join(" ");
        format!(
            "\n{name} statusz\n{WARNING}\n\nStarted: {started}\nUp: {hours} hr {minutes:02} min {seconds:02} sec\nBinary version: {version}\nEmulation version: {emulation}\nPaths: {paths}\n"
        )
    };
    let fields = json!({
        "startTime": started.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(), "uptimeSeconds": up,
        "goVersion": "", "binaryVersion": version, "emulationVersion": emulation, "paths": paths,
    });
    answer(form, "Statusz", name, text, fields)
}

pub(super) fn flagz(form: Form, name: &str, flags: &[(String, String)]) -> Page {
    let mut flags: Vec<&(String, String)> = flags.iter().collect();
    flags.sort();
    let text = || {
        let lines: String = flags.iter().map(|(flag, value)| format!("{flag}={value}\n")).collect();
        format!("\n{name} flagz\n{WARNING}\n\n{lines}")
    };
    let values: Map<String, Value> =
        flags.iter().map(|(flag, value)| (flag.clone(), value.as_str().into())).collect();
    answer(form, "Flagz", name, text, json!({ "flags": values }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_what_the_client_asks_for() {
        for (accept, expected) in [
            ("", Form::Text),
            ("*/*", Form::Text),
            ("text/html, text/plain;q=0.9", Form::Text),
            ("application/json;as=Statusz;v=v1beta1;g=config.k8s.io", Form::Object("v1beta1")),
            ("application/json; g=config.k8s.io; v=v1alpha1; as=Statusz, */*", Form::Object("v1alpha1")),
            ("application/json", Form::None),
            ("application/json;as=Flagz;v=v1beta1;g=config.k8s.io", Form::None),
            ("application/json;as=Statusz;v=v9;g=config.k8s.io", Form::None),
        ] {
            assert_eq!(Form::of(accept, "Statusz"), expected, "{accept}");
        }
    }

    #[test]
    fn flags_are_told_in_order() {
        let flags = [("v".to_owned(), "2".to_owned()), ("bind-address".to_owned(), "::".to_owned())];
        let page = flagz(Form::Text, "kube-x", &flags);
        let text = String::from_utf8(page.body.to_vec()).unwrap();
        assert!(
            text.starts_with("\nkube-x flagz\nWarning: ") && text.ends_with("\n\nbind-address=::\nv=2\n")
        );
        let page = flagz(Form::Object("v1beta1"), "kube-x", &flags);
        assert_eq!(
            serde_json::from_slice::<Value>(&page.body).unwrap(),
            json!({"kind": "Flagz", "apiVersion": "config.k8s.io/v1beta1", "metadata": {"name": "kube-x"},
                "flags": {"v": "2", "bind-address": "::"}})
        );
        assert_eq!(flagz(Form::None, "kube-x", &flags).status, 406);
    }

    #[test]
    fn the_status_says_since_when() {
        let started = Timestamp::from_second(Timestamp::now().as_second() - 3_725).unwrap();
        let page = statusz(Form::Text, "kube-x", started, &["/metrics", "/healthz"]);
        let text = String::from_utf8(page.body.to_vec()).unwrap();
        assert!(text.contains("\nUp: 1 hr 02 min 0"), "{text}");
        assert!(text.ends_with("Paths: /flagz /healthz /metrics /statusz\n"), "{text}");
    }
}
