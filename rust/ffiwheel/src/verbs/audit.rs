//! Audits files and prints one report.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{bail, ensure, Context as _, Result};
use clap::builder::FalseyValueParser;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::facts::zip::Kind;
use crate::facts::{bounds, sdist};
use crate::files;
use crate::judge::rules::{Scope, Severity};
use crate::judge::{base_name, judge, rules, Context, Judge, Judged, Metadata};
use crate::make::{header, toolchain};
use crate::progress;
use crate::project::Project;
use crate::run;
use crate::say::say;
use crate::targets;

/// What the judge needs to know about the project.
pub fn context(project: &Project) -> Result<Context> {
    let Packed {
        tracked,
        licences,
        beside_the_package,
        of_crate,
    } = packed(project, &tracked(project)?)?;
    let module = &project.module;
    let settings = &project.settings;
    let pyproject = fs::read_to_string(project.python.join("pyproject.toml")).unwrap_or_default();
    let mut info: BTreeSet<String> = ["METADATA", "RECORD", "WHEEL", "top_level.txt"]
        .map(str::to_owned)
        .into();
    info.extend(licences.iter().map(|file| format!("licenses/{file}")));
    if settings.has("options.entry_points") {
        info.insert("entry_points.txt".to_owned());
    }
    let mut package = BTreeSet::new();
    let mut sources = BTreeMap::new();
    for path in &tracked {
        let Some(name) = path.strip_prefix("python/") else {
            continue;
        };
        if name.starts_with(&format!("{module}/")) {
            sources.insert(name.to_owned(), digest(project, path));
            let in_lib = name.starts_with(&format!("{module}/lib/"));
            if !in_lib || project.program.is_some() {
                package.insert(name.to_owned());
            }
        }
    }
    for (name, path) in beside_the_package {
        if tracked.contains(&path) {
            sources.insert(name, digest(project, &path));
        }
    }
    let excluded =
        |path: &str| !project.place.is_empty() && Path::new(path).starts_with(&project.place);
    let beside = tracked.iter();
    let beside = beside.filter(|path| !of_crate.contains(*path) && !excluded(path));
    let beside = beside.cloned().collect();
    for path in of_crate {
        let contents = digest(project, &path);
        sources.insert(path, contents);
    }
    let workspace = project.workspace.strip_prefix(&project.root)?;
    let (metadata, contradictions) =
        Metadata::declared(&pyproject, settings, &project.said_by_crate);
    let home = env::home_dir().unwrap_or_default();
    let private = [&home, &project.root]
        .into_iter()
        .filter(|path| path.components().count() > 2) // not / and /root
        .map(|path| path.display().to_string())
        .collect();
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    Ok(Context {
        distribution: project.distribution.clone(),
        module: module.clone(),
        libraries: project.libraries.clone(),
        prefix: project.library.clone(),
        version: project.version.clone(),
        functions: header::declared(project)?,
        partly: header::partly(project)?,
        given_header: project.program.is_none() && !project.has_gate(),
        command: project.command.is_some(),
        program: project.program.clone(),
        pythons: project.pythons().to_owned(),
        package,
        info,
        sources,
        crate_folder: project.place.clone(),
        workspace: workspace.display().to_string(),
        licences,
        beside,
        metadata,
        contradictions,
        rows: targets::load(project)?,
        private,
        today: sdist::date(now + 86400),
        release: false,
    })
}

/// What sdists and wheels hold, by setup.py's own list.
#[derive(Deserialize)]
struct Packed {
    /// Of the files that git tracks, those whose names are not left out.
    tracked: Vec<String>,
    /// The names of the licences' files.
    licences: BTreeSet<String>,
    /// Those that are the crate's.
    of_crate: BTreeSet<String>,
    /// What is in an sdist beside package and crate: where each file is in the project.
    beside_the_package: BTreeMap<String, String>,
}

fn packed(project: &Project, tracked: &[String]) -> Result<Packed> {
    const ASK: &str = "\
import json, os
left_out = lambda path: any(map(sources.is_left_out, path.split('/')))
vendored = lambda path: path.startswith(sources.PLACE + '/vendor/')
packed = sources.sdist_files()
is_packed = lambda path: path in packed or vendored(path) or not left_out(path)
tracked = list(filter(is_packed, json.load(sys.stdin)))
print(json.dumps({
    'tracked': tracked,
    'of_crate': list(filter(sources.is_of_crate, tracked)),
    'licences': sources.licences(),
    'beside_the_package': {
        name: os.path.relpath(path, sources.ROOT).replace(os.sep, '/')
        for name, path in sources.beside_the_package().items()
    },
}))
";
    let mut asked = tempfile::tempfile_in(project.build(""))?;
    asked.write_all(&serde_json::to_vec(tracked)?)?;
    asked.rewind()?;
    Ok(serde_json::from_str(
        &project.ask_setup(ASK, asked.into())?,
    )?)
}

