//! Every version that is defined has its APIService.

use serde_json::json;
use testkit::eventually;

use super::{DEFINITIONS, defined};
use crate::cluster::Cluster;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn api_services_come_and_go_with_definitions() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    defined(&client).await;
    const SERVICE: &str = "/apis/apiregistration.k8s.io/v1/apiservices/v1.example.com";
    let service = eventually(|| async {
        let answer = client.get(SERVICE).await;
        if answer.code == 200 { Ok(answer.json()) } else { Err(answer.code) }
    })
    .await;
    assert_eq!(
        service["spec"],
        json!({"group": "example.com", "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 100})
    );
    assert_eq!(service["metadata"]["labels"], json!({"kube-aggregator.kubernetes.io/automanaged": "true"}));
    assert_eq!(service["status"]["conditions"][0]["status"], "True");
    // A version that is served no longer loses it, the last one with its definition.
    let path = format!("{DEFINITIONS}/wands.example.com");
    let mut changed = client.get(&path).await.ok();
    changed["spec"]["versions"][1]["served"] = false.into();
    client.put(&path, &changed).await.ok();
    let gone = |name: &'static str| {
        let client = client.clone();
        async move {
            eventually(|| async {
                let code =
                    client.get(&format!("/apis/apiregistration.k8s.io/v1/apiservices/{name}")).await.code;
                if code == 404 { Ok(()) } else { Err(code) }
            })
            .await;
        }
    };
    gone("v1beta1.example.com").await;
    assert_eq!(client.get(SERVICE).await.code, 200);
    client.delete(&path).await.ok();
    gone("v1.example.com").await;
}
