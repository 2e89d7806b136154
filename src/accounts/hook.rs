//! Getting one webhook of ours onto a repository, whatever GitHub answers.
//!
//! What GitHub is about to be told is reserved in the database first, so that whoever comes after a crash knows what to
//! look for, and two connections to one repository never fight over a webhook. An answer that leaves it open whether
//! GitHub did it is followed by looking.

use secrecy::SecretString;
use url::Url;

use super::{connect::ConnectError, sign_in::below};
use crate::{
    app::App,
    domain::{HookId, InstallationId, RepoName, RepoRef},
    github::{GitHubError, Hook, User},
    seal::random_hex,
    store::{StoreError, installations::Claim},
};

/// Why there is no webhook.
#[derive(Debug)]
pub(super) enum Trouble {
    /// GitHub has nothing more of ours than before.
    Clean(ConnectError),
    /// It may have.
    Doubtful(ConnectError),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Doubtful(error.into())
    }
}

/// Everything one attempt needs.
pub(super) struct Attempt<'a> {
    pub app: &'a App,
    pub github: User<'a>,
    pub installation: InstallationId,
    pub repo: &'a RepoRef,
    pub secret: &'a SecretString,
}

impl Attempt<'_> {
    /// Adopts a webhook of ours that nobody owns, or creates one.
    pub async fn install(&self) -> Result<Hook, Trouble> {
        let mut refused: Option<(String, String)> = None;
        loop {
            let hooks = self.github.hooks(&self.repo.name).await.map_err(|error| self.clean(error))?;
            if let Some((url, message)) = &refused
                && !hooks.iter().any(|hook| hook.url == *url)
            {
                // Not because of the URL, then: too many webhooks, or one GitHub cannot reach.
                return Err(Trouble::Clean(ConnectError::Failed(message.clone())));
            }
            if let Some(hook) = self.adopt(&hooks).await? {
                return Ok(hook);
            }
            let url = self.reserve(&hooks).await?;
            match self.github.create_hook(&self.repo.name, &url, self.secret).await {
                Ok(hook) => return Ok(hook),
                // Somebody else made one with this URL since we looked; look again, once.
                Err(GitHubError::Rejected { status: 422, message }) if refused.is_none() => {
                    refused = Some((url, message));
                }
                Err(error) if is_doubtful(&error) => return self.look_for(&url, error).await,
                Err(error) => return Err(self.clean(error)),
            }
        }
    }

    /// Gives one of our webhooks that belong to no connection the new secret.
    async fn adopt(&self, hooks: &[Hook]) -> Result<Option<Hook>, Trouble> {
        let plain = plain_url(self.app);
        for hook in hooks.iter().filter(|hook| is_ours(&hook.url, &plain)) {
            if !self.claim(&hook.url, Some(hook.id)).await? {
                continue;
            }
            match self.update(hook).await {
                Ok(hook) => return Ok(Some(hook)),
                // Deleted since we looked.
                Err(GitHubError::NotFound { .. }) => {}
                Err(error) if is_doubtful(&error) => return Err(self.doubtful(error)),
                Err(error) => return Err(self.clean(error)),
            }
        }
        Ok(None)
    }

    /// Saying the same again does no harm, so one lost answer is no reason to give up.
    async fn update(&self, hook: &Hook) -> Result<Hook, GitHubError> {
        let update = || self.github.update_hook(&self.repo.name, hook.id, &hook.url, self.secret);
        match update().await {
            Err(error) if is_doubtful(&error) => update().await,
            answer => answer,
        }
    }

    /// Our plain URL where it is free, else one of this connection's own.
    async fn reserve(&self, hooks: &[Hook]) -> Result<String, Trouble> {
        let plain = plain_url(self.app);
        let free = !hooks.iter().any(|hook| hook.url == plain.as_str());
        if free && self.claim(plain.as_str(), None).await? {
            return Ok(plain.into());
        }
        let mut own = plain;
        own.query_pairs_mut().append_pair("connection", &random_hex(8));
        if self.claim(own.as_str(), None).await? {
            return Ok(own.into());
        }
        Err(Trouble::Clean(ConnectError::Failed("another webhook is being added right now, try again".to_owned())))
    }

    async fn claim(&self, url: &str, hook: Option<HookId>) -> Result<bool, Trouble> {
        match self.app.store.claim_hook(self.installation, self.repo.id, url, hook).await? {
            Claim::Ours => Ok(true),
            Claim::Taken => Ok(false),
            Claim::Gone => Err(Trouble::Clean(ConnectError::given_up())),
        }
    }

    /// GitHub did not say whether it created the webhook. The URL was reserved and not in use, so one that has it now
    /// was made by that request, with our secret.
    async fn look_for(&self, url: &str, doubt: GitHubError) -> Result<Hook, Trouble> {
        match self.github.hooks(&self.repo.name).await {
            Ok(hooks) => hooks.into_iter().find(|hook| hook.url == url).ok_or_else(|| self.doubtful(doubt)),
            Err(_) => Err(self.doubtful(doubt)),
        }
    }

    fn clean(&self, error: GitHubError) -> Trouble {
        Trouble::Clean(why(error, &self.repo.name))
    }

    fn doubtful(&self, error: GitHubError) -> Trouble {
        Trouble::Doubtful(why(error, &self.repo.name))
    }
}

