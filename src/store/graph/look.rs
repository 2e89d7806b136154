//! What the graph shows: the last build, the files, and how they hang together.

use std::collections::HashMap;

use sea_orm::{QueryResult, Value};

use super::{super::time, GraphStore, StoreError, rows};
use crate::{
    apart,
    domain::{
        RepoId,
        graph::{FileMap, FileRow, Scan},
    },
};

impl GraphStore {
    /// The last build of a repository.
    pub async fn scan(&self, repo: RepoId) -> Result<Option<Scan>, StoreError> {
        let sql = "SELECT generation, scanned_branch, tree, files, manifest, scanned_at FROM graph_repositories \
                   WHERE repo_id = $1 AND generation IS NOT NULL";
        let Some(row) = self.query(sql, [repo.0.into()]).await?.into_iter().next() else { return Ok(None) };
        Ok(Some(Scan {
            generation: row.try_get("", "generation")?,
            default_branch: row.try_get("", "scanned_branch")?,
            tree: row.try_get("", "tree")?,
            files: row.try_get("", "files")?,
            manifest: row.try_get("", "manifest")?,
            scanned_at: time(row.try_get("", "scanned_at")?),
        }))
    }

    /// All files of the last build, by path.
    pub async fn files(&self, repo: RepoId) -> Result<Vec<FileRow>, StoreError> {
        let sql = "SELECT f.path, f.language, f.size, COALESCE(t.pulls, 0) AS pulls FROM graph_files f \
                   LEFT JOIN (SELECT file_id, COUNT(*) AS pulls FROM graph_touches WHERE repo_id = $1 GROUP BY file_id) t \
                   ON t.file_id = f.id \
                   WHERE f.repo_id = $1 AND f.generation IS NOT NULL ORDER BY f.path";
        self.query(sql, [repo.0.into()]).await?.iter().map(file_row).collect()
    }

    /// The files that are touched most, and which of them change together.
    pub async fn map(&self, repo: RepoId) -> Result<FileMap, StoreError> {
        let sql = "SELECT f.id, f.path, f.language, f.size, COALESCE(t.pulls, 0) AS pulls FROM graph_files f \
                   LEFT JOIN (SELECT file_id, COUNT(*) AS pulls FROM graph_touches WHERE repo_id = $1 GROUP BY file_id) t \
                   ON t.file_id = f.id \
                   WHERE f.repo_id = $1 AND f.generation IS NOT NULL ORDER BY pulls DESC, f.path LIMIT $2";
        let values: [Value; 2] = [repo.0.into(), (FileMap::MAX_NODES as i64).into()];
        let found = self.query(sql, values).await?;
        let nodes: Vec<FileRow> = found.iter().map(file_row).collect::<Result<_, _>>()?;
        let ids: Vec<i64> = found.iter().map(|row| row.try_get("", "id")).collect::<Result<_, _>>()?;
        let pulls = self.pulls_among(repo, &ids).await?;
        Ok(apart::on(FileMap::size(&nodes, &pulls), move || FileMap::of(nodes, pulls)).await)
    }

    /// Which of these files, by their place in the list, each pull request touches.
    async fn pulls_among(&self, repo: RepoId, files: &[i64]) -> Result<Vec<Vec<usize>>, StoreError> {
        let sql = "SELECT t.number, CAST(value ->> 1 AS bigint) AS place FROM {rows} CROSS JOIN graph_touches t \
                   WHERE t.file_id = CAST(value ->> 0 AS bigint) AND t.repo_id = $2";
        let places = rows(files.iter().enumerate().map(|(place, id)| (id, place)))?;
        let mut pulls: HashMap<i64, Vec<usize>> = HashMap::new();
        for row in self.query(sql, [places, repo.0.into()]).await? {
            let place: i64 = row.try_get("", "place")?;
            pulls.entry(row.try_get("", "number")?).or_default().extend(usize::try_from(place));
        }
        Ok(pulls.into_values().collect())
    }
}

fn file_row(row: &QueryResult) -> Result<FileRow, StoreError> {
    Ok(FileRow {
        path: row.try_get("", "path")?,
        language: row.try_get("", "language")?,
        size: row.try_get("", "size")?,
        pulls: row.try_get("", "pulls")?,
    })
}
