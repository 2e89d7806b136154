//! Which pull requests and issues changed, from the lists GitHub keeps by the time of their last change.

use chrono::{DateTime, SecondsFormat, Utc};

use super::{Bot, GitHubError, call::Call, client::PER_PAGE, types::ChangedPulls, wire};
use crate::domain::{RepoName, RepoRef, graph::IssueFact};

/// Pages that are read: 3,000 pull requests, or as many of both where GitHub lists them with the issues.
const MOST_PAGES: usize = 30;

impl Bot<'_> {
    /// The pull requests that changed since then, open or not, latest first: one conditional request (ETag) if they fit
    /// one page.
    pub async fn changed_pulls(&self, repo: &RepoName, since: DateTime<Utc>) -> Result<ChangedPulls, GitHubError> {
        let mut changed = ChangedPulls { pulls: Vec::new(), complete: false };
        for page in 1..=MOST_PAGES {
            let order = "state=all&sort=updated&direction=desc";
            let path = format!("/repos/{repo}/pulls?{order}&per_page={PER_PAGE}&page={page}");
            let call = Call::get(path, repo.to_string());
            let answer = self.call(if page == 1 { call.conditional() } else { call }).await?;
            let rows: Vec<wire::ChangedPull> = answer.json()?;
            let (full, past) = (rows.len() >= PER_PAGE, rows.iter().any(|row| row.updated_at < since));
            changed.pulls.extend(rows.into_iter().filter(|row| row.updated_at >= since).map(Into::into));
            if past || !answer.has_next().unwrap_or(full) {
                changed.complete = true;
                break;
            }
        }
        // One that changes between two pages moves to the front and pushes others onto the next page again.
        let mut seen = std::collections::HashSet::new();
        changed.pulls.retain(|pull| seen.insert(pull.number));
        Ok(changed)
    }
    /// The issues that something happened to since then, open or not, at most 3,000 and those that changed first.
    pub async fn changed_issues(&self, repo: &RepoRef, since: DateTime<Utc>) -> Result<Vec<IssueFact>, GitHubError> {
        let mut changed = Vec::new();
        let since = since.to_rfc3339_opts(SecondsFormat::Secs, true);
        for page in 1..=MOST_PAGES {
            // What changes between two pages comes up once more at the end, instead of pushing others past us.
            let order = "state=all&sort=updated&direction=asc";
            let path = format!("/repos/{}/issues?{order}&since={since}&per_page={PER_PAGE}&page={page}", repo.name);
            let answer = self.call(Call::get(path, repo.name.to_string())).await?;
            let rows: Vec<wire::ChangedIssue> = answer.json()?;
            let full = rows.len() >= PER_PAGE;
            changed.extend(rows.into_iter().filter_map(|row| row.fact(repo.id)));
            if !answer.has_next().unwrap_or(full) {
                break;
            }
        }
        Ok(changed)
    }
}
