//! A repository's files: all of a build, or nothing of it.

use std::collections::HashSet;

use sea_orm::{ConnectionTrait, Value};

use super::{super::micros, BATCH, GraphStore, StoreError, WriteTx, rows, text};
use crate::domain::{
    RepoId,
    graph::{Build, FileFact, RepositoryFact, Scan, file_id},
};

/// Files that nobody needs any more: not in the tree, and touched by no open pull request.
const UNWANTED: &str = "f.repo_id = $1 AND f.generation IS NULL AND NOT EXISTS (\
                        SELECT 1 FROM graph_touches t \
                        JOIN graph_pulls p ON p.repo_id = t.repo_id AND p.number = t.number \
                        WHERE t.file_id = f.id AND p.state = 'open')";

impl GraphStore {
    /// Puts a build in place, in one transaction. False: the graph holds another generation than the difference starts
    /// from, and nothing has changed.
    pub async fn build(&self, build: &Build) -> Result<bool, StoreError> {
        let repo = build.repository.repo.id;
        let tx = self.begin(repo).await?;
        let held = self.generation(&tx, repo).await?;
        if build.from.is_some() && build.from != held {
            return Ok(false);
        }
        // A build that does not count on from what is held cannot tell its own files from the others by their generation.
        let afresh = build.from.is_none() && held.is_some_and(|held| held >= build.scan.generation);
        if afresh {
            self.write(&tx, "UPDATE graph_files SET generation = NULL WHERE repo_id = $1", [repo.0.into()]).await?;
        }
        self.release(&tx, repo, &build.gone).await?;
        self.contain(&tx, repo, &build.files, build.scan.generation).await?;
        self.follow(&tx, repo, &build.moved).await?;
        if build.from.is_none() {
            let sql = "UPDATE graph_files SET generation = NULL WHERE repo_id = $1 AND generation <> $2";
            let values: [Value; 2] = [repo.0.into(), build.scan.generation.into()];
            self.write(&tx, sql, values).await?;
        }
        self.clear(&tx, repo).await?;
        self.keep_scan(&tx, &build.repository, &build.scan).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Says what a repository is called.
    pub async fn name_repository(&self, fact: &RepositoryFact) -> Result<(), StoreError> {
        let tx = self.begin(fact.repo.id).await?;
        let sql = "INSERT INTO graph_repositories (repo_id, full_name, default_branch) VALUES ($1, $2, $3) \
                   ON CONFLICT (repo_id) DO UPDATE SET full_name = excluded.full_name, \
                   default_branch = excluded.default_branch";
        let values: [Value; 3] =
            [fact.repo.id.0.into(), fact.repo.name.to_string().into(), text(&fact.default_branch).into()];
        self.write(&tx, sql, values).await?;
        tx.commit().await
    }

    async fn generation(&self, tx: &WriteTx, repo: RepoId) -> Result<Option<i64>, StoreError> {
        let sql = self.store.sql("SELECT generation FROM graph_repositories WHERE repo_id = $1", [repo.0.into()]);
        Ok(match tx.query_one_raw(sql).await? {
            Some(row) => row.try_get("", "generation")?,
            None => None,
        })
    }

    /// These files are no longer in the tree.
    async fn release(&self, tx: &WriteTx, repo: RepoId, gone: &[String]) -> Result<(), StoreError> {
        let sql = "UPDATE graph_files SET generation = NULL WHERE id IN (SELECT CAST(value AS bigint) FROM {rows})";
        for batch in gone.chunks(BATCH) {
            let ids = rows(batch.iter().map(|path| file_id(repo, path)))?;
            self.write(tx, sql, [ids]).await?;
        }
        Ok(())
    }

    /// These files are in the tree.
    async fn contain(&self, tx: &WriteTx, repo: RepoId, files: &[FileFact], generation: i64) -> Result<(), StoreError> {
        let sql = "INSERT INTO graph_files (id, repo_id, path, language, size, generation) \
                   SELECT CAST(value ->> 0 AS bigint), $2, value ->> 1, value ->> 2, CAST(value ->> 3 AS bigint), $3 \
                   FROM {rows} WHERE TRUE \
                   ON CONFLICT (id) DO UPDATE SET language = excluded.language, size = excluded.size, \
                   generation = excluded.generation";
        let mut seen = HashSet::with_capacity(files.len());
        for batch in files.chunks(BATCH) {
            let files = batch.iter().map(|file| (file_id(repo, &file.path), file)).filter(|(id, _)| seen.insert(*id));
            let files = rows(files.map(|(id, file)| (id, text(&file.path), file.language, file.size)))?;
            self.write(tx, sql, [files, repo.0.into(), generation.into()]).await?;
        }
        Ok(())
    }

    /// Who touched the old name has touched the new one.
    async fn follow(&self, tx: &WriteTx, repo: RepoId, moved: &[(String, String)]) -> Result<(), StoreError> {
        let sql = "INSERT INTO graph_touches (file_id, number, repo_id, hunks) \
                   SELECT CAST(value ->> 1 AS bigint), t.number, t.repo_id, t.hunks \
                   FROM {rows} CROSS JOIN graph_touches t WHERE t.file_id = CAST(value ->> 0 AS bigint) \
                   ON CONFLICT (file_id, number) DO NOTHING";
        for batch in moved.chunks(BATCH) {
            let names = rows(batch.iter().map(|(old, new)| (file_id(repo, old), file_id(repo, new))))?;
            self.write(tx, sql, [names]).await?;
        }
        Ok(())
    }

    async fn clear(&self, tx: &WriteTx, repo: RepoId) -> Result<(), StoreError> {
        let touches =
            format!("DELETE FROM graph_touches WHERE file_id IN (SELECT f.id FROM graph_files f WHERE {UNWANTED})");
        let files = format!("DELETE FROM graph_files WHERE id IN (SELECT f.id FROM graph_files f WHERE {UNWANTED})");
        self.write(tx, &touches, [repo.0.into()]).await?;
        self.write(tx, &files, [repo.0.into()]).await
    }

    async fn keep_scan(&self, tx: &WriteTx, repository: &RepositoryFact, scan: &Scan) -> Result<(), StoreError> {
        let sql = "INSERT INTO graph_repositories (repo_id, full_name, default_branch, generation, scanned_branch, tree, \
                   files, manifest, scanned_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
                   ON CONFLICT (repo_id) DO UPDATE SET full_name = excluded.full_name, \
                   default_branch = excluded.default_branch, generation = excluded.generation, \
                   scanned_branch = excluded.scanned_branch, tree = excluded.tree, files = excluded.files, \
                   manifest = excluded.manifest, scanned_at = excluded.scanned_at";
        let values: [Value; 9] = [
            repository.repo.id.0.into(),
            repository.repo.name.to_string().into(),
            text(&repository.default_branch).into(),
            scan.generation.into(),
            text(&scan.default_branch).into(),
            text(&scan.tree).into(),
            scan.files.into(),
            scan.manifest.clone().into(),
            micros(scan.scanned_at).into(),
        ];
        self.write(tx, sql, values).await
    }
}
