//! The software bill of materials of a library: the crates in it, as CycloneDX in JSON.
//! https://cyclonedx.org/docs/1.6/json/ and https://peps.python.org/pep-0770/
//!
//! It contains neither time nor machine, so that it is the same wherever it is made. The document
//! is small and its form fixed, and tests check it against the official schema, so no library is
//! needed to write it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{json, Value};

use super::toolchain;
use crate::files::read;
use crate::project::Project;
use crate::run;
use crate::targets::Target;

/// What `cargo metadata` prints, as far as it is needed.
/// https://doc.rust-lang.org/cargo/commands/cargo-metadata.html
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    source: Option<String>,
    license: Option<String>,
    description: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    root: String,
}

/// Which crates, by name and version, each crate is linked with.
type Links = BTreeMap<(String, String), BTreeSet<(String, String)>>;

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    source: Option<String>,
    /// The SHA-256 of the .crate file, in hexadecimal.
    checksum: Option<String>,
}

impl Package {
    /// https://github.com/package-url/purl-spec: crates.io is where a crate is from unless
    /// a qualifier says otherwise.
    fn purl(&self) -> String {
        let plain = format!("pkg:cargo/{}@{}", self.name, encoded(&self.version));
        let Some((kind, address)) = self.source.as_deref().and_then(|it| it.split_once('+')) else {
            return plain; // of a folder of the project
        };
        match (kind, address.split_once('#')) {
            ("registry", _) if address == "https://github.com/rust-lang/crates.io-index" => plain,
            ("git", Some((address, commit))) => {
                let address = address.split('?').next().unwrap_or_default();
                let place = encoded(&format!("git+{address}@{commit}"));
                format!("{plain}?vcs_url={place}")
            }
            _ => format!("{plain}?repository_url={}", encoded(address)),
        }
    }
}

/// Percent-encoded, but for what needs it nowhere: https://www.rfc-editor.org/rfc/rfc3986
fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(byte.into())
            }
            _ => encoded += &format!("%{byte:02X}"),
        }
    }
    encoded
}

/// The crates that cargo links into the library for a target, all its slices together.
///
/// `rustc`: what `rustc -vV` says.
pub fn of(project: &Project, target: &Target, rustc: &str, folder: &Path) -> Result<String> {
    if project.command.is_some() {
        return Ok(serde_json::to_string_pretty(&of_command(project))? + "\n");
    }
    let (out, log) = (folder.join("metadata"), folder.join("metadata.log"));
    let features = project.features();
    let cargo_says = |words: &[&str]| -> Result<String> {
        let mut command = toolchain::cargo(project)?;
        command.current_dir(&project.rust).args(words);
        command.args(features.iter().map(|name| format!("--features={name}")));
        run::run_to(&mut command, &log, Some(&out))?;
        read(&out)
    };
    let triples = match &target.slices[..] {
        [] => std::slice::from_ref(&target.triple),
        slices => slices,
    };
    let mut of_all = vec!["metadata", "--locked", "--format-version", "1"];
    let mut links = Links::new();
    for triple in triples {
        of_all.extend(["--filter-platform", triple]);
        // `cargo metadata` joins the features that a crate has in the library with those that
        // it has in a build script or a procedural macro. Those are not linked in; nor is what
        // they need.
        let options = "--locked --edges normal,no-proc-macro --prefix depth --target";
        let mut of_tree = vec!["tree", "--format", " {p}"];
        of_tree.extend(options.split(' ').chain([&**triple]));
        let tree = cargo_says(&of_tree)?;
        add_links(&mut links, &tree)
            .with_context(|| format!("cannot read the output of `cargo tree`:\n{tree}"))?;
    }
    let metadata: Metadata = serde_json::from_str(&cargo_says(&of_all)?)
        .context("cannot read the output of `cargo metadata`")?;
    let lock: Lock = toml::from_str(&read(&project.lock_file())?)?;
    let release = rustc
        .lines()
        .find_map(|line| line.strip_prefix("release: "));
    let release = release.context("`rustc -vV` reports no release")?;
    let text = serde_json::to_string_pretty(&document(&metadata, &links, &lock, release)?)?;
    Ok(text + "\n")
}

