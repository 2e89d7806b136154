//! How a webhook does at GitHub, what was caught up with, repairing one that does not deliver any more, and giving one
//! another secret.

use poem::web::Data;
use poem_openapi::{Enum, Object, OpenApi, param::Path, payload::Json, types::Example};
use tracing::Instrument;

use super::{
    Tag,
    error::{Problem, fails},
    params::Name,
    repos::connected,
    security::Caller,
    time::Time,
};
use crate::{
    accounts::{
        rotation,
        webhook::{self, Repair},
    },
    app::Handle,
    store::installations::{CatchUp as Caught, HookState},
};

/// How a webhook is at GitHub: it delivers to us, was deleted, is switched off, delivers elsewhere, is not answered well, or
/// GitHub did not say.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename_all = "snake_case", remote = "HookState")]
pub(super) enum WebhookState {
    Ok,
    Missing,
    Inactive,
    Repointed,
    Failing,
    Unknown,
}

/// The last round of catching up.
#[derive(Debug, Object)]
pub(super) struct CatchUp {
    /// When it ended.
    at: Option<Time>,
    /// Deliveries that GitHub was asked for again.
    redelivered: i64,
    /// Pull requests that were looked at because a delivery may have been lost.
    looked_at: i64,
    /// What stands in its way.
    error: Option<String>,
}

/// What became of a repair.
#[derive(Debug, Object)]
#[oai(example)]
struct Repaired {
    /// Whether there was something to repair.
    status: RepairStatus,
    /// GitHub's spelling.
    repo: String,
}

/// Whether there was something to repair.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename_all = "snake_case", remote = "Repair")]
enum RepairStatus {
    Repaired,
    #[oai(rename = "ok")]
    NotNeeded,
}

fails! {
    /// Repairing a webhook.
    RepairFails {
        401 "Unauthorized" | "Session expired — please log out and sign in again.";
        404 "Repo not connected";
        422 "This cannot be a repository's name";
        502 "Failed to repair webhook: {reason}";
    }
}

/// A webhook's secret, rotated.
#[derive(Debug, Object)]
#[oai(example)]
struct SecretRotated {
    /// Always `rotated`.
    status: String,
    /// GitHub's spelling.
    repo: String,
    /// Until when deliveries are accepted that were signed with the old one.
    old_secret_until: Time,
}

fails! {
    /// Rotating a webhook's secret.
    RotateFails {
        401 "Unauthorized" | "Session expired — please log out and sign in again.";
        404 "Repo not connected";
        409 "The webhook's secret is being rotated right now";
        422 "This cannot be a repository's name";
        502 "Failed to rotate webhook secret: {reason}";
    }
}

/// The health of webhooks.
pub(super) struct WebhookHealthApi;

#[OpenApi(prefix_path = "/api/v1/repos", tag = "Tag::Repositories")]
impl WebhookHealthApi {
    /// Repair a repository's webhook.
    ///
    /// One that was deleted is made again; one that was switched off, repointed or given another secret is set right, with
    /// the caller's own GitHub account. What was missed meanwhile is caught up with.
    #[oai(path = "/:owner/:repo/repair", method = "post", operation_id = "repair_webhook")]
    async fn repair(
        &self,
        Caller(user): Caller,
        Data(app): Data<&Handle>,
        owner: Path<Name>,
        repo: Path<Name>,
    ) -> Result<Json<Repaired>, RepairFails> {
        let installation = connected(app, &user, &owner, &repo).await?;
        let (app, repo) = (app.clone(), installation.repo.name.to_string());
        // A caller who leaves must not stop it half way.
        let repairing = async move { webhook::repair(&app, &user, &installation).await };
        let repair = tokio::spawn(repairing.in_current_span()).await.map_err(Problem::internal)??;
        Ok(Json(Repaired { status: repair.into(), repo }))
    }

    /// Rotate the secret of a repository's webhook.
    ///
    /// GitHub is given a new one with the caller's own account. No delivery is turned away meanwhile: the old one is accepted
    /// for another 24 hours.
    #[oai(path = "/:owner/:repo/rotate-secret", method = "post", operation_id = "rotate_webhook_secret")]
    async fn rotate(
        &self,
        Caller(user): Caller,
        Data(app): Data<&Handle>,
        owner: Path<Name>,
        repo: Path<Name>,
    ) -> Result<Json<SecretRotated>, RotateFails> {
        let installation = connected(app, &user, &owner, &repo).await?;
        let (app, repo) = (app.clone(), installation.repo.name.to_string());
        // A caller who leaves must not stop it half way.
        let rotating = async move { rotation::rotate(&app, &user, &installation).await };
        let until = tokio::spawn(rotating.in_current_span()).await.map_err(Problem::internal)??;
        Ok(Json(SecretRotated { status: "rotated".to_owned(), repo, old_secret_until: until.into() }))
    }
}

impl From<Caught> for CatchUp {
    fn from(caught: Caught) -> Self {
        Self {
            at: caught.at.map(Time::from),
            redelivered: caught.redelivered,
            looked_at: caught.looked_at,
            error: caught.error,
        }
    }
}

impl Example for CatchUp {
    fn example() -> Self {
        Self { at: Some(Time::example()), redelivered: 0, looked_at: 0, error: None }
    }
}

impl Example for Repaired {
    fn example() -> Self {
        Self { status: RepairStatus::Repaired, repo: "acme/my-backend".to_owned() }
    }
}

impl Example for SecretRotated {
    fn example() -> Self {
        Self { status: "rotated".to_owned(), repo: "acme/my-backend".to_owned(), old_secret_until: Time::example() }
    }
}
