//! The cloud-controller-manager process.

use std::process::ExitCode;

fn main() -> ExitCode {
    let (config, ignored) = component::flags::parse::<cloud_controller_manager::Config>(&[
        component::flags::SERVING,
        component::flags::CLIENT,
        cloud_controller_manager::IGNORED,
    ]);
    let logging = config.logging.clone();
    // One worker: controllers wait on the API server nearly all the time, and every thread costs memory.
    component::run("cloud-controller-manager", 1, &logging, &ignored, |runtime| {
        cloud_controller_manager::run(config, runtime)
    })
}
