//! What runs under valgrind: one scenario, one competitor, a given number of operations.

use std::pin::Pin;
use std::process;
use std::sync::Arc;
use std::task::{Context, Waker};

use clap::Args;
use tokio::runtime::Runtime;

use crate::competitor::{About, Acquire, Contender, Kind, Plain, Visitor, Waiting, filled};
use crate::competitors::{self, Yields};
use crate::load::{cycle, hold};
use crate::runtime;

/// A counted scenario. Each task does `few` operations in the short run and `many` in the long one.
struct Scenario {
    id: &'static str,
    tasks: usize,
    max: usize,
    few: u64,
    many: u64,
}

const SCENARIOS: [Scenario; 4] = [
    Scenario { id: "S1", tasks: 1, max: 8, few: 1_000, many: 3_000 },
    Scenario { id: "S3", tasks: 64, max: 8, few: 20, many: 60 },
    Scenario { id: "S4", tasks: 1_000, max: 10, few: 4, many: 8 },
    Scenario { id: "S9", tasks: 9, max: 8, few: 200, many: 400 },
];

/// The job that measures acquires while they wait.
pub(super) const WAITERS: &str = "waiters";

/// One run.
#[derive(Debug, Clone, Args)]
pub struct Job {
    #[arg(long)]
    pub scenario: String,
    #[arg(long)]
    pub competitor: String,
    /// Operations of each task, or the number of waiters.
    #[arg(long)]
    pub count: u64,
}

impl Job {
    fn new(scenario: &str, about: &About) -> Self {
        Self { scenario: scenario.to_string(), competitor: about.id.to_string(), count: 0 }
    }

    pub(super) fn times(&self, count: u64) -> Self {
        Self { count, ..self.clone() }
    }

    pub(super) fn arguments(&self) -> [String; 7] {
        let count = self.count.to_string();
        ["child", "--scenario", &self.scenario, "--competitor", &self.competitor, "--count", &count]
            .map(str::to_string)
    }

    /// Does what the job says and ends the process.
    pub fn run(self) -> ! {
        if self.is_floor() {
            run_tasks(&runtime::single(), &Arc::new(Yields), self.tasks(), self.count);
        } else {
            competitors::each(&mut Run(&self));
        }
        process::exit(0)
    }

    /// Operations of each task in the short and in the long run.
    pub(super) fn operations(&self) -> (u64, u64) {
        let scenario = self.scenario();
        (scenario.few, scenario.many)
    }

    /// The floor of the scheduler has as many tasks as the pool has connections.
    pub(super) fn tasks(&self) -> usize {
        if self.is_floor() { self.scenario().max } else { self.scenario().tasks }
    }

    fn is_floor(&self) -> bool {
        self.competitor == Yields::about().id
    }

    fn scenario(&self) -> &'static Scenario {
        SCENARIOS.iter().find(|scenario| scenario.id == self.scenario).expect("a counted scenario")
    }
}

struct Run<'a>(&'a Job);

impl Visitor for Run<'_> {
    fn visit<K: Kind>(&mut self) {
        let job = self.0;
        if K::about().id != job.competitor {
            return;
        }
        match job.scenario.as_str() {
            WAITERS => wait::<K>(job.count as usize),
            "S1" => runtime::single().block_on(async {
                let pool = filled::<K, _>(Plain::default(), 8).await;
                cycle(&*pool, job.count).await;
            }),
            _ => {
                let runtime = runtime::single();
                let pool = runtime.block_on(filled::<K, _>(Plain::default(), job.scenario().max));
                run_tasks(&runtime, &pool, job.tasks(), job.count);
            }
        }
    }
}

fn run_tasks<P: Acquire>(runtime: &Runtime, pool: &Arc<P>, tasks: usize, count: u64) {
    runtime.block_on(async {
        let tasks: Vec<_> = (0..tasks)
            .map(|_| {
                let pool = Arc::clone(pool);
                tokio::spawn(async move { hold(&*pool, count).await })
            })
            .collect();
        for task in tasks {
            task.await.expect("no task panics");
        }
    });
}

/// Ends the process while `count` acquires wait: what the heap holds at the end is what they take.
fn wait<K: Kind>(count: usize) {
    runtime::single().block_on(async {
        let pool = filled::<K, _>(Plain::default(), 8).await;
        let mut held = Vec::with_capacity(8);
        for _ in 0..8 {
            held.push(pool.acquire().await);
        }
        let mut waiting: Vec<Pin<Box<_>>> = (0..count).map(|_| Box::pin(pool.acquire())).collect();
        for acquire in &mut waiting {
            // Without the budget of a task, so that each really gets its place.
            let acquire = tokio::task::coop::unconstrained(acquire.as_mut());
            let poll = std::pin::pin!(acquire).poll(&mut Context::from_waker(Waker::noop()));
            assert!(poll.is_pending(), "all connections are held");
        }
        process::exit(0);
    });
}

/// Every job, in the order of the tables.
pub(super) fn jobs() -> Vec<Job> {
    struct List(Vec<Job>);
    impl Visitor for List {
        fn visit<K: Kind>(&mut self) {
            let about = K::about();
            let scenarios = SCENARIOS.iter().map(|scenario| scenario.id);
            self.0.extend(
                scenarios
                    .filter(|&id| id == "S1" || K::WAITING == Waiting::Async)
                    .map(|id| Job::new(id, &about)),
            );
            if K::WAITING == Waiting::Async {
                self.0.push(Job::new(WAITERS, &about));
            }
        }
    }
    let mut list = List(Vec::new());
    competitors::each(&mut list);
    list.0.extend(["S3", "S4", "S9"].map(|id| Job::new(id, &Yields::about())));
    list.0
}

/// Bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sizes {
    pub(super) guard_bytes: usize,
    pub(super) future_bytes: usize,
    /// What one waiter takes in the list of [`wait`].
    pub(super) stored_bytes: usize,
}

pub(super) fn sizes(competitor: &str) -> Option<Sizes> {
    struct Find<'a>(&'a str, Option<Sizes>);
    impl Visitor for Find<'_> {
        fn visit<K: Kind>(&mut self) {
            if K::about().id == self.0 {
                self.1 = Some(of::<K>());
            }
        }
    }
    fn of<K: Kind>() -> Sizes {
        runtime::single().block_on(async {
            let pool = K::build(Plain::default(), 8).await;
            Sizes {
                guard_bytes: size_of::<<K::Pool<Plain> as Acquire>::Guard>(),
                future_bytes: pool.future_bytes(),
                stored_bytes: size_of_val(&pool.acquire()) + size_of::<usize>(),
            }
        })
    }
    let mut find = Find(competitor, None);
    competitors::each(&mut find);
    find.1
}
