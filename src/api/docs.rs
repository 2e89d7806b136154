//! The OpenAPI document, and the pages that show it.
//!
//! The routes describe themselves; what holds for whole families of them is added here: no user, a parameter that
//! cannot be read, our fault. The document is the same whether or not a server runs.

use std::sync::LazyLock;

use poem::{Response, http::header};
use poem_openapi::{LicenseObject, OpenApi, OpenApiService, ServerObject};
use serde_json::{Map, Value, json};

use super::{
    auth::AuthApi,
    deliveries::DeliveriesApi,
    health::HealthApi,
    knowledge::KnowledgeApi,
    page::{Page, Styles},
    paths::Paths,
    pulls::PullsApi,
    repos::ReposApi,
    reviews::ReviewsApi,
    webhook_health::WebhookHealthApi,
    webhooks::WebhooksApi,
    yaml::to_yaml,
};

const ABOUT: &str = "nectr turns GitHub webhooks into pull-request reviews.

* Every answer that is not a success is `{\"detail\": \"...\"}`, one sentence a person can act on.
* Every answer carries `X-Request-Id`; send your own to find a request again (letters, digits, dots, dashes, underscores).
* Lists are pages: pass `next_cursor` as `cursor` until it is null.
* Times are RFC 3339 in UTC.";

/// Everything that is in the document.
pub(super) type Api =
    (AuthApi, ReposApi, WebhookHealthApi, KnowledgeApi, PullsApi, ReviewsApi, DeliveriesApi, WebhooksApi, HealthApi);

pub(super) fn service() -> OpenApiService<Api, ()> {
    let api = (
        AuthApi,
        ReposApi,
        WebhookHealthApi,
        KnowledgeApi,
        PullsApi,
        ReviewsApi,
        DeliveriesApi,
        WebhooksApi,
        HealthApi,
    );
    OpenApiService::new(api, "nectr", env!("CARGO_PKG_VERSION"))
        .description(ABOUT)
        .license(LicenseObject::new("MIT").url("https://opensource.org/license/mit"))
        .server(ServerObject::new("/").description("This server"))
}

/// The part of it that every process answers.
pub(super) fn probe_service() -> OpenApiService<HealthApi, ()> {
    OpenApiService::new(HealthApi, "nectr", env!("CARGO_PKG_VERSION"))
}

/// The document as JSON, indented.
pub fn document_json() -> String {
    let mut text = serde_json::to_string_pretty(&*DOCUMENT).unwrap_or_default();
    text.push('\n');
    text
}

/// The document as YAML.
pub fn document_yaml() -> String {
    to_yaml(&DOCUMENT)
}

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| completed(&service().spec()));

/// The paths of the API and of the pages beside it.
pub(super) fn paths() -> Paths {
    known::<Api>(&["/", "/dashboard", "/metrics", "/docs", "/docs/", "/openapi.json", "/openapi.yaml"])
}

/// The paths of a process without the API.
pub(super) fn probe_paths() -> Paths {
    known::<HealthApi>(&["/metrics"])
}

fn known<A: OpenApi>(pages: &[&str]) -> Paths {
    let documented = A::meta().into_iter().flat_map(|api| api.paths).flat_map(|path| {
        let methods = path.operations.into_iter().map(|operation| operation.method);
        methods.map(|method| (path.path.clone(), method)).collect::<Vec<_>>()
    });
    Paths::new(documented.chain(pages.iter().map(|page| ((*page).to_owned(), poem::http::Method::GET))))
}

/// Swagger UI over the completed document.
pub(super) fn swagger_ui() -> Page {
    let service = service();
    let html = service.swagger_ui_html().replacen(&service.spec(), document_json().trim_end(), 1);
    let html = html.replacen("<html charset=\"UTF-8\">", "<!doctype html>\n<html lang=\"en\">", 1);
    Page::new(html.replacen("Swagger UI", "nectr API", 1), Styles::Attributes)
}

/// The document, as a download.
pub(super) fn file(content_type: &'static str, text: &'static str) -> Response {
    Response::builder().content_type(content_type).header(header::CACHE_CONTROL, "no-cache").body(text)
}

/// The framework's document with what it does not know.
fn completed(spec: &str) -> Value {
    let mut document: Value = serde_json::from_str(spec).unwrap_or_default();
    for schema in objects(document.pointer_mut("/components/schemas")) {
        refer(schema);
    }
    for path in objects(document.get_mut("paths")) {
        for (method, operation) in path.iter_mut() {
            if let Some(operation) = operation.as_object_mut() {
                complete(method, operation);
            }
        }
    }
    whole_numbers(&mut document);
    document
}

