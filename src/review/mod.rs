//! One commit of one pull request: read it, judge it, publish once.
//!
//! [`run`] is safe to repeat from any point: what it intends is on disk before GitHub is told ([`publish`]), and what it
//! reads is read again. A webhook only says *look*; what is reviewed is what GitHub shows now.

pub mod context;
pub mod judge;
pub mod publish;
pub mod render;
pub mod rules;
#[cfg(test)]
pub(crate) mod samples;

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    app::App,
    domain::{
        PrNumber, RepoRef, TaskId,
        event::PullHint,
        graph::PullFact,
        pull_request::{ChangedFile, PrState, PullRequest},
        retry::Retry,
    },
    github::{Bot, GitHubError},
    review::publish::{Publication, Published},
    store::{
        StoreError,
        effects::EffectState,
        outcome::{Failure, Outcome},
        reviews::ReviewDraft,
        work::Lease,
    },
};

/// What is to be reviewed, and who says so.
#[derive(Debug, Clone)]
pub struct Request {
    /// The base repository.
    pub repo: RepoRef,
    /// The pull request.
    pub number: PrNumber,
    /// What the delivery said of it; none when a person asked.
    pub hint: Option<PullHint>,
    /// Post again although this head was reviewed: the task that asks for it, once per task.
    pub again: Option<TaskId>,
}

impl Request {
    /// A person asked: then a draft is reviewed too.
    fn asked(&self) -> bool {
        self.hint.is_none()
    }

    /// When GitHub last said that the pull request, which its API shows, is open and no draft: by the API or by the event.
    fn as_of(&self, pull: &PullRequest) -> DateTime<Utc> {
        let event = self.hint.as_ref().filter(|hint| hint.state == PrState::Open && !hint.draft);
        event.and_then(|hint| hint.updated_at).map_or(pull.updated_at, |at| at.max(pull.updated_at))
    }
}

/// GitHub's API may show a pull request as it was before the event; how long until we look again.
const LAG: Duration = Duration::from_secs(10);

/// How long an event is believed rather than the API, when neither is newer.
const UNCLEAR: TimeDelta = TimeDelta::minutes(1);

/// How a review ended, and what was seen of the pull request on the way: the code graph wants to know.
#[derive(Debug)]
pub struct Ended {
    /// What became of the work.
    pub outcome: Outcome,
    /// What the graph should learn, if the pull request was read.
    pub learned: Option<PullFact>,
}

impl From<Outcome> for Ended {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, learned: None }
    }
}

