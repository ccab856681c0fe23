//! What is found, and the sink that it goes to.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Serialize, Serializer};

use super::rules::{Rule, Scope, Severity};
use super::Context;
use crate::facts::bounds;

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
    pub package: BTreeMap<String, [u8; 32]>,
    #[serde(skip)]
    pub dates: BTreeSet<[u32; 6]>,
    #[serde(skip)]
    pub has_sbom: bool,
}

pub struct Judge<'a> {
    pub(super) context: &'a Context,
    /// Whether the file is this project's.
    pub own: bool,
    pub judged: Judged,
    /// What several libraries export together, by architecture.
    pub(super) exports: BTreeMap<String, BTreeSet<String>>,
    /// How many findings there are of each code.
    found: BTreeMap<&'static str, usize>,
}

/// A text of a file may be as long as the file.
fn shortened(mut text: String) -> String {
    if text.len() > bounds::LONGEST_MESSAGE {
        let mut end = bounds::LONGEST_MESSAGE;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
    text
}

impl<'a> Judge<'a> {
    pub fn new(file: &str, context: &'a Context) -> Judge<'a> {
        Judge {
            context,
            own: false,
            judged: Judged {
                file: file.to_owned(),
                ..Judged::default()
            },
            exports: BTreeMap::new(),
            found: BTreeMap::new(),
        }
    }

    pub fn add(&mut self, rule: &'static Rule, member: Option<&str>, message: impl Into<String>) {
        if !self.own && matches!(rule.scope, Scope::Own | Scope::Release) {
            return;
        }
        let found = self.found.entry(rule.code).or_default();
        if *found > bounds::MOST_FINDINGS {
            return;
        }
        let mut finding = Finding {
            rule,
            severity: match rule.scope {
                Scope::Release if !self.context.release => Severity::Warning,
                _ => rule.severity(self.own),
            },
            file: self.judged.file.clone(),
            member: member.map(|member| shortened(member.to_owned())),
            message: shortened(message.into()),
            remedy: rule.remedy,
        };
        if self.judged.findings.contains(&finding) {
            return;
        }
        *found += 1;
        if *found > bounds::MOST_FINDINGS {
            finding.member = None;
            finding.message = "more findings of this kind are not listed".to_owned();
        }
        self.judged.findings.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::context::tests::context;
    use crate::judge::rules;

    #[test]
    fn a_file_writes_no_line_of_the_report() {
        assert_eq!(shortened("é".repeat(1000)), "é".repeat(500) + "…");
        let context = context();
        let mut judge = Judge::new("x", &context);
        for number in 0..1000 {
            judge.add(&rules::R202, Some(&number.to_string()), "it is not there");
        }
        assert_eq!(judge.judged.findings.len(), bounds::MOST_FINDINGS + 1);
    }
}
