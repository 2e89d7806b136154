//! What the code graph holds and what it answers, as plain values.
//!
//! Facts go in, each with the time GitHub stamped on it: facts arrive in any order and some arrive late, and the newest wins
//! wherever two disagree. So the same facts in any order make the same graph.

mod map;

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    CommitSha, PrNumber, RepoId, RepoRef,
    diff::Patch,
    pull_request::{ChangedFile, PrState, PullRequest},
    references,
    review::Verdict,
};

pub use map::{FileMap, FileRow};

/// A pull request that changes more files than this says nothing about which files belong together.
pub const FEW_FILES: usize = 20;

/// How many of a file's latest pull requests are looked at when a question is answered: hot files have thousands.
pub const RECENT: i64 = 200;

/// What a file is known by: 64 bits of a digest of repository and path. A thousand repositories of ten thousand files
/// share an id with a chance of one in 400,000; two files that did would merely be taken for one.
pub fn file_id(repo: RepoId, path: &str) -> i64 {
    let digest = Sha256::new().chain_update(repo.0.to_be_bytes()).chain_update(path).finalize();
    digest.iter().take(8).fold(0, |id, byte| id << 8 | i64::from(*byte))
}

/// What the graph says of a repository itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryFact {
    /// Id and present name.
    pub repo: RepoRef,
    /// The branch that is scanned.
    pub default_branch: String,
}

/// A file of a tree, as git names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeFile {
    /// From the repository's root.
    pub path: String,
    /// git's name for its content.
    pub sha: String,
    /// Bytes.
    pub size: i64,
}

/// A file of the default branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFact {
    /// From the repository's root.
    pub path: String,
    /// Programming language, if known.
    pub language: Option<&'static str>,
    /// Bytes.
    pub size: i64,
}

/// The last finished build of a repository's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// Counted up by every build that changed something.
    pub generation: i64,
    /// The branch that was scanned.
    pub default_branch: String,
    /// GitHub's name for the tree that was read: the same name, the same tree.
    pub tree: String,
    /// Files in the graph.
    pub files: i64,
    /// What tells changed files from unchanged ones (`graph::tree::Manifest`, packed).
    pub manifest: Vec<u8>,
    /// When it finished.
    pub scanned_at: DateTime<Utc>,
}

/// What the graph holds of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Which.
    pub repo: RepoId,
    /// Whether its files were built.
    pub built: bool,
    /// Until when everything that happened is known; none: its history never was.
    pub history: Option<DateTime<Utc>>,
}

/// A pull request that the graph believes open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenPull {
    /// Its number.
    pub number: PrNumber,
    /// Its head, if the files are known.
    pub files_of: Option<CommitSha>,
}

/// One build: the difference between two generations of a repository's files, put in place as a whole.
#[derive(Debug, Clone)]
pub struct Build {
    /// The repository, as it is called now.
    pub repository: RepositoryFact,
    /// What the graph will say of itself afterwards. Its generation is the previous one's plus one.
    pub scan: Scan,
    /// The generation this difference starts from; none: `files` are all there are, and every other file of the
    /// repository goes. A graph that holds another generation refuses ([`Build`] again from nothing).
    pub from: Option<i64>,
    /// New and changed files.
    pub files: Vec<FileFact>,
    /// Files that are gone.
    pub gone: Vec<String>,
    /// Files that moved unchanged, old name first: who touched the old name has touched the new one. Old names are also in
    /// `gone`, new ones in `files`.
    pub moved: Vec<(String, String)>,
}

/// What is known of a pull request at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullFact {
    /// Its number.
    pub number: PrNumber,
    /// Title, as written.
    pub title: String,
    /// The author's login; deleted accounts are `ghost`.
    pub author: String,
    /// Whether the author is a program.
    pub bot: bool,
    /// Open, closed or merged. Merged is final.
    pub state: PrState,
    /// The head commit.
    pub head: CommitSha,
    /// When GitHub last changed it: of two facts the later one wins.
    pub updated_at: DateTime<Utc>,
    /// When it was merged.
    pub merged_at: Option<DateTime<Utc>>,
    /// Every file it touches, replacing what was known; none: not asked, keep what is known.
    pub files: Option<Vec<Touch>>,
    /// The issues it closes, replacing what was known; none: keep.
    pub closes: Option<Vec<IssueRef>>,
    /// What was concluded, and when; none: keep.
    pub verdict: Option<(Verdict, DateTime<Utc>)>,
}

