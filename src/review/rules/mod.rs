//! The rules: what each looks for in the lines a pull request adds.
//!
//! A rule sees one file and answers with [`Hit`]s; it never decides where a hit is shown, whether somebody asked to
//! ignore it, or how many are too many: that is `judge`'s. A rule speaks only when it is nearly certain, because a
//! comment that is wrong costs more than one that is missing.

mod code;
mod conflict;
mod debug;
mod focused;
pub mod place;
pub mod secret;

use self::place::Place;
use crate::domain::{
    diff::{Line, Patch},
    review::Severity,
};

/// One rule.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The name people use to ignore it, in lower case with hyphens.
    pub id: &'static str,
    /// Whether test files are where it belongs. Elsewhere a hit on a test path weighs one step less.
    pub on_tests: bool,
    /// Looks at one file.
    pub check: fn(&Change<'_>) -> Vec<Hit>,
}

/// Every rule, in the order they are asked.
pub const ALL: &[Rule] = &[
    Rule { id: "secret", on_tests: false, check: secret::check },
    Rule { id: "conflict-markers", on_tests: false, check: conflict::check },
    Rule { id: "focused-test", on_tests: true, check: focused::check },
    Rule { id: "debug-leftover", on_tests: false, check: debug::check },
];

/// One changed file, as a rule sees it.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// Its name at head.
    pub path: &'a str,
    /// What kind of place that is.
    pub place: Place,
    /// The patch as GitHub wrote it, for cheap "can this be in here at all" questions.
    pub text: &'a str,
    /// The same, read.
    pub patch: &'a Patch<'a>,
}

impl<'a> Change<'a> {
    /// The file's extension in lower case, empty if it has none.
    pub fn extension(&self) -> String {
        place::extension(self.path)
    }

    /// Whether any of `needles` occurs anywhere in the patch.
    pub fn mentions(&self, needles: &[&str]) -> bool {
        needles.iter().any(|needle| self.text.contains(needle))
    }

    /// The added lines with their numbers at head.
    pub fn added(&self) -> impl Iterator<Item = (u32, &Line<'a>)> {
        self.patch.added().filter_map(|line| Some((line.new?, line)))
    }
}

/// What a rule found on one added line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// How much it weighs, before the place and `nectr:ignore` are taken into account.
    pub severity: Severity,
    /// The line at head.
    pub line: u32,
    /// What is wrong and what to do. Holds nothing from the file but names that are safe to show.
    pub message: String,
    /// A mechanical correction of this one line.
    pub fix: Option<Fix>,
    /// Hits of one rule with the same key, in whatever file, are the same thing and told once.
    pub key: Option<u64>,
}

/// A replacement of exactly one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    /// The line as the rule read it. The fix is dropped unless the diff says the same.
    pub was: String,
    /// What it becomes; empty deletes it.
    pub becomes: String,
}

impl Fix {
    fn delete(was: &str) -> Self {
        Self { was: was.to_owned(), becomes: String::new() }
    }

    fn replace(was: &str, becomes: String) -> Self {
        Self { was: was.to_owned(), becomes }
    }
}

/// Compiles a pattern of ours.
fn pattern(text: &str) -> regex::Regex {
    regex::Regex::new(text).expect("the patterns are constants, and a test compiles every one")
}

#[cfg(test)]
pub(crate) mod testing {
    //! How rules are asked in tests.

    #![allow(clippy::unwrap_used)]

    use super::*;

    /// No lines.
    pub(crate) const NONE: [u32; 0] = [];

    /// A patch that creates a file with these lines.
    pub(crate) fn adding(text: &str) -> String {
        let lines: Vec<_> = text.lines().collect();
        format!("@@ -0,0 +1,{} @@\n+{}", lines.len(), lines.join("\n+"))
    }

    /// What `rule` says about a patch of `path`.
    pub(crate) fn hits(rule: &str, path: &str, patch: &str) -> Vec<Hit> {
        let parsed = Patch::parse(patch).unwrap();
        let rule = ALL.iter().find(|known| known.id == rule).unwrap();
        (rule.check)(&Change { path, place: Place::of(path), text: patch, patch: &parsed })
    }

    /// The lines of what `rule` says about a new file.
    pub(crate) fn lines(rule: &str, path: &str, text: &str) -> Vec<u32> {
        hits(rule, path, &adding(text)).into_iter().map(|hit| hit.line).collect()
    }

    /// What the only fix of `rule` in a new file makes of its line.
    pub(crate) fn fixed(rule: &str, path: &str, text: &str) -> Option<String> {
        let hits = hits(rule, path, &adding(text));
        assert_eq!(hits.len(), 1, "{text}");
        let hit = hits.into_iter().next().unwrap();
        hit.fix.map(|fix| {
            assert_eq!(Some(fix.was.as_str()), text.lines().nth(hit.line as usize - 1));
            fix.becomes
        })
    }
}
