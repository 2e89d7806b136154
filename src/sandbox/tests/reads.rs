//! Lists, names, diffs, conditional requests.

use super::Acme;

#[tokio::test]
async fn lists_come_in_pages_that_link_to_each_other() {
    let acme = Acme::new().await;
    let pr = acme.github.open_pull("acme/shop", |pr| (0..5).fold(pr, |pr, n| pr.adds(&format!("{n}.rs"), "x\n")));
    let first = acme.get("octavia", &format!("/repos/acme/shop/pulls/{}/files?per_page=2", pr.number)).await;
    let base = format!("{}/repositories/{}/pulls/{}/files", acme.github.api_url(), pr.repo, pr.number);
    let link = format!("<{base}?per_page=2&page=2>; rel=\"next\", <{base}?per_page=2&page=3>; rel=\"last\"");
    assert_eq!(first.header("link"), Some(link.as_str()));

    let next = format!("/repositories/{}/pulls/{}/files?per_page=2&page=3", pr.repo, pr.number);
    let last = acme.get("octavia", &next).await;
    assert_eq!(last.json().as_array().unwrap().len(), 1);
    assert!(!last.header("link").unwrap().contains("rel=\"next\""));
    assert!(acme.github.unknown_calls().is_empty());

    acme.get("octavia", "/user/repos?per_page=500").await;
    assert!(acme.github.unknown_calls()[0].contains("per_page=500 is over 100"));
}

#[tokio::test]
async fn an_old_name_leads_to_the_repository_until_somebody_takes_it() {
    let acme = Acme::new().await;
    acme.github.rename_repo("acme/shop", "store");
    let id = acme.pr.repo;
    let moved = acme.get("octavia", "/repos/acme/shop/pulls/1?x=1").await;
    assert_eq!(moved.status, 301);
    let target = format!("{}/repositories/{id}/pulls/1?x=1", acme.github.api_url());
    assert_eq!(moved.header("location"), Some(target.as_str()));
    assert_eq!(acme.get("octavia", &format!("/repositories/{id}")).await.json()["full_name"], "acme/store");
    assert_eq!(acme.get("octavia", "/repos/ACME/Store").await.status, 200, "names know no case");
    let file = acme.get("octavia", "/repos/acme/shop/contents/a%20b.rs").await;
    assert!(file.header("location").unwrap().ends_with("/contents/a%20b.rs"), "still escaped");
    let post = acme.post("octavia", "/repos/acme/shop/issues/1/comments", serde_json::json!({"body": "x"})).await;
    assert_eq!(post.status, 307, "a POST stays a POST");

    acme.github.transfer_repo("acme/store", "globex");
    assert_eq!(acme.get("octavia", "/repos/acme/store").await.status, 301);
    acme.github.repo("acme/shop").admin("octavia");
    assert_ne!(acme.get("octavia", "/repos/acme/shop").await.json()["id"], id);

    acme.github.delete_repo("globex/store");
    assert_eq!(acme.get("octavia", &format!("/repositories/{id}")).await.status, 404);
}

#[tokio::test]
async fn what_did_not_change_costs_nothing_to_ask_again() {
    let acme = Acme::new().await;
    let first = acme.get("octavia", &acme.pull("")).await;
    let etag = first.header("etag").unwrap().to_owned();
    let ask = || acme.ask("octavia", "GET", &acme.pull("")).header("if-none-match", &etag);
    let token = acme.github.token_of("octavia");
    acme.github.rate_limit(&token, 1, chrono::Utc::now() + chrono::TimeDelta::hours(1));
    let same = ask().send().await.unwrap();
    assert_eq!((same.status, same.body.len(), same.header("x-ratelimit-remaining")), (304, 0, Some("1")));
    acme.github.edit_title(acme.pr, "Count aloud");
    assert_eq!(ask().send().await.unwrap().json()["title"], "Count aloud");
    let over = ask().send().await.unwrap();
    assert_eq!((over.status, over.header("x-ratelimit-remaining")), (403, Some("0")));
    assert!(over.text().contains("API rate limit exceeded"));
}

#[tokio::test]
async fn the_diff_is_given_up_to_githubs_limits() {
    let acme = Acme::new().await;
    let get = async |number: i64| {
        let path = format!("{}/repos/acme/shop/pulls/{number}", acme.github.api_url());
        let ask = crate::sandbox::http::Request::get(path).header("user-agent", "tests");
        let ask = ask.header("accept", "application/vnd.github.v3.diff").header("x-github-api-version", "2022-11-28");
        ask.bearer(&acme.github.token_of("octavia")).send().await.unwrap()
    };
    let small = get(acme.pr.number).await;
    assert!(small.text().starts_with("diff --git a/src/lib.rs b/src/lib.rs\n"), "{}", small.text());
    let many = acme.github.open_pull("acme/shop", |pr| (0..301).fold(pr, |pr, n| pr.adds(&format!("{n}.rs"), "x\n")));
    assert_eq!(get(many.number).await.status, 406);
    let long = "x\n".repeat(20_001);
    let long = acme.github.open_pull("acme/shop", |pr| pr.adds("long.rs", &long));
    let answer = get(long.number).await;
    assert_eq!((answer.status, &answer.json()["errors"][0]["code"]), (406, &"too_large".into()));
    let row = &acme.get("octavia", &format!("/repos/acme/shop/pulls/{}/files", long.number)).await.json()[0];
    assert_eq!((row["additions"].as_i64(), row.get("patch")), (Some(20_001), None));
}

