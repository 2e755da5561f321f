//! "What size should mine be?": the arithmetic, the simulation, and how far they differ.

use crate::drive::run;
use crate::json::{Object, array, text};
use crate::ledger::Figures;
use crate::need::Need;
use crate::report::report;
use crate::run::Run;
use crate::scenario::{Arrivals, KnobError, Scenario};
use crate::theory;

/// How far from the answer of the arithmetic the simulation looks for its own.
pub(crate) const STEPS: usize = 8;
/// One answer takes up to twenty runs. With more requests in each, a phone would be busy for too long.
const MOST_REQUESTS: f64 = 50_000.0;
/// A queue forgets what it was like in one such time, so a run has to be many of them long.
const RELAXATIONS: f64 = 200.0;
/// Below this a run is a few anecdotes.
const FEWEST_RELAXATIONS: f64 = 40.0;
const FEWEST_REQUESTS: f64 = 5_000.0;
/// The longest run of the lab, in seconds.
const LONGEST: f64 = 20_000.0;

/// What the simulation says of the size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Simulated {
    /// The least size that keeps the targets.
    Needs(usize),
    /// No size near that of the arithmetic keeps them.
    NoneNear,
    /// The holds or the target are too short for a clock of whole milliseconds.
    TooFine,
    /// So few requests arrive, or the queue changes so slowly, that the longest run would be too short.
    TooShort,
    /// More connections or copies, for so long, than the lab can run.
    TooLarge,
}

/// What more load does to the answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grown {
    /// The wait of 99 of 100, in milliseconds. Nothing if the queue would grow without end.
    pub p99_wait: Option<f64>,
    /// About the least size that keeps the targets, if the answer does not.
    pub needed: Option<usize>,
}

/// The answer to one need.
#[derive(Debug, Clone, PartialEq)]
pub struct Sizing {
    /// What was asked.
    pub need: Need,
    /// Connections that each replica holds on average, by Little's law.
    pub held: f64,
    /// How many times longer the waits are than Erlang C says, because holds or arrivals vary more or less.
    pub spread: f64,
    /// The least size that keeps the target for the wait, by arithmetic.
    pub by_arithmetic: usize,
    /// What the simulation says.
    pub simulated: Simulated,
    /// The least size that keeps the targets: by arithmetic where that is exact, else by the simulation.
    pub needed: usize,
    /// What the server has for each replica while a deploy goes on. Nothing if it has no limit.
    pub share: Option<usize>,
    /// The size to set: what is needed, or the share if that is less.
    pub answer: usize,
    /// The wait of 99 of 100 at the answer, in milliseconds: by arithmetic where that is exact, else in the simulation.
    /// Nothing if the queue grows without end.
    pub p99_wait: Option<f64>,
    /// What a fifth more requests do.
    pub grown: Grown,
    /// The run of the answer, if the lab can run it.
    pub run: Option<Run>,
}

/// What the answer says of growth.
const GROWTH: f64 = 1.2;

/// Sizes the pool of each replica.
///
/// # Errors
///
/// If the load has no rate, needs a pool above the bounds of the lab, or finds no place at the server.
pub fn size(need: &Need) -> Result<Sizing, KnobError> {
    let scenario = &need.scenario;
    let values = &scenario.values;
    let wrong = |knob: &str, message: String| Err(KnobError::new(knob, message));
    let Some(rate) = scenario.rate() else {
        return wrong("arrivals", "is closed: choose poisson, which has a rate".to_owned());
    };
    let alive = scenario.replicas_in_a_deploy();
    let share = (values.server_limit > 0.0).then(|| values.server_limit as usize / alive);
    if share == Some(0) {
        let limit = values.server_limit;
        let message = format!(
            "leaves {limit} connections for the {alive} copies that run at once in a deploy: run fewer, put a proxy in \
             between, or raise it"
        );
        return wrong("server_limit", message);
    }
    let held = rate / values.replicas * scenario.mean_hold() / 1e3;
    let of_arrivals = if scenario.arrivals() == Arrivals::Constant { 0.0 } else { 1.0 };
    let spread = theory::spread(of_arrivals, scenario.spread_of_holds());
    let Some(by_arithmetic) = least(need, held, spread) else {
        let message =
            format!("is {} ms, which needs too many connections: lower it, or the rate", values.hold);
        return wrong("hold", message);
    };
    let mut sizing = Sizing {
        need: need.clone(),
        held,
        spread,
        by_arithmetic,
        simulated: Simulated::TooLarge,
        needed: by_arithmetic,
        share,
        answer: by_arithmetic,
        p99_wait: None,
        grown: Grown { p99_wait: None, needed: None },
        run: None,
    };
    sizing.simulated = sizing.simulate();
    if let Simulated::Needs(needs) = sizing.simulated {
        sizing.needed = match (sizing.is_exact(), need.total) {
            (true, None) => by_arithmetic,
            (true, Some(_)) => needs.max(by_arithmetic),
            (false, _) => needs,
        };
    }
    sizing.answer = share.map_or(sizing.needed, |share| sizing.needed.min(share));
    sizing.run = sizing.scenario_with(sizing.answer).map(|scenario| run(&scenario));
    sizing.p99_wait = sizing.p99_at(sizing.run.as_ref().map(|run| &run.figures));
    sizing.grown = sizing.growth();
    Ok(sizing)
}

