//! What nectr knows of a connected repository: its files, what changes together, what it is made of.
//!
//! Files and pairs come from the code graph, the profile from the last project scan. With `GRAPH=off` the routes say so,
//! to those who may see the repository and to nobody else.

use poem::web::Data;
use poem_openapi::{Object, OpenApi, param::Path, payload::Json, types::Example};

use super::{
    Tag,
    error::{Problem, fails},
    params::Name,
    repos::connected,
    security::Caller,
    time::Time,
};
use crate::{
    app::{App, Handle},
    domain::{graph::FileRow, profile},
    graph::CodeGraph,
    knowledge::{self, RescanError},
};

/// A finished rescan.
#[derive(Debug, Object)]
#[oai(example)]
struct Rescanned {
    /// Always `scan_complete`.
    status: String,
    /// GitHub's spelling.
    repo: String,
    /// Files in the code graph.
    files_indexed: i64,
}

/// The files of a repository, from the code graph.
#[derive(Debug, Object)]
struct FileList {
    /// GitHub's spelling.
    repo: String,
    /// How many there are.
    count: i64,
    /// All of them.
    files: Vec<File>,
}

/// A file in the code graph.
#[derive(Debug, Object)]
struct File {
    /// From the repository's root.
    path: String,
    /// Programming language, if known.
    language: Option<String>,
    /// Bytes.
    size: i64,
    /// Pull requests that touched it.
    pr_count: i64,
}

/// Files, and which of them change together.
#[derive(Debug, Object)]
struct Graph {
    /// GitHub's spelling.
    repo: String,
    /// Files, heaviest first; at most 700.
    nodes: Vec<Node>,
    /// Pairs changed in the same pull requests, heaviest first; at most 2,000.
    links: Vec<Link>,
}

/// A file in the graph.
#[derive(Debug, Object)]
struct Node {
    /// Its path.
    id: String,
    /// Programming language, if known.
    language: Option<String>,
    /// Pull requests that touched it.
    pr_count: i64,
}

/// Two files that change together.
#[derive(Debug, Object)]
struct Link {
    /// Path of one.
    source: String,
    /// Path of the other.
    target: String,
    /// In how many pull requests.
    weight: i64,
}

/// What a project scan learned. Lists are sorted and without repetition, unless they say otherwise.
#[derive(Debug, Object)]
struct Profile {
    /// GitHub's spelling.
    repo: String,
    /// Languages with their shares of the code, largest first.
    languages: Vec<LanguageShare>,
    /// Frameworks that the manifests name.
    frameworks: Vec<String>,
    /// Package managers.
    package_managers: Vec<String>,
    /// How the project is built, tested and linted.
    commands: Commands,
    /// Continuous integration.
    ci: Vec<String>,
    /// Where programs start.
    entry_points: Vec<String>,
    /// Files worth reading first.
    key_files: Vec<String>,
    /// Top-level folders and how many files they hold, most first.
    layout: Vec<String>,
    /// What the settings state about how code is written.
    conventions: Vec<String>,
    /// The packages of a monorepo, or the one package.
    packages: Vec<Package>,
    /// What could not be read.
    troubles: Vec<String>,
    /// What GitHub counts, where it was asked.
    statistics: Option<Statistics>,
    /// What was read, by git's name; empty for a repository without commits.
    commit: String,
    /// When.
    scanned_at: Time,
}

/// A language and how much of the code it is.
#[derive(Debug, Object)]
struct LanguageShare {
    /// Its name.
    language: String,
    /// From 0 to 1.
    share: f64,
}

/// Commands, those to be trusted most first.
#[derive(Debug, Object)]
struct Commands {
    /// Build it.
    build: Vec<String>,
    /// Run its tests.
    test: Vec<String>,
    /// Judge its style.
    lint: Vec<String>,
}

/// One package of a repository.
#[derive(Debug, Object)]
struct Package {
    /// Its folder; empty for the root.
    path: String,
    /// Its name, where the manifest states one.
    name: Option<String>,
    /// Whose package it is, e.g. `cargo`, `npm`, `maven`.
    ecosystem: String,
}

/// What GitHub counts about a repository.
#[derive(Debug, Object)]
struct Statistics {
    /// Stars.
    stars: i64,
    /// Forks.
    forks: i64,
    /// Open issues.
    open_issues: i64,
    /// Open pull requests.
    open_pulls: i64,
    /// Merged pull requests.
    merged_pulls: i64,
    /// Kilobytes on GitHub's disk.
    disk_kilobytes: i64,
    /// When it was made.
    created_at: Time,
}

fails! {
    /// Asking the code graph.
    GraphFails {
        404 "Repo not connected";
        422 "This cannot be a repository's name";
        503 "Neo4j not configured" | "Neo4j is unreachable";
    }
}

fails! {
    /// Indexing again.
    RescanFails {
        404 "Repo not connected";
        422 "This cannot be a repository's name";
        500 "Rescan failed: {reason}";
        503 "Neo4j not configured" | "Neo4j is unreachable";
    }
}

fails! {
    /// Asking for the profile.
    ProfileFails {
        404 "Repo not connected" | "Not scanned yet";
        422 "This cannot be a repository's name";
    }
}

/// Knowledge of repositories.
pub(super) struct KnowledgeApi;

