//! The answer of a sizing in sentences, for a reader who knows nothing of queues.

use crate::scenario::Arrivals;
use crate::sizing::{STEPS, Simulated, Sizing};
use crate::words::counted;

/// The first one is the answer, the others are its reasons.
pub(crate) fn words(sizing: &Sizing) -> Vec<String> {
    let mut words = vec![headline(sizing), on_average(sizing), room_for_chance(sizing)];
    words.extend(budget(sizing));
    words.extend(growth(sizing));
    words.extend(simulation(sizing));
    words
}

fn headline(sizing: &Sizing) -> String {
    let Sizing { needed, answer, .. } = sizing;
    let mut words = match sizing.p99_wait {
        _ if answer >= needed => format!("Set max_connections to {answer}."),
        Some(p99) => format!(
            "Set max_connections to {answer}. The server has no more for each copy, and your target needs {needed}. With \
             {answer}, one request in a hundred waits longer than {}{}.{}",
            time(p99),
            in_all(sizing),
            beside_a_deploy(sizing)
        ),
        None => format!(
            "No size is right. The server has no more than {answer} for each copy, and {needed} are needed: the queue grows \
             without end.{}",
            match beside_a_deploy(sizing) {
                none if none.is_empty() =>
                    " Hold connections for a shorter time, or raise the limit of the server.".to_owned(),
                cure => cure,
            }
        ),
    };
    if let Some(total) = sizing.need.total.filter(|_| sizing.is_total_hopeless()) {
        words += &format!(
            " No size brings 99 of 100 requests below {} in all: {}, without any wait. {}.",
            time(total),
            long_holds(sizing),
            if sizing.need.scenario.values.holds == 0.0 {
                "Hold for a shorter time. If your hold times vary less, say so and ask again"
            } else {
                "Hold for a shorter time"
            }
        );
    } else if sizing.simulated == Simulated::NoneNear && !(sizing.is_exact() && sizing.need.total.is_none()) {
        words += " No size near it keeps the target in the simulation: read the last point.";
    }
    words
}

/// What helps where only the copies that a deploy adds are too many for the server.
fn beside_a_deploy(sizing: &Sizing) -> String {
    let Sizing { need, needed, .. } = sizing;
    if needed * need.scenario.values.replicas as usize > need.scenario.values.server_limit as usize {
        return String::new();
    }
    format!(
        " Only a deploy leaves so few: without one {needed} fit. Start fewer new copies at once, or have the old ones end sooner."
    )
}

/// What a target for the whole request is compared with.
fn in_all(sizing: &Sizing) -> String {
    match (sizing.need.total, &sizing.run) {
        (Some(_), Some(run)) => {
            format!(", or takes longer than {} in all", time(run.figures.p99_total as f64))
        }
        _ => String::new(),
    }
}

/// Which requests take longest, and how long.
fn long_holds(sizing: &Sizing) -> String {
    let (values, longest) = (&sizing.need.scenario.values, time(sizing.longest_hold()));
    match values.holds as u8 {
        0 => format!("if hold times vary a lot, one in 100 takes longer than {longest}"),
        1 => format!("each takes {longest}"),
        _ if values.long_every > 100.0 => format!("nearly all take {longest}"),
        _ => format!("one in {} takes {longest}", values.long_every),
    }
}

fn on_average(sizing: &Sizing) -> String {
    let replicas = sizing.need.scenario.values.replicas;
    let each = if replicas > 1.0 { "each copy of your program" } else { "your program" };
    let held = (sizing.held * 10.0).round() / 10.0;
    let in_use = match held {
        0.0 => "hardly any connection".to_owned(),
        1.0 => "about 1 connection".to_owned(),
        held => format!("{held} connections"),
    };
    let rate = number(sizing.need.scenario.rate().unwrap_or_default() / replicas);
    let requests = if rate == "1" { "request" } else { "requests" };
    format!(
        "On average {each} has {in_use} in use: {rate} {requests} a second times {} s. (Little's law.)",
        number(sizing.need.scenario.mean_hold() / 1e3)
    )
}

fn room_for_chance(sizing: &Sizing) -> String {
    let (connections, target) = (counted(sizing.by_arithmetic, "connection"), time(sizing.need.target));
    let by = if (sizing.spread - 1.0).abs() < 0.005 {
        "(Erlang C.)".to_owned()
    } else {
        let than = if sizing.spread > 1.0 { "more" } else { "less" };
        format!(
            "(Erlang C, with its waits times {}, for your load varies {than} than it assumes: Kingman's factor.)",
            number(sizing.spread)
        )
    };
    let size = if sizing.counts_simulation() {
        format!(
            "By arithmetic that is {connections} for a wait of at most {target}; the simulation below decides."
        )
    } else {
        format!("With {connections} 99 of 100 requests wait at most {target} for one.")
    };
    format!(
        "Requests do not come evenly. By chance several come at once, so the pool needs more than the average. {size} {by}"
    )
}

