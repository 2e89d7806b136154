//! Who may see and change what, and how everybody else is told no.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use http::Method;
use nectr::sandbox::{
    Failure, Pr,
    http::{Request, Response},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Person, SHOP, T, hours, minutes, nectr, nectr_with};

/// What a browser adds to a request a page makes to its own server.
pub const SAME_ORIGIN: (&str, &str) = ("Sec-Fetch-Site", "same-origin");

/// The session outlives every wait of these stories.
const LONG_SESSION: (&str, &str) = ("ACCESS_TOKEN_EXPIRE_MINUTES", "100000");

/// Everything below a repository's name that needs it to be connected.
const IN_A_REPOSITORY: [(Method, &str); 9] = [
    (Method::GET, ""),
    (Method::GET, "/files"),
    (Method::GET, "/graph"),
    (Method::GET, "/profile"),
    (Method::POST, "/rescan"),
    (Method::POST, "/repair"),
    (Method::POST, "/rotate-secret"),
    (Method::GET, "/pulls/1/state"),
    (Method::POST, "/pulls/1/review"),
];

/// Asserts a refusal: status, the one sentence, JSON and nothing else, and an id to ask about.
#[track_caller]
pub fn expect_problem(answer: &Response, status: u16, detail: &str) {
    expect_refusal(answer, status);
    assert_eq!(answer.json(), json!({"detail": detail}));
}

/// Asserts the shape every refusal has; returns its sentence.
#[track_caller]
pub fn expect_refusal(answer: &Response, status: u16) -> String {
    let shown = answer.text();
    assert_eq!(answer.status, status, "{shown}");
    assert!(answer.header("content-type").is_some_and(|media| media.starts_with("application/json")), "{answer:?}");
    assert!(answer.header("x-request-id").is_some_and(|id| !id.is_empty()), "{answer:?}");
    let body = answer.json();
    let fields = body.as_object().unwrap_or_else(|| panic!("not an object: {shown}"));
    assert_eq!(fields.keys().collect::<Vec<_>>(), ["detail"], "{shown}");
    let detail = fields["detail"].as_str().unwrap_or_default().to_owned();
    assert!(!detail.trim().is_empty(), "{shown}");
    detail
}

/// A time as the API writes it: RFC 3339, in UTC.
#[track_caller]
pub fn instant(value: &Value) -> DateTime<Utc> {
    let text = value.as_str().unwrap_or_else(|| panic!("no time: {value}"));
    let time = DateTime::parse_from_rfc3339(text).unwrap();
    assert_eq!(time.offset().local_minus_utc(), 0, "{text} is not in UTC");
    time.to_utc()
}

/// A path sent exactly as it is written; other clients tidy dots away.
async fn send_raw(t: &T, who: &Person, method: &Method, path: &str) -> Response {
    let address = t.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        who.token
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let text = String::from_utf8(answer).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        Some((name.parse::<http::HeaderName>().unwrap(), value.trim().parse::<http::HeaderValue>().unwrap()))
    });
    Response { status, headers: headers.collect(), body: body.to_owned().into() }
}

/// A reviewed pull request of a repository `octavia` connected.
async fn reviewed(t: &T) -> (Person, Pr) {
    let octavia = t.connected().await;
    let pr = t.open_pull(|pr| pr.title("Add a line").adds("a.txt", "one\n"));
    t.settle().await;
    t.take_review(pr);
    (octavia, pr)
}

/// The id of the newest item of a list.
async fn newest(who: &Person, list: &str) -> i64 {
    who.see(list).await["items"][0]["id"].as_i64().unwrap()
}

async fn items(who: &Person, list: &str) -> usize {
    who.see(list).await["items"].as_array().unwrap().len()
}

