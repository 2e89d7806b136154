//! From a repository's tree and key files to its profile.

use super::{Trouble, aside};
use crate::{
    app::App,
    domain::RepoRef,
    github::{Bot, GitHubError, KeyFiles, Tree},
    scan::{self, Reading, ScanFile, owners},
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
    let mut read = bot.key_files(repo, reference, &wanted).await?;
    long_owners(&bot, repo, reference, &mut read).await;
    let KeyFiles { texts, unread, statistics } = read;
    let scanned_at = app.clock.now();
    let troubles = unread.into_iter().map(|(path, why)| format!("{path}: {why}")).collect();
    let has_owners = scan::has_owners(&files);
    let reading = Reading { tree: files, texts, troubles, statistics, commit, scanned_at };
    let mut profile = aside(move || scan::analyse(&reading)).await?;
    if profile.code_owners.is_none() && has_owners {
        // It is there, and only today it could not be read.
        profile.code_owners = app.store.profile(repo.id).await?.and_then(|known| known.code_owners);
    }
    app.store.keep_profile(repo.id, &profile).await?;
    Ok(Outcome::completed("scanned"))
}

/// Reads CODEOWNERS by itself where it is longer than GitHub shows beside other files.
async fn long_owners(bot: &Bot<'_>, repo: &RepoRef, reference: &str, read: &mut KeyFiles) {
    let Some(at) = read.unread.iter().position(|(path, _)| owners::PLACES.contains(&path.as_str())) else { return };
    let (path, _) = &read.unread[at];
    match bot.contents(&repo.name, path, reference).await.map(String::from_utf8) {
        Ok(Ok(text)) => {
            let (path, _) = read.unread.swap_remove(at);
            read.texts.push((path, text));
        }
        Ok(Err(_)) => {}
        Err(error) => tracing::warn!(%error, repo = %repo.name, "CODEOWNERS was not read"),
    }
}
