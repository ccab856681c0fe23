//! Runs the rules over files, collects every finding, makes one report.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{bail, ensure, Context as _, Result};
use pep440_rs::{Version, VersionSpecifiers};
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::build;
use crate::files::{self, read};
use crate::library::{self, Exposure, Format, Libc, Slice};
use crate::policy::{self, Platform, Rule, Scope, Severity};
use crate::progress;
use crate::project::Project;
use crate::run;
use crate::say::say;
use crate::sdist;
use crate::targets::{self, System, Target};
use crate::wheel::{self, Headers, Kind, Member, Name, Trouble};

/// What a file does not say of itself: this project, this machine, the time.
pub struct Context {
    pub module: String,
    pub version: String,
    /// The functions of the C header.
    pub functions: BTreeSet<String>,
    /// The package's files in a wheel, without the library.
    pub package: BTreeSet<String>,
    /// The files of the sdist, below its folder, and where they are in the working tree.
    pub sources: BTreeMap<String, PathBuf>,
    /// The project's other files, likewise: the sdist holds those that the crate needs.
    pub beside: BTreeMap<String, PathBuf>,
    /// What setup.cfg says of the project; nothing where it is said elsewhere.
    pub metadata: Metadata,
    pub rows: Vec<Target>,
    /// Paths of this machine, which no file that leaves may hold.
    pub private: Vec<String>,
    pub today: [u32; 6],
}

impl Context {
    pub fn of(project: &Project) -> Result<Context> {
        let header = project.rust.join(format!("include/{}.h", project.module));
        let mut tracked = tracked(project)?;
        tracked.retain(|path| is_packed(path));
        let below = |folder: &str| {
            let prefix = format!("{folder}/");
            let names = tracked.iter().filter_map(move |path| {
                path.strip_prefix(&prefix)
                    .map(|name| (name.to_owned(), path.clone()))
            });
            names.collect::<Vec<_>>()
        };
        let module = &project.module;
        let mut package = BTreeSet::new();
        let mut sources = BTreeMap::new();
        for (name, path) in below("python") {
            let own = name.starts_with(&format!("{module}/"));
            if own && !name.starts_with(&format!("{module}/lib/")) {
                package.insert(name.clone());
            }
            if own || BESIDE_THE_PACKAGE.contains(&&*name) {
                sources.insert(name, project.root.join(path));
            }
        }
        for (name, path) in below("rust") {
            if !name.starts_with("xtask/") {
                sources.insert(format!("rust/{name}"), project.root.join(path));
            }
        }
        let beside = tracked
            .iter()
            .filter(|path| !path.starts_with("rust/"))
            .map(|path| (path.clone(), project.root.join(path)))
            .collect();
        let home = env::home_dir().unwrap_or_default();
        let private = [&home, &project.root]
            .into_iter()
            .filter(|path| path.components().count() > 2) // not / and /root
            .map(|path| path.display().to_string())
            .collect();
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        Ok(Context {
            module: module.clone(),
            version: project.version.clone(),
            functions: functions(&read(&header)?, module),
            package,
            sources,
            beside,
            metadata: Metadata::declared(project)?,
            rows: targets::load(project)?,
            private,
            today: sdist::date(now + 86400),
        })
    }

    fn is_own(&self, name: &str) -> bool {
        wheel::normalised(name) == wheel::normalised(&self.module)
    }
}

/// What an sdist holds of `python`, beside the package.
const BESIDE_THE_PACKAGE: [&str; 6] = [
    "LICENSE",
    "README.md",
    "platform_tag.py",
    "pyproject.toml",
    "setup.cfg",
    "setup.py",
];

/// Whether files_below() in python/setup.py takes a file of that path.
fn is_packed(path: &str) -> bool {
    let leftover = |name: &str| {
        name.starts_with('.') && name != ".cargo"
            || name == "__pycache__"
            || [".pyc", ".tmp", "~"].iter().any(|end| name.ends_with(end))
    };
    path.starts_with("rust/vendor/") || !path.split('/').any(leftover)
}

/// The project's files as git knows them, with `/` between names; without a repository, or
/// before the first `git add`, those that are there.
fn tracked(project: &Project) -> Result<Vec<String>> {
    let known = project.git(&["ls-files", "-z"])?;
    match known {
        None => eprintln!(
            "note: {} is not a git repository: an sdist is compared with the files that are there",
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
            let built = ["target", "build", "dist", "__pycache__", "xtask", "tests"];
            if entry.file_type()?.is_dir() {
                // The crate's tests are packed, the package's are not.
                let tools = folder == Path::new("") && name.starts_with('.');
                let skipped = tools || built.contains(&&*name) || name.ends_with(".egg-info");
                if !skipped || path == Path::new("rust/tests") {
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

/// Whose project it is, by setup.cfg or by METADATA: {what: its values}, in one spelling for
/// all versions of the metadata.
#[derive(Default, PartialEq)]
pub struct Metadata(BTreeMap<&'static str, BTreeSet<String>>);

impl Metadata {
    fn declared(project: &Project) -> Result<Metadata> {
        let folder = project.root.join("python");
        let mut said = Metadata::default();
        let pyproject = fs::read_to_string(folder.join("pyproject.toml")).unwrap_or_default();
        let pyproject: toml::Table = toml::from_str(&pyproject).unwrap_or_default();
        if pyproject.contains_key("project") {
            return Ok(said); // setuptools takes it from there
        }
        let settings = fs::read_to_string(folder.join("setup.cfg")).unwrap_or_default();
        let (mut section, mut key) = ("", "");
        for line in settings.lines() {
            let text = line.trim();
            if text.is_empty() || text.starts_with(['#', ';']) {
                continue;
            }
            if text.starts_with('[') {
                section = text.trim_matches(['[', ']']);
                continue;
            }
            let mut value = text;
            if !line.starts_with([' ', '\t']) {
                let (name, rest) = text.split_once(['=', ':']).unwrap_or((text, ""));
                (key, value) = (name.trim(), rest.trim());
            }
            let what = match (section, key) {
                ("metadata", "description" | "summary") => "summary",
                ("metadata", "license" | "license_expression") => "licence",
                ("metadata", "author") => "author",
                ("metadata", "url" | "home_page" | "home-page") => "address",
                ("metadata", "project_urls") => {
                    value = value.split_once('=').map_or("", |(_, address)| address);
                    "address"
                }
                ("options", "python_requires") => "Requires-Python",
                _ => continue,
            };
            said.add(what, value);
        }
        Ok(said)
    }

    fn of(headers: &Headers) -> Metadata {
        let mut said = Metadata::default();
        for (header, what) in [
            ("summary", "summary"),
            ("license", "licence"),
            ("license-expression", "licence"),
            ("author", "author"),
            ("home-page", "address"),
            ("requires-python", "Requires-Python"),
        ] {
            headers.all(header).for_each(|value| said.add(what, value));
        }
        for value in headers.all("project-url") {
            let (_label, address) = value.split_once(',').unwrap_or_default();
            said.add("address", address);
        }
        said
    }

    fn add(&mut self, what: &'static str, value: &str) {
        let values = self.0.entry(what).or_default();
        match what {
            "Requires-Python" => values.extend(value.split(',').map(|it| it.replace(' ', ""))),
            _ => drop(values.insert(value.trim().to_owned())),
        }
        // Old versions of setuptools write UNKNOWN for nothing.
        values.retain(|value| !value.is_empty() && value != "UNKNOWN");
        if values.is_empty() {
            self.0.remove(what);
        }
    }
}

/// The functions that a header declares: names with the prefix and an opening parenthesis.
pub fn functions(header: &str, module: &str) -> BTreeSet<String> {
    let code = header
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .filter(|line| !line.trim_start().starts_with('#'))
        .collect::<Vec<_>>()
        .join("\n");
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    code.match_indices('(')
        .filter_map(|(at, _)| {
            let before = code[..at].trim_end();
            let start = before.rfind(|c| !is_name(c)).map_or(0, |at| at + 1);
            let name = &before[start..];
            name.starts_with(&format!("{module}_"))
                .then(|| name.to_owned())
        })
        .collect()
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    #[serde(serialize_with = "code", rename = "code")]
    pub rule: &'static Rule,
    pub severity: Severity,
    pub file: String,
    pub member: Option<String>,
    pub message: String,
    pub remedy: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{severity}[{}] {}: ", self.rule.code, self.file)?;
        if let Some(member) = &self.member {
            write!(f, "{member}: ")?;
        }
        write!(f, "{}; {}", self.message, self.remedy)
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Rule) -> bool {
        self.code == other.code
    }
}

impl Eq for Rule {}

fn code<S: Serializer>(rule: &&Rule, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(rule.code)
}

/// What came of one file.
#[derive(Default, Serialize)]
pub struct Judged {
    pub file: String,
    pub findings: Vec<Finding>,
    /// The hashes of the package's files, for the comparison of a release's files.
    #[serde(skip)]
    package: BTreeMap<String, [u8; 32]>,
    #[serde(skip)]
    dates: BTreeSet<[u32; 6]>,
    #[serde(skip)]
    has_sbom: bool,
}

struct Judge<'a> {
    context: &'a Context,
    own: bool,
    judged: Judged,
    /// How many findings there are of each code.
    found: BTreeMap<&'static str, usize>,
}

/// Judges a file by its name and contents. Never panics, and neither time nor memory grow
/// beyond the bounds in policy.rs.
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
        judge.add(&policy::F102, None, reason);
        judge.judged
    })
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| text.to_string());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default()
}

