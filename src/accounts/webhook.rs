//! How a connection's webhook is at GitHub, and repairing one that does not deliver to us any more.
//!
//! A webhook is asked about and repaired with the token of whoever connected the repository. Repairing is safe to repeat:
//! it ends with one webhook that has our URL and our secret, whatever it found.

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{
    catch_up,
    connect::ConnectError,
    hook::{self, is_doubtful, is_ours, plain_url},
    session::CurrentUser,
    token::{github_token, secret_place},
};
use crate::{
    app::App,
    domain::{HookId, RepoName},
    github::{GitHubError, Hook, HookReport},
    seal::random_hex,
    store::{
        StoreError,
        installations::{HookState, Installation},
    },
};

/// What only the user can do something about.
pub(super) const SIGN_IN_AGAIN: &str =
    "GitHub no longer takes the token of whoever connected this repository: sign in again.";

/// How often one repair tells GitHub another secret, because it was rotated meanwhile.
const SECRETS_AT_MOST: usize = 3;

/// How a webhook is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    pub state: HookState,
    /// What to do about it.
    pub hint: Option<String>,
    /// When somebody last changed it.
    pub changed_at: Option<DateTime<Utc>>,
    /// Whether GitHub does not take the user's token.
    pub expired: bool,
}

impl Standing {
    fn new(state: HookState, hint: impl Into<String>) -> Self {
        Self { state, hint: Some(hint.into()), changed_at: None, expired: false }
    }

    fn expired() -> Self {
        Self { expired: true, ..Self::new(HookState::Unknown, SIGN_IN_AGAIN) }
    }

    /// The webhook's id, where its record of deliveries is worth reading.
    pub(super) fn readable(&self, installation: &Installation) -> Option<HookId> {
        matches!(self.state, HookState::Ok | HookState::Failing).then_some(installation.hook_id)?
    }
}

/// Asks GitHub. An error only where asking again later may help.
pub(super) async fn standing(
    app: &App,
    installation: &Installation,
    token: Option<&SecretString>,
) -> Result<Standing, GitHubError> {
    let Some(token) = token else { return Ok(Standing::expired()) };
    let (user, repo) = (app.github.user(token), &installation.repo.name);
    let answer = match installation.hook_id {
        Some(hook) => user.hook(repo, hook).await,
        None => Err(GitHubError::NotFound { what: "the webhook".to_owned() }),
    };
    match answer {
        Ok(report) => Ok(judge(app, report)),
        // GitHub hides webhooks from those who may not manage them.
        Err(GitHubError::NotFound { .. }) => match user.repository(repo).await {
            Ok(found) if found.repo.id == installation.repo.id && found.admin => {
                Ok(Standing::new(HookState::Missing, "The webhook was deleted on GitHub: repair it."))
            }
            Ok(_) | Err(GitHubError::NotFound { .. } | GitHubError::Forbidden { .. }) => Ok(Standing::new(
                HookState::Unknown,
                format!("You need admin rights on {repo} so that its webhook can be looked after."),
            )),
            Err(GitHubError::Unauthorized) => Ok(Standing::expired()),
            Err(error) => Err(error),
        },
        Err(GitHubError::Unauthorized) => Ok(Standing::expired()),
        Err(GitHubError::Forbidden { message }) => {
            Ok(Standing::new(HookState::Unknown, format!("GitHub does not show the webhook of {repo}: {message}")))
        }
        Err(error) => Err(error),
    }
}

fn judge(app: &App, report: HookReport) -> Standing {
    let sends = |event: &str| report.events.iter().any(|known| known == event || known == "*");
    let (state, hint) = if !report.hook.active {
        (HookState::Inactive, Some("The webhook is switched off on GitHub: repair it.".to_owned()))
    } else if !is_ours(&report.hook.url, &plain_url(app)) {
        (HookState::Repointed, Some("The webhook delivers to another address: repair it.".to_owned()))
    } else if !sends("pull_request") || !sends("issues") {
        (HookState::Inactive, Some("The webhook does not send the events that are needed: repair it.".to_owned()))
    } else {
        match report.last_code {
            None | Some(200..=299) => (HookState::Ok, None),
            Some(401) => (HookState::Failing, Some("The webhook does not sign with our secret: repair it.".to_owned())),
            Some(code) => {
                let at = app.config.backend_url.as_str();
                let hint = format!("GitHub's last delivery failed ({code}): check that GitHub can reach {at}");
                (HookState::Failing, Some(hint))
            }
        }
    };
    Standing { state, hint, changed_at: report.updated_at, expired: false }
}

/// What repairing came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repair {
    /// It delivers to us again.
    Repaired,
    /// It did already.
    NotNeeded,
}

/// Why a webhook was not repaired.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// 401.
    #[error("Session expired — please log out and sign in again.")]
    SessionExpired,
    /// 502.
    #[error("Failed to repair webhook: {0}")]
    Failed(String),
    /// 500.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Sees to it that the caller's webhook delivers to us, and catches up with what it did not. Give it a task of its own: a
