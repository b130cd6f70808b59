//! Bodies as upstream's client writes them, and the table against the schemas.

use super::*;

/// A field of bytes.
fn bytes(number: u8, content: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2, content.len() as u8];
    field.extend_from_slice(content);
    field
}

fn number(field: u8, value: u8) -> Vec<u8> {
    vec![field << 3, value]
}

fn body(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let meta = [bytes(1, api_version.as_bytes()), bytes(2, kind.as_bytes())].concat();
    [MAGIC.as_slice(), &bytes(1, &meta), &bytes(2, raw), &bytes(3, b""), &bytes(4, b"")].concat()
}

#[test]
fn reads_what_kubectl_sends() {
    // kubectl create configmap a --from-literal=x=y
    let sent = b"k8s\0\x0a\x0f\x0a\x02v1\x12\x09ConfigMap\x12\x1b\x0a\x11\x0a\x01a\x12\x00\x1a\x00\"\x00*\x002\x008\x00B\x00\x12\x06\x0a\x01x\x12\x01y\x1a\x00\"\x00";
    let object = decode(sent).unwrap();
    assert_eq!(object["kind"], "ConfigMap");
    assert_eq!(object["metadata"]["name"], "a");
    assert_eq!(object["metadata"].get("creationTimestamp"), None);
    assert_eq!(object["data"], serde_json::json!({"x": "y"}));
}

#[test]
fn inline_messages_lie_flat_in_json() {
    let get = [bytes(1, b"/ready"), bytes(2, &[number(1, 0), number(2, 80)].concat())].concat();
    let probe = [bytes(1, &bytes(2, &get)), number(2, 5)].concat();
    let container = [bytes(1, b"c"), bytes(10, &probe)].concat();
    let empty_dir = bytes(2, &bytes(2, b""));
    let volume = [bytes(1, b"v"), empty_dir].concat();
    let spec = [bytes(1, &volume), bytes(2, &container)].concat();
    let pod = decode(&body("v1", "Pod", &bytes(2, &spec))).unwrap();
    assert_eq!(pod["spec"]["volumes"], serde_json::json!([{"name": "v", "emptyDir": {}}]));
    assert_eq!(
        pod["spec"]["containers"][0]["livenessProbe"],
        serde_json::json!({"httpGet": {"path": "/ready", "port": 80}, "initialDelaySeconds": 5})
    );
}

#[test]
fn times_quantities_and_negative_numbers() {
    let time = [vec![8], vec![0x80, 0xe8, 0x92, 0xa6, 0x06]].concat();
    let metadata = [bytes(1, b"a"), bytes(8, &time)].concat();
    let object = decode(&body("v1", "Namespace", &bytes(1, &metadata))).unwrap();
    assert_eq!(object["metadata"]["creationTimestamp"], "2023-07-29T06:38:56Z");
    let limits = bytes(1, &[bytes(1, b"cpu"), bytes(2, &bytes(1, b"100m"))].concat());
    let container = bytes(8, &limits);
    let pod = decode(&body("v1", "Pod", &bytes(2, &bytes(2, &container)))).unwrap();
    assert_eq!(pod["spec"]["containers"][0]["resources"]["limits"]["cpu"], "100m");
    let minus_one = [vec![8], vec![0xff; 9], vec![1]].concat();
    let scale = decode(&body("autoscaling/v1", "Scale", &bytes(2, &minus_one))).unwrap();
    assert_eq!(scale["spec"]["replicas"], -1);
}

#[test]
fn refuses_what_it_cannot_read() {
    assert_eq!(decode(b"{}"), Err(WireError::Magic));
    assert!(matches!(decode(&body("v1", "Nothing", b"")), Err(WireError::UnknownKind { .. })));
    let sent = body("v1", "Pod", &bytes(1, &bytes(1, b"a")));
    for end in 5..sent.len() - 4 {
        // Cut anywhere, a body is refused or lacks fields; it never brings the reader down.
        let _ = decode(&sent[..end]);
    }
    let mut deep = Vec::new();
    for _ in 0..40 {
        deep = bytes(5, &deep[..deep.len().min(100)]);
    }
    let _ = decode(&body("apiextensions.k8s.io/v1", "CustomResourceDefinition", &deep));
}

#[test]
fn every_message_that_a_field_names_is_in_the_table() {
    fn named(ty: &Type) -> Option<&'static str> {
        match ty {
            Type::Message(name) | Type::Inline(name) => Some(name),
            Type::List(inner) | Type::Map(inner) => named(inner),
            _ => None,
        }
    }
    for (message_name, message) in table::all() {
        for field in message.fields() {
            if let Some(name) = named(&field.ty) {
                assert!(table::message(name).is_some(), "{message_name}.{}: {name}", field.name);
            }
        }
    }
}

#[test]
fn the_table_has_the_names_that_the_schemas_have() {
    fn check(name: &str, message: &Message, ty: schema::Type<'_>, wrong: &mut Vec<String>) {
        for field in message.fields() {
            if let Type::Inline(inner) = &field.ty {
                if let Some(inner) = table::message(inner) {
                    check(name, inner, ty, wrong);
                }
            } else if ty.field(field.name).is_none() {
                wrong.push(format!("{name}.{}", field.name));
            }
        }
    }
    let (mut wrong, mut checked) = (Vec::new(), 0);
    for (name, message) in table::all() {
        let full = match name.split_once('.') {
            Some(("meta", rest)) => format!("io.k8s.apimachinery.pkg.apis.meta.{rest}"),
            Some(("apiextensions", rest)) => {
                format!("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.{rest}")
            }
            Some(("apiregistration", rest)) => {
                format!("io.k8s.kube-aggregator.pkg.apis.apiregistration.{rest}")
            }
            _ => format!("io.k8s.api.{name}"),
        };
        if let Some(ty) = schema::Type::named(&full) {
            checked += 1;
            check(name, message, ty, &mut wrong);
        }
    }
    assert!(checked > 400, "{checked}");
    assert_eq!(wrong, Vec::<String>::new());
}
