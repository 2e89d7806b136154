//! What the bot does: reads changes, posts reviews and comments.
//!
//! Everything that puts words on GitHub passes the shared write limiter first; a token GitHub refused is looked for
//! again at the next call.

use std::time::Instant;

use chrono::DateTime;
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{
    Account, GitHubError, Inner, Issue, NewComment, PostedReview, PullSummary, Quota, Repository, Standing,
    answer::Answer,
    call::{Call, escape},
    client::PER_PAGE,
    files,
    graphql::Told,
    limits::{Budget, TokenKey},
    wire,
};
use crate::domain::{
    CommitSha, PrNumber, RepoName,
    pull_request::{ChangedFile, PullRequest},
    review::ReviewEvent,
};

/// Calls made with the bot's token.
pub struct Bot<'a> {
    inner: &'a Inner,
}

impl<'a> Bot<'a> {
    pub(super) fn new(inner: &'a Inner) -> Self {
        Self { inner }
    }

    /// Who the bot is. Asked once per token.
    pub async fn account(&self) -> Result<Account, GitHubError> {
        let (token, wanted) = (TokenKey::of(&self.inner.bot_token.get().await?), Instant::now());
        let mut asked = self.inner.bot_account.lock().await;
        match &*asked {
            AskedAccount::Known(of, account) if *of == token => return Ok(account.clone()),
            // Whoever waited for the answer has it too: asking one after the other would take each of them longer.
            AskedAccount::Unavailable(of, at, why) if *of == token && *at >= wanted => {
                return Err(GitHubError::Unavailable(why.clone().into()));
            }
            _ => {}
        }
        let answer = self.call(Call::get("/user".to_owned(), "the bot's account")).await;
        match answer.and_then(|answer| answer.json::<wire::User>()) {
            Ok(user) => {
                let account = Account::from(user);
                *asked = AskedAccount::Known(token, account.clone());
                Ok(account)
            }
            Err(error) => {
                if let GitHubError::Unavailable(why) = &error {
                    *asked = AskedAccount::Unavailable(token, Instant::now(), why.to_string());
                }
                Err(error)
            }
        }
    }

    /// What GitHub says of the bot's token, asked anew.
    pub async fn standing(&self) -> Result<Standing, GitHubError> {
        let answer = self.call(Call::get("/user".to_owned(), "the bot's account")).await?;
        let text = |name: &str| answer.headers.get(name)?.to_str().ok().map(str::trim);
        let number = |name: &str| text(name)?.parse::<i64>().ok();
        let quota = || {
            let (limit, remaining) = (number("x-ratelimit-limit")?, number("x-ratelimit-remaining")?);
            Some(Quota { limit, remaining, reset: DateTime::from_timestamp(number("x-ratelimit-reset")?, 0)? })
        };
        let list =
            |scopes: &str| scopes.split(',').map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect();
        Ok(Standing {
            account: answer.json::<wire::User>()?.into(),
            scopes: text("x-oauth-scopes").map(list),
            quota: quota(),
            clock: text("date").and_then(|date| Some(DateTime::parse_from_rfc2822(date).ok()?.to_utc())),
        })
    }

    /// The repository, as the bot sees it. Conditional (ETag) when it was read before.
    pub async fn repository(&self, repo: &RepoName) -> Result<Repository, GitHubError> {
        let call = Call::get(format!("/repos/{repo}"), repo.to_string()).conditional();
        self.call(call).await?.json::<wire::Repo>()?.try_into()
    }

    /// One pull request. Conditional (ETag) when it was read before.
    pub async fn pull(&self, repo: &RepoName, number: PrNumber) -> Result<PullRequest, GitHubError> {
        let call = Call::get(pull_path(repo, number), format!("{repo}#{number}")).conditional();
        self.call(call).await?.json::<wire::Pull>()?.try_into()
    }

    /// Its files, every page (at most 3,000 files, GitHub's limit). A page whose rows look truncated is asked for again in
    /// smaller pages. May be fewer than `changed_files`: the caller compares.
    pub async fn files(&self, repo: &RepoName, number: PrNumber) -> Result<Vec<ChangedFile>, GitHubError> {
        files::list(self, repo, number).await
    }

    /// Its unified diff, at most `limit` bytes. [`GitHubError::Rejected`] with 406 when GitHub finds it too large,
    /// [`GitHubError::Protocol`] when it is longer than `limit`. Bytes that are no UTF-8 are replaced.
    pub async fn diff(&self, repo: &RepoName, number: PrNumber, limit: usize) -> Result<String, GitHubError> {
        let call = Call::get(pull_path(repo, number), format!("{repo}#{number}"));
        let answer = self.call(call.accept("application/vnd.github.diff").limit(limit)).await?;
        Ok(String::from_utf8_lossy(&answer.body).into_owned())
    }