#[tokio::test]
async fn unknown_paths_and_wrong_methods_are_refused_in_the_same_shape_as_everything_else() {
    nectr(async |t| {
        let octavia = t.sign_in("octavia").await;
        for path in [
            "/nowhere",
            "/auth",
            "/auth/nowhere",
            "/auth/me/more",
            "/api",
            "/api/v1/nowhere",
            "/api/v2/repos",
            "/api/v1/repos/acme",
            "/api/v1/repos/acme/shop/nowhere",
            "/api/v1/repos/acme/shop/pulls",
            "/%F0%9F%A6%80",
        ] {
            for method in [Method::GET, Method::POST, Method::DELETE] {
                let answer = octavia.request(method.clone(), path).send().await.unwrap();
                let detail = expect_refusal(&answer, 404);
                assert_ne!(detail, "Repo not connected", "{method} {path}");
            }
        }
        for (method, path, allowed) in [
            (Method::POST, "/auth/me", &["GET"][..]),
            (Method::GET, "/auth/token", &["POST"]),
            (Method::GET, "/auth/logout", &["POST"]),
            (Method::POST, "/auth/github", &["GET"]),
            (Method::POST, "/api/v1/repos", &["GET"]),
            (Method::PUT, "/api/v1/repos/acme/shop/install", &["DELETE", "POST"]),
            (Method::PATCH, "/api/v1/repos/acme/shop", &["GET"]),
            (Method::GET, "/api/v1/repos/acme/shop/rescan", &["POST"]),
            (Method::DELETE, "/api/v1/reviews", &["GET"]),
            (Method::DELETE, "/health", &["GET"]),
        ] {
            let answer = octavia.request(method.clone(), path).send().await.unwrap();
            expect_refusal(&answer, 405);
            let allow: BTreeSet<_> = answer.header("allow").unwrap_or_default().split(',').map(str::trim).collect();
            let missing: Vec<_> = allowed.iter().filter(|method| !allow.contains(**method)).collect();
            assert!(missing.is_empty(), "{method} {path} allows {allow:?}, not {missing:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn every_answer_carries_a_request_id_the_callers_own_if_it_is_one() {
    nectr(async |t| {
        let ask = async |path: &str, id: Option<&str>| {
            let request = Request::get(format!("{}{path}", t.url));
            let request = id.into_iter().fold(request, |request, id| request.header("X-Request-Id", id));
            request.send().await.unwrap().header("x-request-id").unwrap().to_owned()
        };
        let longest = "x".repeat(128);
        for path in ["/health", "/nowhere", "/auth/me", "/auth/github", "/openapi.json"] {
            for id in ["a", "order-66.B_2", &longest] {
                assert_eq!(ask(path, Some(id)).await, id, "{path}");
            }
            let too_long = "x".repeat(129);
            for id in [None, Some(""), Some("two words"), Some("a/b"), Some("semi;colon"), Some("<b>"), Some(&too_long)]
            {
                let made = ask(path, id).await;
                assert_ne!(Some(made.as_str()), id, "{path}");
                let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
                assert!((1..=128).contains(&made.len()) && made.bytes().all(fits), "{made}");
            }
            assert_ne!(ask(path, None).await, ask(path, None).await, "{path}");
        }
    })
    .await;
}

#[tokio::test]
async fn nothing_but_signing_in_and_health_is_there_for_nobody() {
    nectr(async |t| {
        let mut paths: Vec<(Method, String)> = IN_A_REPOSITORY
            .iter()
            .map(|(method, tail)| (method.clone(), format!("/api/v1/repos/{SHOP}{tail}")))
            .collect();
        for path in [
            "/auth/me",
            "/api/v1/repos",
            "/api/v1/reviews",
            "/api/v1/reviews/1",
            "/api/v1/deliveries",
            "/api/v1/deliveries/1",
        ] {
            paths.push((Method::GET, path.to_owned()));
        }
        for path in ["/auth/token", "/auth/logout", "/api/v1/repos/acme/shop/install", "/api/v1/deliveries/1/redeliver"]
        {
            paths.push((Method::POST, path.to_owned()));
        }
        paths.push((Method::DELETE, "/api/v1/repos/acme/shop/install".to_owned()));
        for (method, path) in paths {
            let request = Request::new(method.clone(), format!("{}{path}", t.url)).header(SAME_ORIGIN.0, SAME_ORIGIN.1);
            let answer = request.send().await.unwrap();
            expect_problem(&answer, 401, "Unauthorized");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{method} {path}");
        }
        assert!(t.github.calls().is_empty());
    })
    .await;
}

#[tokio::test]
async fn with_the_cookie_only_our_own_pages_change_anything() {
    nectr_with(&[("FRONTEND_URL", "http://localhost:5173/app")], async |t| {
        let (octavia, pr) = reviewed(t).await;
        t.github.repo("acme/other").private().admin("octavia");
        let port = t.url.rsplit(':').next().unwrap();
        let foreign: Vec<(&str, String)> = [
            ("Origin", "https://evil.example".to_owned()),
            ("Origin", "null".to_owned()),
            ("Origin", format!("https://127.0.0.1:{port}")),
            ("Origin", "http://127.0.0.1".to_owned()),
            ("Origin", format!("{}.evil.example", t.url)),
            ("Origin", "http://localhost:5174".to_owned()),
            ("Sec-Fetch-Site", "cross-site".to_owned()),
            ("Sec-Fetch-Site", "same-site".to_owned()),
            ("Sec-Fetch-Site", "none".to_owned()),
            ("Referer", format!("{}/dashboard", t.url)),
            ("X-Requested-With", "XMLHttpRequest".to_owned()),
        ]
        .into();
        let delivery = newest(&octavia, "/api/v1/deliveries").await;
        let changes = [
            (Method::POST, "/auth/token".to_owned()),
            (Method::POST, "/auth/logout".to_owned()),
            (Method::POST, "/api/v1/repos/acme/other/install".to_owned()),
            (Method::DELETE, format!("/api/v1/repos/{SHOP}/install")),
            (Method::POST, format!("/api/v1/repos/{SHOP}/rescan")),
            (Method::POST, format!("/api/v1/repos/{SHOP}/pulls/{}/review?force=true", pr.number)),
            (Method::POST, format!("/api/v1/deliveries/{delivery}/redeliver")),
        ];
        let cookie = format!("access_token={}", octavia.token);
        for (method, path) in &changes {
            let request = || Request::new(method.clone(), format!("{}{path}", t.url)).header("Cookie", &cookie);
            expect_refusal(&request().send().await.unwrap(), 403);
            for (name, value) in &foreign {
                let answer = request().header(name, value).send().await.unwrap();
                assert_eq!(answer.status, 403, "{method} {path} with {name}: {value}: {}", answer.text());
            }
        }
        assert!(t.github.hooks_of("acme/other").is_empty(), "nothing was connected");
        assert_eq!(t.github.hooks_of(SHOP).len(), 1, "nothing was disconnected");
        t.expect_waiting(0).await;
        t.work().await;
        assert_eq!(octavia.get("/auth/me").await.status, 200, "nobody was logged out");

        let ours = [("Sec-Fetch-Site", "same-origin"), ("Origin", &t.url), ("Origin", "http://localhost:5173")];
        for (name, value) in ours {
            let request = Request::post(format!("{}/auth/token", t.url)).header("Cookie", &cookie).header(name, value);
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status, 200, "{name}: {value}: {}", answer.text());
        }
        for (name, value) in &foreign {
            let request = Request::get(format!("{}/auth/me", t.url)).header("Cookie", &cookie).header(name, value);
            assert_eq!(request.send().await.unwrap().status, 200, "looking is no change: {name}: {value}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_bearer_token_needs_no_origin() {
    nectr(async |t| {
        let octavia = t.sign_in("octavia").await;
        let install = format!("{}/api/v1/repos/{SHOP}/install", t.url);
        let bare = Request::post(&install).bearer(&octavia.token).send().await.unwrap();
        assert_eq!(bare.status, 200, "{}", bare.text());
        let foreign = Request::delete(&install).bearer(&octavia.token).header("Origin", "https://tool.example");
        let foreign = foreign.send().await.unwrap();
        assert_eq!(foreign.status, 200, "{}", foreign.text());
        t.settle().await;
    })
    .await;
}

#[tokio::test]
async fn only_the_front_end_may_read_answers_from_another_origin() {
    const FRONT: &str = "http://localhost:5173";
    nectr_with(&[("FRONTEND_URL", FRONT)], async |t| {
        let octavia = t.sign_in("octavia").await;
        let ask = async |origin: &str, path: &str| {
            octavia.request(Method::GET, path).header("Origin", origin).send().await.unwrap()
        };
        for (path, status) in [("/auth/me", 200), ("/api/v1/repos/acme/shop", 404), ("/nowhere", 404)] {
            let answer = ask(FRONT, path).await;
            assert_eq!(answer.status, status, "{}", answer.text());
            assert_eq!(answer.header("access-control-allow-origin"), Some(FRONT), "{path}");
            assert_eq!(answer.header("access-control-allow-credentials"), Some("true"), "{path}");
            for stranger in
                ["https://evil.example", "null", "http://localhost:5174", "http://localhost:5173.evil.example"]
            {
                let answer = ask(stranger, path).await;
                assert_eq!(answer.header("access-control-allow-origin"), None, "{stranger} {path}");
                assert_eq!(answer.header("access-control-allow-credentials"), None, "{stranger} {path}");
                let varies = answer
                    .headers
                    .get_all("vary")
                    .into_iter()
                    .any(|vary| vary.to_str().unwrap().to_ascii_lowercase().contains("origin"));
                assert!(varies, "a cache must not give one origin's answer to another");
            }
        }
        let preflight = async |origin: &str, method: &str| {
            Request::new(Method::OPTIONS, format!("{}/api/v1/repos/acme/shop/install", t.url))
                .header("Origin", origin)
                .header("Access-Control-Request-Method", method)
                .header("Access-Control-Request-Headers", "authorization,content-type")
                .send()
                .await
                .unwrap()
        };
        for method in ["POST", "DELETE"] {
            let asked = preflight(FRONT, method).await;
            assert!((200..300).contains(&asked.status), "{}", asked.text());
            assert_eq!(asked.header("access-control-allow-origin"), Some(FRONT));
            assert_eq!(asked.header("access-control-allow-credentials"), Some("true"));
            let lists = |name: &str, word: &str| {
                let listed = asked.header(name).unwrap_or_default().to_ascii_lowercase();
                listed.split(',').any(|item| item.trim() == word.to_ascii_lowercase())
            };
            assert!(lists("access-control-allow-methods", method), "{method}");
            assert!(lists("access-control-allow-headers", "authorization"));
            assert!(lists("access-control-allow-headers", "content-type"));
            assert_eq!(preflight("https://evil.example", method).await.header("access-control-allow-origin"), None);
        }
    })
    .await;
}

#[tokio::test]
async fn names_and_numbers_github_cannot_have_are_unprocessable_everywhere() {
    nectr(async |t| {
        let octavia = t.connected().await;
        t.settle().await;
        t.github.forget_calls();
        let long = "x".repeat(101);
        let bad = [".", "..", "%2e%2e", "a%20b", "a%2Fb", "%00", "%C3%A4", "a%0Ab", "a+b", "a@b", &long];
        let install = [(Method::POST, "/install"), (Method::DELETE, "/install")];
        for (method, tail) in IN_A_REPOSITORY.iter().chain(&install) {
            for name in bad {
                for repo in [format!("acme/{name}"), format!("{name}/shop")] {
                    let answer = send_raw(t, &octavia, method, &format!("/api/v1/repos/{repo}{tail}")).await;
                    assert_eq!(answer.status, 422, "{method} {repo}{tail}: {}", answer.text());
                    expect_refusal(&answer, 422);
                }
            }
        }
        for number in ["0", "-1", "1.5", "one", "0x1", "%20", "9223372036854775808"] {
            for (method, path) in [
                (Method::GET, format!("/api/v1/repos/{SHOP}/pulls/{number}/state")),
                (Method::POST, format!("/api/v1/repos/{SHOP}/pulls/{number}/review")),
                (Method::GET, format!("/api/v1/reviews/{number}")),
                (Method::GET, format!("/api/v1/deliveries/{number}")),
                (Method::POST, format!("/api/v1/deliveries/{number}/redeliver")),
            ] {
                let answer = send_raw(t, &octavia, &method, &path).await;
                assert_eq!(answer.status, 422, "{method} {path}: {}", answer.text());
                expect_refusal(&answer, 422);
            }
        }
        assert!(t.github.calls().is_empty(), "GitHub was not asked about any of them");
        for name in ["a", "A-1_b.c", &long[..100]] {
            let answer = octavia.get(&format!("/api/v1/repos/{name}/{name}")).await;
            expect_problem(&answer, 404, "Repo not connected");
        }
    })
    .await;
}

#[tokio::test]
async fn a_repository_not_connected_is_404_before_github_is_asked_anything() {
    nectr(async |t| {
        let octavia = t.sign_in("octavia").await;
        t.github.forget_calls();
        for (method, tail) in IN_A_REPOSITORY {
            for repo in [SHOP, "acme/nowhere"] {
                let answer =
                    octavia.request(method.clone(), &format!("/api/v1/repos/{repo}{tail}")).send().await.unwrap();
                expect_problem(&answer, 404, "Repo not connected");
            }
        }
        assert!(t.github.calls().is_empty());
    })
    .await;
}

#[tokio::test]
async fn one_users_data_never_reaches_another() {
    nectr(async |t| {
        let (octavia, pr) = reviewed(t).await;
        let (review, delivery) =
            (newest(&octavia, "/api/v1/reviews").await, newest(&octavia, "/api/v1/deliveries").await);
        let ada = t.sign_in("ada").await;
        t.github.forget_calls();
        for (method, tail) in IN_A_REPOSITORY {
            let tail = tail.replace("/1/", &format!("/{}/", pr.number));
            let answer = ada.request(method, &format!("/api/v1/repos/{SHOP}{tail}")).send().await.unwrap();
            expect_problem(&answer, 404, "Repo not connected");
        }
        expect_problem(&ada.delete(&format!("/api/v1/repos/{SHOP}/install")).await, 404, "Installation not found");
        expect_problem(&ada.get(&format!("/api/v1/reviews/{review}")).await, 404, "Review not found");
        expect_problem(&ada.get(&format!("/api/v1/deliveries/{delivery}")).await, 404, "Delivery not found");
        expect_problem(&ada.post(&format!("/api/v1/deliveries/{delivery}/redeliver")).await, 404, "Delivery not found");
        for list in ["reviews", "deliveries", "reviews?repo=acme/shop", "deliveries?repo=acme/shop"] {
            assert_eq!(ada.see(&format!("/api/v1/{list}")).await, json!({"items": [], "next_cursor": null}), "{list}");
        }
        assert!(t.github.calls().is_empty(), "not even GitHub hears of it");
        let listed = ada.see("/api/v1/repos").await;
        assert_eq!((&listed[0]["is_connected"], &listed[0]["installation_id"]), (&json!(false), &Value::Null));

        assert_eq!(octavia.get(&format!("/api/v1/repos/{SHOP}")).await.status, 200, "and nothing happened to hers");
        assert_eq!(t.github.hooks_of(SHOP).len(), 1);
        t.expect_waiting(0).await;
    })
    .await;
}

#[tokio::test]
async fn somebody_github_shows_the_repository_no_longer_loses_it_here_within_a_quarter_of_an_hour() {
    nectr_with(&[LONG_SESSION], async |t| {
        let (octavia, _) = reviewed(t).await;
        let review = format!("/api/v1/reviews/{}", newest(&octavia, "/api/v1/reviews").await);
        let delivery = format!("/api/v1/deliveries/{}", newest(&octavia, "/api/v1/deliveries").await);
        t.github.repo(SHOP).without("octavia");
        t.pass(minutes(15));
        for (method, tail) in IN_A_REPOSITORY {
            let answer = octavia.request(method, &format!("/api/v1/repos/{SHOP}{tail}")).send().await.unwrap();
            expect_problem(&answer, 404, "Repo not connected");
        }
        assert_eq!(items(&octavia, "/api/v1/reviews").await, 0);
        assert_eq!(items(&octavia, "/api/v1/deliveries").await, 0);
        expect_problem(&octavia.get(&review).await, 404, "Review not found");
        expect_problem(&octavia.get(&delivery).await, 404, "Delivery not found");
        expect_problem(&octavia.post(&format!("{delivery}/redeliver")).await, 404, "Delivery not found");

        t.github.outage(true);
        t.pass(minutes(15));
        expect_problem(&octavia.get(&review).await, 404, "Review not found");
        t.github.recover();

        t.github.repo(SHOP).admin("octavia");
        t.pass(minutes(15));
        assert_eq!(octavia.get(&review).await.status, 200, "and has it again when GitHub shows it again");
        assert_eq!(octavia.get(&format!("/api/v1/repos/{SHOP}")).await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn github_is_asked_with_the_callers_own_token_and_not_more_often_than_needed() {
    nectr_with(&[LONG_SESSION], async |t| {
        let (octavia, _) = reviewed(t).await;
        t.pass(minutes(15));
        t.github.forget_calls();
        for _ in 0..3 {
            octavia.see("/api/v1/reviews").await;
            octavia.see("/api/v1/deliveries").await;
        }
        let asked: Vec<_> = t.github.calls().into_iter().map(|call| (call.path, call.user)).collect();
        assert_eq!(asked, [(format!("/repos/{SHOP}"), Some("octavia".to_owned()))]);
    })
    .await;
}

#[tokio::test]
async fn while_github_is_unreachable_the_last_yes_counts_for_a_day() {
    nectr_with(&[LONG_SESSION], async |t| {
        let (octavia, _) = reviewed(t).await;
        let review = format!("/api/v1/reviews/{}", newest(&octavia, "/api/v1/reviews").await);
        t.github.outage(true);
        for _ in 0..23 {
            t.pass(hours(1));
            assert_eq!(octavia.get(&review).await.status, 200);
            assert_eq!(items(&octavia, "/api/v1/deliveries").await, 1);
            assert_eq!(octavia.get(&format!("/api/v1/repos/{SHOP}")).await.status, 200);
        }
        t.pass(hours(1));
        expect_problem(&octavia.get(&review).await, 404, "Review not found");
        expect_problem(&octavia.get(&format!("/api/v1/repos/{SHOP}")).await, 404, "Repo not connected");
        assert_eq!(items(&octavia, "/api/v1/deliveries").await, 0);
        t.github.recover();
        assert_eq!(octavia.get(&review).await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn somebody_whose_github_token_was_revoked_sees_nothing_until_they_sign_in_again() {
    nectr_with(&[LONG_SESSION], async |t| {
        let (octavia, _) = reviewed(t).await;
        t.github.revoke_all("octavia");
        t.pass(minutes(15));
        assert_eq!(items(&octavia, "/api/v1/reviews").await, 0);
        let octavia = t.sign_in("octavia").await;
        assert_eq!(items(&octavia, "/api/v1/reviews").await, 1, "at once, not a quarter of an hour later");
    })
    .await;
}

#[tokio::test]
async fn a_stranger_repository_under_the_same_name_shows_nothing_of_the_old_one() {
    nectr_with(&[LONG_SESSION], async |t| {
        let (octavia, _) = reviewed(t).await;
        t.github.delete_repo(SHOP);
        t.github.repo(SHOP).private().admin("octavia").write("nectr-bot");
        t.pass(minutes(15));
        expect_problem(&octavia.get(&format!("/api/v1/repos/{SHOP}")).await, 404, "Repo not connected");
        assert_eq!(items(&octavia, "/api/v1/reviews").await, 0);
        assert_eq!(octavia.see("/api/v1/repos").await[0]["is_connected"], false);

        let installation = octavia.connect(SHOP).await;
        t.settle().await;
        let shown = octavia.see(&format!("/api/v1/repos/{SHOP}")).await;
        assert_eq!(
            (&shown["installation_id"], &shown["repo_id"]),
            (&json!(installation), &json!(t.github.repo_id(SHOP)))
        );
        assert_eq!(items(&octavia, "/api/v1/reviews").await, 0);
    })
    .await;
}

#[tokio::test]
async fn two_people_who_connected_one_repository_each_lose_and_keep_it_on_their_own() {
    nectr_with(&[LONG_SESSION], async |t| {
        let octavia = t.connected().await;
        let ada = t.sign_in("ada").await;
        ada.connect(SHOP).await;
        let pr = t.open_pull(|pr| pr.adds("a.txt", "one\n"));
        t.settle().await;
        t.take_review(pr);
        t.github.repo(SHOP).without("octavia");
        t.pass(minutes(15));
        assert_eq!((items(&octavia, "/api/v1/reviews").await, items(&ada, "/api/v1/reviews").await), (0, 1));
        assert_eq!((items(&octavia, "/api/v1/deliveries").await, items(&ada, "/api/v1/deliveries").await), (0, 1));
    })
    .await;
}

#[tokio::test]
async fn while_github_says_nothing_only_the_first_look_waits_for_it() {
    nectr(async |t| {
        let octavia = t.connected().await;
        let pr = t.open_pull(|pr| pr.adds("src/a.rs", "pub fn a() {}\n"));
        t.settle().await;
        t.take_review(pr);
        octavia.see("/api/v1/deliveries").await;
        t.pass(minutes(16));
        t.github.fail_times(1, REPOSITORY, Failure::Hang);
        t.github.forget_calls();
        for list in ["/api/v1/deliveries", "/api/v1/reviews", "/api/v1/deliveries"] {
            assert_eq!(octavia.see(list).await["items"].as_array().unwrap().len(), 1, "the last yes counts");
            assert_eq!(t.github.count(REPOSITORY), 1);
        }
        t.pass(std::time::Duration::from_secs(30));
        octavia.see("/api/v1/deliveries").await;
        assert_eq!(t.github.count(REPOSITORY), 2);
    })
    .await;
}

const REPOSITORY: &str = "GET /repos/*/*";
