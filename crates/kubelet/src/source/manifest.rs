//! Static pods: manifests in a folder, run without the API server's word.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use k8s_openapi::api::core::v1::{Pod, Toleration};
use sha2::{Digest, Sha256};

use super::mirror;
use crate::{
    kubelet::Kubelet,
    listen,
    pod::{self, HASH_ANNOTATION, SOURCE_ANNOTATION},
    volume::blocking,
};

/// How often the folder is read even when nothing was heard of it (`fileCheckFrequency`).
const CHECK: Duration = Duration::from_secs(20);

/// Runs the pods of a folder; runs until shutdown.
pub async fn run(kubelet: Arc<Kubelet>, folder: PathBuf) -> anyhow::Result<()> {
    let shutdown = kubelet.process.shutdown();
    let mut present: BTreeMap<String, Arc<Pod>> = BTreeMap::new();
    let mut listener = listen::replaced(&folder);
    loop {
        let (path, node) = (folder.clone(), kubelet.settings.node_name.clone());
        let found = blocking(move || Ok(read(&path, &node))).await?;
        for (uid, gone) in &present {
            if !found.contains_key(uid) {
                kubelet.pods.remove(Arc::clone(gone));
                mirror::remove(&kubelet, gone);
            }
        }
        for (uid, pod) in &found {
            if !present.contains_key(uid) {
                kubelet.pods.apply(Arc::clone(pod));
                mirror::ensure(&kubelet, pod);
            }
        }
        present = found;
        kubelet.manifests_read.send_replace(true);
        tokio::select! {
            () = listen::changed(listener.as_mut()) => {
                // Editors write in several steps.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            () = tokio::time::sleep(CHECK) => {
                present.values().for_each(|pod| mirror::ensure(&kubelet, pod));
            }
            () = shutdown.cancelled() => return Ok(()),
        }
    }
}

/// Reads every manifest of a folder. One that cannot be read is passed over with a warning.
fn read(folder: &Path, node: &str) -> BTreeMap<String, Arc<Pod>> {
    let mut pods = BTreeMap::new();
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    paths.sort();
    for path in paths {
        let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        if hidden {
            continue;
        }
        let parsed =
            fs::read_to_string(&path).map_err(anyhow::Error::from).and_then(|text| parse(&text, node, &path));
        match parsed {
            Ok(pod) => {
                pods.insert(pod::uid(&pod).to_owned(), Arc::new(pod));
            }
            Err(error) => tracing::warn!(path = %path.display(), "cannot use a manifest: {error:#}"),
        }
    }
    pods
}

/// Reads a manifest and makes it a pod of this node: its name carries the node's, its uid is its hash.
pub fn parse(text: &str, node: &str, path: &Path) -> anyhow::Result<Pod> {
    // By way of a tree: a YAML reader of all that a pod may hold would be a sixth of the kubelet.
    let tree: serde_json::Value = serde_saphyr::from_str(text)?;
    let mut pod: Pod = serde_json::from_value(tree)?;
    let name = pod.metadata.name.clone().unwrap_or_default();
    anyhow::ensure!(!name.is_empty(), "the pod has no name");
    let spec = pod.spec.get_or_insert_default();
    anyhow::ensure!(!spec.containers.is_empty(), "the pod has no containers");
    spec.node_name = Some(node.to_owned());
    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
        // The API server fills these in for everyone else.
        if let Some(resources) = &mut container.resources
            && let Some(limits) = &resources.limits
        {
            let requests = resources.requests.get_or_insert_default();
            for (name, amount) in limits {
                requests.entry(name.clone()).or_insert_with(|| amount.clone());
            }
        }
    }
    spec.service_account_name = None;
    // Nothing the cluster does with taints ends a static pod.
    spec.tolerations.get_or_insert_default().push(Toleration {
        operator: Some("Exists".into()),
        effect: Some("NoExecute".into()),
        ..Toleration::default()
    });
    let mut hash = Sha256::new();
    for part in [node, &path.display().to_string(), text] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let digest: String = hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let metadata = &mut pod.metadata;
    if metadata.uid.as_deref().unwrap_or_default().is_empty() {
        metadata.uid = Some(digest.clone());
    }
    metadata.name = Some(format!("{name}-{node}"));
    metadata.namespace.get_or_insert_with(|| "default".to_owned());
    metadata.creation_timestamp = None;
    let annotations = metadata.annotations.get_or_insert_default();
    annotations.insert(HASH_ANNOTATION.to_owned(), digest);
    annotations.insert(SOURCE_ANNOTATION.to_owned(), "file".to_owned());
    Ok(pod)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\nspec:\n  containers:\n  - name: c\n    image: i\n";

    #[test]
    fn a_manifest_becomes_a_pod_of_the_node() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("web.yaml"), MANIFEST).unwrap();
        fs::write(folder.path().join(".swp"), "junk").unwrap();
        fs::write(folder.path().join("broken.yaml"), "{").unwrap();
        let pods = read(folder.path(), "node-1");
        let (uid, pod) = pods.first_key_value().unwrap();
        assert_eq!((pods.len(), pod::name(pod), pod::namespace(pod)), (1, "web-node-1", "default"));
        assert!(pod::is_static(pod));
        let again = read(folder.path(), "node-1");
        assert_eq!(again.first_key_value().unwrap().0, uid);
        fs::write(folder.path().join("web.yaml"), MANIFEST.replace("image: i", "image: j")).unwrap();
        assert_ne!(read(folder.path(), "node-1").first_key_value().unwrap().0, uid);
    }
}
