//! Which lines of a diff can carry a comment. GitHub refuses a whole review for one bad line, so this is settled here.

use std::fmt;

use super::{Line, LineKind, Patch};
use crate::domain::review::Side;

/// Why GitHub would refuse a comment there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnchorError {
    /// The line is not part of the diff on that side.
    NotInDiff,
    /// The first line does not precede the last.
    Order,
    /// First and last line are in different hunks.
    OtherHunk,
}

impl fmt::Display for AnchorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotInDiff => "the line is not part of the diff",
            Self::Order => "the first line does not precede the last",
            Self::OtherHunk => "the lines are in different hunks",
        })
    }
}

impl std::error::Error for AnchorError {}

#[derive(Debug, Clone, Copy)]
struct Spot<'a> {
    number: u32,
    hunk: usize,
    line: Line<'a>,
}

/// The commentable lines of one file. The path of a comment is always the file's name at head, on both sides.
#[derive(Debug, Clone)]
pub struct Anchors<'a> {
    left: Vec<Spot<'a>>,
    right: Vec<Spot<'a>>,
}

impl<'a> Anchors<'a> {
    /// Indexes a patch: on the right what is added or context, on the left what is removed.
    pub fn new(patch: &Patch<'a>) -> Self {
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for (hunk, lines) in patch.hunks.iter().map(|hunk| &hunk.lines).enumerate() {
            for line in lines {
                match (line.kind, line.old, line.new) {
                    (LineKind::Removed, Some(number), _) => left.push(Spot { number, hunk, line: *line }),
                    (_, _, Some(number)) => right.push(Spot { number, hunk, line: *line }),
                    _ => {}
                }
            }
        }
        Self { left, right }
    }

    /// Whether a comment on `start..=line` (or on `line` alone) will be accepted.
    pub fn check(&self, side: Side, start: Option<u32>, line: u32) -> Result<(), AnchorError> {
        let last = self.spot(side, line).ok_or(AnchorError::NotInDiff)?;
        let Some(start) = start else { return Ok(()) };
        if start >= line {
            return Err(AnchorError::Order);
        }
        let first = self.spot(side, start).ok_or(AnchorError::NotInDiff)?;
        // Hunks can be numerically adjacent, so only their identity tells.
        if first.hunk == last.hunk { Ok(()) } else { Err(AnchorError::OtherHunk) }
    }

    /// One line of a side, if a comment can stand there.
    pub fn line(&self, side: Side, number: u32) -> Option<&Line<'a>> {
        self.spot(side, number).map(|spot| &spot.line)
    }

    fn spot(&self, side: Side, number: u32) -> Option<&Spot<'a>> {
        let spots = match side {
            Side::Left => &self.left,
            Side::Right => &self.right,
        };
        spots.binary_search_by_key(&number, |spot| spot.number).ok().and_then(|at| spots.get(at))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const TEXT: &str = "@@ -3,3 +3,4 @@\n a\n-b\n+c\n+d\n e\n@@ -6,2 +7,2 @@\n f\n-g\n+h\n@@ -20 +21 @@\n-x\n+y";

    fn check(side: Side, start: impl Into<Option<u32>>, line: u32) -> Result<(), AnchorError> {
        Anchors::new(&Patch::parse(TEXT).unwrap()).check(side, start.into(), line)
    }

    #[test]
    fn a1_right_takes_added_and_context_lines_and_left_takes_removed_ones() {
        let all = |side| (0..30).filter(|line| check(side, None, *line).is_ok()).collect::<Vec<_>>();
        assert_eq!(all(Side::Right), [3, 4, 5, 6, 7, 8, 21]);
        assert_eq!(all(Side::Left), [4, 7, 20]);
        assert_eq!(check(Side::Left, None, 3), Err(AnchorError::NotInDiff), "context is commented on the right");
        assert_eq!(check(Side::Right, None, u32::MAX), Err(AnchorError::NotInDiff));
    }

    #[test]
    fn a3_the_first_line_precedes_the_last() {
        assert_eq!(check(Side::Right, 3, 6), Ok(()));
        assert_eq!(check(Side::Right, 4, 4), Err(AnchorError::Order));
        assert_eq!(check(Side::Right, 5, 4), Err(AnchorError::Order));
    }

    #[test]
    fn a4_both_ends_are_in_one_hunk_even_when_hunks_touch() {
        assert_eq!(check(Side::Right, 6, 7), Err(AnchorError::OtherHunk), "6 and 7 are neighbours in two hunks");
        assert_eq!(check(Side::Right, 7, 8), Ok(()));
        assert_eq!(check(Side::Left, 4, 7), Err(AnchorError::OtherHunk));
    }

    #[test]
    fn a5_every_end_is_checked_here_never_by_trial() {
        assert_eq!(check(Side::Right, 1, 3), Err(AnchorError::NotInDiff));
        assert_eq!(check(Side::Right, 8, 9), Err(AnchorError::NotInDiff));
        assert_eq!(check(Side::Right, 0, 3), Err(AnchorError::NotInDiff));
    }

    #[test]
    fn a_line_can_be_read_back() {
        let patch = Patch::parse(TEXT).unwrap();
        let anchors = Anchors::new(&patch);
        assert_eq!(anchors.line(Side::Right, 5).unwrap().text, "d");
        assert_eq!(anchors.line(Side::Left, 7).unwrap().text, "g");
        assert!(anchors.line(Side::Right, 9).is_none());
    }
}
