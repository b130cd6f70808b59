//! Objects that were stored before their definition became what it is.

use serde_json::{Value, json};
use testkit::eventually;

use super::{DEFINITIONS, WANDS, defined, definition, established, wand};
use crate::cluster::Cluster;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn defaults_that_are_declared_later_are_read_and_written() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    defined(&client).await;
    let old = client.post(WANDS, &wand("elder", json!({"core": "phoenix", "ports": null}))).await.ok();
    assert_eq!(old["spec"], json!({"core": "phoenix", "length": 11}));
    let path = format!("{DEFINITIONS}/wands.example.com");
    let mut changed = client.get(&path).await.ok();
    for version in changed["spec"]["versions"].as_array_mut().unwrap() {
        let spec = &mut version["schema"]["openAPIV3Schema"]["properties"]["spec"];
        spec["properties"]["replicas"]["default"] = 7.into();
        spec["properties"]["ports"]["nullable"] = true.into();
    }
    client.put(&path, &changed).await.ok();
    let read = eventually(|| async {
        let read = client.get(&format!("{WANDS}/elder")).await.ok();
        if read["spec"]["replicas"] == 7 { Ok(read) } else { Err(read) }
    })
    .await;
    // It is the same version still.
    assert_eq!(read["metadata"]["resourceVersion"], old["metadata"]["resourceVersion"]);
    let list = client.get(WANDS).await.ok();
    assert_eq!(list["items"][0]["spec"]["replicas"], 7);
    let mut watch = client.watch(&format!("{WANDS}?watch=true")).await;
    assert_eq!(watch.next().await.unwrap()["object"]["spec"]["replicas"], 7);
    // Writing what is read writes it down.
    let written = client.put(&format!("{WANDS}/elder"), &read).await.ok();
    assert_ne!(written["metadata"]["resourceVersion"], old["metadata"]["resourceVersion"]);
    let null = client.post(WANDS, &wand("null", json!({"ports": null}))).await.ok();
    assert_eq!(null["spec"], json!({"length": 11, "ports": null, "replicas": 7}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_of_an_older_stored_version_are_served_as_the_present_one() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    let storing = |object: &mut Value, stored: &str| {
        for version in object["spec"]["versions"].as_array_mut().unwrap() {
            version["storage"] = (version["name"] == stored).into();
        }
    };
    let mut object = definition();
    storing(&mut object, "v1beta1");
    client.post(DEFINITIONS, &object).await.ok();
    established(&client).await;
    let old = client.post(WANDS, &wand("elder", json!({"core": "phoenix"}))).await.ok();
    let path = format!("{DEFINITIONS}/wands.example.com");
    let mut changed = client.get(&path).await.ok();
    storing(&mut changed, "v1");
    let changed = client.put(&path, &changed).await.ok();
    assert_eq!(changed["status"]["storedVersions"], json!(["v1beta1", "v1"]));
    // What is not changed is written all the same, which is how storage is migrated.
    let written = eventually(|| async {
        let read = client.get(&format!("{WANDS}/elder")).await.ok();
        assert_eq!(read["apiVersion"], "example.com/v1");
        let written = client.put(&format!("{WANDS}/elder"), &read).await.ok();
        let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
        if version(&written) != version(&old) { Ok(written) } else { Err(written) }
    })
    .await;
    let again = client.put(&format!("{WANDS}/elder"), &written).await.ok();
    assert_eq!(again["metadata"]["resourceVersion"], written["metadata"]["resourceVersion"]);
    // Now the old version may go from the status, and then from the definition.
    let mut gone = client.get(&path).await.ok();
    gone["spec"]["versions"].as_array_mut().unwrap().retain(|version| version["name"] == "v1");
    let refused = client.put(&path, &gone).await.refusal();
    assert!(refused.1.contains("v1beta1 was previously a storage version"), "{}", refused.1);
    let status = json!({"status": {"storedVersions": ["v1"]}});
    client.patch(&format!("{path}/status"), "merge-patch", &status).await.ok();
    // The status may say that there is none, but the version that is stored comes back.
    let none = json!({"status": {"storedVersions": []}});
    client.patch(&format!("{path}/status"), "merge-patch", &none).await.ok();
    eventually(|| async {
        let read = client.get(&path).await.ok();
        if read["status"]["storedVersions"] == json!(["v1"]) { Ok(()) } else { Err(read) }
    })
    .await;
    client.patch(&path, "merge-patch", &json!({"spec": {"versions": gone["spec"]["versions"]}})).await.ok();
}
