// ffiwheel kit 0.1.0 268ebf9c69a08537: `ffiwheel update` replaces this file; use settings
//! What may cross the border: which types, the fingerprint of them all, and how they lie in
//! memory.

use std::ffi::{CStr, CString};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::os::raw::{c_char, c_void};

use super::Error;

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
static MARKER: [u8; MARKER_PREFIX.len() + 17] = marker();
const MARKER_PREFIX: &str = concat!(env!("CARGO_CRATE_NAME"), ".abi=");

const fn marker() -> [u8; MARKER_PREFIX.len() + 17] {
    let mut text = begun_with(MARKER_PREFIX);
    let mut digit = 0;
    while digit < 16 {
        let value = (ABI >> (60 - 4 * digit)) & 0xf;
        text[MARKER_PREFIX.len() + digit] = b"0123456789abcdef"[value as usize];
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
    Text(MARKER[MARKER_PREFIX.len()..].as_ptr().cast(), PhantomData)
}

// ---- Layout --------------------------------------------------------------------------------

/// What some functions have in common with C.
pub struct Exports {
    pub shape: u64,
    pub layouts: &'static [&'static Layout],
}

/// How a type lies in memory.
pub struct Layout {
    /// `struct`, `enum` or `fn`; empty for a type that has no line of its own.
    pub kind: &'static str,
    pub name: &'static str,
    pub shape: u64,
    pub size: usize,
    pub align: usize,
    pub members: &'static [Member],
    /// What it refers to: the types of fields, arguments and results.
    pub inner: &'static [&'static Layout],
}

/// A field of a struct, or a value of an enum.
pub enum Member {
    Field(&'static str, usize, usize),
    Value(&'static str, i128),
}

impl Layout {
    /// Of a type without a line that refers to some others.
    pub const fn of(inner: &'static [&'static Layout]) -> Layout {
        Layout {
            kind: "",
            name: "",
            shape: 0,
            size: 0,
            align: 0,
            members: &[],
            inner,
        }
    }

    /// The line of a function, which has a name alone, and refers to its types.
    pub const fn of_fn(name: &'static str, inner: &'static [&'static Layout]) -> Layout {
        Layout {
            kind: "fn",
            name,
            shape: named("fn", name),
            ..Layout::of(inner)
        }
    }
}

/// The offset of a field in bytes. `offset_of!` does it from Rust 1.77 on.
macro_rules! offset {
    ($type:ty, $field:ident) => {{
        const SIZE: usize = ::std::mem::size_of::<$type>();
        union Numbered {
            bytes: [u8; SIZE],
            _aligned: ::std::mem::ManuallyDrop<$type>,
        }
        // Each byte holds its number, or eight other bits of it; what is read at the field's
        // address is then its offset.
        const fn bits(shift: u32) -> usize {
            let mut bytes = [0; SIZE];
            let mut i = 0;
            while i < SIZE {
                bytes[i] = (i >> shift) as u8;
                i += 1;
            }
            let place: *const $type = &Numbered { bytes } as *const Numbered as _;
            (unsafe { *(::std::ptr::addr_of!((*place).$field) as *const u8) }) as usize
        }
        bits(0) | bits(8) << 8 | bits(16) << 16
    }};
}
pub(crate) use offset;

/// The `Abi` of a `repr(C)` struct by its fields.
macro_rules! struct_abi {
    ($type:ty, $name:expr, $($field:ident: $field_type:ty),*) => {
        const SHAPE: u64 = {
            let shape = $crate::ffi::named("struct", $name);
            $(
                let shape = $crate::ffi::mix(shape, stringify!($field));
                let shape =
                    $crate::ffi::mix_shape(shape, <$field_type as $crate::ffi::Abi>::SHAPE);
            )*
            shape
        };
        const LAYOUT: &'static $crate::ffi::Layout = &$crate::ffi::Layout {
            kind: "struct",
            name: $name,
            shape: <$type as $crate::ffi::Abi>::SHAPE,
            size: ::std::mem::size_of::<$type>(),
            align: ::std::mem::align_of::<$type>(),
            members: &[$($crate::ffi::Member::Field(
                stringify!($field),
                $crate::ffi::offset!($type, $field),
                ::std::mem::size_of::<$field_type>(),
            )),*],
            inner: &[$(<$field_type as $crate::ffi::Abi>::LAYOUT),*],
        };
    };
}
pub(crate) use struct_abi;

pub const fn layout_of<T: Abi>() -> &'static Layout {
    T::LAYOUT
}

