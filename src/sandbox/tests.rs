//! The sandbox is itself held to what GitHub does.
#![allow(clippy::unwrap_used)]

mod anchors;
mod faults;
mod graphql;
mod issues;
mod patches;
mod reads;
mod reviews;
mod sign_in;
mod trees;
mod webhooks;

use serde_json::{Value, json};

use super::{Pr, Sandbox, http};

/// A private repository, its administrator, its bot, and one pull request by somebody else.
struct Acme {
    github: Sandbox,
    pr: Pr,
}

impl Acme {
    async fn new() -> Self {
        let github = Sandbox::start().await.unwrap();
        github.user("octavia");
        github.bot("nectr-bot");
        github.user("sam");
        github.repo("acme/shop").private().admin("octavia").write("nectr-bot").read("sam");
        let old: String = (1..=30).map(|n| format!("line {n}\n")).collect();
        let new = old.replace("line 3\n", "line three\n").replace("line 25\n", "");
        let pr = github.open_pull("acme/shop", |pr| pr.title("Count in words").modifies("src/lib.rs", &old, &new));
        Self { github, pr }
    }

    /// A well-made request with `login`'s token.
    fn ask(&self, login: &str, method: &str, path: &str) -> http::Request {
        http::Request::new(method.parse().unwrap(), format!("{}{path}", self.github.api_url()))
            .header("user-agent", "tests")
            .header("accept", "application/vnd.github+json")
            .header("x-github-api-version", "2022-11-28")
            .bearer(&self.github.token_of(login))
    }

    async fn get(&self, login: &str, path: &str) -> http::Response {
        self.ask(login, "GET", path).send().await.unwrap()
    }

    async fn post(&self, login: &str, path: &str, body: Value) -> http::Response {
        self.ask(login, "POST", path).json(&body).send().await.unwrap()
    }

    /// The path of the pull request and what follows.
    fn pull(&self, rest: &str) -> String {
        format!("/repos/acme/shop/pulls/{}{rest}", self.pr.number)
    }

    /// Posts a pending review by the bot.
    async fn review(&self, comments: Value) -> http::Response {
        let body = json!({"body": "hm", "commit_id": self.github.head_of(self.pr), "comments": comments});
        self.post("nectr-bot", &self.pull("/reviews"), body).await
    }
}
