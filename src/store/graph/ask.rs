//! What the graph knows that bears on a change, asked in one statement.
//!
//! Everything is asked of each file's latest pull requests only, found through an index, so that a file which every
//! change touches costs no more than others. Those pull requests are looked up once, and each answer is made from them.

use std::cmp::Reverse;

use chrono::TimeDelta;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, TransactionTrait, Value};
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    super::{micros, time},
    GraphStore, StoreError, rows,
};
use crate::domain::{
    PrNumber,
    graph::{
        Answer, CoChange, Expert, FEW_FILES, IssueFact, IssueRef, OpenTouch, Question, RECENT, Related, Touch, file_id,
    },
    pull_request::PrState,
};

impl GraphStore {
    /// Answers everything a review wants to know.
    pub async fn ask(&self, question: &Question) -> Result<Answer, StoreError> {
        let asked = question.asked().into_iter().map(|path| file_id(question.repo, path));
        let days = |days| Value::from(micros(question.now - TimeDelta::days(days)));
        let about = [rows(asked)?, question.number.0.into(), question.repo.0.into(), question.author.clone().into()];
        let values = about.into_iter().chain([days(30), days(90), days(180), rows(&question.closes)?]);
        let tx = self.look().await?;
        let facts = tx.query_all_raw(self.store.sql(&self.with_rows(&self.everything()), values)).await?;
        tx.commit().await?;
        let facts: Vec<Fact> = facts
            .iter()
            .map(|row| from_json("fact", &row.try_get::<String>("", "fact")?))
            .collect::<Result<_, StoreError>>()?;
        answer(question, facts)
    }

