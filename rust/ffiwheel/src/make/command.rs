//! A library that the author's own command builds, for one target.

use std::collections::BTreeMap;
use std::fs;
use std::iter;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use anyhow::{bail, ensure, Context, Result};

use super::container::{self, Image};
use super::header::declared;
use super::toolchain::zig_target;
use crate::data;
use crate::files::{self, sha256, Inputs};
use crate::project::Project;
use crate::run;
use crate::targets::{Backend, System, Target};

/// Runs the command for a target, unless nothing has changed since it last ran. `folder` keeps
/// the log and what it made.
pub fn library(
    project: &Project,
    target: &Target,
    backend: Backend,
    image: Option<Image>,
    folder: &Path,
) -> Result<PathBuf> {
    let text = project.command.as_deref().context("no command")?;
    let (made, output) = (folder.join("command"), folder.join("output"));
    let library = output.join(target.library_name(&project.module));
    let variables = variables(project, target, backend, folder, &library)?;
    let inputs = inputs(project, target, backend, &image, &variables)?;
    let record = folder.join("command.json");
    let all = project.all(target, &library);
    let sums = || -> Result<Vec<String>> { all.iter().map(|path| sha256(path)).collect() };
    let built = || -> Option<(String, Vec<String>)> {
        serde_json::from_slice(&fs::read(&record).ok()?).ok()
    };
    if built().is_some_and(|it| sums().is_ok_and(|sums| it == (inputs.clone(), sums))) {
        return Ok(library);
    }
    // Not every build system knows what its results depend on.
    for old in [&made, &output, &record] {
        files::remove(old)?;
    }
    for new in [&made, &output] {
        fs::create_dir_all(new)?;
    }
    let before = state(&project.rust)?;
    let mut command = shell(project, image.as_ref(), folder, text, &variables)?;
    run::run(&mut command, &folder.join("log"))
        .with_context(|| format!("the build command failed for {}", target.short_name()))?;
    let changed = difference(&before, &state(&project.rust)?);
    if let Some(path) = changed {
        bail!(
            "the build command wrote to its sources, {}: it must write to $BUILD_DIR, and leave \
             what other targets are built from as it is",
            project.relative(&project.rust.join(path))
        );
    }
    for (path, ending) in all.iter().zip(endings(project)) {
        ensure!(
            path.is_file(),
            "the build command left no library at $OUTPUT{ending}, {}: the command is `{text}`",
            project.relative(path)
        );
    }
    let record_text = serde_json::to_string(&(inputs, sums()?))?;
    files::write(&record, record_text)?;
    Ok(library)
}

/// What the names of each library's variables end with: nothing for the package's own.
fn endings(project: &Project) -> Vec<String> {
    let others = project.libraries.iter();
    let others = others.map(|stem| format!("_{}", stem.to_uppercase()));
    iter::once(String::new()).chain(others).collect()
}

/// The author's command, as a shell takes it, here or in an image.
fn shell(
    project: &Project,
    image: Option<&Image>,
    folder: &Path,
    text: &str,
    variables: &BTreeMap<String, String>,
) -> Result<Command> {
    let mut command = match image {
        Some(image) => {
            let names: Vec<String> = variables.keys().cloned().collect();
            let mut command = container::command(project, image, folder, &names)?;
            command.args(["sh", "-c", text]);
            command
        }
        None => {
            let (program, option) = match cfg!(windows) {
                true => ("cmd", "/c"),
                false => ("sh", "-c"),
            };
            let mut command = project.command(program)?;
            command.args([option, text]).current_dir(&project.rust);
            // What the caller of make told that make, or set for this machine's compiler.
            for name in [
                "MAKEFLAGS",
                "MAKELEVEL",
                "MFLAGS",
                "CFLAGS",
                "CXXFLAGS",
                "CPPFLAGS",
            ] {
                command.env_remove(name);
            }
            command
        }
    };
    command.envs(variables);
    Ok(command)
}

