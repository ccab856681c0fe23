//! The stages in order: build, pack, repair, check, run.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{bail, ensure, Context, Result};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::build::{self, Builder};
use crate::container;
use crate::files::{self, read, sha256, Inputs};
use crate::judge::Context as Judging;
use crate::progress::{self, Progress};
use crate::project::Project;
use crate::run;
use crate::say::say;
use crate::sbom;
use crate::targets::{Backend, System, Target};
use crate::verbs::audit;

/// Builds the library as wheels carry it, and puts it into the package's lib folder.
pub fn lib(project: &Project, target: Option<&str>, backend: Option<Backend>) -> Result<()> {
    project.ensure_cargo_builds(
        "lib",
        "run `python setup.py build_library --inplace` in python/",
    )?;
    let builder = Builder::new(project, backend)?;
    let words: Vec<String> = target.map(str::to_owned).into_iter().collect();
    let selected = builder.select(&words)?;
    let [target] = &selected[..] else {
        bail!("the lib folder holds one library: name one target");
    };
    let folder = project.build(&target.triple);
    eprintln!("{}: build", target.triple);
    let library = builder.library(target, &folder)?;
    let mut command = project.command(project.tool("python")?)?;
    command
        .current_dir(&project.python)
        .args([
            "setup.py",
            "--quiet",
            "build_library",
            "--inplace",
            "--library",
        ])
        .arg(&library)
        .env("CARGO_BUILD_TARGET", &target.triple);
    run::run(&mut command, &folder.join("log"))?;
    let placed = project
        .package()
        .join("lib")
        .join(target.library_name(&project.module));
    say!("{}", project.relative(&placed));
    Ok(())
}

/// Packs the sdist into dist/. `vendor`: with every crate that Cargo.lock names inside, so
/// that it builds without a network.
pub fn sdist(project: &Project, vendor: bool) -> Result<()> {
    project.ensure_cargo_builds(
        "sdist",
        "an sdist would lack its sources; publish wheels alone",
    )?;
    let scratch = files::scratch(&project.build("sdist"))?;
    let mut sdist = pack_sdist(project, scratch.path())?;
    if vendor {
        sdist = pack_vendored(project, &sdist, scratch.path())?;
    }
    check_metadata(project, [&sdist])?;
    let path = publish(project, &sdist)?;
    remove_published(project, |name| {
        name.ends_with(".tar.gz") && !path.ends_with(name)
    })?;
    say!("{} ({})", project.relative(&path), kilobytes(&path)?);
    Ok(())
}

/// Makes the sdist in a folder: what dist/ gets, and what wheels are made of.
fn pack_sdist(project: &Project, folder: &Path) -> Result<PathBuf> {
    let ffi = project.package().join("_ffi.py");
    ensure!(
        read(&ffi)?.contains(&format!("VERSION = '{}'", project.version)),
        "{} is stale: rust/Cargo.toml says version {}; run `make header`",
        project.relative(&ffi),
        project.version
    );
    setup_sdist(project, &project.python, folder)
}

fn setup_sdist(project: &Project, tree: &Path, folder: &Path) -> Result<PathBuf> {
    let mut command = project.command(project.tool("python")?)?;
    command
        .current_dir(tree)
        .args(["setup.py", "--quiet", "sdist", "--formats", "gztar"])
        .arg("--dist-dir")
        .arg(folder);
    run::run(&mut command, &project.build("sdist").join("log"))?;
    let sdist = only(folder, ".tar.gz")?;
    let expected = format!("{}-{}.tar.gz", project.module, project.version);
    ensure!(
        sdist.file_name() == Some(expected.as_ref()),
        "setup.py made {}, and not {expected}: a release's version is that of rust/Cargo.toml; \
         remove `tag_build` and `tag_date` from [egg_info] in python/setup.cfg",
        sdist.file_name().unwrap_or_default().display()
    );
    Ok(sdist)
}

