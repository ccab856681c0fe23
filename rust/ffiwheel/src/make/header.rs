//! Everything that is generated from the exported functions: the C header, the module
//! that CFFI loads, and its type stub. One run of cbindgen gives both texts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{bail, ensure, Context, Result};
use cbindgen::{Builder, Config, DocumentationStyle, Language};

use super::library::{debug_library, expanded};
use super::toolchain::{toolchain, zig_target};
use super::{layout, names};
use crate::facts::{self, library};
use crate::files::{self, read, write};
use crate::project::Project;
use crate::run;
use crate::say::say;
use crate::targets::{self, Target};

/// What a caller must know once; the rest is documented at each declaration.
const CONVENTIONS: &str = "
Conventions
- Text is UTF-8 that ends with NUL. A text argument is borrowed for the call.
- What a function returns as owned is freed once, by the function that its
  comment names, and by nothing else.
- A pointer must be valid or, where the comment allows it, NULL. NULL elsewhere is
  an error, not a crash.
- A function that fails returns what its comment says, and leaves an error for
  <prefix>_error_take, on the same thread, until it is taken or another call there
  fails. A panic in Rust is such an error.
- Every function may be called from any thread.
";

/// Part of the first line of generated files. rust/ffiwheel/helpers/ffi_module.py writes it, too.
const MARK: &str = "by `make header`";

pub fn run(project: &Project, check: bool) -> Result<()> {
    for path in outputs(project) {
        project.ensure_generated(&path, MARK)?;
    }
    let stale = project.keep(generate(project)?, !check)?;
    ensure!(
        stale.is_empty() || !check,
        "out of date: {}; run `make header`, and commit what it writes",
        stale.join(", ")
    );
    if stale.is_empty() {
        let names: Vec<_> = outputs(project)
            .iter()
            .map(|path| file_name(path))
            .collect();
        say!("{} are up to date", names.join(", "));
    }
    Ok(())
}