/// The least size that keeps the target for the wait, by arithmetic, if so many connections are held on average.
fn least(need: &Need, held: f64, spread: f64) -> Option<usize> {
    let wait = need.target / need.scenario.mean_hold() / spread.max(1e-6);
    theory::least_connections(held, 0.99, wait)
}

impl Sizing {
    /// The wait of 99 of 100 with so many connections, at so many times the load, by arithmetic and in milliseconds. Nothing
    /// if the queue would grow without end.
    pub fn p99_by_arithmetic(&self, connections: usize, load: f64) -> Option<f64> {
        let holds = theory::wait_quantile(connections, load * self.held / connections as f64, 0.99);
        let millis = holds * self.spread * self.need.scenario.mean_hold();
        millis.is_finite().then_some(millis)
    }

    /// The wait of 99 of 100 at the answer.
    fn p99_at(&self, simulated: Option<&Figures>) -> Option<f64> {
        let arithmetic = self.p99_by_arithmetic(self.answer, 1.0)?;
        if self.counts_simulation() { Some(simulated?.p99_wait as f64) } else { Some(arithmetic) }
    }

    /// What a fifth more requests do to the answer.
    fn growth(&self) -> Grown {
        let mut p99_wait = self.p99_by_arithmetic(self.answer, GROWTH);
        let mut keeps = p99_wait.is_some_and(|wait| wait <= self.need.target);
        // Where the simulation counts, it has the word, as long as a run can be long enough for the fuller queue.
        if p99_wait.is_some()
            && self.counts_simulation()
            && let Some(figures) = self.grown_run()
        {
            p99_wait = Some(figures.p99_wait as f64);
            keeps = self.keeps(&figures);
        }
        // The size may be the simulation's; the arithmetic knows by how much it grows.
        let more = least(&self.need, GROWTH * self.held, self.spread)
            .map(|least| least.saturating_sub(self.by_arithmetic));
        let needed = more.map(|more| (self.needed + more).max(self.answer + 1));
        Grown { p99_wait, needed: needed.filter(|_| !keeps) }
    }

    fn grown_run(&self) -> Option<Figures> {
        let mut grown = self.clone();
        let rate = grown.rate() * GROWTH;
        grown.need.scenario = grown.need.scenario.with(&format!("rate={rate}")).ok()?;
        grown.held *= GROWTH;
        let scenario = grown.scenario_with(self.answer).filter(|_| grown.is_long_enough(self.answer))?;
        Some(run(&scenario).figures)
    }

    /// Whether the simulation says more than the arithmetic.
    pub(crate) fn counts_simulation(&self) -> bool {
        !self.is_exact() && matches!(self.simulated, Simulated::Needs(_) | Simulated::NoneNear)
    }

    /// Whether arithmetic is exact for the load.
    pub(crate) fn is_exact(&self) -> bool {
        self.need.scenario.is_exact()
    }

    /// Whether some requests take longer than the target for wait and hold together by themselves.
    pub(crate) fn is_total_hopeless(&self) -> bool {
        self.need.total.is_some_and(|total| self.longest_hold() > total)
    }

    /// 99 of 100 hold no longer, in milliseconds.
    pub(crate) fn longest_hold(&self) -> f64 {
        self.need.scenario.hold_quantile(0.99)
    }

    fn keeps(&self, figures: &Figures) -> bool {
        // Whoever got no connection, or no answer, has not waited for a short time.
        let are_served = figures.unanswered() * 100 <= figures.requests();
        let total = self.need.total.filter(|_| !self.is_total_hopeless());
        are_served
            && figures.p99_wait as f64 <= self.need.target
            && total.is_none_or(|total| figures.p99_total as f64 <= total)
    }

