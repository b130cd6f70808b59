//! The kubelet's process.

use std::process::ExitCode;

use kubelet::{Config, Flags, IGNORED};

fn main() -> ExitCode {
    let (flags, ignored) = component::flags::parse::<Flags>(&[IGNORED]);
    let logging = flags.logging.clone();
    component::run("kubelet", 2, &logging, &ignored, |process| async move {
        kubelet::run(Config::new(flags)?, process).await
    })
}