impl PullFact {
    /// What a fetched pull request says, with its files if they were listed. `site` is where GitHub's pages are: issues
    /// may be named by their address. Issues of other repositories are left out: a text names them, but not by id.
    pub fn of(pull: &PullRequest, files: Option<&[ChangedFile]>, site: &str) -> Self {
        let closes = references::closing(&pull.body, site).into_iter();
        let closes = closes
            .filter(|reference| reference.repo.as_ref().is_none_or(|repo| *repo == pull.repo.name))
            .map(|reference| IssueRef { repo: pull.repo.id, number: reference.number });
        Self {
            number: pull.number,
            title: pull.title.clone(),
            author: pull.author.clone(),
            bot: pull.author_is_bot,
            state: pull.state,
            head: pull.head.clone(),
            updated_at: pull.updated_at,
            merged_at: pull.merged_at,
            files: files.map(|files| files.iter().map(Touch::of).collect()),
            closes: Some(closes.collect()),
            verdict: None,
        }
    }
}

/// A file a pull request touches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touch {
    /// Its name at head.
    pub path: String,
    /// Where, in lines of the base: first line and count of each hunk. Empty where there is no patch to tell.
    pub hunks: Vec<(u32, u32)>,
}

impl Touch {
    /// By its name at head. A patch that makes no sense tells no places.
    pub fn of(file: &ChangedFile) -> Self {
        let patch = file.patch.as_deref().and_then(|patch| Patch::parse(patch).ok()).unwrap_or_default();
        let hunks = patch.hunks.iter().map(|hunk| (hunk.old_start, hunk.old_count));
        Self { path: file.path.clone(), hunks: hunks.collect() }
    }
}

/// An issue, named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct IssueRef {
    /// Its repository.
    pub repo: RepoId,
    /// Its number.
    pub number: i64,
}

/// What is known of an issue at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssueFact {
    /// Which.
    pub issue: IssueRef,
    /// Title, as written.
    pub title: String,
    /// Whether it is open.
    pub open: bool,
    /// Names of its labels.
    pub labels: Vec<String>,
    /// When GitHub last changed it: of two facts the later one wins.
    pub updated_at: DateTime<Utc>,
}

/// Somebody who committed to the default branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contributor {
    /// Login.
    pub login: String,
    /// Commits.
    pub contributions: i64,
}

/// Everything a review wants to know, asked at once.
#[derive(Debug, Clone)]
pub struct Question {
    /// The repository.
    pub repo: RepoId,
    /// The pull request; never part of the answer.
    pub number: PrNumber,
    /// Its author; never among the experts.
    pub author: String,
    /// The files it changes, old names of renamed ones included. At most [`Question::MAX_FILES`] are looked at.
    pub files: Vec<String>,
    /// Issues of this repository that its text closes.
    pub closes: Vec<i64>,
    /// The time, from which age is counted.
    pub now: DateTime<Utc>,
}

impl Question {
    /// Beyond this, what a change has in common with others says little.
    pub const MAX_FILES: usize = 100;

    /// The files that are looked at, each once.
    pub fn asked(&self) -> Vec<&str> {
        let mut seen = HashSet::new();
        self.files.iter().map(String::as_str).filter(|path| seen.insert(*path)).take(Self::MAX_FILES).collect()
    }

    /// Of what was found, for each file that is missing the surest reason, and of those the surest: by confidence, then by
    /// how many say so, then by name.
    pub fn surest(&self, mut found: Vec<CoChange>) -> Vec<CoChange> {
        found.sort_by(|a, b| {
            let confidence = (b.both * a.of).cmp(&(a.both * b.of));
            confidence.then(b.both.cmp(&a.both)).then_with(|| (&a.path, &a.with).cmp(&(&b.path, &b.with)))
        });
        let mut named: HashSet<String> = self.files.iter().cloned().collect();
        found.retain(|pair| named.insert(pair.path.clone()));
        found.truncate(20);
        found
    }
}

/// What the graph knows that bears on a change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Who merged changes to these files in the last 180 days, weightiest first, at most 10. No bots, not the author.
    pub experts: Vec<Expert>,
    /// Other pull requests over the same files, most shared files first, then latest first, at most 20.
    pub related: Vec<Related>,
    /// The issues asked for that the graph knows, by number.
    pub issues: Vec<IssueFact>,
    /// Files that usually change together with one of these and do not here, surest first, at most 20.
    pub co_changes: Vec<CoChange>,
    /// What other open pull requests touch in these files, by number and path, at most 200.
    pub open: Vec<OpenTouch>,
}

