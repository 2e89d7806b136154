//! Signing in with GitHub, and what a session is worth afterwards.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::Method;
use nectr::{
    domain::Clock,
    sandbox::{
        Failure, Sandbox,
        http::{Request, Response},
    },
    webhook,
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, Row};
use url::Url;

use crate::{
    access::{SAME_ORIGIN, expect_problem, instant},
    support::{
        self, Person, SHOP, T,
        database::{Database, noon},
        hours, minutes, nectr, nectr_with,
        person::{cookie, cookies, location},
    },
};

const KEY: &str = "a key for tests, long enough to be one";
const NEXT_KEY: &str = "the key after that one, long enough too";

/// A browser between our page and GitHub's.
struct Browser {
    authorize: Url,
    cookies: String,
    answer: Response,
}

impl Browser {
    async fn begin(t: &T) -> Self {
        let answer = Request::get(format!("{}/auth/github", t.url)).send().await.unwrap();
        assert_eq!(answer.status, 302, "{}", answer.text());
        Self { authorize: location(&answer).parse().unwrap(), cookies: cookies(&answer), answer }
    }

    /// Says yes (or no) on GitHub's page; returns where GitHub sends the browser back to.
    async fn answer_github(&self) -> String {
        let page = Request::get(self.authorize.as_str()).send().await.unwrap();
        assert_eq!(page.status, 302, "{}", page.text());
        location(&page)
    }

    async fn come_back(&self, url: &str) -> Response {
        Request::get(url).header("Cookie", &self.cookies).send().await.unwrap()
    }

    fn query(&self) -> BTreeMap<String, String> {
        self.authorize.query_pairs().into_owned().collect()
    }
}

/// The whole way, up to the last answer, whatever it is.
async fn try_to_sign_in(t: &T, login: &str) -> Response {
    t.github.browser_user(login);
    let browser = Browser::begin(t).await;
    let back = browser.answer_github().await;
    browser.come_back(&back).await
}

/// Asserts that nobody was signed in.
#[track_caller]
fn expect_nobody(answer: &Response, status: u16, detail: &str) {
    expect_problem(answer, status, detail);
    assert_eq!(cookie(answer, "access_token"), None);
}

/// The attributes of a cookie, names in lower case.
#[track_caller]
fn attributes(answer: &Response, name: &str) -> BTreeMap<String, String> {
    let all = answer.headers.get_all("set-cookie").into_iter().map(|value| value.to_str().unwrap());
    let mut ours = all.filter(|cookie| cookie.split('=').next() == Some(name));
    let found = ours.next().unwrap_or_else(|| panic!("no cookie {name}: {:?}", answer.headers));
    assert!(ours.next().is_none(), "one cookie of a name");
    let parts = found.split(';').skip(1).map(|part| part.trim().split_once('=').unwrap_or((part.trim(), "")));
    parts.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect()
}

async fn me(t: &T, with: impl FnOnce(Request) -> Request) -> Response {
    with(Request::get(format!("{}/auth/me", t.url))).send().await.unwrap()
}

async fn me_by_bearer(t: &T, token: &str) -> Response {
    me(t, |request| request.bearer(token)).await
}

async fn me_by_cookie(t: &T, token: &str) -> Response {
    me(t, |request| request.header("Cookie", &format!("access_token={token}"))).await
}

#[track_caller]
fn expect_unauthorized(answer: &Response) {
    expect_problem(answer, 401, "Unauthorized");
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
}

/// A token minted by the browser's session.
async fn mint(person: &Person) -> Value {
    let answer = person.post("/auth/token").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// A part of a JWT.
fn part(token: &str, at: usize) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(at).unwrap()).unwrap()).unwrap()
}

fn encoded(part: &Value) -> String {
    URL_SAFE_NO_PAD.encode(part.to_string())
}

/// A nectr that is stopped and started again over one database and one GitHub.
pub struct House {
    pub database: Database,
    pub github: Sandbox,
    pub clock: Clock,
}

impl House {
    pub async fn build() -> Self {
        let (database, clock) = (Database::fresh().await, Clock::manual(noon()));
        let github = Sandbox::start_on(0, clock.clone()).await.unwrap();
        support::populate(&github);
        Self { database, github, clock }
    }

