//! The code graph in SQL: nothing to set up.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio::{sync::OnceCell, time::timeout};

use super::{CodeGraph, GraphError};
use crate::domain::{
    RepoId,
    graph::{
        Answer, Build, Contributor, FileMap, FileRow, Held, IssueFact, IssueRef, OpenPull, PullFact, Question,
        RepositoryFact, Scan,
    },
};
use crate::store::{Store, StoreError, graph::GraphStore};

/// A review waits for this.
const QUICK: Duration = Duration::from_secs(2);

/// A fact, or a look: somebody waits, but could come back.
const PATIENT: Duration = Duration::from_secs(10);

/// A build of a very large repository, behind another one.
const LONG: Duration = Duration::from_secs(120);

/// A code graph beside the database: on SQLite in a second file with its own writer, on PostgreSQL in tables of its own.
pub struct Database {
    store: Store,
    graph: OnceCell<GraphStore>,
}

impl Database {
    /// Beside this database. Opens nothing yet.
    pub fn new(store: Store) -> Self {
        Self { store, graph: OnceCell::new() }
    }

    /// Does something with the graph, or says within the deadline that it cannot be done now.
    async fn within<T>(
        &self,
        deadline: Duration,
        work: impl AsyncFnOnce(&GraphStore) -> Result<T, StoreError>,
    ) -> Result<T, GraphError> {
        let done = async { work(self.graph.get_or_try_init(|| self.store.graph()).await?).await };
        match timeout(deadline, done).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) if error.is_outage() => {
                tracing::warn!(%error, "the code graph's database is away");
                Err(UNAVAILABLE)
            }
            Ok(Err(error)) => Err(GraphError::Refused(error.to_string())),
            Err(_) => Err(UNAVAILABLE),
        }
    }
}

const UNAVAILABLE: GraphError = GraphError::Unavailable("the code graph");

#[async_trait]
impl CodeGraph for Database {
    fn backend(&self) -> &'static str {
        "database"
    }

    async fn prepare(&self) -> Result<(), GraphError> {
        self.within(PATIENT, async |graph| graph.migrate().await).await
    }

    async fn ping(&self) -> Result<(), GraphError> {
        self.within(QUICK, async |graph| graph.ping().await).await
    }

    async fn scan(&self, repo: RepoId) -> Result<Option<Scan>, GraphError> {
        self.within(PATIENT, async |graph| graph.scan(repo).await).await
    }

    async fn build(&self, build: &Build) -> Result<(), GraphError> {
        match self.within(LONG, async |graph| graph.build(build).await).await? {
            true => Ok(()),
            false => Err(GraphError::Outdated),
        }
    }

    async fn name_repository(&self, fact: &RepositoryFact) -> Result<(), GraphError> {
        self.within(PATIENT, async |graph| graph.name_repository(fact).await).await
    }

    async fn learn_pulls(&self, repo: RepoId, pulls: &[PullFact]) -> Result<(), GraphError> {
        self.within(PATIENT, async |graph| graph.learn_pulls(repo, pulls).await).await
    }

    async fn learn_issues(&self, issues: &[IssueFact]) -> Result<(), GraphError> {
        self.within(PATIENT, async |graph| graph.learn_issues(issues).await).await
    }

    async fn forget_issue(&self, issue: IssueRef) -> Result<(), GraphError> {
        self.within(PATIENT, async |graph| graph.forget_issue(issue).await).await
    }

    async fn learn_contributors(&self, repo: RepoId, people: &[Contributor]) -> Result<(), GraphError> {
        self.within(PATIENT, async |graph| graph.learn_contributors(repo, people).await).await
    }

    async fn forget_repository(&self, repo: RepoId) -> Result<(), GraphError> {
        self.within(LONG, async |graph| graph.forget_repository(repo).await).await
    }

    async fn held(&self, repo: Option<RepoId>) -> Result<Vec<Held>, GraphError> {
        self.within(QUICK, async |graph| graph.held(repo).await).await
    }

    async fn history_learned(&self, repo: RepoId, until: DateTime<Utc>) -> Result<(), GraphError> {
        self.within(PATIENT, async |graph| graph.history_learned(repo, until).await).await
    }

    async fn open_pulls(&self, repo: RepoId) -> Result<Vec<OpenPull>, GraphError> {
        self.within(PATIENT, async |graph| graph.open_pulls(repo).await).await
    }

    async fn ask(&self, question: &Question) -> Result<Answer, GraphError> {
        self.within(QUICK, async |graph| graph.ask(question).await).await
    }

    async fn files(&self, repo: RepoId) -> Result<Vec<FileRow>, GraphError> {
        self.within(PATIENT, async |graph| graph.files(repo).await).await
    }

    async fn map(&self, repo: RepoId) -> Result<FileMap, GraphError> {
        self.within(PATIENT, async |graph| graph.map(repo).await).await
    }
}
