//! Pull requests for tests of this room.

use chrono::DateTime;

use super::rules::testing::adding;
use crate::domain::{
    CommitSha, PrNumber, RepoId, RepoName, RepoRef,
    pull_request::{ChangedFile, FileStatus, PrState, PullRequest},
};

/// A new file with these lines.
pub(crate) fn file(path: &str, text: &str) -> ChangedFile {
    let additions = text.lines().count() as u64;
    ChangedFile {
        path: path.to_owned(),
        previous_path: None,
        status: FileStatus::Added,
        additions,
        deletions: 0,
        changes: additions,
        patch: Some(adding(text)),
    }
}

/// A pull request of exactly these files.
pub(crate) fn pull(files: &[ChangedFile]) -> PullRequest {
    PullRequest {
        repo: RepoRef { id: RepoId(1), name: RepoName::parse("acme/shop").unwrap_or_else(|| unreachable!()) },
        number: PrNumber(7),
        title: "Add a queue".to_owned(),
        body: String::new(),
        html_url: "https://github.com/acme/shop/pull/7".to_owned(),
        state: PrState::Open,
        draft: false,
        author: "mona".to_owned(),
        author_is_bot: false,
        merged_at: None,
        head: CommitSha("0123456789abcdef0123456789abcdef01234567".to_owned()),
        branch: "queue".to_owned(),
        from_fork: false,
        base_ref: "main".to_owned(),
        into_default_branch: true,
        changed_files: files.len() as u64,
        additions: files.iter().map(|file| file.additions).sum(),
        deletions: files.iter().map(|file| file.deletions).sum(),
        updated_at: DateTime::UNIX_EPOCH,
    }
}
