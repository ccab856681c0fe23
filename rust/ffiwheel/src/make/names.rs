//! Checks that exported names are valid and unambiguous in C. C has no modules: of two items with
//! one name, cbindgen silently takes one. And C has keywords that Rust lacks.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{ensure, Context, Result};
use syn::ext::IdentExt;
use syn::{Ident, Item, Visibility};

/// Keywords of C and C++ to which cbindgen adds an underscore. A field's name would differ from
/// the one in the fingerprint and the layout.
const CHANGED: &str = "alignas alignof auto bool break case catch char char16_t char32_t char8_t \
    class const const_cast consteval constexpr continue decltype default delete do double \
    dynamic_cast else enum explicit export extern false float for friend goto if inline int long \
    mutable namespace new noexcept nullptr operator private protected public register \
    reinterpret_cast return short signed sizeof static static_assert static_cast struct switch \
    template this thread_local throw true try typedef typename union unsigned using virtual void \
    volatile wchar_t while";
/// Keywords that it does not change.
const PASSED: &str = "and and_eq asm bitand bitor co_await co_return co_yield compl concept \
    constinit not not_eq or or_eq requires restrict typeid typeof typeof_unqual xor xor_eq";

/// `source`: the expanded crate. `c`: the declarations that cbindgen made of it, without
/// comments. `c_name`: how it calls an item there. `layout`: the text of `<module>_layout`.
pub fn check(source: &str, c: &str, c_name: impl Fn(&str) -> String, layout: &str) -> Result<()> {
    let words: BTreeSet<&str> = c
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .collect();
    let mut places = BTreeMap::new();
    let file = syn::parse_file(source).context("cannot read the expanded crate")?;
    collect(&file.items, "crate", &mut places);
    for (name, places) in places {
        let name = c_name(&name);
        ensure!(
            places.len() < 2 || !words.contains(&*name),
            "C has no modules: {name} would be {}; rename all but one",
            places.join(" and ")
        );
    }
    for line in layout.lines().filter(|line| line.starts_with("struct ")) {
        let mut parts = line.split(' ').skip(1);
        let name = parts.next().unwrap_or_default();
        let fields = parts
            .skip(2)
            .filter_map(|part| Some(part.split_once(':')?.0));
        for field in fields {
            ensure!(
                !is_in(CHANGED, field),
                "`{field}`, a field of {name}, is a word of C or C++: rename it"
            );
        }
    }
    for word in words {
        ensure!(
            !is_in(PASSED, word),
            "`{word}`, a field or an argument, is a word of C or C++: rename it"
        );
    }
    lengths(c)
}

fn is_in(list: &str, word: &str) -> bool {
    list.split_whitespace().any(|other| other == word)
}

/// What cbindgen knows by name, with the places: types and public constants of all modules.
fn collect(items: &[Item], path: &str, places: &mut BTreeMap<String, Vec<String>>) {
    let mut add = |kind: &str, name: &Ident| {
        let name = name.unraw().to_string();
        let place = format!("{kind} {path}::{name}");
        places.entry(name).or_default().push(place);
    };
    let mut inner = Vec::new();
    for item in items {
        match item {
            Item::Struct(item) => add("struct", &item.ident),
            Item::Enum(item) => add("enum", &item.ident),
            Item::Union(item) => add("union", &item.ident),
            Item::Type(item) => add("type", &item.ident),
            Item::Const(item) if matches!(item.vis, Visibility::Public(_)) => {
                add("const", &item.ident)
            }
            Item::Mod(item) => inner.push(item),
            _ => {}
        }
    }
    for module in inner {
        if let Some((_, items)) = &module.content {
            collect(items, &format!("{path}::{}", module.ident.unraw()), places);
        }
    }
}

/// Fails if an array's length is not a number: cbindgen copies expressions, and names constants
/// that C does not have.
fn lengths(c: &str) -> Result<()> {
    let defined: BTreeSet<&str> = c
        .lines()
        .filter_map(|line| line.strip_prefix("#define ")?.split_whitespace().next())
        .collect();
    for line in c.lines() {
        for part in line.split('[').skip(1) {
            let length = part.split(']').next().unwrap_or_default().trim();
            ensure!(
                length.bytes().all(|byte| byte.is_ascii_digit()) || defined.contains(length),
                "`{}`: C does not know the length {length}: write a number, or a `pub const` that \
                 is one",
                line.trim()
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(source: &str, c: &str, layout: &str) -> String {
        let c_name = |name: &str| format!("m_{name}");
        check(source, c, c_name, layout).map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn two_items_of_one_name_are_refused_with_their_places() {
        let source = "mod a { mod b { struct X(u8); } } type X = u8; struct Y; mod c { enum Y {} }";
        assert_eq!(
            error(source, "typedef uint8_t m_X;", ""),
            "C has no modules: m_X would be type crate::X and struct crate::a::b::X; rename all \
             but one"
        );
        assert_eq!(error(source, "typedef uint8_t m_XY;", ""), "");
        let constants = "pub const A: u8 = 1; mod a { pub const A: u8 = 2; }";
        assert!(error(constants, "#define m_A 1", "").contains("const crate::a::A"));
        assert_eq!(
            error("const A: u8 = 1; pub struct A;", "#define m_A 1", ""),
            ""
        );
    }

    #[test]
    fn words_of_c_are_refused() {
        let layout = "fn m_f\nstruct S 8 4 a:0:4 default:4:4\n";
        assert!(error("", "", layout).starts_with("`default`, a field of S,"));
        assert!(error("", "void m_f(uint8_t restrict);", "").starts_with("`restrict`"));
    }

    #[test]
    fn a_length_is_a_number() {
        let c = "#define m_N 4\nuint8_t a[m_N][3];\nuint8_t b[N * 2];\n";
        assert!(error("", c, "").starts_with("`uint8_t b[N * 2];`: C does not know the length"));
        assert_eq!(error("", "#define m_N 4\nuint8_t a[m_N][3];\n", ""), "");
    }
}
