//! Learning facts: each aspect of a pull request or an issue keeps the time of the fact it came from, so that facts may
//! come twice, late and in any order.
//!
//! A statement that decides by such a time first writes to the node: the lock that this takes makes it see what others
//! have written before.

use std::{collections::HashSet, time::Duration};

use chrono::{DateTime, Utc};
use neo4rs::{BoltType, Query, query};
use serde::Deserialize;

use super::{
    GraphError, count,
    server::{Failure, Server, Transaction, list, map},
    stored,
};
use crate::domain::{
    RepoId,
    graph::{Contributor, IssueFact, IssueRef, PullFact, RepositoryFact, file_id},
    pull_request::PrState,
};

/// How long a batch may take, second tries included.
const LIMIT: Duration = Duration::from_secs(10);
/// Facts in one transaction.
const BATCH: usize = 1_000;
/// Touched files in one transaction: about a second's work. GitHub lists at most 3,000 for one pull request.
const TOUCHES: usize = 10_000;

const NAME: &str = "
    MERGE (r:Repository {repo_id: $repo})
    SET r.full_name = $full_name, r.default_branch = $default_branch";

/// Merged is final, whatever is said before or afterwards.
const PULLS: &str = "
    UNWIND $rows AS row
    MERGE (p:PullRequest {repo_id: $repo, number: row.number})
    SET p.repo_id = $repo
    WITH p, row, coalesce(p.updated_at <= row.now.updated_at, true) AS newest
    SET p += CASE WHEN newest THEN row.now ELSE {} END,
        p.state = CASE WHEN 'merged' IN [p.state, row.state] THEN 'merged' WHEN newest THEN row.state ELSE p.state END,
        p.merged_at = CASE WHEN row.merged_at > coalesce(p.merged_at, 0) THEN row.merged_at ELSE p.merged_at END
    WITH p, row WHERE newest
    MERGE (author:Developer {login: row.now.author})
    MERGE (p)-[:AUTHORED_BY]->(author)
    WITH p, author
    MATCH (p)-[former:AUTHORED_BY]->(other) WHERE other <> author
    DELETE former";

const VERDICTS: &str = "
    UNWIND $rows AS row
    MATCH (p:PullRequest {repo_id: $repo, number: row[0]})
    WHERE coalesce(p.reviewed_at <= row[2], true)
    SET p.verdict = row[1], p.reviewed_at = row[2]";

/// Which of the given lists of files are the newest; what was known before them is taken away.
const CLEAR_FILES: &str = "
    UNWIND $rows AS row
    MATCH (p:PullRequest {repo_id: $repo, number: row[0]})
    WHERE coalesce(p.files_at <= row[1], true)
    SET p.files_at = row[1], p.files = row[2]
    WITH p
    OPTIONAL MATCH (p)-[touches:TOUCHES]->()
    DELETE touches
    RETURN DISTINCT p.number AS number";

const TOUCH: &str = "
    UNWIND $rows AS row
    MATCH (p:PullRequest {repo_id: $repo, number: row[1]})
    MERGE (f:File {repo_id: $repo, path: row[0]})
    ON CREATE SET f:Absent
    ON MATCH SET f.repo_id = $repo
    CREATE (p)-[:TOUCHES {hunks: row[2], file: row[3], number: row[1]}]->(f)";

/// What only pull requests that came to nothing touch, in a repository whose files are known. A merged one may have made
/// files that the next build finds.
const UNTOUCH: &str = "
    MATCH (s:Scan {repo_id: $repo}) WHERE s.generation IS NOT NULL
    UNWIND $rows AS number
    MATCH (p:PullRequest {repo_id: $repo, number: number, state: 'closed'})-[:TOUCHES]->(f:Absent)
    SET f.repo_id = $repo
    WITH DISTINCT f
    WHERE NOT EXISTS { MATCH (f)<-[:TOUCHES]-(other:PullRequest) WHERE other.state <> 'closed' }
    DETACH DELETE f";

const CLEAR_ISSUES: &str = "
    UNWIND $rows AS row
    MATCH (p:PullRequest {repo_id: $repo, number: row[0]})
    WHERE coalesce(p.closes_at <= row[1], true)
    SET p.closes_at = row[1]
    WITH p
    OPTIONAL MATCH (p)-[closes:CLOSES]->()
    DELETE closes
    RETURN DISTINCT p.number AS number";

