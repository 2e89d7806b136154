//! Questions in GraphQL: held to GitHub's schema, refused in GitHub's words.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};

use super::Acme;
use crate::sandbox::{Failure, http};

impl Acme {
    async fn question(&self, login: &str, query: &str, variables: Value) -> http::Response {
        let url = format!("{}/api/graphql", self.github.url());
        let ask = http::Request::post(url).header("user-agent", "tests").bearer(&self.github.token_of(login));
        ask.json(&json!({"query": query, "variables": variables})).send().await.unwrap()
    }

    async fn asked(&self, query: &str) -> Value {
        self.question("octavia", query, json!({})).await.json()
    }
}

/// The same fields of the repository.
fn about(fields: &str) -> String {
    format!(r#"{{ repository(owner: "acme", name: "shop") {{ {fields} }} }}"#)
}

#[tokio::test]
async fn what_is_asked_is_answered_in_the_order_and_under_the_names_it_was_asked() {
    let acme = Acme::new().await;
    acme.github.repo("acme/shop").stars(3).file("README.md", "# Shop\n").bytes("logo.png", b"\0");
    let answer = acme
        .asked(&about(
            r#"stargazerCount id: databaseId nameWithOwner isEmpty defaultBranchRef { name target { __typename oid } }
               readme: object(expression: "HEAD:README.md") { __typename ... on Blob { text isBinary byteSize } }
               logo: object(expression: "main:logo.png") { ... on Blob { text isBinary } }
               src: object(expression: "main:src") { __typename ... on Blob { text } }
               none: object(expression: "main:none") { __typename }
               pullRequest(number: 1) { author { __typename login } state files(first: 5) { totalCount nodes { path } } }"#,
        ))
        .await;
    let shown = &answer["data"]["repository"];
    let keys: Vec<&str> = shown.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys[..3], ["stargazerCount", "id", "nameWithOwner"]);
    assert_eq!((&shown["id"], &shown["stargazerCount"]), (&json!(acme.pr.repo), &json!(3)));
    assert_eq!(shown["defaultBranchRef"]["target"]["__typename"], "Commit");
    assert_eq!(shown["readme"], json!({"__typename": "Blob", "text": "# Shop\n", "isBinary": false, "byteSize": 7}));
    assert_eq!(shown["logo"], json!({"text": null, "isBinary": true}));
    assert_eq!((&shown["src"], &shown["none"]), (&json!({"__typename": "Tree"}), &Value::Null));
    assert_eq!(shown["pullRequest"]["author"], json!({"__typename": "User", "login": "sam"}));
    assert_eq!(shown["pullRequest"]["files"], json!({"totalCount": 1, "nodes": [{"path": "src/lib.rs"}]}));
    assert_eq!((answer.get("errors"), acme.github.unknown_calls()), (None, vec![]));
}

#[tokio::test]
async fn lists_come_in_pages_that_lead_on_by_cursor() {
    let acme = Acme::new().await;
    for title in ["one", "two", "three"] {
        acme.github.open_issue("acme/shop", "sam", title);
    }
    acme.github.close_issue("acme/shop", 3);
    acme.github.edit_issue("acme/shop", 2, "one again");
    let query = r#"query Q($after: String, $order: IssueOrder) { repository(owner: "acme", name: "shop") {
        issues(first: 1, after: $after, states: OPEN, orderBy: $order) {
            totalCount pageInfo { hasNextPage endCursor } nodes { title state } } } }"#;
    let mut titles = Vec::new();
    let mut after = Value::Null;
    loop {
        let order = json!({"field": "UPDATED_AT", "direction": "DESC"});
        let answer = acme.question("octavia", query, json!({"after": after, "order": order})).await.json();
        let page = answer["data"]["repository"]["issues"].clone();
        assert_eq!(page["totalCount"], 2);
        titles.push(page["nodes"][0]["title"].as_str().unwrap().to_owned());
        after = page["pageInfo"]["endCursor"].clone();
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
    }
    assert_eq!(titles, ["one again", "three"]);
    let answer = acme.question("octavia", query, json!({"after": "nonsense"})).await.json();
    assert_eq!(answer["errors"][0]["type"], "INVALID_CURSOR_ARGUMENTS");
}

#[tokio::test]
async fn what_may_not_be_seen_is_not_there() {
    let acme = Acme::new().await;
    acme.github.user("eve");
    let answer = acme.question("eve", &about("databaseId"), json!({})).await;
    let refusal = json!({
        "data": {"repository": null},
        "errors": [{"type": "NOT_FOUND", "path": ["repository"],
                    "message": "Could not resolve to a Repository with the name 'acme/shop'."}],
    });
    assert_eq!((answer.status, answer.json()), (200, refusal));
    let answer = acme.asked(&about("a: issue(number: 1) { title } b: pullRequest(number: 1) { title }")).await;
    assert_eq!(answer["data"]["repository"]["a"], Value::Null, "#1 is a pull request");
    assert_eq!(answer["errors"][0]["path"], json!(["repository", "a"]));
    assert_eq!(answer["data"]["repository"]["b"]["title"], "Count in words");

    let url = format!("{}/api/graphql", acme.github.url());
    let nobody = http::Request::post(&url).json(&json!({"query": about("databaseId")})).send().await.unwrap();
    assert_eq!(nobody.status, 401);
}

