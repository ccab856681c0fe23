//! Work on many targets at a time, and its progress display.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use anyhow::{ensure, Result};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// The results of `work` for each item, in the items' order; `jobs` at a time, by default as many
/// as there are cores.
pub fn each<T: Sync, R: Send>(
    items: &[T],
    jobs: Option<usize>,
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let jobs =
        jobs.unwrap_or_else(|| thread::available_parallelism().map_or(1, |count| count.get()));
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, items.len().max(1)) {
            scope.spawn(|| loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(item) = items.get(index) else {
                    break;
                };
                let result = work(item);
                results.lock().unwrap().push((index, result));
            });
        }
    });
    let mut results = results.into_inner().unwrap();
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Fails if some targets have an error, with `what` before their names.
pub fn ensure_none_failed<'a>(
    what: &str,
    targets: impl Iterator<Item = (&'a str, &'a Option<String>)>,
) -> Result<()> {
    let failed: Vec<&str> = targets
        .filter(|(_, error)| error.is_some())
        .map(|(target, _)| target)
        .collect();
    ensure!(failed.is_empty(), "{what} {}", failed.join(", "));
    Ok(())
}

/// Shows the progress: a line for each target on a terminal, a line for each stage elsewhere.
pub struct Progress {
    bars: MultiProgress,
    total: ProgressBar,
    targets: Mutex<HashMap<String, ProgressBar>>,
    terminal: bool,
}

impl Progress {
    pub fn new(count: usize) -> Progress {
        let bars = MultiProgress::new(); // on standard error
        let total = bars.add(ProgressBar::new(count as u64));
        total.set_style(ProgressStyle::with_template("{pos} of {len} targets, {elapsed}").unwrap());
        let terminal = std::io::stderr().is_terminal();
        if terminal {
            total.enable_steady_tick(Duration::from_millis(200));
        }
        Progress {
            bars,
            total,
            targets: Mutex::default(),
            terminal,
        }
    }

    pub fn stage(&self, target: &str, stage: &str) {
        if !self.terminal {
            eprintln!("{target}: {stage}");
            return;
        }
        let mut targets = self.targets.lock().unwrap();
        let bar = targets.entry(target.to_owned()).or_insert_with(|| {
            let bar = self
                .bars
                .insert_before(&self.total, ProgressBar::new_spinner());
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        bar.set_message(format!("{target}: {stage}"));
    }

    pub fn finish(&self, target: &str, error: Option<&str>) {
        if let Some(bar) = self.targets.lock().unwrap().remove(target) {
            bar.finish_and_clear();
        }
        self.total.inc(1);
        if let Some(error) = error {
            self.note(&format!("error: {target}: {error}"));
        }
    }

    /// Prints a line above what is under way.
    pub fn note(&self, text: &str) {
        if self.terminal {
            let _ = self.bars.println(text);
        } else {
            eprintln!("{text}");
        }
    }

    pub fn clear(&self) {
        self.total.finish_and_clear();
    }
}
