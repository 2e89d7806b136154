//! What is done on behalf of somebody who signed in: who they are, what they can reach, and their webhooks.

use std::collections::HashSet;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::{
    Account, GitHubError, Hook, Repository,
    call::{Call, escape},
    client::{Client, PER_PAGE},
    wire,
};
use crate::domain::{HookId, RepoName};

mod record;

/// Calls made with the token of somebody who signed in.
pub struct User<'a> {
    client: &'a Client,
    token: &'a SecretString,
}

impl<'a> User<'a> {
    pub(super) fn new(client: &'a Client, token: &'a SecretString) -> Self {
        Self { client, token }
    }

    /// Who this is. Conditional (ETag).
    pub async fn account(&self) -> Result<Account, GitHubError> {
        let call = Call::get("/user".to_owned(), "the account").conditional();
        Ok(self.client.call(self.token, call).await?.json::<wire::User>()?.into())
    }

    /// Whether `login` (the token's own account) belongs to the organisation.
    pub async fn is_member(&self, org: &str, login: &str) -> Result<bool, GitHubError> {
        // GitHub answers 302 when the asker may not see private members, and 404 when there is nothing to see.
        Ok(self.is_among("members", org, login).await? || self.is_among("public_members", org, login).await?)
    }

    async fn is_among(&self, members: &str, org: &str, login: &str) -> Result<bool, GitHubError> {
        let path = format!("/orgs/{}/{members}/{}", escape(org), escape(login));
        let call = Call::get(path, format!("{login} in {org}")).unfollowed();
        match self.client.call(self.token, call).await {
            Ok(answer) => Ok(answer.status.is_success()),
            Err(GitHubError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Everything this person can reach, most recently updated first, all pages.
    pub async fn repositories(&self) -> Result<Vec<Repository>, GitHubError> {
        let call = |page| {
            let reach = "affiliation=owner,collaborator,organization_member&sort=updated";
            Call::get(format!("/user/repos?{reach}&per_page={PER_PAGE}&page={page}"), "the repositories")
        };
        let rows: Vec<wire::Repo> = self.client.pages(self.token, call).await?;
        let mut repositories = rows.into_iter().map(Repository::try_from).collect::<Result<Vec<_>, _>>()?;
        // A repository that changes between two pages moves to the front and pushes others onto the next page again.
        let mut seen = HashSet::new();
        repositories.retain(|repository| seen.insert(repository.repo.id));
        Ok(repositories)
    }

    /// One repository, as this person sees it. Conditional (ETag).
    pub async fn repository(&self, repo: &RepoName) -> Result<Repository, GitHubError> {
        let call = Call::get(format!("/repos/{repo}"), repo.to_string()).conditional();
        self.client.call(self.token, call).await?.json::<wire::Repo>()?.try_into()
    }

    /// The repository's webhooks, all pages.
    pub async fn hooks(&self, repo: &RepoName) -> Result<Vec<Hook>, GitHubError> {
        let call = |page| {
            let path = format!("/repos/{repo}/hooks?per_page={PER_PAGE}&page={page}");
            Call::get(path, format!("webhooks of {repo}"))
        };
        let rows: Vec<wire::Webhook> = self.client.pages(self.token, call).await?;
        Ok(rows.into_iter().map(Hook::from).collect())
    }

    /// Creates our webhook: events `pull_request` and `issues`, JSON, TLS verified.
    pub async fn create_hook(&self, repo: &RepoName, url: &str, secret: &SecretString) -> Result<Hook, GitHubError> {
        let mut hook = hook_json(url, secret);
        hook["name"] = "web".into();
        let call = Call::post(format!("/repos/{repo}/hooks"), repo.to_string(), &hook);
        Ok(self.client.call(self.token, call).await?.json::<wire::Webhook>()?.into())
    }

    /// Points an existing webhook of ours to `url` with a new secret, switched on, same events.
    pub async fn update_hook(
        &self,
        repo: &RepoName,
        id: HookId,
        url: &str,
        secret: &SecretString,
    ) -> Result<Hook, GitHubError> {
        let call = Call::patch(hook_path(repo, id), format!("webhook {id} of {repo}"), &hook_json(url, secret));
        Ok(self.client.call(self.token, call).await?.json::<wire::Webhook>()?.into())
    }

    /// Asks for a ping of a webhook.
    pub async fn ping_hook(&self, repo: &RepoName, id: HookId) -> Result<(), GitHubError> {
        let call = Call::act(format!("{}/pings", hook_path(repo, id)), format!("webhook {id} of {repo}"));
        self.client.call(self.token, call).await.map(|_| ())
    }

    /// Removes a webhook. Gone already is success.
    pub async fn delete_hook(&self, repo: &RepoName, id: HookId) -> Result<(), GitHubError> {
        let call = Call::delete(hook_path(repo, id), format!("webhook {id} of {repo}"));
        match self.client.call(self.token, call).await {
            Ok(_) | Err(GitHubError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn hook_path(repo: &RepoName, id: HookId) -> String {
    format!("/repos/{repo}/hooks/{id}")
}

fn hook_json(url: &str, secret: &SecretString) -> Value {
    json!({
        "active": true,
        "events": ["pull_request", "issues"],
        "config": {
            "url": url,
            "content_type": "json",
            "secret": secret.expose_secret(),
            "insecure_ssl": "0",
        },
    })
}
