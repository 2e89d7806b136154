//! What the graph knows that bears on a change.
//!
//! Everything is asked of each file's latest pull requests only, found through an index, so that a file which every
//! change touches costs no more than others.

use std::collections::{HashMap, HashSet};

use chrono::TimeDelta;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, QueryResult, TransactionTrait, Value};

use super::{
    super::{micros, time},
    GraphStore, StoreError, file_id, rows,
};
use crate::domain::{
    PrNumber,
    graph::{Answer, CoChange, Expert, FEW_FILES, IssueFact, IssueRef, OpenTouch, Question, RECENT, Related, Touch},
    pull_request::PrState,
};

/// The pull requests that say which files belong together.
fn counts() -> String {
    format!("p.repo_id = $3 AND p.state = 'merged' AND p.bot = FALSE AND p.files <= {FEW_FILES} AND p.number <> $2")
}

impl GraphStore {
    /// Answers everything a review wants to know.
    pub async fn ask(&self, question: &Question) -> Result<Answer, StoreError> {
        let mut asked = Vec::new();
        for path in &question.files {
            let id = file_id(question.repo, path);
            if asked.len() < Question::MAX_FILES && !asked.contains(&id) {
                asked.push(id);
            }
        }
        let tx = self.look().await?;
        let issues = self.issues(&tx, question).await?;
        if asked.is_empty() {
            return Ok(Answer { issues, ..Answer::default() });
        }
        let about = [rows(asked)?, question.number.0.into(), question.repo.0.into()];
        Ok(Answer {
            experts: self.experts(&tx, question, &about).await?,
            related: self.related(&tx, &about).await?,
            issues,
            co_changes: self.co_changes(&tx, question, &about).await?,
            open: self.open(&tx, &about).await?,
        })
    }

    /// Begins to look: on SQLite everything is then seen as of one moment. PostgreSQL is kept from compiling these
    /// statements, which takes a second where running them takes milliseconds.
    async fn look(&self) -> Result<DatabaseTransaction, StoreError> {
        let tx = self.store.read().begin().await?;
        if self.store.backend() == DbBackend::Postgres {
            tx.execute_unprepared("SET LOCAL jit = off").await?;
        }
        Ok(tx)
    }

    /// A further step of a join: for each row so far, the rows of `table` that fit, found through an index. Both
    /// databases are held to that order: right after a history was learned PostgreSQL's statistics know nothing of it
    /// yet, and it would rather read whole tables.
    fn then(&self, table: &str, name: &str, fits: &str) -> String {
        match self.store.backend() {
            DbBackend::Sqlite => format!("CROSS JOIN {table} {name} ON {fits}"),
            _ => format!("CROSS JOIN LATERAL (SELECT * FROM {table} {name} WHERE {fits} OFFSET 0) {name}"),
        }
    }

    /// `recent`: which of their latest pull requests touch which of the files `{rows}`; `$2` is the one asked about.
    /// Where the latest begin is found first, as SQLite cannot limit the rows of a step.
    fn recent(&self) -> String {
        format!(
            "WITH asked AS MATERIALIZED (SELECT CAST(value AS bigint) AS id FROM {{rows}}), \
             since AS MATERIALIZED (SELECT asked.id, COALESCE((SELECT t.number FROM graph_touches t \
             WHERE t.file_id = asked.id AND t.number <> $2 ORDER BY t.number DESC LIMIT 1 OFFSET {last}), 0) AS number \
             FROM asked), \
             recent AS MATERIALIZED (SELECT t.file_id, t.number FROM since {touches} WHERE t.number <> $2)",
            last = RECENT - 1,
            touches = self.then("graph_touches", "t", "t.file_id = since.id AND t.number >= since.number"),
        )
    }