const CLOSE: &str = "
    UNWIND $rows AS row
    MATCH (p:PullRequest {repo_id: $repo, number: row[2]})
    MERGE (i:Issue {repo_id: row[0], number: row[1]})
    CREATE (p)-[:CLOSES]->(i)";

const ISSUES: &str = "
    UNWIND $rows AS row
    MERGE (i:Issue {repo_id: row.repo_id, number: row.number})
    SET i.repo_id = row.repo_id
    WITH i, row WHERE coalesce(i.updated_at <= row.updated_at, true)
    SET i += row";

/// After the issues were made, not before: whoever forgets one at the same time has waited for us, or we for them.
const STILL_FORGOTTEN: &str = "
    UNWIND $rows AS row
    MATCH (:Forgotten {repo_id: row[0], number: row[1]})
    MATCH (i:Issue {repo_id: row[0], number: row[1]})
    DETACH DELETE i";

const FORGET: &str = "
    MERGE (i:Issue {repo_id: $repo, number: $number})
    MERGE (:Forgotten {repo_id: $repo, number: $number})
    DETACH DELETE i";

const CONTRIBUTORS: &str = "
    MERGE (r:Repository {repo_id: $repo})
    WITH r
    UNWIND $rows AS row
    MERGE (d:Developer {login: row[0]})
    MERGE (d)-[c:CONTRIBUTED_TO]->(r)
    SET c.contributions = row[1]";

/// Labels of what belongs to one repository, and the property that stands beside `repo_id` in their index.
const OF_A_REPOSITORY: [(&str, &str); 6] = [
    ("PullRequest", "number"),
    ("File", "path"),
    ("Issue", "number"),
    ("Forgotten", "number"),
    ("Scan", "repo_id"),
    ("Repository", "repo_id"),
];

/// People of whom nothing is known any more.
const LONELY: &str = "
    MATCH (d:Developer) WHERE NOT EXISTS { (d)--() }
    WITH d LIMIT $most
    DELETE d
    RETURN count(*) AS gone";

/// A path and its hunks.
type Touched<'a> = (&'a str, &'a [(u32, u32)]);

#[derive(Deserialize)]
struct Gone {
    gone: i64,
}

#[derive(Deserialize)]
struct Newest {
    number: i64,
}

pub(super) async fn repository(server: &Server, fact: &RepositoryFact) -> Result<(), GraphError> {
    let name = query(NAME)
        .param("repo", fact.repo.id.0)
        .param("full_name", fact.repo.name.to_string())
        .param("default_branch", fact.default_branch.as_str());
    alone(server, name).await
}

pub(super) async fn pulls(server: &Server, repo: RepoId, facts: &[PullFact]) -> Result<(), GraphError> {
    for batch in batches(facts) {
        server.persist_within(LIMIT, || pull_batch(server, repo, &batch)).await?;
    }
    Ok(())
}

pub(super) async fn issues(server: &Server, facts: &[IssueFact]) -> Result<(), GraphError> {
    let mut facts: Vec<&IssueFact> = facts.iter().collect();
    facts.sort_by_key(|fact| (fact.issue, fact.updated_at));
    for batch in facts.chunks(BATCH) {
        // Within a batch one fact for each issue: the newest.
        let newest: Vec<_> = batch.chunk_by(|a, b| a.issue == b.issue).filter_map(|same| same.last()).collect();
        let make = rows(ISSUES, newest.iter().map(|fact| issue_row(fact)));
        let forget = rows(STILL_FORGOTTEN, newest.iter().map(|fact| issue_key(fact.issue)));
        server
            .persist_within(LIMIT, async || {
                let mut transaction = server.begin(LIMIT).await?;
                transaction.run(make.clone()).await?;
                transaction.run(forget.clone()).await?;
                transaction.commit().await
            })
            .await?;
    }
    Ok(())
}

pub(super) async fn forget(server: &Server, issue: IssueRef) -> Result<(), GraphError> {
    alone(server, query(FORGET).param("repo", issue.repo.0).param("number", issue.number)).await
}