/// The lines of `<crate>_layout`, or how long they are, when there is no room.
#[derive(Clone, Copy)]
struct Lines<const ROOM: usize, const TYPES: usize> {
    text: [u8; ROOM],
    length: usize,
    /// The shapes that have their line.
    seen: [u64; TYPES],
    types: usize,
}

impl<const ROOM: usize, const TYPES: usize> Lines<ROOM, TYPES> {
    const fn of(lists: &[&[&Layout]]) -> Lines<ROOM, TYPES> {
        let mut lines = Lines {
            text: [0; ROOM],
            length: 0,
            seen: [0; TYPES],
            types: 0,
        };
        let mut i = 0;
        while i < lists.len() {
            lines = lines.layouts(lists[i]);
            i += 1;
        }
        lines
    }

    const fn layouts(mut self, layouts: &[&Layout]) -> Self {
        let mut i = 0;
        while i < layouts.len() {
            self = self.layouts(layouts[i].inner);
            if !layouts[i].kind.is_empty() {
                self = self.line(layouts[i]);
            }
            i += 1;
        }
        self
    }

    const fn line(mut self, layout: &Layout) -> Self {
        let mut i = 0;
        while i < self.types && i < TYPES {
            if self.seen[i] == layout.shape {
                return self;
            }
            i += 1;
        }
        if self.types < TYPES {
            self.seen[self.types] = layout.shape;
        }
        self.types += 1;
        self = self.word(layout.kind).word(" ").word(layout.name);
        if layout.align == 0 {
            return self.word("\n"); // a function
        }
        self = self.word(" ").number(layout.size as i128);
        self = self.word(" ").number(layout.align as i128);
        let mut end = 0;
        let mut i = 0;
        while i < layout.members.len() {
            self = self.word(" ");
            self = match layout.members[i] {
                Member::Field(name, offset, size) => {
                    // The fingerprint is of the fields as they are declared.
                    assert!(offset >= end, "declare the fields in memory order");
                    end = offset + size;
                    let before = self.word(name).word(":").number(offset as i128);
                    before.word(":").number(size as i128)
                }
                Member::Value(name, value) => self.word(name).word("=").number(value),
            };
            i += 1;
        }
        self.word("\n")
    }

    const fn word(mut self, word: &str) -> Self {
        let bytes = word.as_bytes();
        let mut i = 0;
        while i < bytes.len() {
            self = self.byte(bytes[i]);
            i += 1;
        }
        self
    }

    const fn number(self, value: i128) -> Self {
        if value < 0 {
            return self.word("-").number(-value);
        }
        let before = if value > 9 {
            self.number(value / 10)
        } else {
            self
        };
        before.byte(b'0' + (value % 10) as u8)
    }

    const fn byte(mut self, byte: u8) -> Self {
        if self.length < ROOM {
            self.text[self.length] = byte;
        }
        self.length += 1;
        self
    }
}

const LAYOUTS: &[&[&Layout]] = &[crate::EXPORTS.layouts, super::EXPORTS.layouts];
/// How many lines there would be, with every repetition.
const MOST_TYPES: usize = Lines::<0, 0>::of(LAYOUTS).types;
const LINES_LENGTH: usize = Lines::<0, MOST_TYPES>::of(LAYOUTS).length;

/// `<crate>.layout=`, the lines, NUL: to be found like the fingerprint.
#[repr(C)]
struct Table {
    prefix: [u8; PREFIX.len()],
    lines: [u8; LINES_LENGTH],
    end: u8,
}

const PREFIX: &str = concat!(env!("CARGO_CRATE_NAME"), ".layout=");

static TABLE: Table = Table {
    prefix: begun_with(PREFIX),
    lines: Lines::<LINES_LENGTH, MOST_TYPES>::of(LAYOUTS).text,
    end: 0,
};

pub(super) fn lines() -> Text<'static> {
    Text(TABLE.lines.as_ptr().cast(), PhantomData)
}

// ---- The types that cross ------------------------------------------------------------------

macro_rules! numbers {
    ($($type:ty = $failed:expr),* $(,)?) => { $(
        unsafe impl Abi for $type {
            const SHAPE: u64 = named("number", stringify!($type));
        }
        unsafe impl Incoming for $type {}
        impl Outgoing for $type {
            const FAILED: $type = $failed;
        }
    )* };
}