    pub async fn start(&self, settings: &[(&str, &str)]) -> T {
        T::start(&self.github, &self.clock, &self.database.url, settings).await
    }

    /// Asks a nectr with a token from before it was started.
    pub async fn ask(t: &T, method: Method, path: &str, token: &str) -> Response {
        Request::new(method, format!("{}{path}", t.url)).bearer(token).send().await.unwrap()
    }
}

#[tokio::test]
async fn signing_in_begins_on_githubs_page_with_pkce_and_a_state() {
    nectr(async |t| {
        let browser = Browser::begin(t).await;
        assert_eq!(
            browser.authorize.as_str().split('?').next().unwrap(),
            format!("{}/login/oauth/authorize", t.github.url())
        );
        let mut query = browser.query();
        let (state, challenge) = (query.remove("state").unwrap(), query.remove("code_challenge").unwrap());
        assert!(state.len() >= 32, "{state}");
        assert_eq!(URL_SAFE_NO_PAD.decode(&challenge).unwrap().len(), 32, "a SHA-256 in base64url");
        let expected = [
            ("client_id", nectr::sandbox::CLIENT_ID.to_owned()),
            ("redirect_uri", format!("{}/auth/github/callback", t.url)),
            ("scope", "repo read:user user:email".to_owned()),
            ("code_challenge_method", "S256".to_owned()),
        ];
        assert_eq!(query, expected.map(|(name, value)| (name.to_owned(), value)).into());

        let (name, _) = browser.cookies.split_once('=').expect("a cookie binds the state to this browser");
        let attributes = attributes(&browser.answer, name);
        assert!(attributes.contains_key("httponly"), "{attributes:?}");
        assert_eq!(attributes["samesite"], "Lax");
        assert_eq!(attributes["max-age"], "600");

        let other = Browser::begin(t).await;
        assert_ne!(other.query()["state"], state);
        assert_ne!(other.query()["code_challenge"], challenge);
        assert_ne!(other.cookies, browser.cookies);
    })
    .await;
}

#[tokio::test]
async fn signing_in_ends_on_the_dashboard_with_a_cookie_scripts_cannot_read() {
    nectr(async |t| {
        let done = try_to_sign_in(t, "octavia").await;
        assert_eq!((done.status, location(&done)), (302, format!("{}/dashboard", t.url)));
        let attributes = attributes(&done, "access_token");
        assert_eq!(attributes["max-age"], "86400");
        assert_eq!(attributes["samesite"], "Lax");
        assert_eq!(attributes["path"], "/");
        assert!(attributes.contains_key("httponly"), "{attributes:?}");
        assert!(!attributes.contains_key("secure"), "plain http in development: {attributes:?}");
        let token = cookie(&done, "access_token").unwrap();
        assert_eq!(me_by_cookie(t, &token).await.json()["github_username"], "octavia");
    })
    .await;
}

#[tokio::test]
async fn the_front_end_may_live_elsewhere_and_the_session_lasts_as_long_as_set() {
    let settings = [("FRONTEND_URL", "http://localhost:5173/app"), ("ACCESS_TOKEN_EXPIRE_MINUTES", "30")];
    nectr_with(&settings, async |t| {
        let done = try_to_sign_in(t, "octavia").await;
        assert_eq!((done.status, location(&done).as_str()), (302, "http://localhost:5173/app/dashboard"));
        assert_eq!(attributes(&done, "access_token")["max-age"], "1800");
        let token = cookie(&done, "access_token").unwrap();
        t.pass(minutes(30) - Duration::from_secs(1));
        assert_eq!(me_by_cookie(t, &token).await.status, 200);
        t.pass(Duration::from_secs(1));
        expect_unauthorized(&me_by_cookie(t, &token).await);
    })
    .await;
}