/// A transaction for every few nodes: of a large repository there are a hundred thousand.
pub(super) async fn forget_repository(server: &Server, repo: RepoId) -> Result<(), GraphError> {
    let nodes = OF_A_REPOSITORY.map(|(label, indexed)| {
        format!(
            "MATCH (n:{label}) WHERE n.repo_id = $repo AND n.{indexed} IS NOT NULL
            WITH n LIMIT $most DETACH DELETE n RETURN count(*) AS gone"
        )
    });
    let statements = nodes.iter().map(String::as_str).chain([LONELY]);
    for statement in statements {
        loop {
            let gone = server.persist_within(LIMIT, async || {
                let mut transaction = server.begin(LIMIT).await?;
                let some = query(statement).param("repo", repo.0).param("most", count(BATCH));
                let gone: Vec<Gone> = transaction.rows(some).await?;
                transaction.commit().await?;
                Ok(gone.iter().map(|gone| gone.gone).sum::<i64>())
            });
            if gone.await? == 0 {
                break;
            }
        }
    }
    Ok(())
}

pub(super) async fn contributors(server: &Server, repo: RepoId, people: &[Contributor]) -> Result<(), GraphError> {
    let mut people: Vec<&Contributor> = people.iter().collect();
    people.sort_by(|a, b| a.login.cmp(&b.login));
    for batch in people.chunks(BATCH) {
        let rows = rows(CONTRIBUTORS, batch.iter().map(|p| list([p.login.as_str().into(), p.contributions.into()])));
        alone(server, rows.param("repo", repo.0)).await?;
    }
    Ok(())
}

async fn alone(server: &Server, query: Query) -> Result<(), GraphError> {
    server
        .persist_within(LIMIT, async || {
            let mut transaction = server.begin(LIMIT).await?;
            transaction.run(query.clone()).await?;
            transaction.commit().await
        })
        .await
}

/// Facts that fit one transaction, each pull request at most once in each, oldest facts first.
fn batches(facts: &[PullFact]) -> Vec<Vec<&PullFact>> {
    let mut facts: Vec<&PullFact> = facts.iter().collect();
    facts.sort_by_key(|fact| (fact.updated_at, fact.number));
    let mut batches: Vec<Vec<&PullFact>> = Vec::new();
    let (mut numbers, mut touches) = (HashSet::new(), 0);
    for fact in facts {
        let files = fact.files.as_ref().map_or(0, Vec::len);
        let last = batches
            .last_mut()
            .filter(|last| last.len() < BATCH && touches + files <= TOUCHES && !numbers.contains(&fact.number));
        match last {
            Some(last) => last.push(fact),
            None => {
                batches.push(vec![fact]);
                numbers.clear();
                touches = 0;
            }
        }
        numbers.insert(fact.number);
        touches += files;
    }
    // Transactions that lock in the same order do not wait for each other in a circle.
    batches.iter_mut().for_each(|batch| batch.sort_by_key(|fact| fact.number));
    batches
}

async fn pull_batch(server: &Server, repo: RepoId, facts: &[&PullFact]) -> Result<(), Failure> {
    let mut transaction = server.begin(LIMIT).await?;
    let of = |query: Query| query.param("repo", repo.0);
    transaction.run(of(rows(PULLS, facts.iter().map(|fact| pull_row(fact))))).await?;
    let verdicts: Vec<_> = facts.iter().filter_map(|fact| verdict_row(fact)).collect();
    if !verdicts.is_empty() {
        transaction.run(of(rows(VERDICTS, verdicts))).await?;
    }
    files(&mut transaction, repo, facts).await?;
    closes(&mut transaction, repo, facts).await?;
    transaction.run(of(rows(UNTOUCH, facts.iter().map(|fact| fact.number.0.into())))).await?;
    transaction.commit().await
}

async fn files(transaction: &mut Transaction, repo: RepoId, facts: &[&PullFact]) -> Result<(), Failure> {
    let stated: Vec<_> = facts.iter().filter_map(|fact| Some((fact, touches(fact)?))).collect();
    if stated.is_empty() {
        return Ok(());
    }
    let clear = rows(
        CLEAR_FILES,
        stated.iter().map(|(fact, touches)| list([fact.number.0.into(), at(fact), count(touches.len()).into()])),
    );
    let newest = newest(transaction, clear.param("repo", repo.0)).await?;
    let mut touches: Vec<_> = stated
        .iter()
        .filter(|(fact, _)| newest.contains(&fact.number.0))
        .flat_map(|(fact, touches)| touches.iter().map(|(path, hunks)| (*path, fact.number.0, *hunks)))
        .collect();
    touches.sort_by_key(|(path, number, _)| (*path, *number));
    let touch = touches.into_iter().map(|(path, number, hunks)| {
        list([stored(repo, path).as_ref().into(), number.into(), flat(hunks), file_id(repo, path).into()])
    });
    transaction.run(rows(TOUCH, touch).param("repo", repo.0)).await
}

