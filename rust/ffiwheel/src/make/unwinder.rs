//! What replaces zig's unwinder in a glibc library that zig links.
//!
//! zig answers `-lgcc_s` with LLVM's libunwind, as a part of the library. glibc ends a thread
//! (pthread_exit, which CPython calls for a daemon thread when it ends) by unwinding it with
//! libgcc_s.so.1, whose context Rust's landing pads would then read with LLVM's functions: a
//! crash. So the library must share the unwinder of the process, as what gcc links does. musl,
//! macOS and Windows end a thread without unwinding it: there zig's unwinder stays, and a bare
//! Alpine has no libgcc_s.

use std::path::Path;

use anyhow::Result;

use super::toolchain::zig_target;
use crate::files;
use crate::project::Project;
use crate::run;
use crate::targets::Target;

/// The unwinder's functions in libgcc_s.so.1, by the version that has them first:
/// https://gcc.gnu.org/git/?p=gcc.git;f=libgcc/libgcc-std.ver.in
const FUNCTIONS: &[(&str, &[&str])] = &[
    (
        "GCC_3.0",
        &[
            "_Unwind_DeleteException",
            "_Unwind_Find_FDE",
            "_Unwind_ForcedUnwind",
            "_Unwind_GetDataRelBase",
            "_Unwind_GetGR",
            "_Unwind_GetIP",
            "_Unwind_GetLanguageSpecificData",
            "_Unwind_GetRegionStart",
            "_Unwind_GetTextRelBase",
            "_Unwind_RaiseException",
            "_Unwind_Resume",
            "_Unwind_SetGR",
            "_Unwind_SetIP",
        ],
    ),
    (
        "GCC_3.3",
        &[
            "_Unwind_Backtrace",
            "_Unwind_FindEnclosingFunction",
            "_Unwind_GetCFA",
            "_Unwind_Resume_or_Rethrow",
        ],
    ),
    ("GCC_4.2.0", &["_Unwind_GetIPInfo"]),
];

/// The same for 32-bit ARM, whose exceptions have an ABI of their own:
/// https://gcc.gnu.org/git/?p=gcc.git;f=libgcc/config/arm/libgcc-bpabi.ver
const ARM_FUNCTIONS: &[(&str, &[&str])] = &[
    (
        "GCC_3.0",
        &[
            "_Unwind_DeleteException",
            "_Unwind_ForcedUnwind",
            "_Unwind_GetDataRelBase",
            "_Unwind_GetLanguageSpecificData",
            "_Unwind_GetRegionStart",
            "_Unwind_GetTextRelBase",
            "_Unwind_RaiseException",
            "_Unwind_Resume",
        ],
    ),
    ("GCC_3.3", &["_Unwind_GetCFA", "_Unwind_Resume_or_Rethrow"]),
    (
        "GCC_3.5",
        &[
            "_Unwind_Complete",
            "_Unwind_VRS_Get",
            "_Unwind_VRS_Pop",
            "_Unwind_VRS_Set",
            "__aeabi_unwind_cpp_pr0",
            "__aeabi_unwind_cpp_pr1",
            "__aeabi_unwind_cpp_pr2",
            "__gnu_unwind_frame",
        ],
    ),
    ("GCC_4.3.0", &["_Unwind_Backtrace"]),
];

/// What glibc has only since a version that zig links for and the floor lacks, where Rust does
/// without: https://github.com/rust-lang/rust/blob/master/library/std/src/sys/thread_local
const NEWER: [&str; 1] = ["__cxa_thread_atexit_impl"]; // 2.18

/// The flags that link a library for one of glibc's targets against a stand-in for
/// libgcc_s.so.1: it has the names and versions, and is loaded nowhere.
pub fn flags(project: &Project, target: &Target, folder: &Path) -> Result<Vec<String>> {
    let functions = match zig_target(&target.triple).starts_with("arm-") {
        true => ARM_FUNCTIONS,
        false => FUNCTIONS,
    };
    let (mut c, mut versions) = (String::new(), String::new());
    for (version, names) in functions {
        c.extend(names.iter().map(|name| format!("void {name}(void) {{}}\n")));
        versions += &format!("{version} {{ {}; }};\n", names.join("; "));
    }
    let compile = |source: &str, text: &str, made: &str, words: &[&str]| -> Result<String> {
        let folder = folder.join("unwinder");
        files::write(&folder.join(source), text)?;
        let mut command = project.command(project.tool("python")?)?;
        command
            .current_dir(&folder)
            .args(["-m", "ziglang", "cc", "-target"])
            .arg(zig_target(&target.triple))
            .args([source, "-o", made])
            .args(words);
        run::run(&mut command, &folder.with_file_name("log"))?;
        let path = project.seen_by_linker(&format!("{}/unwinder/{made}", target.triple))?;
        Ok(format!("-Clink-arg={path}"))
    };
    files::write(&folder.join("unwinder/versions"), versions)?;
    let stub = [
        "-shared",
        "-nostdlib",
        "-Wl,-soname,libgcc_s.so.1",
        "-Wl,--version-script,versions",
    ];
    let mut flags = vec![compile("gcc_s.c", &c, "libgcc_s.so.1", &stub)?];
    if target.zig_glibc.is_some() {
        // What is weak, hidden and nowhere defined is null, and asks nothing of glibc.
        let lines = NEWER.map(|name| format!(".weak {name}\n.hidden {name}\n"));
        flags.push(compile("newer.s", &lines.concat(), "newer.o", &["-c"])?);
    }
    Ok(flags)
}