#[tokio::test]
async fn in_production_cookies_are_secure() {
    nectr_with(&[("APP_ENV", "production")], async |t| {
        let browser = Browser::begin(t).await;
        let (name, _) = browser.cookies.split_once('=').unwrap();
        assert!(attributes(&browser.answer, name).contains_key("secure"));
        let done = try_to_sign_in(t, "octavia").await;
        assert!(attributes(&done, "access_token").contains_key("secure"));
    })
    .await;
}

#[tokio::test]
async fn a_state_is_good_once() {
    nectr(async |t| {
        t.github.browser_user("octavia");
        let browser = Browser::begin(t).await;
        let back = browser.answer_github().await;
        assert_eq!(browser.come_back(&back).await.status, 302);
        expect_nobody(&browser.come_back(&back).await, 400, "Invalid or expired OAuth state");
    })
    .await;
}

#[tokio::test]
async fn a_state_brought_twice_at_once_signs_in_once() {
    nectr(async |t| {
        t.github.browser_user("octavia");
        let browser = Browser::begin(t).await;
        let back = browser.answer_github().await;
        let answers = futures_util::future::join_all((0..6).map(|_| browser.come_back(&back))).await;
        let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [302, 400, 400, 400, 400, 400]);
        assert_eq!(t.github.count("POST /login/oauth/access_token"), 1);
    })
    .await;
}

#[tokio::test]
async fn a_state_is_bound_to_the_browser_it_was_made_for() {
    nectr(async |t| {
        t.github.browser_user("octavia");
        let (browser, other) = (Browser::begin(t).await, Browser::begin(t).await);
        let back = browser.answer_github().await;
        let without = Request::get(&back).send().await.unwrap();
        expect_nobody(&without, 400, "Invalid or expired OAuth state");
        expect_nobody(&other.come_back(&back).await, 400, "Invalid or expired OAuth state");
        assert_eq!(t.github.count("POST /login/oauth/access_token"), 0, "the code went nowhere");
        assert_eq!(browser.come_back(&back).await.status, 302, "the others took nothing away");
    })
    .await;
}

#[tokio::test]
async fn a_state_is_good_for_ten_minutes() {
    nectr(async |t| {
        t.github.browser_user("octavia");
        let (quick, slow) = (Browser::begin(t).await, Browser::begin(t).await);
        t.pass(minutes(10) - Duration::from_secs(1));
        let back = quick.answer_github().await;
        assert_eq!(quick.come_back(&back).await.status, 302);
        t.pass(Duration::from_secs(1));
        let back = slow.answer_github().await;
        expect_nobody(&slow.come_back(&back).await, 400, "Invalid or expired OAuth state");
    })
    .await;
}

#[tokio::test]
async fn a_callback_without_a_state_of_ours_is_refused() {
    nectr(async |t| {
        t.github.browser_user("octavia");
        let browser = Browser::begin(t).await;
        let back: Url = browser.answer_github().await.parse().unwrap();
        let code = back.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
        for query in [
            "".to_owned(),
            format!("?code={code}"),
            format!("?code={code}&state="),
            format!("?code={code}&state=made-up"),
        ] {
            let answer = browser.come_back(&format!("{}/auth/github/callback{query}", t.url)).await;
            expect_nobody(&answer, 400, "Invalid or expired OAuth state");
        }
    })
    .await;
}

#[tokio::test]
async fn a_code_used_before_is_refused_even_with_a_fresh_state() {
    nectr(async |t| {
        t.github.browser_user("octavia");
        let first = Browser::begin(t).await;
        let back: Url = first.answer_github().await.parse().unwrap();
        assert_eq!(first.come_back(back.as_str()).await.status, 302);
        let code = back.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
        let second = Browser::begin(t).await;
        let replayed = format!("{}/auth/github/callback?code={code}&state={}", t.url, second.query()["state"]);
        expect_nobody(&second.come_back(&replayed).await, 400, "Failed to exchange GitHub code");
    })
    .await;
}

#[tokio::test]
async fn a_code_made_for_another_sign_in_is_refused_by_its_challenge() {
    nectr(async |t| {
        t.github.browser_user("octavia");
        let (one, other) = (Browser::begin(t).await, Browser::begin(t).await);
        let back: Url = one.answer_github().await.parse().unwrap();
        let code = back.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
        let swapped = format!("{}/auth/github/callback?code={code}&state={}", t.url, other.query()["state"]);
        expect_nobody(&other.come_back(&swapped).await, 400, "Failed to exchange GitHub code");
    })
    .await;
}

