//! What a platform tag promises, and what its systems have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::library::Slice;
use crate::targets::{Floor, System};

/// A platform tag's meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    pub system: System,
    /// The oldest system; Windows tags have none.
    pub floor: Option<Floor>,
    pub arch: String,
}

/// The older spellings of manylinux tags: PEP 513, 571, 599, 600.
const ALIASES: [(&str, Floor); 3] = [
    ("manylinux1", Floor(2, 5)),
    ("manylinux2010", Floor(2, 12)),
    ("manylinux2014", Floor(2, 17)),
];

/// None for a tag whose platform the judge does not know: any, linux_x86_64, ios_…, android_….
pub fn platform(tag: &str) -> Option<Platform> {
    let windows = |arch: &str| Platform {
        system: System::Windows,
        floor: None,
        arch: arch.to_owned(),
    };
    match tag {
        "win32" => return Some(windows("win32")),
        "win_amd64" => return Some(windows("amd64")),
        "win_arm64" => return Some(windows("arm64")),
        _ => {}
    }
    let (family, rest) = tag.split_once('_')?;
    if let Some((_, floor)) = ALIASES.iter().find(|(alias, _)| *alias == family) {
        return Some(Platform {
            system: System::Manylinux,
            floor: Some(*floor),
            arch: rest.to_owned(),
        });
    }
    let system = match family {
        "manylinux" => System::Manylinux,
        "musllinux" => System::Musllinux,
        "macosx" => System::Macos,
        _ => return None,
    };
    let mut words = rest.splitn(3, '_');
    let floor = Floor(words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some(Platform {
        system,
        floor: Some(floor),
        arch: words.next()?.to_owned(),
    })
}

/// Whether PyPI takes a wheel with that platform tag: the rules of `_valid_platform_tag` in
/// https://github.com/pypi/warehouse/blob/main/warehouse/forklift/legacy.py
pub fn is_on_pypi(tag: &str) -> bool {
    const ALIASED: [&str; 7] = [
        "x86_64", "i686", "aarch64", "armv7l", "ppc64", "ppc64le", "s390x",
    ];
    const LINUX: [&str; 7] = [
        "x86_64", "i686", "aarch64", "armv7l", "ppc64le", "s390x", "riscv64",
    ];
    const MACOS: [&str; 11] = [
        "ppc",
        "ppc64",
        "i386",
        "x86_64",
        "arm64",
        "intel",
        "fat",
        "fat3",
        "fat64",
        "universal",
        "universal2",
    ];
    const MACOS_MAJORS: [u32; 6] = [11, 12, 13, 14, 15, 26];
    const OTHERS: [&str; 3] = ["any", "linux_armv6l", "linux_armv7l"];
    let others = |prefix: &str, arches: &[&str]| {
        tag.starts_with(prefix) && arches.iter().any(|arch| tag.ends_with(arch))
    };
    if OTHERS.contains(&tag)
        || others("ios_", &["_arm64_iphoneos", "_arm64_iphonesimulator"])
        || others("ios_", &["_x86_64_iphonesimulator"])
        || others(
            "android_",
            &["_armeabi_v7a", "_arm64_v8a", "_x86", "_x86_64"],
        )
        || others("pyemscripten_", &["_wasm32"])
    {
        return true;
    }
    let Some(platform) = platform(tag) else {
        return false;
    };
    let arch = &&*platform.arch;
    match (platform.system, platform.floor) {
        (System::Windows, _) => true,
        (System::Macos, Some(Floor(10, _))) => MACOS.contains(arch),
        (System::Macos, Some(Floor(major, minor))) => {
            MACOS.contains(arch) && MACOS_MAJORS.contains(&major) && minor == 0
        }
        (System::Manylinux, _) if tag.starts_with("manylinux_") => {
            LINUX.contains(arch) || *arch == "ppc64"
        }
        (System::Manylinux, _) => match tag.starts_with("manylinux2014_") {
            true => ALIASED.contains(arch),
            false => ["x86_64", "i686"].contains(arch),
        },
        _ => LINUX.contains(arch),
    }
}

/// What auditwheel and delvewheel know of systems, from ci/platforms.toml.
#[derive(Debug, Deserialize, Serialize)]
pub struct Platforms {
    /// The libraries that every Linux of a policy has, by the policy's glibc: those that
    /// the older policies lack.
    pub manylinux_libraries: BTreeMap<String, Vec<String>>,
    pub musllinux_libraries: Vec<String>,
    /// What musl defines.
    pub musl_symbols: BTreeSet<String>,
    /// The DLLs of Windows, by the architectures that have them.
    pub windows_libraries: BTreeMap<String, Vec<String>>,
    /// Symbol versions by architecture and policy, those that the older policies lack.
    pub symbol_versions: BTreeMap<String, BTreeMap<String, Vec<String>>>,
}

pub static PLATFORMS: LazyLock<Platforms> = LazyLock::new(|| {
    toml::from_str(include_str!("../../../../ci/platforms.toml")).expect("`make rules` writes it")
});

/// The libraries of glibc and gcc, in which every symbol has a version.
const VERSIONED_LIBRARIES: [&str; 12] = [
    "libanl.so.1",
    "libatomic.so.1",
    "libc.so.6",
    "libc.so.6.1",
    "libdl.so.2",
    "libgcc_s.so.1",
    "libm.so.6",
    "libpthread.so.0",
    "libresolv.so.2",
    "librt.so.1",
    "libstdc++.so.6",
    "libutil.so.1",
];

fn glibc(policy: &str) -> Option<Floor> {
    let (major, minor) = policy.split_once('.')?;
    Some(Floor(major.parse().ok()?, minor.parse().ok()?))
}

/// What `table` has for policies as old as the floor, or older.
fn upto(table: &BTreeMap<String, Vec<String>>, floor: Floor) -> impl Iterator<Item = &str> {
    let policies = table
        .iter()
        .filter(move |(policy, _)| glibc(policy).is_some_and(|policy| policy <= floor));
    policies.flat_map(|(_, names)| names.iter().map(String::as_str))
}

impl Platform {
    /// Whether every system of the platform has the library. `python2`: Python 2 loads the
    /// wheel, too, and brings no runtime of today's C compilers along.
    pub fn has_library(&self, name: &str, python2: bool) -> bool {
        let floor = self.floor.unwrap_or(Floor(0, 0));
        let loader = name.starts_with("ld-linux") || name.starts_with("ld64.so.");
        match self.system {
            System::Manylinux => {
                loader || upto(&PLATFORMS.manylinux_libraries, floor).any(|known| known == name)
            }
            System::Musllinux => {
                // The loader takes each of them for itself.
                let libc = name.starts_with("libc.musl-") || name.starts_with("ld-musl-");
                libc || PLATFORMS
                    .musllinux_libraries
                    .iter()
                    .any(|known| known == name)
            }
            System::Macos => name.starts_with("/usr/lib/") || name.starts_with("/System/Library/"),
            System::Windows => {
                let name = name.to_lowercase();
                let arch = &self.arch;
                let known = PLATFORMS.windows_libraries.iter().any(|(arches, names)| {
                    arches.split(' ').any(|known| known == arch) && names.contains(&name)
                });
                // CPython, since 3.5 compiled with the same runtime, has it in its folder.
                let python3 = ["vcruntime140.dll", "vcruntime140_1.dll"].contains(&&*name)
                    || name.strip_prefix("python3").is_some_and(|rest| {
                        rest.strip_suffix(".dll").is_some_and(|rest| {
                            rest.trim_end_matches('t')
                                .bytes()
                                .all(|byte| byte.is_ascii_digit())
                        })
                    });
                // Every Windows has it beside the folder that delvewheel's older lists were
                // made from.
                let beside = name == "gdiplus.dll";
                known || beside || name.starts_with("api-ms-win-") || (python3 && !python2)
            }
        }
    }

    /// Which symbols without a version the platform's libc may lack. None are known to be
    /// lacking in a library that needs any library but the libc, which may have them.
    pub fn lacks<'s>(&self, slice: &'s Slice) -> Vec<&'s str> {
        let of_libc = |name: &String| match self.system {
            System::Manylinux => {
                name.starts_with("ld-linux")
                    || name.starts_with("ld64.so.")
                    || VERSIONED_LIBRARIES.contains(&&**name)
            }
            System::Musllinux => {
                let mut prefixes = ["libc.so", "libc.musl-", "ld-musl-"].iter();
                prefixes.any(|prefix| name.starts_with(prefix))
            }
            _ => false,
        };
        if !slice.libraries.iter().all(of_libc) {
            return Vec::new();
        }
        let has = |name: &String| {
            self.system == System::Musllinux && PLATFORMS.musl_symbols.contains(name)
        };
        let lacking = slice.unversioned.iter().filter(|name| !has(name));
        lacking.map(String::as_str).collect()
    }

    /// Whether the policy has the version of a symbol. Only versions of the libraries that
    /// policies list are known: others come from libraries that are judged themselves.
    pub fn has_symbol_version(&self, name: &str) -> bool {
        let Some(floor) = self.floor.filter(|_| self.system == System::Manylinux) else {
            return !name.starts_with("GLIBC_");
        };
        let Some(policies) = PLATFORMS.symbol_versions.get(&self.arch) else {
            return true;
        };
        let family = name.split('_').next().unwrap_or_default();
        let of_family = |known: &&str| known.split('_').next() == Some(family);
        let mut all = policies.values().flatten().map(String::as_str);
        if !all.any(|known| of_family(&known)) {
            return true;
        }
        upto(policies, floor).any(|known| known == name)
    }

    /// The architectures that a file must have, and whether the judge knows them at all.
    pub fn arches(&self) -> &[&str] {
        match &*self.arch {
            "universal2" => &["x86_64", "arm64"],
            "intel" => &["i386", "x86_64"],
            "x86_64" => &["x86_64"],
            "arm64" => &["arm64"],
            "i386" => &["i386"],
            _ => &[],
        }
    }

    /// The newest deployment target that a slice may have.
    pub fn deployment_target(&self, arch: &str) -> Option<Floor> {
        let floor = self.floor?;
        // No older macOS runs on arm64: it goes without saying.
        Some(match arch {
            "arm64" => floor.max(Floor(11, 0)),
            _ => floor,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_platforms() {
        let old = platform("manylinux2014_x86_64");
        assert_eq!(old, platform("manylinux_2_17_x86_64"));
        assert_eq!(
            platform("macosx_11_0_universal2").unwrap().arches().len(),
            2
        );
        assert_eq!(platform("win32").unwrap().floor, None);
        for other in [
            "any",
            "linux_x86_64",
            "manylinux_x_86_64",
            "ios_13_0_arm64_iphoneos",
        ] {
            assert_eq!(platform(other), None, "{other}");
        }
    }

    #[test]
    fn pypi_takes_what_its_source_says() {
        for tag in [
            "any",
            "win32",
            "win_arm64",
            "manylinux1_i686",
            "manylinux2014_s390x",
            "manylinux_2_39_riscv64",
            "musllinux_1_2_riscv64",
            "macosx_10_9_intel",
            "macosx_26_0_arm64",
            "android_21_arm64_v8a",
            "ios_13_0_arm64_iphonesimulator",
        ] {
            assert!(is_on_pypi(tag), "{tag}");
        }
        for tag in [
            "linux_x86_64",
            "win_ia64",
            "manylinux1_aarch64",
            "manylinux2014_riscv64",
            "musllinux_1_2_ppc64",
            "macosx_11_1_arm64",
            "macosx_16_0_arm64",
            "freebsd_13_amd64",
        ] {
            assert!(!is_on_pypi(tag), "{tag}");
        }
    }

    #[test]
    fn policies_grow_with_their_glibc() {
        let old = platform("manylinux2014_x86_64").unwrap();
        let new = platform("manylinux_2_29_x86_64").unwrap();
        assert!(old.has_symbol_version("GLIBC_2.17") && !old.has_symbol_version("GLIBC_2.18"));
        assert!(new.has_symbol_version("GLIBC_2.28") && !new.has_symbol_version("GLIBC_2.30"));
        assert!(!new.has_symbol_version("GLIBC_PRIVATE"));
        // Some other library's: its own file is judged.
        assert!(old.has_symbol_version("OPENSSL_3.0.0"));
        assert!(new.has_library("libmvec.so.1", true) && !old.has_library("libmvec.so.1", true));
        assert!(!old.has_library("libpython3.11.so.1.0", false));
    }

    #[test]
    fn windows_has_its_own_and_python_3_the_runtime() {
        let windows = platform("win_amd64").unwrap();
        assert!(windows.has_library("KERNEL32.dll", true));
        assert!(windows.has_library("gdiplus.dll", true));
        assert!(windows.has_library("api-ms-win-crt-heap-l1-1-0.dll", true));
        assert!(windows.has_library("VCRUNTIME140.dll", false));
        assert!(windows.has_library("python313t.dll", false));
        assert!(!windows.has_library("VCRUNTIME140.dll", true));
        assert!(!windows.has_library("libgcc_s_seh-1.dll", false));
        assert!(!windows.has_library("msvcp140.dll", false));
    }
}
