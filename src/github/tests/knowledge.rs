//! What the bot reads of a whole repository: against the sandbox, which knows GitHub's schema, and against answers that
//! GitHub gives on bad days.

use super::*;
use crate::{
    domain::{
        graph::{Contributor, IssueFact, IssueRef},
        pull_request::PrState,
    },
    github::{HistoryPage, Listed},
};

fn numbers(page: &HistoryPage) -> Vec<i64> {
    page.pulls.iter().map(|pull| pull.number.0).collect()
}

#[tokio::test]
async fn history_is_read_page_by_page_with_files_authors_and_the_issues_that_were_closed() {
    let (sandbox, github, repo) = sandbox(|sandbox| {
        sandbox.repo("acme/web").read("nectr-bot");
        sandbox.open_issue("acme/api", "sam", "It rattles");
        sandbox.label_issue("acme/api", 1, "bug");
        sandbox.open_issue("acme/web", "sam", "It squeaks");
        sandbox.bot("dependabot[bot]");
        let body = "Fixes #1, closes acme/web#1 and mentions #2.";
        for (author, title, body) in [
            ("sam", "Oil it", body),
            ("dependabot[bot]", "Bump oil", ""),
            ("mo", "Not merged", ""),
            ("gone", "Left", ""),
        ] {
            let pr = sandbox.open_pull("acme/api", |pr| {
                pr.title(title).author(author).body(body).adds(&format!("{author}.rs"), "x\n")
            });
            if title == "Not merged" { sandbox.close(pr) } else { sandbox.merge(pr) }
        }
        sandbox.delete_user("gone");
    })
    .await;
    let first = github.bot().history(&repo, Listed::MergedAndOpen, None, 2).await.unwrap();
    assert_eq!(numbers(&first), [5, 3], "latest first, without those that came to nothing");
    assert_eq!((first.pulls[0].author.as_str(), first.pulls[0].bot), ("ghost", false));
    assert_eq!((first.pulls[1].author.as_str(), first.pulls[1].bot), ("dependabot[bot]", true));
    let next = first.next.expect("there is one more");

    let last = github.bot().history(&repo, Listed::MergedAndOpen, Some(&next), 2).await.unwrap();
    assert_eq!((numbers(&last), last.next.as_deref()), (vec![2], None));
    let pull = &last.pulls[0];
    assert!(pull.merged_at.is_some());
    assert_eq!(pull.files.as_ref().unwrap()[0].path, "sam.rs");
    let web = RepoId(sandbox.repo_id("acme/web"));
    let closes = pull.closes.clone().unwrap();
    assert_eq!(closes, [IssueRef { repo: repo.id, number: 1 }, IssueRef { repo: web, number: 1 }]);
    let [issue] = last.issues.as_slice() else { panic!("only the repository's own: {:?}", last.issues) };
    assert_eq!(
        (issue.title.as_str(), issue.open, issue.labels.as_slice()),
        ("It rattles", false, &["bug".to_owned()][..])
    );
    assert_eq!(sandbox.unknown_calls(), [""; 0]);
}

#[tokio::test]
async fn open_pull_requests_are_listed_too_and_any_can_be_looked_at_by_number() {
    let (sandbox, github, repo) = sandbox(|sandbox| {
        let pulls = ["one", "two", "three", "four"].map(|title| {
            sandbox.open_pull("acme/api", |pr| pr.title(title).author("sam").adds(&format!("{title}.rs"), "x\n"))
        });
        sandbox.merge(pulls[1]);
        sandbox.close(pulls[2]);
        sandbox.merge(pulls[0]);
        sandbox.open_issue("acme/api", "sam", "five");
    })
    .await;
    let page = github.bot().history(&repo, Listed::Open, None, 100).await.unwrap();
    assert_eq!((numbers(&page), page.pulls[0].state), (vec![4], PrState::Open));
    assert_eq!(page.pulls[0].files.as_ref().unwrap()[0].path, "four.rs");
    let page = github.bot().history(&repo, Listed::LatelyMerged, None, 100).await.unwrap();
    assert_eq!(numbers(&page), [1, 2], "by when something happened to them");

    let numbers: Vec<_> = [4, 3, 99, 5, 1, 1, 0, -1].map(PrNumber).to_vec();
    let found = github.bot().pulls(&repo, &numbers).await.unwrap();
    let found: Vec<_> = found.iter().map(|pull| (pull.number.0, pull.state, pull.files.is_some())).collect();
    let states = [(1, PrState::Merged, false), (3, PrState::Closed, false), (4, PrState::Open, false)];
    assert_eq!((found, sandbox.unknown_calls()), (states.to_vec(), vec![]));
}