/// The sdist with rust/vendor, and with cargo's settings for it in a file of their own, above
/// the crate: whatever the crate's .cargo/config.toml says stays as it is.
fn pack_vendored(project: &Project, plain: &Path, folder: &Path) -> Result<PathBuf> {
    let tree = unpack(project, plain, folder)?;
    let settings = folder.join("vendor.toml");
    let mut command = build::cargo(project)?;
    command
        .current_dir(&tree)
        // A mirror that cargo is told to use here is used; its name gets nowhere.
        .args(["vendor", "--locked", "--respect-source-config"])
        .args(["--manifest-path", "rust/Cargo.toml", "rust/vendor"]);
    let log = project.build("sdist").join("log");
    run::run_to(&mut command, &log, Some(&settings))?;
    if !tree.join("rust/vendor").is_dir() {
        eprintln!("rust/Cargo.lock names no other crate: the plain sdist builds without a network");
        return Ok(plain.to_owned());
    }
    let text = read(&settings)?;
    files::write(&tree.join(".cargo/config.toml"), text)?;
    setup_sdist(project, &tree, &folder.join("vendored"))
}

/// What a finished wheel was made of, beside the build; never in the wheel.
#[derive(Clone, Serialize, Deserialize)]
struct Record {
    inputs: String,
    wheel: String,
    sha256: String,
    /// In bytes.
    size: u64,
    /// What the library needs of the system: at most what the tag promises.
    needs: Option<String>,
    ran: String,
}

/// What came of one target.
#[derive(Serialize)]
struct Row {
    target: String,
    triple: String,
    #[serde(flatten)]
    record: Option<Record>,
    /// The seconds of each stage that ran; none when the wheel was up to date.
    stages: Vec<(&'static str, f64)>,
    error: Option<String>,
    #[serde(skip)]
    made: Option<Made>,
}

/// A finished wheel, until it is in dist/.
struct Made {
    wheel: PathBuf,
    needs: Option<String>,
    ran: String,
    _scratch: TempDir,
}

/// How `wheels` runs.
pub struct Options {
    pub jobs: Option<usize>,
    pub json: bool,
    pub backend: Option<Backend>,
}

/// What all the targets' stages share.
struct Run<'a> {
    project: &'a Project,
    builder: &'a Builder<'a>,
    sdist: &'a Path,
    /// The sdist, unpacked.
    tree: &'a Path,
    progress: &'a Progress,
    judging: &'a Judging,
}

/// Makes a wheel for each of the targets, and prints what came of it.
pub fn wheels(project: &Project, words: &[String], options: &Options) -> Result<()> {
    project.ensure_cargo_builds("wheels", "run `python setup.py bdist_wheel` in python/")?;
    let builder = Builder::new(project, options.backend)?;
    let selected = builder.select(words)?;
    let scratch = files::scratch(&project.build("sdist"))?;
    let sdist = pack_sdist(project, scratch.path())?;
    let tree = unpack(project, &sdist, scratch.path())?;
    let progress = Progress::new(selected.len());
    let run = Run {
        project,
        builder: &builder,
        sdist: &sdist,
        tree: &tree,
        progress: &progress,
        judging: &audit::context(project)?,
    };

    let mut rows = progress::each(&selected, options.jobs, |target| {
        let row = row(&run, target);
        progress.finish(&row.target, row.error.as_deref());
        row
    });
    progress.clear();
    check_and_publish(project, &mut rows)?;

    if options.json {
        say!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        print(&rows);
    }
    progress::ensure_none_failed(
        "no wheel for",
        rows.iter().map(|row| (&*row.target, &row.error)),
    )
}

fn row(run: &Run, target: &Target) -> Row {
    let mut stages = Vec::new();
    let (record, made, error) = match wheel(run, target, &mut stages) {
        Ok((record, made)) => (Some(record), made, None),
        Err(error) => (None, None, Some(format!("{error:#}"))),
    };
    Row {
        target: target.short_name(),
        triple: target.triple.clone(),
        record,
        stages,
        error,
        made,
    }
}

fn record_path(project: &Project, triple: &str) -> PathBuf {
    project.build(triple).join("wheel.json")
}

