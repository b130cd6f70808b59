//! Stacks of whoever runs, taken by a timer of processor time.
//!
//! The handler of SIGPROF interrupts any code at any place: it touches atomics and the unwinder, allocates nothing and takes
//! no lock.

use std::collections::HashMap;
use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::time::Duration;

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use parking_lot::Mutex;

/// Between two samples: 100 a second, as Go's.
pub(super) const PERIOD: Duration = Duration::from_millis(10);
/// The deepest stack; what is further out is left out.
const DEPTH: usize = 64;
/// The most samples of a profile: some 16 MiB while it is taken.
const MOST: usize = 32_768;
/// The frames of the handler: its own two, and the one by which the kernel calls it.
const OWN_FRAMES: usize = 3;

/// Stacks, the innermost address first, and how often each was seen.
pub(super) type Stacks = HashMap<Vec<usize>, u64>;

/// A stack as the handler writes it.
struct Slot {
    /// How many addresses there are; set last.
    depth: AtomicUsize,
    frames: [AtomicUsize; DEPTH],
}

struct Slots {
    next: AtomicUsize,
    slots: Box<[Slot]>,
}

/// Where the handler writes; null while nobody takes a profile.
static SLOTS: AtomicPtr<Slots> = AtomicPtr::new(ptr::null_mut());
/// How many handlers run.
static RUNNING: AtomicUsize = AtomicUsize::new(0);
/// Whoever takes a profile.
static TAKEN: Mutex<bool> = Mutex::new(false);

/// A profile that is being taken. One at a time: the timer is the process's.
pub(super) struct Sampling(());

impl Sampling {
    /// Begins; `None` while another is being taken, or when the kernel gives no timer.
    pub(super) fn begin(lasts: Duration) -> Option<Self> {
        let mut taken = TAKEN.lock();
        if *taken || !is_handled() {
            return None;
        }
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let ticks = usize::try_from(lasts.as_millis() / PERIOD.as_millis()).unwrap_or(MOST);
        let count = ticks.saturating_mul(processors).clamp(64, MOST);
        let slots = (0..count)
            .map(|_| Slot { depth: AtomicUsize::new(0), frames: [const { AtomicUsize::new(0) }; DEPTH] });
        let slots = Box::new(Slots { next: AtomicUsize::new(0), slots: slots.collect() });
        SLOTS.store(Box::into_raw(slots), Ordering::SeqCst);
        *taken = true;
        let sampling = Self(());
        set_timer(PERIOD).then_some(sampling)
    }

    /// Ends, and gives what was seen.
    pub(super) fn end(self) -> Stacks {
        take().map(|slots| gathered(&slots)).unwrap_or_default()
    }
}

impl Drop for Sampling {
    /// A client that goes away ends its profile.
    fn drop(&mut self) {
        set_timer(Duration::ZERO);
        drop(take());
        *TAKEN.lock() = false;
    }
}

/// Takes the stacks away from the handler.
fn take() -> Option<Box<Slots>> {
    let slots = SLOTS.swap(ptr::null_mut(), Ordering::SeqCst);
    // One that has read the place before may still write there. It takes microseconds.
    while RUNNING.load(Ordering::SeqCst) > 0 {
        std::thread::yield_now();
    }
    if slots.is_null() {
        return None;
    }
    // SAFETY: it was made by Box::into_raw, was taken out above, and no handler that has seen it runs any more.
    #[allow(unsafe_code)]
    Some(unsafe { Box::from_raw(slots) })
}

fn gathered(slots: &Slots) -> Stacks {
    let mut stacks = Stacks::new();
    for slot in &slots.slots {
        let depth = slot.depth.load(Ordering::Acquire).min(DEPTH);
        let frames = slot.frames[..depth].iter().map(|frame| frame.load(Ordering::Relaxed));
        let stack: Vec<usize> = frames.skip(OWN_FRAMES).collect();
        if !stack.is_empty() {
            *stacks.entry(stack).or_default() += 1;
        }
    }
    stacks
}

/// Installs the handler, once: it stays, as a signal that is on its way must not end the process.
fn is_handled() -> bool {
    static HANDLED: OnceLock<bool> = OnceLock::new();
    *HANDLED.get_or_init(|| {
        // The unwinder's first use may allocate: it must not be within the handler.
        let slot = Slot { depth: AtomicUsize::new(0), frames: [const { AtomicUsize::new(0) }; DEPTH] };
        slot.fill();
        let handler = SigHandler::Handler(on_tick);
        let action = SigAction::new(handler, SaFlags::SA_RESTART, SigSet::empty());
        // SAFETY: the handler does only what a handler may, as said above.
        #[allow(unsafe_code)]
        unsafe { sigaction(Signal::SIGPROF, &action) }.is_ok()
    })
}

fn set_timer(period: Duration) -> bool {
    let interval = libc::timeval {
        tv_sec: 0,
        tv_usec: libc::suseconds_t::from(i32::try_from(period.as_micros()).unwrap_or(i32::MAX)),
    };
    let timer = libc::itimerval { it_interval: interval, it_value: interval };
    // SAFETY: the timer outlives the call, and the old one is not asked for.
    #[allow(unsafe_code)]
    unsafe {
        libc::setitimer(libc::ITIMER_PROF, &raw const timer, ptr::null_mut()) == 0
    }
}

extern "C" fn on_tick(_: c_int) {
    RUNNING.fetch_add(1, Ordering::SeqCst);
    let slots = SLOTS.load(Ordering::SeqCst);
    // SAFETY: as long as this handler is counted, nobody frees what it has found there.
    #[allow(unsafe_code)]
    if let Some(slots) = unsafe { slots.as_ref() } {
        let index = slots.next.fetch_add(1, Ordering::Relaxed);
        if let Some(slot) = slots.slots.get(index) {
            slot.fill();
        }
    }
    RUNNING.fetch_sub(1, Ordering::SeqCst);
}

// The unwinder that Rust's panics use: it is in every binary.
#[allow(unsafe_code)]
unsafe extern "C" {
    fn _Unwind_Backtrace(
        visit: extern "C" fn(context: *mut c_void, state: *mut c_void) -> c_int,
        state: *mut c_void,
    ) -> c_int;
    fn _Unwind_GetIP(context: *mut c_void) -> usize;
}

/// Where the unwinder is.
struct Walk<'a> {
    slot: &'a Slot,
    depth: usize,
}

extern "C" fn visit(context: *mut c_void, state: *mut c_void) -> c_int {
    const GO_ON: c_int = 0;
    const STOP: c_int = 5;
    // SAFETY: the state is the Walk of Slot::fill, which waits for the walk's end; the context is the unwinder's own.
    #[allow(unsafe_code)]
    let (walk, address) = unsafe { (&mut *state.cast::<Walk<'_>>(), _Unwind_GetIP(context)) };
    if address == 0 || walk.depth >= DEPTH {
        return STOP;
    }
    walk.slot.frames[walk.depth].store(address, Ordering::Relaxed);
    walk.depth += 1;
    GO_ON
}

impl Slot {
    /// Writes down the stack of the calling thread.
    #[inline(never)]
    fn fill(&self) {
        let mut walk = Walk { slot: self, depth: 0 };
        // SAFETY: `visit` keeps to the unwinder's contract and the state lives until the call returns.
        #[allow(unsafe_code)]
        unsafe {
            _Unwind_Backtrace(visit, (&raw mut walk).cast());
        }
        self.depth.store(walk.depth, Ordering::Release);
    }
}
