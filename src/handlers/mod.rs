//! What each event and task means: one piece of work in, one outcome out. Everything here is safe to run twice.

mod issue;
mod pull_request;
mod task;

use crate::{
    apart,
    app::App,
    domain::{InstallationId, event::Event, retry::Retry},
    store::{
        installations::InstallationState,
        outcome::{Failure, Outcome},
        work::{Claimed, Work},
    },
    webhook,
};

/// Runs one piece of work.
pub async fn handle(app: &App, claimed: Claimed) -> Result<Outcome, Failure> {
    match claimed.work {
        Work::Delivery { event, payload, .. } => {
            if !still_connected(app, claimed.installation).await? {
                return Ok(Outcome::ignored("disconnected"));
            }
            let event = apart::on(payload.size(), move || {
                let json = payload.unpack().map_err(|error| error.to_string())?;
                webhook::reread(&event, &json).map_err(|error| error.to_string())
            });
            let event = event.await.map_err(|error| Failure::Again { retry: Retry::Count, error })?;
            // No wildcard arm: a new event must be placed.
            match event {
                Event::PullRequest(event) => {
                    pull_request::handle(app, claimed.lease, claimed.installation, claimed.received_at, event).await
                }
                Event::Issue(event) => issue::handle(app, claimed.installation, event).await,
                Event::Ping(_) => Ok(Outcome::completed("pong")),
                Event::Ignored(ignored) => Ok(Outcome::ignored(ignored.reason.code())),
            }
        }
        Work::Task { id, kind, repo, number, payload } => {
            task::handle(
                app,
                claimed.lease,
                task::Task {
                    id,
                    installation: claimed.installation,
                    made_at: claimed.received_at,
                    kind,
                    repo,
                    number,
                    payload,
                },
            )
            .await
        }
    }
}

/// Work of a connection that has ended meanwhile is dropped; the operator's own has none and goes on.
async fn still_connected(app: &App, installation: InstallationId) -> Result<bool, Failure> {
    if installation == InstallationId::OPERATOR {
        return Ok(true);
    }
    let state = app.store.installation(installation).await?.map(|installation| installation.state);
    Ok(state.is_some_and(|state| state != InstallationState::Disconnected))
}
