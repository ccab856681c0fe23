//! Callbacks on threads of the library.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// How many callbacks threads of the library run, in the process of this number.
static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);
static PROCESS: AtomicU32 = AtomicU32::new(0);
static ENDED: AtomicBool = AtomicBool::new(false);

/// After a fork the threads are the parent's, and so are their callbacks.
fn forget_the_parents() {
    let process = std::process::id();
    if PROCESS.swap(process, SeqCst) != process {
        UNDER_WAY.store(0, SeqCst);
    }
}

/// Calls a callback on a thread that the library started: `call_back(|| step(data, 1))`.
/// Nothing else calls one there. `None` means that it was not called, since Python ends, and
/// that none will be: the thread should end, too.
///
/// Python ends a thread that reaches it when it has ended itself, and with a thread of Rust's
/// that ends the process. `<crate>_callbacks_end` hence waits for what is under way here.
pub fn call_back<R>(callback: impl FnOnce() -> R) -> Option<R> {
    struct UnderWay;
    impl Drop for UnderWay {
        fn drop(&mut self) {
            // It is 0 where the callback forked, and this is the child.
            let _ = UNDER_WAY.fetch_update(SeqCst, SeqCst, |count| count.checked_sub(1));
        }
    }
    forget_the_parents();
    UNDER_WAY.fetch_add(1, SeqCst);
    let _under_way = UnderWay;
    // Counted before it is asked: whoever ends the callbacks sees this one, or is seen.
    (!ENDED.load(SeqCst)).then(callback)
}

/// Ends callbacks and waits for those under way: how many there are when the time is over.
pub(super) fn end(milliseconds: u32) -> usize {
    let start = Instant::now();
    forget_the_parents();
    ENDED.store(true, SeqCst);
    loop {
        let count = UNDER_WAY.load(SeqCst);
        if count == 0 || start.elapsed() >= Duration::from_millis(milliseconds.into()) {
            return count;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