#[OpenApi(prefix_path = "/api/v1/repos", tag = "Tag::Repositories")]
impl KnowledgeApi {
    /// Index a repository again.
    ///
    /// Waits until the code graph holds the default branch as it is now, at most ten minutes. The work goes on if the caller
    /// leaves, and who asks meanwhile joins it.
    #[oai(path = "/:owner/:repo/rescan", method = "post", operation_id = "rescan_repository")]
    async fn rescan(
        &self,
        Caller(user): Caller,
        Data(app): Data<&Handle>,
        owner: Path<Name>,
        repo: Path<Name>,
    ) -> Result<Json<Rescanned>, RescanFails> {
        let installation = connected(app, &user, &owner, &repo).await?;
        let files_indexed = knowledge::rescan(app, installation.id, &installation.repo).await?;
        let repo = installation.repo.name.to_string();
        Ok(Json(Rescanned { status: "scan_complete".to_owned(), repo, files_indexed }))
    }

    /// List a repository's files.
    #[oai(path = "/:owner/:repo/files", method = "get", operation_id = "list_files")]
    async fn files(
        &self,
        Caller(user): Caller,
        Data(app): Data<&Handle>,
        owner: Path<Name>,
        repo: Path<Name>,
    ) -> Result<Json<FileList>, GraphFails> {
        let repo = connected(app, &user, &owner, &repo).await?.repo;
        let files = graph(app).await?.files(repo.id).await?;
        let count = i64::try_from(files.len()).unwrap_or(i64::MAX);
        Ok(Json(FileList { repo: repo.name.to_string(), count, files: files.into_iter().map(File::from).collect() }))
    }

    /// See which files change together.
    #[oai(path = "/:owner/:repo/graph", method = "get", operation_id = "get_graph")]
    async fn graph(
        &self,
        Caller(user): Caller,
        Data(app): Data<&Handle>,
        owner: Path<Name>,
        repo: Path<Name>,
    ) -> Result<Json<Graph>, GraphFails> {
        let repo = connected(app, &user, &owner, &repo).await?.repo;
        let map = graph(app).await?.map(repo.id).await?;
        let links = map.links.into_iter().map(|(source, target, weight)| Link { source, target, weight });
        let nodes = map.nodes.into_iter().map(Node::from).collect();
        Ok(Json(Graph { repo: repo.name.to_string(), nodes, links: links.collect() }))
    }

    /// See what a project scan learned.
    #[oai(path = "/:owner/:repo/profile", method = "get", operation_id = "get_profile")]
    async fn profile(
        &self,
        Caller(user): Caller,
        Data(app): Data<&Handle>,
        owner: Path<Name>,
        repo: Path<Name>,
    ) -> Result<Json<Profile>, ProfileFails> {
        let repo = connected(app, &user, &owner, &repo).await?.repo;
        let profile = app.store.profile(repo.id).await?.ok_or_else(|| Problem::not_found("Not scanned yet"))?;
        Ok(Json(Profile::new(repo.name.to_string(), profile)))
    }
}

/// The graph, unless there is none or it is away.
async fn graph(app: &App) -> Result<&dyn CodeGraph, Problem> {
    let graph = app.graph.as_ref().ok_or(RescanError::NotConfigured)?;
    Ok(graph.ready().await?)
}

impl From<FileRow> for File {
    fn from(file: FileRow) -> Self {
        let FileRow { path, language, size, pulls } = file;
        Self { path, language, size, pr_count: pulls }
    }
}

impl From<FileRow> for Node {
    fn from(file: FileRow) -> Self {
        Self { id: file.path, language: file.language, pr_count: file.pulls }
    }
}

impl Profile {
    fn new(repo: String, profile: profile::Profile) -> Self {
        let languages = profile.languages.into_iter();
        let packages = profile.packages.into_iter();
        Self {
            repo,
            languages: languages.map(|it| LanguageShare { language: it.language, share: it.share }).collect(),
            frameworks: profile.frameworks,
            package_managers: profile.package_managers,
            commands: profile.commands.into(),
            ci: profile.ci,
            entry_points: profile.entry_points,
            key_files: profile.key_files,
            layout: profile.layout,
            conventions: profile.conventions,
            packages: packages.map(Package::from).collect(),
            troubles: profile.troubles,
            statistics: profile.statistics.map(Statistics::from),
            commit: profile.commit,
            scanned_at: profile.scanned_at.into(),
        }
    }
}

impl From<profile::Commands> for Commands {
    fn from(commands: profile::Commands) -> Self {
        let profile::Commands { build, test, lint } = commands;
        Self { build, test, lint }
    }
}

impl From<profile::Package> for Package {
    fn from(package: profile::Package) -> Self {
        let profile::Package { path, name, ecosystem } = package;
        Self { path, name, ecosystem }
    }
}

impl From<profile::Statistics> for Statistics {
    fn from(counts: profile::Statistics) -> Self {
        Self {
            stars: counts.stars,
            forks: counts.forks,
            open_issues: counts.open_issues,
            open_pulls: counts.open_pulls,
            merged_pulls: counts.merged_pulls,
            disk_kilobytes: counts.disk_kilobytes,
            created_at: counts.created_at.into(),
        }
    }
}

impl Example for Rescanned {
    fn example() -> Self {
        Self { status: "scan_complete".to_owned(), repo: "acme/my-backend".to_owned(), files_indexed: 1234 }
    }
}