#[tokio::test]
async fn somebody_who_says_no_on_githubs_page_is_not_signed_in_and_may_try_again() {
    nectr(async |t| {
        t.github.browser_user("octavia");
        t.github.browser_refuses();
        let browser = Browser::begin(t).await;
        let back = browser.answer_github().await;
        expect_nobody(&browser.come_back(&back).await, 400, "Failed to exchange GitHub code");
        assert_eq!(try_to_sign_in(t, "octavia").await.status, 302);
    })
    .await;
}

#[tokio::test]
async fn a_sign_in_github_cannot_finish_says_that_github_is_unreachable() {
    nectr(async |t| {
        let bad_days: [(&str, Failure); 4] = [
            ("POST /login/oauth/access_token", Failure::CutBefore),
            ("POST /login/oauth/access_token", Failure::Status(503, "<html>Unicorn!</html>".to_owned())),
            ("GET /user", Failure::Status(502, "bad gateway".to_owned())),
            ("GET /user", Failure::RateLimited { retry_after: Duration::from_secs(60) }),
        ];
        for (call, failure) in bad_days {
            t.github.fail_next(call, failure);
            expect_nobody(&try_to_sign_in(t, "octavia").await, 502, "GitHub is unreachable");
        }
        assert_eq!(try_to_sign_in(t, "octavia").await.status, 302);
    })
    .await;
}

#[tokio::test]
async fn without_an_oauth_app_signing_in_is_unavailable_and_says_what_to_set() {
    nectr_with(&[("GITHUB_CLIENT_ID", ""), ("GITHUB_CLIENT_SECRET", "")], async |t| {
        for path in ["/auth/github", "/auth/github/callback?code=a&state=b"] {
            let answer = Request::get(format!("{}{path}", t.url)).send().await.unwrap();
            assert_eq!(answer.status, 503, "{}", answer.text());
            assert!(text(&answer.json()["detail"]).contains("GITHUB_CLIENT_ID"), "{}", answer.text());
        }
    })
    .await;
}

#[tokio::test]
async fn a_browser_that_came_by_another_loopback_name_is_sent_to_the_right_one_first() {
    nectr(async |t| {
        let port = t.url.rsplit(':').next().unwrap();
        let ask = async |host: String| {
            let request = Request::get(format!("{}/auth/github", t.url)).header("Host", &host);
            request.send().await.unwrap()
        };
        for name in ["localhost", "[::1]"] {
            let answer = ask(format!("{name}:{port}")).await;
            assert_eq!((answer.status, location(&answer)), (302, format!("{}/auth/github", t.url)), "{name}");
        }
        for host in [format!("127.0.0.1:{port}"), "nectr.example".to_owned()] {
            let answer = ask(host.clone()).await;
            assert!(location(&answer).starts_with(t.github.url()), "{host}: {}", location(&answer));
        }
    })
    .await;
}

#[tokio::test]
async fn only_allowed_users_may_sign_in_in_any_case() {
    nectr_with(&[("ALLOWED_GITHUB_USERS", "somebody, OCTAVIA")], async |t| {
        assert_eq!(try_to_sign_in(t, "octavia").await.status, 302);
        expect_nobody(&try_to_sign_in(t, "ada").await, 403, "This GitHub account may not use this server");
    })
    .await;
}

#[tokio::test]
async fn members_of_allowed_organisations_may_sign_in_whether_they_show_it_or_not() {
    nectr_with(&[("ALLOWED_GITHUB_ORGS", "initech, globex")], async |t| {
        t.github.org("globex").member("octavia").public_member("ada");
        for login in ["octavia", "ada"] {
            assert_eq!(try_to_sign_in(t, login).await.status, 302, "{login}");
        }
        expect_nobody(&try_to_sign_in(t, "sam").await, 403, "This GitHub account may not use this server");
        t.github.org("globex").without("octavia");
        expect_nobody(&try_to_sign_in(t, "octavia").await, 403, "This GitHub account may not use this server");
    })
    .await;
}

