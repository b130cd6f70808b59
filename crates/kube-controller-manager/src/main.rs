//! The kube-controller-manager process.

use std::process::ExitCode;

fn main() -> ExitCode {
    let (config, ignored) = component::flags::parse::<kube_controller_manager::Config>(&[
        component::flags::SERVING,
        component::flags::CLIENT,
        kube_controller_manager::IGNORED,
    ]);
    let logging = config.logging.clone();
    // One worker: controllers wait on the API server nearly all the time, and every thread costs memory.
    component::run("kube-controller-manager", 1, &logging, &ignored, |runtime| {
        kube_controller_manager::run(config, runtime)
    })
}
