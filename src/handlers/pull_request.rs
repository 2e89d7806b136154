//! Pull requests: review, remember, forget, and tell the code graph what was seen.

use chrono::{DateTime, Utc};

use crate::{
    app::App,
    domain::{
        InstallationId,
        event::{PullRequestEvent, PullRequestEventKind},
        graph::PullFact,
        pull_request::{ChangedFile, PrState, PullRequest},
    },
    github::GitHubError,
    knowledge, review,
    store::{
        outcome::{Failure, Outcome},
        work::Lease,
    },
    telemetry::metrics::metrics,
};

pub(super) async fn handle(
    app: &App,
    lease: Lease,
    installation: InstallationId,
    received_at: DateTime<Utc>,
    event: PullRequestEvent,
) -> Result<Outcome, Failure> {
    match event.kind {
        PullRequestEventKind::Reviewable => {
            let number = event.pull.number;
            let request = review::Request { repo: event.repo, number, hint: Some(event.pull), again: None };
            review(app, lease, installation, received_at, &request).await
        }
        PullRequestEventKind::Edited => remember(app, installation, &event).await,
        PullRequestEventKind::Closed => {
            review::publish::settle_leftovers(app, lease, &event.repo, event.pull.number).await?;
            remember(app, installation, &event).await
        }
        PullRequestEventKind::ConvertedToDraft => {
            review::publish::settle_leftovers(app, lease, &event.repo, event.pull.number).await?;
            Ok(Outcome::completed("cancelled"))
        }
    }
}

/// Reviews, and passes on what was learned on the way. `asked_at`: when the delivery came or the task was made.
pub(super) async fn review(
    app: &App,
    lease: Lease,
    installation: InstallationId,
    asked_at: DateTime<Utc>,
    request: &review::Request,
) -> Result<Outcome, Failure> {
    let ended = review::run(app, lease, request).await?;
    if ended.outcome.code == "reviewed" {
        metrics().reviewed(app.clock.now() - asked_at);
    }
    if let Some(fact) = ended.learned {
        knowledge::pull(app, installation, &request.repo, fact).await?;
    }
    Ok(ended.outcome)
}

/// Brings what lists and the code graph say up to date, from GitHub rather than from the event: events arrive in any order.
async fn remember(app: &App, installation: InstallationId, event: &PullRequestEvent) -> Result<Outcome, Failure> {
    let pull = match app.github.bot().pull(&event.repo.name, event.pull.number).await {
        Ok(pull) if pull.repo.id == event.repo.id => pull,
        Ok(_) | Err(GitHubError::NotFound { .. }) => return Ok(Outcome::completed("gone")),
        Err(error) => return Err(error.into()),
    };
    if let Some(error) = review::lags(&event.pull, &pull) {
        return Err(error);
    }
    app.pr_states.learn(&pull.repo.name, pull.number, pull.state, pull.updated_at);
    app.store.pull_changed(event.repo.id, pull.number, pull.state, Some(&pull.title)).await?;
    // What was merged is what counts from now on, so its files are read once more.
    let files = if pull.state == PrState::Merged { files(app, &pull).await? } else { None };
    let fact = PullFact::of(&pull, files.as_deref(), app.config.github.server_url.as_str());
    knowledge::pull(app, installation, &pull.repo, fact).await?;
    if pull.state == PrState::Merged {
        knowledge::merged(app, installation, &pull, files.as_deref()).await?;
    }
    Ok(Outcome::completed("state_updated"))
}

/// The files of a pull request; none where GitHub will not list them.
async fn files(app: &App, pull: &PullRequest) -> Result<Option<Vec<ChangedFile>>, Failure> {
    match app.github.bot().files(&pull.repo.name, pull.number).await {
        Ok(files) => Ok(Some(files)),
        Err(error @ (GitHubError::NotFound { .. } | GitHubError::Rejected { .. } | GitHubError::Protocol(_))) => {
            tracing::warn!(%error, repo = %pull.repo.name, pr = pull.number.0, "the files of a merge stay unknown");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}
