//! Documents about the API, health and metrics.

use serde_json::json;

use crate::cluster::{Cluster, MAPS};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_tell_of_the_api() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    assert_eq!(client.get("/version").await.ok()["gitVersion"], "v1.36.0");
    let core = client.get("/api/v1").await.ok();
    assert!(core["resources"].as_array().unwrap().iter().any(|resource| resource["name"] == "pods/eviction"));
    assert_eq!(client.get("/apis/apps").await.ok()["preferredVersion"]["groupVersion"], "apps/v1");
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
    let aggregated = client.get_as("/apis", accept).await;
    let tag = aggregated.headers["etag"].to_str().unwrap().to_owned();
    assert!(aggregated.headers["content-type"].to_str().unwrap().contains("as=APIGroupDiscoveryList"));
    assert_eq!(aggregated.ok()["kind"], "APIGroupDiscoveryList");
    let again =
        client.ask(http::Method::GET, "/apis", &[("accept", accept), ("if-none-match", &tag)], "").await;
    assert_eq!((again.code, again.body.len()), (304, 0));
    assert_eq!(client.get("/openapi/v2").await.ok()["swagger"], "2.0");
    let asked = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    let binary = client.get_as("/openapi/v2", asked).await;
    assert_eq!(binary.headers["content-type"], "application/com.github.proto-openapi.spec.v2.v1.0+protobuf");
    assert!(binary.body.starts_with(b"\n\x032.0"), "field 1 is the version of the form");
    let index = client.get("/openapi/v3").await.ok();
    let url = index["paths"]["apis/apps/v1"]["serverRelativeURL"].as_str().unwrap();
    assert_eq!(client.get(url).await.ok()["openapi"], "3.0.0");
    assert!(client.get("/").await.ok()["paths"].as_array().unwrap().contains(&json!("/apis/apps/v1")));
    assert_eq!(client.get("/nothing").await.code, 404);
    assert_eq!(client.get("/openid/v1/jwks").await.ok()["keys"][0]["use"], "sig");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_and_metrics_are_told() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    client.get(MAPS).await.ok();
    for path in ["/livez", "/readyz", "/healthz", "/readyz/etcd", "/livez/ping"] {
        assert_eq!(client.get(path).await.body, "ok", "{path}");
    }
    let verbose = client.get("/readyz?verbose").await;
    assert!(String::from_utf8_lossy(&verbose.body).ends_with("readyz check passed\n"));
    assert_eq!(client.get("/readyz/nothing").await.code, 404);
    let metrics = client.get("/metrics").await;
    let text = String::from_utf8_lossy(&metrics.body).into_owned();
    for name in [
        "apiserver_request_total{",
        "apiserver_request_duration_seconds_bucket{",
        "etcd_request_duration_seconds_count{",
        "apiserver_storage_objects{resource=\"configmaps\"}",
        "process_resident_memory_bytes",
    ] {
        assert!(text.contains(name), "{name}");
    }
    let anyone = cluster.client("jane", &[]).await;
    assert_eq!(anyone.get("/livez").await.code, 200);
    assert_eq!(anyone.get("/metrics").await.refusal().0, 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reviews_say_who_may_what() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    let review = json!({"spec": {"resourceAttributes": {"verb": "list", "resource": "pods"}}});
    let answer = client.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", &review).await.ok();
    assert_eq!(answer["status"]["allowed"], true);
    let whoami = client.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", &json!({})).await.ok();
    assert_eq!(whoami["status"]["userInfo"]["username"], "admin");
    client
        .post("/api/v1/namespaces/default/serviceaccounts", &json!({"metadata": {"name": "robot"}}))
        .await
        .ok();
    let request = json!({"spec": {"expirationSeconds": 3600}});
    let path = "/api/v1/namespaces/default/serviceaccounts/robot/token";
    let token = client.post(path, &request).await.ok()["status"]["token"].as_str().unwrap().to_owned();
    let review = client
        .post("/apis/authentication.k8s.io/v1/tokenreviews", &json!({"spec": {"token": token}}))
        .await
        .ok();
    assert_eq!(review["status"]["user"]["username"], "system:serviceaccount:default:robot");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_look_into_the_server_by_its_pages() {
    let cluster = Cluster::start_with(&["--strict-transport-security-directives=max-age=60"]).await;
    let admin = cluster.admin().await;
    let status = admin.get("/statusz").await;
    assert_eq!(status.headers["strict-transport-security"], "max-age=60");
    let text = String::from_utf8(status.body.to_vec()).unwrap();
    assert!(text.contains("statusz\nWarning: ") && text.contains("Binary version: 1.36.0"), "{text}");
    let form = "application/json;as=Statusz;v=v1beta1;g=config.k8s.io";
    assert_eq!(admin.get_as("/statusz", form).await.ok()["kind"], "Statusz");
    assert_eq!(admin.get_as("/flagz", "application/json").await.code, 406);
    let index = String::from_utf8(admin.get("/debug/pprof/").await.body.to_vec()).unwrap();
    assert!(index.contains("profile?seconds=30"), "{index}");
    let slis = String::from_utf8(admin.get("/metrics/slis").await.body.to_vec()).unwrap();
    assert!(slis.contains("kubernetes_healthcheck{name=\"etcd\",type=\"readyz\"} 1"), "{slis}");
    for _ in 0..2 {
        assert_eq!(admin.get("/livez?exclude=log").await.code, 200);
    }
    let slis = String::from_utf8(admin.get("/metrics/slis").await.body.to_vec()).unwrap();
    let series = "kubernetes_healthchecks_total{name=\"etcd\",status=\"success\",type=\"livez\"} 2\n";
    assert!(slis.contains(series), "{slis}");
    assert!(!slis.contains("kubernetes_healthchecks_total{name=\"log\""), "{slis}");
    let jane = cluster.client("jane", &[]).await;
    for path in ["/statusz", "/flagz", "/debug/pprof/cmdline", "/metrics/slis"] {
        assert_eq!(jane.get(path).await.code, 403, "{path}");
    }
}
