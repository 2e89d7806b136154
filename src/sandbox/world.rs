//! The state of the sandbox as plain data. No HTTP, no JSON, no waiting.
//!
//! Invariants: an id names one thing for ever (repositories are marked deleted, never removed), and time stamps given
//! to pull requests and issues strictly increase.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use secrecy::SecretString;
use sha2::{Digest, Sha256};

use super::{
    books::{Books, Comment, IssueComment, ReviewState},
    change::{Change, Row},
    delivery::{Delivery, Pings, Sent},
    faults::Faults,
    folders::Folders,
    limits::Limits,
    record::Attempt,
    sign_in::SignIn,
};
use crate::domain::Clock;

/// One pull request of the sandbox: what the verbs and books take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pr {
    /// GitHub's id of the base repository.
    pub repo: i64,
    /// Its number there.
    pub number: i64,
}

/// A webhook as a test sees it. The secret is shown here and nowhere on the wire.
#[derive(Debug, Clone)]
pub struct HookInfo {
    /// GitHub's id.
    pub id: i64,
    /// Where deliveries go.
    pub url: String,
    /// Subscribed events; `*` is all of them.
    pub events: Vec<String>,
    /// Whether deliveries are sent at all.
    pub active: bool,
    /// `json` or `form`.
    pub content_type: String,
    /// `0` or `1`.
    pub insecure_ssl: String,
    /// What deliveries are signed with.
    pub secret: Option<SecretString>,
    /// Status of the last answer; none before the first delivery.
    pub last_status: Option<u16>,
    pub(super) created_at: DateTime<Utc>,
    pub(super) updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    Pull,
    Push,
    /// Includes managing webhooks.
    Admin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    User,
    Bot,
    Organization,
}

#[derive(Debug, Clone)]
pub struct Account {
    pub id: i64,
    pub login: String,
    pub name: Option<String>,
    pub email: Option<String>,
    pub kind: Kind,
    /// Of an organisation: who belongs to it.
    pub members: BTreeMap<i64, Membership>,
}

#[derive(Debug, Clone, Copy)]
pub struct Membership {
    pub owner: bool,
    pub public: bool,
}

#[derive(Debug, Clone)]
pub struct Token {
    pub user: i64,
    pub scopes: BTreeSet<String>,
    pub revoked: bool,
}

/// Every file of a commit by its path.
pub type Tree = BTreeMap<String, File>;

/// What a commit holds at a path.
#[derive(Debug, Clone)]
pub struct File {
    pub mode: Mode,
    /// Its bytes; of a link, where it leads; of a submodule, nothing.
    pub bytes: Arc<[u8]>,
    /// git's name for the bytes; of a submodule, its commit.
    pub sha: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Plain,
    Executable,
    Link,
    Submodule,
}

impl File {
    pub fn new(mode: Mode, bytes: &[u8]) -> Self {
        Self { mode, sha: digest(bytes), bytes: bytes.into() }
    }

    pub fn text(text: &str) -> Self {
        Self::new(Mode::Plain, text.as_bytes())
    }
}

/// Where an issue went.
#[derive(Debug, Clone, Copy)]
pub enum Gone {
    Deleted,
    Transferred { repo: i64, number: i64 },
}

#[derive(Debug, Clone)]
pub struct Repo {
    pub id: i64,
    pub owner: i64,
    pub name: String,
    pub private: bool,
    pub description: Option<String>,
    pub default_branch: String,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub collaborators: BTreeMap<i64, Permission>,
    /// Full names it had before, lower case.
    pub old_names: Vec<String>,
    pub deleted: bool,
    /// The repository this one was forked from.
    pub parent: Option<i64>,
    pub hooks: BTreeMap<i64, HookInfo>,
    pub pulls: BTreeMap<i64, Pull>,
    pub issues: BTreeMap<i64, Issue>,
    pub comments: Vec<IssueComment>,
    pub branches: BTreeMap<String, String>,
    pub tags: BTreeMap<String, String>,
    pub trees: BTreeMap<String, Arc<Tree>>,
    /// The folders of the trees that were listed, by commit.
    pub folders: BTreeMap<String, Arc<Folders>>,
    pub gone_issues: BTreeMap<i64, Gone>,
    pub stars: i64,
    /// Commits on the default branch, by author.
    pub contributions: BTreeMap<i64, i64>,
    /// GitHub does not count those.
    pub too_many_contributors: bool,
    pub last_number: i64,
}

#[derive(Debug, Clone)]
pub struct Issue {
    pub id: i64,
    pub number: i64,
    pub author: i64,
    pub title: String,
    pub body: Option<String>,
    pub labels: Vec<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub closed_at: Option<DateTime<Utc>>,
}

