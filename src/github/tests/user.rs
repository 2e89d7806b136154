//! What is asked on behalf of somebody who signed in.

use super::*;
use crate::{domain::HookId, github::Hook};

fn token() -> SecretString {
    SecretString::from("users-own")
}

#[tokio::test]
async fn repositories_come_from_every_page_each_once_with_the_users_own_token() {
    let fake = Fake::start(|seen| {
        let rows: Vec<Value> = match seen.path.chars().last() {
            Some('1') => (1..=100).map(repo_json).collect(),
            // Number 100 moved over while the first page was read.
            _ => (100..=102).map(repo_json).collect(),
        };
        Reply::json(rows.into())
    })
    .await;
    let (github, _) = fake.github();
    let repositories = github.user(&token()).repositories().await.unwrap();
    let ids: Vec<i64> = repositories.iter().map(|repository| repository.repo.id.0).collect();
    assert_eq!(ids, (1..=102).collect::<Vec<_>>());
    assert_eq!((repositories[0].admin, repositories[0].push, repositories[0].private), (false, true, true));
    let query = "affiliation=owner,collaborator,organization_member&sort=updated&per_page=100";
    assert_eq!(fake.asked(), [1, 2].map(|page| format!("GET /user/repos?{query}&page={page}")));
    assert!(fake.seen().iter().all(|seen| seen.header("authorization") == Some("Bearer users-own")));
}

#[tokio::test]
async fn a_listing_without_end_is_an_error_not_a_loop() {
    let fake = Fake::start(|_| Reply::json(json!([])).with("link", r#"<http://x>; rel="next""#)).await;
    let (github, _) = fake.github();
    assert!(matches!(github.user(&token()).hooks(&repo()).await, Err(GitHubError::Protocol(_))));
    assert_eq!(fake.seen().len(), 300);
}

#[tokio::test]
async fn permissions_that_github_leaves_out_are_not_had() {
    let mut bare = repo_json(5);
    bare.as_object_mut().unwrap().remove("permissions");
    let (github, _) = always(200, bare).await.github();
    let repository = github.user(&token()).repository(&repo()).await.unwrap();
    assert!(!repository.admin && !repository.push);
}

#[tokio::test]
async fn membership_is_asked_privately_then_publicly() {
    // (private answer, public answer) -> member?
    let cases = [(204, 500, true), (302, 204, true), (404, 204, true), (302, 404, false), (404, 404, false)];
    for (private, public, member) in cases {
        let fake = Fake::start(move |seen| match seen.path.as_str() {
            "/orgs/acme/members/zoe" => Reply::empty(private).with("location", "/orgs/acme/public_members/zoe"),
            "/orgs/acme/public_members/zoe" => Reply::empty(public),
            other => panic!("{other}"),
        })
        .await;
        let (github, _) = fake.github();
        assert_eq!(github.user(&token()).is_member("acme", "zoe").await.unwrap(), member, "{private} {public}");
        assert_eq!(fake.seen().len(), if private == 204 { 1 } else { 2 });
    }
    let (github, _) = always(502, json!({})).await.github();
    assert!(github.user(&token()).is_member("acme", "zoe").await.is_err(), "an outage is not a no");
}

/// Sent by GitHub for a webhook.
fn hook_answer(id: i64) -> Value {
    json!({"id": id, "active": true, "events": [], "config": {"url": "https://nectr.example/h", "secret": "********"}})
}

#[tokio::test]
async fn a_webhook_is_created_found_changed_and_removed() {
    let fake = Fake::start(|seen| match seen.method.as_str() {
        "GET" => Reply::json(json!([hook_answer(3), {"id": 4, "active": false, "config": {}}])),
        "DELETE" => Reply::empty(204),
        _ => Reply::json(hook_answer(3)),
    })
    .await;
    let (github, _) = fake.github();
    let (token, secret) = (token(), SecretString::from("s3cret"));
    let user = github.user(&token);
    let ours = Hook { id: HookId(3), url: "https://nectr.example/h".to_owned(), active: true };

    assert_eq!(user.create_hook(&repo(), &ours.url, &secret).await.unwrap(), ours);
    let foreign = Hook { id: HookId(4), url: String::new(), active: false };
    assert_eq!(user.hooks(&repo()).await.unwrap(), [ours.clone(), foreign]);
    assert_eq!(user.update_hook(&repo(), HookId(3), &ours.url, &secret).await.unwrap(), ours);
    user.delete_hook(&repo(), HookId(3)).await.unwrap();

    assert_eq!(
        fake.asked(),
        [
            "POST /repos/acme/api/hooks",
            "GET /repos/acme/api/hooks?per_page=100&page=1",
            "PATCH /repos/acme/api/hooks/3",
            "DELETE /repos/acme/api/hooks/3",
        ]
    );
    let config = json!({"url": ours.url, "content_type": "json", "secret": "s3cret", "insecure_ssl": "0"});
    let mut expected = json!({"active": true, "events": ["pull_request", "issues"], "config": config});
    assert_eq!(fake.seen()[2].json(), expected);
    expected["name"] = "web".into();
    assert_eq!(fake.seen()[0].json(), expected);
}

#[tokio::test]
async fn removing_a_webhook_that_is_gone_is_done_and_a_refusal_is_not() {
    let delete = async |status| {
        let (github, _) = always(status, json!({})).await.github();
        github.user(&token()).delete_hook(&repo(), HookId(3)).await
    };
    delete(404).await.unwrap();
    assert!(matches!(delete(403).await, Err(GitHubError::Forbidden { .. })));
}
