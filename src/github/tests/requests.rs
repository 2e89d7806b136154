//! What one request does on the wire, whatever it is for.

use super::*;
use crate::github::{client::DEADLINE, fake::Seen};

/// Sent by GitHub for an account.
fn account() -> Value {
    json!({"id": 1, "login": "nectr-bot", "name": null, "email": null, "avatar_url": "https://a.example/1"})
}

#[tokio::test]
async fn every_request_says_once_who_asks_in_which_name_and_for_which_version() {
    let fake = always(200, repo_json(5)).await;
    fake.github().0.bot().repository(&repo()).await.unwrap();

    let seen = &fake.seen()[0];
    assert_eq!(seen.header("user-agent"), Some(concat!("nectr/", env!("CARGO_PKG_VERSION"))));
    assert_eq!(seen.header("accept"), Some("application/vnd.github+json"));
    assert_eq!(seen.header("x-github-api-version"), Some("2022-11-28"));
    assert_eq!(seen.header("authorization"), Some("Bearer bot-token"));
    assert_eq!(seen.header("content-type"), None);
    assert_eq!(seen.header("if-none-match"), None);
}

#[tokio::test]
async fn an_enterprise_servers_path_prefix_is_kept_even_if_a_route_starts_alike() {
    for prefix in ["/api/v3", "/api/v3/", "/r"] {
        let fake = always(200, repo_json(5)).await;
        let (github, _) = fake.github_with(|options| options.api_url.set_path(prefix));
        github.bot().repository(&repo()).await.unwrap();
        assert_eq!(fake.asked(), [format!("GET {}/repos/acme/api", prefix.trim_end_matches('/'))]);
    }
}