#[tokio::test]
async fn rows_without_a_patch_say_why_only_by_their_counts() {
    let acme = Acme::new().await;
    let pr = acme.github.open_pull("acme/shop", |pr| {
        pr.renames("a.rs", "b.rs")
            .binary("logo.png")
            .too_large("big.json")
            .adds("n.rs", "1\n2\n")
            .removes("old.rs", "x")
    });
    let path = format!("/repos/acme/shop/pulls/{}/files", pr.number);
    let rows = acme.get("octavia", &path).await.json();
    let row = |name: &str| rows.as_array().unwrap().iter().find(|row| row["filename"] == name).unwrap().clone();
    assert_eq!((&row("b.rs")["status"], &row("b.rs")["previous_filename"]), (&"renamed".into(), &"a.rs".into()));
    assert_eq!((&row("logo.png")["changes"], row("logo.png").get("patch")), (&0.into(), None));
    assert!(row("big.json")["changes"].as_i64() > Some(0) && row("big.json").get("patch").is_none());
    assert_eq!(row("old.rs")["status"], "removed");

    acme.github.truncate_rows_after(Some(1));
    let hollow = acme.get("octavia", &path).await.json();
    assert_eq!((&hollow[4]["changes"], hollow[4].get("patch")), (&0.into(), None), "old.rs comes after n.rs");
    let alone = acme.get("octavia", &format!("{path}?per_page=1&page=5")).await.json();
    assert!(alone[0].get("patch").is_some(), "a smaller page has it");
}

#[tokio::test]
async fn files_are_read_at_any_commit() {
    let acme = Acme::new().await;
    let head = acme.github.head_of(acme.pr);
    let raw = async |reference: &str| {
        let path = format!("/repos/acme/shop/contents/src/lib.rs?ref={reference}");
        acme.get("octavia", &path).await.json()["content"].as_str().unwrap_or_default().replace('\n', "")
    };
    use base64::{Engine, engine::general_purpose::STANDARD};
    let text = async |reference: &str| String::from_utf8(STANDARD.decode(raw(reference).await).unwrap()).unwrap();
    assert!(text("main").await.contains("line 3\n"));
    assert!(text(&head).await.contains("line three\n"));
    assert!(text(&format!("refs/pull/{}/head", acme.pr.number)).await.contains("line three\n"));
    assert_eq!(acme.get("octavia", "/repos/acme/shop/contents/none.rs").await.status, 404);
    assert_eq!(acme.get("octavia", "/repos/acme/shop/contents/src").await.json()[0]["name"], "lib.rs");
}

#[tokio::test]
async fn a_lagging_api_shows_the_old_head_and_knows_both() {
    let acme = Acme::new().await;
    let old = acme.github.head_of(acme.pr);
    acme.github.lag(acme.pr);
    let new = acme.github.push(acme.pr, |files| files.adds("b.rs", "b\n"));
    let shown = async || acme.get("octavia", &acme.pull("")).await.json();
    assert_eq!(shown().await["head"]["sha"], old.as_str());
    acme.github.catch_up(acme.pr);
    let now = shown().await;
    assert_eq!((&now["head"]["sha"], &now["changed_files"]), (&new.into(), &2.into()));
}

#[tokio::test]
async fn bad_manners_are_refused_or_written_down() {
    let acme = Acme::new().await;
    let url = format!("{}/user", acme.github.api_url());
    let bare = crate::sandbox::http::Request::get(&url).send().await.unwrap();
    assert_eq!(bare.status, 403);
    let wrong = crate::sandbox::http::Request::get(&url).header("user-agent", "x").bearer("nonsense");
    let wrong = wrong.send().await.unwrap();
    assert_eq!((wrong.status, &wrong.json()["message"]), (401, &"Bad credentials".into()));
    acme.github.forgive();

    let twice = acme.ask("octavia", "GET", "/user?page=1").header("accept", "application/vnd.github+json");
    twice.send().await.unwrap();
    acme.get("octavia", "/repos/acme/shop/stargazers").await;
    let noted = acme.github.unknown_calls().join("\n");
    for words in ["accept sent more than once", "page is not documented", "stargazers: no such route"] {
        assert!(noted.contains(words), "{noted}");
    }

    let token = acme.github.token_of("octavia");
    acme.github.revoke(&token);
    let ask = crate::sandbox::http::Request::get(&url).header("user-agent", "x").bearer(&token);
    assert_eq!(ask.send().await.unwrap().status, 401);
}

#[tokio::test]
async fn members_are_known_to_members_and_others_get_the_public_list() {
    let acme = Acme::new().await;
    acme.github.org("acme").member("octavia").public_member("sam");
    acme.github.user("eve");
    assert_eq!(acme.get("octavia", "/orgs/acme/members/octavia").await.status, 204);
    assert_eq!(acme.get("octavia", "/orgs/acme/members/eve").await.status, 404);
    assert_eq!(acme.get("eve", "/orgs/acme/members/octavia").await.status, 302);
    assert_eq!(acme.get("eve", "/orgs/acme/public_members/octavia").await.status, 404);
    assert_eq!(acme.get("eve", "/orgs/acme/public_members/sam").await.status, 204);
    let repos = acme.get("octavia", "/user/repos?affiliation=organization_member&sort=updated").await.json();
    assert_eq!(repos[0]["permissions"]["admin"], true);
}
