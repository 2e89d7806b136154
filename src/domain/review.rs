//! What we conclude about a change: findings, how much was read, and the verdict.

use serde::{Deserialize, Serialize};

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing; never moves the verdict.
    Info,
    /// Worth talking about before merging.
    Warn,
    /// Should not be merged like this.
    Block,
}

/// Which side of the diff a line number belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Side {
    /// The merge base: removed lines.
    Left,
    /// The head: added and context lines.
    Right,
}

impl Side {
    /// GitHub's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Left => "LEFT",
            Self::Right => "RIGHT",
        }
    }
}

/// One thing to tell the author.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Which rule speaks, e.g. `conflict-markers`.
    pub rule: String,
    /// How much it weighs.
    pub severity: Severity,
    /// The file, by its name at head.
    pub path: String,
    /// Last line it is about, in the numbering of `side`; absent when it is about the whole file.
    pub line: Option<u32>,
    /// First line, when it spans several.
    pub start_line: Option<u32>,
    /// Numbering of the lines.
    pub side: Side,
    /// What is wrong and what to do, in one or two sentences of plain Markdown. Never contains a secret's value.
    pub message: String,
    /// Text that replaces `start_line..=line` exactly; empty deletes it.
    pub suggestion: Option<String>,
    /// Whether it is posted as a comment on the line (else it stands in the review's body).
    pub inline: bool,
}

/// Our conclusion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Verdict {
    /// Read completely, nothing to say against it.
    Approve,
    /// Something blocks.
    RequestChanges,
    /// Something to talk about, or not everything could be read.
    NeedsDiscussion,
}

impl Verdict {
    /// The word in JSON, the database and the review's text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "APPROVE",
            Self::RequestChanges => "REQUEST_CHANGES",
            Self::NeedsDiscussion => "NEEDS_DISCUSSION",
        }
    }

    /// Reads [`Verdict::as_str`] back.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Approve, Self::RequestChanges, Self::NeedsDiscussion].into_iter().find(|v| v.as_str() == text)
    }
}

/// What GitHub is told when a review is submitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ReviewEvent {
    /// Counts as an approval on GitHub.
    Approve,
    /// Blocks merging where branch protection asks for it.
    RequestChanges,
    /// Says something, decides nothing.
    Comment,
}

impl ReviewEvent {
    /// GitHub's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "APPROVE",
            Self::RequestChanges => "REQUEST_CHANGES",
            Self::Comment => "COMMENT",
        }
    }

    /// Reads [`ReviewEvent::as_str`] back.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Approve, Self::RequestChanges, Self::Comment].into_iter().find(|e| e.as_str() == text)
    }
}

/// How much of the change was read. Every changed file is in exactly one class.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Coverage {
    /// Read completely.
    pub full: Vec<String>,
    /// Some of its lines were read; GitHub counts more than it showed.
    pub partial: Vec<String>,
    /// Known by name only: too large for GitHub to show, or a patch that makes no sense.
    pub listed: Vec<String>,
    /// Left out on purpose: generated, vendored, lock files, and what has no text, such as images.
    pub excluded: Vec<String>,
    /// Files that GitHub counts but did not list.
    pub missing: u64,
    /// Changed lines by which GitHub's totals differ from what all listed files add up to.
    #[serde(default)]
    pub uncounted: u64,
}

impl Coverage {
    /// Whether every changed file was left out on purpose: nothing speaks against such a change, and nothing for it.
    pub fn nothing_was_read(&self) -> bool {
        self.full.is_empty() && self.partial.is_empty() && !self.excluded.is_empty()
    }

    /// Whether everything that should be read was read.
    pub fn is_complete(&self) -> bool {
        self.partial.is_empty() && self.listed.is_empty() && self.missing == 0 && self.uncounted == 0
    }
}
