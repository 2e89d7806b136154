//! What nectr knows of a connected repository: its files, what changes together, what it is made of.
//!
//! There is no code graph in this process: the routes say so, to those who may see the repository and to nobody else.

use poem::web::Data;
use poem_openapi::{Object, OpenApi, param::Path, payload::Json, types::Example};

use super::{
    Tag,
    error::{Problem, fails},
    params::Name,
    repos::connected,
    security::Caller,
};
use crate::app::Handle;

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
struct Files {
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

/// What a project scan learned.
#[derive(Debug, Object)]
struct Profile {
    /// GitHub's spelling.
    repo: String,
    /// Languages with their shares of the code, from 0 to 1.
    languages: Vec<LanguageShare>,
    /// Frameworks.
    frameworks: Vec<String>,
    /// Package managers.
    package_managers: Vec<String>,
    /// Commands that build, test and lint.
    commands: Vec<String>,
    /// Continuous integration.
    ci: Vec<String>,
    /// Files worth reading first.
    key_files: Vec<String>,
    /// Top-level folders.
    layout: Vec<String>,
}

/// A language and how much of the code it is.
#[derive(Debug, Object)]
struct LanguageShare {
    /// Its name.
    language: String,
    /// From 0 to 1.
    share: f64,
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
    /// Waits until the code graph holds the default branch as it is now.
    #[oai(path = "/:owner/:repo/rescan", method = "post", operation_id = "rescan_repository")]
    async fn rescan(
        &self,
        Caller(user): Caller,
        Data(app): Data<&Handle>,
        owner: Path<Name>,
        repo: Path<Name>,
    ) -> Result<Json<Rescanned>, GraphFails> {
        connected(app, &user, &owner, &repo).await?;
        Err(no_graph().into())
    }

    /// List a repository's files.
    #[oai(path = "/:owner/:repo/files", method = "get", operation_id = "list_files")]
    async fn files(
        &self,
        Caller(user): Caller,
        Data(app): Data<&Handle>,
        owner: Path<Name>,
        repo: Path<Name>,
    ) -> Result<Json<Files>, GraphFails> {
        connected(app, &user, &owner, &repo).await?;
        Err(no_graph().into())
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
        connected(app, &user, &owner, &repo).await?;
        Err(no_graph().into())
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
        connected(app, &user, &owner, &repo).await?;
        Err(Problem::not_found("Not scanned yet").into())
    }
}

/// What `GRAPH=off` answers.
fn no_graph() -> Problem {
    Problem::unavailable("Neo4j not configured")
}

impl Example for Rescanned {
    fn example() -> Self {
        Self { status: "scan_complete".to_owned(), repo: "acme/my-backend".to_owned(), files_indexed: 1234 }
    }
}
