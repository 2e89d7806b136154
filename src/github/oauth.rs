//! Signing in: the code GitHub's page hands back, swapped for a token.
//!
//! GitHub answers 200 to a bad code as well; what counts is in the body. Nothing of the body reaches an error unless
//! GitHub put it under `error`.

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{GitHubError, call::Call, client::Client};

#[derive(Deserialize)]
#[serde(untagged)]
enum Exchanged {
    Token { access_token: String },
    Refused { error: String, error_description: Option<String> },
}

/// Swaps `code` for a token with the OAuth app's id and secret.
pub(super) async fn exchange(
    client: &Client,
    (id, secret): &(String, SecretString),
    code: &str,
    verifier: &str,
    redirect_uri: &str,
) -> Result<SecretString, GitHubError> {
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("client_id", id)
        .append_pair("client_secret", secret.expose_secret())
        .append_pair("code", code)
        .append_pair("redirect_uri", redirect_uri)
        .append_pair("code_verifier", verifier)
        .finish();
    let answer = client.call_unsigned(Call::site_form("/login/oauth/access_token", "the OAuth app", form)).await?;
    match serde_json::from_slice(&answer.body) {
        Ok(Exchanged::Token { access_token }) if !access_token.is_empty() => Ok(access_token.into()),
        Ok(Exchanged::Refused { error, error_description }) => Err(GitHubError::Rejected {
            status: answer.status.as_u16(),
            message: [Some(error), error_description].into_iter().flatten().collect::<Vec<_>>().join(": "),
        }),
        Ok(Exchanged::Token { .. }) | Err(_) => {
            Err(GitHubError::Protocol("neither a token nor a refusal for an OAuth code".to_owned()))
        }
    }
}
