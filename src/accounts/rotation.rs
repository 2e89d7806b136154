//! Giving a webhook another secret without turning one delivery away.
//!
//! The new secret is on disk before GitHub hears of it, and both count until GitHub has it; the old one then counts for
//! [`GRACE`] longer. A rotation that died on the way is taken up again: telling GitHub the same secret twice does no harm,
//! and as long as nobody knows whether it was told, both stay.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;
use tokio::time::timeout;

use super::{
    hook::is_doubtful,
    session::CurrentUser,
    token::{github_token, secret_place},
};
use crate::{
    app::App,
    domain::RepoName,
    github::GitHubError,
    seal::random_hex,
    store::{
        StoreError,
        installations::{Installation, Rotation},
    },
};

/// How long a secret counts after GitHub was given the next one. GitHub signs when it sends, and what it sends can be held
/// up, by itself or by a queue in front of us, but not for a day. Whoever has learned the old secret can make nectr look at
/// a pull request until then, and nothing more: a delivery is only a hint, and the truth is fetched.
pub const GRACE: TimeDelta = TimeDelta::hours(24);

/// Longest time GitHub has to take the new secret, second try included.
const PATIENCE: Duration = Duration::from_secs(60);

/// When a rotation belongs to nobody any more; well after [`PATIENCE`].
const OVERDUE: TimeDelta = TimeDelta::minutes(2);

/// Why a secret was not rotated. The old one works in every case.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// 401.
    #[error("Session expired — please log out and sign in again.")]
    SessionExpired,
    /// 409.
    #[error("The webhook's secret is being rotated right now")]
    Busy,
    /// 502.
    #[error("Failed to rotate webhook secret: {0}")]
    Failed(String),
    /// 500.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Gives the caller's webhook a new secret. Returns until when the old one counts. Give it a task of its own: a caller who
/// leaves should not stop it half way (what is then left is taken up by [`reconcile`], minutes later).
pub async fn rotate(app: &App, user: &CurrentUser, installation: &Installation) -> Result<DateTime<Utc>, RotateError> {
    let token = github_token(app, user.id).await?.ok_or(RotateError::SessionExpired)?;
    let place = secret_place(user.github_id, installation.repo.id);
    let secret = app.sealer.seal(place, &random_hex(32));
    let new = Rotation { id: random_hex(8), secret };
    let begun = app.store.begin_rotation(installation.id, &new, abandoned(app)).await?;
    let rotation = begun.ok_or(RotateError::Busy)?;
    let rotating = Rotating { app, installation, github_user: user.github_id, rotation: &rotation };
    match rotating.finish(&token).await {
        Ok(until) => Ok(until),
        Err(Trouble { why, told: false }) if rotation.id == new.id => {
            app.store.drop_rotation(installation.id, &rotation.id).await?;
            Err(why)
        }
        Err(Trouble { why, .. }) => {
            app.store.leave_rotation(installation.id, &rotation.id).await?;
            Err(why)
        }
    }
}

/// Now and then: ends every rotation whose process died, or whose answer from GitHub was lost. Returns how many.
pub async fn reconcile(app: &App) -> Result<usize, StoreError> {
    let abandoned = abandoned(app);
    let mut ended = 0;
    for left in app.store.left_rotations(abandoned).await? {
        let (installation, github_user) = (&left.installation, left.github_user);
        let Some(token) = github_token(app, installation.user).await? else { continue };
        let Some(rotation) = app.store.take_rotation(installation.id, abandoned).await? else { continue };
        let rotating = Rotating { app, installation, github_user, rotation: &rotation };
        match rotating.finish(&token).await {
            Ok(_) => ended += 1,
            Err(Trouble { why: RotateError::Store(error), .. }) => return Err(error),
            // Both secrets count for as long as it takes, and `webhook` in the repository's state says what is wrong.
            Err(Trouble { why, .. }) => {
                tracing::debug!(%why, installation = %installation.id, repo = %installation.repo.name, "a rotation stays open");
            }
        }
    }
    Ok(ended)
}

/// One rotation.
struct Rotating<'a> {
    app: &'a App,
    installation: &'a Installation,
    github_user: i64,
    rotation: &'a Rotation,
}

/// Why a rotation did not end.
struct Trouble {
    why: RotateError,
    /// Whether GitHub may have been told this time.
    told: bool,
}

impl Rotating<'_> {
    /// Returns until when the old secret counts.
    async fn finish(&self, token: &SecretString) -> Result<DateTime<Utc>, Trouble> {
        let (app, id, repo) = (self.app, self.installation.id, &self.installation.repo.name);
        let slow = || Trouble { why: RotateError::Failed("GitHub took too long".to_owned()), told: true };
        timeout(PATIENCE, self.tell(token)).await.map_err(|_| slow())??;
        let until = app.clock.now() + GRACE;
        let finished = app.store.finish_rotation(id, &self.rotation.id, until).await;
        if finished.map_err(|error| Trouble { why: error.into(), told: true })? {
            tracing::info!(installation = %id, %repo, "the webhook has a new secret");
        }
        Ok(until)
    }

    /// Saying the same again does no harm, so one lost answer is no reason to give up.
    async fn tell(&self, token: &SecretString) -> Result<(), Trouble> {
        let (user, repo) = (self.app.github.user(token), &self.installation.repo);
        let failed = |why: &str| Trouble { why: RotateError::Failed(why.to_owned()), told: false };
        let (Some(hook), Some(url)) = (self.installation.hook_id, &self.installation.hook_url) else {
            return Err(failed("the repository has no webhook: repair it"));
        };
        let place = secret_place(self.github_user, repo.id);
        let secret = self.app.sealer.open(place, &self.rotation.secret).map_err(|error| failed(&error.to_string()))?;
        let update = || user.update_hook(&repo.name, hook, url, &secret);
        let (answer, told) = match update().await {
            Err(error) if is_doubtful(&error) => (update().await, true),
            answer => (answer, false),
        };
        answer.map(drop).map_err(|error| Trouble { told: told || is_doubtful(&error), why: why(error, &repo.name) })
    }
}

/// What somebody who wanted a new secret can do about GitHub's answer.
fn why(error: GitHubError, repo: &RepoName) -> RotateError {
    RotateError::Failed(match error {
        GitHubError::Unauthorized => return RotateError::SessionExpired,
        // GitHub hides webhooks from those who may not manage them.
        GitHubError::NotFound { .. } => format!("{repo} has no webhook that you may manage: repair it first"),
        GitHubError::Forbidden { message } | GitHubError::Rejected { message, .. } => message,
        error if is_doubtful(&error) => {
            "GitHub did not answer; both secrets are accepted, and it is tried again in a minute".to_owned()
        }
        error => error.to_string(),
    })
}

/// Rotations begun at this time or before have nobody any more: they had [`PATIENCE`], or, where no other process shares
/// the database, were begun before this process was.
fn abandoned(app: &App) -> DateTime<Utc> {
    let now = app.clock.now();
    let overdue = now - OVERDUE;
    if app.store.is_shared() { overdue } else { overdue.max(now - app.started.elapsed()) }
}
