//! Issues: what the graph says of them stays true.

use crate::{
    app::App,
    domain::{
        InstallationId,
        event::{IgnoreReason, IssueEvent},
        graph::IssueRef,
    },
    knowledge,
    store::outcome::{Failure, Outcome},
};

pub(super) async fn handle(app: &App, installation: InstallationId, event: IssueEvent) -> Result<Outcome, Failure> {
    if app.graph.is_none() {
        // It was accepted before the graph was switched off.
        return Ok(Outcome::ignored(IgnoreReason::EventNotUsed.code()));
    }
    let issue = IssueRef { repo: event.repo.id, number: event.number };
    match event.fact {
        Some(fact) => knowledge::issue(app, installation, &event.repo, fact).await?,
        None => knowledge::issue_gone(app, installation, &event.repo, issue).await?,
    }
    Ok(Outcome::completed("issue_updated"))
}