/// The record of the wheel that is in dist/, if it is up to date; else of a new one, with
/// that.
fn wheel(
    run: &Run,
    target: &Target,
    stages: &mut Vec<(&'static str, f64)>,
) -> Result<(Record, Option<Made>)> {
    let project = run.project;
    let folder = project.build(&target.triple);
    let _ = fs::remove_file(folder.join("log"));
    // Whatever fails from here on, no wheel of older sources stays.
    let remove_older = || {
        remove_published(project, |name| {
            name.ends_with(&format!("-{}.whl", target.tags.join(".")))
        })
    };
    if run.builder.backend_for(target) == Backend::Cibuildwheel {
        cibuildwheel_image(project, target)?; // Nothing is built where there is none.
    }
    // Cargo alone knows what a library is built of; when nothing has changed, it is quick.
    let library = stage(run, target, "build", stages, || {
        run.builder.library(target, &folder)
    });
    if library.is_err() {
        remove_older()?;
    }
    let library = library?;
    let inputs = inputs(run, target, &library)?;
    if let Some(record) = fs::read(record_path(project, &target.triple))
        .ok()
        .and_then(|text| serde_json::from_slice::<Record>(&text).ok())
        .filter(|record| record.inputs == inputs)
        .filter(|record| {
            sha256(&project.dist().join(&record.wheel)).is_ok_and(|sum| sum == record.sha256)
        })
    {
        stages.clear();
        return Ok((record, None));
    }
    remove_older()?;
    let made = make(run, target, &library, stages)?;
    let record = Record {
        inputs,
        wheel: made
            .wheel
            .file_name()
            .unwrap()
            .to_string_lossy()
            .into_owned(),
        sha256: sha256(&made.wheel)?,
        size: fs::metadata(&made.wheel)?.len(),
        needs: made.needs.clone(),
        ran: made.ran.clone(),
    };
    Ok((record, Some(made)))
}

/// Checks the metadata of all the new wheels, in one run of twine, and puts them into dist/.
fn check_and_publish(project: &Project, rows: &mut [Row]) -> Result<()> {
    if rows.iter().all(|row| row.made.is_none()) {
        return Ok(());
    }
    let wheels = rows.iter().filter_map(|row| row.made.as_ref());
    check_metadata(project, wheels.map(|made| &made.wheel))?;
    for row in rows {
        if let (Some(made), Some(record)) = (row.made.take(), &row.record) {
            publish(project, &made.wheel)?;
            let text = serde_json::to_string_pretty(record)?;
            files::write(&record_path(project, &row.triple), text)?;
        }
    }
    Ok(())
}

/// Everything that a wheel's bytes and its checks depend on.
fn inputs(run: &Run, target: &Target, library: &Path) -> Result<String> {
    let mut inputs = Inputs::default();
    inputs.text(&sha256(library)?);
    inputs.text(&format!("{target:?}"));
    inputs.text(&format!("{:?}", run.builder.backend_for(target)));
    inputs.text(&run.builder.rustc(target)?);
    if run.builder.backend_for(target) == Backend::Cibuildwheel {
        inputs.path(&run.project.root.join("ci/cibuildwheel.toml"))?;
        inputs.text(&format!("{:?}", cibuildwheel_image(run.project, target)?));
        for name in ["CIBW_BUILD", "CIBW_SKIP"] {
            inputs.text(&format!("{:?}", env::var_os(name)));
        }
    }
    inputs.text(&sha256(run.sdist)?);
    for path in [
        "rust/xtask/src",
        "scripts/auditwheel_for.py",
        "scripts/smoke.py",
        "ci/platforms.toml",
        "ci/requirements.txt",
    ] {
        inputs.path(&run.project.root.join(path))?;
    }
    Ok(inputs.digest())
}

/// Runs a stage, shows it, and says how long it took.
fn stage<T>(
    run: &Run,
    target: &Target,
    name: &'static str,
    stages: &mut Vec<(&'static str, f64)>,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    run.progress.stage(&target.short_name(), name);
    let begin = Instant::now();
    let result = work();
    stages.push((name, begin.elapsed().as_secs_f64()));
    result
}

/// The stages after the build. Each leaves its result in a folder of its own, all of which go
/// with the value.
fn make(
    run: &Run,
    target: &Target,
    library: &Path,
    stages: &mut Vec<(&'static str, f64)>,
) -> Result<Made> {
    let project = run.project;
    let folder = project.build(&target.triple);
    let scratch = files::scratch(&folder)?;
    let log = folder.join("log");
    let wheel = if run.builder.backend_for(target) == Backend::Cibuildwheel {
        stage(run, target, "cibuildwheel", stages, || {
            cibuildwheel(run, target, library, scratch.path(), &log)
        })?
    } else {
        let packed = stage(run, target, "pack", stages, || {
            pack(run, target, library, scratch.path(), &log)
        })?;
        stage(run, target, "repair", stages, || {
            repair(project, target, &packed, scratch.path(), &log)
        })?
    };
    stage(run, target, "audit", stages, || {
        let findings = audit::errors(&wheel, run.judging)?;
        ensure!(findings.is_empty(), "{}", findings.join("\n  "));
        Ok(())
    })?;
    let ran = match target.is_native(&run.builder.toolchain.host) {
        true => stage(run, target, "run", stages, || {
            run_on_venv(project, &wheel, scratch.path(), &log)
        })?,
        false => "not run".to_owned(),
    };
    let needs = build::floor_needed(library)?.map(|floor| floor.to_string());
    Ok(Made {
        wheel,
        needs,
        ran,
        _scratch: scratch,
    })
}

/// The sdist as a folder, of which every wheel is packed.
fn unpack(project: &Project, sdist: &Path, folder: &Path) -> Result<PathBuf> {
    let mut command = project.command(project.tool("python")?)?;
    command.args(["-m", "tarfile", "-e"]).args([sdist, folder]);
    run::run(&mut command, &project.build("sdist").join("log"))?;
    Ok(folder.join(format!("{}-{}", project.module, project.version)))
}

/// A wheel of the sdist's tree and the library, with the tag that setup.py reads from it.
fn pack(run: &Run, target: &Target, library: &Path, folder: &Path, log: &Path) -> Result<PathBuf> {
    let tree = folder.join("tree");
    copy_tree(run.tree, &tree)?;
    let sbom = write_sbom(run, target, folder)?;
    let packed = folder.join("packed");
    let mut command = run.project.command(run.project.tool("python")?)?;
    command
        .current_dir(&tree)
        .args(["setup.py", "--quiet", "build_library", "--library"])
        .arg(library)
        .arg("--sbom")
        .arg(&sbom)
        .args(["bdist_wheel", "--dist-dir"])
        .arg(&packed)
        .env("CARGO_BUILD_TARGET", &target.triple);
    run::run(&mut command, log)?;
    only(&packed, ".whl")
}

fn write_sbom(run: &Run, target: &Target, folder: &Path) -> Result<PathBuf> {
    let path = folder.join(format!("{}.cdx.json", run.project.module));
    let text = sbom::of(run.project, target, &run.builder.rustc(target)?, folder)?;
    files::write(&path, text)?;
    Ok(path)
}

/// The official image, which has every Python; none for a system without containers.
fn cibuildwheel_image(project: &Project, target: &Target) -> Result<Option<String>> {
    if !matches!(target.system(), System::Manylinux | System::Musllinux) {
        return Ok(None);
    }
    let image = match &target.image {
        Some(name) => container::base(project, name)?,
        None => None,
    };
    image.map(Some).with_context(|| build::no_image(target))
}

/// A wheel of the sdist's tree and the library, as cibuildwheel packs and repairs it, run on
/// every Python that it offers for the platform; CIBW_BUILD and CIBW_SKIP choose among them.
fn cibuildwheel(
    run: &Run,
    target: &Target,
    library: &Path,
    folder: &Path,
    log: &Path,
) -> Result<PathBuf> {
    let project = run.project;
    // The part of the project that the container sees: `python`, and the smoke test beside it.
    let root = folder.join("project");
    let tree = root.join("python");
    copy_tree(run.tree, &tree)?;
    fs::create_dir_all(root.join("scripts"))?;
    fs::copy(
        project.root.join("scripts/smoke.py"),
        root.join("scripts/smoke.py"),
    )?;
    let built = tree.join("built");
    fs::create_dir_all(&built)?;
    let name = target.library_name(&project.module);
    fs::copy(library, built.join(&name))?;
    write_sbom(run, target, &built)?;
    let settings = read(&tree.join("setup.cfg"))?
        + &format!(
            "\n[build_library]\nlibrary = built/{name}\nsbom = built/{}.cdx.json\n",
            project.module
        );
    files::write(&tree.join("setup.cfg"), settings)?;

    let machine = target.machine();
    let (platform, machine) = match target.system() {
        System::Windows if machine.is_empty() => ("windows", "x86".to_owned()), // win32
        System::Windows => ("windows", machine.to_uppercase()),
        System::Macos => ("macos", machine.to_owned()),
        System::Manylinux | System::Musllinux => ("linux", machine.to_owned()),
    };
    let wheelhouse = folder.join("wheelhouse");
    let mut command = project.command(project.tool("cibuildwheel")?)?;
    command
        .current_dir(&root)
        .args(["--platform", platform, "--archs", &machine, "--config-file"])
        .arg(project.root.join("ci/cibuildwheel.toml"))
        .arg("--output-dir")
        .arg(&wheelhouse)
        .arg("python")
        // ci/cibuildwheel.toml passes it to the repair.
        .env("WHEEL_PLAT", target.tag());
    if let Some(image) = cibuildwheel_image(project, target)? {
        let (libc, other) = match target.system() {
            System::Musllinux => ("musllinux", "manylinux"),
            _ => ("manylinux", "musllinux"),
        };
        let variable = format!("CIBW_{libc}_{machine}_IMAGE").to_uppercase();
        let skip = env::var("CIBW_SKIP").unwrap_or_default();
        command
            .env(variable, image)
            .env("CIBW_SKIP", format!("{skip} *-{other}_*").trim())
            .env("CIBW_CONTAINER_ENGINE", container::engine());
    }
    run::run(&mut command, log)?;
    wheel_of(project, target, &wheelhouse)
}

/// The wheel with what it links against inside, and the tags of the target's row.
fn repair(
    project: &Project,
    target: &Target,
    packed: &Path,
    folder: &Path,
    log: &Path,
) -> Result<PathBuf> {
    let repaired = folder.join("repaired");
    match target.system() {
        System::Manylinux | System::Musllinux => {
            let mut command = project.command(project.tool("python")?)?;
            command
                .arg(project.root.join("scripts/auditwheel_for.py"))
                .args([target.tag(), "repair", "--plat", target.tag()])
                // auditwheel would name the oldest platform whose symbols suffice; the
                // floor in the table is the older bound of what is true.
                .args(["--only-plat", "--wheel-dir"])
                .arg(&repaired);
            if target.system() == System::Musllinux {
                // musl's loader takes this name for itself; on a glibc machine auditwheel
                // finds a linker script of that name instead.
                command.args(["--exclude", "libc.so"]);
            }
            run::run(command.arg(packed), log)?;
        }
        System::Macos => {
            let mut command = project.command(project.tool("repairwheel")?)?;
            command
                .args(["--no-sys-paths", "--output-dir"])
                .args([&repaired, packed])
                .env("PYTHONHASHSEED", "0"); // It writes tags in the order of a set.
            run::run(&mut command, log)?;
        }
        System::Windows => {
            let mut command = project.command(project.tool("delvewheel")?)?;
            command
                // The library is in the package's lib folder, not beside its modules.
                .args(["repair", "--analyze-existing", "--wheel-dir"])
                .args([&repaired, packed]);
            run::run(&mut command, log)?;
            // delvewheel copies a wheel that lacks nothing. Into another it writes code that
            // helps neither Python 2 nor cffi before 2.0 to find the DLL.
            ensure!(
                sha256(&only(&repaired, ".whl")?)? == sha256(packed)?,
                "the library needs a DLL that Windows lacks, and no wheel for every Python can \
                 carry one: link it statically; {} names it",
                project.relative(log)
            );
        }
    }
    wheel_of(project, target, &repaired)
}

/// The wheel in a folder, which has the name that the table says.
fn wheel_of(project: &Project, target: &Target, folder: &Path) -> Result<PathBuf> {
    let wheel = only(folder, ".whl")?;
    let expected = target.wheel_name(&project.module, &project.version);
    ensure!(
        wheel.file_name() == Some(expected.as_ref()),
        "the repaired wheel is {}, and ci/targets.toml says {expected}",
        project.relative(&wheel)
    );
    Ok(wheel)
}

/// Installs the wheel into a folder and runs it on `.venv`'s Python.
fn run_on_venv(project: &Project, wheel: &Path, folder: &Path, log: &Path) -> Result<String> {
    let installed = folder.join("installed");
    let python = project.tool("python")?;
    let mut command = project.command(&python)?;
    command
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--no-index",
            "--target",
        ])
        .args([&installed, wheel]);
    run::run(&mut command, log)?;
    let out = folder.join("run.txt");
    let mut command = project.command(&python)?;
    command
        .current_dir(folder)
        .arg(project.root.join("scripts/smoke.py"))
        .env("PYTHONPATH", &installed);
    run::run_to(&mut command, log, Some(&out))?;
    let said = read(&out)?;
    let (_, python) = said
        .trim()
        .rsplit_once(" runs on ")
        .with_context(|| format!("scripts/smoke.py said {said:?}"))?;
    Ok(python.to_owned())
}

/// Checks the metadata of wheels or the sdist as PyPI does.
fn check_metadata<'a>(
    project: &Project,
    files: impl IntoIterator<Item = &'a PathBuf>,
) -> Result<()> {
    let mut command = project.command(project.tool("twine")?)?;
    command.args(["check", "--strict"]).args(files);
    run::run(&mut command, &project.build("sdist").join("log"))
}

