//! HTTP only: types in, types out. No SQL and no decisions about reviews here.
//!
//! `edge` wraps everything: ids, spans, CORS, and the one shape of every answer that is not a success (`error`).
//! `security` says who asks, `params` what they may ask for; then there is one file per family of routes. The receiver
//! of webhooks is the exception to "types in": `incoming`, `body` and `webhooks` take bytes from anybody.

mod auth;
mod body;
mod client;
mod cookies;
mod cors;
mod deliveries;
mod docs;
mod edge;
mod error;
mod health;
mod incoming;
mod knowledge;
mod metrics;
mod page;
mod params;
mod paths;
mod places;
mod pulls;
mod raw_body;
mod repos;
mod reviews;
mod security;
pub mod server;
mod throttle;
mod time;
mod webhook_health;
mod webhooks;
mod wire;
mod yaml;

use std::sync::{Arc, LazyLock};

use poem::{
    Endpoint, EndpointExt, IntoEndpoint, IntoResponse, Request, Response, Route,
    endpoint::make_sync,
    get,
    http::{Method, StatusCode, header},
};
use poem_openapi::Tags;

pub use docs::{document_json, document_yaml};

use crate::app::Handle;
use body::Budget;
use cors::Cors;
use edge::Edge;
use error::Problem;
use page::{Page, Styles};
use throttle::Throttle;
use webhooks::{RECEIVER, Receiver};

/// Families of operations.
#[derive(Tags)]
enum Tag {
    /// Signing in with GitHub, tokens, signing out.
    Auth,
    /// Connecting repositories and seeing how they do.
    Repositories,
    /// One pull request.
    #[oai(rename = "Pull requests")]
    PullRequests,
    /// What was concluded.
    Reviews,
    /// What GitHub sent and what became of it.
    Deliveries,
    /// Where GitHub sends.
    Webhooks,
    /// Probes.
    Health,
}

/// The whole HTTP side of an app.
pub fn app(handle: Handle) -> impl Endpoint {
    let cors = Cors::new(&handle.config.backend_url, &handle.config.frontend_url);
    let budget = Budget::default();
    let receiver = Receiver { app: handle.clone(), budget: budget.clone() };
    let rest = routes().data(handle).data(budget).data(Throttle::default()).data(cors.clone());
    ShortWay { receiver, rest }.with(Edge::new(docs::paths(), cors))
}

/// Leads deliveries straight to the receiver. The routes lead there as well, but what stands before it there took a tenth
/// of the time of a delivery.
struct ShortWay<E> {
    receiver: Receiver,
    rest: E,
}

impl<E: Endpoint> Endpoint for ShortWay<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        if request.method() == Method::POST && request.uri().path() == RECEIVER {
            return self.receiver.call(request).await;
        }
        Ok(self.rest.call(request).await?.into_response())
    }
}

/// What a process without the API answers: how it is, and its numbers.
pub fn probes(handle: Handle) -> impl Endpoint {
    let cors = Cors::new(&handle.config.backend_url, &handle.config.frontend_url);
    probe_routes().data(handle).with(Edge::new(docs::probe_paths(), cors))
}

fn probe_routes() -> Route {
    Route::new()
        .at("/metrics", get(metrics::Scrape))
        .nest_no_strip("/health", docs::probe_service().into_endpoint())
        .at("/*path", make_sync(|_| Err::<(), poem::Error>(Problem::not_found(NO_API).into())))
}

/// What a worker says to whoever wants more of it.
const NO_API: &str = "This process is a worker: it has /health and /metrics; ask a process that serves the API";

fn routes() -> Route {
    static JSON: LazyLock<String> = LazyLock::new(document_json);
    static YAML: LazyLock<String> = LazyLock::new(document_yaml);
    // Made when somebody asks: together they are megabytes that most processes never show.
    static DOCS: LazyLock<Page> = LazyLock::new(docs::swagger_ui);
    static DASHBOARD: LazyLock<Page> =
        LazyLock::new(|| Page::new(include_str!("dashboard.html").to_owned(), Styles::OwnSheetOnly));

    let docs = Arc::new(get(make_sync(|_| DOCS.answer())));
    let api = Arc::new(docs::service().into_endpoint());
    Route::new()
        .at("/", get(make_sync(|_| to_dashboard())))
        .at("/dashboard", get(make_sync(|_| DASHBOARD.answer())))
        .at("/metrics", get(metrics::Scrape))
        .at("/docs", docs.clone())
        .at("/docs/", docs)
        .at("/openapi.json", get(make_sync(|_| docs::file("application/json", JSON.as_str()))))
        .at("/openapi.yaml", get(make_sync(|_| docs::file("application/yaml", YAML.as_str()))))
        .nest_no_strip("/api", api.clone())
        .nest_no_strip("/auth", api.clone())
        .nest_no_strip("/health", api)
}

fn to_dashboard() -> Response {
    Response::builder().status(StatusCode::FOUND).header(header::LOCATION, "/dashboard").finish()
}

#[cfg(test)]
mod tests {
    use poem::test::TestClient;

    use super::*;

    #[tokio::test]
    async fn every_page_and_every_documented_path_has_somebody_behind_it() {
        let client = TestClient::new(routes());
        let home = client.get("/").send().await;
        home.assert_status(StatusCode::FOUND);
        home.assert_header("location", "/dashboard");
        for page in ["/dashboard", "/docs", "/docs/", "/openapi.json", "/openapi.yaml", "/health/live"] {
            client.get(page).send().await.assert_status_is_ok();
        }
        for path in docs::paths().patterns() {
            let answer = client.get(path.replace(['{', '}'], "")).send().await;
            assert_ne!(answer.0.status(), StatusCode::NOT_FOUND, "{path}");
        }
    }

    #[test]
    fn the_short_way_leads_where_the_documented_one_does() {
        let path = docs::paths().find(RECEIVER).map(|path| path.pattern().to_owned());
        assert_eq!(path.as_deref(), Some(RECEIVER));
    }

    #[tokio::test]
    async fn the_dashboard_runs_its_own_script_and_asks_nobody_but_us() {
        let page = TestClient::new(routes()).get("/dashboard").send().await;
        let policy = page.0.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap_or_default().to_owned();
        assert!(policy.contains("script-src 'sha256-") && policy.contains("style-src 'sha256-"), "{policy}");
        assert!(policy.contains("connect-src 'self'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        let html = include_str!("dashboard.html");
        for forbidden in ["innerHTML", " style=", " onclick=", "http://", "src="] {
            assert!(!html.contains(forbidden), "{forbidden}");
        }
    }
}
