//! The types that cross.

use std::ffi::{CStr, CString};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::os::raw::{c_char, c_void};

use super::{Abi, Error, Incoming, Layout, Outgoing};

use super::{mix_shape, named, struct_abi};

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
