//! Runs the rules over a file, and collects every finding. It knows no project, no process and
//! no disk: what a file does not say of itself is in the context.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};

mod archive;
mod contents;
pub mod context;
mod finding;
mod metadata;
mod native;
pub mod promise;
pub mod rules;
mod sdist;
mod wheel;

pub use contents::base_name;
pub use context::Context;
pub use finding::{Finding, Judge, Judged};
pub use metadata::Metadata;

/// Judges a file by its name and contents. Never panics, and neither time nor memory grow
/// beyond facts/bounds.rs.
pub fn judge(file: &str, data: &[u8], context: &Context) -> Judged {
    // The readers check what they read, but a judge that dies has judged nothing: whatever
    // panics, in a library perhaps, is a finding about the file that made it.
    let attempt = panic::catch_unwind(AssertUnwindSafe(|| {
        let mut judge = Judge::new(file, context);
        judge.file(data);
        judge.judged
    }));
    attempt.unwrap_or_else(|panic| {
        let mut judge = Judge::new(file, context);
        let reason = format!("the judge failed on it: {}", text_of(&*panic));
        judge.add(&rules::F102, None, reason);
        judge.judged
    })
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| text.to_string());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default()
}

impl Judge<'_> {
    pub(super) fn file(&mut self, data: &[u8]) {
        let path = self.judged.file.clone();
        let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
        if name.ends_with(".whl") {
            self.wheel(name, data);
        } else if let Some(stem) = name.strip_suffix(".tar.gz") {
            self.sdist(stem, data);
        } else {
            self.bare_library(data);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::context::tests::context;
    use super::*;

    #[test]
    fn whatever_a_file_holds_it_is_judged() {
        let codes = |name: &str, data: &[u8]| -> Vec<&str> {
            let judged = judge(name, data, &context());
            judged.findings.iter().map(|it| it.rule.code).collect()
        };
        assert_eq!(codes("a.txt", b""), ["F101"]);
        assert_eq!(codes("other-1-py3-none-any.whl", b""), ["Z101"]);
        assert_eq!(codes("other-1.tar.gz", b""), ["Z101"]);
        assert_eq!(codes("a.so", b"\x7fELF"), ["L302"]);
        // An empty zip file
        let empty = [b"PK\x05\x06".as_slice(), &[0; 18]].concat();
        assert_eq!(codes("other-1-py3-none-any.whl", &empty), ["W113"]);
    }
}
