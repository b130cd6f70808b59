//! A multi-node cluster on one machine: nodes as network namespaces, each with its own containerd.
