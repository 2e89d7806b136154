//! What nectr reacts to. A delivery either becomes one of these or is ignored for a stated reason.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{CommitSha, HookId, PrNumber, RepoRef, graph::IssueFact};

/// One webhook delivery, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Something happened to a pull request.
    PullRequest(PullRequestEvent),
    /// Something happened to an issue.
    Issue(IssueEvent),
    /// GitHub says hello to a new webhook. Organisation webhooks name no repository.
    Ping(Ping),
    /// Nothing to do; the row is stored finished. Carries what could still be read, for the lists.
    Ignored(Ignored),
}

/// A delivery nobody acts on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored {
    /// Why.
    pub reason: IgnoreReason,
    /// `action`, where the payload has one.
    pub action: Option<String>,
    /// The repository, where the payload names one.
    pub repo: Option<RepoRef>,
    /// The pull request or issue number, where the payload names one.
    pub number: Option<PrNumber>,
}

/// GitHub's first delivery to a new webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ping {
    /// The webhook that pings.
    pub hook_id: Option<HookId>,
    /// The repository; absent for organisation webhooks.
    pub repo: Option<RepoRef>,
}

/// A `pull_request` delivery with an action we use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequestEvent {
    /// What it asks of us.
    pub kind: PullRequestEventKind,
    /// `action` as GitHub wrote it.
    pub action: String,
    /// The base repository.
    pub repo: RepoRef,
    /// What the payload says of the pull request: a hint, the truth is fetched.
    pub pull: PullHint,
}

/// An `issues` delivery with an action we use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssueEvent {
    /// `action` as GitHub wrote it.
    pub action: String,
    /// The repository.
    pub repo: RepoRef,
    /// The issue's number.
    pub number: i64,
    /// What is true of it now; none: it was deleted or has moved to another repository.
    pub fact: Option<IssueFact>,
}

/// What a `pull_request` action means to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullRequestEventKind {
    /// `opened`, `reopened`, `synchronize`, `ready_for_review`; `edited` when the base branch changed.
    Reviewable,
    /// `edited` with the same base: title or text changed.
    Edited,
    /// `closed`, merged or not.
    Closed,
    /// `converted_to_draft`.
    ConvertedToDraft,
}

/// What a payload, or a list, says of a pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullHint {
    /// Its number.
    pub number: PrNumber,
    /// Its state, as a cache shows it.
    pub state: super::pull_request::PrState,
    /// Whether it is a draft.
    pub draft: bool,
    /// The head commit.
    pub head: Option<CommitSha>,
    /// The base branch.
    pub base_ref: Option<String>,
    /// `updated_at`: which of two hints is newer.
    pub updated_at: Option<DateTime<Utc>>,
}

/// Why a correctly signed delivery is not acted on. The code is what callers read as `reason` and `outcome`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IgnoreReason {
    /// An event we do not use.
    EventNotUsed,
    /// An event we use with an action we do not.
    ActionNotUsed,
    /// A draft: its review waits for `ready_for_review`.
    Draft,
    /// `X-GitHub-Event` is not signed; this body is not of that event.
    EventMismatch,
    /// `repository.id` is not the installation's.
    RepositoryMismatch,
    /// The installation was disconnected; its webhook is not gone yet.
    Disconnected,
}

impl IgnoreReason {
    /// The snake_case code.
    pub fn code(self) -> &'static str {
        match self {
            Self::EventNotUsed => "event_not_used",
            Self::ActionNotUsed => "action_not_used",
            Self::Draft => "draft",
            Self::EventMismatch => "event_mismatch",
            Self::RepositoryMismatch => "repository_mismatch",
            Self::Disconnected => "disconnected",
        }
    }
}

/// Whether anything is done about an event with this action, as far as its name tells: GitHub's record of a webhook's
/// deliveries tells no more.
pub fn matters(event: &str, action: Option<&str>) -> bool {
    let used: &[&str] = match event {
        "pull_request" => {
            &["opened", "reopened", "synchronize", "ready_for_review", "edited", "closed", "converted_to_draft"]
        }
        "issues" => &["opened", "edited", "closed", "reopened", "labeled", "unlabeled", "deleted", "transferred"],
        _ => &[],
    };
    action.is_some_and(|action| used.contains(&action))
}

impl Event {
    /// `event` or `event.action`, as receipts and lists show it.
    pub fn action(&self) -> Option<&str> {
        match self {
            Self::PullRequest(event) => Some(&event.action),
            Self::Issue(event) => Some(&event.action),
            Self::Ignored(ignored) => ignored.action.as_deref(),
            Self::Ping(_) => None,
        }
    }

    /// The repository the delivery is about.
    pub fn repo(&self) -> Option<&RepoRef> {
        match self {
            Self::PullRequest(event) => Some(&event.repo),
            Self::Issue(event) => Some(&event.repo),
            Self::Ping(ping) => ping.repo.as_ref(),
            Self::Ignored(ignored) => ignored.repo.as_ref(),
        }
    }
}
