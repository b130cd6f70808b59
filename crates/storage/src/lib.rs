//! Objects in etcd under upstream's keys, and the watch cache that serves their bytes.
