//! Every controller loop of the cluster.
