//! Compares what the gate reports about one target's library with the header: the functions, and
//! Rust's layout of every struct and enum with that of a C compiler for the target.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{ensure, Context, Result};

use super::toolchain::zig_target;
use crate::facts::{header, library};
use crate::files::{self, read};
use crate::project::Project;
use crate::run;
use crate::targets::Target;

/// Fails if the two differ, or if the library leaves out a type of the header. `folder` gets the
/// C file and the compiler's log.
pub fn check(project: &Project, target: &Target, library: &Path, folder: &Path) -> Result<()> {
    let prefix = &project.library;
    let text = read(&project.header())?;
    let table = table(library, prefix)?;
    let gate = functions(&table);
    ensure_by_gate(&exports(library)?, &gate)?;
    let declared = header::functions(&text, prefix);
    let differ = listed(declared.symmetric_difference(&gate));
    ensure!(
        differ.is_empty(),
        "the header and the functions in export! differ for {}: {differ}; run `make header`, and \
         export the same functions on every platform",
        target.triple
    );
    let missing: Vec<String> = header::types(&text)
        .difference(&named(&table, prefix))
        .cloned()
        .collect();
    ensure!(
        missing.is_empty(),
        "{prefix}_layout does not list the memory layout of {}: declare it with export_struct! or \
         export_enum!, or give its `Abi` a LAYOUT; then run `make header`",
        missing.join(", ")
    );

    let source = folder.join("layout.c");
    files::write(&source, assertions(&table, prefix)?)?;
    let include = project.rust.join("include");
    let log = folder.join("log");
    compile(project, target, &["-std=c11"], &[&include], &source, &log).with_context(|| {
        format!(
            "Rust and C disagree about memory layouts for {}: run `make header`, then look at {}",
            target.triple,
            project.relative(&source)
        )
    })
}

/// Has zig's C compiler check a file for a target. What it makes is not kept.
pub fn compile(
    project: &Project,
    target: &Target,
    options: &[&str],
    includes: &[&Path],
    source: &Path,
    log: &Path,
) -> Result<()> {
    let scratch = files::scratch(source.parent().unwrap_or(&project.root))?;
    let mut command = project.command(project.tool("python")?)?;
    command
        .args([
            "-m",
            "ziglang",
            "cc",
            "-target",
            &zig_target(&target.triple),
        ])
        .args(options);
    for folder in includes {
        command.arg("-I").arg(folder);
    }
    command.arg("-c").arg(source).arg("-o");
    command.arg(scratch.path().join("layout.o"));
    run::run(&mut command, log)
}

/// What `<prefix>_layout` returns, from the library's file.
pub fn table(library: &Path, prefix: &str) -> Result<String> {
    let data =
        std::fs::read(library).with_context(|| format!("cannot read {}", library.display()))?;
    library::layout(&data, prefix).with_context(|| {
        format!(
            "{} does not contain `{prefix}.layout=`, the text of {prefix}_layout",
            library.display()
        )
    })
}

/// The functions that the gate exports: those that the fingerprint covers.
pub fn functions(table: &str) -> BTreeSet<String> {
    table
        .lines()
        .filter_map(|line| line.strip_prefix("fn "))
        .map(str::to_owned)
        .collect()
}

/// What a library's file exports, without what linkers add.
pub fn exports(library: &Path) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for slice in library::read(library)? {
        let linkers = library::linker_exports(slice.format);
        found.extend(slice.exports.into_iter().filter(|name| !linkers(name)));
    }
    Ok(found)
}

/// Fails if something is exported that does not go through the gate.
pub fn ensure_by_gate(exported: &BTreeSet<String>, gate: &BTreeSet<String>) -> Result<()> {
    let all = exported.difference(gate).count();
    let mut stray = listed(exported.difference(gate).take(10));
    if all > 10 {
        stray += &format!(" and {} more", all - 10);
    }
    ensure!(
        stray.is_empty(),
        "exported without export!, so not covered by the fingerprint: {stray}; declare it with \
         export! in the crate's root, or remove the export (no_mangle, export_name; move an \
         extern block into a function), also from dependencies"
    );
    Ok(())
}

fn listed<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn named(table: &str, prefix: &str) -> BTreeSet<String> {
    table
        .lines()
        .filter(|line| !line.starts_with("fn "))
        .filter_map(|line| line.split(' ').nth(1))
        .map(|name| format!("{prefix}_{name}"))
        .collect()
}

/// A C file that compiles only if the header agrees with the table.
fn assertions(table: &str, prefix: &str) -> Result<String> {
    let mut c = format!("// Rust's layouts, for a C compiler to check.\n#include \"{prefix}.h\"\n");
    let mut assert = |what: String, value: &str| {
        c += &format!("_Static_assert({what} == {value}, \"in Rust: {value}\");\n");
    };
    for line in table.lines().filter(|line| !line.starts_with("fn ")) {
        let unknown = || format!("{prefix}_layout has an unknown line {line:?}");
        let mut words = line.split(' ');
        let mut word = || words.next().with_context(unknown);
        let (kind, name, size, align) = (word()?, word()?, word()?, word()?);
        let name = format!("{prefix}_{name}");
        assert(format!("sizeof({name})"), size);
        assert(format!("_Alignof({name})"), align);
        for member in words {
            if kind == "enum" {
                let (value, number) = member.split_once('=').with_context(unknown)?;
                assert(format!("{name}_{value}"), number);
            } else {
                let mut parts = member.split(':');
                let mut part = || parts.next().with_context(unknown);
                let (field, offset, size) = (part()?, part()?, part()?);
                assert(format!("offsetof({name}, {field})"), offset);
                assert(format!("sizeof((({name} *)0)->{field})"), size);
            }
        }
    }
    Ok(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_becomes_assertions() {
        let table = "struct S 8 4 a:0:4 b:4:1\nenum E 1 1 A=-1\nfn m_f\n";
        let c = assertions(table, "m").unwrap();
        for text in [
            "sizeof(m_S) == 8,",
            "_Alignof(m_S) == 4,",
            "offsetof(m_S, b) == 4,",
            "sizeof(((m_S *)0)->b) == 1,",
            "m_E_A == -1,",
        ] {
            assert!(c.contains(text), "{text} in {c}");
        }
        assert!(assertions("struct S\n", "m").is_err());
    }
}
