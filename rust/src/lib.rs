//! `hello-pyrust`: the functions that C and Python see, grouped by pattern.
//!
//! What a function does is ordinary safe Rust; what C sees of it stands in `export!`,
//! which passes every call through the gate of `ffi`.

#![deny(unsafe_code)] // An export that avoids the gate needs `unsafe` or `no_mangle`.

use std::io::{self, Write};
use std::mem::MaybeUninit;
use std::os::raw::c_void;
use std::str;
use std::sync::atomic::{AtomicU32, Ordering};

#[allow(unsafe_code)]
mod ffi;

use ffi::{
    export, export_enum, export_handle, export_struct, handle, text, write, Bytes, BytesMut, Error,
    OwnedText, Text,
};

/// What `hello_pyrust_hello` returns.
pub const ANSWER: i32 = 42;

fn greeting(who: &str) -> Result<String, Error> {
    text(format_args!("Hello {who} from Rust!"))
}

fn hello(who: &str) -> Result<i32, Error> {
    let greeting = greeting(who)?;
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{greeting}")?;
    stdout.flush()?;
    Ok(ANSWER)
}

export_enum! {
    /// What kind of text some bytes are.
    pub enum Encoding: u8 {
        /// No byte above 0x7f.
        Ascii = 0,
        /// Valid UTF-8 with characters beyond ASCII.
        Utf8 = 1,
        /// Anything else.
        Binary = 2,
    }
}

export_struct! {
    /// What `hello_pyrust_bytes_count` found.
    pub struct Tally {
        /// The number of bytes.
        pub bytes: u64,
        /// The number of line feeds (0x0a).
        pub lines: u64,
        /// The narrowest encoding that all the bytes are valid in.
        pub encoding: Encoding,
    }
}

fn count(bytes: &[u8]) -> Tally {
    Tally {
        bytes: bytes.len() as u64,
        lines: bytes.iter().filter(|&&byte| byte == b'\n').count() as u64,
        encoding: match str::from_utf8(bytes) {
            Ok(_) if bytes.is_ascii() => Encoding::Ascii,
            Ok(_) => Encoding::Utf8,
            Err(_) => Encoding::Binary,
        },
    }
}

fn shout(bytes: &mut [u8]) -> i64 {
    let mut changed = 0;
    for byte in bytes.iter_mut().filter(|byte| byte.is_ascii_lowercase()) {
        byte.make_ascii_uppercase();
        changed += 1;
    }
    changed
}

/// Called for each step of a countdown, on the calling thread, with the `user_data`
/// that came with it. 0 means go on; any other value ends the countdown with an error.
pub type Step = Option<extern "C" fn(user_data: *mut c_void, step: u32) -> i32>;

fn countdown(start: u32, mut step: impl FnMut(u32) -> i32) -> Result<(), Error> {
    for number in (0..=start).rev() {
        match step(number) {
            0 => {}
            answer => return Err(Error::callback(answer)),
        }
    }
    Ok(())
}

/// Somebody who is greeted again and again.
pub struct Guest {
    name: String,
    visits: AtomicU32,
}

export_handle!(Guest);

impl Guest {
    fn new(name: &str) -> Result<Guest, Error> {
        Ok(Guest {
            name: text(name)?,
            visits: AtomicU32::new(0),
        })
    }

    fn greet(&self) -> Result<String, Error> {
        let visit = self.visits.fetch_add(1, Ordering::Relaxed) + 1;
        text(format_args!("{} (visit {visit})", greeting(&self.name)?))
    }
}

export! {
    // Text in, number out.

    /// Prints `Hello <who> from Rust!` and a line feed to the process's standard output.
    ///
    /// @param who UTF-8, ends with NUL, borrowed for the call; not NULL.
    /// @return HELLO_PYRUST_ANSWER, or -1 on an error.
    fn hello_pyrust_hello(who: Text) -> i32 {
        hello(who.as_str()?)
    }

    // An owned text out.

    /// The greeting that `hello_pyrust_hello` prints, without the line feed.
    ///
    /// @param who UTF-8, ends with NUL, borrowed for the call; not NULL.
    /// @return UTF-8, to be freed with `hello_pyrust_text_free`; NULL on an error.
    fn hello_pyrust_greeting_new(who: Text) -> OwnedText {
        OwnedText::new(greeting(who.as_str()?)?)
    }

    // A buffer in, a struct out.

    /// Counts bytes and lines, and finds the encoding.
    ///
    /// @param bytes what to look at, borrowed for the call.
    /// @param tally receives the result; not NULL. Left alone on an error.
    /// @return 0, or -1 on an error.
    fn hello_pyrust_bytes_count(bytes: Bytes, tally: Option<&mut MaybeUninit<Tally>>) -> i32 {
        write(tally, count(bytes.as_slice()?))?;
        Ok(0)
    }

    // A buffer changed in place.

    /// Makes ASCII letters upper-case, in place. Other bytes stay as they are.
    ///
    /// @param bytes what to change, borrowed for the call.
    /// @return how many bytes were changed, or -1 on an error.
    fn hello_pyrust_bytes_shout(bytes: BytesMut) -> i64 {
        let mut bytes = bytes;
        Ok(shout(bytes.as_mut_slice()?))
    }

    // A function that can panic.

    /// How many whole cakes each guest gets. With no guests it panics, and the panic
    /// is an error like any other: `ErrorKind` is `Panic`.
    ///
    /// @return cakes for each guest, or -1 on an error.
    fn hello_pyrust_cakes_share(cakes: u32, guests: u32) -> i64 {
        Ok(i64::from(cakes / guests))
    }

    // A callback.

    /// Calls `step` with `start`, then each smaller number down to 0.
    ///
    /// @param step called on this thread, before the function returns; not NULL.
    /// @param user_data given to `step` as it is; may be NULL.
    /// @return 0, or -1 on an error: of kind `Callback` when `step` ended it.
    fn hello_pyrust_countdown_run(start: u32, step: Step, user_data: *mut c_void) -> i32 {
        let step = step.ok_or_else(|| Error::argument("the callback is NULL"))?;
        countdown(start, |number| step(user_data, number))?;
        Ok(0)
    }

    // An object behind a handle.

    /// A guest who has not been greeted yet.
    ///
    /// @param name UTF-8, ends with NUL, borrowed for the call; not NULL.
    /// @return a handle for any thread, also several at a time, to be freed with
    ///   `hello_pyrust_guest_free`; NULL on an error.
    fn hello_pyrust_guest_new(name: Text) -> Option<Box<Guest>> {
        Ok(Some(Box::new(Guest::new(name.as_str()?)?)))
    }

    /// Greets the guest and counts the visit.
    ///
    /// @param guest not NULL.
    /// @return UTF-8, to be freed with `hello_pyrust_text_free`; NULL on an error.
    fn hello_pyrust_guest_greet(guest: Option<&Guest>) -> OwnedText {
        OwnedText::new(handle(guest)?.greet()?)
    }

    /// How often the guest has been greeted.
    ///
    /// @param guest not NULL.
    /// @return the number of visits, or -1 on an error.
    fn hello_pyrust_guest_visits(guest: Option<&Guest>) -> i64 {
        Ok(i64::from(handle(guest)?.visits.load(Ordering::Relaxed)))
    }

    /// Frees a guest.
    ///
    /// @param guest a handle that no call on any thread uses any more, freed once;
    ///   NULL is allowed and does nothing.
    fn hello_pyrust_guest_free(guest: Option<Box<Guest>>) -> () {
        drop(guest);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
