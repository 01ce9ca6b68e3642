//! `hookgate sync`: brings over everything at once.

use super::output::print;
use super::serve::engine_settings;
use super::{CliError, Session};
use crate::queue::{Engine, QueueTable as _, Waker};
use crate::sync::moysklad::SyncTasks;
use crate::sync::moysklad::reconcile::{Import, ImportError, Progress, READERS};
use crate::sync::tasks::{self, SyncQueue};
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
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
    let mut import = Import::begin(&session.settings, session.pool.clone(), key, account).await?;
    let mut show = Show::new(session.json);
    if import.resumed {
        show.say("going on where the last import of this account stopped");
    }
    let stop = CancellationToken::new();
    let mut engines = JoinSet::new();
    let result = async {
        import.find(|progress| show.progress(progress)).await?;
        wait(&import, session, &mut show, &mut engines, &stop).await
    }
    .await;
    stop.cancel();
    while engines.join_next().await.is_some() {}
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
async fn wait(
    import: &Import,
    session: &Session,
    show: &mut Show,
    engines: &mut JoinSet<()>,
    stop: &CancellationToken,
) -> Result<Progress, CliError> {
    let mut last = import.progress().await?;
    let mut moved = Instant::now();
    loop {
        let progress = import.progress().await?;
        show.progress(progress);
        if progress.waiting + progress.tasks == 0 {
            return Ok(progress);
        }
        if progress != last {
            (last, moved) = (progress, Instant::now());
        }
        if moved.elapsed() > PATIENCE && engines.is_empty() {
            // A worker that is busy with slow writes shows no progress either.
            let nobody = tasks::is_nobody_at_work(&mut *session.pool.get().await?, PATIENCE).await?;
            if nobody {
                work(session, engines, stop);
            }
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

/// Does here what a worker would do, with a part of the rate: one may begin at any time.
fn work(session: &Session, engines: &mut JoinSet<()>, stop: &CancellationToken) {
    let mut settings = session.settings.clone();
    settings.moysklad = settings.moysklad.share(READERS);
    let settings = &settings;
    let job = Arc::new(SyncTasks::new(settings, session.pool.clone(), session.master_key.clone()));
    let waker = Waker::new(SyncQueue::NAME);
    let engine = Engine::<SyncQueue>::new(session.database.clone(), waker, engine_settings(settings), job);
    engines.spawn(engine.run(stop.clone()));
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
