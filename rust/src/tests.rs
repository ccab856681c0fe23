//! The exported functions, called as C calls them.

use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::os::raw::{c_char, c_void};

use crate::ffi::{self, Error, ErrorKind, Text, ABI};
use crate::{
    hello_pyrust_bytes_count, hello_pyrust_cakes_share, hello_pyrust_countdown_run,
    hello_pyrust_greeting_new, hello_pyrust_guest_free, hello_pyrust_guest_greet,
    hello_pyrust_guest_new, hello_pyrust_guest_visits, hello_pyrust_hello, Encoding, ANSWER,
};

/// A `const char *` as C would pass it. The text must outlive the call.
fn text(text: &CStr) -> Text<'_> {
    pointer(text.as_ptr())
}

#[allow(unsafe_code)]
fn pointer<'a>(pointer: *const c_char) -> Text<'a> {
    // `Text` is transparent: this is what the C calling convention does.
    unsafe { std::mem::transmute(pointer) }
}

#[allow(unsafe_code)]
fn read(text: &ffi::OwnedText) -> Option<String> {
    let pointer: &*const c_char =
        unsafe { &*(text as *const ffi::OwnedText as *const *const c_char) };
    (!pointer.is_null()).then(|| {
        unsafe { CStr::from_ptr(*pointer) }
            .to_str()
            .unwrap()
            .to_owned()
    })
}

/// Takes the error of this thread.
#[allow(unsafe_code)]
fn error() -> Option<(ErrorKind, String)> {
    let mut kind = MaybeUninit::uninit();
    let message = read(&ffi::error_take(Some(&mut kind)))?;
    Some((unsafe { kind.assume_init() }, message))
}

#[test]
fn hello_answers() {
    let who = CString::new("Rust").unwrap();
    assert_eq!(hello_pyrust_hello(text(&who)), ANSWER);
    assert_eq!(error(), None);
}

#[test]
fn text_that_is_null_or_not_utf8_is_an_error() {
    let latin1 = CString::new(b"Zo\xeb".to_vec()).unwrap();
    for bad in [pointer(std::ptr::null()), text(&latin1)] {
        assert_eq!(read(&hello_pyrust_greeting_new(bad)), None);
        assert_eq!(error().unwrap().0, ErrorKind::Argument);
    }
}

#[test]
fn a_panic_is_an_error_that_says_where_and_is_taken_once() {
    assert_eq!(hello_pyrust_cakes_share(1, 0), -1);
    let (kind, message) = error().unwrap();
    assert_eq!(kind, ErrorKind::Panic);
    assert!(
        message.starts_with("attempt to divide by zero (src/lib.rs:"),
        "{message}"
    );
    assert_eq!(error(), None);
}

#[test]
fn a_panic_with_any_payload_is_an_error() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    let failed: i32 = ffi::gate(|| std::panic::panic_any(Bomb));
    assert_eq!(failed, -1);
    assert!(error().unwrap().1.starts_with("panic without a message"));
}

#[test]
fn an_error_is_thrown_where_none_can_be_returned() {
    fn next() -> Option<i32> {
        Error::argument("the end").throw()
    }
    let failed: i32 = ffi::gate(|| Ok(std::iter::from_fn(next).sum()));
    assert_eq!(failed, -1);
    assert_eq!(error().unwrap(), (ErrorKind::Argument, "the end".into()));
}

#[test]
fn success_leaves_the_error_of_its_thread_alone() {
    assert_eq!(hello_pyrust_cakes_share(1, 0), -1);
    std::thread::spawn(|| assert_eq!(hello_pyrust_cakes_share(4, 2), 2))
        .join()
        .unwrap();
    assert_eq!(hello_pyrust_cakes_share(4, 2), 2);
    assert_eq!(error().unwrap().0, ErrorKind::Panic);
    assert_eq!(error(), None);
}

