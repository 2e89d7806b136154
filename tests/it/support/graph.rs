//! Code graphs to tell stories to, facts to teach them, and everything one says of a repository, for comparing.

use std::sync::{
    Once,
    atomic::{AtomicI64, Ordering},
};

use chrono::{DateTime, TimeDelta, Utc};
use nectr::{
    domain::{
        Clock, CommitSha, PrNumber, RepoId, RepoName, RepoRef,
        graph::{
            Answer, Build, FileFact, FileMap, FileRow, IssueFact, IssueRef, PullFact, Question, RepositoryFact, Scan,
            Touch,
        },
        pull_request::PrState,
    },
    graph::{
        CodeGraph, database,
        neo4j::{Neo4j, Neo4jOptions},
    },
};

use tokio::sync::OnceCell;

use super::database::{Database, noon};

static NEXT: AtomicI64 = AtomicI64::new(0);

/// A repository nobody else has: one Neo4j serves all tests.
pub fn fresh_repo() -> RepoId {
    RepoId(Utc::now().timestamp_micros() * 1_000 + NEXT.fetch_add(1, Ordering::Relaxed) % 1_000)
}

/// Tells a story to each backend there is: the database, and the Neo4j that `TEST_NEO4J_URI`, `TEST_NEO4J_USER` and
/// `TEST_NEO4J_PASSWORD` name. Each time the repository is a fresh one.
pub async fn on_every_backend(story: impl AsyncFn(&dyn CodeGraph, RepoId)) {
    let database = Database::fresh().await;
    let graph = database::Database::new(database.store(&Clock::manual(noon())).await);
    graph.prepare().await.unwrap();
    story(&graph, fresh_repo()).await;
    drop(graph);
    database.remove().await;
    if let Some(graph) = neo4j() {
        // Once for all of them: it takes a moment.
        static PREPARED: OnceCell<()> = OnceCell::const_new();
        PREPARED.get_or_init(async || graph.prepare().await.unwrap()).await;
        story(&graph, fresh_repo()).await;
    }
}

/// The Neo4j that the environment names.
pub fn neo4j() -> Option<Neo4j> {
    Some(Neo4j::new(&neo4j_options()?).unwrap())
}

/// How to reach it.
pub fn neo4j_options() -> Option<Neo4jOptions> {
    static SAID: Once = Once::new();
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let Some(uri) = set("TEST_NEO4J_URI") else {
        SAID.call_once(|| eprintln!("TEST_NEO4J_URI is not set: the code graph in Neo4j is not tested"));
        return None;
    };
    let username = set("TEST_NEO4J_USER").unwrap_or_else(|| "neo4j".to_owned());
    let password = set("TEST_NEO4J_PASSWORD").map(Into::into);
    Some(Neo4jOptions { uri, username, password, database: None })
}

/// Everything the graph says of a repository.
#[derive(Debug, Clone, PartialEq)]
pub struct Dump {
    pub scan: Option<Scan>,
    pub files: Vec<FileRow>,
    pub map: FileMap,
    /// What it answers about each file alone, and then about all of them.
    pub answers: Vec<(String, Answer)>,
}

/// Asks for everything: about the files it lists and `more`, and about issues 1 to 50.
pub async fn dump(graph: &dyn CodeGraph, repo: RepoId, more: &[&str]) -> Dump {
    let files = graph.files(repo).await.unwrap();
    let mut paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).chain(more.iter().copied()).collect();
    paths.sort_unstable();
    paths.dedup();
    let mut answers = Vec::new();
    for path in &paths {
        answers.push(((*path).to_owned(), graph.ask(&question(repo, &[path])).await.unwrap()));
    }
    let closes = (1..=50).collect();
    let all = Question { closes, ..question(repo, &paths) };
    answers.push(("all of them".to_owned(), graph.ask(&all).await.unwrap()));
    Dump { scan: graph.scan(repo).await.unwrap(), map: graph.map(repo).await.unwrap(), files, answers }
}

/// What a pull request that is not in the graph, by somebody who is not either, would ask at noon.
pub fn question(repo: RepoId, files: &[&str]) -> Question {
    Question {
        repo,
        number: PrNumber(1_000_000),
        author: "nobody".to_owned(),
        files: files.iter().map(|&path| path.to_owned()).collect(),
        closes: Vec::new(),
        now: noon(),
    }
}

/// Its answer.
pub async fn ask(graph: &dyn CodeGraph, repo: RepoId, files: &[&str]) -> Answer {
    graph.ask(&question(repo, files)).await.unwrap()
}