#[tokio::test]
async fn with_both_lists_either_is_enough_and_an_organisation_that_cannot_be_asked_lets_nobody_in() {
    let settings = [("ALLOWED_GITHUB_USERS", "sam"), ("ALLOWED_GITHUB_ORGS", "globex")];
    nectr_with(&settings, async |t| {
        t.github.org("globex").member("octavia");
        for login in ["sam", "octavia"] {
            assert_eq!(try_to_sign_in(t, login).await.status, 302, "{login}");
        }
        t.github.fail_times(9, "GET /orgs/**", Failure::Status(502, "bad gateway".to_owned()));
        expect_nobody(&try_to_sign_in(t, "octavia").await, 502, "GitHub is unreachable");
        assert_eq!(try_to_sign_in(t, "sam").await.status, 302, "named: no need to ask");
        t.github.recover();
    })
    .await;
}

#[tokio::test]
async fn who_am_i_is_answered_exactly() {
    nectr(async |t| {
        let octavia = t.sign_in("octavia").await;
        let id = t.github.user("octavia").id();
        let me = octavia.see("/auth/me").await;
        assert_eq!(instant(&me["created_at"]), noon());
        let avatar = format!("{}/avatars/{id}?v=4", t.github.url());
        let expected = json!({
            "id": me["id"].as_i64().unwrap(), "github_id": id, "github_username": "octavia", "name": "Octavia",
            "email": null, "avatar_url": avatar, "created_at": me["created_at"],
        });
        assert_eq!(me, expected);
    })
    .await;
}

#[tokio::test]
async fn somebody_who_signs_in_again_is_the_same_user_with_what_github_says_now() {
    nectr(async |t| {
        let before = t.sign_in("octavia").await.see("/auth/me").await;
        t.pass(hours(1));
        t.github.user("octavia").named("Octavia Butler").email("octavia@example.com");
        let after = t.sign_in("octavia").await.see("/auth/me").await;
        let mut expected = before.clone();
        (expected["name"], expected["email"]) = ("Octavia Butler".into(), "octavia@example.com".into());
        assert_eq!(after, expected);
        assert_ne!(t.sign_in("ada").await.see("/auth/me").await["id"], before["id"]);
    })
    .await;
}

#[tokio::test]
async fn a_session_works_by_header_and_by_cookie_and_of_both_the_header_decides() {
    nectr(async |t| {
        let (octavia, ada) = (t.sign_in("octavia").await, t.sign_in("ada").await);
        assert_eq!(me_by_bearer(t, &octavia.token).await.json()["github_username"], "octavia");
        assert_eq!(me_by_cookie(t, &octavia.token).await.json()["github_username"], "octavia");
        let both = async |bearer: &str| {
            me(t, |request| request.bearer(bearer).header("Cookie", &format!("access_token={}", octavia.token))).await
        };
        assert_eq!(both(&ada.token).await.json()["github_username"], "ada");
        expect_unauthorized(&both("not.a.token").await);
        let lower = me(t, |request| request.header("authorization", &format!("bearer {}", ada.token))).await;
        assert_eq!(lower.status, 200, "the scheme has no case");
    })
    .await;
}

#[tokio::test]
async fn a_token_says_whose_it_is_and_how_long() {
    nectr(async |t| {
        let octavia = t.sign_in("octavia").await;
        let me = octavia.see("/auth/me").await;
        assert_eq!(part(&octavia.token, 0)["alg"], "HS256");
        let claims = part(&octavia.token, 1);
        assert_eq!(claims["sub"], me["id"].to_string());
        assert_eq!(claims["iss"], "nectr");
        assert_eq!(claims["iat"], noon().timestamp());
        assert_eq!(claims["exp"], noon().timestamp() + 86_400);
        assert!(!text(&claims["jti"]).is_empty());
        let names: BTreeSet<_> = claims.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, BTreeSet::from(["exp", "iat", "iss", "jti", "sub"]), "nothing else is told");
        let again = mint(&octavia).await;
        assert_ne!(part(text(&again["access_token"]), 1)["jti"], claims["jti"]);
    })
    .await;
}

