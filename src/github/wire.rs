//! The parts of GitHub's JSON that are read, as GitHub's OpenAPI description declares them, nulls included.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{Account, GitHubError, Hook, HookReport, Issue, PostedReview, PullSummary, RecordedAttempt, Repository};
use crate::domain::{
    CommitSha, HookId, PrNumber, RepoId, RepoName, RepoRef,
    event::PullHint,
    graph,
    pull_request::{ChangedFile, FileStatus, PrState, PullRequest},
};

/// What GitHub's pages call the author of what a deleted account wrote.
pub(super) const GHOST: &str = "ghost";

#[derive(Deserialize)]
struct Login {
    login: String,
    #[serde(default, rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
pub(super) struct User {
    id: i64,
    login: String,
    name: Option<String>,
    email: Option<String>,
    avatar_url: Option<String>,
}

impl From<User> for Account {
    fn from(User { id, login, name, email, avatar_url }: User) -> Self {
        Self { id, login, name, email, avatar_url }
    }
}

#[derive(Deserialize)]
pub(super) struct Repo {
    id: i64,
    full_name: String,
    description: Option<String>,
    private: bool,
    html_url: String,
    #[serde(default)]
    default_branch: String,
    updated_at: Option<DateTime<Utc>>,
    permissions: Option<Permissions>,
}

#[derive(Deserialize)]
struct Permissions {
    #[serde(default)]
    admin: bool,
    #[serde(default)]
    push: bool,
}

impl TryFrom<Repo> for Repository {
    type Error = GitHubError;

    fn try_from(repo: Repo) -> Result<Self, GitHubError> {
        let may = repo.permissions.unwrap_or(Permissions { admin: false, push: false });
        Ok(Self {
            repo: repo_ref(repo.id, &repo.full_name)?,
            description: repo.description,
            private: repo.private,
            html_url: repo.html_url,
            default_branch: repo.default_branch,
            updated_at: repo.updated_at,
            admin: may.admin,
            push: may.push,
        })
    }
}

fn repo_ref(id: i64, full_name: &str) -> Result<RepoRef, GitHubError> {
    let name = RepoName::parse(full_name)
        .ok_or_else(|| GitHubError::Protocol(format!("repository {id} has a name that cannot be")))?;
    Ok(RepoRef { id: RepoId(id), name })
}

#[derive(Deserialize)]
pub(super) struct Pull {
    number: i64,
    title: String,
    body: Option<String>,
    html_url: String,
    state: String,
    merged: Option<bool>,
    merged_at: Option<DateTime<Utc>>,
    draft: Option<bool>,
    user: Option<Login>,
    head: Head,
    base: Base,
    changed_files: u64,
    additions: u64,
    deletions: u64,
    updated_at: DateTime<Utc>,
}

#[derive(Deserialize)]
struct Head {
    sha: String,
    #[serde(rename = "ref")]
    branch: String,
    repo: Option<RepoIdOnly>,
}

#[derive(Deserialize)]
struct RepoIdOnly {
    id: i64,
}

#[derive(Deserialize)]
struct Base {
    #[serde(rename = "ref")]
    branch: String,
    repo: BaseRepo,
}

#[derive(Deserialize)]
struct BaseRepo {
    id: i64,
    full_name: String,
    default_branch: Option<String>,
}

impl TryFrom<Pull> for PullRequest {
    type Error = GitHubError;

