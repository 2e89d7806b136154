//! What the bot asks and posts, request by request.

use super::*;
use crate::{
    domain::{
        pull_request::{FileStatus, PrState},
        review::{ReviewEvent, Side},
    },
    github::{Account, BoxError, NewComment, Turn, pr_state::PrStates},
};

#[tokio::test]
async fn the_account_is_asked_for_once() {
    let fake = always(200, json!({"id": 1, "login": "nectr-bot", "name": null, "avatar_url": null})).await;
    let (github, _) = fake.github();
    let bot = github.bot();
    let (first, second) = tokio::join!(bot.account(), bot.account());
    let expected = Account { id: 1, login: "nectr-bot".to_owned(), name: None, email: None, avatar_url: None };
    assert_eq!([first.unwrap(), second.unwrap()], [expected.clone(), expected]);
    assert_eq!(fake.asked(), ["GET /user"]);
}

#[tokio::test]
async fn who_waits_for_the_account_with_somebody_else_fails_with_them() {
    let fake = always(502, json!({})).await;
    let (github, _) = fake.github();
    let bot = github.bot();
    let failed = tokio::join!(bot.account(), bot.account(), bot.account());
    for failed in [failed.0, failed.1, failed.2] {
        assert!(matches!(failed, Err(GitHubError::Unavailable(_))), "{failed:?}");
    }
    assert_eq!(fake.asked(), ["GET /user"]);
    assert!(bot.account().await.is_err());
    assert_eq!(fake.asked(), ["GET /user", "GET /user"], "who comes later asks anew");
}

#[tokio::test]
async fn without_any_token_nothing_is_sent_and_the_error_says_what_to_set() {
    let fake = always(200, json!({})).await;
    let (github, _) = fake.github_with(|options| options.pat = None);
    let error = github.bot().account().await.unwrap_err();
    assert!(matches!(&error, GitHubError::NoToken(text) if text.contains("GITHUB_PAT")), "{error:?}");
    assert_eq!(fake.asked(), [""; 0]);
}

#[tokio::test]
async fn a_pull_request_is_read_with_everything_null_that_may_be() {
    let fake = always(200, pull_json()).await;
    let (github, _) = fake.github();
    let pull = github.bot().pull(&repo(), NUMBER).await.unwrap();
    assert_eq!(fake.asked(), ["GET /repos/acme/api/pulls/7"]);
    assert_eq!(pull.repo.name.to_string(), "Acme/API");
    assert_eq!((pull.author.as_str(), pull.body.as_str(), pull.draft, pull.from_fork), ("ghost", "", true, true));
    assert_eq!((pull.state, pull.head, pull.branch.as_str()), (PrState::Open, CommitSha(SHA.to_owned()), "door"));
}

#[tokio::test]
async fn closed_is_merged_only_if_github_says_so_and_a_fork_is_another_repository() {
    let read = async |change: Value| {
        let mut pull = pull_json();
        pull.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let (github, _) = always(200, pull).await.github();
        github.bot().pull(&repo(), NUMBER).await.unwrap()
    };
    let head = |id| json!({"head": {"sha": SHA, "ref": "door", "repo": {"id": id}}});
    assert!(!read(head(5)).await.from_fork);
    assert!(read(head(6)).await.from_fork);
    assert_eq!(read(json!({"state": "closed"})).await.state, PrState::Closed);
    assert_eq!(read(json!({"state": "closed", "merged": true})).await.state, PrState::Merged);
    let merged_at = json!({"state": "closed", "merged_at": "2026-01-01T00:00:00Z"});
    assert_eq!(read(merged_at).await.state, PrState::Merged);
}

/// A row of a file listing.
fn file(name: &str, status: &str, patch: Option<&str>) -> Value {
    let changes = patch.map_or(0, |patch| patch.lines().count());
    let mut row = json!({
        "sha": null, "filename": name, "status": status, "additions": changes, "deletions": 0, "changes": changes,
    });
    if let Some(patch) = patch {
        row["patch"] = patch.into();
    }
    row
}

