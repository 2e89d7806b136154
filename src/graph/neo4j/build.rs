//! Putting the files of a scan in place.
//!
//! A rescan is one transaction. A first build is committed in pieces, so that it needs no more memory for a million files
//! than for ten thousand: nobody takes it for finished before its `Scan` says so, and whoever starts later takes over.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};

use neo4rs::{BoltType, Query, query};
use serde::Deserialize;

use super::{
    server::{Failure, Server, Transaction, list},
    stored,
};
use crate::domain::{
    RepoId,
    graph::{Build, FileFact, file_id},
};

/// Rows in one statement. Measured: from here on more rows are no faster.
const BATCH: usize = 10_000;
/// How long each statement may take.
const LIMIT: Duration = Duration::from_secs(30);

/// Writes the repository's node, takes the lock that builds of one repository share, and signs as the latest builder.
const CLAIM: &str = "
    MERGE (r:Repository {repo_id: $repo})
    MERGE (s:Scan {repo_id: $repo})
    SET s.repo_id = $repo";

const SIGN: &str = "
    MATCH (s:Scan {repo_id: $repo})
    SET s.builder = $builder";

/// Read in a statement of its own, after the lock has been waited for.
const HELD: &str = "
    MATCH (s:Scan {repo_id: $repo})
    RETURN s.generation AS generation, s.builder AS builder";

const CONTAINED: &str = "
    MATCH (:Repository {repo_id: $repo})-[:CONTAINS]->(f:File)
    RETURN f.path AS path, f.language AS language, f.size AS size";

/// For files that are not there at all. Fails if one is.
const CREATE: &str = "
    MATCH (r:Repository {repo_id: $repo})
    UNWIND $rows AS row
    CREATE (r)-[:CONTAINS]->(:File {repo_id: $repo, path: row[0], language: row[1], size: row[2]})";

const UPSERT: &str = "
    MATCH (r:Repository {repo_id: $repo})
    UNWIND $rows AS row
    MERGE (f:File {repo_id: $repo, path: row[0]})
    SET f.language = row[1], f.size = row[2]
    REMOVE f:Absent
    MERGE (r)-[:CONTAINS]->(f)";

const MOVE: &str = "
    UNWIND $rows AS row
    MATCH (old:File {repo_id: $repo, path: row[0]})
    SET old.repo_id = $repo
    WITH old, row
    MATCH (old)<-[was:TOUCHES]-(p:PullRequest)
    MATCH (new:File {repo_id: $repo, path: row[1]})
    MERGE (p)-[is:TOUCHES]->(new)
    ON CREATE SET is.hunks = was.hunks, is.file = row[2], is.number = p.number";

/// Files that are touched but were not in the tree.
const ABSENT: &str = "
    MATCH (f:Absent {repo_id: $repo})
    RETURN f.path AS path";

/// Files that are not in the tree live on only while an open pull request touches them. Whoever is just about to touch one
/// holds its lock, and has done so before we look. Returns those that nobody holds on to.
const RELEASE: &str = "
    UNWIND $rows AS path
    MATCH (f:File {repo_id: $repo, path: path})
    SET f.repo_id = $repo
    WITH f
    OPTIONAL MATCH (f)<-[contains:CONTAINS]-()
    DELETE contains
    WITH f, EXISTS { (f)<-[:TOUCHES]-(:PullRequest {state: 'open'}) } AS wanted
    FOREACH (_ IN CASE WHEN wanted THEN [1] ELSE [] END | SET f:Absent REMOVE f.language, f.size)
    WITH f WHERE NOT wanted
    RETURN elementId(f) AS id";

/// By their ids, after all have been looked for: an index in which a transaction has deleted much is slow to look things up
/// in (measured: 100,000 files in 170 s, this way in 10 s).
const REMOVE: &str = "
    UNWIND $rows AS id
    MATCH (f) WHERE elementId(f) = id
    DETACH DELETE f";

const FINISH: &str = "
    MATCH (r:Repository {repo_id: $repo}), (s:Scan {repo_id: $repo})
    SET r.full_name = $full_name, r.default_branch = $default_branch, r.scanned_at = $scanned_at,
        s.generation = $generation, s.default_branch = $scanned_branch, s.tree = $tree, s.files = $files,
        s.manifest = $manifest, s.scanned_at = $scanned_micros, s.builder = null";

#[derive(Deserialize)]
struct Held {
    generation: Option<i64>,
    builder: Option<i64>,
}

#[derive(Deserialize)]
struct Contained {
    path: String,
    language: Option<String>,
    size: i64,
}

#[derive(Deserialize)]
struct Absent {
    path: String,
}

#[derive(Deserialize)]
struct Unwanted {
    id: String,
}

