//! Pull requests: review, remember, forget.

use crate::{
    app::App,
    domain::event::{PullRequestEvent, PullRequestEventKind},
    github::GitHubError,
    review,
    store::{
        outcome::{Failure, Outcome},
        work::Lease,
    },
};

pub(super) async fn handle(app: &App, lease: Lease, event: PullRequestEvent) -> Result<Outcome, Failure> {
    match event.kind {
        PullRequestEventKind::Reviewable => {
            let request =
                review::Request { repo: event.repo, number: event.pull.number, hint: Some(event.pull), again: None };
            review::run(app, lease, &request).await
        }
        PullRequestEventKind::Edited => remember(app, &event).await,
        PullRequestEventKind::Closed => {
            review::publish::settle_leftovers(app, lease, &event.repo, event.pull.number, None).await?;
            remember(app, &event).await
        }
        PullRequestEventKind::ConvertedToDraft => {
            review::publish::settle_leftovers(app, lease, &event.repo, event.pull.number, None).await?;
            Ok(Outcome::completed("cancelled"))
        }
    }
}

/// Brings what lists say up to date, from GitHub rather than from the event: events arrive in any order.
async fn remember(app: &App, event: &PullRequestEvent) -> Result<Outcome, Failure> {
    match app.github.bot().pull(&event.repo.name, event.pull.number).await {
        Ok(pull) if pull.repo.id == event.repo.id => {
            if let Some(error) = review::lags(&event.pull, &pull) {
                return Err(error);
            }
            app.pr_states.learn(&pull.repo.name, pull.number, pull.state, pull.updated_at).await;
            app.store.pull_changed(event.repo.id, pull.number, pull.state, Some(&pull.title)).await?;
            Ok(Outcome::completed("state_updated"))
        }
        Ok(_) | Err(GitHubError::NotFound { .. }) => Ok(Outcome::completed("gone")),
        Err(error) => Err(error.into()),
    }
}