    async fn experts(
        &self,
        tx: &DatabaseTransaction,
        question: &Question,
        about: &[Value; 3],
    ) -> Result<Vec<Expert>, StoreError> {
        let sql = format!(
            "{}, pulls AS MATERIALIZED (SELECT number, COUNT(*) AS files FROM recent GROUP BY number) \
             SELECT p.author, COUNT(*) AS pulls, MAX(p.merged_at) AS last, CAST(SUM(pulls.files * \
             CASE WHEN p.merged_at >= $5 THEN 4 WHEN p.merged_at >= $6 THEN 2 ELSE 1 END) AS bigint) AS weight \
             FROM pulls {} WHERE p.state = 'merged' AND p.bot = FALSE AND p.author <> $4 AND p.merged_at >= $7 \
             GROUP BY p.author ORDER BY weight DESC, last DESC, p.author LIMIT 10",
            self.recent(),
            self.then("graph_pulls", "p", "p.repo_id = $3 AND p.number = pulls.number"),
        );
        let days = |days| Value::from(micros(question.now - TimeDelta::days(days)));
        let values = about.iter().cloned().chain([question.author.clone().into(), days(30), days(90), days(180)]);
        let expert = |row: &QueryResult| {
            Ok(Expert {
                login: row.try_get("", "author")?,
                weight: row.try_get("", "weight")?,
                pulls: row.try_get("", "pulls")?,
                last: time(row.try_get("", "last")?),
            })
        };
        self.query_in(tx, &sql, values).await?.iter().map(expert).collect()
    }

    async fn related(&self, tx: &DatabaseTransaction, about: &[Value; 3]) -> Result<Vec<Related>, StoreError> {
        let sql = format!(
            "{}, top AS MATERIALIZED (SELECT number, COUNT(*) AS shared FROM recent GROUP BY number \
             ORDER BY shared DESC, number DESC LIMIT 20) \
             SELECT p.number, p.title, p.state, COALESCE(p.files, 0) AS files, top.shared \
             FROM top {} ORDER BY top.shared DESC, p.number DESC",
            self.recent(),
            self.then("graph_pulls", "p", "p.repo_id = $3 AND p.number = top.number"),
        );
        let related = |row: &QueryResult| {
            let state: String = row.try_get("", "state")?;
            Ok(Related {
                number: PrNumber(row.try_get("", "number")?),
                title: row.try_get("", "title")?,
                state: PrState::parse(&state).ok_or_else(|| StoreError::Corrupt(format!("state {state:?}")))?,
                shared: row.try_get("", "shared")?,
                files: row.try_get("", "files")?,
            })
        };
        self.query_in(tx, &sql, about.clone()).await?.iter().map(related).collect()
    }

    async fn open(&self, tx: &DatabaseTransaction, about: &[Value; 3]) -> Result<Vec<OpenTouch>, StoreError> {
        let sql = format!(
            "{}, open AS MATERIALIZED (SELECT p.number, p.title, p.author, recent.file_id FROM recent {} \
             WHERE p.state = 'open') \
             SELECT open.number, open.title, open.author, f.path, t.hunks FROM open {} {} \
             ORDER BY open.number, f.path LIMIT 200",
            self.recent(),
            self.then("graph_pulls", "p", "p.repo_id = $3 AND p.number = recent.number"),
            self.then("graph_files", "f", "f.id = open.file_id"),
            self.then("graph_touches", "t", "t.file_id = open.file_id AND t.number = open.number"),
        );
        let open = |row: &QueryResult| {
            let path = row.try_get("", "path")?;
            Ok(OpenTouch {
                number: PrNumber(row.try_get("", "number")?),
                title: row.try_get("", "title")?,
                author: row.try_get("", "author")?,
                touch: Touch { path, hunks: from_json(row, "hunks")? },
            })
        };
        self.query_in(tx, &sql, about.clone()).await?.iter().map(open).collect()
    }