/// One attempt. A `hopeful` one relies on nobody learning of the same files at the same time: that is faster (measured:
/// 1.6 times), and comes into conflict if somebody does.
pub(super) async fn build(server: &Server, build: &Build, hopeful: bool) -> Result<(), Failure> {
    let repo = build.repository.repo.id;
    let this = Attempt { server, repo, builder: random() };
    let mut transaction = server.begin(LIMIT).await?;
    let held = this.lock(&mut transaction).await?;
    if build.from.is_some() && held.generation != build.from {
        return Err(Failure::OUTDATED);
    }
    transaction.run(this.query(SIGN).param("builder", this.builder)).await?;
    let absent = transaction.rows(this.query(ABSENT)).await?;
    let difference = match build.from {
        Some(_) => Difference::stated(build, absent),
        None => Difference::found(build, absent, transaction.rows(this.query(CONTAINED)).await?),
    };

    let is_first = held.generation.is_none();
    let created = difference.created.chunks(BATCH).map(|batch| (if hopeful { CREATE } else { UPSERT }, batch));
    let changed = difference.changed.chunks(BATCH).map(|batch| (UPSERT, batch));
    for (n, (write, batch)) in created.chain(changed).enumerate() {
        if is_first && n > 0 {
            transaction.commit().await?;
            transaction = this.go_on().await?;
        }
        let rows = batch.iter().map(|file| list([name(repo, &file.path), file.language.into(), file.size.into()]));
        transaction.run(this.rows(write, rows)).await?;
    }
    for batch in build.moved.chunks(BATCH) {
        let rows = batch.iter().map(|(old, new)| list([name(repo, old), name(repo, new), file_id(repo, new).into()]));
        transaction.run(this.rows(MOVE, rows)).await?;
    }
    let mut unwanted: Vec<Unwanted> = Vec::new();
    for batch in difference.gone.chunks(BATCH) {
        let rows = batch.iter().map(|path| path.as_str().into());
        unwanted.extend(transaction.rows(this.rows(RELEASE, rows)).await?);
    }
    for batch in unwanted.chunks(BATCH) {
        transaction.run(this.rows(REMOVE, batch.iter().map(|file| file.id.as_str().into()))).await?;
    }
    transaction.run(this.finish(build)).await?;
    transaction.commit().await
}

struct Attempt<'a> {
    server: &'a Server,
    repo: RepoId,
    /// Who writes: a number nobody else has.
    builder: i64,
}

impl Attempt<'_> {
    fn query(&self, text: &str) -> Query {
        query(text).param("repo", self.repo.0)
    }

    fn rows(&self, text: &str, rows: impl Iterator<Item = BoltType>) -> Query {
        self.query(text).param("rows", rows.collect::<BoltType>())
    }

    async fn lock(&self, transaction: &mut Transaction) -> Result<Held, Failure> {
        transaction.run(self.query(CLAIM)).await?;
        transaction.rows(self.query(HELD)).await?.pop().ok_or(Failure::OUTDATED)
    }

    /// The next piece of a first build, unless somebody else has begun or finished one.
    async fn go_on(&self) -> Result<Transaction, Failure> {
        let mut transaction = self.server.begin(LIMIT).await?;
        let held = self.lock(&mut transaction).await?;
        if held.generation.is_some() || held.builder != Some(self.builder) {
            return Err(Failure::OUTDATED);
        }
        Ok(transaction)
    }

    fn finish(&self, build: &Build) -> Query {
        let (repository, scan) = (&build.repository, &build.scan);
        self.query(FINISH)
            .param("full_name", repository.repo.name.to_string())
            .param("default_branch", repository.default_branch.as_str())
            .param("scanned_at", scan.scanned_at)
            .param("generation", scan.generation)
            .param("scanned_branch", scan.default_branch.as_str())
            .param("tree", scan.tree.as_str())
            .param("files", scan.files)
            .param("manifest", scan.manifest.as_slice())
            .param("scanned_micros", scan.scanned_at.timestamp_micros())
    }
}

/// What has to be written, by path as facts are: transactions that lock in the same order do not wait for each other in a
/// circle.
struct Difference<'a> {
    /// Files of which there is no node yet.
    created: Vec<&'a FileFact>,
    /// New and changed files of which there may be a node.
    changed: Vec<&'a FileFact>,
    /// Not in the tree, or not any more.
    gone: Vec<String>,
}

impl<'a> Difference<'a> {
    fn stated(build: &'a Build, absent: Vec<Absent>) -> Self {
        let repo = build.repository.repo.id;
        let gone = build.gone.iter().map(|path| stored(repo, path).into_owned());
        let gone = gone.chain(absent.into_iter().map(|file| file.path)).collect();
        Self { created: Vec::new(), changed: build.files.iter().collect(), gone }.in_order(build)
    }

    /// Between what is there and a complete list.
    fn found(build: &'a Build, absent: Vec<Absent>, contained: Vec<Contained>) -> Self {
        let repo = build.repository.repo.id;
        let mut there: HashMap<String, Option<(Option<String>, i64)>> =
            contained.into_iter().map(|file| (file.path, Some((file.language, file.size)))).collect();
        there.extend(absent.into_iter().map(|file| (file.path, None)));
        let (mut created, mut changed) = (Vec::new(), Vec::new());
        for file in &build.files {
            match there.get(&*stored(repo, &file.path)) {
                None => created.push(file),
                Some(Some((language, size))) if language.as_deref() == file.language && *size == file.size => {}
                Some(_) => changed.push(file),
            }
        }
        Self { created, changed, gone: there.into_keys().collect() }.in_order(build)
    }

    fn in_order(mut self, build: &Build) -> Self {
        self.created.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        self.created.dedup_by(|a, b| a.path == b.path);
        self.changed.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        let wanted: HashSet<_> = build.files.iter().map(|file| stored(build.repository.repo.id, &file.path)).collect();
        self.gone.retain(|path| !wanted.contains(path.as_str()));
        self.gone.sort_unstable();
        self
    }
}

fn name(repo: RepoId, path: &str) -> BoltType {
    stored(repo, path).as_ref().into()
}

fn random() -> i64 {
    RandomState::new().build_hasher().finish().cast_signed()
}
