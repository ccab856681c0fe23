//! What a library needs, against what its platforms promise.

use std::collections::BTreeSet;

use super::base_name;
use super::rules::{self, Rule};
use crate::facts::library::{Format, Libc, Slice};
use crate::facts::platform::Platform;
use crate::targets::System;

/// The names of the files of a wheel, without their folders: as they are, and as Windows
/// compares them.
#[derive(Default)]
pub struct Siblings {
    names: BTreeSet<String>,
    folded: BTreeSet<String>,
}

impl Siblings {
    pub fn of<'n>(members: impl Iterator<Item = &'n str>) -> Siblings {
        let names: BTreeSet<String> = members.map(|name| base_name(name).to_owned()).collect();
        let folded = names.iter().map(|name| name.to_lowercase()).collect();
        Siblings { names, folded }
    }
}

/// Where a native file is found.
#[derive(Clone, Default)]
pub struct Place<'a> {
    /// What its wheel is for; nothing for a library by itself.
    pub platforms: &'a [Platform],
    /// The files that come with it; None where that is not known.
    pub siblings: Option<&'a Siblings>,
    /// Whether Python 2 loads it.
    pub python2: bool,
    /// Its path in the wheel.
    pub member: &'a str,
}

/// What a library needs that its platforms do not promise.
pub fn needs(slices: &[Slice], place: &Place) -> Vec<(&'static Rule, String)> {
    let mut found = Vec::new();
    for platform in place.platforms {
        let format = match platform.system {
            System::Manylinux | System::Musllinux => Format::Elf,
            System::Macos => Format::MachO,
            System::Windows => Format::Pe,
        };
        if slices.iter().any(|slice| slice.format != format) {
            let text = format!(
                "it is {:?}, but the tag says {:?}",
                slices[0].format, platform.system
            );
            found.push((&rules::L303, text));
            continue;
        }
        if platform.system == System::Macos {
            architectures(slices, platform, &mut found);
        }
        for slice in slices {
            for (rule, text) in against(slice, platform) {
                found.push((rule, format!("{}{text}", of_slice(slices, slice))));
            }
        }
    }
    for slice in slices {
        let of = of_slice(slices, slice);
        for library in missing(slice, place) {
            found.push((&rules::D401, format!("{of}it needs {library}")));
        }
        for path in &slice.search_paths {
            if leaves(path, slice.format, place.member) {
                found.push((
                    &rules::D402,
                    format!("{of}it looks for libraries in {path:?}"),
                ));
            }
        }
        if let Some(name) = slice
            .install_name
            .as_ref()
            .filter(|name| !name.starts_with('@') && !name.starts_with(DELOCATE))
        {
            found.push((&rules::D403, format!("{of}it has the install name {name}")));
        }
    }
    found
}

