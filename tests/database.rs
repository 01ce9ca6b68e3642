//! The schema: migrations both ways, agreement with the code, the rule about foreign keys.

mod silence;

use crate::support::gateway::{Gateway, TestDatabase};
use diesel::QueryableByName;
use diesel::sql_query;
use diesel::sql_types::Text;
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use hookgate::db::{self, Database};
use std::process::Command;

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

async fn lines(conn: &mut AsyncPgConnection, query: &str) -> Vec<String> {
    sql_query(query).load::<Line>(conn).await.unwrap().into_iter().map(|row| row.line).collect()
}

/// Everything that migrations make, in words: columns, constraints, indexes, views, functions.
async fn schema(conn: &mut AsyncPgConnection) -> Vec<String> {
    lines(
        conn,
        "SELECT concat_ws(' ', 'column', table_name, column_name, data_type, is_nullable, column_default) AS line
             FROM information_schema.columns WHERE table_schema = 'public'
         UNION ALL SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = 'public'
         UNION ALL SELECT concat_ws(' ', 'constraint', conrelid::regclass, conname, pg_get_constraintdef(oid))
             FROM pg_constraint WHERE connamespace = 'public'::regnamespace
         UNION ALL SELECT concat_ws(' ', 'view', viewname, definition) FROM pg_views WHERE schemaname = 'public'
         UNION ALL SELECT concat_ws(' ', 'function', proname, prosrc) FROM pg_proc
             WHERE pronamespace = 'public'::regnamespace
         UNION ALL SELECT concat_ws(' ', 'comment', objoid::regclass, objsubid, description) FROM pg_description
             WHERE classoid = 'pg_class'::regclass AND objoid >= 16384
         ORDER BY 1",
    )
    .await
    .into_iter()
    .filter(|line| !line.contains("__diesel_schema_migrations"))
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn migrations_go_up_down_and_up_again() {
    let database = TestDatabase::create().await;
    let handle = Database::new(database.url.clone().into());
    let mut conn = database.connect().await;
    assert!(!db::pending(&handle).await.unwrap().is_empty());
    assert!(!db::migrate(&handle).await.unwrap().is_empty());
    assert!(db::migrate(&handle).await.unwrap().is_empty(), "a second run finds nothing to do");
    let first = schema(&mut conn).await;
    assert!(first.iter().any(|line| line.contains("webhook_events")));
    db::revert_all(&handle).await.unwrap();
    assert_eq!(schema(&mut conn).await, Vec::<String>::new(), "the down scripts leave nothing");
    db::migrate(&handle).await.unwrap();
    assert_eq!(schema(&mut conn).await, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_foreign_key_has_an_index() {
    let database = TestDatabase::create().await;
    db::migrate(&Database::new(database.url.clone().into())).await.unwrap();
    let missing = lines(
        &mut database.connect().await,
        "SELECT concat_ws(' ', conrelid::regclass, conname) AS line FROM pg_constraint AS key
         WHERE contype = 'f' AND NOT EXISTS (
             SELECT FROM pg_index WHERE indrelid = key.conrelid
                 AND (indkey::smallint[])[0:array_length(key.conkey, 1) - 1] = key.conkey)",
    )
    .await;
    assert_eq!(missing, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_code_knows_the_tables_as_they_are() {
    let database = TestDatabase::create().await;
    db::migrate(&Database::new(database.url.clone().into())).await.unwrap();
    let real = lines(
        &mut database.connect().await,
        "SELECT concat_ws('.', table_name, column_name) || CASE is_nullable WHEN 'YES' THEN ' nullable' ELSE '' END
             AS line FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
         WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND table_name NOT LIKE '\\_\\_%' ORDER BY 1",
    )
    .await;
    let source = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/db/schema.rs")).unwrap();
    let (mut table, mut known) = (String::new(), Vec::new());
    for line in source.lines().map(str::trim) {
        if let Some((name, _)) = line.split_once(" (").filter(|_| line.ends_with(") {")) {
            name.clone_into(&mut table);
        } else if let Some((column, kind)) = line.split_once(" -> ").filter(|_| !line.starts_with("diesel::"))
        {
            let nullable = if kind.starts_with("Nullable<") { " nullable" } else { "" };
            known.push(format!("{table}.{column}{nullable}"));
        }
    }
    known.sort();
    let mut real = real;
    real.sort();
    assert_eq!(known, real);
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_on_a_foreign_database_refuses_to_migrate_unasked() {
    let database = TestDatabase::create().await;
    let dir = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hookgate"));
        command.args(arguments).env_clear().current_dir(dir.path()).env("DATABASE_URL", &database.url);
        command.env("PORT", "0").output().unwrap()
    };
    let refused = run(&["serve"]);
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && message.contains("hookgate migrate"), "{message}");
    let migrated = run(&["migrate", "--json"]);
    assert!(migrated.status.success());
    assert!(String::from_utf8_lossy(&migrated.stdout).contains("20261122000001"));
    assert!(run(&["migrate"]).stdout.starts_with(b"The schema is up to date."));
    let listed = run(&["events", "list", "--json"]);
    assert_eq!(String::from_utf8_lossy(&listed.stdout).trim(), "[]");
}

#[tokio::test]
async fn health_tells_of_a_dead_database_and_requests_get_503_until_it_is_back() {
    use crate::support::wait::until;
    use diesel_async::SimpleAsyncConnection as _;
    use std::time::Duration;
    let gateway = Gateway::start(&[("WEBHOOK_SECRET", "c2s-canary-503")]).await;
    let name = gateway.database.name().to_owned();
    let run = async |sql: String| TestDatabase::server().await.batch_execute(&sql).await.unwrap();
    let lead =
        r#"{"id":"a","hook_action":"on_close_lead","attributes":{"updated_at":"2026-01-01T00:00:00Z"}}"#;
    let post = || {
        let request = gateway.http.post(gateway.url("/api/v1/webhooks/c2s?token=c2s-canary-503")).body(lead);
        async { request.send().await.unwrap() }
    };
    // No new connections, and the old ones cut, again and again: what a failover looks like from here. One that was being
    // made comes to life only after a first cut.
    run(format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false")).await;
    let cut = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
    let refused = until("a refusal", Duration::from_secs(60), || async {
        run(cut.clone()).await;
        let reply = post().await;
        (reply.status() == 503).then_some(reply)
    })
    .await;
    assert!(refused.headers().contains_key("retry-after"));
    let health: serde_json::Value = until("/health to tell", Duration::from_secs(60), || async {
        run(cut.clone()).await;
        let reply = gateway.http.get(gateway.url("/health")).send().await.unwrap();
        (reply.status() == 503).then_some(reply)
    })
    .await
    .json()
    .await
    .unwrap();
    assert_eq!(
        (health["status"].as_str(), health["database"].as_str()),
        (Some("unhealthy"), Some("disconnected"))
    );
    assert_eq!(gateway.http.get(gateway.url("/health/live")).send().await.unwrap().status(), 200);
    assert_eq!(gateway.http.get(gateway.url("/health/ready")).send().await.unwrap().status(), 503);
    run(format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true")).await;
    until("recovery by itself", Duration::from_secs(60), || async {
        (post().await.status() == 200).then_some(())
    })
    .await;
    gateway.event("c2s", "a@2026-01-01T00:00:00Z", &["ignored"]).await;
}

#[tokio::test]
async fn tls_is_used_where_the_url_asks_for_it_and_only_with_a_server_that_proves_itself() {
    let port = std::env::var("HOOKGATE_TEST_PORT").expect("run the tests with scripts/test.sh");
    let ca = std::env::var("HOOKGATE_TEST_CA").expect("run the tests with scripts/test.sh");
    let encrypted = "SELECT ssl::text AS line FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let connect = async |options: String| {
        let url = format!("postgres://hookgate@localhost:{port}/postgres{options}");
        db::connect_one(&url.into()).await.map_err(|error| error.to_string())
    };
    for mode in ["require", "verify-ca", "verify-full"] {
        let mut conn = connect(format!("?sslmode={mode}&sslrootcert={ca}")).await.unwrap();
        assert_eq!(lines(&mut conn, encrypted).await, ["true"], "{mode}");
        let error = connect(format!("?sslmode={mode}")).await.map(|_| ()).unwrap_err();
        assert!(error.contains("sslrootcert=FILE"), "an unknown signer is refused, with a remedy: {error}");
    }
    let by_address =
        format!("postgres://hookgate@127.0.0.1:{port}/postgres?sslmode=require&sslrootcert={ca}");
    assert!(db::connect_one(&by_address.into()).await.is_err(), "the certificate is for another name");
    let mut conn = connect(String::new()).await.unwrap();
    assert_eq!(lines(&mut conn, encrypted).await, ["false"], "nothing was asked for");
}
