//! Libraries and programs, in a wheel or by themselves.

use std::collections::BTreeSet;

use super::promise::{needs, of_slice, Place};
use super::rules::{self, Rule};
use super::Judge;
use crate::facts::library::{self, Exposure, Format, Slice};

/// Where users' files and cargo's are. A name must follow each for it to be such a path.
const PRIVATE_PATHS: [&str; 6] = [
    "/home/",
    "/Users/",
    "/root/",
    ":\\Users\\",
    "/.cargo/registry/",
    "/registry/src/",
];

const WINDOWS_GUI: u32 = 2;

impl Judge<'_> {
    pub(super) fn bare_library(&mut self, data: &[u8]) {
        let fingerprints = library::fingerprints(data, &self.context.prefix);
        self.own = !fingerprints.is_empty();
        if self.own && fingerprints.len() > 1 {
            let text = format!("it holds {} ABI fingerprints", fingerprints.len());
            self.add(&rules::A603, None, text);
        }
        let place = Place::default();
        if self.native(data, &place).is_none() {
            let text = "it is not a wheel, an sdist, or a library that a loader opens";
            self.add(&rules::F101, None, text);
        }
    }

    /// Judges a file if it is native: whether it is (a library, a program).
    pub(super) fn native(&mut self, data: &[u8], place: &Place) -> Option<(bool, bool)> {
        let member = (!place.member.is_empty()).then_some(place.member);
        let slices = match library::parse(data) {
            Ok(slices) => slices?,
            Err(error) => {
                self.add(&rules::L302, member, format!("{error:#}"));
                let program = self.context.program.is_some();
                return Some((!program, program));
            }
        };
        for (rule, message) in needs(&slices, place) {
            self.add(rule, member, message);
        }
        let grafted =
            member.is_some_and(|name| name.contains(".libs/") || name.contains(".dylibs/"));
        for slice in &slices {
            let of = of_slice(&slices, slice);
            for exposure in &slice.exposures {
                let message = match exposure {
                    Exposure::BadSignature(reason) => format!("{of}its signature: {reason}"),
                    other => format!("{of}{}", lack(other)),
                };
                self.add(of_exposure(exposure), member, message);
            }
            if self.own && !grafted && self.context.program.is_none() {
                self.abi(slice, &of, member);
            }
        }
        if let Some(path) = private_path(data, &self.context.private) {
            self.add(&rules::H511, member, format!("it holds the path {path}"));
        }
        let program = slices.iter().all(|slice| slice.is_program);
        Some((!program, program))
    }

    /// What the header declares, and what is exported lacks.
    pub(super) fn missing(&mut self, exports: &BTreeSet<String>, of: &str, member: Option<&str>) {
        let missing = self.context.functions.difference(exports);
        let missing = missing.filter(|name| !self.context.partly.contains(*name));
        let missing = list(missing.collect());
        if !missing.is_empty() {
            let text = format!("{of}it does not export {missing}");
            self.add(&rules::A601, member, text);
        }
    }

    pub(super) fn abi(&mut self, slice: &Slice, of: &str, member: Option<&str>) {
        let functions = &self.context.functions;
        if self.context.libraries.is_empty() {
            self.missing(&slice.exports, of, member);
        } else {
            let of_all = self.exports.entry(slice.arch.clone()).or_default();
            of_all.extend(slice.exports.iter().cloned());
        }
        let linkers = library::linker_exports(slice.format);
        let stray = slice.exports.difference(functions);
        let stray = list(stray.filter(|name| !linkers(name)).collect());
        if !stray.is_empty() && !self.context.given_header {
            self.add(&rules::A602, member, format!("{of}it exports {stray}"));
        }
        // No loader asks for the subsystem of a DLL, but cargo's have this one.
        let other = slice.system != Some(WINDOWS_GUI) && !self.context.given_header;
        if slice.format == Format::Pe && (slice.is_program || other) {
            let text = "it is a program, or not for the Windows subsystem";
            self.add(&rules::L310, member, text);
        }
    }
}