    async fn co_changes(
        &self,
        tx: &DatabaseTransaction,
        question: &Question,
        about: &[Value; 3],
    ) -> Result<Vec<CoChange>, StoreError> {
        let sql = format!(
            "{recent}, counting AS MATERIALIZED (SELECT recent.file_id, recent.number, \
             COUNT(*) OVER (PARTITION BY recent.file_id) AS pulls FROM recent {pull} WHERE {counts}), \
             pairs AS MATERIALIZED (SELECT c.file_id AS with_id, t.file_id AS id, COUNT(*) AS both_of, c.pulls \
             FROM counting c {touches} WHERE c.pulls >= {support} GROUP BY c.file_id, t.file_id, c.pulls \
             HAVING COUNT(*) >= {support} AND 10 * COUNT(*) >= 9 * c.pulls) \
             SELECT f.path, w.path AS with_path, pairs.both_of, pairs.pulls, \
             (SELECT COUNT(*) FROM graph_touches t {pull_of_t} WHERE t.file_id = pairs.id AND {counts}) AS other, \
             (SELECT COUNT(*) FROM graph_pulls p WHERE {counts}) AS every \
             FROM pairs {file} {with} WHERE f.generation IS NOT NULL AND pairs.id NOT IN (SELECT id FROM asked)",
            recent = self.recent(),
            counts = counts(),
            support = CoChange::MIN_SUPPORT,
            pull = self.then("graph_pulls", "p", "p.repo_id = $3 AND p.number = recent.number"),
            touches = self.then("graph_touches", "t", "t.repo_id = $3 AND t.number = c.number"),
            pull_of_t = self.then("graph_pulls", "p", "p.repo_id = $3 AND p.number = t.number"),
            file = self.then("graph_files", "f", "f.id = pairs.id"),
            with = self.then("graph_files", "w", "w.id = pairs.with_id"),
        );
        let here: HashSet<&str> = question.files.iter().map(String::as_str).collect();
        let mut surest: HashMap<String, CoChange> = HashMap::new();
        for row in self.query_in(tx, &sql, about.clone()).await? {
            let (both, of) = (row.try_get("", "both_of")?, row.try_get("", "pulls")?);
            let path: String = row.try_get("", "path")?;
            if here.contains(path.as_str())
                || !CoChange::holds(both, of, row.try_get("", "other")?, row.try_get("", "every")?)
            {
                continue;
            }
            let found = CoChange { path: path.clone(), with: row.try_get("", "with_path")?, both, of };
            let best = surest.entry(path).or_insert_with(|| found.clone());
            if surer(&found, best).is_lt() {
                *best = found;
            }
        }
        let mut surest: Vec<_> = surest.into_values().collect();
        surest.sort_by(surer);
        surest.truncate(20);
        Ok(surest)
    }

    async fn issues(&self, tx: &DatabaseTransaction, question: &Question) -> Result<Vec<IssueFact>, StoreError> {
        if question.closes.is_empty() {
            return Ok(Vec::new());
        }
        let sql = "SELECT number, title, open, labels, updated_at FROM graph_issues \
                   WHERE repo_id = $2 AND number IN (SELECT CAST(value AS bigint) FROM {rows}) AND NOT gone \
                   ORDER BY number";
        let issue = |row: &QueryResult| {
            Ok(IssueFact {
                issue: IssueRef { repo: question.repo, number: row.try_get("", "number")? },
                title: row.try_get("", "title")?,
                open: row.try_get("", "open")?,
                labels: from_json(row, "labels")?,
                updated_at: time(row.try_get("", "updated_at")?),
            })
        };
        let values = [rows(&question.closes)?, question.repo.0.into()];
        self.query_in(tx, sql, values).await?.iter().map(issue).collect()
    }
}

/// Surest first: by confidence, then by how many say so, then by name.
fn surer(a: &CoChange, b: &CoChange) -> std::cmp::Ordering {
    (b.both * a.of)
        .cmp(&(a.both * b.of))
        .then(b.both.cmp(&a.both))
        .then_with(|| (&a.path, &a.with).cmp(&(&b.path, &b.with)))
}

fn from_json<T: serde::de::DeserializeOwned>(row: &QueryResult, column: &str) -> Result<T, StoreError> {
    let json: String = row.try_get("", column)?;
    serde_json::from_str(&json).map_err(|error| StoreError::Corrupt(format!("{column}: {error}")))
}
