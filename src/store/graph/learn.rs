//! Facts about pull requests, issues and people. Whatever order they arrive in, the newest of each kind stays.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, Value};

use super::{
    super::{Lane, micros},
    BATCH, GraphStore, StoreError, WriteTx, rounds, rows, text,
};
use crate::domain::{
    RepoId,
    graph::{Contributor, IssueFact, IssueRef, PullFact, file_id},
};

impl GraphStore {
    /// Learns pull requests, in order.
    pub async fn learn_pulls(&self, repo: RepoId, pulls: &[PullFact]) -> Result<(), StoreError> {
        if pulls.is_empty() {
            return Ok(());
        }
        let tx = self.begin(repo).await?;
        for pulls in rounds(pulls, |pull| pull.number) {
            for pulls in pulls.chunks(BATCH) {
                let news = self.learn_heads(&tx, repo, pulls).await?;
                self.replace_touches(&tx, repo, &news.files).await?;
                self.replace_closes(&tx, repo, &news.closes).await?;
                self.drop_unwanted(&tx, repo, pulls).await?;
            }
        }
        tx.commit().await
    }

    /// Writes what is one row, and says of which pull requests the files and issues are news.
    async fn learn_heads<'a>(
        &self,
        tx: &WriteTx,
        repo: RepoId,
        pulls: &[&'a PullFact],
    ) -> Result<News<'a>, StoreError> {
        let facts = rows(pulls.iter().map(|pull| {
            let at = micros(pull.updated_at);
            let head = (pull.number, text(&pull.title), text(&pull.author), pull.bot, pull.state.as_str());
            let when = (text(&pull.head.0), at, pull.merged_at.map(micros));
            let files = pull.files.as_ref().map(|_| (touches(repo, pull).len(), at));
            let verdict = pull.verdict.map(|(verdict, at)| (verdict.as_str(), micros(at)));
            (head, when, files, pull.closes.as_ref().map(|_| at), verdict)
        }))?;
        let sql = self.with_rows(&learn_sql());
        let learned = tx.query_all_raw(self.store.sql(&sql, [facts, repo.0.into()])).await?;
        let by_number: HashMap<i64, &PullFact> = pulls.iter().map(|pull| (pull.number.0, *pull)).collect();
        let mut news = News::default();
        for row in learned {
            let Some(pull) = by_number.get(&row.try_get::<i64>("", "number")?) else { continue };
            let at = Some(micros(pull.updated_at));
            if pull.files.is_some() && row.try_get::<Option<i64>>("", "files_at")? == at {
                news.files.push(pull);
            }
            if pull.closes.is_some() && row.try_get::<Option<i64>>("", "closes_at")? == at {
                news.closes.push(pull);
            }
        }
        Ok(news)
    }

    async fn replace_touches(&self, tx: &WriteTx, repo: RepoId, pulls: &[&PullFact]) -> Result<(), StoreError> {
        self.delete_of(tx, repo, "graph_touches", pulls).await?;
        let touched: Vec<_> = pulls
            .iter()
            .flat_map(|pull| touches(repo, pull).into_iter().map(|(id, touch)| (id, pull.number, touch)))
            .collect();
        let files: HashMap<i64, &str> = touched.iter().map(|(id, _, touch)| (*id, touch.path.as_str())).collect();
        let files: Vec<_> = files.into_iter().collect();
        for batch in files.chunks(BATCH) {
            let sql = "INSERT INTO graph_files (id, repo_id, path, size) \
                       SELECT CAST(value ->> 0 AS bigint), $2, value ->> 1, 0 FROM {rows} WHERE TRUE \
                       ON CONFLICT (id) DO NOTHING";
            let files = rows(batch.iter().map(|(id, path)| (id, text(path))))?;
            self.write(tx, sql, [files, repo.0.into()]).await?;
        }
        for batch in touched.chunks(BATCH) {
            let sql = "INSERT INTO graph_touches (file_id, number, repo_id, hunks) \
                       SELECT CAST(value ->> 0 AS bigint), CAST(value ->> 1 AS bigint), $2, value ->> 2 FROM {rows}";
            let touches = rows(batch.iter().map(|(id, number, touch)| (id, number, &touch.hunks)))?;
            self.write(tx, sql, [touches, repo.0.into()]).await?;
        }
        Ok(())
    }

    async fn replace_closes(&self, tx: &WriteTx, repo: RepoId, pulls: &[&PullFact]) -> Result<(), StoreError> {
        self.delete_of(tx, repo, "graph_closes", pulls).await?;
        let closes: Vec<_> = pulls
            .iter()
            .flat_map(|pull| pull.closes.iter().flatten().map(|issue| (pull.number, issue.repo, issue.number)))
            .collect();
        for batch in closes.chunks(BATCH) {
            let sql = "INSERT INTO graph_closes (repo_id, number, issue_repo_id, issue_number) \
                       SELECT $2, CAST(value ->> 0 AS bigint), CAST(value ->> 1 AS bigint), CAST(value ->> 2 AS bigint) \
                       FROM {rows} WHERE TRUE ON CONFLICT DO NOTHING";
            self.write(tx, sql, [rows(batch)?, repo.0.into()]).await?;
        }
        Ok(())
    }

    async fn delete_of(&self, tx: &WriteTx, repo: RepoId, table: &str, pulls: &[&PullFact]) -> Result<(), StoreError> {
        if pulls.is_empty() {
            return Ok(());
        }
        let sql = format!(
            "DELETE FROM {table} WHERE repo_id = $2 AND number IN (SELECT CAST(value AS bigint) FROM {{rows}})"
        );
        self.write(tx, &sql, [rows(pulls.iter().map(|pull| pull.number))?, repo.0.into()]).await
    }

    /// What only pull requests that came to nothing touch, in a repository whose files are known. A merged one may have
    /// made files that the next build finds.
    async fn drop_unwanted(&self, tx: &WriteTx, repo: RepoId, pulls: &[&PullFact]) -> Result<(), StoreError> {
        let sql = "SELECT DISTINCT f.id FROM graph_pulls p \
                   JOIN graph_touches t ON t.repo_id = p.repo_id AND t.number = p.number \
                   JOIN graph_files f ON f.id = t.file_id \
                   WHERE p.repo_id = $2 AND p.number IN (SELECT CAST(value AS bigint) FROM {rows}) \
                   AND p.state = 'closed' AND f.generation IS NULL \
                   AND EXISTS (SELECT 1 FROM graph_repositories r WHERE r.repo_id = $2 AND r.generation IS NOT NULL) \
                   AND NOT EXISTS (SELECT 1 FROM graph_touches u \
                   JOIN graph_pulls q ON q.repo_id = u.repo_id AND q.number = u.number \
                   WHERE u.file_id = f.id AND q.state <> 'closed')";
        let numbers = rows(pulls.iter().map(|pull| pull.number))?;
        let unwanted = tx.query_all_raw(self.store.sql(&self.with_rows(sql), [numbers, repo.0.into()])).await?;
        if unwanted.is_empty() {
            return Ok(());
        }
        let ids: Vec<i64> = unwanted.iter().map(|row| row.try_get("", "id")).collect::<Result<_, _>>()?;
        for column in ["graph_touches WHERE file_id", "graph_files WHERE id"] {
            let sql = format!("DELETE FROM {column} IN (SELECT CAST(value AS bigint) FROM {{rows}})");
            self.write(tx, &sql, [rows(&ids)?]).await?;
        }
        Ok(())
    }

    /// Learns issues, in order.
    pub async fn learn_issues(&self, issues: &[IssueFact]) -> Result<(), StoreError> {
        // In one order everywhere, so that two who learn the same issues wait for each other instead of for good.
        let mut issues = issues.to_vec();
        issues.sort_by_key(|fact| fact.issue);
        let tx = self.store.begin(Lane::Work).await?;
        for issues in rounds(&issues, |fact| fact.issue) {
            for batch in issues.chunks(BATCH) {
                let sql = "INSERT INTO graph_issues AS old (repo_id, number, title, open, labels, updated_at, gone) \
                           SELECT CAST(value ->> 0 AS bigint), CAST(value ->> 1 AS bigint), value ->> 2, \
                           CAST(value ->> 3 AS boolean), value ->> 4, CAST(value ->> 5 AS bigint), FALSE \
                           FROM {rows} WHERE TRUE \
                           ON CONFLICT (repo_id, number) DO UPDATE SET title = excluded.title, open = excluded.open, \
                           labels = excluded.labels, updated_at = excluded.updated_at \
                           WHERE NOT old.gone AND excluded.updated_at >= old.updated_at";
                let facts = batch.iter().map(|fact| {
                    let labels: Vec<_> = fact.labels.iter().map(|label| text(label)).collect();
                    (fact.issue.repo, fact.issue.number, text(&fact.title), fact.open, labels, micros(fact.updated_at))
                });
                self.write(&tx, sql, [rows(facts)?]).await?;
            }
        }
        tx.commit().await
    }

    /// Forgets an issue for good.
    pub async fn forget_issue(&self, issue: IssueRef) -> Result<(), StoreError> {
        let tx = self.store.begin(Lane::Work).await?;
        let sql = "INSERT INTO graph_issues (repo_id, number, title, open, labels, updated_at, gone) \
                   VALUES ($1, $2, '', FALSE, '[]', 0, TRUE) \
                   ON CONFLICT (repo_id, number) DO UPDATE SET title = '', labels = '[]', gone = TRUE";
        let values: [Value; 2] = [issue.repo.0.into(), issue.number.into()];
        self.write(&tx, sql, values).await?;
        tx.commit().await
    }

    /// Forgets everything about a repository, a table at a time.
    pub async fn forget_repository(&self, repo: RepoId) -> Result<(), StoreError> {
        for table in ["touches", "closes", "pulls", "issues", "contributors", "histories", "files", "repositories"] {
            let tx = self.begin(repo).await?;
            let sql = format!("DELETE FROM graph_{table} WHERE repo_id = $1");
            tx.execute_raw(self.store.sql(&sql, [repo.0.into()])).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    /// Says who contributed.
    pub async fn learn_contributors(&self, repo: RepoId, people: &[Contributor]) -> Result<(), StoreError> {
        let tx = self.begin(repo).await?;
        for people in rounds(people, |person| &person.login) {
            for batch in people.chunks(BATCH) {
                let sql = "INSERT INTO graph_contributors (repo_id, login, contributions) \
                           SELECT $2, value ->> 0, CAST(value ->> 1 AS bigint) FROM {rows} WHERE TRUE \
                           ON CONFLICT (repo_id, login) DO UPDATE SET contributions = excluded.contributions";
                let people = rows(batch.iter().map(|person| (text(&person.login), person.contributions)))?;
                self.write(&tx, sql, [people, repo.0.into()]).await?;
            }
        }
        tx.commit().await
    }
}

/// The pull requests whose files or issues have just become the newest known.
#[derive(Default)]
struct News<'a> {
    files: Vec<&'a PullFact>,
    closes: Vec<&'a PullFact>,
}

