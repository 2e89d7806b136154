//! Signing in is limited for each client, and clients behind a proxy are told apart.

use nectr::sandbox::http::{Request, Response};

use crate::{
    access::expect_problem,
    support::{T, hours, nectr, nectr_with},
};

/// Somebody begins to sign in; `forwarded` is what proxies say of them.
async fn begin(t: &T, forwarded: &str) -> Response {
    Request::get(format!("{}/auth/github", t.url)).header("X-Forwarded-For", forwarded).send().await.unwrap()
}

async fn use_up(t: &T, forwarded: &str) {
    for n in 0..300 {
        let answer = begin(t, forwarded).await;
        assert_eq!(answer.status, 302, "the {n}th: {}", answer.text());
    }
}

#[track_caller]
fn expect_too_many(answer: &Response) {
    assert_eq!(answer.header("retry-after"), Some("1"), "{}", answer.text());
    expect_problem(answer, 429, "Too many attempts to sign in from your network: try again in 1 s");
}

#[tokio::test]
async fn one_client_that_keeps_trying_is_asked_to_wait_and_keeps_nobody_else_out() {
    nectr_with(&[("TRUSTED_PROXIES", "127.0.0.0/8")], async |t| {
        use_up(t, "198.51.100.1").await;
        expect_too_many(&begin(t, "198.51.100.1").await);
        expect_too_many(&begin(t, "203.0.113.5, 198.51.100.1").await);
        expect_too_many(&begin(t, "203.0.113.5, 198.51.100.1, 127.0.0.9").await);
        let back = Request::get(format!("{}/auth/github/callback?code=a&state=b", t.url));
        expect_too_many(&back.header("X-Forwarded-For", "198.51.100.1").send().await.unwrap());

        assert_eq!(begin(t, "198.51.100.2").await.status, 302, "somebody else");
        let octavia = t.sign_in("octavia").await;
        octavia.see("/auth/me").await;
        t.pass(hours(1));
        assert_eq!(begin(t, "198.51.100.1").await.status, 302, "later");
    })
    .await;
}

#[tokio::test]
async fn what_a_stranger_says_of_itself_is_not_believed() {
    nectr(async |t| {
        for n in 0..300 {
            assert_eq!(begin(t, &format!("198.51.100.{}", n % 250)).await.status, 302);
        }
        expect_too_many(&begin(t, "203.0.113.77").await);
    })
    .await;
}