#[tokio::test]
async fn a_token_ends_when_it_says() {
    nectr(async |t| {
        let octavia = t.sign_in("octavia").await;
        t.pass(hours(24) - Duration::from_secs(1));
        assert_eq!(me_by_bearer(t, &octavia.token).await.status, 200);
        t.pass(Duration::from_secs(1));
        expect_unauthorized(&me_by_bearer(t, &octavia.token).await);
        expect_unauthorized(&me_by_cookie(t, &octavia.token).await);
    })
    .await;
}

#[tokio::test]
async fn a_token_that_was_tampered_with_in_any_way_is_nobodys() {
    nectr(async |t| {
        let (octavia, ada) = (t.sign_in("octavia").await, t.sign_in("ada").await);
        let (header, claims) = (part(&octavia.token, 0), part(&octavia.token, 1));
        let signature = octavia.token.rsplit('.').next().unwrap();
        let with = |header: &Value, claims: &Value, signature: &str| {
            format!("{}.{}.{signature}", encoded(header), encoded(claims))
        };
        let edited = |name: &str, value: Value| {
            let mut claims = claims.clone();
            claims[name] = value;
            claims
        };
        let signed_with_the_key_itself = |algorithm: &str| {
            let message = format!("{}.{}", encoded(&json!({"alg": algorithm, "typ": "JWT"})), encoded(&claims));
            let digest = webhook::sign(KEY.as_bytes(), message.as_bytes());
            let digest = hex::decode(digest.strip_prefix("sha256=").unwrap()).unwrap();
            format!("{message}.{}", URL_SAFE_NO_PAD.encode(digest))
        };
        let message = octavia.token.rsplit_once('.').unwrap().0;
        let mut cases = vec![
            String::new(),
            "x".to_owned(),
            "..".to_owned(),
            "a.b.c".to_owned(),
            message.to_owned(),
            format!("{message}."),
            format!("{message}.{}", ada.token.rsplit('.').next().unwrap()),
            format!("{}.", octavia.token),
            format!("{}x", octavia.token),
            with(&header, &edited("sub", part(&ada.token, 1)["sub"].clone()), signature),
            with(&header, &edited("exp", json!(4_102_444_800_i64)), signature),
            signed_with_the_key_itself("HS256"),
        ];
        for algorithm in ["none", "None", "NONE", "nOnE"] {
            let header = json!({"alg": algorithm, "typ": "JWT"});
            cases.push(with(&header, &claims, ""));
            cases.push(with(&header, &claims, signature));
        }
        cases.extend(["HS384", "HS512", "RS256"].map(signed_with_the_key_itself));
        for token in cases {
            expect_unauthorized(&me_by_bearer(t, &token).await);
            expect_unauthorized(&me_by_cookie(t, &token).await);
        }
        expect_unauthorized(&me(t, |request| request).await);
        for scheme in ["Basic", "Token", "JWT", ""] {
            let value = format!("{scheme} {}", octavia.token);
            expect_unauthorized(&me(t, |request| request.header("authorization", &value)).await);
        }
        assert_eq!(me_by_bearer(t, &octavia.token).await.status, 200, "untouched it still works");
    })
    .await;
}

#[tokio::test]
async fn api_clients_get_a_token_of_their_own_from_the_browsers_session() {
    nectr(async |t| {
        let octavia = t.sign_in("octavia").await;
        let minted = mint(&octavia).await;
        let expected = json!({"access_token": minted["access_token"], "token_type": "bearer", "expires_in": 86_400});
        assert_eq!(minted, expected);
        assert_eq!(me_by_bearer(t, text(&minted["access_token"])).await.json()["github_username"], "octavia");
        t.pass(hours(1));
        assert_eq!(mint(&octavia).await["expires_in"], 82_800, "no token outlives its session");
    })
    .await;
}

