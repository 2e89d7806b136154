//! What a review wants to know, in two questions however large the change is: which pull requests touched these files
//! lately, and then what is worth telling of a few of them.
//!
//! Popular files have been touched by half of all pull requests. So the latest of a file are found through an index over
//! the relationships, newest first, and whatever changes together with a file is looked for in a sample that cannot miss
//! it before anything is counted.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
    time::Duration,
};

use chrono::{DateTime, TimeDelta};
use neo4rs::{BoltType, query};
use serde::Deserialize;

use super::{
    GraphError, count,
    server::{Server, list},
    stored, time,
};
use crate::domain::{
    PrNumber, RepoId,
    graph::{
        Answer, CoChange, Expert, FEW_FILES, IssueFact, IssueRef, OpenTouch, Question, RECENT, Related, Touch, file_id,
    },
    pull_request::PrState,
};

/// Of what an answer may hold.
const EXPERTS: usize = 10;
const RELATED: usize = 20;
const OPEN: usize = 200;

/// How long a cold server may take to plan.
const WARM_UP: Duration = Duration::from_secs(30);

const LATEST: &str = "
    UNWIND range(0, size($files) - 1) AS place
    CALL (place) {
        MATCH (p)-[t:TOUCHES]->()
        USING INDEX t:TOUCHES(file, number)
        WHERE t.file = $files[place] AND t.number > 0
        WITH p, t.number AS number ORDER BY t.file DESC, t.number DESC LIMIT $recent + 1
        WHERE number <> $number
        RETURN p, number LIMIT $recent
    }
    WITH p, number, collect(place) AS places
    WITH p, number, places, p.state AS state
    WITH number, places, state, state = 'merged' AND NOT p.bot AS by_person, p.files AS files, p.author AS author,
         p.merged_at AS merged_at
    RETURN collect([number] + places) AS pulls,
           collect(CASE WHEN state = 'open' THEN number END) AS open,
           collect(CASE WHEN by_person AND files <= $few THEN number END) AS telling,
           collect(CASE WHEN by_person AND merged_at >= $since THEN [author, merged_at, size(places)] END) AS merges";

/// `$together`: a file, the pull requests that tell what changes with it, how many of them are the sample, and how many of
/// the sample a file must be in.
const DETAILS: &str = "
    CALL () {
        UNWIND $related AS number
        MATCH (p:PullRequest {repo_id: $repo, number: number})
        RETURN collect({number: number, title: p.title, state: p.state, files: coalesce(p.files, 0)}) AS related
    }
    CALL () {
        UNWIND $open AS row
        MATCH (p)-[t:TOUCHES]->()
        USING INDEX t:TOUCHES(file, number)
        WHERE t.file = row[0] AND t.number = row[1]
        RETURN collect({number: row[1], title: p.title, author: p.author, place: row[2], hunks: t.hunks}) AS open
    }
    CALL () {
        UNWIND $closes AS number
        MATCH (i:Issue {repo_id: $repo, number: number})
        WHERE i.updated_at IS NOT NULL
        RETURN collect({number: number, title: i.title, state: i.state, labels: i.labels, updated_at: i.updated_at})
               AS issues
    }
    CALL () {
        UNWIND $together AS row
        CALL (row) {
            WITH row[3] AS enough, row[1][..row[2]] AS sample
            UNWIND sample AS number
            MATCH (:PullRequest {repo_id: $repo, number: number})-[:TOUCHES]->(f)
            WITH f, enough, count(*) AS seen WHERE seen >= enough
            RETURN f
        }
        WITH row, f WHERE NOT f:Absent AND NOT f.path IN $here
        CALL (row, f) {
            UNWIND row[1] AS number
            MATCH (:PullRequest {repo_id: $repo, number: number})-[:TOUCHES]->(f)
            RETURN count(*) AS both
        }
        WITH row[0] AS place, size(row[1]) AS of, f, both WHERE both >= $support AND 10 * both >= 9 * of
        WITH f, collect([place, both, of]) AS witnesses
        CALL (f) {
            MATCH (p:PullRequest)-[:TOUCHES]->(f)
            WHERE p.state = 'merged' AND NOT p.bot AND p.files <= $few AND p.number <> $number
            RETURN count(*) AS other
        }
        RETURN collect({path: f.path, witnesses: witnesses, other: other}) AS pairs
    }
    CALL (pairs) {
        UNWIND CASE WHEN size(pairs) > 0 THEN [$repo] ELSE [] END AS repo
        MATCH (p:PullRequest {repo_id: repo, state: 'merged', bot: false})
        WHERE p.files <= $few AND p.number <> $number
        RETURN count(*) AS every
    }
    RETURN related, open, issues, pairs, every";