/// What the server sees.
fn budget(sizing: &Sizing) -> Option<String> {
    let scenario = &sizing.need.scenario;
    let (replicas, alive) = (scenario.values.replicas as usize, scenario.replicas_in_a_deploy());
    let answer = sizing.answer;
    let who = if replicas > 1 { format!("{replicas} copies") } else { "It".to_owned() };
    let deploy = format!(
        "{who} may open {}, and {} during a deploy, when up to {alive} copies run at once, those that are ending included.",
        counted(replicas * answer, "connection"),
        alive * answer
    );
    let Some(share) = sizing.share else {
        return Some(format!("{deploy} Compare that with the limit of your server."));
    };
    let left = scenario.values.server_limit as usize;
    let has = match sizing.need.reserved {
        0 => format!("The server has {left}"),
        reserved => {
            format!("The server has {} less {reserved} that are not for you, so {left}", left + reserved)
        }
    };
    Some(if answer < sizing.needed {
        format!("{deploy} {has}, and each of {alive} copies may have {share}.")
    } else {
        format!("{deploy} {has}: they fit.")
    })
}

/// What more load does to the answer. Bursts have no rate that could grow.
fn growth(sizing: &Sizing) -> Option<String> {
    if sizing.need.scenario.arrivals() == Arrivals::Burst {
        return None;
    }
    let more = match sizing.grown.p99_wait {
        Some(0.0) => "99 of 100 do not wait".to_owned(),
        Some(p99) => format!("99 of 100 wait at most {}", time(p99)),
        None => "the queue grows without end".to_owned(),
    };
    let wanted = match sizing.grown.needed {
        Some(wanted) => {
            let about = if sizing.counts_simulation() { "about " } else { "" };
            format!(", and your target needs {about}{}", counted(wanted, "connection"))
        }
        None => String::new(),
    };
    let answer = counted(sizing.answer, "connection");
    Some(format!("With a fifth more requests and {answer} {more}{wanted}."))
}

/// The simulation beside the arithmetic.
fn simulation(sizing: &Sizing) -> Option<String> {
    let (answer, by_arithmetic) = (sizing.answer, sizing.by_arithmetic);
    let none = match sizing.simulated {
        Simulated::TooLarge => {
            "The lab cannot run so many connections or copies for so long: this is arithmetic alone."
        }
        Simulated::TooFine => {
            "The lab's clock has whole milliseconds, too coarse to check holds or targets so short: this is arithmetic alone."
        }
        Simulated::TooShort => {
            "The queue changes so slowly, or so few requests arrive, that no run is long enough to check this and still short \
             enough for a phone: this is arithmetic alone."
        }
        Simulated::Needs(_) | Simulated::NoneNear => "",
    };
    if !none.is_empty() {
        let total = match sizing.need.total {
            Some(_) => {
                " It knows the wait only, so nothing has checked your target for wait and hold together."
            }
            None => "",
        };
        return Some(format!("{none}{total}"));
    }
    let figures = &sizing.run.as_ref()?.figures;
    let lost = match figures.unanswered() {
        0 => String::new(),
        lost => format!(", and {lost} got no connection or no answer"),
    };
    let waited = format!(
        "Simulated with {}, all open from the start (min_connections), and {} requests, 99 of 100 waited at most {}, and took at most {} in all, the hold included{lost}",
        counted(answer, "connection"),
        figures.requests(),
        time(figures.p99_wait as f64),
        time(figures.p99_total as f64)
    );
    let Some(p99) = sizing.p99_by_arithmetic(answer, 1.0) else {
        return Some(format!("{waited}; the longer the run, the longer they wait."));
    };
    let size = match sizing.simulated {
        Simulated::Needs(needs) if needs == by_arithmetic && answer < needs => {
            format!("For the target the simulation needs {needs} too.")
        }
        Simulated::Needs(needs) if needs == by_arithmetic => {
            "The simulation finds the same size for the target.".to_owned()
        }
        Simulated::Needs(needs) if sizing.is_exact() && sizing.need.total.is_none() => format!(
            "In the simulation {needs} are enough for the target, and by the arithmetic {by_arithmetic}. A run is one sample, \
             and the arithmetic is exact for such a load: it counts."
        ),
        Simulated::Needs(needs) if sizing.need.total.is_some() && !sizing.is_total_hopeless() => format!(
            "For {} the simulation needs {needs}, and the arithmetic, which knows the wait only, {by_arithmetic}.",
            if sizing.need.limits_wait { "both targets" } else { "the target" }
        ),
        Simulated::Needs(needs) => format!(
            "For the target the simulation needs {needs}, and the arithmetic, which is near the truth only for such a load, \
             {by_arithmetic}: the simulation counts."
        ),
        _ => format!("In the simulation no size up to {} keeps the target.", by_arithmetic + STEPS),
    };
    Some(format!("{waited}. The arithmetic says {} for the wait. {size}", time(p99)))
}

fn time(millis: f64) -> String {
    if millis >= 10_000.0 { format!("{} s", number(millis / 1e3)) } else { format!("{} ms", number(millis)) }
}

/// To three digits, or all before the point.
fn number(value: f64) -> String {
    if value <= 0.0 {
        return "0".to_owned();
    }
    let mut scale = 1.0;
    while value * scale < 100.0 {
        scale *= 10.0;
    }
    ((value * scale).round() / scale).to_string()
}
