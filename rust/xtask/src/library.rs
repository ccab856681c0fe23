//! Facts of a dynamic library's file: what it needs of the system that loads it.

use std::fs;
use std::path::Path;

use anyhow::{bail, Context, Result};
use goblin::mach::load_command::CommandVariant;
use goblin::mach::{Mach, MachO, SingleArch};
use goblin::Object;

use crate::targets::Floor;

/// What one library, or one slice of a file with several, needs.
#[derive(Debug, Default)]
pub struct Needs {
    /// The newest version of glibc's symbols, or the macOS deployment target.
    pub version: Option<Floor>,
    /// The libraries that the loader opens with it.
    pub libraries: Vec<String>,
    /// By which name others link against a Mach-O library.
    pub install_name: Option<String>,
}

/// A list, since a universal file has a library for each architecture.
pub fn read(path: &Path) -> Result<Vec<Needs>> {
    let data = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&data).with_context(|| format!("cannot make out {}", path.display()))
}

fn parse(data: &[u8]) -> Result<Vec<Needs>> {
    Ok(match Object::parse(data)? {
        Object::Elf(elf) => {
            let symbols = elf.verneed.iter().flat_map(|section| section.iter());
            let version = symbols
                .flat_map(|file| {
                    file.iter()
                        .map(|version| version.vna_name)
                        .collect::<Vec<_>>()
                })
                .filter_map(|name| glibc_version(elf.dynstrtab.get_at(name)?))
                .max();
            vec![Needs {
                version,
                libraries: elf.libraries.iter().map(|name| name.to_string()).collect(),
                install_name: None,
            }]
        }
        Object::Mach(Mach::Binary(macho)) => vec![mach(&macho)],
        Object::Mach(Mach::Fat(fat)) => fat
            .into_iter()
            .map(|slice| match slice? {
                SingleArch::MachO(macho) => Ok(mach(&macho)),
                SingleArch::Archive(_) => bail!("a slice of it is a static library"),
            })
            .collect::<Result<_>>()?,
        Object::PE(pe) => vec![Needs {
            libraries: pe.libraries.iter().map(|name| name.to_string()).collect(),
            ..Needs::default()
        }],
        _ => bail!("it is neither ELF, nor Mach-O, nor PE"),
    })
}

/// GLIBC_2.17, GLIBC_2.3.4: what comes after the second number is of no weight here.
fn glibc_version(symbol: &str) -> Option<Floor> {
    let mut numbers = symbol.strip_prefix("GLIBC_")?.split('.');
    Some(Floor(
        numbers.next()?.parse().ok()?,
        numbers.next()?.parse().ok()?,
    ))
}

fn mach(macho: &MachO) -> Needs {
    let version = macho
        .load_commands
        .iter()
        .find_map(|command| match command.command {
            CommandVariant::BuildVersion(build) => Some(build.minos),
            CommandVariant::VersionMinMacosx(version) => Some(version.version),
            _ => None,
        });
    Needs {
        version: version.map(|number| Floor(number >> 16, number >> 8 & 0xff)),
        // The first one is the file itself.
        libraries: macho
            .libs
            .iter()
            .skip(1)
            .map(|name| name.to_string())
            .collect(),
        install_name: macho.name.map(str::to_owned),
    }
}
