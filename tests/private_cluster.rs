//! The private Postgres: made once, owned by one, shared by commands, and back after every kind of crash.

mod process;

use crate::support::wait;
use diesel::sql_types::Text;
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _, SimpleAsyncConnection as _};
use hookgate::db::embedded::{Claim, Cluster, EmbeddedError};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);

/// A data directory that every account can reach, as in a checkout under /srv.
struct Data {
    dir: tempfile::TempDir,
}

impl Data {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        Self { dir }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn cluster(&self) -> PathBuf {
        self.path().join("postgres")
    }

    async fn open(&self, claim: Claim) -> Cluster {
        Cluster::open(&self.path(), claim).await.unwrap()
    }
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    text: String,
}

async fn connect(cluster: &Cluster) -> AsyncPgConnection {
    hookgate::db::connect_one(&cluster.url()).await.unwrap()
}

async fn run(cluster: &Cluster, sql: &str) {
    connect(cluster).await.batch_execute(sql).await.unwrap();
}

/// The only value of a query that gives one text.
async fn ask(cluster: &Cluster, sql: &str) -> String {
    let lines: Vec<Line> =
        sql_query(format!("SELECT ({sql})::text AS text")).load(&mut connect(cluster).await).await.unwrap();
    lines.into_iter().next().unwrap().text
}

fn server_pid(cluster: &Path) -> Option<Pid> {
    let text = std::fs::read_to_string(cluster.join("postmaster.pid")).ok()?;
    text.lines().next()?.parse().ok().map(Pid::from_raw)
}

/// Whether the server says of itself that it takes connections. Asked to end, it says otherwise before it does anything else.
fn is_ready(cluster: &Path) -> bool {
    let text = std::fs::read_to_string(cluster.join("postmaster.pid")).unwrap_or_default();
    text.lines().nth(7).is_some_and(|status| status.trim() == "ready")
}

/// Whether a process works; one that is dead and not yet collected has no command line.
fn alive(pid: Pid) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

async fn gone(pid: Pid) {
    wait::until("the server to be gone", SOON, || async { (!alive(pid)).then_some(()) }).await;
}

#[tokio::test]
async fn a_cluster_is_made_once_and_keeps_its_rows_between_runs() {
    let data = Data::new();
    let cluster = data.open(Claim::Own).await;
    assert_eq!(cluster.elsewhere(), None);
    run(&cluster, "CREATE TABLE kept AS SELECT 'first run' AS word").await;
    let meta = std::fs::metadata(data.cluster()).unwrap();
    assert_eq!(meta.mode() & 0o777, 0o700);
    assert_ne!(meta.uid(), 0, "Postgres must not run as root");
    let pid = server_pid(&data.cluster()).unwrap();
    assert!(alive(pid));
    cluster.stop().await.unwrap();
    assert!(!alive(pid));

    let cluster = data.open(Claim::Own).await;
    assert_eq!(ask(&cluster, "SELECT word FROM kept").await, "first run");
    cluster.stop().await.unwrap();
    let log = std::fs::read_to_string(data.cluster().join("server.log")).unwrap();
    assert!(log.contains("ready to accept") && !log.contains("starting up"), "{log}");
}