fn list(names: BTreeSet<&String>) -> String {
    let names: Vec<&str> = names.into_iter().map(String::as_str).collect();
    names.join(", ")
}

fn of_exposure(exposure: &Exposure) -> &'static Rule {
    match exposure {
        Exposure::ExecutableStack => &rules::H501,
        Exposure::WritableRelocations => &rules::H502,
        Exposure::LazyBinding => &rules::H503,
        Exposure::TextRelocations => &rules::H504,
        Exposure::WritableCode => &rules::H505,
        Exposure::FixedAddress => &rules::H506,
        Exposure::ExecutableData => &rules::H507,
        Exposure::LowEntropy => &rules::H508,
        Exposure::Unsigned => &rules::H509,
        Exposure::BadSignature(_) => &rules::H510,
        Exposure::FixedProgram => &rules::H512,
    }
}

fn lack(exposure: &Exposure) -> &'static str {
    match exposure {
        Exposure::ExecutableStack => "it asks for an executable stack",
        Exposure::WritableRelocations => "it has no GNU_RELRO segment",
        Exposure::LazyBinding => "its functions are bound when they are first called",
        Exposure::TextRelocations => "its code must be relocated",
        Exposure::WritableCode => "some of it is writable and executable",
        Exposure::FixedAddress => "it lacks DYNAMIC_BASE",
        Exposure::ExecutableData => "it lacks NX_COMPAT",
        Exposure::LowEntropy => "it lacks HIGH_ENTROPY_VA",
        Exposure::Unsigned => "it is not signed",
        Exposure::BadSignature(_) => "its signature is not valid",
        Exposure::FixedProgram => "it is not position-independent",
    }
}

/// The first path of a machine that builds, with some of what follows.
pub(super) fn private_path(data: &[u8], private: &[String]) -> Option<String> {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.-".contains(byte);
    // /opt/rh/devtoolset-8/root/usr is not root's home, which is at the beginning.
    let begins = |at: usize| at == 0 || !is_name(&data[at - 1]);
    let shown = |at: usize| {
        let rest = &data[at..data.len().min(at + 80)];
        let end = rest
            .iter()
            .position(|byte| !byte.is_ascii_graphic())
            .unwrap_or(rest.len());
        String::from_utf8_lossy(&rest[..end]).into_owned()
    };
    for pattern in PRIVATE_PATHS {
        let finder = memchr::memmem::Finder::new(pattern);
        for at in finder.find_iter(data) {
            let rest = &data[at + pattern.len()..];
            let rest = &rest[..rest.len().min(256)];
            let name = rest.iter().take_while(|byte| is_name(byte)).count();
            let separator = pattern.as_bytes()[pattern.len() - 1];
            // /home/<user>/<something>: anything shorter names no user's file.
            if name > 0 && rest.get(name) == Some(&separator) && (pattern != "/root/" || begins(at))
            {
                return Some(shown(at));
            }
        }
    }
    let mut found = private
        .iter()
        .filter_map(|path| memchr::memmem::find(data, path.as_bytes()));
    found.next().map(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_somebodys_paths_are_private() {
        let private = |text: &str| private_path(text.as_bytes(), &["/srv/build/project".into()]);
        for text in [
            "/home/me/x",
            "x/Users/me/y",
            "/root/.cargo/registry/src/x",
            "C:\\Users\\me\\x",
            "/opt/cargo/registry/src/index.crates.io-1/a",
            "/srv/build/project/a",
        ] {
            assert!(private(text).is_some(), "{text}");
        }
        for text in [
            "/home/",
            "/home/$USER/x",
            "/homes/a/b",
            "/rustc/abc/library",
            "/root/ ",
            "/opt/rh/devtoolset-8/root/usr/include",
        ] {
            assert_eq!(private(text), None, "{text}");
        }
    }
}
