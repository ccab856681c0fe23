//! What may cross the border, and the fingerprint of all that does.

use std::marker::PhantomData;

use super::{Layout, Text};

/// A type that may cross the border.
///
/// # Safety
/// Its layout is C's on every target, and [`Abi::SHAPE`] tells all of it.
pub unsafe trait Abi {
    /// A hash of what C must know of the type. The same on every target: a struct
    /// counts by the names and types of its fields in their order, `usize` as itself.
    const SHAPE: u64;
    /// How the type lies in memory on this target, when C sees inside it; and the types that
    /// it refers to.
    const LAYOUT: &'static Layout = &Layout::of(&[]);
}

/// A type that C may pass to Rust.
///
/// # Safety
/// Every value that a C caller can pass under the header's rules must be valid. An
/// enum is not `Incoming`: take an integer and check it.
pub unsafe trait Incoming: Abi {}

/// A type that Rust may return to C.
pub trait Outgoing: Abi {
    /// What the exported function returns when it failed.
    const FAILED: Self;
}

const SEED: u64 = 0xcbf2_9ce4_8422_2325;

const fn mix_byte(hash: u64, byte: u8) -> u64 {
    (hash ^ byte as u64).wrapping_mul(0x0000_0100_0000_01b3)
}

/// FNV-1a (64 bits) of the text and its end, from `hash` on.
pub const fn mix(mut hash: u64, text: &str) -> u64 {
    let bytes = text.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        hash = mix_byte(hash, bytes[i]);
        i += 1;
    }
    mix_byte(hash, 0xff)
}

pub const fn mix_shape(mut hash: u64, shape: u64) -> u64 {
    let mut i = 0;
    while i < 8 {
        hash = mix_byte(hash, (shape >> (8 * i)) as u8);
        i += 1;
    }
    hash
}

/// The shape of something that has a name: where every shape begins.
pub const fn named(kind: &str, name: &str) -> u64 {
    mix(mix(SEED, kind), name)
}

pub const fn incoming<T: Incoming>() -> u64 {
    T::SHAPE
}

pub const fn outgoing<T: Outgoing>() -> u64 {
    T::SHAPE
}

/// The fingerprint of everything that is exported.
pub const ABI: u64 = mix_shape(crate::EXPORTS.shape, super::EXPORTS.shape);

/// `<crate>.abi=`, sixteen hexadecimal digits, NUL: to be found in the bytes of
/// the library's file on any host, without running it.
static MARKER: [u8; PREFIX.len() + 17] = marker();
const PREFIX: &str = concat!(env!("CARGO_CRATE_NAME"), ".abi=");

const fn marker() -> [u8; PREFIX.len() + 17] {
    let mut text = begun_with(PREFIX);
    let mut digit = 0;
    while digit < 16 {
        let value = (ABI >> (60 - 4 * digit)) & 0xf;
        text[PREFIX.len() + digit] = b"0123456789abcdef"[value as usize];
        digit += 1;
    }
    text
}

/// The bytes of a text, and as many zeros as there is room for.
pub(super) const fn begun_with<const ROOM: usize>(text: &str) -> [u8; ROOM] {
    let mut bytes = [0; ROOM];
    let mut i = 0;
    while i < text.len() {
        bytes[i] = text.as_bytes()[i];
        i += 1;
    }
    bytes
}

/// The digits in the marker.
pub(super) fn digits() -> Text<'static> {
    Text(MARKER[PREFIX.len()..].as_ptr().cast(), PhantomData)
}
