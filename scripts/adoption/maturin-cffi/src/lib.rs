use std::ffi::{CStr, CString};
use std::os::raw::c_char;
use std::ptr;

/// A welcome, to be freed with `greet_free`; NULL if `who` is not UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn greet_welcome(who: *const c_char) -> *mut c_char {
    match unsafe { CStr::from_ptr(who) }.to_str() {
        Ok(who) => CString::new(format!("Welcome, {}!", who)).unwrap().into_raw(),
        Err(_) => ptr::null_mut(),
    }
}

/// Frees a text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn greet_free(text: *mut c_char) {
    drop(unsafe { CString::from_raw(text) });
}

/// A difference, or -1 if it is negative.
#[unsafe(no_mangle)]
pub extern "C" fn greet_subtract(from: u32, number: u32) -> i64 {
    from.checked_sub(number).map_or(-1, i64::from)
}