/// What is generated: the header, the module and, for a package with types (PEP 561), its stub.
pub fn outputs(project: &Project) -> Vec<PathBuf> {
    let package = project.package();
    let mut outputs = vec![package.join("_ffi.py")];
    if project.has_gate() {
        outputs.insert(0, project.header());
    }
    if package.join("py.typed").exists() {
        outputs.push(package.join("_ffi.pyi"));
    }
    outputs
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn generate(project: &Project) -> Result<Vec<(PathBuf, String)>> {
    let folder = project.build("header");
    let _ = fs::remove_file(folder.join("log"));
    if !project.has_gate() {
        return generate_from_given(project, &folder);
    }
    let source = expanded(project, &folder)?;
    let library = debug_library(project, &folder)?;
    let fingerprint = library::fingerprint(&fs::read(&library)?, &project.library)
        .with_context(|| format!("{}", library.display()))?;
    let table = layout::table(&library, &project.library)?;
    layout::ensure_by_gate(&layout::exports(&library)?, &layout::functions(&table))?;
    let (header, declarations) = c_texts(project, &source, &table)?;

    let input = folder.join("declarations.h");
    write(&input, &declarations)?;
    let mut command = project.helper("ffi_module")?;
    command
        .args([&project.module, &project.distribution, &project.library])
        .args([&project.version, &fingerprint])
        .args([&input, &folder]);
    run::run(&mut command, &folder.join("log"))?;

    let mut found = vec![(project.header(), header)];
    for path in outputs(project).into_iter().skip(1) {
        let text = read(&folder.join(file_name(&path)))?;
        found.push((path, text));
    }
    Ok(found)
}

/// _ffi.py, and its stub, of a header that the author wrote, by this machine's library.
fn generate_from_given(project: &Project, folder: &Path) -> Result<Vec<(PathBuf, String)>> {
    let library = debug_library(project, folder)?;
    let host = toolchain(project)?.host;
    let rows = targets::load(project)?;
    let target = &targets::select(&rows, &[], &host)?[0];
    let exports = exports(project, target, &library)?;
    let single = rows.iter().filter(|row| row.slices.is_empty());
    let triples: Vec<String> = single.map(|row| zig_target(&row.triple)).collect();
    let found = read_given(project, &exports, folder, &host, &triples)?;
    for note in &found.notes {
        say!("note: {note}");
    }
    let mut command = project.helper("ffi_module")?;
    command
        .args([&project.module, &project.distribution, &project.library])
        .args([&project.version, ""])
        .arg(folder.join("declarations.h"))
        .arg(folder)
        .args([&digest_of_given(project)?, &found.partly.join(" ")]);
    if !project.libraries.is_empty() {
        command.arg(project.libraries.join(" "));
    }
    run::run(&mut command, &folder.join("log"))?;
    let module = read(&folder.join("_ffi.py"))?;
    ensure_one_has(&facts::header::of_module(&module), &exports)?;
    let mut made = Vec::new();
    for path in outputs(project) {
        let text = read(&folder.join(file_name(&path)))?;
        made.push((path, text));
    }
    Ok(made)
}

/// What helpers/c_header.py found.
#[derive(serde::Deserialize)]
struct Given {
    /// What each target declares: functions and variables.
    declared: BTreeMap<String, BTreeSet<String>>,
    /// Those that not every target declares.
    partly: Vec<String>,
    notes: Vec<String>,
}

/// Reads the given header for some of zig's targets. `exports`: what the host's library exports.
fn read_given(
    project: &Project,
    exports: &BTreeMap<String, Vec<String>>,
    folder: &Path,
    host: &str,
    triples: &[String],
) -> Result<Given> {
    let list = folder.join("exports");
    let names: Vec<&str> = exports.keys().map(String::as_str).collect();
    write(&list, names.join("\n"))?;
    let mut command = project.helper("c_header")?;
    command
        .args([project.header(), project.rust.clone()])
        .args([&*list, folder])
        .arg(zig_target(host))
        .args(triples);
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim();
    ensure!(
        output.status.success(),
        "{}",
        said.strip_prefix("error: ").unwrap_or(said)
    );
    Ok(serde_json::from_str(&read(&folder.join("given.json"))?)?)
}

/// What the package's libraries export, with the names of those that do.
fn exports(
    project: &Project,
    target: &Target,
    library: &Path,
) -> Result<BTreeMap<String, Vec<String>>> {
    let mut found = BTreeMap::<String, Vec<String>>::new();
    for path in project.all(target, library) {
        for name in layout::exports(&path)? {
            found.entry(name).or_default().push(file_name(&path));
        }
    }
    Ok(found)
}

/// Fails if more than one of the libraries exports what Python calls.
fn ensure_one_has(
    called: &BTreeSet<String>,
    exports: &BTreeMap<String, Vec<String>>,
) -> Result<()> {
    for name in called {
        if let Some(all @ [_, _, ..]) = exports.get(name).map(Vec::as_slice) {
            bail!(
                "{} export {name}, which the header declares: leave it in one of them",
                all.join(" and ")
            );
        }
    }
    Ok(())
}

/// What setup.py calls the header's digest.
fn digest_of_given(project: &Project) -> Result<String> {
    let said = project.ask_setup("print(sources.header_digest())", Stdio::null())?;
    Ok(said.trim().to_owned())
}

/// The functions and variables that Python calls: those of the header or, where that is not
/// generated, of _ffi.py, which leaves some out.
pub fn declared(project: &Project) -> Result<BTreeSet<String>> {
    if project.program.is_some() {
        return Ok(BTreeSet::new());
    }
    if project.has_gate() {
        let text = read(&project.header())?;
        return Ok(facts::header::functions(&text, &project.library));
    }
    Ok(facts::header::of_module(&read(
        &project.package().join("_ffi.py"),
    )?))
}

/// Those of them that the library does not have on every platform.
pub fn partly(project: &Project) -> Result<BTreeSet<String>> {
    if project.program.is_some() || project.has_gate() {
        return Ok(BTreeSet::new());
    }
    let text = read(&project.package().join("_ffi.py"))?;
    let names = text.lines().find_map(|line| line.strip_prefix("PARTLY = "));
    let names = names.unwrap_or_default();
    let names = names.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    Ok(names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect())
}

/// Fails if a library for a target lacks what its header declares there, or if C lays out a type
/// otherwise than CFFI.
pub fn check_given(
    project: &Project,
    target: &Target,
    library: &Path,
    folder: &Path,
) -> Result<()> {
    let module = project.package().join("_ffi.py");
    ensure!(
        read(&module)?.contains(&format!("HEADER = '{}'", digest_of_given(project)?)),
        "{} is stale: it was generated from another {}; run `make header`, and commit what it \
         writes",
        project.relative(&module),
        project.relative(&project.header())
    );
    let scratch = files::scratch(folder)?;
    let found = exports(project, target, library)?;
    let given = read_given(project, &found, scratch.path(), &target.triple, &[])?;
    let here: BTreeSet<&String> = given.declared.values().flatten().collect();
    let called = declared(project)?;
    let missing: Vec<&str> = called
        .iter()
        .filter(|name| here.contains(name) && !found.contains_key(*name))
        .map(String::as_str)
        .collect();
    ensure_one_has(&called, &found)?;
    ensure!(
        missing.is_empty(),
        "{} does not export {}, which {} declares for {}",
        project.relative(library),
        missing.join(", "),
        project.relative(&project.header()),
        target.short_name()
    );
    let header = project.header();
    let folders = [header.parent().unwrap_or(&project.rust), &project.rust];
    let options = ["-std=gnu11", "-DFFIWHEEL"];
    let source = scratch.path().join("layout.c");
    layout::compile(
        project,
        target,
        &options,
        &folders,
        &source,
        &folder.join("log"),
    )
    .with_context(|| {
        format!(
            "CFFI and C disagree about memory layouts for {}",
            target.short_name()
        )
    })
}

/// The header that C compilers read, and the declarations that CFFI reads.
/// `table`: what the library says of itself, for a comparison.
fn c_texts(project: &Project, source: &str, table: &str) -> Result<(String, String)> {
    let mut config = config(project, source)?;
    let prefix = project.library.to_uppercase();
    config.header = Some(format!(
        "// Generated {MARK}: edit the Rust source instead.\n//{}",
        CONVENTIONS
            .replace("<prefix>", &project.library)
            .trim_end()
            .lines()
            .collect::<Vec<_>>()
            .join("\n// ")
            .replace("// \n", "//\n"),
    ));
    config.include_guard = Some(format!("{prefix}_H"));
    config.cpp_compat = true;
    config.no_includes = true;
    config.sys_includes = ["stdbool.h", "stddef.h", "stdint.h"]
        .map(String::from)
        .into();
    config.after_includes = Some(format!(
        "\n// The version of the crate that this header was generated from.\n#define {prefix}_VERSION \"{}\"",
        project.version
    ));
    let source_file = tempfile::Builder::new()
        .suffix(".rs")
        .tempfile_in(project.build("header"))?;
    fs::write(source_file.path(), source)?;
    let mut bindings = Builder::new()
        .with_src(source_file.path())
        .with_config(config)
        .generate()
        .context("cbindgen cannot read the expanded crate, build/header/expanded.rs")?;
    let globals = bindings.globals.iter().map(|found| found.path.name());
    let declared = bindings.functions.iter().map(|found| found.path.name());
    let declared = declared.chain(globals).map(str::to_owned).collect();
    let gate = layout::functions(table);
    layout::ensure_by_gate(&declared, &gate)?;
    let missing: Vec<&str> = gate.difference(&declared).map(String::as_str).collect();
    ensure!(
        missing.is_empty(),
        "cbindgen cannot declare {} in C: use types that it knows, under their original names",
        missing.join(", ")
    );

    let mut header = Vec::new();
    bindings.write(&mut header);
    let header = closed_comments(&String::from_utf8(header)?)
        // To C it is a minus before a number that is too large.
        .replace(" -9223372036854775808", " (-9223372036854775807 - 1)");
    for name in constants(source).filter(|name| !defines(&header, name)) {
        say!("note: {name} is not a number: neither C nor Python has it");
    }

    bindings.config.header = None;
    bindings.config.include_guard = None;
    bindings.config.cpp_compat = false;
    bindings.config.sys_includes.clear();
    bindings.config.after_includes = None;
    bindings.config.documentation = false;
    let mut bare = Vec::new();
    bindings.write(&mut bare);
    let bare = String::from_utf8(bare)?;
    let export = &bindings.config.export;
    let c_name = |name: &str| match export.rename.get(name) {
        Some(renamed) => renamed.clone(),
        None => export.prefix.clone().unwrap_or_default() + name,
    };
    names::check(source, &bare, c_name, table)?;
    Ok((header, declarations(&bare)?))
}

/// How cbindgen writes C: by cbindgen.toml in the crate's folder; without one, types begin with the
/// library's name, and constants with it in capitals.
fn config(project: &Project, source: &str) -> Result<Config> {
    let path = project.rust.join("cbindgen.toml");
    if path.exists() {
        return Config::from_file(&path)
            .map_err(anyhow::Error::msg)
            .with_context(|| format!("{}", path.display()));
    }
    let prefix = &project.library;
    let mut config = Config {
        language: Language::C,
        usize_is_size_t: true,
        documentation_style: DocumentationStyle::C99,
        ..Config::default()
    };
    config.export.prefix = Some(format!("{prefix}_"));
    config.export.renaming_overrides_prefixing = true;
    let capitals = |name: &str| (name.to_owned(), format!("{}_{name}", prefix.to_uppercase()));
    config.export.rename = constants(source).map(capitals).collect();
    config.enumeration.prefix_with_name = true;
    Ok(config)
}

/// The header with a full stop after each comment that ends with a backslash, where C
/// would read the next line, a declaration perhaps, as part of the comment.
fn closed_comments(header: &str) -> String {
    let mut closed = String::new();
    for line in header.lines() {
        let text = line.trim();
        closed += line.trim_end();
        // A trigraph is a backslash too, up to C17.
        if text.starts_with("//") && (text.ends_with('\\') || text.ends_with("??/")) {
            closed.push('.');
        }
        closed.push('\n');
    }
    closed
}

/// The public constants of the crate's root. The compiler begins their lines so when it
/// prints the expanded crate.
fn constants(source: &str) -> impl Iterator<Item = &str> {
    source.lines().filter_map(|line| {
        let (name, _) = line.strip_prefix("pub const ")?.split_once(':')?;
        Some(name)
    })
}

/// Whether the header has the constant, which cbindgen.toml may prefix.
fn defines(header: &str, constant: &str) -> bool {
    header.lines().any(|line| {
        let name = line.strip_prefix("#define ").unwrap_or_default();
        let name = name.split_whitespace().next().unwrap_or_default();
        name == constant || name.ends_with(&format!("_{constant}"))
    })
}

/// What CFFI's parser accepts of cbindgen's C: no conditions, and constants that are
/// integers. Sized enums come as C before C23 spells them.
fn declarations(c: &str) -> Result<String> {
    let mut kept = String::new();
    let mut conditions = Vec::new();
    for line in c.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["#if", "__STDC_VERSION__", ">=", "202311L"] | ["#ifdef", "__cplusplus"] => {
                conditions.push(false)
            }
            ["#ifndef", "__cplusplus"] => conditions.push(true),
            ["#else", ..] => match conditions.last_mut() {
                Some(condition) => *condition = !*condition,
                None => bail!("cbindgen wrote an #else without an #if"),
            },
            ["#endif", ..] => {
                conditions.pop();
            }
            _ if conditions.contains(&false) => {}
            ["#define", name, ref value @ ..] => match integer(&value.join(" ")) {
                Some(value) => kept += &format!("#define {name} {value}\n"),
                None => println!("note: {name} is not a plain integer: C has it, Python does not"),
            },
            [directive, ..] if directive.starts_with('#') => bail!(
                "`{line}`: what is exported must be the same on every platform, without conditions"
            ),
            _ => {
                if line
                    .split(|c: char| !c.is_alphanumeric() && c != '_')
                    .any(|word| word == "long")
                {
                    bail!(
                        "`{}`: `long` has another width on Windows: use a type of fixed width",
                        line.trim()
                    );
                }
                kept += line;
                kept.push('\n');
            }
        }
    }
    Ok(kept)
}

