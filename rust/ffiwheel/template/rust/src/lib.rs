//! What Python sees of `fast-thing`. After a change run `make header`.

#![deny(unsafe_code)] // An export that avoids the gate needs `unsafe` or `no_mangle`.

#[allow(unsafe_code)]
mod ffi;

use ffi::{export, text, Error, OwnedText, Text};

export! {
    /// A greeting.
    ///
    /// @param who UTF-8, ends with NUL, borrowed for the call; not NULL.
    /// @return UTF-8, to be freed with `fast_thing_text_free`; NULL on an error.
    fn fast_thing_greeting_new(who: Text) -> OwnedText {
        OwnedText::new(text(format_args!("Hello {} from Rust!", who.as_str()?))?)
    }

    /// What is left of a number.
    ///
    /// @return the rest, or -1 on an error: of kind `Argument` if there is too little.
    fn fast_thing_rest(number: u32, taken: u32) -> i64 {
        match number.checked_sub(taken) {
            Some(rest) => Ok(i64::from(rest)),
            None => Err(Error::argument(format_args!("{number} is less than {taken}"))),
        }
    }
}