impl<'a> Judge<'a> {
    fn new(file: &str, context: &'a Context) -> Judge<'a> {
        Judge {
            context,
            own: false,
            judged: Judged {
                file: file.to_owned(),
                ..Judged::default()
            },
            found: BTreeMap::new(),
        }
    }

    fn add(&mut self, rule: &'static Rule, member: Option<&str>, message: impl Into<String>) {
        if !self.own && matches!(rule.scope, Scope::Own | Scope::Release) {
            return;
        }
        let found = self.found.entry(rule.code).or_default();
        if *found > policy::MOST_FINDINGS {
            return;
        }
        let mut finding = Finding {
            rule,
            severity: rule.severity(self.own),
            file: self.judged.file.clone(),
            member: member.map(|member| shortened(member.to_owned())),
            message: shortened(message.into()),
            remedy: rule.remedy,
        };
        if self.judged.findings.contains(&finding) {
            return;
        }
        *found += 1;
        if *found > policy::MOST_FINDINGS {
            finding.member = None;
            finding.message = "there is more of this kind, which is not listed".to_owned();
        }
        self.judged.findings.push(finding);
    }

    fn file(&mut self, data: &[u8]) {
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

    // ---- Wheels ----------------------------------------------------------------------------

    fn wheel(&mut self, file_name: &str, data: &[u8]) {
        let name = Name::parse(file_name);
        if let Some(name) = &name {
            self.own = self.context.is_own(&name.project);
            self.wheel_name(name);
        } else {
            self.own = self
                .context
                .is_own(file_name.split('-').next().unwrap_or_default());
            let text = "its name is not name-version[-build]-python-abi-platform.whl";
            self.add(&policy::W101, None, text);
        }
        let archive = match wheel::open(data) {
            Ok(archive) => archive,
            Err(error) => return self.add(&policy::Z101, None, format!("{error:#}")),
        };
        let mut contents = Contents::default();
        for (member, trouble) in archive.troubles {
            match trouble {
                Trouble::Damaged(text) => {
                    self.add(&policy::Z101, member.as_deref(), text);
                    contents.unreadable.extend(member);
                }
                Trouble::Ambiguous(text) => self.add(&policy::Z103, member.as_deref(), text),
            }
        }
        let members = archive.members;
        self.members(members.iter());
        if self.is_too_large(members.iter().map(|member| member.size), data.len()) {
            return;
        }

        let platforms: Vec<Platform> = {
            let mut platforms = Vec::new();
            for tag in name.iter().flat_map(|name| &name.platforms) {
                platforms.extend(policy::platform(tag).filter(|it| !platforms.contains(it)));
            }
            platforms
        };
        let siblings = Siblings::of(members.iter().map(|it| &*it.name));
        let mut place = Place {
            platforms: &platforms,
            siblings: Some(&siblings),
            python2: name.as_ref().is_some_and(|name| {
                let mut tags = name.pythons.iter();
                tags.any(|tag| tag.starts_with("py2") || tag.starts_with("cp2"))
            }),
            member: "",
        };
        let mut buffer = Vec::new();
        for member in members.iter().filter(|it| it.kind == Kind::File) {
            if member.encrypted {
                contents.unreadable.insert(member.name.clone());
                continue;
            }
            let unpacked = match member.unpack(data, &mut buffer) {
                Ok(unpacked) => unpacked,
                Err(error) => {
                    self.add(&policy::Z101, Some(&member.name), format!("{error:#}"));
                    contents.unreadable.insert(member.name.clone());
                    continue;
                }
            };
            contents.take(member, unpacked, &self.context.module);
            place.member = &member.name;
            if let Some((library, program)) = self.native(unpacked, &place) {
                contents.natives.insert(member.name.clone());
                if library && !program {
                    contents.libraries.push(member.name.clone());
                }
                if self.own {
                    let fingerprints = library::fingerprints(unpacked, &self.context.module);
                    contents.fingerprints.extend(fingerprints);
                }
            }
        }
        self.metadata(name.as_ref(), &members, &contents);
        if self.own {
            self.own_members(name.as_ref(), &members, &contents);
        }
        self.judged.package = contents.package;
    }

    fn wheel_name(&mut self, name: &Name) {
        let normal = wheel::normalised(&name.project).replace('-', "_");
        if name.project != normal {
            let text = format!("its name has {}, normalised {normal}", name.project);
            self.add(&policy::W102, None, text);
        }
        match Version::from_str(&name.version.replace('_', "-")) {
            Ok(version) => {
                let normal = version.to_string().replace('-', "_");
                if normal != name.version {
                    let text =
                        format!("its name has version {}, normalised {normal}", name.version);
                    self.add(&policy::W102, None, text);
                }
            }
            Err(_) => {
                let text = format!("{} is no version", name.version);
                self.add(&policy::W101, None, text);
            }
        }
        if let Some(build) = &name.build {
            self.add(&policy::W103, None, format!("it has the build tag {build}"));
        }
        for tag in name.platforms.iter().filter(|tag| !policy::is_on_pypi(tag)) {
            self.add(&policy::W108, None, format!("PyPI takes no {tag}"));
        }
        if (name.pythons != ["py2", "py3"] || name.abis != ["none"]) && self.own {
            let tag = format!("{}-{}", name.pythons.join("."), name.abis.join("."));
            self.add(
                &policy::W109,
                None,
                format!("its tag is {tag}, not py2.py3-none"),
            );
        }
        if !self
            .context
            .rows
            .iter()
            .any(|row| row.tags == name.platforms)
        {
            let tags = name.platforms.join(".");
            self.add(
                &policy::W110,
                None,
                format!("no row of ci/targets.toml has the tags {tags}"),
            );
        }
        self.version(&name.version);
    }

    fn version(&mut self, version: &str) {
        if parse(version) != parse(&self.context.version) {
            let text = format!(
                "its version is {version}, and rust/Cargo.toml says {}",
                self.context.version
            );
            self.add(&policy::W107, None, text);
        }
    }

    /// What holds for the members of any archive.
    fn members<'m>(&mut self, members: impl Iterator<Item = &'m Member>) {
        let mut names = BTreeMap::new();
        let members: Vec<&Member> = members.collect();
        // `cargo vendor` keeps whatever its authors packed, and cargo wants all of it.
        let vendored: Vec<&str> = members
            .iter()
            .filter_map(|member| member.name.strip_suffix(".cargo-checksum.json"))
            .collect();
        for member in members {
            let name = Some(&*member.name);
            if !is_plain(member.name.strip_suffix('/').unwrap_or(&member.name)) {
                self.add(&policy::Z104, name, "its name is not a plain relative one");
            }
            let folded = member.name.trim_end_matches('/').to_lowercase();
            if let Some(other) = names.insert(folded, &member.name) {
                let text = format!("there is {other}, too");
                self.add(&policy::Z105, name, text);
            }
            match member.kind {
                Kind::Link => self.add(&policy::Z106, name, "it is a link"),
                Kind::Other => self.add(&policy::Z106, name, "it is no file and no folder"),
                _ => {}
            }
            if member.encrypted {
                self.add(&policy::Z109, name, "it is encrypted");
            }
            if let Some(mode) = member.mode {
                let good = match member.kind {
                    Kind::File => {
                        policy::FILE_MODES.contains(&mode)
                            || (mode == policy::RECORD_MODE && member.name.ends_with("/RECORD"))
                    }
                    Kind::Folder => mode == policy::FOLDER_MODE,
                    _ => true,
                };
                // pip and uv set modes of their own: what others' files say harms only
                // where it lets everybody write, or the owner's rights be taken.
                if !good && (self.own || mode & 0o6002 != 0) {
                    self.add(&policy::Z107, name, format!("its mode is {mode:04o}"));
                }
            }
            let [year, month, day, hour, minute, second] = member.modified;
            let exists = (1..=12).contains(&month)
                && (1..=31).contains(&day)
                && hour < 24
                && minute < 60
                && second < 60;
            if year < 1980 || !exists || member.modified > self.context.today {
                let text = format!("its date is {year}-{month:02}-{day:02} {hour:02}:{minute:02}");
                self.add(&policy::Z108, name, text);
            }
            if !["__pycache__", ""].contains(&base_name(&member.name)) {
                self.judged.dates.insert(member.modified);
            }
            let mut parts = member.name.split('/');
            let leftover = parts.any(|part| policy::LEFTOVERS.contains(&part))
                || policy::LEFTOVER_ENDS
                    .iter()
                    .any(|end| member.name.ends_with(end));
            let kept = |folder: &&str| member.name.starts_with(folder);
            if leftover && !vendored.iter().any(kept) {
                self.add(&policy::R207, name, "it is a leftover");
            }
        }
    }

    fn is_too_large(&mut self, sizes: impl Iterator<Item = u64>, packed: usize) -> bool {
        let (mut total, mut largest) = (0_u64, 0);
        for size in sizes {
            total = total.saturating_add(size);
            largest = size.max(largest);
        }
        let ratio = total / (packed as u64).max(1);
        let too_large = total > policy::MOST_UNPACKED
            || largest > policy::LARGEST_MEMBER
            || (total > policy::RATIO_COUNTS_FROM && ratio >= policy::HIGHEST_RATIO);
        if too_large {
            let text = format!(
                "it claims to unpack to {total} bytes from {packed}, the largest member to \
                 {largest}: it was not unpacked"
            );
            self.add(&policy::Z102, None, text);
        }
        too_large
    }

    /// METADATA, WHEEL and RECORD, against the name and the members.
    fn metadata(&mut self, name: Option<&Name>, members: &[Member], contents: &Contents) {
        let folders: BTreeSet<&str> = members
            .iter()
            .filter_map(|member| member.name.split('/').next())
            .filter(|folder| folder.ends_with(".dist-info"))
            .collect();
        let mut found = folders.iter();
        let (Some(info), None) = (found.next(), found.next()) else {
            let text = format!("it has {} .dist-info folders", folders.len());
            return self.add(&policy::W113, None, text);
        };
        if let Some(name) = name {
            let stem = info.strip_suffix(".dist-info").unwrap_or_default();
            let wanted = format!("{}-{}", name.project, name.version);
            if wheel::normalised(stem) != wheel::normalised(&wanted) {
                let text = format!("it should be {wanted}.dist-info");
                self.add(&policy::W113, Some(info), text);
            }
        }
        let mut file = |file: &str| {
            let path = format!("{info}/{file}");
            let text = contents.texts.get(&path);
            if text.is_none() && !contents.unreadable.contains(&path) {
                self.add(
                    &policy::W113,
                    Some(&path),
                    "it is missing, or far too large",
                );
            }
            text.map(|text| String::from_utf8_lossy(text).into_owned())
        };
        let (metadata, wheel_file, record) = (file("METADATA"), file("WHEEL"), file("RECORD"));

        if let Some(text) = &metadata {
            let headers = Headers::parse(text);
            let path = format!("{info}/METADATA");
            if let Some(name) = name {
                self.same_project(&policy::W106, &path, &headers, &name.project, &name.version);
            }
            let names: BTreeSet<&String> = members
                .iter()
                .map(|member| &member.name)
                .chain(&contents.unreadable)
                .collect();
            let has = |file: &str| {
                let base = base_name(file);
                let places = [format!("licenses/{file}"), file.to_owned(), base.to_owned()];
                let mut places = places.iter().map(|place| format!("{info}/{place}"));
                places.any(|place| names.contains(&place))
            };
            self.licences(&policy::W111, &path, &headers, has);
            self.pythons(&path, &headers);
            self.same_metadata(&policy::W114, &path, &headers);
        }
        if let Some(text) = &wheel_file {
            let headers = Headers::parse(text);
            let path = format!("{info}/WHEEL");
            let tags: BTreeSet<String> = headers.all("tag").map(str::to_owned).collect();
            if let Some(name) = name {
                let (said, named) = (tags, name.tags());
                let list = |tags: Vec<&String>| match &tags[..] {
                    [] => "none".to_owned(),
                    tags => tags
                        .iter()
                        .map(|tag| tag.as_str())
                        .collect::<Vec<_>>()
                        .join(", "),
                };
                if said != named {
                    let text = format!(
                        "its tags that the name lacks: {}; tags of the name that it lacks: {}",
                        list(said.difference(&named).collect()),
                        list(named.difference(&said).collect())
                    );
                    self.add(&policy::W104, Some(&path), text);
                }
                let pure = headers
                    .first("root-is-purelib")
                    .eq_ignore_ascii_case("true");
                let any = name.platforms == ["any"];
                if pure && (!contents.libraries.is_empty() || !any) {
                    let text = "it says Root-Is-Purelib: true, and the wheel is for a platform";
                    self.add(&policy::W105, Some(&path), text);
                } else if let (Some(library), true) = (contents.libraries.first(), any) {
                    let text = "it is native code, and the wheel's tag says any platform";
                    self.add(&policy::W105, Some(library), text);
                }
            }
        }
        if record.is_some() {
            self.record(info, members, contents);
        }
    }

    fn same_project(
        &mut self,
        rule: &'static Rule,
        path: &str,
        headers: &Headers,
        project: &str,
        version: &str,
    ) {
        let (said_name, said_version) = (headers.first("name"), headers.first("version"));
        if wheel::normalised(said_name) != wheel::normalised(project) {
            let text = format!("it names the project {said_name:?}, and the file {project}");
            self.add(rule, Some(path), text);
        }
        if parse(said_version).is_none() || parse(said_version) != parse(version) {
            let text = format!("it says version {said_version:?}, and the file {version}");
            self.add(rule, Some(path), text);
        }
    }

    fn same_metadata(&mut self, rule: &'static Rule, path: &str, headers: &Headers) {
        let (declared, said) = (&self.context.metadata.0, Metadata::of(headers).0);
        if declared.is_empty() {
            return;
        }
        let both: BTreeSet<_> = declared.keys().chain(said.keys()).collect();
        for what in both {
            let [ours, its] = [declared.get(what), said.get(what)].map(|values| {
                let values: Vec<_> = values.into_iter().flatten().map(String::as_str).collect();
                values.join(", ")
            });
            if ours != its {
                let text = format!("its {what} is {its:?}, and in setup.cfg {ours:?}");
                self.add(rule, Some(path), text);
            }
        }
    }

    fn licences(
        &mut self,
        rule: &'static Rule,
        path: &str,
        headers: &Headers,
        has: impl Fn(&str) -> bool,
    ) {
        for file in headers.all("license-file").filter(|file| !has(file)) {
            self.add(
                rule,
                Some(path),
                format!("its License-File {file} is missing"),
            );
        }
        if self.own && headers.all("license-file").next().is_none() {
            self.add(rule, Some(path), "it names no License-File");
        }
    }

    fn pythons(&mut self, path: &str, headers: &Headers) {
        let required = headers.first("requires-python");
        if required.is_empty() {
            return;
        }
        let short = required.len() <= policy::LONGEST_SPECIFIER;
        let parsed = short.then(|| VersionSpecifiers::from_str(required).ok());
        let Some(required) = parsed.flatten() else {
            let text = format!("its Requires-Python {required:?} cannot be read");
            return self.add(&policy::W112, Some(path), text);
        };
        // There are a few hundred in all.
        for classifier in headers.all("classifier").take(1000) {
            let Some(python) = classifier.strip_prefix("Programming Language :: Python :: ") else {
                continue;
            };
            let numbers: Option<Vec<u64>> = python
                .split('.')
                .map(|number| number.parse().ok())
                .collect();
            let allows = |release: [u64; 3]| required.contains(&Version::new(release));
            let allowed = match numbers.as_deref() {
                // Some minor or patch release will do; there have been fewer than these.
                Some(&[major]) => {
                    (0..40).any(|minor| allows([major, minor, 0]) || allows([major, minor, 40]))
                }
                Some(&[major, minor]) => (0..40).any(|patch| allows([major, minor, patch])),
                _ => true,
            };
            if !allowed {
                let text =
                    format!("a classifier names Python {python}, which Requires-Python shuts out");
                self.add(&policy::W112, Some(path), text);
            }
        }
    }

    fn record(&mut self, info: &str, members: &[Member], contents: &Contents) {
        let path = format!("{info}/RECORD");
        let text = &contents.texts[&path];
        let entries = match wheel::record(text) {
            Ok(entries) => entries,
            Err(error) => return self.add(&policy::R201, Some(&path), format!("{error:#}")),
        };
        let mut listed = BTreeSet::new();
        for entry in &entries {
            let name = Some(&*entry.name);
            if !is_plain(&entry.name) {
                self.add(
                    &policy::R206,
                    name,
                    "RECORD names it, and it is not plain and relative",
                );
            }
            if !listed.insert(&*entry.name) {
                self.add(&policy::R206, name, "RECORD names it twice");
                continue;
            }
            let Some((sha256, size)) = contents.files.get(&entry.name) else {
                if !contents.unreadable.contains(&entry.name) {
                    self.add(&policy::R203, name, "RECORD names it, and it is not there");
                }
                continue;
            };
            if entry.name == path {
                if !entry.hash.is_empty() {
                    self.add(&policy::R204, name, "a file cannot hold its own hash");
                }
                continue;
            }
            match entry.hash.split_once('=') {
                Some(("sha256", hash)) => {
                    // Padding is not allowed, and harmless.
                    if hash.trim_end_matches('=') != &sha256["sha256=".len()..] {
                        self.add(&policy::R204, name, format!("its hash is {sha256}"));
                    }
                }
                // Stronger ones are allowed, and nobody uses them.
                Some(("sha384" | "sha512", _)) => {}
                _ => {
                    let text = format!("its hash in RECORD is {:?}, no SHA-256", entry.hash);
                    self.add(&policy::R204, name, text);
                }
            }
            // The specification lets it be empty.
            if entry.size != size.to_string() && (self.own || !entry.size.is_empty()) {
                let text = format!("its size is {size}, and RECORD says {:?}", entry.size);
                self.add(&policy::R205, name, text);
            }
        }
        // Signatures of RECORD, which nobody makes any more, cannot be in it.
        let exempt = [format!("{path}.jws"), format!("{path}.p7s")];
        for member in members.iter().filter(|member| member.kind != Kind::Folder) {
            if !listed.contains(&*member.name) && !exempt.contains(&member.name) {
                self.add(&policy::R202, Some(&member.name), "RECORD does not name it");
            }
        }
    }

    /// This project's wheels: the files, the library, the fingerprint.
    fn own_members(&mut self, name: Option<&Name>, members: &[Member], contents: &Contents) {
        let module = self.context.module.clone();
        let row = name.and_then(|name| {
            let mut rows = self.context.rows.iter();
            rows.find(|row| row.tags == name.platforms)
        });
        let library = row.map(|row| format!("{module}/lib/{}", row.library_name(&module)));
        let grafted = [format!("{module}.libs/"), format!("{module}/.dylibs/")];
        let is_grafted = |name: &str| grafted.iter().any(|folder| name.starts_with(folder));
        let natives: Vec<&String> = contents
            .natives
            .iter()
            .filter(|native| !is_grafted(native))
            .collect();
        match &natives[..] {
            [one] if library.as_ref().is_none_or(|library| library == *one) => {}
            [] if library
                .as_ref()
                .is_some_and(|it| contents.unreadable.contains(it)) => {}
            [] => self.add(&policy::L301, None, "it has no library"),
            others => {
                for other in others
                    .iter()
                    .filter(|other| Some(**other) != library.as_ref())
                {
                    let text = "the library is expected in the package's lib folder, alone";
                    self.add(&policy::L301, Some(other), text);
                }
            }
        }
        let version = &self.context.version;
        let info = members.iter().find_map(|member| {
            let folder = member.name.split('/').next()?;
            folder.ends_with(".dist-info").then_some(folder)
        });
        let info = info.map_or(format!("{module}-{version}.dist-info"), str::to_owned);
        let mut expected = self.context.package.clone();
        const INFO: [&str; 6] = [
            "METADATA",
            "RECORD",
            "WHEEL",
            "entry_points.txt",
            "licenses/LICENSE",
            "top_level.txt",
        ];
        expected.extend(INFO.iter().map(|file| format!("{info}/{file}")));
        for member in members.iter().filter(|member| member.kind != Kind::Folder) {
            let known = expected.contains(&member.name)
                || is_sbom(&member.name)
                || contents.natives.contains(&member.name)
                || contents.unreadable.contains(&member.name)
                || is_grafted(&member.name);
            if !known {
                let text = "it does not belong in the wheel";
                self.add(&policy::R208, Some(&member.name), text);
            }
        }
        for name in expected {
            let there = members.iter().any(|member| member.name == name)
                || contents.unreadable.contains(&name);
            // Other rules are about these.
            let said = ["METADATA", "RECORD", "WHEEL", "LICENSE"].contains(&base_name(&name));
            if !there && !said {
                self.add(&policy::R208, Some(&name), "it is missing");
            }
        }
        for (name, (hash, _)) in &contents.files {
            let licence = name.starts_with(&format!("{info}/")) && base_name(name) == "LICENSE";
            let source = match licence {
                true => self.context.sources.get("LICENSE"),
                false if self.context.package.contains(name) => self.context.sources.get(name),
                false => None,
            };
            let source = source.and_then(|path| fs::read(path).ok());
            if source.is_some_and(|source| wheel::sha256(&source) != *hash) {
                let text = "it is another than in the working tree";
                self.add(&policy::R210, Some(name), text);
            }
        }
        for (name, text) in contents.texts.iter().filter(|(name, _)| is_sbom(name)) {
            let of_library = base_name(name) == format!("{module}.cdx.json");
            self.judged.has_sbom |= of_library;
            if let Err(error) = self.sbom(text, of_library) {
                self.add(&policy::R209, Some(name), error);
            }
        }
        let ffi = format!("{module}/_ffi.py");
        let abi = contents.texts.get(&ffi).and_then(|text| {
            let text = String::from_utf8_lossy(text).into_owned();
            let line = text.lines().find_map(|line| line.strip_prefix("ABI = '"))?;
            Some(line.trim_end_matches('\'').to_owned())
        });
        // A library that is not Rust's may offer no fingerprint; the module says so, then.
        let expected = abi.clone().map(|abi| match abi.is_empty() {
            true => BTreeSet::new(),
            false => BTreeSet::from([abi]),
        });
        if !natives.is_empty() && expected.as_ref() != Some(&contents.fingerprints) {
            let found: Vec<&str> = contents.fingerprints.iter().map(String::as_str).collect();
            let text = format!(
                "it is for the ABI {:?}, and the library says {:?}",
                abi.unwrap_or_default(),
                found.join(", ")
            );
            self.add(&policy::A603, Some(&ffi), text);
        }
    }

    /// An SBOM; `of_library`: the one that `make wheels` writes.
    fn sbom(&self, text: &[u8], of_library: bool) -> Result<(), String> {
        let sbom: serde_json::Value =
            serde_json::from_slice(text).map_err(|error| format!("it is no JSON: {error}"))?;
        if sbom["bomFormat"] != "CycloneDX" {
            return Err("it is not CycloneDX".to_owned());
        }
        let component = &sbom["metadata"]["component"];
        let of = component["version"].as_str().unwrap_or("no version");
        if of_library && parse(of) != parse(&self.context.version) {
            return Err(format!("it is of {of}, not of {}", self.context.version));
        }
        match private_path(text, &self.context.private) {
            Some(path) => Err(format!("it holds the path {path}")),
            None => Ok(()),
        }
    }

    // ---- Libraries -------------------------------------------------------------------------

    fn bare_library(&mut self, data: &[u8]) {
        let fingerprints = library::fingerprints(data, &self.context.module);
        self.own = !fingerprints.is_empty();
        if self.own && fingerprints.len() > 1 {
            let text = format!("it holds {} ABI fingerprints", fingerprints.len());
            self.add(&policy::A603, None, text);
        }
        let place = Place::default();
        if self.native(data, &place).is_none() {
            let text = "it is no wheel, no sdist, and nothing that a loader opens";
            self.add(&policy::F101, None, text);
        }
    }

    /// Judges a file if it is native: whether it is (a library, a program).
    fn native(&mut self, data: &[u8], place: &Place) -> Option<(bool, bool)> {
        let member = (!place.member.is_empty()).then_some(place.member);
        let slices = match library::parse(data) {
            Ok(slices) => slices?,
            Err(error) => {
                self.add(&policy::L302, member, format!("{error:#}"));
                return Some((true, false));
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
                self.add(policy::of_exposure(exposure), member, message);
            }
            if self.own && !grafted {
                self.abi(slice, &of, member);
            }
        }
        if let Some(path) = private_path(data, &self.context.private) {
            self.add(&policy::H511, member, format!("it holds the path {path}"));
        }
        let program = slices.iter().all(|slice| slice.is_program);
        Some((!program, program))
    }

    fn abi(&mut self, slice: &Slice, of: &str, member: Option<&str>) {
        let functions = &self.context.functions;
        let list = |names: BTreeSet<&String>| {
            let names: Vec<&str> = names.into_iter().map(String::as_str).collect();
            names.join(", ")
        };
        let missing = list(functions.difference(&slice.exports).collect());
        if !missing.is_empty() {
            self.add(
                &policy::A601,
                member,
                format!("{of}it does not export {missing}"),
            );
        }
        let linkers = policy::linker_exports(slice.format);
        let stray = slice.exports.difference(functions);
        let stray = list(stray.filter(|name| !linkers(name)).collect());
        if !stray.is_empty() {
            self.add(&policy::A602, member, format!("{of}it exports {stray}"));
        }
        if slice.format == Format::Pe && (slice.is_program || slice.system != Some(WINDOWS_GUI)) {
            let text = "it is a program, or not for the Windows subsystem";
            self.add(&policy::L310, member, text);
        }
    }

    // ---- The sdist -------------------------------------------------------------------------

    fn sdist(&mut self, stem: &str, data: &[u8]) {
        let (project, version) = stem.rsplit_once('-').unwrap_or((stem, ""));
        self.own = self.context.is_own(project);
        let normal = wheel::normalised(project).replace('-', "_");
        let canonical = Version::from_str(version).map(|version| version.to_string());
        // Names were not normalised before PEP 625.
        if version.is_empty() || canonical.is_err() || (self.own && project != normal) {
            let text = format!("its name is not {normal}-<version>.tar.gz");
            self.add(&policy::S701, None, text);
        }
        self.version(version);
        let size = data.len() as u64;
        let most =
            (size * policy::HIGHEST_RATIO).clamp(policy::RATIO_COUNTS_FROM, policy::LARGEST_MEMBER);
        let tar = match sdist::inflate(data, most) {
            Ok(Some(tar)) => tar,
            Ok(None) => {
                let text = format!("it unpacks to more than {most} bytes from {size}");
                return self.add(&policy::Z102, None, text);
            }
            Err(error) => return self.add(&policy::Z101, None, format!("{error:#}")),
        };
        let members = match sdist::members(&tar) {
            Ok(members) => members,
            Err(error) => return self.add(&policy::Z101, None, format!("{error:#}")),
        };
        self.members(members.iter().map(|(member, _)| member));
        let mut files = BTreeMap::new();
        let mut outside = None;
        for (member, contents) in &members {
            let name = member.name.strip_prefix("./").unwrap_or(&member.name);
            match name.split_once('/') {
                Some((folder, rest)) if wheel::normalised(folder) == wheel::normalised(stem) => {
                    if member.kind == Kind::File {
                        files.insert(rest.to_owned(), *contents);
                    }
                }
                _ if member.kind == Kind::Folder => {}
                _ => outside = outside.or(Some(&*member.name)),
            }
        }
        if let Some(name) = outside {
            self.add(
                &policy::S701,
                Some(name),
                format!("it is not in the folder {stem}"),
            );
        }
        match files.get("PKG-INFO") {
            None => self.add(&policy::S702, Some("PKG-INFO"), "it is missing"),
            Some(text) => {
                let headers = Headers::parse(&String::from_utf8_lossy(text));
                self.same_project(&policy::S702, "PKG-INFO", &headers, project, version);
                let has = |file: &str| files.contains_key(file);
                self.licences(&policy::S705, "PKG-INFO", &headers, has);
                self.pythons("PKG-INFO", &headers);
                self.same_metadata(&policy::S708, "PKG-INFO", &headers);
            }
        }
        if self.own {
            self.own_sources(&files);
        }
    }

    fn own_sources(&mut self, files: &BTreeMap<String, &[u8]>) {
        let context = self.context;
        for name in files.keys() {
            // `make sdist` writes the one; the others come with a vendored sdist.
            let generated = ["PKG-INFO", ".cargo/config.toml"].contains(&&**name)
                || name.starts_with("rust/vendor/");
            let beside = context.beside.contains_key(name) && is_named(name, files);
            if !context.sources.contains_key(name) && !beside && !generated {
                self.add(&policy::S703, Some(name), "it does not belong in the sdist");
            }
        }
        for name in context
            .sources
            .keys()
            .filter(|name| !files.contains_key(*name))
        {
            let said = ["LICENSE", "rust/Cargo.toml", "rust/Cargo.lock"].contains(&&**name);
            if !said {
                self.add(&policy::S703, Some(name), "it is missing");
            }
        }
        if !files.contains_key("rust/Cargo.lock") {
            self.add(&policy::S706, Some("rust/Cargo.lock"), "it is missing");
        }
        let (crates, lacking) = local_crates(files);
        for (path, text) in lacking {
            self.add(&policy::S706, Some(&path), text);
        }
        for name in context.beside.keys() {
            let of_crate = |folder: &String| {
                let rest = name.strip_prefix(&format!("{folder}/"));
                rest.is_some_and(|rest| !rest.split('/').any(|part| part.starts_with('.')))
            };
            if crates.iter().any(of_crate) && !files.contains_key(name) {
                self.add(&policy::S703, Some(name), "it is missing");
            }
        }
        for (name, contents) in files {
            self.judged
                .package
                .insert(name.clone(), Sha256::digest(contents).into());
        }
    }
}

/// Whether a manifest or source in an sdist names the file, or a folder that it is in.
fn is_named(name: &str, files: &BTreeMap<String, &[u8]>) -> bool {
    let first = name.split('/').next().unwrap_or_default();
    name.ends_with("Cargo.toml")
        || files.iter().any(|(path, text)| {
            (path.ends_with(".rs") || path.ends_with("Cargo.toml"))
                && memchr::memmem::find_iter(text, first.as_bytes())
                    .any(|at| at > 0 && b"/\"'".contains(&text[at - 1]))
        })
}

/// The folders in an sdist of the crate and of the local crates that it needs, and what of
/// them is not there: a manifest's path, and in what way.
fn local_crates(files: &BTreeMap<String, &[u8]>) -> (Vec<String>, Vec<(String, String)>) {
    let mut crates = vec!["rust".to_owned()];
    let mut lacking = Vec::new();
    let mut next = 0;
    while let Some(folder) = crates.get(next).cloned() {
        next += 1;
        let path = format!("{folder}/Cargo.toml");
        let Some(text) = files.get(&path) else {
            lacking.push((path, "it is missing".to_owned()));
            continue;
        };
        let manifest: toml::Table = match toml::from_str(&String::from_utf8_lossy(text)) {
            Ok(manifest) => manifest,
            Err(error) => {
                lacking.push((path, error.to_string()));
                continue;
            }
        };
        for named in paths_to_crates(&manifest) {
            let mut parts: Vec<&str> = folder.split('/').collect();
            let inside = named.split('/').all(|part| match part {
                "" | "." => true,
                ".." => parts.pop().is_some(),
                part => {
                    parts.push(part);
                    true
                }
            });
            let needed = parts.join("/");
            let manifest = format!("{needed}/Cargo.toml");
            if !inside || named.starts_with('/') || !files.contains_key(&manifest) {
                let text = format!("it needs {named}, which is not in the sdist");
                lacking.push((path.clone(), text));
            } else if !crates.contains(&needed) {
                crates.push(needed);
            }
        }
    }
    (crates, lacking)
}

fn paths_to_crates(manifest: &toml::Table) -> Vec<&str> {
    let mut found = Vec::new();
    let mut tables = vec![manifest];
    while let Some(table) = tables.pop() {
        for (key, value) in table {
            let toml::Value::Table(inner) = value else {
                continue;
            };
            tables.push(inner);
            if key.ends_with("dependencies") {
                let dependencies = inner.values().filter_map(toml::Value::as_table);
                found.extend(dependencies.filter_map(|it| it.get("path")?.as_str()));
            }
        }
    }
    found
}

/// What of a wheel's contents the rules look at once they have gone by.
#[derive(Default)]
struct Contents {
    /// Each file's hash, as RECORD writes it, and size.
    files: BTreeMap<String, (String, u64)>,
    texts: BTreeMap<String, Vec<u8>>,
    /// How long they are together.
    held: usize,
    unreadable: BTreeSet<String>,
    /// Native files, and those of them that are libraries.
    natives: BTreeSet<String>,
    libraries: Vec<String>,
    fingerprints: BTreeSet<String>,
    package: BTreeMap<String, [u8; 32]>,
}

impl Contents {
    fn take(&mut self, member: &Member, contents: &[u8], module: &str) {
        let hash = wheel::sha256(contents);
        let in_info = member
            .name
            .split('/')
            .next()
            .is_some_and(|folder| folder.ends_with(".dist-info"));
        let wanted = in_info && ["METADATA", "RECORD", "WHEEL"].contains(&base_name(&member.name));
        let ffi = member.name == format!("{module}/_ffi.py");
        if (wanted || ffi || is_sbom(&member.name))
            && self.held + contents.len() <= policy::LONGEST_TEXT
        {
            self.held += contents.len();
            self.texts.insert(member.name.clone(), contents.to_vec());
        }
        let in_package = member.name.starts_with(&format!("{module}/"));
        if in_package && !member.name.contains("/lib/") {
            let sha256 = Sha256::digest(contents).into();
            self.package.insert(member.name.clone(), sha256);
        }
        self.files
            .insert(member.name.clone(), (hash, contents.len() as u64));
    }
}

const WINDOWS_GUI: u32 = 2;

fn base_name(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or_default()
}

/// https://peps.python.org/pep-0770/, by the ending that CycloneDX recommends
fn is_sbom(name: &str) -> bool {
    let mut parts = name.split('/');
    let info = parts.next().unwrap_or_default();
    info.ends_with(".dist-info") && parts.next() == Some("sboms") && name.ends_with(".cdx.json")
}

/// Whether a member's name leads into the folder that it is unpacked in, on every system.
fn is_plain(name: &str) -> bool {
    let parts_are_plain = name.split('/').all(|part| !["", ".", ".."].contains(&part));
    parts_are_plain && !name.contains(['\\', ':']) && !name.contains(char::is_control)
}

/// A text of a file may be as long as the file.
fn shortened(mut text: String) -> String {
    if text.len() > policy::LONGEST_MESSAGE {
        let mut end = policy::LONGEST_MESSAGE;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
    text
}

/// `arm64: `, where a file has several slices.
fn of_slice(slices: &[Slice], slice: &Slice) -> String {
    match slices {
        [_] => String::new(),
        _ => format!("{}: ", slice.arch),
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
    }
}

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
                "it is {:?}, and the tag says {:?}",
                slices[0].format, platform.system
            );
            found.push((&policy::L303, text));
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
            found.push((&policy::D401, format!("{of}it needs {library}")));
        }
        for path in &slice.search_paths {
            if leaves(path, slice.format, place.member) {
                found.push((
                    &policy::D402,
                    format!("{of}it looks for libraries in {path:?}"),
                ));
            }
        }
        if let Some(name) = slice
            .install_name
            .as_ref()
            .filter(|name| !name.starts_with('@') && !name.starts_with(DELOCATE))
        {
            found.push((&policy::D403, format!("{of}it has the install name {name}")));
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
        "it is for {}, and not for {}",
        there.join(", "),
        missing.join(", ")
    );
    let rule = match wanted.len() > 1 && missing.len() < wanted.len() {
        true => &policy::L309,
        false => &policy::L304,
    };
    found.push((rule, text));
}