fn architectures(slices: &[Slice], platform: &Platform, found: &mut Vec<(&'static Rule, String)>) {
    let wanted = platform.arches();
    let missing: Vec<&str> = wanted
        .iter()
        .filter(|arch| !slices.iter().any(|slice| slice.arch == **arch))
        .copied()
        .collect();
    if missing.is_empty() {
        return;
    }
    let there: Vec<&str> = slices.iter().map(|slice| &*slice.arch).collect();
    let text = format!(
        "it is for {}, not for {}",
        there.join(", "),
        missing.join(", ")
    );
    let rule = match wanted.len() > 1 && missing.len() < wanted.len() {
        true => &rules::L309,
        false => &rules::L304,
    };
    found.push((rule, text));
}

/// What is wrong with a slice on one platform, but for the libraries that it needs.
fn against(slice: &Slice, platform: &Platform) -> Vec<(&'static Rule, String)> {
    let mut found = Vec::new();
    // A newer 32-bit ARM runs what is for an older one.
    let runs = slice.arch == platform.arch || (platform.arch == "armv7l" && slice.arch == "armv6l");
    if platform.system != System::Macos && !runs {
        let text = format!(
            "it is for {}, but the tag says {}",
            slice.arch, platform.arch
        );
        found.push((&rules::L304, text));
        return found;
    }
    if platform.arch == "armv7l" && slice.hard_float == Some(false) {
        found.push((
            &rules::L305,
            "it passes floats in integer registers".to_owned(),
        ));
    }
    let other_libc = |text: &str| (&rules::L306, text.to_owned());
    match (platform.system, slice.libc) {
        (System::Manylinux | System::Musllinux, Some(Libc::Bionic)) => {
            found.push(other_libc("it is for Android, but the tag is for Linux"));
        }
        (System::Manylinux, Some(Libc::Musl)) => {
            found.push(other_libc("it is for musl, but the tag is for glibc"));
        }
        (System::Musllinux, Some(Libc::Glibc)) => {
            found.push(other_libc("it is for glibc, but the tag is for musl"));
        }
        (System::Manylinux, _) => against_glibc(slice, platform, &mut found),
        (System::Macos, _) => against_macos(slice, platform, &mut found),
        (System::Musllinux, _) if slice.static_tls && !slice.is_program => {
            let text = "it takes thread-local memory that a process has when it starts";
            found.push((&rules::L312, text.to_owned()));
        }
        _ => {}
    }
    let lacking = platform.lacks(slice);
    if !lacking.is_empty() {
        let text = format!("it needs {}, which has no version", lacking.join(", "));
        found.push((&rules::L311, text));
    }
    found
}

fn against_glibc(slice: &Slice, platform: &Platform, found: &mut Vec<(&'static Rule, String)>) {
    let newer: Vec<&str> = slice
        .symbol_versions
        .iter()
        .filter(|version| !platform.has_symbol_version(version))
        .map(String::as_str)
        .collect();
    if !newer.is_empty() {
        let text = format!(
            "it needs {}, but its tag allows only glibc {}",
            newer.join(", "),
            shown(platform)
        );
        found.push((&rules::L307, text));
    }
}

fn against_macos(slice: &Slice, platform: &Platform, found: &mut Vec<(&'static Rule, String)>) {
    let newest = platform.deployment_target(&slice.arch);
    match (slice.version, newest) {
        (Some(version), Some(newest)) if version > newest => {
            let floor = shown(platform);
            let text = format!("it is for macOS {version}, but its tag says {floor}");
            found.push((&rules::L308, text));
        }
        (None, _) => {
            let text = "it does not say which macOS it is for".to_owned();
            found.push((&rules::L308, text));
        }
        _ => {}
    }
    if slice.system.is_some_and(|system| system != MACOS) {
        let text = "it is for another of Apple's systems".to_owned();
        found.push((&rules::L308, text));
    }
}

/// The oldest system, as text.
fn shown(platform: &Platform) -> String {
    let floor = platform.floor.map(|floor| floor.to_string());
    floor.unwrap_or_default()
}

/// delocate's install names of what it grafts: unique, and no place on any disk.
const DELOCATE: &str = "/DLC/";

const MACOS: u32 = goblin::mach::load_command::PLATFORM_MACOS;

/// The libraries that neither the system nor the wheel has.
fn missing<'s>(slice: &'s Slice, place: &Place) -> BTreeSet<&'s str> {
    let mut platforms = place.platforms.to_vec();
    if platforms.is_empty() {
        // What is on every macOS or Windows needs no tag.
        let system = match slice.format {
            Format::Elf => return BTreeSet::new(),
            Format::MachO => System::Macos,
            Format::Pe => System::Windows,
        };
        platforms.push(Platform {
            system,
            floor: None,
            arch: slice.arch.clone(),
        });
    }
    let is_there = |library: &str| {
        let base = base_name(library);
        match &place.siblings {
            Some(siblings) if slice.format == Format::Pe => {
                siblings.folded.contains(&base.to_lowercase())
            }
            Some(siblings) => siblings.names.contains(base),
            None => library.starts_with('@'),
        }
    };
    let absent = |platform: &Platform, library: &str| {
        // A path of a system library is never the wheel's, and a relative one never the system's.
        let by_path = slice.format == Format::MachO && !library.starts_with('@');
        !platform.has_library(library, place.python2) && (by_path || !is_there(library))
    };
    let mut found = BTreeSet::new();
    for platform in &platforms {
        let format = match platform.system {
            System::Macos => Format::MachO,
            System::Windows => Format::Pe,
            _ => Format::Elf,
        };
        if format == slice.format {
            let libraries = slice.libraries.iter().map(String::as_str);
            found.extend(libraries.filter(|library| absent(platform, library)));
        }
    }
    found
}

/// Whether a search path leads out of the wheel.
fn leaves(path: &str, format: Format, member: &str) -> bool {
    let anchors: &[&str] = match format {
        Format::MachO => &["@loader_path", "@executable_path", "@rpath"],
        _ => &["$ORIGIN", "${ORIGIN}"],
    };
    let Some(rest) = anchors.iter().find_map(|anchor| path.strip_prefix(anchor)) else {
        return true;
    };
    if !(rest.is_empty() || rest.starts_with('/')) {
        return true;
    }
    // What is in *.data is installed elsewhere.
    if member.is_empty() || member.contains(".data/") {
        return false;
    }
    let mut depth = member.matches('/').count();
    for part in rest.split('/') {
        match part {
            "" | "." => {}
            ".." if depth == 0 => return true,
            ".." => depth -= 1,
            _ => depth += 1,
        }
    }
    false
}

/// `arm64: `, where a file has several slices.
pub(super) fn of_slice(slices: &[Slice], slice: &Slice) -> String {
    match slices {
        [_] => String::new(),
        _ => format!("{}: ", slice.arch),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn search_paths_stay_in_the_wheel() {
        let stays = |path, member| !leaves(path, Format::Elf, member);
        assert!(stays("$ORIGIN", "p/a.so") && stays("${ORIGIN}/../p.libs", "p/a.so"));
        assert!(stays("$ORIGIN/../../x", ""));
        assert!(!stays("$ORIGIN/../..", "p/a.so") && !stays("$ORIGINAL", "p/a.so"));
        assert!(!stays("", "p/a.so") && !stays("/usr/lib", "p/a.so") && !stays(".", "p/a.so"));
        assert!(!leaves("@loader_path/.dylibs", Format::MachO, "p/a.so"));
        assert!(leaves("/opt/homebrew/lib", Format::MachO, "p/a.so"));
    }
}