/// Puts a copy into dist/ under its name.
fn publish(project: &Project, file: &Path) -> Result<PathBuf> {
    let path = project.dist().join(file.file_name().unwrap());
    let contents = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    files::write(&path, contents)?;
    Ok(path)
}

/// Removes this project's files for which `which` is true from dist/.
fn remove_published(project: &Project, which: impl Fn(&str) -> bool) -> Result<()> {
    let Ok(entries) = fs::read_dir(project.dist()) else {
        return Ok(());
    };
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with(&format!("{}-", project.module)) && which(&name) {
            fs::remove_file(project.dist().join(name))?;
        }
    }
    Ok(())
}

fn print(rows: &[Row]) {
    let mut lines = vec![["target", "size", "needs", "ran on", "seconds"].map(String::from)];
    for row in rows {
        let stages: Vec<String> = row
            .stages
            .iter()
            .map(|(stage, seconds)| format!("{stage} {seconds:.1}"))
            .collect();
        let mut seconds = stages.join(", ");
        if seconds.is_empty() {
            seconds = "up to date".into();
        }
        lines.push(match &row.record {
            Some(record) => [
                row.target.clone(),
                format!("{} kB", record.size.div_ceil(1000)),
                record.needs.clone().unwrap_or("-".into()),
                record.ran.clone(),
                seconds,
            ],
            None => [
                row.target.clone(),
                "FAILED".into(),
                "-".into(),
                "-".into(),
                seconds,
            ],
        });
    }
    let width = |column: usize| {
        lines
            .iter()
            .map(|line| line[column].len())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..4).map(width).collect();
    for [target, size, needs, ran, seconds] in &lines {
        say!(
            "{target:<0$}  {size:>1$}  {needs:>2$}  {ran:<3$}  {seconds}",
            widths[0],
            widths[1],
            widths[2],
            widths[3]
        );
    }
    for record in rows.iter().filter_map(|row| row.record.as_ref()) {
        say!("dist/{}", record.wheel);
    }
}

fn kilobytes(path: &Path) -> Result<String> {
    Ok(format!("{} kB", fs::metadata(path)?.len().div_ceil(1000)))
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

/// The one file in a folder whose name ends so.
fn only(folder: &Path, end: &str) -> Result<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(end) {
            found.push(path);
        }
    }
    match found.len() {
        1 => Ok(found.remove(0)),
        count => bail!("{} holds {count} files *{end}, not one", folder.display()),
    }
}