    fn try_from(pull: Pull) -> Result<Self, GitHubError> {
        let state = match pull.state.as_str() {
            "open" => PrState::Open,
            "closed" if pull.merged == Some(true) || pull.merged_at.is_some() => PrState::Merged,
            "closed" => PrState::Closed,
            _ => {
                return Err(GitHubError::Protocol(format!("pull request #{} is neither open nor closed", pull.number)));
            }
        };
        let repo = repo_ref(pull.base.repo.id, &pull.base.repo.full_name)?;
        Ok(Self {
            from_fork: pull.head.repo.is_none_or(|head| head.id != repo.id.0),
            repo,
            number: PrNumber(pull.number),
            title: pull.title,
            body: pull.body.unwrap_or_default(),
            html_url: pull.html_url,
            state,
            draft: pull.draft.unwrap_or(false),
            author_is_bot: pull.user.as_ref().is_some_and(|user| user.kind == "Bot"),
            author: pull.user.map_or_else(|| GHOST.to_owned(), |user| user.login),
            merged_at: pull.merged_at,
            head: CommitSha(pull.head.sha),
            branch: pull.head.branch,
            // Unless GitHub says otherwise.
            into_default_branch: pull.base.repo.default_branch.is_none_or(|default| default == pull.base.branch),
            base_ref: pull.base.branch,
            changed_files: pull.changed_files,
            additions: pull.additions,
            deletions: pull.deletions,
            updated_at: pull.updated_at,
        })
    }
}

#[derive(Deserialize)]
pub(super) struct ListedPull {
    number: i64,
    draft: Option<bool>,
    updated_at: DateTime<Utc>,
}

impl From<ListedPull> for PullSummary {
    fn from(pull: ListedPull) -> Self {
        Self { number: PrNumber(pull.number), draft: pull.draft.unwrap_or(false), updated_at: pull.updated_at }
    }
}

#[derive(Deserialize)]
struct Branch {
    sha: String,
    #[serde(rename = "ref")]
    branch: String,
}

/// A pull request in the list of those that changed.
#[derive(Deserialize)]
pub(super) struct ChangedPull {
    number: i64,
    state: String,
    draft: Option<bool>,
    merged_at: Option<DateTime<Utc>>,
    head: Branch,
    base: Branch,
    pub(super) updated_at: DateTime<Utc>,
}

impl From<ChangedPull> for PullHint {
    fn from(pull: ChangedPull) -> Self {
        let state = match PrState::parse(&pull.state) {
            _ if pull.merged_at.is_some() => PrState::Merged,
            Some(PrState::Open) => PrState::Open,
            _ => PrState::Closed,
        };
        Self {
            number: PrNumber(pull.number),
            state,
            draft: pull.draft.unwrap_or(false),
            head: Some(CommitSha(pull.head.sha)),
            base_ref: Some(pull.base.branch),
            updated_at: Some(pull.updated_at),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct File {
    filename: String,
    previous_filename: Option<String>,
    status: String,
    additions: u64,
    deletions: u64,
    changes: u64,
    patch: Option<String>,
}

impl From<File> for ChangedFile {
    fn from(file: File) -> Self {
        let status = match file.status.as_str() {
            "added" => FileStatus::Added,
            "removed" => FileStatus::Removed,
            "renamed" => FileStatus::Renamed,
            "copied" => FileStatus::Copied,
            "changed" => FileStatus::Changed,
            "unchanged" => FileStatus::Unchanged,
            _ => FileStatus::Modified,
        };
        Self {
            path: file.filename,
            previous_path: file.previous_filename,
            status,
            additions: file.additions,
            deletions: file.deletions,
            changes: file.changes,
            patch: file.patch,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct IssueItem {
    number: i64,
    title: String,
    state: String,
}

impl From<IssueItem> for Issue {
    fn from(issue: IssueItem) -> Self {
        Self { number: issue.number, title: issue.title, open: issue.state == "open" }
    }
}

/// GitHub lists pull requests among the issues.
#[derive(Deserialize)]
pub(super) struct ChangedIssue {
    number: i64,
    title: String,
    state: String,
    updated_at: DateTime<Utc>,
    #[serde(default)]
    labels: Vec<Label>,
    pull_request: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Label {
    name: Option<String>,
}

impl ChangedIssue {
    /// None for pull requests.
    pub(super) fn fact(self, repo: RepoId) -> Option<graph::IssueFact> {
        self.pull_request.is_none().then(|| graph::IssueFact {
            issue: graph::IssueRef { repo, number: self.number },
            title: self.title,
            open: self.state == "open",
            labels: self.labels.into_iter().filter_map(|label| label.name).collect(),
            updated_at: self.updated_at,
        })
    }
}

#[derive(Deserialize)]
pub(super) struct Review {
    id: i64,
    user: Option<Login>,
    body: Option<String>,
    state: String,
    html_url: String,
    commit_id: Option<String>,
}

impl From<Review> for PostedReview {
    fn from(review: Review) -> Self {
        Self {
            id: review.id,
            author: review.user.map(|user| user.login),
            body: review.body.unwrap_or_default(),
            pending: review.state == "PENDING",
            html_url: review.html_url,
            commit: review.commit_id.map(CommitSha),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Webhook {
    id: i64,
    active: bool,
    config: WebhookConfig,
    #[serde(default)]
    events: Vec<String>,
    updated_at: Option<DateTime<Utc>>,
    last_response: Option<LastResponse>,
}

#[derive(Deserialize)]
struct LastResponse {
    code: Option<i64>,
}

#[derive(Deserialize)]
struct WebhookConfig {
    url: Option<String>,
}

impl From<Webhook> for Hook {
    fn from(hook: Webhook) -> Self {
        Self { id: HookId(hook.id), url: hook.config.url.unwrap_or_default(), active: hook.active }
    }
}

impl From<Webhook> for HookReport {
    fn from(mut hook: Webhook) -> Self {
        Self {
            events: std::mem::take(&mut hook.events),
            updated_at: hook.updated_at,
            last_code: hook.last_response.as_ref().and_then(|response| response.code),
            hook: hook.into(),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct HookAttempt {
    id: i64,
    guid: String,
    delivered_at: DateTime<Utc>,
    event: String,
    action: Option<String>,
}

impl From<HookAttempt> for RecordedAttempt {
    fn from(HookAttempt { id, guid, delivered_at, event, action }: HookAttempt) -> Self {
        Self { id, guid, delivered_at, event, action }
    }
}

#[derive(Deserialize)]
pub(super) struct Contributor {
    login: Option<String>,
    #[serde(default, rename = "type")]
    kind: String,
    contributions: i64,
}

impl Contributor {
    /// None for bots and for people without an account.
    pub(super) fn person(self) -> Option<graph::Contributor> {
        let login = self.login.filter(|login| self.kind != "Bot" && !login.ends_with("[bot]"))?;
        Some(graph::Contributor { login, contributions: self.contributions })
    }
}

/// Anything that was made, by its id.
#[derive(Deserialize)]
pub(super) struct Made {
    pub(super) id: i64,
}
