//! Leaving: everything that is kept of a repository, or of a person, goes.
//!
//! What is to go is written down by the transaction that ends it, so that whoever asked may leave and the process may die:
//! [`reconcile`] goes on. Webhooks are removed if that can be done; one that is left delivers to nobody.

use std::time::Duration;

use chrono::TimeDelta;
use futures_util::{StreamExt, stream};
use tokio::time::timeout;

use super::{
    connect::{self, ConnectError},
    session::CurrentUser,
    study,
    token::github_token,
};
use crate::{
    app::App,
    domain::{RepoId, RepoName, UserId},
    store::{StoreError, erasure::Erasure},
};

/// Rows erased in one transaction.
const SLICE: u64 = 200;

/// How long an erasure stays open for what was on its way in when it began: a delivery that was proven before is stored
/// within seconds.
const STRAGGLERS: TimeDelta = TimeDelta::minutes(2);

/// Webhooks removed at a time.
const AT_A_TIME: usize = 8;

/// Longest time GitHub has to remove somebody's webhooks.
const PATIENCE: Duration = Duration::from_secs(60);

/// Disconnects a repository if it is connected, and erases what the caller's connections to it, past ones included, have
/// left here. Give it a task of its own: a caller who leaves should not stop it half way.
pub async fn purge(app: &App, user: &CurrentUser, name: &RepoName) -> Result<RepoName, ConnectError> {
    let repo = match connect::connected(app, user, name).await? {
        Some(installation) => {
            github_token(app, user.id).await?.ok_or(ConnectError::SessionExpired)?;
            installation.repo
        }
        None => {
            let past = app.store.installations_of(user.id).await?;
            let past = past.into_iter().find(|installation| installation.repo.name.key() == name.key());
            past.ok_or(ConnectError::NotFound)?.repo
        }
    };
    app.store.begin_erasure(user.id, repo.id).await?;
    tracing::info!(repo = %repo.name, user = user.login, "disconnected, and what was kept of it is erased");
    for erasure in app.store.erasures().await? {
        if erasure.user == user.id && erasure.repo == repo.id {
            remove_webhook(app, &erasure).await?;
            erase(app, &erasure).await?;
        }
    }
    Ok(repo.name)
}

/// Disconnects everything the caller has connected, and erases them and what was kept for them. Give it a task of its own.
pub async fn leave(app: &App, user: &CurrentUser) -> Result<(), StoreError> {
    app.store.begin_leaving(user.id).await?;
    finish_leaving(app, user.id).await?;
    for erasure in app.store.erasures().await? {
        if erasure.user == user.id {
            erase(app, &erasure).await?;
        }
    }
    Ok(())
}

/// Now and then: goes on with everything that is to go. Returns how many promises were kept.
pub async fn reconcile(app: &App) -> Result<usize, StoreError> {
    for user in app.store.leaving().await? {
        finish_leaving(app, user).await?;
    }
    let mut kept = 0;
    for erasure in app.store.erasures().await? {
        remove_webhook(app, &erasure).await?;
        kept += usize::from(erase(app, &erasure).await?);
    }
    Ok(kept)
}

/// Removes the webhooks while there is a token to do so, then forgets the person.
async fn finish_leaving(app: &App, user: UserId) -> Result<(), StoreError> {
    let mine: Vec<_> = app.store.erasures().await?.into_iter().filter(|erasure| erasure.user == user).collect();
    let removing = stream::iter(&mine).for_each_concurrent(AT_A_TIME, async |erasure| {
        if let Err(error) = remove_webhook(app, erasure).await {
            tracing::warn!(%error, installation = %erasure.installation, "a webhook may be left");
        }
    });
    if timeout(PATIENCE, removing).await.is_err() {
        tracing::warn!(%user, "GitHub took too long to remove webhooks, what they deliver is turned away");
    }
    app.store.forget_user(user).await?;
    tracing::info!(%user, "an account was deleted");
    Ok(())
}

/// Asks GitHub once; a webhook that has another owner by now is left alone.
async fn remove_webhook(app: &App, erasure: &Erasure) -> Result<(), StoreError> {
    let (id, Some(hook)) = (erasure.installation, erasure.hook) else { return Ok(()) };
    if let Some(installation) = app.store.installation(id).await?
        && let Some(token) = github_token(app, erasure.user).await?
    {
        let (repo, url) = (&installation.repo, installation.hook_url.as_deref().unwrap_or_default());
        if !app.store.hook_has_owner(id, repo.id, hook, url).await?
            && let Err(error) = app.github.user(&token).delete_hook(&repo.name, hook).await
        {
            tracing::warn!(%error, repo = %repo.name, %hook, "the webhook could not be removed");
        }
    }
    app.store.webhook_seen_to(id).await
}

/// Goes as far as is possible now. True when nothing is left.
async fn erase(app: &App, erasure: &Erasure) -> Result<bool, StoreError> {
    while app.store.erase_deliveries(erasure.installation, SLICE).await? > 0 {}
    let mut done = app.store.erase_rest(erasure).await?;
    if !app.store.is_connected(erasure.repo).await? {
        done &= erase_repository(app, erasure.repo).await?;
    }
    if !done || app.clock.now() - erasure.since < STRAGGLERS {
        return Ok(false);
    }
    app.store.end_erasure(erasure.installation).await?;
    tracing::info!(installation = %erasure.installation, "erased");
    Ok(true)
}

/// Nobody has it connected: what was concluded and learned of it goes. False if the code graph cannot be asked to.
async fn erase_repository(app: &App, repo: RepoId) -> Result<bool, StoreError> {
    while app.store.erase_reviews(repo, SLICE).await? > 0 {}
    let mut last = Some(0);
    while let Some(after) = last {
        last = app.store.erase_words(repo, after, SLICE).await?;
    }
    let Some(graph) = &app.graph else { return Ok(true) };
    let forgotten = async { graph.ready().await?.forget_repository(repo).await };
    if let Err(error) = forgotten.await {
        tracing::warn!(%error, %repo, "what the code graph knows of a repository is erased later");
        return Ok(false);
    }
    // Somebody connected it at this very moment, and what was learned first may have been swept away.
    for installation in app.store.active_installations_for(repo).await?.into_iter().take(1) {
        study::queue(app, installation.id, &installation.repo).await;
    }
    Ok(true)
}
