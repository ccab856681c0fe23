// ffiwheel kit 0.1.0 00f8513ca205ad2e: `ffiwheel update` replaces this file; use settings
//! The gate itself: it keeps errors for C, and lets callbacks end before Python does.

use std::any::Any;
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::TryReserveError;
use std::fmt::{self, Display, Write};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;
use std::time::{Duration, Instant};

use super::{Outgoing, OwnedText};

// Apart: rustfmt sorts it differently from edition to edition.
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::SeqCst};

super::export_enum! {
    #[doc = concat!(" What went wrong, as `", env!("CARGO_CRATE_NAME"), "_error_take` tells it.")]
    pub enum ErrorKind: u8 {
        /// An argument was NULL, not UTF-8, or out of its range.
        Argument = 1,
        /// The operating system refused; the disk under standard output is full, for example.
        Io = 2,
        /// A callback answered with a value other than 0.
        Callback = 3,
        /// The Rust code panicked: a bug in the library.
        Panic = 4,
        /// There was not enough memory for a copy.
        Memory = 5,
    }
}

/// The error of an exported function: a kind and a sentence for a person.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: Cow<'static, str>,
}

impl Error {
    fn new(kind: ErrorKind, message: impl Display) -> Error {
        match text(message) {
            Ok(message) => Error {
                kind,
                message: message.into(),
            },
            Err(memory) => memory,
        }
    }

    pub fn argument(message: impl Display) -> Error {
        Error::new(ErrorKind::Argument, message)
    }

    pub fn callback(answer: i32) -> Error {
        Error::new(
            ErrorKind::Callback,
            format_args!("the callback answered {answer}"),
        )
    }

    /// Ends the exported call with this error, where none can be returned: in a method of
    /// another crate's trait that has no `Result`. It unwinds, on the thread of that call.
    pub fn throw(self) -> ! {
        panic::resume_unwind(Box::new(self))
    }

    fn memory() -> Error {
        Error {
            kind: ErrorKind::Memory,
            message: "there is not enough memory".into(),
        }
    }

    fn panic(payload: Box<dyn Any + Send>) -> Error {
        let payload = match payload.downcast::<Error>() {
            Ok(thrown) => return *thrown,
            Err(payload) => payload,
        };
        let message: Cow<'static, str> = match payload.downcast::<String>() {
            Ok(text) => (*text).into(),
            Err(payload) => match payload.downcast::<&'static str>() {
                Ok(text) => (*text).into(),
                Err(payload) => {
                    // Dropping it can run code that panics again, outside the catch.
                    std::mem::forget(payload);
                    "panic without a message".into()
                }
            },
        };
        let place = PANIC_PLACE.try_with(Cell::take).unwrap_or_default();
        let placed = place.and_then(|place| text(format_args!("{message} ({place})")).ok());
        Error {
            kind: ErrorKind::Panic,
            message: placed.map_or(message, Cow::from),
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Error {
        Error::new(ErrorKind::Io, error)
    }
}

impl From<TryReserveError> for Error {
    fn from(_: TryReserveError) -> Error {
        Error::memory()
    }
}

/// `to_string`, with an error where that would end the process: when memory is short. With
/// `format_args!(...)` it stands for `format!`.
pub fn text(value: impl Display) -> Result<String, Error> {
    struct Measured(usize);
    impl Write for Measured {
        fn write_str(&mut self, part: &str) -> fmt::Result {
            self.0 += part.len();
            Ok(())
        }
    }
    struct Reserved(String);
    impl Write for Reserved {
        fn write_str(&mut self, part: &str) -> fmt::Result {
            self.0.try_reserve(part.len()).map_err(|_| fmt::Error)?;
            self.0.push_str(part);
            Ok(())
        }
    }
    // Measured first: a text that grows takes memory twice. C's NUL needs one byte more.
    let mut measured = Measured(1);
    write!(measured, "{value}").expect("a Display that fails");
    let mut reserved = Reserved(String::new());
    reserved.0.try_reserve_exact(measured.0)?;
    write!(reserved, "{value}").map_err(|_| Error::memory())?;
    Ok(reserved.0)
}

/// A message for C, which would cut it at a NUL.
struct WithoutNul<'a>(&'a str);

impl Display for WithoutNul<'_> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, part) in self.0.split('\0').enumerate() {
            to.write_str(if i > 0 { "\u{fffd}" } else { "" })?;
            to.write_str(part)?;
        }
        Ok(())
    }
}

thread_local! {
    /// The error of the last call that failed on this thread, until it is taken.
    static LAST: RefCell<Option<Error>> = const { RefCell::new(None) };
    /// How many calls from C are under way on this thread.
    static DEPTH: Cell<i32> = const { Cell::new(0) };
    /// Where the last panic under the gate happened.
    static PANIC_PLACE: Cell<Option<String>> = const { Cell::new(None) };
}

/// Runs the body of an exported function: the one way from C into Rust.
///
/// Success leaves an error of an earlier call alone: between a failed call and the one
/// that takes its error, a destructor or a signal handler may call the library.
pub fn gate<T: Outgoing>(body: impl FnOnce() -> Result<T, Error>) -> T {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        // A panic under the gate is reported as an error, so it is not printed as well.
        // One on a thread that the library started itself keeps the default report, and
        // so does a second one, which ends the process.
        let default = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let first = DEPTH.try_with(Cell::get).unwrap_or(0) > 0
                && PANIC_PLACE.try_with(|place| {
                    let old = place.take();
                    let first = old.is_none();
                    place.set(old.or_else(|| text(info.location()?).ok()));
                    first
                }) == Ok(true);
            if !first {
                default(info);
            }
        }));
    });
    // try_with: a thread that ends may call the library after its own variables are gone.
    let deeper = |step: i32| {
        let _ = DEPTH.try_with(|depth| depth.set(depth.get() + step));
    };
    let _ = PANIC_PLACE.try_with(Cell::take); // of a panic that the library caught itself
    deeper(1);
    let outcome = panic::catch_unwind(AssertUnwindSafe(body));
    deeper(-1);
    let outcome = outcome.unwrap_or_else(|payload| Err(Error::panic(payload)));
    outcome.unwrap_or_else(|error| {
        let _ = LAST.try_with(|last| last.replace(Some(error)));
        T::FAILED
    })
}

/// The error of this thread for C, which is then forgotten.
pub(super) fn take() -> Option<(ErrorKind, OwnedText)> {
    let error = LAST.with(|last| last.take())?;
    let message = text(WithoutNul(&error.message)).and_then(OwnedText::new);
    Some(match message {
        Ok(message) => (error.kind, message),
        Err(_) => (ErrorKind::Memory, OwnedText::no_memory()),
    })
}

// ---- Callbacks on threads of the library ---------------------------------------------------

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