#[tokio::test]
async fn half_the_files_of_a_huge_pull_request_are_worse_than_none() {
    let (_sandbox, github, repo) = sandbox(|sandbox| {
        for files in [100, 101] {
            let pr = sandbox
                .open_pull("acme/api", |pr| (0..files).fold(pr, |pr, n| pr.adds(&format!("{files}/{n:03}.rs"), "x\n")));
            sandbox.merge(pr);
        }
    })
    .await;
    let page = github.bot().history(&repo, Listed::MergedAndOpen, None, 100).await.unwrap();
    let files: Vec<_> = page.pulls.iter().map(|pull| pull.files.as_ref().map(Vec::len)).collect();
    assert_eq!(files, [None, Some(100)]);
}

#[tokio::test]
async fn what_is_too_much_for_github_is_asked_for_in_smaller_pages() {
    let (sandbox, github, repo) = sandbox(|sandbox| {
        for n in 0..30 {
            sandbox.merge(sandbox.open_pull("acme/api", |pr| pr.adds(&format!("{n}.rs"), "x\n")));
        }
    })
    .await;
    sandbox.largest_page(Some(25));
    let page = github.bot().history(&repo, Listed::MergedAndOpen, None, 100).await.unwrap();
    assert_eq!((page.pulls.len(), page.next.is_some()), (25, true));
    assert_eq!(sandbox.count("POST /graphql"), 3, "100, 50, 25");

    sandbox.largest_page(Some(5));
    let error = github.bot().history(&repo, Listed::MergedAndOpen, None, 100).await.unwrap_err();
    assert!(matches!(error, GitHubError::Unavailable(_)), "{error:?}");
    assert_eq!(sandbox.count("POST /graphql"), 7, "and 10 is the end of it");
}

#[tokio::test]
async fn issues_are_read_open_ones_or_by_number() {
    let (sandbox, github, repo) = sandbox(|sandbox| {
        for title in ["one", "two", "three"] {
            sandbox.open_issue("acme/api", "sam", title);
        }
        sandbox.open_pull("acme/api", |pr| pr.adds("a.rs", "x\n"));
        sandbox.close_issue("acme/api", 2);
        sandbox.edit_issue("acme/api", 1, "one again");
    })
    .await;
    let titles = |facts: Vec<IssueFact>| -> Vec<(String, bool)> {
        facts.into_iter().map(|fact| (fact.title, fact.open)).collect()
    };
    let open = titles(github.bot().open_issues(&repo).await.unwrap());
    assert_eq!(open, [("one again".to_owned(), true), ("three".to_owned(), true)]);
    let some = titles(github.bot().issues(&repo, &[2, 99, 4, 1, 2, -1, i64::MAX]).await.unwrap());
    assert_eq!(some, [("one again".to_owned(), true), ("two".to_owned(), false)], "#4 is a pull request");

    sandbox.forget_calls();
    assert!(github.bot().issues(&repo, &[]).await.unwrap().is_empty());
    assert_eq!(sandbox.calls(), []);
    let many: Vec<i64> = (1..=150).collect();
    assert_eq!(github.bot().issues(&repo, &many).await.unwrap().len(), 3);
    assert_eq!((sandbox.count("POST /graphql"), sandbox.unknown_calls()), (2, vec![]));
}

#[tokio::test]
async fn key_files_come_with_statistics_and_say_why_a_text_is_missing() {
    let awkward = r#"a "b" $x {c}\n.toml"#;
    let long = "x".repeat(600_000);
    let (sandbox, github, repo) = sandbox(|sandbox| {
        let repo = sandbox.repo("acme/api").stars(7).file("README.md", "# Hi\n").file(awkward, "odd\n");
        repo.bytes("logo.png", b"\0\xff").file("long.txt", &long).file("src/lib.rs", "");
        sandbox.open_issue("acme/api", "sam", "one");
        sandbox.merge(sandbox.open_pull("acme/api", |pr| pr.adds("a.rs", "x\n")));
        sandbox.open_pull("acme/api", |pr| pr.adds("b.rs", "x\n"));
    })
    .await;
    let paths = ["README.md", awkward, "logo.png", "long.txt", "src", "none"].map(str::to_owned);
    let read = github.bot().key_files(&repo, "main", &paths).await.unwrap();
    let text = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    assert_eq!(read.texts, [text("README.md", "# Hi\n"), text(awkward, "odd\n")]);
    let unread = [
        ("logo.png", "not a text"),
        ("long.txt", "longer than GitHub shows"),
        ("src", "no file"),
        ("none", "not there"),
    ];
    assert_eq!(read.unread, unread.map(|(path, why)| text(path, why)));
    let counted = read.statistics.unwrap();
    assert_eq!((counted.stars, counted.open_issues, counted.open_pulls, counted.merged_pulls), (7, 1, 1, 1));

    sandbox.forget_calls();
    let many: Vec<String> = (0..130).map(|n| format!("{n}.toml")).collect();
    assert_eq!(github.bot().key_files(&repo, "HEAD", &many).await.unwrap().unread.len(), 130);
    assert_eq!(sandbox.count("POST /graphql"), 3, "60 each");
    let none = github.bot().key_files(&repo, "HEAD", &[]).await.unwrap();
    assert!(none.texts.is_empty() && none.unread.is_empty() && none.statistics.is_some());
    assert_eq!(sandbox.unknown_calls(), [""; 0]);
}