#[tokio::test]
async fn a_post_that_meets_a_502_or_a_cut_connection_is_sent_once() {
    for cut in [false, true] {
        let reply =
            move |_: &Seen| if cut { Reply::Cut } else { Reply::status(502, json!({"message": "Server Error"})) };
        let fake = Fake::start(reply).await;
        let (github, _) = fake.github();
        let error = github.bot().comment(&repo(), NUMBER, "hello").await.unwrap_err();
        assert!(matches!(error, GitHubError::Unavailable(_)), "{error:?}");
        assert_eq!(fake.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_post_that_meets_a_cut_on_a_connection_already_in_use_is_sent_once() {
    let fake = Fake::start(|seen| match seen.method.as_str() {
        "GET" => Reply::json(repo_json(5)),
        _ => Reply::Cut,
    })
    .await;
    let (github, _) = fake.github();
    github.bot().repository(&repo()).await.unwrap();
    let error = github.bot().comment(&repo(), NUMBER, "hello").await.unwrap_err();
    assert!(matches!(error, GitHubError::Unavailable(_)), "{error:?}");
    assert_eq!(fake.asked(), ["GET /repos/acme/api", "POST /repos/acme/api/issues/7/comments"]);
}

#[tokio::test]
async fn statuses_are_sorted_by_what_to_do_next() {
    let error = async |status, body| {
        let (github, _) = always(status, body).await.github();
        github.bot().repository(&repo()).await.unwrap_err()
    };
    let said = json!({"message": "No.", "errors": [{"message": "Really."}]});

    for status in [404, 410] {
        assert_eq!(error(status, said.clone()).await.to_string(), "acme/api not found on GitHub");
    }
    assert!(matches!(error(401, said.clone()).await, GitHubError::Unauthorized));
    assert!(matches!(error(403, said.clone()).await, GitHubError::Forbidden { message } if message == "No.; Really."));
    for status in [400, 406, 409, 422, 451] {
        let error = error(status, said.clone()).await;
        assert!(
            matches!(&error, GitHubError::Rejected { status: told, message } if *told == status && message == "No.; Really."),
            "{error:?}"
        );
    }
    for status in [408, 500, 502, 503, 504] {
        assert!(matches!(error(status, said.clone()).await, GitHubError::Unavailable(_)), "{status}");
    }
    assert!(matches!(error(200, json!("no repository")).await, GitHubError::Protocol(_)));
    assert!(matches!(error(304, json!(null)).await, GitHubError::Protocol(_)), "a 304 to the first question");
}

#[tokio::test]
async fn nobody_listening_is_unavailable() {
    let fake = always(200, json!({})).await;
    let (github, _) = fake.github_with(|options| {
        // Bound and dropped: a port that refuses.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        options.api_url.set_port(Some(port)).unwrap();
    });
    assert!(matches!(github.bot().account().await, Err(GitHubError::Unavailable(_))));
}

#[tokio::test]
async fn a_server_that_fails_the_tls_handshake_is_unavailable_and_sees_no_token() {
    let fake = always(200, json!({})).await;
    let (github, _) = fake.github_with(|options| options.api_url.set_scheme("https").unwrap());
    let error = github.bot().account().await.unwrap_err();
    assert!(matches!(error, GitHubError::Unavailable(_)), "{error:?}");
    assert_eq!(fake.asked(), [""; 0]);
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_at_the_deadline() {
    let fake = Fake::start(|_| Reply::Hang).await;
    let (github, _) = fake.github();
    let call = tokio::spawn(async move { github.bot().repository(&repo()).await });
    fake.arrival().await;

    tokio::time::pause();
    tokio::time::advance(DEADLINE).await;
    assert!(matches!(call.await.unwrap(), Err(GitHubError::Unavailable(_))));
}

#[tokio::test]
async fn an_endless_answer_is_read_only_as_far_as_allowed() {
    let fake = Fake::start(|_| Reply::Endless).await;
    let (github, _) = fake.github();
    let error = github.bot().diff(&repo(), NUMBER, 1_000_000).await.unwrap_err();
    assert!(matches!(error, GitHubError::Protocol(_)), "{error:?}");
    let error = github.bot().repository(&repo()).await.unwrap_err();
    assert!(matches!(error, GitHubError::Protocol(_)), "{error:?}");
}

#[tokio::test]
async fn a_token_told_to_wait_makes_no_request_until_then_and_others_go_on() {
    let fake = Fake::start(|seen| match seen.header("authorization") {
        Some("Bearer busy") => Reply::status(429, json!({"message": "Slow down"})).with("retry-after", "30"),
        _ => Reply::json(account()),
    })
    .await;
    let (github, clock) = fake.github();
    let (busy, calm) = (SecretString::from("busy"), SecretString::from("calm"));
    let limited = async || match github.user(&busy).account().await {
        Err(GitHubError::RateLimited { retry_after }) => retry_after,
        other => panic!("{other:?}"),
    };

    assert_eq!(limited().await, Duration::from_secs(30));
    clock.advance(Duration::from_secs(10));
    assert_eq!(limited().await, Duration::from_secs(20));
    assert_eq!(fake.seen().len(), 1, "the second call was not sent");

    github.user(&calm).account().await.unwrap();
    assert_eq!(fake.seen().len(), 2);

    clock.advance(Duration::from_secs(20));
    limited().await;
    assert_eq!(fake.seen().len(), 3, "the wait is over");
}

#[tokio::test]
async fn a_secondary_limit_without_a_time_is_a_minute_then_longer_and_a_success_resets_it() {
    let replies = std::sync::Mutex::new(vec![200, 403, 200, 403, 403]);
    let fake = Fake::start(move |_| match replies.lock().unwrap().pop() {
        Some(403) => Reply::status(403, json!({"message": "You have exceeded a secondary rate limit."})),
        _ => Reply::json(account()),
    })
    .await;
    let (github, clock) = fake.github();
    let token = SecretString::from("t");
    let mut waits = Vec::new();
    for _ in 0..5 {
        match github.user(&token).account().await {
            Err(GitHubError::RateLimited { retry_after }) => {
                waits.push(retry_after.as_secs());
                clock.advance(retry_after);
            }
            other => drop(other.unwrap()),
        }
    }
    assert_eq!(waits, [60, 120, 60]);
    assert_eq!(fake.seen().len(), 5);
}

#[tokio::test]
async fn an_exhausted_quota_waits_for_its_reset() {
    let fake = Fake::start(|_| {
        Reply::status(403, json!({"message": "API rate limit exceeded for user ID 1."}))
            .with("x-ratelimit-remaining", "0")
            .with("x-ratelimit-reset", "1767226200")
    })
    .await;
    let (github, _) = fake.github();
    let error = github.bot().account().await.unwrap_err();
    // The clock stands at 1767225600.
    assert!(matches!(error, GitHubError::RateLimited { retry_after } if retry_after == Duration::from_secs(600)));
}

#[tokio::test]
async fn what_did_not_change_is_served_from_memory_to_the_same_token_only() {
    let fake = Fake::start(|seen| match (seen.header("authorization"), seen.header("if-none-match")) {
        (Some("Bearer bot-token"), Some(r#"W/"one""#)) => Reply::empty(304),
        (Some("Bearer bot-token"), None) => Reply::json(repo_json(5)).with("etag", r#"W/"one""#),
        (_, None) => Reply::status(404, json!({"message": "Not Found"})),
        (who, etag) => panic!("{who:?} sent {etag:?}"),
    })
    .await;
    let (github, _) = fake.github();
    let stranger = SecretString::from("stranger");

    let first = github.bot().repository(&repo()).await.unwrap();
    assert_eq!(github.bot().repository(&repo()).await.unwrap(), first);
    assert_eq!(fake.seen()[1].header("if-none-match"), Some(r#"W/"one""#));
    assert!(matches!(github.user(&stranger).repository(&repo()).await, Err(GitHubError::NotFound { .. })));
    assert_eq!(fake.seen().len(), 3, "every use was confirmed by GitHub");
}

#[tokio::test]
async fn what_changed_replaces_what_was_remembered() {
    let version = std::sync::atomic::AtomicI64::new(1);
    let fake = Fake::start(move |_| {
        let id = version.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Reply::json(repo_json(id)).with("etag", format!("\"{id}\""))
    })
    .await;
    let (github, _) = fake.github();
    for expected in 1..=3 {
        assert_eq!(github.bot().repository(&repo()).await.unwrap().repo.id.0, expected);
    }
    let sent: Vec<_> = fake.seen().iter().map(|seen| seen.header("if-none-match").map(str::to_owned)).collect();
    assert_eq!(sent, [None, Some("\"1\"".to_owned()), Some("\"2\"".to_owned())]);
}

#[tokio::test]
async fn p46_a_renamed_repository_is_found_with_the_token_on_every_step() {
    for status in [301, 302, 307, 308] {
        let fake = Fake::start(move |seen| match seen.path.as_str() {
            "/repos/acme/api" => Reply::status(status, json!({"message": "Moved"})).with("location", "/repositories/5"),
            _ => Reply::json(repo_json(5)),
        })
        .await;
        let (github, _) = fake.github();
        assert_eq!(github.bot().repository(&repo()).await.unwrap().repo.id.0, 5);
        assert_eq!(fake.asked(), ["GET /repos/acme/api", "GET /repositories/5"]);
        assert_eq!(fake.seen()[1].header("authorization"), Some("Bearer bot-token"));
    }
}

#[tokio::test]
async fn a_write_follows_only_redirects_that_keep_it_a_write() {
    let at = |status: u16| {
        Fake::start(move |seen| match seen.path.as_str() {
            "/repositories/5/comments" => Reply::status(201, json!({"id": 9})),
            _ => Reply::status(status, json!({"message": "Moved"})).with("location", "/repositories/5/comments"),
        })
    };
    for status in [307, 308] {
        let fake = at(status).await;
        let (github, _) = fake.github();
        assert_eq!(github.bot().comment(&repo(), NUMBER, "hi").await.unwrap(), 9);
        let seen = &fake.seen()[1];
        assert_eq!((seen.method.as_str(), seen.json()), ("POST", json!({"body": "hi"})));
    }
    for status in [301, 302] {
        let fake = at(status).await;
        let (github, _) = fake.github();
        let error = github.bot().comment(&repo(), NUMBER, "hi").await.unwrap_err();
        assert!(matches!(error, GitHubError::Rejected { .. }), "{error:?}");
        assert_eq!(fake.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_redirect_to_another_host_is_not_followed_and_nothing_reaches_it() {
    let thief = always(200, repo_json(5)).await;
    let elsewhere = thief.url.join("/repos/acme/api").unwrap().to_string();
    let fake = Fake::start(move |_| Reply::empty(301).with("location", elsewhere.clone())).await;
    let (github, _) = fake.github();
    assert!(matches!(github.bot().repository(&repo()).await, Err(GitHubError::Protocol(_))));
    assert_eq!(thief.asked(), [""; 0]);
}

#[tokio::test]
async fn redirects_in_a_circle_end() {
    let fake = Fake::start(|seen| Reply::empty(302).with("location", seen.path.clone())).await;
    let (github, _) = fake.github();
    assert!(matches!(github.bot().repository(&repo()).await, Err(GitHubError::Protocol(_))));
    assert_eq!(fake.seen().len(), 4);
}

#[tokio::test]
async fn a_token_that_cannot_be_a_header_is_refused_without_a_request() {
    let fake = always(200, account()).await;
    let (github, _) = fake.github();
    let token = SecretString::from("two\nlines");
    assert!(matches!(github.user(&token).account().await, Err(GitHubError::Unauthorized)));
    assert_eq!(fake.asked(), [""; 0]);
}

#[tokio::test]
async fn no_error_contains_the_token() {
    for reply in [401, 403, 404, 422, 500, 999] {
        let fake = Fake::start(move |_| if reply == 999 { Reply::Cut } else { Reply::empty(reply) }).await;
        let error = fake.github().0.bot().account().await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains(BOT));
    }
}
