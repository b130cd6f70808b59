//! The store against a real etcd: what is written is read, by this server and by others, whatever etcd does.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::time::Duration;

use storage::{
    Change, Consistency, Error, Etcd, EtcdConfig, EventType, Filter, Freshness, Lists, Outcome, Query,
    Resource, SelectableField, Source, Store, WatchStart,
};

/// A store whose tasks run.
async fn store(etcd: &testkit::Etcd) -> Arc<Store> {
    let config = EtcdConfig { servers: vec![etcd.url()], ..EtcdConfig::default() };
    let connection = Etcd::connect(&config).unwrap();
    let (freshness, task) = Freshness::new(connection.clone());
    let pods =
        Resource::new("pods", true, vec![SelectableField::new("spec.nodeName")]).indexed_by("spec.nodeName");
    let (store, feed, ready) = Store::new(connection, freshness, vec![pods]);
    tokio::spawn(task);
    tokio::spawn(feed.run());
    ready.await.unwrap();
    store
}

fn pod(node: &str, note: &str) -> Vec<u8> {
    format!(r#"{{"metadata":{{"name":"x","labels":{{"note":"{note}"}}}},"spec":{{"nodeName":"{node}"}}}}"#)
        .into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_show_here_and_there() {
    let etcd = testkit::Etcd::start().unwrap();
    let (one, other) = (store(&etcd).await, store(&etcd).await);
    let (here, there) = (one.cache("pods").unwrap(), other.cache("pods").unwrap());
    let made = one.create(&here, "a/x", pod("w1", "1"), None).await.unwrap();
    assert_eq!(here.get("a/x").unwrap().revision(), made.revision());
    // Another server has it as soon as it is asked for the latest state.
    let read = other.get(&there, "a/x", Consistency::Latest).await.unwrap();
    assert_eq!(read.bytes(), made.bytes());
    assert!(matches!(one.create(&here, "a/x", pod("w1", "1"), None).await, Err(Error::Exists)));

    let change = |note: &'static str| {
        move |current: Option<&Arc<storage::Object>>| -> Result<Change, Error> {
            current.ok_or(Error::NotFound)?;
            Ok(Change::Write(pod("w2", note)))
        }
    };
    let (changed, outcome) = other.update(&there, "a/x", None, change("2")).await.unwrap();
    assert_eq!((outcome, changed.label("note")), (Outcome::Updated, Some("2")));
    // The first server's cache may be behind: the function is asked again with what etcd has.
    let (same, outcome) = one.update(&here, "a/x", None, change("2")).await.unwrap();
    assert_eq!((outcome, same.revision()), (Outcome::Unchanged, changed.revision()));
    let by_node = Query { indexed: Some("w2".into()), ..Query::default() };
    assert_eq!(here.page(&by_node, 0, None).objects.len(), 1);
    let (_, outcome) = one.update::<Error, _>(&here, "a/x", None, |_| Ok(Change::Delete)).await.unwrap();
    assert_eq!(outcome, Outcome::Deleted);
    assert!(matches!(other.get(&there, "a/x", Consistency::Latest).await, Err(Error::NotFound)));
    assert!(matches!(one.update(&here, "a/x", None, change("3")).await, Err(Error::NotFound)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_begins_with_everything_however_many_reads_that_takes() {
    let etcd = testkit::Etcd::start().unwrap();
    let mut client = etcd_client::Client::connect([etcd.url()], None).await.unwrap();
    // More than the first read asks for, and keys of other resources before and behind.
    for first in (0..1300).step_by(100) {
        let puts = (first..first + 100).map(|number: u32| {
            etcd_client::TxnOp::put(format!("/registry/pods/a/p{number:04}"), pod("w1", "1"), None)
        });
        client.txn(etcd_client::Txn::new().and_then(puts.collect::<Vec<_>>())).await.unwrap();
    }
    for other in ["/registry/others/x", "/registry/pods.example.com/x", "/registry/zones/x"] {
        client.put(other, "{}", None).await.unwrap();
    }
    let cache = store(&etcd).await.cache("pods").unwrap();
    let page = cache.page(&Query::default(), 0, None);
    let keys: Vec<&str> = page.objects.iter().map(|object| object.key()).collect();
    let expected: Vec<String> = (0..1300).map(|number| format!("a/p{number:04}")).collect();
    assert_eq!(keys, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_is_of_its_revision_from_the_cache_or_from_etcd() {
    let etcd = testkit::Etcd::start().unwrap();
    let store = store(&etcd).await;
    let cache = store.cache("pods").unwrap();
    for number in 0..9 {
        let namespace = if number % 3 == 0 { "a" } else { "b" };
        store.create(&cache, &format!("{namespace}/p{number}"), pod("w1", "1"), None).await.unwrap();
    }
    let counts = |source| {
        let Lists { lists, fetched, evaluated, returned } = cache.lists(source);
        [lists, fetched, evaluated, returned]
    };
    // The cache began with one list, of nothing.
    assert_eq!((counts(Source::Storage), counts(Source::Cache)), ([1, 0, 0, 0], [0; 4]));
    let first = cache.page(&Query::default(), 4, None);
    assert_eq!((first.objects.len(), first.more, first.remaining), (4, true, Some(5)));
    assert_eq!(counts(Source::Cache), [1, 4, 4, 4]);
    store.update::<Error, _>(&cache, "b/p8", None, |_| Ok(Change::Delete)).await.unwrap();
    let after = Some(first.objects.last().unwrap().key().to_owned());
    let rest = Query { after, ..Query::default() };
    let then = store.page_at(&cache, &rest, 0, first.revision, None).await.unwrap();
    assert_eq!((then.objects.len(), then.objects.last().unwrap().key()), (5, "b/p8"));
    let in_a = Query { namespace: "a".into(), ..Query::default() };
    assert_eq!(store.page_at(&cache, &in_a, 0, first.revision, None).await.unwrap().objects.len(), 3);
    let last = |object: &storage::Object| object.name() > "p5";
    let few = store.page_at(&cache, &Query::default(), 1, first.revision, Some(&last)).await.unwrap();
    assert_eq!((few.objects[0].key(), few.more), ("a/p6", true));
    // Five of all, three of a namespace, and one key at a time up to the one that is wanted.
    assert_eq!(counts(Source::Storage), [4, 11, 11, 9]);
    let by_node = Query { indexed: Some("w1".into()), ..Query::default() };
    assert_eq!(cache.page(&by_node, 0, Some(&last)).objects.len(), 2);
    assert_eq!(counts(Source::Index), [1, 8, 8, 2]);
    let future = store.page_at(&cache, &Query::default(), 0, first.revision + 1000, None).await;
    assert!(matches!(future, Err(Error::Future { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resource_can_come_later_and_objects_can_end_by_themselves() {
    let etcd = testkit::Etcd::start().unwrap();
    let (one, other) = (store(&etcd).await, store(&etcd).await);
    let widgets = || Resource::new("example.com/widgets", false, Vec::new());
    let here = one.add(widgets()).await.unwrap();
    one.create(&here, "lasting", pod("", "1"), None).await.unwrap();
    one.create(&here, "fleeting", pod("", "1"), Some(Duration::from_secs(1))).await.unwrap();
    let there = other.add(widgets()).await.unwrap();
    other.get(&there, "lasting", Consistency::Latest).await.unwrap();
    let (mut watch, _) = there.watch(WatchStart::Objects, Filter::default()).unwrap();
    let mut gone = None;
    while gone.is_none() {
        let event = tokio::time::timeout(Duration::from_secs(20), watch.next()).await.unwrap().unwrap();
        if event.event == EventType::Deleted {
            gone = Some(event.object.key().to_owned());
        }
    }
    assert_eq!(gone.as_deref(), Some("fleeting"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_etcd_that_lost_everything_is_read_anew_and_watches_end() {
    let mut etcd = testkit::Etcd::start().unwrap();
    let store = store(&etcd).await;
    let cache = store.cache("pods").unwrap();
    for number in 0..20 {
        store.create(&cache, &format!("a/p{number}"), pod("w1", "1"), None).await.unwrap();
    }
    let (mut watch, revision) =
        cache.watch(WatchStart::After(store.progress().reached()), Filter::default()).unwrap();
    etcd.kill().unwrap();
    etcd.start_empty().unwrap();
    assert!(tokio::time::timeout(Duration::from_secs(20), watch.next()).await.unwrap().is_none());
    testkit::eventually(|| async { if cache.is_empty() { Ok(()) } else { Err(cache.len()) } }).await;
    let made = store.create(&cache, "a/new", pod("w1", "1"), None).await.unwrap();
    assert!(made.revision() < revision);
    assert_eq!(store.get(&cache, "a/new", Consistency::Latest).await.unwrap().revision(), made.revision());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_of_a_client_that_knows_more_does_not_go_back() {
    let etcd = testkit::Etcd::start().unwrap();
    let store = store(&etcd).await;
    let cache = store.cache("pods").unwrap();
    let known = store.progress().reached() + 2;
    let (mut watch, _) = cache.watch(WatchStart::After(known), Filter::default()).unwrap();
    for number in 0..4 {
        store.create(&cache, &format!("a/p{number}"), pod("w1", "1"), None).await.unwrap();
    }
    assert!(watch.next().await.unwrap().object.revision() > known);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_opens_no_watch_that_stays() {
    let etcd = testkit::Etcd::start().unwrap();
    let store = store(&etcd).await;
    let cache = store.cache("pods").unwrap();
    store.create(&cache, "a/p", pod("w1", "1"), None).await.unwrap();
    store.catch_up(Consistency::Latest).await.unwrap();
    let (mut before, _) = cache.watch(WatchStart::Objects, Filter::default()).unwrap();
    cache.end_watches();
    let (mut after, _) = cache.watch(WatchStart::Objects, Filter::default()).unwrap();
    for watch in [&mut before, &mut after] {
        assert_eq!(watch.next().await.unwrap().object.name(), "p");
        assert!(tokio::time::timeout(Duration::from_secs(5), watch.next()).await.unwrap().is_none());
    }
}
