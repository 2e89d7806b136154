//! What goes wrong with learning, and how much of it is for everybody.
//!
//! The operator reads the whole story; whoever looks at a repository reads one sentence of [`Reason`], and nothing else
//! ever: one text on disk holds both, the sentence in front.

use std::time::Duration;

use crate::{
    domain::{RepoRef, retry::Retry},
    github::GitHubError,
    graph::GraphError,
    store::{
        StoreError,
        outcome::{Failure, Outcome},
    },
};

/// Why something was not learned.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// GitHub.
    #[error(transparent)]
    GitHub(#[from] GitHubError),
    /// The code graph.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A computation beside everybody else's did not end well.
    #[error("a computation failed: {0}")]
    Aside(#[from] tokio::task::JoinError),
    /// What is on disk cannot be read.
    #[error("this version cannot read its task: {0}")]
    Payload(#[from] serde_json::Error),
    /// The graph holds newer files than those that were read.
    #[error("somebody else has brought the code graph up to date meanwhile")]
    Overtaken,
}

impl Trouble {
    /// The name has gone to another repository.
    pub(super) fn gone(repo: &RepoRef) -> Self {
        GitHubError::NotFound { what: repo.name.to_string() }.into()
    }

    fn reason(&self) -> Reason {
        match self {
            Self::GitHub(error) => match error {
                GitHubError::Unavailable(_) => Reason::GitHubAway,
                GitHubError::RateLimited { .. } => Reason::GitHubLimit,
                GitHubError::Unauthorized | GitHubError::NoToken(_) => Reason::Token,
                GitHubError::Forbidden { .. } | GitHubError::NotFound { .. } => Reason::Forbidden,
                GitHubError::Rejected { .. } | GitHubError::Protocol(_) => Reason::GitHubAnswer,
            },
            Self::Graph(error) => Reason::of(error),
            Self::Overtaken => Reason::Overtaken,
            Self::Store(_) | Self::Aside(_) | Self::Payload(_) => Reason::Inside,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::GitHub(error) => error.retry(),
            Self::Graph(error) => error.retry(),
            Self::Overtaken => Retry::Park(Duration::ZERO),
            Self::Store(_) | Self::Aside(_) | Self::Payload(_) => Retry::Count,
        }
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        let reason = trouble.reason();
        match trouble {
            Trouble::Store(error) => match Self::from(error) {
                Self::Again { retry, error } => Self::Again { retry, error: reason.followed_by(&error) },
                fenced => fenced,
            },
            trouble => Self::Again { retry: trouble.retry(), error: reason.followed_by(&trouble.to_string()) },
        }
    }
}

/// How a task ends. What GitHub does not show (any more) is no failure, whichever request found that out.
pub(super) fn ended(result: Result<Outcome, Trouble>) -> Result<Outcome, Failure> {
    match result {
        Ok(outcome) => Ok(outcome),
        Err(Trouble::GitHub(GitHubError::NotFound { .. })) => Ok(Outcome::completed("gone")),
        Err(trouble) => Err(trouble.into()),
    }
}

/// What everybody may know about what went wrong. The sentences are on disk: they are added to, never reworded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    GitHubAway,
    GitHubLimit,
    GitHubAnswer,
    Token,
    Forbidden,
    GraphAway,
    GraphSetUp,
    GraphRefused,
    Overtaken,
    Inside,
}

impl Reason {
    const ALL: [Self; 10] = [
        Self::GitHubAway,
        Self::GitHubLimit,
        Self::GitHubAnswer,
        Self::Token,
        Self::Forbidden,
        Self::GraphAway,
        Self::GraphSetUp,
        Self::GraphRefused,
        Self::Overtaken,
        Self::Inside,
    ];

    /// What is told of the graph's trouble.
    pub(super) fn of(error: &GraphError) -> Self {
        match error {
            GraphError::Unavailable(_) => Self::GraphAway,
            GraphError::Misconfigured(_) => Self::GraphSetUp,
            GraphError::Refused(_) => Self::GraphRefused,
            GraphError::Outdated => Self::Overtaken,
        }
    }

    /// The reason an operator's text begins with.
    pub(super) fn read(text: &str) -> Self {
        let begins = |reason: &Self| {
            text.strip_prefix(reason.sentence()).is_some_and(|rest| rest.is_empty() || rest.starts_with(BETWEEN))
        };
        Self::ALL.into_iter().find(begins).unwrap_or(Self::Inside)
    }

    pub(super) fn sentence(self) -> &'static str {
        match self {
            Self::GitHubAway => "GitHub is unreachable",
            Self::GitHubLimit => "GitHub's rate limit is reached",
            Self::GitHubAnswer => "GitHub's answer could not be used",
            Self::Token => "GitHub rejects the bot's token",
            Self::Forbidden => "GitHub does not let the bot's account read the repository",
            Self::GraphAway => "the code graph is unreachable",
            Self::GraphSetUp => "the code graph is not set up correctly",
            Self::GraphRefused => "the code graph did not take what was learned",
            Self::Overtaken => "the files changed while they were being read",
            Self::Inside => "something went wrong inside nectr; its operator can look it up",
        }
    }

    fn followed_by(self, story: &str) -> String {
        let sentence = self.sentence();
        if story == sentence { story.to_owned() } else { format!("{sentence}{BETWEEN}{story}") }
    }
}

const BETWEEN: &str = ": ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_found_again_in_front_of_any_story() {
        for reason in Reason::ALL {
            for story in ["", "bolt://10.0.0.7:7687 said: no", reason.sentence()] {
                assert_eq!(Reason::read(&reason.followed_by(story)), reason);
            }
        }
    }

    #[test]
    fn what_begins_with_no_sentence_is_told_to_nobody() {
        for text in ["", "the handler panicked: GitHub is unreachable", "GitHub is unreachableness", "syntax error"] {
            assert_eq!(Reason::read(text), Reason::Inside, "{text}");
        }
    }

    #[test]
    fn what_github_does_not_show_is_gone_and_a_lost_lease_stays_one() {
        let missing = Trouble::GitHub(GitHubError::NotFound { what: "acme/api".to_owned() });
        assert!(matches!(ended(Err(missing)), Ok(outcome) if outcome.code == "gone"));
        assert!(matches!(ended(Err(StoreError::Fenced.into())), Err(Failure::Fenced)));
    }
}