/// caller who leaves should not stop it half way.
pub async fn repair(app: &App, user: &CurrentUser, installation: &Installation) -> Result<Repair, RepairError> {
    let repo = &installation.repo.name;
    let failed = |error| RepairError::because(error, repo);
    let token = github_token(app, user.id).await?.ok_or(RepairError::SessionExpired)?;
    let standing = standing(app, installation, Some(&token)).await.map_err(failed)?;
    let repair = match standing.state {
        HookState::Ok => Repair::NotNeeded,
        HookState::Unknown if standing.expired => return Err(RepairError::SessionExpired),
        HookState::Unknown => return Err(RepairError::Failed(standing.hint.unwrap_or_default())),
        HookState::Missing | HookState::Inactive | HookState::Repointed | HookState::Failing => {
            let mut present = installation.clone();
            let mut found = standing.state;
            for _ in 0..SECRETS_AT_MOST {
                let secret = secret(app, user, &present).await?;
                let hook = Mending { app, installation: &present, token: &token, secret: &secret }.mend(found).await?;
                tracing::info!(installation = %installation.id, %repo, found = found.as_str(), hook = %hook.id,
                    "webhook repaired");
                // A rotation meanwhile may have told GitHub its secret before we told ours.
                let Some(now) = app.store.installation(installation.id).await? else { break };
                if now.newest_secret() == present.newest_secret() {
                    break;
                }
                (present, found) = (now, HookState::Failing);
            }
            Repair::Repaired
        }
    };
    app.store.note_hook(installation.id, HookState::Ok, None).await?;
    catch_up::queue(app, installation).await?;
    Ok(repair)
}

/// The secret deliveries are signed with; another one if it cannot be opened any more.
async fn secret(app: &App, user: &CurrentUser, installation: &Installation) -> Result<SecretString, StoreError> {
    let place = || secret_place(user.github_id, installation.repo.id);
    if let Ok(secret) = app.sealer.open(place(), installation.newest_secret()) {
        return Ok(secret);
    }
    let secret = SecretString::from(random_hex(32));
    // Ours first: until GitHub knows it too, deliveries are refused, and caught up with afterwards.
    app.store.replace_secret(installation.id, app.sealer.seal(place(), secret.expose_secret())).await?;
    Ok(secret)
}

/// One repair.
struct Mending<'a> {
    app: &'a App,
    installation: &'a Installation,
    token: &'a SecretString,
    secret: &'a SecretString,
}

impl Mending<'_> {
    async fn mend(&self, state: HookState) -> Result<Hook, RepairError> {
        let (user, repo) = (self.app.github.user(self.token), &self.installation.repo.name);
        let failed = |error| RepairError::because(error, repo);
        let url = self.url();
        let changed = match self.installation.hook_id.filter(|_| state != HookState::Missing) {
            Some(hook) => match user.update_hook(repo, hook, &url, self.secret).await {
                Ok(hook) => Some(hook),
                Err(GitHubError::NotFound { .. }) => None,
                Err(error) => return Err(failed(error)),
            },
            None => None,
        };
        let hook = match changed {
            Some(hook) => hook,
            None => self.create(&url).await?,
        };
        if !self.app.store.replace_hook(self.installation.id, hook.id, &hook.url).await? {
            user.delete_hook(repo, hook.id).await.map_err(failed)?;
            return Err(RepairError::Failed("the repository was disconnected meanwhile".to_owned()));
        }
        // Only now is the webhook known here: a delivery that comes proves that all is well again.
        if let Err(error) = user.ping_hook(repo, hook.id).await {
            tracing::warn!(%error, %repo, hook = %hook.id, "the repaired webhook was not asked for a ping");
        }
        Ok(hook)
    }

    async fn create(&self, url: &str) -> Result<Hook, RepairError> {
        let (user, repo) = (self.app.github.user(self.token), &self.installation.repo);
        let failed = |error| RepairError::because(error, &repo.name);
        let refusal = match user.create_hook(&repo.name, url, self.secret).await {
            Ok(hook) => return Ok(hook),
            // There may be one with this URL: of an earlier repair, or of this request after all.
            Err(error @ GitHubError::Rejected { status: 422, .. }) => error,
            Err(error) if is_doubtful(&error) => error,
            Err(error) => return Err(failed(error)),
        };
        let hooks = user.hooks(&repo.name).await.map_err(failed)?;
        let Some(hook) = hooks.into_iter().find(|hook| hook.url == url) else { return Err(failed(refusal)) };
        if self.app.store.hook_has_owner(self.installation.id, repo.id, hook.id, url).await? {
            return Err(RepairError::Failed(
                "another connection has the webhook: connect the repository anew".to_owned(),
            ));
        }
        user.update_hook(&repo.name, hook.id, url, self.secret).await.map_err(failed)
    }

    /// The address this connection's webhook has, or had before this server moved, as it is now.
    fn url(&self) -> String {
        let plain = plain_url(self.app);
        let known = self.installation.hook_url.as_deref();
        if let Some(known) = known.filter(|known| is_ours(known, &plain)) {
            return known.to_owned();
        }
        let mut url = plain;
        url.set_query(known.and_then(|known| Url::parse(known).ok()).as_ref().and_then(Url::query));
        url.into()
    }
}

impl RepairError {
    fn because(error: GitHubError, repo: &RepoName) -> Self {
        match hook::why(error, repo) {
            ConnectError::SessionExpired => Self::SessionExpired,
            ConnectError::Failed(reason) => Self::Failed(reason),
            ConnectError::Store(error) => Self::Store(error),
            error @ (ConnectError::AlreadyConnected | ConnectError::NotFound) => Self::Failed(error.to_string()),
        }
    }
}
