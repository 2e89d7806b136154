//! Whether the bot can review a repository, and what to do if it cannot.
//!
//! Only ever a hint for people: a bot that cannot be asked about never stands in the way of anything.

use std::time::Duration;

use crate::{
    app::App,
    domain::{RepoName, RepoRef},
    github::GitHubError,
    store::installations::BotStanding,
};

/// Longest time somebody waits for a hint.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks GitHub, as the bot. None when that cannot be found out now.
pub async fn standing(app: &App, repo: &RepoRef) -> Option<BotStanding> {
    tokio::time::timeout(PATIENCE, ask(app, repo)).await.ok().flatten()
}

async fn ask(app: &App, repo: &RepoRef) -> Option<BotStanding> {
    let seen = match app.github.bot().repository(&repo.name).await {
        Ok(seen) if seen.repo.id == repo.id => Ok(()),
        // The name has gone to another repository.
        Ok(_) => Err(GitHubError::NotFound { what: repo.name.to_string() }),
        Err(error) => Err(error),
    };
    // Asked of GitHub once per token; without it the hint just names nobody.
    let login = app.github.bot().account().await.ok().map(|account| account.login);
    judge(&repo.name, seen, login)
}

fn judge(repo: &RepoName, seen: Result<(), GitHubError>, login: Option<String>) -> Option<BotStanding> {
    let hint = match seen {
        Ok(()) => None,
        Err(GitHubError::NotFound { .. } | GitHubError::Forbidden { .. }) => Some(match &login {
            Some(login) => format!("Invite {login} to {repo} as a collaborator so that it can review pull requests."),
            None => {
                format!("Invite the bot's account to {repo} as a collaborator so that it can review pull requests.")
            }
        }),
        Err(GitHubError::Unauthorized) => {
            Some("GitHub rejects the bot's token: set GITHUB_PAT to a valid one.".to_owned())
        }
        Err(GitHubError::NoToken(what_to_do)) => Some(what_to_do),
        Err(
            GitHubError::RateLimited { .. }
            | GitHubError::Rejected { .. }
            | GitHubError::Unavailable(_)
            | GitHubError::Protocol(_),
        ) => return None,
    };
    Some(BotStanding { login, can_review: hint.is_none(), hint })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn repo() -> RepoName {
        RepoName::parse("acme/api").unwrap()
    }

    #[test]
    fn a_bot_that_sees_the_repository_can_review_it() {
        let standing = judge(&repo(), Ok(()), Some("nectr-bot".into())).unwrap();
        assert_eq!(standing, BotStanding { login: Some("nectr-bot".into()), can_review: true, hint: None });
    }

    #[test]
    fn a_bot_that_does_not_see_it_has_to_be_invited_by_name() {
        let missing = GitHubError::NotFound { what: "acme/api".into() };
        let standing = judge(&repo(), Err(missing), Some("nectr-bot".into())).unwrap();
        assert!(!standing.can_review);
        assert!(standing.hint.unwrap().starts_with("Invite nectr-bot to acme/api as a collaborator"));
    }

    #[test]
    fn an_outage_says_nothing_about_the_bot() {
        assert_eq!(judge(&repo(), Err(GitHubError::Unavailable("reset".into())), None), None);
    }

    #[test]
    fn a_missing_token_is_explained_in_its_own_words() {
        let standing = judge(&repo(), Err(GitHubError::NoToken("Set GITHUB_PAT.".into())), None).unwrap();
        assert_eq!((standing.can_review, standing.hint.as_deref()), (false, Some("Set GITHUB_PAT.")));
    }
}
