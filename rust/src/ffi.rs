//! The gate between C and Rust: everything that crosses the border is declared with
//! the macros of this module, which is the only one that contains `unsafe`. It knows no
//! crate's name: what it exports begins with that of the crate that it is in.
//!
//! * [`export!`] makes a C function of a block that returns `Result`. A panic and an
//!   `Err` both end as an error that the caller takes with `<crate>_error_take`;
//!   neither unwinds into C.
//! * [`export_struct!`] and [`export_enum!`] declare what crosses by layout,
//!   [`export_handle!`] what crosses as an opaque pointer.
//! * Only types that implement [`Incoming`] can be arguments, and only types that
//!   implement [`Outgoing`] can be results: [`Text`], [`OwnedText`], [`Bytes`],
//!   [`BytesMut`], numbers, handles and callbacks.
//! * [`ABI`] is a fingerprint of all those declarations, computed by the compiler. It
//!   does not depend on comments, the target or the compiler.
//! * `<crate>_layout` tells the sizes, alignments and offsets that the compiler chose
//!   for the target.
//!
//! It needs Rust 1.63 or later, and works in every edition from 2018 on. The crate's root has a
//! `mod ffi;` and one [`export!`].

// A crate uses what it needs of it: not every one has a struct, a handle or a thread.
#![allow(dead_code, unused_imports, unused_macros)]

#[cfg(all(panic = "abort", not(test)))]
compile_error!("the gate needs `panic = \"unwind\"`: with \"abort\" a panic ends Python");

mod callback;
mod error;
mod fingerprint;
mod layout;
mod macros;
mod types;

use std::mem::MaybeUninit;

// Small and capital letters apart: rustfmt sorts them differently from edition to edition.
pub use error::{Error, ErrorKind};
pub use fingerprint::{Abi, Incoming, Outgoing};
pub use layout::{Exports, Layout, Member};
pub use types::{Bytes, BytesMut, Handle, OwnedText, Text};

pub use fingerprint::ABI;

pub use callback::call_back;
pub use error::{gate, text};
pub use fingerprint::{incoming, mix, mix_shape, named, outgoing};
pub use layout::layout_of;
pub use types::{handle, write};

pub(crate) use layout::{offset, struct_abi};
pub(crate) use macros::{export, export_enum, export_handle, export_struct};
pub(crate) use macros::{exported_as, functions};

// What every library exports, by names that begin with the crate's.
functions! {
    concat!(env!("CARGO_CRATE_NAME"), "_");

    /// The fingerprint of the ABI that this library was compiled with: sixteen
    /// lower-case hexadecimal digits in static memory, never to be freed. It changes
    /// when an exported function, struct, enum or callback does.
    fn abi() -> Text<'static> {
        Ok(fingerprint::digits())
    }

    /// What is exported, and how the structs and enums that cross lie in memory, as the
    /// compiler of this library laid them out; for tests that compare it with a C compiler's
    /// or CFFI's idea. Text in static memory, never to be freed. It has a line for each
    /// function and type, with the names of types as in Rust and numbers in decimal, sizes and
    /// offsets in bytes:
    ///
    // Without the fence rustdoc would take it for Rust, and for a test of it.
    #[cfg_attr(any(doc, doctest), doc = "```text")]
    ///     fn <name>
    ///     struct <name> <size> <alignment> <field>:<offset>:<size> ...
    ///     enum <name> <size> <alignment> <value's name>=<value> ...
    #[cfg_attr(any(doc, doctest), doc = "```")]
    fn layout() -> Text<'static> {
        Ok(layout::lines())
    }

    /// The error of the last call that failed on this thread, which is then forgotten.
    ///
    /// @param kind receives the kind of the error; may be NULL. Left alone when there
    ///   is no error.
    #[doc = concat!(
        " @return the message, to be freed with `", env!("CARGO_CRATE_NAME"),
        "_text_free`; NULL when no call"
    )]
    ///   has failed since the last one was taken.
    fn error_take(kind: Option<&mut MaybeUninit<ErrorKind>>) -> OwnedText {
        match error::take() {
            None => Ok(OwnedText::FAILED),
            Some((code, message)) => {
                if kind.is_some() {
                    write(kind, code)?;
                }
                Ok(message)
            }
        }
    }

    /// Ends callbacks on threads that the library started: no more are called, and those
    /// under way are waited for, `milliseconds` at most. For a host that ends before the
    /// process does, as Python; it needs every lock released that a callback takes.
    ///
    /// @return how many callbacks are still under way, or -1 on an error.
    fn callbacks_end(milliseconds: u32) -> i32 {
        let left = callback::end(milliseconds);
        Ok(left.min(i32::MAX as usize) as i32)
    }

    /// Frees a text that this library returned.
    ///
    /// @param text an owned text, freed once; NULL is allowed and does nothing.
    fn text_free(text: OwnedText) -> () {
        drop(text);
        Ok(())
    }
}
