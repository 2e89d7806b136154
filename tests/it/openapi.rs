//! The committed OpenAPI document is the one the handlers make.

use serde_json::Value;

fn document() -> Value {
    serde_json::from_str(&nectr::api::document_json()).expect("the document is JSON")
}

fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            found.push((path.clone(), method.clone(), operation));
        }
    }
    found
}

#[test]
fn the_committed_document_is_what_the_handlers_make() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi/nectr.json");
    let committed: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(
        committed == document(),
        "the API changed: run `cargo run -- openapi > openapi/nectr.json` and commit what it wrote"
    );
}

#[test]
fn every_operation_has_a_summary_an_id_and_its_errors() {
    let document = document();
    for (path, method, operation) in operations(&document) {
        let summary = operation["summary"].as_str().unwrap_or_default();
        assert!(!summary.is_empty(), "{method} {path} has no summary");
        assert!(operation["operationId"].is_string(), "{method} {path} has no operation id");
        let responses = operation["responses"].as_object().unwrap();
        assert!(!responses.is_empty(), "{method} {path} answers nothing");
        if operation["security"].as_array().is_some_and(|security| !security.is_empty()) {
            assert!(responses.contains_key("401"), "{method} {path} does not document 401");
        }
    }
}

#[test]
fn both_ways_to_sign_in_are_documented() {
    let document = document();
    let schemes: Vec<_> = document["components"]["securitySchemes"]
        .as_object()
        .unwrap()
        .values()
        .map(|scheme| (scheme["type"].as_str().unwrap().to_owned(), scheme["in"].as_str().map(str::to_owned)))
        .collect();
    assert!(schemes.contains(&("http".into(), None)), "{schemes:?}");
    assert!(schemes.contains(&("apiKey".into(), Some("cookie".into()))), "{schemes:?}");
}

#[test]
fn every_route_of_the_contract_is_there() {
    let document = document();
    let there: Vec<_> = operations(&document).into_iter().map(|(path, method, _)| format!("{method} {path}")).collect();
    for route in [
        "get /auth/github",
        "get /auth/github/callback",
        "get /auth/me",
        "post /auth/token",
        "post /auth/logout",
        "get /api/v1/repos",
        "post /api/v1/repos/{owner}/{repo}/install",
        "delete /api/v1/repos/{owner}/{repo}/install",
        "post /api/v1/repos/{owner}/{repo}/rescan",
        "get /api/v1/repos/{owner}/{repo}",
        "get /api/v1/repos/{owner}/{repo}/files",
        "get /api/v1/repos/{owner}/{repo}/graph",
        "get /api/v1/repos/{owner}/{repo}/profile",
        "get /api/v1/repos/{owner}/{repo}/pulls/{number}/state",
        "post /api/v1/repos/{owner}/{repo}/pulls/{number}/review",
        "get /api/v1/reviews",
        "get /api/v1/reviews/{id}",
        "get /api/v1/deliveries",
        "get /api/v1/deliveries/{id}",
        "post /api/v1/deliveries/{id}/redeliver",
        "post /api/v1/webhooks/github",
        "get /health",
        "get /health/live",
        "get /health/ready",
    ] {
        assert!(there.iter().any(|known| known == route), "{route} is missing; there are {there:#?}");
    }
}