/// The framework writes every bound as a float.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(whole) = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0) {
                *value = (whole as i64).into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(fields) => fields.values_mut().for_each(whole_numbers),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// Fields that may be missing are written as null, and a reference is `allOf` with nothing else in it: the framework adds
/// the description once more, which generators of clients take for a second type, and leave out what holds the field.
fn refer(schema: &mut Map<String, Value>) {
    let required = schema.get("required").cloned().unwrap_or_default();
    let is_required = |name: &str| required.as_array().is_some_and(|names| names.iter().any(|known| known == name));
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for (name, property) in properties.iter_mut() {
        let nullable = !is_required(name);
        if nullable && let Some(reference) = property.get("$ref").cloned() {
            *property = json!({ "allOf": [{ "$ref": reference }] });
        } else if let Some(reference) = property.pointer("/allOf/0").cloned() {
            property["allOf"] = json!([reference]);
        }
        if nullable {
            property["nullable"] = true.into();
        }
    }
}

fn complete(method: &str, operation: &mut Map<String, Value>) {
    let by_cookie = operation.contains_key("security");
    // Said rather than left out: it is open on purpose.
    operation.entry("security").or_insert_with(|| json!([]));
    let changes = !matches!(method, "get" | "head");
    let mut reads = false;
    for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
        reads |= parameter["in"] != "header";
        if parameter["in"] == "header" {
            parameter["name"] = header_name(&parameter["name"]).into();
        }
    }
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    let families = [
        (by_cookie, "401", "Unauthorized"),
        (by_cookie && changes, "403", "With the cookie this must come from a page of this server"),
        (reads, "422", "A parameter cannot be read"),
        (true, "500", "Something went wrong on our side; the sentence names the request to ask about"),
    ];
    for (applies, status, description) in families {
        if applies && !responses.contains_key(status) {
            responses.insert(status.to_owned(), problem(description));
        }
    }
    responses.sort_keys();
    for (status, response) in responses.iter_mut() {
        if response["description"] == "" {
            response["description"] = "Done.".into();
        }
        // Clients look the type up as it stands, and none looks for a charset.
        if let Some(content) = response.get_mut("content").and_then(Value::as_object_mut)
            && let Some(json) = content.remove("application/json; charset=utf-8")
        {
            content.insert("application/json".to_owned(), json);
        }
        let mut headers = Map::new();
        for (name, header) in response.get("headers").and_then(Value::as_object).into_iter().flatten() {
            headers.insert(header_name(&name.as_str().into()), header.clone());
        }
        if status == "401" && by_cookie {
            headers
                .insert("WWW-Authenticate".to_owned(), a_header("`Bearer`, unless GitHub's consent is what expired"));
        }
        if matches!(status.as_str(), "503") && method == "post" {
            headers.insert("Retry-After".to_owned(), a_header("Seconds to wait, where waiting helps"));
        }
        if !headers.is_empty() {
            response["headers"] = headers.into();
        }
    }
}

fn problem(description: &str) -> Value {
    let schema = json!({ "$ref": "#/components/schemas/Error" });
    json!({ "description": description, "content": { "application/json": { "schema": schema } } })
}

fn a_header(description: &str) -> Value {
    json!({ "description": description, "schema": { "type": "string" } })
}

/// The framework shouts header names; written as everybody writes them.
fn header_name(name: &Value) -> String {
    let word = |word: &str| match word {
        "GITHUB" => "GitHub".to_owned(),
        "ID" | "WWW" => word.to_owned(),
        _ => word.get(..1).unwrap_or_default().to_owned() + &word.get(1..).unwrap_or_default().to_lowercase(),
    };
    name.as_str().unwrap_or_default().split('-').map(word).collect::<Vec<_>>().join("-")
}

