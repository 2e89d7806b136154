//! The client against a server that records every request.

#![allow(clippy::unwrap_used)]

mod bot;
mod knowledge;
mod record;
mod requests;
mod sign_in;
mod tree;
mod user;

use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Value, json};

use super::{
    GitHub, GitHubError, GitHubOptions,
    fake::{BOT, Fake, Gate, Reply, Seen},
};
use crate::{
    domain::{Clock, CommitSha, PrNumber, RepoId, RepoName, RepoRef},
    sandbox::Sandbox,
};

const SHA: &str = "1111111111111111111111111111111111111111";

fn repo() -> RepoName {
    RepoName::new("acme", "api").unwrap()
}

const NUMBER: PrNumber = PrNumber(7);

/// A server that gives every request the same answer.
async fn always(status: u16, body: Value) -> Fake {
    Fake::start(move |_| Reply::status(status, body.clone())).await
}

/// A whole GitHub, a client of it that may only read, and its repository `acme/api`.
async fn sandbox(describe: impl FnOnce(&Sandbox)) -> (Sandbox, GitHub, RepoRef) {
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.bot("nectr-bot");
    sandbox.repo("acme/api").private().write("nectr-bot");
    describe(&sandbox);
    let github = GitHub::new(GitHubOptions {
        api_url: sandbox.api_url().parse().unwrap(),
        server_url: sandbox.server_url().parse().unwrap(),
        oauth: None,
        pat: Some(sandbox.token_of("nectr-bot").into()),
        ask_gh: false,
        gate: std::sync::Arc::new(Gate(Err("a read asked whether it may write"))),
        clock: Clock::system(),
    });
    let id = RepoId(sandbox.repo_id("acme/api"));
    (sandbox, github.unwrap(), RepoRef { id, name: repo() })
}

/// Sent by GitHub for a repository.
fn repo_json(id: i64) -> Value {
    json!({
        "id": id, "full_name": "acme/api", "description": null, "private": true,
        "html_url": "https://github.com/acme/api", "updated_at": null,
        "permissions": {"admin": false, "maintain": false, "push": true, "triage": true, "pull": true},
    })
}

/// Sent by GitHub for a pull request, everything null that may be.
fn pull_json() -> Value {
    json!({
        "number": 7, "title": "Add a door", "body": null, "html_url": "https://github.com/acme/api/pull/7",
        "state": "open", "merged": false, "merged_at": null, "draft": true, "user": null,
        "head": {"sha": SHA, "ref": "door", "label": null, "user": null, "repo": null},
        "base": {"sha": SHA, "ref": "main", "repo": {"id": 5, "full_name": "Acme/API"}},
        "changed_files": 2, "additions": 10, "deletions": 1, "updated_at": "2026-01-01T00:00:00Z",
    })
}

/// Sent by GitHub for a review.
fn review_json(id: i64, state: &str) -> Value {
    json!({
        "id": id, "user": {"login": "nectr-bot", "id": 1}, "body": "hello", "state": state,
        "html_url": format!("https://github.com/acme/api/pull/7#pullrequestreview-{id}"), "commit_id": SHA,
    })
}