/// Whether GitHub may have done what it was asked.
pub(super) fn is_doubtful(error: &GitHubError) -> bool {
    matches!(error, GitHubError::Unavailable(_) | GitHubError::Protocol(_))
}

/// What somebody who wanted a webhook can do about GitHub's answer.
pub(super) fn why(error: GitHubError, repo: &RepoName) -> ConnectError {
    ConnectError::Failed(match error {
        GitHubError::Unauthorized => return ConnectError::SessionExpired,
        // GitHub hides webhooks from those who may not manage them.
        GitHubError::NotFound { .. } => format!("you need admin rights on {repo} to add a webhook"),
        GitHubError::Forbidden { message } => format!("GitHub does not allow a webhook on {repo}: {message}"),
        GitHubError::Rejected { message, .. } => message,
        error @ (GitHubError::RateLimited { .. } | GitHubError::Unavailable(_)) => error.to_string(),
        GitHubError::Protocol(_) | GitHubError::NoToken(_) => "GitHub gave an unexpected answer".to_owned(),
    })
}

/// Where GitHub is told to deliver.
pub(super) fn plain_url(app: &App) -> Url {
    below(&app.config.backend_url, "/api/v1/webhooks/github")
}

/// Whether a webhook delivers to this server, for whatever connection.
pub(super) fn is_ours(url: &str, plain: &Url) -> bool {
    let Ok(mut url) = Url::parse(url) else { return false };
    let nothing_else = url.query_pairs().all(|(name, _)| name == "connection");
    url.set_query(None);
    nothing_else && url == *plain
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn our_webhooks_are_known_by_their_url_whatever_the_connection() {
        let plain = Url::parse("https://nectr.example/base/api/v1/webhooks/github").unwrap();
        for ours in [
            "https://nectr.example/base/api/v1/webhooks/github",
            "https://nectr.example/base/api/v1/webhooks/github?connection=00ff",
            "https://NECTR.example:443/base/api/v1/webhooks/github?connection=",
        ] {
            assert!(is_ours(ours, &plain), "{ours}");
        }
        for foreign in [
            "https://nectr.example/api/v1/webhooks/github",
            "http://nectr.example/base/api/v1/webhooks/github",
            "https://nectr.example:8443/base/api/v1/webhooks/github",
            "https://nectr.example.evil/base/api/v1/webhooks/github",
            "https://nectr.example/base/api/v1/webhooks/github?tenant=2",
            "https://nectr.example/base/api/v1/webhooks/github?connection=1&tenant=2",
            "not a URL",
            "",
        ] {
            assert!(!is_ours(foreign, &plain), "{foreign}");
        }
    }

    #[test]
    fn what_went_wrong_is_said_so_that_somebody_can_act_on_it() {
        let repo = RepoName::parse("acme/api").unwrap();
        let said = |error| why(error, &repo).to_string();
        assert_eq!(
            said(GitHubError::NotFound { what: "hooks".into() }),
            "Failed to install webhook: you need admin rights on acme/api to add a webhook"
        );
        assert_eq!(
            said(GitHubError::Unavailable("reset by peer".into())),
            "Failed to install webhook: GitHub is unreachable"
        );
        assert_eq!(
            said(GitHubError::Rejected { status: 422, message: "cannot have more than 20 hooks".into() }),
            "Failed to install webhook: cannot have more than 20 hooks"
        );
        assert_eq!(said(GitHubError::Unauthorized), "Session expired — please log out and sign in again.");
    }
}
