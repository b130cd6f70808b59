//! What etcd and key services give: values, sealed or not, and the answers about keys.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message as _;
use serde_json::{Value, json};
use storage::kms::{EncryptResponse, EncryptedObject, StatusResponse};
use storage::{Encryption, EventType, Object, Parts, Resource, SelectableField, wire};

use super::streams::on_loop;

const KEY: &str = "default/a";

fn resource(plural: &str) -> Resource {
    let fields = vec![
        SelectableField::new("spec.nodeName").at(&["spec.nodeName"]),
        SelectableField::new("type").absent("Opaque").at(&["type"]),
    ];
    let mut resource = Resource::new(plural, true, fields);
    plural.clone_into(&mut resource.plural);
    resource
}

pub fn objects() -> Vec<Vec<u8>> {
    [
        json!({"kind": "Pod", "metadata": {"name": "a", "labels": {"a": "b", "c\"": "\u{e9}"}, "managedFields": [{"manager": "m"}]},
            "spec": {"nodeName": "n", "containers": [{"name": "c"}]}}),
        json!({"metadata": {}, "type": "x"}),
        json!({"metadata": {"resourceVersion": "7", "labels": {}, "name": "a"}, "spec": null}),
    ]
    .iter()
    .map(|object| object.to_string().into_bytes())
    .collect()
}

/// An object as etcd has it, read for the caches by the places of its parts.
pub fn object(input: &[u8]) -> bool {
    let parts = Parts::read(input);
    if let Ok(parts) = &parts {
        let mut whole: Value = serde_json::from_slice(input).expect("what is read in parts is JSON");
        if let Some(metadata) = whole.get_mut("metadata").and_then(Value::as_object_mut) {
            let managed = metadata.remove("managedFields");
            if let Some(text) = parts.managed_fields {
                assert_eq!(serde_json::from_str(text).ok(), managed, "the text is that of the field");
            }
        }
        assert_eq!(parts.value, whole, "nothing else is left out");
    }
    let resource = resource("pods");
    drop(Object::read(&resource, EventType::Added, KEY, input, 42));
    // As servers write it: no member twice.
    let Ok(plain) = serde_json::from_slice::<Value>(input) else { return false };
    let plain = plain.to_string();
    let Ok(object) = Object::read(&resource, EventType::Added, KEY, plain.as_bytes(), 42) else {
        return parts.is_ok();
    };
    let value = object.value().expect("what has its version in it is JSON");
    assert_eq!(value["metadata"]["resourceVersion"], "42");
    let stored = object.stored();
    assert!(object.stores(&stored), "what is stored is what would be written");
    let again = Object::read(&resource, EventType::Modified, KEY, &stored, 42).expect("it is read again");
    assert_eq!(again.as_bytes(), object.as_bytes());
    assert!(object.labels().count() <= input.len() && object.field(&resource, 0).len() <= input.len());
    true
}

