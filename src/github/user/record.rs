//! What GitHub knows of one webhook: how it is, and the record of what it delivered.
//!
//! GitHub keeps an attempt for three days (GitHub Enterprise Server: seven), and never tries again unless asked.

use chrono::{DateTime, Utc};
use http::StatusCode;
use url::Url;

use super::{User, hook_path};
use crate::{
    domain::{HookId, RepoName},
    github::{
        GitHubError,
        answer::Answer,
        call::Call,
        client::PER_PAGE,
        types::{HookReport, Record, RecordedAttempt},
        wire,
    },
};

/// Pages of a record that are read; whoever missed more looks at the pull requests instead.
const MOST_PAGES: usize = 150;

impl User<'_> {
    /// One webhook, and how its last delivery went. Conditional (ETag).
    pub async fn hook(&self, repo: &RepoName, id: HookId) -> Result<HookReport, GitHubError> {
        let call = Call::get(hook_path(repo, id), format!("webhook {id} of {repo}")).conditional();
        Ok(self.client.call(self.token, call).await?.json::<wire::Webhook>()?.into())
    }

    /// What the webhook delivered, or tried to, since then, latest first: one conditional request (ETag) if that fits one
    /// page.
    pub async fn record(&self, repo: &RepoName, id: HookId, since: DateTime<Utc>) -> Result<Record, GitHubError> {
        let path = format!("{}/deliveries?per_page={PER_PAGE}", hook_path(repo, id));
        let what = format!("deliveries of webhook {id} of {repo}");
        let mut record = Record { attempts: Vec::new(), complete: false };
        let mut cursor: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let call = match &cursor {
                None => Call::get(path.clone(), what.clone()).conditional(),
                Some(cursor) => Call::get(format!("{path}&cursor={cursor}"), what.clone()),
            };
            let mut answer = self.client.call(self.token, call).await?;
            let mut rows = attempts(&answer)?;
            let goes_on = |rows: &[RecordedAttempt]| rows.last().is_some_and(|oldest| oldest.delivered_at >= since);
            if answer.status == StatusCode::NOT_MODIFIED && goes_on(&rows) && next_cursor(&answer).is_none() {
                // A 304 need not repeat where the next page is.
                answer = self.client.call(self.token, Call::get(path.clone(), what.clone())).await?;
                rows = attempts(&answer)?;
            }
            let more = goes_on(&rows);
            record.attempts.extend(rows.into_iter().filter(|attempt| attempt.delivered_at >= since));
            cursor = next_cursor(&answer);
            if !more || cursor.is_none() {
                record.complete = true;
                break;
            }
        }
        Ok(record)
    }

    /// Asks GitHub to deliver once more what it delivered, or tried to, in that attempt. It does so later, under the same
    /// GUID.
    pub async fn redeliver(&self, repo: &RepoName, id: HookId, attempt: i64) -> Result<(), GitHubError> {
        let path = format!("{}/deliveries/{attempt}/attempts", hook_path(repo, id));
        let call = Call::act(path, format!("delivery {attempt} of webhook {id} of {repo}"));
        self.client.call(self.token, call).await.map(|_| ())
    }
}

fn attempts(answer: &Answer) -> Result<Vec<RecordedAttempt>, GitHubError> {
    Ok(answer.json::<Vec<wire::HookAttempt>>()?.into_iter().map(RecordedAttempt::from).collect())
}

/// The cursor of the next page, percent-encoded.
fn next_cursor(answer: &Answer) -> Option<String> {
    let links = answer.headers.get_all(http::header::LINK).iter().filter_map(|link| link.to_str().ok());
    let next = links.flat_map(|links| links.split(',')).find(|link| link.contains(r#"rel="next""#))?;
    let url = Url::parse(next.split_once('<')?.1.split_once('>')?.0).ok()?;
    let cursor = url.query_pairs().find(|(name, _)| name == "cursor")?.1.into_owned();
    Some(url::form_urlencoded::byte_serialize(cursor.as_bytes()).collect())
}
