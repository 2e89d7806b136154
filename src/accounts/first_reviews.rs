//! Reviews of what was already open when a repository was connected (`REVIEW_ON_CONNECT`).
//!
//! A courtesy: nothing that goes wrong here is the connection's trouble.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    app::App,
    domain::{InstallationId, PrNumber, RepoRef, task::TaskKind},
    github::PullSummary,
    inbox::NewTask,
};

/// What has not changed for this long is not waiting for anybody.
const LIVELY: TimeDelta = TimeDelta::days(7);

/// As many as GitHub lists on one page.
const LISTED: u8 = 100;

/// Longest time somebody who connects waits for this.
const PATIENCE: Duration = Duration::from_secs(10);

/// Queues a review of each of the pull requests changed last.
pub(super) async fn queue(app: &App, installation: InstallationId, repo: &RepoRef) {
    let most = app.config.review_on_connect;
    if most == 0 {
        return;
    }
    let pulls = match tokio::time::timeout(PATIENCE, app.github.bot().open_pulls(&repo.name, LISTED)).await {
        Ok(Ok(pulls)) => pulls,
        Ok(Err(error)) => return tracing::warn!(%error, repo = %repo.name, "open pull requests were not listed"),
        Err(_) => return tracing::warn!(repo = %repo.name, "listing open pull requests took too long"),
    };
    for number in worth_reviewing(&pulls, most, app.clock.now()) {
        let task = NewTask {
            kind: TaskKind::Review,
            key: format!("{}#{number}", repo.id),
            installation,
            repo: repo.clone(),
            number: Some(number),
            payload: serde_json::json!({"force": false}),
        };
        if let Err(error) = app.inbox.enqueue(task).await {
            tracing::warn!(%error, repo = %repo.name, %number, "a first review was not queued");
        }
    }
}

/// The first `most` that are neither drafts nor quiet. `pulls` come most recently updated first.
fn worth_reviewing(pulls: &[PullSummary], most: u32, now: DateTime<Utc>) -> Vec<PrNumber> {
    let lively = pulls.iter().filter(|pull| !pull.draft && now - pull.updated_at <= LIVELY);
    lively.map(|pull| pull.number).take(usize::try_from(most).unwrap_or(usize::MAX)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_lively_pull_requests_that_are_no_drafts_are_reviewed_first() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(100);
        let pull = |number, draft, age| PullSummary { number: PrNumber(number), draft, updated_at: now - age };
        let pulls = [
            pull(5, false, TimeDelta::hours(1)),
            pull(4, true, TimeDelta::hours(2)),
            pull(3, false, TimeDelta::days(2)),
            pull(2, false, TimeDelta::days(7)),
            pull(1, false, TimeDelta::days(8)),
        ];
        assert_eq!(worth_reviewing(&pulls, 2, now), [PrNumber(5), PrNumber(3)]);
        assert_eq!(worth_reviewing(&pulls, 50, now), [PrNumber(5), PrNumber(3), PrNumber(2)]);
    }
}
