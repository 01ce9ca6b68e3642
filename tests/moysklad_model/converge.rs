//! The test.

use super::draw::Draw;
use super::edit::Edit;
use super::profiles::Filter;
use super::world::{Size, World};
use crate::support::moysklad::Weather;
use rand::RngExt as _;
use std::time::{Duration, Instant};

/// Seeds that are run always: each has found something (counterparts of what was made again, creates that were cut off,
/// what goes on after a kill, prices of variants that go to other types).
const SEEDS: [u64; 4] = [1, 2, 3, 4];

fn setting<T: std::str::FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

#[tokio::test(flavor = "multi_thread")]
async fn children_hold_what_main_says_whatever_the_weather_was() {
    let size = Size {
        edits: setting("HOOKGATE_MODEL_EDITS").unwrap_or(150),
        children: setting("HOOKGATE_MODEL_CHILDREN").unwrap_or(3),
    };
    let count: u64 = setting("HOOKGATE_MODEL_SEEDS").unwrap_or(1);
    let seeds = setting("HOOKGATE_MODEL_SEED");
    let seeds = seeds.map_or(SEEDS.to_vec(), |seed: u64| (seed..seed + count).collect());
    // Side by side: each mostly waits for its limits and sweeps.
    let runs: Vec<_> = seeds.into_iter().map(|seed| tokio::spawn(run(seed, size))).collect();
    for run in runs {
        if let Err(failed) = run.await {
            std::panic::resume_unwind(failed.into_panic());
        }
    }
}

async fn run(seed: u64, size: Size) {
    let start = Instant::now();
    let (mut world, mut rng) = World::start(seed, size).await;
    // Of every second run.
    let crash = rng.random_range(1..2 * size.edits);
    let catalog_only = setting::<u8>("HOOKGATE_MODEL_CATALOG").is_some_and(|flag| flag > 0);
    let takes_all: Vec<bool> =
        world.children.iter().map(|child| child.profile.filter == Filter::None).collect();
    while world.log.len() < size.edits {
        let (takes_all, book) = (takes_all.clone(), &mut world.book);
        let edits = Draw { rng: &mut rng, book, takes_all, catalog_only }.next();
        let pause = rng.random_range(0..60);
        for edit in edits {
            match edit {
                Edit::Settings(child, change) => world.change_settings(child, change).await,
                edit => world.apply(edit),
            }
            if world.log.len() == crash {
                world.apply(Edit::Crash);
                world.free_turns().await;
            }
        }
        // A person's pace: edits come while earlier ones are on their way.
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    let edited = start.elapsed();
    world.sim.weather(Weather::default());
    world.import_changed().await;
    world.converge(Duration::from_secs(300 + size.edits as u64 / 20)).await;
    let converged = start.elapsed();
    world.stays_calm().await;
    let (mut requests, mut writes, mut refused) = (0, 0, 0);
    for account in world.accounts() {
        requests += world.sim.requests(account).len();
        writes += world.sim.writes(account).len();
        refused += world.sim.refused(account, 429);
    }
    println!(
        "seed {seed}: {} edits in {edited:.1?}, equal after {converged:.1?}, calm after {:.1?}; {requests} requests, \
         {writes} writes, {refused} answers 429; {}",
        world.log.len(),
        start.elapsed(),
        world.documents().await,
    );
    // A pause of the machine lets what was spread over seconds arrive at once; in a short run that is a large share.
    let share = if size.edits < 1000 { 3 } else { 1 };
    assert!(
        refused * 100 < share * (requests + refused),
        "seed {seed}: {refused} of {requests} answers were 429"
    );
}
