//! What the project knows that bears on a change.
//!
//! Asked of the code graph in one question, of the profile (CODEOWNERS) and, for issues the graph does not know yet, of
//! GitHub. Nothing here decides anything: a graph that is slow or away costs a review these lines and nothing else.

use std::collections::BTreeMap;

use tracing::Instrument;

use crate::{
    app::App,
    domain::{
        PrNumber,
        graph::{Answer, CoChange, Expert, IssueFact, OpenTouch, PullFact, Question, Related, Touch},
        pull_request::{ChangedFile, PrState, PullRequest},
    },
    graph::GraphError,
    scan::owners::Owners,
};

/// People named, owners and experts together.
const PEOPLE: usize = 3;

/// Experts named. More would be a list, not a hint.
const EXPERTS: usize = 2;

/// Pull requests, files and issues named, each.
const FEW: usize = 3;

/// Lines between two changes of a file that still touch each other.
const NEAR: u32 = 10;

/// Files whose owners are looked up: enough to tell who owns most of a change.
const OWNED: usize = 300;

/// What is worth telling about a change beside its findings. Everything is already chosen and bounded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    /// Who CODEOWNERS names for the changed files, most files first: logins and `org/team`.
    pub owners: Vec<String>,
    /// Who knows these files and is not among the owners.
    pub experts: Vec<Expert>,
    /// Issues that the pull request closes.
    pub issues: Vec<IssueFact>,
    /// Open pull requests that change the same lines.
    pub overlaps: Vec<Overlap>,
    /// Other pull requests over the same files.
    pub related: Vec<Related>,
    /// Files that usually change together with these.
    pub co_changes: Vec<CoChange>,
}

/// An open pull request that changes the same lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlap {
    /// Its number.
    pub number: PrNumber,
    /// Its title.
    pub title: String,
    /// Its author.
    pub author: String,
    /// The files where that is so, by path.
    pub paths: Vec<String>,
}

/// Gathers what is known. Never fails: what could not be asked is missing.
pub(super) async fn gather(app: &App, pull: &PullRequest, fact: &PullFact, files: &[ChangedFile]) -> Context {
    // Only of the pull request's own repository: titles of others' issues may not be for everybody who reads this one.
    let closes: Vec<i64> = fact.closes.iter().flatten().map(|issue| issue.number).collect();
    let ((known, mut issues), owners) = tokio::join!(
        async {
            let mut answer = ask(app, pull, files, &closes).await;
            let issues = std::mem::take(&mut answer.issues);
            (answer, issues)
        },
        owners(app, pull, files)
    );
    let unknown: Vec<i64> =
        closes.iter().copied().filter(|number| issues.iter().all(|known| known.issue.number != *number)).collect();
    if !unknown.is_empty() {
        match app.github.bot().issues(&pull.repo, &unknown).await {
            Ok(found) => issues.extend(found),
            Err(error) => tracing::warn!(%error, "linked issues were not read"),
        }
    }
    choose(pull, fact.files.as_deref().unwrap_or_default(), owners, known, issues)
}

async fn ask(app: &App, pull: &PullRequest, files: &[ChangedFile], closes: &[i64]) -> Answer {
    let Some(graph) = &app.graph else { return Answer::default() };
    let mut paths: Vec<String> = Vec::with_capacity(files.len());
    for file in files {
        paths.push(file.path.clone());
        paths.extend(file.previous_path.clone());
    }
    let question = Question {
        repo: pull.repo.id,
        number: pull.number,
        author: pull.author.clone(),
        files: paths,
        closes: closes.to_vec(),
        now: app.clock.now(),
    };
    let span = tracing::info_span!("ask the code graph", backend = graph.backend());
    let asked = async { graph.ready().await?.ask(&question).await };
    asked.instrument(span).await.unwrap_or_else(|error: GraphError| {
        tracing::warn!(%error, "reviewing without the code graph");
        Answer::default()
    })
}