/// What the command is handed. The table of variables in docs/commands.md has each of them.
fn variables(
    project: &Project,
    target: &Target,
    backend: Backend,
    folder: &Path,
    library: &Path,
) -> Result<BTreeMap<String, String>> {
    let shown = |path: &Path| path.display().to_string();
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let mut found: BTreeMap<String, String> = [
        ("BUILD_DIR", shown(&folder.join("command"))),
        ("TARGET", target.triple.clone()),
        ("ZIG_TARGET", full_zig_target(target)),
        ("JOBS", jobs.to_string()),
        (
            "SOURCE_DATE_EPOCH",
            project.source_date_epoch()?.to_string(),
        ),
        ("ZIG_LOCAL_CACHE_DIR", shown(&folder.join("zig-cache"))),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    let mut set = |name: &str, value: String| found.insert(name.to_owned(), value);
    if let (System::Macos, Some(floor)) = (target.system(), target.floor()) {
        set("MACOSX_DEPLOYMENT_TARGET", floor.to_string());
    }
    for (path, ending) in project.all(target, library).iter().zip(endings(project)) {
        set(&format!("OUTPUT{ending}"), shown(path));
        set(
            &format!("LDFLAGS{ending}"),
            link_flags(project, target, backend, Some(path)),
        );
    }
    let (system, machine, arm) = go_target(target);
    set("GOOS", system.to_owned());
    set("GOARCH", machine.to_owned());
    set("CGO_ENABLED", "1".to_owned());
    if !arm.is_empty() {
        set("GOARM", arm.to_owned());
    }
    if matches!(backend, Backend::Zig | Backend::Cibuildwheel) {
        let programs = wrappers(project, target, folder)?;
        // They are those of all libraries, each of which Meson gives a name.
        let named = Some(library).filter(|_| project.libraries.is_empty());
        let meson_flags = link_flags(project, target, backend, named);
        for (name, program) in [
            ("CC", "cc"),
            ("CXX", "c++"),
            ("AR", "ar"),
            ("RANLIB", "ranlib"),
        ] {
            set(name, shown(&programs.join(program)));
        }
        set(
            "CMAKE_TOOLCHAIN_FILE",
            shown(&cmake_file(target, &programs, folder)?),
        );
        set(
            "MESON_CROSS_FILE",
            shown(&meson_file(target, &programs, &meson_flags, folder)?),
        );
    }
    Ok(found)
}

/// Everything that decides what the command makes.
fn inputs(
    project: &Project,
    target: &Target,
    backend: Backend,
    image: &Option<Image>,
    variables: &BTreeMap<String, String>,
) -> Result<String> {
    let mut inputs = Inputs::default();
    inputs.text(&format!("{:?} {target:?} {backend:?}", project.command));
    inputs.text(&format!("{:?}", image.as_ref().map(|image| &image.tag)));
    for (name, value) in variables
        .iter()
        .filter(|(name, _)| *name != "SOURCE_DATE_EPOCH")
    {
        inputs.text(&format!("{name}={value}"));
    }
    inputs.text(&data::program()?);
    inputs.text(&project.ask_setup("print(sources.sources_digest())", Stdio::null())?);
    inputs.path(&project.or_brought("ci/requirements.txt")?)?; // which name zig
    if target.system() == System::Windows {
        inputs.path(&project.package().join("_ffi.py"))?; // the list of exports
    }
    Ok(inputs.digest())
}

/// Every file of the sources, with its size and time.
fn state(folder: &Path) -> Result<BTreeMap<PathBuf, (u64, SystemTime)>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(below) = folders.pop() {
        for entry in fs::read_dir(folder.join(&below))? {
            let entry = entry?;
            let (path, about) = (below.join(entry.file_name()), entry.metadata()?);
            match about.is_dir() {
                true => folders.push(path),
                false => {
                    found.insert(path, (about.len(), about.modified()?));
                }
            }
        }
    }
    Ok(found)
}

/// The first file that is in one state and not, or otherwise, in the other.
fn difference(
    before: &BTreeMap<PathBuf, (u64, SystemTime)>,
    after: &BTreeMap<PathBuf, (u64, SystemTime)>,
) -> Option<PathBuf> {
    let changed =
        |(path, about): &(&PathBuf, &(u64, SystemTime))| before.get(*path) != Some(*about);
    let gone = || before.keys().find(|path| !after.contains_key(*path));
    let found = after.iter().find(changed).map(|(path, _)| path);
    found.or_else(gone).cloned()
}

// ---- Compilers -----------------------------------------------------------------------------

