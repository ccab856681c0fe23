// Calls every function of hello_pyrust.h as a C program does, the ways that fail included,
// and frees what it was given. test_c.py compiles and runs it, and so do the pipeline's runners,
// which compare the ABI that it prints; it is no test of cargo's.
//
// With an argument it leaves one text to a leak detector, which proves that it has one.

#include "hello_pyrust.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// `assert` vanishes with NDEBUG, and the calls inside with it.
#define CHECK(condition)                                                     \
    do {                                                                     \
        if (!(condition)) {                                                  \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);  \
            exit(1);                                                         \
        }                                                                    \
    } while (0)

static const char LATIN1[] = "Zo\xeb";

static void check_no_error(void) {
    hello_pyrust_ErrorKind kind = 77;
    CHECK(hello_pyrust_error_take(&kind) == NULL);
    CHECK(kind == 77);
}

// Takes the error of this thread, and sees that it is this one and the only one.
static void check_error(hello_pyrust_ErrorKind expected, const char *part) {
    hello_pyrust_ErrorKind kind = 77;
    char *message = hello_pyrust_error_take(&kind);
    CHECK(message != NULL);
    CHECK(kind == expected);
    if (strstr(message, part) == NULL) {
        fprintf(stderr, "expected '%s' in '%s'\n", part, message);
        exit(1);
    }
    hello_pyrust_text_free(message);
    check_no_error();
}

static void check_text(char *text, const char *expected) {
    CHECK(text != NULL);
    CHECK(strcmp(text, expected) == 0);
    hello_pyrust_text_free(text);
}

static void abi(void) {
    const char *abi = hello_pyrust_abi();
    CHECK(strlen(abi) == 16);
    CHECK(strspn(abi, "0123456789abcdef") == 16);
    CHECK(hello_pyrust_abi() == abi);
}

static void texts(void) {
    CHECK(hello_pyrust_hello("C") == HELLO_PYRUST_ANSWER);
    check_no_error();
    CHECK(hello_pyrust_hello(NULL) == -1);
    check_error(hello_pyrust_ErrorKind_Argument, "NULL");
    CHECK(hello_pyrust_hello(LATIN1) == -1);
    check_error(hello_pyrust_ErrorKind_Argument, "not UTF-8");

    check_text(hello_pyrust_greeting_new("Zo\xc3\xab"), "Hello Zo\xc3\xab from Rust!");
    check_text(hello_pyrust_greeting_new(""), "Hello  from Rust!");
    CHECK(hello_pyrust_greeting_new(NULL) == NULL);
    check_error(hello_pyrust_ErrorKind_Argument, "NULL");
    CHECK(hello_pyrust_greeting_new(LATIN1) == NULL);
    check_error(hello_pyrust_ErrorKind_Argument, "not UTF-8");
    hello_pyrust_text_free(NULL);
}

static void bytes(void) {
    uint8_t data[] = "one\ntwo \xc3\xab\n";
    const size_t length = sizeof data - 1;
    const hello_pyrust_Bytes whole = {data, length};
    const hello_pyrust_Bytes nothing = {NULL, 0};
    const hello_pyrust_Bytes missing = {NULL, 1};
    const hello_pyrust_Bytes endless = {data, SIZE_MAX};
    hello_pyrust_Tally tally;

    CHECK(hello_pyrust_bytes_count(whole, &tally) == 0);
    CHECK(tally.bytes == length && tally.lines == 2);
    CHECK(tally.encoding == hello_pyrust_Encoding_Utf8);
    CHECK(hello_pyrust_bytes_count(nothing, &tally) == 0);
    CHECK(tally.bytes == 0 && tally.encoding == hello_pyrust_Encoding_Ascii);

    tally.bytes = 77;
    CHECK(hello_pyrust_bytes_count(missing, &tally) == -1);
    check_error(hello_pyrust_ErrorKind_Argument, "NULL");
    CHECK(hello_pyrust_bytes_count(endless, &tally) == -1);
    check_error(hello_pyrust_ErrorKind_Argument, "memory");
    CHECK(tally.bytes == 77);
    CHECK(hello_pyrust_bytes_count(whole, NULL) == -1);
    check_error(hello_pyrust_ErrorKind_Argument, "NULL");

    const hello_pyrust_BytesMut all = {data, length};
    const hello_pyrust_BytesMut none = {NULL, 0};
    const hello_pyrust_BytesMut lost = {NULL, 1};
    CHECK(hello_pyrust_bytes_shout(all) == 6);
    CHECK(strcmp((const char *)data, "ONE\nTWO \xc3\xab\n") == 0);
    CHECK(hello_pyrust_bytes_shout(none) == 0);
    CHECK(hello_pyrust_bytes_shout(lost) == -1);
    check_error(hello_pyrust_ErrorKind_Argument, "NULL");
}

