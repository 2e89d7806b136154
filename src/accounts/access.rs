//! Whether somebody may see a repository's data: only while GitHub, asked with their own token at most 15 minutes ago,
//! shows it to them. With GitHub unreachable the last yes counts for 24 hours.
//!
//! GitHub is asked by name and answers with an id; only the id counts. Somebody whose token no longer works is
//! answered like somebody GitHub refuses.

use std::{
    collections::{HashMap, HashSet},
    sync::PoisonError,
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{StreamExt, stream};
use secrecy::SecretString;
use tokio::time::Instant;

use super::{session::CurrentUser, token::github_token};
use crate::{
    app::App,
    domain::{RepoId, RepoName, RepoRef},
    github::{GitHubError, Repository},
    store::{
        StoreError,
        access::{Answer, Heard},
        installations::{Installation, InstallationState},
    },
};

/// How long an answer is good for.
const FRESH: TimeDelta = TimeDelta::minutes(15);

/// How long the last yes is good for while GitHub cannot be asked.
const OUTAGE: TimeDelta = TimeDelta::hours(24);

/// How long the caller waits for GitHub in all. What it has not said by then counts as unreachable; what it has is
/// remembered, so the next time begins there.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long after such a silence the last yes counts without asking: else every look at anything takes that long, just when
/// somebody wants to know what is wrong.
const SILENCE: TimeDelta = TimeDelta::seconds(30);

/// How many repositories are asked about at a time.
const AT_A_TIME: usize = 8;

/// The caller's active installation of `repo` (any case), if GitHub still shows the repository to the caller. GitHub is not
/// asked about a name nothing is connected under.
pub async fn installation(app: &App, user: &CurrentUser, repo: &RepoName) -> Result<Option<Installation>, StoreError> {
    for installation in app.store.active_installations_named(user.id, repo).await? {
        if may_see(app, user, installation.repo.id, &installation.repo.name).await? {
            // Read again: asking may have taught us GitHub's present spelling.
            let known = app.store.installation(installation.id).await?;
            return Ok(known.filter(|installation| installation.state == InstallationState::Active));
        }
    }
    Ok(None)
}

/// Every installation of the caller, past ones included, whose repository GitHub still shows to them: what lists may
/// draw from.
pub async fn visible_installations(app: &App, user: &CurrentUser) -> Result<Vec<Installation>, StoreError> {
    let mut installations = app.store.installations_of(user.id).await?;
    let mut repos = HashMap::new();
    for installation in &installations {
        // Newest first, so the name kept is the latest known.
        repos.entry(installation.repo.id).or_insert_with(|| installation.repo.name.clone());
    }
    let repos = repos.into_iter().map(|(id, name)| RepoRef { id, name }).collect();
    let visible = visible(app, user, repos).await?;
    installations.retain(|installation| visible.contains(&installation.repo.id));
    Ok(installations)
}

/// Whether GitHub shows this repository to the caller.
pub async fn may_see(app: &App, user: &CurrentUser, repo: RepoId, name: &RepoName) -> Result<bool, StoreError> {
    let asked = vec![RepoRef { id: repo, name: name.clone() }];
    Ok(visible(app, user, asked).await?.contains(&repo))
}

/// Which of these different repositories GitHub shows to the caller.
async fn visible(app: &App, user: &CurrentUser, repos: Vec<RepoRef>) -> Result<HashSet<RepoId>, StoreError> {
    if repos.is_empty() {
        return Ok(HashSet::new());
    }
    let now = app.clock.now();
    let remembered = app.store.answers(user.id).await?;
    let (fresh, stale): (Vec<_>, Vec<_>) =
        repos.into_iter().partition(|repo| remembered.get(&repo.id).is_some_and(|answer| is_fresh(answer, now)));
    let mut visible: HashSet<RepoId> =
        fresh.iter().map(|repo| repo.id).filter(|id| remembered.get(id).is_some_and(|answer| answer.allowed)).collect();
    let bridges = |repo: &RepoRef| remembered.get(&repo.id).is_some_and(|answer| bridges_outage(answer, now));
    let silent = is_silent(app, user, now);
    let (bridged, stale): (Vec<_>, Vec<_>) = stale.into_iter().partition(|repo| silent && bridges(repo));
    visible.extend(bridged.iter().map(|repo| repo.id));
    if stale.is_empty() {
        return Ok(visible);
    }
    let Some(token) = github_token(app, user.id).await? else { return Ok(visible) };

    let mut heard = Vec::new();
    let began = Instant::now();
    let mut answers = ask(app, &token, stale.clone()).await;
    if answers.is_empty() && began.elapsed() >= PATIENCE {
        let (mut silent, now) = (app.github_silent.lock().unwrap_or_else(PoisonError::into_inner), app.clock.now());
        silent.retain(|_, at| now - *at < SILENCE);
        silent.insert(user.id, now);
    }
    for repo in stale {
        match answers.remove(&repo.id) {
            Some(answer) => {
                if matches!(answer, Heard::Yes(_)) {
                    visible.insert(repo.id);
                }
                heard.push((repo.id, answer));
            }
            None => {
                if bridges(&repo) {
                    visible.insert(repo.id);
                }
            }
        }
    }
    app.store.remember_answers(user.id, &heard).await?;
    Ok(visible)
}

/// What GitHub says of those it says anything of.
async fn ask(app: &App, token: &SecretString, repos: Vec<RepoRef>) -> HashMap<RepoId, Heard> {
    let github = app.github.user(token);
    let github = &github;
    stream::iter(repos)
        .map(|repo| async move { Some((repo.id, hear(repo.id, github.repository(&repo.name).await)?)) })
        .buffer_unordered(AT_A_TIME)
        .take_until(tokio::time::sleep(PATIENCE))
        .filter_map(std::future::ready)
        .collect()
        .await
}

/// What GitHub's answer says about the repository `id`; nothing if it did not come to an answer.
fn hear(id: RepoId, answer: Result<Repository, GitHubError>) -> Option<Heard> {
    match answer {
        Ok(found) if found.repo.id == id => Some(Heard::Yes(found.repo.name)),
        // Another repository has taken the name.
        Ok(_) => Some(Heard::No),
        Err(
            GitHubError::NotFound { .. }
            | GitHubError::Unauthorized
            | GitHubError::Forbidden { .. }
            | GitHubError::Rejected { .. }
            | GitHubError::NoToken(_),
        ) => Some(Heard::No),
        Err(GitHubError::RateLimited { .. } | GitHubError::Unavailable(_) | GitHubError::Protocol(_)) => None,
    }
}

/// Whether GitHub kept this user waiting in vain a moment ago.
fn is_silent(app: &App, user: &CurrentUser, now: DateTime<Utc>) -> bool {
    let silent = app.github_silent.lock().unwrap_or_else(PoisonError::into_inner);
    silent.get(&user.id).is_some_and(|at| (TimeDelta::zero()..SILENCE).contains(&(now - *at)))
}

fn is_fresh(answer: &Answer, now: DateTime<Utc>) -> bool {
    (TimeDelta::zero()..FRESH).contains(&(now - answer.checked_at))
}

fn bridges_outage(answer: &Answer, now: DateTime<Utc>) -> bool {
    answer.last_yes_at.is_some_and(|yes| now - yes < OUTAGE)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use super::*;

    fn name(full: &str) -> RepoName {
        RepoName::parse(full).unwrap()
    }

    fn found(id: i64) -> Result<Repository, GitHubError> {
        Ok(Repository {
            repo: RepoRef { id: RepoId(id), name: name("acme/renamed") },
            description: None,
            private: true,
            html_url: String::new(),
            default_branch: String::new(),
            updated_at: None,
            admin: false,
            push: false,
        })
    }

    #[test]
    fn the_id_decides_and_the_name_is_learned() {
        assert!(matches!(hear(RepoId(7), found(7)), Some(Heard::Yes(now)) if now == name("acme/renamed")));
        assert!(matches!(hear(RepoId(7), found(8)), Some(Heard::No)));
    }

    #[test]
    fn a_refusal_is_a_no_and_an_outage_is_no_answer() {
        let no = [
            GitHubError::NotFound { what: "acme/api".into() },
            GitHubError::Unauthorized,
            GitHubError::Forbidden { message: "SSO".into() },
            GitHubError::Rejected { status: 451, message: "DMCA".into() },
        ];
        for error in no {
            assert!(matches!(hear(RepoId(7), Err(error)), Some(Heard::No)));
        }
        let nothing = [
            GitHubError::Unavailable("reset".into()),
            GitHubError::RateLimited { retry_after: Duration::from_secs(1) },
            GitHubError::Protocol("HTML".into()),
        ];
        for error in nothing {
            assert!(hear(RepoId(7), Err(error)).is_none());
        }
    }

    #[test]
    fn an_answer_is_good_for_a_quarter_of_an_hour_and_a_yes_for_a_day_of_outage() {
        let at = DateTime::UNIX_EPOCH;
        let answer = Answer { allowed: true, checked_at: at, last_yes_at: Some(at) };
        assert!(is_fresh(&answer, at + TimeDelta::minutes(15) - TimeDelta::microseconds(1)));
        assert!(!is_fresh(&answer, at + TimeDelta::minutes(15)));
        assert!(!is_fresh(&answer, at - TimeDelta::hours(1)), "the clock was set back");
        assert!(bridges_outage(&answer, at + TimeDelta::hours(24) - TimeDelta::microseconds(1)));
        assert!(!bridges_outage(&answer, at + TimeDelta::hours(24)));
        assert!(!bridges_outage(&Answer { last_yes_at: None, ..answer }, at));
    }
}
