//! What a pull request changes in one file, as GitHub writes it: a unified diff that starts at the first `@@`.
//!
//! [`Patch::parse`] trusts the counts in a hunk's header, never the look of a line, so content that resembles diff
//! syntax stays content. A [`Patch`] that exists is well formed: hunks are in order, do not overlap, and hold exactly
//! the lines their headers promise, numbered on both sides. Everything is borrowed from the patch's text, and
//! nothing here panics, whatever the text.

mod anchor;
mod apply;
mod parse;

pub use anchor::{AnchorError, Anchors};
pub use apply::ApplyError;
pub use parse::{DiffError, Problem};

/// The changed parts of one file, top to bottom.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Patch<'a> {
    /// In order, never overlapping. Empty when only the name or the mode changed.
    pub hunks: Vec<Hunk<'a>>,
}

/// One `@@` block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hunk<'a> {
    /// First line on the old side; with `old_count` 0, the line after which text is inserted.
    pub old_start: u32,
    /// Lines of the old side.
    pub old_count: u32,
    /// First line on the new side; with `new_count` 0, the line after which text was removed.
    pub new_start: u32,
    /// Lines of the new side.
    pub new_count: u32,
    /// What follows the second `@@`: usually the enclosing function.
    pub heading: &'a str,
    /// Context, removed and added lines as they stand.
    pub lines: Vec<Line<'a>>,
}

/// One line of a hunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// Which sides it is on.
    pub kind: LineKind,
    /// Its text without the prefix and the `\n`. A trailing `\r` belongs to it.
    pub text: &'a str,
    /// Its number on the old side, from 1.
    pub old: Option<u32>,
    /// Its number on the new side, from 1.
    pub new: Option<u32>,
    /// The file ends here without a line feed.
    pub no_newline: bool,
}

/// Which sides a line is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LineKind {
    /// Both.
    Context,
    /// The new one.
    Added,
    /// The old one.
    Removed,
}

impl LineKind {
    fn on_old(self) -> bool {
        self != Self::Added
    }

    fn on_new(self) -> bool {
        self != Self::Removed
    }
}

impl<'a> Patch<'a> {
    /// Most lines a patch may have. GitHub shows at most 20,000 per file; this only bounds memory.
    pub const MAX_LINES: usize = 1_000_000;

    /// Reads GitHub's header-less patch. An empty one has no hunks.
    pub fn parse(text: &'a str) -> Result<Self, DiffError> {
        parse::parse(text)
    }

    /// All lines, top to bottom.
    pub fn lines(&self) -> impl Iterator<Item = &Line<'a>> {
        self.hunks.iter().flat_map(|hunk| &hunk.lines)
    }

    /// The lines the change adds.
    pub fn added(&self) -> impl Iterator<Item = &Line<'a>> {
        self.lines().filter(|line| line.kind == LineKind::Added)
    }

    /// How many lines are added and removed.
    pub fn totals(&self) -> (u64, u64) {
        self.lines().fold((0, 0), |(added, removed), line| match line.kind {
            LineKind::Context => (added, removed),
            LineKind::Added => (added + 1, removed),
            LineKind::Removed => (added, removed + 1),
        })
    }
}

impl<'a> Hunk<'a> {
    /// The lines as they stand at head, with their numbers.
    pub fn head(&self) -> impl Iterator<Item = (u32, &Line<'a>)> {
        self.lines.iter().filter_map(|line| Some((line.new?, line)))
    }
}
