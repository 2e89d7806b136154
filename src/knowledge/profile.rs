//! From a repository's tree and key files to its profile.

use super::{Trouble, aside};
use crate::{
    app::App,
    domain::RepoRef,
    github::{GitHubError, KeyFiles, Tree},
    scan::{self, Reading, ScanFile},
    store::outcome::Outcome,
};

pub(super) async fn run(app: &App, repo: &RepoRef) -> Result<Outcome, Trouble> {
    let bot = app.github.bot();
    let tree = match bot.tree(&repo.name, "HEAD").await {
        // No commits, no files.
        Err(GitHubError::Rejected { status: 409, .. }) => Tree { sha: String::new(), files: Vec::new() },
        tree => tree?,
    };
    let Tree { sha: commit, files } = tree;
    let (files, wanted) = aside(move || {
        let files: Vec<_> = files.into_iter().map(|file| ScanFile { path: file.path, size: file.size }).collect();
        let wanted = scan::key_files(&files);
        (files, wanted)
    })
    .await?;
    // By name, because the branch may move on meanwhile.
    let reference = if commit.is_empty() { "HEAD" } else { &commit };
    let KeyFiles { texts, unread, statistics } = bot.key_files(repo, reference, &wanted).await?;
    let scanned_at = app.clock.now();
    let troubles = unread.into_iter().map(|(path, why)| format!("{path}: {why}")).collect();
    let reading = Reading { tree: files, texts, troubles, statistics, commit, scanned_at };
    let profile = aside(move || scan::analyse(&reading)).await?;
    app.store.keep_profile(repo.id, &profile).await?;
    Ok(Outcome::completed("scanned"))
}