static void panics(void) {
    CHECK(hello_pyrust_cakes_share(7, 2) == 3);
    CHECK(hello_pyrust_cakes_share(7, 0) == -1);
    check_error(hello_pyrust_ErrorKind_Panic, "divide by zero");

    // An error that nobody takes is freed by the next one, and so is the last one of all
    // when its thread ends. A call that succeeds leaves it alone.
    CHECK(hello_pyrust_cakes_share(7, 0) == -1);
    CHECK(hello_pyrust_cakes_share(7, 0) == -1);
    hello_pyrust_text_free(hello_pyrust_error_take(NULL));
    check_no_error();
    CHECK(hello_pyrust_cakes_share(7, 0) == -1);
    CHECK(hello_pyrust_cakes_share(7, 7) == 1);
    check_error(hello_pyrust_ErrorKind_Panic, "divide by zero");
    CHECK(hello_pyrust_cakes_share(7, 0) == -1);
}

struct steps {
    uint32_t seen;
    uint32_t last;
    uint32_t end;
};

static int32_t step(void *user_data, uint32_t number) {
    struct steps *steps = user_data;
    steps->seen++;
    steps->last = number;
    return number == steps->end ? 5 : 0;
}

// A call from inside a call.
static int32_t nested(void *user_data, uint32_t number) {
    (void)user_data;
    CHECK(hello_pyrust_cakes_share(number, 0) == -1);
    check_error(hello_pyrust_ErrorKind_Panic, "divide by zero");
    return 0;
}

static void callbacks(void) {
    struct steps steps = {0, 0, 100};
    CHECK(hello_pyrust_countdown_run(3, step, &steps) == 0);
    CHECK(steps.seen == 4 && steps.last == 0);
    steps.end = 2;
    CHECK(hello_pyrust_countdown_run(3, step, &steps) == -1);
    CHECK(steps.seen == 6 && steps.last == 2);
    check_error(hello_pyrust_ErrorKind_Callback, "answered 5");
    CHECK(hello_pyrust_countdown_run(3, NULL, &steps) == -1);
    check_error(hello_pyrust_ErrorKind_Argument, "NULL");
    CHECK(hello_pyrust_countdown_run(1, nested, NULL) == 0);
    check_no_error();
}

static void guests(void) {
    hello_pyrust_Guest *guest = hello_pyrust_guest_new("Zo\xc3\xab");
    CHECK(guest != NULL);
    CHECK(hello_pyrust_guest_visits(guest) == 0);
    check_text(hello_pyrust_guest_greet(guest), "Hello Zo\xc3\xab from Rust! (visit 1)");
    check_text(hello_pyrust_guest_greet(guest), "Hello Zo\xc3\xab from Rust! (visit 2)");
    CHECK(hello_pyrust_guest_visits(guest) == 2);
    hello_pyrust_guest_free(guest);

    CHECK(hello_pyrust_guest_new(NULL) == NULL);
    check_error(hello_pyrust_ErrorKind_Argument, "NULL");
    CHECK(hello_pyrust_guest_new(LATIN1) == NULL);
    check_error(hello_pyrust_ErrorKind_Argument, "not UTF-8");
    CHECK(hello_pyrust_guest_greet(NULL) == NULL);
    check_error(hello_pyrust_ErrorKind_Argument, "NULL");
    CHECK(hello_pyrust_guest_visits(NULL) == -1);
    check_error(hello_pyrust_ErrorKind_Argument, "NULL");
    hello_pyrust_guest_free(NULL);
}

// The program's own calls of a callback go on.
static void end(void) {
    struct steps steps = {0, 0, 100};
    CHECK(hello_pyrust_callbacks_end(5000) == 0);
    CHECK(hello_pyrust_countdown_run(3, step, &steps) == 0);
}

static void layouts(void) {
    char line[100];
    snprintf(line, sizeof line, "struct Tally %u %u bytes:0:8 lines:%u:8 encoding:%u:1\n",
             (unsigned)sizeof(hello_pyrust_Tally),
             (unsigned)offsetof(struct { char c; hello_pyrust_Tally tally; }, tally),
             (unsigned)offsetof(hello_pyrust_Tally, lines),
             (unsigned)offsetof(hello_pyrust_Tally, encoding));
    CHECK(strstr(hello_pyrust_layout(), line) != NULL);
}

int main(int argc, char **argv) {
    (void)argv;
    abi();
    layouts();
    texts();
    bytes();
    panics();
    callbacks();
    guests();
    end();
    if (argc > 1) {
        CHECK(hello_pyrust_greeting_new("nobody") != NULL);
    }
    // Left on purpose: the error of a thread is freed with the thread.
    CHECK(hello_pyrust_cakes_share(7, 0) == -1);
    printf("every call was right, with " HELLO_PYRUST_VERSION ", ABI %s\n", hello_pyrust_abi());
    return 0;
}
