//! How much is read of a file that may be anybody's.

// Bounds of what is unpacked. The ratio, and from which size on it counts, are PyPI's.
pub const MOST_UNPACKED: u64 = 4 << 30;

pub const LARGEST_MEMBER: u64 = 1 << 30;

pub const RATIO_COUNTS_FROM: u64 = 64 << 20;

pub const HIGHEST_RATIO: u64 = 50;

/// Many times what any wheel has.
pub const MOST_MEMBERS: usize = 1 << 18;

/// How long metadata may be of which all has to be held at once, and how long a line of it
/// that is worked out.
pub const LONGEST_TEXT: usize = 16 << 20;

pub const LONGEST_SPECIFIER: usize = 1000;

/// How many findings of one rule are reported for a file; more would not help the reader.
pub const MOST_FINDINGS: usize = 200;

pub const LONGEST_MESSAGE: usize = 1000;

/// No file on PyPI is larger without a word with its administrators.
pub const LARGEST_FILE: u64 = 4 << 30;