numbers! {
    i8 = -1, i16 = -1, i32 = -1, i64 = -1, isize = -1,
    u8 = u8::MAX, u16 = u16::MAX, u32 = u32::MAX, u64 = u64::MAX, usize = usize::MAX,
    f32 = f32::NAN, f64 = f64::NAN, bool = false,
}

unsafe impl Abi for () {
    const SHAPE: u64 = named("number", "void");
}
// What a callback without a result returns.
unsafe impl Incoming for () {}
impl Outgoing for () {
    const FAILED: () = ();
}

// A field of a struct only: C passes no array by value.
unsafe impl<T: Abi, const N: usize> Abi for [T; N] {
    const SHAPE: u64 = mix_shape(mix_shape(named("array", ""), T::SHAPE), N as u64);
    const LAYOUT: &'static Layout = T::LAYOUT;
}

unsafe impl Abi for *mut c_void {
    const SHAPE: u64 = named("pointer", "void");
}
unsafe impl Incoming for *mut c_void {}

unsafe impl Abi for *const u8 {
    const SHAPE: u64 = named("pointer", "const u8");
}
unsafe impl Incoming for *const u8 {}

unsafe impl Abi for *mut u8 {
    const SHAPE: u64 = named("pointer", "u8");
}
unsafe impl Incoming for *mut u8 {}

/// `const char *`: UTF-8 that ends with NUL and is borrowed for the time of the call.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Text<'a>(pub(super) *const c_char, pub(super) PhantomData<&'a str>);

impl Text<'_> {
    /// The text that C passed. An error when it is NULL or not UTF-8.
    pub fn as_str(&self) -> Result<&str, Error> {
        if self.0.is_null() {
            return Err(Error::argument("the text is NULL"));
        }
        // C promises a NUL-terminated string that lives until the call returns, and
        // the result cannot outlive `self`, an argument of that call.
        unsafe { CStr::from_ptr(self.0) }
            .to_str()
            .map_err(|error| Error::argument(format_args!("the text is not UTF-8: {error}")))
    }
}

unsafe impl Abi for Text<'_> {
    const SHAPE: u64 = named("pointer", "const char");
}
unsafe impl Incoming for Text<'_> {}
impl Outgoing for Text<'_> {
    const FAILED: Self = Text(std::ptr::null(), PhantomData);
}

/// `char *`: UTF-8 that ends with NUL and belongs to whoever received it, who gives
#[doc = concat!(" it back to `", env!("CARGO_CRATE_NAME"), "_text_free`.")]
#[repr(transparent)]
pub struct OwnedText(*mut c_char);

/// An owned text that takes no memory: a message for when there is none.
static NO_MEMORY: [u8; 27] = *b"there is not enough memory\0";

impl OwnedText {
    /// An error when the text contains NUL, where C would cut it.
    pub fn new(text: impl Into<Vec<u8>>) -> Result<OwnedText, Error> {
        let mut text = text.into();
        text.try_reserve_exact(1)?;
        text.push(0);
        match CString::from_vec_with_nul(text) {
            Ok(text) => Ok(OwnedText(text.into_raw())),
            Err(error) => Err(Error::argument(error)),
        }
    }

    pub(super) fn no_memory() -> OwnedText {
        OwnedText(NO_MEMORY.as_ptr() as *mut c_char)
    }
}

impl Drop for OwnedText {
    fn drop(&mut self) {
        if !self.0.is_null() && self.0 as *const u8 != NO_MEMORY.as_ptr() {
            // Made by `into_raw` above: C has no other source of one.
            drop(unsafe { CString::from_raw(self.0) });
        }
    }
}

unsafe impl Abi for OwnedText {
    const SHAPE: u64 = named("pointer", "char");
}
unsafe impl Incoming for OwnedText {}
impl Outgoing for OwnedText {
    const FAILED: OwnedText = OwnedText(std::ptr::null_mut());
}

/// Bytes that the callee reads, borrowed for the time of the call. Nobody changes them
/// meanwhile: no other thread, and no other argument of the call.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Bytes<'a> {
    /// The first byte; NULL only when `len` is 0.
    data: *const u8,
    /// How many bytes there are.
    len: usize,
    life: PhantomData<&'a [u8]>,
}

/// Bytes that the callee may change in place, borrowed for the time of the call. Nobody
/// else touches them meanwhile: no other thread, and no other argument of the call.
#[repr(C)]
pub struct BytesMut<'a> {
    /// The first byte; NULL only when `len` is 0.
    data: *mut u8,
    /// How many bytes there are.
    len: usize,
    life: PhantomData<&'a mut [u8]>,
}

