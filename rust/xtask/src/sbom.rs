//! The software bill of materials of a library: the crates in it, as CycloneDX in JSON.
//! https://cyclonedx.org/docs/1.6/json/ and https://peps.python.org/pep-0770/
//!
//! It says nothing of the time and the machine, so that it is the same wherever it is made.
//! The document is small and its form fixed, and tests hold it against the official schema:
//! no library is needed to write it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{json, Value};

use crate::build;
use crate::project::{self, read, Project};
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
    targets: Vec<CrateTarget>,
}

#[derive(Deserialize)]
struct CrateTarget {
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
    root: String,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    /// None is a normal one: what the library is linked with.
    kind: Option<String>,
}

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

    fn is_macro(&self) -> bool {
        let mut kinds = self.targets.iter().flat_map(|target| &target.kind);
        kinds.any(|kind| kind == "proc-macro")
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
    let out = folder.join("metadata.json");
    let mut command = build::cargo(project)?;
    command
        .current_dir(&project.rust)
        .args(["metadata", "--locked", "--format-version", "1"]);
    let triples = match &target.slices[..] {
        [] => std::slice::from_ref(&target.triple),
        slices => slices,
    };
    for triple in triples {
        command.args(["--filter-platform", triple]);
    }
    project::run_to(&mut command, &folder.join("metadata.log"), Some(&out))?;
    let metadata: Metadata = serde_json::from_str(&read(&out)?).context("`cargo metadata`")?;
    let lock: Lock = toml::from_str(&read(&project.rust.join("Cargo.lock"))?)?;
    let release = rustc
        .lines()
        .find_map(|line| line.strip_prefix("release: "));
    let release = release.context("`rustc -vV` names no release")?;
    let text = serde_json::to_string_pretty(&document(&metadata, &lock, release))?;
    Ok(text + "\n")
}

/// `rust`: the version of Rust, whose standard library is linked in, too.
fn document(metadata: &Metadata, lock: &Lock, rust: &str) -> Value {
    let packages: BTreeMap<&str, &Package> = metadata
        .packages
        .iter()
        .map(|package| (&*package.id, package))
        .collect();
    let nodes: BTreeMap<&str, &Node> = metadata
        .resolve
        .nodes
        .iter()
        .map(|node| (&*node.id, node))
        .collect();
    // What a macro needs runs in the compiler; what a build script needs, before it.
    let linked = |id: &str| -> Vec<&str> {
        let deps = nodes.get(id).map_or(&[][..], |node| &node.deps);
        deps.iter()
            .filter(|dep| dep.dep_kinds.iter().any(|kind| kind.kind.is_none()))
            .map(|dep| &*dep.pkg)
            .filter(|id| !packages[id].is_macro())
            .collect()
    };
    let root = &*metadata.resolve.root;
    let mut found = BTreeSet::from([root]);
    let mut open = vec![root];
    while let Some(id) = open.pop() {
        open.extend(linked(id).into_iter().filter(|id| found.insert(id)));
    }

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
    for id in &found {
        let package = packages[id];
        let purl = package.purl();
        let mut on: Vec<String> = linked(id).iter().map(|id| packages[id].purl()).collect();
        on.push(std.clone());
        on.sort();
        dependencies.insert(purl.clone(), json!({"ref": purl, "dependsOn": on}));
        components.insert(purl, component(package, lock));
    }
    let main = components
        .remove(&packages[root].purl())
        .expect("the root is found first");
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": main},
        "components": components.into_values().collect::<Vec<_>>(),
        "dependencies": dependencies.into_values().collect::<Vec<_>>(),
    })
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
