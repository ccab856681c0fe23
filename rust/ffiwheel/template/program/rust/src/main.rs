//! The program `fast-thing`.

use std::env;
use std::process::ExitCode;

const HELP: &str = "TODO: what it does

Usage: fast-thing [--help | --version]
";

fn main() -> ExitCode {
    match env::args().nth(1).as_deref() {
        None | Some("--help") => print!("{HELP}"),
        // `make smoke` asks for it.
        Some("--version") => println!("fast-thing {}", env!("CARGO_PKG_VERSION")),
        Some(other) => {
            eprintln!("error: unknown argument {other}; see fast-thing --help");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
