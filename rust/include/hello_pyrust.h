// Generated from rust/src by `make header`: edit the Rust source instead.
//
// Conventions
// - Text is UTF-8 that ends with NUL. A text argument is borrowed for the call.
// - What a function returns as owned is freed once, by the function that its
//   comment names, and by nothing else.
// - A pointer must be valid or, where the comment allows it, NULL. NULL elsewhere is
//   an error, not a crash.
// - A function that fails returns what its comment says, and leaves an error for
//   hello_pyrust_error_take, on the same thread, until it is taken or another call there
//   fails. A panic in Rust is such an error.
// - Every function may be called from any thread.

#ifndef HELLO_PYRUST_H
#define HELLO_PYRUST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The version of the crate that this header was generated from.
#define HELLO_PYRUST_VERSION "0.1.0"

// What `hello_pyrust_hello` returns.
#define HELLO_PYRUST_ANSWER 42

// What kind of text some bytes are.
enum hello_pyrust_Encoding
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint8_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // No byte above 0x7f.
  hello_pyrust_Encoding_Ascii = 0,
  // Valid UTF-8 with characters beyond ASCII.
  hello_pyrust_Encoding_Utf8 = 1,
  // Anything else.
  hello_pyrust_Encoding_Binary = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum hello_pyrust_Encoding hello_pyrust_Encoding;
#else
typedef uint8_t hello_pyrust_Encoding;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What went wrong, as `hello_pyrust_error_take` tells it.
enum hello_pyrust_ErrorKind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint8_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // An argument was NULL, not UTF-8, or out of its range.
  hello_pyrust_ErrorKind_Argument = 1,
  // The operating system refused; the disk under standard output is full, for example.
  hello_pyrust_ErrorKind_Io = 2,
  // A callback answered with a value other than 0.
  hello_pyrust_ErrorKind_Callback = 3,
  // The Rust code panicked: a bug in the library.
  hello_pyrust_ErrorKind_Panic = 4,
  // There was not enough memory for a copy.
  hello_pyrust_ErrorKind_Memory = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum hello_pyrust_ErrorKind hello_pyrust_ErrorKind;
#else
typedef uint8_t hello_pyrust_ErrorKind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// Somebody who is greeted again and again.
typedef struct hello_pyrust_Guest hello_pyrust_Guest;

// `const char *`: UTF-8 that ends with NUL and is borrowed for the time of the call.
typedef const char *hello_pyrust_Text;

// `char *`: UTF-8 that ends with NUL and belongs to whoever received it, who gives
// it back to `hello_pyrust_text_free`.
typedef char *hello_pyrust_OwnedText;

// Bytes that the callee reads, borrowed for the time of the call. Nobody changes them
// meanwhile: no other thread, and no other argument of the call.
typedef struct hello_pyrust_Bytes {
  // The first byte; NULL only when `len` is 0.
  const uint8_t *data;
  // How many bytes there are.
  size_t len;
} hello_pyrust_Bytes;

// What `hello_pyrust_bytes_count` found.
typedef struct hello_pyrust_Tally {
  // The number of bytes.
  uint64_t bytes;
  // The number of line feeds (0x0a).
  uint64_t lines;
  // The narrowest encoding that all the bytes are valid in.
  hello_pyrust_Encoding encoding;
} hello_pyrust_Tally;

// Bytes that the callee may change in place, borrowed for the time of the call. Nobody
// else touches them meanwhile: no other thread, and no other argument of the call.
typedef struct hello_pyrust_BytesMut {
  // The first byte; NULL only when `len` is 0.
  uint8_t *data;
  // How many bytes there are.
  size_t len;
} hello_pyrust_BytesMut;

// Called for each step of a countdown, on the calling thread, with the `user_data`
// that came with it. 0 means go on; any other value ends the countdown with an error.
typedef int32_t (*hello_pyrust_Step)(void *user_data, uint32_t step);



#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Prints `Hello <who> from Rust!` and a line feed to the process's standard output.
//
// @param who UTF-8, ends with NUL, borrowed for the call; not NULL.
// @return HELLO_PYRUST_ANSWER, or -1 on an error.
int32_t hello_pyrust_hello(hello_pyrust_Text who);