fn objects(map: Option<&mut Value>) -> impl Iterator<Item = &mut Map<String, Value>> {
    map.and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn operations() -> Vec<(String, Map<String, Value>)> {
        let paths = DOCUMENT["paths"].as_object().unwrap();
        let of = |(path, methods): (&String, &Value)| {
            let operations = methods.as_object().unwrap().iter();
            operations.map(|(m, o)| (format!("{m} {path}"), o.as_object().unwrap().clone())).collect::<Vec<_>>()
        };
        paths.iter().flat_map(of).collect()
    }

    #[test]
    fn every_operation_has_a_name_a_summary_and_all_its_answers() {
        for (route, operation) in operations() {
            assert!(operation["operationId"].is_string() && operation["summary"].is_string(), "{route}");
            assert!(operation["tags"].as_array().is_some_and(|tags| tags.len() == 1), "{route}");
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.keys().any(|status| status.starts_with(['2', '3'])), "{route}");
            assert!(responses.contains_key("500"), "{route}");
            for (status, response) in responses {
                assert_ne!(response["description"], "", "{route} {status}");
                if status.starts_with(['4', '5']) && !(route == "get /health" && status == "503") {
                    let schema = &response["content"]["application/json"]["schema"]["$ref"];
                    assert_eq!(schema, "#/components/schemas/Error", "{route} {status}");
                }
            }
            if operation["security"] != json!([]) {
                assert!(responses.contains_key("401"), "{route}");
                assert_eq!(route.starts_with("get"), !responses.contains_key("403"), "{route}");
            }
        }
    }

    #[test]
    fn closed_lists_are_closed_in_the_document_too() {
        let words = |schema: &str| DOCUMENT["components"]["schemas"][schema]["enum"].clone();
        assert_eq!(
            words("DeliveryStatus"),
            json!(["queued", "running", "completed", "ignored", "superseded", "failed", "dead"])
        );
        assert_eq!(words("ReviewStatus"), json!(["posted", "unchanged", "cancelled", "failed"]));
        assert_eq!(words("Verdict"), json!(["APPROVE", "REQUEST_CHANGES", "NEEDS_DISCUSSION"]));
        assert_eq!(words("ReviewEvent"), json!(["APPROVE", "REQUEST_CHANGES", "COMMENT"]));
        assert_eq!(words("Side"), json!(["LEFT", "RIGHT"]));
    }

    #[test]
    fn every_moment_is_one_in_the_document() {
        let schemas = DOCUMENT["components"]["schemas"].as_object().unwrap();
        let properties = schemas.iter().filter_map(|(schema, it)| Some((schema, it["properties"].as_object()?)));
        let mut moments = 0;
        for (schema, properties) in properties {
            let at = |name: &str| name == "at" || name.ends_with("_at") || name.ends_with("_until");
            for (name, property) in properties.iter().filter(|(name, it)| at(name) && it["type"] == "string") {
                assert_eq!(property["format"], "date-time", "{schema}.{name}");
                moments += 1;
            }
        }
        assert!(moments > 15, "{moments}");
    }

    #[test]
    fn a_field_that_refers_has_one_type() {
        let property = |path: &str| DOCUMENT.pointer(&format!("/components/schemas/{path}")).unwrap();
        let status =
            json!({ "description": "Where it stands.", "allOf": [{ "$ref": "#/components/schemas/DeliveryStatus" }] });
        assert_eq!(property("Delivery/properties/status"), &status);
        let verdict = property("Review/properties/verdict");
        assert_eq!(verdict["allOf"], json!([{ "$ref": "#/components/schemas/Verdict" }]));
        assert_eq!(verdict["nullable"], true);
    }

    #[test]
    fn a_user_is_a_bearer_or_a_cookie_and_tokens_are_minted_by_cookie_only() {
        let security = |route: &str| operations().into_iter().find(|(r, _)| r == route).unwrap().1["security"].clone();
        assert_eq!(security("get /auth/me"), json!([{ "bearer": [] }, { "cookie": [] }]));
        assert_eq!(security("post /auth/token"), json!([{ "cookie": [] }]));
        assert_eq!(security("post /api/v1/webhooks/github"), json!([]));
        assert_eq!(DOCUMENT["components"]["securitySchemes"]["bearer"]["bearerFormat"], "JWT");
    }

    #[test]
    fn headers_are_written_as_github_writes_them() {
        let name = |shouted: &str| header_name(&shouted.into());
        assert_eq!(name("X-GITHUB-HOOK-ID"), "X-GitHub-Hook-ID");
        assert_eq!(name("X-HUB-SIGNATURE-256"), "X-Hub-Signature-256");
        assert_eq!(name("SET-COOKIE"), "Set-Cookie");
    }

    #[test]
    fn swagger_ui_shows_this_document_and_loads_nothing_from_anywhere() {
        let page = service().swagger_ui_html();
        assert!(page.contains(&service().spec()), "the document is no longer inlined as it was");
        for from_elsewhere in ["<script src", "<link ", "@import"] {
            assert!(!page.contains(from_elsewhere), "{from_elsewhere}");
        }
    }
}
