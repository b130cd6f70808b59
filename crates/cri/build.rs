//! Compiles the CRI contract without a system protoc.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    const CONTRACT: &str = "../../proto/runtime/v1/api.proto";
    println!("cargo:rerun-if-changed={CONTRACT}");
    let descriptors = protox::compile([CONTRACT], ["../../proto"])?;
    tonic_prost_build::configure()
        .build_server(false)
        // Labels and annotations come back in one order every time.
        .btree_map(".")
        .compile_fds(descriptors)?;
    Ok(())
}
