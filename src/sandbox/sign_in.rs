//! The site's OAuth web flow: a browser is sent back with a code, the code is swapped for a token, once.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

use super::{
    Sandbox,
    ask::Ask,
    reply::Reply,
    world::{World, digest},
};

/// Client id of the OAuth app every sandbox has.
pub const CLIENT_ID: &str = "sandbox-client";
/// Its client secret.
pub const CLIENT_SECRET: &str = "sandbox-client-secret";
/// How long a code can be swapped.
const CODE_LIFE: TimeDelta = TimeDelta::minutes(10);

#[derive(Default)]
pub struct SignIn {
    browser: Option<i64>,
    refuses: bool,
    codes: BTreeMap<String, Grant>,
}

struct Grant {
    user: i64,
    redirect_uri: String,
    challenge: Option<String>,
    scopes: Vec<String>,
    given_at: DateTime<Utc>,
}

impl Sandbox {
    /// Whoever opens the authorize page from now on is signed in as `login` and says yes at once.
    #[track_caller]
    pub fn browser_user(&self, login: &str) {
        let mut world = self.lock();
        world.sign_in.browser = Some(world.account_named(login));
        world.sign_in.refuses = false;
    }

    /// Whoever opens the authorize page from now on says no: `error=access_denied`.
    pub fn browser_refuses(&self) {
        self.lock().sign_in.refuses = true;
    }
}

/// The page a browser is sent to.
pub fn authorize(world: &mut World, ask: &mut Ask) -> Reply {
    ask.allow_query(&[
        "client_id",
        "redirect_uri",
        "login",
        "scope",
        "state",
        "code_challenge",
        "code_challenge_method",
        "allow_signup",
        "prompt",
        "response_type",
    ]);
    let page = |status, text: &str| Reply::text(status, "text/html", format!("<h1>{text}</h1>"));
    if ask.param("client_id") != Some(CLIENT_ID) {
        return page(404, "There is no such OAuth app");
    }
    let Some(Ok(mut back)) = ask.param("redirect_uri").map(Url::parse) else {
        return page(400, "The redirect_uri is missing or no URL");
    };
    let redirect_uri = back.to_string();
    let challenge = ask.param("code_challenge").map(str::to_owned);
    if challenge.is_some() && ask.param("code_challenge_method") != Some("S256") {
        return page(400, "The code_challenge_method must be S256");
    }
    if challenge.is_none() {
        ask.complain("authorize without PKCE");
    }
    if ask.param("state").is_none_or(str::is_empty) {
        ask.complain("authorize without state");
    }
    let Some(user) = world.sign_in.browser else {
        return page(200, "Sign in to GitHub: nobody is signed in to this sandbox");
    };
    let answer = if world.sign_in.refuses {
        ("error", "access_denied".to_owned())
    } else {
        let id = world.next_id();
        let code = digest(format!("code {id}").as_bytes())[..20].to_owned();
        let scopes = ask.param("scope").unwrap_or_default().split([' ', ',']).filter(|scope| !scope.is_empty());
        let scopes = scopes.map(str::to_owned).collect();
        let given_at = world.clock.now();
        world.sign_in.codes.insert(code.clone(), Grant { user, redirect_uri, challenge, scopes, given_at });
        ("code", code)
    };
    back.query_pairs_mut().append_pair(answer.0, &answer.1);
    if let Some(state) = ask.param("state") {
        back.query_pairs_mut().append_pair("state", state);
    }
    Reply::text(302, "text/html", "").with("location", back.to_string())
}

/// Where a code is swapped for a token.
pub fn access_token(world: &mut World, ask: &mut Ask) -> Reply {
    let fields = read_fields(ask);
    let known = ["client_id", "client_secret", "code", "redirect_uri", "code_verifier", "grant_type"];
    for name in fields.keys().filter(|name| !known.contains(&name.as_str())) {
        ask.complain(format!("field {name} is not documented"));
    }
    let field = |name: &str| fields.get(name).map(String::as_str);
    let answer = if field("client_id") != Some(CLIENT_ID) || field("client_secret") != Some(CLIENT_SECRET) {
        refusal("incorrect_client_credentials", "The client_id and/or client_secret passed are incorrect.")
    } else {
        swap(world, field("code"), field("redirect_uri"), field("code_verifier"))
    };
    if ask.accepts("application/json") {
        return Reply::json(200, &answer);
    }
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in answer.as_object().into_iter().flatten() {
        form.append_pair(name, value.as_str().unwrap_or_default());
    }
    Reply::text(200, "application/x-www-form-urlencoded; charset=utf-8", form.finish())
}

/// A code dies with the first attempt, whatever comes of it.
fn swap(world: &mut World, code: Option<&str>, redirect_uri: Option<&str>, verifier: Option<&str>) -> Value {
    let bad = || refusal("bad_verification_code", "The code passed is incorrect or expired.");
    let Some(grant) = code.and_then(|code| world.sign_in.codes.remove(code)) else { return bad() };
    if world.clock.now() > grant.given_at + CODE_LIFE {
        return bad();
    }
    let same_uri = |uri: &str| Url::parse(uri).is_ok_and(|uri| uri.as_str() == grant.redirect_uri);
    if !redirect_uri.is_none_or(same_uri) {
        let message = "The redirect_uri MUST match the registered callback URL for this application.";
        return refusal("redirect_uri_mismatch", message);
    }
    let fits = |challenge: &String| {
        verifier.is_some_and(|verifier| URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)) == *challenge)
    };
    if !grant.challenge.as_ref().is_none_or(fits) {
        return bad();
    }
    let token = world.issue_token(grant.user, grant.scopes.iter().map(String::as_str));
    json!({"access_token": token, "token_type": "bearer", "scope": grant.scopes.join(",")})
}

fn refusal(error: &str, description: &str) -> Value {
    let docs = "https://docs.github.com/apps/managing-oauth-apps/troubleshooting-oauth-app-access-token-request-errors";
    json!({"error": error, "error_description": description, "error_uri": docs})
}

fn read_fields(ask: &Ask) -> BTreeMap<String, String> {
    if ask.header("content-type").is_some_and(|media| media.starts_with("application/json")) {
        let text = |(name, value): (String, Value)| value.as_str().map(|value| (name, value.to_owned()));
        let body: BTreeMap<String, Value> = serde_json::from_slice(&ask.body).unwrap_or_default();
        return body.into_iter().filter_map(text).collect();
    }
    let form = url::form_urlencoded::parse(&ask.body).into_owned();
    form.chain(ask.query.iter().cloned()).collect()
}
