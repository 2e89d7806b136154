//! Proven bytes to an [`Event`], reading only the fields nectr uses.
//!
//! `X-GitHub-Event` is not part of what GitHub signs, so it is believed only as far as the body bears it out: a body
//! that cannot be of that event is ignored, never acted on. A payload is a hint of what happened; whoever acts on it
//! asks GitHub first.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{
    Signed, form,
    loose::{List, Loose, Object, Present},
};
use crate::domain::{
    CommitSha, HookId, PrNumber, RepoId, RepoName, RepoRef,
    event::{Event, IgnoreReason, Ignored, IssueEvent, Ping, PullHint, PullRequestEvent, PullRequestEventKind as Kind},
    graph::{IssueFact, IssueRef},
    pull_request::PrState,
};

/// Signed, but not what GitHub documents. The text is safe to show to the sender.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseError(pub String);

/// The fields of any payload that decide what a delivery is.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Payload {
    action: Loose<String>,
    number: Loose<i64>,
    zen: Loose<Present>,
    hook: Loose<Object<Hook>>,
    hook_id: Loose<i64>,
    repository: Loose<Object<Repository>>,
    pull_request: Loose<Object<Pull>>,
    issue: Loose<Object<Issue>>,
    comment: Loose<Present>,
    changes: Loose<Object<Changes>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Hook {
    id: Loose<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Repository {
    id: Loose<i64>,
    full_name: Loose<RepoName>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Issue {
    number: Loose<i64>,
    title: Loose<String>,
    state: Loose<String>,
    labels: Loose<List<Object<Label>>>,
    updated_at: Loose<DateTime<Utc>>,
    pull_request: Loose<Present>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Label {
    name: Loose<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Changes {
    base: Loose<Present>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Pull {
    number: Loose<i64>,
    state: Loose<String>,
    merged: Loose<bool>,
    draft: Loose<bool>,
    head: Loose<Object<Branch>>,
    base: Loose<Object<Branch>>,
    updated_at: Loose<DateTime<Utc>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Branch {
    sha: Loose<CommitSha>,
    #[serde(rename = "ref")]
    name: Loose<String>,
}

/// Reads the JSON of a delivery of `event` (the value of `X-GitHub-Event`).
///
/// `signed` holds either the JSON itself or, when `form` is set, a form whose field `payload` is the JSON. Returns the
/// JSON bytes to store beside the event, borrowed where they are what came. A byte order mark is refused, as everything
/// else that is not JSON.
pub fn parse<'a>(event: &str, signed: Signed<'a>, form: bool) -> Result<(Event, Cow<'a, [u8]>), ParseError> {
    let json = json_bytes(signed.bytes(), form).map_err(|error| ParseError(error.to_string()))?;
    let event = reread(event, &json)?;
    Ok((event, json))
}

/// Reads the stored JSON of a delivery again: it was proven when it came.
pub fn reread(event: &str, json: &[u8]) -> Result<Event, ParseError> {
    let refuse = |why: String| ParseError(why);
    if !is_event_name(event) {
        return Err(refuse("X-GitHub-Event is not the name of an event".to_owned()));
    }
    let text = std::str::from_utf8(json).map_err(|_| refuse("the payload is not UTF-8".to_owned()))?;
    match text.trim_ascii_start().as_bytes().first() {
        None => return Err(refuse("the payload is empty".to_owned())),
        // Checked by hand: serde would read an array as an object's fields in order.
        Some(b'{') => {}
        Some(_) => return Err(refuse("the payload is not a JSON object".to_owned())),
    }
    let payload: Payload =
        serde_json::from_str(text).map_err(|error| refuse(format!("the payload is not JSON: {error}")))?;
    Ok(payload.into_event(event))
}

/// `repository.full_name` of an unproven body, or nothing: used only to choose which secrets to try.
pub fn full_name_hint(body: &[u8], form: bool) -> Option<RepoName> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Named {
        full_name: Loose<RepoName>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Hint {
        repository: Loose<Object<Named>>,
    }
    let json = json_bytes(body, form).ok()?;
    let hint: Hint = serde_json::from_slice(&json).ok()?;
    hint.repository.0?.0.full_name.0
}

fn json_bytes(body: &[u8], form: bool) -> Result<Cow<'_, [u8]>, form::FormError> {
    if form { form::payload(body).map(Cow::Owned) } else { Ok(Cow::Borrowed(body)) }
}

/// Whether an event may be called so: lower-case letters and underscores, and the digit in `projects_v2`.
pub fn is_event_name(event: &str) -> bool {
    let part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=64).contains(&event.len()) && event.bytes().all(part)
}

impl Payload {
    fn into_event(self, event: &str) -> Event {
        let seen = |reason| Ignored { reason, action: self.action.0.clone(), repo: self.repo(), number: self.number() };
        match event {
            "pull_request" => {
                let seen = seen(IgnoreReason::EventMismatch);
                self.into_pull_request(seen)
            }
            "issues" => {
                let seen = seen(IgnoreReason::EventMismatch);
                self.into_issue(seen)
            }
            "ping" if self.zen.0.is_some() || self.hook.0.is_some() => Event::Ping(self.into_ping()),
            "ping" => Event::Ignored(seen(IgnoreReason::EventMismatch)),
            _ => Event::Ignored(seen(IgnoreReason::EventNotUsed)),
        }
    }

    /// `seen` is what to answer when the body turns out not to be a pull request's.
    fn into_pull_request(self, seen: Ignored) -> Event {
        let (Some(action), Some(repo), Some(number), Some(Object(pull))) =
            (&seen.action, &seen.repo, seen.number, self.pull_request.0)
        else {
            return Event::Ignored(seen);
        };
        let base_changed = self.changes.0.is_some_and(|Object(changes)| changes.base.0.is_some());
        let kind = match action.as_str() {
            "opened" | "reopened" | "synchronize" | "ready_for_review" => Kind::Reviewable,
            "edited" if base_changed => Kind::Reviewable,
            "edited" => Kind::Edited,
            "closed" => Kind::Closed,
            "converted_to_draft" => Kind::ConvertedToDraft,
            _ => return Event::Ignored(Ignored { reason: IgnoreReason::ActionNotUsed, ..seen }),
        };
        let pull = pull.into_hint(number, kind);
        if pull.draft && matches!(kind, Kind::Reviewable | Kind::Edited) {
            return Event::Ignored(Ignored { reason: IgnoreReason::Draft, ..seen });
        }
        Event::PullRequest(PullRequestEvent { kind, action: action.clone(), repo: repo.clone(), pull })
    }

    /// `seen` is what to answer when the body turns out not to be an issue's. A comment's body has an issue too, and a
    /// deleted comment must not be read as a deleted issue.
    fn into_issue(self, seen: Ignored) -> Event {
        let commented = self.comment.0.is_some();
        let (Some(action), Some(repo), Some(Object(issue)), false) =
            (&seen.action, &seen.repo, self.issue.0, commented)
        else {
            return Event::Ignored(seen);
        };
        let (Some(number), None) = (issue.number.0, &issue.pull_request.0) else { return Event::Ignored(seen) };
        let fact = match action.as_str() {
            "opened" | "edited" | "closed" | "reopened" | "labeled" | "unlabeled" => {
                let Some(fact) = issue.into_fact(IssueRef { repo: repo.id, number }) else {
                    return Event::Ignored(seen);
                };
                Some(fact)
            }
            "deleted" | "transferred" => None,
            _ => return Event::Ignored(Ignored { reason: IgnoreReason::ActionNotUsed, ..seen }),
        };
        Event::Issue(IssueEvent { action: action.clone(), repo: repo.clone(), number, fact })
    }

    fn into_ping(self) -> Ping {
        let repo = self.repo();
        let hook_id = self.hook_id.0.or_else(|| self.hook.0?.0.id.0).map(HookId);
        Ping { hook_id, repo }
    }

    fn repo(&self) -> Option<RepoRef> {
        let Object(repository) = self.repository.0.as_ref()?;
        Some(RepoRef { id: RepoId(repository.id.0?), name: repository.full_name.0.clone()? })
    }

    /// The number of the pull request or issue: in its own object, or beside it.
    fn number(&self) -> Option<PrNumber> {
        let pull = self.pull_request.0.as_ref().and_then(|Object(pull)| pull.number.0);
        let issue = self.issue.0.as_ref().and_then(|Object(issue)| issue.number.0);
        pull.or(issue).or(self.number.0).map(PrNumber)
    }
}

impl Issue {
    /// Nothing without a time: which of two facts is newer could not be told.
    fn into_fact(self, issue: IssueRef) -> Option<IssueFact> {
        let open = match self.state.0.as_deref() {
            Some("open") => true,
            Some("closed") => false,
            _ => return None,
        };
        let labels = self.labels.0.map_or_else(Vec::new, |List(labels)| labels);
        Some(IssueFact {
            issue,
            title: self.title.0?,
            open,
            labels: labels.into_iter().filter_map(|Object(label)| label.name.0).collect(),
            updated_at: self.updated_at.0?,
        })
    }
}

impl Pull {
    fn into_hint(self, number: PrNumber, kind: Kind) -> PullHint {
        let state = match self.state.0.as_deref().and_then(PrState::parse) {
            _ if self.merged.0 == Some(true) => PrState::Merged,
            Some(state) => state,
            None if kind == Kind::Closed => PrState::Closed,
            None => PrState::Open,
        };
        PullHint {
            number,
            state,
            draft: self.draft.0 == Some(true),
            head: self.head.0.and_then(|Object(head)| head.sha.0),
            base_ref: self.base.0.and_then(|Object(base)| base.name.0),
            updated_at: self.updated_at.0,
        }
    }
}

#[cfg(test)]
mod tests;
