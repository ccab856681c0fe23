//! What Python sees of `greet`. After a change run `make header`.

#![deny(unsafe_code)] // An export that avoids the gate needs `unsafe` or `no_mangle`.

#[allow(unsafe_code)]
mod ffi;

use ffi::{export, text, Error, OwnedText, Text};

export! {
    /// A welcome.
    ///
    /// @param who UTF-8, ends with NUL, borrowed for the call; not NULL.
    /// @return UTF-8, to be freed with `greet_text_free`; NULL on an error.
    fn greet_welcome_new(who: Text) -> OwnedText {
        OwnedText::new(text(format_args!("Welcome, {}!", who.as_str()?))?)
    }

    /// A difference.
    ///
    /// @return the difference, or -1 on an error: of kind `Argument` if it is negative.
    fn greet_subtract(from: u32, number: u32) -> i64 {
        match from.checked_sub(number) {
            Some(rest) => Ok(i64::from(rest)),
            None => Err(Error::argument(format_args!("{from} is less than {number}"))),
        }
    }
}
