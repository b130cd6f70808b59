//! Compiles the contracts without a system protoc.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    const CONTRACTS: [&str; 2] = ["../../proto/csi.proto", "../../proto/pluginregistration.proto"];
    for contract in CONTRACTS {
        println!("cargo:rerun-if-changed={contract}");
    }
    let descriptors = protox::compile(CONTRACTS, ["../../proto"])?;
    tonic_prost_build::configure()
        // What is sent is the same every time.
        .btree_map(".")
        .compile_fds(descriptors)?;
    Ok(())
}
