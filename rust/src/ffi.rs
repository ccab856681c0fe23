//! The gate between C and Rust: everything that crosses the border is declared with
//! the macros of this file, which is the only one that contains `unsafe`.
//!
//! * [`export!`] makes a C function of a block that returns `Result`. A panic and an
//!   `Err` both end as an error that the caller takes with `hello_pyrust_error_take`;
//!   neither unwinds into C.
//! * [`export_struct!`] and [`export_enum!`] declare what crosses by layout,
//!   [`export_handle!`] what crosses as an opaque pointer.
//! * Only types that implement [`Incoming`] can be arguments, and only types that
//!   implement [`Outgoing`] can be results: [`Text`], [`OwnedText`], [`Bytes`],
//!   [`BytesMut`], numbers, handles and callbacks.
//! * [`ABI`] is a fingerprint of all those declarations, computed by the compiler. It
//!   does not depend on comments, the target or the compiler.
//! * `hello_pyrust_layout` tells the sizes, alignments and offsets that the compiler chose
//!   for the target.

#[cfg(all(panic = "abort", not(test)))]
compile_error!("the gate needs `panic = \"unwind\"`: with \"abort\" a panic ends Python");

use std::any::Any;
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::TryReserveError;
use std::ffi::{CStr, CString};
use std::fmt::{self, Display, Write};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::os::raw::{c_char, c_void};
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::sync::Once;
use std::time::{Duration, Instant};

// ---------------------------------------------------------------------------------
// Errors