/// Reviews the pull request's present head, once.
#[tracing::instrument(
    name = "review",
    skip_all,
    fields(repository = %request.repo.name, pull_request = request.number.0)
)]
pub async fn run(app: &App, lease: Lease, request: &Request) -> Result<Ended, Failure> {
    if let Some((at, head)) = request.hint.as_ref().and_then(|hint| hint.updated_at.zip(hint.head.as_ref()))
        && app.store.newer_review_waits(request.repo.id, request.number, at, head).await?
    {
        return Ok(Outcome::superseded().into());
    }
    let bot = app.github.bot();
    let pull = match bot.pull(&request.repo.name, request.number).await {
        Ok(pull) if pull.repo.id == request.repo.id => pull,
        // The name has gone to another repository.
        Ok(_) | Err(GitHubError::NotFound { .. }) => return Ok(Outcome::completed("gone").into()),
        Err(error) => return Err(error.into()),
    };
    let site = app.config.github.server_url.as_str();
    app.pr_states.learn(&pull.repo.name, pull.number, pull.state, pull.updated_at);
    // Reopened, closed or renamed: what is listed of it by now is told of the pull request as it is.
    app.store.pull_changed(pull.repo.id, pull.number, pull.state, Some(&pull.title)).await?;
    if let Some(outcome) = moot(app, lease, request, &pull).await? {
        publish::settle_leftovers(app, lease, &pull.repo, pull.number).await?;
        return Ok(Ended { outcome, learned: Some(PullFact::of(&pull, None, site)) });
    }
    let key = key(&pull, request);
    let (known, leftovers) = app.store.review_effects(lease, pull.repo.id, pull.number, &key).await?;
    publish::settle(app, lease, &pull.repo, pull.number, leftovers).await?;
    if let Some(effect) = known.filter(|effect| effect.state == EffectState::Done) {
        let same_head = request.hint.as_ref().is_none_or(|hint| hint.head.as_ref() == Some(&pull.head));
        return Ok(match (effect.mine, same_head) {
            // Killed after posting: what was learned may have died with it.
            (true, _) => {
                let Some(files) = files(&bot, &pull).await? else { return Ok(Outcome::completed("gone").into()) };
                learned(app, "reviewed", &pull, PullFact::of(&pull, Some(&files), site)).await?
            }
            // Reopened, perhaps: there is nothing to say, but something to remember.
            (false, same) => {
                let outcome = if same { Outcome::completed("already_reviewed") } else { Outcome::superseded() };
                Ended { outcome, learned: Some(PullFact::of(&pull, None, site)) }
            }
        });
    }

    let Some(files) = files(&bot, &pull).await? else { return Ok(Outcome::completed("gone").into()) };
    let files = Arc::new(files);
    let fact = PullFact::of(&pull, Some(&files), site);
    let (judgement, context) = {
        let (pull_too, files_too) = (pull.clone(), files.clone());
        let judging = tokio::task::spawn_blocking(move || judge::judge(&pull_too, &files_too));
        tokio::join!(judging, context::gather(app, &pull, &fact, &files))
    };
    let judgement = judgement.map_err(|error| Failure::Again { retry: Retry::Count, error: error.to_string() })?;
    let own = pull.author.eq_ignore_ascii_case(&bot.account().await?.login);
    let event = judge::event(judgement.verdict, own, app.config.review_approve, pull.from_fork);
    let rendered = render::render(&pull, &judgement, &context, &key);
    let publication = Publication {
        draft: draft(&pull, &judgement, &rendered, event),
        comments: rendered.comments,
        without_comments: render::render(&pull, &in_body(judgement), &context, &key).body,
        key,
        asked: request.asked(),
        as_of: request.as_of(&pull),
    };
    match publish::publish(app, lease, &pull, publication).await? {
        Published::Posted(Some(at)) => {
            Ok(Ended { outcome: Outcome::completed("reviewed"), learned: Some(PullFact { verdict: Some(at), ..fact }) })
        }
        Published::Posted(None) => learned(app, "reviewed", &pull, fact).await,
        Published::Already => learned(app, "already_reviewed", &pull, fact).await,
        Published::Moved => {
            // Whoever pushed has sent, or will send, a delivery about the new head; this one looks again all the same,
            // because that delivery may be lost.
            Err(Failure::Again { retry: Retry::Park(Duration::ZERO), error: "the head moved during the review".into() })
        }
        Published::Cancelled => Ok(Outcome::completed("cancelled").into()),
    }
}

