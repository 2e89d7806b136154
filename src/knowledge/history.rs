//! What happened while nobody listened: before the repository was connected, or between two connections.
//!
//! How far it has come is kept on disk after every page, so a killed or limited attempt goes on where it was. Until when
//! everything is known is kept in the graph itself: what is known is not read again, and a graph that lost its memory is
//! told everything. Pages overlap harmlessly when things happen meanwhile: the graph keeps the later of two facts.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::Trouble;
use crate::{
    app::App,
    domain::{PrNumber, RepoRef, pull_request::PrState},
    github::{HistoryPage, Listed},
    graph::CodeGraph,
    store::{outcome::Outcome, work::Lease},
};

/// Pull requests that are learned, and open ones beside them: enough to know who knows what, in few requests.
const PULLS: usize = 300;

/// Pull requests asked for at once, GitHub's most.
const PAGE: u8 = 100;

/// How far GitHub's clock may be from ours, and more.
const OVERLAP: TimeDelta = TimeDelta::hours(1);

/// How far it has come.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Progress {
    /// When it began: until then everything will be known.
    begun: Option<DateTime<Utc>>,
    /// What did not change after this is known.
    since: Option<DateTime<Utc>>,
    /// What is next.
    step: Step,
    /// Where the next page of it begins.
    after: Option<String>,
    /// Pull requests learned in it.
    pulls: usize,
    /// Open pull requests that GitHub has listed.
    open: Vec<i64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Step {
    #[default]
    Merged,
    Open,
    /// What the graph believes open and GitHub did not list.
    Doubtful,
    Rest,
}

pub(super) async fn run(
    app: &App,
    lease: Lease,
    repo: &RepoRef,
    progress: serde_json::Value,
) -> Result<Outcome, Trouble> {
    let Some(graph) = &app.graph else { return Ok(Outcome::ignored("graph_off")) };
    let graph = graph.ready().await?;
    let bot = app.github.bot();
    // Another version's notes: from the start.
    let mut progress: Progress = serde_json::from_value(progress).unwrap_or_default();
    let begun = match progress.begun {
        Some(begun) => begun,
        None => {
            let held = graph.held(Some(repo.id)).await?.pop();
            let since = held.and_then(|held| held.history).map(|until| until - OVERLAP);
            let begun = app.clock.now();
            progress = Progress { begun: Some(begun), since, ..Progress::default() };
            begun
        }
    };
    loop {
        progress = match progress.step {
            Step::Merged => {
                let listed = if progress.since.is_some() { Listed::LatelyMerged } else { Listed::MergedAndOpen };
                let page = bot.history(repo, listed, progress.after.as_deref(), rows(progress.pulls)).await?;
                let mut open = std::mem::take(&mut progress.open);
                open.extend(learn(graph, repo, &page).await?);
                let known = page.pulls.last().zip(progress.since).is_some_and(|(pull, since)| pull.updated_at < since);
                let pulls = progress.pulls + page.pulls.len();
                let more = pulls < PULLS && !page.pulls.is_empty() && !known;
                match page.next {
                    Some(next) if more => Progress { pulls, open, after: Some(next), ..progress },
                    // Every open one was among them.
                    None if progress.since.is_none() => {
                        Progress { open, after: None, step: Step::Doubtful, ..progress }
                    }
                    _ => Progress { pulls: 0, after: None, step: Step::Open, ..progress },
                }
            }
            Step::Open => {
                let page = bot.history(repo, Listed::Open, progress.after.as_deref(), rows(progress.pulls)).await?;
                let mut open = std::mem::take(&mut progress.open);
                open.extend(learn(graph, repo, &page).await?);
                let pulls = progress.pulls + page.pulls.len();
                let more = pulls < PULLS && !page.pulls.is_empty();
                match page.next.filter(|_| more) {
                    Some(next) => Progress { pulls, open, after: Some(next), ..progress },
                    None => Progress { open, after: None, step: Step::Doubtful, ..progress },
                }
            }
            Step::Doubtful => {
                let listed: HashSet<i64> = progress.open.iter().copied().collect();
                let believed = graph.open_pulls(repo.id).await?;
                let doubtful =
                    believed.into_iter().map(|pull| pull.number).filter(|number| !listed.contains(&number.0));
                let doubtful: Vec<PrNumber> = doubtful.collect();
                for some in doubtful.chunks(PAGE.into()) {
                    graph.learn_pulls(repo.id, &bot.pulls(repo, some).await?).await?;
                }
                Progress { step: Step::Rest, ..progress }
            }
            Step::Rest => {
                // GitHub says here whose issues these are. People are asked for by name alone, so right behind.
                let issues = bot.open_issues(repo).await?;
                graph.learn_issues(&issues).await?;
                let people = bot.contributors(&repo.name).await?;
                graph.learn_contributors(repo.id, &people).await?;
                graph.history_learned(repo.id, begun).await?;
                // Whoever has asked for more meanwhile has it begun anew.
                app.store.keep_progress(lease, &serde_json::json!({})).await?;
                return Ok(Outcome::completed("history_learned"));
            }
        };
        app.store.keep_progress(lease, &serde_json::json!(progress)).await?;
        let Progress { step, pulls, .. } = progress;
        tracing::info!(repo = %repo.name, ?step, pulls, of = PULLS, "learning what happened before");
    }
}

/// Brings issues up to date whose deliveries may have been lost; the payload says since when.
pub(super) async fn issues_since(app: &App, repo: &RepoRef, payload: &serde_json::Value) -> Result<Outcome, Trouble> {
    let Some(graph) = &app.graph else { return Ok(Outcome::ignored("graph_off")) };
    let since = DateTime::deserialize(&payload["since"])?;
    let graph = graph.ready().await?;
    let issues = app.github.bot().changed_issues(repo, since).await?;
    graph.learn_issues(&issues).await?;
    Ok(Outcome::completed("issues_learned"))
}

/// Rows of the next page after so many.
fn rows(before: usize) -> u8 {
    u8::try_from(PULLS.saturating_sub(before)).unwrap_or(PAGE).clamp(1, PAGE)
}

/// Learns a page, and says which of its pull requests are open. A list names the files of a pull request, but not the
/// places in them: where the graph knows the files of the very same head it may know those too, and keeps what it has.
async fn learn(graph: &dyn CodeGraph, repo: &RepoRef, page: &HistoryPage) -> Result<Vec<i64>, Trouble> {
    let known: HashMap<_, _> =
        graph.open_pulls(repo.id).await?.into_iter().map(|pull| (pull.number, pull.files_of)).collect();
    let mut pulls = page.pulls.clone();
    for pull in &mut pulls {
        if known.get(&pull.number).is_some_and(|files_of| files_of.as_ref() == Some(&pull.head)) {
            pull.files = None;
        }
    }
    graph.learn_issues(&page.issues).await?;
    graph.learn_pulls(repo.id, &pulls).await?;
    Ok(pulls.iter().filter(|pull| pull.state == PrState::Open).map(|pull| pull.number.0).collect())
}