/// Somebody who knows these files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expert {
    /// Login.
    pub login: String,
    /// Over all their merged pull requests and the files in question: 4 for each touch of the last 30 days, 2 for each of
    /// the last 90, 1 for each of the last 180.
    pub weight: i64,
    /// Pull requests that counted.
    pub pulls: i64,
    /// When the latest was merged.
    pub last: DateTime<Utc>,
}

/// A pull request over some of the same files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Related {
    /// Its number.
    pub number: PrNumber,
    /// Title, as written.
    pub title: String,
    /// Open, closed or merged.
    pub state: PrState,
    /// Files in common.
    pub shared: i64,
    /// Files it touches in all.
    pub files: i64,
}

/// A file that changes with another. Only merged pull requests of people, with at most [`FEW_FILES`] files, count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoChange {
    /// The file that is missing here; it still exists.
    pub path: String,
    /// The changed file that suggests it.
    pub with: String,
    /// Pull requests that changed both.
    pub both: i64,
    /// Pull requests that changed `with`, of the latest [`RECENT`].
    pub of: i64,
}

impl CoChange {
    /// Fewer pull requests prove nothing.
    pub const MIN_SUPPORT: i64 = 8;

    /// Whether two files belong together: `both` of `of` changes of the one were changes of the other too, which is part
    /// of `other` of `all` pull requests. Support at least 8, confidence at least 0.9, lift at least 5: measured over
    /// 11,225 pull requests, weaker thresholds are wrong more often than right.
    pub fn holds(both: i64, of: i64, other: i64, all: i64) -> bool {
        both >= Self::MIN_SUPPORT && 10 * both >= 9 * of && both * all >= 5 * of * other
    }
}

/// What another open pull request touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenTouch {
    /// Its number.
    pub number: PrNumber,
    /// Title, as written.
    pub title: String,
    /// Its author.
    pub author: String,
    /// The file.
    pub touch: Touch,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::domain::{RepoName, pull_request::FileStatus};

    fn file(path: &str, previous: Option<&str>, patch: Option<&str>) -> ChangedFile {
        ChangedFile {
            path: path.to_owned(),
            previous_path: previous.map(str::to_owned),
            status: FileStatus::Modified,
            additions: 0,
            deletions: 0,
            changes: 0,
            patch: patch.map(str::to_owned),
        }
    }

    #[test]
    fn a_fetched_pull_request_tells_its_files_hunks_and_the_issues_of_its_own_repository() {
        let pull = PullRequest {
            repo: RepoRef { id: RepoId(7), name: RepoName::new("acme", "shop").unwrap() },
            number: PrNumber(3),
            title: "Charge once".to_owned(),
            body: "Fixes #4, closes Acme/Shop#5 and resolves acme/other#6".to_owned(),
            html_url: String::new(),
            state: PrState::Open,
            draft: false,
            author: "sam".to_owned(),
            author_is_bot: false,
            merged_at: None,
            head: CommitSha("a".repeat(40)),
            branch: "once".to_owned(),
            from_fork: false,
            base_ref: "main".to_owned(),
            into_default_branch: true,
            changed_files: 2,
            additions: 0,
            deletions: 0,
            updated_at: DateTime::UNIX_EPOCH,
        };
        let fact = PullFact::of(&pull, None, "https://github.com");
        let issue = |number| IssueRef { repo: RepoId(7), number };
        assert_eq!((fact.files, fact.closes), (None, Some(vec![issue(4), issue(5)])));

        let patch = "@@ -3,2 +3,3 @@\n a\n+b\n c\n@@ -10 +11,0 @@\n-x";
        let files = [file("new.rs", Some("old.rs"), Some(patch)), file("logo.png", None, None)];
        let fact = PullFact::of(&pull, Some(&files), "https://github.com");
        let touch = |path: &str, hunks: &[_]| Touch { path: path.to_owned(), hunks: hunks.to_vec() };
        assert_eq!(fact.files, Some(vec![touch("new.rs", &[(3, 2), (10, 1)]), touch("logo.png", &[])]));
    }

    #[test]
    fn files_belong_together_only_from_all_three_thresholds_on() {
        assert!(CoChange::holds(9, 10, 9, 60));
        assert!(!CoChange::holds(7, 7, 7, 100), "support");
        assert!(!CoChange::holds(8, 9, 8, 100), "confidence");
        assert!(!CoChange::holds(9, 10, 40, 100), "lift");
    }
}
