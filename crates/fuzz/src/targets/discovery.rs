//! What aggregated servers and API servers say of what they serve, and the pages that come through proxies.

use kube_apiserver::aggregation;
use kube_apiserver::streaming::rewrite::{Place, Scanner};
use serde_json::{Value, json};

use super::{seeds, text};

pub fn documents() -> Vec<Vec<u8>> {
    let verbs = json!(["get", "list"]);
    [
        json!({"kind": "APIResourceList", "groupVersion": "a.io/v1", "resources": [
            {"name": "things", "singularName": "thing", "kind": "Thing", "namespaced": true, "verbs": verbs, "shortNames": ["th"], "categories": ["all"]},
            {"name": "things/status", "kind": "Thing", "verbs": ["get"]},
            {"name": "things/scale", "group": "autoscaling", "version": "v1", "kind": "Scale", "verbs": []},
            {"name": "none/status"}]}),
        json!({"kind": "APIGroupDiscoveryList", "items": [{"metadata": {"name": "a.io"}, "versions": [{"version": "v1", "freshness": "Current",
            "resources": [{"resource": "things", "responseKind": {"group": "a.io", "version": "v1", "kind": "Thing"}, "scope": "Namespaced",
                "singularResource": "thing", "verbs": verbs, "subresources": [{"subresource": "status", "verbs": ["get"]}]}]}]}]}),
        json!({"kind": "APIGroupList", "groups": [{"name": "a.io", "versions": [{"groupVersion": "a.io/v1", "version": "v1"}],
            "preferredVersion": {"groupVersion": "a.io/v1"}}]}),
        json!({"kind": "APIVersions", "versions": ["v1"]}),
        json!({"paths": {"apis/a.io/v1": {"serverRelativeURL": "/openapi/v3/apis/a.io/v1?hash=1A"}}}),
    ]
    .iter()
    .map(|document| document.to_string().into_bytes())
    .collect()
}

/// Documents of discovery, as this server reads those of servers behind it and as clients read them.
pub fn discovery(input: &[u8]) -> bool {
    let url = aggregation::v3_url(input, "a.io", "v1");
    if let Some(url) = &url {
        assert!(url.starts_with("/openapi/v3/apis/a.io/v1"), "no other place is asked");
    }
    let Ok(document) = serde_json::from_slice::<Value>(input) else { return false };
    let listed = document["resources"].as_array().map_or(0, Vec::len);
    let resources = aggregation::resources(&document, "a.io", "v1");
    if let Some(resources) = &resources {
        let resources = resources.as_array().expect("resources are a list");
        let below = resources.iter().filter_map(|resource| resource["subresources"].as_array()).map(Vec::len);
        assert!(resources.len() + below.sum::<usize>() <= listed, "nothing is there twice");
    }
    let mut found = Vec::new();
    for version in cli_runtime::discovery::group_versions(&document) {
        cli_runtime::discovery::classic(&document, &version, &mut found);
    }
    found.clear();
    cli_runtime::discovery::classic(&document, "a.io/v1", &mut found);
    let below: usize = found.iter().map(|resource| resource.subresources.len()).sum();
    assert!(found.len() + below <= listed, "nothing is there twice");
    cli_runtime::discovery::aggregated(&document, &mut found);
    // Clients keep it in a file.
    let kept = serde_json::to_string(&found).expect("resources are written");
    assert_eq!(
        serde_json::from_str::<Vec<cli_runtime::discovery::Resource>>(&kept).ok().as_ref(),
        Some(&found)
    );
    for resource in &found {
        drop((
            resource.path(Some("n")),
            resource.object_path(None, "a:b"),
            resource.label(),
            resource.qualified(),
        ));
    }
    url.is_some() || resources.is_some() || !found.is_empty()
}

pub fn pages() -> Vec<Vec<u8>> {
    seeds(&[
        r#"<!-- <a href="/x"> --><a title="a>b" href="/y">t</a><IMG SRC='/z'/><a href=/u><script>if (a<b) s = '</a>';</script>"#,
        "<style>a</style><form action = \"//api:6443/v\"><a href=\"http://10.0.0.1/\u{e9}?q#f\" data-x=1>1 < 2 <",
        "<script src=/a/><a href=><a href='/x",
    ])
}

/// A page of a pod or a service that comes through the server: whole or in pieces, its links are the same ones.
pub fn page(input: &[u8]) -> bool {
    let place = Place { prefix: "/p".into(), client_host: "api:6443".into(), target_host: "10.0.0.1".into() };
    let shown = |pieces: &[&[u8]]| {
        let mut scanner = Scanner::default();
        let mut out: Vec<u8> = pieces.iter().flat_map(|piece| scanner.feed(piece, &place)).collect();
        out.extend(scanner.finish());
        out
    };
    let whole = shown(&[input]);
    // Each link grows by the prefix or by nothing, and takes a letter and an equals sign.
    assert!(whole.len() <= input.len() * 2 + place.prefix.len(), "{} made {}", input.len(), whole.len());
    // Longer tags are passed on as they are, and where they are cut then shows.
    if input.len() < 8 << 10 {
        let middle = input.len() / 2;
        assert_eq!(text(&shown(&[&input[..middle], &input[middle..]])), text(&whole));
        let small: Vec<&[u8]> = input.chunks(7).collect();
        assert_eq!(text(&shown(&small)), text(&whole));
    }
    whole != input
}