/// What touched the files lately.
#[derive(Default, Deserialize)]
struct Latest {
    /// The number of each pull request, and then which of the files it touches.
    pulls: Vec<Vec<i64>>,
    /// Those that are open.
    open: Vec<i64>,
    /// Those that tell which files belong together.
    telling: Vec<i64>,
    /// Author, time and how many of the files, of what people merged lately.
    merges: Vec<(String, i64, i64)>,
}

/// A pull request and the places of the files it touches.
struct Pull {
    number: i64,
    places: Vec<usize>,
}

#[derive(Default, Deserialize)]
struct Details {
    related: Vec<Known>,
    open: Vec<Open>,
    issues: Vec<Issue>,
    pairs: Vec<Pair>,
    every: i64,
}

#[derive(Deserialize)]
struct Known {
    number: i64,
    title: String,
    state: String,
    files: i64,
}

#[derive(Deserialize)]
struct Open {
    number: i64,
    title: String,
    author: String,
    place: usize,
    hunks: Vec<u32>,
}

#[derive(Deserialize)]
struct Issue {
    number: i64,
    title: String,
    state: String,
    labels: Vec<String>,
    updated_at: i64,
}

/// A file that may belong to others.
#[derive(Deserialize)]
struct Pair {
    path: String,
    /// The place of a file that suggests it, in how many pull requests both are, and of how many.
    witnesses: Vec<(usize, i64, i64)>,
    /// In how many pull requests it is.
    other: i64,
}

/// Makes the server plan the statements, which takes a cold one seconds, before a review waits for them.
pub(super) async fn warm_up(server: &Server) -> Result<(), GraphError> {
    let nobody = Question {
        repo: RepoId(-1),
        number: PrNumber(-1),
        author: String::new(),
        files: vec!["none".to_owned()],
        closes: vec![-1],
        now: DateTime::UNIX_EPOCH,
    };
    ask(server, WARM_UP, &nobody).await.map(drop)
}

/// `limit` is for each of the two statements.
pub(super) async fn ask(server: &Server, limit: Duration, question: &Question) -> Result<Answer, GraphError> {
    let asked = question.asked();
    let keys: Vec<i64> = asked.iter().map(|path| file_id(question.repo, path)).collect();
    let latest = latest(server, limit, question, &keys).await?;
    let pulls = latest.pulls();

    let related = most_shared(&pulls);
    let open = open(&pulls, &latest.open, &asked);
    let mut closes = question.closes.clone();
    closes.sort_unstable();
    closes.dedup();
    let mut details = Details::default();
    if !(related.is_empty() && closes.is_empty()) {
        let here: BoltType = question.files.iter().map(|path| BoltType::from(&*stored(question.repo, path))).collect();
        let ask = query(DETAILS)
            .param("repo", question.repo.0)
            .param("number", question.number.0)
            .param("related", related.iter().map(|pull| pull.number).collect::<Vec<_>>())
            .param("open", open.iter().map(|(n, place)| vec![keys[*place], *n, count(*place)]).collect::<Vec<_>>())
            .param("closes", closes)
            .param("together", together(&pulls, &latest.telling, asked.len()))
            .param("here", here)
            .param("support", CoChange::MIN_SUPPORT)
            .param("few", count(FEW_FILES));
        details = server.read(limit, ask).await?.into_iter().next().unwrap_or_default();
    }
    Ok(details.answer(question, &asked, latest.merges, &related))
}

async fn latest(server: &Server, limit: Duration, question: &Question, keys: &[i64]) -> Result<Latest, GraphError> {
    if keys.is_empty() {
        return Ok(Latest::default());
    }
    let latest = query(LATEST)
        .param("files", keys.to_vec())
        .param("number", question.number.0)
        .param("recent", RECENT)
        .param("few", count(FEW_FILES))
        .param("since", (question.now - TimeDelta::days(180)).timestamp_micros());
    Ok(server.read(limit, latest).await?.into_iter().next().unwrap_or_default())
}

impl Latest {
    /// Latest first.
    fn pulls(&self) -> Vec<Pull> {
        let pull = |row: &Vec<i64>| {
            let (number, places) = row.split_first()?;
            Some(Pull { number: *number, places: places.iter().filter_map(|at| usize::try_from(*at).ok()).collect() })
        };
        let mut pulls: Vec<Pull> = self.pulls.iter().filter_map(pull).collect();
        pulls.sort_unstable_by_key(|pull| Reverse(pull.number));
        pulls
    }
}

/// Most shared files first, then latest first, which is how they come.
fn most_shared(pulls: &[Pull]) -> Vec<&Pull> {
    let mut shared: Vec<&Pull> = pulls.iter().collect();
    shared.sort_by_key(|pull| Reverse(pull.places.len()));
    shared.truncate(RELATED);
    shared
}

