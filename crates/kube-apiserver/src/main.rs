//! The API server: authentication, authorisation, admission, storage in etcd, watch.

use std::process::ExitCode;

use kube_apiserver::{Flags, IGNORED, run};

fn main() -> ExitCode {
    let (flags, ignored) = component::flags::parse::<Flags>(&[IGNORED]);
    // Upstream refuses gates before it logs anything.
    if let Err(why) = flags.gates() {
        eprintln!("Error: {why}");
        return ExitCode::FAILURE;
    }
    let logging = flags.logging.clone();
    component::run("kube-apiserver", run::threads(), &logging, &ignored, |runtime| run::start(runtime, flags))
}
