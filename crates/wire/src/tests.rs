//! Bodies as upstream's client writes them, and the table against the schemas.

use super::*;
use crate::table::Type;

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
fn objects_inside_objects_do_not_exhaust_the_stack() {
    let mut inner = body("v1", "Pod", b"");
    for _ in 0..20_000 {
        let mut field = vec![1 << 3 | 2];
        encode::varint(&mut field, inner.len() as u64);
        field.extend_from_slice(&inner);
        let mut data = vec![2 << 3 | 2];
        encode::varint(&mut data, field.len() as u64);
        data.extend_from_slice(&field);
        inner = opening("apps/v1", "ControllerRevision", data.len());
        inner.extend_from_slice(&data);
    }
    assert!(decode(&inner).is_err());
}

#[test]
fn writes_what_upstream_writes() {
    // As kubectl create configmap a --from-literal=x=y reads it back, but for fields that are empty.
    let json = br#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a","resourceVersion":"7","creationTimestamp":"2023-07-29T06:38:56Z"},"data":{"x":"y"}}"#;
    let written = encode(json).unwrap();
    let expected = b"k8s\0\x0a\x0f\x0a\x02v1\x12\x09ConfigMap\x12\x1a\x0a\x10\x0a\x01a2\x017B\x08\x08\x80\xe8\x92\xa6\x06\x10\x00\x12\x06\x0a\x01x\x12\x01y\x1a\x00\"\x00";
    assert_eq!(written.escape_ascii().to_string(), expected.escape_ascii().to_string());
}

#[test]
fn lengths_of_every_size_are_filled_in() {
    for size in [0, 1, 126, 127, 128, 129, 16_382, 16_384, 16_390, 2_097_160] {
        let text = "x".repeat(size);
        let object = serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": text}});
        assert_eq!(decode(&encode(object.to_string().as_bytes()).unwrap()).unwrap(), object, "{size}");
    }
}

#[test]
fn times_are_what_the_calendar_says() {
    for (text, seconds) in [
        ("1970-01-01T00:00:00Z", 0),
        ("1969-12-31T23:59:59Z", -1),
        ("2000-02-29T12:00:00Z", 951_825_600),
        ("2026-11-21T16:20:48Z", 1_795_278_048),
        ("2026-11-21T16:20:48.250000Z", 1_795_278_048),
        ("2026-11-21T17:20:48+01:00", 1_795_278_048),
        ("2100-03-01T00:00:00Z", 4_107_542_400),
    ] {
        let object = format!(
            r#"{{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{{}},"spec":{{"renewTime":"{text}"}}}}"#
        );
        let read = decode(&encode(object.as_bytes()).unwrap()).unwrap();
        let at = apimachinery::time::parse(read["spec"]["renewTime"].as_str().unwrap()).unwrap();
        assert_eq!(at.as_second(), seconds, "{text}");
        assert_eq!(at, apimachinery::time::parse(text).unwrap());
    }
    let last = "9999-12-31T23:59:59.000000Z";
    let object = serde_json::json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"creationTimestamp": "9999-12-31T23:59:59Z"}, "spec": {"renewTime": last}});
    assert_eq!(decode(&encode(object.to_string().as_bytes()).unwrap()).unwrap(), object);
    for text in ["2026-13-01T00:00:00Z", "2026-01-01T00:00:0xZ", "", "yesterday"] {
        let object = format!(
            r#"{{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","spec":{{"renewTime":"{text}"}}}}"#
        );
        assert!(encode(object.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn frames_of_watches_say_their_length() {
    let frame = watch_frame("ADDED", &[b"a", b"bc"]);
    assert_eq!(frame, b"\0\0\0\x0e\x0a\x05ADDED\x12\x05\x0a\x03abc");
    for size in [100, 127, 128, 200, 20_000] {
        let frame = watch_frame("MODIFIED", &[&vec![1; size]]);
        assert_eq!(u32::from_be_bytes(frame[..4].try_into().unwrap()) as usize, frame.len() - 4);
    }
}

#[test]
fn refuses_json_that_is_not_of_the_kind() {
    for text in [
        "",
        "{",
        "[]",
        r#"{"kind":"Pod","apiVersion":"v1","spec":[]}"#,
        r#"{"kind":"Pod","apiVersion":"v1","spec":{"containers":{}}}"#,
        r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":1}}"#,
        r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a}"#,
        r#"{"kind":"Pod","apiVersion":"v1"} x"#,
        r#"{"kind":"Secret","apiVersion":"v1","data":{"a":"*"}}"#,
        r#"{"kind":"Deployment","apiVersion":"apps.example.com/v1"}"#,
        r#"{"kind":"Pod","apiVersion":"v1","metadata":]}"#,
    ] {
        assert!(encode(text.as_bytes()).is_err(), "{text}");
    }
}

/// Every field that a message has in JSON, inline ones among them.
fn members<'a>(message: &'a Message, into: &mut Vec<&'a str>) {
    for field in message.fields() {
        match &field.ty {
            Type::Inline(inner) => members(inner.message(), into),
            _ => into.push(field.name),
        }
    }
}

fn full_name(name: &str) -> String {
    match name.split_once('.') {
        Some(("meta", rest)) => format!("io.k8s.apimachinery.pkg.apis.meta.{rest}"),
        Some(("apiextensions", rest)) => {
            format!("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.{rest}")
        }
        Some(("apiregistration", rest)) => format!("io.k8s.kube-aggregator.pkg.apis.apiregistration.{rest}"),
        _ => format!("io.k8s.api.{name}"),
    }
}

#[test]
fn messages_have_exactly_the_fields_that_the_schemas_have() {
    let (mut wrong, mut checked) = (Vec::new(), 0);
    for name in table::names() {
        let Some(ty) = schema::Type::named(&full_name(name)) else { continue };
        checked += 1;
        let mut found = Vec::new();
        members(table::message(name).unwrap(), &mut found);
        for field in &found {
            if ty.field(field).is_none() {
                wrong.push(format!("{name}.{field} is not in the schema"));
            }
        }
        for field in ty.fields() {
            if !found.contains(&field.name()) && !matches!(field.name(), "apiVersion" | "kind") {
                wrong.push(format!("{name}.{} has no number", field.name()));
            }
        }
    }
    assert!(checked > 600, "{checked}");
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn every_line_of_the_table_is_read() {
    for (line, name) in include_str!("messages.txt").lines().zip(table::names()) {
        let (known, fields) = line.split_once('\t').unwrap();
        assert_eq!(known, *name);
        let message = table::message(name).unwrap();
        assert_eq!(message.fields().len(), fields.split_whitespace().count(), "{name}");
    }
}

#[test]
fn every_kind_of_the_catalogue_has_a_message_and_so_has_its_list() {
    for row in schema::catalogue().all() {
        let api_version = row.api_version();
        assert!(Kind::find(&api_version, &row.kind).is_some(), "{api_version} {}", row.kind);
        if row.verbs.contains(schema::Verbs::LIST) {
            let list = Kind::find(&api_version, &row.list_kind).expect(&row.list_kind).0;
            assert_eq!(list.member(b"metadata").unwrap().number, 1, "{}", row.list_kind);
            assert_eq!(list.member(b"items").unwrap().number, 2, "{}", row.list_kind);
        }
    }
}
