//! What an index calls a project, for comparison and in file names.

/// PEP 503
pub fn normalised(name: &str) -> String {
    let mut normal = String::new();
    for c in name.chars() {
        if matches!(c, '-' | '_' | '.') {
            if !normal.ends_with('-') {
                normal.push('-');
            }
        } else {
            normal.extend(c.to_lowercase());
        }
    }
    normal
}

/// What the names of wheels and sdists begin with: PEP 427 and PEP 625.
pub fn in_files(name: &str) -> String {
    normalised(name).replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_normalised() {
        assert_eq!(normalised("Hello.-_World"), "hello-world");
        assert_eq!(in_files("D.9--x"), "d_9_x");
    }
}
