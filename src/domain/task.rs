//! Durable work that is not a delivery.

use super::RepoId;

/// What there is to do. The word is in the database: it is added to, never renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TaskKind {
    /// Review a pull request because a person asked. Keyed by repository and number.
    Review,
    /// Bring the graph's files up to the default branch. Keyed by repository and backend.
    Graph,
    /// Teach the graph the pull requests, issues and people from before. Keyed by repository and backend.
    History,
    /// Read the key files and write the profile. Keyed by repository.
    Scan,
    /// A fact for the graph that could not be written when it was learned. Keyed by what it is about and its time.
    Learn,
    /// Find what was missed while nectr, GitHub or the way between them was down. Keyed by installation.
    CatchUp,
    /// Look at a pull request whose delivery may have been lost. Keyed by installation, repository and number.
    Look,
    /// Teach the graph the issues that changed while deliveries may have been lost. Keyed by repository, backend and time.
    Issues,
}

impl TaskKind {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Review, Self::Graph, Self::History, Self::Scan, Self::Learn, Self::CatchUp, Self::Look, Self::Issues];

    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Review => "review",
            Self::Graph => "graph",
            Self::History => "history",
            Self::Scan => "scan",
            Self::Learn => "learn",
            Self::CatchUp => "catch_up",
            Self::Look => "look",
            Self::Issues => "issues",
        }
    }

    /// The key of work on a whole repository. What goes into the code graph is learned once for each `backend`: whoever
    /// moves from one to another has it learned again.
    pub fn key(self, repo: RepoId, backend: Option<&str>) -> String {
        match (self, backend) {
            (Self::Graph | Self::History | Self::Issues, Some(backend)) => format!("{repo} {backend}"),
            _ => repo.to_string(),
        }
    }

    /// Reads [`TaskKind::as_str`] back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}
