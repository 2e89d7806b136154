//! A pull request as GitHub describes it at one moment.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{CommitSha, PrNumber, RepoRef};

/// Open, closed or merged. Merged is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrState {
    /// Can be reviewed.
    Open,
    /// Closed without being merged; can be reopened.
    Closed,
    /// Merged.
    Merged,
}

impl PrState {
    /// The word used in JSON and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Merged => "merged",
        }
    }

    /// Reads [`PrState::as_str`] back.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Open, Self::Closed, Self::Merged].into_iter().find(|state| state.as_str() == text)
    }
}

/// A pull request, fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// The base repository, in GitHub's current spelling.
    pub repo: RepoRef,
    /// Its number.
    pub number: PrNumber,
    /// Title, as written.
    pub title: String,
    /// Description; GitHub's null is empty here.
    pub body: String,
    /// Page for people.
    pub html_url: String,
    /// Open, closed or merged.
    pub state: PrState,
    /// Whether it is a draft.
    pub draft: bool,
    /// The author's login; deleted accounts are `ghost`.
    pub author: String,
    /// Whether the author is a program.
    pub author_is_bot: bool,
    /// When it was merged.
    pub merged_at: Option<DateTime<Utc>>,
    /// The head commit.
    pub head: CommitSha,
    /// The head branch.
    pub branch: String,
    /// Whether the head lives in another repository (or in one that is gone).
    pub from_fork: bool,
    /// The base branch.
    pub base_ref: String,
    /// Whether that is the repository's default branch, by whatever name it goes now.
    pub into_default_branch: bool,
    /// Files changed, as GitHub counts them: what a complete listing must reach.
    pub changed_files: u64,
    /// Added lines in all.
    pub additions: u64,
    /// Removed lines in all.
    pub deletions: u64,
    /// When GitHub last changed it.
    pub updated_at: DateTime<Utc>,
}

/// One entry of a pull request's file list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedFile {
    /// The name at head (for removed files: the name that went).
    pub path: String,
    /// The name before a rename.
    pub previous_path: Option<String>,
    /// What happened to it.
    pub status: FileStatus,
    /// Added lines.
    pub additions: u64,
    /// Removed lines.
    pub deletions: u64,
    /// `additions + deletions` as GitHub states it.
    pub changes: u64,
    /// GitHub's header-less patch; absent for binary, pure renames, and what is too large.
    pub patch: Option<String>,
}

/// What happened to a file. Anything GitHub may add later counts as [`FileStatus::Modified`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileStatus {
    /// New.
    Added,
    /// Gone.
    Removed,
    /// Changed.
    Modified,
    /// Moved, perhaps changed.
    Renamed,
    /// Copied from another file.
    Copied,
    /// Mode changed.
    Changed,
    /// Listed, but the same.
    Unchanged,
}
