//! How what crosses lies in memory, as a text in the library.

use std::marker::PhantomData;

use super::{Abi, Text};

use super::fingerprint::begun_with;
use super::named;

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
