//! The private Postgres under the real binary: other accounts, signals, crashes, commands.

use super::{Data, SOON, alive, ask, gone, server_pid};
use crate::support::{sign, wait};
use hookgate::db::embedded::Claim;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, Uid, User};
use std::collections::HashSet;
use std::fs::Permissions;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

const SECRET: &str = "whsec_private_cluster";

/// The binary for a data directory with nothing else configured but a provider; run by `user` if that is given.
fn hookgate(binary: &Path, data: &Data, user: Option<&User>) -> Command {
    let mut command = Command::new(binary);
    command.env_clear().env("PATH", std::env::var("PATH").unwrap_or_default());
    command.env("HOOKGATE_DATA_DIR", data.path()).env("HOST", "127.0.0.1").env("PORT", "0");
    command.env("STRIPE_WEBHOOK_SECRET", SECRET).env("HOOKGATE_PG_FSYNC", "off");
    command.stdin(Stdio::null()).current_dir("/");
    if let Some(user) = user {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    command
}

fn own_binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_hookgate"))
}

fn run(data: &Data, arguments: &[&str]) -> Output {
    hookgate(own_binary(), data, None).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A running `serve`, the leader of its own process group. Dropped, it leaves no process behind.
struct Serve {
    child: Child,
    base: String,
    said: Vec<String>,
    cluster: PathBuf,
}

impl Serve {
    fn start(data: &Data) -> Self {
        Self::start_by(hookgate(own_binary(), data, None), data)
    }

    fn start_by(mut command: Command, data: &Data) -> Self {
        let log = data.dir.path().join("serve.log");
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        let mut child =
            command.arg("serve").process_group(0).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = Vec::new();
        for line in &mut lines {
            let line = line.unwrap();
            if let Some((_, base)) = line.split_once("listening on ") {
                let base = base.trim().to_owned();
                std::thread::spawn(move || lines.for_each(drop));
                return Self { child, base, said, cluster: data.cluster() };
            }
            said.push(line);
        }
        child.wait().unwrap();
        let log = std::fs::read_to_string(data.dir.path().join("serve.log")).unwrap();
        panic!("serve did not start: {said:?}\n{log}");
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    async fn get(&self, path: &str, token: &str) -> u16 {
        let request = client().get(format!("{}{path}", self.base)).bearer_auth(token);
        request.send().await.unwrap().status().as_u16()
    }

    /// Waits for that: where the database takes more than two seconds it says otherwise.
    async fn is_healthy(&self) {
        wait::until("a healthy gateway", SOON, || async {
            (self.get("/health", "").await == 200).then_some(())
        })
        .await;
    }

    /// Ends it by a signal to its whole process group, as a terminal does on Ctrl-C.
    fn end(&mut self, signal: Signal) -> std::process::ExitStatus {
        killpg(self.pid(), signal).unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(pid) = server_pid(&self.cluster).filter(|pid| alive(*pid)) {
            let _ = kill(pid, Signal::SIGQUIT);
        }
    }
}

fn client() -> reqwest::Client {
    // Only one test of a process finds none installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// Posts a signed Stripe event; gives the status and whether the reply said when to come again.
async fn post(client: &reqwest::Client, base: &str, id: &str) -> (u16, bool) {
    let body = format!(
        r#"{{"id":"{id}","object":"event","type":"test.event","created":1700000000,"data":{{"object":{{"id":"obj_{id}"}}}}}}"#
    );
    let signature = sign::stripe_now(SECRET, body.as_bytes());
    let request = client.post(format!("{base}/api/v1/webhooks/stripe")).header("Stripe-Signature", signature);
    let reply = request.header("Content-Type", "application/json").body(body).send().await.unwrap();
    (reply.status().as_u16(), reply.headers().contains_key("Retry-After"))
}

#[tokio::test]
async fn a_gateway_without_settings_serves_and_takes_its_server_along_when_it_ends() {
    let data = Data::new();
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut serve = Serve::start(&data);
        serve.is_healthy().await;
        let pid = server_pid(&data.cluster()).unwrap();

        let token_file = data.path().join("admin-token");
        assert!(
            serve.said.iter().any(|line| line.contains(token_file.to_str().unwrap())),
            "{:?}",
            serve.said
        );
        assert_eq!(std::fs::metadata(&token_file).unwrap().mode() & 0o777, 0o600);
        let token = std::fs::read_to_string(&token_file).unwrap();
        assert!(!serve.said.iter().any(|line| line.contains(token.trim())));
        assert_eq!(serve.get("/api/v1/events", token.trim()).await, 200);
        assert_eq!(serve.get("/api/v1/events", "another").await, 401);

        assert!(serve.end(signal).success());
        assert!(!alive(pid), "{signal} left the server behind");
    }
}

#[tokio::test]
async fn an_ordinary_user_needs_nothing_but_the_programs_and_root_can_join() {
    if !Uid::effective().is_root() {
        eprintln!("skipped: not root, so every other test shows this");
        return;
    }
    let user = User::from_name("nobody").unwrap().unwrap();
    let data = Data::new();
    std::fs::create_dir(data.path()).unwrap();
    std::os::unix::fs::chown(data.path(), Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
    std::fs::set_permissions(data.path(), Permissions::from_mode(0o700)).unwrap();
    // The build directory may be out of that user's reach. Copied by another process: a child that another test is just
    // starting would keep a file that was written here open, and what is open for writing cannot be run.
    let binary = data.dir.path().join("hookgate");
    assert!(Command::new("cp").arg(own_binary()).arg(&binary).status().unwrap().success());
    std::fs::set_permissions(&binary, Permissions::from_mode(0o755)).unwrap();

    let mut serve = Serve::start_by(hookgate(&binary, &data, Some(&user)), &data);
    serve.is_healthy().await;
    for file in ["postgres", "admin-token", "master.key"] {
        assert_eq!(std::fs::metadata(data.path().join(file)).unwrap().uid(), user.uid.as_raw(), "{file}");
    }
    let joined = run(&data, &["--json", "events", "list"]);
    assert!(joined.status.success(), "{}", text(&joined.stderr));
    let pid = server_pid(&data.cluster()).unwrap();
    assert!(serve.end(Signal::SIGTERM).success());
    assert!(!alive(pid));

    // The other way round: root runs the cluster of an ordinary user as that user.
    let cluster = data.open(Claim::Own).await;
    assert_eq!(std::fs::metadata(data.cluster().join("postmaster.pid")).unwrap().uid(), user.uid.as_raw());
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_killed_gateway_leaves_its_server_and_all_rows_to_the_next_one() {
    let data = Data::new();
    let mut serve = Serve::start(&data);
    let client = client();
    for number in 0..20 {
        assert_eq!(post(&client, &serve.base, &format!("evt_{number}")).await.0, 200);
    }
    let pid = server_pid(&data.cluster()).unwrap();
    kill(serve.pid(), Signal::SIGKILL).unwrap();
    serve.child.wait().unwrap();
    assert!(alive(pid));

    let mut next = Serve::start(&data);
    assert_eq!(server_pid(&data.cluster()), Some(pid), "the server that runs is used");
    assert_eq!(post(&client, &next.base, "evt_20").await.0, 200);
    let command = data.open(Claim::Join).await;
    assert_eq!(ask(&command, "SELECT count(*) FROM webhook_events WHERE provider = 'stripe'").await, "21");
    command.stop().await.unwrap();
    assert!(next.end(Signal::SIGTERM).success());
    gone(pid).await;
}

#[tokio::test]
async fn a_gateway_killed_while_it_makes_its_cluster_leaves_nothing_that_hinders_the_next() {
    for _ in 0..10 {
        let data = Data::new();
        let half = killed_half_way(&data).await;
        let mut next = Serve::start(&data);
        next.is_healthy().await;
        assert!(half.as_ref().is_none_or(|half| !half.exists()));
        assert!(next.end(Signal::SIGTERM).success());
        if half.is_some() {
            return;
        }
    }
    panic!("the cluster was always complete before the kill");
}

/// Kills a gateway while it makes its cluster, and gives where that was half made; `None` if it was complete already.
async fn killed_half_way(data: &Data) -> Option<PathBuf> {
    let mut first = hookgate(own_binary(), data, None).arg("serve").stdout(Stdio::null()).spawn().unwrap();
    let half = wait::until("half a cluster", SOON, || async {
        let entries = std::fs::read_dir(data.path()).ok()?;
        let mut paths = entries.flatten().map(|entry| entry.path());
        // `global` comes late enough for a half cluster and early enough to be caught.
        paths.find(|path| path.join("global").exists())
    })
    .await;
    first.kill().unwrap();
    first.wait().unwrap();
    (half.exists() && !data.cluster().exists()).then_some(half)
}

#[tokio::test]
async fn commands_join_a_serve_and_do_without_one_also_two_at_once() {
    let data = Data::new();
    let mut serve = Serve::start(&data);
    let pid = server_pid(&data.cluster()).unwrap();
    assert_eq!(post(&client(), &serve.base, "evt_seen").await.0, 200);
    let list = run(&data, &["--json", "events", "list"]);
    assert!(list.status.success(), "{}", text(&list.stderr));
    assert!(text(&list.stdout).contains("evt_seen"));
    let second = run(&data, &["serve"]);
    assert!(!second.status.success());
    let error = text(&second.stderr);
    assert!(error.contains(&format!("process {}", serve.pid())) && error.contains("DATABASE_URL"), "{error}");
    assert!(alive(pid));
    assert!(serve.end(Signal::SIGTERM).success());
    assert!(!alive(pid));

    let two: Vec<_> = (0..2)
        .map(|_| {
            let mut command = hookgate(own_binary(), &data, None);
            command.args(["--json", "events", "list"]).stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    for child in two {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(text(&output.stdout).contains("evt_seen"));
    }
    assert_eq!(server_pid(&data.cluster()), None, "the last command leaves no server behind");
}

/// What the senders of a load saw.
#[derive(Default)]
struct Seen {
    acknowledged: Mutex<HashSet<String>>,
    refused: AtomicUsize,
    wrong: Mutex<Vec<String>>,
    enough: AtomicBool,
}

impl Seen {
    async fn send(&self, base: &str, sender: usize) {
        let client = client();
        for number in 0.. {
            if self.enough.load(Ordering::Relaxed) {
                return;
            }
            let id = format!("evt_{sender}_{number}");
            match post(&client, base, &id).await {
                (200, _) => {
                    self.acknowledged.lock().unwrap().insert(id);
                }
                (503, true) => {
                    self.refused.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                other => self.wrong.lock().unwrap().push(format!("{id}: {other:?}")),
            }
        }
    }

    fn count(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }

    async fn more(&self, what: &str) {
        let before = self.count();
        wait::until(what, SOON, || async { (self.count() > before + 100).then_some(()) }).await;
    }
}

/// `pg_ctl` of the server that runs, by the account that owns it. How it ends says little: the gateway may be faster to start
/// the server.
fn pg_ctl(data: &Data, arguments: &[&str]) {
    let options = std::fs::read_to_string(data.cluster().join("postmaster.opts")).unwrap();
    let program = Path::new(options.split(' ').next().unwrap()).with_file_name("pg_ctl");
    let owner = std::fs::metadata(data.cluster()).unwrap();
    let mut command = Command::new(program);
    command.uid(owner.uid()).gid(owner.gid()).current_dir("/");
    command.args(arguments).arg("-D").arg(data.cluster()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_stopped_and_restarted_under_load_costs_503s_and_no_acknowledged_event() {
    let data = Data::new();
    let mut serve = Serve::start(&data);
    let seen = Seen::default();
    let load = futures_util::future::join_all((0..8).map(|sender| seen.send(&serve.base, sender)));
    let faults = async {
        seen.more("events to be stored").await;
        pg_ctl(&data, &["stop", "-m", "immediate"]);
        wait::until("a 503 with Retry-After", SOON, || async {
            (seen.refused.load(Ordering::Relaxed) > 0).then_some(())
        })
        .await;
        seen.more("events to be stored again after a stop, with no help").await;
        pg_ctl(&data, &["restart", "-m", "immediate"]);
        seen.more("events to be stored again after a restart").await;
        kill(server_pid(&data.cluster()).unwrap(), Signal::SIGKILL).unwrap();
        seen.more("events to be stored again after a SIGKILL").await;
        seen.enough.store(true, Ordering::Relaxed);
    };
    tokio::join!(load, faults);
    assert_eq!(*seen.wrong.lock().unwrap(), Vec::<String>::new());
    let pid = server_pid(&data.cluster()).unwrap();
    assert!(serve.end(Signal::SIGTERM).success());
    assert!(!alive(pid));

    let command = data.open(Claim::Join).await;
    let ids =
        ask(&command, "SELECT string_agg(event_id, ' ') FROM webhook_events WHERE provider = 'stripe'").await;
    command.stop().await.unwrap();
    let stored: HashSet<String> = ids.split(' ').map(str::to_owned).collect();
    assert_eq!(stored.len(), ids.split(' ').count(), "stored twice");
    let acknowledged = seen.acknowledged.into_inner().unwrap();
    let lost: Vec<_> = acknowledged.difference(&stored).collect();
    assert!(lost.is_empty(), "{} of {} lost: {lost:?}", lost.len(), acknowledged.len());
}
