//! The code graph: repositories, files, pull requests, developers, issues, and how they hang together.
//!
//! [`CodeGraph`] is one contract with two backends: [`neo4j`], for teams that want to ask in Cypher, and [`database`], the
//! same graph in SQL, where nothing needs to be set up. Whatever a backend is asked, it answers within a deadline or says
//! [`GraphError::Unavailable`]: a review never waits long for what it could do without.

pub mod database;
pub mod neo4j;
pub mod tree;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio::sync::Mutex;

use crate::domain::{
    RepoId,
    graph::{
        Answer, Build, Contributor, FileMap, FileRow, Held, IssueFact, IssueRef, OpenPull, PullFact, Question,
        RepositoryFact, Scan,
    },
    retry::Retry,
};

/// What the graph did not do.
#[derive(Debug, Clone, thiserror::Error)]
pub enum GraphError {
    /// Nobody answers, or not in time. It may be back later.
    #[error("{0} is unreachable")]
    Unavailable(&'static str),
    /// It answered, and the answer was no.
    #[error("the code graph refused: {0}")]
    Refused(String),
    /// It answered that it will serve nobody, or not us, until somebody sets it up differently: a wrong password, a
    /// database that does not exist or may only be read.
    #[error("the code graph is not usable as it is set up: {0}")]
    Misconfigured(String),
    /// The graph holds another generation of these files than the difference starts from.
    #[error("the code graph has changed meanwhile")]
    Outdated,
}

impl GraphError {
    /// What a worker does about it.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Unavailable(_) => Retry::Park(Duration::from_secs(15)),
            // The graph, not the work: somebody has to mend it.
            Self::Misconfigured(_) => Retry::Park(Duration::from_secs(300)),
            Self::Refused(_) | Self::Outdated => Retry::Count,
        }
    }
}

/// What both backends do. Every call is safe to repeat, and facts may come in any order.
#[async_trait]
pub trait CodeGraph: Send + Sync {
    /// `neo4j` or `database`.
    fn backend(&self) -> &'static str;

    /// Makes the schema, if it is not there yet.
    async fn prepare(&self) -> Result<(), GraphError>;

    /// Whether it answers.
    async fn ping(&self) -> Result<(), GraphError>;

    /// The last finished build of a repository.
    async fn scan(&self, repo: RepoId) -> Result<Option<Scan>, GraphError>;

    /// Puts a build in place: all of it, or (unless it was the first) nothing. [`GraphError::Outdated`] when the graph does
    /// not hold the generation that the difference starts from.
    async fn build(&self, build: &Build) -> Result<(), GraphError>;

    /// Says what a repository is called. Makes the repository if need be.
    async fn name_repository(&self, fact: &RepositoryFact) -> Result<(), GraphError>;

    /// Learns pull requests, with their authors, files and issues.
    async fn learn_pulls(&self, repo: RepoId, pulls: &[PullFact]) -> Result<(), GraphError>;

    /// Learns issues.
    async fn learn_issues(&self, issues: &[IssueFact]) -> Result<(), GraphError>;

    /// Forgets an issue for good: it was deleted or has moved away, and facts that arrive late do not bring it back.
    async fn forget_issue(&self, issue: IssueRef) -> Result<(), GraphError>;

    /// Says who contributed to a repository; who is not named keeps what is known.
    async fn learn_contributors(&self, repo: RepoId, people: &[Contributor]) -> Result<(), GraphError>;

    /// Forgets everything about a repository, and people of whom nothing else is known. Interrupted, it is to be repeated.
    async fn forget_repository(&self, repo: RepoId) -> Result<(), GraphError>;

    /// What is held of one repository, or of all of them. Who is not named has nothing.
    async fn held(&self, repo: Option<RepoId>) -> Result<Vec<Held>, GraphError>;

    /// Remembers that everything that happened in a repository until `until` was learned.
    async fn history_learned(&self, repo: RepoId, until: DateTime<Utc>) -> Result<(), GraphError>;

    /// The pull requests that it believes open, by number.
    async fn open_pulls(&self, repo: RepoId) -> Result<Vec<OpenPull>, GraphError>;

    /// Answers everything a review wants to know.
    async fn ask(&self, question: &Question) -> Result<Answer, GraphError>;

    /// All files of a repository's last build, by path.
    async fn files(&self, repo: RepoId) -> Result<Vec<FileRow>, GraphError>;

    /// The files that are touched most, and which of them change together.
    async fn map(&self, repo: RepoId) -> Result<FileMap, GraphError>;
}

/// How the graph is, for `/health`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GraphHealth {
    /// It answers and has its schema.
    Ok,
    /// It does not answer.
    Unreachable,
    /// It answers, but its schema could not be made; the text says why.
    Failed(String),
}

/// How long somebody who needs the graph waits for its schema. Where it takes longer, whoever has the time makes it
/// ([`Graph::prepare`]).
const PATIENCE: Duration = Duration::from_secs(3);

/// The graph of this process. Cheap to clone.
#[derive(Clone)]
pub struct Graph {
    inner: Arc<Inner>,
}

struct Inner {
    backend: Box<dyn CodeGraph>,
    /// Whether the schema is there.
    ready: Mutex<bool>,
}

impl Graph {
    /// Over a backend. Asks nothing of it yet.
    pub fn new(backend: impl CodeGraph + 'static) -> Self {
        Self { inner: Arc::new(Inner { backend: Box::new(backend), ready: Mutex::new(false) }) }
    }

    /// `neo4j` or `database`.
    pub fn backend(&self) -> &'static str {
        self.inner.backend.backend()
    }

    /// The backend with its schema in place; makes it if that has not succeeded before, but nobody waits long for that.
    pub async fn ready(&self) -> Result<&dyn CodeGraph, GraphError> {
        match tokio::time::timeout(PATIENCE, self.prepare()).await {
            Ok(prepared) => prepared.map(|()| &*self.inner.backend),
            Err(_) => Err(GraphError::Unavailable("the code graph")),
        }
    }

    /// Makes the schema, if that has not succeeded before, and waits for as long as it takes.
    pub async fn prepare(&self) -> Result<(), GraphError> {
        let mut ready = self.inner.ready.lock().await;
        if !*ready {
            self.inner.backend.prepare().await?;
            *ready = true;
        }
        Ok(())
    }

    /// How it is right now.
    pub async fn health(&self) -> GraphHealth {
        let asked = async { self.ready().await?.ping().await };
        match asked.await {
            Ok(()) => GraphHealth::Ok,
            Err(GraphError::Unavailable(_)) => GraphHealth::Unreachable,
            Err(error) => GraphHealth::Failed(error.to_string()),
        }
    }
}
