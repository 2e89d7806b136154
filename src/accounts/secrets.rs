//! Which webhook secrets may have signed a delivery, and what a delivery tells about its webhook.
//!
//! An installation answers for its own webhook only, and the operator's secret only for repositories nobody connected. A
//! secret that cannot be opened may be the right one: it is never counted as wrong.

use std::{ops::Deref, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;

use super::{repos::is_renamed, token::secret_place};
use crate::{
    app::App,
    domain::{HookId, InstallationId, RepoId, RepoName},
    seal::Sealer,
    store::{
        Store, StoreError,
        installations::{Freshness, Installation, InstallationState, Owned, Sighting},
    },
};

/// At most this many secrets are tried for one delivery.
const MOST: usize = 20;

/// Deliveries that bring no news are noted no more often than this.
const OFTEN_ENOUGH: TimeDelta = TimeDelta::seconds(5);

/// A secret to try.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The secret.
    pub secret: SecretString,
    /// Whose it is; [`InstallationId::OPERATOR`] for `GITHUB_WEBHOOK_SECRET`.
    pub installation: InstallationId,
    /// The repository it is for; none for the operator's.
    pub repo: Option<RepoId>,
    /// Whether the installation has been disconnected (its deliveries are ignored).
    pub disconnected: bool,
}

impl AsRef<[u8]> for Candidate {
    fn as_ref(&self) -> &[u8] {
        secrecy::ExposeSecret::expose_secret(&self.secret).as_bytes()
    }
}

/// Why there are no candidates. GitHub is told 503: the sender may well be right.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// A stored secret cannot be opened.
    #[error("a stored webhook secret cannot be opened with the present SECRET_KEY")]
    Sealed,
    /// The database could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The secrets to try, in order.
#[derive(Debug, Clone, Default)]
pub struct Candidates {
    secrets: Vec<Candidate>,
    /// Whether one more secret might fit but cannot be opened: a signature that fits none of the others is then no proof
    /// of anything, and GitHub is to be told 503, not 401.
    pub unopened: bool,
}

impl Candidates {
    /// Whether the same secrets of the same installations are tried.
    pub fn same_as(&self, other: &Self) -> bool {
        let whose = |candidate: &Candidate| (candidate.installation, candidate.disconnected);
        self.len() == other.len()
            && self.iter().zip(other.iter()).all(|(one, two)| whose(one) == whose(two) && one.as_ref() == two.as_ref())
    }
}

impl Deref for Candidates {
    type Target = [Candidate];

    fn deref(&self) -> &[Candidate] {
        &self.secrets
    }
}

/// The secrets to try for a delivery: by `hook` among installations; for an id that is not known, installations of the
/// repository `hint` names that are just being connected; without an id, or for a repository without active installation,
/// the active installations of that repository (at most 20), else the operator's secret. `hint` is only waited for
/// when needed.
pub async fn candidates(
    app: &App,
    hook: Option<HookId>,
    fresh: Freshness,
    hint: impl Future<Output = Option<RepoName>> + Send,
) -> Result<Candidates, SecretsError> {
    let suspects = suspects(&app.store, hook, fresh, hint).await?;
    open(&app.sealer, app.clock.now(), suspects, app.config.webhook_secret.as_ref())
}

fn open(
    sealer: &Sealer,
    now: DateTime<Utc>,
    suspects: Suspects,
    operators: Option<&SecretString>,
) -> Result<Candidates, SecretsError> {
    let mut candidates = Candidates::default();
    for owned in suspects.installations {
        let installation = &owned.installation;
        let place = secret_place(owned.github_user, installation.repo.id);
        for sealed in owned.secrets(now) {
            match sealer.open(place, sealed) {
                Ok(secret) => candidates.secrets.push(Candidate {
                    secret,
                    installation: installation.id,
                    repo: Some(installation.repo.id),
                    disconnected: installation.state == InstallationState::Disconnected,
                }),
                Err(error) => {
                    tracing::error!(
                        %error,
                        installation = %installation.id,
                        "a webhook's secret cannot be opened, its deliveries are answered 503: was SECRET_KEY changed? Put \
                         the old one into SECRET_KEY_PREVIOUS, or repair the webhook"
                    );
                    candidates.unopened = true;
                }
            }
        }
    }
    if suspects.operator
        && let Some(secret) = operators
    {
        candidates.secrets.push(Candidate {
            secret: secret.clone(),
            installation: InstallationId::OPERATOR,
            repo: None,
            disconnected: false,
        });
    }
    if candidates.secrets.is_empty() && candidates.unopened { Err(SecretsError::Sealed) } else { Ok(candidates) }
}