    /// The open pull requests, most recently updated first, at most `limit` (100 at most).
    pub async fn open_pulls(&self, repo: &RepoName, limit: u8) -> Result<Vec<PullSummary>, GitHubError> {
        let limit = usize::from(limit).min(PER_PAGE);
        if limit == 0 {
            return Ok(Vec::new());
        }
        let path = format!("/repos/{repo}/pulls?state=open&sort=updated&direction=desc&per_page={limit}");
        let rows: Vec<wire::ListedPull> = self.call(Call::get(path, repo.to_string())).await?.json()?;
        Ok(rows.into_iter().take(limit).map(PullSummary::from).collect())
    }

    /// A file's bytes at a commit, branch or tag.
    pub async fn contents(&self, repo: &RepoName, path: &str, at: &str) -> Result<Vec<u8>, GitHubError> {
        let what = format!("{path} of {repo} at {at}");
        // No path in git has such segments; in a URL they would mean another file.
        if path.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
            return Err(GitHubError::NotFound { what });
        }
        let escaped = path.split('/').map(escape).collect::<Vec<_>>().join("/");
        let call = Call::get(format!("/repos/{repo}/contents/{escaped}?ref={}", escape(at)), what);
        Ok(self.call(call.accept("application/vnd.github.raw+json")).await?.body.into())
    }

    /// An issue's title and state.
    pub async fn issue(&self, repo: &RepoName, number: i64) -> Result<Issue, GitHubError> {
        let call = Call::get(format!("/repos/{repo}/issues/{number}"), format!("{repo}#{number}"));
        Ok(self.call(call).await?.json::<wire::IssueItem>()?.into())
    }

    /// All reviews of a pull request, our own pending one included.
    pub async fn reviews(&self, repo: &RepoName, number: PrNumber) -> Result<Vec<PostedReview>, GitHubError> {
        let token = self.inner.bot_token.get().await?;
        let call = |page| {
            let path = format!("{}/reviews?per_page={PER_PAGE}&page={page}", pull_path(repo, number));
            Call::get(path, format!("{repo}#{number}")).by_bot()
        };
        let rows: Result<Vec<wire::Review>, _> = self.inner.client.pages(&token, call).await;
        Ok(self.noting(&token, rows).await?.into_iter().map(PostedReview::from).collect())
    }

    /// One review.
    pub async fn review(&self, repo: &RepoName, number: PrNumber, id: i64) -> Result<PostedReview, GitHubError> {
        let call = Call::get(review_path(repo, number, id), review_name(repo, number, id));
        Ok(self.call(call).await?.json::<wire::Review>()?.into())
    }

    /// Creates a review that only the bot sees until it is submitted. GitHub allows one per pull request and account.
    pub async fn create_pending_review(
        &self,
        repo: &RepoName,
        number: PrNumber,
        commit: &CommitSha,
        body: &str,
        comments: &[NewComment],
    ) -> Result<PostedReview, GitHubError> {
        let comments: Vec<Value> = comments.iter().map(comment_json).collect();
        // No `event`: that is what makes it pending.
        let review = json!({ "commit_id": commit, "body": body, "comments": comments });
        let call = Call::post(format!("{}/reviews", pull_path(repo, number)), format!("{repo}#{number}"), &review);
        Ok(self.write(call).await?.json::<wire::Review>()?.into())
    }

    /// Waits for the next turn to write to GitHub.
    pub async fn turn(&self) -> Result<Turn, GitHubError> {
        // A token on hold must not use up a place.
        self.inner.client.admit(&self.inner.bot_token.get().await?, Budget::Rest)?;
        match self.inner.gate.admit().await {
            Ok(None) => Ok(Turn(())),
            Ok(Some(retry_after)) => Err(GitHubError::RateLimited { retry_after }),
            Err(error) => {
                tracing::warn!(%error, "whose turn it is to write to GitHub could not be asked");
                Err(GitHubError::Unavailable("whose turn it is to write is not known".into()))
            }
        }
    }

    /// Makes a pending review public. The turn is waited for before, because what was looked at meanwhile may be old.
    pub async fn submit_review(
        &self,
        _turn: Turn,
        repo: &RepoName,
        number: PrNumber,
        id: i64,
        event: ReviewEvent,
        body: &str,
    ) -> Result<PostedReview, GitHubError> {
        let path = format!("{}/events", review_path(repo, number, id));
        let submission = json!({ "body": body, "event": event.as_str() });
        let call = Call::post(path, review_name(repo, number, id), &submission);
        Ok(self.call(call).await?.json::<wire::Review>()?.into())
    }

    /// Deletes a pending review of ours. Gone already is success.
    pub async fn delete_pending_review(
        &self,
        _turn: Turn,
        repo: &RepoName,
        number: PrNumber,
        id: i64,
    ) -> Result<(), GitHubError> {
        let call = Call::delete(review_path(repo, number, id), review_name(repo, number, id));
        match self.call(call).await {
            Ok(_) | Err(GitHubError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A review that requested changes no longer blocks merging. One that does not block any more is success.
    pub async fn dismiss_review(
        &self,
        repo: &RepoName,
        number: PrNumber,
        id: i64,
        message: &str,
    ) -> Result<(), GitHubError> {
        let path = format!("{}/dismissals", review_path(repo, number, id));
        let call = Call::put(path, review_name(repo, number, id), &json!({ "message": message, "event": "DISMISS" }));
        match self.write(call).await {
            Ok(_) | Err(GitHubError::NotFound { .. } | GitHubError::Rejected { status: 422, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Posts a comment to the conversation of a pull request; returns GitHub's id.
    pub async fn comment(&self, repo: &RepoName, number: PrNumber, body: &str) -> Result<i64, GitHubError> {
        let path = format!("/repos/{repo}/issues/{number}/comments");
        let call = Call::post(path, format!("{repo}#{number}"), &json!({ "body": body }));
        Ok(self.write(call).await?.json::<wire::Made>()?.id)
    }

    pub(super) async fn call(&self, call: Call) -> Result<Answer, GitHubError> {
        let token = self.inner.bot_token.get().await?;
        let answer = self.inner.client.call(&token, call.by_bot()).await;
        self.noting(&token, answer).await
    }

    /// Asks a question in GraphQL. It reads: the write limiter is not passed.
    pub(super) async fn ask<D: DeserializeOwned>(&self, question: Call) -> Result<Told<D>, GitHubError> {
        let token = self.inner.bot_token.get().await?;
        let answer = self.inner.client.call(&token, question.by_bot()).await;
        let answer = self.noting(&token, answer).await?;
        Told::read(&answer)
    }

    /// As [`Bot::call`], for what changes something: GitHub wants a second between any two, and counts separately those that
    /// make content.
    async fn write(&self, call: Call) -> Result<Answer, GitHubError> {
        let _turn = self.turn().await?;
        self.call(call).await
    }

    /// Passes `answer` on; a token that GitHub refused is forgotten.
    async fn noting<T>(&self, token: &SecretString, answer: Result<T, GitHubError>) -> Result<T, GitHubError> {
        if let Err(GitHubError::Unauthorized) = answer {
            self.inner.bot_token.forget(token).await;
        }
        answer
    }
}

/// What became of asking who the bot is.
#[derive(Default)]
pub(super) enum AskedAccount {
    /// Nobody asked yet.
    #[default]
    Never,
    /// It is this one, with this token.
    Known(TokenKey, Account),
    /// GitHub did not say, then and because of this.
    Unavailable(TokenKey, Instant, String),
}

/// The right to write to GitHub once, now.
#[must_use]
#[derive(Debug)]
pub struct Turn(());

impl Turn {
    /// Nobody's turn is waited for: for the rare write that does harm when it comes late.
    pub fn at_once() -> Self {
        Self(())
    }
}

fn pull_path(repo: &RepoName, number: PrNumber) -> String {
    format!("/repos/{repo}/pulls/{number}")
}

fn review_path(repo: &RepoName, number: PrNumber, id: i64) -> String {
    format!("{}/reviews/{id}", pull_path(repo, number))
}

fn review_name(repo: &RepoName, number: PrNumber, id: i64) -> String {
    format!("review {id} of {repo}#{number}")
}

fn comment_json(comment: &NewComment) -> Value {
    let side = comment.side.as_str();
    let mut json = json!({ "path": comment.path, "body": comment.body, "line": comment.line, "side": side });
    // GitHub refuses a comment that starts where it ends.
    if let Some(start) = comment.start_line.filter(|start| *start < comment.line) {
        json["start_line"] = start.into();
        json["start_side"] = side.into();
    }
    json
}