/// CODEOWNERS of the default branch: what the pull request itself says of owners does not count.
async fn owners(app: &App, pull: &PullRequest, files: &[ChangedFile]) -> Vec<String> {
    let text = match app.store.profile(pull.repo.id).await {
        Ok(profile) => profile.and_then(|profile| profile.code_owners),
        Err(error) => {
            tracing::warn!(%error, "reviewing without the profile");
            None
        }
    };
    let Some(text) = text else { return Vec::new() };
    owners_by(text, files.iter().take(OWNED).map(|file| file.path.clone()).collect()).await
}

/// Who a CODEOWNERS file names for these paths, most paths first. A long file takes long to compile, so others are not
/// kept waiting.
async fn owners_by(text: String, paths: Vec<String>) -> Vec<String> {
    let counted = tokio::task::spawn_blocking(move || {
        let rules = Owners::parse(&text);
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for owner in paths.iter().flat_map(|path| rules.of(path)) {
            *counts.entry(owner).or_default() += 1;
        }
        let mut owners: Vec<_> = counts.into_iter().collect();
        owners.sort_by(|(a, files_a), (b, files_b)| files_b.cmp(files_a).then_with(|| a.cmp(b)));
        owners.into_iter().map(|(owner, _)| owner.to_owned()).collect()
    });
    counted.await.unwrap_or_else(|error| {
        tracing::warn!(%error, "reviewing without CODEOWNERS");
        Vec::new()
    })
}

/// What of all this helps whoever reads the review.
fn choose(
    pull: &PullRequest,
    touches: &[Touch],
    mut owners: Vec<String>,
    known: Answer,
    mut issues: Vec<IssueFact>,
) -> Context {
    owners.retain(|owner| !owner.eq_ignore_ascii_case(&pull.author));
    owners.truncate(PEOPLE);
    let mut experts = known.experts;
    experts.retain(|expert| !owners.iter().any(|owner| owner.eq_ignore_ascii_case(&expert.login)));
    experts.truncate(EXPERTS.min(PEOPLE - owners.len()));

    let mut overlaps: Vec<Overlap> = Vec::new();
    for open in known.open {
        if !touches.iter().any(|mine| mine.path == open.touch.path && near(mine, &open.touch)) {
            continue;
        }
        let OpenTouch { number, title, author, touch: Touch { path, .. } } = open;
        match overlaps.iter_mut().find(|overlap| overlap.number == number) {
            Some(overlap) => overlap.paths.push(path),
            None => overlaps.push(Overlap { number, title, author, paths: vec![path] }),
        }
    }
    overlaps.truncate(FEW);

    let mine = touches.len() as i64;
    let mut related = known.related;
    related.retain(|other| {
        // A file in common is an accident where either change is large: at least a quarter of all their files.
        let all = mine + other.files - other.shared;
        other.state != PrState::Closed
            && 4 * other.shared >= all
            && overlaps.iter().all(|overlap| overlap.number != other.number)
    });
    related.truncate(FEW);

    let mut co_changes = known.co_changes;
    co_changes.truncate(FEW);
    issues.sort_by_key(|issue| issue.issue.number);
    issues.truncate(FEW);
    Context { owners, experts, issues, overlaps, related, co_changes }
}