export_enum! {
    /// What went wrong, as `hello_pyrust_error_take` tells it.
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

    fn memory() -> Error {
        Error {
            kind: ErrorKind::Memory,
            message: "there is not enough memory".into(),
        }
    }

    fn panic(payload: Box<dyn Any + Send>) -> Error {
        let message: Cow<str> = match payload.downcast::<String>() {
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
    fn fmt(&self, to: &mut fmt::Formatter) -> fmt::Result {
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

// ---------------------------------------------------------------------------------
// The fingerprint

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
pub const ABI: u64 = mix_shape(crate::EXPORTS.shape, EXPORTS.shape);

/// `hello_pyrust.abi=`, sixteen hexadecimal digits, NUL: to be found in the bytes of
/// the library's file on any host, without running it.
static MARKER: [u8; MARKER_PREFIX.len() + 17] = marker();
const MARKER_PREFIX: &[u8] = b"hello_pyrust.abi=";

const fn marker() -> [u8; MARKER_PREFIX.len() + 17] {
    let mut text = [0; MARKER_PREFIX.len() + 17];
    let mut i = 0;
    while i < MARKER_PREFIX.len() {
        text[i] = MARKER_PREFIX[i];
        i += 1;
    }
    let mut digit = 0;
    while digit < 16 {
        text[i + digit] = b"0123456789abcdef"[((ABI >> (60 - 4 * digit)) & 0xf) as usize];
        digit += 1;
    }
    text
}

// ---------------------------------------------------------------------------------
// The layouts

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

pub const fn layout<T: Abi>() -> &'static Layout {
    T::LAYOUT
}

/// The lines of `hello_pyrust_layout`, or how long they are, when there is no room.
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
                    // The fingerprint is of the fields as they are told.
                    assert!(
                        offset >= end,
                        "the fields are told in another order than they lie"
                    );
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

const LAYOUTS: &[&[&Layout]] = &[crate::EXPORTS.layouts, EXPORTS.layouts];
/// How many lines there would be, with every repetition.
const MOST_TYPES: usize = Lines::<0, 0>::of(LAYOUTS).types;
const LINES_LENGTH: usize = Lines::<0, MOST_TYPES>::of(LAYOUTS).length;

/// `hello_pyrust.layout=`, the lines, NUL: to be found like [`MARKER`].
#[repr(C)]
struct Table {
    prefix: [u8; 20],
    lines: [u8; LINES_LENGTH],
    end: u8,
}

static TABLE: Table = Table {
    prefix: *b"hello_pyrust.layout=",
    lines: Lines::<LINES_LENGTH, MOST_TYPES>::of(LAYOUTS).text,
    end: 0,
};

// ---------------------------------------------------------------------------------
// Types that cross

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
pub struct Text<'a>(*const c_char, PhantomData<&'a str>);

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

/// `const char *`: a text that Rust lends to a callback, for the time of its call. It has
/// no lifetime, since Rust never reads it again.
#[allow(dead_code)] // No callback of this library gets a text.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct LentText(*const c_char);

#[allow(dead_code)]
impl LentText {
    pub fn new(text: &CStr) -> LentText {
        LentText(text.as_ptr())
    }
}

unsafe impl Abi for LentText {
    const SHAPE: u64 = <Text>::SHAPE;
}

/// `char *`: UTF-8 that ends with NUL and belongs to whoever received it, who gives
/// it back to `hello_pyrust_text_free`.
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

    fn no_memory() -> OwnedText {
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

// ---------------------------------------------------------------------------------
// Callbacks on threads of the library

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
/// that ends the process. `hello_pyrust_callbacks_end` hence waits for what is under way here.
#[allow(dead_code)] // This library starts no thread.
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

// ---------------------------------------------------------------------------------
// The macros

/// C functions. Each is written `fn name(argument: Type, …) -> Type { … }` with a body
/// that ends in a `Result`; the macro adds `extern "C"`, the gate and the fingerprint,
/// which it leaves in a constant `EXPORTS` of the calling module: [`ABI`] is of the one in
/// the crate's root and the one here, and a module with another is an error until its
/// constant is mixed in there.
///
/// Write the lifetimes of arguments as `'_` or leave them out: what C lends ends with the
/// call, and `'static` would be a lie that the compiler cannot see.
macro_rules! export {
    ($(
        $(#[doc = $doc:literal])*
        fn $name:ident($($argument:ident: $type:ty),* $(,)?) -> $result:ty $body:block
    )*) => {
        $(
            $(#[doc = $doc])*
            #[allow(unsafe_code, clippy::unused_unit)]
            #[no_mangle]
            pub extern "C" fn $name($($argument: $type),*) -> $result {
                $crate::ffi::gate(move || -> ::std::result::Result<$result, $crate::ffi::Error> {
                    $body
                })
            }
        )*

        /// The shapes of the functions above. Unused means: not part of the fingerprint.
        #[deny(dead_code)]
        pub(crate) const EXPORTS: $crate::ffi::Exports = $crate::ffi::Exports {
            shape: {
                let shape = $crate::ffi::named("exports", "");
                $(
                    let shape = $crate::ffi::mix(shape, stringify!($name));
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
                &$crate::ffi::Layout::of_fn(stringify!($name), &[
                    $($crate::ffi::layout::<$type>(),)*
                    $crate::ffi::layout::<$result>(),
                ]),
            )*],
        };
    };
}
pub(crate) use export;

/// A `repr(C)` struct whose fields C sees.
macro_rules! export_struct {
    (
        $(#[doc = $doc:literal])*
        pub struct $name:ident {
            $($(#[doc = $field_doc:literal])* $visibility:vis $field:ident: $type:ty),* $(,)?
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
        $(#[doc = $doc:literal])*
        pub enum $name:ident: $repr:ident {
            $($(#[doc = $value_doc:literal])* $value:ident = $number:literal),* $(,)?
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

// ---------------------------------------------------------------------------------
// What every library exports

export! {
    /// The fingerprint of the ABI that this library was compiled with: sixteen
    /// lower-case hexadecimal digits in static memory, never to be freed. It changes
    /// when an exported function, struct, enum or callback does.
    fn hello_pyrust_abi() -> Text<'static> {
        let digits = &MARKER[MARKER_PREFIX.len()..];
        Ok(Text(digits.as_ptr().cast(), PhantomData))
    }

    /// What is exported, and how the structs and enums that cross lie in memory, as the
    /// compiler of this library laid them out; for tests that compare it with a C compiler's
    /// or CFFI's idea. Text in static memory, never to be freed. It has a line for each
    /// function and type, with the names of types as in Rust and numbers in decimal, sizes and
    /// offsets in bytes:
    ///
    ///     fn <name>
    ///     struct <name> <size> <alignment> <field>:<offset>:<size> ...
    ///     enum <name> <size> <alignment> <value's name>=<value> ...
    fn hello_pyrust_layout() -> Text<'static> {
        Ok(Text(TABLE.lines.as_ptr().cast(), PhantomData))
    }

    /// The error of the last call that failed on this thread, which is then forgotten.
    ///
    /// @param kind receives the kind of the error; may be NULL. Left alone when there
    ///   is no error.
    /// @return the message, to be freed with `hello_pyrust_text_free`; NULL when no call
    ///   has failed since the last one was taken.
    fn hello_pyrust_error_take(kind: Option<&mut MaybeUninit<ErrorKind>>) -> OwnedText {
        match LAST.with(|last| last.take()) {
            None => Ok(OwnedText::FAILED),
            Some(error) => {
                let message = text(WithoutNul(&error.message)).and_then(OwnedText::new);
                let (code, message) = match message {
                    Ok(message) => (error.kind, message),
                    Err(_) => (ErrorKind::Memory, OwnedText::no_memory()),
                };
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
    fn hello_pyrust_callbacks_end(milliseconds: u32) -> i32 {
        let start = Instant::now();
        forget_the_parents();
        ENDED.store(true, SeqCst);
        loop {
            let count = UNDER_WAY.load(SeqCst);
            if count == 0 || start.elapsed() >= Duration::from_millis(milliseconds.into()) {
                return Ok(count.try_into().unwrap_or(i32::MAX));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Frees a text that this library returned.
    ///
    /// @param text an owned text, freed once; NULL is allowed and does nothing.
    fn hello_pyrust_text_free(text: OwnedText) -> () {
        drop(text);
        Ok(())
    }
}