/// A time `minutes` after noon (before, if negative).
pub fn at(minutes: i64) -> DateTime<Utc> {
    noon() + TimeDelta::minutes(minutes)
}

/// A time `days` before noon.
pub fn days_ago(days: i64) -> DateTime<Utc> {
    noon() - TimeDelta::days(days)
}

/// The repository as it is called.
pub fn named(repo: RepoId, name: &str) -> RepositoryFact {
    let name = RepoName::parse(name).unwrap();
    RepositoryFact { repo: RepoRef { id: repo, name }, default_branch: "main".to_owned() }
}

/// A file of the default branch: 10 bytes of Rust.
pub fn file(path: &str) -> FileFact {
    FileFact { path: path.to_owned(), language: Some("Rust"), size: 10 }
}

/// A first build: these files are all there are.
pub fn first(repo: RepoId, files: &[&str]) -> Build {
    let files: Vec<_> = files.iter().map(|path| file(path)).collect();
    Build {
        repository: named(repo, "acme/shop"),
        scan: Scan {
            generation: 1,
            default_branch: "main".to_owned(),
            tree: "tree-1".to_owned(),
            files: i64::try_from(files.len()).unwrap(),
            manifest: vec![0, 1, 0xfe, 0xff],
            scanned_at: at(0),
        },
        from: None,
        files,
        gone: Vec::new(),
        moved: Vec::new(),
    }
}

/// The build after generation `from`: these files are new or changed, those are gone.
pub fn next(repo: RepoId, from: i64, files: &[&str], gone: &[&str]) -> Build {
    let mut build = first(repo, files);
    build.from = Some(from);
    build.gone = gone.iter().map(|&path| path.to_owned()).collect();
    build.scan.generation = from + 1;
    build.scan.tree = format!("tree-{}", from + 1);
    build.scan.scanned_at = at(from);
    build
}

/// A pull request that `ada` merged yesterday; nothing is known of its files.
pub fn pull(number: i64) -> PullFact {
    PullFact {
        number: PrNumber(number),
        title: format!("Change {number}"),
        author: "ada".to_owned(),
        bot: false,
        state: PrState::Merged,
        head: CommitSha(format!("{number:040x}")),
        updated_at: at(0),
        merged_at: Some(days_ago(1)),
        files: None,
        closes: None,
        verdict: None,
    }
}

/// What is different about a pull request.
pub trait But: Sized {
    fn by(self, author: &str) -> Self;
    fn by_bot(self, author: &str) -> Self;
    fn open(self) -> Self;
    fn closed(self) -> Self;
    fn merged(self, at: DateTime<Utc>) -> Self;
    /// Touches these, one hunk in each: lines 1 to 3.
    fn touching(self, files: &[&str]) -> Self;
    fn at(self, minutes: i64) -> Self;
    fn titled(self, title: &str) -> Self;
}

impl But for PullFact {
    fn by(self, author: &str) -> Self {
        Self { author: author.to_owned(), bot: false, ..self }
    }

    fn by_bot(self, author: &str) -> Self {
        Self { author: author.to_owned(), bot: true, ..self }
    }

    fn open(self) -> Self {
        Self { state: PrState::Open, merged_at: None, ..self }
    }

    fn closed(self) -> Self {
        Self { state: PrState::Closed, merged_at: None, ..self }
    }

    fn merged(self, at: DateTime<Utc>) -> Self {
        Self { state: PrState::Merged, merged_at: Some(at), ..self }
    }

    fn touching(self, files: &[&str]) -> Self {
        let touch = |&path: &&str| Touch { path: path.to_owned(), hunks: vec![(1, 3)] };
        Self { files: Some(files.iter().map(touch).collect()), ..self }
    }

    fn at(self, minutes: i64) -> Self {
        Self { updated_at: at(minutes), ..self }
    }

    fn titled(self, title: &str) -> Self {
        Self { title: title.to_owned(), ..self }
    }
}

/// An open issue without labels.
pub fn issue(repo: RepoId, number: i64) -> IssueFact {
    IssueFact {
        issue: IssueRef { repo, number },
        title: format!("Issue {number}"),
        open: true,
        labels: Vec::new(),
        updated_at: at(0),
    }
}

/// The paths of the files the last build left, in order.
pub async fn paths(graph: &dyn CodeGraph, repo: RepoId) -> Vec<String> {
    graph.files(repo).await.unwrap().into_iter().map(|file| file.path).collect()
}

/// The numbers of the pull requests over the same files, in order.
pub fn numbers(answer: &Answer) -> Vec<i64> {
    answer.related.iter().map(|related| related.number.0).collect()
}
