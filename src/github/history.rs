//! What happened before: pull requests, page by page, and issues.
//!
//! GitHub gives up on questions that are too much for it, at a size nobody can know beforehand. Then less is asked for
//! at a time, so that a large repository only takes longer.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    GitHubError, HistoryPage, Listed,
    bot::Bot,
    call::Call,
    graphql::{About, repeated},
    wire::GHOST,
};
use crate::domain::{
    CommitSha, PrNumber, RepoId, RepoRef,
    graph::{IssueFact, IssueRef, PullFact, Touch},
    pull_request::PrState,
};

const HISTORY: &str = include_str!("queries/history.graphql");
const OPEN_ISSUES: &str = include_str!("queries/open_issues.graphql");
const ISSUES: &str = include_str!("queries/issues.graphql");
const PULLS: &str = include_str!("queries/pulls.graphql");
/// Sizes of a page to fall back to. GitHub was seen to give up on 100 pull requests and to answer 25.
const SMALLER: [u8; 3] = [50, 25, 10];
/// GitHub's maximum of rows.
const MOST: u8 = 100;
/// Issues or pull requests in one question.
const AT_ONCE: usize = 100;

/// One page; see [`Bot::history`].
pub(super) async fn page(
    bot: &Bot<'_>,
    repo: &RepoRef,
    listed: Listed,
    after: Option<&str>,
    count: u8,
) -> Result<HistoryPage, GitHubError> {
    let mut size = count.clamp(1, MOST);
    loop {
        let smaller = SMALLER.into_iter().find(|smaller| *smaller < size);
        match (attempt(bot, repo, listed, after, size).await, smaller) {
            (Ok((_, true)) | Err(GitHubError::Unavailable(_)), Some(smaller)) => size = smaller,
            (Ok((page, _)), _) => return Ok(page),
            (Err(error), _) => return Err(error),
        }
    }
}

/// A page of exactly this size, and whether GitHub left out something because it was too much.
async fn attempt(
    bot: &Bot<'_>,
    repo: &RepoRef,
    listed: Listed,
    after: Option<&str>,
    size: u8,
) -> Result<(HistoryPage, bool), GitHubError> {
    let (states, by): (&[_], _) = match listed {
        Listed::MergedAndOpen => (&["MERGED", "OPEN"], "CREATED_AT"),
        Listed::LatelyMerged => (&["MERGED"], "UPDATED_AT"),
        Listed::Open => (&["OPEN"], "CREATED_AT"),
    };
    let variables = json!({
        "owner": repo.name.owner(), "name": repo.name.name(), "states": states, "by": by, "first": size, "after": after,
    });
    let told = bot.ask::<Named<Pulls>>(Call::graphql(HISTORY, &variables, repo.name.to_string())).await?;
    let (Named { repository: Some(Pulls { pulls, .. }) }, troubles) = told.about(repo)? else {
        return Err(GitHubError::NotFound { what: repo.name.to_string() });
    };
    let rows = pulls.nodes.unwrap_or_default();
    // Left out are single rows. If there is none left, the page is what could not be had.
    if !rows.is_empty() && rows.iter().all(Option::is_none) && troubles.are_there() {
        return Err(troubles.refusal(repo));
    }
    let mut issues = BTreeMap::new();
    let mut facts = Vec::new();
    for mut pull in rows.into_iter().flatten() {
        let closes = pull.closes.take().map(|closes| closes.nodes.unwrap_or_default());
        let closes = closes.map(|rows| rows.into_iter().flatten().map(IssueFact::from).collect::<Vec<_>>());
        let names = closes.as_ref().map(|closes| closes.iter().map(|fact| fact.issue).collect());
        let own = closes.into_iter().flatten().filter(|fact| fact.issue.repo == repo.id);
        issues.extend(own.map(|fact| (fact.issue.number, fact)));
        facts.push(PullFact { closes: names, ..pull.into() });
    }
    let next = pulls.page.end.filter(|_| pulls.page.more);
    Ok((HistoryPage { pulls: facts, issues: issues.into_values().collect(), next }, troubles.too_much()))
}

/// See [`Bot::open_issues`].
pub(super) async fn open_issues(bot: &Bot<'_>, repo: &RepoRef) -> Result<Vec<IssueFact>, GitHubError> {
    let variables = json!({"owner": repo.name.owner(), "name": repo.name.name()});
    let told = bot.ask::<Named<Open>>(Call::graphql(OPEN_ISSUES, &variables, repo.name.to_string())).await?;
    let (open, _) = told.about(repo)?;
    let rows = open.repository.and_then(|repository| repository.issues.nodes).unwrap_or_default();
    Ok(rows.into_iter().flatten().map(IssueFact::from).collect())
}

/// See [`Bot::issues`].
pub(super) async fn issues(bot: &Bot<'_>, repo: &RepoRef, numbers: &[i64]) -> Result<Vec<IssueFact>, GitHubError> {
    let rows: Vec<Issue> = numbered(bot, repo, ISSUES, numbers.iter().copied()).await?;
    let mut found: Vec<_> = rows.into_iter().map(IssueFact::from).filter(|fact| fact.issue.repo == repo.id).collect();
    found.sort_by_key(|fact| fact.issue.number);
    Ok(found)
}

/// See [`Bot::pulls`].
pub(super) async fn pulls(bot: &Bot<'_>, repo: &RepoRef, numbers: &[PrNumber]) -> Result<Vec<PullFact>, GitHubError> {
    let rows: Vec<Pull> = numbered(bot, repo, PULLS, numbers.iter().map(|number| number.0)).await?;
    let mut found: Vec<_> = rows.into_iter().map(PullFact::from).collect();
    found.sort_by_key(|fact| fact.number.0);
    Ok(found)
}

