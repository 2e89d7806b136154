//! The repositories somebody can reach, and how a connected one is doing.

use std::collections::HashMap;

use super::{bot, session::CurrentUser, study, token::github_token};
use crate::{
    app::App,
    domain::{InstallationId, RepoId, RepoRef},
    github::{GitHubError, Repository},
    store::{
        StoreError,
        installations::{BotStanding, Installation},
    },
};

/// A repository to choose from.
#[derive(Debug, Clone)]
pub struct Choice {
    /// What GitHub says.
    pub repository: Repository,
    /// The caller's active installation, if connected.
    pub installation: Option<InstallationId>,
}

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// 401.
    #[error("Session expired — please log out and sign in again to reconnect your GitHub account.")]
    SessionExpired,
    /// 502.
    #[error("Failed to fetch repositories from GitHub")]
    GitHub,
    /// 500.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// All repositories the caller can reach, most recently updated first.
pub async fn list(app: &App, user: &CurrentUser) -> Result<Vec<Choice>, ListError> {
    let token = github_token(app, user.id).await?.ok_or(ListError::SessionExpired)?;
    let repositories = app.github.user(&token).repositories().await.map_err(|error| match error {
        GitHubError::Unauthorized => ListError::SessionExpired,
        error => {
            tracing::warn!(%error, user = user.login, "listing repositories failed");
            ListError::GitHub
        }
    })?;
    let installations = app.store.active_installations_of(user.id).await?;
    let connected: HashMap<RepoId, &Installation> = installations.iter().map(|i| (i.repo.id, i)).collect();

    // The list shows GitHub's names, so the names it leads to have to work.
    let renamed: Vec<RepoRef> = repositories
        .iter()
        .filter(|repository| connected.get(&repository.repo.id).is_some_and(|i| is_renamed(&i.repo, &repository.repo)))
        .map(|repository| repository.repo.clone())
        .collect();
    app.store.note_names(&renamed).await?;

    let choice = |repository: Repository| Choice {
        installation: connected.get(&repository.repo.id).map(|installation| installation.id),
        repository,
    };
    Ok(repositories.into_iter().map(choice).collect())
}

/// Fills in whether the bot can review this repository, as of now if GitHub can be asked and as of last time if not. If it
/// can, and could not when it was to learn the repository, that is made up for.
pub async fn with_bot(app: &App, mut installation: Installation) -> Result<Installation, StoreError> {
    let known = installation.bot_can_review.map(|can_review| BotStanding {
        login: installation.bot_login.clone(),
        can_review,
        hint: installation.bot_hint.clone(),
    });
    let Some(now) = bot::standing(app, &installation.repo).await else { return Ok(installation) };
    if known.as_ref() != Some(&now) {
        app.store.note_bot(installation.id, &now).await?;
    }
    if now.can_review {
        let news = known.is_none_or(|known| !known.can_review);
        study::shown(app, installation.id, &installation.repo, news).await?;
    }
    installation.bot_login = now.login;
    installation.bot_can_review = Some(now.can_review);
    installation.bot_hint = now.hint;
    Ok(installation)
}

/// Whether GitHub spells the name of one and the same repository differently now, if only in case.
pub(super) fn is_renamed(known: &RepoRef, now: &RepoRef) -> bool {
    known.id == now.id && known.name.to_string() != now.name.to_string()
}
