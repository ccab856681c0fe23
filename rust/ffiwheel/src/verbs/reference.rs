//! The page of the guide about the verbs and their arguments, from what clap knows of them.

use clap::builder::PossibleValue;
use clap::{Arg, ArgAction, Command};

/// The page, as Markdown. `command`: the program's.
pub fn markdown(command: &Command) -> String {
    let mut text = String::from(
        "<!-- `make rules` writes this file from what `ffiwheel --help` says -->\n\
         # Verbs\n\n\
         `make VERB` and `ffiwheel VERB` are the same; `new`, `init` and `rules` are only the\n\
         latter's. An argument can also be a variable, of make or of the environment: `make wheels\n\
         TARGETS=all`, `TARGETS=all make wheels` and `ffiwheel wheels all` are the same. An empty\n\
         variable counts as unset, and the command line comes before the environment. Options that\n\
         take no value are set by `1`. `ffiwheel VERB --help` says the same as this page.\n\n\
         A verb that fails prints a line that begins with `error:`, and its exit code is not 0.\n",
    );
    for verb in command.get_subcommands().filter(|it| !it.is_hide_set()) {
        let about = verb.get_about().expect("every verb says what it does");
        text += &format!("\n## {}\n\n{about}.\n", verb.get_name());
        // Of the verbs that are Python programs, which read their arguments themselves.
        let more = verb.get_long_about().map(ToString::to_string);
        if let Some((_, arguments)) = more.as_deref().and_then(|it| it.split_once("\n\n")) {
            text += &format!("\n{arguments}.\n");
        }
        let rows: Vec<String> = verb
            .get_arguments()
            .filter(|it| !it.is_hide_set() && it.get_id() != "help" && it.get_id() != "words")
            .map(row)
            .collect();
        if !rows.is_empty() {
            text += "\n| argument | variable | meaning |\n|---|---|---|\n";
            text += &rows.concat();
        }
    }
    text
}

fn row(argument: &Arg) -> String {
    let spelled = spelled(argument);
    let variable = argument.get_env().map_or(String::new(), |name| {
        format!("`{}`", name.to_str().expect("it is ASCII"))
    });
    let mut help = argument
        .get_help()
        .map_or(String::new(), |it| it.to_string());
    let default: Vec<&str> = argument
        .get_default_values()
        .iter()
        .filter_map(|it| it.to_str().filter(|it| !it.is_empty()))
        .collect();
    // Those of a switch, true and false, go unsaid.
    if argument.get_action().takes_values() {
        let values = argument.get_possible_values();
        if !values.is_empty() {
            let names: Vec<&str> = values.iter().map(PossibleValue::get_name).collect();
            help += &format!(": {}", names.join(", "));
        }
        if !default.is_empty() {
            help += &format!(" [default: {}]", default.join(" "));
        }
    }
    let help = help.replace('|', "\\|");
    format!("| {spelled} | {variable} | {help} |\n")
}

/// An argument as `--help` has it.
fn spelled(argument: &Arg) -> String {
    let names = argument.get_value_names().unwrap_or_default();
    let name = names.first().map_or("", |it| it.as_str());
    if argument.is_positional() {
        let more = match argument.get_action() {
            ArgAction::Append => "...",
            _ => "",
        };
        return match argument.is_required_set() {
            true => format!("`<{name}>{more}`"),
            false => format!("`[{name}]{more}`"),
        };
    }
    let short = argument.get_short().map(|it| format!("`-{it}`, "));
    let value = match argument.get_action().takes_values() {
        true => format!(" <{name}>"),
        false => String::new(),
    };
    let long = argument.get_long().expect("every option has a long name");
    format!("{}`--{long}{value}`", short.unwrap_or_default())
}
