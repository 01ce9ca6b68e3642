//! The server of a cluster: is it alive, start it, stop it.

use super::place::{NAME, Place};
use super::programs::Programs;
use super::{EmbeddedError, durable, io};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{File, OpenOptions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;
use tokio::process::Child;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::error::SqlState;

/// Recovery after a crash replays at most the write-ahead log that `max_wal_size` allows; slow disks need long for it.
const START_LIMIT: Duration = Duration::from_secs(120);
/// How long processes of a killed server may hold its memory: each ends when it notices that its server is gone.
const LEFTOVER_LIMIT: Duration = Duration::from_secs(20);
const STOP_LIMIT: Duration = Duration::from_secs(30);
const QUIT_LIMIT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(50);
const MAX_LOG: u64 = 10 << 20;

/// A number that no process can have: above every system's highest.
const NO_PROCESS: i32 = i32::MAX;

/// The line of the pid file in which Postgres 10 and newer write `starting`, `ready` or `stopping`.
const STATUS_LINE: usize = 7;

const SETTINGS: &[&str] = &[
    "listen_addresses=",
    // Beside the pool: writer, listener, commands and an operator's psql.
    "max_connections=60",
    // Fewer checkpoints mean fewer full pages in the log under load; recovery stays within a minute.
    "max_wal_size=2GB",
    "min_wal_size=256MB",
    "checkpoint_timeout=10min",
    // Short queries: compiling them costs more than running them.
    "jit=off",
    // Rows, and so personal data, stay out of the server's log.
    "log_error_verbosity=terse",
    "log_min_error_statement=panic",
    "log_checkpoints=off",
];

/// Makes sure that the server accepts connections: finds it running, waits for it, or starts it.
pub(super) async fn ensure_running(place: &Place) -> Result<(), EmbeddedError> {
    let begin = Instant::now();
    let mut child: Option<Starting> = None;
    let mut left_behind = false;
    loop {
        if accepts(place).await {
            if let Some(started) = child {
                started.leave_running();
            }
            return Ok(());
        }
        if let Some(started) = &mut child
            && let Some(status) = started.ended().map_err(io("wait for", &place.cluster))?
        {
            child = None;
            let another_was_faster = running(place).is_some();
            let worth_another_try = left_behind && begin.elapsed() < LEFTOVER_LIMIT;
            if !another_was_faster && !worth_another_try {
                return Err(EmbeddedError::Exited { status, log: log_tail(place), file: log_path(place) });
            }
        } else if child.is_none() && running(place).is_none() {
            left_behind |= retire_leftovers(place)?;
            child = Some(Starting(Some(start(place).await?)));
        }
        if begin.elapsed() > START_LIMIT {
            // Its recovery goes on, and the next attempt finds it further.
            if let Some(started) = child {
                started.leave_running();
            }
            return Err(EmbeddedError::NoAnswer { log: log_tail(place), file: log_path(place) });
        }
        sleep(POLL).await;
    }
}

/// A server that has not answered yet; given up on, it is asked to end.
struct Starting(Option<Child>);

impl Starting {
    fn ended(&mut self) -> std::io::Result<Option<ExitStatus>> {
        self.0.as_mut().map_or(Ok(None), Child::try_wait)
    }

    /// It stays when this value goes; the runtime collects it when it ends.
    fn leave_running(mut self) {
        self.0 = None;
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        let pid = self.0.as_ref().and_then(Child::id).and_then(|id| i32::try_from(id).ok());
        if let Some(pid) = pid {
            let _ = kill(Pid::from_raw(pid), Signal::SIGINT);
        }
    }
}

/// Whether the server answers as one that accepts connections; one that starts or stops does not.
pub(super) async fn accepts(place: &Place) -> bool {
    // Asked while it recovers, it would fill its log with refusals: first look at what it says of itself.
    if line_of_pid_file(place, STATUS_LINE).is_none_or(|status| status != "ready") {
        return false;
    }
    let mut config = tokio_postgres::Config::new();
    config.host_path(&place.socket_dir).user(NAME).dbname(NAME);
    match timeout(Duration::from_secs(5), config.connect(tokio_postgres::NoTls)).await {
        Ok(Ok(_)) => true,
        // Refused for another reason (too many connections, say): it is up, and its answer is for the one who asked.
        Ok(Err(error)) => error.code().is_some_and(|code| {
            ![SqlState::CANNOT_CONNECT_NOW, SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN].contains(code)
        }),
        Err(_) => false,
    }
}

/// The process of the cluster's server, if it lives.
pub(super) fn running(place: &Place) -> Option<Pid> {
    let pid: i32 = line_of_pid_file(place, 0)?.parse().ok()?;
    (pid > 0 && serves(pid, &place.cluster)).then(|| Pid::from_raw(pid))
}

/// Asks the server to disconnect everybody and end in good order. Does not wait.
pub(super) fn interrupt(place: &Place) {
    if let Some(pid) = running(place) {
        let _ = kill(pid, Signal::SIGINT);
    }
}

/// Stops the server and waits until it is gone.
pub(super) async fn stop(place: &Place) -> Result<(), EmbeddedError> {
    let Some(pid) = running(place) else { return Ok(()) };
    for (signal, limit) in [(Signal::SIGINT, STOP_LIMIT), (Signal::SIGQUIT, QUIT_LIMIT)] {
        let _ = kill(pid, signal);
        let begin = Instant::now();
        while begin.elapsed() < limit {
            // Not `running`: the pid file goes a moment before the process.
            if !serves(pid.as_raw(), &place.cluster) {
                return Ok(());
            }
            sleep(POLL).await;
        }
    }
    Err(EmbeddedError::DoesNotStop { pid: pid.as_raw() })
}

/// Whether a process is a server of this cluster: its number alone may by now be another program's.
fn serves(pid: i32, cluster: &Path) -> bool {
    if !Path::new("/proc/self/cmdline").exists() {
        let ps = std::process::Command::new("ps").args(["-o", "command=", "-p", &pid.to_string()]).output();
        let line = ps.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        return line.contains("postgres") && line.contains(&*cluster.to_string_lossy());
    }
    // A dead process that nobody has collected yet has an empty command line.
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mut arguments = line.split(|byte| *byte == 0);
    arguments.next().is_some_and(|program| program.ends_with(b"postgres"))
        && arguments.any(|argument| argument == cluster.as_os_str().as_bytes())
}

/// Clears the way after a server that ended without tidying up; true if there was one.
///
/// The pid file is not removed: Postgres reads there which shared memory to ask whether processes of the dead server
/// still work on the files. Only the number goes, which may by now be that of another program.
fn retire_leftovers(place: &Place) -> Result<bool, EmbeddedError> {
    for name in [".s.PGSQL.5432", ".s.PGSQL.5432.lock"] {
        let _ = std::fs::remove_file(place.socket_dir.join(name));
    }
    let path = pid_file(place);
    let Ok(text) = std::fs::read_to_string(&path) else { return Ok(false) };
    match text.split_once('\n') {
        Some((_, rest)) => std::fs::write(&path, format!("{NO_PROCESS}\n{rest}")),
        // Cut off by a crash of the machine, after which no memory is shared any more.
        None => std::fs::remove_file(&path),
    }
    .map_err(io("mend", &path))?;
    Ok(true)
}

async fn start(place: &Place) -> Result<Child, EmbeddedError> {
    let place = place.clone();
    let command = super::blocking(move || {
        let programs = Programs::find(&place.cluster)?;
        let log = open_log(&place)?;
        let mut command = place.account.command(&programs.postgres());
        command.arg("-D").arg(&place.cluster);
        command.arg("-c").arg(format!("unix_socket_directories={}", place.socket_dir.display()));
        command.args(SETTINGS.iter().flat_map(|setting| ["-c", setting]));
        if !durable() {
            command.args(["-c", "fsync=off"]);
        }
        command.stderr(log.try_clone().map_err(io("open", &place.cluster))?).stdout(log);
        // Ctrl-C in a terminal goes to a whole process group; the gateway finishes its work first, then stops this.
        command.process_group(0);
        Ok((command, programs.postgres()))
    });
    let (command, program) = command.await?;
    tokio::process::Command::from(command).spawn().map_err(io("run", &program))
}

fn open_log(place: &Place) -> Result<File, EmbeddedError> {
    let path = log_path(place);
    let log = OpenOptions::new().create(true).append(true).open(&path).map_err(io("open", &path))?;
    place.account.take_over(&path)?;
    if log.metadata().is_ok_and(|meta| meta.len() > MAX_LOG) {
        log.set_len(0).map_err(io("shorten", &path))?;
    }
    Ok(log)
}

fn log_tail(place: &Place) -> String {
    super::tail(&String::from_utf8_lossy(&std::fs::read(log_path(place)).unwrap_or_default()))
}

fn log_path(place: &Place) -> PathBuf {
    place.cluster.join("server.log")
}

fn line_of_pid_file(place: &Place, number: usize) -> Option<String> {
    let text = std::fs::read_to_string(pid_file(place)).ok()?;
    text.lines().nth(number).map(|line| line.trim().to_owned())
}

fn pid_file(place: &Place) -> PathBuf {
    place.cluster.join("postmaster.pid")
}