#[tokio::test]
async fn every_question_that_breaks_the_rules_is_refused_and_written_down() {
    let acme = Acme::new().await;
    let wrong = [
        (about("stars"), "Field 'stars' doesn't exist on type 'Repository'"),
        (about("issue { title }"), "missing required arguments: number"),
        (about("issue(nr: 1, number: 1) { title }"), "doesn't accept argument 'nr'"),
        (about("issue(number: \"1\") { title }"), "is no Int"),
        (about("issue(number: 1)"), "must have selections"),
        (about("databaseId { x }"), "Selections can't be made on scalars"),
        (about("issues(first: 1, states: GONE) { totalCount }"), "GONE is no"),
        (about("issues(first: 1, orderBy: {field: CREATED_AT}) { totalCount }"), "'direction' on InputObject"),
        (about("a: forkCount a: stargazerCount"), "conflict"),
        (about("... on Issue { title }"), "can't be spread inside"),
        (about("...F"), "was used, but not defined"),
        (about("nameWithOwner @include(if: true)"), "@include"),
        (format!("{} fragment F on Repository {{ isEmpty }}", about("isEmpty")), "not used"),
        (format!("{} fragment F on Repository {{ ...F }}", about("...F")), "infinite loop"),
        (format!("query Q($x: Int) {}", about("isEmpty")), "declared but not used"),
        (format!("query Q {}", about("issue(number: $x) { title }")), "used but not declared"),
        (format!("query Q($x: Int!) {}", about("issue(number: $x) { title }")), "invalid value"),
        (format!("query Q($x: Int) {}", about("issue(number: $x) { title }")), "Type mismatch"),
        (format!("mutation {}", about("isEmpty")), "queries"),
        ("{ repository(".to_owned(), "parse error"),
    ];
    for (query, words) in wrong {
        let answer = acme.asked(&query).await;
        let told = answer["errors"].to_string();
        assert!(told.contains(words) && answer.get("data").is_none(), "{query}\n{answer}");
        let noted = acme.github.unknown_calls().join("\n");
        assert!(noted.contains("POST /graphql") && noted.contains(words), "{query}\n{noted}");
        acme.github.forgive();
    }
    let given = acme.question("octavia", &about("isEmpty"), json!({"x": 1})).await.json();
    assert!(given["errors"].to_string().contains("given but not declared"), "{given}");
    assert_eq!(acme.github.unknown_calls().len(), 1);
}

#[tokio::test]
async fn pages_have_githubs_limits() {
    let acme = Acme::new().await;
    let ask = async |fields: &str| acme.asked(&about(fields)).await["errors"][0]["type"].clone();
    assert_eq!(ask("issues { nodes { title } }").await, "MISSING_PAGINATION_BOUNDARIES");
    assert_eq!(ask("issues { totalCount }").await, Value::Null, "nothing to turn pages of");
    assert_eq!(ask("issues(first: 101) { nodes { title } }").await, "EXCESSIVE_PAGINATION");
    let deep = "pullRequests(first: 100) { nodes { closingIssuesReferences(first: 100) { nodes {
                labels(first: 100) { nodes { name } } } } } }";
    assert_eq!(ask(deep).await, "MAX_NODE_LIMIT_EXCEEDED");
    assert_eq!(ask(&deep.replacen("first: 100", "first: 10", 1)).await, Value::Null);
}

#[tokio::test]
async fn questions_have_a_budget_of_their_own_and_the_same_bad_days() {
    let acme = Acme::new().await;
    let token = acme.github.token_of("octavia");
    acme.github.graphql_rate_limit(&token, 1, Utc::now() + TimeDelta::hours(1));
    let ask = async || acme.question("octavia", &about("isEmpty"), json!({})).await;
    let last = ask().await;
    assert_eq!(last.header("x-ratelimit-resource"), Some("graphql"));
    assert_eq!((last.header("x-ratelimit-remaining"), last.json().get("errors")), (Some("0"), None));
    let over = ask().await;
    assert_eq!((over.status, &over.json()["errors"][0]["type"]), (200, &json!("RATE_LIMITED")));
    assert_eq!(acme.get("octavia", "/user").await.status, 200);

    acme.github.fail_next("POST /graphql", Failure::RateLimited { retry_after: Duration::from_secs(9) });
    assert_eq!(ask().await.header("retry-after"), Some("9"));
    acme.github.outage(true);
    assert_eq!(ask().await.status, 502);
    assert_eq!(acme.github.count("POST /graphql"), 4);
}

#[tokio::test]
async fn the_sample_shop_has_a_past_and_its_first_pull_request_fixes_an_issue() {
    let acme = Acme::new().await;
    acme.github.delete_repo("acme/shop");
    let mut sample = crate::sandbox::sample(&acme.github);
    sample.open_pulls(&acme.github);
    let shop = acme
        .asked(&about(
            r#"pullRequests(states: MERGED) { totalCount } issues(states: OPEN) { totalCount }
               owners: object(expression: "HEAD:CODEOWNERS") { ... on Blob { text } }
               price: object(expression: "HEAD:src/price.rs") { ... on Blob { text } }
               open: pullRequests(states: OPEN, first: 3) { nodes { title
                   closingIssuesReferences(first: 2) { nodes { title state } } } }"#,
        ))
        .await["data"]["repository"]
        .take();
    assert_eq!((&shop["pullRequests"]["totalCount"], &shop["issues"]["totalCount"]), (&json!(15), &json!(2)));
    assert!(shop["owners"]["text"].as_str().unwrap().contains("@octavia"));
    assert_eq!(
        shop["price"]["text"],
        include_str!("../../../fixtures/demo/price.rs"),
        "what the demo's changes start from"
    );
    let fixed = &shop["open"]["nodes"][0]["closingIssuesReferences"]["nodes"];
    assert_eq!(*fixed, json!([{"title": "Half a cent is lost on every apple", "state": "OPEN"}]));
    assert_eq!(acme.github.unknown_calls(), [""; 0]);
}
