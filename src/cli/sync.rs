//! `hookgate sync`: brings over everything at once.

use super::output::print;
use super::serve::engine_settings;
use super::{CliError, Session};
use crate::nodes::Node;
use crate::queue::{Engine, QueueTable as _, Waker};
use crate::sync::moysklad::SyncTasks;
use crate::sync::moysklad::reconcile::{Import, ImportError, Progress};
use crate::sync::tasks::{self, SyncQueue};
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Bring over everything at once.
#[derive(Debug, Subcommand)]
pub(super) enum SyncCommand {
    /// Bring main's whole catalogue to a child, or to all children of a main account.
    ///
    /// What is there already and equal is not written. Cut off, it goes on where it stopped when it is started again. A
    /// running worker does the writing; if there is none, this command does it.
    Full {
        /// The child, or the main account.
        #[arg(long)]
        account: Uuid,
    },
}

/// What is due and nobody has begun by then: there is no worker.
const PATIENCE: Duration = Duration::from_secs(3);
/// Nothing has moved for this long: something holds it.
const STALLED: Duration = Duration::from_secs(180);
const LOOK: Duration = Duration::from_millis(500);

impl From<ImportError> for CliError {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Hook(error) => error.into(),
            error => Self::Message(error.to_string()),
        }
    }
}

pub(super) async fn run(command: SyncCommand, session: &Session) -> Result<(), CliError> {
    let SyncCommand::Full { account } = command;
    let key = session.master_key.clone();
    let node = session.join().await?;
    let nodes = node.nodes.clone();
    let begun = Import::begin(&session.settings, session.pool.clone(), key, nodes, account).await;
    let mut import = match begun {
        Ok(import) => import,
        Err(error) => {
            node.leave().await;
            return Err(error.into());
        }
    };
    let mut show = Show::new(session.json);
    if import.resumed {
        show.say("going on where the last import of this account stopped");
    }
    let found = import.find(|progress| show.progress(progress)).await;
    // Who writes needs the whole of what MoySklad allows; this command reads no more.
    node.leave().await;
    let result = match found {
        Ok(()) => wait(&import, session, &mut show).await,
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(progress) => {
            let refused = import.refused().to_vec();
            import.finish(progress).await?;
            show.end(progress, &refused, session.json);
            let is_whole = progress.failed + progress.held == 0 && refused.is_empty();
            if is_whole { Ok(()) } else { Err(CliError::Silent) }
        }
        Err(error) => {
            import.interrupt(&error.to_string()).await?;
            Err(error)
        }
    }
}

/// Until everything is done.
async fn wait(import: &Import, session: &Session, show: &mut Show) -> Result<Progress, CliError> {
    let mut worker = None;
    let result = watch(import, session, show, &mut worker).await;
    if let Some(worker) = worker {
        worker.stop().await;
    }
    result
}

async fn watch(
    import: &Import,
    session: &Session,
    show: &mut Show,
    worker: &mut Option<Worker>,
) -> Result<Progress, CliError> {
    let mut last = import.progress().await?;
    let mut moved = Instant::now();
    let mut alone = false;
    loop {
        let progress = import.progress().await?;
        show.progress(progress);
        if progress.waiting + progress.tasks == 0 {
            return Ok(progress);
        }
        if progress != last {
            (last, moved) = (progress, Instant::now());
        }
        if moved.elapsed() > PATIENCE && worker.is_none() {
            // A worker that is busy with slow writes shows no progress either; and between two tasks nobody is at work.
            let was_alone = alone;
            alone = tasks::is_nobody_at_work(&mut *session.pool.get().await?, PATIENCE).await?;
            if alone && was_alone {
                *worker = Some(Worker::start(session).await?);
            }
        } else {
            alone = false;
        }
        if moved.elapsed() > STALLED {
            return Err(CliError::Message(format!(
                "{} changes and {} tasks wait and nothing has moved for three minutes; `hookgate queue list` says what \
                 they wait for. Start the import again to go on",
                progress.waiting, progress.tasks
            )));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Does here what a worker would do.
struct Worker {
    node: Node,
    engine: JoinHandle<()>,
    stop: CancellationToken,
}

impl Worker {
    async fn start(session: &Session) -> Result<Self, CliError> {
        let (settings, stop) = (&session.settings, CancellationToken::new());
        let node = session.join().await?;
        let (pool, key) = (session.pool.clone(), session.master_key.clone());
        let job = Arc::new(SyncTasks::new(settings, pool, key, node.nodes.clone()));
        let waker = Waker::new(SyncQueue::NAME);
        let engine =
            Engine::<SyncQueue>::new(session.database.clone(), waker, engine_settings(settings), job);
        Ok(Self { node, engine: tokio::spawn(engine.run(stop.clone())), stop })
    }

    async fn stop(self) {
        self.stop.cancel();
        let _ = self.engine.await;
        self.node.leave().await;
    }
}

/// A bar for people; lines where nobody watches; nothing but the end for scripts.
enum Show {
    Bar(ProgressBar),
    Lines(Option<Progress>),
    Nothing,
}

impl Show {
    fn new(json: bool) -> Self {
        if json {
            return Self::Nothing;
        }
        if !std::io::stderr().is_terminal() {
            return Self::Lines(None);
        }
        let bar = ProgressBar::new(0);
        let style = "{elapsed_precise} [{wide_bar}] {pos}/{len} {msg}";
        bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self::Bar(bar)
    }

    fn say(&self, text: &str) {
        match self {
            Self::Bar(bar) => bar.println(text),
            Self::Lines(_) => print(text),
            Self::Nothing => {}
        }
    }

    fn progress(&mut self, progress: Progress) {
        let Progress { found, expected, done, waiting, failed, .. } = progress;
        match self {
            Self::Bar(bar) => {
                bar.set_length(expected);
                bar.set_position(done);
                bar.set_message(format!("{found} read, {waiting} changes wait, {failed} failed"));
            }
            Self::Lines(last) if *last != Some(progress) => {
                print(&format!(
                    "{found} of {expected} read from main, {done} done; {waiting} changes wait, {failed} failed"
                ));
                *last = Some(progress);
            }
            Self::Lines(_) | Self::Nothing => {}
        }
    }

    fn end(&self, progress: Progress, refused: &[String], json: bool) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
        if json {
            let mut report = json!(progress);
            report["refused"] = refused.into();
            print(&format!("{report:#}"));
            return;
        }
        let Progress { found, failed, held, .. } = progress;
        if failed + held == 0 && refused.is_empty() {
            print(&format!("imported: {found} entities of main are in step"));
            return;
        }
        print(&format!("{found} entities of main were looked at"));
        if failed > 0 {
            print(&format!("{failed} failed: `hookgate queue list --status failed` says why"));
        }
        if let Some(until) = progress.held_until {
            let changes = if held == 1 { "1 change is".to_owned() } else { format!("{held} changes are") };
            print(&format!("{changes} held until {}: `hookgate queue changes` says why", until.to_rfc3339()));
        }
        for text in refused {
            print(text);
        }
    }
}