/// The things that there are of these numbers.
async fn numbered<T: DeserializeOwned>(
    bot: &Bot<'_>,
    repo: &RepoRef,
    question: &str,
    numbers: impl Iterator<Item = i64>,
) -> Result<Vec<T>, GitHubError> {
    // What is no number of an issue or pull request would spoil the whole question.
    let mut numbers: Vec<i64> = numbers.filter(|number| (1..=i64::from(i32::MAX)).contains(number)).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut found = Vec::new();
    for some in numbers.chunks(AT_ONCE) {
        let mut variables = json!({"owner": repo.name.owner(), "name": repo.name.name()});
        for (at, number) in some.iter().enumerate() {
            variables[format!("x{at}")] = Value::from(*number);
        }
        let question = Call::graphql(&repeated(question, some.len()), &variables, repo.name.to_string());
        let (told, troubles) = bot.ask::<Each<T>>(question).await?.about(repo)?;
        if troubles.too_much() {
            return Err(troubles.refusal(repo));
        }
        found.extend(told.each.into_iter().flatten().filter_map(|(_, row)| row));
    }
    Ok(found)
}

/// One repository, and what was asked of it.
#[derive(Deserialize)]
struct Named<R> {
    repository: Option<R>,
}

#[derive(Deserialize)]
struct Pulls {
    #[serde(rename = "databaseId")]
    id: i64,
    #[serde(rename = "pullRequests")]
    pulls: Page<Pull>,
}

#[derive(Deserialize)]
struct Open {
    #[serde(rename = "databaseId")]
    id: i64,
    issues: Rows<Issue>,
}

#[derive(Deserialize)]
struct Each<T> {
    repository: Option<Id>,
    each: Option<HashMap<String, Option<T>>>,
}

impl About for Named<Pulls> {
    fn repository(&self) -> Option<i64> {
        self.repository.as_ref().map(|repository| repository.id)
    }
}

impl About for Named<Open> {
    fn repository(&self) -> Option<i64> {
        self.repository.as_ref().map(|repository| repository.id)
    }
}

impl<T> About for Each<T> {
    fn repository(&self) -> Option<i64> {
        self.repository.as_ref().map(|repository| repository.id)
    }
}

#[derive(Deserialize)]
struct Id {
    #[serde(rename = "databaseId")]
    id: i64,
}

/// A list; what may not be seen or could not be read is null in it.
#[derive(Deserialize)]
struct Rows<T> {
    nodes: Option<Vec<Option<T>>>,
}

#[derive(Deserialize)]
struct Page<T> {
    nodes: Option<Vec<Option<T>>>,
    #[serde(rename = "pageInfo")]
    page: PageInfo,
}

#[derive(Deserialize)]
struct PageInfo {
    #[serde(rename = "hasNextPage")]
    more: bool,
    #[serde(default, rename = "endCursor")]
    end: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pull {
    number: i64,
    title: String,
    state: String,
    updated_at: DateTime<Utc>,
    merged_at: Option<DateTime<Utc>>,
    head_ref_oid: String,
    author: Option<Author>,
    files: Option<Page<File>>,
    #[serde(rename = "closingIssuesReferences")]
    closes: Option<Rows<Issue>>,
}

#[derive(Deserialize)]
struct Author {
    #[serde(rename = "__typename")]
    kind: String,
    login: String,
}

#[derive(Deserialize)]
struct File {
    path: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Issue {
    number: i64,
    title: String,
    state: String,
    updated_at: DateTime<Utc>,
    repository: Id,
    labels: Option<Rows<Label>>,
}

#[derive(Deserialize)]
struct Label {
    name: String,
}

impl From<Issue> for IssueFact {
    fn from(issue: Issue) -> Self {
        let labels = issue.labels.and_then(|labels| labels.nodes).unwrap_or_default();
        Self {
            issue: IssueRef { repo: RepoId(issue.repository.id), number: issue.number },
            title: issue.title,
            open: issue.state == "OPEN",
            labels: labels.into_iter().flatten().map(|label| label.name).collect(),
            updated_at: issue.updated_at,
        }
    }
}

impl From<Pull> for PullFact {
    fn from(pull: Pull) -> Self {
        let (author, bot) = match pull.author {
            Some(author) => author.named_as_in_rest(),
            None => (GHOST.to_owned(), false),
        };
        Self {
            number: PrNumber(pull.number),
            title: pull.title,
            author,
            bot,
            state: match pull.state.as_str() {
                "MERGED" => PrState::Merged,
                "OPEN" => PrState::Open,
                _ => PrState::Closed,
            },
            head: CommitSha(pull.head_ref_oid),
            updated_at: pull.updated_at,
            merged_at: pull.merged_at,
            files: pull.files.and_then(every_file),
            closes: None,
            verdict: None,
        }
    }
}

/// The files, if they are all there: half of them would say wrong things about which belong together.
fn every_file(files: Page<File>) -> Option<Vec<Touch>> {
    if files.page.more {
        return None;
    }
    let touch = |file: Option<File>| file.map(|file| Touch { path: file.path, hunks: Vec::new() });
    files.nodes?.into_iter().map(touch).collect()
}

impl Author {
    /// Login, and whether it is a program. GraphQL calls `dependabot[bot]` a `Bot` named `dependabot`.
    fn named_as_in_rest(self) -> (String, bool) {
        match (self.kind == "Bot", self.login.ends_with("[bot]")) {
            (true, false) => (format!("{}[bot]", self.login), true),
            (bot, suffix) => (self.login, bot || suffix),
        }
    }
}
