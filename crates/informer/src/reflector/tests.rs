//! A reflector against a scripted server.

use std::collections::VecDeque;
use std::sync::Arc;

use http::Response;
use kube::client::Body;
use parking_lot::Mutex;
use tokio::sync::watch;
use tower::service_fn;

use super::*;
use crate::{PartialObject, Store};

type Script = VecDeque<(u16, String)>;

/// Answers requests in turn from the script and then never again; notes what was asked.
fn client(script: &[(u16, &str)]) -> (Client, watch::Receiver<Vec<String>>) {
    let script: Script = script.iter().map(|(code, body)| (*code, (*body).to_owned())).collect();
    let script = Arc::new(Mutex::new(script));
    let (log, asked) = watch::channel(Vec::new());
    let service = service_fn(move |request: Request<Body>| {
        let next = script.lock().pop_front();
        log.send_modify(|asked| asked.push(summary(&request)));
        async move {
            let Some((code, body)) = next else { return std::future::pending().await };
            let response = Response::builder().status(code).body(Body::from(body.into_bytes())).unwrap();
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    (Client::new(service, "default"), asked)
}

fn summary(request: &Request<Body>) -> String {
    let query = request.uri().query().unwrap_or_default();
    let kept = query.split('&').filter(|part| {
        ["sendInitialEvents", "resourceVersion=", "continue", "limit"]
            .iter()
            .any(|known| part.starts_with(known))
    });
    kept.collect::<Vec<_>>().join("&")
}

fn event(kind: &str, name: &str, version: &str) -> String {
    format!(
        r#"{{"type":"{kind}","object":{{"metadata":{{"name":"{name}","uid":"u-{name}","resourceVersion":"{version}"}}}}}}
"#
    )
}

const END: &str = concat!(
    r#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9","annotations":"#,
    r#"{"k8s.io/initial-events-end":"true"}}}}"#,
    "\n"
);
const GONE: &str = "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410,\"message\":\"too old resource version\"}}\n";

/// Runs until the script is used up and returns what was asked and what the store holds.
async fn run(script: &[(u16, &str)]) -> (Vec<String>, Vec<String>, bool) {
    let (client, asked) = client(script);
    let store = Store::<PartialObject>::new();
    let reflecting = reflect(client, Watch::resource("", "v1", "things", ""), store.clone());
    let _ = tokio::time::timeout(Duration::from_secs(200), reflecting).await;
    let held = store.list();
    let held = held.iter().map(|object| format!("{}@{}", object.name(), object.resource_version())).collect();
    let asked = asked.borrow().clone();
    (asked, held, store.is_ready())
}

#[tokio::test(start_paused = true)]
async fn streams_the_list_and_goes_on_from_where_the_watch_ended() {
    let first = event("ADDED", "a", "3") + &event("ADDED", "b", "4") + END + &event("MODIFIED", "a", "12");
    let second = event("DELETED", "b", "14") + "{\"type\":\"ADDED\",\"object\":{\"meta";
    let (asked, held, ready) = run(&[(200, &first), (200, &second)]).await;
    assert_eq!(asked, ["sendInitialEvents=true", "resourceVersion=12", "resourceVersion=14"]);
    assert_eq!(held, ["a@12"]);
    assert!(ready);
}

#[tokio::test(start_paused = true)]
async fn lists_by_pages_where_streaming_is_unknown() {
    let refusal = r#"{"kind":"Status","code":422,"message":"sendInitialEvents is forbidden"}"#;
    let first = r#"{"metadata":{"resourceVersion":"7","continue":"t"},"items":[{"metadata":{"name":"a","resourceVersion":"1"}}]}"#;
    let second = r#"{"metadata":{"resourceVersion":"7"},"items":null}"#;
    let (asked, held, ready) = run(&[(422, refusal), (200, first), (200, second)]).await;
    assert_eq!(asked, ["sendInitialEvents=true", "limit=500", "limit=500&continue=t", "resourceVersion=7"]);
    assert_eq!(held, ["a@1"]);
    assert!(ready);
}

#[tokio::test(start_paused = true)]
async fn lists_again_only_when_the_server_says_gone() {
    let first = event("ADDED", "a", "3") + END;
    let again = event("ADDED", "c", "20") + END;
    for gone in [(200, GONE), (410, "{\"message\":\"Expired\"}")] {
        let script = [(200, &*first), (503, "oops"), (200, ""), gone, (200, &*again)];
        let (asked, held, _) = run(&script).await;
        assert_eq!(
            asked,
            [
                "sendInitialEvents=true",
                "resourceVersion=9",
                "resourceVersion=9",
                "resourceVersion=9",
                "sendInitialEvents=true",
                "resourceVersion=9"
            ]
        );
        assert_eq!(held, ["c@20"]);
    }
}

#[tokio::test(start_paused = true)]
async fn is_not_ready_before_the_list_is_whole() {
    let (_, held, ready) = run(&[(200, &event("ADDED", "a", "3"))]).await;
    assert_eq!((held, ready), (vec!["a@3".to_owned()], false));
}

#[tokio::test(start_paused = true)]
async fn one_watch_that_is_back_brings_the_others_back() {
    let list = event("ADDED", "a", "3") + END;
    let (store, other) = (Store::<PartialObject>::new(), Store::<PartialObject>::new());
    let failures = [(503, "away"); 5];
    let (long_away, mut asked) = client(&[&failures[..], &[(200, &*list)]].concat());
    let (soon_back, _) = client(&[(503, "away"), (200, &*list)]);
    let waits = async {
        // Four pauses are over, and the fifth is of twelve seconds at least.
        asked.wait_for(|asked| asked.len() == failures.len()).await.unwrap();
        let soon = reflect(soon_back, Watch::resource("", "v1", "others", ""), other.clone());
        let both_ready = async { tokio::join!(store.ready(), other.ready()) };
        tokio::select! {
            _ = tokio::time::timeout(Duration::from_secs(4), both_ready) => {}
            () = soon => {}
        }
    };
    tokio::select! {
        () = waits => {}
        () = reflect(long_away, Watch::resource("", "v1", "things", ""), store.clone()) => {}
    }
    assert!(other.is_ready() && store.is_ready());
}