/// A query parameter of a request.
fn query(seen: &Seen, name: &str) -> usize {
    let url = url::Url::parse("http://x").unwrap().join(&seen.path).unwrap();
    url.query_pairs().find(|(key, _)| key == name).unwrap().1.parse().unwrap()
}

/// The rows of the page that was asked for.
fn page(seen: &Seen, rows: &[Value]) -> Vec<Value> {
    let (size, page) = (query(seen, "per_page"), query(seen, "page"));
    rows.iter().skip((page - 1) * size).take(size).cloned().collect()
}

#[tokio::test]
async fn files_come_from_every_page_with_their_statuses() {
    let statuses = ["added", "removed", "modified", "renamed", "copied", "changed", "unchanged", "invented"];
    let rows: Vec<Value> =
        (0..250).map(|at| file(&format!("f{at}"), statuses[at % statuses.len()], Some("+x"))).collect();
    let fake = Fake::start(move |seen| {
        let last = query(seen, "page") == 3;
        let link = if last { r#"<http://x/?page=1>; rel="first""# } else { r#"<http://evil.example/>; rel="next""# };
        Reply::json(page(seen, &rows).into()).with("link", link)
    })
    .await;
    let (github, _) = fake.github();
    let files = github.bot().files(&repo(), NUMBER).await.unwrap();
    assert_eq!(files.len(), 250);
    assert_eq!(files[249].path, "f249");
    let first: Vec<FileStatus> = files.iter().take(8).map(|file| file.status).collect();
    use FileStatus::{Added, Changed, Copied, Modified, Removed, Renamed, Unchanged};
    assert_eq!(first, [Added, Removed, Modified, Renamed, Copied, Changed, Unchanged, Modified]);
    assert_eq!(
        fake.asked(),
        [1, 2, 3].map(|page| format!("GET /repos/acme/api/pulls/7/files?per_page=100&page={page}"))
    );
    assert!(fake.seen().iter().all(|seen| seen.header("authorization") == Some("Bearer bot-token")));
}

#[tokio::test]
async fn files_stop_at_the_page_github_stops_at() {
    let rows: Vec<Value> = (0..100).map(|at| file(&format!("f{at}"), "added", Some("+x"))).collect();
    let fake = Fake::start(move |_| Reply::json(rows.clone().into())).await;
    let (github, _) = fake.github();
    assert_eq!(github.bot().files(&repo(), NUMBER).await.unwrap().len(), 3_000);
    assert_eq!(fake.seen().len(), 30);
}

#[tokio::test]
async fn rows_left_blank_because_the_page_was_full_are_fetched_again_in_smaller_pages() {
    // 12,000 lines fill an answer: what comes after them in the same answer is blank.
    const ROOM: usize = 12_000;
    let large = "+line\n".repeat(4_000);
    let rows: Vec<Value> = (0..43)
        .map(|at| match at {
            41 => file("logo.png", "added", None),
            0 | 5 | 10 | 15 | 25..30 => file(&format!("f{at}"), "modified", Some(&large)),
            at => file(&format!("f{at}"), "modified", Some("+x")),
        })
        .collect();
    let fake = Fake::start(move |seen| {
        let mut lines = 0;
        let mut rows = page(seen, &rows);
        for row in &mut rows {
            lines += row["changes"].as_u64().unwrap() as usize;
            if lines > ROOM {
                *row = file(row["filename"].as_str().unwrap(), "modified", None);
            }
        }
        Reply::json(rows.into())
    })
    .await;
    let (github, _) = fake.github();
    let files = github.bot().files(&repo(), NUMBER).await.unwrap();

    let names: Vec<String> = files.iter().map(|file| file.path.clone()).collect();
    let expected: Vec<String> =
        (0..43).map(|at| if at == 41 { "logo.png".to_owned() } else { format!("f{at}") }).collect();
    assert_eq!(names, expected, "every file once, in order");
    let blank: Vec<&str> = files.iter().filter(|file| file.patch.is_none()).map(|file| file.path.as_str()).collect();
    assert_eq!(blank, ["f28", "f29", "logo.png"], "only what even five rows have no room for, and the picture");
    let sizes: Vec<(usize, usize)> = fake.seen().iter().map(|s| (query(s, "per_page"), query(s, "page"))).collect();
    assert_eq!(
        sizes,
        [
            [(100, 1), (20, 1), (5, 1), (5, 2), (5, 3), (5, 4)].as_slice(),
            &[(20, 2), (5, 5), (5, 6), (5, 7), (5, 8), (20, 3)],
        ]
        .concat()
    );
}

#[tokio::test]
async fn a_diff_is_asked_for_as_a_diff_and_may_hold_any_bytes() {
    let fake = Fake::start(|_| Reply::Answer(200, Vec::new(), b"+caf\xe9".to_vec())).await;
    let (github, _) = fake.github();
    assert_eq!(github.bot().diff(&repo(), NUMBER, 100).await.unwrap(), "+caf\u{fffd}");
    assert_eq!(fake.seen()[0].header("accept"), Some("application/vnd.github.diff"));
    assert_eq!(fake.asked(), ["GET /repos/acme/api/pulls/7"]);
}

#[tokio::test]
async fn open_pulls_are_asked_for_newest_first_and_never_more_than_wanted() {
    let row = |number: i64| json!({"number": number, "draft": number == 2, "updated_at": "2026-01-01T00:00:00Z"});
    let fake = always(200, json!([row(3), row(2), row(1)])).await;
    let (github, _) = fake.github();
    let pulls = github.bot().open_pulls(&repo(), 2).await.unwrap();
    assert_eq!(pulls.iter().map(|pull| (pull.number.0, pull.draft)).collect::<Vec<_>>(), [(3, false), (2, true)]);
    assert!(github.bot().open_pulls(&repo(), 0).await.unwrap().is_empty());
    github.bot().open_pulls(&repo(), 255).await.unwrap();
    assert_eq!(
        fake.asked(),
        [2, 100].map(|n| format!("GET /repos/acme/api/pulls?state=open&sort=updated&direction=desc&per_page={n}"))
    );
}

#[tokio::test]
async fn a_files_path_and_version_cannot_break_out_of_the_address() {
    let fake = Fake::start(|_| Reply::Answer(200, Vec::new(), b"\0bytes".to_vec())).await;
    let (github, _) = fake.github();
    let bytes = github.bot().contents(&repo(), "src/a b?#%ü\t.rs", "feature/x&y").await.unwrap();
    assert_eq!(bytes, b"\0bytes");
    assert_eq!(fake.asked(), ["GET /repos/acme/api/contents/src/a%20b%3F%23%25%C3%BC%09.rs?ref=feature%2Fx%26y"]);
    assert_eq!(fake.seen()[0].header("accept"), Some("application/vnd.github.raw+json"));

    for path in ["../../user", "a/../b", "a//b", "", "/etc", "a/."] {
        let error = github.bot().contents(&repo(), path, "main").await.unwrap_err();
        assert!(matches!(error, GitHubError::NotFound { .. }), "{path}");
    }
    assert_eq!(fake.seen().len(), 1);
}

#[tokio::test]
async fn an_issue_is_open_or_not() {
    let fake = always(200, json!({"number": 4, "title": "Door missing", "state": "closed"})).await;
    let (github, _) = fake.github();
    let issue = github.bot().issue(&repo(), 4).await.unwrap();
    assert_eq!((issue.number, issue.title.as_str(), issue.open), (4, "Door missing", false));
    assert_eq!(fake.asked(), ["GET /repos/acme/api/issues/4"]);
}

#[tokio::test]
async fn reviews_come_from_every_page_and_authors_may_be_gone() {
    let fake = Fake::start(|seen| match query(seen, "page") {
        1 => Reply::json((1..=100).map(|id| review_json(id, "COMMENTED")).collect()),
        _ => {
            let mut ghost = review_json(101, "PENDING");
            ghost["user"] = Value::Null;
            ghost["body"] = Value::Null;
            ghost["commit_id"] = Value::Null;
            Reply::json(json!([ghost]))
        }
    })
    .await;
    let (github, _) = fake.github();
    let reviews = github.bot().reviews(&repo(), NUMBER).await.unwrap();
    assert_eq!(reviews.len(), 101);
    assert_eq!((reviews[0].author.as_deref(), reviews[0].pending), (Some("nectr-bot"), false));
    let last = &reviews[100];
    assert_eq!((last.author.as_deref(), last.body.as_str(), last.pending, &last.commit), (None, "", true, &None));
    assert_eq!(
        fake.asked(),
        [1, 2].map(|page| format!("GET /repos/acme/api/pulls/7/reviews?per_page=100&page={page}"))
    );
}

#[tokio::test]
async fn a_review_is_created_pending_submitted_by_id_and_read_back() {
    let fake = Fake::start(|seen| match seen.path.as_str() {
        "/repos/acme/api/pulls/7/reviews" => Reply::json(review_json(80, "PENDING")),
        _ => Reply::json(review_json(80, "COMMENTED")),
    })
    .await;
    let (github, _) = fake.github();
    let bot = github.bot();
    let comment = |start_line| NewComment {
        path: "src/a.rs".to_owned(),
        line: 9,
        start_line,
        side: Side::Right,
        body: "why?".to_owned(),
    };
    let comments = [comment(Some(7)), comment(None), comment(Some(9))];
    let sha = CommitSha(SHA.to_owned());

    let created = bot.create_pending_review(&repo(), NUMBER, &sha, "body", &comments).await.unwrap();
    assert!(created.pending);
    let submitted = bot
        .submit_review(bot.turn().await.unwrap(), &repo(), NUMBER, created.id, ReviewEvent::RequestChanges, "body")
        .await
        .unwrap();
    assert!(!submitted.pending);
    assert_eq!(bot.review(&repo(), NUMBER, 80).await.unwrap(), submitted);

    assert_eq!(
        fake.asked(),
        [
            "POST /repos/acme/api/pulls/7/reviews",
            "POST /repos/acme/api/pulls/7/reviews/80/events",
            "GET /repos/acme/api/pulls/7/reviews/80",
        ]
    );
    let single = json!({"path": "src/a.rs", "body": "why?", "line": 9, "side": "RIGHT"});
    let mut span = single.clone();
    span["start_line"] = 7.into();
    span["start_side"] = "RIGHT".into();
    assert_eq!(
        fake.seen()[0].json(),
        json!({"commit_id": SHA, "body": "body", "comments": [span, single.clone(), single]})
    );
    assert_eq!(fake.seen()[0].header("content-type"), Some("application/json"));
    assert_eq!(fake.seen()[1].json(), json!({"body": "body", "event": "REQUEST_CHANGES"}));
}

#[tokio::test]
async fn deleting_a_pending_review_that_is_gone_is_done() {
    for status in [200, 404] {
        let fake = always(status, json!({})).await;
        let (github, _) = fake.github();
        github.bot().delete_pending_review(Turn::at_once(), &repo(), NUMBER, 80).await.unwrap();
        assert_eq!(fake.asked(), ["DELETE /repos/acme/api/pulls/7/reviews/80"]);
    }
    let (github, _) = always(422, json!({"message": "already submitted"})).await.github();
    assert!(github.bot().delete_pending_review(Turn::at_once(), &repo(), NUMBER, 80).await.is_err());
}

#[tokio::test]
async fn a_full_write_limiter_refuses_whatever_creates_content_without_a_request() {
    let wait = Duration::from_secs(40);
    let fake = always(200, review_json(80, "PENDING")).await;
    let (github, _) = fake.github_with(|options| options.gate = std::sync::Arc::new(Gate(Ok(Some(wait)))));
    let (bot, sha) = (github.bot(), CommitSha(SHA.to_owned()));
    let refusals = [
        bot.create_pending_review(&repo(), NUMBER, &sha, "b", &[]).await.unwrap_err(),
        bot.turn().await.unwrap_err(),
        bot.comment(&repo(), NUMBER, "b").await.unwrap_err(),
    ];
    for refusal in refusals {
        assert!(matches!(refusal, GitHubError::RateLimited { retry_after } if retry_after == wait), "{refusal:?}");
    }
    assert_eq!(fake.asked(), [""; 0]);
    bot.review(&repo(), NUMBER, 80).await.unwrap();
}

#[tokio::test]
async fn a_broken_write_limiter_lets_nothing_through() {
    let fake = always(200, json!({"id": 1})).await;
    let (github, _) = fake.github_with(|options| options.gate = std::sync::Arc::new(Gate(Err("database down"))));
    let error = github.bot().comment(&repo(), NUMBER, "b").await.unwrap_err();
    assert!(matches!(error, GitHubError::Unavailable(_)), "{error:?}");
    assert_eq!(fake.asked(), [""; 0]);
}

#[tokio::test]
async fn a_token_on_hold_takes_no_place_in_the_write_limiter() {
    struct Counting(std::sync::atomic::AtomicU32);
    impl crate::github::RateGate for Counting {
        fn admit(&self) -> std::pin::Pin<Box<dyn Future<Output = Result<Option<Duration>, BoxError>> + Send + '_>> {
            self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            Box::pin(std::future::ready(Ok(None)))
        }
    }
    let gate = std::sync::Arc::new(Counting(0.into()));
    let fake = always(429, json!({"message": "Slow down"})).await;
    let (github, _) = fake.github_with(|options| options.gate = gate.clone());
    for _ in 0..3 {
        assert!(github.bot().comment(&repo(), NUMBER, "b").await.is_err());
    }
    assert_eq!(gate.0.load(std::sync::atomic::Ordering::SeqCst), 1);
    assert_eq!(fake.seen().len(), 1);
}