unsafe impl Abi for Bytes<'_> {
    struct_abi!(Bytes<'static>, "Bytes", data: *const u8, len: usize);
}
unsafe impl Incoming for Bytes<'_> {}

unsafe impl Abi for BytesMut<'_> {
    struct_abi!(BytesMut<'static>, "BytesMut", data: *mut u8, len: usize);
}
unsafe impl Incoming for BytesMut<'_> {}

fn check_range(null: bool, len: usize) -> Result<(), Error> {
    if null && len != 0 {
        return Err(Error::argument(format_args!(
            "the data is NULL, its length {len}"
        )));
    }
    if len > isize::MAX as usize {
        return Err(Error::argument(format_args!(
            "{len} bytes are more than memory can hold"
        )));
    }
    Ok(())
}

impl Bytes<'_> {
    pub fn as_slice(&self) -> Result<&[u8], Error> {
        check_range(self.data.is_null(), self.len)?;
        if self.len == 0 {
            return Ok(&[]);
        }
        // C promises `len` readable bytes that nobody changes until the call returns.
        Ok(unsafe { std::slice::from_raw_parts(self.data, self.len) })
    }
}

impl BytesMut<'_> {
    pub fn as_mut_slice(&mut self) -> Result<&mut [u8], Error> {
        check_range(self.data.is_null(), self.len)?;
        if self.len == 0 {
            return Ok(&mut []);
        }
        // C promises `len` writable bytes that nobody else touches until the call returns.
        Ok(unsafe { std::slice::from_raw_parts_mut(self.data, self.len) })
    }
}

// `const T *`, borrowed for the time of the call. A handle is not `Incoming` itself:
// `export_handle` gives it a shape of its own.
unsafe impl<T: Incoming> Abi for Option<&T> {
    const SHAPE: u64 = mix_shape(named("pointer", "const"), T::SHAPE);
    const LAYOUT: &'static Layout = T::LAYOUT;
}
unsafe impl<T: Incoming> Incoming for Option<&T> {}

// `T *` that the callee fills: `write` does it.
unsafe impl<T: Abi> Abi for Option<&mut MaybeUninit<T>> {
    const SHAPE: u64 = mix_shape(named("pointer", "out"), T::SHAPE);
    const LAYOUT: &'static Layout = T::LAYOUT;
}
unsafe impl<T: Abi> Incoming for Option<&mut MaybeUninit<T>> {}

/// Fills what an out-pointer points to. An error when it is NULL.
pub fn write<T>(out: Option<&mut MaybeUninit<T>>, value: T) -> Result<(), Error> {
    match out {
        Some(place) => {
            *place = MaybeUninit::new(value);
            Ok(())
        }
        None => Err(Error::argument("the pointer for the result is NULL")),
    }
}

/// A type that C holds by an opaque pointer. CFFI releases Python's global lock during
/// a call, so two threads may use one at a time: hence `Sync`.
pub trait Handle: Abi + Send + Sync {}

unsafe impl<T: Handle> Abi for Option<Box<T>> {
    const SHAPE: u64 = mix_shape(named("pointer", "owned handle"), T::SHAPE);
}
unsafe impl<T: Handle> Incoming for Option<Box<T>> {}
impl<T: Handle> Outgoing for Option<Box<T>> {
    const FAILED: Option<Box<T>> = None;
}

/// The handle that C passed. An error when it is NULL.
pub fn handle<T: Handle>(handle: Option<&T>) -> Result<&T, Error> {
    handle.ok_or_else(|| Error::argument("the handle is NULL"))
}

macro_rules! callbacks {
    ($(($($argument:ident),*))*) => { $(
        unsafe impl<R: Incoming, $($argument: Abi),*> Abi for Option<extern "C" fn($($argument),*) -> R> {
            const SHAPE: u64 = {
                let shape = named("pointer", "callback");
                $(let shape = mix_shape(shape, $argument::SHAPE);)*
                mix_shape(shape, R::SHAPE)
            };
            const LAYOUT: &'static Layout = &Layout::of(&[$($argument::LAYOUT,)* R::LAYOUT]);
        }
        unsafe impl<R: Incoming, $($argument: Abi),*> Incoming
            for Option<extern "C" fn($($argument),*) -> R> {}
    )* };
}

callbacks! { () (A) (A, B) (A, B, C) (A, B, C, D) (A, B, C, D, E) }
