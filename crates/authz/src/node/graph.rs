//! The relations between nodes and the objects they need, counted so that each change costs its own size.

use std::collections::HashMap;

use super::references::{BoundVolume, PlacedPod, Target};

type Name = Box<str>;
type ByName<T> = HashMap<Name, HashMap<Name, T>>;

#[derive(Default)]
pub(super) struct Graph {
    /// By namespace and name.
    pods: ByName<PlacedPod>,
    /// For each object needed (by kind, namespace, name): the nodes that need it, each with the number of its pods.
    needed: HashMap<Target, ByName<Vec<(Name, u32)>>>,
    volumes: HashMap<Name, BoundVolume>,
    /// For each secret that volumes need (by namespace, name): the volumes.
    volume_secrets: ByName<Vec<Name>>,
    attachments: HashMap<Name, Name>,
    slices: HashMap<Name, Name>,
}

impl Graph {
    pub fn put_pod(&mut self, namespace: &str, name: &str, pod: Option<PlacedPod>) {
        let known = self.pods.get(namespace).and_then(|pods| pods.get(name));
        // Most changes of a pod are of its status, and change nothing here.
        if known == pod.as_ref() {
            return;
        }
        if let Some(old) = take(&mut self.pods, namespace, name) {
            for (target, needed) in &old.needs {
                self.release(*target, namespace, needed, &old.node);
            }
        }
        let Some(pod) = pod else { return };
        for (target, needed) in &pod.needs {
            let nodes = self.needed.entry(*target).or_default();
            let nodes = nodes.entry(namespace.into()).or_default().entry(needed.clone()).or_default();
            match nodes.iter_mut().find(|(node, _)| *node == pod.node) {
                Some((_, count)) => *count += 1,
                None => nodes.push((pod.node.clone(), 1)),
            }
        }
        self.pods.entry(namespace.into()).or_default().insert(name.into(), pod);
    }

    fn release(&mut self, target: Target, namespace: &str, name: &str, node: &str) {
        let Some(objects) = self.needed.get_mut(&target) else { return };
        let Some(nodes) = objects.get_mut(namespace).and_then(|names| names.get_mut(name)) else { return };
        if let Some(at) = nodes.iter().position(|(known, _)| **known == *node) {
            nodes[at].1 -= 1;
            if nodes[at].1 == 0 {
                nodes.swap_remove(at);
            }
        }
        if nodes.is_empty() {
            take(objects, namespace, name);
        }
    }

    pub fn put_volume(&mut self, name: &str, volume: Option<BoundVolume>) {
        if self.volumes.get(name) == volume.as_ref() {
            return;
        }
        if let Some(old) = self.volumes.remove(name) {
            for (namespace, secret) in &old.secrets {
                let volumes = self.volume_secrets.get_mut(namespace).and_then(|names| names.get_mut(secret));
                let Some(volumes) = volumes else { continue };
                volumes.retain(|known| **known != *name);
                if volumes.is_empty() {
                    take(&mut self.volume_secrets, namespace, secret);
                }
            }
        }
        let Some(volume) = volume else { return };
        for (namespace, secret) in &volume.secrets {
            let names = self.volume_secrets.entry(namespace.clone()).or_default();
            names.entry(secret.clone()).or_default().push(name.into());
        }
        self.volumes.insert(name.into(), volume);
    }

    pub fn put_attachment(&mut self, name: &str, node: &str) {
        put(&mut self.attachments, name, node);
    }

    pub fn put_slice(&mut self, name: &str, node: &str) {
        put(&mut self.slices, name, node);
    }

    pub fn clear(&mut self, kind: &str) {
        match kind {
            "Pod" => {
                self.pods.clear();
                self.needed.clear();
            }
            "PersistentVolume" => {
                self.volumes.clear();
                self.volume_secrets.clear();
            }
            "VolumeAttachment" => self.attachments.clear(),
            "ResourceSlice" => self.slices.clear(),
            _ => {}
        }
    }

    pub fn pod_is_on(&self, node: &str, namespace: &str, name: &str) -> bool {
        self.pods.get(namespace).and_then(|pods| pods.get(name)).is_some_and(|pod| *pod.node == *node)
    }

    pub fn attachment_is_on(&self, node: &str, name: &str) -> bool {
        self.attachments.get(name).is_some_and(|of| **of == *node)
    }

    pub fn slice_is_on(&self, node: &str, name: &str) -> bool {
        self.slices.get(name).is_some_and(|of| **of == *node)
    }

    /// Whether a pod on the node needs the object; a secret also by a volume that such a pod claims.
    pub fn node_needs(&self, node: &str, target: Target, namespace: &str, name: &str) -> bool {
        let by_pod = self
            .needed
            .get(&target)
            .and_then(|objects| objects.get(namespace)?.get(name))
            .is_some_and(|nodes| nodes.iter().any(|(of, _)| **of == *node));
        by_pod
            || target == Target::Secret
                && self
                    .volume_secrets
                    .get(namespace)
                    .and_then(|names| names.get(name))
                    .is_some_and(|volumes| volumes.iter().any(|volume| self.node_needs_volume(node, volume)))
    }

    /// Whether a pod on the node claims the volume.
    pub fn node_needs_volume(&self, node: &str, volume: &str) -> bool {
        self.volumes
            .get(volume)
            .is_some_and(|volume| self.node_needs(node, Target::Claim, &volume.claim.0, &volume.claim.1))
    }
}

fn put(index: &mut HashMap<Name, Name>, name: &str, node: &str) {
    if node.is_empty() {
        index.remove(name);
    } else {
        index.insert(name.into(), node.into());
    }
}

fn take<T>(index: &mut ByName<T>, namespace: &str, name: &str) -> Option<T> {
    let names = index.get_mut(namespace)?;
    let taken = names.remove(name);
    if names.is_empty() {
        index.remove(namespace);
    }
    taken
}
