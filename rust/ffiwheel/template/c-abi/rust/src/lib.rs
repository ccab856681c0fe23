//! What Python sees of `fast-thing`: the functions of include/fast_thing.h. After a change there run
//! `make header`.

/// What is left of a number; -1 if there is too little.
#[no_mangle]
pub extern "C" fn fast_thing_rest(number: u32, taken: u32) -> i64 {
    number.checked_sub(taken).map_or(-1, i64::from)
}