async fn closes(transaction: &mut Transaction, repo: RepoId, facts: &[&PullFact]) -> Result<(), Failure> {
    let stated: Vec<_> = facts.iter().filter_map(|fact| Some((fact, fact.closes.as_ref()?))).collect();
    if stated.is_empty() {
        return Ok(());
    }
    let clear = rows(CLEAR_ISSUES, stated.iter().map(|(fact, _)| list([fact.number.0.into(), at(fact)])));
    let newest = newest(transaction, clear.param("repo", repo.0)).await?;
    let mut closes: Vec<_> = stated
        .iter()
        .filter(|(fact, _)| newest.contains(&fact.number.0))
        .flat_map(|(fact, issues)| issues.iter().map(|issue| (*issue, fact.number.0)))
        .collect();
    if closes.is_empty() {
        return Ok(());
    }
    closes.sort_unstable();
    closes.dedup();
    let close = closes.iter().map(|(issue, number)| list([issue.repo.0.into(), issue.number.into(), (*number).into()]));
    transaction.run(rows(CLOSE, close).param("repo", repo.0)).await?;
    transaction.run(rows(STILL_FORGOTTEN, closes.iter().map(|(issue, _)| issue_key(*issue)))).await
}

async fn newest(transaction: &mut Transaction, clear: Query) -> Result<HashSet<i64>, Failure> {
    let rows: Vec<Newest> = transaction.rows(clear).await?;
    Ok(rows.into_iter().map(|row| row.number).collect())
}

/// Each file once, by path.
fn touches(fact: &PullFact) -> Option<Vec<Touched<'_>>> {
    let mut touches: Vec<_> =
        fact.files.as_ref()?.iter().map(|touch| (touch.path.as_str(), touch.hunks.as_slice())).collect();
    touches.sort_by_key(|(path, _)| *path);
    touches.dedup_by_key(|(path, _)| *path);
    Some(touches)
}

fn rows(text: &str, rows: impl IntoIterator<Item = BoltType>) -> Query {
    query(text).param("rows", rows.into_iter().collect::<BoltType>())
}

fn pull_row(fact: &PullFact) -> BoltType {
    let merged_at = fact.merged_at.filter(|_| fact.state == PrState::Merged);
    let now = [
        ("title", fact.title.as_str().into()),
        ("author", fact.author.as_str().into()),
        ("bot", fact.bot.into()),
        ("head_sha", fact.head.0.as_str().into()),
        ("updated_at", at(fact)),
    ];
    map([
        ("number", fact.number.0.into()),
        ("state", fact.state.as_str().into()),
        ("merged_at", merged_at.map(micros).into()),
        ("now", map(now)),
    ])
}

fn verdict_row(fact: &PullFact) -> Option<BoltType> {
    let (verdict, reviewed_at) = fact.verdict?;
    Some(list([fact.number.0.into(), verdict.as_str().into(), reviewed_at.into()]))
}

fn issue_row(fact: &IssueFact) -> BoltType {
    map([
        ("repo_id", fact.issue.repo.0.into()),
        ("number", fact.issue.number.into()),
        ("title", fact.title.as_str().into()),
        ("state", if fact.open { "open" } else { "closed" }.into()),
        ("labels", fact.labels.as_slice().into()),
        ("updated_at", micros(fact.updated_at).into()),
    ])
}

fn issue_key(issue: IssueRef) -> BoltType {
    list([issue.repo.0.into(), issue.number.into()])
}

/// First line and count of each hunk, one after the other: Neo4j keeps lists of numbers, not of pairs.
fn flat(hunks: &[(u32, u32)]) -> BoltType {
    hunks.iter().flat_map(|(first, count)| [i64::from(*first), i64::from(*count)]).collect()
}

fn at(fact: &PullFact) -> BoltType {
    micros(fact.updated_at).into()
}

fn micros(time: DateTime<Utc>) -> i64 {
    time.timestamp_micros()
}