#[tokio::test]
async fn a_token_github_refuses_is_looked_for_again_at_the_next_call() {
    let fake = always(401, json!({"message": "Bad credentials"})).await;
    let (github, _) = fake.github();
    for _ in 0..2 {
        assert!(matches!(github.bot().reviews(&repo(), NUMBER).await, Err(GitHubError::Unauthorized)));
        assert!(!github.inner.bot_token.is_known().await);
    }
    assert_eq!(fake.seen().len(), 2);
}

#[tokio::test]
async fn everything_can_run_in_a_task() {
    let (github, clock) = always(500, json!({})).await.github();
    let states = PrStates::new(clock);
    let task = tokio::spawn(async move {
        let (bot, token, repo) = (github.bot(), SecretString::from("t"), repo());
        let user = github.user(&token);
        let fetch = async { bot.pull(&repo, NUMBER).await.map(|pull| (pull.state, pull.updated_at)) };
        [
            bot.files(&repo, NUMBER).await.is_err(),
            bot.reviews(&repo, NUMBER).await.is_err(),
            bot.comment(&repo, NUMBER, "b").await.is_err(),
            user.repositories().await.is_err(),
            user.is_member("acme", "zoe").await.is_err(),
            github.exchange_code("c", "v", "r").await.is_err(),
            states.get(&repo, NUMBER, fetch).await.is_err(),
        ]
    });
    assert_eq!(task.await.unwrap(), [true; 7]);
}