/// The files of a pull request by their ids, each once.
fn touches(repo: RepoId, pull: &PullFact) -> HashMap<i64, &crate::domain::graph::Touch> {
    let mut touches = HashMap::new();
    for touch in pull.files.iter().flatten() {
        touches.entry(file_id(repo, &touch.path)).or_insert(touch);
    }
    touches
}

fn learn_sql() -> String {
    // The newest wins, by the time of its own kind of news; without a time there is no news.
    let newest = |time: &str, columns: &[&str]| -> String {
        let wins = format!("excluded.{time} >= COALESCE(old.{time}, excluded.{time})");
        let set = |column: &&str| format!("{column} = CASE WHEN {wins} THEN excluded.{column} ELSE old.{column} END, ");
        columns.iter().map(set).collect()
    };
    let head = newest("updated_at", &["title", "author", "bot", "head_sha", "updated_at"]);
    let files = newest("files_at", &["files", "files_at"]);
    let closes = newest("closes_at", &["closes_at"]);
    let verdict = newest("reviewed_at", &["verdict", "reviewed_at"]);
    format!(
        "INSERT INTO graph_pulls AS old (repo_id, number, title, author, bot, state, head_sha, updated_at, merged_at, \
         files, files_at, closes_at, verdict, reviewed_at) \
         SELECT $2, CAST(value -> 0 ->> 0 AS bigint), value -> 0 ->> 1, value -> 0 ->> 2, \
         CAST(value -> 0 ->> 3 AS boolean), value -> 0 ->> 4, value -> 1 ->> 0, CAST(value -> 1 ->> 1 AS bigint), \
         CAST(value -> 1 ->> 2 AS bigint), CAST(value -> 2 ->> 0 AS bigint), CAST(value -> 2 ->> 1 AS bigint), \
         CAST(value ->> 3 AS bigint), value -> 4 ->> 0, CAST(value -> 4 ->> 1 AS bigint) \
         FROM {{rows}} WHERE TRUE \
         ON CONFLICT (repo_id, number) DO UPDATE SET {head} {files} {closes} {verdict} \
         state = CASE WHEN 'merged' IN (old.state, excluded.state) THEN 'merged' \
         WHEN excluded.updated_at >= old.updated_at THEN excluded.state ELSE old.state END, \
         merged_at = CASE WHEN excluded.updated_at >= old.updated_at THEN COALESCE(excluded.merged_at, old.merged_at) \
         ELSE COALESCE(old.merged_at, excluded.merged_at) END \
         RETURNING number, files_at, closes_at"
    )
}
