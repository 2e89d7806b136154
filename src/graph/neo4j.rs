//! The code graph in Neo4j: the nodes and relationships people ask for in Cypher, and what it takes to keep them right.
//!
//! | node | properties beside those of its identity |
//! |---|---|
//! | `Repository{repo_id}` | full_name, default_branch, scanned_at |
//! | `File{repo_id, path}` | language, size |
//! | `PullRequest{repo_id, number}` | title, author, state, verdict, head_sha, reviewed_at; of our own: bot, files (how many), merged_at, updated_at, files_at, closes_at |
//! | `Developer{login}` | |
//! | `Issue{repo_id, number}` | title, state, labels; of our own: updated_at |
//!
//! `(Repository)-[:CONTAINS]->(File)`, `(PullRequest)-[:TOUCHES {hunks, file, number}]->(File)`, `(PullRequest)-[:AUTHORED_BY]->(Developer)`,
//! `(PullRequest)-[:CLOSES]->(Issue)`, `(Developer)-[:CONTRIBUTED_TO {contributions}]->(Repository)`. Properties of our own
//! that are times are microseconds since 1970; `hunks` are pairs of first line and count, one after the other; `file` and
//! `number` stand for both ends of the relationship in the index that finds a file's latest pull requests.
//!
//! Bookkeeping has labels of its own: `Scan` (one for each repository: the last finished build, and until when
//! its history is known), `Absent` (a second label of
//! files that are touched but not in the tree), `Forgotten` (issues that never come back). Needs Neo4j 5.23 or later.

mod ask;
mod build;
mod files;
mod held;
mod learn;
mod schema;
mod server;

use std::{borrow::Cow, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use neo4rs::query;
use secrecy::SecretString;

use self::server::Server;
use super::{CodeGraph, GraphError};
use crate::domain::{
    RepoId,
    graph::{
        Answer, Build, Contributor, FileMap, FileRow, Held, IssueFact, IssueRef, OpenPull, PullFact, Question,
        RepositoryFact, Scan, file_id,
    },
};

/// How long somebody waits who has other things to do: for `ping` and `scan`.
const SOON: Duration = Duration::from_secs(2);

/// How long a review waits for an answer. A thousandth would usually do; a server that has just started, or planned the
/// statement anew, may need seconds.
const ASK: Duration = Duration::from_secs(5);

/// How to reach a Neo4j.
#[derive(Debug, Clone)]
pub struct Neo4jOptions {
    /// `bolt://`, `neo4j://`, or either with `+s`.
    pub uri: String,
    /// User.
    pub username: String,
    /// Password; none where authentication is off.
    pub password: Option<SecretString>,
    /// Database; none: the server's default.
    pub database: Option<String>,
}

/// A code graph in Neo4j.
pub struct Neo4j {
    server: Server,
}

impl Neo4j {
    /// Connects lazily: nothing is asked of the server yet. Must be called within a tokio runtime.
    pub fn new(options: &Neo4jOptions) -> Result<Self, GraphError> {
        Ok(Self { server: Server::new(options)? })
    }
}

#[async_trait]
impl CodeGraph for Neo4j {
    fn backend(&self) -> &'static str {
        "neo4j"
    }

    async fn prepare(&self) -> Result<(), GraphError> {
        schema::prepare(&self.server).await?;
        ask::warm_up(&self.server).await
    }

    async fn ping(&self) -> Result<(), GraphError> {
        self.server.read::<i64>(SOON, query("RETURN 1")).await.map(drop)
    }

    async fn scan(&self, repo: RepoId) -> Result<Option<Scan>, GraphError> {
        files::scan(&self.server, repo).await
    }

    async fn build(&self, build: &Build) -> Result<(), GraphError> {
        self.server.persist(|attempt| build::build(&self.server, build, attempt == 1)).await
    }

    async fn name_repository(&self, fact: &RepositoryFact) -> Result<(), GraphError> {
        learn::repository(&self.server, fact).await
    }

    async fn learn_pulls(&self, repo: RepoId, pulls: &[PullFact]) -> Result<(), GraphError> {
        learn::pulls(&self.server, repo, pulls).await
    }

    async fn learn_issues(&self, issues: &[IssueFact]) -> Result<(), GraphError> {
        learn::issues(&self.server, issues).await
    }

    async fn forget_issue(&self, issue: IssueRef) -> Result<(), GraphError> {
        learn::forget(&self.server, issue).await
    }

    async fn learn_contributors(&self, repo: RepoId, people: &[Contributor]) -> Result<(), GraphError> {
        learn::contributors(&self.server, repo, people).await
    }

    async fn forget_repository(&self, repo: RepoId) -> Result<(), GraphError> {
        learn::forget_repository(&self.server, repo).await
    }

    async fn held(&self, repo: Option<RepoId>) -> Result<Vec<Held>, GraphError> {
        held::held(&self.server, repo).await
    }

    async fn history_learned(&self, repo: RepoId, until: DateTime<Utc>) -> Result<(), GraphError> {
        held::history_learned(&self.server, repo, until).await
    }

    async fn open_pulls(&self, repo: RepoId) -> Result<Vec<OpenPull>, GraphError> {
        held::open_pulls(&self.server, repo).await
    }

    async fn ask(&self, question: &Question) -> Result<Answer, GraphError> {
        ask::ask(&self.server, ASK, question).await
    }

    async fn files(&self, repo: RepoId) -> Result<Vec<FileRow>, GraphError> {
        // A listing may take long; whether anybody is there is known soon.
        self.ping().await?;
        files::files(&self.server, repo).await
    }

    async fn map(&self, repo: RepoId) -> Result<FileMap, GraphError> {
        self.ping().await?;
        files::map(&self.server, repo).await
    }
}

/// The path as Neo4j gets it: what is longer than Linux allows a path to be (4,096 bytes) is cut and told apart by its key,
/// because Neo4j indexes no text over about 8,000 bytes and refuses the whole transaction.
fn stored(repo: RepoId, path: &str) -> Cow<'_, str> {
    match path.char_indices().find(|(at, _)| *at >= 4_000) {
        Some((end, _)) if path.len() > 4_096 => format!("{}...{:016x}", &path[..end], file_id(repo, path)).into(),
        _ => path.into(),
    }
}

fn time(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or(DateTime::<Utc>::UNIX_EPOCH)
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_that_no_system_could_check_out_is_cut_and_stays_itself() {
        let repo = RepoId(1);
        let longest = "a".repeat(4_096);
        assert_eq!(stored(repo, &longest), longest.as_str());
        let (one, other) = ("\u{20ac}".repeat(1_366), format!("{}x", "\u{20ac}".repeat(1_366)));
        assert!(stored(repo, &one).len() < 4_096);
        assert_ne!(stored(repo, &one), stored(repo, &other));
        assert_eq!(stored(repo, &one), stored(repo, &one));
    }
}
