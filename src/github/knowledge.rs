//! What the bot reads of a whole repository: its tree, its key files, its history.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Bot, GitHubError, HistoryPage, KeyFiles, Listed, Tree,
    call::Call,
    client::PER_PAGE,
    graphql::{About, Troubles, repeated},
    history, tree, wire,
};
use crate::domain::{
    PrNumber, RepoName, RepoRef,
    graph::{Contributor, IssueFact, PullFact},
    profile::Statistics,
};

const KEY_FILES: &str = include_str!("queries/key_files.graphql");
/// Files in one question.
const FILES_AT_ONCE: usize = 60;

impl Bot<'_> {
    /// Every file at a branch, tag, commit or `HEAD`. Where GitHub cuts the answer short, folder by folder, until the
    /// set is complete; [`GitHubError::Protocol`] if even that cannot be had (1,000 requests, 1,000,000 files).
    /// [`GitHubError::Rejected`] with 409 when the repository is empty. Conditional (ETag) when it was read before, if the
    /// listing was short enough to remember (256 KiB).
    pub async fn tree(&self, repo: &RepoName, reference: &str) -> Result<Tree, GitHubError> {
        tree::read(self, repo, reference).await
    }

    /// Pull requests, latest first, up to `count` (at most 100) in one call; fewer where GitHub finds that too much at
    /// once. `after` is the previous page's `next`. A pull request of more than 100 files comes without any: half of them
    /// would be worse than none.
    pub async fn history(
        &self,
        repo: &RepoRef,
        listed: Listed,
        after: Option<&str>,
        count: u8,
    ) -> Result<HistoryPage, GitHubError> {
        history::page(self, repo, listed, after, count).await
    }

    /// These pull requests by number, without their files, in one call for each 100; those that do not exist are left out.
    pub async fn pulls(&self, repo: &RepoRef, numbers: &[PrNumber]) -> Result<Vec<PullFact>, GitHubError> {
        history::pulls(self, repo, numbers).await
    }

    /// The open issues, most recently updated first, at most 100, in one call.
    pub async fn open_issues(&self, repo: &RepoRef) -> Result<Vec<IssueFact>, GitHubError> {
        history::open_issues(self, repo).await
    }

    /// These issues by number, in one call for each 100; those that do not exist (or are pull requests) are left out.
    pub async fn issues(&self, repo: &RepoRef, numbers: &[i64]) -> Result<Vec<IssueFact>, GitHubError> {
        history::issues(self, repo, numbers).await
    }

    /// The texts of files at a branch or commit, and the repository's statistics, in one call for each 60 paths.
    pub async fn key_files(&self, repo: &RepoRef, reference: &str, paths: &[String]) -> Result<KeyFiles, GitHubError> {
        let mut found = KeyFiles { texts: Vec::new(), unread: Vec::new(), statistics: None };
        let chunks = paths.chunks(FILES_AT_ONCE).chain(paths.is_empty().then_some(paths));
        for some in chunks {
            // Without any path there is still a call, for the statistics, and the root stands in for a file.
            let mut variables =
                json!({"owner": repo.name.owner(), "name": repo.name.name(), "x0": format!("{reference}:")});
            for (at, path) in some.iter().enumerate() {
                variables[format!("x{at}")] = Value::from(format!("{reference}:{path}"));
            }
            let question = Call::graphql(&repeated(KEY_FILES, some.len().max(1)), &variables, repo.name.to_string());
            let (told, troubles) = self.ask::<Reading>(question).await?.about(repo)?;
            let mut contents = told.each.unwrap_or_default();
            for (at, path) in some.iter().enumerate() {
                let name = format!("x{at}");
                match text(contents.remove(&name).flatten(), &troubles, &name) {
                    Ok(text) => found.texts.push((path.clone(), text)),
                    Err(why) => found.unread.push((path.clone(), why)),
                }
            }
            found.statistics = told.repository.map(Statistics::from);
        }
        Ok(found)
    }

    /// Who committed most, at most 100, without bots and anonymous people. Nobody where GitHub does not count: in empty
    /// repositories and in those whose history it finds too large.
    pub async fn contributors(&self, repo: &RepoName) -> Result<Vec<Contributor>, GitHubError> {
        let path = format!("/repos/{repo}/contributors?per_page={PER_PAGE}");
        let answer = match self.call(Call::get(path, repo.to_string())).await {
            Ok(answer) if answer.status == StatusCode::NO_CONTENT => return Ok(Vec::new()),
            Err(GitHubError::Forbidden { message }) if message.contains("too large") => return Ok(Vec::new()),
            answer => answer?,
        };
        let rows: Vec<wire::Contributor> = answer.json()?;
        Ok(rows.into_iter().filter_map(wire::Contributor::person).collect())
    }
}

/// The text of a file, or why there is none.
fn text(content: Option<Content>, troubles: &Troubles, name: &str) -> Result<String, String> {
    match content {
        Some(Content { binary: Some(true), .. }) => Err("not a text".to_owned()),
        Some(Content { truncated: Some(true), .. }) => Err("longer than GitHub shows".to_owned()),
        Some(Content { text: Some(text), .. }) => Ok(text),
        Some(_) => Err("no file".to_owned()),
        None => Err(troubles.at(&["each", name]).unwrap_or("not there").to_owned()),
    }
}

#[derive(Deserialize)]
struct Reading {
    repository: Option<Counted>,
    each: Option<HashMap<String, Option<Content>>>,
}

impl About for Reading {
    fn repository(&self) -> Option<i64> {
        self.repository.as_ref().map(|repository| repository.database_id)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Counted {
    database_id: i64,
    stargazer_count: i64,
    fork_count: i64,
    disk_usage: Option<i64>,
    created_at: DateTime<Utc>,
    open_issues: Count,
    open_pulls: Count,
    merged_pulls: Count,
}

#[derive(Deserialize)]
struct Count {
    #[serde(rename = "totalCount")]
    total: i64,
}

/// A file. Everything is missing of what is no file.
#[derive(Deserialize)]
struct Content {
    text: Option<String>,
    #[serde(rename = "isBinary")]
    binary: Option<bool>,
    #[serde(rename = "isTruncated")]
    truncated: Option<bool>,
}

impl From<Counted> for Statistics {
    fn from(counted: Counted) -> Self {
        Self {
            stars: counted.stargazer_count,
            forks: counted.fork_count,
            open_issues: counted.open_issues.total,
            open_pulls: counted.open_pulls.total,
            merged_pulls: counted.merged_pulls.total,
            disk_kilobytes: counted.disk_usage.unwrap_or_default(),
            created_at: counted.created_at,
        }
    }
}