#[test]
#[allow(unsafe_code)]
fn bytes_are_counted_and_null_is_refused() {
    #[repr(C)]
    struct Raw(*const u8, usize);
    let bytes = |raw: Raw| -> ffi::Bytes<'static> { unsafe { std::mem::transmute(raw) } };

    let data = "é\n".as_bytes();
    let mut tally = MaybeUninit::uninit();
    assert_eq!(
        hello_pyrust_bytes_count(bytes(Raw(data.as_ptr(), data.len())), Some(&mut tally)),
        0
    );
    let tally = unsafe { tally.assume_init() };
    assert_eq!(
        (tally.bytes, tally.lines, tally.encoding),
        (3, 1, Encoding::Utf8)
    );

    let mut tally = MaybeUninit::uninit();
    let null = std::ptr::null();
    assert_eq!(
        hello_pyrust_bytes_count(bytes(Raw(null, 0)), Some(&mut tally)),
        0
    );
    for (raw, out) in [
        (Raw(null, 1), Some(&mut tally)),
        (
            Raw(data.as_ptr(), usize::MAX),
            Some(&mut MaybeUninit::uninit()),
        ),
        (Raw(data.as_ptr(), 1), None),
    ] {
        assert_eq!(hello_pyrust_bytes_count(bytes(raw), out), -1);
        assert_eq!(error().unwrap().0, ErrorKind::Argument);
    }
}

#[test]
#[allow(unsafe_code)]
fn a_callback_gets_its_user_data_and_can_end_the_countdown() {
    extern "C" fn step(user_data: *mut c_void, step: u32) -> i32 {
        let steps = unsafe { &mut *user_data.cast::<Vec<u32>>() };
        steps.push(step);
        i32::from(step == 1)
    }
    let mut steps: Vec<u32> = Vec::new();
    let user_data = (&mut steps as *mut Vec<u32>).cast();
    assert_eq!(hello_pyrust_countdown_run(3, Some(step), user_data), -1);
    assert_eq!(steps, [3, 2, 1]);
    assert_eq!(
        error().unwrap(),
        (ErrorKind::Callback, "the callback answered 1".into())
    );
    assert_eq!(hello_pyrust_countdown_run(3, None, user_data), -1);
    assert_eq!(error().unwrap().0, ErrorKind::Argument);
}

#[test]
fn a_guest_is_used_by_threads_and_freed() {
    let name = CString::new("Zoë").unwrap();
    let guest = hello_pyrust_guest_new(text(&name)).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| read(&hello_pyrust_guest_greet(Some(&guest))).unwrap());
        }
    });
    assert_eq!(hello_pyrust_guest_visits(Some(&guest)), 4);
    hello_pyrust_guest_free(Some(guest));
    assert_eq!(hello_pyrust_guest_visits(None), -1);
    assert_eq!(error().unwrap().1, "the handle is NULL");
}

#[test]
fn a_nul_in_a_text_is_an_error_and_in_a_message_a_sign() {
    let failed: ffi::OwnedText = ffi::gate(|| ffi::OwnedText::new("a\0b"));
    assert_eq!(read(&failed), None);
    assert_eq!(error().unwrap().0, ErrorKind::Argument);
    let _: i32 = ffi::gate(|| Err(ffi::Error::argument("a\0b\0")));
    assert_eq!(error().unwrap().1, "a\u{fffd}b\u{fffd}");
}

#[test]
fn more_than_memory_is_an_error() {
    let failed: ffi::OwnedText = ffi::gate(|| {
        let mut text = String::new();
        text.try_reserve(isize::MAX as usize)?;
        ffi::OwnedText::new(text)
    });
    assert_eq!(read(&failed), None);
    assert_eq!(error().unwrap().0, ErrorKind::Memory);
}

#[test]
fn callbacks_of_threads_are_waited_for_and_then_end() {
    use std::sync::mpsc::channel;
    let (begun, begins) = channel();
    let (ends, end) = channel::<()>();
    let thread = std::thread::spawn(move || {
        let first = ffi::call_back(|| {
            begun.send(()).unwrap();
            end.recv().unwrap();
            1
        });
        (first, ffi::call_back(|| 2))
    });
    begins.recv().unwrap();
    assert_eq!(ffi::callbacks_end(1), 1);
    ends.send(()).unwrap();
    assert_eq!(ffi::callbacks_end(60_000), 0);
    assert_eq!(thread.join().unwrap(), (Some(1), None));
}

#[test]
fn the_fingerprint_is_the_marker_in_the_file() {
    let abi = ffi::abi();
    assert_eq!(abi.as_str().unwrap(), format!("{ABI:016x}"));
}
