//! When requests arrive, and what each of them is: drawn in advance, so that two configurations get the same requests.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use crate::draws::Draws;
use crate::drive::Context;
use crate::scenario::{Arrivals, Holds, Scenario};

/// What is drawn when a request arrives.
#[derive(Clone, Copy)]
pub(crate) struct Work {
    pub(crate) hold: f64,
    /// Which of the replicas it comes to, as a share of them.
    pub(crate) replica: f64,
    pub(crate) leaks: bool,
}

struct Workload {
    draws: Draws,
    mean: f64,
    holds: Holds,
    leak_every: u64,
    drawn: u64,
}

impl Workload {
    fn new(scenario: &Scenario, purpose: u64) -> Self {
        let values = &scenario.values;
        Self {
            draws: Draws::new(values.seed as u64, purpose),
            mean: values.hold,
            holds: scenario.holds(),
            leak_every: values.leak_every as u64,
            drawn: 0,
        }
    }

    fn next(&mut self) -> Work {
        self.drawn += 1;
        let hold = match self.holds {
            Holds::Exponential => self.draws.exponential(self.mean),
            Holds::Constant => self.mean,
            Holds::Mixed { share, short, long } => {
                if self.draws.share() < share {
                    long
                } else {
                    short
                }
            }
        };
        let hold = self.in_millis(hold);
        let replica = self.draws.share();
        let leaks = self.leak_every > 0 && self.drawn.is_multiple_of(self.leak_every);
        Work { hold, replica, leaks }
    }

    /// A hold that the clock can keep, which has whole milliseconds: rounded at random, so that the mean stays. Exponential
    /// holds of a whole mean are left to be rounded to the nearest: that is as good.
    fn in_millis(&mut self, hold: f64) -> f64 {
        let is_near = matches!(self.holds, Holds::Exponential) && self.mean.fract() == 0.0;
        if is_near || hold.fract() == 0.0 {
            return hold;
        }
        hold.floor() + f64::from(u8::from(self.draws.share() < hold.fract()))
    }
}

/// Has requests arrive until the end of the window.
pub(crate) async fn arrive(scenario: &Scenario, context: &Context) {
    let values = &scenario.values;
    let (start, end) = (context.window.start, context.window.end);
    match scenario.arrivals() {
        Arrivals::Poisson | Arrivals::Constant => {
            let is_random = scenario.arrivals() == Arrivals::Poisson;
            at_a_rate(context, Workload::new(scenario, 1), values.rate, is_random.then(|| gaps(scenario)))
                .await;
        }
        Arrivals::Burst => {
            if values.trickle > 0.0 {
                let (context, workload) = (context.clone(), Workload::new(scenario, 3));
                let (rate, gaps) = (values.trickle, gaps(scenario));
                tokio::spawn(async move { at_a_rate(&context, workload, rate, Some(gaps)).await });
            }
            let mut workload = Workload::new(scenario, 1);
            let mut at = start;
            while at < end {
                sleep_until(at).await;
                for _ in 0..values.callers as usize {
                    tokio::spawn(context.clone().request(workload.next()));
                }
                at += Duration::from_millis(values.think as u64);
            }
        }
        Arrivals::Closed => {
            for caller in 0..values.callers as u64 {
                let (context, mut workload) = (context.clone(), Workload::new(scenario, 3 + caller));
                let think = values.think;
                tokio::spawn(async move {
                    // They do not all begin at once.
                    let mut pause = workload.draws.share() * think;
                    loop {
                        sleep(Duration::from_millis(pause as u64)).await;
                        if Instant::now() >= end {
                            break;
                        }
                        context.clone().request(workload.next()).await;
                        pause = think;
                    }
                });
            }
        }
    }
    sleep_until(end).await;
}

fn gaps(scenario: &Scenario) -> Draws {
    Draws::new(scenario.values.seed as u64, 2)
}

/// So many requests a second: at random, if there are draws for the times between them.
async fn at_a_rate(context: &Context, mut workload: Workload, rate: f64, mut gaps: Option<Draws>) {
    let mean = 1e3 / rate;
    let mut at = 0.0;
    loop {
        // The instants are exact, and each is put on its millisecond: rounded gaps would add up.
        at += gaps.as_mut().map_or(mean, |gaps| gaps.exponential(mean));
        let next = context.window.start + Duration::from_millis(at as u64);
        if next >= context.window.end {
            return;
        }
        if next > Instant::now() {
            sleep_until(next).await;
        }
        tokio::spawn(context.clone().request(workload.next()));
    }
}