    /// Looks for the least size that keeps the targets.
    fn simulate(&self) -> Simulated {
        if self.need.is_too_fine() {
            return Simulated::TooFine;
        }
        // The search is for what the load needs, and not for what the server has.
        let scenario = |connections| self.scenario_with(connections)?.with("server_limit=0").ok();
        if scenario(self.by_arithmetic).is_none() {
            return Simulated::TooLarge;
        }
        if !self.is_long_enough(self.by_arithmetic) {
            return Simulated::TooShort;
        }
        let seed = self.need.scenario.values.seed;
        // One sample may keep the target by luck.
        let keeps = |connections: &usize| {
            [seed, (seed + 1.0) % 1e9].into_iter().all(|seed| {
                let scenario =
                    scenario(*connections).and_then(|each| each.with(&format!("seed={seed}")).ok());
                scenario.is_some_and(|scenario| self.keeps(&run(&scenario).figures))
            })
        };
        if keeps(&self.by_arithmetic) {
            // One that holds all of its connections on average has a queue without end.
            let least = self.by_arithmetic.saturating_sub(STEPS).max(self.held as usize + 1);
            let fewer = (least..self.by_arithmetic).rev();
            let last = fewer.take_while(|fewer| self.is_long_enough(*fewer) && keeps(fewer)).last();
            return Simulated::Needs(last.unwrap_or(self.by_arithmetic));
        }
        let mut more = self.by_arithmetic + 1..=self.by_arithmetic + STEPS;
        let first = more.find(keeps);
        first.map_or(Simulated::NoneNear, Simulated::Needs)
    }

    /// Whether a run with so many connections has enough requests, and is long for its queue.
    fn is_long_enough(&self, connections: usize) -> bool {
        let length = self.length(connections);
        let relaxations = length / self.relaxation(connections) * self.need.scenario.values.replicas;
        length * self.rate() >= FEWEST_REQUESTS && relaxations >= FEWEST_RELAXATIONS
    }

    /// Nothing if the lab cannot run so many.
    fn scenario_with(&self, connections: usize) -> Option<Scenario> {
        let (warm_up, length) = (self.warm_up(connections), self.length(connections));
        let knobs = format!(
            "max_connections={connections}&min_connections={connections}&warm_up={warm_up}&duration={}",
            warm_up + length
        );
        self.need.scenario.with(&knobs).ok()
    }

    fn rate(&self) -> f64 {
        self.need.scenario.rate().unwrap_or_default()
    }

    /// Seconds in which the queue of a pool forgets what it was like: long where it is nearly full.
    fn relaxation(&self, connections: usize) -> f64 {
        let free = 1.0 - (self.held / connections as f64).min(0.99).sqrt();
        self.need.scenario.mean_hold() / 1e3 / (connections as f64 * free * free) * self.spread.max(1.0)
    }

    /// How long a run begins before its figures count, in whole seconds.
    fn warm_up(&self, connections: usize) -> f64 {
        let longest = 5.0 * self.relaxation(connections).max(self.longest_hold() / 1e3);
        longest.min(LONGEST / 20.0).min(MOST_REQUESTS / 5.0 / self.rate()).max(1.0).ceil()
    }

    /// How long its figures count, in whole seconds: as long as it takes, and no longer than a phone can do at once.
    fn length(&self, connections: usize) -> f64 {
        let rate = self.rate();
        let wanted = (RELAXATIONS * self.relaxation(connections)).max(MOST_REQUESTS / 2.0 / rate);
        wanted.min(MOST_REQUESTS / rate).clamp(1.0, LONGEST).ceil()
    }

    /// The answer in sentences, for a reader who knows nothing of queues. The first one is the answer.
    pub fn words(&self) -> Vec<String> {
        crate::sizing_words::words(self)
    }
}

/// The answer as JSON, with the run if there is one.
pub fn sizing_json(sizing: &Sizing) -> String {
    Object::new()
        .raw("words", &array(sizing.words().iter().map(|sentence| text(sentence))))
        .number("held", sizing.held)
        .number("needed", sizing.needed as f64)
        .maybe("share", sizing.share.map(|share| share as f64))
        .number("answer", sizing.answer as f64)
        .raw("run", &sizing.run.as_ref().map_or("null".to_owned(), report))
        .end()
}
