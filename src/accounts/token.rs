//! The GitHub token of somebody who signed in, and where sealed secrets belong.

use secrecy::SecretString;

use crate::{
    app::App,
    domain::{RepoId, UserId},
    seal::Place,
    store::StoreError,
};

/// The token of the user's last sign-in. None when it cannot be opened any more: they have to sign in again.
pub async fn github_token(app: &App, user: UserId) -> Result<Option<SecretString>, StoreError> {
    let Some(user) = app.store.user(user).await? else { return Ok(None) };
    let opened = app.sealer.open(token_place(user.github_id), &user.token);
    if opened.is_err() {
        tracing::warn!(user = user.login, "the GitHub token cannot be opened with the present SECRET_KEY");
    }
    Ok(opened.ok())
}

/// Where a user's GitHub token is kept.
pub(super) fn token_place(github_user: i64) -> Place {
    Place { table: "users", column: "token", github_user, repo: None }
}

/// Where a webhook's secret is kept.
pub(super) fn secret_place(github_user: i64, repo: RepoId) -> Place {
    Place { table: "installations", column: "secret", github_user, repo: Some(repo) }
}
