//! One running gateway: the real binary as its own process, on a database of its own.

use super::wait;
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection as _};
use secrecy::SecretString;
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Bearer token of the admin API in every test.
pub const ADMIN_TOKEN: &str = "admin-canary-5f1c9a";
/// Master key in every test: 32 zero bytes.
pub const MASTER_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// A database of its own in the test server; dropped with it.
pub struct TestDatabase {
    /// How to connect.
    pub url: String,
    name: String,
    server: String,
}

impl TestDatabase {
    pub async fn create() -> Self {
        let server = std::env::var("HOOKGATE_TEST_DATABASE_URL")
            .expect("run the tests with scripts/test.sh, which starts a Postgres for them");
        let name = format!("t_{}", uuid::Uuid::new_v4().simple());
        let mut conn = connect(&server).await;
        conn.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
        let (base, query) = server.split_once('?').map_or((&*server, ""), |(base, query)| (base, query));
        let base = base.rsplit_once('/').unwrap().0;
        Self { url: format!("{base}/{name}?{query}"), name, server }
    }

    pub async fn connect(&self) -> AsyncPgConnection {
        connect(&self.url).await
    }

    /// Its name in the server.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A connection to the server's own database.
    pub async fn server() -> AsyncPgConnection {
        connect(&std::env::var("HOOKGATE_TEST_DATABASE_URL").unwrap()).await
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        // A thread of its own: the test's runtime may be the one that is unwinding.
        let _ = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut conn = connect(&server).await;
                let _ = conn.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
            });
        })
        .join();
    }
}

async fn connect(url: &str) -> AsyncPgConnection {
    hookgate::db::connect_one(&SecretString::from(url.to_owned())).await.expect("the test database answers")
}

/// A gateway process. When dropped it is killed and its log is searched for every secret it was given.
pub struct Gateway {
    /// `http://127.0.0.1:PORT`.
    pub base: String,
    /// Its database.
    pub database: std::sync::Arc<TestDatabase>,
    /// Client without redirects or pooling surprises.
    pub http: reqwest::Client,
    role: String,
    child: Child,
    env: Vec<(String, String)>,
    canaries: Vec<String>,
    log: PathBuf,
    dir: tempfile::TempDir,
}

impl Gateway {
    /// Starts `hookgate serve` on a fresh database with these settings beside the tests' own.
    pub async fn start(env: &[(&str, &str)]) -> Self {
        Self::start_on(TestDatabase::create().await.into(), env).await
    }

    /// Starts another node on a database that exists.
    pub async fn start_on(database: std::sync::Arc<TestDatabase>, env: &[(&str, &str)]) -> Self {
        Self::start_role("all", Some(database), env).await
    }

    /// Starts one role, on a fresh database if none is given.
    pub async fn start_role(
        role: &str,
        database: Option<std::sync::Arc<TestDatabase>>,
        env: &[(&str, &str)],
    ) -> Self {
        let database = match database {
            Some(database) => database,
            None => TestDatabase::create().await.into(),
        };
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let mut all = vec![
            ("DATABASE_URL", &*database.url),
            ("HOOKGATE_AUTO_MIGRATE", "true"),
            ("HOST", "127.0.0.1"),
            ("PORT", "0"),
            ("HOOKGATE_ADMIN_TOKEN", ADMIN_TOKEN),
            ("HOOKGATE_MASTER_KEY", MASTER_KEY),
            ("WORKER_BACKOFF_SECONDS", "0.2"),
            ("WORKER_LEASE_SECONDS", "2"),
            ("RUST_LOG", "hookgate=trace,actix_web=debug,reqwest=debug,hyper=debug"),
        ];
        // A test's own value replaces the default of the same name.
        all.retain(|pair| env.iter().all(|own| own.0 != pair.0));
        all.extend_from_slice(env);
        let env: Vec<(String, String)> =
            all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let start = (role.to_owned(), env.clone(), log.clone(), dir.path().to_owned());
        // Reading the start message blocks, and several nodes may be started at once.
        let (child, base) =
            tokio::task::spawn_blocking(move || spawn(&start.0, &start.1, &start.2, &start.3)).await.unwrap();
        let canaries = env
            .iter()
            .filter(|(name, _)| ["SECRET", "TOKEN", "KEY", "WORK_API"].iter().any(|part| name.contains(part)))
            .filter(|(name, _)| !name.ends_with("_URL") && !name.ends_with("_MS"))
            .flat_map(|(_, value)| value.split(',').map(str::to_owned).collect::<Vec<_>>())
            // A setting that a test clears; every log holds the empty text.
            .filter(|canary| !canary.is_empty())
            .collect();
        // Only one test of a process finds none installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        Self { base, database, http, role: role.to_owned(), child, env, canaries, log, dir }
    }