/// Whether two changes of a file come within [`NEAR`] lines of each other, in lines of their base.
fn near(mine: &Touch, other: &Touch) -> bool {
    mine.hunks.iter().any(|(a, a_count)| {
        other.hunks.iter().any(|(b, b_count)| {
            a.saturating_sub(NEAR) <= b.saturating_add(*b_count) && b.saturating_sub(NEAR) <= a.saturating_add(*a_count)
        })
    })
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::review::samples;

    fn touch(path: &str, hunks: &[(u32, u32)]) -> Touch {
        Touch { path: path.to_owned(), hunks: hunks.to_vec() }
    }

    fn expert(login: &str) -> Expert {
        Expert { login: login.to_owned(), weight: 4, pulls: 1, last: DateTime::UNIX_EPOCH }
    }

    fn related(number: i64, shared: i64, files: i64) -> Related {
        Related { number: PrNumber(number), title: "t".to_owned(), state: PrState::Merged, shared, files }
    }

    fn open(number: i64, touch: Touch) -> OpenTouch {
        OpenTouch { number: PrNumber(number), title: "t".to_owned(), author: "lin".to_owned(), touch }
    }

    fn chosen(touches: &[Touch], owners: &[&str], known: Answer) -> Context {
        let owners = owners.iter().map(|owner| (*owner).to_owned()).collect();
        choose(&samples::pull(&[]), touches, owners, known, Vec::new())
    }

    #[tokio::test]
    async fn a_long_file_of_owners_is_read_while_others_go_on() {
        let rules: String = (0..9_000).map(|n| format!("/module{n}/ @owner-{n}\n")).collect();
        let paths = ["module7/a", "module7/b", "module8/a", "a"].map(str::to_owned).to_vec();
        let mut reading = std::pin::pin!(owners_by(rules, paths));
        assert!(futures_util::poll!(&mut reading).is_pending());
        assert_eq!(reading.await, ["owner-7", "owner-8"]);
    }

    #[test]
    fn owners_come_first_and_nobody_is_named_twice_or_is_the_author() {
        let known = Answer { experts: ["Ada", "lin", "kim"].map(expert).to_vec(), ..Answer::default() };
        let context = chosen(&[], &["Mona", "ada", "acme/web"], known);
        assert_eq!(context.owners, ["ada", "acme/web"]);
        assert_eq!(context.experts, [expert("lin")]);
    }

    #[test]
    fn without_owners_two_experts_are_named() {
        let known = Answer { experts: ["ada", "lin", "kim"].map(expert).to_vec(), ..Answer::default() };
        assert_eq!(chosen(&[], &[], known).experts, [expert("ada"), expert("lin")]);
    }

    #[test]
    fn changes_within_ten_lines_overlap_and_others_do_not() {
        let mine = touch("a.rs", &[(100, 5)]);
        assert!(near(&mine, &touch("a.rs", &[(115, 3)])));
        assert!(!near(&mine, &touch("a.rs", &[(116, 3)])));
        assert!(near(&mine, &touch("a.rs", &[(80, 10)])));
        assert!(!near(&mine, &touch("a.rs", &[(79, 10)])));
        assert!(!near(&mine, &touch("a.rs", &[])));
        assert!(near(&touch("a.rs", &[(0, 0)]), &touch("a.rs", &[(u32::MAX, u32::MAX), (1, 1)])));
    }

    #[test]
    fn an_overlapping_pull_request_is_told_once_with_all_its_files() {
        let mine = [touch("a.rs", &[(1, 5)]), touch("b.rs", &[(1, 5)])];
        let known = Answer {
            open: vec![
                open(3, touch("a.rs", &[(4, 1)])),
                open(3, touch("b.rs", &[(1, 1)])),
                open(4, touch("a.rs", &[(400, 1)])),
            ],
            related: vec![related(3, 2, 2), related(4, 1, 1)],
            ..Answer::default()
        };
        let context = chosen(&mine, &[], known);
        assert_eq!(context.overlaps.len(), 1);
        assert_eq!(context.overlaps[0].paths, ["a.rs", "b.rs"]);
        assert_eq!(context.related, [related(4, 1, 1)]);
    }

    #[test]
    fn a_file_in_common_with_a_large_change_is_no_relation() {
        let mine = [touch("a.rs", &[])];
        let known = Answer { related: vec![related(1, 1, 4), related(2, 1, 5)], ..Answer::default() };
        assert_eq!(chosen(&mine, &[], known).related, [related(1, 1, 4)]);
    }
}