/// The value of a constant, as CFFI accepts it.
fn integer(value: &str) -> Option<&str> {
    match value {
        "true" => Some("1"),
        "false" => Some("0"),
        _ => {
            let digits = value.strip_prefix('-').unwrap_or(value);
            let digits = digits.trim_end_matches(['u', 'U', 'l', 'L']);
            let (digits, radix) = match digits.strip_prefix("0x") {
                Some(digits) => (digits, 16),
                None => (digits, 10),
            };
            u64::from_str_radix(digits, radix).ok().map(|_| value)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read_as_c99() {
        let c = "enum E\n#if __STDC_VERSION__ >= 202311L\n  : uint8_t\n#endif // x\n {\n  A,\n};\n\
                 #if __STDC_VERSION__ >= 202311L\ntypedef enum E E;\n#else\ntypedef uint8_t E;\n#endif\n";
        assert_eq!(
            declarations(c).unwrap(),
            "enum E\n {\n  A,\n};\ntypedef uint8_t E;\n"
        );
    }

    #[test]
    fn a_comment_that_ends_with_a_backslash_is_closed() {
        assert_eq!(
            closed_comments("// a \\\n  // b??/\n// c \\ d\nint e;\n"),
            "// a \\.\n  // b??/.\n// c \\ d\nint e;\n"
        );
    }

    #[test]
    fn a_constant_that_cbindgen_leaves_out_is_noticed() {
        let source =
            "pub const A: &str = \"a\";\npub const B: i32 = 1;\n    pub const C: u8 = 1;\n";
        let missing: Vec<_> = constants(source)
            .filter(|name| !defines("#define m_B 1\n#define AA 1\n", name))
            .collect();
        assert_eq!(missing, ["A"]);
    }

    #[test]
    fn a_condition_of_the_platform_is_refused() {
        let error = declarations("#if defined(WINDOWS)\nint f(void);\n#endif\n").unwrap_err();
        assert!(error.to_string().contains("every platform"), "{error}");
    }

    #[test]
    fn a_type_without_fixed_width_is_refused() {
        let error = declarations("long f(void);").unwrap_err();
        assert!(error.to_string().contains("long f(void)"), "{error}");
        assert!(declarations("int longest(void);").is_ok());
    }

    #[test]
    fn constants_are_integers() {
        let c = "#define A -1\n#define B 0xffULL\n#define C true\n#define D 1.5\n#define E \"e\"\n";
        assert_eq!(
            declarations(c).unwrap(),
            "#define A -1\n#define B 0xffULL\n#define C 1\n"
        );
    }
}
