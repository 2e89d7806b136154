//! `nectr:ignore <rule> <reason>`: how a person says that a finding is fine. Never silent: the review lists it.

use crate::domain::{
    diff::{Anchors, LineKind},
    review::Side,
};

const MARK: &str = "nectr:ignore";

/// A finding somebody asked not to hear about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suppressed {
    /// The rule.
    pub rule: String,
    /// The file, by its name at head.
    pub path: String,
    /// The line at head.
    pub line: u32,
    /// What they gave as a reason, as written.
    pub reason: String,
}

/// A request that covers a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ignore<'a> {
    reason: &'a str,
    /// Whether the change adds it itself.
    pub(super) added: bool,
}

impl<'a> Ignore<'a> {
    /// The request for `rule` on this line or the one above, as far as the diff shows.
    pub(super) fn at(anchors: &'a Anchors<'_>, line: u32, rule: &str) -> Option<Self> {
        [line, line.saturating_sub(1)].into_iter().find_map(|number| {
            let line = anchors.line(Side::Right, number)?;
            Some(Self { reason: reason(line.text, rule)?, added: line.kind == LineKind::Added })
        })
    }

    pub(super) fn suppresses(self, rule: &str, path: &str, line: u32) -> Suppressed {
        Suppressed { rule: rule.to_owned(), path: path.to_owned(), line, reason: self.reason.to_owned() }
    }
}

/// The reason, if the text asks to ignore this rule and gives one.
fn reason<'t>(text: &'t str, rule: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(MARK)?;
    let rest = rest.strip_prefix([' ', '\t'])?.trim_start();
    let reason = rest.strip_prefix(rule)?.strip_prefix([' ', '\t'])?;
    let reason = reason.trim_end().trim_end_matches("*/").trim_end_matches("-->").trim();
    (!reason.is_empty()).then_some(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_and_a_reason_are_needed() {
        for (text, expected) in [
            ("x(); // nectr:ignore secret made for tests", Some("made for tests")),
            ("/* nectr:ignore secret  a b */", Some("a b")),
            ("<!-- nectr:ignore secret shown in the docs -->", Some("shown in the docs")),
            ("# nectr:ignore\tsecret\tx\r", Some("x")),
            ("# nectr:ignore secret", None),
            ("/* nectr:ignore secret */", None),
            ("# nectr:ignore secrets why", None),
            ("# nectr:ignore debug-leftover why", None),
            ("# nectr:ignored secret why", None),
            ("secret why", None),
        ] {
            assert_eq!(reason(text, "secret"), expected, "{text}");
        }
    }
}
