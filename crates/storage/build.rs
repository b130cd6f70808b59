//! Compiles the contracts with etcd and with key services without a system protoc.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=../../proto/kms.proto");
    let key_services = protox::compile(["../../proto/kms.proto"], ["../../proto"])?;
    tonic_prost_build::configure().btree_map(".").compile_fds(key_services)?;

    println!("cargo:rerun-if-changed=../../proto/etcd.proto");
    let etcd = protox::compile(["../../proto/etcd.proto"], ["../../proto"])?;
    // Messages alone: the calls are the crate's own.
    tonic_prost_build::configure().build_client(false).build_server(false).bytes(".").compile_fds(etcd)?;
    Ok(())
}
