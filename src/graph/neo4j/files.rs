//! The files of a repository and how they hang together, for people to look at.

use std::time::Duration;

use neo4rs::{BoltType, query};
use serde::Deserialize;

use super::{GraphError, SOON, count, server::Server, time};
use crate::{
    apart,
    domain::{
        RepoId,
        graph::{FileMap, FileRow, Scan},
    },
};

/// How long a listing of a whole repository may take.
const LIMIT: Duration = Duration::from_secs(20);

const SCAN: &str = "
    MATCH (s:Scan {repo_id: $repo})
    WHERE s.generation IS NOT NULL
    RETURN s.generation AS generation, s.default_branch AS default_branch, s.tree AS tree, s.files AS files,
           s.manifest AS manifest, s.scanned_at AS scanned_at";

const FILES: &str = "
    MATCH (:Repository {repo_id: $repo})-[:CONTAINS]->(f:File)
    RETURN f.path AS path, f.language AS language, f.size AS size, COUNT { (f)<-[:TOUCHES]-() } AS pulls
    ORDER BY path";

const NODES: &str = "
    MATCH (:Repository {repo_id: $repo})-[:CONTAINS]->(f:File)
    WITH f, COUNT { (f)<-[:TOUCHES]-() } AS pulls
    ORDER BY pulls DESC, f.path LIMIT $nodes
    RETURN f.path AS path, f.language AS language, f.size AS size, pulls";

/// Which of these files each pull request touches. Pairs are counted here: Neo4j would keep each pair of each pull request
/// in memory.
const TOGETHER: &str = "
    UNWIND range(0, size($paths) - 1) AS place
    MATCH (:File {repo_id: $repo, path: $paths[place]})<-[:TOUCHES]-(p:PullRequest)
    WITH p, collect(place) AS places WHERE size(places) > 1
    RETURN places";

#[derive(Deserialize)]
struct ScanRow {
    generation: i64,
    default_branch: String,
    tree: String,
    files: i64,
    manifest: Vec<u8>,
    scanned_at: i64,
}

#[derive(Deserialize)]
struct File {
    path: String,
    language: Option<String>,
    size: i64,
    pulls: i64,
}

#[derive(Deserialize)]
struct Together {
    places: Vec<usize>,
}

impl From<File> for FileRow {
    fn from(File { path, language, size, pulls }: File) -> Self {
        Self { path, language, size, pulls }
    }
}

pub(super) async fn scan(server: &Server, repo: RepoId) -> Result<Option<Scan>, GraphError> {
    let rows: Vec<ScanRow> = server.read(SOON, query(SCAN).param("repo", repo.0)).await?;
    Ok(rows.into_iter().next().map(|row| Scan {
        generation: row.generation,
        default_branch: row.default_branch,
        tree: row.tree,
        files: row.files,
        manifest: row.manifest,
        scanned_at: time(row.scanned_at),
    }))
}

pub(super) async fn files(server: &Server, repo: RepoId) -> Result<Vec<FileRow>, GraphError> {
    let rows: Vec<File> = server.read(LIMIT, query(FILES).param("repo", repo.0)).await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

pub(super) async fn map(server: &Server, repo: RepoId) -> Result<FileMap, GraphError> {
    let nodes = query(NODES).param("repo", repo.0).param("nodes", count(FileMap::MAX_NODES));
    let nodes: Vec<File> = server.read(LIMIT, nodes).await?;
    let paths = nodes.iter().map(|file| file.path.as_str()).collect::<BoltType>();
    let together = query(TOGETHER).param("repo", repo.0).param("paths", paths);
    let pulls: Vec<Together> = server.read(LIMIT, together).await?;
    let pulls: Vec<_> = pulls.into_iter().map(|pull| pull.places).collect();
    let nodes: Vec<FileRow> = nodes.into_iter().map(Into::into).collect();
    Ok(apart::on(FileMap::size(&nodes, &pulls), move || FileMap::of(nodes, pulls)).await)
}
