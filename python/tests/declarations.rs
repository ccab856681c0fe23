//! One of every kind of declaration, for test_declarations.py: it takes the place of
//! rust/src/lib.rs in a copy of the project.

#![deny(unsafe_code)]

use std::ffi::CString;
use std::fmt::Write;
use std::mem::{align_of, size_of, MaybeUninit};
use std::os::raw::c_void;
use std::ptr::addr_of;

#[allow(unsafe_code)]
mod ffi;

use ffi::{
    export, export_enum, export_handle, export_struct, handle, write, Bytes, BytesMut, Error,
    Incoming, Outgoing, OwnedText, Text,
};

pub const DECIMAL: i32 = 1_000;
pub const NEGATIVE: i64 = -5;
/// A comment of C that ends: */ int stray; and one that begins: /*
pub const HEX: u32 = 0xdead_beef;
pub const LARGEST: u64 = 0xffff_ffff_ffff_ffff;
pub const SWITCH: bool = true;
pub const HALF: f64 = 0.5;
pub const MOTTO: &str = "say \"é\" // \\";
/// A sum is no plain number to CFFI's parser.
pub const SUM: u32 = 1 << 4;

export_enum! {
    /// #if 0
    /// `*/` and `/*`, // twice, "quotes", 'apostrophes', \n and \u{0}, %s and ??/ too: Zoë, 日本.
    /// #endif
    pub enum Small: u8 {
        /// #define hello_pyrust_Small_None 7
        None = 0,
        /// Ends with a backslash \
        Most = 255,
    }
}

export_enum! {
    pub enum Signed: i8 {
        Below = -128,
        Minus = -1,
        Above = 127,
    }
}

export_enum! {
    /** A comment
    of more lines, \
    the second of which ends with a backslash. */
    pub enum Short: u16 {
        Zero = 0,
        Most = 65535,
    }
}

export_enum! {
    pub enum Plain: i32 {
        Least = -2147483648,
        Most = 2147483647,
    }
}

export_enum! {
    pub enum Wide: u32 {
        One = 1,
        Most = 0xffff_ffff,
    }
}

export_enum! {
    pub enum Huge: u64 {
        One = 1,
        High = 0x8000_0000_0000_0001,
        Most = 18446744073709551615,
    }
}

export_struct! {
    /// Padding before every second field.
    pub struct Mixed {
        pub flag: bool,
        /// Ends with a backslash \
        pub real: f64,
        pub small: i8,
        pub single: f32,
        pub sign: Signed,
        pub large: u64,
        pub last: bool,
    }
}

export_struct! {
    pub struct Nested {
        pub before: u8,
        pub mixed: Mixed,
        pub triple: [u16; 3],
        pub grid: [[f32; 2]; 3],
        pub pair: [Point; 2],
        pub huge: Huge,
        pub after: u8,
    }
}

export_struct! {
    pub struct Point {
        pub x: f32,
        pub y: i16,
    }
}

// Every value of its fields is valid.
#[allow(unsafe_code)]
unsafe impl Incoming for Point {}
impl Outgoing for Point {
    const FAILED: Point = Point { x: -1.0, y: -1 };
}

impl Outgoing for Signed {
    const FAILED: Signed = Signed::Minus;
}

impl Outgoing for Huge {
    const FAILED: Huge = Huge::One;
}

/// Called with one of everything.
pub type Report = Option<
    extern "C" fn(user_data: *mut c_void, text: *const u8, real: f64, point: Point, huge: Huge) -> i64,
>;

/// Answers nothing.
pub type Notice = Option<extern "C" fn(single: f32, flag: bool)>;

export_struct! {
    pub struct Listener {
        pub user_data: *mut c_void,
        pub report: Report,
        pub weight: f64,
    }
}

// As above: NULL is a valid callback.
#[allow(unsafe_code)]
unsafe impl Incoming for Listener {}

pub struct Counter(u32);

export_handle!(Counter);

fn mixed() -> Mixed {
    Mixed {
        flag: true,
        real: -0.25,
        small: -8,
        single: 1.5,
        sign: Signed::Below,
        large: u64::MAX - 1,
        last: true,
    }
}

fn nested() -> Nested {
    Nested {
        before: 1,
        mixed: mixed(),
        triple: [1, 2, 65535],
        grid: [[0.0, 0.5], [1.0, 1.5], [2.0, 2.5]],
        pair: [Point { x: 3.5, y: -3 }, Point { x: 4.5, y: -4 }],
        huge: Huge::High,
        after: 2,
    }
}

/// Adds a line to a text: the name of a type, its size and its alignment.
macro_rules! size {
    ($text:ident, $type:ident) => {
        let (size, alignment) = (size_of::<$type>(), align_of::<$type>());
        writeln!($text, "{} {} {}", stringify!($type), size, alignment).unwrap();
    };
}

/// The same for a struct, and a line with the offset of each field.
macro_rules! layout {
    ($text:ident, $value:expr, $type:ident { $($field:ident),* }) => {
        let value: $type = $value;
        let start = addr_of!(value) as usize;
        size!($text, $type);
        $(
            let offset = addr_of!(value.$field) as usize - start;
            writeln!($text, "{}.{} {}", stringify!($type), stringify!($field), offset).unwrap();
        )*
    };
}