/// Where the head branch lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadRepo {
    Base,
    Fork(i64),
    Gone,
}

/// What changes in the life of a pull request; kept apart so that the API can lag behind.
#[derive(Debug, Clone)]
pub struct PullState {
    pub title: String,
    pub body: Option<String>,
    pub open: bool,
    pub draft: bool,
    pub merged_at: Option<DateTime<Utc>>,
    pub merged_by: Option<i64>,
    pub merge_commit: Option<String>,
    pub closed_at: Option<DateTime<Utc>>,
    pub updated_at: DateTime<Utc>,
    pub base_ref: String,
    pub base_sha: String,
    pub head: String,
    pub rows: Arc<Vec<Row>>,
    pub commits: usize,
}

#[derive(Debug, Clone)]
pub struct Pull {
    pub id: i64,
    pub number: i64,
    pub author: i64,
    pub branch: String,
    pub head_repo: HeadRepo,
    pub created_at: DateTime<Utc>,
    pub now: PullState,
    /// What the API still shows while it lags.
    pub lagging: Option<Box<PullState>>,
    pub changes: BTreeMap<String, Change>,
    /// The files as of each commit that belongs to the pull request.
    pub history: Vec<(String, Arc<Vec<Row>>)>,
    pub reviews: Vec<StoredReview>,
}

impl Pull {
    /// What the API shows.
    pub fn shown(&self) -> &PullState {
        self.lagging.as_deref().unwrap_or(&self.now)
    }

    /// The files as of `commit`, if it belongs to this pull request.
    pub fn rows_at(&self, commit: &str) -> Option<&Arc<Vec<Row>>> {
        self.history.iter().rev().find(|(sha, _)| sha == commit).map(|(_, rows)| rows)
    }
}

#[derive(Debug, Clone)]
pub struct StoredReview {
    pub id: i64,
    pub user: i64,
    pub body: String,
    pub state: ReviewState,
    pub commit: String,
    pub submitted_at: Option<DateTime<Utc>>,
    pub comments: Vec<Comment>,
    /// A test has seen it.
    pub taken: bool,
}

pub struct World {
    pub clock: Clock,
    pub api: String,
    pub site: String,
    pub accounts: BTreeMap<i64, Account>,
    pub tokens: BTreeMap<String, Token>,
    pub repos: BTreeMap<i64, Repo>,
    pub sign_in: SignIn,
    pub outbox: Vec<Delivery>,
    pub sent: Vec<Sent>,
    pub record: Vec<Attempt>,
    pub pings: Pings,
    pub faults: Faults,
    pub limits: Limits,
    pub books: Books,
    /// Patch lines in one answer after which further rows come back empty.
    pub truncate_rows_after: Option<usize>,
    /// Entries in one recursive listing of a tree.
    pub truncate_trees: usize,
    /// Rows of a page in GraphQL above which the question is too much.
    pub largest_page: Option<i64>,
    last_stamp: DateTime<Utc>,
    pub last_id: i64,
}

impl World {
    pub fn new(clock: Clock, site: &str) -> Self {
        Self {
            last_stamp: clock.now() - TimeDelta::days(1),
            clock,
            api: format!("{site}{}", super::rest::API_PREFIX),
            site: site.to_owned(),
            accounts: BTreeMap::new(),
            tokens: BTreeMap::new(),
            repos: BTreeMap::new(),
            sign_in: SignIn::default(),
            outbox: Vec::new(),
            sent: Vec::new(),
            record: Vec::new(),
            pings: Pings::default(),
            faults: Faults::default(),
            limits: Limits::default(),
            books: Books::default(),
            truncate_rows_after: None,
            truncate_trees: super::files::MOST_ENTRIES,
            largest_page: None,
            last_id: 1_000,
        }
    }

    pub fn next_id(&mut self) -> i64 {
        self.last_id += 1;
        self.last_id
    }

    /// A time in whole seconds, as GitHub writes it, later than any given before.
    pub fn stamp(&mut self) -> DateTime<Utc> {
        let second = TimeDelta::seconds(1);
        let now = self.clock.now();
        let now = now.duration_trunc(second).unwrap_or(now);
        let last = self.last_stamp.duration_trunc(second).unwrap_or(self.last_stamp);
        self.last_stamp = now.max(last + second);
        self.last_stamp
    }

    /// 40 hex digits nobody was given before.
    pub fn next_sha(&mut self) -> String {
        let id = self.next_id();
        digest(format!("commit {id}").as_bytes())
    }
}

/// The first 40 hex digits of SHA-256: as long as a git object's name.
pub fn digest(bytes: &[u8]) -> String {
    let mut text = hex::encode(Sha256::digest(bytes));
    text.truncate(40);
    text
}
