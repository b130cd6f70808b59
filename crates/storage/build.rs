//! Compiles the contract with key services without a system protoc.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    const CONTRACT: &str = "../../proto/kms.proto";
    println!("cargo:rerun-if-changed={CONTRACT}");
    let descriptors = protox::compile([CONTRACT], ["../../proto"])?;
    tonic_prost_build::configure().btree_map(".").compile_fds(descriptors)?;
    Ok(())
}
