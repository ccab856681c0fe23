//! The macros that declare what crosses.

/// C functions. Each is written `fn name(argument: Type, …) -> Type { … }` with a body
/// that ends in a `Result`; the macro adds `extern "C"`, the gate and the fingerprint,
/// which it leaves in a constant `EXPORTS` of the calling module: [`ABI`](super::ABI) is of
/// the one in the crate's root and the gate's, and a module with another is an error until
/// its constant is mixed in there.
///
/// Write the lifetimes of arguments as `'_` or leave them out: what C lends ends with the
/// call, and `'static` would be a lie that the compiler cannot see.
macro_rules! export {
    ($(
        $(#[doc = $doc:expr])*
        fn $name:ident($($argument:ident: $type:ty),* $(,)?) -> $result:ty $body:block
    )*) => {
        $crate::ffi::functions! {
            "";
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
    ($prefix:expr; $(
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
                shape
            },
            layouts: &[$(
                &$crate::ffi::Layout::of_fn(concat!($prefix, stringify!($name)), &[
                    $($crate::ffi::layout_of::<$type>(),)*
                    $crate::ffi::layout_of::<$result>(),
                ]),
            )*],
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