#[tokio::test]
async fn contributors_are_people_and_nobody_where_github_does_not_count() {
    let (sandbox, github, repo) = sandbox(|sandbox| {
        sandbox.repo("acme/api").contributor("sam", 3).contributor("dependabot[bot]", 9).contributor("mo", 5);
        sandbox.repo("acme/new").write("nectr-bot").empty();
        sandbox.repo("acme/linux").write("nectr-bot").too_many_contributors();
    })
    .await;
    let of = async |name: &str| github.bot().contributors(&RepoName::parse(name).unwrap()).await;
    let found = of("acme/api").await.unwrap();
    let person = |login: &str, contributions| Contributor { login: login.to_owned(), contributions };
    assert_eq!(found, [person("mo", 5), person("sam", 3)]);
    for uncounted in ["acme/new", "acme/linux"] {
        assert_eq!(of(uncounted).await.unwrap(), [], "{uncounted}");
    }
    let error = of("acme/none").await.unwrap_err();
    assert!(matches!(error, GitHubError::NotFound { .. }), "{error:?}");
    assert_eq!((repo.name.name(), sandbox.unknown_calls()), ("api", vec![]));
}

#[tokio::test]
async fn a_name_that_belongs_to_another_repository_by_now_is_not_found() {
    let (sandbox, github, repo) = sandbox(|sandbox| {
        sandbox.rename_repo("acme/api", "old");
        sandbox.repo("acme/api").write("nectr-bot");
    })
    .await;
    let old = RepoRef { id: RepoId(sandbox.repo_id("acme/old")), ..repo.clone() };
    for error in [
        github.bot().history(&old, Listed::MergedAndOpen, None, 10).await.unwrap_err(),
        github.bot().open_issues(&old).await.unwrap_err(),
        github.bot().issues(&old, &[1]).await.unwrap_err(),
        github.bot().key_files(&old, "HEAD", &[]).await.unwrap_err(),
    ] {
        assert!(matches!(&error, GitHubError::NotFound { what } if what == "acme/api"), "{error:?}");
    }
    assert!(
        github.bot().history(&repo, Listed::MergedAndOpen, None, 10).await.is_ok(),
        "the one that has the name now"
    );

    let hidden = RepoRef { id: RepoId(1), name: RepoName::parse("acme/secret").unwrap() };
    sandbox.repo("acme/secret").private();
    let error = github.bot().open_issues(&hidden).await.unwrap_err();
    assert!(matches!(error, GitHubError::NotFound { .. }), "{error:?}");
}

#[tokio::test]
async fn a_used_up_graphql_budget_leaves_rest_alone() {
    let (sandbox, github, repo) = sandbox(|_| ()).await;
    let token = sandbox.token_of("nectr-bot");
    sandbox.graphql_rate_limit(&token, 1, chrono::Utc::now() + chrono::TimeDelta::minutes(30));
    github.bot().open_issues(&repo).await.unwrap();
    for _ in 0..2 {
        let error = github.bot().open_issues(&repo).await.unwrap_err();
        let GitHubError::RateLimited { retry_after } = error else { panic!("{error:?}") };
        assert!((1_700..=1_800).contains(&retry_after.as_secs()), "{retry_after:?}");
    }
    assert_eq!(sandbox.count("POST /graphql"), 2, "what is on hold is not asked");
    github.bot().repository(&repo.name).await.unwrap();
}

/// A client whose questions are all answered like this.
async fn told(status: u16, body: Value) -> (Fake, GitHub) {
    let fake = always(status, body).await;
    let (github, _) = fake.github();
    (fake, github)
}

fn api() -> RepoRef {
    RepoRef { id: RepoId(5), name: repo() }
}

fn errors(kind: Option<&str>, message: &str) -> Value {
    json!([{"type": kind, "path": ["repository"], "locations": [{"line": 1, "column": 1}], "message": message}])
}

