//! Swapping an OAuth code.

use secrecy::ExposeSecret;

use super::*;

async fn exchange(fake: &Fake) -> Result<SecretString, GitHubError> {
    let (github, _) = fake.github_with(|options| {
        // The API lives elsewhere: sign-in must not go there.
        options.api_url = "http://127.0.0.1:9/api/v3".parse().unwrap();
    });
    github.exchange_code("c&de", "verifier", "http://localhost:8000/auth/github/callback").await
}

#[tokio::test]
async fn a_code_is_swapped_on_the_site_without_anybodys_token() {
    let fake = always(200, json!({"access_token": "gho_new", "scope": "repo", "token_type": "bearer"})).await;
    assert_eq!(exchange(&fake).await.unwrap().expose_secret(), "gho_new");

    let seen = &fake.seen()[0];
    assert_eq!(fake.asked(), ["POST /login/oauth/access_token"]);
    assert_eq!(seen.header("authorization"), None);
    assert_eq!(seen.header("accept"), Some("application/json"));
    let form: Vec<(String, String)> = url::form_urlencoded::parse(&seen.body).into_owned().collect();
    let sent: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(
        sent,
        [
            ("client_id", "client-id"),
            ("client_secret", "client-secret"),
            ("code", "c&de"),
            ("redirect_uri", "http://localhost:8000/auth/github/callback"),
            ("code_verifier", "verifier"),
        ]
    );
}

#[tokio::test]
async fn a_bad_code_is_rejected_although_github_answers_200() {
    let body = json!({"error": "bad_verification_code", "error_description": "The code passed is incorrect.", "error_uri": "x"});
    let error = exchange(&always(200, body).await).await.unwrap_err();
    assert!(
        matches!(&error, GitHubError::Rejected { message, .. } if message == "bad_verification_code: The code passed is incorrect."),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_outage_is_not_a_bad_code() {
    assert!(matches!(exchange(&always(503, json!({})).await).await, Err(GitHubError::Unavailable(_))));
    let cut = Fake::start(|_| Reply::Cut).await;
    assert!(matches!(exchange(&cut).await, Err(GitHubError::Unavailable(_))));
    assert_eq!(cut.seen().len(), 1, "a code is good for one try");
}

#[tokio::test]
async fn an_answer_that_is_neither_is_not_repeated_in_the_error() {
    for body in [json!({"access_token": ""}), json!("gho_leak"), json!({"access_token": ["gho_leak"]})] {
        let error = exchange(&always(200, body).await).await.unwrap_err();
        assert!(matches!(error, GitHubError::Protocol(_)), "{error:?}");
        assert!(!format!("{error:?}").contains("gho_leak"));
    }
}
