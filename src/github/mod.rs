//! The one GitHub client. octocrab's types stop here; the rest of the house sees domain types and [`GitHubError`].
//!
//! Who asks is part of the type: [`GitHub::bot`] reads changes and posts reviews with the bot's token, [`GitHub::user`]
//! manages webhooks and lists repositories with the token of whoever signed in. Tests swap the server, not the client.
//!
//! Nothing is retried here except reads that were too much at once: a page of files that looked truncated, a question
//! in GraphQL that GitHub could not finish. A write that failed may have happened, and only the caller knows how to find
//! out.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use secrecy::SecretString;

use crate::domain::Clock;

mod answer;
mod bot;
mod call;
mod changed;
mod client;
mod error;
mod etag;
mod files;
mod graphql;
mod history;
mod knowledge;
mod limits;
mod oauth;
pub mod pr_state;
mod token;
mod tree;
mod types;
mod user;
mod wire;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

pub use bot::{Bot, Turn};
pub use error::{BoxError, GitHubError};
pub use types::{
    Account, ChangedPulls, HistoryPage, Hook, HookReport, Issue, KeyFiles, Listed, NewComment, PostedReview,
    PullSummary, Quota, Record, RecordedAttempt, Repository, Standing, Tree,
};
pub use user::User;

/// Admission to create content on GitHub, shared by all replicas. Filled by `app` from the database.
pub trait RateGate: Send + Sync {
    /// Takes a place for one write and waits until its turn comes (`Ok(None)`), which is a matter of seconds; or says how
    /// long there is none.
    fn admit(&self) -> Pin<Box<dyn Future<Output = Result<Option<Duration>, BoxError>> + Send + '_>>;
}

/// The client. Cheap to clone; clones share connections, remembered answers and known rate limits.
#[derive(Clone)]
pub struct GitHub {
    inner: Arc<Inner>,
}

struct Inner {
    client: client::Client,
    oauth: Option<(String, SecretString)>,
    gate: Arc<dyn RateGate>,
    bot_token: token::BotToken,
    bot_account: tokio::sync::Mutex<bot::AskedAccount>,
}

/// How to reach GitHub.
pub struct GitHubOptions {
    /// REST root, e.g. `https://api.github.com` or `https://ghe.example/api/v3`.
    pub api_url: url::Url,
    /// Site root, for OAuth.
    pub server_url: url::Url,
    /// OAuth app, if sign-in is configured: id and secret.
    pub oauth: Option<(String, SecretString)>,
    /// The bot's personal access token.
    pub pat: Option<SecretString>,
    /// Whether to ask `gh auth token` first (development).
    pub ask_gh: bool,
    /// The limiter of content-creating requests made by the bot.
    pub gate: Arc<dyn RateGate>,
    /// Time.
    pub clock: Clock,
}

impl GitHub {
    /// Builds the client; makes no request. Must be called within a tokio runtime, and lives no longer than that.
    pub fn new(options: GitHubOptions) -> Result<Self, GitHubError> {
        let gh = options.ask_gh.then(|| token::Gh::new("gh", &options.server_url));
        let client = client::Client::new(&options.api_url, &options.server_url, options.clock)?;
        Ok(Self {
            inner: Arc::new(Inner {
                client,
                oauth: options.oauth,
                gate: options.gate,
                bot_token: token::BotToken::new(gh, options.pat),
                bot_account: tokio::sync::Mutex::default(),
            }),
        })
    }

    /// As the bot.
    pub fn bot(&self) -> Bot<'_> {
        Bot::new(&self.inner)
    }

    /// As somebody who signed in.
    pub fn user<'a>(&'a self, token: &'a SecretString) -> User<'a> {
        User::new(&self.inner.client, token)
    }

    /// Swaps an OAuth code (with its PKCE verifier) for a token. [`GitHubError::Rejected`] when GitHub does not take
    /// the code (or our client id and secret).
    pub async fn exchange_code(
        &self,
        code: &str,
        verifier: &str,
        redirect_uri: &str,
    ) -> Result<SecretString, GitHubError> {
        let app =
            self.inner.oauth.as_ref().ok_or_else(|| {
                GitHubError::NoToken("GITHUB_CLIENT_ID and GITHUB_CLIENT_SECRET are not set.".to_owned())
            })?;
        oauth::exchange(&self.inner.client, app, code, verifier, redirect_uri).await
    }
}