/// What is known of a library that a command builds: what setup.cfg says.
fn of_command(project: &Project) -> Value {
    let name = crate::name::normalised(&project.distribution);
    let purl = format!("pkg:pypi/{name}@{}", encoded(&project.version));
    let mut main = json!({
        "type": "library",
        "bom-ref": purl,
        "name": project.distribution,
        "version": project.version,
        "purl": purl,
    });
    let said = |option| project.settings.get("metadata", option);
    if !said("description").is_empty() {
        main["description"] = said("description").into();
    }
    if !said("license").is_empty() {
        main["licenses"] = json!([{ "expression": said("license") }]);
    }
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": main},
    })
}

/// Adds what `cargo tree` prints: a line a crate, `<depth> <name> v<version> …`, below that of
/// one that is linked with it.
fn add_links(links: &mut Links, tree: &str) -> Option<()> {
    let mut path: Vec<(String, String)> = Vec::new();
    for line in tree.lines() {
        let mut words = line.split_whitespace();
        let depth: usize = words.next()?.parse().ok()?;
        let name = words.next()?.to_owned();
        let found = (name, words.next()?.strip_prefix('v')?.to_owned());
        path.truncate(depth);
        if let Some(parent) = path.last() {
            links.get_mut(parent)?.insert(found.clone());
        }
        links.entry(found.clone()).or_default();
        path.push(found);
    }
    Some(())
}

/// `rust`: the version of Rust, whose standard library is linked in, too.
fn document(metadata: &Metadata, links: &Links, lock: &Lock, rust: &str) -> Result<Value> {
    let packages: BTreeMap<(&str, &str), &Package> = metadata
        .packages
        .iter()
        .map(|package| ((&*package.name, &*package.version), package))
        .collect();
    let described = |(name, version): &(String, String)| -> Result<&Package> {
        let found = packages.get(&(&**name, &**version)).copied();
        found.with_context(|| format!("`cargo metadata` does not list {name} {version}"))
    };

    let std = format!("rust-std@{rust}");
    let mut components = BTreeMap::from([(
        std.clone(),
        json!({
            "type": "library",
            "bom-ref": std,
            "name": "rust-std",
            "version": rust,
            "description": "The standard library of Rust, with the crates that it holds",
            "licenses": [{"expression": "MIT OR Apache-2.0"}],
        }),
    )]);
    let mut dependencies = BTreeMap::from([(std.clone(), json!({"ref": std}))]);
    let mut main = None;
    for (name, linked) in links {
        let package = described(name)?;
        let purl = package.purl();
        let mut on = vec![std.clone()];
        for name in linked {
            on.push(described(name)?.purl());
        }
        on.sort();
        dependencies.insert(purl.clone(), json!({"ref": purl, "dependsOn": on}));
        let component = component(package, lock);
        if package.id == metadata.resolve.root {
            main = Some(component);
        } else {
            components.insert(purl, component);
        }
    }
    let main = main.context("`cargo tree` does not list the crate itself")?;
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": main},
        "components": components.into_values().collect::<Vec<_>>(),
        "dependencies": dependencies.into_values().collect::<Vec<_>>(),
    }))
}

fn component(package: &Package, lock: &Lock) -> Value {
    let purl = package.purl();
    let mut component = json!({
        "type": "library",
        "bom-ref": purl,
        "name": package.name,
        "version": package.version,
        "purl": purl,
    });
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some(description) = &package.description {
        component["description"] = one_line(description).into();
    }
    if let Some(license) = &package.license {
        // Cargo also takes a slash for OR, which SPDX does not know.
        let expression = one_line(&license.replace('/', " OR "));
        component["licenses"] = json!([{ "expression": expression }]);
    }
    let locked = lock.package.iter().find(|locked| {
        (&locked.name, &locked.version, &locked.source)
            == (&package.name, &package.version, &package.source)
    });
    if let Some(checksum) = locked.and_then(|locked| locked.checksum.as_deref()) {
        component["hashes"] = json!([{"alg": "SHA-256", "content": checksum}]);
    }
    component
}
