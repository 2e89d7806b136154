//! What happened before the repository was connected.
//!
//! How far it has come is kept on disk after every page, so a killed or limited attempt goes on where it was. Pages
//! overlap harmlessly when pull requests are merged meanwhile: the graph keeps the later of two facts.

use chrono::DateTime;
use serde::{Deserialize, Serialize};

use super::Trouble;
use crate::{
    app::App,
    domain::RepoRef,
    store::{outcome::Outcome, work::Lease},
};

/// Merged pull requests that are learned: enough to know who knows what, in few requests.
const PULLS: usize = 300;

/// Pull requests asked for at once, GitHub's most.
const PAGE: u8 = 100;

/// How far it has come.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Progress {
    /// Pull requests learned.
    pulls: usize,
    /// Where the next page begins.
    after: Option<String>,
    /// What is next.
    step: Step,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Step {
    #[default]
    Pulls,
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
    loop {
        let next = match progress.step {
            Step::Pulls => {
                let count = u8::try_from(PULLS - progress.pulls.min(PULLS)).unwrap_or(PAGE).min(PAGE);
                let page = bot.history(repo, progress.after.as_deref(), count).await?;
                graph.learn_issues(&page.issues).await?;
                graph.learn_pulls(repo.id, &page.pulls).await?;
                let pulls = progress.pulls + page.pulls.len();
                let more = page.next.is_some() && pulls < PULLS && !page.pulls.is_empty();
                Progress { pulls, after: page.next, step: if more { Step::Pulls } else { Step::Rest } }
            }
            Step::Rest => {
                // GitHub says here whose issues these are. People are asked for by name alone, so right behind.
                let issues = bot.open_issues(repo).await?;
                graph.learn_issues(&issues).await?;
                let people = bot.contributors(&repo.name).await?;
                graph.learn_contributors(repo.id, &people).await?;
                return Ok(Outcome::completed("history_learned"));
            }
        };
        progress = next;
        app.store.keep_progress(lease, &serde_json::json!(progress)).await?;
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