/// The changed files; none if the pull request is gone by now.
async fn files(bot: &Bot<'_>, pull: &PullRequest) -> Result<Option<Vec<ChangedFile>>, Failure> {
    match bot.files(&pull.repo.name, pull.number).await {
        Ok(files) => Ok(Some(files)),
        Err(GitHubError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Done: what the graph learns has the verdict, as it is on disk.
async fn learned(app: &App, outcome: &'static str, pull: &PullRequest, fact: PullFact) -> Result<Ended, Failure> {
    let verdict = app.store.posted_verdict(pull.repo.id, pull.number, &pull.head).await?;
    Ok(Ended { outcome: Outcome::completed(outcome), learned: Some(PullFact { verdict, ..fact }) })
}

/// Why there is nothing to review, if so.
async fn moot(app: &App, lease: Lease, request: &Request, pull: &PullRequest) -> Result<Option<Outcome>, Failure> {
    if let Some(hint) = &request.hint {
        let moved = hint.head.as_ref().is_some_and(|head| *head != pull.head);
        if let Some(error) = lags(hint, pull) {
            return Err(error);
        }
        // Of two events within one second GitHub's stamps do not tell which was later. Unless the other head was heard of
        // after this one, it is taken for the older: for a while.
        let unclear = moved && hint.updated_at == Some(pull.updated_at) && app.clock.now() - pull.updated_at < UNCLEAR;
        if unclear && !app.store.heard_later(pull.repo.id, pull.number, &pull.head, lease).await? {
            return Err(lagging(format!("GitHub still shows {} as the head", pull.head.short())));
        }
        if moved && app.store.review_of_head_waits(pull.repo.id, pull.number, &pull.head, lease).await? {
            return Ok(Some(Outcome::superseded()));
        }
    }
    Ok(if pull.state != PrState::Open {
        Some(Outcome::completed("cancelled"))
    } else if pull.draft && !request.asked() {
        Some(Outcome::ignored("draft"))
    } else if has_ended(app, pull, request.as_of(pull), request.asked()).await? {
        Some(Outcome::completed("cancelled"))
    } else {
        None
    })
}

/// Whether GitHub has said since then that the pull request is closed or a draft, which its API may not show yet.
pub(super) async fn has_ended(
    app: &App,
    pull: &PullRequest,
    since: DateTime<Utc>,
    asked: bool,
) -> Result<bool, StoreError> {
    let last = app.store.last_turn(pull.repo.id, pull.number, since).await?;
    Ok(match last.as_deref() {
        Some("closed") => true,
        Some("converted_to_draft") => !asked,
        _ => false,
    })
}

/// What to do about it if GitHub's API shows the pull request as it was before the event.
pub fn lags(hint: &PullHint, pull: &PullRequest) -> Option<Failure> {
    let error = if hint.updated_at.is_none_or(|at| at <= pull.updated_at) {
        return None;
    } else if hint.head.as_ref().is_some_and(|head| *head != pull.head) {
        format!("GitHub still shows {} as the head", pull.head.short())
    } else if hint.state != pull.state {
        format!("GitHub still shows the pull request as {}", pull.state.as_str())
    } else if hint.draft != pull.draft {
        format!("GitHub still shows {}", if pull.draft { "a draft" } else { "no draft" })
    } else if hint.base_ref.as_ref().is_some_and(|base| *base != pull.base_ref) {
        format!("GitHub still shows {} as the base", pull.base_ref)
    } else {
        return None;
    };
    Some(lagging(error))
}

fn lagging(error: String) -> Failure {
    Failure::Again { retry: Retry::Park(LAG), error }
}

/// What tells this review from every other: head, base branch, and which request to post again it answers.
fn key(pull: &PullRequest, request: &Request) -> String {
    let key = render::marker_key(&pull.head, &pull.base_ref);
    match request.again {
        Some(task) => format!("{key} again={task}"),
        None => key,
    }
}

fn in_body(mut judgement: judge::Judgement) -> judge::Judgement {
    for finding in &mut judgement.findings {
        finding.inline = false;
    }
    judgement
}

fn draft(
    pull: &PullRequest,
    judgement: &judge::Judgement,
    rendered: &render::Rendered,
    event: crate::domain::review::ReviewEvent,
) -> ReviewDraft {
    ReviewDraft {
        repo: pull.repo.clone(),
        number: pull.number,
        title: pull.title.clone(),
        url: pull.html_url.clone(),
        state: pull.state,
        author: pull.author.clone(),
        branch: pull.branch.clone(),
        base_ref: pull.base_ref.clone(),
        head: pull.head.clone(),
        verdict: judgement.verdict,
        event,
        summary: rendered.summary.clone(),
        body: rendered.body.clone(),
        findings: judgement.findings.clone(),
        coverage: judgement.coverage.clone(),
    }
}

impl From<GitHubError> for Failure {
    fn from(error: GitHubError) -> Self {
        let retry = error.retry();
        let error = match &error {
            GitHubError::Unavailable(why) => format!("{error}: {why}"),
            _ => error.to_string(),
        };
        Self::Again { retry, error }
    }
}
