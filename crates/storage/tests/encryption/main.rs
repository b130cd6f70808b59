//! Encryption at rest against a real etcd: what lies there is sealed, what is read is not, and keys can be changed.

#![allow(clippy::unwrap_used, reason = "tests")]

mod kms;

use std::{sync::Arc, time::Duration};

use serde_json::json;
use storage::{
    Change, Consistency, Encryption, EncryptionConfiguration, Error, Etcd, EtcdConfig, Freshness, Object,
    Outcome, Query, Resource, Store,
};

const OLD: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NEW: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";
const STORED: &[u8] = br#"{"metadata":{"name":"x"},"data":{"password":"bXlkYXRh"}}"#;

fn configuration(providers: serde_json::Value) -> EncryptionConfiguration {
    serde_json::from_value(json!({
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [{"resources": ["secrets"], "providers": providers}],
    }))
    .unwrap()
}

fn by(cipher: &str, name: &str, secret: &str) -> serde_json::Value {
    json!({ cipher: {"keys": [{"name": name, "secret": secret}]} })
}

/// A store of secrets whose tasks run.
async fn store(etcd: &testkit::Etcd, encryption: Arc<Encryption>) -> Arc<Store> {
    let config = EtcdConfig { servers: vec![etcd.url()], ..EtcdConfig::default() };
    let connection = Etcd::connect(&config).unwrap().encrypted_by(encryption);
    let (freshness, task) = Freshness::new(connection.clone());
    let secrets = Resource::new("secrets", true, Vec::new()).named("", "secrets");
    let (store, feed, ready) = Store::new(connection, freshness, vec![secrets]);
    tokio::spawn(task);
    tokio::spawn(feed.run());
    tokio::time::timeout(Duration::from_secs(20), ready).await.unwrap().unwrap();
    store
}

/// The value as etcd has it.
async fn raw(etcd: &testkit::Etcd, key: &str) -> Vec<u8> {
    let client = etcd_client::Client::connect([etcd.url()], None).await.unwrap();
    let mut response = client.kv_client().get(key, None).await.unwrap();
    response.take_kvs().remove(0).into_key_value().1
}

/// Writes what is there already: `kubectl get -o json | kubectl replace -f -`.
async fn replace(store: &Store, key: &str) -> (Arc<Object>, Outcome) {
    let cache = store.cache("secrets").unwrap();
    let again = |current: Option<&Arc<Object>>| -> Result<Change, Error> {
        Ok(Change::Write(current.ok_or(Error::NotFound)?.stored()))
    };
    store.update(&cache, key, None, again).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_are_sealed_in_etcd_and_nowhere_else() {
    let etcd = testkit::Etcd::start().unwrap();
    for (cipher, prefix) in [
        ("aescbc", "k8s:enc:aescbc:v1:key1:"),
        ("aesgcm", "k8s:enc:aesgcm:v1:key1:"),
        ("secretbox", "k8s:enc:secretbox:v1:key1:"),
    ] {
        let encryption =
            || Arc::new(Encryption::new(&configuration(json!([by(cipher, "key1", OLD)]))).unwrap());
        let writer = store(&etcd, encryption()).await;
        let cache = writer.cache("secrets").unwrap();
        let key = format!("default/{cipher}");
        let made = writer.create(&cache, &key, STORED.to_vec(), None).await.unwrap();
        assert_eq!(made.stored(), STORED);
        let lies = raw(&etcd, &format!("/registry/secrets/{key}")).await;
        assert!(lies.starts_with(prefix.as_bytes()), "{}", String::from_utf8_lossy(&lies));
        assert!(!lies.windows(8).any(|part| part == b"bXlkYXRh"), "the secret lies open");
        // One that was there before, by its watch; one that comes later, by its first read.
        for reader in [&writer, &store(&etcd, encryption()).await] {
            let cache = reader.cache("secrets").unwrap();
            let read = reader.get(&cache, &key, Consistency::Latest).await.unwrap();
            assert_eq!((read.stored(), read.revision()), (STORED.to_vec(), made.revision()));
            let live = reader.get_live(&cache, &key).await.unwrap().unwrap();
            assert_eq!(live.stored(), STORED);
        }
        let page = writer.page_at(&cache, &Query::default(), 0, made.revision(), None).await.unwrap();
        assert!(page.objects.iter().any(|object| object.key() == key));
        // What does not change is not written anew.
        let (same, outcome) = replace(&writer, &key).await;
        assert_eq!((outcome, same.revision()), (Outcome::Unchanged, made.revision()));
        let deleted = writer.update::<Error, _>(&cache, &key, None, |_| Ok(Change::Delete)).await.unwrap();
        assert_eq!((deleted.1, deleted.0.stored()), (Outcome::Deleted, STORED.to_vec()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_change_while_the_server_runs() {
    let etcd = testkit::Etcd::start().unwrap();
    // Begins without encryption.
    let encryption = Arc::new(Encryption::new(&configuration(json!([{"identity": {}}]))).unwrap());
    let store = store(&etcd, encryption.clone()).await;
    let cache = store.cache("secrets").unwrap();
    store.create(&cache, "default/x", STORED.to_vec(), None).await.unwrap();
    assert_eq!(raw(&etcd, "/registry/secrets/default/x").await, STORED);
    let steps = [
        (json!([by("aescbc", "key1", OLD), {"identity": {}}]), "k8s:enc:aescbc:v1:key1:"),
        (json!([by("aescbc", "key2", NEW), by("aescbc", "key1", OLD)]), "k8s:enc:aescbc:v1:key2:"),
        (json!([by("aesgcm", "key2", NEW), by("aescbc", "key2", NEW)]), "k8s:enc:aesgcm:v1:key2:"),
        (json!([{"identity": {}}, by("aesgcm", "key2", NEW)]), "{\"metadata\""),
    ];
    for (providers, prefix) in steps {
        encryption.replace(&configuration(providers)).unwrap();
        let (_, outcome) = replace(&store, "default/x").await;
        assert_eq!(outcome, Outcome::Updated, "{prefix}");
        assert!(raw(&etcd, "/registry/secrets/default/x").await.starts_with(prefix.as_bytes()));
        let (read, outcome) = replace(&store, "default/x").await;
        assert_eq!((outcome, read.stored()), (Outcome::Unchanged, STORED.to_vec()), "{prefix}");
    }
    // Without the key that it was written by, a value is an error for whoever asks for it.
    encryption.replace(&configuration(json!([by("aescbc", "key1", OLD)]))).unwrap();
    let error = store.get_live(&cache, "default/x").await.unwrap_err();
    assert!(error.to_string().contains("no matching prefix found"), "{error}");
}