    /// Begins to look. PostgreSQL is kept from compiling this statement, which takes a second where running it takes
    /// milliseconds, and from planning it anew: there is one way to do it whatever is asked.
    async fn look(&self) -> Result<DatabaseTransaction, StoreError> {
        let tx = self.store.read().begin().await?;
        if self.store.backend() == DbBackend::Postgres {
            tx.execute_unprepared("SET LOCAL jit = off; SET LOCAL plan_cache_mode = force_generic_plan").await?;
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

    /// The one statement. Its parameters: the files, the pull request's number, its repository, its author, the times 30,
    /// 90 and 180 days ago, the issues. Its rows are [`Fact`]s as JSON.
    fn everything(&self) -> String {
        let (object, array) = match self.store.backend() {
            DbBackend::Sqlite => ("json_object", "json_array"),
            _ => ("json_build_object", "json_build_array"),
        };
        // SQLite cannot limit the rows of a step, so where the latest begin is found first.
        let recent = format!(
            "asked AS MATERIALIZED (SELECT CAST(value AS bigint) AS id FROM {{rows}}), \
             since AS MATERIALIZED (SELECT asked.id, COALESCE((SELECT t.number FROM graph_touches t \
             WHERE t.file_id = asked.id AND t.number <> $2 ORDER BY t.number DESC LIMIT 1 OFFSET {last}), 0) AS number \
             FROM asked), \
             recent AS MATERIALIZED (SELECT t.file_id, t.number FROM since {touches} WHERE t.number <> $2), \
             pulls AS MATERIALIZED (SELECT p.number, p.author, p.bot, p.state, p.merged_at, p.files, r.shared \
             FROM (SELECT number, COUNT(*) AS shared FROM recent GROUP BY number) r {pull})",
            last = RECENT - 1,
            touches = self.then("graph_touches", "t", "t.file_id = since.id AND t.number >= since.number"),
            pull = self.then("graph_pulls", "p", "p.repo_id = $3 AND p.number = r.number"),
        );
        let experts = "experts AS (SELECT author, COUNT(*) AS pulls, MAX(merged_at) AS last, CAST(SUM(shared * \
                       CASE WHEN merged_at >= $5 THEN 4 WHEN merged_at >= $6 THEN 2 ELSE 1 END) AS bigint) AS weight \
                       FROM pulls WHERE state = 'merged' AND bot = FALSE AND author <> $4 AND merged_at >= $7 \
                       GROUP BY author ORDER BY weight DESC, last DESC, author LIMIT 10)";
        let related = "related AS (SELECT number, state, COALESCE(files, 0) AS files, shared FROM pulls \
                       ORDER BY shared DESC, number DESC LIMIT 20)";
        let open = format!(
            "open AS (SELECT t.number, f.path, t.hunks \
             FROM (SELECT * FROM recent WHERE number IN (SELECT number FROM pulls WHERE state = 'open')) r {} {} \
             ORDER BY t.number, f.path LIMIT 200)",
            self.then("graph_files", "f", "f.id = r.file_id"),
            self.then("graph_touches", "t", "t.file_id = r.file_id AND t.number = r.number"),
        );
        let pairs = format!(
            "counting AS MATERIALIZED (SELECT file_id, number, COUNT(*) OVER (PARTITION BY file_id) AS pulls FROM recent \
             WHERE number IN (SELECT number FROM pulls p WHERE {counts})), \
             pairs AS MATERIALIZED (SELECT c.file_id AS with_id, t.file_id AS id, COUNT(*) AS both_of, c.pulls \
             FROM counting c {touches} WHERE c.pulls >= {support} GROUP BY c.file_id, t.file_id, c.pulls \
             HAVING COUNT(*) >= {support} AND 10 * COUNT(*) >= 9 * c.pulls)",
            counts = counts(),
            support = CoChange::MIN_SUPPORT,
            touches = self.then("graph_touches", "t", "t.repo_id = $3 AND t.number = c.number"),
        );
        let fact = |kind: &str, columns: &str, of: &str| {
            format!("SELECT CAST({object}('{kind}', {array}({columns})) AS text) AS fact FROM {of}")
        };
        let title = self.then("graph_pulls", "p", "p.repo_id = $3 AND p.number = of.number");
        let found = [
            fact("expert", "author, pulls, last, weight", "experts"),
            fact("related", "of.number, p.title, of.state, of.files, of.shared", &format!("related of {title}")),
            fact("open", "of.number, p.title, p.author, of.path, of.hunks", &format!("open of {title}")),
            fact(
                "pair",
                &format!(
                    "f.path, w.path, of.both_of, of.pulls, \
                     (SELECT COUNT(*) FROM graph_touches t {} WHERE t.file_id = of.id AND t.number <> $2 AND {counts}), \
                     (SELECT COUNT(*) FROM graph_pulls p WHERE p.repo_id = $3 AND p.number <> $2 AND {counts})",
                    self.then("graph_pulls", "p", "p.repo_id = $3 AND p.number = t.number"),
                    counts = counts(),
                ),
                &format!(
                    "pairs of {} {} WHERE f.generation IS NOT NULL AND of.id NOT IN (SELECT id FROM asked)",
                    self.then("graph_files", "f", "f.id = of.id"),
                    self.then("graph_files", "w", "w.id = of.with_id"),
                ),
            ),
            fact(
                "issue",
                "number, title, CASE WHEN open THEN 1 ELSE 0 END, labels, updated_at",
                &format!(
                    "graph_issues WHERE repo_id = $3 AND NOT gone \
                     AND number IN (SELECT CAST(value AS bigint) FROM {})",
                    self.elements(8)
                ),
            ),
        ];
        format!("WITH {recent}, {experts}, {related}, {open}, {pairs} {}", found.join(" UNION ALL "))
    }
}

/// The pull requests `p` that say which files belong together.
fn counts() -> String {
    format!("p.state = 'merged' AND p.bot = FALSE AND p.files <= {FEW_FILES}")
}

/// A row of the answer.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Fact {
    /// Author, pull requests, the latest, weight.
    Expert(String, i64, i64, i64),
    /// Number, title, state, files, files in common.
    Related(i64, String, String, i64, i64),
    /// Number, title, author, path, hunks.
    Open(i64, String, String, String, String),
    /// Path of a file, of the one asked about that it changes with; pull requests that change both, that one, the file, any.
    Pair(String, String, i64, i64, i64, i64),
    /// Number, title, whether open, labels, when.
    Issue(i64, String, i64, String, i64),
}

/// Puts the facts in order, which a union has none of.
fn answer(question: &Question, facts: Vec<Fact>) -> Result<Answer, StoreError> {
    let mut answer = Answer::default();
    let mut pairs = Vec::new();
    for fact in facts {
        match fact {
            Fact::Expert(login, pulls, last, weight) => {
                answer.experts.push(Expert { login, weight, pulls, last: time(last) });
            }
            Fact::Related(number, title, state, files, shared) => {
                let state = PrState::parse(&state).ok_or_else(|| StoreError::Corrupt(format!("state {state:?}")))?;
                answer.related.push(Related { number: PrNumber(number), title, state, shared, files });
            }
            Fact::Open(number, title, author, path, hunks) => {
                let touch = Touch { path, hunks: from_json("hunks", &hunks)? };
                answer.open.push(OpenTouch { number: PrNumber(number), title, author, touch });
            }
            Fact::Pair(path, with, both, of, other, every) => {
                if CoChange::holds(both, of, other, every) {
                    pairs.push(CoChange { path, with, both, of });
                }
            }
            Fact::Issue(number, title, open, labels, at) => answer.issues.push(IssueFact {
                issue: IssueRef { repo: question.repo, number },
                title,
                open: open != 0,
                labels: from_json("labels", &labels)?,
                updated_at: time(at),
            }),
        }
    }
    answer.experts.sort_by(|a, b| (b.weight, b.last, &a.login).cmp(&(a.weight, a.last, &b.login)));
    answer.related.sort_by_key(|pull| Reverse((pull.shared, pull.number)));
    answer.open.sort_by(|a, b| (a.number, &a.touch.path).cmp(&(b.number, &b.touch.path)));
    answer.issues.sort_by_key(|fact| fact.issue);
    answer.co_changes = question.surest(pairs);
    Ok(answer)
}

fn from_json<T: DeserializeOwned>(what: &str, json: &str) -> Result<T, StoreError> {
    serde_json::from_str(json).map_err(|error| StoreError::Corrupt(format!("{what}: {error}")))
}
