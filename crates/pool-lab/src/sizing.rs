//! "What size should mine be?": the arithmetic, the simulation, and how far they differ.

use crate::drive::run;
use crate::json::{Object, array, text};
use crate::report::report;
use crate::run::Run;
use crate::scenario::{KnobError, Scenario};
use crate::theory;

/// How far from the answer of the arithmetic the simulation looks for its own.
const STEPS: usize = 8;
/// One answer takes up to eighteen runs. With more requests in each, a phone would be busy for too long.
const REQUESTS: f64 = 25_000.0;

/// The answer for one scenario: its rate, hold time, target, replicas, surge and limit of the server. Its own
/// `max_connections` does not count.
#[derive(Debug, Clone, PartialEq)]
pub struct Sizing {
    /// Connections that each replica holds on average, by Little's law.
    pub held: f64,
    /// The least size that keeps the target, by Erlang C.
    pub needed: usize,
    /// What the server has for each replica while a deploy goes on. Nothing if it has no limit.
    pub share: Option<usize>,
    /// The size to set: what is needed, or the share if that is less.
    pub answer: usize,
    /// The least size that keeps the target in the simulation, if it is near the answer of the arithmetic.
    pub simulated: Option<usize>,
    /// The wait of 99 of 100 at the answer, by Erlang C. Nothing if the queue would grow without end.
    pub p99_by_arithmetic: Option<f64>,
    /// The run of the answer.
    pub run: Run,
}

/// Sizes the pool of each replica.
///
/// # Errors
///
/// If the scenario's load has no rate, needs a pool above the bounds of the lab, or finds no place at the server.
pub fn size(scenario: &Scenario) -> Result<Sizing, KnobError> {
    let values = &scenario.values;
    let wrong = |knob: &str, message: String| Err(KnobError::new(knob, message));
    let Some(rate) = scenario.rate() else {
        return wrong("arrivals", "is closed: choose poisson, which has a rate".to_owned());
    };
    let held = rate / values.replicas * scenario.mean_hold() / 1e3;
    let alive = scenario.replicas_in_a_deploy();
    let share = (values.server_limit > 0.0).then(|| values.server_limit as usize / alive);
    if share == Some(0) {
        let limit = values.server_limit;
        return wrong(
            "server_limit",
            format!("is {limit}, for {alive} pools: run fewer replicas, or raise it"),
        );
    }
    let Some(needed) = theory::least_connections(held, 0.99, values.target / scenario.mean_hold()) else {
        return wrong(
            "hold",
            format!("is {} ms, which needs too many connections: lower it, or the rate", values.hold),
        );
    };
    let duration = values.duration.min(values.warm_up + REQUESTS / rate);
    let of = |connections: usize| {
        scenario
            .with(&format!("max_connections={connections}&min_connections={connections}&duration={duration}"))
    };
    let answer = share.map_or(needed, |share| needed.min(share));
    let keeps = |connections: usize| -> Result<bool, KnobError> {
        Ok(run(&of(connections)?).figures.p99_wait as f64 <= values.target)
    };
    let mut simulated = None;
    for connections in needed.saturating_sub(STEPS).max(held as usize + 1)..=needed + STEPS {
        if keeps(connections)? {
            simulated = Some(connections);
            break;
        }
    }
    let p99 = theory::wait_quantile(answer, held / answer as f64, 0.99) * scenario.mean_hold();
    Ok(Sizing {
        held,
        needed,
        share,
        answer,
        simulated,
        p99_by_arithmetic: p99.is_finite().then_some(p99),
        run: run(&of(answer)?),
    })
}

impl Sizing {
    /// The answer in sentences, for a reader who knows nothing of queues. The first one is the answer.
    pub fn words(&self) -> Vec<String> {
        let values = &self.run.scenario.values;
        let Self { needed, answer, .. } = self;
        let (replicas, alive) = (values.replicas, self.run.scenario.replicas_in_a_deploy());
        let held = rounded(self.held);
        let each = if replicas > 1.0 { "each copy of your program" } else { "your program" };
        let mut words = vec![format!("Set max_connections to {answer}.")];
        if answer < needed {
            words[0] += &match self.p99_by_arithmetic {
                Some(_) => format!(
                    " The server has no more, and the target needs {needed}: some callers wait longer."
                ),
                None => format!(
                    " The server has no more, and {needed} are needed. No size is right: the queue grows without end. Hold \
                     connections for a shorter time, or raise the limit of the server."
                ),
            };
        }
        words.push(format!(
            "On average {each} has {held} connections in use: {} requests a second times {} s. (Little's law.)",
            rounded(self.run.scenario.rate().unwrap_or_default() / replicas),
            self.run.scenario.mean_hold() / 1e3
        ));
        words.push(format!(
            "Requests do not come evenly. By chance several come at once, so the pool needs more than the average. With {needed} \
             connections 99 of 100 requests wait at most {} ms for one. (Erlang C.)",
            values.target
        ));
        words.push(self.budget(replicas, alive));
        words.push(self.simulation());
        words
    }

    /// The simulation beside the arithmetic.
    fn simulation(&self) -> String {
        let Self { needed, answer, .. } = self;
        let waited = format!(
            "Simulated with {answer} connections, 99 of 100 requests waited at most {} ms",
            self.run.figures.p99_wait
        );
        let Some(by_arithmetic) = self.p99_by_arithmetic else {
            return format!("{waited}, and the longer the run, the longer they wait.");
        };
        let size = match self.simulated {
            Some(simulated) if simulated == *needed => {
                "The simulation finds the same size for the target.".to_owned()
            }
            Some(simulated) => format!(
                "For the target the simulation needs {simulated}, and the arithmetic {needed}. A run is one sample: change the \
                 seed, and take the larger."
            ),
            None => format!(
                "In the simulation no size near {needed} keeps the target: your load is not what Erlang C assumes."
            ),
        };
        format!("{waited}; the arithmetic says {} ms. {size}", by_arithmetic.round())
    }

    /// What the server sees.
    fn budget(&self, replicas: f64, alive: usize) -> String {
        let (needed, answer) = (self.needed, self.answer);
        let together = if replicas > 1.0 {
            format!("{replicas} copies may open {} connections, and", replicas as usize * answer)
        } else {
            format!("It may open {answer} connections, and")
        };
        let deploy =
            format!("{together} {} during a deploy, when up to {alive} run at once.", alive * answer);
        match (self.share, self.run.scenario.values.server_limit) {
            (None, _) => format!("{deploy} Compare that with the limit of your server."),
            (Some(share), limit) if share < needed => {
                format!("{deploy} The server accepts {limit}, so each of {alive} may have {share}.")
            }
            (Some(_), limit) => format!("{deploy} The server accepts {limit}, so they fit."),
        }
    }
}

/// The answer as JSON, with the knobs of its run.
pub fn sizing_json(sizing: &Sizing) -> String {
    Object::new()
        .raw("words", &array(sizing.words().iter().map(|sentence| text(sentence))))
        .number("held", sizing.held)
        .number("needed", sizing.needed as f64)
        .maybe("share", sizing.share.map(|share| share as f64))
        .number("answer", sizing.answer as f64)
        .maybe("simulated", sizing.simulated.map(|simulated| simulated as f64))
        .maybe("p99_by_arithmetic", sizing.p99_by_arithmetic)
        .raw("run", &report(&sizing.run))
        .end()
}

/// To one digit after the point, which is left out if it is a zero.
fn rounded(value: f64) -> String {
    ((value * 10.0).round() / 10.0).to_string()
}