#[tokio::test]
async fn the_server_is_durable_listens_on_its_socket_only_and_gets_nothing_of_our_environment() {
    let data = Data::new();
    let cluster = data.open(Claim::Own).await;
    for (setting, value) in [
        ("fsync", "on"),
        ("full_page_writes", "on"),
        ("synchronous_commit", "on"),
        ("listen_addresses", ""),
        ("jit", "off"),
        ("server_encoding", "UTF8"),
    ] {
        assert_eq!(ask(&cluster, &format!("current_setting('{setting}')")).await, value, "{setting}");
    }
    assert_eq!(ask(&cluster, "current_database() || ' ' || current_user").await, "hookgate hookgate");
    let pid = server_pid(&data.cluster()).unwrap();
    assert_eq!(nix::unistd::getpgid(Some(pid)).unwrap(), pid, "Ctrl-C in our terminal must not reach it");
    let environment = std::fs::read_to_string(format!("/proc/{pid}/environ")).unwrap();
    assert!(std::env::var("CARGO_MANIFEST_DIR").is_ok());
    assert!(!environment.contains("CARGO_MANIFEST_DIR"));
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn rows_do_not_get_into_the_servers_log() {
    let data = Data::new();
    let cluster = data.open(Claim::Own).await;
    let mut conn = connect(&cluster).await;
    conn.batch_execute("CREATE TABLE leads (mail text UNIQUE)").await.unwrap();
    conn.batch_execute("INSERT INTO leads VALUES ('canary@example.org')").await.unwrap();
    conn.batch_execute("INSERT INTO leads VALUES ('canary@example.org')").await.unwrap_err();
    cluster.stop().await.unwrap();
    let log = std::fs::read_to_string(data.cluster().join("server.log")).unwrap();
    assert!(log.contains("duplicate key"), "{log}");
    assert!(!log.contains("canary"), "{log}");
}

#[tokio::test]
async fn a_data_directory_out_of_reach_for_postgres_gets_a_cluster_elsewhere_that_stays_there() {
    if !Uid::effective().is_root() {
        eprintln!("skipped: only root needs another account for Postgres");
        return;
    }
    let closed = tempfile::tempdir().unwrap();
    std::fs::set_permissions(closed.path(), Permissions::from_mode(0o700)).unwrap();
    let data_dir = closed.path().join("data");
    let cluster = Cluster::open(&data_dir, Claim::Own).await.unwrap();
    let elsewhere = cluster.elsewhere().unwrap();
    let name = elsewhere.file_name().unwrap().to_str().unwrap();
    assert_eq!(elsewhere.parent(), Some(Path::new("/var/lib/hookgate")));
    assert!(name.starts_with("data-"), "{name}");
    assert!(!data_dir.join("postgres").exists());
    run(&cluster, "CREATE TABLE kept AS SELECT 'elsewhere' AS word").await;
    cluster.stop().await.unwrap();

    std::fs::set_permissions(closed.path(), Permissions::from_mode(0o755)).unwrap();
    let cluster = Cluster::open(&data_dir, Claim::Own).await.unwrap();
    assert_eq!(cluster.elsewhere(), Some(elsewhere.clone()));
    assert_eq!(ask(&cluster, "SELECT word FROM kept").await, "elsewhere");
    cluster.stop().await.unwrap();
    std::fs::remove_dir_all(&elsewhere).unwrap();
}

#[tokio::test]
async fn a_path_that_is_too_long_for_a_socket_and_needs_quoting_works_too() {
    let data = Data::new();
    let data_dir = data.path().join("it's a \"dir\", größer").join("x".repeat(100));
    let cluster = Cluster::open(&data_dir, Claim::Own).await.unwrap();
    let socket_dir = PathBuf::from(ask(&cluster, "current_setting('unix_socket_directories')").await);
    assert_eq!(socket_dir.parent(), Some(Path::new("/tmp")));
    assert_eq!(std::fs::metadata(&socket_dir).unwrap().mode() & 0o777, 0o700);
    cluster.stop().await.unwrap();
    std::fs::remove_dir_all(&socket_dir).unwrap();
}

#[tokio::test]
async fn a_second_owner_is_told_who_has_the_data_directory_and_how_to_run_several_nodes() {
    let data = Data::new();
    let cluster = data.open(Claim::Own).await;
    let error = Cluster::open(&data.path(), Claim::Own).await.unwrap_err();
    assert!(matches!(error, EmbeddedError::InUse { .. }));
    let text = error.to_string();
    assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
    assert!(text.contains("DATABASE_URL"), "{text}");
    assert_eq!(ask(&cluster, "1").await, "1", "the first owner goes on");
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_command_joins_the_server_of_an_owner_and_leaves_it_running() {
    let data = Data::new();
    let owner = data.open(Claim::Own).await;
    let command = data.open(Claim::Join).await;
    assert_eq!(ask(&command, "1").await, "1");
    command.stop().await.unwrap();
    drop(data.open(Claim::Join).await);
    assert_eq!(ask(&owner, "1").await, "1");
    owner.stop().await.unwrap();
}

#[tokio::test]
async fn of_commands_without_an_owner_the_first_starts_the_server_and_the_last_stops_it() {
    let data = Data::new();
    let (first, second) = tokio::join!(data.open(Claim::Join), data.open(Claim::Join));
    let pid = server_pid(&data.cluster()).unwrap();
    first.stop().await.unwrap();
    assert_eq!(ask(&second, "1").await, "1");
    let third = data.open(Claim::Join).await;
    let (second, third) = tokio::join!(second.stop(), third.stop());
    second.unwrap();
    third.unwrap();
    assert!(!alive(pid), "two that leave at once must not both leave it to the other");
}

#[tokio::test]
async fn an_owner_takes_over_the_server_of_a_command_that_is_at_work() {
    let data = Data::new();
    let command = data.open(Claim::Join).await;
    let pid = server_pid(&data.cluster()).unwrap();
    let owner = data.open(Claim::Own).await;
    command.stop().await.unwrap();
    assert_eq!(ask(&owner, "1").await, "1");
    assert_eq!(server_pid(&data.cluster()), Some(pid));
    owner.stop().await.unwrap();
    assert!(!alive(pid));
}

#[tokio::test]
async fn a_drop_without_a_stop_ends_the_server_and_a_new_start_waits_for_that() {
    let data = Data::new();
    for claim in [Claim::Own, Claim::Join] {
        let cluster = data.open(claim).await;
        let pid = server_pid(&data.cluster()).unwrap();
        // A session, so that the shutdown has something to do while the next owner comes.
        let _session = connect(&cluster).await;
        drop(cluster);
        wait::until("the server to end", SOON, || async { (!is_ready(&data.cluster())).then_some(()) }).await;
        let next = data.open(Claim::Own).await;
        assert_eq!(ask(&next, "1").await, "1");
        gone(pid).await;
        next.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_is_killed_under_its_owner_comes_back_with_its_rows() {
    let data = Data::new();
    let cluster = data.open(Claim::Own).await;
    run(&cluster, "CREATE TABLE kept AS SELECT 'before the kill' AS word").await;
    let killed = server_pid(&data.cluster()).unwrap();
    kill(killed, Signal::SIGKILL).unwrap();
    gone(killed).await;
    wait::until("the server to come back", SOON, || async {
        hookgate::db::connect_one(&cluster.url()).await.ok()
    })
    .await;
    assert_eq!(ask(&cluster, "SELECT word FROM kept").await, "before the kill");
    let again = server_pid(&data.cluster()).unwrap();
    assert_ne!(again, killed);
    cluster.stop().await.unwrap();
    assert!(!alive(again));
}

#[tokio::test]
async fn a_start_right_after_the_server_was_killed_recovers() {
    let data = Data::new();
    let cluster = data.open(Claim::Own).await;
    run(&cluster, "CREATE TABLE kept AS SELECT 'before the kill' AS word").await;
    // A process of the killed server that does not notice: it holds the shared memory while it computes.
    let mut busy = connect(&cluster).await;
    let busy = tokio::spawn(async move {
        let _ = busy
            .batch_execute(
                "DO $$ /* does not notice */ DECLARE start timestamptz := clock_timestamp(); BEGIN
                     WHILE clock_timestamp() < start + interval '4 s' LOOP END LOOP;
                 END $$",
            )
            .await;
        // Open until the end: what was over before anybody looked is seen all the same.
        busy
    });
    wait::until("the query to run", SOON, || async {
        (ask(&cluster, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%does not notice%'").await
            == "2")
            .then_some(())
    })
    .await;
    kill(server_pid(&data.cluster()).unwrap(), Signal::SIGKILL).unwrap();
    cluster.stop().await.unwrap();
    let cluster = data.open(Claim::Own).await;
    assert_eq!(ask(&cluster, "SELECT word FROM kept").await, "before the kill");
    cluster.stop().await.unwrap();
    busy.await.unwrap();
}

#[tokio::test]
async fn a_pid_file_that_names_another_program_or_nothing_does_not_hinder_a_start() {
    let data = Data::new();
    data.open(Claim::Own).await.stop().await.unwrap();
    let owner = std::fs::metadata(data.cluster()).unwrap();
    let mut stranger = tokio::process::Command::new("sleep")
        .arg("1000")
        .uid(owner.uid())
        .gid(owner.gid())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let file = data.cluster().join("postmaster.pid");
    let socket_lock = data.cluster().join(".s.PGSQL.5432.lock");
    let cluster = data.cluster();
    let number = stranger.id().unwrap();
    let whole = format!("{number}\n{}\n1700000000\n5432\n", cluster.display());
    for text in [&*whole, &*format!("{number}\n"), "", "2147483647\n/elsewhere\n", "12"] {
        for path in [&file, &socket_lock] {
            std::fs::write(path, text).unwrap();
            std::os::unix::fs::chown(path, Some(owner.uid()), Some(owner.gid())).unwrap();
        }
        let opened = data.open(Claim::Own).await;
        assert_eq!(ask(&opened, "1").await, "1", "after {text:?}");
        opened.stop().await.unwrap();
    }
    assert!(stranger.try_wait().unwrap().is_none(), "the other program was stopped");
}

#[tokio::test]
async fn what_an_interrupted_creation_left_is_removed() {
    let data = Data::new();
    let left = data.path().join("postgres.new-0123456789ab");
    std::fs::create_dir_all(left.join("base/1")).unwrap();
    std::fs::write(left.join("PG_VERSION"), "15\n").unwrap();
    let cluster = data.open(Claim::Own).await;
    assert_eq!(ask(&cluster, "1").await, "1");
    cluster.stop().await.unwrap();
    let mut names: Vec<_> =
        std::fs::read_dir(data.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["postgres", "serve.lock"]);
}

#[tokio::test]
async fn a_server_that_does_not_start_says_why() {
    let data = Data::new();
    data.open(Claim::Own).await.stop().await.unwrap();
    std::fs::write(data.cluster().join("postgresql.auto.conf"), "work_mem = 'plenty'\n").unwrap();
    let error = Cluster::open(&data.path(), Claim::Own).await.unwrap_err().to_string();
    assert!(error.contains("work_mem"), "{error}");
    assert!(error.contains("server.log"), "{error}");
}

#[tokio::test]
async fn a_log_that_has_grown_is_cut_at_the_next_start() {
    let data = Data::new();
    data.open(Claim::Own).await.stop().await.unwrap();
    let log = std::fs::OpenOptions::new().write(true).open(data.cluster().join("server.log")).unwrap();
    log.set_len(11 << 20).unwrap();
    data.open(Claim::Own).await.stop().await.unwrap();
    assert!(log.metadata().unwrap().len() < 1 << 20);
}
