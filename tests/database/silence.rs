//! A database that goes silent without closing its connections: a frozen server, or a proxy that has lost it.

use crate::support::gateway::{Gateway, TestDatabase};
use crate::support::wait::until;
use diesel::QueryableByName;
use diesel::sql_types::BigInt;
use diesel_async::RunQueryDsl as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Passes bytes between the gateway and Postgres until it is told to fall silent, or, where it knows a word, until the
/// gateway has said that on a connection; what is silent stays open. Connections that are made later work.
struct Proxy {
    port: u16,
    silent: watch::Sender<()>,
    /// How many connections have fallen silent at the word.
    at_word: watch::Sender<usize>,
}

impl Proxy {
    async fn start(word: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (silent, at_word) = (watch::Sender::new(()), watch::Sender::new(0));
        let (all, counter) = (silent.clone(), at_word.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (mut told, counter) = (all.subscribe(), counter.clone());
                tokio::spawn(async move {
                    let port =
                        std::env::var("HOOKGATE_TEST_PORT").expect("run the tests with scripts/test.sh");
                    let server = TcpStream::connect(("127.0.0.1", port.parse().unwrap())).await.unwrap();
                    let mut pair = (client, server);
                    tokio::select! {
                        ended = pass(&mut pair, word) => if ended == Ended::Closed { return },
                        _ = told.changed() => {}
                    }
                    counter.send_modify(|count| *count += 1);
                    std::future::pending::<()>().await;
                    drop(pair);
                });
            }
        });
        Self { port, silent, at_word }
    }

    fn url(&self, database: &TestDatabase) -> String {
        format!("postgres://hookgate@127.0.0.1:{}/{}", self.port, database.name())
    }
}

#[derive(PartialEq)]
enum Ended {
    Closed,
    AtWord,
}

async fn pass((client, server): &mut (TcpStream, TcpStream), word: Option<&str>) -> Ended {
    let (mut up, mut down) = (vec![0; 65536], vec![0; 65536]);
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let read = read.unwrap_or(0);
                if read == 0 || server.write_all(&up[..read]).await.is_err() {
                    return Ended::Closed;
                }
                let is_it = |word: &str| up[..read].windows(word.len()).any(|part| part == word.as_bytes());
                if word.is_some_and(is_it) {
                    return Ended::AtWord;
                }
            }
            read = server.read(&mut down) => {
                let read = read.unwrap_or(0);
                if read == 0 || client.write_all(&down[..read]).await.is_err() {
                    return Ended::Closed;
                }
            }
        }
    }
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// By a worker: the receiver stores what nobody wants as `ignored`, but never as `completed`. Looked up past the gateway, whose
/// own way to the database may be the silent one.
async fn handled(database: &TestDatabase, lead: &str) {
    let query = format!(
        "SELECT count(*) FROM webhook_events WHERE event_id LIKE '{lead}@%' AND status = 'completed'"
    );
    until(&format!("lead {lead} to be handled"), Duration::from_secs(60), || async {
        let found: Count = diesel::sql_query(&query).get_result(&mut database.connect().await).await.unwrap();
        (found.count == 1).then_some(())
    })
    .await;
}

async fn post(gateway: &Gateway, lead: &str) -> u16 {
    let body = format!(
        r#"{{"id":"{lead}","hook_action":"on_create_lead","attributes":{{"updated_at":"2026-01-01T00:00:00Z"}}}}"#
    );
    let request = gateway.http.post(gateway.url("/api/v1/webhooks/c2s?token=c2s-canary-504")).body(body);
    request.send().await.unwrap().status().as_u16()
}

const SECRET: (&str, &str) = ("WEBHOOK_SECRET", "c2s-canary-504");

#[tokio::test]
async fn connections_that_went_silent_are_given_up_and_made_anew() {
    let database = Arc::new(TestDatabase::create().await);
    let proxy = Proxy::start(None).await;
    let gateway =
        Gateway::start_on(database.clone(), &[SECRET, ("DATABASE_URL", &proxy.url(&database))]).await;
    assert_eq!(post(&gateway, "before").await, 200);
    handled(&database, "before").await;
    proxy.silent.send_replace(());
    let first = post(&gateway, "after").await;
    assert_eq!(first, 503, "the sender is told in time, and comes again");
    until("a new connection", Duration::from_secs(60), || async {
        (post(&gateway, "after").await == 200).then_some(())
    })
    .await;
    handled(&database, "after").await;
}

#[tokio::test]
async fn a_node_that_is_frozen_in_its_claim_holds_up_no_other() {
    let database = Arc::new(TestDatabase::create().await);
    let proxy = Proxy::start(Some("pg_advisory_xact_lock(hashtext('hookgate.claim.webhook_events'))")).await;
    let frozen =
        Gateway::start_on(database.clone(), &[SECRET, ("DATABASE_URL", &proxy.url(&database))]).await;
    let mut claims = proxy.at_word.subscribe();
    let claimed = claims.wait_for(|count| *count > 0);
    tokio::time::timeout(Duration::from_secs(60), claimed).await.expect("a claim").unwrap();
    assert_eq!(post(&frozen, "waits").await, 200);
    let _healthy = Gateway::start_role("worker", Some(database.clone()), &[SECRET]).await;
    handled(&database, "waits").await;
}
