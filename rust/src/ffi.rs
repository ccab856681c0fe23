// ffiwheel kit 0.1.0 3e9ddeea79c065fb: `ffiwheel update` replaces this file; use settings
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
//! `mod ffi;` and one [`export!`], which names the modules with others.

// A crate uses what it needs of it: not every one has a struct, a handle or a thread.
#![allow(dead_code, unused_imports, unused_macros)]

#[cfg(all(panic = "abort", not(test)))]
compile_error!("the gate needs `panic = \"unwind\"`: with \"abort\" a panic ends Python");

mod abi;
mod gate;

use std::mem::MaybeUninit;

// Small and capital letters apart: rustfmt sorts them differently from edition to edition.
pub use abi::{Abi, Incoming, Outgoing};
pub use abi::{Bytes, BytesMut, Handle, OwnedText, Text};
pub use abi::{Exports, Layout, Member};
pub use gate::{Error, ErrorKind};

pub use abi::ABI;

pub use abi::{handle, incoming, layout_of, mix, mix_shape, named, outgoing, write};
pub use gate::{call_back, gate, text};

pub(crate) use abi::{offset, struct_abi};

// ---- The macros that declare what crosses --------------------------------------------------

/// C functions. Each is written `fn name(argument: Type, …) -> Type { … }` with a body
/// that ends in a `Result`; the macro adds `extern "C"`, the gate and the fingerprint,
/// which it leaves in a constant `EXPORTS` of the calling module: [`ABI`] is of
/// the one in the crate's root and the gate's. A module with another is an error until the one
/// in the root, or in a module that this names, begins with its path: `mod shapes::round;`.
///
/// Write the lifetimes of arguments as `'_` or leave them out: what C lends ends with the
/// call, and `'static` would be a lie that the compiler cannot see.
macro_rules! export {
    ($(mod $($module:ident)::+;)* $(
        $(#[doc = $doc:expr])*
        fn $name:ident($($argument:ident: $type:ty),* $(,)?) -> $result:ty $body:block
    )*) => {
        $crate::ffi::functions! {
            "";
            $(mod $($module)::+;)*
            $(
                $(#[doc = $doc])*
                fn $name($($argument: $type),*) -> $result $body
            )*
        }
    };
}
pub(crate) use export;

/// [`export!`], with what the exported names begin with.
macro_rules! functions {
    ($prefix:expr; $(mod $($module:ident)::+;)* $(
        $(#[$($attribute:tt)*])*
        fn $name:ident($($argument:ident: $type:ty),* $(,)?) -> $result:ty $body:block
    )*) => {
        $(
            $crate::ffi::exported_as! {
                _, concat!($prefix, stringify!($name)),
                $(#[$($attribute)*])*
                #[allow(unsafe_code, clippy::unused_unit)]
                pub extern "C" fn $name($($argument: $type),*) -> $result {
                    $crate::ffi::gate(
                        move || -> ::std::result::Result<$result, $crate::ffi::Error> { $body },
                    )
                }
            }
        )*

        /// The shapes of the functions above. Unused means: not part of the fingerprint.
        #[deny(dead_code)]
        pub(crate) const EXPORTS: $crate::ffi::Exports = $crate::ffi::Exports {
            shape: {
                let shape = $crate::ffi::named("exports", "");
                $(
                    let shape =
                        $crate::ffi::mix(shape, concat!($prefix, stringify!($name)));
                    $(
                        // Two arguments of one type that change places are told by their names.
                        let shape = $crate::ffi::mix(shape, stringify!($argument));
                        let shape = $crate::ffi::mix_shape(shape, $crate::ffi::incoming::<$type>());
                    )*
                    let shape = $crate::ffi::mix_shape(shape, $crate::ffi::outgoing::<$result>());
                )*
                $(
                    let shape = $crate::ffi::mix_shape(shape, $($module)::+::EXPORTS.shape);
                )*
                shape
            },
            layouts: &[
                $(&$crate::ffi::Layout::of($($module)::+::EXPORTS.layouts),)*
                $(
                &$crate::ffi::Layout::of_fn(concat!($prefix, stringify!($name)), &[
                    $($crate::ffi::layout_of::<$type>(),)*
                    $crate::ffi::layout_of::<$result>(),
                ]),
                )*
            ],
        };
    };
}
pub(crate) use functions;

/// An item under a name in the library's file. `_` is an expression from edition 2024 on, where
/// the attribute has to say that it is unsafe; before Rust 1.82 it cannot.
macro_rules! exported_as {
    ($edition_2024:expr, $name:expr, $($item:tt)*) => {
        #[unsafe(export_name = $name)]
        $($item)*
    };
    (_, $name:expr, $($item:tt)*) => {
        #[export_name = $name]
        $($item)*
    };
}
pub(crate) use exported_as;

/// A `repr(C)` struct whose fields C sees.
macro_rules! export_struct {
    (
        $(#[doc = $doc:expr])*
        pub struct $name:ident {
            $($(#[doc = $field_doc:expr])* $visibility:vis $field:ident: $type:ty),* $(,)?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug)]
        #[repr(C)]
        pub struct $name {
            $($(#[doc = $field_doc])* $visibility $field: $type),*
        }

        #[allow(unsafe_code)]
        unsafe impl $crate::ffi::Abi for $name {
            $crate::ffi::struct_abi!($name, stringify!($name), $($field: $type),*);
        }
    };
}
pub(crate) use export_struct;

/// An enum of a fixed width that Rust gives to C. Every value is written out.
macro_rules! export_enum {
    (
        $(#[doc = $doc:expr])*
        pub enum $name:ident: $repr:ident {
            $($(#[doc = $value_doc:expr])* $value:ident = $number:literal),* $(,)?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr($repr)]
        pub enum $name {
            $($(#[doc = $value_doc])* $value = $number),*
        }

        #[allow(unsafe_code)]
        unsafe impl $crate::ffi::Abi for $name {
            const SHAPE: u64 = {
                let shape = $crate::ffi::named("enum", stringify!($name));
                let shape =
                    $crate::ffi::mix_shape(shape, <$repr as $crate::ffi::Abi>::SHAPE);
                $(
                    let shape = $crate::ffi::mix(shape, stringify!($value));
                    let shape = $crate::ffi::mix_shape(shape, $name::$value as u64);
                )*
                shape
            };
            const LAYOUT: &'static $crate::ffi::Layout = &$crate::ffi::Layout {
                kind: "enum",
                name: stringify!($name),
                shape: <$name as $crate::ffi::Abi>::SHAPE,
                size: ::std::mem::size_of::<$name>(),
                align: ::std::mem::align_of::<$name>(),
                members: &[$($crate::ffi::Member::Value(
                    stringify!($value),
                    $name::$value as i128,
                )),*],
                inner: &[],
            };
        }
    };
}
pub(crate) use export_enum;

/// Lets C hold the type by an opaque pointer.
macro_rules! export_handle {
    ($name:ident) => {
        #[allow(unsafe_code)]
        unsafe impl $crate::ffi::Abi for $name {
            const SHAPE: u64 = $crate::ffi::named("handle", stringify!($name));
        }
        impl $crate::ffi::Handle for $name {}

        #[allow(unsafe_code)]
        unsafe impl $crate::ffi::Abi for Option<&$name> {
            const SHAPE: u64 = $crate::ffi::mix_shape(
                $crate::ffi::named("pointer", "borrowed handle"),
                <$name as $crate::ffi::Abi>::SHAPE,
            );
        }
        #[allow(unsafe_code)]
        unsafe impl $crate::ffi::Incoming for Option<&$name> {}
    };
}
pub(crate) use export_handle;

// ---- What every library exports, by names that begin with the crate's ----------------------

functions! {
    concat!(env!("CARGO_CRATE_NAME"), "_");

    /// The fingerprint of the ABI that this library was compiled with: sixteen
    /// lower-case hexadecimal digits in static memory, never to be freed. It changes
    /// when an exported function, struct, enum or callback does.
    fn abi() -> Text<'static> {
        Ok(abi::digits())
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
        Ok(abi::lines())
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
        match gate::take() {
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
        let left = gate::end(milliseconds);
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
