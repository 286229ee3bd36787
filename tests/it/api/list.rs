//! Owns the list of requests: filters, pages, and what each caller finds there.

use super::problem;
use crate::support::app::{ApiClient, TestApp, export};
use crate::support::db::both_databases;
use serde_json::{Value, json};

async fn ids(who: &ApiClient<'_>, query: &str) -> Vec<Value> {
    let page = who.get(&format!("/v1/requests{query}")).await.expect(200).body;
    page["items"].as_array().unwrap().iter().map(|request| request["id"].clone()).collect()
}

both_databases! {
    async fn filters_narrow_and_combine(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (agent, other, reader) = (app.client("agent"), app.client("other"), app.client("reader"));
        let first = agent.asks(&export()).await;
        app.clock.advance(std::time::Duration::from_millis(1));
        let second = agent.asks(&json!({"action": "db.drop", "resource": {"id": "100%_Done"}})).await;
        app.clock.advance(std::time::Duration::from_millis(1));
        let third = other.asks(&json!({"action": "misc.thing", "summary": "Ünïcode"})).await;
        let (first, second, third) = (first["id"].clone(), second["id"].clone(), third["id"].clone());
        assert_eq!(ids(&reader, "").await, [third.clone(), second.clone(), first.clone()]);
        assert_eq!(ids(&reader, "?status=").await.len(), 3);
        assert_eq!(ids(&reader, "?status=pending").await, [third.clone(), first.clone()]);
        assert_eq!(ids(&reader, "?status=denied,pending").await.len(), 3);
        assert_eq!(ids(&reader, "?status=approved").await, [Value::Null; 0]);
        assert_eq!(ids(&reader, "?action=db.export").await, std::slice::from_ref(&first));
        assert_eq!(ids(&reader, "?action=db.%25").await, [Value::Null; 0]);
        assert_eq!(ids(&reader, "?client=other").await, std::slice::from_ref(&third));
        let id = super::client_id(&app, "agent").await;
        assert_eq!(ids(&reader, &format!("?client={id}&status=denied")).await, std::slice::from_ref(&second));
        assert_eq!(ids(&reader, "?client=nobody").await, [Value::Null; 0]);
        for (q, found) in [("CUSTOMERS", &first), ("100%25_d", &second), ("partner%20bucket", &first), ("misc", &third)] {
            assert_eq!(ids(&reader, &format!("?q={q}")).await, std::slice::from_ref(found), "{q}");
        }
        assert_eq!(ids(&reader, "?q=other").await, std::slice::from_ref(&third));
        assert_eq!(ids(&reader, "?q=%25").await, std::slice::from_ref(&second));
        // A client without requests:read finds its own, whatever it asks for.
        assert_eq!(ids(&agent, "").await, [second, first]);
        assert_eq!(ids(&agent, "?client=other").await, [Value::Null; 0]);
        problem(app.client("executor").get("/v1/requests").await, 403, "missing_scope");
        // No list ever shows a grant.
        agent.asks(&json!({"action": "db.read"})).await;
        for item in agent.get("/v1/requests").await.expect(200).body["items"].as_array().unwrap() {
            assert_eq!(item["grant"], Value::Null);
        }
        app.finish().await;
    }

    async fn pages_hold_still_while_requests_come_in(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (agent, reader) = (app.client("agent"), app.client("reader"));
        let mut asked = Vec::new();
        for number in 0..7 {
            app.clock.advance(std::time::Duration::from_millis(1));
            asked.push(agent.asks(&json!({"action": format!("db.read-{number}"), "expires_in": 60})).await["id"].clone());
        }
        asked.reverse();
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = reader.get(&format!("/v1/requests?limit=3{cursor}")).await.expect(200).body;
            found.extend(page["items"].as_array().unwrap().iter().map(|item| item["id"].clone()));
            app.clock.advance(std::time::Duration::from_millis(1));
            agent.asks(&json!({"action": "db.later"})).await;
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(found, asked);
        let page = reader.get("/v1/requests?limit=10").await.expect(200).body;
        assert_eq!((page["items"].as_array().unwrap().len(), &page["next_cursor"]), (10, &Value::Null));
        assert_eq!(ids(&reader, "?limit=99999999999999999999999").await.len(), 10);
        app.finish().await;
    }

    async fn persons_find_what_concerns_them(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let agent = app.client("agent");
        let single = agent.asks(&export()).await;
        app.clock.advance(std::time::Duration::from_millis(1));
        let dual = agent.asks(&json!({"action": "dual.export", "on_behalf_of": "grace@example.com"})).await;
        let (one, two) = (single["id"].clone(), dual["id"].clone());
        let (bob, carol) = (app.person("bob@example.com").await, app.person("carol@example.com").await);
        let (grace, frank) = (app.person("grace@example.com").await, app.person("frank@example.com").await);
        assert_eq!(ids(&carol, "").await, std::slice::from_ref(&two));
        assert_eq!(ids(&bob, "").await, [two.clone(), one.clone()]);
        assert_eq!(ids(&frank, "").await, [two.clone(), one.clone()]);
        assert_eq!(ids(&app.person("erin@example.com").await, "").await, [Value::Null; 0]);
        assert_eq!(ids(&frank, "?reviewer=me").await, [Value::Null; 0]);
        // Grace never approves what is for her; Alice nothing that her client asks.
        assert_eq!(ids(&grace, "?reviewer=me").await, std::slice::from_ref(&one));
        assert_eq!(ids(&app.person("alice@example.com").await, "?reviewer=me").await, [Value::Null; 0]);
        assert_eq!(ids(&bob, "?reviewer=me").await, [two.clone(), one.clone()]);
        bob.reviews(&dual, "approve").await.expect(201);
        assert_eq!(ids(&bob, "?reviewer=me").await, std::slice::from_ref(&one));
        assert_eq!(ids(&carol, "?reviewer=me").await, [two]);
        bob.reviews(&single, "deny").await.expect(201);
        assert_eq!(ids(&bob, "?reviewer=me").await, [Value::Null; 0]);
        assert_eq!(ids(&bob, "?limit=1").await.len(), 1);
        problem(bob.get("/v1/requests?reviewer=bob").await, 400, "malformed");
        app.finish().await;
    }
}