/// Whose secret may have signed a delivery.
#[derive(Default)]
struct Suspects {
    installations: Vec<Arc<Owned>>,
    operator: bool,
}

async fn suspects(
    store: &Store,
    hook: Option<HookId>,
    fresh: Freshness,
    hint: impl Future<Output = Option<RepoName>> + Send,
) -> Result<Suspects, StoreError> {
    use InstallationState::{Active, Connecting};
    let known = match hook {
        Some(hook) => match store.installations_by_hook(hook, fresh).await? {
            // It may have been made just now, by another process.
            known if known.is_empty() => store.installations_by_hook(hook, Freshness::Now).await?,
            known => known,
        },
        None => Vec::new(),
    };
    if !known.is_empty() {
        return Ok(Suspects { installations: owners(known), operator: false });
    }
    // Nothing says which repository: an organisation's webhook, made by hand.
    let Some(repo) = hint.await else { return Ok(Suspects { operator: true, ..Suspects::default() }) };
    let active = store.installations_named(&repo, Active, MOST, Freshness::Now).await?;
    let operator = active.is_empty();
    let installations = match hook {
        Some(_) => store.installations_named(&repo, Connecting, MOST, Freshness::Now).await?,
        None => active,
    };
    Ok(Suspects { installations, operator })
}

/// Of the installations that have or had a webhook, the one it belongs to now. While it passes from one to the next
/// either may have signed: the one being connected, and the last that was disconnected.
fn owners(known: Vec<Arc<Owned>>) -> Vec<Arc<Owned>> {
    use InstallationState::{Active, Connecting, Disconnected};
    let of = |state| known.iter().filter(move |owned| owned.installation.state == state).cloned();
    match of(Active).next() {
        Some(active) => vec![active],
        None => of(Connecting).chain(of(Disconnected).take(1)).collect(),
    }
}

/// What a proven delivery teaches about its installation: the webhook's id while connecting, the repository's present
/// name, that it is verified, when it last came and what we answered.
///
/// Deliveries may come by the hundred, so a delivery that only says what the last one said is noted at most every few
/// seconds. Failing to note is logged and never an error: the delivery itself is safe.
pub async fn learn(app: &App, seen: Seen<'_>) -> Result<(), StoreError> {
    if seen.installation == InstallationId::OPERATOR {
        return Ok(());
    }
    if let Err(error) = note(&app.store, &seen).await {
        tracing::warn!(%error, installation = %seen.installation, "what a delivery told of its webhook was not kept");
    }
    Ok(())
}

async fn note(store: &Store, seen: &Seen<'_>) -> Result<(), StoreError> {
    let Some(owned) = store.known_installation(seen.installation).await? else { return Ok(()) };
    let sighting = sighting(&owned.installation, seen);
    let due = store.is_worth_noting(seen.installation, seen.status, OFTEN_ENOUGH);
    if due || sighting.hook.is_some() || sighting.renamed.is_some() || sighting.verified {
        store.note_sighting(seen.installation, &sighting).await?;
    }
    Ok(())
}

/// What there is to write down.
fn sighting(known: &Installation, seen: &Seen<'_>) -> Sighting {
    Sighting {
        // Only a row being connected has yet to learn its webhook's id.
        hook: seen.hook.filter(|_| known.state == InstallationState::Connecting && known.hook_id.is_none()),
        renamed: seen.repo.filter(|repo| is_renamed(&known.repo, repo)).cloned(),
        // An adopted webhook is not pinged again: any delivery with the right signature proves as much.
        verified: seen.ping || known.verified_at.is_none(),
        status: seen.status,
    }
}

/// A proven delivery, as [`learn`] wants it.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Whose.
    pub installation: InstallationId,
    /// `X-GitHub-Hook-ID`.
    pub hook: Option<HookId>,
    /// The repository's id and name in the payload.
    pub repo: Option<&'a crate::domain::RepoRef>,
    /// Whether it was a ping.
    pub ping: bool,
    /// The HTTP status we answer.
    pub status: u16,
}

#[cfg(test)]
mod tests;
