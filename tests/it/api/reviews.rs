//! Owns what people do to a request: approve, deny, edit, comment, and every way in which they may not.

use super::{editable, path, problem, review};
use crate::support::app::{DIRECTORY, Options, POLICY, TestApp, export};
use crate::support::db::both_databases;
use serde_json::{Value, json};

/// More rows need security as well; too many are denied.
fn sized() -> String {
    format!(
        "{POLICY}\n[[rule]]\nid = \"big\"\neffect = \"review\"\nmatch = {{ action = \"sized.*\" }}\nwhen = \"parameters.rows > 1000\"\nseats = [{{ group = \"security\", count = 1 }}]\n\n[[rule]]\nid = \"huge\"\neffect = \"deny\"\nmatch = {{ action = \"sized.*\" }}\nwhen = \"parameters.rows > 100000\"\n"
    )
}

both_databases! {
    async fn an_approval_needs_the_whole_present_digest(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let agent = app.client("agent");
        let bob = app.person("bob@example.com").await;
        let mine = agent.asks(&export()).await;
        let stale = format!("sha256:{}", "ab".repeat(32));
        assert_eq!(problem(review(&bob, &mine, &json!({"decision": "approve"})).await, 422, "digest_required"), ["/digest"]);
        assert_eq!(problem(review(&bob, &mine, &json!({"decision": "approve", "digest": mine["digest"].as_str().unwrap()[..19]})).await, 422, "invalid_request"), ["/digest"]);
        problem(review(&bob, &mine, &json!({"decision": "approve", "digest": stale})).await, 409, "digest_changed");
        for (body, pointer) in [
            (json!({}), "/decision"),
            (json!({"decision": "ask", "comment": "why"}), "/decision"),
            (json!({"decision": "deny", "option": "unknown"}), "/option"),
            (json!({"decision": "comment"}), "/comment"),
            (json!({"decision": "approve", "digest": mine["digest"], "parameters": {}}), "/parameters"),
            (json!({"decision": "deny", "comment": "c".repeat(4001)}), "/comment"),
            (json!({"decision": "deny", "coment": "c"}), "/coment"),
        ] {
            let answer = review(&bob, &mine, &body).await.expect(422);
            assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{}", answer.body);
        }
        let pointers = problem(review(&bob, &mine, &json!({"decision": "edit", "digest": mine["digest"], "parameters": {}})).await, 422, "decision_not_offered");
        assert_eq!(pointers, ["/decision"]);
        assert_eq!(agent.reads(&mine["id"]).await["version"], 1);
        let done = review(&bob, &mine, &json!({"decision": "approve", "digest": mine["digest"], "comment": "ok"})).await.expect(201).body;
        assert_eq!((&done["status"], &done["version"], &done["grant"]), (&json!("approved"), &json!(2), &Value::Null));
        let recorded = &done["reviews"][0];
        assert!(recorded["id"].as_str().unwrap().starts_with("rev_"));
        assert_eq!((&recorded["decision"], &recorded["comment"], &recorded["digest"], &recorded["option"]), (&json!("approve"), &json!("ok"), &mine["digest"], &Value::Null));
        assert_eq!((&recorded["person"]["name"], &recorded["person"]["email"]), (&json!("Bob Stone"), &json!("bob@example.com")));
        assert_eq!(done["approval"]["seats"][0]["filled_by"], json!([recorded["person"]["id"]]));
        assert_eq!(done["decided_by"], json!({"kind": "people", "people": [recorded["person"]["id"]]}));
        // The same review again is the same; another one comes too late, and is told who was faster.
        let same = bob.reviews(&mine, "approve").await.expect(200).body;
        assert_eq!(same["reviews"].as_array().unwrap().len(), 1);
        let late = app.person("dave@example.com").await.reviews(&mine, "deny").await.problem(409, "already_decided");
        assert_eq!(late.body["detail"], "Already approved by Bob Stone.");
        app.finish().await;
    }

    async fn who_may_not_approve_may_often_deny(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let agent = app.client("agent");
        let mut ask = export();
        ask["on_behalf_of"] = json!("grace@example.com");
        for (denier, ground) in [("alice@example.com", "Alice Liu (owner of the client)"), ("grace@example.com", "Grace Park (the person it is for)"), ("bob@example.com", "Bob Stone (data-governance)")] {
            let mine = agent.asks(&ask).await;
            for client in ["agent", "admin", "reader"] {
                problem(app.client(client).reviews(&mine, "approve").await, 403, "people_only");
            }
            for email in ["alice@example.com", "grace@example.com"] {
                let person = app.person(email).await;
                problem(person.reviews(&mine, "approve").await, 403, "self_approval");
                review(&person, &mine, &json!({"decision": "comment", "comment": "seen"})).await.expect(201);
            }
            // Frank administers: he sees it, and fills no seat. The others do not even see it.
            for decision in ["approve", "deny"] {
                problem(app.person("frank@example.com").await.reviews(&mine, decision).await, 403, "not_eligible");
            }
            for email in ["carol@example.com", "erin@example.com"] {
                problem(app.person(email).await.reviews(&mine, "approve").await, 404, "not_found");
            }
            assert_eq!(agent.reads(&mine["id"]).await["approval"]["granted"], 0);
            // A denial counts whatever digest it carries.
            let body = json!({"decision": "deny", "digest": "stale", "comment": "use the staging export"});
            let denier = app.person(denier).await;
            review(&denier, &mine, &body).await.expect(201);
            review(&denier, &mine, &body).await.expect(200);
            let denied = agent.reads(&mine["id"]).await;
            assert_eq!((&denied["status"], &denied["reason"]), (&json!("denied"), &json!("use the staging export")));
            assert_eq!(denied["feedback"], format!("Denied by {ground}: use the staging export. Do not retry unless the request changes."));
        }
        let service = app.person("svc@example.com").await;
        let mine = agent.asks(&ask).await;
        let status = service.reviews(&mine, "deny").await.status;
        assert!(matches!(status, 403 | 404), "a service account denied: {status}");
        app.finish().await;
    }

    async fn a_denial_says_why(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (agent, bob) = (app.client("agent"), app.person("bob@example.com").await);
        for (body, said) in [
            (json!({"decision": "deny"}), "no reason was given"),
            (json!({"decision": "deny", "option": "use_staging"}), "Use staging instead"),
            (json!({"decision": "deny", "option": "use_staging", "comment": "it has the same rows"}), "Use staging instead: it has the same rows"),
            (json!({"decision": "deny", "comment": "  "}), "no reason was given"),
        ] {
            let mine = agent.asks(&export()).await;
            review(&bob, &mine, &body).await.expect(201);
            let denied = agent.reads(&mine["id"]).await;
            assert_eq!(denied["feedback"], format!("Denied by Bob Stone (data-governance): {said}. Do not retry unless the request changes."));
            assert_eq!(denied["reviews"][0]["option"], body["option"]);
        }
        let commented = agent.asks(&json!({"action": "commented.thing"})).await;
        assert_eq!(problem(bob.reviews(&commented, "approve").await, 422, "comment_required"), ["/comment"]);
        review(&bob, &commented, &json!({"decision": "approve", "digest": commented["digest"], "comment": "checked"})).await.expect(201);
        app.finish().await;
    }

    async fn a_person_may_turn_from_yes_to_no(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (agent, dave) = (app.client("agent"), app.person("dave@example.com").await);
        let mine = agent.asks(&json!({"action": "dual.export"})).await;
        let half = dave.reviews(&mine, "approve").await.expect(201).body;
        assert_eq!((&half["status"], &half["approval"]["granted"], &half["approval"]["required"]), (&json!("pending"), &json!(1), &json!(2)));
        dave.reviews(&mine, "deny").await.expect(201);
        let denied = agent.reads(&mine["id"]).await;
        assert_eq!((&denied["status"], &denied["approval"]["granted"]), (&json!("denied"), &json!(0)));
        app.finish().await;
    }

    async fn an_edit_changes_what_it_may_and_starts_over(database: TestDatabase) {
        let app = TestApp::with(database, Options { policy: sized(), policy_by_api: true, ..Options::default() }).await;
        let agent = app.client("agent");
        let (bob, dave, carol) = (app.person("bob@example.com").await, app.person("dave@example.com").await, app.person("carol@example.com").await);
        let mine = agent.asks(&editable()).await;
        let shown = bob.reads(&mine["id"]).await["parameters"].clone();
        assert!(!shown.to_string().contains("hunter2") && !shown.to_string().contains("partner-drop"));
        let with = |member: &str, value: Value| {
            let mut parameters = shown.clone();
            parameters[member] = value;
            json!({"decision": "edit", "digest": mine["digest"], "parameters": parameters})
        };
        for (body, slug, pointer) in [
            (with("rows", json!("many")), "edit_out_of_bounds", "/parameters/rows"),
            (with("rows", json!(0)), "edit_out_of_bounds", "/parameters/rows"),
            (with("extra", json!(1)), "edit_out_of_bounds", "/parameters/extra"),
            (with("destination", json!("s3://elsewhere")), "edit_out_of_bounds", "/parameters/destination"),
            (with("password", json!("guessed")), "edit_out_of_bounds", "/parameters/password"),
            (with("rows", json!(200_000)), "edit_denied_by_policy", "/parameters"),
            (with("rows", json!(500.0)), "edit_repeats", "/parameters"),
            (json!({"decision": "edit", "parameters": shown}), "digest_required", "/digest"),
            (json!({"decision": "edit", "digest": mine["digest"]}), "invalid_request", "/parameters"),
            (json!({"decision": "edit", "digest": mine["digest"], "parameters": {"rows": 9}}), "edit_out_of_bounds", "/parameters/destination"),
        ] {
            let pointers = problem(review(&bob, &mine, &body).await, 422, slug);
            assert!(pointers.contains(&pointer.to_owned()), "{pointers:?} lacks {pointer}: {body}");
        }
        // From now on the active policy denies all of it; the request keeps the one that it was judged by.
        let admin = app.client("admin");
        let etag = app.client("reader").get("/v1/policy").await.headers["etag"].to_str().unwrap().to_owned();
        let deny = sized().replace("rows > 100000", "rows > 0");
        admin.send("PUT", "/v1/policy", Some(deny), &[("if-match", &etag)]).await.expect(200);
        // Rows beyond a thousand need security too: the stricter holds, so Bob's edit fills one seat of two.
        let edited = review(&bob, &mine, &with("rows", json!(5000))).await.expect(201).body;
        assert_eq!((&edited["status"], &edited["edited"], &edited["approval"]["granted"], &edited["approval"]["required"]), (&json!("pending"), &json!(true), &json!(1), &json!(2)));
        let now = agent.reads(&mine["id"]).await;
        assert_eq!(now["final_parameters"], json!({"rows": 5000, "destination": editable()["parameters"]["destination"], "password": "hunter2hunter2"}));
        assert_eq!(now["parameters"], editable()["parameters"]);
        assert_ne!(now["digest"], mine["digest"]);
        problem(dave.reviews(&mine, "approve").await, 409, "digest_changed");
        // Dave's edit voids Bob's; the requirements of before stay.
        let shown = dave.reads(&mine["id"]).await["final_parameters"].clone();
        let mut smaller = shown.clone();
        smaller["rows"] = json!(100);
        let body = json!({"decision": "edit", "digest": now["digest"], "parameters": smaller});
        let again = review(&dave, &mine, &body).await.expect(201).body;
        assert_eq!((&again["approval"]["granted"], &again["approval"]["required"]), (&json!(1), &json!(2)));
        assert_eq!(again["reviews"][0]["counts"], false);
        let mut back = shown;
        back["rows"] = json!(500);
        let body = json!({"decision": "edit", "digest": again["digest"], "parameters": back});
        problem(review(&carol, &mine, &body).await, 422, "edit_repeats");
        carol.reviews(&again, "approve").await.expect(201);
        let done = agent.reads(&mine["id"]).await;
        assert_eq!(done["status"], "approved");
        let token = &done["grant"]["token"];
        problem(agent.redeems(token, &mine["parameters"]).await, 422, "parameters_mismatch");
        let redeemed = agent.redeems(token, &done["final_parameters"]).await.expect(200).body;
        assert_eq!(redeemed["parameters"], done["final_parameters"]);
        let story = app.story(mine["id"].as_str().unwrap()).await;
        assert_eq!(story.iter().filter(|kind| *kind == "request.edited").count(), 2);
        app.finish().await;
    }

    async fn a_directory_that_cannot_be_read_approves_nothing_and_denies_still(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (agent, bob) = (app.client("agent"), app.person("bob@example.com").await);
        let (one, two) = (agent.asks(&export()).await, agent.asks(&export()).await);
        let file = app.files.path().join("directory.toml");
        std::fs::write(&file, "[[person]]\nname = \n").unwrap();
        let refused = bob.reviews(&one, "approve").await;
        assert!(refused.headers.contains_key("retry-after"));
        problem(refused, 503, "directory_unavailable");
        assert_eq!(bob.reviews(&two, "deny").await.expect(201).body["status"], "denied");
        std::fs::write(&file, DIRECTORY).unwrap();
        assert_eq!(bob.reviews(&one, "approve").await.expect(201).body["status"], "approved");
        let refusals = app.story(one["id"].as_str().unwrap()).await;
        assert!(refusals.contains(&"review.refused".to_owned()), "{refusals:?}");
        app.finish().await;
    }

    async fn who_left_before_the_end_no_longer_counts(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let agent = app.client("agent");
        let (bob, carol, dave) = (app.person("bob@example.com").await, app.person("carol@example.com").await, app.person("dave@example.com").await);
        let mine = agent.asks(&json!({"action": "dual.export"})).await;
        dave.reviews(&mine, "approve").await.expect(201);
        let gone = DIRECTORY.replace("email = \"dave@example.com\"", "email = \"dave@example.com\"\nactive = false");
        std::fs::write(app.files.path().join("directory.toml"), gone).unwrap();
        let half = carol.reviews(&mine, "approve").await.expect(201).body;
        assert_eq!((&half["status"], &half["approval"]["granted"]), (&json!("pending"), &json!(1)));
        problem(dave.reviews(&mine, "approve").await, 404, "not_found");
        let done = bob.reviews(&mine, "approve").await.expect(201).body;
        assert_eq!(done["status"], "approved");
        let people: Vec<&Value> = done["reviews"].as_array().unwrap().iter().filter(|review| review["counts"] == true).map(|review| &review["person"]["name"]).collect();
        assert_eq!(people, ["Carol Diaz", "Bob Stone"]);
        assert_eq!(done["decided_by"]["people"].as_array().unwrap().len(), 2);
        app.finish().await;
    }

    async fn every_refusal_of_somebody_known_is_an_event_and_repeats_are_counted(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let agent = app.client("agent");
        let mine = agent.asks(&export()).await;
        let frank = app.person("frank@example.com").await;
        for _ in 0..5 {
            problem(frank.reviews(&mine, "approve").await, 403, "not_eligible");
            problem(app.client("other").get(&path(&mine)).await, 404, "not_found");
            problem(app.client("executor").get("/v1/requests").await, 403, "missing_scope");
            problem(agent.post("/v1/requests", &json!({"action": "A"})).await, 422, "invalid_request");
            problem(agent.post("/v1/grants/redeem", &json!({"token": "x"})).await, 422, "parameters_required");
            problem(agent.post("/v1/grants/redeem", &json!({"token": "x", "parameters": {}})).await, 401, "bad_token");
            problem(app.stranger().get(&path(&mine)).await, 401, "unauthorized");
        }
        let events = app.events().await;
        let refused: Vec<(String, String)> = events
            .iter()
            .filter(|event| event["type"].as_str().unwrap().ends_with(".refused"))
            .map(|event| (event["type"].as_str().unwrap().to_owned(), event["data"]["reason"].as_str().unwrap().to_owned()))
            .collect();
        let expected = [
            ("review.refused", "not_eligible"),
            ("client.refused", "not_found"),
            ("client.refused", "missing_scope"),
            ("client.refused", "invalid_request"),
            ("grant.refused", "parameters_required"),
            ("grant.refused", "bad_token"),
        ];
        assert_eq!(refused, expected.map(|(kind, reason)| (kind.to_owned(), reason.to_owned())));
        app.clock.advance(std::time::Duration::from_secs(61));
        app.eventually("the repeats are written", async || {
            app.events().await.iter().filter(|event| event["data"]["repeats"] == 4).count() == expected.len()
        })
        .await;
        app.finish().await;
    }
}
