//! One decoder, which the environment variable `DECODER` names, for libFuzzer.
//!
//! It writes the decoder's seeds into the corpus that it is given, and leaves the rest to the engine.

#![no_main]

use std::path::Path;
use std::sync::OnceLock;

use fuzz::{TARGETS, Target};
use libfuzzer_sys::fuzz_target;

/// The one of this process.
static TARGET: OnceLock<&'static Target> = OnceLock::new();

/// Where libFuzzer's handlers run: the stack that has overflown is none to write down an input on.
const HANDLERS: usize = 64 << 10;

fuzz_target!(init: begin(), |input: &[u8]| {
    let target = TARGET.get().expect("chosen at the start");
    (target.run)(input);
});

fn begin() {
    let Ok(name) = std::env::var("DECODER") else {
        TARGETS.iter().for_each(|target| println!("{}", target.name));
        eprintln!("set DECODER to one of these");
        std::process::exit(2);
    };
    let Some(target) = TARGETS.iter().find(|target| target.name == name) else {
        eprintln!("there is no decoder {name:?}");
        std::process::exit(2);
    };
    let _ = TARGET.set(target);
    let corpus = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    if let Some(corpus) = corpus.filter(|corpus| Path::new(corpus).is_dir()) {
        for (number, seed) in (target.seeds)().iter().enumerate() {
            if let Err(error) = std::fs::write(Path::new(&corpus).join(format!("seed-{number}")), seed) {
                eprintln!("{corpus}: {error}");
                std::process::exit(2);
            }
        }
    }
    handle_overflows();
}

/// Lets the handlers of signals run beside the stack. libFuzzer keeps this flag of a handler that is there before its own.
fn handle_overflows() {
    let stack = Box::leak(vec![0_u8; HANDLERS].into_boxed_slice());
    let stack = libc::stack_t { ss_sp: stack.as_mut_ptr().cast(), ss_flags: 0, ss_size: stack.len() };
    // SAFETY: the memory is never freed; both calls copy what they are given.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = libc::SIG_DFL;
        action.sa_flags = libc::SA_ONSTACK;
        libc::sigaltstack(&stack, std::ptr::null_mut());
        libc::sigaction(libc::SIGSEGV, &action, std::ptr::null_mut());
        libc::sigaction(libc::SIGBUS, &action, std::ptr::null_mut());
    }
}
