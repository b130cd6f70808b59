//! The Container Runtime Interface v1: messages, client, and the runtime trait the kubelet drives.