/// What zig calls the target, with the version of its system: `x86_64-linux-gnu.2.17`.
fn full_zig_target(target: &Target) -> String {
    let plain = zig_target(&target.triple);
    let version = match target.system() {
        System::Manylinux => target.glibc(),
        System::Macos => target.floor().map(|floor| floor.to_string()),
        _ => None,
    };
    version.map_or(plain.clone(), |version| format!("{plain}.{version}"))
}

/// What the linker is told: by a build system that reads LDFLAGS, or by the files for others.
/// `library`: the path of the one to be named.
fn link_flags(
    project: &Project,
    target: &Target,
    backend: Backend,
    library: Option<&Path>,
) -> String {
    let flags = match (target.system(), backend) {
        (System::Manylinux | System::Musllinux, _) => "-s -Wl,-z,relro,-z,now",
        (_, Backend::Cargo) => "",
        // The library of C++, which zig compiles, names the folder where it did so.
        (System::Macos | System::Windows, _) => "-s",
    };
    let name = library.and_then(Path::file_name).unwrap_or_default();
    let name = name.to_string_lossy();
    let name = match target.system() {
        System::Macos if !name.is_empty() => Some(format!("-Wl,-install_name,@rpath/{name}")),
        // Else one that links against it has its path on this machine.
        System::Manylinux | System::Musllinux
            if !name.is_empty() && !project.libraries.is_empty() =>
        {
            Some(format!("-Wl,-soname,{name}"))
        }
        _ => None,
    };
    let words = iter::once(flags.to_owned()).chain(name);
    let words: Vec<String> = words.filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// Writes the programs that build systems call by one word each.
fn wrappers(project: &Project, target: &Target, folder: &Path) -> Result<PathBuf> {
    let output = project
        .command(project.tool("python")?)?
        .args([
            "-c",
            "import os, ziglang; print(os.path.dirname(ziglang.__file__))",
        ])
        .output()?;
    ensure!(
        output.status.success(),
        "ci/requirements.txt names no ziglang"
    );
    let zig = Path::new(String::from_utf8(output.stdout)?.trim()).join("zig");
    let quoted = |path: &Path| shlex::try_quote(&path.to_string_lossy()).map(|it| it.into_owned());
    let programs = folder.join("programs");
    let (zig, root, beside) = (quoted(&zig)?, quoted(&project.root)?, quoted(&programs)?);
    let (full, plain) = (full_zig_target(target), zig_target(&target.triple));
    let pic = if target.system() == System::Windows {
        ""
    } else {
        "-fPIC "
    };
    // zig would also export functions of its C library. Which of several has which function is
    // for their sources to say.
    let exports = match target.system() {
        System::Windows if project.libraries.is_empty() => {
            let names: Vec<String> = declared(project)?.into_iter().collect();
            let path = folder.join("exports.def");
            files::write(&path, format!("EXPORTS\n{}\n", names.join("\n")))?;
            quoted(&path)?
        }
        _ => String::new(),
    };
    let compiler = |name: &str| {
        format!(
            "#!/bin/sh\n\
             # zig's compiler for one target. It answers some questions only without a version,\n\
             # and leaves a file where it is asked others.\n\
             target={full}\n\
             exports=\n\
             for word in \"$@\"; do\n    \
                 case $word in\n        \
                     -E|-M|-MM|-v|-dM) target={plain} ;;\n        \
                     -print-*|--print-*|-dump*|--version|'-###') target={plain}; cd {beside} ;;\n        \
                     -shared) exports={exports} ;;\n    \
                 esac\n\
             done\n\
             exec {zig} {name} -target $target {pic}-fno-sanitize=undefined \\\n    \
                 -g0 -ffile-prefix-map={root}/= \"$@\" ${{exports:+\"$exports\"}}\n"
        )
    };
    let other = |name: &str| format!("#!/bin/sh\nexec {zig} {name} \"$@\"\n");
    for (name, text) in [
        ("cc", compiler("cc")),
        ("c++", compiler("c++")),
        ("ar", other("ar")),
        ("ranlib", other("ranlib")),
    ] {
        let path = programs.join(name);
        files::write(&path, text)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        }
    }
    Ok(programs)
}

