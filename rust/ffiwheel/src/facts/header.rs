//! What a C header declares: the functions of a library, and the types that they take.

use std::collections::BTreeSet;

/// The functions that a header declares: names with the prefix and an opening parenthesis.
pub fn functions(header: &str, prefix: &str) -> BTreeSet<String> {
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
            name.starts_with(&format!("{prefix}_"))
                .then(|| name.to_owned())
        })
        .collect()
}

/// The functions and variables in the module that CFFI generates of declarations: their kinds are
/// 35 and 33 in https://github.com/python-cffi/cffi/blob/main/src/cffi/cffi_opcode.py
pub fn of_module(text: &str) -> BTreeSet<String> {
    let kinds = ["\\x23", "\\x21"];
    let places = kinds.iter().flat_map(|kind| text.match_indices(kind));
    places
        .filter_map(|(at, kind)| {
            // Before the kind are three bytes, with which the text begins.
            let number = text.get(at.checked_sub(14)?..at)?.strip_prefix("b'")?;
            let is_number = number.as_bytes().chunks(4).all(|it| it.starts_with(b"\\x"));
            let name = text[at + kind.len()..].split('\'').next()?;
            let of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let is_name = !name.is_empty() && name.chars().all(of_name);
            (is_number && is_name).then(|| name.to_owned())
        })
        .collect()
}

/// The structs and enums whose insides the header shows.
pub fn types(header: &str) -> BTreeSet<String> {
    header
        .lines()
        .filter_map(|line| {
            let line = line.strip_prefix("typedef ").unwrap_or(line);
            let (keyword, rest) = line.split_once(' ')?;
            let name = rest.trim_end_matches(" {");
            let is_definition = match keyword {
                "struct" | "union" => rest.ends_with(" {"),
                "enum" => !rest.ends_with(';'),
                _ => false,
            };
            is_definition.then(|| name.to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_declares_functions() {
        let header = "#define m_X(y) y\n// m_not(void)\ntypedef int (*m_Callback)(void);\n\
                      struct m_S *m_new(m_Text\n  a);\nvoid m_free (struct m_S *);\n";
        let found = functions(header, "m");
        assert_eq!(found.iter().collect::<Vec<_>>(), ["m_free", "m_new"]);
    }

    #[test]
    fn a_module_names_what_it_calls() {
        let text = r"_globals = (b'\xFF\xFF\xFF\x1FM_A',1,b'\x00\x00\x09\x23m_f',0,b'\x00\x00\x01\x21m_v',0,b'\x00\x00\x02\x23m_blob',0,b'\x00\x00\x03\x23b',0)";
        let found = of_module(text);
        let found: Vec<_> = found.iter().collect();
        assert_eq!(found, ["b", "m_blob", "m_f", "m_v"]);
    }

    #[test]
    fn the_types_that_a_header_defines() {
        let header = "enum m_A\n#if x\n : uint8_t\n {\ntypedef enum m_A m_A;\n\
                      typedef struct m_B {\ntypedef struct m_C m_C;\nstruct m_D *f(struct m_D *d);\n";
        let found: Vec<_> = types(header).into_iter().collect();
        assert_eq!(found, ["m_A", "m_B"]);
    }
}
