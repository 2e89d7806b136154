//! What the client answers with and takes: plain data in the house's words, free of octocrab and of JSON.

use chrono::{DateTime, Utc};

use crate::domain::{
    CommitSha, HookId, PrNumber, RepoRef,
    event::PullHint,
    graph::{IssueFact, PullFact, TreeFile},
    profile::Statistics,
    review::Side,
};

/// A GitHub account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// GitHub's id.
    pub id: i64,
    /// Login.
    pub login: String,
    /// Display name.
    pub name: Option<String>,
    /// Public e-mail.
    pub email: Option<String>,
    /// Picture.
    pub avatar_url: Option<String>,
}

/// What GitHub says of the bot's token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Whose it is.
    pub account: Account,
    /// The scopes of a classic token; none for one whose rights are said repository by repository.
    pub scopes: Option<Vec<String>>,
    /// What it may still ask; none where GitHub sets no limit.
    pub quota: Option<Quota>,
    /// What time it is at GitHub, to the second.
    pub clock: Option<DateTime<Utc>>,
}

/// How many requests are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Of this many.
    pub limit: i64,
    /// Until the reset.
    pub remaining: i64,
    /// When it is the whole limit again.
    pub reset: DateTime<Utc>,
}

/// A repository as one token sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// Id and canonical name.
    pub repo: RepoRef,
    /// Description.
    pub description: Option<String>,
    /// Whether it is private.
    pub private: bool,
    /// Page for people.
    pub html_url: String,
    /// The branch people start from.
    pub default_branch: String,
    /// Last change.
    pub updated_at: Option<DateTime<Utc>>,
    /// Whether this token's account administers it (may manage webhooks).
    pub admin: bool,
    /// Whether this token's account may push (needed to post request-changes that count).
    pub push: bool,
}

/// A repository webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// GitHub's id.
    pub id: HookId,
    /// `config.url`.
    pub url: String,
    /// Whether it is switched on.
    pub active: bool,
}

/// A repository webhook and how it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookReport {
    /// The webhook.
    pub hook: Hook,
    /// The events it sends; `*` is all of them.
    pub events: Vec<String>,
    /// When somebody last changed it.
    pub updated_at: Option<DateTime<Utc>>,
    /// The HTTP status its last delivery got; none if there was none.
    pub last_code: Option<i64>,
}

/// One attempt of a webhook to deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedAttempt {
    /// GitHub's id of the attempt.
    pub id: i64,
    /// `X-GitHub-Delivery`.
    pub guid: String,
    /// When.
    pub delivered_at: DateTime<Utc>,
    /// `X-GitHub-Event`.
    pub event: String,
    /// `action` of the payload, if it has one.
    pub action: Option<String>,
}

/// What a webhook delivered, or tried to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The attempts, latest first.
    pub attempts: Vec<RecordedAttempt>,
    /// Whether these are all; otherwise older ones were not read.
    pub complete: bool,
}

/// The pull requests that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedPulls {
    /// What the list says of them, latest first.
    pub pulls: Vec<PullHint>,
    /// Whether these are all; otherwise those that changed earlier were not read.
    pub complete: bool,
}

/// A review as GitHub stores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostedReview {
    /// GitHub's id.
    pub id: i64,
    /// Who wrote it; none for deleted accounts.
    pub author: Option<String>,
    /// Its body, marker included.
    pub body: String,
    /// Not yet submitted: visible to its author only.
    pub pending: bool,
    /// Page for people.
    pub html_url: String,
    /// The commit it is about.
    pub commit: Option<CommitSha>,
}

/// A comment to go with a new review. Lines must lie within one hunk of the pull request's diff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewComment {
    /// File, by its name at head.
    pub path: String,
    /// Last line.
    pub line: u32,
    /// First line, only when before `line`.
    pub start_line: Option<u32>,
    /// Side of the lines.
    pub side: Side,
    /// Markdown.
    pub body: String,
}

/// A pull request in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullSummary {
    /// Its number.
    pub number: PrNumber,
    /// Whether it is a draft.
    pub draft: bool,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// Every file of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// GitHub's name for what was read: the same name, the same tree.
    pub sha: String,
    /// Its files, by path. Links and other repositories inside this one (submodules) are not among them.
    pub files: Vec<TreeFile>,
}

/// Which pull requests are listed, and in which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listed {
    /// Merged and open ones, those opened last first: an order that stands still while pages are turned.
    MergedAndOpen,
    /// Merged ones, those first that something happened to last.
    LatelyMerged,
    /// Open ones, those opened last first.
    Open,
}

/// One page of what happened before, latest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryPage {
    /// Pull requests, with their files (the first 100 of each) and the issues they close.
    pub pulls: Vec<PullFact>,
    /// The issues that these pull requests close.
    pub issues: Vec<IssueFact>,
    /// Give this for the next page; none on the last.
    pub next: Option<String>,
}

/// The contents of some files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFiles {
    /// Path and text.
    pub texts: Vec<(String, String)>,
    /// Path, and why there is no text.
    pub unread: Vec<(String, String)>,
    /// What GitHub counts about the repository.
    pub statistics: Option<Statistics>,
}

/// An issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// Its number.
    pub number: i64,
    /// Title.
    pub title: String,
    /// Whether it is open.
    pub open: bool,
}
