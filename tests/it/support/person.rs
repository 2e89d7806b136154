//! Somebody with a browser.

use http::Method;
use nectr::sandbox::{
    Sandbox,
    http::{Request, Response},
};
use serde_json::Value;

/// A person who signed in; asks with their cookie, as the dashboard does.
#[derive(Clone)]
pub struct Person {
    url: String,
    /// The value of the `access_token` cookie: a JWT.
    pub token: String,
}

impl Person {
    /// Goes through GitHub's authorize page as `login`.
    pub async fn sign_in(url: &str, github: &Sandbox, login: &str) -> Self {
        github.browser_user(login);
        let begun = Request::get(format!("{url}/auth/github")).send().await.unwrap();
        assert_eq!(begun.status, 302, "{}", begun.text());
        let cookies = cookies(&begun);
        let page = Request::get(location(&begun)).send().await.unwrap();
        assert_eq!(page.status, 302, "{}", page.text());
        let done = Request::get(location(&page)).header("Cookie", &cookies).send().await.unwrap();
        assert_eq!(done.status, 302, "{}", done.text());
        let token = cookie(&done, "access_token").expect("signing in sets the access_token cookie");
        Self { url: url.to_owned(), token }
    }

    /// A browser that has this cookie.
    pub fn browsing(url: &str, token: &str) -> Self {
        Self { url: url.to_owned(), token: token.to_owned() }
    }

    /// A request to a path, with the cookie and the header a browser adds to a page's own requests.
    pub fn request(&self, method: Method, path: &str) -> Request {
        Request::new(method, format!("{}{path}", self.url))
            .header("Cookie", &format!("access_token={}", self.token))
            .header("Sec-Fetch-Site", "same-origin")
    }

    pub async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    pub async fn post(&self, path: &str) -> Response {
        self.request(Method::POST, path).send().await.unwrap()
    }

    pub async fn delete(&self, path: &str) -> Response {
        self.request(Method::DELETE, path).send().await.unwrap()
    }

    /// The JSON at a path that must answer 200.
    #[track_caller]
    pub fn see(&self, path: &str) -> impl Future<Output = Value> {
        let asked = self.get(path);
        let path = path.to_owned();
        async move {
            let answer = asked.await;
            assert_eq!(answer.status, 200, "GET {path}: {}", answer.text());
            answer.json()
        }
    }

    /// Connects a repository; returns the installation's id.
    pub async fn connect(&self, repo: &str) -> i64 {
        let answer = self.post(&format!("/api/v1/repos/{repo}/install")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["installation_id"].as_i64().unwrap()
    }
}

/// Where an answer sends the browser.
#[track_caller]
pub fn location(answer: &Response) -> String {
    answer.header("location").expect("a redirect says where to").to_owned()
}

/// The cookies an answer sets, as the next request sends them.
pub fn cookies(answer: &Response) -> String {
    set_cookies(answer).map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
}

/// One cookie an answer sets.
pub fn cookie(answer: &Response, name: &str) -> Option<String> {
    set_cookies(answer).find(|(known, _)| known == name).map(|(_, value)| value)
}

fn set_cookies(answer: &Response) -> impl Iterator<Item = (String, String)> {
    answer.headers.get_all("set-cookie").into_iter().filter_map(|header| {
        let (name, value) = header.to_str().ok()?.split(';').next()?.split_once('=')?;
        Some((name.trim().to_owned(), value.trim().to_owned()))
    })
}
