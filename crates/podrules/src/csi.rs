//! The names by which kubelet, controllers and attachers mean one volume, and its attachment to one node.

use sha2::{Digest, Sha256};

fn hex(parts: [&str; 3]) -> String {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part.as_bytes()));
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The name of a driver's volume in a node's `volumesInUse` and `volumesAttached`.
pub fn unique_volume_name(driver: &str, handle: &str) -> String {
    format!("kubernetes.io/csi/{driver}^{handle}")
}

/// The name of the VolumeAttachment of a driver's volume to a node.
pub fn attachment_name(handle: &str, driver: &str, node: &str) -> String {
    format!("csi-{}", hex([handle, driver, node]))
}

/// The handle of a volume that is written in a pod and goes with it.
pub fn ephemeral_handle(pod_uid: &str, volume: &str) -> String {
    format!("csi-{}", hex([pod_uid, volume, ""]))
}

/// The directory of a volume's handle below its driver's.
pub fn handle_directory(handle: &str) -> String {
    hex([handle, "", ""])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_upstreams() {
        assert_eq!(unique_volume_name("d.io", "h"), "kubernetes.io/csi/d.io^h");
        // The hash of "abc", which is in the standard.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(attachment_name("a", "b", "c"), format!("csi-{abc}"));
        assert_eq!(ephemeral_handle("ab", "c"), format!("csi-{abc}"));
        assert_eq!(handle_directory("abc"), abc);
    }
}
