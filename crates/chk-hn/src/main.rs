//! An HTTP server that answers with the name of the host it runs on.

fn main() {}