/// Open pull requests and the place of a file they touch, by number and path.
fn open(pulls: &[Pull], open: &[i64], asked: &[&str]) -> Vec<(i64, usize)> {
    let open: HashSet<i64> = open.iter().copied().collect();
    let mut touches: Vec<(i64, usize)> = pulls
        .iter()
        .filter(|pull| open.contains(&pull.number))
        .flat_map(|pull| pull.places.iter().map(|place| (pull.number, *place)))
        .collect();
    touches.sort_unstable_by_key(|(number, place)| (*number, asked[*place]));
    touches.truncate(OPEN);
    touches
}

/// What to ask for each file that enough pull requests tell about.
///
/// A file that belongs to another is missing from a tenth of its pull requests at most, so from that many of any sample.
fn together(pulls: &[Pull], telling: &[i64], asked: usize) -> BoltType {
    let telling: HashSet<i64> = telling.iter().copied().collect();
    let mut about: Vec<Vec<i64>> = vec![Vec::new(); asked];
    for pull in pulls.iter().filter(|pull| telling.contains(&pull.number)) {
        for place in &pull.places {
            about[*place].push(pull.number);
        }
    }
    about
        .into_iter()
        .enumerate()
        .map(|(place, numbers)| (place, count(numbers.len()), numbers))
        .filter(|(_, of, _)| *of >= CoChange::MIN_SUPPORT)
        .map(|(place, of, numbers)| {
            let missing = of / 10;
            let sample = of.min(CoChange::MIN_SUPPORT + 2 * missing);
            list([count(place).into(), numbers.into(), sample.into(), (sample - missing).into()])
        })
        .collect()
}

impl Details {
    fn answer(self, question: &Question, asked: &[&str], merges: Vec<(String, i64, i64)>, related: &[&Pull]) -> Answer {
        let mut known: HashMap<i64, Known> = self.related.into_iter().map(|pull| (pull.number, pull)).collect();
        let related = related.iter().filter_map(|pull| {
            let Known { number, title, state, files } = known.remove(&pull.number)?;
            let (number, state) = (PrNumber(number), PrState::parse(&state)?);
            Some(Related { number, title, state, shared: count(pull.places.len()), files })
        });
        let mut open: Vec<OpenTouch> = self.open.into_iter().map(|open| open.touch(asked)).collect();
        open.sort_by(|a, b| (a.number, &a.touch.path).cmp(&(b.number, &b.touch.path)));
        let mut issues: Vec<IssueFact> = self.issues.into_iter().map(|issue| issue.fact(question)).collect();
        issues.sort_by_key(|issue| issue.issue);
        Answer {
            experts: experts(question, merges),
            related: related.collect(),
            issues,
            co_changes: question.surest(holding(self.pairs, self.every, asked)),
            open,
        }
    }
}

fn experts(question: &Question, merges: Vec<(String, i64, i64)>) -> Vec<Expert> {
    let mut experts: HashMap<String, Expert> = HashMap::new();
    for (author, merged_at, files) in merges.into_iter().filter(|(author, ..)| *author != question.author) {
        let merged_at = time(merged_at);
        let within = |days| merged_at >= question.now - TimeDelta::days(days);
        let weight = match (within(30), within(90)) {
            (true, _) => 4,
            (_, true) => 2,
            _ => 1,
        };
        let nobody = Expert { login: author.clone(), weight: 0, pulls: 0, last: merged_at };
        let expert = experts.entry(author).or_insert(nobody);
        expert.weight += weight * files;
        expert.pulls += 1;
        expert.last = expert.last.max(merged_at);
    }
    let mut experts: Vec<Expert> = experts.into_values().collect();
    experts.sort_by(|a, b| (b.weight, b.last).cmp(&(a.weight, a.last)).then_with(|| a.login.cmp(&b.login)));
    experts.truncate(EXPERTS);
    experts
}

/// Which of the pairs hold.
fn holding(pairs: Vec<Pair>, every: i64, asked: &[&str]) -> Vec<CoChange> {
    let mut found = Vec::new();
    for Pair { path, witnesses, other } in pairs {
        let holding = witnesses.into_iter().filter(|(_, both, of)| CoChange::holds(*both, *of, other, every));
        found.extend(holding.map(|(place, both, of)| CoChange {
            path: path.clone(),
            with: asked[place].to_owned(),
            both,
            of,
        }));
    }
    found
}

impl Open {
    fn touch(self, asked: &[&str]) -> OpenTouch {
        let hunks = self.hunks.chunks_exact(2).map(|hunk| (hunk[0], hunk[1])).collect();
        let touch = Touch { path: asked[self.place].to_owned(), hunks };
        OpenTouch { number: PrNumber(self.number), title: self.title, author: self.author, touch }
    }
}

impl Issue {
    fn fact(self, question: &Question) -> IssueFact {
        IssueFact {
            issue: IssueRef { repo: question.repo, number: self.number },
            title: self.title,
            open: self.state == "open",
            labels: self.labels,
            updated_at: time(self.updated_at),
        }
    }
}
