//! Memory that starting needed and running does not.

use std::time::Duration;

/// How long after readiness the first lists are worked off.
pub const SETTLED: Duration = Duration::from_secs(10);

/// Gives freed memory back to the kernel: lists, discovery and configuration are read once, and the allocator would
/// keep what they took for a need that does not come again.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim only releases pages that hold no allocation, under the allocator's own locks.
    #[allow(unsafe_code)]
    unsafe {
        libc::malloc_trim(0);
    }
}
