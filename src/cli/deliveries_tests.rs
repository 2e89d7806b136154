//! The operator's view over a real inbox.

#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;
use crate::{
    domain::{Clock, Guid, InstallationId, PrNumber, RepoId, RepoName, RepoRef, event::IgnoreReason},
    inbox::NewDelivery,
};

struct Inbox {
    store: Store,
    url: String,
    _folder: tempfile::TempDir,
}

async fn inbox(deliveries: impl IntoIterator<Item = NewDelivery>) -> Inbox {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/nectr.db", folder.path().display());
    let store = Store::open(&url, Clock::system()).await.unwrap();
    store.migrate().await.unwrap();
    for delivery in deliveries {
        store.accept(&[delivery]).await.unwrap();
    }
    Inbox { store, url, _folder: folder }
}

/// A delivery nobody acts on; the number tells them apart.
fn ignored(number: i64) -> NewDelivery {
    NewDelivery {
        installation: InstallationId::OPERATOR,
        guid: Guid::parse(&format!("00000000-0000-0000-0000-{number:012}")).unwrap(),
        event: "issues".to_owned(),
        action: Some("opened\u{1b}[2J".to_owned()),
        repo: Some(RepoRef { id: RepoId(1), name: RepoName::parse("acme/api").unwrap() }),
        number: Some(PrNumber(number)),
        head: None,
        event_at: None,
        reviews: false,
        ignored: Some(IgnoreReason::EventNotUsed),
        headers: json!({"x-github-event": "issues"}),
        payload: b"{\"raw\": 1}\n".as_slice().into(),
    }
}

impl Inbox {
    async fn run(&self, line: &str) -> anyhow::Result<String> {
        let line = format!("nectr deliveries {line} --database-url {}", self.url);
        let cli = <super::super::Cli as clap::Parser>::try_parse_from(line.split(' ')).unwrap();
        let Some(super::super::Command::Deliveries(deliveries)) = cli.command else { panic!() };
        let mut out = Vec::new();
        deliveries.run(&mut out).await.map(|()| String::from_utf8(out).unwrap())
    }
}

#[tokio::test]
async fn the_list_works_beside_a_server_newest_first_and_harmless_to_a_terminal() {
    let inbox = inbox((1..=3).map(ignored)).await;
    let text = inbox.run("list --limit 2").await.unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[0].starts_with("ID  RECEIVED"));
    assert!(lines[1].starts_with("3 ") && lines[1].contains("ignored") && lines[1].ends_with("event_not_used"));
    assert!(lines[1].contains("issues.opened\\u{1b}[2J") && !text.contains('\u{1b}'));
    assert!(lines[2].starts_with("2 "));
}

#[tokio::test]
async fn the_list_can_be_narrowed_and_goes_past_one_page() {
    let inbox = inbox((1..=130).map(ignored)).await;
    assert_eq!(inbox.run("list --limit 1000").await.unwrap().lines().count(), 131);
    assert_eq!(
        inbox.run("list --pr 7 --repo ACME/api --event issues --status ignored").await.unwrap().lines().count(),
        2
    );
    assert_eq!(inbox.run("list --guid 00000000-0000-0000-0000-000000000009").await.unwrap().lines().count(), 2);
    assert_eq!(inbox.run("list --status dead").await.unwrap(), "no deliveries\n");
    assert_eq!(inbox.run("list --limit 0").await.unwrap(), "no deliveries\n");
}

#[tokio::test]
async fn one_delivery_is_shown_with_its_payload_on_request() {
    let inbox = inbox([ignored(1)]).await;
    let text = inbox.run("show 1").await.unwrap();
    for part in ["status        ignored", "outcome       event_not_used", "x-github-event: issues", "11 bytes"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert_eq!(inbox.run("show 1 --payload").await.unwrap(), "{\"raw\": 1}\n");
    assert_eq!(inbox.run("show 9").await.unwrap_err().to_string(), "there is no delivery 9");
}

#[tokio::test]
async fn what_was_refused_although_it_was_signed_is_listed_and_shown_as_it_came() {
    let inbox = inbox([]).await;
    assert_eq!(inbox.run("rejected").await.unwrap(), "no rejected deliveries\n");
    let headers = json!({"x-github-event": "pull_request", "x-github-delivery": "0b0b\u{1b}"});
    for body in [b"[1]\n".as_slice(), b"{\n"] {
        let reason = "the payload is not a JSON object";
        inbox.store.keep_rejected(InstallationId::OPERATOR, reason, &headers, body.into()).await.unwrap();
    }
    let text = inbox.run("rejected").await.unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("ID  RECEIVED") && lines[1].starts_with("2 ") && lines.len() == 3, "{text}");
    assert!(lines[1].contains("pull_request") && lines[1].ends_with("the payload is not a JSON object"), "{text}");
    assert!(!text.contains('\u{1b}'));
    assert_eq!(inbox.run("rejected --payload 1").await.unwrap(), "[1]\n");
    assert_eq!(inbox.run("rejected --payload 9").await.unwrap_err().to_string(), "there is no rejected delivery 9");
}

#[tokio::test]
async fn deliveries_are_queued_again_by_number_or_by_description() {
    let inbox = inbox((1..=3).map(ignored)).await;
    assert_eq!(inbox.run("redeliver 2 2").await.unwrap(), "2 queued\n");
    assert_eq!(inbox.run("redeliver 2").await.unwrap(), "2 is waiting or running already\n");
    assert_eq!(inbox.run("redeliver --status ignored").await.unwrap(), "1 queued\n3 queued\n");
    assert_eq!(inbox.run("redeliver --status ignored").await.unwrap(), "no deliveries\n");
    assert!(inbox.run("redeliver 2 99").await.unwrap_err().is::<Failed>());
    assert_eq!(inbox.store.delivery(DeliveryId(1)).await.unwrap().unwrap().row.status, Status::Queued);
}

#[tokio::test]
async fn running_everything_again_must_be_asked_for() {
    let inbox = inbox([ignored(1)]).await;
    assert!(inbox.run("redeliver").await.unwrap_err().is::<Usage>());
    assert!(inbox.run("redeliver 1 --status dead").await.unwrap_err().is::<Usage>());
}

#[tokio::test]
async fn an_older_schema_is_named_rather_than_tripped_over() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/nectr.db", folder.path().display());
    let store = Store::open(&url, Clock::system()).await.unwrap();
    let inbox = Inbox { store, url, _folder: folder };
    assert!(inbox.run("list").await.unwrap_err().to_string().contains("nectr migrate up"));
}