/// The SHA-256 of a file in the working tree, if it can be read.
fn digest(project: &Project, path: &str) -> Option<[u8; 32]> {
    let contents = fs::read(project.root.join(path)).ok()?;
    Some(Sha256::digest(contents).into())
}

/// The files that git tracks, with `/` between names; without a repository, or before the first
/// `git add`, those in the folder.
fn tracked(project: &Project) -> Result<Vec<String>> {
    let known = project.git(&["ls-files", "-z"])?;
    match known {
        None => eprintln!(
            "note: {} is not a git repository: an sdist is compared with the files in that folder",
            project.root.display()
        ),
        Some(known) if !known.is_empty() => {
            return Ok(known.split_terminator('\0').map(str::to_owned).collect());
        }
        Some(_) => {}
    }
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(project.root.join(&folder))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = folder.join(&name);
            let built = ["target", "build", "dist", "__pycache__"];
            if entry.file_type()?.is_dir() {
                let tools = folder == Path::new("") && name.starts_with('.');
                if !tools && !built.contains(&&*name) && !name.ends_with(".egg-info") {
                    folders.push(path);
                }
            } else if folder != Path::new("python").join(&project.module).join("lib")
                || name == "README.md"
            {
                let words = path.iter().map(|word| word.to_string_lossy());
                found.push(words.collect::<Vec<_>>().join("/"));
            }
        }
    }
    Ok(found)
}

// ---- The report ----------------------------------------------------------------------------

#[derive(clap::Args)]
pub struct Options {
    /// The files to audit, of any project [default: those that FILES names, else all in dist/]
    files: Vec<PathBuf>,
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
    /// Also check that dist/ is one complete release
    #[arg(long, conflicts_with = "files", env = "RELEASE", value_parser = FalseyValueParser::new())]
    release: bool,
    /// Explain a code instead of auditing files
    #[arg(long, value_name = "CODE", env = "EXPLAIN", conflicts_with_all = ["files", "json", "release"])]
    explain: Option<String>,
}

impl Options {
    /// All in dist/, as a release.
    pub fn of_release() -> Options {
        Options {
            files: Vec::new(),
            json: false,
            release: true,
            explain: None,
        }
    }
}

/// Audits the named files, or all in dist/, and prints the findings.
pub fn run(project: &Project, options: &Options) -> Result<()> {
    if let Some(code) = &options.explain {
        return explain(code);
    }
    let mut context = context(project)?;
    context.release = options.release;
    // make separates words; on the command line a name may contain spaces.
    let named = env::var("FILES").unwrap_or_default();
    let files = match &options.files[..] {
        [] if options.release || named.trim().is_empty() => in_dist(project)?,
        [] => named.split_whitespace().map(PathBuf::from).collect(),
        files => files.to_vec(),
    };
    let mut judged = progress::each(&files, None, |path| judge_path(project, path, &context));
    if options.release {
        judged.push(release(project, &context, &judged)?);
    }
    if options.json {
        say!("{}", serde_json::to_string_pretty(&judged)?);
    } else {
        print(&judged, options.release);
    }
    let errors = judged
        .iter()
        .flat_map(|judged| &judged.findings)
        .filter(|finding| finding.severity == Severity::Error)
        .count();
    ensure!(
        errors == 0,
        "{errors} finding{} above; `make audit EXPLAIN=CODE` explains a code",
        if errors == 1 { "" } else { "s" }
    );
    Ok(())
}

fn in_dist(project: &Project) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(project.dist()).into_iter().flatten() {
        files.push(entry?.path());
    }
    files.sort();
    ensure!(
        !files.is_empty(),
        "dist/ is empty: run `make wheels` and `make sdist`, or name files to audit"
    );
    Ok(files)
}

fn judge_path(project: &Project, path: &Path, context: &Context) -> Judged {
    let file = project.relative(path).to_string();
    let read = || -> Result<Vec<u8>> {
        let mut data = Vec::new();
        let opened = File::open(path).context("cannot open it")?;
        ensure!(opened.metadata()?.is_file(), "it is not a file");
        opened
            .take(bounds::LARGEST_FILE + 1)
            .read_to_end(&mut data)
            .context("cannot read it")?;
        ensure!(
            data.len() as u64 <= bounds::LARGEST_FILE,
            "it is larger than {} bytes",
            bounds::LARGEST_FILE
        );
        Ok(data)
    };
    match read() {
        Ok(data) => judge(&file, &data, context),
        Err(error) => {
            let mut judge = Judge::new(&file, context);
            judge.add(&rules::F101, None, format!("{error:#}"));
            judge.judged
        }
    }
}

fn print(judged: &[Judged], release: bool) {
    for Judged { file, findings, .. } in judged {
        for finding in findings {
            say!("{}", visible(&finding.to_string()));
        }
        let is_set = release && file == "dist/";
        if findings.is_empty() {
            say!(
                "ok {file}{}",
                if is_set {
                    ": the release is complete"
                } else {
                    ""
                }
            );
        }
    }
}