fn layouts() -> String {
    let mut text = String::new();
    layout! { text, mixed(), Mixed { flag, real, small, single, sign, large, last } }
    layout! { text, nested(), Nested { before, mixed, triple, grid, pair, huge, after } }
    layout! { text, Point::FAILED, Point { x, y } }
    let nobody = Listener {
        user_data: std::ptr::null_mut(),
        report: None,
        weight: 0.0,
    };
    layout! { text, nobody, Listener { user_data, report, weight } }
    size!(text, Small);
    size!(text, Signed);
    size!(text, Short);
    size!(text, Plain);
    size!(text, Wide);
    size!(text, Huge);
    text
}

export! {
    /// The layouts, measured while it runs: what `hello_pyrust_layout` tells is computed by
    /// the compiler. "Quoted", C:\new\table, é.
    /// #include <nothing.h>
    /// */ int stray; /* Ends with a backslash \
    fn hello_pyrust_layouts() -> OwnedText {
        OwnedText::new(layouts())
    }

    fn hello_pyrust_numbers(
        a: i8, b: u8, c: i16, d: u16, e: i32, f: u32, g: i64, h: u64, i: isize, j: usize,
    ) -> i64 {
        // Wraps for no argument that the test passes.
        Ok(i64::from(a) + i64::from(b) + i64::from(c) + i64::from(d) + i64::from(e)
            + i64::from(f) + g + h as i64 + i as i64 + j as i64)
    }

    fn hello_pyrust_largest() -> u64 {
        Ok(LARGEST)
    }

    fn hello_pyrust_half(value: f32) -> f32 {
        Ok(value / 2.0)
    }

    fn hello_pyrust_third(value: f64) -> f64 {
        Ok(value / 3.0)
    }

    fn hello_pyrust_not(value: bool) -> bool {
        Ok(!value)
    }

    /// Arguments that are words of Python, of C++ and of C.
    fn hello_pyrust_words(from: u32, class: u32, long: u32) -> u32 {
        Ok(100 * from + 10 * class + long)
    }

    fn hello_pyrust_text_same(text: Text) -> Text {
        text.as_str()?;
        Ok(text)
    }

    fn hello_pyrust_bytes_copy(from: Bytes, into: BytesMut) -> usize {
        let mut into = into;
        let (from, into) = (from.as_slice()?, into.as_mut_slice()?);
        if from.len() != into.len() {
            return Err(Error::argument("not of the same length"));
        }
        into.copy_from_slice(from);
        Ok(from.len())
    }

    fn hello_pyrust_mixed(out: Option<&mut MaybeUninit<Mixed>>) -> i32 {
        write(out, mixed())?;
        Ok(0)
    }

    fn hello_pyrust_nested(out: Option<&mut MaybeUninit<Nested>>) -> i32 {
        write(out, nested())?;
        Ok(0)
    }

    fn hello_pyrust_small(most: bool, out: Option<&mut MaybeUninit<Small>>) -> i32 {
        write(out, if most { Small::Most } else { Small::None })?;
        Ok(0)
    }

    fn hello_pyrust_short(out: Option<&mut MaybeUninit<Short>>) -> i32 {
        write(out, Short::Most)?;
        Ok(0)
    }

    fn hello_pyrust_plain(out: Option<&mut MaybeUninit<Plain>>) -> i32 {
        write(out, Plain::Least)?;
        Ok(0)
    }

    fn hello_pyrust_wide(out: Option<&mut MaybeUninit<Wide>>) -> i32 {
        write(out, Wide::Most)?;
        Ok(0)
    }

    fn hello_pyrust_signed(value: i8) -> Signed {
        match value {
            -128 => Ok(Signed::Below),
            127 => Ok(Signed::Above),
            _ => Err(Error::argument(value)),
        }
    }

    fn hello_pyrust_huge() -> Huge {
        Ok(Huge::High)
    }

    fn hello_pyrust_point_swap(point: Point) -> Point {
        Ok(Point { x: f32::from(point.y), y: point.x as i16 })
    }

    fn hello_pyrust_point_sum(point: Option<&Point>) -> f64 {
        let point = point.ok_or_else(|| Error::argument("the point is NULL"))?;
        Ok(f64::from(point.x) + f64::from(point.y))
    }

    fn hello_pyrust_report(report: Report, user_data: *mut c_void, text: Text) -> i64 {
        let report = report.ok_or_else(|| Error::argument("the callback is NULL"))?;
        let text = CString::new(text.as_str()?).map_err(Error::argument)?;
        Ok(report(user_data, text.as_ptr().cast(), 0.125, Point { x: 2.5, y: -7 }, Huge::High))
    }

    fn hello_pyrust_listen(listener: Option<&Listener>, text: Text) -> f64 {
        let listener = listener.ok_or_else(|| Error::argument("the listener is NULL"))?;
        let report = listener.report.ok_or_else(|| Error::argument("the callback is NULL"))?;
        let point = Point { x: -2.5, y: 7 };
        let text = CString::new(text.as_str()?).map_err(Error::argument)?;
        Ok(report(listener.user_data, text.as_ptr().cast(), 0.5, point, Huge::Most) as f64 * listener.weight)
    }

    fn hello_pyrust_notice(notice: Notice) -> () {
        if let Some(notice) = notice {
            notice(0.5, true);
        }
        Ok(())
    }

    fn hello_pyrust_counter_new(start: u32) -> Option<Box<Counter>> {
        Ok(Some(Box::new(Counter(start))))
    }

    fn hello_pyrust_counter_value(counter: Option<&Counter>) -> u32 {
        Ok(handle(counter)?.0)
    }

    fn hello_pyrust_counter_free(counter: Option<Box<Counter>>) -> () {
        drop(counter);
        Ok(())
    }
}
