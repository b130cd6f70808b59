//! A volume's ways of being mounted, as the contract says them.

use crate::v1::{
    VolumeCapability,
    volume_capability::{AccessMode, AccessType as Type, BlockVolume, MountVolume, access_mode::Mode},
};

/// What a pod is to find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessType {
    /// A raw device.
    Block,
    /// A directory.
    Mount {
        /// The file system; empty leaves it to the driver.
        fs_type: String,
        /// Options of the mount.
        flags: Vec<String>,
        /// The group that is to own what is in it, for drivers that see to that.
        group: String,
    },
}

/// What a driver knows of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// One or many pods of a node that write are all one to it.
    Plain,
    /// It tells one pod that writes from many on one node (`SINGLE_NODE_MULTI_WRITER`).
    CountsWriters,
}

/// Reads a way of mounting (`accessModes`); one that is not known is none.
pub fn access_mode(mode: &str, driver: Driver) -> Mode {
    match (mode, driver) {
        ("ReadWriteMany", _) => Mode::MultiNodeMultiWriter,
        ("ReadOnlyMany", _) => Mode::MultiNodeReaderOnly,
        ("ReadWriteOnce" | "ReadWriteOncePod", Driver::Plain) => Mode::SingleNodeWriter,
        ("ReadWriteOnce", Driver::CountsWriters) => Mode::SingleNodeMultiWriter,
        ("ReadWriteOncePod", Driver::CountsWriters) => Mode::SingleNodeSingleWriter,
        _ => Mode::Unknown,
    }
}

/// Puts a capability together.
pub fn capability(kind: &AccessType, mode: Mode) -> VolumeCapability {
    let kind = match kind {
        AccessType::Block => Type::Block(BlockVolume {}),
        AccessType::Mount { fs_type, flags, group } => Type::Mount(MountVolume {
            fs_type: fs_type.clone(),
            mount_flags: flags.clone(),
            volume_mount_group: group.clone(),
        }),
    };
    VolumeCapability { access_type: Some(kind), access_mode: Some(AccessMode { mode: mode.into() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pod_that_writes_is_told_from_many_where_the_driver_can() {
        for (mode, plain, counting) in [
            ("ReadWriteOnce", Mode::SingleNodeWriter, Mode::SingleNodeMultiWriter),
            ("ReadWriteOncePod", Mode::SingleNodeWriter, Mode::SingleNodeSingleWriter),
            ("ReadOnlyMany", Mode::MultiNodeReaderOnly, Mode::MultiNodeReaderOnly),
            ("ReadWriteMany", Mode::MultiNodeMultiWriter, Mode::MultiNodeMultiWriter),
            ("Sometimes", Mode::Unknown, Mode::Unknown),
        ] {
            assert_eq!(access_mode(mode, Driver::Plain), plain, "{mode}");
            assert_eq!(access_mode(mode, Driver::CountsWriters), counting, "{mode}");
        }
    }
}
