//! What time brings: what was being done on GitHub when a process died, deliveries that never came, repositories that nobody
//! learned yet, secrets whose key has changed, and rows whose time is over.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{
    accounts::{self, reseal::Round},
    app::Handle,
};

/// How often the house is swept.
const EVERY: Duration = Duration::from_secs(60);

/// Rows deleted in one transaction.
const SLICE: u64 = 200;

/// Sweeps at start and then every minute, until `shutdown`.
pub async fn run(app: Handle, shutdown: CancellationToken) {
    loop {
        once(&app).await;
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// One round. What fails is logged and tried in the next.
#[tracing::instrument(name = "sweep", skip_all)]
pub async fn once(app: &Handle) {
    match accounts::connect::reconcile(app).await {
        Ok(0) => {}
        Ok(settled) => tracing::info!(settled, "settled connections that were interrupted"),
        Err(error) => tracing::warn!(%error, "cannot settle interrupted connections"),
    }
    match accounts::rotation::reconcile(app).await {
        Ok(0) => {}
        Ok(ended) => tracing::info!(ended, "ended rotations of webhook secrets that were interrupted"),
        Err(error) => tracing::warn!(%error, "cannot end interrupted rotations of webhook secrets"),
    }
    match accounts::catch_up::schedule(app).await {
        Ok(connections) => tracing::debug!(connections, "catching up"),
        Err(error) => tracing::warn!(%error, "cannot tell who has to catch up"),
    }
    match accounts::study::catch_up(app).await {
        Ok(0) => {}
        Ok(asked) => tracing::info!(asked, "repositories are learned that were connected before"),
        Err(error) => tracing::warn!(%error, "cannot look for repositories that were never learned"),
    }
    match accounts::reseal::round(app).await {
        Ok(Round { resealed: 0, .. }) => {}
        Ok(Round { resealed, left: 0 }) => tracing::info!(
            resealed,
            "every stored secret is sealed with SECRET_KEY: SECRET_KEY_PREVIOUS is needed only for tokens from before"
        ),
        Ok(Round { resealed, left }) => {
            tracing::info!(resealed, left, "stored secrets are sealed with SECRET_KEY anew")
        }
        Err(error) => tracing::warn!(%error, "cannot seal stored secrets with SECRET_KEY anew"),
    }
    match accounts::erase::reconcile(app).await {
        Ok(0) => {}
        Ok(erased) => tracing::info!(erased, "nothing is kept any more of what was to be erased"),
        Err(error) => tracing::warn!(%error, "cannot erase what is to be erased"),
    }
    if let Err(error) = app.store.drop_former_secrets().await {
        tracing::warn!(%error, "cannot forget former webhook secrets");
    }
    if let Err(error) = app.store.prune_rest(app.config.retention_days).await {
        tracing::warn!(%error, "cannot prune sessions and tasks");
    }
    loop {
        match app.store.prune_deliveries(app.config.retention_days, SLICE).await {
            Ok(0) => break,
            Ok(pruned) => tracing::info!(pruned, "deliveries past their retention deleted"),
            Err(error) => {
                tracing::warn!(%error, "cannot prune deliveries");
                break;
            }
        }
    }
}
