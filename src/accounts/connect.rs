//! Connecting a repository: one call that ends with a verified webhook, or leaves nothing behind.
//!
//! The row comes before GitHub, and every way out of the middle is covered: a definite no removes the row, a doubtful
//! answer or a death leaves it for [`reconcile`], which removes whatever GitHub made of it, and it never blocks the
//! next try.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::timeout;

use super::{
    bot, first_reviews,
    hook::{self, Attempt, Trouble},
    session::CurrentUser,
    study,
    token::{github_token, secret_place},
};
use crate::{
    app::App,
    domain::{InstallationId, RepoName},
    github::{GitHubError, Hook},
    seal::random_hex,
    store::{
        StoreError,
        access::Heard,
        installations::{Installation, NewInstallation},
    },
};

/// Longest time GitHub has to give us a webhook, all requests together.
const PATIENCE: Duration = Duration::from_secs(60);

/// When a row still `connecting` belongs to nobody any more; well after [`PATIENCE`].
const OVERDUE: TimeDelta = TimeDelta::minutes(2);

/// Said when [`PATIENCE`] runs out.
const SLOW: &str = "GitHub took too long";

/// A connected repository.
#[derive(Debug, Clone)]
pub struct Connected {
    /// Our id.
    pub installation: InstallationId,
    /// GitHub's spelling.
    pub repo: RepoName,
}

/// Why connecting or disconnecting did not happen. The texts are the contract's.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// 400.
    #[error("Repo already connected")]
    AlreadyConnected,
    /// 401.
    #[error("Session expired — please log out and sign in again.")]
    SessionExpired,
    /// 502.
    #[error("Failed to install webhook: {0}")]
    Failed(String),
    /// 404 (disconnect).
    #[error("Installation not found")]
    NotFound,
    /// 500.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ConnectError {
    /// The connection was ended under our hands.
    pub(super) fn given_up() -> Self {
        Self::Failed("the connection was given up meanwhile, try again".to_owned())
    }
}

/// Connects `repo` for the caller. Give it a task of its own: a caller who leaves should not stop it half way (what is
/// then left is cleaned up by [`reconcile`], minutes later).
pub async fn connect(app: &App, user: &CurrentUser, repo: &RepoName) -> Result<Connected, ConnectError> {
    let token = github_token(app, user.id).await?.ok_or(ConnectError::SessionExpired)?;
    let repository = app.github.user(&token).repository(repo).await.map_err(|error| match error {
        GitHubError::NotFound { .. } => {
            ConnectError::Failed(format!("{repo} was not found on GitHub or you have no access to it"))
        }
        error => hook::why(error, repo),
    })?;
    let repo = repository.repo;
    if !repository.admin {
        return Err(ConnectError::Failed(format!("you need admin rights on {} to add a webhook", repo.name)));
    }

    let secret = SecretString::from(random_hex(32));
    let new = NewInstallation {
        user: user.id,
        repo: repo.clone(),
        secret: app.sealer.seal(secret_place(user.github_id, repo.id), secret.expose_secret()),
    };
    let id = app.store.begin_connecting(new, abandoned(app)).await?.ok_or(ConnectError::AlreadyConnected)?;

    let github = app.github.user(&token);
    let attempt = Attempt { app, github, installation: id, repo: &repo, secret: &secret };
    let (hook, bot) = tokio::join!(timeout(PATIENCE, attempt.install()), bot::standing(app, &repo));
    let hook = match hook.unwrap_or_else(|_| Err(Trouble::Doubtful(ConnectError::Failed(SLOW.to_owned())))) {
        Ok(hook) => hook,
        Err(trouble) => return Err(give_up(app, id, trouble).await),
    };
    match app.store.activate(id, repo.id, hook.id, &hook.url).await {
        Ok(true) => {}
        Ok(false) => {
            undo(&attempt, &hook).await;
            return Err(ConnectError::given_up());
        }
        Err(error) => return Err(give_up(app, id, error.into()).await),
    }
    tracing::info!(installation = %id, repo = %repo.name, user = user.login, "connected");

    let seen = (repo.id, Heard::Yes(repo.name.clone()));
    if let Err(error) = app.store.remember_answers(user.id, &[seen]).await {
        tracing::warn!(%error, "the answer to who may see the repository was not kept");
    }
    if let Some(bot) = &bot
        && let Err(error) = app.store.note_bot(id, bot).await
    {
        tracing::warn!(%error, installation = %id, "what is known of the bot was not kept");
    }
    study::queue(app, id, &repo).await;
    if bot.is_none_or(|bot| bot.can_review) {
        first_reviews::queue(app, id, &repo).await;
    }
    Ok(Connected { installation: id, repo: repo.name })
}

/// Ends a connection that came to nothing: without a trace if GitHub has none either.
async fn give_up(app: &App, id: InstallationId, trouble: Trouble) -> ConnectError {
    let (error, cleaned) = match trouble {
        Trouble::Clean(error) => (error, app.store.drop_connecting(id).await),
        Trouble::Doubtful(error) => (error, app.store.leave_connecting(id).await),
    };
    if let Err(error) = cleaned {
        tracing::warn!(%error, installation = %id, "a failed connection will be cleaned up later");
    }
    error
}