/// Escapes control characters. The texts come from the audited files: they could move the
/// terminal's cursor, or begin a line that looks like another finding.
fn visible(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars() {
        match c.is_control() {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    shown
}

fn explain(code: &str) -> Result<()> {
    let Some(rule) = rules::rule(&code.to_uppercase()) else {
        bail!("there is no rule {code}: `ffiwheel rules` lists them");
    };
    let scope = match rule.scope {
        Scope::All => "an error in any file",
        Scope::Advice => "an error in this project's files, a warning in others",
        Scope::Own => "for this project's files",
        Scope::Release => "for a release of this project",
    };
    say!("{}: {}", rule.code, rule.rule);
    say!("  {scope}");
    say!("  why:    {}", rule.why);
    say!("  remedy: {}", rule.remedy);
    say!("  source: {}", rule.source);
    Ok(())
}

// ---- The release ---------------------------------------------------------------------------

/// Whether the files in dist/ are one complete release.
fn release(project: &Project, context: &Context, judged: &[Judged]) -> Result<Judged> {
    let mut judge = Judge::new("dist/", context);
    judge.own = true;
    let sdist_name = project.sdist_name();
    let mut expected = targets::release_files(&context.rows, project);
    for file in judged {
        let name = base_name(&file.file);
        if !expected.remove(name) {
            judge.add(&rules::X802, Some(name), "it is not part of this release");
        }
    }
    for name in expected {
        judge.add(&rules::X801, Some(&name), "it is missing");
    }
    let sdist = judged
        .iter()
        .find(|file| base_name(&file.file) == sdist_name);
    if let Some(sdist) = sdist {
        for wheel in judged.iter().filter(|file| file.file.ends_with(".whl")) {
            if !wheel.has_sbom {
                let text = format!("sboms/{}.cdx.json is missing", context.module);
                judge.add(&rules::X805, Some(base_name(&wheel.file)), text);
            }
            for (name, hash) in &wheel.package {
                if sdist.package.get(name) != Some(hash) {
                    let text = format!("its {name} differs from the sdist's");
                    judge.add(&rules::X803, Some(base_name(&wheel.file)), text);
                }
            }
        }
        for (name, hash) in &sdist.package {
            let source = match context.sources.get(name) {
                Some(source) => *source,
                None if context.beside.contains(name) => digest(project, name),
                None => None,
            };
            if source.is_some_and(|source| source != *hash) {
                let text = "it differs from the working tree";
                judge.add(&rules::S704, Some(name), text);
            }
        }
        let sound = sdist.findings.is_empty();
        if let (true, Err(error)) = (sound, builds_alone(project, &sdist_name)) {
            judge.add(&rules::S707, Some(&sdist_name), format!("{error:#}"));
        }
    }
    // A zip file counts two seconds as one.
    let mut dates = BTreeMap::new();
    for file in judged {
        for date in &file.dates {
            let mut date = *date;
            date[5] &= !1;
            let files: &mut BTreeSet<&str> = dates.entry(date).or_default();
            files.insert(base_name(&file.file));
        }
    }
    if dates.len() > 1 {
        let texts: Vec<String> = dates
            .iter()
            .map(|(date, files)| {
                let [year, month, day, hour, minute, second] = date;
                let first = files.first().unwrap_or(&"");
                format!(
                    "{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} in {} files ({first}…)",
                    files.len()
                )
            })
            .collect();
        judge.add(
            &rules::X804,
            None,
            format!("the files have different dates: {}", texts.join(", ")),
        );
    }
    Ok(judge.judged)
}

/// Builds the sdist's crate in a separate folder, as a packager without a network does.
fn builds_alone(project: &Project, sdist_name: &str) -> Result<()> {
    let scratch = files::scratch(&project.build("audit"))?;
    let data = fs::read(project.dist().join(sdist_name))?;
    let tar = sdist::inflate(&data, bounds::LARGEST_MEMBER)?.context("it is too large")?;
    // Its names have been judged, and are plain.
    for (member, contents) in sdist::members(&tar)? {
        if member.kind == Kind::File {
            files::write(&scratch.path().join(&member.name), contents)?;
        }
    }
    let folder = scratch.path().join(sdist_name.trim_end_matches(".tar.gz"));
    let mut command = toolchain::cargo(project)?;
    command
        .current_dir(folder.join(&project.place))
        .args(["build", "--locked", "--offline"])
        .args(
            project
                .features()
                .iter()
                .map(|name| format!("--features={name}")),
        )
        .arg("--target-dir")
        .arg(scratch.path().join("target"))
        .env_remove("CARGO_BUILD_TARGET");
    run::run(&mut command, &project.build("audit").join("log"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_shows_what_a_file_says() {
        assert_eq!(visible("é\u{1b}[2J\nok x.whl"), "é\\u{1b}[2J\\nok x.whl");
    }
}
