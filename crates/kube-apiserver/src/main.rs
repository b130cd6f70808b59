//! The API server: authentication, authorisation, admission, storage in etcd, watch.

fn main() {}