#[tokio::test]
async fn every_way_in_which_github_says_no_is_told_apart() {
    let null = |errors: Value| json!({"data": {"repository": null}, "errors": errors});
    let say = async |body: Value| told(200, body).await.1.bot().open_issues(&api()).await.unwrap_err();

    let error = say(null(errors(Some("NOT_FOUND"), "Could not resolve"))).await;
    assert!(matches!(&error, GitHubError::NotFound { what } if what == "acme/api"), "{error:?}");
    for kind in ["FORBIDDEN", "INSUFFICIENT_SCOPES"] {
        let error = say(null(errors(Some(kind), "Protected by SAML"))).await;
        assert!(matches!(&error, GitHubError::Forbidden { message } if message == "Protected by SAML"), "{error:?}");
    }
    let error = say(json!({"errors": errors(Some("RATE_LIMITED"), "API rate limit exceeded")})).await;
    assert!(matches!(error, GitHubError::RateLimited { .. }), "{error:?}");
    for (kind, message) in [
        (None, "Something went wrong while executing your query. This may be the result of a timeout"),
        (Some("RESOURCE_LIMITS_EXCEEDED"), "Resource limits for this query exceeded."),
        (Some("MAX_NODE_LIMIT_EXCEEDED"), "This query requests up to 1,000,000 possible nodes"),
    ] {
        let error = say(json!({"data": null, "errors": errors(kind, message)})).await;
        assert!(matches!(error, GitHubError::Unavailable(_)), "{error:?}");
    }
    let error = say(json!({"errors": [{"message": "Field 'x' doesn't exist on type 'Repository'"}]})).await;
    assert!(matches!(&error, GitHubError::Protocol(words) if words.contains("doesn't exist")), "{error:?}");
    let error = say(json!({"data": {"repository": {"databaseId": 5}}})).await;
    assert!(matches!(error, GitHubError::Protocol(_)), "{error:?}");
}

#[tokio::test]
async fn the_question_is_sent_where_graphql_is() {
    for (root, path) in
        [("/api/v3", "/api/graphql"), ("/api/v3/", "/api/graphql"), ("", "/graphql"), ("/r", "/r/graphql")]
    {
        let fake = always(200, json!({"data": {"repository": {"databaseId": 5, "issues": {"nodes": []}}}})).await;
        let (github, _) = fake.github_with(|options| options.api_url.set_path(root));
        github.bot().open_issues(&api()).await.unwrap();
        assert_eq!(fake.asked(), [format!("POST {path}")]);
        let sent = fake.seen()[0].json();
        assert_eq!(sent["variables"], json!({"owner": "acme", "name": "api"}));
        assert!(!sent["query"].as_str().unwrap().contains("acme"), "values are never written into a question");
    }
}

/// A merged pull request as GraphQL writes it.
fn node(number: i64) -> Value {
    json!({
        "number": number, "title": "Oil it", "state": "MERGED", "updatedAt": "2026-01-01T00:00:00Z", "mergedAt": "2026-01-01T00:00:00Z",
        "headRefOid": SHA, "author": null, "files": {"pageInfo": {"hasNextPage": false}, "nodes": [{"path": "a.rs"}]},
        "closingIssuesReferences": {"nodes": [null]},
    })
}

fn history(nodes: Value, errors: Value) -> Value {
    let page = json!({"hasNextPage": false, "endCursor": null});
    json!({"data": {"repository": {"databaseId": 5, "pullRequests": {"pageInfo": page, "nodes": nodes}}}, "errors": errors})
}

#[tokio::test]
async fn rows_that_github_gave_up_on_are_asked_for_again_and_left_out_only_at_the_end() {
    let limits = json!([{"type": "RESOURCE_LIMITS_EXCEEDED", "path": ["repository", "pullRequests", "nodes", 0]}]);
    let some = history(json!([null, node(8)]), limits.clone());
    let (fake, github) = told(200, some).await;
    let page = github.bot().history(&api(), Listed::MergedAndOpen, None, 100).await.unwrap();
    assert_eq!((numbers(&page), fake.seen().len()), (vec![8], 4), "100, 50, 25, 10");

    let (_fake, github) = told(200, history(json!([null, null]), limits)).await;
    let error = github.bot().history(&api(), Listed::MergedAndOpen, None, 10).await.unwrap_err();
    assert!(matches!(error, GitHubError::Unavailable(_)), "{error:?}");
}

#[tokio::test]
async fn files_that_could_not_be_read_are_not_taken_for_none() {
    let mut without = node(7);
    without["files"] = Value::Null;
    without["closingIssuesReferences"] = Value::Null;
    let trouble = json!([{"message": "Forbidden here", "path": ["repository", "pullRequests", "nodes", 0, "files"]}]);
    let (_fake, github) = told(200, history(json!([without, node(8)]), trouble)).await;
    let page = github.bot().history(&api(), Listed::MergedAndOpen, None, 100).await.unwrap();
    assert_eq!((&page.pulls[0].files, &page.pulls[0].closes), (&None, &None), "keep what is known");
    assert_eq!(page.pulls[1].closes, Some(vec![]), "an issue nobody may see");
}
