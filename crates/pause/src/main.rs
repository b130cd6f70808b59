//! The sandbox container: reaps children, ends on a signal.

use std::process::exit;

/// Set by nothing: the handlers end the process themselves, which is all a sandbox has to do.
extern "C" fn end(_: libc::c_int) {
    // SAFETY: `_exit` is async-signal-safe and does not return.
    #[allow(unsafe_code)]
    unsafe {
        libc::_exit(0)
    }
}

fn main() {
    let handler = end as extern "C" fn(libc::c_int) as libc::sighandler_t;
    // SAFETY: the handler only calls `_exit`; SIG_DFL for SIGCHLD with SA_NOCLDWAIT makes the kernel reap.
    #[allow(unsafe_code)]
    unsafe {
        libc::signal(libc::SIGINT, handler);
        libc::signal(libc::SIGTERM, handler);
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = libc::SIG_DFL;
        action.sa_flags = libc::SA_NOCLDWAIT;
        if libc::sigaction(libc::SIGCHLD, &action, std::ptr::null_mut()) != 0 {
            exit(2);
        }
        loop {
            libc::pause();
        }
    }
}
