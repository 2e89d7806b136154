//! The OAuth web flow.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use super::Acme;
use crate::sandbox::{CLIENT_ID, CLIENT_SECRET, http};

const BACK: &str = "http://localhost:8000/auth/github/callback";
const VERIFIER: &str = "a-verifier-that-is-long-enough-to-be-one-0123456789";

/// Opens the authorize page; returns where the browser is sent.
async fn authorize(acme: &Acme) -> String {
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([
            ("client_id", CLIENT_ID),
            ("redirect_uri", BACK),
            ("scope", "repo read:user user:email"),
            ("state", "s-1"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ])
        .finish();
    let page = format!("{}/login/oauth/authorize?{query}", acme.github.server_url());
    let answer = http::Request::get(page).send().await.unwrap();
    assert_eq!(answer.status, 302, "{}", answer.text());
    answer.header("location").unwrap().to_owned()
}

async fn code(acme: &Acme) -> String {
    let back = authorize(acme).await;
    let code = back.strip_prefix(&format!("{BACK}?code=")).unwrap().strip_suffix("&state=s-1").unwrap();
    code.to_owned()
}

async fn swap(acme: &Acme, fields: &[(&str, &str)]) -> serde_json::Value {
    let url = format!("{}/login/oauth/access_token", acme.github.server_url());
    let answer = http::Request::post(url).header("accept", "application/json").form(fields).send().await.unwrap();
    assert_eq!(answer.status, 200, "errors are told in the body");
    answer.json()
}

#[tokio::test]
async fn a_code_is_swapped_once_by_whoever_began_the_flow() {
    let acme = Acme::new().await;
    acme.github.browser_user("octavia");
    let code = code(&acme).await;
    let fields = [
        ("client_id", CLIENT_ID),
        ("client_secret", CLIENT_SECRET),
        ("code", &code),
        ("redirect_uri", BACK),
        ("code_verifier", VERIFIER),
    ];
    let answer = swap(&acme, &fields).await;
    let token = answer["access_token"].as_str().unwrap();
    let me = format!("{}/user", acme.github.api_url());
    let me = http::Request::get(me).header("user-agent", "x").bearer(token).send().await.unwrap();
    assert_eq!(me.json()["login"], "octavia");
    assert_eq!(me.header("x-oauth-scopes"), Some("read:user, repo, user:email"));
    assert_eq!(swap(&acme, &fields).await["error"], "bad_verification_code");
}

#[tokio::test]
async fn a_stolen_code_is_worth_nothing() {
    let acme = Acme::new().await;
    acme.github.browser_user("octavia");
    let id = ("client_id", CLIENT_ID);
    let secret = ("client_secret", CLIENT_SECRET);
    for (verifier, redirect, error) in [
        (Some("another-verifier"), BACK, "bad_verification_code"),
        (None, BACK, "bad_verification_code"),
        (Some(VERIFIER), "http://localhost:8000/elsewhere", "redirect_uri_mismatch"),
    ] {
        let code = code(&acme).await;
        let mut fields = vec![id, secret, ("code", &code), ("redirect_uri", redirect)];
        fields.extend(verifier.map(|verifier| ("code_verifier", verifier)));
        assert_eq!(swap(&acme, &fields).await["error"], error);
    }
    let code = code(&acme).await;
    let wrong = [id, ("client_secret", "guess"), ("code", &code), ("code_verifier", VERIFIER)];
    assert_eq!(swap(&acme, &wrong).await["error"], "incorrect_client_credentials");
}

#[tokio::test]
async fn somebody_who_says_no_is_sent_back_with_an_error() {
    let acme = Acme::new().await;
    acme.github.browser_user("octavia");
    acme.github.browser_refuses();
    assert_eq!(authorize(&acme).await, format!("{BACK}?error=access_denied&state=s-1"));
}