/// Takes a webhook back that no connection is going to have.
async fn undo(attempt: &Attempt<'_>, hook: &Hook) {
    let (id, repo) = (attempt.installation, attempt.repo);
    match attempt.app.store.hook_has_owner(id, repo.id, hook.id, &hook.url).await {
        Ok(true) => {}
        Ok(false) => {
            if let Err(error) = attempt.github.delete_hook(&repo.name, hook.id).await {
                tracing::warn!(%error, repo = %repo.name, hook = %hook.id, "a webhook without connection is left");
            }
        }
        Err(error) => tracing::warn!(%error, repo = %repo.name, hook = %hook.id, "a webhook may be left"),
    }
}

/// Disconnects it: the webhook goes if it can, the row stays. The row ends first: deliveries that still arrive are then
/// known and ignored, and a webhook nobody could remove is found again when the repository is next connected.
pub async fn disconnect(app: &App, user: &CurrentUser, repo: &RepoName) -> Result<RepoName, ConnectError> {
    let installation = connected(app, user, repo).await?.ok_or(ConnectError::NotFound)?;
    let token = github_token(app, user.id).await?.ok_or(ConnectError::SessionExpired)?;
    if !app.store.end_installation(installation.id).await? {
        return Err(ConnectError::NotFound);
    }
    let repo = installation.repo.name;
    tracing::info!(installation = %installation.id, repo = %repo, user = user.login, "disconnected");
    if let Some(hook) = installation.hook_id
        && let Err(error) = app.github.user(&token).delete_hook(&repo, hook).await
    {
        tracing::warn!(%error, repo = %repo, %hook, "the webhook could not be removed, its deliveries are ignored");
    }
    Ok(repo)
}

/// The caller's active installation of `repo`, by the name we know or by the one GitHub knows since.
pub(super) async fn connected(
    app: &App,
    user: &CurrentUser,
    repo: &RepoName,
) -> Result<Option<Installation>, ConnectError> {
    if let Some(installation) = app.store.active_installations_named(user.id, repo).await?.into_iter().next() {
        return Ok(Some(installation));
    }
    let mut installations = app.store.active_installations_of(user.id).await?;
    if installations.is_empty() {
        return Ok(None);
    }
    let Some(token) = github_token(app, user.id).await? else { return Ok(None) };
    let Ok(found) = app.github.user(&token).repository(repo).await else { return Ok(None) };
    installations.retain(|installation| installation.repo.id == found.repo.id);
    Ok(installations.pop().map(|installation| Installation { repo: found.repo, ..installation }))
}

/// At start, and now and then: ends every connection that was being made when its process died, so that no webhook of
/// ours is left without an installation. One GitHub cannot be asked about is left for the next time. Returns how many
/// rows it settled.
pub async fn reconcile(app: &App) -> Result<usize, StoreError> {
    let abandoned = abandoned(app);
    let mut settled = 0;
    for left in app.store.left_connecting(abandoned).await? {
        if !app.store.take_left(left.id, abandoned).await? {
            continue;
        }
        match clean_up(app, &left).await {
            Ok(()) => {
                app.store.drop_connecting(left.id).await?;
                settled += 1;
            }
            Err(reason) => {
                tracing::warn!(reason, installation = %left.id, repo = %left.repo.name, "a connection left behind stays for now");
                app.store.leave_connecting(left.id).await?;
            }
        }
    }
    Ok(settled)
}

/// Removes what GitHub may have been told for a connection that was left behind.
async fn clean_up(app: &App, left: &Installation) -> Result<(), String> {
    let Some(url) = &left.hook_url else { return Ok(()) };
    let token = match github_token(app, left.user).await {
        Ok(Some(token)) => token,
        Ok(None) => return Err("its user has to sign in again".to_owned()),
        Err(error) => return Err(error.to_string()),
    };
    let github = app.github.user(&token);
    let hooks = match github.hooks(&left.repo.name).await {
        Ok(hooks) => hooks,
        Err(error) => return unless_out_of_reach(error),
    };
    for hook in hooks.iter().filter(|hook| hook.url == *url || Some(hook.id) == left.hook_id) {
        let owned = app.store.hook_has_owner(left.id, left.repo.id, hook.id, &hook.url).await;
        if owned.map_err(|error| error.to_string())? {
            continue;
        }
        if let Err(error) = github.delete_hook(&left.repo.name, hook.id).await {
            unless_out_of_reach(error)?;
        }
    }
    Ok(())
}

/// A repository that is gone, or where the user may no longer manage webhooks, will not be cleaned up later either.
fn unless_out_of_reach(error: GitHubError) -> Result<(), String> {
    match error {
        GitHubError::NotFound { .. } | GitHubError::Forbidden { .. } => Ok(()),
        error => Err(error.to_string()),
    }
}

/// Connections begun at this time or before are not being made any more: they had [`PATIENCE`], or, where no other
/// process shares the database, were begun before this process was.
fn abandoned(app: &App) -> DateTime<Utc> {
    let now = app.clock.now();
    let overdue = now - OVERDUE;
    if app.store.is_shared() { overdue } else { overdue.max(now - app.started.elapsed()) }
}