    /// A value that must not appear in the log of this gateway: a name, an e-mail, a CPF.
    pub fn canary(&mut self, personal: &str) {
        self.canaries.push(personal.to_owned());
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Waits until a GET of this path is answered with this status, and gives the answer. `/health` says 503 where the database
    /// took more than two seconds.
    pub async fn answers(&self, path: &str, status: u16) -> reqwest::Response {
        wait::until(&format!("{path} to answer {status}"), Duration::from_secs(60), || async {
            let reply = self.http.get(self.url(path)).send().await.unwrap();
            (reply.status() == status).then_some(reply)
        })
        .await
    }

    /// GET with the admin token; the status must be 200.
    pub async fn admin_get(&self, path: &str) -> Value {
        let reply = self.http.get(self.url(path)).bearer_auth(ADMIN_TOKEN).send().await.unwrap();
        let status = reply.status();
        let text = reply.text().await.unwrap();
        assert_eq!(status, 200, "GET {path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Any other admin request; gives status and body (null if empty).
    pub async fn admin(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let method = method.parse().unwrap();
        let reply = self
            .http
            .request(method, self.url(path))
            .bearer_auth(ADMIN_TOKEN)
            .json(body)
            .send()
            .await
            .unwrap();
        let status = reply.status().as_u16();
        (status, serde_json::from_str(&reply.text().await.unwrap()).unwrap_or(Value::Null))
    }

    /// The stored event with this provider and id once it has one of these states; with its details.
    pub async fn event(&self, provider: &str, event_id: &str, states: &[&str]) -> Value {
        let what = format!("{provider} event {event_id} to be {states:?}");
        wait::until(&what, Duration::from_secs(20), || async {
            let list = self.admin_get(&format!("/api/v1/events?provider={provider}&limit=200")).await;
            let item = list["items"].as_array()?.iter().find(|item| item["event_id"] == event_id)?.clone();
            if !states.contains(&item["status"].as_str()?) {
                return None;
            }
            Some(self.admin_get(&format!("/api/v1/events/{}", item["id"].as_str()?)).await)
        })
        .await
    }

    /// Runs the same binary with the same settings: a command of the command line.
    pub fn command(&self, arguments: &[&str]) -> std::process::Output {
        self.prepared(arguments).output().unwrap()
    }

    /// The same without holding the runtime, for commands that take long.
    pub async fn run(&self, arguments: &[&str]) -> std::process::Output {
        let mut command = self.prepared(arguments);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    /// Starts a command, to be looked at, or killed, while it runs.
    pub fn begin_command(&self, arguments: &[&str]) -> Child {
        self.prepared(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn prepared(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hookgate"));
        command.args(arguments).env_clear().current_dir(self.dir.path());
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.env("PATH", std::env::var("PATH").unwrap_or_default());
        command
    }

    /// SIGKILL: no drain, no goodbye.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM; gives whether it exited with success.
    pub fn terminate(&mut self) -> bool {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        self.child.wait().is_ok_and(|status| status.success())
    }

    /// SIGHUP: it reads the settings of its providers again. Gives when it has said what came of it.
    pub async fn reload(&self) {
        let told = |log: &str| {
            log.matches("the providers of the settings are in force").count()
                + log.matches("the providers stay as they were").count()
        };
        let before = told(&self.log());
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGHUP).unwrap();
        wait::until("the providers to be read again", Duration::from_secs(10), || async {
            (told(&self.log()) > before).then_some(())
        })
        .await;
    }

    /// Starts again after `kill` or `terminate`, on the same database, at a new port.
    pub fn restart(&mut self) {
        let (child, base) = spawn(&self.role, &self.env, &self.log, self.dir.path());
        self.child = child;
        self.base = base;
    }

    /// Everything it has logged so far.
    pub fn log(&self) -> String {
        // Lossy: a line that is torn or no text must not hide the others.
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap()).into_owned()
    }
}

fn spawn(
    role: &str,
    env: &[(String, String)],
    log: &std::path::Path,
    dir: &std::path::Path,
) -> (Child, String) {
    let stderr = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_hookgate"));
    command
        .args(["serve", "--role", role])
        .env_clear()
        .current_dir(dir)
        .stdout(Stdio::piped())
        .stderr(stderr);
    command.envs(env.iter().map(|(name, value)| (name, value)));
    command.env("PATH", std::env::var("PATH").unwrap_or_default());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for line in &mut lines {
        let line = line.unwrap();
        if let Some((_, address)) = line.split_once("listening on ") {
            let base = address.trim().to_owned();
            // The pipe stays open for the life of the process.
            std::thread::spawn(move || lines.for_each(drop));
            return (child, base);
        }
    }
    panic!("the gateway did not start: {}", std::fs::read_to_string(log).unwrap_or_default());
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.kill();
        let log = self.log();
        if std::thread::panicking() {
            eprintln!("--- log of the gateway\n{}", &log[log.len().saturating_sub(20_000)..]);
            return;
        }
        for canary in self.canaries.iter().filter(|canary| !canary.is_empty()) {
            assert!(!log.contains(canary.as_str()), "the log shows a secret or personal datum: {canary}");
        }
    }
}
