//! `conflict-markers`: a merge that was committed before it was resolved.
//!
//! `=======` alone is how headings are underlined in rst and Markdown, so a conflict needs its opening and closing
//! marker, in that order, and at least two of the three lines must be new.

use super::{Change, Hit};
use crate::domain::{diff::LineKind, review::Severity};

/// The opening marker seen last, and what of its conflict is new.
struct Conflict {
    first_added: Option<u32>,
    added: usize,
}

impl Conflict {
    fn add(&mut self, number: u32, kind: LineKind) {
        if kind == LineKind::Added {
            self.first_added = self.first_added.or(Some(number));
            self.added += 1;
        }
    }
}

pub(super) fn check(change: &Change<'_>) -> Vec<Hit> {
    // Merge tools keep conflicts as test data.
    if change.place.fixture || !change.mentions(&["<<<<<<<"]) {
        return Vec::new();
    }
    // Text about git shows conflicts; a real one still deserves a look.
    let severity = if change.place.docs { Severity::Warn } else { Severity::Block };
    let mut hits = Vec::new();
    let mut open: Option<Conflict> = None;
    for hunk in &change.patch.hunks {
        let mut fenced = false;
        for (number, line) in hunk.head() {
            let text = line.text.trim_end_matches('\r');
            fenced ^= change.place.prose && (text.starts_with("```") || text.starts_with("~~~"));
            if fenced {
                continue;
            }
            if is_marker(text, '<') {
                let mut conflict = Conflict { first_added: None, added: 0 };
                conflict.add(number, line.kind);
                open = Some(conflict);
            } else if text == "=======" {
                if let Some(conflict) = &mut open {
                    conflict.add(number, line.kind);
                }
            } else if is_marker(text, '>') {
                let Some(mut conflict) = open.take() else { continue };
                conflict.add(number, line.kind);
                let (Some(first), 2..) = (conflict.first_added, conflict.added) else { continue };
                let until = if first == number { String::new() } else { format!(", up to line {number}") };
                hits.push(Hit {
                    severity,
                    line: first,
                    message: format!(
                        "An unresolved merge conflict starts here{until}. Keep the lines you want and remove the markers."
                    ),
                    fix: None,
                    key: None,
                });
            }
        }
    }
    hits
}

/// Seven of them, then the name of a branch or commit.
fn is_marker(text: &str, mark: char) -> bool {
    let rest = text.trim_start_matches(mark);
    text.len() - rest.len() == 7 && rest.len() > 1 && rest.starts_with(' ')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::review::rules::testing::{NONE, adding, hits, lines};

    const CONFLICT: &str = "a\n<<<<<<< HEAD\nb\n=======\nc\n>>>>>>> feature\nd";

    fn at(path: &str, text: &str) -> Vec<u32> {
        lines("conflict-markers", path, text)
    }

    #[test]
    fn a_committed_conflict_blocks() {
        let hits = hits("conflict-markers", "src/a.rs", &adding(CONFLICT));
        assert_eq!((hits.len(), hits[0].severity, hits[0].line), (1, Severity::Block, 2));
        assert!(hits[0].message.contains("up to line 6"), "{}", hits[0].message);
        assert_eq!(at("src/a.rs", &format!("{CONFLICT}\n{CONFLICT}")), [2, 9]);
        assert_eq!(at("src/a.rs", &CONFLICT.replace('\n', "\r\n")), [2]);
        assert_eq!(at("src/a.rs", "<<<<<<< HEAD\na\n||||||| base\nb\n=======\nc\n>>>>>>> x"), [1], "diff3");
    }

    #[test]
    fn two_of_the_three_must_be_new() {
        let one = "@@ -1,4 +1,5 @@\n <<<<<<< HEAD\n a\n =======\n b\n+>>>>>>> x";
        assert_eq!(hits("conflict-markers", "a.rs", one), []);
        let two = "@@ -1,3 +1,5 @@\n <<<<<<< HEAD\n a\n+=======\n b\n+>>>>>>> x";
        assert_eq!(hits("conflict-markers", "a.rs", two)[0].line, 3);
        let kept = "@@ -1,4 +1,4 @@\n <<<<<<< HEAD\n-a\n+b\n =======\n >>>>>>> x";
        assert_eq!(hits("conflict-markers", "a.rs", kept), [], "already on the base branch");
        let removed = "@@ -1,3 +1 @@\n-<<<<<<< HEAD\n a\n->>>>>>> x";
        assert_eq!(hits("conflict-markers", "a.rs", removed), [], "resolving is not a finding");
    }

    #[test]
    fn a_conflict_may_span_hunks() {
        let two = "@@ -1,0 +1 @@\n+<<<<<<< HEAD\n@@ -9,0 +11 @@\n+>>>>>>> x";
        assert_eq!(hits("conflict-markers", "a.rs", two)[0].line, 1);
    }

    #[test]
    fn headings_and_other_rows_of_characters_are_none() {
        assert_eq!(at("a.rst", "Title\n=======\n\nText"), NONE);
        assert_eq!(at("a.md", "Title\n=======\n<<<<<<< HEAD\nno end"), NONE);
        assert_eq!(at("a.rs", ">>>>>>> x\n=======\n<<<<<<< y"), NONE, "the wrong order");
        assert_eq!(at("a.rs", "<<<<<<<< HEAD\n=======\n>>>>>>>> x"), NONE, "eight");
        assert_eq!(at("a.sh", "cat <<<<<<< HEAD\n>>>>>>> x"), NONE, "not at the start of the line");
        assert_eq!(at("a.rs", "<<<<<<<\n=======\n>>>>>>>"), NONE, "no names");
    }

    #[test]
    fn texts_about_git_and_data_of_tests_may_show_conflicts() {
        assert_eq!(at("docs/merge.md", &format!("```\n{CONFLICT}\n```")), NONE);
        assert_eq!(at("tests/fixtures/conflict.txt", CONFLICT), NONE);
        let hits = hits("conflict-markers", "README.md", &adding(CONFLICT));
        assert_eq!(hits[0].severity, Severity::Warn, "a real conflict in prose is still told");
    }
}