/// What is wrong with a slice on one platform, but for the libraries that it needs.
fn against(slice: &Slice, platform: &Platform) -> Vec<(&'static Rule, String)> {
    let mut found = Vec::new();
    let floor = platform
        .floor
        .map(|floor| floor.to_string())
        .unwrap_or_default();
    // A newer 32-bit ARM runs what is for an older one.
    let runs = slice.arch == platform.arch || (platform.arch == "armv7l" && slice.arch == "armv6l");
    if platform.system != System::Macos && !runs {
        let text = format!(
            "it is for {}, and the tag says {}",
            slice.arch, platform.arch
        );
        found.push((&policy::L304, text));
        return found;
    }
    if platform.arch == "armv7l" && slice.hard_float == Some(false) {
        found.push((
            &policy::L305,
            "it passes floats in integer registers".to_owned(),
        ));
    }
    match (platform.system, slice.libc) {
        (System::Manylinux | System::Musllinux, Some(Libc::Bionic)) => {
            found.push((
                &policy::L306,
                "it is for Android, and the tag for Linux".to_owned(),
            ));
        }
        (System::Manylinux, Some(Libc::Musl)) => {
            found.push((
                &policy::L306,
                "it is for musl, and the tag for glibc".to_owned(),
            ));
        }
        (System::Musllinux, Some(Libc::Glibc)) => {
            found.push((
                &policy::L306,
                "it is for glibc, and the tag for musl".to_owned(),
            ));
        }
        (System::Manylinux, _) => {
            let newer: Vec<&str> = slice
                .symbol_versions
                .iter()
                .filter(|version| !platform.has_symbol_version(version))
                .map(String::as_str)
                .collect();
            if !newer.is_empty() {
                let text = format!(
                    "it needs {}, and its tag promises glibc {floor}",
                    newer.join(", ")
                );
                found.push((&policy::L307, text));
            }
        }
        (System::Macos, _) => {
            let newest = platform.deployment_target(&slice.arch);
            match (slice.version, newest) {
                (Some(version), Some(newest)) if version > newest => {
                    let text = format!("it is for macOS {version}, and its tag promises {floor}");
                    found.push((&policy::L308, text));
                }
                (None, _) => {
                    found.push((
                        &policy::L308,
                        "it does not say which macOS it is for".to_owned(),
                    ));
                }
                _ => {}
            }
            if slice.system.is_some_and(|system| system != MACOS) {
                let text = "it is for another of Apple's systems".to_owned();
                found.push((&policy::L308, text));
            }
        }
        _ => {}
    }
    let lacking = platform.lacks(slice);
    if !lacking.is_empty() {
        let text = format!("it needs {}, of no version", lacking.join(", "));
        found.push((&policy::L311, text));
    }
    found
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

/// The first path of a machine that builds, with some of what follows.
fn private_path(data: &[u8], private: &[String]) -> Option<String> {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.-".contains(byte);
    // /opt/rh/devtoolset-8/root/usr is no one's: root's home is at the beginning.
    let begins = |at: usize| at == 0 || !is_name(&data[at - 1]);
    let shown = |at: usize| {
        let rest = &data[at..data.len().min(at + 80)];
        let end = rest
            .iter()
            .position(|byte| !byte.is_ascii_graphic())
            .unwrap_or(rest.len());
        String::from_utf8_lossy(&rest[..end]).into_owned()
    };
    for pattern in policy::PRIVATE_PATHS {
        let finder = memchr::memmem::Finder::new(pattern);
        for at in finder.find_iter(data) {
            let rest = &data[at + pattern.len()..];
            let rest = &rest[..rest.len().min(256)];
            let name = rest.iter().take_while(|byte| is_name(byte)).count();
            let separator = pattern.as_bytes()[pattern.len() - 1];
            // /home/<somebody>/<something>: less is no path of anybody's.
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

/// A version, as file names, metadata or cargo spell it, for comparison.
fn parse(version: &str) -> Option<Version> {
    Version::from_str(&version.replace('_', "-")).ok()
}

// ---- The report ----------------------------------------------------------------------------

pub struct Options {
    pub json: bool,
    pub release: bool,
}

/// Judges files, or all in dist/ when none is named, and prints what was found.
pub fn run(project: &Project, files: &[PathBuf], options: &Options) -> Result<()> {
    let context = Context::of(project)?;
    let files = match files {
        [] => in_dist(project)?,
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
        "{errors} finding{} above; `xtask audit --explain CODE` says more of a code",
        if errors == 1 { "" } else { "s" }
    );
    Ok(())
}

/// What is wrong with a wheel of this project's, as text.
pub fn errors(wheel: &Path, context: &Context) -> Result<Vec<String>> {
    let data = fs::read(wheel).with_context(|| format!("cannot read {}", wheel.display()))?;
    let name = wheel.file_name().unwrap_or_default().to_string_lossy();
    let findings = judge(&name, &data, context).findings;
    Ok(findings.iter().map(Finding::to_string).collect())
}

fn in_dist(project: &Project) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(project.dist()).into_iter().flatten() {
        files.push(entry?.path());
    }
    files.sort();
    ensure!(
        !files.is_empty(),
        "dist/ is empty: run `make wheels` and `make sdist`, or name files"
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
            .take(policy::LARGEST_FILE + 1)
            .read_to_end(&mut data)
            .context("cannot read it")?;
        ensure!(
            data.len() as u64 <= policy::LARGEST_FILE,
            "it is larger than {} bytes",
            policy::LARGEST_FILE
        );
        Ok(data)
    };
    match read() {
        Ok(data) => judge(&file, &data, context),
        Err(error) => {
            let mut judge = Judge::new(&file, context);
            judge.add(&policy::F101, None, format!("{error:#}"));
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
                if is_set { ": the release is whole" } else { "" }
            );
        }
    }
}

/// Without what moves the terminal's cursor, or begins a line that looks like another finding:
/// the texts are those of the files.
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

pub fn explain(code: &str) -> Result<()> {
    let Some(rule) = policy::rule(&code.to_uppercase()) else {
        bail!("no rule has the code {code}; docs/rules.md lists them");
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

/// Whether the files in dist/ are those of one release, whole.
fn release(project: &Project, context: &Context, judged: &[Judged]) -> Result<Judged> {
    let mut judge = Judge::new("dist/", context);
    judge.own = true;
    let sdist_name = format!("{}-{}.tar.gz", context.module, context.version);
    let mut expected = targets::release_files(&context.rows, &context.module, &context.version);
    for file in judged {
        let name = base_name(&file.file);
        if !expected.remove(name) {
            judge.add(&policy::X802, Some(name), "it is no file of this release");
        }
    }
    for name in expected {
        judge.add(&policy::X801, Some(&name), "it is missing");
    }
    let sdist = judged
        .iter()
        .find(|file| base_name(&file.file) == sdist_name);
    if let Some(sdist) = sdist {
        for wheel in judged.iter().filter(|file| file.file.ends_with(".whl")) {
            if !wheel.has_sbom {
                let text = format!("sboms/{}.cdx.json is missing", context.module);
                judge.add(&policy::X805, Some(base_name(&wheel.file)), text);
            }
            for (name, hash) in &wheel.package {
                if sdist.package.get(name) != Some(hash) {
                    let text = format!("its {name} is not that of the sdist");
                    judge.add(&policy::X803, Some(base_name(&wheel.file)), text);
                }
            }
        }
        for (name, hash) in &sdist.package {
            let source = context
                .sources
                .get(name)
                .or(context.beside.get(name))
                .and_then(|path| fs::read(path).ok());
            if source.is_some_and(|source| Sha256::digest(source)[..] != hash[..]) {
                let text = "it is another than in the working tree";
                judge.add(&policy::S704, Some(name), text);
            }
        }
        let sound = sdist.findings.is_empty();
        if let (true, Err(error)) = (sound, builds_alone(project, &sdist_name)) {
            judge.add(&policy::S707, Some(&sdist_name), format!("{error:#}"));
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
            &policy::X804,
            None,
            format!("there are several dates: {}", texts.join(", ")),
        );
    }
    Ok(judge.judged)
}

/// Builds the crate of the sdist in a folder of its own, as a packager without a network.
fn builds_alone(project: &Project, sdist_name: &str) -> Result<()> {
    let scratch = files::scratch(&project.build("audit"))?;
    let data = fs::read(project.dist().join(sdist_name))?;
    let tar = sdist::inflate(&data, policy::LARGEST_MEMBER)?.context("it is too large")?;
    // Its names have been judged, and are plain.
    for (member, contents) in sdist::members(&tar)? {
        if member.kind == Kind::File {
            files::write(&scratch.path().join(&member.name), contents)?;
        }
    }
    let folder = scratch.path().join(sdist_name.trim_end_matches(".tar.gz"));
    let mut command = build::cargo(project)?;
    command
        .current_dir(folder.join("rust"))
        .args(["build", "--locked", "--offline", "--target-dir"])
        .arg(scratch.path().join("target"))
        .env_remove("CARGO_BUILD_TARGET");
    run::run(&mut command, &project.build("audit").join("log"))
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn context() -> Context {
        Context {
            module: "hello_pyrust".into(),
            version: "1.2.3".into(),
            functions: BTreeSet::new(),
            package: BTreeSet::new(),
            sources: BTreeMap::new(),
            beside: BTreeMap::new(),
            metadata: Metadata::default(),
            rows: Vec::new(),
            private: vec!["/srv/build/project".into()],
            today: [2030, 1, 1, 0, 0, 0],
        }
    }

    #[test]
    fn a_header_declares_functions() {
        let header = "#define m_X(y) y\n// m_not(void)\ntypedef int (*m_Callback)(void);\n\
                      struct m_S *m_new(m_Text\n  a);\nvoid m_free (struct m_S *);\n";
        let found = functions(header, "m");
        assert_eq!(found.iter().collect::<Vec<_>>(), ["m_free", "m_new"]);
    }

    #[test]
    fn names_that_lead_out_are_not_plain() {
        for name in ["a", "a/b.py", "a b/é.py", "..a/b..", ".hidden"] {
            assert!(is_plain(name), "{name}");
        }
        for name in [
            "", "/a", "../a", "a/../b", "a//b", "./a", "a/", "C:/a", "a\\b", "a\0b", "a\nb", "..",
        ] {
            assert!(!is_plain(name), "{name}");
        }
    }

    #[test]
    fn a_file_writes_no_line_of_the_report() {
        assert_eq!(visible("é\u{1b}[2J\nok x.whl"), "é\\u{1b}[2J\\nok x.whl");
        assert_eq!(shortened("é".repeat(1000)), "é".repeat(500) + "…");
        let context = context();
        let mut judge = Judge::new("x", &context);
        for number in 0..1000 {
            judge.add(&policy::R202, Some(&number.to_string()), "it is not there");
        }
        assert_eq!(judge.judged.findings.len(), policy::MOST_FINDINGS + 1);
    }

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

    #[test]
    fn paths_in_a_manifest_lead_somewhere() {
        let manifest = "[dependencies]\na = { path = 'near' }\nb = { path = '../far' }\n\
                        [target.'cfg(unix)'.dev-dependencies]\nc = { path = 'gone' }\n";
        let beside = "dependencies.d = { path = '../../beside' }\ndependencies.e.path = '/e'";
        let files = [
            ("rust/Cargo.toml", manifest),
            ("rust/near/Cargo.toml", beside),
            (
                "beside/Cargo.toml",
                "dependencies.near.path = '../rust/near'",
            ),
        ];
        let files = files.map(|(name, text)| (name.to_owned(), text.as_bytes()));
        let (crates, lacking) = local_crates(&BTreeMap::from(files));
        assert_eq!(crates, ["rust", "rust/near", "beside"]);
        let mut found: Vec<&str> = lacking.iter().map(|(_, text)| &**text).collect();
        found.sort();
        let expected =
            ["../far", "/e", "gone"].map(|it| format!("it needs {it}, which is not in the sdist"));
        assert_eq!(found, expected);
    }

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
