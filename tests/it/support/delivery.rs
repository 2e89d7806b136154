//! Deliveries as the database is given them, for stories that begin behind the receiver.

use bytes::Bytes;
use nectr::{
    domain::{Guid, InstallationId, PrNumber, RepoId, RepoName, RepoRef},
    store::intake::NewDelivery,
};

/// The repository these are about.
pub fn repo() -> RepoRef {
    RepoRef { id: RepoId(7), name: RepoName::parse("acme/shop").unwrap() }
}

/// The one delivery that says that this pull request was opened.
pub fn opened(pull: i64) -> NewDelivery {
    NewDelivery {
        installation: InstallationId(1),
        guid: Guid::parse(&format!("00000000-0000-4000-8000-{pull:012x}")).unwrap(),
        event: "pull_request".into(),
        action: Some("opened".into()),
        repo: Some(repo()),
        number: Some(PrNumber(pull)),
        head: None,
        event_at: None,
        reviews: true,
        ignored: None,
        headers: serde_json::json!({}),
        payload: Bytes::from_static(b"{}"),
    }
}