/// https://cmake.org/cmake/help/latest/manual/cmake-toolchains.7.html
fn cmake_file(target: &Target, programs: &Path, folder: &Path) -> Result<PathBuf> {
    let system = match target.system() {
        System::Manylinux | System::Musllinux => "Linux",
        System::Macos => "Darwin",
        System::Windows => "Windows",
    };
    let machine = target.triple.split('-').next().unwrap_or_default();
    let programs = programs.display();
    let mut text =
        format!("set(CMAKE_SYSTEM_NAME {system})\nset(CMAKE_SYSTEM_PROCESSOR {machine})\n");
    for (variable, program) in [
        ("CMAKE_C_COMPILER", "cc"),
        ("CMAKE_CXX_COMPILER", "c++"),
        ("CMAKE_AR", "ar"),
        ("CMAKE_RANLIB", "ranlib"),
    ] {
        text += &format!("set({variable} \"{programs}/{program}\" CACHE FILEPATH \"\")\n");
    }
    // Nothing of this machine is found.
    text += &format!("set(CMAKE_FIND_ROOT_PATH \"{programs}\")\n");
    text += "set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)\n";
    for kind in ["LIBRARY", "INCLUDE", "PACKAGE"] {
        text += &format!("set(CMAKE_FIND_ROOT_PATH_MODE_{kind} ONLY)\n");
    }
    if target.system() == System::Macos {
        // zig has what is needed of an SDK.
        text += "set(CMAKE_OSX_SYSROOT \"\" CACHE PATH \"\")\n";
    }
    let path = folder.join("toolchain.cmake");
    files::write(&path, text)?;
    Ok(path)
}

/// https://mesonbuild.com/Machine-files.html
fn meson_file(target: &Target, programs: &Path, flags: &str, folder: &Path) -> Result<PathBuf> {
    let system = match target.system() {
        System::Manylinux | System::Musllinux => "linux",
        System::Macos => "darwin",
        System::Windows => "windows",
    };
    let cpu = target.triple.split('-').next().unwrap_or_default();
    // https://mesonbuild.com/Reference-tables.html#cpu-families
    let family = match cpu {
        "i586" | "i686" => "x86",
        "powerpc64le" => "ppc64",
        "riscv64gc" => "riscv64",
        cpu if cpu.starts_with("arm") => "arm",
        cpu => cpu,
    };
    let endian = if cpu == "s390x" { "big" } else { "little" };
    let programs = programs.display();
    let words: Vec<String> = flags.split(' ').map(|word| format!("'{word}'")).collect();
    let words = words.join(", ");
    let text = format!(
        "[binaries]\nc = '{programs}/cc'\ncpp = '{programs}/c++'\nar = '{programs}/ar'\n\
         ranlib = '{programs}/ranlib'\n\n[built-in options]\nc_link_args = [{words}]\n\
         cpp_link_args = [{words}]\n\n[host_machine]\nsystem = '{system}'\n\
         cpu_family = '{family}'\ncpu = '{cpu}'\nendian = '{endian}'\n"
    );
    let path = folder.join("cross.ini");
    files::write(&path, text)?;
    Ok(path)
}

/// GOOS, GOARCH and GOARM: https://go.dev/doc/install/source#environment
fn go_target(target: &Target) -> (&'static str, &'static str, &'static str) {
    let system = match target.system() {
        System::Manylinux | System::Musllinux => "linux",
        System::Macos => "darwin",
        System::Windows => "windows",
    };
    let cpu = target.triple.split('-').next().unwrap_or_default();
    let (machine, arm) = match cpu {
        "x86_64" => ("amd64", ""),
        "i586" | "i686" => ("386", ""),
        "aarch64" => ("arm64", ""),
        "powerpc64le" => ("ppc64le", ""),
        "s390x" => ("s390x", ""),
        "riscv64gc" => ("riscv64", ""),
        _ => ("arm", "7"),
    };
    (system, machine, arm)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_new_or_other_or_gone_is_a_difference() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("a")).unwrap();
        fs::write(folder.path().join("a/b"), "1").unwrap();
        let before = state(folder.path()).unwrap();
        assert_eq!(difference(&before, &state(folder.path()).unwrap()), None);
        fs::write(folder.path().join("a/b"), "12").unwrap();
        let after = state(folder.path()).unwrap();
        assert_eq!(difference(&before, &after), Some("a/b".into()));
        fs::write(folder.path().join("c"), "").unwrap();
        let more = state(folder.path()).unwrap();
        assert_eq!(difference(&after, &more), Some("c".into()));
        assert_eq!(difference(&more, &after), Some("c".into()));
    }
}