#[tokio::test]
async fn a_bearer_token_mints_no_tokens() {
    nectr(async |t| {
        let octavia = t.sign_in("octavia").await;
        let minted = mint(&octavia).await;
        for token in [octavia.token.as_str(), text(&minted["access_token"])] {
            let alone = Request::post(format!("{}/auth/token", t.url)).bearer(token).send().await.unwrap();
            assert_eq!(alone.status, 403, "{}", alone.text());
            let beside = octavia.request(Method::POST, "/auth/token").bearer(token).send().await.unwrap();
            assert_eq!(beside.status, 403, "of both the header decides: {}", beside.text());
        }
        let nobody = Request::post(format!("{}/auth/token", t.url)).send().await.unwrap();
        expect_unauthorized(&nobody);
    })
    .await;
}

#[tokio::test]
async fn logging_out_ends_the_session_and_every_token_minted_in_it_and_no_other() {
    nectr(async |t| {
        let (here, elsewhere) = (t.sign_in("octavia").await, t.sign_in("octavia").await);
        let minted = mint(&here).await;
        let out = here.post("/auth/logout").await;
        assert_eq!((out.status, out.json()), (200, json!({"message": "Logged out"})));
        assert_eq!(attributes(&out, "access_token")["max-age"], "0", "the browser forgets it");
        assert_eq!(cookie(&out, "access_token").as_deref(), Some(""));
        expect_unauthorized(&me_by_cookie(t, &here.token).await);
        expect_unauthorized(&me_by_bearer(t, &here.token).await);
        expect_unauthorized(&me_by_bearer(t, text(&minted["access_token"])).await);
        expect_unauthorized(&here.post("/auth/logout").await);
        assert_eq!(me_by_cookie(t, &elsewhere.token).await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn a_minted_token_can_log_its_whole_session_out() {
    nectr(async |t| {
        let octavia = t.sign_in("octavia").await;
        let minted = mint(&octavia).await;
        let out =
            Request::post(format!("{}/auth/logout", t.url)).bearer(text(&minted["access_token"])).send().await.unwrap();
        assert_eq!((out.status, out.json()), (200, json!({"message": "Logged out"})));
        expect_unauthorized(&me_by_cookie(t, &octavia.token).await);
    })
    .await;
}

#[tokio::test]
async fn tokens_and_webhook_secrets_are_in_the_database_only_sealed() {
    nectr(async |t| {
        let octavia = t.connected().await;
        t.settle().await;
        let minted = mint(&octavia).await;
        let hook = t.github.hooks_of(SHOP).remove(0);
        let secrets = [
            ("the GitHub token", t.github.token_of("octavia")),
            ("the webhook's secret", hook.secret.unwrap().expose_secret().to_owned()),
            ("the cookie", octavia.token.clone()),
            ("a minted token", text(&minted["access_token"]).to_owned()),
        ];
        let dump = dump(t.app.config.database_url.expose_secret()).await;
        let holds = |needle: &str| dump.windows(needle.len()).any(|window| window == needle.as_bytes());
        assert!(holds("octavia") && holds(SHOP), "this dump would show them");
        for (what, secret) in &secrets {
            assert!(!holds(secret), "{what} is readable");
            assert!(!holds(&hex::encode(secret)), "{what} is readable in hex");
            assert!(!holds(&URL_SAFE_NO_PAD.encode(secret)), "{what} is readable in base64");
        }
        for path in ["/auth/me", "/api/v1/repos", "/api/v1/repos/acme/shop", "/api/v1/deliveries"] {
            let answer = octavia.get(path).await.text();
            for (what, secret) in &secrets {
                assert!(!answer.contains(secret.as_str()), "{path} shows {what}");
            }
        }
    })
    .await;
}

/// Everything a thief of the database would have.
async fn dump(database_url: &str) -> Vec<u8> {
    if let Some(path) = database_url.strip_prefix("sqlite://") {
        let parts = ["", "-wal", "-journal"].map(|suffix| std::fs::read(format!("{path}{suffix}")).unwrap_or_default());
        return parts.concat();
    }
    let mut connection = PgConnection::connect(database_url).await.unwrap();
    let tables = "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'";
    let mut all = Vec::new();
    for table in sqlx::query(tables).fetch_all(&mut connection).await.unwrap() {
        let rows = format!("SELECT t::text FROM \"{}\" t", table.get::<String, _>(0));
        for row in sqlx::query(sqlx::AssertSqlSafe(rows)).fetch_all(&mut connection).await.unwrap() {
            all.extend(row.get::<String, _>(0).into_bytes());
        }
    }
    connection.close().await.unwrap();
    all
}

#[tokio::test]
async fn a_new_secret_key_with_the_previous_one_at_hand_changes_nothing_for_anybody() {
    let house = House::build().await;
    let t = house.start(&[]).await;
    let octavia = t.connected().await;
    t.settle().await;
    t.shut_down().await;

    let t = house.start(&[("SECRET_KEY", NEXT_KEY), ("SECRET_KEY_PREVIOUS", KEY)]).await;
    assert_eq!(me_by_cookie(&t, &octavia.token).await.status, 200, "the old session goes on");
    let list = House::ask(&t, Method::GET, "/api/v1/repos", &octavia.token).await;
    assert_eq!((list.status, &list.json()[0]["is_connected"]), (200, &json!(true)), "the old token opens");
    let pr = t.open_pull(|pr| pr.adds("a.txt", "one\n"));
    for mut delivery in t.github.drop_deliveries() {
        // The server has moved to another port, which GitHub's webhook does not know.
        delivery.url = format!("{}/api/v1/webhooks/github", t.url);
        assert_eq!(delivery.send().await.status, Some(202), "the old webhook secret opens");
    }
    t.work().await;
    t.take_review(pr);
    let gone = House::ask(&t, Method::DELETE, "/api/v1/repos/acme/shop/install", &octavia.token).await;
    assert_eq!(gone.status, 200, "{}", gone.text());
    assert!(t.github.hooks_of(SHOP).is_empty());
    t.shut_down().await;
    house.database.remove().await;
}

#[tokio::test]
async fn with_an_unrelated_secret_key_everybody_has_to_sign_in_again() {
    let house = House::build().await;
    let t = house.start(&[]).await;
    let octavia = t.connected().await;
    t.settle().await;
    t.shut_down().await;

    // A token signed with the next key, while what is sealed still needs the first.
    let t = house.start(&[("SECRET_KEY", NEXT_KEY), ("SECRET_KEY_PREVIOUS", KEY)]).await;
    let minted = Request::post(format!("{}/auth/token", t.url))
        .header("Cookie", &format!("access_token={}", octavia.token))
        .header(SAME_ORIGIN.0, SAME_ORIGIN.1)
        .send()
        .await
        .unwrap();
    let minted = text(&minted.json()["access_token"]).to_owned();
    t.shut_down().await;

    let t = house.start(&[("SECRET_KEY", NEXT_KEY)]).await;
    expect_unauthorized(&me_by_cookie(&t, &octavia.token).await);
    assert_eq!(me_by_bearer(&t, &minted).await.status, 200);
    let list = House::ask(&t, Method::GET, "/api/v1/repos", &minted).await;
    expect_problem(&list, 401, "Session expired — please log out and sign in again to reconnect your GitHub account.");
    for method in [Method::POST, Method::DELETE] {
        let answer = House::ask(&t, method, "/api/v1/repos/acme/shop/install", &minted).await;
        expect_problem(&answer, 401, "Session expired — please log out and sign in again.");
    }
    let pr = t.open_pull(|pr| pr.adds("a.txt", "one\n"));
    let mut delivery = t.github.drop_deliveries().remove(0);
    delivery.url = format!("{}/api/v1/webhooks/github", t.url);
    assert_eq!(delivery.send().await.status, Some(503), "the signature may well be right: never 401");

    let octavia = t.sign_in("octavia").await;
    assert_eq!(octavia.see("/api/v1/repos").await[0]["full_name"], SHOP);
    let gone = octavia.delete("/api/v1/repos/acme/shop/install").await;
    assert_eq!(gone.status, 200, "{}", gone.text());
    octavia.connect(SHOP).await;
    t.github.push(pr, |files| files.adds("b.txt", "two\n"));
    t.settle().await;
    t.take_review(pr);
    t.shut_down().await;
    house.database.remove().await;
}