// The greeting that `hello_pyrust_hello` prints, without the line feed.
//
// @param who UTF-8, ends with NUL, borrowed for the call; not NULL.
// @return UTF-8, to be freed with `hello_pyrust_text_free`; NULL on an error.
hello_pyrust_OwnedText hello_pyrust_greeting_new(hello_pyrust_Text who);

// Counts bytes and lines, and finds the encoding.
//
// @param bytes what to look at, borrowed for the call.
// @param tally receives the result; not NULL. Left alone on an error.
// @return 0, or -1 on an error.
int32_t hello_pyrust_bytes_count(struct hello_pyrust_Bytes bytes, struct hello_pyrust_Tally *tally);

// Makes ASCII letters upper-case, in place. Other bytes stay as they are.
//
// @param bytes what to change, borrowed for the call.
// @return how many bytes were changed, or -1 on an error.
int64_t hello_pyrust_bytes_shout(struct hello_pyrust_BytesMut bytes);

// How many whole cakes each guest gets. With no guests it panics, and the panic
// is an error like any other: `ErrorKind` is `Panic`.
//
// @return cakes for each guest, or -1 on an error.
int64_t hello_pyrust_cakes_share(uint32_t cakes, uint32_t guests);

// Calls `step` with `start`, then each smaller number down to 0.
//
// @param step called on this thread, before the function returns; not NULL.
// @param user_data given to `step` as it is; may be NULL.
// @return 0, or -1 on an error: of kind `Callback` when `step` ended it.
int32_t hello_pyrust_countdown_run(uint32_t start, hello_pyrust_Step step, void *user_data);

// A guest who has not been greeted yet.
//
// @param name UTF-8, ends with NUL, borrowed for the call; not NULL.
// @return a handle for any thread, also several at a time, to be freed with
//   `hello_pyrust_guest_free`; NULL on an error.
struct hello_pyrust_Guest *hello_pyrust_guest_new(hello_pyrust_Text name);

// Greets the guest and counts the visit.
//
// @param guest not NULL.
// @return UTF-8, to be freed with `hello_pyrust_text_free`; NULL on an error.
hello_pyrust_OwnedText hello_pyrust_guest_greet(const struct hello_pyrust_Guest *guest);

// How often the guest has been greeted.
//
// @param guest not NULL.
// @return the number of visits, or -1 on an error.
int64_t hello_pyrust_guest_visits(const struct hello_pyrust_Guest *guest);

// Frees a guest.
//
// @param guest a handle that no call on any thread uses any more, freed once;
//   NULL is allowed and does nothing.
void hello_pyrust_guest_free(struct hello_pyrust_Guest *guest);

// The fingerprint of the ABI that this library was compiled with: sixteen
// lower-case hexadecimal digits in static memory, never to be freed. It changes
// when an exported function, struct, enum or callback does.
hello_pyrust_Text hello_pyrust_abi(void);

// What is exported, and how the structs and enums that cross lie in memory, as the
// compiler of this library laid them out; for tests that compare it with a C compiler's
// or CFFI's idea. Text in static memory, never to be freed. It has a line for each
// function and type, with the names of types as in Rust and numbers in decimal, sizes and
// offsets in bytes:
//
//     fn <name>
//     struct <name> <size> <alignment> <field>:<offset>:<size> ...
//     enum <name> <size> <alignment> <value's name>=<value> ...
hello_pyrust_Text hello_pyrust_layout(void);

// The error of the last call that failed on this thread, which is then forgotten.
//
// @param kind receives the kind of the error; may be NULL. Left alone when there
//   is no error.
// @return the message, to be freed with `hello_pyrust_text_free`; NULL when no call
//   has failed since the last one was taken.
hello_pyrust_OwnedText hello_pyrust_error_take(hello_pyrust_ErrorKind *kind);

// Ends callbacks on threads that the library started: no more are called, and those
// under way are waited for, `milliseconds` at most. For a host that ends before the
// process does, as Python; it needs every lock released that a callback takes.
//
// @return how many callbacks are still under way, or -1 on an error.
int32_t hello_pyrust_callbacks_end(uint32_t milliseconds);

// Frees a text that this library returned.
//
// @param text an owned text, freed once; NULL is allowed and does nothing.
void hello_pyrust_text_free(hello_pyrust_OwnedText text);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* HELLO_PYRUST_H */