/// One way of sealing for each resource.
fn configuration(with_service: bool) -> storage::EncryptionConfiguration {
    let keys = json!({"keys": [{"name": "k", "secret": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}]});
    let rule = |plural: &str, provider: Value| json!({"resources": [plural], "providers": [provider]});
    let mut rules = vec![
        rule("a", json!({"aescbc": keys})),
        rule("b", json!({"aesgcm": keys})),
        rule("c", json!({"secretbox": keys})),
        rule("d", json!({"identity": {}})),
    ];
    if with_service {
        let endpoint = "unix:///nowhere";
        rules.push(rule(
            "e",
            json!({"kms": {"apiVersion": "v2", "name": "s", "endpoint": endpoint, "timeout": "1s"}}),
        ));
    }
    let configuration = json!({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration", "resources": rules});
    serde_json::from_value(configuration).expect("it is a configuration")
}

thread_local! {
    static ENCRYPTION: Encryption = on_loop(async {
        Encryption::new(&configuration(true)).expect("the configuration is right")
    });
}

/// The resources that the configuration seals, each in its own way.
const SEALED: [&str; 5] = ["a", "b", "c", "d", "e"];

pub fn sealed_values() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = ENCRYPTION.with(|encryption| {
        let sealed = SEALED[..4].iter().map(|plural| encryption.seal(&resource(plural), KEY, b"{\"a\":1}"));
        sealed.filter_map(|sealed| sealed.ok().map(|sealed| sealed.into_owned())).collect()
    });
    let object = EncryptedObject {
        encrypted_data: vec![7; 90],
        key_id: "k".into(),
        encrypted_dek_source: vec![1; 40],
        annotations: BTreeMap::from([("a.b".to_owned(), vec![1])]),
        encrypted_dek_source_type: 1,
    };
    seeds.push([b"k8s:enc:kms:v2:s:".as_slice(), &object.encode_to_vec()].concat());
    seeds
}

/// A value that was sealed, perhaps by another, perhaps not whole.
pub fn sealed_value(input: &[u8]) -> bool {
    ENCRYPTION.with(|encryption| {
        let mut is_open = false;
        for plural in SEALED {
            let resource = resource(plural);
            if let Ok(opened) = encryption.open(&resource, KEY, input) {
                assert!(opened.value.len() <= input.len(), "what is inside is no longer than the whole");
                is_open = true;
            }
            // What is not encrypted may not look as if it were.
            if plural == "d" && input.starts_with(b"k8s:enc:") {
                continue;
            }
            // What is sealed now is opened by the same key under the same name, and by no other name where it is bound to it.
            if let Ok(sealed) = encryption.seal(&resource, KEY, input) {
                let opened = encryption.open(&resource, KEY, &sealed).expect("what was sealed opens");
                assert_eq!((opened.value.as_ref(), opened.stale), (input, false));
            }
        }
        is_open
    })
}

pub fn service_answers() -> Vec<Vec<u8>> {
    let status = StatusResponse { version: "v2".into(), healthz: "ok".into(), key_id: "k".into() };
    let encrypted = EncryptResponse {
        ciphertext: b"sealed".to_vec(),
        key_id: "k".into(),
        annotations: BTreeMap::from([("a.b".to_owned(), b"c".to_vec())]),
    };
    vec![status.encode_to_vec(), encrypted.encode_to_vec()]
}

/// What a key service answers, which is kept beside each value when it is believed.
pub fn service_answer(input: &[u8]) -> bool {
    let status = StatusResponse::decode(input).is_ok_and(|status| storage::check_status(&status).is_ok());
    let encrypted =
        EncryptResponse::decode(input).ok().filter(|answer| storage::check_encrypted(answer).is_ok());
    if let Some(answer) = &encrypted {
        let annotations: usize = answer.annotations.iter().map(|(key, value)| key.len() + value.len()).sum();
        assert!(!answer.key_id.is_empty() && answer.key_id.len() <= 1024, "the key has a name");
        assert!(!answer.ciphertext.is_empty() && answer.ciphertext.len() <= 1024 && annotations <= 32 << 10);
    }
    status || encrypted.is_some()
}

/// The size of the pieces that a stream arrives in, and the stream.
pub fn frames() -> Vec<Vec<u8>> {
    let header = Some(wire::ResponseHeader { revision: 7 });
    let pair = wire::KeyValue {
        key: "/registry/a".into(),
        value: "{}".into(),
        mod_revision: 7,
        ..Default::default()
    };
    let listed = wire::RangeResponse { header, kvs: vec![pair.clone()], more: true, count: 2 };
    let event = wire::Event { kv: Some(pair), ..Default::default() };
    let watched = wire::WatchResponse { header, events: vec![event], ..Default::default() };
    let stream = [wire::framed(&listed), wire::framed(&watched), wire::framed(&())].concat();
    [1, 7, 255].into_iter().map(|size| [&[size], stream.as_slice()].concat()).collect()
}

/// Every message of a stream, and why there is no other.
fn unframed(stream: &[u8], size: usize) -> (Vec<Bytes>, Option<&'static str>) {
    let (mut pieces, mut messages) = (wire::Unframe::default(), Vec::new());
    for piece in stream.chunks(size) {
        pieces.push(Bytes::copy_from_slice(piece));
        loop {
            match pieces.take() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(why) => return (messages, Some(why)),
            }
        }
    }
    (messages, None)
}

/// What etcd answers, however it is cut.
pub fn frame(input: &[u8]) -> bool {
    let Some((size, stream)) = input.split_first() else { return false };
    let (messages, ended) = unframed(stream, usize::from(*size).max(1));
    assert_eq!((&messages, ended), (&unframed(stream, stream.len().max(1)).0, ended), "cuts change nothing");
    let taken: usize = messages.iter().map(Bytes::len).sum();
    assert!(taken <= stream.len());
    let reads = |message: &Bytes| {
        let listed = wire::RangeResponse::decode(message.clone());
        let watched = wire::WatchResponse::decode(message.clone());
        let changed = wire::TxnResponse::decode(message.clone());
        listed.is_ok() || watched.is_ok() || changed.is_ok()
    };
    messages.iter().filter(|message| reads(message)).count() > 0
}
