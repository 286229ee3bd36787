//! Owns what is refused before anything is looked at: bodies, types, sizes, paths, methods, queries.

use super::{client_id, path, problem};
use crate::support::app::{TestApp, export};
use crate::support::db::both_databases;
use serde_json::Value;

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

both_databases! {
    async fn a_head_without_end_is_refused(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let get = |length: usize| app.http.get(format!("{}/healthz", app.url)).header("x-padding", "p".repeat(length)).send();
        assert_eq!(get(32 * 1024).await.unwrap().status(), 200);
        assert_eq!(get(96 * 1024).await.unwrap().status(), 431);
        app.finish().await;
    }

    async fn what_is_no_json_is_malformed_on_every_post(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let agent = app.client("agent");
        let admin = app.client("admin");
        let bob = app.person("bob@example.com").await;
        let request = path(&agent.asks(&export()).await);
        let client = format!("/v1/clients/{}", client_id(&app, "other").await);
        let calls = [
            (&agent, "/v1/requests".to_owned()),
            (&agent, "/v1/evaluate".to_owned()),
            (&agent, format!("{request}/cancel")),
            (&agent, format!("{request}/revoke")),
            (&agent, format!("{request}/outcome")),
            (&bob, format!("{request}/reviews")),
            (&agent, "/v1/grants/redeem".to_owned()),
            (&agent, "/v1/grants/introspect".to_owned()),
            (&admin, "/v1/clients".to_owned()),
            (&admin, format!("{client}/keys")),
            (&admin, format!("{client}/freeze")),
            (&admin, format!("{client}/unfreeze")),
        ];
        let bodies: [&[u8]; 9] = [
            b"{",
            b"nul",
            b"{} {}",
            b"{\"a\": \"\xff\"}",
            b"\xff\xfe",
            b"{\"a\": \"\\ud800\"}",
            b"{\"a\": \"\\udc00\\ud800\"}",
            b"{\"a\": 1e400}",
            b"{\"a\": NaN}",
        ];
        for (who, path) in &calls {
            for body in bodies {
                let answer = who.raw("POST", path, Some(body.to_vec()), &JSON).await;
                assert_eq!(answer.status, 400, "{path} {}: {}", String::from_utf8_lossy(body), answer.body);
                problem(answer, 400, "malformed");
            }
            problem(who.raw("POST", path, Some(b"{}".to_vec()), &[("content-type", "text/plain")]).await, 415, "unsupported_media_type");
        }
        // Where a body is needed, none is malformed; where it is optional, none is fine.
        for who in ["/v1/requests", "/v1/evaluate", "/v1/grants/redeem"] {
            problem(agent.raw("POST", who, Some(Vec::new()), &JSON).await, 400, "malformed");
        }
        assert_eq!(agent.reads(&Value::from(request.trim_start_matches("/v1/requests/"))).await["status"], "pending");
        app.finish().await;
    }

    async fn what_is_ambiguous_or_of_the_wrong_type_is_pointed_at(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let agent = app.client("agent");
        let deep = format!("{}1{}", "{\"a\":".repeat(33), "}".repeat(33));
        let rows = [
            (r#"{"action": "a.b", "action": "a.c"}"#.to_owned(), "/action"),
            (r#"{"action": "a.b", "parameters": {"x": {"y": 1, "y": 1}}}"#.to_owned(), "/parameters/x/y"),
            (r#"{"action": "a.b", "parameters": {"n": 9007199254740992}}"#.to_owned(), "/parameters/n"),
            (r#"{"action": "a.b", "parameters": {"n": -9007199254740992}}"#.to_owned(), "/parameters/n"),
            (r#"{"action": "a.b", "parameters": {"n": 9007199254740992.0}}"#.to_owned(), "/parameters/n"),
            (r#"{"action": "a.b", "parameters": {"n": 9.007199254740992e15}}"#.to_owned(), "/parameters/n"),
            (r#"{"action": "a.b", "parameters": {"n": [1, 1e300]}}"#.to_owned(), "/parameters/n/1"),
            (r#"{"action": "a.b", "parameters": {"n": 123456789012345678901234567890}}"#.to_owned(), "/parameters/n"),
            (r#"{"action": "a.b", "paramters": {}}"#.to_owned(), "/paramters"),
            (r#"{"action": "a.b", "grant": {"audience": "agent", "tll": 20}}"#.to_owned(), "/grant/tll"),
            (r#"{"parameters": {}}"#.to_owned(), "/action"),
            (r#"{"action": "A.b"}"#.to_owned(), "/action"),
            (r#"{"action": "a..b"}"#.to_owned(), "/action"),
            (r#"{"action": 7}"#.to_owned(), "/action"),
            (r#"{"action": "a.b", "parameters": []}"#.to_owned(), "/parameters"),
            (r#"{"action": "a.b", "resource": "table"}"#.to_owned(), "/resource"),
            (r#"{"action": "a.b", "resource": {"type": "Table"}}"#.to_owned(), "/resource/type"),
            (r#"{"action": "a.b", "resource": {"id": 1}}"#.to_owned(), "/resource/id"),
            (r#"{"action": "a.b", "resource": {"environment": "-prod"}}"#.to_owned(), "/resource/environment"),
            (r#"{"action": "a.b", "allowed_decisions": ["approve"]}"#.to_owned(), "/allowed_decisions"),
            (r#"{"action": "a.b", "allowed_decisions": ["deny", "aprove"]}"#.to_owned(), "/allowed_decisions/1"),
            (r#"{"action": "a.b", "edit_schema": {"type": "object", "properties": {"a": {"pattern": "x"}}}}"#.to_owned(), "/edit_schema/properties/a/pattern"),
            (r#"{"action": "a.b", "parameters": {"a": 1}, "sensitive": ["/b"]}"#.to_owned(), "/sensitive/0"),
            (r#"{"action": "a.b", "expires_in": 9}"#.to_owned(), "/expires_in"),
            (r#"{"action": "a.b", "expires_in": 2592001}"#.to_owned(), "/expires_in"),
            (r#"{"action": "a.b", "expires_in": 60.5}"#.to_owned(), "/expires_in"),
            (r#"{"action": "a.b", "links": [{"title": "x", "url": "http://example.com"}]}"#.to_owned(), "/links/0/url"),
            (r#"{"action": "a.b", "links": [{"title": "x", "url": "https://example.com", "rel": "x"}]}"#.to_owned(), "/links/0/rel"),
            (r#"{"action": "a.b", "deny_options": [{"name": "x"}]}"#.to_owned(), "/deny_options/0/title"),
            (r#"{"action": "a.b", "callback": {"url": "https://caller.example.com/cs", "events": ["decided"]}}"#.to_owned(), "/callback/events/0"),
            (r#"{"action": "a.b", "state": {}}"#.to_owned(), "/state"),
            (format!(r#"{{"action": "a.b", "parameters": {deep}}}"#), "/parameters"),
            (format!(r#"{{"action": "{}"}}"#, "a".repeat(129)), "/action"),
            (format!(r#"{{"action": "a.b", "summary": "{}"}}"#, "s".repeat(301)), "/summary"),
            (format!(r#"{{"action": "a.b", "justification": "{}"}}"#, "s".repeat(4001)), "/justification"),
            (format!(r#"{{"action": "a.b", "context": {{"a": "{}"}}}}"#, "s".repeat(16 * 1024)), "/context"),
            (format!(r#"{{"action": "a.b", "agent": {{"a": "{}"}}}}"#, "s".repeat(4 * 1024)), "/agent"),
            (format!(r#"{{"action": "a.b", "state": "{}"}}"#, "s".repeat(64 * 1024 + 1)), "/state"),
            (format!(r#"{{"action": "a.b", "parameters": {{"a": "{}"}}}}"#, "s".repeat(64 * 1024)), "/parameters"),
        ];
        for (body, pointer) in rows {
            for path in ["/v1/requests", "/v1/evaluate"] {
                let answer = agent.send("POST", path, Some(body.clone()), &[]).await;
                assert_eq!(answer.status, 422, "{} {}", body.get(..200).unwrap_or(&body), answer.body);
                let pointers = problem(answer, 422, "invalid_request");
                assert!(pointers.iter().any(|found| found == pointer), "{pointers:?} lacks {pointer}");
            }
        }
        assert_eq!(super::requests(&app).await, 0);
        // The limits themselves are fine.
        let most = format!(
            r#"{{"action": "{}", "summary": "{}", "justification": "{}", "state": "{}", "expires_in": 2592000, "parameters": {{"n": 9007199254740991, "m": -9007199254740991.0}}}}"#,
            "a".repeat(128), "ü".repeat(300), "ü".repeat(4000), "s".repeat(64 * 1024)
        );
        agent.send("POST", "/v1/requests", Some(most), &[("content-type", "application/json; charset=utf-8")]).await.expect(201);
        app.finish().await;
    }

    async fn sizes_methods_paths_and_queries(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let agent = app.client("agent");
        for size in [256 * 1024 + 1, 300 * 1024, 3 * 1024 * 1024] {
            let body = format!(r#"{{"action": "a.b", "state": "{}"}}"#, "s".repeat(size));
            problem(agent.send("POST", "/v1/requests", Some(body), &[]).await, 413, "too_large");
        }
        let request = agent.asks(&export()).await;
        for missing in ["/", "/v1", "/v2/requests", "/v1/requests/", "/v1/requests/x/y/z"] {
            problem(agent.get(missing).await, 404, "not_found");
        }
        for unknown in ["req_nothing", "x", "req_00000000000000000000000000", "%00", "req_%zz"] {
            problem(agent.get(&format!("/v1/requests/{unknown}")).await, 404, "not_found");
        }
        problem(agent.get("/v1/requests/%ff").await, 400, "malformed");
        problem(app.client("admin").call("DELETE", "/v1/clients/%ff", None).await, 400, "malformed");
        problem(app.client("admin").call("DELETE", "/v1/clients/nobody", None).await, 404, "not_found");
        for (method, path) in [("PUT", "/v1/requests"), ("DELETE", "/v1/requests"), ("POST", "/healthz"), ("GET", "/v1/grants/redeem"), ("PATCH", "/v1/policy")] {
            let answer = agent.call(method, path, None).await;
            assert!(answer.headers.contains_key("allow"), "{method} {path} does not say what is allowed");
            problem(answer, 405, "method_not_allowed");
        }
        for query in [
            "wait=soon", "wait=", "wait=-1", "wait=1.5", "after_version=x", "after_version=-1", "wait=1&wait=2",
        ] {
            problem(agent.get(&format!("{}?{query}", path(&request))).await, 400, "malformed");
        }
        problem(agent.send("GET", &path(&request), None, &[("prefer", "wait=soon")]).await, 400, "malformed");
        problem(agent.send("POST", "/v1/requests?wait=soon", Some(export().to_string()), &[]).await, 400, "malformed");
        for query in [
            "limit=0", "limit=x", "limit=-1", "limit=", "cursor=x", "status=open", "reviewer=bob", "reviewer=me", "action=%00", "q=%00", "client=%00", "limit=1&limit=2",
        ] {
            problem(agent.get(&format!("/v1/requests?{query}")).await, 400, "malformed");
        }
        for query in ["after=x", "after=-1", "after=18446744073709551615", "from=yesterday", "to=x", "request=x", "type=%00", "person=%00", "limit=0"] {
            problem(app.client("reader").get(&format!("/v1/audit/events?{query}")).await, 400, "malformed");
        }
        problem(app.client("admin").get("/v1/clients?cursor=x").await, 400, "malformed");
        assert_eq!(super::requests(&app).await, 1);
        let head = agent.call("HEAD", &path(&request), None).await;
        assert_eq!((head.status, head.body), (200, Value::from("")));
        app.finish().await;
    }
}
